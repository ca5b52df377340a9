"""What the engine asks of travel times, and those that a caller knows already."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.checks import first_outside
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS


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


class NearestByTime(NamedTuple):
    """Drivers of each order, those who are there first first."""

    first: NDArray[np.int32]
    """(orders + 1,) order ``i`` has the entries ``first[i] … first[i + 1] - 1``"""
    item: NDArray[np.int32]
    """(entries,) rows of the drivers"""
    ms: NDArray[np.int32]
    """(entries,) travel time to the order"""


@runtime_checkable
class NearestFinder(TravelTimes, Protocol):
    """Travel times that also find the nearest drivers by road."""

    def nearest(self, drivers: ArrayLike, orders: ArrayLike, k: int, max_ms: int) -> NearestByTime:
        """Find the `k` of drivers (m,) who are first at each order (n,), none later than `max_ms`."""
        ...


@runtime_checkable
class UncertainTimes(TravelTimes, Protocol):
    """Travel times that also say how sure they are; ``pairs_ms`` gives the medians."""

    @property
    def levels(self) -> tuple[float, ...]:
        """At which levels they tell quantiles: at least two, ascending, each above 0 and below 1."""
        ...

    def quantiles_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the quantiles (n, levels) of the travel time of each pair (n,), ascending in each row.

        ``UNREACHABLE_MS`` where no path joins it.
        """
        ...


def check_levels(levels: tuple[float, ...]) -> None:
    """Refuse levels of quantiles that are fewer than two, do not ascend, or are not above 0 and below 1."""
    ascending = all(low < high for low, high in itertools.pairwise((0.0, *levels, 1.0)))
    if len(levels) < 2 or not ascending:
        raise InputError(
            f"levels is {levels!r}: it must hold at least two numbers that ascend, above 0 and below 1"
        )


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
        """Give the travel time of each pair; see :meth:`TravelTimes.pairs_ms`."""
        from_node, to_node = node_pairs(from_node, to_node)
        check_nodes("from_node", from_node, self.num_nodes)
        check_nodes("to_node", to_node, self.num_nodes)
        pairs_ms: NDArray[np.int32] = self._matrix[from_node, to_node]
        return pairs_ms


def node_pairs(from_node: ArrayLike, to_node: ArrayLike) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give both (n,) as arrays that the kernels are compiled for; raise on wrong shapes and types."""
    from_node, to_node = as_nodes("from_node", from_node), as_nodes("to_node", to_node)
    if len(from_node) != len(to_node):
        raise InputError(f"from_node has {len(from_node)} rows and to_node {len(to_node)}: they must pair up")
    return from_node, to_node


def as_nodes(name: str, nodes: ArrayLike) -> NDArray[np.int32]:
    """Give nodes or other rows (n,) as a contiguous, writable int32 array, not copied if they are one."""
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


def check_nodes(name: str, nodes: NDArray[np.int32], num_nodes: int) -> None:
    """Raise for the first row of nodes (n,) that names none."""
    row = first_outside(nodes, 0, num_nodes - 1)
    if row != NO_INDEX:
        raise InputError(f"{name}[{row}] is {nodes[row]}: nodes are 0 to {num_nodes - 1}")
