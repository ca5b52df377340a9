"""The streets of a simulated day: one source of travel times for the engine and for its drivers."""

from __future__ import annotations

from typing import Final

import numpy as np

from dispatch.kernels.all_pairs import AllPairs
from dispatch.kernels.sim_state import Streets
from dispatch.kernels.unpacking import Shortcuts
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.metric import Metric
from dispatch.roads.pace import WHOLE, PacedTimes, PaceOfDay
from dispatch.roads.spread_times import SpreadByTime, SpreadTimes
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import PathFinder, TravelTimes
from dispatch.sim.traffic import TrafficModel
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MS_PER_S

LEVELS: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Levels at which quantiles of travel times are told to the engine."""
_MS_PER_MIN: Final = 60 * MS_PER_S


class DayStreets:
    """Travel times of a day.

    Parameters
    ----------
    base : PathFinder or ByTime[PathFinder]
        Free-flow travel times, or those of each instant; metrics.
    traffic : TrafficModel
    week_offset_ms : int
        Added to an instant: time since Monday 0:00, local.
    """

    def __init__(
        self, base: PathFinder | ByTime[PathFinder], traffic: TrafficModel, week_offset_ms: int
    ) -> None:
        self._traffic = traffic
        self._by_time = base if isinstance(base, ByTime) else None
        metric = None if isinstance(base, ByTime) else base
        self.base: PathFinder | ByTime[PathFinder] = base
        """as given, or as a table of all pairs where the network is small"""
        if isinstance(metric, Metric) and AllPairsTimes.suits(metric.network.graph):
            self.base = metric.all_pairs
        self.engine_times = self._paced(traffic, week_offset_ms)
        """what the engine predicts with"""
        self.changes = self._by_time is not None
        """whether streets differ with time"""
        self._latest: tuple[object, Streets] | None = None

    def _paced(self, traffic: TrafficModel, week_offset_ms: int) -> PathFinder | ByTime[PathFinder]:
        if not isinstance(self.base, Metric | AllPairsTimes) or bool((traffic.factor == 1).all()):
            return self.base
        permille = np.rint(traffic.factor * WHOLE).astype(np.int64)
        return PaceOfDay(self.base, permille, traffic.slot_min * _MS_PER_MIN, -week_offset_ms)

    def uncertain_times(self) -> SpreadTimes | SpreadByTime:
        """Give what the engine predicts with, and how sure that is: by the noise of true times."""
        times = self.engine_times
        return SpreadByTime(times, self._spread) if isinstance(times, ByTime) else self._spread(times)

    def _spread(self, times: TravelTimes) -> SpreadTimes:
        """Spread travel times by the traffic's noise, whose bins are told in free-flow times."""
        pace = times.permille / WHOLE if isinstance(times, PacedTimes) else 1.0
        edge_ms = np.rint(self._traffic.length_edge_ms * pace).astype(np.int64)
        return SpreadTimes(times, LEVELS, self._traffic.ratios(LEVELS), edge_ms)

    def at(self, at_ms: int) -> Streets:
        """Give the streets in force at an instant, as kernels drive on them."""
        times = self.base if self._by_time is None else self._by_time.at(at_ms)
        if self._latest is None or self._latest[0] is not times:
            self._latest = (
                times,
                _by_table(times) if isinstance(times, AllPairsTimes) else _by_hierarchy(times),
            )
        return self._latest[1]


def _by_hierarchy(times: object) -> Streets:
    if not isinstance(times, Metric):
        raise TypeError(f"drivers need a Metric to find their ways, not a {type(times).__name__}")
    nodes = np.arange(times.num_nodes, dtype=INDEX_DTYPE)
    graph = times.network.graph
    nothing = AllPairs(
        np.empty((0, 0), DURATION_DTYPE),
        np.empty((0, 0), np.uint8),
        np.empty(0, INDEX_DTYPE),
        np.empty(0, INDEX_DTYPE),
        np.empty(0, INDEX_DTYPE),
        np.empty(0, DURATION_DTYPE),
        np.empty(0),
    )
    return Streets(
        nothing,
        times.shortcuts,
        times.ends(nodes, True),
        times.ends(nodes, False),
        np.require(graph.head, INDEX_DTYPE, ["C", "W"]),
        np.require(graph.length_m, np.float64, ["C", "W"]),
    )


def _by_table(times: AllPairsTimes) -> Streets:
    few = np.zeros(1, INDEX_DTYPE)
    metric = times.metric
    nothing: Shortcuts = metric.shortcuts
    ends = metric.ends(few, True)
    return Streets(times.table, nothing, ends, ends, times.table.head, times.table.length_m)
