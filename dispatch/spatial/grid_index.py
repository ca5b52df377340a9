"""Nearest points and points within a radius, in a plane: exact, on a flat grid."""

from __future__ import annotations

from math import isnan, sqrt
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels import grid as kernels
from dispatch.units import INDEX_DTYPE

ITEMS_PER_CELL: Final = 3.0
MIN_CELL_M: Final = 1e-6
MAX_COORDINATE_M: Final = 1e9
"""No plane of the Earth reaches farther; beyond it squares lose their meaning."""
MAX_ROWS: Final = 2**31 - 1
SAMPLE: Final = 512
"""Items that are looked at to find where the bulk lies."""
TAIL: Final = 0.02
"""Share of the sample on each side that may lie outside of the grid's core."""

_ALL: Final = np.empty(0, np.bool_)


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
    """Index of points that stand still; when they move, build it anew (about 10 ns a point).

    The cells cover the bulk of the points and those on the border reach to infinity: outliers cost nothing.
    Points that crowd into a few spots of a wide area are found correctly, but no faster than one by one.

    Parameters
    ----------
    x, y : (n,) float64
        Metres, at most 1e9 from the origin. Copied. ``n = 0`` is legal.

    Raises
    ------
    InputError
        Shapes differ, or a coordinate is not finite or too large.

    Notes
    -----
    Complexity: build O(n); a query for k neighbours O(k log k) on points spread evenly.
    Source: J. L. Bentley, B. W. Weide, A. C. Yao, "Optimal expected-time algorithms for closest point
    problems", ACM TOMS 6(4), 1980 (cells by counting, search in spirals).
    """

    def __init__(self, x: ArrayLike, y: ArrayLike) -> None:
        x, y = _points("x", x, "y", y)
        self._num_items = len(x)
        frame = _frame(x, y)
        first_item = np.empty(frame.num_cols * frame.num_rows + 1, INDEX_DTYPE)
        scratch_cell, item = np.empty(len(x), INDEX_DTYPE), np.empty(len(x), INDEX_DTYPE)
        sorted_x, sorted_y = np.empty(len(x)), np.empty(len(x))
        kernels.build(frame, x, y, scratch_cell, first_item, item, sorted_x, sorted_y)
        self._grid = kernels.Grid(first_item, item, sorted_x, sorted_y, frame)

    def __len__(self) -> int:
        return self._num_items

    def nearest(
        self,
        query_x: ArrayLike,
        query_y: ArrayLike,
        k: int,
        max_distance_m: float = np.inf,
        available: NDArray[np.bool_] | None = None,
    ) -> Neighbours:
        """Find the `k` nearest available items of each query.

        Parameters
        ----------
        query_x, query_y : (queries,) float64
            Metres.
        k : int
            At least 1; a query finds fewer if there are no more.
        max_distance_m : float
            Items farther away are not found; one at exactly this distance is.
        available : (n,) bool, optional
            Items that may be found; all by default.

        Returns
        -------
        Neighbours
            Of equally distant items at the cut, those of the lower row are found.

        Raises
        ------
        InputError
            Shapes, `k`, the limit or a coordinate break a rule.
        """
        queries = _points("query_x", query_x, "query_y", query_y)
        if k < 1:
            raise InputError(f"k is {k}: it must be at least 1")
        _check_distance("max_distance_m", max_distance_m)
        mask = self._mask(available)
        k = min(int(k), max(self._num_items, 1))
        _check_num_rows(len(queries.x) * k)
        first = np.empty(len(queries.x) + 1, INDEX_DTYPE)
        item, distance_m = np.empty(len(queries.x) * k, INDEX_DTYPE), np.empty(len(queries.x) * k)
        kernels.nearest(self._grid, queries, k, float(max_distance_m), mask, first, item, distance_m)
        num_found = first[-1]
        return Neighbours(first, item[:num_found], distance_m[:num_found])

    def within(
        self,
        query_x: ArrayLike,
        query_y: ArrayLike,
        radius_m: float,
        available: NDArray[np.bool_] | None = None,
    ) -> Neighbours:
        """Find all available items within `radius_m` of each query, its edge included.

        Parameters
        ----------
        query_x, query_y : (queries,) float64
            Metres.
        radius_m : float
            Not negative.
        available : (n,) bool, optional
            Items that may be found; all by default.

        Returns
        -------
        Neighbours

        Raises
        ------
        InputError
            Shapes, the radius or a coordinate break a rule, or more than 2³¹ - 1 rows would be found.
        """
        queries = _points("query_x", query_x, "query_y", query_y)
        _check_distance("radius_m", radius_m)
        mask = self._mask(available)
        first = np.empty(len(queries.x) + 1, INDEX_DTYPE)
        num_found = kernels.within_count(self._grid, queries, float(radius_m), mask, first)
        _check_num_rows(num_found)
        item, distance_m = np.empty(num_found, INDEX_DTYPE), np.empty(num_found)
        kernels.within_fill(self._grid, queries, float(radius_m), mask, first, item, distance_m)
        return Neighbours(first, item, distance_m)

    def _mask(self, available: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
        if available is None:
            return _ALL
        available = np.asarray(available)
        if available.dtype != np.bool_ or available.shape != (self._num_items,):
            raise InputError(
                f"available is {available.dtype} of shape {available.shape}: it must be bool, one "
                f"for each of the {self._num_items} items"
            )
        return np.require(available, requirements=["C", "W"])


def _points(x_name: str, x: ArrayLike, y_name: str, y: ArrayLike) -> kernels.Points:
    """Give both as the kernels read them, checked."""
    xs = np.atleast_1d(np.require(x, np.float64, ["C", "W"]))
    ys = np.atleast_1d(np.require(y, np.float64, ["C", "W"]))
    if xs.ndim != 1 or xs.shape != ys.shape:
        raise InputError(f"{x_name} has shape {xs.shape} and {y_name} {ys.shape}: both must be (n,)")
    for name, values in ((x_name, xs), (y_name, ys)):
        right = np.abs(values) <= MAX_COORDINATE_M
        if not right.all():
            row = int(np.argmin(right))
            raise InputError(
                f"{name} at row {row} is {values[row]}: coordinates must be finite and within "
                f"{MAX_COORDINATE_M:g} m; leave out rows without a position"
            )
    return kernels.Points(xs, ys)


def _check_distance(name: str, value_m: float) -> None:
    if isnan(value_m) or value_m < 0:
        raise InputError(f"{name} is {value_m}: it must be a distance in metres, not negative")


def _check_num_rows(num_rows: int) -> None:
    if num_rows > MAX_ROWS:
        raise InputError(
            f"the answer would have up to {num_rows} rows, more than {MAX_ROWS}: ask in smaller batches"
        )


def _frame(x: NDArray[np.float64], y: NDArray[np.float64]) -> kernels.Frame:
    """Lay cells over the bulk of the points, about ITEMS_PER_CELL in each."""
    if not len(x):
        return kernels.Frame(0.0, 0.0, 1.0, 1, 1, 0.0, 0.0, 0.0, 0.0)
    min_x, max_x, min_y, max_y = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    x0, width = _bulk(x, min_x, max_x)
    y0, height = _bulk(y, min_y, max_y)
    num_cells = max(1.0, len(x) / ITEMS_PER_CELL)
    # The second term keeps a thin strip from having more columns than cells are wanted.
    cell_m = max(sqrt(width * height / num_cells), max(width, height) / num_cells, MIN_CELL_M)
    num_cols, num_rows = int(width / cell_m) + 1, int(height / cell_m) + 1
    return kernels.Frame(x0, y0, cell_m, num_cols, num_rows, min_x, max_x, min_y, max_y)


def _bulk(values: NDArray[np.float64], least: float, most: float) -> tuple[float, float]:
    """Give start and length of the range that holds the bulk, widened on both sides by its own length."""
    sample = np.sort(values[:: max(1, len(values) // SAMPLE)])
    tail = int(TAIL * len(sample))
    core_start, core_end = float(sample[tail]), float(sample[-1 - tail])
    start = max(least, 2 * core_start - core_end)
    return start, min(most, 2 * core_end - core_start) - start
