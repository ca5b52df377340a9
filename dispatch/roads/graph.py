"""The road network as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.edge_shapes import EdgeShapes
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.units import INDEX_DTYPE, MAX_TRAVEL_MS, MS_PER_S, NO_INDEX

ROAD_CLASSES: Final = (
    "motorway",
    "trunk",
    "primary",
    "secondary",
    "tertiary",
    "residential",
    "service",
    "other",
)
"""From most to least important; links count with their class (``motorway_link`` is ``motorway``)."""


@dataclass(frozen=True)
class RoadGraph:
    """Directed road network in compressed sparse rows, arcs sorted by tail, then head.

    All arrays are C-contiguous and are never written after construction.
    """

    node_lon: NDArray[np.float64]
    """(nodes,) degrees, WGS84"""
    node_lat: NDArray[np.float64]
    """(nodes,) degrees, WGS84"""
    first_arc: NDArray[np.int32]
    """(nodes + 1,)"""
    head: NDArray[np.int32]
    """(arcs,) node that the arc enters"""
    length_m: NDArray[np.float64]
    """(arcs,) metres, positive"""
    speed_kph: NDArray[np.float64]
    """(arcs,) free-flow speed"""
    road_class: NDArray[np.int8]
    """(arcs,) row in :data:`ROAD_CLASSES`"""
    shapes: EdgeShapes | None = None
    """How the arcs run, for drawing and snapping; None: straight"""
    forbidden: ForbiddenTurns | None = None
    """What a car may not drive one after the other; None: nothing is forbidden"""

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return len(self.node_lon)

    @property
    def num_arcs(self) -> int:
        """Number of directed arcs."""
        return len(self.head)

    @cached_property
    def tail(self) -> NDArray[np.int32]:
        """(arcs,) node that the arc leaves."""
        return np.repeat(np.arange(self.num_nodes, dtype=INDEX_DTYPE), np.diff(self.first_arc))

    @cached_property
    def twin(self) -> NDArray[np.int32]:
        """(arcs,) the arc that is the same street driven the other way, NO_INDEX where it is one-way.

        With shapes it is the arc that runs backwards through the same points; without, the one between the
        same ends of the same length and class. Parallel ones are paired one to one, loops with loops.
        """
        low, high = np.minimum(self.tail, self.head), np.maximum(self.tail, self.head)
        backwards, either_way = self.tail > self.head, low == high
        alike: tuple[NDArray[Any], ...] = (self.road_class, self.length_m, high, low)
        if self.shapes is not None:
            there, back = self.shapes.fingerprints()
            alike = (np.minimum(there, back), high, low)
            backwards = np.where(either_way, there > back, backwards)
            either_way &= there == back
        side = np.where(either_way, _rank(alike) % 2, backwards)
        rank = _rank((side, *alike))
        order = np.lexsort((side, rank, *alike))
        same = np.all([column[order[1:]] == column[order[:-1]] for column in (rank, *alike)], axis=0)
        one, other = order[:-1][same], order[1:][same]
        twin = np.full(self.num_arcs, NO_INDEX, INDEX_DTYPE)
        twin[one], twin[other] = other, one
        return twin

    def free_flow_ms(self, slowdown: float = 1.0) -> NDArray[np.int32]:
        """Travel time of each arc at its free-flow speed, times `slowdown`; at least 1 ms.

        Returns
        -------
        (arcs,) int32
        """
        if not (np.isfinite(slowdown) and slowdown > 0):
            raise InputError(f"slowdown is {slowdown}: it must be a positive number")
        travel_ms = np.rint(self.length_m / (self.speed_kph / 3.6) * MS_PER_S * slowdown)
        return np.clip(travel_ms, 1, MAX_TRAVEL_MS).astype(np.int32)

    @classmethod
    def from_edges(
        cls,
        node_lonlat: tuple[NDArray[np.float64], NDArray[np.float64]],
        from_node: NDArray[np.int32],
        to_node: NDArray[np.int32],
        length_m: NDArray[np.float64],
        speed_kph: NDArray[np.float64],
        road_class: NDArray[np.int8],
        shapes: EdgeShapes | None = None,
        forbidden: ForbiddenTurns | None = None,
    ) -> RoadGraph:
        """Sort directed edges (n,) into rows; loops and parallel edges stay. Values are taken as valid.

        `shapes` and `forbidden` go by the given edges and are sorted along.
        """
        order = np.lexsort((to_node, from_node))
        row = np.empty(len(order), INDEX_DTYPE)
        row[order] = np.arange(len(order), dtype=INDEX_DTYPE)
        num_nodes = len(node_lonlat[0])
        first_arc = np.zeros(num_nodes + 1, INDEX_DTYPE)
        np.cumsum(np.bincount(from_node, minlength=num_nodes), out=first_arc[1:])
        return cls(
            np.ascontiguousarray(node_lonlat[0], np.float64),
            np.ascontiguousarray(node_lonlat[1], np.float64),
            first_arc,
            np.ascontiguousarray(to_node[order], INDEX_DTYPE),
            np.ascontiguousarray(length_m[order], np.float64),
            np.ascontiguousarray(speed_kph[order], np.float64),
            np.ascontiguousarray(road_class[order], np.int8),
            None if shapes is None else shapes.take(order),
            None if forbidden is None else forbidden.renumbered(row),
        )


def _rank(columns: tuple[NDArray[Any], ...]) -> NDArray[np.int64]:
    """Give the place of each row (n,) among the rows that are equal in all columns."""
    order = np.lexsort(columns)
    new = np.ones(len(order), np.bool_)
    new[1:] = np.any([column[order[1:]] != column[order[:-1]] for column in columns], axis=0)
    start = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - start
    return rank
