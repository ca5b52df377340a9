"""Recorded trips from which travel times can be learnt, or on which they can be measured."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.tables import Dropped
from dispatch.roads.trips import RecordedTrips
from dispatch.units import MS_PER_S, NO_INDEX

MAX_DURATION_S: Final = 3 * 3600
"""What lasted longer was not one drive."""


Ends = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""From and to, longitude and latitude, (n,) degrees each"""


class TripSet(NamedTuple):
    """Trips with both ends on the network and a known duration; all arrays are (n,)."""

    row: NDArray[np.int64]
    """of the trips that these were taken from"""
    at_ms: NDArray[np.int64]
    """when each set out, milliseconds since the epoch"""
    duration_s: NDArray[np.float64]
    from_lon: NDArray[np.float64]
    from_lat: NDArray[np.float64]
    to_lon: NDArray[np.float64]
    to_lat: NDArray[np.float64]
    from_node: NDArray[np.int32]
    to_node: NDArray[np.int32]
    driver_id: NDArray[np.int64]
    """negative where it is not known"""

    @property
    def end_ms(self) -> NDArray[np.int64]:
        """(n,) when each ended."""
        return self.at_ms + np.rint(self.duration_s * MS_PER_S).astype(np.int64)

    @property
    def ends(self) -> Ends:
        """From and to."""
        return self.from_lon, self.from_lat, self.to_lon, self.to_lat

    def take(self, rows: NDArray[np.integer]) -> TripSet:
        """Give some of the trips, in the order of `rows` (n,)."""
        return TripSet(*(column[rows] for column in self))


def trip_set(trips: RecordedTrips) -> tuple[TripSet, tuple[Dropped, ...]]:
    """Find trips that tell how long a drive took; others are counted, by the first reason that holds."""
    keep, drops = np.ones(len(trips), np.bool_), []
    off = (trips.pickup_node == NO_INDEX) | (trips.dropoff_node == NO_INDEX)
    for why, wrong in (
        ("trips without a duration", trips.duration_s <= 0),
        (f"trips longer than {MAX_DURATION_S // 3600} hours", trips.duration_s > MAX_DURATION_S),
        ("trips with an end off the network", off),
    ):
        count = int(np.count_nonzero(keep & wrong))
        if count:
            drops.append(Dropped(why, count, "trips"))
        keep &= ~wrong
    row = np.flatnonzero(keep)
    found = TripSet(
        row,
        trips.requested_at_ms[row],
        trips.duration_s[row].astype(np.float64),
        trips.pickup_lon[row],
        trips.pickup_lat[row],
        trips.dropoff_lon[row],
        trips.dropoff_lat[row],
        trips.pickup_node[row],
        trips.dropoff_node[row],
        trips.driver_id[row],
    )
    return found, tuple(drops)
