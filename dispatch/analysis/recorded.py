"""What recorded traces of real drivers say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dispatch.errors import InputError
from dispatch.kernels.geo import haversine_m
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.units import MS_PER_S, NO_INDEX

MAX_GAP_MS: Final = 300 * MS_PER_S
"""Between pings farther apart the driver may have been anywhere."""
MAX_NODE_DISTANCE_M: Final = 200.0
"""Pings farther from every node are outliers, or out of the city."""
_M_PER_KM: Final = 1000.0


@dataclass(frozen=True)
class EmptyDriving:
    """How much real drivers drove with nobody aboard."""

    share: float | None
    """Empty kilometres / all kilometres, None where nobody drove"""
    empty_km: float
    total_km: float
    num_pairs: int
    """Pairs of consecutive pings that it rests on"""


def empty_km_share_recorded(pings: RecordedPings, city: City) -> EmptyDriving:
    """Measure empty driving in recorded pings, as the crow flies from ping to ping.

    A pair of consecutive pings of one driver counts where they lie at most 300 s apart and both within
    200 m of a node of `city`; it is empty where its first ping is. It counts cruising for customers and
    driving home as well as the way to a pickup.

    Parameters
    ----------
    pings : RecordedPings
        Sorted by driver, then time.
    city : City

    Returns
    -------
    EmptyDriving

    Raises
    ------
    InputError
        The pings are not sorted.
    """
    same_driver = pings.driver_id[1:] == pings.driver_id[:-1]
    gap_ms = np.diff(pings.at_ms)
    unsorted = np.flatnonzero((np.diff(pings.driver_id) < 0) | (same_driver & (gap_ms < 0)))
    if len(unsorted):
        row = unsorted[0] + 1
        raise InputError(
            f"pings: row {row} (driver_id {pings.driver_id[row]}, at_ms {pings.at_ms[row]}) belongs before "
            f"row {row - 1}: sort them by driver_id, then at_ms"
        )
    node, _ = city.snap(pings.lon, pings.lat, MAX_NODE_DISTANCE_M)
    near = node != NO_INDEX
    first = np.flatnonzero(same_driver & (gap_ms <= MAX_GAP_MS) & near[1:] & near[:-1])
    step_m = np.empty(len(first))
    haversine_m(pings.lon[first], pings.lat[first], pings.lon[first + 1], pings.lat[first + 1], step_m)
    total_km = float(step_m.sum()) / _M_PER_KM
    empty_km = float(step_m[~pings.occupied[first]].sum()) / _M_PER_KM
    return EmptyDriving(empty_km / total_km if total_km > 0 else None, empty_km, total_km, len(first))
