"""Drives to predict, and the ways that they are expected to take: what is known before they set out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.eta.edge_times import EdgeTimes, week_slot
from dispatch.eta.pair_effects import LEVELS, PairEffects
from dispatch.kernels import eta_predict, route_features as kernels
from dispatch.kernels.jit import direct
from dispatch.kernels.pair_effects import Ends
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.metric import Metric
from dispatch.roads.time_of_day import MINUTES_PER_DAY
from dispatch.roads.week_slots import slots_of
from dispatch.units import INDEX_DTYPE, MS_PER_S, NO_INDEX

ROUTE_COLUMNS: Final = (
    *("from_x_m", "from_y_m", "to_x_m", "to_y_m", "air_m", "hour", "weekday", "free_flow_s", "route_km"),
    *(f"{name}_km" for name in ROAD_CLASSES),
    *("left_turns", "right_turns", "edges", "to_first_node_m", "from_last_node_m", "probes_s", "trips_s"),
)
"""What :func:`dispatch.kernels.route_features.write_route_columns` writes."""
_PARTS_OF_DAY: Final = 6
_PAIRS_AT_A_TIME: Final = 20_000
_COUNT: Final = direct("route_features.count_route_edges")
_LAY: Final = direct("route_features.lay_route_edges")

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Ground:
    """A city's streets, and how long they take."""

    city: City
    probes: EdgeTimes
    """By the ways driven between pings; free flow where there were none"""
    trips: EdgeTimes
    """By recorded trips"""
    start_s: float
    """What every trip takes beyond its way"""
    live_range: tuple[float, float] = (0.0, 0.0)
    """Logarithms of a route's live factor that forests know; what is beyond multiplies times as it is"""

    @cached_property
    def metric(self) -> Metric:
        """Travel times of an ordinary hour, by which ways are found."""
        return self.city.network.customize(self.probes.usual_ms())

    @cached_property
    def has_table(self) -> bool:
        """Whether ways are looked up in a table of all pairs."""
        return AllPairsTimes.suits(self.city.graph)

    @cached_property
    def streets(self) -> kernels.Streets:
        """What is fixed of streets, as kernels take it."""
        graph = self.city.graph
        x, y = self.city.projection.to_plane(graph.node_lon, graph.node_lat)
        bearing = np.arctan2(y[graph.head] - y[graph.tail], x[graph.head] - x[graph.tail])
        return kernels.Streets(
            np.require(x, np.float64, ["C", "W"]),
            np.require(y, np.float64, ["C", "W"]),
            graph.free_flow_ms() / float(MS_PER_S),
            np.require(graph.length_m, np.float64, ["C", "W"]),
            np.require(graph.road_class, np.int8, ["C", "W"]),
            bearing.astype(np.float32),
        )

    def routes(
        self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Give the edges of the way of each pair of nodes (n,), as sparse rows; none without a way.

        Nodes are taken as valid: int32, contiguous.
        """
        if self.has_table:
            table, first = self.metric.all_pairs.table, np.empty(len(from_node) + 1, np.int64)
            _COUNT.call(table, from_node, to_node, first)
            edge = np.empty(int(first[-1]), INDEX_DTYPE)
            _LAY.call(table, from_node, to_node, first, edge)
            return first, edge
        # In parts: ways are told with times and metres, which take five times the memory of their edges.
        first, edges = np.zeros(len(from_node) + 1, np.int64), [np.empty(0, INDEX_DTYPE)]
        for begin in range(0, len(from_node), _PAIRS_AT_A_TIME):
            end = begin + _PAIRS_AT_A_TIME
            paths = self.metric.paths(from_node[begin:end], to_node[begin:end])
            is_edge = paths.edge != NO_INDEX
            before = np.concatenate([[0], np.cumsum(is_edge)])
            first[begin + 1 : end + 1] = first[begin] + before[paths.first[1:]]
            edges.append(paths.edge[is_edge])
        return first, np.concatenate(edges)

    def ground_of(self, effects: PairEffects) -> eta_predict.Ground:
        """Give all of it, as kernels take it."""
        return eta_predict.Ground(
            self.streets,
            self.probes.seconds,
            self.trips.seconds,
            LEVELS,
            effects.table,
            float(self.start_s),
            *self.live_range,
        )

    def route_columns(
        self, drives: kernels.Drives, first: NDArray[np.int64], edge: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Give ``ROUTE_COLUMNS`` of drives (n,): (columns, n)."""
        out = np.empty((len(ROUTE_COLUMNS), len(drives.slot)), np.float32)
        probes, trips = self.probes.seconds, self.trips.seconds
        kernels.write_route_columns(drives, first, edge, self.streets, probes, trips, out)
        return out


def drives_at(
    city: City,
    ends: tuple[Numbers, Numbers, Numbers, Numbers],
    nodes: tuple[NDArray[np.int32], NDArray[np.int32]],
    at_ms: ArrayLike,
) -> kernels.Drives:
    """Give drives as kernels take them.

    Parameters
    ----------
    city : City
    ends : four of (n,) float64
        From and to, longitude and latitude, degrees.
    nodes : two of (n,) int32
        From and to.
    at_ms : (n,) int64
        When they set out.
    """
    from_x, from_y = city.projection.to_plane(ends[0], ends[1])
    to_x, to_y = city.projection.to_plane(ends[2], ends[3])
    minute = slots_of(at_ms, city.timezone, 1)
    return kernels.Drives(
        np.require(from_x, np.float64, ["C", "W"]),
        np.require(from_y, np.float64, ["C", "W"]),
        np.require(to_x, np.float64, ["C", "W"]),
        np.require(to_y, np.float64, ["C", "W"]),
        np.require(nodes[0], INDEX_DTYPE, ["C", "W"]),
        np.require(nodes[1], INDEX_DTYPE, ["C", "W"]),
        minute.astype(INDEX_DTYPE),
        week_slot(at_ms, city.timezone),
        part_of_week(minute).astype(INDEX_DTYPE),
    )


def part_of_week(minute: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the part (n,) of minutes of the week (n,): four hours of a weekday, or of the weekend."""
    day, within = np.divmod(minute, MINUTES_PER_DAY)
    part: NDArray[np.int64] = (day >= 5) * _PARTS_OF_DAY + within * _PARTS_OF_DAY // MINUTES_PER_DAY
    return part


def ends_of(drives: kernels.Drives) -> Ends:
    """Give drives as pair effects take them."""
    return Ends(drives.from_x, drives.from_y, drives.to_x, drives.to_y, drives.part)
