"""The road network as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.csr import Arcs
from dispatch.units import INDEX_DTYPE, MAX_TRAVEL_MS, MS_PER_S

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

    def arcs(self, travel_ms: NDArray[np.int32]) -> Arcs:
        """Give the arcs as kernels read them, with the weights `travel_ms` (arcs,)."""
        return Arcs(self.first_arc, self.head, travel_ms)

    @classmethod
    def from_edges(
        cls,
        node_lonlat: tuple[NDArray[np.float64], NDArray[np.float64]],
        from_node: NDArray[np.int32],
        to_node: NDArray[np.int32],
        length_m: NDArray[np.float64],
        speed_kph: NDArray[np.float64],
        road_class: NDArray[np.int8],
    ) -> RoadGraph:
        """Sort directed edges (n,) into rows; loops and parallel edges stay. Values are taken as valid."""
        order = np.lexsort((to_node, from_node))
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
        )
