"""Spatial index: drivers of a clustered city, 40 km across; against four exact indexes.

Answers: peers' distances to the `k` nearest must equal ours; their sets of items within a radius, too. Ours
are sorted by distance, then item; peers sort the `k` nearest, and leave those within a radius in any order.
"""

import ctypes
import gc
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import shapely
from scipy.spatial import cKDTree

from benchmarks.harness import OURS, Call, Case, Report, Table, Work, WrongAnswerError, number
from benchmarks.instances import city_points
from benchmarks.process import ROOT
from dispatch.spatial.grid_index import GridIndex, Neighbours

SUMMARY = "build, nearest drivers, drivers within a radius, moves, against k-d trees and an R-tree"
PACKAGES = ("scipy", "pykdtree", "scikit-learn", "shapely")

NUM_DRIVERS = (1_000, 10_000, 100_000, 1_000_000)
TINY_DRIVERS = (300,)
K = 10
NUM_QUERIES, NUM_RADIUS_QUERIES, NUM_SINGLE = 10_000, 1_000, 1_000
MOVED_M = 30.0
SHARE_MOVED = 0.01
SHARE_AVAILABLE = 0.5
RADIUS_M = {1_000: 1_000.0, 10_000: 600.0, 100_000: 200.0, 1_000_000: 60.0}
"""So far that about 30 drivers are found, 8 where there are only 1,000."""
WIDE_RADIUS_M = {1_000: 6_000.0, 10_000: 2_000.0, 100_000: 600.0, 1_000_000: 200.0}
"""So far that about 300 are."""
FLOORS = {
    "build": {1_000: 8.0, 10_000: 8.0, 100_000: 5.0, 1_000_000: 5.0},
    "batch": {1_000: 1.5, 10_000: 1.5, 100_000: 3.0, 1_000_000: 2.3},
    "single": {1_000: 2.5, 10_000: 2.5, 100_000: 2.5, 1_000_000: 1.5},
    "radius": {1_000: 5.0, 10_000: 5.0, 100_000: 5.0, 1_000_000: 5.0},
}
MEMORY_DRIVERS = 1_000_000


class City(NamedTuple):
    """Where drivers and queries are, as each library wants it."""

    points: np.ndarray
    queries: np.ndarray
    available: np.ndarray
    radius_m: float
    wide_radius_m: float

    @property
    def xy(self):
        return np.ascontiguousarray(self.points.T)

    def query_xy(self, num):
        return np.ascontiguousarray(self.queries[:num].T)


def city_of(num_drivers: int, tiny: bool) -> City:
    num_queries = 50 if tiny else NUM_QUERIES
    queries, points = city_points(num_queries, num_drivers, seed=num_drivers)
    available = np.random.default_rng(num_drivers).random(num_drivers) < SHARE_AVAILABLE
    radii = (RADIUS_M.get(num_drivers, 3_000.0), WIDE_RADIUS_M.get(num_drivers, 9_000.0))
    return City(points, queries, available, *radii)


def measure(report: Report) -> None:
    """Run the suite."""
    for num_drivers in TINY_DRIVERS if report.tiny else NUM_DRIVERS:
        city = city_of(num_drivers, report.tiny)
        for name, make in WORKS.items():
            kind = name.split(",")[0]
            case = Case(
                f"{num_drivers:,} {name}", [partial(make, city)], FLOORS.get(kind, {}).get(num_drivers)
            )
            report.compare(case)
    found = ", ".join(
        f"{radius_m:g} m (wide: {WIDE_RADIUS_M[num]:g} m) at {num:,}" for num, radius_m in RADIUS_M.items()
    )
    report.note(
        f"batch: {NUM_QUERIES:,} queries, k = {K}; single: {NUM_SINGLE:,} calls, k = {K}; radius: "
        f"{NUM_RADIUS_QUERIES:,} queries, {found}, peers' answers unsorted and without distances"
    )
    report.note(
        "half: half of the drivers, at random, are unavailable; a peer builds a tree of the others, which is "
        "counted, or asks for more and filters"
    )
    report.note(f"move: all by {MOVED_M:g} m or {SHARE_MOVED:.0%} of them; peers build anew")
    if not report.tiny:
        report.table(memory_table(MEMORY_DRIVERS))


# --- the peers ------------------------------------------------------------------------------------


def _class_of(module: str, name: str) -> Any:
    """A peer's class, None if it is not installed."""
    try:
        return getattr(import_module(module), name)
    except ImportError:
        return None


PYKDTREE, SKLEARN = _class_of("pykdtree.kdtree", "KDTree"), _class_of("sklearn.neighbors", "KDTree")
BUILDERS = {"cKDTree": cKDTree, "pykdtree": PYKDTREE, "sklearn": SKLEARN}


def strtree(points: np.ndarray) -> shapely.STRtree:
    """An R-tree of points made on the way."""
    return shapely.STRtree(shapely.points(points))


def with_peers(ours: Call, make: Callable[[Any], Call], check: Callable[[str, Any], None]) -> Work:
    """The k-d trees' calls beside ours; `make` turns a peer's class into a call."""
    peers = {name: None if build is None else make(build) for name, build in BUILDERS.items()}
    return Work(ours, peers, check)


def builds(points: np.ndarray) -> dict[str, Call | None]:
    """A call for each peer that builds its index."""
    geometries = shapely.points(points)
    calls: dict[str, Call | None] = {
        name: None if build is None else partial(build, points) for name, build in BUILDERS.items()
    }
    return calls | {"STRtree": partial(shapely.STRtree, geometries)}


# --- checks ---------------------------------------------------------------------------------------


def distances_of(answer: Any) -> np.ndarray:
    """Distances of a batch's answer, (queries * k,)."""
    return answer.distance_m if isinstance(answer, Neighbours) else np.asarray(answer[0]).ravel()


def same_distances(expected: np.ndarray) -> Callable[[str, Any], None]:
    def check(_name: str, answer: Any) -> None:
        told = distances_of(answer)
        if told.shape != expected.shape or not np.allclose(told, expected, rtol=1e-9, atol=1e-6):
            raise WrongAnswerError("distances differ from brute force over a k-d tree")

    return check


def truth(city: City, points: np.ndarray, num: int) -> np.ndarray:
    return cKDTree(points).query(city.queries[:num], K)[0].ravel()


def sums_of(found: Iterable[Iterable[int]]) -> np.ndarray:
    """Number and sum of the items of each query: two answers that agree in both are the same."""
    return np.array([(len(items), int(np.sum(items, dtype=np.int64))) for items in map(np.asarray, found)])


def same_items(expected: np.ndarray) -> Callable[[str, Any], None]:
    def check(name: str, answer: Any) -> None:
        if name == OURS:
            answer = np.split(answer.item, answer.first[1:-1])
        elif name == "STRtree":
            query, item = answer
            answer = np.split(item, np.cumsum(np.bincount(query, minlength=len(expected)))[:-1])
        if not np.array_equal(sums_of(answer), expected):
            raise WrongAnswerError("the items within the radius differ")

    return check


# --- cases ----------------------------------------------------------------------------------------


def build_work(city: City) -> Work:
    x, y = city.xy
    return Work(lambda: GridIndex(x, y), builds(city.points))


def batch_work(city: City) -> Work:
    index, (x, y) = GridIndex(*city.xy), city.query_xy(None)
    check = same_distances(truth(city, city.points, None))
    return with_peers(
        lambda: index.nearest(x, y, K),
        lambda build: partial(build(city.points).query, city.queries, K),
        check,
    )


def batch_half_work(city: City) -> Work:
    index, (x, y) = GridIndex(*city.xy), city.query_xy(None)
    half = np.ascontiguousarray(city.points[city.available])
    peers: dict[str, Call | None] = {}
    for name, build in BUILDERS.items():
        if build is None:
            peers[name] = None
            continue
        peers[f"{name}, built"] = lambda build=build: build(city.points[city.available]).query(
            city.queries, K
        )
        peers[f"{name}, more"] = partial(ask_for_more, build(city.points), city.queries, city.available)
    check = same_distances(truth(city, half, None))
    return Work(lambda: index.nearest(x, y, K, available=city.available), peers, check)


def ask_for_more(tree: Any, queries: np.ndarray, available: np.ndarray) -> tuple[np.ndarray]:
    """Twice as many as wanted and a few, then twice that for those which have too few available ones."""
    distance_m, todo, k = np.empty((len(queries), K)), np.arange(len(queries)), int(2.8 * K)
    while len(todo):
        k = min(k, len(available))
        near_m, item = tree.query(queries[todo], k)
        free = available[item]
        enough = free.sum(axis=1) >= min(K, available.sum())
        first = np.argsort(~free[enough], axis=1, kind="stable")[:, :K]
        distance_m[todo[enough]] = np.take_along_axis(near_m[enough], first, axis=1)
        todo, k = todo[~enough], 2 * k
    return (distance_m,)


class OneByOne(NamedTuple):
    """A call for each of many places; its answers are not kept, as a dispatcher would not."""

    call: Callable[..., Any]
    arguments: list[tuple[Any, ...]]

    def __call__(self) -> "OneByOne":
        call = self.call
        for each in self.arguments:
            call(*each)
        return self


def same_single(expected: np.ndarray, ours_at: int) -> Callable[[str, Any], None]:
    check = same_distances(expected)

    def check_all(name: str, asked: OneByOne) -> None:
        at = ours_at if name == OURS else 0
        answers = [asked.call(*each)[at] for each in asked.arguments]
        check(name, (np.concatenate([np.ravel(distance_m) for distance_m in answers]),))

    return check_all


def single_work(city: City) -> Work:
    index, num = GridIndex(*city.xy), min(NUM_SINGLE, len(city.queries))
    places = [(x, y, K) for x, y in city.queries[:num].tolist()]
    rows = [(city.queries[i : i + 1], K) for i in range(num)]
    check = same_single(truth(city, city.points, num), ours_at=1)
    return with_peers(
        OneByOne(index.nearest_one, places), lambda build: OneByOne(build(city.points).query, rows), check
    )


def single_half_work(city: City) -> Work:
    index, num = GridIndex(*city.xy), min(NUM_SINGLE, len(city.queries))
    places = [(x, y, K, np.inf, city.available) for x, y in city.queries[:num].tolist()]
    half = np.ascontiguousarray(city.points[city.available])

    def more(build: Any) -> Call:
        tree = build(city.points)
        return OneByOne(
            lambda query: one_with_more(tree, query, city.available),
            [(city.queries[i : i + 1],) for i in range(num)],
        )

    check = same_single(truth(city, half, num), ours_at=1)
    return with_peers(OneByOne(index.nearest_one, places), more, check)


def one_with_more(tree: Any, query: np.ndarray, available: np.ndarray) -> tuple[np.ndarray]:
    """As :func:`ask_for_more`, with less overhead for one query."""
    k = int(2.8 * K)
    while True:
        near_m, item = tree.query(query, k)
        free_m = near_m[0][available[item[0]]]
        if len(free_m) >= K or k >= len(available):
            return (free_m[:K],)
        k = min(2 * k, len(available))


def radius_work(city: City) -> Work:
    return radius_of(city, city.radius_m, None)


def radius_half_work(city: City) -> Work:
    return radius_of(city, city.radius_m, city.available)


def wide_radius_work(city: City) -> Work:
    return radius_of(city, city.wide_radius_m, None)


def radius_of(city: City, radius_m: float, available: np.ndarray | None) -> Work:
    """The cheapest call of each peer that gives the items; where some are unavailable, it filters after."""
    index, queries = GridIndex(*city.xy), city.queries[:NUM_RADIUS_QUERIES]
    x, y = city.query_xy(NUM_RADIUS_QUERIES)
    tree, geometries, places = cKDTree(city.points), strtree(city.points), shapely.points(queries)
    sklearn_tree = None if SKLEARN is None else SKLEARN(city.points)

    def filtered(found: Iterable[Any]) -> Any:
        if available is None:
            return found
        return [items[available[items]] for items in (np.asarray(one, np.int64) for one in found)]

    def by_strtree() -> Any:
        pairs = geometries.query(places, predicate="dwithin", distance=radius_m)
        return pairs if available is None else pairs[:, available[pairs[1]]]

    peers: dict[str, Call | None] = {
        "cKDTree": lambda: filtered(tree.query_ball_point(queries, radius_m, return_sorted=False)),
        "sklearn": None
        if sklearn_tree is None
        else lambda: filtered(sklearn_tree.query_radius(queries, radius_m)),
        "STRtree": by_strtree,
    }
    expected = sums_of(filtered(tree.query_ball_point(queries, radius_m)))
    return Work(lambda: index.within(x, y, radius_m, available=available), peers, same_items(expected))


def move_all_work(city: City) -> Work:
    return move_work(city, len(city.points))


def move_some_work(city: City) -> Work:
    return move_work(city, max(1, int(SHARE_MOVED * len(city.points))))


def move_work(city: City, num_moved: int) -> Work:
    """Drivers move to and fro; peers build their index anew each time."""
    random = np.random.default_rng(1)
    rows = random.permutation(len(city.points)).astype(np.int32)[:num_moved]
    here = city.points[rows]
    angle = random.uniform(0, 2 * np.pi, num_moved)
    there = here + MOVED_M * np.column_stack([np.cos(angle), np.sin(angle)])
    index = GridIndex(*city.xy)
    turns = [tuple(np.ascontiguousarray(place.T)) for place in (there, here)]

    def ours() -> None:
        turns.reverse()
        index.move(rows, *turns[0])

    ours()  # the first move makes gaps, which is no part of the others
    return Work(ours, builds(city.points))


WORKS: dict[str, Callable[[City], Work]] = {
    "build": build_work,
    "batch": batch_work,
    "batch, half": batch_half_work,
    "single": single_work,
    "single, half": single_half_work,
    "radius": radius_work,
    "radius, half": radius_half_work,
    "wide radius": wide_radius_work,
    "move all": move_all_work,
    "move 1 %": move_some_work,
}


# --- memory ---------------------------------------------------------------------------------------


def keepers(points: np.ndarray) -> dict[str, Call | None]:
    """A call for each index, which gives what must stay in memory beside the points."""
    x, y = np.ascontiguousarray(points.T)

    def moved() -> GridIndex:
        index = GridIndex(x, y)
        index.move([0], [x[0] + 1.0], [y[0]])
        return index

    calls = {"GridIndex": lambda: GridIndex(x, y), "GridIndex, once moved": moved}
    trees = {name: None if build is None else partial(build, points) for name, build in BUILDERS.items()}
    return calls | trees | {"STRtree with its points": partial(strtree, points)}


def memory_table(num_drivers: int) -> Table:
    """Bytes a driver by which each index lets a process of its own grow."""
    lines = []
    for name, call in keepers(city_points(1, 10, seed=1)[1]).items():
        if call is not None:
            command = [sys.executable, "-m", "benchmarks.spatial", name, str(num_drivers)]
            grown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
            lines.append((name, number(float(grown) / num_drivers)))
    note = "Growth of the resident set, the points themselves (16 bytes a driver) not counted."
    return Table(f"Memory of an index of {num_drivers:,} drivers", ("index", "bytes a driver"), lines, note)


def resident_bytes() -> int:
    """What this process holds, once all that is free is given back; Linux only."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    """Print by how many bytes one index lets this process grow."""
    name, num_drivers = sys.argv[1], int(sys.argv[2])
    keepers(city_points(1, 100, seed=1)[1])[name]()  # what is loaded once is not of the index
    call = keepers(city_of(num_drivers, tiny=False).points)[name]
    before = resident_bytes()
    kept = call()
    print(resident_bytes() - before)
    del kept


if __name__ == "__main__":
    main()
