"""The cities of the roads suite, and what is asked of them: the same for us and for every peer."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as parquet
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from benchmarks.harness import WrongAnswerError
from dispatch import City
from dispatch.roads.graph import RoadGraph

YARDSTICK = "dimacs_ny"
"""The city whose limits are multiples of D; its weights are taken as they are, whatever their unit."""
FOLDERS = (YARDSTICK, "rhein_neckar", "san_francisco")
QUICK_FOLDERS = (YARDSTICK, "san_francisco")
TINY_NODES = 2_000
MS_PER_S = 1_000


@dataclass(frozen=True)
class Streets:
    """A road network and the travel times of its arcs."""

    name: str
    graph: RoadGraph
    travel_ms: np.ndarray
    """(arcs,) int32"""

    @property
    def num_nodes(self) -> int:
        return self.graph.num_nodes

    @cached_property
    def matrix(self) -> csr_matrix:
        """As scipy takes it; parallel arcs stay."""
        graph, size = self.graph, (self.num_nodes, self.num_nodes)
        return csr_matrix((self.travel_ms.astype(np.float64), graph.head, graph.first_arc), size)

    @cached_property
    def _joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of nodes that arcs join, as numbers, ascending; and the least time of such an arc."""
        pair = self.graph.tail.astype(np.int64) * self.num_nodes + self.graph.head
        different, first = np.unique(pair, return_index=True)  # arcs are sorted by tail, then head
        return different, np.minimum.reduceat(self.travel_ms, first)

    def times_of_ways(self, ways: Sequence[Any], source: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Milliseconds of the ways of the first of these pairs, over the quickest arcs between their nodes.

        Raises where a way begins or ends elsewhere, or drives where no arc is.
        """
        pairs, least_ms = self._joined
        times_ms = []
        for way, begin, end in zip(ways, source, target, strict=False):
            nodes = np.asarray(way, np.int64)
            if nodes[0] != begin or nodes[-1] != end:
                raise WrongAnswerError(f"the way from {begin} to {end} goes from {nodes[0]} to {nodes[-1]}")
            wanted = nodes[:-1] * self.num_nodes + nodes[1:]
            row = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
            if not np.array_equal(pairs[row], wanted):
                raise WrongAnswerError(f"the way from {begin} to {end} drives where no arc is")
            times_ms.append(least_ms[row].sum(dtype=np.int64))
        return np.array(times_ms)

    @cached_property
    def place(self) -> np.ndarray:
        """(nodes, 2) where nodes are, in a plane good enough for who is near."""
        east = np.cos(np.radians(self.graph.node_lat.mean()))
        return np.column_stack([self.graph.node_lon * east, self.graph.node_lat])


def cities(quick: bool, tiny: bool) -> list[Streets]:
    """Those of the data sets that are there, else the built-in one."""
    folder = os.environ.get("DISPATCH_DATA")
    if tiny or not folder:
        graph = City.synthetic(seed=1, **({"num_nodes_about": TINY_NODES} if tiny else {})).graph
        return [Streets("synthetic", graph, graph.free_flow_ms())]
    names = QUICK_FOLDERS if quick else FOLDERS
    return [load(Path(folder) / name) for name in names if (Path(folder) / name).is_dir()]


def load(folder: Path) -> Streets:
    """Read a city; the yardstick's weights straight from the file, so that they are whole for everybody."""
    graph = City.load(folder).graph
    if folder.name != YARDSTICK:
        return Streets(folder.name, graph, graph.free_flow_ms())
    edges = parquet.read_table(folder / "edges.parquet")
    tail, head, weight = (edges[name].to_numpy() for name in ("from_node", "to_node", "travel_time"))
    order = np.lexsort((head, tail))
    if not (np.array_equal(tail[order], graph.tail) and np.array_equal(head[order], graph.head)):
        raise ValueError(f"{folder}: the loader left out edges, so that weights cannot be told by row")
    return Streets(folder.name, graph, np.ascontiguousarray(weight[order], np.int32))


# --- what is asked --------------------------------------------------------------------------------


class Sizes(NamedTuple):
    """How much is asked."""

    pairs: int
    single: int
    paths: int
    table: tuple[int, int]
    wide: tuple[int, int]
    orders: int
    near: int
    nearest: int
    changed: int


SIZES = Sizes(20_000, 200, 2_000, (1_000, 1_000), (50, 10_000), 10_000, 50, 10, 1_000)
TINY = Sizes(100, 10, 20, (12, 12), (3, 40), 30, 5, 3, 10)


class Questions:
    """Random nodes, by seed."""

    def __init__(self, streets: Streets, sizes: Sizes, seed: int = 1) -> None:
        self.streets, self.sizes = streets, sizes
        self._random = np.random.default_rng(seed)

    def pairs(self, num: int) -> tuple[np.ndarray, np.ndarray]:
        """Sources and targets (num,)."""
        source, target = self._random.integers(0, self.streets.num_nodes, (2, num)).astype(np.int32)
        return source, target

    def sides(self, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Sources and targets of a table: on each side different nodes, at most all."""
        nodes = (self._random.permutation(self.streets.num_nodes)[:num] for num in shape)
        source, target = (side.astype(np.int32) for side in nodes)
        return source, target

    def node(self) -> int:
        return int(self._random.integers(0, self.streets.num_nodes))

    def candidates(self) -> "Candidates":
        """As many drivers as orders, at random; the nearest by air are an order's candidates."""
        driver, order = self.pairs(self.sizes.orders)
        place = self.streets.place
        near = cKDTree(place[driver]).query(place[order], self.sizes.near)[1]
        return Candidates(driver, order, near.astype(np.int32))

    def scattered(self) -> np.ndarray:
        """Random arcs, rows of the graph."""
        num = min(self.sizes.changed, self.streets.graph.num_arcs)
        return np.sort(self._random.permutation(self.streets.graph.num_arcs)[:num]).astype(np.int32)

    def clustered(self) -> np.ndarray:
        """The arcs that begin nearest to a random node, rows of the graph."""
        place = self.streets.place[self.streets.graph.tail]
        away = np.sum((place - self.streets.place[self.node()]) ** 2, axis=1)
        return np.sort(np.argsort(away, kind="stable")[: self.sizes.changed]).astype(np.int32)

    def slowed(self, arcs: np.ndarray) -> np.ndarray:
        """New travel times of these arcs: 0.7 to 2.5 times the old."""
        factor = self._random.uniform(0.7, 2.5, len(arcs))
        return np.maximum(1, np.rint(self.streets.travel_ms[arcs] * factor)).astype(np.int32)


class Candidates(NamedTuple):
    """Drivers, orders, and who may serve whom."""

    driver_node: np.ndarray
    """(drivers,)"""
    order_node: np.ndarray
    """(orders,)"""
    driver: np.ndarray
    """(orders, k) rows of the drivers"""

    @property
    def first(self) -> np.ndarray:
        """(orders + 1,) as the engine keeps candidates."""
        num_orders, k = self.driver.shape
        return np.arange(0, num_orders * k + 1, k, dtype=np.int32)

    @property
    def node(self) -> np.ndarray:
        """(orders, k) where the candidates are."""
        return self.driver_node[self.driver]
