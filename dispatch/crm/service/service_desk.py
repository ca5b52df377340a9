"""The service desk: complaints are answered and resolved by clocks, in the sequence of what is promised."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.loyalty.coupons import grant_in as grant_coupon_in
from dispatch.crm.loyalty.points import grant_in as grant_points_in
from dispatch.crm.objects import place_of
from dispatch.crm.people.persons import current_in, family_in
from dispatch.crm.people.sealed_texts import check_text, keep_text, open_text
from dispatch.crm.rules import check_name, check_one_of
from dispatch.crm.service.complaints import (
    FILED,
    NOTHING,
    REJECTED,
    RESOLVED,
    RESPONDED,
    UPHELD,
    WAITING,
    WITHDRAWN,
    Compensation,
    NewComplaint,
    count_in,
    file_in,
    locked_in,
    step_in,
    tell_in,
)
from dispatch.crm.service.sla import SlaFigures, figures_in
from dispatch.crm.tables.service import complaint, complaint_log, incident
from dispatch.errors import InputError
from dispatch.limits import check_whole

GOODWILL: Final = "complaint_upheld"
"""Why points and coupons of compensations were granted."""
_OPEN: Final = (FILED, RESPONDED, WAITING)


@dataclass(frozen=True)
class Complaint:
    """A complaint as it stands; its words are None where there are none, or the actor may not see them."""

    complaint_id: int
    incident_id: int
    scope_id: int
    customer_id: int | None
    """None where the actor may not know who complains"""
    order_id: int | None
    driver_id: int | None
    """whose fault it is said to be"""
    merchant_id: int | None
    code: str
    severity: int
    channel: str
    tier: str | None
    service_priority: int
    state: str
    """filed, responded, waiting (for the customer) or resolved"""
    verdict: str | None
    """upheld, rejected or withdrawn"""
    filed_at_ms: int
    respond_by_ms: int
    resolve_by_ms: int
    responded_at_ms: int | None
    resolved_at_ms: int | None
    waiting_since_ms: int | None
    waited_ms: int
    decided_by: str | None
    points: int
    coupon_cents: int
    cents: int
    words: str | None = None


@dataclass(frozen=True)
class Step:
    """An entry of a complaint's log."""

    at_ms: int
    state: str
    made_by: str
    reason: str | None
    note: str | None


@dataclass(frozen=True)
class Breach:
    """A clock that was missed."""

    complaint_id: int
    clock: str
    """respond or resolve"""
    due_ms: int
    overdue_ms: int
    """until it was done, or until now"""
    is_open: bool


class ServiceDesk:
    """Files complaints, works them off, and tells how well that goes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def file(self, told: NewComplaint, *, at_ms: int) -> int:
        """File a complaint; gives its id.

        Raises
        ------
        InputError
            The code is none of the vertical's; the order is not the customer's.
        StateError
            The customer has complained of the same problem of the same order already.
        """
        person = ("customer", told.customer_id)
        details: dict[str, Any] = {"code": told.code, "channel": told.channel, "order_id": told.order_id}
        with self._context.acting("complaint.file", person, at_ms=at_ms, details=details) as connection:
            (made,) = file_in(connection, self._context, [told], [at_ms])
            row = connection.execute(sa.select(complaint).where(complaint.c.complaint_id == made)).one()
            owner = ("customer", row.customer_id)
            keep_text(connection, self._context.vault, owner, complaint.c.words, made, told.words)
            tell_in(connection, row, "filed", at_ms, respond_by_ms=row.respond_by_ms)
            details["complaint_id"] = made
            return made

    def file_many(
        self, told: Sequence[NewComplaint], *, at_ms: Sequence[int], scope_id: int | None = None
    ) -> list[int]:
        """File complaints (n,) without words, all or none; gives their ids. Nobody is told by the outbox."""
        instants = [int(one) for one in at_ms]
        if len(told) != len(instants):
            raise InputError(f"at_ms has {len(instants)} entries: it must have {len(told)}, as told")
        for one, instant in zip(told, instants, strict=True):
            check_instant("at_ms", instant)
            if one.words is not None:
                raise InputError("words: in bulk, complaints have none; file this one by itself")
        if not told:
            return []
        with self._context.acting(
            "complaint.file_many", at_ms=max(instants), scope_id=scope_id
        ) as connection:
            return file_in(connection, self._context, told, instants, scope_id)

    def respond(self, complaint_id: int, *, at_ms: int, note: str | None = None) -> None:
        """Answer the customer; the first answer stops the first clock."""
        self._check_note(note)
        with self._step("complaint.respond", complaint_id, at_ms) as connection:
            row = locked_in(connection, complaint_id, at_ms, FILED, RESPONDED)
            changes = {"state": RESPONDED} | _first_response(row, at_ms)
            step_in(connection, self._context, row, at_ms, changes, note=note)
            tell_in(connection, row, "responded", at_ms)

    def ask_customer(self, complaint_id: int, *, at_ms: int, note: str | None = None) -> None:
        """Ask the customer something, which is an answer as well: the second clock rests until the reply."""
        self._check_note(note)
        with self._step("complaint.respond", complaint_id, at_ms) as connection:
            row = locked_in(connection, complaint_id, at_ms, FILED, RESPONDED)
            changes = {"state": WAITING, "waiting_since_ms": at_ms} | _first_response(row, at_ms)
            step_in(connection, self._context, row, at_ms, changes, note=note)
            tell_in(connection, row, "asked", at_ms)

    def reply(self, complaint_id: int, *, at_ms: int, note: str | None = None) -> None:
        """Take the customer's reply: the second clock goes on."""
        self._check_note(note)
        with self._step("complaint.reply", complaint_id, at_ms) as connection:
            row = locked_in(connection, complaint_id, at_ms, WAITING)
            changes = {"state": RESPONDED} | _waited(row, at_ms)
            step_in(connection, self._context, row, at_ms, changes, note=note)

    def resolve(
        self,
        complaint_id: int,
        verdict: str,
        *,
        reason: str,
        at_ms: int,
        compensation: Compensation = NOTHING,
        note: str | None = None,
    ) -> None:
        """Decide a complaint: ``upheld`` or ``rejected``, for a reason that has a name.

        An upheld one about a driver counts in the driver's score. Points and coupon are granted at once;
        money is told to the outbox as ``complaint.refund``. A rejected one takes nothing from the customer.

        Raises
        ------
        InputError
            A compensation for a complaint that is rejected.
        StateError
            The complaint is resolved already.
        """
        check_one_of("verdict", verdict, (UPHELD, REJECTED))
        check_name("reason", reason)
        self._check_note(note)
        if verdict != UPHELD and compensation != NOTHING:
            raise InputError(f"compensation is told of a complaint that is {verdict}: it must be {UPHELD}")
        given = vars(compensation)
        details = {"verdict": verdict, "reason": reason, **given}
        with self._step("complaint.resolve", complaint_id, at_ms, details) as connection:
            row = locked_in(connection, complaint_id, at_ms, *_OPEN)
            changes = {"state": RESOLVED, "verdict": verdict, "resolved_at_ms": at_ms}
            changes |= {"decided_by": self._context.actor.name, **given}
            changes |= _first_response(row, at_ms) | _waited(row, at_ms)
            step_in(connection, self._context, row, at_ms, changes, reason, note)
            if verdict == UPHELD:
                count_in(connection, row, 1)
                self._compensate(connection, row, compensation, at_ms)
            tell_in(connection, row, "resolved", at_ms, verdict=verdict, **given)

    def withdraw(self, complaint_id: int, *, at_ms: int) -> None:
        """Let the customer take a complaint back; the problem counts no more."""
        with self._step("complaint.withdraw", complaint_id, at_ms) as connection:
            row = locked_in(connection, complaint_id, at_ms, *_OPEN)
            changes = {"state": RESOLVED, "verdict": WITHDRAWN, "resolved_at_ms": at_ms}
            changes |= {"decided_by": self._context.actor.name} | _waited(row, at_ms)
            changes |= _first_response(row, at_ms)
            step_in(connection, self._context, row, at_ms, changes)
            connection.execute(
                sa.update(incident).where(incident.c.incident_id == row.incident_id).values(void_at_ms=at_ms)
            )

    def read(self, complaint_id: int, *, at_ms: int) -> Complaint:
        """Give a complaint; its words and customer as far as the actor may see them."""
        with self._step("complaint.read", complaint_id, at_ms) as connection:
            row = connection.execute(
                sa.select(complaint).where(complaint.c.complaint_id == complaint_id)
            ).one()
            words = None
            if self._sees(connection, complaint_id, "words"):
                words = self._open(connection, row.customer_id, complaint.c.words, complaint_id, row.words)
            return _complaint(row, self._sees(connection, complaint_id, "customer"), words)

    def steps(self, complaint_id: int, *, at_ms: int) -> list[Step]:
        """Give the log of a complaint, the first step first; notes as far as the actor may see its words."""
        with self._step("complaint.read", complaint_id, at_ms) as connection:
            customer_id = connection.execute(
                sa.select(complaint.c.customer_id).where(complaint.c.complaint_id == complaint_id)
            ).scalar_one()
            sees = self._sees(connection, complaint_id, "words")
            rows = connection.execute(
                sa.select(complaint_log)
                .where(complaint_log.c.complaint_id == complaint_id)
                .order_by(complaint_log.c.log_id)
            ).all()
            return [
                Step(
                    row.at_ms,
                    row.state,
                    row.made_by,
                    row.reason,
                    self._open(connection, customer_id, complaint_log.c.note, row.log_id, row.note)
                    if sees
                    else None,
                )
                for row in rows
            ]

    def queue(self, *, limit: int = 100) -> list[Complaint]:
        """Give what is to be worked off within the actor's reach: by tier, severity, and what is due first.

        What waits for its customer is not in the queue.
        """
        check_whole("limit", limit, 1, 10_000)
        told = complaint.c
        due = sa.case((told.responded_at_ms.is_(None), told.respond_by_ms), else_=told.resolve_by_ms)
        with self._context.listing("complaint.queue", complaint.c.scope_id) as (connection, within):
            rows = connection.execute(
                sa.select(complaint)
                .where(within, told.state.in_((FILED, RESPONDED)))
                .order_by(told.service_priority.desc(), told.severity.desc(), due, told.complaint_id)
                .limit(limit)
            )
            return [_complaint(row, True, None) for row in rows]

    def of_customer(self, customer_id: int) -> list[Complaint]:
        """Give a customer's complaints, the latest first, and of those merged into it; without words."""
        with self._context.looking("complaint.list", ("customer", customer_id)) as connection:
            rows = connection.execute(
                sa.select(complaint)
                .where(complaint.c.customer_id.in_(family_in(connection, customer_id)))
                .order_by(complaint.c.complaint_id.desc())
            )
            return [_complaint(row, True, None) for row in rows]

    def breaches(self, from_ms: int, until_ms: int, *, scope_id: int, at_ms: int) -> list[Breach]:
        """Give the missed clocks of a place's complaints that were due in a window, the worst first."""
        for name, value in (("from_ms", from_ms), ("until_ms", until_ms), ("at_ms", at_ms)):
            check_instant(name, value)
        found: list[Breach] = []
        with self._context.looking("complaint.figures", scope_id=scope_id) as connection:
            for which, done in (
                ("respond", complaint.c.responded_at_ms),
                ("resolve", complaint.c.resolved_at_ms),
            ):
                due, since = complaint.c[f"{which}_by_ms"], complaint.c.waiting_since_ms
                until = sa.func.coalesce(done, at_ms)
                if which == "resolve":  # which rests while the customer is waited for
                    until = sa.func.coalesce(done, sa.case((since < at_ms, since), else_=at_ms))
                is_open = sa.case((done.is_(None), 1), else_=0)
                rows = connection.execute(
                    sa.select(complaint.c.complaint_id, due, until - due, is_open).where(
                        complaint.c.scope_id == scope_id,
                        due >= from_ms,
                        due < until_ms,
                        due < until,
                    )
                )
                found.extend(Breach(one, which, by_ms, late, bool(still)) for one, by_ms, late, still in rows)
        return sorted(found, key=lambda breach: (-breach.overdue_ms, breach.complaint_id))

    def sla(self, from_ms: int, until_ms: int, *, scope_id: int, at_ms: int) -> SlaFigures:
        """Tell how well the clocks of a place's complaints filed in a window were kept until now."""
        for name, value in (("from_ms", from_ms), ("until_ms", until_ms), ("at_ms", at_ms)):
            check_instant(name, value)
        with self._context.looking("complaint.figures", scope_id=scope_id) as connection:
            return figures_in(connection, scope_id, from_ms, until_ms, at_ms)

    def _step(
        self, action: str, complaint_id: int, at_ms: int, details: dict[str, Any] | None = None
    ) -> AbstractContextManager[sa.Connection]:
        check_id("complaint_id", complaint_id)
        return self._context.acting(action, ("complaint", complaint_id), at_ms=at_ms, details=details)

    def _sees(self, connection: sa.Connection, complaint_id: int, field: str) -> bool:
        found = place_of(connection, "complaint", complaint_id)
        return found is not None and self._context.may_see(f"complaint.{field}", found[1])

    def _open(
        self,
        connection: sa.Connection,
        customer_id: int,
        column: sa.Column[Any],
        row_id: int,
        sealed: bytes | None,
    ) -> str | None:
        person = ("customer", customer_id)
        return open_text(connection, self._context.vault, person, column, row_id, sealed)

    def _compensate(
        self, connection: sa.Connection, row: sa.Row[Any], given: Compensation, at_ms: int
    ) -> None:
        """Grant what an upheld complaint brings, to whom the customer is by now."""
        customer_id = current_in(connection, row.customer_id)
        if given.points:
            key = f"complaint:{row.complaint_id}"
            grant_points_in(
                connection, self._context, customer_id, given.points, at_ms=at_ms, reason=GOODWILL, key=key
            )
        if given.coupon_cents:
            grant_coupon_in(connection, self._context, [customer_id], GOODWILL, given.coupon_cents, at_ms)
        if given.cents:
            tell_in(connection, row, "refund", at_ms, cents=given.cents, order_id=row.order_id)

    @staticmethod
    def _check_note(note: str | None) -> None:
        if note is not None:
            check_text("note", note)


def _first_response(row: sa.Row[Any], at_ms: int) -> dict[str, Any]:
    return {} if row.responded_at_ms is not None else {"responded_at_ms": at_ms}


def _waited(row: sa.Row[Any], at_ms: int) -> dict[str, Any]:
    """Let the second clock go on from where it rested, if it did."""
    if row.waiting_since_ms is None:
        return {}
    waited_ms = at_ms - row.waiting_since_ms
    return {
        "waiting_since_ms": None,
        "waited_ms": row.waited_ms + waited_ms,
        "resolve_by_ms": row.resolve_by_ms + waited_ms,
    }


def _complaint(row: sa.Row[Any], sees_customer: bool, words: str | None) -> Complaint:
    told = {name: row._mapping[name] for name in Complaint.__annotations__}
    if not sees_customer:
        told["customer_id"] = None
    return Complaint(**told | {"words": words})
