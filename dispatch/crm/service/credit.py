"""Standing of customers, 0 … 100: append-only events with their reasons; see :class:`rules.CreditRule`.

An event takes effect within 0 … 100 alone, and what took effect is what is written: a standing is what it
began with plus the sum of its events. Filing a complaint is none of the reasons; that one was malicious is
for a person to decide.

When two customers are merged their events count together, as one's would: see :func:`merge_credit_in`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_not_before
from dispatch.crm.loyalty.standing import current_of, lock_in
from dispatch.crm.people.persons import current_in, family_in, locked_in
from dispatch.crm.rules import CreditRule, check_name, check_one_of
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import complaint, credit, credit_event
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import InputError, StateError
from dispatch.store import bulk

OF_ENDED: Final = ("completed", "cancelled_late")
"""What an order that ends is for a standing."""
OF_ORDERS: Final = (*OF_ENDED, "no_show")
MALICIOUS: Final = "malicious_complaint"
REVERSED: Final = "reversed"
MERGED: Final = "merged"
"""What a merge takes from who goes, and gives to or takes from who is left, so that sums stay right."""
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
    customer_id: int
    """under which it happened: another one's, who was merged into this one later"""


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
        """Give all that changed a customer's standing, the earliest first, also under earlier ids."""
        with self._context.looking("credit.read", ("customer", customer_id)) as connection:
            family = family_in(connection, current_in(connection, customer_id))
            return [
                CreditEvent(**{name: row._mapping[name] for name in CreditEvent.__annotations__})
                for row in _events(connection, family)
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
                current_in(connection, row.customer_id),
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
    """Undo an event by another one, once.

    Raises
    ------
    StateError
        It was undone before, or is a reversal itself, or what a merge brought.
    """
    row = connection.execute(sa.select(credit_event).where(credit_event.c.event_id == event_id)).one()
    if row.reverses_id is not None:
        raise StateError(f"event {event_id} reverses another one: it cannot be reversed")
    if row.reason == MERGED:
        raise StateError(f"event {event_id} sums up others: reverse the one that was wrong")
    again = sa.select(credit_event.c.event_id).where(credit_event.c.reverses_id == event_id)
    person = current_in(connection, row.customer_id)
    locked_in(connection, "customer", person, None)
    if connection.execute(again).first() is not None:
        raise StateError(f"event {event_id} was reversed already")
    _add_in(connection, rule, person, REVERSED, -row.delta, at_ms, made_by, reverses_id=event_id)


def merge_credit_in(
    connection: sa.Connection, context: Context, from_id: int, into_id: int, at_ms: int
) -> None:
    """Give the customer who is left the standing of one to whom all had happened that happened to both.

    What happened is told again in the sequence of time, from what the customer who is left began with. So are
    completed and late cancelled orders that changed nothing, being at 0 or 100 then: they may have made a
    difference to the two together. Events stay under whom they happened to; of each customer's own, and of
    both's together, the sum stays right by an event that brings who goes back to what it began with, and one
    that brings who is left to the standing of both.
    """
    rule, made_by = context.vertical.credit, context.actor.name
    family = sorted({from_id, into_id, *family_in(connection, into_id)})
    found = sa.select(credit).where(bulk.among(connection, credit.c.customer_id, family))
    held = {row.customer_id: row for row in connection.execute(found.with_for_update())}
    events = _events(connection, family)
    known = {(row.order_id, row.reason) for row in events}
    uncounted = [row for row in _ended_orders(connection, family) if (row[1], row[2]) not in known]
    if from_id not in held and all(row.customer_id != from_id for row in uncounted):
        return
    begin = dict.fromkeys(family, rule.begin)
    begin |= {
        one: row.standing - sum(event.delta for event in events if event.customer_id == one)
        for one, row in held.items()
    }
    steps = _told_again(rule, begin, events)
    deltas = {reason: getattr(rule, reason) for reason in OF_ORDERS}
    steps += [_Step(row.at_ms, 0, row.order_id, deltas[row.reason]) for row in uncounted]
    standing = {one: begin[one] if one not in held else held[one].standing for one in (from_id, into_id)}
    target = {from_id: begin[from_id], into_id: _replayed(begin[into_id], steps)}
    for one, after in target.items():
        if after != standing[one]:
            told = {"customer_id": one, "reason": MERGED, "delta": after - standing[one]}
            connection.execute(sa.insert(credit_event).values(**told, made_by=made_by, at_ms=at_ms))
    connection.execute(sa.delete(credit).where(credit.c.customer_id == from_id))
    if held or target != standing:
        last_ms = max([at_ms, *(row.changed_at_ms for row in held.values())])
        columns = {"customer_id": [into_id], "standing": [target[into_id]], "changed_at_ms": [last_ms]}
        bulk.upsert(connection, credit, columns)


class _Step(NamedTuple):
    """A change of a standing, as the rules have it; steps sort by the sequence in which they took effect."""

    at_ms: int
    kind: int
    """0 an order that ended, 1 what persons entered: after the orders of that instant"""
    place: int
    """of the same instant and kind: id of the order, or of the event"""
    delta: int
    event_id: int = 0
    """0: it left none"""
    reverses_id: int = 0
    """0: none"""


def _told_again(rule: CreditRule, begin: Mapping[int, int], events: Sequence[Any]) -> list[_Step]:
    """Give the changes as the rules had them, of events of which only the effect is written.

    Effects are the changes themselves but where they led to 0 or 100: there they may have been cut.
    """
    of_rule = {reason: getattr(rule, reason) for reason in (*OF_ORDERS, MALICIOUS)}
    line, steps = dict(begin), []
    for row in events:
        line[row.customer_id] += row.delta
        if row.reason == MERGED:
            continue
        told = of_rule.get(row.reason, 0) if line[row.customer_id] in (0, HIGHEST) else 0
        delta = told if abs(told) > abs(row.delta) else row.delta
        place = (0, row.order_id) if row.reason in OF_ENDED else (1, row.event_id)
        steps.append(_Step(row.at_ms, *place, delta, row.event_id, row.reverses_id or 0))
    return steps


def _replayed(begin: int, steps: Sequence[_Step]) -> int:
    """Give the standing after all changes, each within 0 … 100."""
    standing = begin
    effects: dict[int, int] = {}
    for step in sorted(steps):
        delta = -effects.get(step.reverses_id, -step.delta) if step.reverses_id else step.delta
        after = min(max(standing + delta, 0), HIGHEST)
        effects[step.event_id] = after - standing
        standing = after
    return standing


def _events(connection: sa.Connection, customer_ids: Sequence[int]) -> Sequence[Any]:
    """Give the events that stand under ids (n,), the earliest first."""
    mine = bulk.among(connection, credit_event.c.customer_id, customer_ids)
    return connection.execute(sa.select(credit_event).where(mine).order_by(credit_event.c.event_id)).all()


def _ended_orders(connection: sa.Connection, customer_ids: Sequence[int]) -> Sequence[Any]:
    """Give orders of customers (n,) that count for a standing: customer_id, order_id, reason, at_ms.

    Those from before a customer was entered count for nobody.
    """
    told = orders.c
    is_closed = told.stage == int(OrderStatus.CLOSED)
    gave_up_late = sa.and_(told.stage == int(OrderStatus.CANCELLED), told.driver_id.is_not(None))
    reason = sa.case((is_closed, "completed"), else_="cancelled_late").label("reason")
    return connection.execute(
        sa.select(told.customer_id, told.order_id, reason, told.ended_at_ms.label("at_ms"))
        .join(customer, customer.c.customer_id == told.customer_id)
        .where(
            bulk.among(connection, told.customer_id, customer_ids),
            sa.or_(is_closed, gave_up_late),
            told.ended_at_ms >= customer.c.created_at_ms,
        )
    ).all()


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
