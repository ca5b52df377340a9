"""Nearest points and points within a radius, in a plane."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Neighbours(NamedTuple):
    """Found items per query, in compressed sparse rows; each row sorted by distance, then item.

    The items of query ``q`` are rows ``first[q] … first[q + 1] - 1``.
    """

    first: NDArray[np.int32]
    """(queries + 1,)"""
    item: NDArray[np.int32]
    """(found,) row of the item in the index"""
    distance_m: NDArray[np.float64]
    """(found,) metres"""


class GridIndex:
    """Static index of points; build anew when they move."""

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        self.x = np.array(x, np.float64)
        self.y = np.array(y, np.float64)

    def nearest(
        self,
        query_x: ArrayLike,
        query_y: ArrayLike,
        k: int,
        max_distance_m: float = np.inf,
        available: NDArray[np.bool_] | None = None,
    ) -> Neighbours:
        """Find the `k` nearest available items of each query within `max_distance_m`."""
        return self._search(query_x, query_y, k, max_distance_m, available)

    def within(
        self, query_x: ArrayLike, query_y: ArrayLike, radius_m: float, available: NDArray[np.bool_] | None = None
    ) -> Neighbours:
        """Find all available items within `radius_m` of each query."""
        return self._search(query_x, query_y, len(self.x), radius_m, available)

    def _search(
        self, query_x: ArrayLike, query_y: ArrayLike, k: int, limit_m: float, available: NDArray[np.bool_] | None
    ) -> Neighbours:
        items, distances, first = [], [], [0]
        for qx, qy in zip(np.atleast_1d(query_x), np.atleast_1d(query_y), strict=True):
            d = np.sqrt((self.x - qx) ** 2 + (self.y - qy) ** 2)
            order = np.argsort(d, kind="stable")
            keep = d[order] <= limit_m
            if available is not None:
                keep &= available[order]
            order = order[keep][:k]
            items.append(order.astype(np.int32))
            distances.append(d[order])
            first.append(first[-1] + len(order))
        return Neighbours(
            np.array(first, np.int32),
            np.concatenate([*items, np.empty(0, np.int32)]),
            np.concatenate([*distances, np.empty(0)]),
        )
