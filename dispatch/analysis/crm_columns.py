"""Columns of operating reports: what they are called, what they mean, how their values are read."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from dispatch.analysis.formatting import (
    NOT_MEASURED,
    format_count,
    format_duration,
    format_number,
    format_share,
)


class Column(NamedTuple):
    """A column's name and definition."""

    label: str
    definition: str


COLUMNS: Final = {
    "period": Column("Period", "Local day, week from Monday, or month; the first and the last may be cut."),
    "channel": Column("Channel", "Through which the order came."),
    "hour": Column("Hour", "Local hour in which it was asked for or sold."),
    "class": Column("Class", "Class of service that was asked for."),
    "coupon": Column("Coupon", "By its name."),
    "problem": Column("Problem", "Code of the vertical's taxonomy."),
    "product": Column("Product", "What was sold."),
    "submitted": Column("Submitted", "Orders asked for."),
    "completed": Column("Completed", "Orders whose trip ended as asked for."),
    "cancelled": Column("Cancelled", "Orders cancelled, by whomever."),
    "expired": Column("Expired", "Orders, or reservations of coupons, whose time ran out."),
    "completed_share": Column("Completed share", "Completed orders of all that are over."),
    "revenue_cents": Column("Revenue", "Sum of fares of completed orders, or of what was sold."),
    "mean_wait_ms": Column(
        "Mean wait",
        "From the order, if booked ahead from the wanted pickup, to boarding, of all who boarded.",
    ),
    "mean_processing_ms": Column("Mean processing", "From the order to its end, of completed ones."),
    "registered": Column("Registered", "Customers entered in the period."),
    "active": Column("Active", "Customers with at least one completed order in the period."),
    "new": Column("New", "Active customers who completed none before."),
    "repeat": Column("Repeat", "Active customers who had completed one before the period."),
    "repeat_share": Column("Repeat share", "Repeat customers of active ones."),
    "orders_per_active": Column("Orders each", "Completed orders for each active customer."),
    "customers": Column("Customers", "So many who spend most."),
    "customers_share": Column("Of customers", "Their share of all who spent anything."),
    "revenue_share": Column("Of revenue", "The share of revenue that they bring."),
    "reaches_80": Column("80 %", "The fewest customers who bring four fifths of the revenue."),
    "reserved": Column("Reserved", "Coupons held by an order under way."),
    "committed": Column("Used", "Coupons used by a completed order."),
    "rolled_back": Column("Given back", "Coupons of orders that were cancelled."),
    "committed_share": Column("Used share", "Coupons used of all that were reserved."),
    "discount_cents": Column("Discount", "Sum of discounts by coupons used."),
    "pass_rides": Column("Pass rides", "Completed orders on a pass."),
    "pass_discount_cents": Column("By passes", "Sum of discounts by passes."),
    "earn": Column("Earned", "Points earned by orders, purchases and activities."),
    "grant": Column("Granted", "Points granted by staff."),
    "redeem": Column("Redeemed", "Points spent."),
    "rollback": Column("Taken back", "Points given back or taken back when something was undone."),
    "expire": Column("Expired points", "Points that were not spent in time."),
    "transfer": Column("Moved", "Points moved between accounts that were merged."),
    "net": Column("Net", "All of these together."),
    "filed": Column("Filed", "Complaints by when they were filed."),
    "open": Column("Open", "Complaints that are not resolved yet."),
    "upheld": Column("Upheld", "Complaints that were found right."),
    "answered_in_time": Column(
        "Answered in time", "First answers in time, of those given or overdue; waiting ones are not judged."
    ),
    "resolved_in_time": Column("Resolved in time", "The same of resolutions."),
    "mean_resolution_ms": Column("Mean resolution", "From filing to resolution."),
    "compensation_cents": Column("Compensation", "Money given back."),
    "purchases": Column("Purchases", "Fill-ups and charges."),
    "millilitres": Column("Litres", "Fuel sold."),
    "watt_hours": Column("kWh", "Energy sold."),
}
"""By their names in tables."""


def cell(name: str, value: Any) -> str:
    """Write a value as people read it."""
    if value is None:
        return NOT_MEASURED
    if isinstance(value, bool):
        return "✓" if value else ""
    if isinstance(value, str):
        return value
    if name == "hour":
        return f"{value:02d}–{value + 1:02d} h"
    if name.endswith("_cents"):
        return money(value)
    if name.endswith("_ms"):
        return format_duration(value / 1000)
    if name.endswith(("_share", "_in_time")):
        return format_share(value)
    if name in ("millilitres", "watt_hours"):
        return f"{value / 1000:,.1f}"
    return format_count(value) if isinstance(value, int) else format_number(value)


def money(cents: int) -> str:
    """Write cents in whole currency units, whichever they are: ``1,234.50``."""
    return f"{cents / 100:,.2f}"
