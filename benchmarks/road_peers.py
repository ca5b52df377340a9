"""The peers of the roads suite, each given the network in the form that suits it best, which is not timed.

Those that search (scipy, igraph, networkit) answer the first few of the questions, for a search takes some
ten milliseconds; times are told per pair, per row of a table or per order. pandana contracts the network,
as we do, though once for each set of weights; it knows pairs only. Figures: New York, 264,346 nodes.

pyvalhalla is none of them: it routes on tiles of its own making with its own travel times, so that it cannot
be asked the same question.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.sparse.csgraph import dijkstra

from benchmarks.harness import Call
from benchmarks.peers import installed
from benchmarks.road_cities import MS_PER_S, Candidates, Streets

FEW = 3
"""Searches of a peer that explores a large part of the network."""
FEW_ORDERS = 20
"""Searches that end near where they began."""
NO_NODE = -9999
"""What scipy gives as the node before the first."""


class Asked(NamedTuple):
    """A peer ready to answer the first of some questions."""

    call: Call
    num: int
    """how many it answers: pairs, rows of a table, or orders"""
    read: Callable[[Any], Any] = np.asarray
    """from the answer to milliseconds, or to the nodes of ways; not timed"""


class Peer:
    """A peer has a method for each kind of question that it can answer, which gives an :class:`Asked`.

    ``pairs(source, target)``
        Times of pairs (n,), all at once if it can.
    ``single(source, target)``
        The same, one call each.
    ``paths(source, target)``
        The nodes of their ways, both ends included.
    ``table(source, target)``
        Times from each to each, (sources, targets).
    ``near(candidates)``
        Times from candidates to their orders, (orders, k).
    ``nearest(driver_node, order_node, k)``
        Times of the `k` drivers who are first at each order, ascending, (orders, k).
    ``one_to_all(source)``
        Times to all nodes (nodes,).
    """

    NAME: ClassVar[str]
    pairs: Callable[..., Asked]

    def single(self, source: np.ndarray, target: np.ndarray) -> Asked:
        return self.pairs(source, target)


class Scipy(Peer):
    """Dijkstra from a node to all nodes; it cannot stop at a target.

    Parameters
    ----------
    few : int
        How many of the questions it answers: more where it is the judge.
    """

    NAME = "scipy"

    def __init__(self, streets: Streets, few: int = FEW) -> None:
        self._matrix, self._reverse = streets.matrix, streets.matrix.T.tocsr()
        self._few, self._num_nodes = few, streets.num_nodes

    def pairs(self, source: np.ndarray, target: np.ndarray) -> Asked:
        asked = _few(source, target, self._few)
        return Asked(lambda: [dijkstra(self._matrix, indices=s)[t] for s, t in asked], len(asked))

    def paths(self, source: np.ndarray, target: np.ndarray) -> Asked:
        asked = _few(source, target, self._few)
        return Asked(lambda: [self._path(s, t) for s, t in asked], len(asked), list)

    def _path(self, source: int, target: int) -> list[int]:
        before = dijkstra(self._matrix, indices=source, return_predecessors=True)[1]
        nodes = [target]
        while nodes[-1] != source and before[nodes[-1]] != NO_NODE:
            nodes.append(int(before[nodes[-1]]))
        return nodes[::-1]

    def table(self, source: np.ndarray, target: np.ndarray) -> Asked:
        rows = source[: self._few]
        return Asked(lambda: dijkstra(self._matrix, indices=rows)[:, target], len(rows))

    def near(self, candidates: Candidates) -> Asked:
        """A search for each order, on reversed arcs; it could stop at a time that nobody knows beforehand."""
        nodes, orders = candidates.node[: self._few], candidates.order_node[: self._few]
        asked = list(zip(orders.tolist(), nodes, strict=True))
        return Asked(lambda: [dijkstra(self._reverse, indices=o)[at] for o, at in asked], len(asked))

    def nearest(self, driver_node: np.ndarray, order_node: np.ndarray, k: int) -> Asked:
        orders = order_node[: self._few].tolist()
        return Asked(
            lambda: [first_ms(dijkstra(self._reverse, indices=order)[driver_node], k) for order in orders],
            len(orders),
        )

    def one_to_all(self, source: int) -> Asked:
        return Asked(lambda: dijkstra(self._matrix, indices=source), self._num_nodes)


class Igraph(Peer):
    """Dijkstra that stops when all targets are reached; each call reads all weights, which takes 16 ms."""

    NAME = "igraph"

    def __init__(self, streets: Streets) -> None:
        make, graph = installed("igraph", "Graph"), streets.graph
        if make is None:
            raise ImportError(self.NAME)
        self._graph = make(streets.num_nodes, np.column_stack([graph.tail, graph.head]), directed=True)
        self._graph.es["ms"] = streets.travel_ms.tolist()

    def pairs(self, source: np.ndarray, target: np.ndarray) -> Asked:
        asked, search = _few(source, target, FEW), self._graph.distances
        return Asked(lambda: [search(s, t, weights="ms")[0][0] for s, t in asked], len(asked))

    def paths(self, source: np.ndarray, target: np.ndarray) -> Asked:
        asked, search = _few(source, target, FEW), self._graph.get_shortest_paths
        return Asked(lambda: [search(s, t, weights="ms")[0] for s, t in asked], len(asked), list)

    def table(self, source: np.ndarray, target: np.ndarray) -> Asked:
        rows, columns = source[:FEW].tolist(), target.tolist()
        return Asked(lambda: self._graph.distances(rows, columns, weights="ms"), len(rows))

    def near(self, candidates: Candidates) -> Asked:
        asked = _by_node(candidates, FEW_ORDERS)

        def call() -> list[list[float]]:
            return [self._graph.distances(o, at, weights="ms", mode="in")[0] for o, at, _ in asked]

        return Asked(call, len(asked), lambda answer: _spread(answer, asked))

    def nearest(self, driver_node: np.ndarray, order_node: np.ndarray, k: int) -> Asked:
        orders, search = order_node[:FEW].tolist(), self._graph.distances

        def one(order: int) -> np.ndarray:
            return first_ms(np.array(search(order, weights="ms", mode="in")[0])[driver_node], k)

        return Asked(lambda: [one(order) for order in orders], len(orders))

    def one_to_all(self, source: int) -> Asked:
        return Asked(lambda: self._graph.distances(source, weights="ms")[0], self._graph.vcount())


class Networkit(Peer):
    """Dijkstra that stops at its targets: nearby ones are found in a third of a millisecond."""

    NAME = "networkit"

    def __init__(self, streets: Streets) -> None:
        make, set_threads = (installed("networkit", n) for n in ("GraphFromCoo", "setNumberOfThreads"))
        if make is None:
            raise ImportError(self.NAME)
        set_threads(1)
        graph, self._num_nodes = streets.graph, streets.num_nodes
        tail, head, ms = graph.tail.astype(np.int64), graph.head.astype(np.int64), streets.travel_ms
        options = {"n": self._num_nodes, "weighted": True, "directed": True}
        self._graph = make((ms.astype(np.float64), (tail, head)), **options)
        self._reverse = make((ms.astype(np.float64), (head, tail)), **options)
        self._distance = installed("networkit", "distance")

    def _search(self, source: int, target: int, store_paths: bool) -> Any:
        return self._distance.Dijkstra(self._graph, source, store_paths, False, target).run()

    def pairs(self, source: np.ndarray, target: np.ndarray) -> Asked:
        asked = _few(source, target, FEW)
        return Asked(lambda: [self._search(s, t, False).distance(t) for s, t in asked], len(asked))

    def paths(self, source: np.ndarray, target: np.ndarray) -> Asked:
        asked = _few(source, target, FEW)
        return Asked(lambda: [self._search(s, t, True).getPath(t) for s, t in asked], len(asked), list)

    def table(self, source: np.ndarray, target: np.ndarray) -> Asked:
        rows, columns = source[:FEW].tolist(), target.tolist()

        def call() -> Any:
            search = self._distance.SPSP(self._graph, rows)
            search.setTargets(columns)
            return search.run().getDistances(asarray=True)

        return Asked(call, len(rows))

    def near(self, candidates: Candidates) -> Asked:
        asked = _by_node(candidates, FEW_ORDERS)

        def search(order: int, nodes: list[int]) -> list[float]:
            return self._distance.MultiTargetDijkstra(self._reverse, order, nodes).run().getDistances()

        return Asked(
            lambda: [search(o, at) for o, at, _ in asked], len(asked), lambda answer: _spread(answer, asked)
        )

    def nearest(self, driver_node: np.ndarray, order_node: np.ndarray, k: int) -> Asked:
        orders = order_node[:FEW].tolist()
        return Asked(
            lambda: [first_ms(self._all(self._reverse, order)[driver_node], k) for order in orders],
            len(orders),
        )

    def one_to_all(self, source: int) -> Asked:
        return Asked(lambda: self._all(self._graph, source), self._num_nodes)

    def _all(self, graph: Any, node: int) -> np.ndarray:
        return np.asarray(self._distance.Dijkstra(graph, node, False, False).run().getDistances(asarray=True))


class Pandana(Peer):
    """A contraction hierarchy for one set of weights, made in half a minute; pairs and ways only.

    It counts in whole thousandths of the given unit: seconds, with half a millisecond against rounding down.
    """

    NAME = "pandana"
    TABLE_PAIRS = 20_000
    """it has no tables: it answers so many of the pairs"""
    NEAR_ORDERS = 1_000

    def __init__(self, streets: Streets) -> None:
        make, frames = installed("pandana", "Network"), installed("pandas", "DataFrame")
        if make is None or frames is None:
            raise ImportError(self.NAME)
        graph = streets.graph
        arcs = frames({"tail": graph.tail.astype(np.int64), "head": graph.head.astype(np.int64)})
        weights = frames({"s": (streets.travel_ms + 0.5) / MS_PER_S})
        nodes = frames({"x": graph.node_lon, "y": graph.node_lat})
        started = time.perf_counter()
        with _silent_stdout():
            self._network = make(nodes["x"], nodes["y"], arcs["tail"], arcs["head"], weights, twoway=False)
        self.built_ms = (time.perf_counter() - started) * MS_PER_S

    def pairs(self, source: np.ndarray, target: np.ndarray) -> Asked:
        return Asked(lambda: self._network.shortest_path_lengths(source, target), len(source), _whole_ms)

    def single(self, source: np.ndarray, target: np.ndarray) -> Asked:
        """Its compiled part itself: the function for one pair takes 15 ms, of which pandas has the most."""
        asked, call = _few(source, target, len(source)), self._network.net.shortest_path_distance
        return Asked(lambda: [call(s, t, 0) for s, t in asked], len(asked), _whole_ms)

    def paths(self, source: np.ndarray, target: np.ndarray) -> Asked:
        return Asked(lambda: self._network.shortest_paths(source, target), len(source), list)

    def table(self, source: np.ndarray, target: np.ndarray) -> Asked:
        num_rows = min(len(source), max(1, self.TABLE_PAIRS // len(target)))
        asked = np.repeat(source[:num_rows], len(target)), np.tile(target, num_rows)
        return Asked(
            lambda: self._network.shortest_path_lengths(*asked),
            num_rows,
            lambda answer: _whole_ms(answer).reshape(num_rows, -1),
        )

    def near(self, candidates: Candidates) -> Asked:
        node = candidates.node[: self.NEAR_ORDERS]
        asked = node.ravel(), np.repeat(candidates.order_node[: len(node)], node.shape[1])
        return Asked(
            lambda: self._network.shortest_path_lengths(*asked),
            len(node),
            lambda answer: _whole_ms(answer).reshape(node.shape),
        )


KINDS: tuple[Callable[[Streets], Peer], ...] = (Scipy, Igraph, Networkit, Pandana)


def peers_of(streets: Streets, tell: Callable[[str], None]) -> dict[str, Peer | None]:
    """By name, with the network in their own form; None for who is not installed."""
    peers: dict[str, Peer | None] = {}
    for kind in KINDS:
        tell(f"{streets.name}, {kind.NAME} makes its form of the network: made")
        try:
            peers[kind.NAME] = kind(streets)
        except ImportError:
            peers[kind.NAME] = None
    return peers


def ask(peers: Mapping[str, Peer | None], kind: str, *question: Any) -> dict[str, Asked | None]:
    """Everybody who can answer a kind of question; None for who is not installed."""
    return {
        name: None if peer is None else getattr(peer, kind)(*question)
        for name, peer in peers.items()
        if peer is None or hasattr(peer, kind)
    }


# --- helpers --------------------------------------------------------------------------------------


def first_ms(ms: np.ndarray, k: int) -> np.ndarray:
    """The `k` least times, ascending."""
    return np.sort(np.partition(ms, k - 1)[:k])


def _few(source: np.ndarray, target: np.ndarray, num: int) -> list[tuple[int, int]]:
    return list(zip(source[:num].tolist(), target[:num].tolist(), strict=True))


def _by_node(candidates: Candidates, num: int) -> list[tuple[int, list[int], np.ndarray]]:
    """For each order its node, the different nodes of its candidates, and which is whose."""
    asked = []
    for order, nodes in zip(candidates.order_node[:num].tolist(), candidates.node[:num], strict=True):
        different, row = np.unique(nodes, return_inverse=True)
        asked.append((order, different.tolist(), row))
    return asked


def _spread(answer: list[list[float]], asked: list[tuple[int, list[int], np.ndarray]]) -> np.ndarray:
    """Times of candidates from those of their nodes."""
    return np.array([np.asarray(ms)[row] for ms, (_, _, row) in zip(answer, asked, strict=True)])


def _whole_ms(seconds: Any) -> np.ndarray:
    return np.rint(np.asarray(seconds) * MS_PER_S)


@contextmanager
def _silent_stdout() -> Iterator[None]:
    """What compiled code prints would stand between our rows."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
