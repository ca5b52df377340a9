"""Map matching: traces whose true ways are known, against other map matchers; times per 1,000 pings.

All get the same streets, straight between their ends, and know how large errors of positions are. Peers get
the plane's metres, the shorter one of parallel arcs, and the first few traces only; the network in their own
form is made beforehand. Told beside the times: F1 over directed arcs, of each on the traces that it had.
"""

import contextlib
import os
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.eta_traces import TraceParams, Traces, draw_traces, driven, scores
from benchmarks.harness import OURS, Call, Case, Report, Work, WrongAnswerError
from benchmarks.peers import installed
from dispatch.eta.map_matching import Matcher, MatchingParams
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings

SUMMARY = "GPS pings onto streets, and the ways between them, against leuvenmapmatching and pybind11-fmm"
PACKAGES = ("leuvenmapmatching", "pybind11-fmm")
FOLDER = "san_francisco"
NUM_TRACES, FEW_TRACES, TINY_TRACES = 400, 5, 1
SEEN = {"every 60 s, 20 m": (60.0, 20.0), "every 30 s, 15 m": (30.0, 15.0), "every 10 s, 10 m": (10.0, 10.0)}
"""Interval and noise"""
FLOOR = 100.0
LEAST_F1 = {OURS: 0.85, "leuvenmapmatching": 0.5}
"""Whose answers are worse has not matched the traces."""
PINGS_PER_UNIT = 1_000
YARDSTICK = "pybind11-fmm"
"""In C++ and quick, but what it gives is no way where streets have two directions: F1 .2 to .4. No peer."""
MOST_STREETS = 32
RADIUS_M = 70.0

Answer = tuple[np.ndarray, np.ndarray]
"""Traces and arcs driven (n,)."""


class Peer(NamedTuple):
    """A peer that knows the streets."""

    match: Callable[[np.ndarray, float], list[int]]
    """from one trace's positions (pings, 2) and their noise to the arcs driven"""


def measure(report: Report) -> None:
    """Match traces of few and of many positions."""
    folder = os.environ.get("DISPATCH_DATA")
    is_there = folder is not None and (Path(folder) / FOLDER).is_dir() and not report.tiny
    city = (
        City.load(Path(folder or "") / FOLDER) if is_there else City.synthetic(seed=1, num_nodes_about=2_000)
    )
    peers = {"leuvenmapmatching": leuven(city), YARDSTICK: fast_map_matching(city)}
    for name in list(SEEN)[: 1 if report.quick else None]:
        few = TINY_TRACES if report.tiny or report.quick else FEW_TRACES
        num = few if report.tiny else NUM_TRACES
        make = partial(work, city, peers, SEEN[name], num, few)
        report.compare(Case(f"{city.name}, {name}", [make], FLOOR))
    report.note("drivers choose their ways by free flow times lognormal factors (0.3) that no matcher knows")


def work(city: City, peers: dict[str, Peer | None], seen: tuple[float, float], num: int, few: int) -> Work:
    """One set of traces, for everybody."""
    every_s, noise_m = seen
    traces = draw_traces(city, num, TraceParams(every_s=every_s, noise_m=noise_m), seed=1)
    part = first_of(traces, few)
    matcher = Matcher(city, MatchingParams(noise_m=noise_m))
    trails = positions(city, part)
    calls: dict[str, Call | None] = {
        name: None if peer is None else partial(all_of, peer, trails, noise_m) for name, peer in peers.items()
    }
    f1 = {"f1": scores(traces, *driven(traces, matcher.match(traces.pings)))["f1"]}
    for name, call in calls.items():
        if call is not None:
            f1[f"f1_{name}"] = scores(part, *call())["f1"]
    f1["f1_of_few"] = scores(part, *driven(part, matcher.match(part.pings)))["f1"]

    def check(name: str, answer: Any) -> None:
        own = driven(traces, answer) if name == OURS else answer
        found = scores(traces if name == OURS else part, *own)["f1"]
        if found < LEAST_F1[name]:
            raise WrongAnswerError(f"F1 is {found:.3f}, below {LEAST_F1[name]}")

    beside = {name: call for name in (YARDSTICK,) if (call := calls.pop(name)) is not None}
    units = {name: len(part.pings) / PINGS_PER_UNIT for name in (*calls, *beside)}
    units[OURS] = len(traces.pings) / PINGS_PER_UNIT
    return Work(partial(matcher.match, traces.pings), calls, check, facts=f1, beside=beside, units=units)


def first_of(traces: Traces, num: int) -> Traces:
    """The first traces of some."""
    size = int(np.searchsorted(traces.pings.driver_id, num))
    pings = traces.pings
    columns = (pings.driver_id, pings.at_ms, pings.lon, pings.lat, pings.occupied)
    first = traces.first[: num + 1]
    return Traces(
        RecordedPings(*(column[:size] for column in columns)),
        first,
        traces.edge[: first[-1]],
        traces.true_edge[:size],
        traces.true_share[:size],
    )


def positions(city: City, traces: Traces) -> list[np.ndarray]:
    """Metres (pings, 2) of each trace."""
    xy = np.stack(city.projection.to_plane(traces.pings.lon, traces.pings.lat), axis=1)
    return np.split(xy, np.flatnonzero(np.diff(traces.pings.driver_id)) + 1)


def all_of(peer: Peer, trails: list[np.ndarray], noise_m: float) -> Answer:
    """What a peer finds, trace by trace."""
    found = [peer.match(trail, noise_m) for trail in trails]
    trace = np.repeat(np.arange(len(found)), [len(arcs) for arcs in found])
    return trace, np.array([arc for arcs in found for arc in arcs], np.int64)


def streets_of(city: City) -> tuple[np.ndarray, dict[tuple[int, int], int]]:
    """Metres (nodes, 2), and the shortest arc between each pair of different nodes."""
    graph = city.graph
    xy = np.stack(city.projection.to_plane(graph.node_lon, graph.node_lat), axis=1)
    longest_first = np.argsort(-graph.length_m, kind="stable")
    ends = zip(graph.tail[longest_first].tolist(), graph.head[longest_first].tolist(), strict=True)
    arcs = dict(zip(ends, longest_first.tolist(), strict=True))
    return xy, {(tail, head): arc for (tail, head), arc in arcs.items() if tail != head}


def leuven(city: City) -> Peer | None:
    """A hidden Markov model with states between positions (Meert and Verbeke 2018), in Python."""
    make_map = installed("leuvenmapmatching.map.inmem", "InMemMap")
    make_matcher = installed("leuvenmapmatching.matcher.distance", "DistanceMatcher")
    if make_map is None or make_matcher is None:
        return None
    xy, arcs = streets_of(city)
    has_index = installed("rtree", "index") is not None
    streets = make_map(city.name, use_latlon=False, use_rtree=has_index, index_edges=has_index)
    for node, (x, y) in enumerate(xy.tolist()):
        streets.add_node(node, (y, x))
    for tail, head in arcs:
        streets.add_edge(tail, head)

    def match(trail: np.ndarray, noise_m: float) -> list[int]:
        matcher = make_matcher(
            streets,
            max_dist=10 * noise_m,
            max_dist_init=5 * noise_m,
            obs_noise=noise_m,
            obs_noise_ne=4 * noise_m,
            dist_noise=50,
            non_emitting_length_factor=0.95,
            max_lattice_width=20,
        )
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
            matcher.match([(y, x) for x, y in trail.tolist()])
        return [arcs[pair] for pair in pairwise(matcher.path_pred_onlynodes) if pair in arcs]

    return Peer(match)


def fast_map_matching(city: City) -> Peer | None:
    """A hidden Markov model in C++, named after Yang and Gidófalvi (2018)."""
    make_network = installed("pybind11_fmm", "Network")
    make_config = installed("pybind11_fmm", "FastMapMatchConfig")
    make_matcher = installed("pybind11_fmm", "FastMapMatch")
    if make_network is None:
        return None
    xy, arcs = streets_of(city)
    network = make_network()
    for (tail, head), arc in arcs.items():
        network.add_edge(arc, xy[[tail, head]], is_wgs84=False)

    def match(trail: np.ndarray, noise_m: float) -> list[int]:
        config = make_config(k=MOST_STREETS, radius=RADIUS_M, gps_error=noise_m)
        found: list[int] = list(make_matcher(network, config).match_traj(trail).optimal_path)
        return found

    return Peer(match)
