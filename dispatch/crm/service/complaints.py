"""What a complaint is, how one is filed, and how a verdict takes effect: on connections of others.

Filing one never lowers anybody's standing, and a rejected one does not either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_not_before
from dispatch.crm.fleet.corrections import add_to_days_in, take_from_day_in
from dispatch.crm.outbox import announce_in
from dispatch.crm.people.persons import current_among
from dispatch.crm.people.sealed_texts import check_text, keep_text
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.service.incidents import check_code
from dispatch.crm.service.sla import clock
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import complaint, complaint_log, incident
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

FILED, RESPONDED, WAITING, RESOLVED = "filed", "responded", "waiting", "resolved"
UPHELD, REJECTED, WITHDRAWN = "upheld", "rejected", "withdrawn"
MOST_POINTS: Final = 1_000_000


@dataclass(frozen=True)
class NewComplaint:
    """What a customer complains of.

    Parameters
    ----------
    customer_id : int
    code : str
        Of the vertical's taxonomy.
    order_id : int, optional
        Of this customer; driver and merchant follow from it, where it is their fault.
    channel : str
        By which it came: ``app``, ``hotline``, ``email``, …
    words : str, optional
        The customer's own, sealed under the customer's key.
    incident_id : int, optional
        A problem that is entered already.
    """

    customer_id: int
    code: str
    order_id: int | None = None
    channel: str = "app"
    words: str | None = None
    incident_id: int | None = None

    def __post_init__(self) -> None:
        """Refuse what can be no complaint; the words are not repeated."""
        check_id("customer_id", self.customer_id)
        check_name("code", self.code)
        check_name("channel", self.channel)
        if self.order_id is not None:
            check_id("order_id", self.order_id)
        if self.words is not None:
            check_text("words", self.words)


@dataclass(frozen=True)
class Compensation:
    """What a customer gets whose complaint is upheld: points, a coupon, money by the payment port."""

    points: int = 0
    coupon_cents: int = 0
    cents: int = 0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("points", self.points, 0, MOST_POINTS)
        check_whole("coupon_cents", self.coupon_cents, 0, MOST_CENTS)
        check_whole("cents", self.cents, 0, MOST_CENTS)


NOTHING: Final = Compensation()


def file_in(
    connection: sa.Connection,
    context: Context,
    told: Sequence[NewComplaint],
    at_ms: Sequence[int],
    scope_id: int | None = None,
) -> list[int]:
    """File complaints (n,), all or none; gives their ids. Those of a bulk call have no words.

    Raises
    ------
    InputError
        An order is not the customer's, or was submitted later; a customer is not known.
    StateError
        The same customer has complained of the same problem of the same order, and it is not withdrawn.
    """
    people = _customers(connection, [one.customer_id for one in told])
    of_orders = _orders(connection, [one.order_id for one in told if one.order_id is not None])
    rows = [_row(context, one, at, people, of_orders, scope_id) for one, at in zip(told, at_ms, strict=True)]
    _check_new(connection, rows)
    incidents = _incidents(connection, context, told, rows, of_orders)
    ids = bulk.next_ids(connection, complaint, len(rows))
    for row, incident_id, complaint_id in zip(rows, incidents, ids, strict=True):
        row |= {"incident_id": incident_id, "complaint_id": complaint_id}
    _insert(connection, complaint, rows)
    made_by = context.actor.name
    _insert(
        connection,
        complaint_log,
        [
            {"complaint_id": one, "at_ms": at, "state": FILED, "made_by": made_by}
            for one, at in zip(ids, at_ms, strict=True)
        ],
    )
    return ids


def locked_in(connection: sa.Connection, complaint_id: int, at_ms: int, *states: str) -> sa.Row[Any]:
    """Give a complaint's row, locked; its clock must not go back, and it must be in one of the states."""
    row = connection.execute(
        sa.select(complaint).where(complaint.c.complaint_id == complaint_id).with_for_update()
    ).one()
    check_not_before("at_ms", at_ms, row.last_at_ms, f"the last step of complaint {complaint_id}")
    if row.state not in states:
        raise StateError(f"complaint {complaint_id} is {row.state}: it must be {' or '.join(states)}")
    return row


def step_in(
    connection: sa.Connection,
    context: Context,
    row: sa.Row[Any],
    at_ms: int,
    changes: dict[str, Any],
    reason: str | None = None,
    note: str | None = None,
) -> None:
    """Change a complaint, which is locked, and write its log."""
    connection.execute(
        sa.update(complaint)
        .where(complaint.c.complaint_id == row.complaint_id)
        .values(last_at_ms=at_ms, **changes)
    )
    added = connection.execute(
        sa.insert(complaint_log).values(
            complaint_id=row.complaint_id,
            at_ms=at_ms,
            state=changes.get("state", row.state),
            made_by=context.actor.name,
            reason=reason,
        )
    )
    log_id = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row was inserted
    person = ("customer", row.customer_id)
    keep_text(connection, context.vault, person, complaint_log.c.note, log_id, note)


def count_in(connection: sa.Connection, row: sa.Row[Any], sign: int) -> None:
    """Let an upheld complaint about a driver count in the driver's sums, or no more: `sign` is 1 or −1."""
    if row.driver_id is None:
        return
    if sign > 0:
        add_to_days_in(connection, [row.driver_id], [row.day], complaints_upheld=[1])
    else:
        take_from_day_in(connection, row.driver_id, row.day, complaints_upheld=1)


def tell_in(connection: sa.Connection, row: sa.Row[Any], what: str, at_ms: int, **data: Any) -> None:
    """Tell the customer by the outbox what became of a complaint."""
    announce_in(
        connection,
        f"complaint.{what}",
        "customer",
        row.customer_id,
        at_ms,
        {"complaint_id": row.complaint_id, "code": row.code, **data},
        row.scope_id,
    )


def _customers(connection: sa.Connection, customer_ids: Sequence[int]) -> dict[int, Any]:
    """Give the rows of customers, or of those into whom they were merged, by the id that was told."""
    merged = current_among(connection, customer_ids)
    now = {one: merged.get(one, one) for one in customer_ids}
    columns = customer.c
    rows = connection.execute(
        sa.select(columns.customer_id, columns.scope_id, columns.tier, columns.status)
        .where(bulk.among(connection, columns.customer_id, sorted(set(now.values()))))
        # Under the lock: the same problem may be told twice at once.
        .order_by(columns.customer_id)
        .with_for_update()
    )
    found = {row.customer_id: row for row in rows}
    for told, one in now.items():
        if one not in found or found[one].status == "erased":
            raise InputError(f"customer {told} is not known")
    return {told: found[one] for told, one in now.items()}


def _orders(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, Any]:
    if not order_ids:
        return {}
    rows = connection.execute(
        sa.select(orders).where(bulk.among(connection, orders.c.order_id, sorted(set(order_ids))))
    ).all()
    merged = current_among(connection, {row.customer_id for row in rows if row.customer_id is not None})
    return {row.order_id: (row, merged.get(row.customer_id, row.customer_id)) for row in rows}


def _row(
    context: Context,
    told: NewComplaint,
    at_ms: int,
    people: dict[int, Any],
    of_orders: dict[int, Any],
    scope_id: int | None,
) -> dict[str, Any]:
    """Give a complaint's row, checked."""
    check_code(context, told.code)
    who, rule = people[told.customer_id], context.vertical.problem_named[told.code]
    row = {"scope_id": who.scope_id if scope_id is None else scope_id, "driver_id": None, "merchant_id": None}
    day = at_ms // MS_PER_DAY
    if told.order_id is not None:
        of, customer_id = of_orders.get(told.order_id, (None, None))
        if of is None or customer_id != who.customer_id:
            raise InputError(f"order_id is {told.order_id}: customer {told.customer_id} has no such order")
        if at_ms < (of.submitted_at_ms or 0):
            raise InputError(
                f"at_ms is {at_ms}: time goes backwards, order {told.order_id} was submitted at "
                f"{of.submitted_at_ms}"
            )
        day = (of.dropped_off_at_ms or of.ended_at_ms or at_ms) // MS_PER_DAY
        if of.scope_id is not None:
            row["scope_id"] = of.scope_id
        if rule.party in ("driver", "merchant"):
            row[f"{rule.party}_id"] = of._mapping[f"{rule.party}_id"]
    due = clock(context.vertical, rule.severity, who.tier)
    tier = context.vertical.tier_row.get(who.tier, 0)
    return row | {
        "customer_id": who.customer_id,
        "order_id": told.order_id,
        "code": told.code,
        "severity": rule.severity,
        "channel": told.channel,
        "tier": who.tier,
        "service_priority": context.vertical.tiers[tier].service_priority,
        "day": day,
        "filed_at_ms": at_ms,
        "respond_by_ms": at_ms + due.respond_ms,
        "resolve_by_ms": at_ms + due.resolve_ms,
        "last_at_ms": at_ms,
    }


def _check_new(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    """Raise :class:`StateError` where a problem of an order was complained of already."""
    told = [(row["order_id"], row["customer_id"], row["code"]) for row in rows if row["order_id"] is not None]
    known = connection.execute(
        sa.select(complaint.c.order_id, complaint.c.customer_id, complaint.c.code).where(
            bulk.among(connection, complaint.c.order_id, sorted({one[0] for one in told})),
            sa.or_(complaint.c.verdict.is_(None), complaint.c.verdict != WITHDRAWN),
        )
    )
    seen = {tuple(row) for row in known} if told else set()
    for one in told:
        if one in seen:
            raise StateError(f"customer {one[1]} has complained of {one[2]} on order {one[0]} already")
        seen.add(one)


def _incidents(
    connection: sa.Connection,
    context: Context,
    told: Sequence[NewComplaint],
    rows: list[dict[str, Any]],
    of_orders: dict[int, Any],
) -> list[int]:
    """Give the incident of each complaint: the one that is told, which must fit, or a new one."""
    given = [one.incident_id for one in told if one.incident_id is not None]
    if given:
        known = connection.execute(
            sa.select(incident).where(bulk.among(connection, incident.c.incident_id, given))
        )
        found = {row.incident_id: row for row in known}
        for one, row in zip(told, rows, strict=True):
            if one.incident_id is not None:
                fits = found.get(one.incident_id)
                if fits is None or (fits.code, fits.order_id) != (row["code"], row["order_id"]):
                    raise InputError(f"incident_id is {one.incident_id}: no such problem of this order")
    fresh = iter(bulk.next_ids(connection, incident, len(told) - len(given)))
    ids = [next(fresh) if one.incident_id is None else one.incident_id for one in told]
    new = []
    for one, row, incident_id in zip(told, rows, ids, strict=True):
        if one.incident_id is None:
            of = of_orders[one.order_id][0] if one.order_id is not None else None
            new.append(
                {
                    "incident_id": incident_id,
                    "scope_id": row["scope_id"],
                    "order_id": one.order_id,
                    "customer_id": row["customer_id"],
                    "driver_id": None if of is None else of.driver_id,
                    "merchant_id": None if of is None else of.merchant_id,
                    "code": one.code,
                    "stage": context.vertical.problem_named[one.code].stage,
                    "severity": row["severity"],
                    "source": "customer",
                    "at_ms": row["filed_at_ms"],
                }
            )
    _insert(connection, incident, new)
    return ids


def _insert(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        bulk.insert(connection, table, {name: [row[name] for row in rows] for name in rows[0]})
