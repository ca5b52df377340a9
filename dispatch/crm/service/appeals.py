"""Appeals: against verdicts, cool-downs, ratings, cancellations and standings, decided by somebody else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, Target, check_id, check_not_before
from dispatch.crm.fleet.blocks import lift_in
from dispatch.crm.fleet.corrections import given_up_day_in, take_out_in
from dispatch.crm.outbox import announce_in
from dispatch.crm.people.persons import current_in
from dispatch.crm.people.sealed_texts import check_text, keep_text, open_text
from dispatch.crm.rules import check_name, check_one_of
from dispatch.crm.service.complaints import REJECTED, RESOLVED, UPHELD, count_in, locked_in, step_in, tell_in
from dispatch.crm.service.credit import MERGED, reverse_in
from dispatch.crm.tables.fleet import driver_block
from dispatch.crm.tables.people import customer, driver
from dispatch.crm.tables.service import appeal, complaint, credit_event, rating
from dispatch.errors import InputError, StateError

AGAINST: Final = ("complaint", "block", "rating", "cancel", "credit")
"""A complaint's verdict, a cool-down, a rating, an order given up (by the order's id), a standing's event."""
BASES: Final = ("complaint", "rating", "cancel")
"""What a block was based on, and may be taken out with it."""
OPEN, GRANTED, REFUSED = "open", "granted", "refused"


@dataclass(frozen=True)
class Appeal:
    """An appeal as it stands; the words are None where there are none, or the actor may not see them."""

    appeal_id: int
    scope_id: int
    against: str
    """one of :data:`AGAINST`"""
    object_id: int
    kind: str
    """of who appeals: customer or driver"""
    person_id: int
    reason: str
    state: str
    filed_at_ms: int
    decided_at_ms: int | None
    decided_by: str | None
    words: str | None = None


class Appeals:
    """Files appeals, and undoes what is appealed against where they are granted."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def file(
        self, against: str, object_id: int, by: Target, *, reason: str, at_ms: int, words: str | None = None
    ) -> int:
        """File an appeal of a customer or driver; gives its id.

        Parameters
        ----------
        against : str
            One of :data:`AGAINST`.
        object_id : int
        by : (str, int)
            ``("driver", 17)``: whom it went against.
        reason : str
            A name.
        at_ms : int
        words : str, optional
            Sealed under the key of who appeals.

        Raises
        ------
        InputError
            There is nothing of that kind that went against this person.
        StateError
            It was appealed against before.
        """
        check_one_of("against", against, AGAINST)
        check_id("object_id", object_id)
        check_one_of("by", by[0], ("customer", "driver"))
        check_name("reason", reason)
        if words is not None:
            check_text("words", words)
        details: dict[str, Any] = {"against": against, "object_id": object_id, "reason": reason}
        with self._context.acting("appeal.file", by, at_ms=at_ms, details=details) as connection:
            made_at_ms, first = _against(connection, against, object_id, by)
            check_not_before("at_ms", at_ms, made_at_ms, f"{against} {object_id}")
            person = {"customer": customer, "driver": driver}[by[0]]
            scope_id = connection.execute(
                sa.select(person.c.scope_id).where(person.c[f"{by[0]}_id"] == by[1])
            ).scalar_one()
            added = connection.execute(
                sa.insert(appeal).values(
                    scope_id=scope_id,
                    against=against,
                    object_id=object_id,
                    kind=by[0],
                    person_id=by[1],
                    reason=reason,
                    filed_at_ms=at_ms,
                    filed_by=self._context.actor.name,
                    first_decided_by=first,
                )
            )
            made = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
            keep_text(connection, self._context.vault, by, appeal.c.words, made, words)
            details["appeal_id"] = made
            return made

    def decide(
        self,
        appeal_id: int,
        granted: bool,
        *,
        reason: str,
        at_ms: int,
        take_out: Sequence[Target] = (),
    ) -> None:
        """Decide an appeal; where it is granted, what it is against is undone.

        A verdict is turned round, a cool-down ends, a rating or cancellation is taken out of the driver's
        sums, an event of a standing is reversed.

        Parameters
        ----------
        appeal_id : int
        granted : bool
        reason : str
            A name.
        at_ms : int
        take_out : sequence of (str, int), optional
            What a cool-down was wrongly based on, each one of :data:`BASES` and its id (of a cancellation the
            order's): it counts no more.

        Raises
        ------
        StateError
            It is decided already; or the actor decided what it is against, or filed it.
        """
        check_name("reason", reason)
        for kind, object_id in take_out:
            check_one_of("take_out", kind, BASES)
            check_id("take_out", object_id)
        details = {"granted": bool(granted), "reason": reason, "take_out": [list(one) for one in take_out]}
        with self._context.acting(
            "appeal.decide", ("appeal", appeal_id), at_ms=at_ms, details=details
        ) as connection:
            row = connection.execute(
                sa.select(appeal).where(appeal.c.appeal_id == appeal_id).with_for_update()
            ).one()
            self._check_may_decide(row, granted, take_out, at_ms)
            connection.execute(
                sa.update(appeal)
                .where(appeal.c.appeal_id == appeal_id)
                .values(
                    state=GRANTED if granted else REFUSED,
                    decided_at_ms=at_ms,
                    decided_by=self._context.actor.name,
                )
            )
            if granted:
                self._undo(connection, row.against, row.object_id, (row.kind, row.person_id), at_ms)
                for kind, object_id in take_out:
                    self._undo(connection, kind, object_id, (row.kind, row.person_id), at_ms)
            state = GRANTED if granted else REFUSED
            announce_in(
                connection,
                "appeal.decided",
                row.kind,
                row.person_id,
                at_ms,
                {"appeal_id": appeal_id, "state": state},
                row.scope_id,
            )

    def of(self, by: Target, *, at_ms: int) -> list[Appeal]:
        """Give the appeals of a person, the latest first, with their words."""
        check_one_of("by", by[0], ("customer", "driver"))
        with self._context.acting("appeal.read", by, at_ms=at_ms) as connection:
            rows = connection.execute(
                sa.select(appeal)
                .where(appeal.c.kind == by[0], appeal.c.person_id == by[1])
                .order_by(appeal.c.appeal_id.desc())
            ).all()
            vault = self._context.vault
            return [
                _appeal(row, open_text(connection, vault, by, appeal.c.words, row.appeal_id, row.words))
                for row in rows
            ]

    def queue(self) -> list[Appeal]:
        """Give appeals that are open, within the actor's reach, the oldest first, without their words."""
        with self._context.listing("appeal.queue", appeal.c.scope_id) as (connection, within):
            rows = connection.execute(
                sa.select(appeal).where(within, appeal.c.state == OPEN).order_by(appeal.c.appeal_id)
            )
            return [_appeal(row, None) for row in rows]

    def _check_may_decide(
        self, row: sa.Row[Any], granted: bool, take_out: Sequence[Target], at_ms: int
    ) -> None:
        name = self._context.actor.name
        if row.state != OPEN:
            raise StateError(f"appeal {row.appeal_id} is {row.state} already")
        check_not_before("at_ms", at_ms, row.filed_at_ms, f"the filing of appeal {row.appeal_id}")
        if name in (row.first_decided_by, row.filed_by):
            raise StateError(f"appeal {row.appeal_id} must be decided by somebody else than {name!r}")
        if take_out and not (granted and row.against == "block"):
            raise InputError("take_out is told: it belongs to an appeal against a block that is granted")

    def _undo(self, connection: sa.Connection, kind: str, object_id: int, by: Target, at_ms: int) -> None:
        if kind == "complaint":
            _turn_round(connection, self._context, object_id, by, at_ms)
        elif kind == "block":
            lift_in(connection, object_id, at_ms)
        elif kind == "credit":
            rule = self._context.vertical.credit
            reverse_in(connection, rule, object_id, at_ms, self._context.actor.name)
        elif by[0] == "driver":
            take_out_in(connection, kind, object_id, by[1], at_ms)
        else:
            removed = sa.update(rating).where(
                rating.c.rating_id == object_id, rating.c.removed_at_ms.is_(None)
            )
            connection.execute(removed.values(removed_at_ms=at_ms))


def _turn_round(
    connection: sa.Connection, context: Context, complaint_id: int, by: Target, at_ms: int
) -> None:
    """Uphold a complaint that was rejected, or reject one that was upheld, as the appellant wants.

    What the customer was given stays given. That a complaint was malicious falls with its rejection.
    """
    row = locked_in(connection, complaint_id, at_ms, RESOLVED)
    wanted = UPHELD if by[0] == "customer" else REJECTED
    if by != (by[0], row._mapping[f"{by[0]}_id"]) or row.verdict not in (UPHELD, REJECTED):
        raise InputError(f"complaint {complaint_id} is none that went against {by[0]} {by[1]}")
    if row.verdict == wanted:
        raise StateError(f"complaint {complaint_id} is {wanted} already")
    changes = {"verdict": wanted, "decided_by": context.actor.name}
    step_in(connection, context, row, at_ms, changes, reason="appeal_granted")
    count_in(connection, row, 1 if wanted == UPHELD else -1)
    if wanted == UPHELD:
        held = sa.select(credit_event.c.event_id).where(credit_event.c.complaint_id == complaint_id)
        for event_id in connection.execute(held).scalars().all():
            done = sa.select(credit_event.c.event_id).where(credit_event.c.reverses_id == event_id)
            if connection.execute(done).first() is None:
                reverse_in(connection, context.vertical.credit, event_id, at_ms, context.actor.name)
    tell_in(connection, row, "resolved", at_ms, verdict=wanted)


def _against(connection: sa.Connection, kind: str, object_id: int, by: Target) -> tuple[int, str | None]:
    """Give when something went against a person, and who decided it; :class:`InputError` if nothing did."""
    found = _FINDERS[kind](connection, object_id, by)
    if found is None:
        raise InputError(f"{kind} {object_id} is none that went against {by[0]} {by[1]}")
    return found


def _complaint_against(
    connection: sa.Connection, object_id: int, by: Target
) -> tuple[int, str | None] | None:
    verdict = UPHELD if by[0] == "driver" else REJECTED
    row = connection.execute(
        sa.select(complaint.c.last_at_ms, complaint.c.decided_by).where(
            complaint.c.complaint_id == object_id,
            complaint.c[f"{by[0]}_id"] == by[1],
            complaint.c.verdict == verdict,
        )
    ).one_or_none()
    return None if row is None else (row.last_at_ms, row.decided_by)


def _block_against(connection: sa.Connection, object_id: int, by: Target) -> tuple[int, str | None] | None:
    row = connection.execute(
        sa.select(driver_block).where(
            driver_block.c.block_id == object_id, driver_block.c.lifted_at_ms.is_(None)
        )
    ).one_or_none()
    return None if row is None or by != ("driver", row.driver_id) else (row.from_ms, row.made_by)


def _rating_against(connection: sa.Connection, object_id: int, by: Target) -> tuple[int, str | None] | None:
    row = connection.execute(
        sa.select(rating.c.at_ms).where(
            rating.c.rating_id == object_id,
            rating.c.about == by[0],
            rating.c[f"{by[0]}_id"] == by[1],
            rating.c.removed_at_ms.is_(None),
        )
    ).one_or_none()
    return None if row is None else (row.at_ms, None)


def _cancel_against(connection: sa.Connection, object_id: int, by: Target) -> tuple[int, str | None] | None:
    if by[0] != "driver":
        return None
    given_up_day_in(connection, object_id, by[1])
    return 0, None


def _credit_against(connection: sa.Connection, object_id: int, by: Target) -> tuple[int, str | None] | None:
    row = connection.execute(
        sa.select(credit_event).where(
            credit_event.c.event_id == object_id,
            credit_event.c.delta < 0,
            credit_event.c.reverses_id.is_(None),
            credit_event.c.reason != MERGED,
        )
    ).one_or_none()
    # Events stay under the name from before a merge.
    if row is None or by != ("customer", current_in(connection, row.customer_id)):
        return None
    return row.at_ms, row.made_by


def _appeal(row: sa.Row[Any], words: str | None) -> Appeal:
    told = {name: row._mapping[name] for name in Appeal.__annotations__}
    return Appeal(**told | {"words": words})


_Finder = Callable[[sa.Connection, int, Target], tuple[int, str | None] | None]
_FINDERS: Final[dict[str, _Finder]] = {
    "complaint": _complaint_against,
    "block": _block_against,
    "rating": _rating_against,
    "cancel": _cancel_against,
    "credit": _credit_against,
}
