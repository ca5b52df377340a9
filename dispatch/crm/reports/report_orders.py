"""Tables of a report about orders, and who made them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.reports.report_source import NONE_TOLD, Array, Groups, Source, named_groups, ratio, table
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.engine.lifecycle import OrderStatus

COMPLETED: Final = (int(OrderStatus.DROPPED_OFF), int(OrderStatus.CLOSED))
MOST_SPEND: Final = 0.8
"""The share of revenue that is asked for: how few customers make it?"""
_PERCENT: Final = (1, 2, 5, *range(10, 101, 10))
_READ: Final = (
    "customer_id", "channel", "vehicle_class", "stage", "submitted_at_ms", "wanted_at_ms", "picked_up_at_ms",
    "ended_at_ms", "fare_cents",
)  # fmt: skip


def tables(source: Source) -> dict[str, pa.Table]:
    """Make the tables."""
    read = source.arrays(
        sa.select(*(orders.c[name] for name in _READ)).where(
            source.in_span(orders.c.submitted_at_ms), source.within(orders.c.scope_id)
        ),
        texts=("channel",),
    )
    read["customer_id"] = _current(source, read["customer_id"])
    periods = source.periods
    by_period = Groups(periods.rows(read["submitted_at_ms"]), len(periods.labels))
    by_hour = Groups(periods.hours(read["submitted_at_ms"]), 24)
    channels, by_channel = named_groups(read["channel"])
    classes, by_class = _classes(source, read["vehicle_class"])
    return {
        "orders": _counted({"period": list(periods.labels)}, by_period, read),
        "channels": _counted({"channel": channels}, by_channel, read),
        "hours": _counted({"hour": np.arange(24)}, by_hour, read),
        "classes": _counted({"class": classes}, by_class, read),
        "customers": _customers(source, by_period, read),
        "concentration": _concentration(read),
    }


def _counted(first: dict[str, Any], groups: Groups, read: dict[str, NDArray[Any]]) -> pa.Table:
    stage = read["stage"]
    completed, everything = np.isin(stage, COMPLETED), np.ones(len(stage), bool)
    submitted, done = groups.count(everything), groups.count(completed)
    cancelled = groups.count(stage == OrderStatus.CANCELLED)
    expired = groups.count(stage == OrderStatus.EXPIRED)
    return table(
        {
            **first,
            "submitted": submitted,
            "completed": done,
            "cancelled": cancelled,
            "expired": expired,
            "completed_share": ratio(done, done + cancelled + expired),
            "revenue_cents": groups.total(read["fare_cents"], completed),
            "mean_wait_ms": groups.mean(_wait_ms(read), everything),
            "mean_processing_ms": groups.mean(_between(read, "submitted_at_ms", "ended_at_ms"), completed),
        }
    )


def _wait_ms(read: dict[str, NDArray[Any]]) -> Array:
    """Give how long who was picked up had waited (n,): as the KPI ``wait_mean_s`` has it.

    Of an order that was booked ahead from the wanted pickup on, 0 where the boarding was earlier.
    """
    wanted, boarded = read["wanted_at_ms"], read["picked_up_at_ms"]
    since = np.where(wanted == NONE_TOLD, read["submitted_at_ms"], wanted)
    known = (since != NONE_TOLD) & (boarded != NONE_TOLD)
    return np.where(known, np.maximum(boarded - since, 0), NONE_TOLD)


def _between(read: dict[str, NDArray[Any]], first: str, last: str) -> Array:
    known = (read[first] != NONE_TOLD) & (read[last] != NONE_TOLD)
    return np.where(known, read[last] - read[first], NONE_TOLD)


def _classes(source: Source, row: Array) -> tuple[list[str], Groups]:
    names = [*source.vertical.classes, "unknown"]
    inside = (row >= 0) & (row < len(names) - 1)
    groups = Groups(np.where(inside, row, len(names) - 1), len(names))
    if inside.all():
        return names[:-1], Groups(row, len(names) - 1)
    return names, groups


def _customers(source: Source, by_period: Groups, read: dict[str, NDArray[Any]]) -> pa.Table:
    """Count who completed an order: for the first time, or once more; and who registered."""
    chosen = np.isin(read["stage"], COMPLETED) & (read["customer_id"] != NONE_TOLD)
    person, period, at_ms = (
        read["customer_id"][chosen],
        by_period.row[chosen],
        read["submitted_at_ms"][chosen],
    )
    pairs = np.unique(np.stack([period, person], axis=1), axis=0)
    active = np.bincount(pairs[:, 0], minlength=by_period.num)
    before = _had_order_before(source)
    people = np.unique(person)
    order = np.lexsort((at_ms, person))
    first = order[np.searchsorted(person[order], people)]
    fresh = ~np.isin(people, before)
    new = np.bincount(period[first][fresh], minlength=by_period.num)
    registered = source.arrays(
        sa.select(customer.c.created_at_ms).where(
            source.in_span(customer.c.created_at_ms), source.within(customer.c.scope_id)
        )
    )["created_at_ms"]
    joined = Groups(source.periods.rows(registered), by_period.num).count(np.ones(len(registered), bool))
    return table(
        {
            "period": list(source.periods.labels),
            "registered": joined,
            "active": active,
            "new": new,
            "repeat": active - new,
            "repeat_share": ratio(active - new, active),
            "orders_per_active": ratio(by_period.count(chosen), active),
        }
    )


def _had_order_before(source: Source) -> Array:
    query = (
        sa.select(orders.c.customer_id)
        .where(
            orders.c.submitted_at_ms < source.periods.from_ms,
            orders.c.stage.in_(COMPLETED),
            orders.c.customer_id.is_not(None),
            source.within(orders.c.scope_id),
        )
        .distinct()
    )
    return _current(source, source.arrays(query)["customer_id"])


def _current(source: Source, customer_id: Array) -> Array:
    """Give the customers (n,) that those of orders (n,) are now: who were merged are one."""
    query = sa.select(customer.c.customer_id, customer.c.merged_into).where(
        customer.c.merged_into.is_not(None)
    )
    merged = source.arrays(query.order_by(customer.c.customer_id))
    told, into = merged["customer_id"], merged["merged_into"]
    if not len(told):
        return customer_id
    row = np.minimum(np.searchsorted(told, customer_id), len(told) - 1)
    return np.where(told[row] == customer_id, into[row], customer_id)


def _concentration(read: dict[str, NDArray[Any]]) -> pa.Table:
    """Give what share of revenue the best 1, 2, 5, 10 … % of customers bring, and how few bring 80 %."""
    chosen = (
        np.isin(read["stage"], COMPLETED)
        & (read["customer_id"] != NONE_TOLD)
        & (read["fare_cents"] != NONE_TOLD)
    )
    people, which = np.unique(read["customer_id"][chosen], return_inverse=True)
    spend = np.zeros(len(people), np.int64)
    np.add.at(spend, which, read["fare_cents"][chosen])
    sums = np.cumsum(np.sort(spend)[::-1])
    total = int(sums[-1]) if len(sums) else 0
    if total == 0:
        return table({name: pa.array([], kind) for name, kind in _CONCENTRATION.items()})
    few = int(np.searchsorted(sums, MOST_SPEND * total)) + 1
    num = np.unique([*(-(-len(sums) * percent // 100) for percent in _PERCENT), few])
    return table(
        {
            "customers": num,
            "customers_share": num / len(sums),
            "revenue_cents": sums[num - 1],
            "revenue_share": sums[num - 1] / total,
            "reaches_80": num == few,
        }
    )


_CONCENTRATION: Final = {
    "customers": pa.int64(),
    "customers_share": pa.float64(),
    "revenue_cents": pa.int64(),
    "revenue_share": pa.float64(),
    "reaches_80": pa.bool_(),
}
