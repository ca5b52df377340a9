"""What the real drivers' trips cost in empty kilometres: the fair baseline of a simulated fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.city import City
from dispatch.roads.metric import Metric
from dispatch.roads.travel_times import PathFinder
from dispatch.roads.trips import RecordedTrips
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S, NO_INDEX

MAX_BREAK_MS: Final = 2 * 3600 * MS_PER_S
"""A taxi that drops off and picks up nobody for longer has had a break: it may have gone home meanwhile."""
_M_PER_KM: Final = 1000.0
_STEPS_PER_M: Final = 10


@dataclass(frozen=True)
class RealChain:
    """Each taxi's trips in their real order, joined by shortest paths, without any cruising."""

    share: float | None
    """Empty kilometres / all kilometres, None where nobody drove"""
    empty_km: float
    total_km: float
    num_trips: int
    """Trips with both ends in the city and a known taxi"""
    num_links: int
    """Pairs of trips that a taxi drove one after the other"""
    num_breaks: int
    """Pairs that were farther apart than :data:`MAX_BREAK_MS`, which count nothing"""


def by_metres(city: City) -> Metric:
    """Give the metric whose best paths are the shortest, to a decimetre an arc; its times mean nothing."""
    length = np.rint(city.graph.length_m * _STEPS_PER_M)
    return city.network.customize(np.clip(length, 1, MAX_TRAVEL_MS).astype(np.int32))


def path_metres(
    travel: PathFinder, from_node: NDArray[np.int32], to_node: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Measure the path of each pair (n,), metres; 0 where no path joins it."""
    paths = travel.paths(from_node, to_node)
    metres = np.zeros(len(from_node))
    found = np.flatnonzero(np.diff(paths.first))
    metres[found] = paths.at_m[paths.first[found + 1] - 1]
    return metres


def real_chain(trips: RecordedTrips, travel: PathFinder) -> RealChain:
    """Join each taxi's trips of a day, in their real order, by the paths of `travel`.

    Trips with an end outside the city, or without a taxi, are left out; their neighbours are then joined.
    From a drop-off a taxi drives to its next pickup unless that is more than two hours later. There is no
    way to the first pickup of the day or after such a break, and none home.

    Parameters
    ----------
    trips : RecordedTrips
        Of one day.
    travel : PathFinder
        Its paths count in metres: those of :func:`by_metres` are the shortest, the quickest are 1 to 10 %
        longer.
    """
    usable = (trips.pickup_node != NO_INDEX) & (trips.dropoff_node != NO_INDEX) & (trips.driver_id >= 0)
    trips = trips.select(usable)
    trips = trips.select(np.lexsort((trips.requested_at_ms, trips.driver_id)))
    end_at_ms = trips.requested_at_ms + np.maximum(trips.duration_s, 0).astype(np.int64) * MS_PER_S
    same_taxi = trips.driver_id[1:] == trips.driver_id[:-1]
    soon = trips.requested_at_ms[1:] - end_at_ms[:-1] <= MAX_BREAK_MS
    link = np.flatnonzero(same_taxi & soon)
    trip_m = path_metres(travel, trips.pickup_node, trips.dropoff_node)
    empty_m = path_metres(travel, trips.dropoff_node[link], trips.pickup_node[link + 1])
    empty_km = float(empty_m.sum()) / _M_PER_KM
    total_km = empty_km + float(trip_m.sum()) / _M_PER_KM
    return RealChain(
        empty_km / total_km if total_km > 0 else None,
        empty_km,
        total_km,
        len(trips),
        len(link),
        int(np.count_nonzero(same_taxi & ~soon)),
    )
