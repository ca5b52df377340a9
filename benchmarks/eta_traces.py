"""GPS traces whose true ways are known, of drivers who do not know what map matching assumes.

Drivers choose each leg's way by travel times of their own: free flow times a lognormal factor for every
street and leg. They drive at other speeds than they believed, stand at crossings, stop at kerbs between legs,
and turn back only where they must. Positions are taken at fixed intervals, with noise.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from dispatch.eta.map_matching import MatchedPings
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.roads.pings import RecordedPings
from dispatch.roads.places import Places
from dispatch.units import MS_PER_S

START_MS = 1_700_000_000_000
TRACE_GAP_MS = 3_600_000
AGAINST_TURNING_BACK = 20.0
"""Factor on the time of the arc that leads straight back."""


@dataclass(frozen=True)
class TraceParams:
    """How drivers drive, and how they are seen."""

    every_s: float = 60.0
    """between two positions"""
    noise_m: float = 20.0
    """standard deviation along each axis"""
    num_legs: int = 3
    leg_m: float = 2_500.0
    """median distance by air of a leg's ends, lognormal with a spread of 0.5"""
    choice_spread: float = 0.3
    """of the lognormal factor between free flow and what a driver believes, for every street and leg"""
    speed_spread: float = 0.35
    """of the lognormal factor on true times, for every street and trace"""
    slowdown: float = 1.3
    """true time over free flow, without standing"""
    stop_share: float = 0.25
    """of crossings at which one must stand"""
    stop_s: float = 15.0
    """mean time there, exponential"""
    kerb_s: tuple[float, float] = (20.0, 150.0)
    """between legs, uniform"""
    tells_parallels_apart: bool = False
    """whether arcs with the same ends are streets of their own; without shapes no position tells them apart,
    and networks list many a street twice, so that drivers take the shorter one"""


class Traces(NamedTuple):
    """Noisy positions and the arcs that were truly driven."""

    pings: RecordedPings
    """one driver a trace"""
    first: np.ndarray
    """(traces + 1,) where each trace begins in :attr:`edge`"""
    edge: np.ndarray
    """arcs in the order driven, from the first to the last position"""
    true_edge: np.ndarray
    """(pings,) the arc on which the car was"""
    true_share: np.ndarray
    """(pings,) of the way along it"""


def driven(traces: Traces, found: MatchedPings) -> tuple[np.ndarray, np.ndarray]:
    """Drivers and arcs that a matcher believes in; one that goes on in the next step counts once."""
    goes_on = np.zeros(len(found.path_edge), np.bool_)
    goes_on[found.first[1:-1][found.step_from[1:] == found.step_to[:-1]]] = True
    driver = np.repeat(traces.pings.driver_id[found.step_from], np.diff(found.first))
    return driver[~goes_on], found.path_edge[~goes_on]


class _Roads(NamedTuple):
    """The streets that drivers drive on."""

    graph: RoadGraph
    x: np.ndarray
    y: np.ndarray
    free_s: np.ndarray
    street: np.ndarray
    num_streets: int

    def factors(self, spread: float, rng: np.random.Generator) -> np.ndarray:
        """A lognormal factor for every arc, the same along one street."""
        return rng.lognormal(0, spread, self.num_streets)[self.street]


def draw_traces(city: City, num: int, params: TraceParams | None = None, seed: int = 0) -> Traces:
    """Let `num` drivers drive; their numbers are 0 … num - 1."""
    rng, params = np.random.default_rng(seed), params or TraceParams()
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    free_s = city.graph.free_flow_ms() / MS_PER_S
    street, num_streets = np.arange(len(free_s)), len(free_s)
    if not params.tells_parallels_apart:
        ends = city.graph.tail.astype(np.int64) * city.graph.num_nodes + city.graph.head
        found, street = np.unique(ends, return_inverse=True)
        num_streets = len(found)
    roads = _Roads(city.graph, x, y, free_s, street, num_streets)
    columns: list[list[Any]] = [[], [], [], []]
    first, edges = [0], []
    while len(first) <= num:
        way, stands_s = _drive(roads, params, rng)
        if len(way) < 2:
            continue
        at_s, rows, shares = _seen(roads, way, stands_s, params, rng)
        if len(rows) < 2:
            continue
        edges.append(way[rows[0] : rows[-1] + 1])
        parts = (np.full(len(rows), len(first) - 1), at_s, way[rows], shares)
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
        first.append(first[-1] + len(edges[-1]))
    driver, at_s, edge, share = (np.concatenate(column) for column in columns)
    places = city.edge_snapper.lonlat(Places.on(edge.astype(np.int32), share))
    px, py = city.projection.to_plane(*places)
    lon, lat = city.projection.to_degrees(
        px + rng.normal(0, params.noise_m, len(px)), py + rng.normal(0, params.noise_m, len(py))
    )
    at_ms = START_MS + driver * TRACE_GAP_MS + np.rint(at_s * MS_PER_S).astype(np.int64)
    pings = RecordedPings(driver.astype(np.int64), at_ms, lon, lat, np.ones(len(lon), np.bool_))
    return Traces(pings, np.array(first), np.concatenate(edges), edge, share)


def scores(traces: Traces, driver: np.ndarray, edge: np.ndarray) -> dict[str, float]:
    """Compare arcs that a matcher believes to be driven (n,), each with its driver, with the truth.

    An arc that is driven twice counts twice. Precision, recall and their harmonic mean over all traces, and
    the mean of the traces' own F1.
    """
    num = len(traces.first) - 1
    size = int(max(traces.edge.max(), edge.max(initial=0))) + 1
    true_key = np.repeat(np.arange(num), np.diff(traces.first)) * size + traces.edge
    keys, which = np.unique(np.concatenate([true_key, driver * size + edge]), return_inverse=True)
    true_num = np.bincount(which[: len(true_key)], minlength=len(keys))
    found_num = np.bincount(which[len(true_key) :], minlength=len(keys))
    trace, both = keys // size, np.minimum(true_num, found_num)
    hits, truly, found = (np.bincount(trace, of, minlength=num) for of in (both, true_num, found_num))
    return {
        "precision": float(hits.sum() / max(found.sum(), 1)),
        "recall": float(hits.sum() / truly.sum()),
        "f1": float(2 * hits.sum() / (truly.sum() + found.sum())),
        "mean_f1": float(np.mean(2 * hits / (truly + found))),
    }


def _drive(roads: _Roads, params: TraceParams, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Give arcs in the order driven and how long one stands on each (arcs,), half way at the end of a leg."""
    graph, x, y = roads.graph, roads.x, roads.y
    node, way, stands_s = int(rng.integers(len(x))), [], []
    for _ in range(params.num_legs):
        leg_m = params.leg_m * rng.lognormal(0, 0.5)
        away_m = np.abs(np.hypot(x - x[node], y - y[node]) - leg_m)
        target = int(rng.choice(np.argsort(away_m)[:50]))
        believed_s = roads.free_s * roads.factors(params.choice_spread, rng)
        if way and graph.twin[way[-1]] >= 0:
            believed_s[graph.twin[way[-1]]] *= AGAINST_TURNING_BACK
        leg = _quickest(graph, believed_s, node, target)
        way += leg
        stands_s += [0.0] * len(leg)
        if leg:
            stands_s[-1] = rng.uniform(*params.kerb_s)
            node = target
    return np.array(way, np.int64), np.array(stands_s)


def _quickest(graph: RoadGraph, weight: np.ndarray, source: int, target: int) -> list[int]:
    """Give the arcs of a shortest way, none if there is none."""
    matrix = csr_matrix((weight, graph.head, graph.first_arc), shape=(graph.num_nodes, graph.num_nodes))
    before = dijkstra(matrix, indices=source, return_predecessors=True)[1]
    nodes = [target]
    while nodes[-1] != source:
        if before[nodes[-1]] < 0:
            return []
        nodes.append(int(before[nodes[-1]]))
    arcs = []
    for tail, head in pairwise(nodes[::-1]):
        leaving = np.arange(graph.first_arc[tail], graph.first_arc[tail + 1])
        leaving = leaving[graph.head[leaving] == head]
        arcs.append(int(leaving[np.argmin(weight[leaving])]))
    return arcs


def _seen(
    roads: _Roads, way: np.ndarray, kerb_s: np.ndarray, params: TraceParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give when a car is seen, on which row of its way, and at which share of that arc."""
    drive_s = (roads.free_s * params.slowdown * roads.factors(params.speed_spread, rng))[way]
    wait_s = rng.exponential(params.stop_s, len(way)) * (rng.random(len(way)) < params.stop_share)
    # Each arc: half of it, the kerb, the other half, the crossing.
    parts = np.stack([drive_s / 2, kerb_s, drive_s / 2, wait_s], axis=1).ravel()
    shares = np.tile([0.0, 0.5, 0.5, 1.0], len(way)), np.tile([0.5, 0.5, 1.0, 1.0], len(way))
    end_s = np.cumsum(parts)
    at_s = np.arange(rng.uniform(0, params.every_s), end_s[-1], params.every_s)
    part = np.searchsorted(end_s, at_s, side="right")
    done = 1.0 - (end_s[part] - at_s) / parts[part]
    share = shares[0][part] + done * (shares[1][part] - shares[0][part])
    return at_s, part // 4, np.clip(share, 0.0, 1.0)
