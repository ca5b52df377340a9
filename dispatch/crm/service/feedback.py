"""Feedback from all channels, call-backs, and how satisfied customers say they are.

Adapters of channels (a web form, a mailbox, a hotline, social media) call :meth:`Feedback.take`, each message
once by the channel's own name of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant, check_not_before
from dispatch.crm.outbox import announce_in
from dispatch.crm.people.idempotency import check_name_given, kept_name
from dispatch.crm.people.persons import locked_in
from dispatch.crm.people.sealed_texts import check_text, keep_text, open_text
from dispatch.crm.rules import check_name, check_one_of
from dispatch.crm.service.complaints import NewComplaint, file_in
from dispatch.crm.tables.service import call_back, complaint, feedback
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole

CHANNELS: Final = ("app", "web", "email", "hotline", "survey", "social_media", "wechat", "in_person")


@dataclass(frozen=True)
class Message:
    """What came in.

    Parameters
    ----------
    channel : str
        One of :data:`CHANNELS`.
    key : str
        The channel's own name of it: a message comes in once. Where it holds an address of mail or a
        telephone number, a keyed hash of it is kept.
    topic : str
        A name: ``praise``, ``idea``, or a code of problems.
    customer_id, order_id : int, optional
        Words are kept only of a customer who is known: under whose key they are sealed.
    stars : int, optional
        1 … 5.
    words : str, optional
    """

    channel: str
    key: str
    topic: str
    customer_id: int | None = None
    order_id: int | None = None
    stars: int | None = None
    words: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no channel gives; the words are not repeated."""
        check_one_of("channel", self.channel, CHANNELS)
        check_name_given("key", self.key)
        check_name("topic", self.topic)
        for name in ("customer_id", "order_id"):
            if getattr(self, name) is not None:
                check_id(name, getattr(self, name))
        if self.stars is not None:
            check_whole("stars", self.stars, 1, 5)
        if self.words is not None:
            check_text("words", self.words)
            if self.customer_id is None:
                raise InputError("words: they are kept only of a customer who is known")


@dataclass(frozen=True)
class Received:
    """A message that came in; its words are None where there are none."""

    feedback_id: int
    channel: str
    topic: str
    customer_id: int | None
    order_id: int | None
    stars: int | None
    received_at_ms: int
    handled_at_ms: int | None
    outcome: str | None
    complaint_id: int | None
    words: str | None = None


@dataclass(frozen=True)
class CallBack:
    """A customer is to be called back."""

    call_id: int
    customer_id: int
    complaint_id: int | None
    reason: str
    due_at_ms: int
    done_at_ms: int | None
    outcome: str | None
    stars: int | None


@dataclass(frozen=True)
class Satisfaction:
    """How many stars were given, by channel, in a window; call-backs under ``call_back``."""

    num: dict[str, int]
    mean: dict[str, float]
    satisfied: float | None
    """share with 4 stars or 5, over all channels; None where there were none"""


class Feedback:
    """Takes messages in, and has customers called back."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def take(self, told: Message, *, at_ms: int, scope_id: int | None = None) -> int:
        """Take a message in; gives its id, that of the first call where it came in before.

        Parameters
        ----------
        told : Message
        at_ms : int
        scope_id : int, optional
            Where a message of nobody known belongs; others belong where their customer does.
        """
        targets = () if told.customer_id is None else (("customer", told.customer_id),)
        if not targets and scope_id is None:
            raise InputError("scope_id is missing: where does a message of nobody known belong?")
        place = None if targets else scope_id
        with self._context.acting("feedback.take", *targets, at_ms=at_ms, scope_id=place) as connection:
            if told.customer_id is not None:
                place = locked_in(connection, "customer", told.customer_id, None).scope_id
            key = kept_name(self._context, "feedback.key", told.key)
            known = connection.execute(
                sa.select(feedback.c.feedback_id).where(
                    feedback.c.channel == told.channel, feedback.c.key == key
                )
            ).scalar_one_or_none()
            if known is not None:
                return int(known)
            added = connection.execute(
                sa.insert(feedback).values(
                    scope_id=place,
                    customer_id=told.customer_id,
                    channel=told.channel,
                    topic=told.topic,
                    stars=told.stars,
                    order_id=told.order_id,
                    key=key,
                    received_at_ms=at_ms,
                )
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            if told.customer_id is not None:
                owner = ("customer", told.customer_id)
                keep_text(connection, self._context.vault, owner, feedback.c.words, made, told.words)
            return made

    def handle(self, feedback_id: int, outcome: str, *, at_ms: int) -> None:
        """Note what became of a message, by a name: ``thanked``, ``passed_on``."""
        check_name("outcome", outcome)
        with self._context.acting(
            "feedback.handle", ("feedback", feedback_id), at_ms=at_ms, details={"outcome": outcome}
        ) as connection:
            _close_in(connection, feedback_id, at_ms, outcome=outcome)

    def complain(self, feedback_id: int, code: str, *, at_ms: int) -> int:
        """Make a complaint of a message from a customer, words and all; gives the complaint's id."""
        with self._context.acting(
            "feedback.handle", ("feedback", feedback_id), at_ms=at_ms, details=(noted := {"code": code})
        ) as connection:
            row = _close_in(connection, feedback_id, at_ms, outcome="complaint")
            if row.customer_id is None:
                raise InputError(f"feedback {feedback_id} is of nobody known: a complaint needs a customer")
            words = self._words(connection, row)
            told = NewComplaint(row.customer_id, code, row.order_id, row.channel)
            (made,) = file_in(connection, self._context, [told], [at_ms], row.scope_id)
            owner = connection.execute(
                sa.select(complaint.c.customer_id).where(complaint.c.complaint_id == made)
            ).scalar_one()
            keep_text(connection, self._context.vault, ("customer", owner), complaint.c.words, made, words)
            connection.execute(
                sa.update(feedback).where(feedback.c.feedback_id == feedback_id).values(complaint_id=made)
            )
            noted["complaint_id"] = str(made)
            return made

    def read(self, feedback_id: int, *, at_ms: int) -> Received:
        """Give a message with its words."""
        with self._context.acting("feedback.read", ("feedback", feedback_id), at_ms=at_ms) as connection:
            row = connection.execute(sa.select(feedback).where(feedback.c.feedback_id == feedback_id)).one()
            return _received(row, self._words(connection, row))

    def waiting(self, *, limit: int = 100) -> list[Received]:
        """Give messages that nobody has handled within the actor's reach, oldest first, without words."""
        check_whole("limit", limit, 1, 10_000)
        with self._context.listing("feedback.queue", feedback.c.scope_id) as (connection, within):
            rows = connection.execute(
                sa.select(feedback)
                .where(within, feedback.c.handled_at_ms.is_(None))
                .order_by(feedback.c.received_at_ms, feedback.c.feedback_id)
                .limit(limit)
            )
            return [_received(row, None) for row in rows]

    def ask_call_back(
        self, customer_id: int, reason: str, *, due_at_ms: int, at_ms: int, complaint_id: int | None = None
    ) -> int:
        """Have a customer called back by an instant; gives the call's id, told to the outbox as well."""
        check_name("reason", reason)
        check_not_before("due_at_ms", due_at_ms, at_ms, "the request")
        with self._context.acting(
            "call_back.ask", ("customer", customer_id), at_ms=at_ms, details={"reason": reason}
        ) as connection:
            scope_id = locked_in(connection, "customer", customer_id).scope_id
            if complaint_id is not None:
                of = sa.select(complaint.c.customer_id).where(complaint.c.complaint_id == complaint_id)
                if connection.execute(of).scalar_one_or_none() != customer_id:
                    raise InputError(
                        f"complaint_id is {complaint_id}: customer {customer_id} has no such one"
                    )
            added = connection.execute(
                sa.insert(call_back).values(
                    scope_id=scope_id,
                    customer_id=customer_id,
                    complaint_id=complaint_id,
                    reason=reason,
                    asked_at_ms=at_ms,
                    due_at_ms=due_at_ms,
                )
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            data = {"call_id": made, "reason": reason, "due_at_ms": due_at_ms}
            announce_in(connection, "call_back.due", "customer", customer_id, at_ms, data, scope_id)
            return made

    def called_back(
        self,
        call_id: int,
        outcome: str,
        *,
        at_ms: int,
        stars: int | None = None,
        note: str | None = None,
    ) -> None:
        """Note the outcome of a call-back by a name, and how satisfied the customer was."""
        check_name("outcome", outcome)
        if stars is not None:
            check_whole("stars", stars, 1, 5)
        if note is not None:
            check_text("note", note)
        with self._context.acting(
            "call_back.done", ("call_back", call_id), at_ms=at_ms, details={"outcome": outcome}
        ) as connection:
            row = connection.execute(
                sa.select(call_back).where(call_back.c.call_id == call_id).with_for_update()
            ).one()
            check_not_before("at_ms", at_ms, row.asked_at_ms, "the request")
            if row.done_at_ms is not None:
                raise StateError(f"call-back {call_id} is done already")
            connection.execute(
                sa.update(call_back)
                .where(call_back.c.call_id == call_id)
                .values(done_at_ms=at_ms, outcome=outcome, stars=stars)
            )
            owner = ("customer", row.customer_id)
            keep_text(connection, self._context.vault, owner, call_back.c.note, call_id, note)

    def call_backs(self, *, limit: int = 100) -> list[CallBack]:
        """Give calls that are to be made, within the actor's reach, what is due first."""
        check_whole("limit", limit, 1, 10_000)
        with self._context.listing("call_back.queue", call_back.c.scope_id) as (connection, within):
            rows = connection.execute(
                sa.select(call_back)
                .where(within, call_back.c.done_at_ms.is_(None))
                .order_by(call_back.c.due_at_ms, call_back.c.call_id)
                .limit(limit)
            )
            return [
                CallBack(**{name: row._mapping[name] for name in CallBack.__annotations__}) for row in rows
            ]

    def satisfaction(self, from_ms: int, until_ms: int, *, scope_id: int) -> Satisfaction:
        """Sum up the stars of messages and call-backs of a place within a window."""
        check_instant("from_ms", from_ms)
        check_not_before("until_ms", until_ms, from_ms, "from_ms")
        with self._context.looking("feedback.figures", scope_id=scope_id) as connection:
            at, done = feedback.c.received_at_ms, call_back.c.done_at_ms
            rows = connection.execute(
                sa.select(feedback.c.channel, feedback.c.stars, sa.func.count())
                .where(feedback.c.scope_id == scope_id, feedback.c.stars > 0, at >= from_ms, at < until_ms)
                .group_by(feedback.c.channel, feedback.c.stars)
            ).all()
            calls = connection.execute(
                sa.select(sa.literal("call_back"), call_back.c.stars, sa.func.count())
                .where(
                    call_back.c.scope_id == scope_id, call_back.c.stars > 0, done >= from_ms, done < until_ms
                )
                .group_by(call_back.c.stars)
            ).all()
        num: dict[str, int] = {}
        total: dict[str, int] = {}
        satisfied = 0
        for channel, stars, count in (*rows, *calls):
            num[channel] = num.get(channel, 0) + count
            total[channel] = total.get(channel, 0) + stars * count
            satisfied += count if stars >= 4 else 0
        every = sum(num.values())
        mean = {channel: total[channel] / num[channel] for channel in num}
        return Satisfaction(num, mean, satisfied / every if every else None)

    def _words(self, connection: sa.Connection, row: sa.Row[Any]) -> str | None:
        if row.customer_id is None:
            return None
        owner = ("customer", row.customer_id)
        return open_text(connection, self._context.vault, owner, feedback.c.words, row.feedback_id, row.words)


def _close_in(connection: sa.Connection, feedback_id: int, at_ms: int, *, outcome: str) -> sa.Row[Any]:
    """Note that a message is handled, once; gives its row."""
    row = connection.execute(
        sa.select(feedback).where(feedback.c.feedback_id == feedback_id).with_for_update()
    ).one()
    check_not_before("at_ms", at_ms, row.received_at_ms, "the message")
    if row.handled_at_ms is not None:
        raise StateError(f"feedback {feedback_id} was handled already: {row.outcome}")
    connection.execute(
        sa.update(feedback)
        .where(feedback.c.feedback_id == feedback_id)
        .values(handled_at_ms=at_ms, outcome=outcome)
    )
    return row


def _received(row: sa.Row[Any], words: str | None) -> Received:
    told = {name: row._mapping[name] for name in Received.__annotations__}
    return Received(**told | {"words": words})
