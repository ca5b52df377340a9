"""How drivers differ: by their past trips and pings, and by what they did in the minutes before a trip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.driver_history import recent_residuals
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings, order_of
from dispatch.units import MS_PER_S

DRIVER_COLUMNS: Final = (
    *("driver_trip_mean", "driver_trip_num", "driver_speed_mean", "driver_speed_num"),
    *("driver_recent_mean", "driver_recent_num"),
)
MOVED_COLUMNS: Final = (
    *("ping_gap_s", "ping_moved_m", "heading_along", "heading_across", "moved_x_m", "moved_y_m"),
    *("moved_5min_m", "moved_15min_m", "pings_15min", "pings_60min"),
)
_KEEP: Final = 0.8
_TRIP_PRIOR: Final = 20.0
_SPEED_PRIOR: Final = 100.0
_MAX_RESIDUAL: Final = 1.0
_MAX_STEP_M: Final = 3000.0
_NO_GAP_S: Final = 9999.0
_PARTS_OF_M: Final = 1024.0

Numbers = NDArray[np.float64]
Wholes = NDArray[np.int64]


class Observed(NamedTuple):
    """Residuals of drivers, (n,): logarithms of durations over predictions."""

    driver_id: Wholes
    day: Wholes
    residual: Numbers


@dataclass(frozen=True)
class DriverEffects:
    """How much slower than predicted drivers are, by their trips and by the speed of their pings."""

    driver_id: Wholes
    """(drivers,) ascending"""
    mean: Numbers
    """(2, drivers) of trips and of ways between pings, drawn towards 0"""
    num: Numbers
    """(2, drivers)"""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit."""
        shape = (2, self.driver_id.size)
        if (
            self.driver_id.ndim != 1
            or self.mean.shape != shape
            or self.num.shape != shape
            or (np.diff(self.driver_id) <= 0).any()
        ):
            raise InputError(f"driver effects: ids must ascend, means and numbers have the shape {shape}")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.num).all()):
            raise InputError("driver effects: means and numbers must be finite")

    def columns(self, driver_id: Wholes) -> Numbers:
        """Give the first four of ``DRIVER_COLUMNS`` (4, n); 0 of drivers who are not known."""
        if not len(self.driver_id):
            return np.zeros((4, len(driver_id)))
        row = np.minimum(np.searchsorted(self.driver_id, driver_id), len(self.driver_id) - 1)
        known = self.driver_id[row] == driver_id
        told = [self.mean[0], self.num[0], self.mean[1], self.num[1]]
        return np.stack([np.where(known, column[row], 0.0) for column in told])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the arrays for a file."""
        return {"driver_id": self.driver_id, "mean": self.mean, "num": self.num}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> DriverEffects:
        """Make them of the arrays of a file."""
        kinds = {"driver_id": np.int64, "mean": np.float64, "num": np.float64}
        if any(arrays[name].dtype != kind for name, kind in kinds.items()):
            raise InputError("driver effects: an array holds numbers of another kind")
        return cls(*(np.ascontiguousarray(arrays[name]) for name in kinds))


def fit_driver_effects(trips: Observed, ways: Observed) -> tuple[DriverEffects, Numbers]:
    """Find how drivers differ, and tell each trip what other days say of its driver.

    Returns
    -------
    effects : DriverEffects
    columns : (4, trips) float64
        The first four of ``DRIVER_COLUMNS``, without the trip's own day.
    """
    ids = np.unique(np.concatenate([trips.driver_id, ways.driver_id]))
    days = np.unique(np.concatenate([trips.day, ways.day]))
    means, nums, columns = [], [], []
    for observed, prior in ((trips, _TRIP_PRIOR), (ways, _SPEED_PRIOR)):
        row, day = np.searchsorted(ids, observed.driver_id), np.searchsorted(days, observed.day)
        key, shape = row * len(days) + day, (len(ids), len(days))
        heard = np.clip(observed.residual, -_MAX_RESIDUAL, _MAX_RESIDUAL)
        size = shape[0] * shape[1]
        total = np.bincount(key, heard, size).reshape(shape)
        num = np.bincount(key, minlength=size).reshape(shape).astype(np.float64)
        means.append(total.sum(axis=1) / (num.sum(axis=1) + prior))
        nums.append(num.sum(axis=1))
        own, today = np.searchsorted(ids, trips.driver_id), np.searchsorted(days, trips.day)
        others = num.sum(axis=1)[own] - num[own, today]
        columns += [(total.sum(axis=1)[own] - total[own, today]) / (others + prior), others]
    return DriverEffects(ids, np.stack(means), np.stack(nums)), np.stack(columns)


def recent_columns(driver_id: Wholes, start_ms: Wholes, end_ms: Wholes, residual: Numbers) -> Numbers:
    """Give the last two of ``DRIVER_COLUMNS`` (2, n): what the driver's trips just before left.

    Parameters
    ----------
    driver_id, start_ms, end_ms : (n,) int64
    residual : (n,) float64
        Of a trip that has not ended before another begins, nothing is told to that one.
    """
    out = np.empty((2, len(driver_id)))
    order = np.lexsort((start_ms, driver_id)).astype(np.int64)
    heard = np.clip(residual, -_MAX_RESIDUAL, _MAX_RESIDUAL)
    recent_residuals(order, driver_id, start_ms, end_ms, heard, _KEEP, out[0], out[1])
    return out


class Asked(NamedTuple):
    """Drives whose driver is known, all (n,); coordinates in degrees."""

    driver_id: Wholes
    at_ms: Wholes
    from_lon: Numbers
    from_lat: Numbers
    to_lon: Numbers
    to_lat: Numbers


def moved_columns(city: City, pings: RecordedPings, asked: Asked) -> Numbers:
    """Give ``MOVED_COLUMNS`` (columns, n): what pings strictly before each drive tell of its driver.

    The ping before: how long ago, how far away, whether the car came from ahead; how far it drove in the
    minutes before, and how many pings it sent. All 0 where the driver sent none in the hour before. Pings may
    be in any order.
    """
    if not len(pings):
        return np.zeros((len(MOVED_COLUMNS), len(asked.at_ms)))
    driver_id, at_ms, lon, lat = pings.driver_id, pings.at_ms, pings.lon, pings.lat
    order = order_of(driver_id, at_ms)
    if order is not None:
        driver_id, at_ms, lon, lat = driver_id[order], at_ms[order], lon[order], lat[order]
    x, y = city.projection.to_plane(lon, lat)
    from_x, from_y = city.projection.to_plane(asked.from_lon, asked.from_lat)
    to_x, to_y = city.projection.to_plane(asked.to_lon, asked.to_lat)
    # Before the first ping of all there is nothing to tell, and other drivers' pings must not be met.
    asked = asked._replace(at_ms=np.maximum(asked.at_ms, at_ms.min()))
    key, shift = _keys(driver_id, at_ms, asked)
    end = np.searchsorted(key, shift + asked.at_ms)  # strictly before: pings at the instant itself come after
    last = np.maximum(end - 1, 0)
    begins = {minutes: _since(key, shift, asked.at_ms, minutes, end) for minutes in (5, 15, 60)}
    step_m = np.hypot(np.diff(x), np.diff(y))
    step_m[np.diff(driver_id) != 0] = 0.0
    # Whole parts of a metre: no rounding tells of pings of others, or of later ones.
    parts = np.rint(np.minimum(step_m, _MAX_STEP_M) * _PARTS_OF_M).astype(np.int64)
    driven = np.concatenate([[0], np.cumsum(parts)])
    moved_x, moved_y = from_x - x[last], from_y - y[last]
    moved_m, ahead_x, ahead_y = np.hypot(moved_x, moved_y), to_x - from_x, to_y - from_y
    scale = np.maximum(moved_m * np.hypot(ahead_x, ahead_y), 1.0)
    columns = np.stack(
        [
            np.minimum((asked.at_ms - at_ms[last]) / MS_PER_S, _NO_GAP_S),
            moved_m,
            (moved_x * ahead_x + moved_y * ahead_y) / scale,
            (moved_x * ahead_y - moved_y * ahead_x) / scale,
            moved_x,
            moved_y,
            *(
                np.where(end > begins[m], driven[last] - driven[np.minimum(begins[m], last)], 0) / _PARTS_OF_M
                for m in (5, 15)
            ),
            *(end - begins[minutes] for minutes in (15, 60)),
        ]
    )
    columns[:, end == begins[60]] = 0.0
    return columns


def _keys(driver_id: Wholes, at_ms: Wholes, asked: Asked) -> tuple[Wholes, Wholes]:
    """Give one number for driver and instant, ascending as pings are, and what it adds for drives."""
    start_ms = int(at_ms.min())
    ids, row = np.unique(driver_id, return_inverse=True)
    span_ms = int(max(at_ms.max(), asked.at_ms.max(initial=0)) - start_ms) + 2 * 3_600_000
    found = np.searchsorted(ids, asked.driver_id)
    found = np.where(np.isin(asked.driver_id, ids), found, len(ids))
    key = row * span_ms + (at_ms - start_ms)
    return key, found * span_ms - start_ms


def _since(key: Wholes, shift: Wholes, at_ms: Wholes, minutes: int, end: Wholes) -> Wholes:
    """Give the first ping of the minutes before."""
    first: Wholes = np.minimum(np.searchsorted(key, shift + at_ms - minutes * 60_000), end)
    return first
