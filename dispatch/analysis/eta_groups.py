"""Trips of a test of ETAs in groups: by hour, band of the day, weekday, distance, and zone of either end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.eta_measures import LATE_S, ErrorFigures, QuantileFigures
from dispatch.analysis.groups import OUTSIDE
from dispatch.eta.tested_trips import EtaTest
from dispatch.roads.trips import zone_info
from dispatch.roads.zones import Zones
from dispatch.units import MS_PER_S, NO_INDEX

GROUPINGS: Final = ("hour", "band", "weekday", "distance", "from_zone", "to_zone")
BAND_H: Final = 4
"""Hours of a band of the day."""
DISTANCE_EDGES_M: Final = (1000, 2000, 3000, 5000, 8000, 15_000)
"""Between bands of routed distance, metres."""
MIN_TRIPS: Final = 20
"""Fewer trips of a zone or an hour tell too little to be drawn."""
MIN_ROUTE_TRIPS: Final = 30
"""Fewer trips from one zone to another tell more of chance than of the route."""
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOURS: Final = 24
_QUARTER_MS: Final = 15 * 60 * MS_PER_S
"""Offsets from UTC are whole quarters of an hour, so that a quarter lies in one local hour."""

Rows = NDArray[np.int64]


class LocalTime(NamedTuple):
    """When trips were requested, by local clocks and calendars; all (n,) int64."""

    day: NDArray[np.int64]
    """(n,) days since 1970-01-01"""
    hour: NDArray[np.int64]
    """(n,) 0 … 23"""
    weekday: NDArray[np.int64]
    """(n,) 0: Monday"""

    @classmethod
    def of(cls, at_ms: NDArray[np.int64], timezone: str) -> LocalTime:
        """Tell instants (n,) in a time zone."""
        zone = zone_info(timezone)
        quarter, row = np.unique(at_ms // _QUARTER_MS, return_inverse=True)
        known = [
            datetime.fromtimestamp(one * _QUARTER_MS / MS_PER_S, UTC).astimezone(zone)
            for one in quarter.tolist()
        ]
        epoch = datetime(1970, 1, 1).toordinal()
        told = [(one.toordinal() - epoch, one.hour, one.weekday()) for one in known]
        day, hour, weekday = np.array(told, np.int64).reshape(-1, 3).T
        return cls(day[row], hour[row], weekday[row])


@dataclass(frozen=True)
class EtaGroup:
    """What was measured of some of the trips."""

    label: str
    """For people: ``07:00``, ``Sunday``, ``2–3 km``, a zone's name"""
    key: int
    """Hour, number of the band, weekday, or row of the zone; -1 outside of all zones"""
    errors: Mapping[str, ErrorFigures]
    """By predictor, the model itself first"""
    quantiles: QuantileFigures
    """Of the model itself"""

    @property
    def num(self) -> int:
        """Number of trips."""
        return self.quantiles.num


class Route(NamedTuple):
    """Trips from one zone to another."""

    from_zone: str
    to_zone: str
    num: int
    actual_s: float
    """mean"""
    predicted_s: float
    """mean"""
    mae_s: float
    sum_s: float
    """sum of absolute errors"""
    bias_s: float
    """positive where trips take longer than predicted"""
    late5_share: float
    from_lon: float
    """mean of where the trips began, degrees"""
    from_lat: float
    to_lon: float
    to_lat: float


def band_label(band: int) -> str:
    """Name a band of the day: ``08–12 h``."""
    return f"{band * BAND_H:02d}–{(band + 1) * BAND_H:02d} h"


def distance_label(band: int) -> str:
    """Name a band of distance: ``2–3 km``."""
    edges = [f"{edge / 1000:g}" for edge in DISTANCE_EDGES_M]
    if band == 0:
        return f"under {edges[0]} km"
    return f"over {edges[-1]} km" if band == len(edges) else f"{edges[band - 1]}–{edges[band]} km"


class Grouping(NamedTuple):
    """What group each trip belongs to."""

    key: NDArray[np.int64]
    """(n,)"""
    names: Mapping[int, str]
    """By key"""


def groupings(test: EtaTest, local: LocalTime, zones: Zones) -> dict[str, Grouping]:
    """Give all of :data:`GROUPINGS` of a test."""
    places = dict(enumerate(zones.name)) | {NO_INDEX: OUTSIDE}
    ends = [zones.zone_of(test.from_lon, test.from_lat), zones.zone_of(test.to_lon, test.to_lat)]
    distance = np.searchsorted(np.array(DISTANCE_EDGES_M), test.distance_m, side="right")
    return {
        "hour": Grouping(local.hour, {hour: f"{hour:02d}:00" for hour in range(_HOURS)}),
        "band": Grouping(local.hour // BAND_H, {n: band_label(n) for n in range(_HOURS // BAND_H)}),
        "weekday": Grouping(local.weekday, dict(enumerate(WEEKDAYS))),
        "distance": Grouping(
            distance.astype(np.int64), {n: distance_label(n) for n in range(len(DISTANCE_EDGES_M) + 1)}
        ),
        "from_zone": Grouping(ends[0].astype(np.int64), places),
        "to_zone": Grouping(ends[1].astype(np.int64), places),
    }


def measure_groups(
    test: EtaTest, predictors: Mapping[str, NDArray[np.float64]], by: Grouping
) -> tuple[EtaGroup, ...]:
    """Measure each group that holds a trip, in the order of keys, those outside of all zones last.

    Parameters
    ----------
    test : EtaTest
    predictors : mapping of str to (n,) float64
        Seconds, by name.
    by : Grouping
    """
    found = []
    for key, rows in rows_by(by.key):
        actual_s = test.actual_s[rows]
        errors = {name: ErrorFigures.of(values[rows], actual_s) for name, values in predictors.items()}
        quantiles = QuantileFigures.of(test.quantile_s[rows], actual_s, test.levels)
        found.append(EtaGroup(by.names[key], key, errors, quantiles))
    return tuple(sorted(found, key=lambda group: (group.key < 0, group.key)))


def rows_by(key: NDArray[np.int64]) -> Iterator[tuple[int, Rows]]:
    """Give each key of trips (n,), ascending, and the rows (m,) that have it, ascending too."""
    order = np.argsort(key, kind="stable")
    keys, first = np.unique(key[order], return_index=True)
    yield from zip(keys.tolist(), np.split(order, first[1:]), strict=False)


def measure_routes(test: EtaTest, by_from: Grouping, by_to: Grouping) -> tuple[Route, ...]:
    """Measure pairs of zones of :data:`MIN_ROUTE_TRIPS` trips or more, the largest sum of errors first."""
    inside = np.flatnonzero((by_from.key != NO_INDEX) & (by_to.key != NO_INDEX))
    num_zones = len(by_to.names)
    pair = by_from.key[inside] * num_zones + by_to.key[inside]
    found = []
    for key, rows in rows_by(pair):
        if len(rows) < MIN_ROUTE_TRIPS:
            continue
        trips = test.select(inside[rows])
        error_s = trips.actual_s - trips.predicted_s
        from_row, to_row = divmod(key, num_zones)
        found.append(
            Route(
                from_zone=by_from.names[from_row],
                to_zone=by_to.names[to_row],
                num=len(rows),
                actual_s=float(trips.actual_s.mean()),
                predicted_s=float(trips.predicted_s.mean()),
                mae_s=float(np.abs(error_s).mean()),
                sum_s=float(np.abs(error_s).sum()),
                bias_s=float(error_s.mean()),
                late5_share=float((error_s > LATE_S).mean()),
                from_lon=float(trips.from_lon.mean()),
                from_lat=float(trips.from_lat.mean()),
                to_lon=float(trips.to_lon.mean()),
                to_lat=float(trips.to_lat.mean()),
            )
        )
    return tuple(sorted(found, key=lambda route: -route.sum_s))
