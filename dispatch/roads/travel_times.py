"""Exact travel times and paths between nodes of a road network."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.checks import first_outside
from dispatch.kernels.csr import Arcs
from dispatch.kernels.dijkstra import BucketQueue, rows_to_nodes
from dispatch.kernels.paths import (
    PathNodes,
    TravelTable,
    count_path_nodes,
    gather_pairs,
    list_missing,
    trace_paths,
)
from dispatch.roads.graph import RoadGraph
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MAX_TRAVEL_MS, NO_INDEX, NO_VALUE, UNREACHABLE_MS

_ROWS_PER_TASK: Final = 64
"""Some tens of milliseconds of work: progress and Ctrl-C come through, the hand-over costs nothing."""

_MAX_BUCKETS_LOG2: Final = 16


@runtime_checkable
class TravelTimes(Protocol):
    """Whatever can say how long a drive takes."""

    @property
    def num_nodes(self) -> int:
        """Number of nodes; they are named ``0 … num_nodes - 1``."""
        ...

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair (n,); ``UNREACHABLE_MS`` where no path joins it."""
        ...


@dataclass(frozen=True)
class Paths:
    """Shortest paths of many pairs, one after another."""

    first: NDArray[np.int32]
    """(pairs + 1,) path ``i`` has the entries ``first[i] … first[i + 1] - 1``; none without a way"""
    node: NDArray[np.int32]
    """(entries,) nodes, both ends included"""
    at_ms: NDArray[np.int32]
    """(entries,) travel time since the start of the path"""
    at_m: NDArray[np.float64]
    """(entries,) metres since the start of the path"""
    edge: NDArray[np.int32]
    """(entries,) row of the graph's arc that was driven to come to the node, NO_INDEX at the start"""


@runtime_checkable
class PathFinder(TravelTimes, Protocol):
    """Travel times that also know the way."""

    def paths(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> Paths:
        """Give the path of each pair (n,); none where no path joins it."""
        ...


class RoadTravelTimes:
    """Exact travel times on a road network, one weight an arc.

    Travel times *to* a node are found once, from all nodes, and kept for later questions as far as
    `max_bytes` allows; beyond that the oldest go first. Not safe for use by several threads at once.

    Parameters
    ----------
    graph : RoadGraph
        The network.
    travel_ms : (arcs,) int32
        Travel time of each arc, 1 to ``MAX_TRAVEL_MS`` milliseconds.
    max_bytes : int
        Memory for travel times; room for one node's is always made.

    Raises
    ------
    InputError
        If `travel_ms` has another shape or a value out of range, or `max_bytes` is negative.
    """

    def __init__(self, graph: RoadGraph, travel_ms: NDArray[np.int32], max_bytes: int = 1 << 30) -> None:
        travel_ms = np.asarray(travel_ms)
        _check_weights(travel_ms, graph.num_arcs)
        if max_bytes < 0:
            raise InputError(f"max_bytes is {max_bytes}: it must not be negative")
        # Read-only or strided arrays would compile the kernels a second time.
        self._arcs = Arcs(
            np.require(graph.first_arc, INDEX_DTYPE, ["C", "W"]),
            np.require(graph.head, INDEX_DTYPE, ["C", "W"]),
            np.array(travel_ms, DURATION_DTYPE),
        )
        self._length_m = np.require(graph.length_m, np.float64, ["C", "W"])
        self._reverse = _reversed(self._arcs, graph.tail)
        num_rows = max(1, min(graph.num_nodes, max_bytes // max(4 * graph.num_nodes, 1)))
        self._table = TravelTable(
            np.full(graph.num_nodes, NO_INDEX, INDEX_DTYPE),
            np.empty((num_rows, graph.num_nodes), DURATION_DTYPE),  # a row costs memory once written
        )
        self._node_of_row = np.full(num_rows, NO_INDEX, INDEX_DTYPE)
        self._next_row = 0
        self._queue = _bucket_queue(self._reverse)

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self._table.row_of_node)

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair.

        Parameters
        ----------
        from_node, to_node : (n,) int32
            Pairs of nodes.

        Returns
        -------
        (n,) int32
            Milliseconds, ``UNREACHABLE_MS`` where no path joins the pair.

        Raises
        ------
        InputError
            If the two differ in length, hold no integers, or a row names no node.
        """
        from_node, to_node = _node_pairs(from_node, to_node)
        pairs_ms = np.full(len(from_node), NO_VALUE, DURATION_DTYPE)
        num_missing = gather_pairs(from_node, to_node, self._table, pairs_ms)
        if num_missing < 0:
            _check_nodes("from_node", from_node, self.num_nodes)
            _check_nodes("to_node", to_node, self.num_nodes)
        if num_missing > 0:
            missing, num_rows = self._missing(to_node), len(self._node_of_row)
            for begin in range(0, len(missing), num_rows):
                self._fill(missing[begin : begin + num_rows])
                gather_pairs(from_node, to_node, self._table, pairs_ms)
        return pairs_ms

    def paths(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> Paths:
        """Give the shortest path of each pair; of several, the one that takes the lowest arcs first.

        Parameters
        ----------
        from_node, to_node : (n,) int32
            Pairs of nodes. A pair of equal nodes has a path of that one node; a pair that no path
            joins has none: ``first[i] == first[i + 1]``.

        Returns
        -------
        Paths
            Nodes, with the time and the metres since the start.

        Raises
        ------
        InputError
            As for :meth:`pairs_ms`.
        """
        from_node, to_node = _node_pairs(from_node, to_node)
        _check_nodes("from_node", from_node, self.num_nodes)
        _check_nodes("to_node", to_node, self.num_nodes)
        num_rows = len(self._node_of_row)
        if len(to_node) <= num_rows or len(np.unique(to_node)) <= num_rows:
            return self._trace(from_node, to_node)
        parts = [
            self._trace(from_node[begin : begin + num_rows], to_node[begin : begin + num_rows])
            for begin in range(0, len(to_node), num_rows)
        ]
        num_nodes = np.concatenate([np.diff(part.first) for part in parts])
        return Paths(
            _first(num_nodes),
            np.concatenate([part.node for part in parts]),
            np.concatenate([part.at_ms for part in parts]),
            np.concatenate([part.at_m for part in parts]),
            np.concatenate([part.edge for part in parts]),
        )

    def prepare(
        self,
        to_nodes: NDArray[np.int32],
        num_threads: int = 2,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Find the travel times to some nodes ahead of use, as many as there is room for.

        Parameters
        ----------
        to_nodes : (n,) int32
            Nodes; those already known are skipped.
        num_threads : int
            How many cores to use.
        on_progress : callable, optional
            Called with ``(done, total)`` at the start and after every few dozen nodes.

        Raises
        ------
        InputError
            If a row names no node, or `num_threads` is below 1.
        """
        to_nodes = _node_array("to_nodes", to_nodes)
        if num_threads < 1:
            raise InputError(f"num_threads is {num_threads}: it must be at least 1")
        _check_nodes("to_nodes", to_nodes, self.num_nodes)
        nodes = self._missing(to_nodes)[: len(self._node_of_row)]
        rows = self._reserve(len(nodes))
        spare_queues: SimpleQueue[BucketQueue] = SimpleQueue()  # each thread's own scratch
        for _ in range(num_threads):
            spare_queues.put(_bucket_queue(self._reverse))

        def fill(begin: int) -> slice:
            part = slice(begin, begin + _ROWS_PER_TASK)
            queue = spare_queues.get()
            rows_to_nodes(self._reverse, nodes[part], rows[part], queue, self._table.to_row_ms)
            spare_queues.put(queue)
            return part

        done = 0
        if on_progress is not None:
            on_progress(done, len(nodes))
        with ThreadPoolExecutor(num_threads) as pool:
            tasks = [pool.submit(fill, begin) for begin in range(0, len(nodes), _ROWS_PER_TASK)]
            try:
                for task in as_completed(tasks):
                    part = task.result()
                    self._publish(nodes[part], rows[part])
                    done += len(nodes[part])
                    if on_progress is not None:
                        on_progress(done, len(nodes))
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _missing(self, to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """List the distinct nodes that have no row."""
        missing = np.empty(len(to_node), INDEX_DTYPE)
        return missing[: list_missing(to_node, self._table.row_of_node, missing)]

    def _reserve(self, num_rows: int) -> NDArray[np.int32]:
        """Take the next rows of the table, forgetting what they held; at most all of them."""
        rows = ((self._next_row + np.arange(num_rows)) % len(self._node_of_row)).astype(INDEX_DTYPE)
        held = self._node_of_row[rows]
        self._table.row_of_node[held[held != NO_INDEX]] = NO_INDEX
        self._node_of_row[rows] = NO_INDEX
        self._next_row = (self._next_row + num_rows) % len(self._node_of_row)
        return rows

    def _publish(self, nodes: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
        """Make filled rows known: only now, so that an interrupted call leaves no half row behind."""
        self._node_of_row[rows] = nodes
        self._table.row_of_node[nodes] = rows

    def _fill(self, nodes: NDArray[np.int32]) -> None:
        """Find the travel times to distinct nodes without a row; at most as many as there are rows."""
        rows = self._reserve(len(nodes))
        rows_to_nodes(self._reverse, nodes, rows, self._queue, self._table.to_row_ms)
        self._publish(nodes, rows)

    def _trace(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> Paths:
        """Give the paths of pairs with at most as many destinations as there are rows."""
        # Filling may evict a row that this very call needs, but never one that it has filled itself.
        while len(missing := self._missing(to_node)) > 0:
            self._fill(missing)
        num_nodes = np.empty(len(from_node), INDEX_DTYPE)
        count_path_nodes(self._arcs, from_node, to_node, self._table, num_nodes)
        first = _first(num_nodes)
        total = int(first[-1])
        paths = PathNodes(
            first,
            np.empty(total, INDEX_DTYPE),
            np.empty(total, DURATION_DTYPE),
            np.empty(total),
            np.empty(total, INDEX_DTYPE),
        )
        trace_paths(self._arcs, self._length_m, from_node, to_node, self._table, paths)
        return Paths(*paths)


class MatrixTravelTimes:
    """Travel times that the caller knows already.

    Parameters
    ----------
    matrix : (nodes, nodes) integer
        Milliseconds from row to column, 0 to ``MAX_TRAVEL_MS``, or ``UNREACHABLE_MS``. An ``int32`` array
        is not copied.

    Raises
    ------
    InputError
        If the matrix is not square, holds no integers, or a value is out of range.
    """

    def __init__(self, matrix: NDArray[np.int32]) -> None:
        matrix = np.asarray(matrix)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise InputError(
                f"matrix has the shape {matrix.shape}: it must be square, a row and a column a node"
            )
        if not np.issubdtype(matrix.dtype, np.integer):
            raise InputError(f"matrix holds {matrix.dtype}: it must hold integers, milliseconds")
        outside = (matrix < 0) | (matrix > UNREACHABLE_MS)
        if outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            raise InputError(
                f"matrix[{row}, {column}] is {matrix[row, column]}: travel times are 0 to {MAX_TRAVEL_MS} "
                f"ms, or UNREACHABLE_MS ({UNREACHABLE_MS}) where there is no way"
            )
        self._matrix = matrix.astype(DURATION_DTYPE, copy=False)

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self._matrix)

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair; see :meth:`RoadTravelTimes.pairs_ms`."""
        from_node, to_node = _node_pairs(from_node, to_node)
        _check_nodes("from_node", from_node, self.num_nodes)
        _check_nodes("to_node", to_node, self.num_nodes)
        pairs_ms: NDArray[np.int32] = self._matrix[from_node, to_node]
        return pairs_ms


def _check_weights(travel_ms: NDArray[np.int32], num_arcs: int) -> None:
    """Raise unless there is one travel time an arc, an integer in range."""
    if travel_ms.shape != (num_arcs,):
        raise InputError(
            f"travel_ms has the shape {travel_ms.shape}: the graph has {num_arcs} arcs, one value each"
        )
    if not np.issubdtype(travel_ms.dtype, np.integer):
        raise InputError(f"travel_ms holds {travel_ms.dtype}: it must hold integers, milliseconds")
    outside = (travel_ms < 1) | (travel_ms > MAX_TRAVEL_MS)
    if outside.any():
        row = int(np.argmax(outside))
        raise InputError(
            f"travel_ms[{row}] is {travel_ms[row]}: an arc takes 1 to {MAX_TRAVEL_MS} ms; round 0 up to 1"
        )


def _reversed(arcs: Arcs, tail: NDArray[np.int32]) -> Arcs:
    """Turn every arc round."""
    order = np.argsort(arcs.head, kind="stable")
    first_arc = _first(np.bincount(arcs.head, minlength=len(arcs.first_arc) - 1))
    return Arcs(first_arc, np.ascontiguousarray(tail[order]), np.ascontiguousarray(arcs.travel_ms[order]))


def _bucket_queue(arcs: Arcs) -> BucketQueue:
    """Make scratch for one search at a time, with buckets as wide as a usual arc.

    The sum of all arcs bounds every travel time, so that no more empty buckets are passed than twice the
    number of arcs; a few very long arcs make buckets wider rather than more.
    """
    longest_ms = int(arcs.travel_ms.max(initial=1))
    mean_ms = int(arcs.travel_ms.mean()) if len(arcs.travel_ms) else 1
    shift = max(mean_ms.bit_length() - 1, longest_ms.bit_length() - _MAX_BUCKETS_LOG2 + 1)
    num_buckets = 1 << ((longest_ms >> shift) + 1).bit_length()
    num_nodes = len(arcs.first_arc) - 1
    return BucketQueue(
        np.full(num_buckets, NO_INDEX, INDEX_DTYPE),
        np.empty(num_nodes, INDEX_DTYPE),
        np.empty(num_nodes, INDEX_DTYPE),
        shift,
    )


def _first(counts: NDArray[np.integer]) -> NDArray[np.int32]:
    """Give the first entry of each row, and the end of the last, from the numbers of entries."""
    first = np.zeros(len(counts) + 1, INDEX_DTYPE)
    np.cumsum(counts, out=first[1:])
    return first


def _node_pairs(
    from_node: NDArray[np.int32], to_node: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give both as arrays that the kernels are compiled for; raise on wrong shapes and types."""
    from_node, to_node = _node_array("from_node", from_node), _node_array("to_node", to_node)
    if len(from_node) != len(to_node):
        raise InputError(f"from_node has {len(from_node)} rows and to_node {len(to_node)}: they must pair up")
    return from_node, to_node


def _node_array(name: str, nodes: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give nodes as a contiguous, writable int32 array, without a copy where they are one."""
    if (
        isinstance(nodes, np.ndarray)
        and nodes.ndim == 1
        and nodes.dtype == INDEX_DTYPE
        and nodes.flags.c_contiguous
        and nodes.flags.writeable
    ):
        return nodes
    nodes = np.asarray(nodes)
    if nodes.ndim != 1:
        raise InputError(f"{name} has the shape {nodes.shape}: it must have one dimension, a row a pair")
    if not np.issubdtype(nodes.dtype, np.integer) and len(nodes) > 0:
        raise InputError(f"{name} holds {nodes.dtype}: nodes are integers")
    wide = (nodes < np.iinfo(np.int32).min) | (nodes > np.iinfo(np.int32).max)
    if wide.any():
        row = int(np.argmax(wide))
        raise InputError(f"{name}[{row}] is {nodes[row]}: it does not fit in int32, nodes are row numbers")
    return np.array(nodes, INDEX_DTYPE)


def _check_nodes(name: str, nodes: NDArray[np.int32], num_nodes: int) -> None:
    """Raise for the first row that names no node."""
    row = first_outside(nodes, 0, num_nodes - 1)
    if row != NO_INDEX:
        raise InputError(f"{name}[{row}] is {nodes[row]}: nodes are 0 to {num_nodes - 1}")
