"""What a model is told of a trip: everything that is known before it sets out, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.eta.driven_ways import DrivenWays
from dispatch.eta.driver_history import DRIVER_COLUMNS, MOVED_COLUMNS, Asked, moved_columns
from dispatch.eta.edge_times import EdgeTimes, week_slot
from dispatch.eta.ground import ROUTE_COLUMNS, Ground, drives_at
from dispatch.eta.live import LIVE_COLUMNS, LiveParams, LiveQueries, LiveTraffic
from dispatch.eta.pair_effects import PAIR_COLUMNS
from dispatch.eta.trip_set import TripSet
from dispatch.kernels.eta_predict import AIR_M, LEAST_S, NO_WAY_M_PER_S, PROBES_S, TRIPS_S
from dispatch.kernels.route_features import Drives
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.travel_times import check_nodes

COLUMNS: Final = (*ROUTE_COLUMNS, *PAIR_COLUMNS, *LIVE_COLUMNS, *DRIVER_COLUMNS, *MOVED_COLUMNS)
"""The features of a model, in order"""
OF_DRIVER: Final = tuple(
    COLUMNS.index(name) for name in (*LIVE_COLUMNS[-2:], *DRIVER_COLUMNS, *MOVED_COLUMNS)
)
"""Columns that hang on who drives; 0 where that is not known"""
GROUPS: Final = {
    "route": ROUTE_COLUMNS,
    "similar trips": PAIR_COLUMNS,
    "live traffic": LIVE_COLUMNS,
    "driver": (*DRIVER_COLUMNS, *MOVED_COLUMNS),
}
"""Columns by what they tell of"""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Routed:
    """Trips and the ways that they are expected to take."""

    drives: Drives
    first: NDArray[np.int64]
    """(n + 1,)"""
    edge: NDArray[np.int32]
    """(entries,) the way of trip ``i`` is ``edge[first[i]] … edge[first[i + 1] - 1]``"""

    @classmethod
    def of(cls, ground: Ground, trips: TripSet) -> Routed:
        """Find the ways of trips; :class:`InputError` where they are of a larger network."""
        num_nodes = ground.city.graph.num_nodes
        check_nodes("pickup_node", trips.from_node, num_nodes)
        check_nodes("dropoff_node", trips.to_node, num_nodes)
        drives = drives_at(ground.city, trips.ends, (trips.from_node, trips.to_node), trips.at_ms)
        return cls(drives, *ground.routes(drives.from_node, drives.to_node))

    @property
    def has_way(self) -> NDArray[np.bool_]:
        """(n,) whether a road leads from one end to the other."""
        found: NDArray[np.bool_] = self.drives.from_node == self.drives.to_node
        return found | (np.diff(self.first) > 0)

    def sums(self, entries: Numbers) -> Numbers:
        """Give the sums (n,) over the ways of what is told of each edge (entries,)."""
        padded, begins = np.append(entries, 0.0), np.minimum(self.first[:-1], len(self.edge))
        sums: Numbers = np.add.reduceat(padded, begins) * (np.diff(self.first) > 0)
        return sums

    def entries_s(self, times: EdgeTimes) -> Numbers:
        """Give the seconds of each edge of all ways (entries,)."""
        slot = np.repeat(self.drives.slot, np.diff(self.first))
        seconds: Numbers = times.edge_s[self.edge] * times.slot_factor[slot, times.cell[self.edge]]
        return seconds


def base_s(start_s: float, way_s: Numbers, air_m: Numbers, has_way: NDArray[np.bool_]) -> Numbers:
    """Give what trips (n,) are predicted to take by their streets alone; what forests tell is its ratio."""
    return np.maximum(start_s + np.where(has_way, way_s, air_m / NO_WAY_M_PER_S), LEAST_S)


def bases(ground: Ground, routed: Routed, route_columns: NDArray[np.float32]) -> tuple[Numbers, Numbers]:
    """Give :func:`base_s` (n,) by trips and by pings, of ``ROUTE_COLUMNS`` (columns, n)."""
    air_m = route_columns[AIR_M].astype(np.float64)
    by_trips, by_probes = (
        base_s(ground.start_s, route_columns[row].astype(np.float64), air_m, routed.has_way)
        for row in (TRIPS_S, PROBES_S)
    )
    return by_trips, by_probes


def ways_usual_s(city: City, ways: DrivenWays, probes: EdgeTimes) -> Numbers:
    """Give the usual seconds of each part (entries,) of ways driven, at their time of the week."""
    slot = np.repeat(week_slot(ways.ended_at_ms, city.timezone), np.diff(ways.first))
    usual_s: Numbers = (
        ways.share * probes.edge_s[ways.edge] * probes.slot_factor[slot, probes.cell[ways.edge]]
    )
    return usual_s


class Usual(NamedTuple):
    """What is usual, by pings: the seconds of each part of ways driven, and of each edge of trips' ways."""

    ways_s: Numbers
    """(entries of ways,)"""
    routes_s: Numbers
    """(entries of routes,)"""


def usual_of(city: City, ways: DrivenWays | None, routed: Routed, probes: EdgeTimes) -> Usual:
    """Give what edge times say of ways and of trips."""
    ways_s = np.empty(0) if ways is None else ways_usual_s(city, ways, probes)
    return Usual(ways_s, routed.entries_s(probes))


def live_columns(
    city: City, params: LiveParams, ways: DrivenWays | None, trips: TripSet, routed: Routed, usual: Usual
) -> NDArray[np.float32]:
    """Give ``LIVE_COLUMNS`` (columns, n) of trips, from the ways that had ended before each set out."""
    if ways is None:
        return np.zeros((len(LIVE_COLUMNS), len(trips.at_ms)), np.float32)
    queries = LiveQueries(trips.at_ms, routed.first, routed.edge, usual.routes_s, trips.driver_id)
    known = LiveTraffic(city, params).replay(ways, usual.ways_s, queries)
    return np.ascontiguousarray(known.T)


def split_live(live: NDArray[np.float32], live_range: tuple[float, float]) -> Numbers:
    """Leave ``LIVE_COLUMNS`` (columns, n), in place, what forests know; give the factors (n,) beyond it."""
    route = live[LIVE_COLUMNS.index("live_route")]
    known = np.clip(route, np.float32(live_range[0]), np.float32(live_range[1]))
    beyond: Numbers = np.exp((route - known).astype(np.float64))
    route[:] = known
    return beyond


def moved_of(city: City, pings: RecordedPings | None, trips: TripSet) -> Numbers:
    """Give ``MOVED_COLUMNS`` (columns, n) of trips."""
    if pings is None:
        return np.zeros((len(MOVED_COLUMNS), len(trips.at_ms)))
    return moved_columns(city, pings, Asked(trips.driver_id, trips.at_ms, *trips.ends))


def hide_drivers(features: NDArray[np.float32], hidden: NDArray[np.bool_]) -> None:
    """Forget, in place, what features (n, ``COLUMNS``) of `hidden` trips (n,) tell of who drives."""
    features[np.ix_(np.flatnonzero(hidden), np.array(OF_DRIVER))] = 0.0


def stacked(*columns: NDArray[np.floating]) -> NDArray[np.float32]:
    """Give features (n, ``COLUMNS``) of groups of columns (columns, n), in their order."""
    return np.ascontiguousarray(np.concatenate([part.astype(np.float32) for part in columns]).T)
