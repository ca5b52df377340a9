"""Key figures of groups of orders: by hour, by zone, by tier, of first orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dispatch.analysis.kpi_list import KPIS
from dispatch.analysis.measured import Measured, measured
from dispatch.analysis.order_table import OrderTable
from dispatch.engine.events import Events
from dispatch.errors import InputError
from dispatch.roads.trips import zone_info
from dispatch.roads.zones import Zones
from dispatch.units import INDEX_DTYPE, MS_PER_S, NO_COORDINATE, NO_INDEX, NO_VALUE

By = Literal["all", "hour", "zone", "tier", "first"]
GROUPINGS: Final = ("all", "hour", "zone", "tier", "first")
NOT_TOLD: Final = "not told"
OUTSIDE: Final = "outside of all zones"
_QUARTER_MS: Final = 15 * 60 * MS_PER_S
"""Offsets from UTC are whole quarters of an hour, so that a quarter lies in one local hour."""
_FIRST_NAMES: Final = ("later orders", "first orders")


@dataclass(frozen=True)
class KpiGroups:
    """Values of all KPIs for each group of orders that holds an order."""

    by: str
    """One of :data:`GROUPINGS`"""
    group: tuple[str, ...]
    """(groups,) for people: ``07:00``, a zone's name, ``tier 2``, ``first orders``"""
    key: NDArray[np.int64]
    """(groups,) hour of day, row of the zone, tier, or 1 for first orders; -1 for orders that tell none"""
    num_orders: NDArray[np.int64]
    """(groups,) orders submitted"""
    value_of_kpi: Mapping[str, tuple[float | None, ...]]
    """By KPI, (groups,); ``None`` where nothing is to be measured, never NaN"""

    def __len__(self) -> int:
        """Number of groups."""
        return len(self.group)

    def against(self, row: int = 0) -> dict[str, tuple[float | None, ...]]:
        """Subtract the values of one group, like those of the lowest tier, from those of all.

        Returns
        -------
        dict
            By KPI, (groups,); ``None`` where one of the two is.
        """
        return {name: _minus(values, values[row]) for name, values in self.value_of_kpi.items()}

    def table(self) -> pa.Table:
        """Give one row for each group and KPI.

        Returns
        -------
        pyarrow.Table
            Columns ``by``, ``group``, ``key``, ``kpi``, ``value`` (empty where not measured) and
            ``num_orders``, the size of the group.
        """
        num_kpis = len(self.value_of_kpi)
        values = [value for of_kpi in self.value_of_kpi.values() for value in of_kpi]
        return pa.table(
            {
                "by": pa.array([self.by] * len(values), pa.string()),
                "group": pa.array(list(self.group) * num_kpis, pa.string()),
                "key": np.tile(self.key, num_kpis),
                "kpi": pa.array([name for name in self.value_of_kpi for _ in self.group], pa.string()),
                "value": pa.array(values, pa.float64()),
                "num_orders": np.tile(self.num_orders, num_kpis),
            }
        )


def _minus(values: tuple[float | None, ...], base: float | None) -> tuple[float | None, ...]:
    return tuple(None if value is None or base is None else value - base for value in values)


class _Grouping(NamedTuple):
    """What group each order belongs to."""

    key: NDArray[np.int64]
    """(orders,)"""
    name_of_key: Mapping[int, str]


def kpis_by(
    events: Events | Measured,
    by: By,
    *,
    zones: Zones | None = None,
    timezone: str | None = None,
    travel_is_predicted: bool = False,
    nobody_cancels: bool = False,
) -> KpiGroups:
    """Measure every KPI of orders for groups of orders.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE, or Measured
        A legal log from its beginning, or what was read from it, for several groupings.
    by : {"all", "hour", "zone", "tier", "first"}
        ``hour``: local hour of day of the request; ``zone``: zone of the pickup; ``tier``: membership tier of
        the customer; ``first``: first orders of customers apart from their later ones.
    zones : Zones, optional
        Needed by ``zone``.
    timezone : str, optional
        IANA name; needed by ``hour``.
    travel_is_predicted, nobody_cancels : bool
        As of :func:`~dispatch.analysis.kpis.kpis`.

    Returns
    -------
    KpiGroups
        The groups in the order of their keys, those that tell none last. KPIs of drivers are ``None`` but
        of ``all`` (:attr:`Kpi.of <dispatch.analysis.kpi_list.Kpi.of>`).

    Raises
    ------
    InputError
        The grouping or the time zone is unknown, what it needs is missing, or as of
        :func:`~dispatch.analysis.order_table.order_table`.

    Complexity
    ----------
    400,000 orders take 1.5 s by hour or by zone once the log is read, which takes as long again.
    """
    _check(by, zones, timezone)
    tables = events if isinstance(events, Measured) else measured(events)
    grouping = _grouping(tables.orders, by, zones, timezone)
    # Keys that tell no group are negative: as unsigned numbers they come last.
    by_group = np.argsort(grouping.key.astype(np.uint64), kind="stable")
    key = grouping.key[by_group]
    begins = np.flatnonzero(np.diff(key, prepend=key[:1] - 1))
    ends = np.flatnonzero(np.diff(key, append=key[-1:] + 1)) + 1
    in_groups = tables.of_orders(by_group) if by != "all" else tables
    parts = [
        in_groups.of_orders(slice(begin, end)) if by != "all" else in_groups
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
    ]
    void = {"travel_is_predicted": travel_is_predicted, "nobody_cancels": nobody_cancels}
    keys = key[begins]
    return KpiGroups(
        by,
        tuple(grouping.name_of_key.get(one, NOT_TOLD) for one in keys.tolist()),
        keys,
        ends - begins,
        {
            kpi.name: tuple(
                None if kpi.is_void(**void) or (kpi.of == "drivers" and by != "all") else kpi.measure(part)
                for part in parts
            )
            for kpi in KPIS
        },
    )


def _check(by: str, zones: Zones | None, timezone: str | None) -> None:
    if by not in GROUPINGS:
        raise InputError(f"by is {by!r}: it must be one of {', '.join(GROUPINGS)}")
    if by == "zone" and zones is None:
        raise InputError('by is "zone" and zones is None: give zones, for instance grid_zones(city)')
    if by == "hour" and timezone is None:
        raise InputError('by is "hour" and timezone is None: give the IANA name of the local time')


def _grouping(orders: OrderTable, by: str, zones: Zones | None, timezone: str | None) -> _Grouping:
    if by == "hour" and timezone is not None:
        return _Grouping(local_hour(orders.submitted_at_ms, timezone), {h: f"{h:02d}:00" for h in range(24)})
    if by == "zone" and zones is not None:
        names = {NO_INDEX: OUTSIDE, **dict(enumerate(zones.name))}
        return _Grouping(pickup_zone(orders, zones).astype(np.int64), names)
    if by == "tier":
        key = orders.tier.astype(np.int64)
        return _Grouping(key, {tier: f"tier {tier}" for tier in np.unique(key[key >= 0]).tolist()})
    if by == "first":
        return _Grouping(orders.is_first.astype(np.int64), dict(enumerate(_FIRST_NAMES)))
    return _Grouping(np.zeros(len(orders), np.int64), {0: "all orders"})


def local_hour(at_ms: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Give the local hour of day of instants (n,), 0 … 23.

    Raises
    ------
    InputError
        The time zone is unknown.
    """
    zone = zone_info(timezone)
    quarter, row = np.unique(at_ms // _QUARTER_MS, return_inverse=True)
    hours = [
        datetime.fromtimestamp(one * _QUARTER_MS / MS_PER_S, UTC).astimezone(zone).hour
        for one in quarter.tolist()
    ]
    return np.array(hours, np.int64)[row]


def pickup_zone(orders: OrderTable, zones: Zones) -> NDArray[np.int32]:
    """Give the zone of each order's pickup (orders,), ``NO_INDEX`` outside of all or where none is known."""
    known = (orders.pickup_lon_e6 != NO_COORDINATE) & (orders.pickup_lat_e6 != NO_COORDINATE)
    zone = np.full(len(orders), NO_INDEX, INDEX_DTYPE)
    lon, lat = (column[known] * 1e-6 for column in (orders.pickup_lon_e6, orders.pickup_lat_e6))
    zone[known] = zones.zone_of(lon, lat)
    return zone


def has_tiers(orders: OrderTable) -> bool:
    """Say whether the log tells of more than one membership tier."""
    return len(np.unique(orders.tier[orders.tier != NO_VALUE])) > 1


def has_first_orders(orders: OrderTable) -> bool:
    """Say whether the log tells first orders from later ones, and holds some of each."""
    return len(np.unique(orders.is_first[orders.is_first != NO_VALUE])) > 1
