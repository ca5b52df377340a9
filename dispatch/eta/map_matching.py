"""GPS pings on the streets of a city, and the ways that were driven between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels import map_matching as kernels, matched_ways, near_edges
from dispatch.kernels.all_pairs import AllPairs
from dispatch.kernels.grid import Points
from dispatch.kernels.labels import Ends, pair_times
from dispatch.kernels.unpacking import find_paths
from dispatch.limits import check_range, check_whole
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.city import City
from dispatch.roads.metric import Metric
from dispatch.roads.pings import RecordedPings, order_of
from dispatch.roads.road_network import RoadNetwork
from dispatch.roads.snapping import as_lonlat
from dispatch.roads.tables import END_OF_TIMES_MS, Dropped, impossible_times
from dispatch.roads.turns import members
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MS_PER_S, NO_INDEX, UNREACHABLE_MS

MATCHED: Final = kernels.MATCHED
STANDING: Final = kernels.STANDING
OFF_MAP: Final = kernels.OFF_MAP
TELEPORTING: Final = kernels.TELEPORTING
FROZEN: Final = kernels.FROZEN
SAME_INSTANT: Final = kernels.SAME_INSTANT

WHY_NOT: Final = {
    OFF_MAP: "pings with no street nearby",
    TELEPORTING: "pings too far away for the time since the one before",
    FROZEN: "pings of a position that stood still while the car drove on",
    SAME_INSTANT: "pings of the same driver and instant as another",
}
"""Why a ping is not matched, by its state"""

_PINGS_AT_A_TIME: Final = 1 << 15
_SPARE_S: Final = 10.0
"""Errors of both positions make a way longer than it was by about so much"""
_RANGES: Final = {
    "noise_m": (0.1, 500.0),
    "radius_m": (1.0, 2_000.0),
    "max_candidates": (1, 64),
    "max_kph": (10.0, 1_000.0),
    "max_gap_s": (1.0, 86_400.0),
    "still_m": (0.0, 500.0),
    "scale_s": (0.1, 10_000.0),
    "late_scale_s": (0.1, 10_000.0),
    "max_haste": (0.1, 1_000.0),
    "turn_back_s": (0.0, 10_000.0),
    "roll_back_m": (0.0, 1_000.0),
    "time_share": (0.0, 1.0),
}


@dataclass(frozen=True)
class MatchingParams:
    """What map matching believes of positions and of drivers.

    Raises
    ------
    InputError
        A value is out of its range.
    """

    noise_m: float = 20.0
    """Standard deviation of positions along each axis"""
    radius_m: float = 70.0
    """Streets farther away are not considered"""
    max_candidates: int = 32
    """Streets that are considered of one position, the nearest ones. Where curves are many short arcs, as in
    imports of OpenStreetMap, fewer leave out the true one: F1 with 10, 16, 24, 32: .91, .96, .977, .981"""
    max_kph: float = 160.0
    """Who moves faster by air is a mistake"""
    max_gap_s: float = 300.0
    """Between pings farther apart nothing is said of the way"""
    still_m: float = 10.0
    """A car that moves less stands"""
    scale_s: float = 6.0
    """A way that takes so much longer than another is e times less likely"""
    late_scale_s: float = 10.0
    """The same for free-flow time beyond the time that there was"""
    max_haste: float = 3.0
    """A way is none if it must be driven so many times faster than free flow"""
    turn_back_s: float = 30.0
    """Time that turning back at a crossing counts for"""
    roll_back_m: float = 60.0
    """A car that seems to roll back by less along its street stands"""
    time_share: float = 0.75
    """Of free-flow time in what drivers seek to save; the rest is length"""

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            check = check_whole if name == "max_candidates" else check_range
            check(name, getattr(self, name), low, high)


@dataclass(frozen=True)
class MatchedPings:
    """Pings on streets, in the order in which they were given, and how cars drove from one to the next.

    A step leads from a matched ping of a driver to the next one, unless too much time lies between, or no way
    does. Its entries are the edges driven, ``first[step] … first[step + 1] - 1``, at least one; a car that
    stands has one entry, which ends where it begins. Each step begins where the one before ended.
    """

    edge: NDArray[np.int32]
    """(pings,) row of the graph's arc, NO_INDEX where it is not matched"""
    share: NDArray[np.float64]
    """(pings,) of the way along the arc, 0 … 1"""
    distance_m: NDArray[np.float64]
    """(pings,) from the ping to that place, infinite where it is not matched"""
    state: NDArray[np.int8]
    """(pings,) ``MATCHED``, ``STANDING`` (matched, not moved), ``OFF_MAP``, ``TELEPORTING``, ``FROZEN``,
    ``SAME_INSTANT``"""
    step_from: NDArray[np.int32]
    """(steps,) row of a ping"""
    step_to: NDArray[np.int32]
    """(steps,) row of a later ping of the same driver"""
    first: NDArray[np.int64]
    """(steps + 1,) where each step begins among the entries"""
    path_edge: NDArray[np.int32]
    """(entries,) row of the graph's arc"""
    path_from: NDArray[np.float64]
    """(entries,) share of the arc at which driving it begins"""
    path_to: NDArray[np.float64]
    """(entries,) share of the arc at which it ends, not below that"""

    @property
    def is_matched(self) -> NDArray[np.bool_]:
        """(pings,) whether each ping has a place."""
        matched: NDArray[np.bool_] = self.edge != NO_INDEX
        return matched

    @property
    def drops(self) -> tuple[Dropped, ...]:
        """Pings that are not matched, counted by reason."""
        num = np.bincount(self.state, minlength=len(WHY_NOT) + 2)
        return tuple(Dropped(why, int(num[state]), "pings") for state, why in WHY_NOT.items() if num[state])


class _Chunk(NamedTuple):
    """What is found of some pings, rows counted from the first of them."""

    edge: NDArray[np.int32]
    share: NDArray[np.float64]
    distance_m: NDArray[np.float64]
    state: NDArray[np.int8]
    steps: matched_ways.Steps
    ways: matched_ways.Ways


def match_pings(
    city: City,
    pings: RecordedPings,
    params: MatchingParams | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> MatchedPings:
    """Find the streets on which pings were sent, and the ways between them.

    Pings may be in any order: they are taken by driver and time, and rows of the answer are those given.

    Parameters
    ----------
    city : City
    pings : RecordedPings
    params : MatchingParams, optional
    on_progress : callable, optional
        Called with the number of pings done and of all, now and then.

    Returns
    -------
    MatchedPings

    Raises
    ------
    InputError
        A coordinate is not finite or out of range, longitude and latitude are swapped, or a time lies
        outside of 1970…2199.

    Notes
    -----
    Newson and Krumm, Hidden Markov Map Matching Through Noise and Sparseness, 2009. A way is the likelier the
    less time it takes: how far two pings lie apart by air is the same for all of their ways.

    With a table of all pairs 3 to 5 µs a ping, without one 10 to 40. San Francisco's 8.5 million pings take
    25 s on one core, and 3.2 GB with the table.
    """
    return Matcher(city, params).match(pings, on_progress)


class Matcher:
    """What is made once of a city to match pings on its streets.

    Parameters
    ----------
    city : City
    params : MatchingParams, optional
    with_table : bool
        Look up travel times in a table of all pairs where the network suits; otherwise ask the hierarchy.
    """

    def __init__(self, city: City, params: MatchingParams | None = None, with_table: bool = True) -> None:
        self.city, self.params = city, params or MatchingParams()
        graph = city.graph
        self._metric = _metric(city, self.params.time_share)
        self._table = _NO_TABLE
        self.has_table = with_table and AllPairsTimes.suits(graph)
        if self.has_table:
            self._table = self._metric.all_pairs.table
        self._streets = kernels.Streets(
            np.require(graph.tail, INDEX_DTYPE, ["C", "W"]),
            np.require(graph.head, INDEX_DTYPE, ["C", "W"]),
            np.require(graph.twin, INDEX_DTYPE, ["C", "W"]),
            np.require(self._metric.travel_ms, DURATION_DTYPE, ["C", "W"]),
            np.require(graph.length_m, np.float64, ["C", "W"]),
            self._table,
        )
        self._gates = _Gates(self._metric.network)
        self._limits, self._weights = _limits(self.params), _weights(self.params)

    def match(
        self, pings: RecordedPings, on_progress: Callable[[int, int], None] | None = None
    ) -> MatchedPings:
        """Match pings; see :func:`match_pings`."""
        self._check_not_swapped(pings.lon, pings.lat)
        lons, lats = as_lonlat(pings.lon, pings.lat)
        _check_times(pings.at_ms)
        order = order_of(pings.driver_id, pings.at_ms)
        driver, at_ms = pings.driver_id, pings.at_ms
        if order is not None:
            driver, at_ms, lons, lats = driver[order], at_ms[order], lons[order], lats[order]
        positions = kernels.Positions(
            np.require(driver, np.int64, ["C", "W"]),
            np.require(at_ms, np.int64, ["C", "W"]),
            *self.city.projection.to_plane(lons, lats),
        )
        state, begins = np.empty(len(lons), np.int8), np.empty(len(lons), np.bool_)
        kernels.screen(positions, self._limits, state, begins)
        chunks = []
        for begin, end in _spans(begins):
            chunks.append(self._match_some(positions, state, begins, begin, end))
            if on_progress is not None:
                on_progress(end, len(lons))
        return _put_together(chunks, order)

    def _check_not_swapped(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> None:
        if not len(lon) or self.city.snapper.covers(lon, lat).any():
            return
        if 2 * np.count_nonzero(self.city.snapper.covers(lat, lon)) > len(lon):
            raise InputError(
                f"lon, lat at row 0 are {lon[0]}, {lat[0]}: no ping lies in {self.city.name}, but most would "
                "with longitude and latitude swapped; swap the two"
            )

    def _match_some(
        self,
        positions: kernels.Positions,
        state: NDArray[np.int8],
        begins: NDArray[np.bool_],
        begin: int,
        end: int,
    ) -> _Chunk:
        """Match pings from one row to before another, at which a chain begins."""
        at_ms, x, y = (column[begin:end] for column in positions[1:])
        state, begins = state[begin:end], begins[begin:end]
        rows = np.flatnonzero(state == MATCHED)
        nearby = self._nearby(x[rows], y[rows])
        anchor = np.cumsum(state == MATCHED) - 1
        left_ms = at_ms[rows]
        standing = np.flatnonzero(state == STANDING)
        left_ms[anchor[standing]] = at_ms[standing]  # the last of equal rows stays
        observed = kernels.Observed(begins[rows], at_ms[rows], left_ms, x[rows], y[rows])
        place, joined = np.empty(len(rows), INDEX_DTYPE), np.empty(len(rows), np.bool_)
        trellis = kernels.Trellis(np.empty(len(nearby.edge)), np.empty(len(nearby.edge), INDEX_DTYPE))
        transitions = self._transitions(observed, nearby)
        kernels.match(self._streets, observed, nearby, transitions, self._weights, trellis, place, joined)

        there = place != NO_INDEX
        known = (state == MATCHED) | (state == STANDING)
        known[known] = there[anchor[known]]
        placed = matched_ways.Placed(
            np.full(len(x), NO_INDEX, INDEX_DTYPE), np.zeros(len(x)), state == STANDING
        )
        row = place[anchor[known]]
        placed.edge[known], placed.share[known] = nearby.edge[row], nearby.share[row]
        placed.joined[rows] = joined
        distance_m = np.full(len(x), np.inf)
        distance_m[known] = nearby.distance_m[row]
        state = state.copy()
        state[((state == MATCHED) | (state == STANDING)) & ~known] = OFF_MAP
        return _Chunk(placed.edge, placed.share, distance_m, state, *self._ways(placed))

    def _nearby(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> near_edges.Nearby:
        lines, grid = self.city.edge_snapper.lines, self.city.edge_snapper.grid
        room = 2 * len(x) * self.params.max_candidates
        found = near_edges.Nearby(
            np.empty(len(x) + 1, INDEX_DTYPE),
            np.empty(room, INDEX_DTYPE),
            np.empty(room),
            np.empty(room),
        )
        near_edges.find_nearby(
            lines,
            grid,
            self._streets.twin,
            Points(x, y),
            float(self.params.radius_m),
            int(self.params.max_candidates),
            found,
        )
        num = found.first[-1]
        return near_edges.Nearby(found.first, *(column[:num] for column in found[1:]))

    def _transitions(self, observed: kernels.Observed, nearby: near_edges.Nearby) -> kernels.Transitions:
        """Find the times between the places of positions that follow each other, if no table tells them."""
        num = 0 if self.has_table else len(nearby.edge)
        none = np.empty(0, DURATION_DTYPE)
        found = kernels.Transitions(np.zeros(num, np.int64), np.zeros(num, INDEX_DTYPE), none)
        if self.has_table:
            return found
        exits, exit_row = _distinct(self._gates.exit, nearby.edge)
        entries, entry_row = _distinct(self._gates.entry, nearby.edge)
        first = np.empty(len(exits) + 1, np.int64)
        gates = kernels.Gates(exit_row, entry_row)
        entry = kernels.list_pairs(observed.begins, nearby, gates, first, found)
        ms = np.empty(len(entry), DURATION_DTYPE)
        sources, targets = self._gates.starts(exits), self._gates.ends(entries)
        order = np.argsort(sources.rank, kind="stable").astype(INDEX_DTYPE)
        climb = self._metric.shortcuts.climb
        pair_times(climb, True, sources, targets, order, first.astype(INDEX_DTYPE), entry, ms)
        return found._replace(ms=ms)

    def _ways(self, placed: matched_ways.Placed) -> tuple[matched_ways.Steps, matched_ways.Ways]:
        room, graph = len(placed.edge), self.city.graph
        steps = matched_ways.Steps(
            np.empty(room, INDEX_DTYPE), np.empty(room, INDEX_DTYPE), np.empty(room, np.bool_)
        )
        back_m = float(self.params.roll_back_m)
        num = matched_ways.find_steps(placed, self._streets.length_m, back_m, steps)
        steps = matched_ways.Steps(*(column[:num] for column in steps))
        leaving = ~steps.stays
        from_edge = placed.edge[steps.from_ping[leaving]]
        to_edge = placed.edge[steps.to_ping[leaving]]
        if self.has_table:
            from_node, to_node = graph.head[from_edge], graph.tail[to_edge]
            first = np.empty(len(from_node) + 1, INDEX_DTYPE)
            matched_ways.count_edges(self._table, from_node, to_node, first)
            routes = matched_ways.Routes(first, np.empty(first[-1], INDEX_DTYPE))
            matched_ways.walk(self._table, from_node, to_node, routes)
        else:
            first, ms = np.empty(len(from_edge) + 1, INDEX_DTYPE), np.empty(len(from_edge), DURATION_DTYPE)
            height = max(self._metric.network.hierarchy.height, 1)
            ends = (
                self._gates.starts(self._gates.exit[from_edge]),
                self._gates.ends(self._gates.entry[to_edge]),
            )
            routes = matched_ways.Routes(first, find_paths(self._metric.shortcuts, *ends, height, ms, first))
        size = num + len(from_edge) + len(routes.edge)
        ways = matched_ways.Ways(
            np.empty(num + 1, np.int64), np.empty(size, INDEX_DTYPE), np.empty(size), np.empty(size)
        )
        matched_ways.lay_ways(placed, steps, routes, ways)
        return steps, ways


class _Gates:
    """Where searches of ways begin at the ends of edges, and where they end at the starts of edges.

    Parameters
    ----------
    network : RoadNetwork
    """

    def __init__(self, network: RoadNetwork) -> None:
        turns, self._rank = network.turns, network.hierarchy.rank
        first, state = turns.entries
        self.exit = turns.state_after_edge
        """(edges,) state"""
        is_one = np.diff(first) == 1
        key = np.where(is_one, state[np.minimum(first[:-1], len(state) - 1)], turns.num_states)
        key[~is_one] += np.arange(np.count_nonzero(~is_one), dtype=INDEX_DTYPE)
        _, edge, row = np.unique(key, return_index=True, return_inverse=True)
        self.entry = row.astype(INDEX_DTYPE)
        """(edges,) number among those that differ"""
        self._first, self._state, self._edge = first, state, edge

    def starts(self, exits: NDArray[np.integer]) -> Ends:
        """Give the starts of ways from some exits."""
        first = np.arange(len(exits) + 1, dtype=INDEX_DTYPE)
        return Ends(first, self._rank[exits], np.zeros(len(exits), DURATION_DTYPE))

    def ends(self, entries: NDArray[np.integer]) -> Ends:
        """Give the ends of ways to some entries, the deepest of several states first."""
        edge = self._edge[entries]
        size = np.diff(self._first)[edge]
        which, at = members(np.maximum(size, 1))
        is_none = size[which] == 0
        row = np.where(is_none, 0, self._first[edge][which] + at)
        rank = np.where(is_none, 0, self._rank[self._state[row]])
        order = np.lexsort((rank, which))
        first = np.zeros(len(edge) + 1, INDEX_DTYPE)
        np.cumsum(np.maximum(size, 1), out=first[1:])
        ms = np.where(is_none, UNREACHABLE_MS, 0).astype(DURATION_DTYPE)
        return Ends(first, rank[order].astype(INDEX_DTYPE), ms[order])


def _distinct(
    gate_of_edge: NDArray[np.int32], edge: NDArray[np.int32]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Give the different gates of some edges (n,), ascending, and the row of each edge's gate among them."""
    is_there = np.zeros(int(gate_of_edge.max(initial=0)) + 1, np.bool_)
    is_there[gate_of_edge[edge]] = True
    row = np.cumsum(is_there, dtype=INDEX_DTYPE) - np.int32(1)
    return np.flatnonzero(is_there), row[gate_of_edge]


def _metric(city: City, time_share: float) -> Metric:
    """Give what drivers seek to save, as times of arcs; kept with the city."""
    key = ("map matching", time_share)
    if key not in city.kept:
        graph = city.graph
        free_ms = graph.free_flow_ms()
        per_m = float(free_ms.sum()) / max(float(graph.length_m.sum()), 1.0)
        blend = time_share * free_ms + (1.0 - time_share) * per_m * graph.length_m
        city.kept[key] = city.network.customize(np.maximum(np.rint(blend), 1).astype(np.int64))
    metric: Metric = city.kept[key]
    return metric


def _limits(params: MatchingParams) -> kernels.Limits:
    return kernels.Limits(
        params.max_kph / 3.6 / MS_PER_S,
        4.0 * params.noise_m,
        params.max_gap_s * MS_PER_S,
        float(params.still_m),
    )


def _weights(params: MatchingParams) -> kernels.Weights:
    return kernels.Weights(
        0.5 / params.noise_m**2,
        1.0 / (params.scale_s * MS_PER_S),
        1.0 / (params.late_scale_s * MS_PER_S),
        params.turn_back_s / params.scale_s,
        float(params.roll_back_m),
        float(params.max_haste),
        _SPARE_S * MS_PER_S,
        params.max_gap_s * MS_PER_S,
    )


def _check_times(at_ms: NDArray[np.int64]) -> None:
    wrong = np.flatnonzero(impossible_times(at_ms))
    if len(wrong):
        raise InputError(
            f"at_ms[{wrong[0]}] is {at_ms[wrong[0]]}: times must be milliseconds since the epoch, from 0 to "
            f"below {END_OF_TIMES_MS}"
        )


def _spans(begins: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Cut rows into parts, each of whole chains."""
    starts, begin = np.append(np.flatnonzero(begins), len(begins)), 0
    while begin < len(begins):
        at = min(int(np.searchsorted(starts, begin + _PINGS_AT_A_TIME)), len(starts) - 1)
        end = int(starts[at])
        yield begin, end
        begin = end


def _put_together(chunks: list[_Chunk], order: NDArray[np.int64] | None) -> MatchedPings:
    """Join what was found of some pings after the other, in the order of the caller's rows."""
    edge = _joined([chunk.edge for chunk in chunks], INDEX_DTYPE)
    share = _joined([chunk.share for chunk in chunks], np.float64)
    distance_m = _joined([chunk.distance_m for chunk in chunks], np.float64)
    state = _joined([chunk.state for chunk in chunks], np.int8)
    begin = np.cumsum([0] + [len(chunk.edge) for chunk in chunks])[:-1].tolist()
    pairs = list(zip(chunks, begin, strict=True))
    step_from = _joined([chunk.steps.from_ping + at for chunk, at in pairs], INDEX_DTYPE)
    step_to = _joined([chunk.steps.to_ping + at for chunk, at in pairs], INDEX_DTYPE)
    num_entries = np.concatenate([[0], *(np.diff(chunk.ways.first) for chunk in chunks)])
    if order is not None:
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        edge, share, distance_m, state = edge[back], share[back], distance_m[back], state[back]
        step_from, step_to = (order[step].astype(INDEX_DTYPE) for step in (step_from, step_to))
    return MatchedPings(
        edge,
        share,
        distance_m,
        state,
        step_from,
        step_to,
        np.cumsum(num_entries, dtype=np.int64),
        _joined([chunk.ways.edge for chunk in chunks], INDEX_DTYPE),
        _joined([chunk.ways.from_share for chunk in chunks], np.float64),
        _joined([chunk.ways.to_share for chunk in chunks], np.float64),
    )


def _joined(parts: list[NDArray[Any]], kind: type) -> NDArray[Any]:
    return np.concatenate(parts) if parts else np.empty(0, kind)


_NO_TABLE: Final = AllPairs(
    np.empty((0, 0), np.int32),
    np.empty((0, 0), np.uint8),
    np.empty(0, INDEX_DTYPE),
    np.empty(0, INDEX_DTYPE),
    np.empty(0, INDEX_DTYPE),
    np.empty(0, DURATION_DTYPE),
    np.empty(0),
)
