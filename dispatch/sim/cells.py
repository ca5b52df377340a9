"""A city cut into squares, few enough for a table of all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.city import City

SIDE_M: Final = 900.0
"""Side of a square, unless there would be too many."""
MAX_CELLS: Final = 300
"""A table of 24 hours and all pairs then takes at most 17 MB."""


@dataclass(frozen=True)
class Cells:
    """Squares that hold at least one node, row by row from the south-west."""

    of_node: NDArray[np.int32]
    """(nodes,)"""
    centre: NDArray[np.float64]
    """(cells, 2) mean place of the nodes, metres on the city's plane"""
    square: NDArray[np.int64]
    """(cells, 2) column and row"""
    side_m: float

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.centre)

    def distance_m(self) -> NDArray[np.float64]:
        """Give the distances between all centres (cells, cells), metres."""
        away = self.centre[:, None] - self.centre[None]
        return np.hypot(away[..., 0], away[..., 1])

    def neighbours(self) -> NDArray[np.bool_]:
        """Tell which cells (cells, cells) touch, corners included; a cell that touches none has itself."""
        apart = np.abs(self.square[:, None] - self.square[None]).max(axis=2)
        touching: NDArray[np.bool_] = apart == 1
        alone = ~touching.any(axis=1)
        touching[alone, alone] = True
        return touching


def cut_into_cells(city: City, side_m: float = SIDE_M, max_cells: int = MAX_CELLS) -> Cells:
    """Cut a city into squares of `side_m`, larger ones where there would be more than `max_cells`."""
    plane = np.column_stack(city.projection.to_plane(city.graph.node_lon, city.graph.node_lat))
    plane -= plane.min(axis=0)
    while True:
        squares, of_node = np.unique(np.floor(plane / side_m).astype(np.int64), axis=0, return_inverse=True)
        if len(squares) <= max_cells:
            break
        # Larger squares merge less than in proportion where streets are sparse: come close by steps.
        side_m *= max(1.02, math.sqrt(math.sqrt(len(squares) / max_cells)))
    of_node = of_node.ravel()
    num_nodes = np.bincount(of_node)
    centre = np.column_stack([np.bincount(of_node, axis) / num_nodes for axis in plane.T])
    return Cells(of_node.astype(np.int32), centre, squares, side_m)
