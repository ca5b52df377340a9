"""All travel times of a small network, found once: what a long run of small questions is cheapest with."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels import all_pairs as kernels
from dispatch.roads.graph import RoadGraph
from dispatch.roads.metric import Metric
from dispatch.roads.travel_times import Paths
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE

MAX_NODES: Final = 12_000
"""5 bytes a pair: 720 MB."""
_BITS: Final = 10
_CELLS: Final = 1 << _BITS
"""Along each axis, of the curve on which columns are laid out."""
_ROWS: Final = 512
"""Destinations at a time while the table is made: bounds memory."""
_LINE: Final = 16
"""Origins turned round at a time: a cache line of 64 bytes. Three times as fast as all at once."""


class AllPairsTimes:
    """Travel times between all nodes of a network without forbidden turns, and their ways.

    Parameters
    ----------
    metric : Metric
        Of a network that :func:`AllPairsTimes.suits`.

    Raises
    ------
    InputError
        If the network does not suit.

    Notes
    -----
    Memory: 5 bytes a pair of nodes. Manhattan (4,401 nodes) takes 0.3 s and 97 MB, San Francisco (9,326)
    1.5 s and 435 MB.
    """

    def __init__(self, metric: Metric) -> None:
        graph = metric.network.graph
        if not self.suits(graph):
            raise InputError(
                f"the network has {graph.num_nodes} nodes"
                f"{'' if graph.forbidden is None else ' and forbidden turns'}: a table of all pairs is for "
                f"{MAX_NODES} nodes at most, without forbidden turns, and {kernels.NO_ARC - 1} arcs at each; "
                "ask the metric itself"
            )
        num_nodes = graph.num_nodes
        nodes = np.arange(num_nodes, dtype=INDEX_DTYPE)
        to_ms, by_place = np.empty((num_nodes, num_nodes), DURATION_DTYPE), _side_by_side(graph)
        for first in range(0, num_nodes, _ROWS):
            rows = slice(first, first + _ROWS)
            from_ms = metric.table_ms(by_place, nodes[rows])
            for column in range(0, num_nodes, _LINE):
                columns = slice(column, column + _LINE)
                to_ms[rows, columns] = from_ms[columns].T
        place = np.empty(num_nodes, INDEX_DTYPE)
        place[by_place] = nodes
        self.table = kernels.AllPairs(
            to_ms,
            np.empty((num_nodes, num_nodes), np.uint8),
            place,
            np.require(graph.first_arc, INDEX_DTYPE, ["C", "W"]),
            np.require(graph.head, INDEX_DTYPE, ["C", "W"]),
            np.require(metric.travel_ms, DURATION_DTYPE, ["C", "W"]),
            np.require(graph.length_m, np.float64, ["C", "W"]),
        )
        """All of it, for kernels"""
        kernels.find_next_arcs(self.table, 0, num_nodes)
        self.metric = metric
        """What it was made of"""

    @staticmethod
    def suits(graph: RoadGraph) -> bool:
        """Tell whether a table can be made: few nodes, ways that any turn may follow."""
        few_arcs = int(np.diff(graph.first_arc).max(initial=0)) < kernels.NO_ARC
        return graph.num_nodes <= MAX_NODES and graph.forbidden is None and few_arcs

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self.table.to_ms)

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair of nodes (n,), which are taken as valid."""
        return self.scaled_pairs_ms(from_node, to_node, 1000)

    def scaled_pairs_ms(
        self, from_node: NDArray[np.int32], to_node: NDArray[np.int32], permille: int
    ) -> NDArray[np.int32]:
        """Give the travel time of each pair of nodes (n,) at a pace in thousandths."""
        found = np.empty(len(from_node), DURATION_DTYPE)
        kernels.pairs(self.table, permille, from_node, to_node, found)
        return found

    def paths(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> Paths:
        """Give the way of each pair of nodes (n,); none where there is none."""
        first = np.empty(len(from_node) + 1, INDEX_DTYPE)
        kernels.count_nodes(self.table, from_node, to_node, first)
        size = int(first[-1])
        node, arc = np.empty(size, INDEX_DTYPE), np.empty(size, INDEX_DTYPE)
        at_ms, at_m = np.empty(size, DURATION_DTYPE), np.empty(size)
        kernels.lay_out(self.table, from_node, to_node, first, node, at_ms, at_m, arc)
        return Paths(first, node, at_ms, at_m, arc)


def _side_by_side(graph: RoadGraph) -> NDArray[np.int32]:
    """List nodes so that those near each other stand near each other: along a Z-order curve (Morton 1966)."""
    code = np.zeros(graph.num_nodes, np.int64)
    for axis, degrees in enumerate((graph.node_lon, graph.node_lat)):
        span = np.ptp(degrees) or 1.0
        cell = ((degrees - degrees.min()) / span * (_CELLS - 1)).astype(np.int64)
        for bit in range(_BITS):
            code |= (cell >> bit & 1) << (2 * bit + axis)
    return np.argsort(code, kind="stable").astype(INDEX_DTYPE)
