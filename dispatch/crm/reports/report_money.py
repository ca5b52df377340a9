"""Tables of a report about coupons, passes, points, and energy sold."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from dispatch.crm.reports.report_source import NONE_TOLD, Groups, Source, named_groups, ratio, table
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import coupon, points_entry, redemption
from dispatch.crm.tables.people import customer

REDEMPTION_STATES: Final = ("reserved", "committed", "rolled_back", "expired")
_POINTS: Final = ("earn", "grant", "redeem", "rollback", "expire", "transfer")


def tables(source: Source) -> dict[str, pa.Table]:
    """Make the tables."""
    used = _redemptions(source)
    return {
        "coupons": _by_period(source, used),
        "coupon_names": _by_name(used),
        "points": _points(source),
        "energy": _energy(source),
    }


def _of_customers(source: Source, table_: sa.Table) -> Any:
    """Join to customers where cities must be told apart: entries have none of their own."""
    if source.scope_ids is None:
        return table_
    return table_.join(customer, customer.c.customer_id == table_.c.customer_id)


def _redemptions(source: Source) -> dict[str, Any]:
    query = (
        sa.select(
            coupon.c.name,
            redemption.c.state,
            redemption.c.pass_id,
            redemption.c.discount_cents,
            redemption.c.reserved_at_ms,
        )
        .select_from(
            _of_customers(source, redemption).outerjoin(coupon, coupon.c.coupon_id == redemption.c.coupon_id)
        )
        .where(source.in_span(redemption.c.reserved_at_ms), source.within(customer.c.scope_id))
    )
    return source.arrays(query, texts=("name", "state"))


def _by_period(source: Source, used: dict[str, Any]) -> pa.Table:
    groups = Groups(source.periods.rows(used["reserved_at_ms"]), len(source.periods.labels))
    is_pass = used["pass_id"] != NONE_TOLD
    committed = used["state"] == "committed"
    return table(
        {
            "period": list(source.periods.labels),
            **{state: groups.count((used["state"] == state) & ~is_pass) for state in REDEMPTION_STATES},
            "discount_cents": groups.total(used["discount_cents"], committed & ~is_pass),
            "pass_rides": groups.count(committed & is_pass),
            "pass_discount_cents": groups.total(used["discount_cents"], committed & is_pass),
        }
    )


def _by_name(used: dict[str, Any]) -> pa.Table:
    of_coupon = used["pass_id"] == NONE_TOLD
    names, groups = named_groups(used["name"][of_coupon])
    state, cents = used["state"][of_coupon], used["discount_cents"][of_coupon]
    counts = {one: groups.count(state == one) for one in REDEMPTION_STATES}
    everything = sum(counts.values(), np.zeros(len(names), np.int64))
    return table(
        {
            "coupon": pa.array(names, pa.string()),
            **counts,
            "committed_share": ratio(counts["committed"], everything),
            "discount_cents": groups.total(cents, state == "committed"),
        }
    )


def _points(source: Source) -> pa.Table:
    read = source.arrays(
        sa.select(points_entry.c.kind, points_entry.c.points, points_entry.c.at_ms)
        .select_from(_of_customers(source, points_entry))
        .where(source.in_span(points_entry.c.at_ms), source.within(customer.c.scope_id)),
        texts=("kind",),
    )
    periods = source.periods.rows(read["at_ms"])
    columns = {}
    for kind in _POINTS:
        chosen = read["kind"] == kind
        sums = np.zeros(len(source.periods.labels), np.int64)
        # Not by Groups: an entry of −1 point is no unknown one.
        np.add.at(sums, periods[chosen], read["points"][chosen])
        columns[kind] = sums
    net = sum(columns.values(), np.zeros(len(source.periods.labels), np.int64))
    return table({"period": list(source.periods.labels), **columns, "net": net})


def _energy(source: Source) -> pa.Table:
    """Group by product and local hour; hours without any purchase are left out."""
    bought = energy_purchase.c
    read = source.arrays(
        sa.select(bought.product, bought.millilitres, bought.watt_hours, bought.cents, bought.at_ms).where(
            source.in_span(bought.at_ms), source.within(bought.scope_id)
        ),
        texts=("product",),
    )
    names, by_name = named_groups(read["product"], source.vertical.products)
    groups = Groups(by_name.row * 24 + source.periods.hours(read["at_ms"]), len(names) * 24)
    everything = np.ones(len(by_name.row), bool)
    count = groups.count(everything)
    some = np.flatnonzero(count)
    return table(
        {
            "product": pa.array([names[row // 24] for row in some.tolist()], pa.string()),
            "hour": some % 24,
            "purchases": count[some],
            "millilitres": groups.total(read["millilitres"], everything)[some],
            "watt_hours": groups.total(read["watt_hours"], everything)[some],
            "revenue_cents": groups.total(read["cents"], everything)[some],
        }
    )
