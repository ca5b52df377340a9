"""Standing of customers, 0 … 100: append-only events with their reasons; see :class:`rules.CreditRule`.

An event takes effect within 0 … 100 alone, and what took effect is what is written: a standing is what it
began with plus the sum of its events. Filing a complaint is none of the reasons; that one was malicious is
for a person to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_not_before
from dispatch.crm.loyalty.standing import current_of, lock_in
from dispatch.crm.people.persons import current_in, locked_in
from dispatch.crm.rules import CreditRule, check_name, check_one_of
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.service import complaint, credit, credit_event
from dispatch.errors import InputError, StateError
from dispatch.store import bulk

OF_ORDERS: Final = ("completed", "cancelled_late", "no_show")
MALICIOUS: Final = "malicious_complaint"
REVERSED: Final = "reversed"
HIGHEST: Final = 100
SYSTEM: Final = "system"


@dataclass(frozen=True)
class CreditEvent:
    """Something that changed a customer's standing."""

    event_id: int
    reason: str
    delta: int
    """as it took effect"""
    order_id: int | None
    complaint_id: int | None
    reverses_id: int | None
    made_by: str
    at_ms: int


class Credit:
    """Tells standings, and lets persons decide what no rule decides."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def standing(self, customer_id: int) -> int:
        """Give a customer's standing: of who was merged, that of the customer it is now."""
        with self._context.looking("credit.read", ("customer", customer_id)) as connection:
            person = current_in(connection, customer_id)
            return standing_in(connection, self._context.vertical.credit, person)

    def events(self, customer_id: int) -> list[CreditEvent]:
        """Give all that changed a customer's standing, the earliest first."""
        with self._context.looking("credit.read", ("customer", customer_id)) as connection:
            rows = connection.execute(
                sa.select(credit_event)
                .where(credit_event.c.customer_id == customer_id)
                .order_by(credit_event.c.event_id)
            )
            return [
                CreditEvent(**{name: row._mapping[name] for name in CreditEvent.__annotations__})
                for row in rows
            ]

    def no_show(self, order_id: int, *, at_ms: int) -> int:
        """Enter that the customer of an order was not there; gives the standing from then on.

        Raises
        ------
        InputError
            Nobody known ordered; or the clock goes back.
        StateError
            The customer was picked up; or it was entered before.
        """
        check_id("order_id", order_id)
        with self._context.acting("credit.no_show", ("order", order_id), at_ms=at_ms) as connection:
            columns = orders.c
            customer_id, boarded_ms, done_ms = connection.execute(
                sa.select(columns.customer_id, columns.picked_up_at_ms, columns.dropped_off_at_ms).where(
                    columns.order_id == order_id
                )
            ).one()
            if customer_id is None:
                raise InputError(f"order {order_id} has no customer who is known")
            if boarded_ms is not None or done_ms is not None:
                raise StateError(f"the customer of order {order_id} was picked up: this is no no-show")
            rule = self._context.vertical.credit
            made_by = self._context.actor.name
            person = current_in(connection, customer_id)
            return _add_in(
                connection, rule, person, "no_show", rule.no_show, at_ms, made_by, order_id=order_id
            )

    def malicious(self, complaint_id: int, reason: str, *, at_ms: int) -> int:
        """Decide that a rejected complaint was malicious, for a reason; gives the standing from then on.

        Raises
        ------
        StateError
            The complaint is not rejected, or this was decided before.
        """
        check_id("complaint_id", complaint_id)
        check_name("reason", reason)
        with self._context.acting(
            "credit.malicious", ("complaint", complaint_id), at_ms=at_ms, details={"reason": reason}
        ) as connection:
            row = connection.execute(
                sa.select(complaint).where(complaint.c.complaint_id == complaint_id).with_for_update()
            ).one()
            if row.verdict != "rejected":
                raise StateError(
                    f"complaint {complaint_id} is {row.verdict or row.state}: only a rejected one can be so"
                )
            rule = self._context.vertical.credit
            return _add_in(
                connection,
                rule,
                row.customer_id,
                MALICIOUS,
                rule.malicious_complaint,
                at_ms,
                self._context.actor.name,
                complaint_id=complaint_id,
            )


def standing_in(connection: sa.Connection, rule: CreditRule, customer_id: int) -> int:
    """Give a customer's standing; what it begins with where nothing ever changed it."""
    found = connection.execute(
        sa.select(credit.c.standing).where(credit.c.customer_id == customer_id)
    ).scalar_one_or_none()
    return rule.begin if found is None else int(found)


def standings_in(connection: sa.Connection, rule: CreditRule, customer_ids: Sequence[int]) -> list[int]:
    """Give the standings of customers (n,)."""
    rows = connection.execute(
        sa.select(credit.c.customer_id, credit.c.standing).where(
            bulk.among(connection, credit.c.customer_id, customer_ids)
        )
    )
    known = {row.customer_id: row.standing for row in rows}
    return [known.get(int(one), rule.begin) for one in customer_ids]


def credit_orders_in(
    connection: sa.Connection,
    rule: CreditRule,
    customer_id: Sequence[int],
    order_id: Sequence[int],
    reasons: Sequence[str],
    at_ms: Sequence[int],
    merged: Mapping[int, int] | None = None,
) -> None:
    """Let orders (n,) in the sequence of time change their customers' standing, each once a reason.

    What changes nothing, such as one more completed order at 100, leaves no event; nor does an order of whom
    the CRM does not know.

    Parameters
    ----------
    connection, rule
    customer_id, order_id : (n,) int
    reasons : (n,) str
        Each one of :data:`OF_ORDERS`.
    at_ms : (n,) int
    merged : mapping of int to int, optional
        Where customers are locked already: all who are known, each the one that they were merged into, or
        the same.
    """
    for reason in set(reasons):
        check_one_of("reasons", reason, OF_ORDERS)
    if merged is None:
        found = lock_in(connection, customer_id)
        merged = {one: current_of(found, one) for one in found}
    known = set(_CREDITED.rows(connection, orders=order_id))
    now = _STANDINGS.rows(connection, ids=sorted({merged[one] for one in customer_id if one in merged}))
    standing, changed_at_ms = {row[0]: row[1] for row in now}, {row[0]: row[2] for row in now}
    changed: set[int] = set()
    rows: list[tuple[int, str, int, int, int]] = []
    deltas = {reason: getattr(rule, reason) for reason in OF_ORDERS}
    for told, order, reason, instant in zip(customer_id, order_id, reasons, at_ms, strict=True):
        customer = merged.get(told)
        if customer is None or (known and (order, reason) in known):
            continue
        before = standing.get(customer, rule.begin)
        after = min(max(before + deltas[reason], 0), HIGHEST)
        if after != before:
            standing[customer] = after
            # Facts may come late: the clock of a standing does not go back for them.
            changed_at_ms[customer] = max(instant, changed_at_ms.get(customer, 0))
            changed.add(customer)
            rows.append((customer, reason, after - before, order, instant))
    if not rows:
        return
    names = ("customer_id", "reason", "delta", "order_id", "at_ms")
    events = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    bulk.insert(connection, credit_event, {**events, "made_by": [SYSTEM] * len(rows)})
    ids = sorted(changed)
    columns = {
        "customer_id": ids,
        "standing": [standing[one] for one in ids],
        "changed_at_ms": [changed_at_ms[one] for one in ids],
    }
    bulk.upsert(connection, credit, columns)


_CREDITED: Final = bulk.Prepared(
    sa.select(credit_event.c.order_id, credit_event.c.reason).where(
        bulk.among_told(credit_event.c.order_id, "orders")
    )
)
_STANDINGS: Final = bulk.Prepared(
    sa.select(credit.c.customer_id, credit.c.standing, credit.c.changed_at_ms).where(
        bulk.among_told(credit.c.customer_id, "ids")
    )
)


def reverse_in(connection: sa.Connection, rule: CreditRule, event_id: int, at_ms: int, made_by: str) -> None:
    """Undo an event by another one, once; :class:`StateError` if it was before, or is a reversal itself."""
    row = connection.execute(sa.select(credit_event).where(credit_event.c.event_id == event_id)).one()
    if row.reverses_id is not None:
        raise StateError(f"event {event_id} reverses another one: it cannot be reversed")
    again = sa.select(credit_event.c.event_id).where(credit_event.c.reverses_id == event_id)
    locked_in(connection, "customer", row.customer_id, None)
    if connection.execute(again).first() is not None:
        raise StateError(f"event {event_id} was reversed already")
    _add_in(connection, rule, row.customer_id, REVERSED, -row.delta, at_ms, made_by, reverses_id=event_id)


def _add_in(
    connection: sa.Connection,
    rule: CreditRule,
    customer_id: int,
    reason: str,
    delta: int,
    at_ms: int,
    made_by: str,
    **refers: int,
) -> int:
    """Write an event, with what it refers to, and give the standing from then on."""
    locked_in(connection, "customer", customer_id, None)
    row = connection.execute(
        sa.select(credit).where(credit.c.customer_id == customer_id).with_for_update()
    ).one_or_none()
    before = rule.begin if row is None else row.standing
    check_not_before(
        "at_ms", at_ms, 0 if row is None else row.changed_at_ms, "the last change of the standing"
    )
    after = min(max(before + delta, 0), HIGHEST)
    connection.execute(
        sa.insert(credit_event).values(
            customer_id=customer_id,
            reason=reason,
            delta=after - before,
            made_by=made_by,
            at_ms=at_ms,
            **refers,
        )
    )
    bulk.upsert(
        connection, credit, {"customer_id": [customer_id], "standing": [after], "changed_at_ms": [at_ms]}
    )
    return after
