"""Areas of a city, for forecasts: squares that hold nodes of its network."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.units import INDEX_DTYPE

AREA_M: Final = 1000.0
"""Side of an area."""


class Areas(NamedTuple):
    """Squares of the city."""

    of_node: NDArray[np.int32]
    """(nodes,)"""
    num: int


def areas_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> Areas:
    """Cut a city of nodes (n,), metres in its plane, into squares; those without a node are none."""
    col, row = (np.floor((values - values.min()) / AREA_M).astype(np.int64) for values in (x, y))
    squares, of_node = np.unique(row * (col.max() + 1) + col, return_inverse=True)
    return Areas(of_node.astype(INDEX_DTYPE), len(squares))
