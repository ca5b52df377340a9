"""How long streets take by the time of the week, from ways whose durations are known.

The time of an edge in a slot of the week is its free-flow time times

    exp(class + edge + time + cell + time × cell),

where classes are those of roads, cells squares of the city, and times the hours of a weekday, a Saturday and
a Sunday. Each term is a ridge regression towards 0, the edge's towards the mean of its neighbours: where ways
are few, an edge is as slow as the streets that it continues, a cell's hour as slow as that hour everywhere.
Ways may be the steps between pings, which were driven for certain, or the predicted ways of recorded trips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from dispatch.kernels.edge_times import EdgeSeconds, Pulls, TimedWays, pull, way_seconds
from dispatch.limits import check_range, check_whole
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.roads.time_of_day import DAY_KINDS, TimeOfDay
from dispatch.roads.week_slots import slots_of
from dispatch.units import INDEX_DTYPE, MAX_TRAVEL_MS, MS_PER_S

HOURS: Final = 24
NUM_SLOTS: Final = len(DAY_KINDS) * HOURS
MOST_START_S: Final = 600.0
_SLOT_OF_HOUR: Final = np.repeat([0, 0, 0, 0, 0, 1, 2], HOURS) * HOURS + np.tile(np.arange(HOURS), 7)
"""(168,) slot by the hour of the week"""

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class EdgeTimesParams:
    """How edge times are fitted.

    Parameters
    ----------
    rounds : int
        Steps of the fit; 1 to 1000.
    edge_prior : float
        As many edge lengths, driven, as the neighbours' mean counts; above 0.
    slot_prior : float
        The same for an hour in a cell.
    clip : float
        Largest residual that counts in full, of logarithms.
    start_s : float
        Seconds that every way takes beyond its edges.
    cell_m : float
        Side of the cells, in metres.
    """

    rounds: int = 25
    edge_prior: float = 3.0
    slot_prior: float = 10.0
    clip: float = 0.5
    start_s: float = 0.0
    cell_m: float = 2000.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        ranges = {
            "edge_prior": (1e-3, 1e6),
            "slot_prior": (1e-3, 1e6),
            "clip": (0.01, 10.0),
            "start_s": (0.0, MOST_START_S),
            "cell_m": (50.0, 1e6),
        }
        check_whole("rounds", self.rounds, 1, 1000)
        for name, (low, high) in ranges.items():
            check_range(name, getattr(self, name), low, high)


class Ways(NamedTuple):
    """Ways driven; way ``i`` has the entries ``first[i] … first[i + 1] - 1``."""

    first: NDArray[np.int64]
    """(ways + 1,)"""
    edge: NDArray[np.int32]
    """(entries,) rows of the graph's arcs"""
    share: Numbers
    """(entries,) of the arc's length, 0 … 1"""


@dataclass(frozen=True)
class EdgeTimes:
    """How long each edge takes in each slot: hours of a weekday, of a Saturday, of a Sunday."""

    edge_s: Numbers
    """(arcs,) seconds, before the slot's factor"""
    cell: NDArray[np.int32]
    """(arcs,)"""
    slot_factor: Numbers
    """(``NUM_SLOTS``, cells)"""
    evidence: Numbers
    """(arcs,) how many times each edge was driven, whole; 0: only its neighbours tell"""

    def __post_init__(self) -> None:
        """Keep the arrays as kernels read them: those are called without a look at types."""
        for name, kind in (("edge_s", np.float64), ("cell", INDEX_DTYPE), ("slot_factor", np.float64)):
            object.__setattr__(self, name, np.require(getattr(self, name), kind, ["C", "W"]))

    @classmethod
    def free_flow(cls, graph: RoadGraph) -> EdgeTimes:
        """Give the times where nothing is known: free flow, at all hours."""
        edge_s = graph.free_flow_ms() / float(MS_PER_S)
        return cls(
            edge_s,
            np.zeros(graph.num_arcs, INDEX_DTYPE),
            np.ones((NUM_SLOTS, 1)),
            np.zeros(graph.num_arcs),
        )

    @property
    def seconds(self) -> EdgeSeconds:
        """The arrays, as kernels take them."""
        return EdgeSeconds(self.edge_s, self.cell, self.slot_factor)

    def slot_s(self, slot: int) -> Numbers:
        """Give the seconds of each arc (arcs,) in a slot."""
        seconds: Numbers = self.edge_s * self.slot_factor[slot][self.cell]
        return seconds

    def ways_s(self, ways: Ways, slot: NDArray[np.int32]) -> Numbers:
        """Give the seconds of ways (n,) driven in slots (n,)."""
        out_s = np.empty(len(slot))
        way_seconds(*ways, np.ones(len(slot)), slot, self.seconds, out_s)
        return out_s

    def travel_ms(self, slot: int) -> NDArray[np.int32]:
        """Give the travel time of each arc (arcs,) in a slot, at least 1 ms."""
        return _as_ms(self.slot_s(slot))

    def usual_ms(self) -> NDArray[np.int32]:
        """Give travel times (arcs,) of an ordinary hour, the geometric mean of all slots; at least 1 ms."""
        usual = np.exp(np.log(self.slot_factor).mean(axis=0))
        return _as_ms(self.edge_s * usual[self.cell])

    def time_of_day(self) -> TimeOfDay:
        """Give the travel times of all slots, for :class:`dispatch.roads.time_of_day.MetricsByTime`."""
        kind = np.repeat(np.arange(len(DAY_KINDS), dtype=np.int8), HOURS)
        start_min = np.tile(np.arange(HOURS, dtype=np.int32) * 60, len(DAY_KINDS))
        return TimeOfDay(kind, start_min, np.stack([self.travel_ms(slot) for slot in range(NUM_SLOTS)]))


def _as_ms(seconds: Numbers) -> NDArray[np.int32]:
    travel_ms: NDArray[np.int32] = np.clip(np.rint(seconds * MS_PER_S), 1, MAX_TRAVEL_MS).astype(np.int32)
    return travel_ms


def week_slot(at_ms: ArrayLike, timezone: str) -> NDArray[np.int32]:
    """Give the slot (n,) of instants (n,), milliseconds since the epoch: ``0 … NUM_SLOTS - 1``."""
    return _SLOT_OF_HOUR[slots_of(at_ms, timezone)].astype(INDEX_DTYPE)


def fit_edge_times(
    city: City,
    ways: Ways,
    duration_s: Numbers,
    slot: NDArray[np.int32],
    params: EdgeTimesParams | None = None,
    weight: Numbers | None = None,
) -> tuple[EdgeTimes, Numbers]:
    """Fit how long edges take on ways driven.

    Parameters
    ----------
    city : City
    ways : Ways
    duration_s : (ways,) float64
        Positive.
    slot : (ways,) int32
        See :func:`week_slot`.
    params : EdgeTimesParams, optional
    weight : (ways,) float64, optional
        0 leaves a way out of the fit; by default all count alike.

    Returns
    -------
    times : EdgeTimes
    residual : (ways,) float64
        Logarithm of the duration over the time fitted, also of ways without weight.

    Notes
    -----
    A damped quasi-Newton iteration on the logarithms of times, like the updates of tomography.
    ``rounds`` passes over the entries: 11 million entries take 0.3 s a round.
    """
    params, graph = params or EdgeTimesParams(), city.graph
    num_ways = len(duration_s)
    weight = np.ones(num_ways) if weight is None else np.ascontiguousarray(weight, np.float64)
    timed = TimedWays(*ways, np.ascontiguousarray(duration_s, np.float64), slot, weight)
    fit = _Fit(city, params)
    residual = np.empty(num_ways)
    for _ in range(params.rounds):
        fit.step(timed, residual)
    pulls = fit.pulls(timed, residual)
    seconds = fit.seconds()
    times = EdgeTimes(seconds.edge_s, seconds.cell, seconds.slot_factor, pulls.edge_weight)
    return (times if num_ways else EdgeTimes.free_flow(graph)), residual


class _Fit:
    """The terms of the logarithm, and their steps."""

    def __init__(self, city: City, params: EdgeTimesParams) -> None:
        graph = city.graph
        self.params, self.road_class = params, graph.road_class
        self.free_s = graph.free_flow_ms() / float(MS_PER_S)
        self.cell = cells_of(city, params.cell_m)
        self.num_cells = int(self.cell.max(initial=0)) + 1
        self.neighbours = _neighbours(graph)
        self.of_class, self.of_edge = np.zeros(len(ROAD_CLASSES)), np.zeros(graph.num_arcs)
        self.of_slot, self.of_cell = np.zeros((NUM_SLOTS, 1)), np.zeros((1, self.num_cells))
        self.of_both = np.zeros((NUM_SLOTS, self.num_cells))

    def seconds(self) -> EdgeSeconds:
        edge_s = self.free_s * np.exp(self.of_class[self.road_class] + self.of_edge)
        return EdgeSeconds(edge_s, self.cell, np.exp(self.of_slot + self.of_cell + self.of_both))

    def pulls(self, ways: TimedWays, out_residual: Numbers) -> Pulls:
        num_arcs, shape = len(self.free_s), (NUM_SLOTS, self.num_cells)
        pulls = Pulls(np.zeros(num_arcs), np.zeros(num_arcs), np.zeros(shape), np.zeros(shape))
        pull(ways, self.seconds(), self.params.start_s, self.params.clip, pulls, out_residual)
        return pulls

    def step(self, ways: TimedWays, out_residual: Numbers) -> None:
        """Move every term towards what ways say, edges and slots by half each: they share one residual."""
        pulls, damping = self.pulls(ways, out_residual), 0.7
        edge, edge_weight = pulls.edge, pulls.edge_weight
        num_classes = len(ROAD_CLASSES)
        heard, trust = (np.bincount(self.road_class, part, num_classes) for part in (edge, edge_weight))
        moved = damping * (heard - self.of_class) / (trust + 1.0)
        self.of_class += moved
        edge = edge - edge_weight * moved[self.road_class]
        prior = self.params.edge_prior
        around = self.neighbours @ (edge_weight * self.of_edge) / (self.neighbours @ edge_weight + prior)
        self.of_edge += damping * (edge - prior * (self.of_edge - around)) / (edge_weight + prior)

        slot, slot_weight, prior = pulls.slot, pulls.slot_weight, self.params.slot_prior
        for axis, term in ((1, self.of_slot), (0, self.of_cell)):
            heard, trust = (part.sum(axis=axis, keepdims=True) for part in (slot, slot_weight))
            moved = damping * (heard - prior * term) / (trust + prior)
            term += moved
            slot = slot - slot_weight * moved
        self.of_both += damping * (slot - prior * self.of_both) / (slot_weight + prior)


def cells_of(city: City, cell_m: float) -> NDArray[np.int32]:
    """Number the squares of the city in which the middles of arcs (arcs,) lie, those in use only."""
    graph = city.graph
    x, y = city.projection.to_plane(graph.node_lon, graph.node_lat)
    column, row = (np.floor((at[graph.tail] + at[graph.head]) / 2 / cell_m) for at in (x, y))
    _, cell = np.unique(np.stack([column, row]), axis=1, return_inverse=True)
    return cell.ravel().astype(INDEX_DTYPE)


def _neighbours(graph: RoadGraph) -> sparse.csr_array:
    """Tell which arcs (arcs, arcs) of the same class continue each other; no street is its own way back."""
    num_in = np.bincount(graph.tail, minlength=graph.num_nodes)[graph.head]
    before = np.repeat(np.arange(graph.num_arcs), num_in)
    first = np.cumsum(num_in) - num_in
    after = np.arange(len(before)) - np.repeat(first, num_in) + graph.first_arc[graph.head][before]
    joined = (graph.road_class[before] == graph.road_class[after]) & (graph.twin[before] != after)
    joined &= before != after
    before, after = before[joined], after[joined]
    ones = np.ones(2 * len(before))
    rows, columns = np.concatenate([before, after]), np.concatenate([after, before])
    return sparse.csr_array((ones, (rows, columns)), shape=(graph.num_arcs, graph.num_arcs))
