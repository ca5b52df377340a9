"""What is known of each customer, in numbers: one row each, from sums of days and from orders."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import consent, customer
from dispatch.crm.tables.service import rating
from dispatch.crm.vertical import Vertical
from dispatch.units import MS_PER_DAY, NO_COORDINATE

NEVER: Final = -1
"""Day of what has not been."""
CELL_E6: Final = 10_000
"""Side of a cell in 1e-6 degrees, about 1 km: no finer than what is kept of old orders."""
_MOST_CELLS: Final = 50_000
"""More than there are from zero to 180 degrees."""
_MS_PER_HOUR: Final = 3_600_000
_SUMS: Final = ("submitted", "completed", "cancelled", "spend_cents", "trip_m", "picked_up", "late")


@dataclass(frozen=True)
class Features:
    """Customers of a scope at the end of a day; sums are of the window that ends with it."""

    day: int
    window_days: int
    customer_id: NDArray[np.int64]
    """(n,) ascending; those who are merged into another one count as that one"""
    tier: NDArray[np.int8]
    """(n,) row of the vertical's tiers"""
    channel: NDArray[np.str_]
    """(n,) by which the customer was won, empty where nobody knows"""
    created_day: NDArray[np.int64]
    """(n,)"""
    submitted: NDArray[np.int64]
    """(n,) orders"""
    completed: NDArray[np.int64]
    """(n,) orders: the frequency"""
    cancelled: NDArray[np.int64]
    """(n,) orders"""
    spend_cents: NDArray[np.int64]
    """(n,) the monetary value"""
    trip_m: NDArray[np.int64]
    """(n,)"""
    picked_up: NDArray[np.int64]
    """(n,) orders"""
    late: NDArray[np.int64]
    """(n,) of those picked up"""
    active_days: NDArray[np.int64]
    """(n,) days with a completed order"""
    second_half: NDArray[np.int64]
    """(n,) completed orders in the later half of the window"""
    weekend: NDArray[np.int64]
    """(n,) completed orders on Saturdays and Sundays, UTC"""
    first_day: NDArray[np.int64]
    """(n,) of the first completed order ever, NEVER where there is none"""
    last_day: NDArray[np.int64]
    """(n,) of the latest completed order, NEVER where there is none: the recency"""
    lifetime: NDArray[np.int64]
    """(n,) completed orders ever"""
    lifetime_cents: NDArray[np.int64]
    """(n,)"""

    @property
    def num_customers(self) -> int:
        """Number of rows."""
        return len(self.customer_id)

    @property
    def recency_days(self) -> NDArray[np.float64]:
        """(n,) days since the latest completed order; infinite where there was none."""
        return np.where(self.last_day == NEVER, np.inf, float(self.day) - self.last_day)

    def chosen(self, rows: NDArray[Any]) -> Features:
        """Give some rows (m,) of it, by numbers or by a mask."""
        told = {one.name: getattr(self, one.name) for one in fields(self)}
        return Features(**{k: v[rows] if isinstance(v, np.ndarray) else v for k, v in told.items()})


@dataclass(frozen=True)
class OrderHabits:
    """Completed orders of a window, each with its customer's row, for habits of time and route."""

    row: NDArray[np.int64]
    """(orders,) row of the customer"""
    hour: NDArray[np.int64]
    """(orders,) local hour of the pickup, 0 … 23"""
    weekday: NDArray[np.int64]
    """(orders,) local, Monday is 0"""
    from_cell: NDArray[np.int64]
    """(orders,) cell of the pickup, NEVER where it is unknown"""
    to_cell: NDArray[np.int64]
    """(orders,) cell of the drop-off"""


def features_in(
    connection: sa.Connection, vertical: Vertical, scope_id: int, day: int, window_days: int
) -> Features:
    """Read the features of all active customers of a scope.

    Parameters
    ----------
    connection, vertical, scope_id
    day : int
        Days since 1970, UTC; the last one that counts.
    window_days : int
    """
    people = connection.execute(
        sa.select(
            customer.c.customer_id,
            customer.c.merged_into,
            customer.c.status,
            customer.c.tier,
            customer.c.channel,
            customer.c.created_at_ms,
        )
        .where(customer.c.scope_id == scope_id, customer.c.status.in_(("active", "merged")))
        .order_by(customer.c.customer_id)
    ).all()
    active = [row for row in people if row.status == "active" and row.created_at_ms < (day + 1) * MS_PER_DAY]
    ids = np.array([row.customer_id for row in active], np.int64)
    sums = _sums_in(connection, scope_id, day, window_days)
    told = np.array(sums, np.int64).reshape(-1, len(_NAMES) + 1)
    goes_to = {row.customer_id: row.merged_into for row in people if row.merged_into is not None}
    row = rows_of(ids, current(told[:, 0], goes_to))
    told, row = told[row >= 0], row[row >= 0]
    columns = {name: _added(row, told[:, at + 1], len(ids)) for at, name in enumerate(_NAMES)}
    columns["first_day"] = _least(row, told[:, 1 + _NAMES.index("first_day")], len(ids))
    columns["last_day"] = -_least(row, -told[:, 1 + _NAMES.index("last_day")], len(ids), none=1)
    tiers = vertical.tier_row
    return Features(
        day=day,
        window_days=window_days,
        customer_id=ids,
        tier=np.array([tiers.get(row.tier, 0) for row in active], np.int8),
        channel=np.array([row.channel or "" for row in active], np.str_),
        created_day=np.array([row.created_at_ms // MS_PER_DAY for row in active], np.int64),
        **columns,
    )


_NAMES: Final = (
    *_SUMS,
    "active_days",
    "second_half",
    "weekend",
    "lifetime",
    "lifetime_cents",
    "first_day",
    "last_day",
)


def _sums_in(connection: sa.Connection, scope_id: int, day: int, window_days: int) -> list[tuple[Any, ...]]:
    """Sum the days of each customer: (id, then ``_NAMES``)."""
    table, whole = customer_day.c, sa.BigInteger
    in_window = table.day > day - window_days

    def total(value: sa.ColumnElement[Any], where: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
        return sa.cast(sa.func.coalesce(sa.func.sum(sa.case((where, value), else_=0)), 0), whole)

    is_active = table.completed > 0
    # 1970 began with a Thursday.
    is_weekend = (table.day + 3) % 7 >= 5
    chosen = sa.select(
        table.customer_id,
        *(total(table[name], in_window) for name in _SUMS),
        total(sa.literal(1), in_window & is_active),
        total(table.completed, table.day > day - window_days // 2),
        total(table.completed, in_window & is_weekend),
        sa.cast(sa.func.sum(table.completed), whole),
        sa.cast(sa.func.sum(table.spend_cents), whole),
        sa.func.coalesce(sa.func.min(sa.case((is_active, table.day))), NEVER),
        sa.func.coalesce(sa.func.max(sa.case((is_active, table.day))), NEVER),
    )
    here = sa.select(customer.c.customer_id).where(customer.c.scope_id == scope_id)
    rows = connection.execute(
        chosen.where(table.day <= day, table.customer_id.in_(here)).group_by(table.customer_id)
    )
    return [tuple(row) for row in rows]


def habits_in(
    connection: sa.Connection, features: Features, time_zone: ZoneInfo, scope_id: int
) -> OrderHabits:
    """Read when and between which cells the customers' orders of the window were."""
    begin, end = (features.day + 1 - features.window_days) * MS_PER_DAY, (features.day + 1) * MS_PER_DAY
    table = orders.c
    rows = connection.execute(
        sa.select(
            table.customer_id,
            sa.func.coalesce(table.picked_up_at_ms, table.submitted_at_ms),
            table.pickup_lon_e6,
            table.pickup_lat_e6,
            table.dropoff_lon_e6,
            table.dropoff_lat_e6,
        ).where(
            table.submitted_at_ms >= begin,
            table.submitted_at_ms < end,
            table.dropped_off_at_ms.is_not(None),
            table.customer_id.is_not(None),
        )
    ).all()
    # As floats an id beyond 2^53 would lose digits: those stay apart, None becomes NaN in the others.
    who = np.array([row[0] for row in rows], np.int64)
    told = np.array([tuple(row)[1:] for row in rows], np.float64).reshape(-1, 5)
    row = rows_of(features.customer_id, current(who, _merged_in(connection, scope_id)))
    known = row >= 0
    told = told[known]
    hour, weekday = local_hours(told[:, 0].astype(np.int64), time_zone)
    return OrderHabits(
        row=row[known],
        hour=hour,
        weekday=weekday,
        from_cell=cells(told[:, 1], told[:, 2]),
        to_cell=cells(told[:, 3], told[:, 4]),
    )


def stars_in(connection: sa.Connection, features: Features, scope_id: int) -> NDArray[np.float64]:
    """Give the mean of the stars that each customer (n,) gave within the window; NaN where there are none."""
    rows = connection.execute(
        sa.select(rating.c.customer_id, sa.func.sum(rating.c.stars), sa.func.count())
        .where(
            rating.c.about.in_(("driver", "merchant")),
            rating.c.customer_id.is_not(None),
            rating.c.removed_at_ms.is_(None),
            rating.c.at_ms >= (features.day + 1 - features.window_days) * MS_PER_DAY,
            rating.c.at_ms < (features.day + 1) * MS_PER_DAY,
        )
        .group_by(rating.c.customer_id)
    ).all()
    told = np.array([tuple(map(int, row)) for row in rows], np.int64).reshape(-1, 3)
    row = rows_of(features.customer_id, current(told[:, 0], _merged_in(connection, scope_id)))
    given, num = (_added(row[row >= 0], told[row >= 0, at], features.num_customers) for at in (1, 2))
    mean = np.full(features.num_customers, np.nan)
    np.divide(given, num, out=mean, where=num > 0)
    return mean


def refused_in(connection: sa.Connection, purpose: str, at_ms: int) -> NDArray[np.int64]:
    """Give the ids (m,) of all customers whose latest word on a purpose, until an instant, is no."""
    newest = _newest_consents(consent.c.purpose == purpose, consent.c.at_ms <= at_ms)
    rows = connection.execute(
        sa.select(newest.c.customer_id).where(newest.c.rank == 1, newest.c.granted.is_(False))
    )
    return np.array(rows.scalars().all(), np.int64)


def _newest_consents(*conditions: sa.ColumnElement[bool]) -> sa.Subquery:
    """Number what each customer said, latest first."""
    latest_first = (consent.c.at_ms.desc(), consent.c.consent_id.desc())
    rank = sa.func.row_number().over(partition_by=consent.c.customer_id, order_by=latest_first)
    chosen = sa.select(consent.c.customer_id, consent.c.granted, rank.label("rank"))
    return chosen.where(*conditions).subquery()


def terciles(values: NDArray[Any], counts: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Rank values (n,) in thirds, 1 … 3, among those (n,) that count; 0 for the others.

    Equal values are in one third, the lower one.
    """
    third = np.zeros(len(values), np.int8)
    if counts.any():
        low, high = np.quantile(values[counts], [1 / 3, 2 / 3])
        third[counts] = 1 + (values[counts] > low) + (values[counts] > high)
    return third


def cells(lon_e6: Any, lat_e6: Any) -> NDArray[np.int64]:
    """Give the cell of places (n,), NEVER where one is not known.

    Coordinates are cut towards zero, as those of old orders are when they are blurred: their cell stays.
    """
    lon, lat = (np.array(told, np.float64) for told in (lon_e6, lat_e6))
    known = ~np.isnan(lon) & ~np.isnan(lat) & (lon != NO_COORDINATE) & (lat != NO_COORDINATE)
    column, row = (np.trunc(np.where(known, told, 0) / CELL_E6).astype(np.int64) for told in (lon, lat))
    return np.where(known, (column + _MOST_CELLS) * 2 * _MOST_CELLS + row + _MOST_CELLS, NEVER)


def cell_place(cell: int) -> tuple[int, int]:
    """Give the middle of a cell, in 1e-6 degrees: longitude, latitude."""
    lon_e6, lat_e6 = (
        (one - _MOST_CELLS) * CELL_E6 + (CELL_E6 // 2) * ((one > _MOST_CELLS) - (one < _MOST_CELLS))
        for one in divmod(cell, 2 * _MOST_CELLS)
    )
    return lon_e6, lat_e6


def local_hours(at_ms: NDArray[np.int64], time_zone: ZoneInfo) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give hour and weekday (n,) of instants (n,) in a time zone."""
    # Offsets change at full hours of UTC, or halves of them: one is looked up for each quarter in use.
    quarter, which = np.unique(at_ms // (_MS_PER_HOUR // 4), return_inverse=True)
    offsets = [datetime.fromtimestamp(one * 900, time_zone).utcoffset() for one in quarter.tolist()]
    offset = np.array([0 if one is None else one.total_seconds() for one in offsets]).astype(np.int64)
    local = at_ms + offset[which] * 1000 if len(at_ms) else at_ms
    return local // _MS_PER_HOUR % 24, (local // MS_PER_DAY + 3) % 7


def rows_of(ids: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the rows (m,) of ids (m,) in ascending ones (n,), -1 for those that are not there."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[at] == wanted, at, -1)


def current(ids: NDArray[np.int64], merged: dict[int, int]) -> NDArray[np.int64]:
    """Give for each id (n,) the customer that it was merged into, or the same."""
    if not merged:
        return ids
    return np.array([merged.get(one, one) for one in ids.tolist()], np.int64)


def _merged_in(connection: sa.Connection, scope_id: int) -> dict[int, int]:
    rows = connection.execute(
        sa.select(customer.c.customer_id, customer.c.merged_into).where(
            customer.c.scope_id == scope_id, customer.c.merged_into.is_not(None)
        )
    )
    return {row.customer_id: row.merged_into for row in rows}


def _added(row: NDArray[np.int64], values: NDArray[np.int64], num: int) -> NDArray[np.int64]:
    total = np.zeros(num, np.int64)
    np.add.at(total, row, values)
    return total


def _least(
    row: NDArray[np.int64], values: NDArray[np.int64], num: int, none: int = NEVER
) -> NDArray[np.int64]:
    """Give the least of each row's values that is no NEVER."""
    far = np.iinfo(np.int64).max
    least = np.full(num, far)
    told = values != none
    np.minimum.at(least, row[told], values[told])
    return np.where(least == far, none, least)
