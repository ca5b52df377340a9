"""Messages to go out: written with what they tell of in one transaction, delivered afterwards by ports.

The table is ``outbox`` in :mod:`dispatch.crm.tables.engagement`. A part that changes something calls
:func:`announce_in` (or :func:`announce_many_in`) on its own connection; nothing is sent where its transaction
rolls back. :meth:`Outbox.deliver` hands on what waits, at least once and in sequence per subject, as
CloudEvents 1.0 (``id, source, specversion, type, time, subject``): a receiver that must not act twice keeps
the ids. Who receives is told by :mod:`dispatch.crm.ports`.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.rules import LONGEST_DAYS
from dispatch.crm.tables.engagement import outbox, outbox_turn
from dispatch.errors import DispatchError, InputError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

SOURCE: Final = "/dispatch/crm"
MOST_ATTEMPTS: Final = 8
"""After so many failures a message is given up, and those behind it go on."""
FIRST_WAIT_MS: Final = 60_000
"""Before the second attempt; it doubles each time."""
KEEP_DAYS: Final = 30
LEASE_MS: Final = 300_000
"""Who takes messages and is heard of no more for so long did not deliver them."""
_TYPE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_MOST_AT_ONCE: Final = 10_000


class DeliveryError(DispatchError):
    """A port could not deliver; `reason` is a name that may be kept, as the text of an error may not.

    Parameters
    ----------
    reason : str
    again : bool
        False where another attempt would fail as well.
    """

    def __init__(self, reason: str, again: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.again = reason, again


class WithheldError(DispatchError):
    """A port must not deliver: there is no consent, or nobody is left to deliver to."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Message:
    """One message, as ports get it."""

    message_id: int
    type: str
    source: str
    kind: str | None
    object_id: int | None
    scope_id: int | None
    at_ms: int
    data: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 0
    """made before this one"""

    @property
    def subject(self) -> str | None:
        """Whom it is about, ``customer/17``; None for nobody in particular."""
        return None if self.kind is None else f"{self.kind}/{self.object_id}"

    def as_cloudevent(self) -> dict[str, Any]:
        """Give the attributes and data of CloudEvents 1.0, structured mode."""
        told = {
            "specversion": "1.0",
            "id": str(self.message_id),
            "source": self.source,
            "type": self.type,
            "time": rfc3339(self.at_ms),
            "datacontenttype": "application/json",
            "data": dict(self.data),
        }
        return told if self.subject is None else {**told, "subject": self.subject}


class Receiver(Protocol):
    """What messages are delivered to."""

    @property
    def types(self) -> tuple[str, ...]:
        """Types that it takes: ``points.changed``, or all of a family, ``points.``."""

    def deliver(self, message: Message, at_ms: int) -> None:
        """Take a message.

        Raises
        ------
        DeliveryError
            It did not work; any other error counts as one, too.
        WithheldError
            It must not be delivered.
        """


@dataclass(frozen=True)
class Delivered:
    """What came of a delivery."""

    delivered: int = 0
    withheld: int = 0
    failed: int = 0
    """to be tried again"""
    given_up: int = 0
    held_back: int = 0
    """behind a failed one of the same subject"""


def announce_in(
    connection: sa.Connection,
    type_: str,
    kind: str | None,
    object_id: int | None,
    at_ms: int,
    data: Mapping[str, Any],
    scope_id: int | None = None,
) -> int:
    """Write one message in the transaction of what it tells of; gives its id.

    Parameters
    ----------
    connection
    type_ : str
        Two names at least, joined by dots: ``points.changed``.
    kind, object_id : str and int, optional
        The subject; messages of one subject are delivered in sequence.
    at_ms : int
    data : mapping
        Names, numbers and lists of them. No free text: nothing personal can slip in.
    scope_id : int, optional
    """
    _check(type_, kind, [object_id], [at_ms])
    told = {
        "type": type_,
        "source": SOURCE,
        "kind": kind,
        "object_id": object_id,
        "scope_id": scope_id,
        "at_ms": at_ms,
        "data": dict(_checked(data)),
    }
    added = connection.execute(sa.insert(outbox).values(told))
    return int(added.inserted_primary_key[0])  # type: ignore[index]  # an insertion of one row has one


def announce_many_in(
    connection: sa.Connection,
    type_: str,
    kind: str | None,
    object_ids: Sequence[int],
    at_ms: int | Sequence[int],
    data: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    scope_id: int | Sequence[int | None] | None = None,
) -> int:
    """Write many messages (n,) of one type; what is told once holds for all of them. Gives how many."""
    num = len(object_ids)
    instants = [int(at_ms)] * num if isinstance(at_ms, int | np.integer) else [int(one) for one in at_ms]
    scopes: list[int | None]
    if scope_id is None or isinstance(scope_id, int | np.integer):
        scopes = [scope_id] * num
    else:
        scopes = list(scope_id)
    texts = [_json(data)] * num if isinstance(data, Mapping) else [_json(one) for one in data]
    for name, values in (("at_ms", instants), ("data", texts), ("scope_id", scopes)):
        if len(values) != num:
            raise InputError(f"{name} has {len(values)} entries: it must have {num}, as object_ids")
    ids = [int(one) for one in object_ids]
    _check(type_, kind, ids, instants)
    return bulk.insert(
        connection,
        outbox,
        {
            "type": [type_] * num,
            "source": [SOURCE] * num,
            "kind": [kind] * num,
            "object_id": ids,
            "scope_id": scopes,
            "at_ms": instants,
            "data": texts,
        },
    )


class Outbox:
    """Delivers what waits, and tells what does."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def deliver(self, port: Receiver, at_ms: int, limit: int = 1000) -> Delivered:
        """Hand waiting messages to a port, oldest first.

        At least once: who is interrupted in between delivers again after five minutes. Of each subject in
        sequence: behind a message that failed the later ones wait, until it is delivered or given up.

        Parameters
        ----------
        port : Receiver
        at_ms : int
        limit : int
            How many at most.
        """
        check_whole("limit", limit, 1, 1_000_000)
        with self._context.acting("outbox.deliver", at_ms=at_ms) as connection:
            messages = _claim_in(connection, port.types, at_ms, limit)
        outcomes = _hand_on(port, messages, at_ms)
        if not messages:
            return Delivered()
        with self._context.acting("outbox.deliver", at_ms=at_ms) as connection:
            return _settle_in(connection, outcomes, at_ms)

    def prune(self, at_ms: int, keep_days: int = KEEP_DAYS) -> int:
        """Delete what was delivered or withheld and is older; gives how many messages.

        What waits or was given up stays. So does the latest message of all: SQLite would give its id to the
        next one, and receivers know messages by their ids.

        Parameters
        ----------
        at_ms : int
        keep_days : int
            So long a receiver may ask what it was told.
        """
        check_whole("keep_days", keep_days, 0, LONGEST_DAYS)
        before_ms = at_ms - keep_days * MS_PER_DAY
        with self._context.acting("outbox.deliver", at_ms=at_ms) as connection:
            old = sa.delete(outbox).where(
                outbox.c.state.in_(("delivered", "withheld")),
                sa.func.coalesce(outbox.c.delivered_at_ms, outbox.c.at_ms) < before_ms,
                outbox.c.message_id < sa.select(sa.func.max(outbox.c.message_id)).scalar_subquery(),
            )
            return connection.execute(old).rowcount

    def waiting(self, types: Iterable[str] = ()) -> int:
        """Count messages that are not delivered yet, all or of some types."""
        with self._context.looking("outbox.read") as connection:
            wanted = sa.select(sa.func.count()).where(
                outbox.c.state == "waiting", _of_types(outbox, tuple(types))
            )
            return int(connection.execute(wanted).scalar_one())

    def messages(self, after: int = 0, limit: int = 1000) -> list[Message]:
        """Give messages in their sequence, whatever became of them, behind one of them."""
        check_whole("limit", limit, 1, _MOST_AT_ONCE)
        with self._context.looking("outbox.read") as connection:
            rows = connection.execute(
                sa.select(outbox)
                .where(outbox.c.message_id > after)
                .order_by(outbox.c.message_id)
                .limit(limit)
            )
            return [_message(row) for row in rows]

    def given_up(self, limit: int = 1000) -> list[tuple[int, str | None]]:
        """Give ids of messages that failed too often, with the kind of the last error."""
        check_whole("limit", limit, 1, _MOST_AT_ONCE)
        with self._context.looking("outbox.read") as connection:
            rows = connection.execute(
                sa.select(outbox.c.message_id, outbox.c.last_error)
                .where(outbox.c.state == "given_up")
                .order_by(outbox.c.message_id)
                .limit(limit)
            )
            return [(row.message_id, row.last_error) for row in rows]

    def retry(self, message_ids: Sequence[int], at_ms: int) -> int:
        """Let messages (n,) that were given up be tried anew; gives how many there were."""
        with self._context.acting("outbox.retry", at_ms=at_ms) as connection:
            again = (
                sa.update(outbox)
                .where(outbox.c.state == "given_up", bulk.among(connection, outbox.c.message_id, message_ids))
                .values(state="waiting", attempts=0, not_before_ms=at_ms, claimed_until_ms=0)
            )
            return connection.execute(again).rowcount


def rfc3339(at_ms: int) -> str:
    """Give an instant as RFC 3339 writes it: ``2023-11-20T00:00:00.000Z``."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_facts(name: str, value: object) -> None:
    """Raise :class:`InputError` unless a value is a number, a name, None, or a list of such."""
    if isinstance(value, list | tuple):
        for one in value:
            check_facts(name, one)
    elif not (
        value is None
        or (isinstance(value, int | float | np.integer) and math.isfinite(value))
        or (isinstance(value, str) and _NAME.fullmatch(value))
    ):
        raise InputError(
            f"data.{name} is a {type(value).__name__} that is neither a number nor a name of ASCII letters, "
            "digits, _, -, : and .: free text could hold something personal"
        )


def _checked(data: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, value in data.items():
        if type(value) is not int:
            check_facts(name, value)
    return data


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(_checked(data), default=operator.index)  # numpy's whole numbers are plain ones


def _check(type_: str, kind: str | None, object_ids: Sequence[int | None], instants: Sequence[int]) -> None:
    if not isinstance(type_, str) or not _TYPE.fullmatch(type_):
        raise InputError(f"type is {type_!r}: it must be names joined by dots, like points.changed")
    if kind is not None and not _NAME.fullmatch(kind):
        raise InputError(f"kind is {kind!r}: it must be a name")
    for object_id in object_ids:
        if (object_id is None) != (kind is None):
            raise InputError(f"kind is {kind!r}, object_id is {object_id!r}: both must be told, or neither")
    for at_ms in instants:
        check_instant("at_ms", at_ms)


def _of_types(table: Any, types: tuple[str, ...]) -> sa.ColumnElement[bool]:
    if not types:
        return sa.true()
    return sa.or_(
        *(
            table.c.type.startswith(one, autoescape=True) if one.endswith(".") else table.c.type == one
            for one in types
        )
    )


def _claim_in(connection: sa.Connection, types: tuple[str, ...], at_ms: int, limit: int) -> list[Message]:
    """Choose what is due, and mark it as being delivered."""
    bulk.upsert(connection, outbox_turn, {"turn_id": [1], "at_ms": [at_ms]})
    earlier = outbox.alias("earlier")
    is_behind = sa.exists().where(
        earlier.c.state == "waiting",
        earlier.c.kind == outbox.c.kind,
        earlier.c.object_id == outbox.c.object_id,
        earlier.c.message_id < outbox.c.message_id,
        _of_types(earlier, types),
        sa.or_(earlier.c.claimed_until_ms > at_ms, earlier.c.not_before_ms > at_ms),
    )
    rows = connection.execute(
        sa.select(outbox)
        .where(
            outbox.c.state == "waiting",
            outbox.c.claimed_until_ms <= at_ms,
            outbox.c.not_before_ms <= at_ms,
            _of_types(outbox, types),
            ~is_behind,
        )
        .order_by(outbox.c.message_id)
        .limit(limit)
    ).all()
    connection.execute(
        sa.update(outbox)
        .where(bulk.among(connection, outbox.c.message_id, [row.message_id for row in rows]))
        .values(claimed_until_ms=at_ms + LEASE_MS)
    )
    return [_message(row) for row in rows]


@dataclass(frozen=True)
class _Outcome:
    message: Message
    state: str
    """delivered, withheld, failed, given_up, or held_back"""
    reason: str | None = None


def _hand_on(port: Receiver, messages: list[Message], at_ms: int) -> list[_Outcome]:
    """Deliver one by one; outside of any transaction, as a port may take its time."""
    outcomes: list[_Outcome] = []
    stuck: set[str] = set()
    for message in messages:
        if message.subject in stuck:
            outcomes.append(_Outcome(message, "held_back"))
            continue
        outcome = _hand_on_one(port, message, at_ms)
        outcomes.append(outcome)
        if outcome.state == "failed" and message.subject is not None:
            stuck.add(message.subject)
    return outcomes


def _hand_on_one(port: Receiver, message: Message, at_ms: int) -> _Outcome:
    try:
        port.deliver(message, at_ms)
    except WithheldError as error:
        return _Outcome(message, "withheld", error.reason)
    except DeliveryError as error:
        is_last = not error.again or message.attempts + 1 >= MOST_ATTEMPTS
        return _Outcome(message, "given_up" if is_last else "failed", error.reason)
    except Exception as error:  # noqa: BLE001 - whatever a port breaks by must not stop what is behind it
        is_last = message.attempts + 1 >= MOST_ATTEMPTS
        return _Outcome(message, "given_up" if is_last else "failed", type(error).__name__)
    return _Outcome(message, "delivered")


def _settle_in(connection: sa.Connection, outcomes: list[_Outcome], at_ms: int) -> Delivered:
    by_state: dict[str, list[_Outcome]] = {}
    for outcome in outcomes:
        by_state.setdefault(outcome.state, []).append(outcome)
    tried = {"attempts": outbox.c.attempts + 1, "claimed_until_ms": 0}
    for state, values in (
        ("delivered", {**tried, "state": "delivered", "delivered_at_ms": at_ms, "last_error": None}),
        ("held_back", {"claimed_until_ms": 0}),
    ):
        ids = [outcome.message.message_id for outcome in by_state.get(state, [])]
        chosen = bulk.among(connection, outbox.c.message_id, ids)
        connection.execute(sa.update(outbox).where(chosen, outbox.c.state == "waiting").values(values))
    for outcome in outcomes:
        if outcome.state in ("delivered", "held_back"):
            continue
        values = {**tried, "last_error": outcome.reason}
        if outcome.state == "failed":
            values["not_before_ms"] = at_ms + (FIRST_WAIT_MS << outcome.message.attempts)
        elif outcome.state == "withheld":
            values = {**tried, "state": "withheld", "outcome": outcome.reason}
        else:
            values["state"] = "given_up"
        one = outbox.c.message_id == outcome.message.message_id
        connection.execute(sa.update(outbox).where(one, outbox.c.state == "waiting").values(values))
    return Delivered(**{state: len(found) for state, found in by_state.items()})


def _message(row: sa.Row[Any]) -> Message:
    return Message(
        row.message_id,
        row.type,
        row.source,
        row.kind,
        row.object_id,
        row.scope_id,
        row.at_ms,
        row.data or {},
        row.attempts,
    )
