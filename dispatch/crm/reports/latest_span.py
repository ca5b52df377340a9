"""Which days a report is of where none are told: the latest that have data."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context
from dispatch.crm.reports.periods import PERIODS
from dispatch.crm.reports.report_source import chosen_places
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import points_entry
from dispatch.crm.tables.orders import orders, scope
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import complaint
from dispatch.roads.trips import local_midnight_ms, zone_info

NUM_PERIODS: Final = 30
_ONE_DAY: Final = datetime.timedelta(days=1)
# Instants, and the city of each.
_BUSINESS: Final = (
    (orders.c.submitted_at_ms, orders.c.scope_id),
    (energy_purchase.c.at_ms, energy_purchase.c.scope_id),
)
_OTHER: Final = (
    (points_entry.c.at_ms, customer.c.scope_id),  # an entry has no city of its own
    (complaint.c.filed_at_ms, complaint.c.scope_id),
    (customer.c.created_at_ms, customer.c.scope_id),
)


def latest_span(
    context: Context,
    period: str,
    *,
    timezone: str = "UTC",
    places: Sequence[tuple[str, str]] = (),
    until: datetime.date | None = None,
) -> tuple[datetime.date, datetime.date] | None:
    """Give the first and last local day of the latest 30 days, weeks or months that have data.

    Orders and purchases of energy count; only where there are none of them, points, complaints and customers
    do: a customer entered today does not hide the orders of last year.

    Parameters
    ----------
    context : Context
        Cities that the actor reaches count, no others.
    period : str
        ``day``, ``week`` or ``month``.
    timezone : str
        IANA name of the clock that days are of.
    places : sequence of (str, str), optional
        Tenants and cities, to look at no others.
    until : datetime.date, optional
        The last day, where it is told: what is later does not count.

    Returns
    -------
    tuple of date, or None
        The first day is not before the first that has data; None where there are no data.

    Raises
    ------
    AuthError
        The actor may not.
    InputError
        The period, the time zone or a place is none.
    """
    check_one_of("period", period, PERIODS)
    zone = zone_info(timezone)
    end_ms = None if until is None else local_midnight_ms(until + _ONE_DAY, zone)
    with context.listing("report.read", scope.c.scope_id) as (connection, within):
        chosen = chosen_places(connection, within, places)
        everything = not places and context.reaches("report.read") == "all"
        scope_ids = None if everything else list(chosen.values())
        ends = _ends(connection, _BUSINESS, scope_ids, end_ms) or _ends(connection, _OTHER, scope_ids, end_ms)
    if ends is None:
        return None
    first, last = (datetime.datetime.fromtimestamp(at_ms / 1000, zone).date() for at_ms in ends)
    last = last if until is None else until
    return max(first, _first_of(period, last)), last


def _ends(
    connection: sa.Connection,
    columns: Sequence[tuple[sa.Column[Any], sa.Column[Any]]],
    scope_ids: list[int] | None,
    end_ms: int | None,
) -> tuple[int, int] | None:
    """Give the first and last of some instants before an end; None where there are none."""
    found: list[int] = []
    for instant, scope_column in columns:
        table: Any = instant.table
        if scope_ids is not None and scope_column.table is not table:
            table = table.join(scope_column.table, customer.c.customer_id == table.c.customer_id)
        for end in (sa.func.min(instant), sa.func.max(instant)):  # one at a time: each by an index
            query = sa.select(end).select_from(table)
            if scope_ids is not None:
                query = query.where(scope_column.in_(scope_ids))
            if end_ms is not None:
                query = query.where(instant < end_ms)
            value = connection.scalar(query)
            if value is not None:
                found.append(int(value))
    return (min(found), max(found)) if found else None


def _first_of(period: str, last: datetime.date) -> datetime.date:
    """Give the first day of the first of so many periods, the last of which a day lies in."""
    before = NUM_PERIODS - 1
    if period == "day":
        return last - before * _ONE_DAY
    if period == "week":
        return last - (last.weekday() + 7 * before) * _ONE_DAY
    months = 12 * last.year + last.month - 1 - before
    return datetime.date(months // 12, months % 12 + 1, 1)
