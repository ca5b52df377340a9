"""Nearest points and points within a radius, in a plane: exact, on a flat grid, for points that move."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels import grid as kernels, grid_moves, grid_search
from dispatch.kernels.jit import direct
from dispatch.spatial.arguments import (
    BOOL,
    INDEX,
    INT64,
    MAX_ROWS,
    as_classes,
    as_pair,
    as_plain,
    as_points,
    bad_query,
    check_distance,
    check_num_rows,
    check_points,
)
from dispatch.units import INDEX_DTYPE, NO_INDEX

_NEAREST_ONE: Final = direct("grid_search.nearest_one")
_NEAREST_KEPT: Final = direct("grid_search.nearest_kept")
_WITHIN_ONE: Final = direct("grid_search.within_one")

REBUILD_SHARE: Final = 0.25
"""Of the items: if more change at once, the index is built anew. One item moved on its own takes 125 ns in an
index of a million, where building takes 36 ns an item."""
ALWAYS_MOVED: Final = 20_000
"""So many are moved one by one whatever their share: 15 ns each in a small index, building takes 27 ns."""
CHANGES_PER_FRAME: Final = 16
"""Changes per item after which the cells are laid anew, where the items are by then."""
SLOTS_PER_QUERY: Final = 25
"""With fewer slots a query, the items that may be found are copied for a batch (5 to 10 ns a slot), and no
query has to filter (0.2 µs)."""
FIRST_ROOM: Final = 128
"""Rows that a single query for a radius is given at first."""


_NO_ROWS: Final = np.empty(0, INDEX_DTYPE)
_NO_MASK: Final = np.empty(0, np.bool_)
_NO_CLASSES: Final = np.empty(0, np.int64)
_ANY_CLASS: Final = np.full(1, -1, np.int64)
_ALL: Final = grid_search.Filter(_NO_MASK, _NO_CLASSES)


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
    """Index of points that may move, come and go; exact, whatever their distribution.

    An item is known by its row: those of the constructor are ``0 … n - 1``, :meth:`add` tells the rows of
    the others. The cells cover the bulk of the points and those on the border reach to infinity: outliers
    cost nothing. Points that crowd into a few spots of a wide area are found correctly, but slowly.

    Several threads may search at once, but not while another one changes the index.

    Parameters
    ----------
    x, y : (n,) float64
        Metres, at most 1e9 from the origin. Copied. ``n = 0`` is legal.
    classes : (n,) int64, optional
        Classes of each item, a bit for each, say 1 for a van and 2 for a child's seat. Only an index with
        classes can be asked for them.

    Raises
    ------
    InputError
        Shapes differ, or a coordinate is not finite or too large.

    Notes
    -----
    Complexity: build O(n); a query for k neighbours O(k log k) on points spread evenly; a move O(1).
    Source: J. L. Bentley, B. W. Weide, A. C. Yao, "Optimal expected-time algorithms for closest point
    problems", ACM TOMS 6(4), 1980 (cells by counting, search outwards).
    """

    def __init__(self, x: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> None:
        points = as_pair("x", x, "y", y)
        self._has_classes = classes is not None
        self._class_bits = _NO_CLASSES if classes is None else as_classes(classes, len(points.x)).copy()
        self._num_rows = self._num_items = len(points.x)
        self._free_rows: list[int] = []
        self._build(points, _NO_ROWS, "x", "y")

    def __len__(self) -> int:
        """Give the number of items, without those removed."""
        return self._num_items

    @property
    def num_rows(self) -> int:
        """One more than the largest row ever given: the length of an availability mask."""
        return self._num_rows

    # --- searching -------------------------------------------------------------------------------

    def nearest(
        self,
        query_x: ArrayLike,
        query_y: ArrayLike,
        k: int,
        max_distance_m: float = inf,
        available: NDArray[np.bool_] | None = None,
        classes: ArrayLike | None = None,
    ) -> Neighbours:
        """Find the `k` nearest items of each query, of those that are available and of an accepted class.

        Parameters
        ----------
        query_x, query_y : (queries,) float64
            Metres.
        k : int
            At least 1; a query finds fewer if there are no more.
        max_distance_m : float
            Items farther away are not found; one at exactly this distance is.
        available : (num_rows,) bool, optional
            Items that may be found; all by default.
        classes : int or (queries,) int64, optional
            Bits of the classes that all queries or each of them accepts; an item that has one of them may be
            found. All by default.

        Returns
        -------
        Neighbours
            Of equally distant items at the cut, those of the lower row are found.

        Raises
        ------
        InputError
            Shapes, `k`, the limit, a coordinate, the mask or the classes break a rule.
        """
        queries, keep = self._queries(query_x, query_y, available, classes)
        k = self._k(k)
        check_distance("max_distance_m", max_distance_m)
        check_num_rows(len(queries.x) * k)
        first = np.empty(len(queries.x) + 1, INDEX_DTYPE)
        item, distance_m = np.empty(len(queries.x) * k, INDEX_DTYPE), np.empty(len(queries.x) * k)
        grid, keep = self._thinned(queries, keep)
        grid_search.nearest(grid, keep, queries, k, float(max_distance_m), first, item, distance_m)
        num_found = first[-1]
        return Neighbours(first, item[:num_found], distance_m[:num_found])

    def within(
        self,
        query_x: ArrayLike,
        query_y: ArrayLike,
        radius_m: float,
        available: NDArray[np.bool_] | None = None,
        classes: ArrayLike | None = None,
    ) -> Neighbours:
        """Find all items within `radius_m` of each query, its edge included, that may be found.

        Parameters
        ----------
        query_x, query_y : (queries,) float64
            Metres.
        radius_m : float
            Not negative.
        available, classes
            As for :meth:`nearest`.

        Returns
        -------
        Neighbours

        Raises
        ------
        InputError
            An argument breaks a rule, or more than 2³¹ - 1 rows might be found.
        """
        queries, keep = self._queries(query_x, query_y, available, classes)
        check_distance("radius_m", radius_m)
        room, most = grid_search.most_within(self._grid, queries, float(radius_m))
        check_num_rows(room)
        first, item, distance_m = (
            np.empty(len(queries.x) + 1, INDEX_DTYPE),
            np.empty(room, INDEX_DTYPE),
            np.empty(room),
        )
        grid_search.within(self._grid, keep, queries, float(radius_m), most, first, item, distance_m)
        num_found = first[-1]
        return Neighbours(first, item[:num_found], distance_m[:num_found])

    def nearest_one(
        self,
        x: float,
        y: float,
        k: int,
        max_distance_m: float = inf,
        available: NDArray[np.bool_] | None = None,
        classes: int | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Find the `k` nearest items of one place, as :meth:`nearest` does, with the least overhead.

        Parameters
        ----------
        x, y : float
            Metres.
        k, max_distance_m, available, classes
            As for :meth:`nearest`.

        Returns
        -------
        item : (found,) int32
            Rows, sorted by distance, then row.
        distance_m : (found,) float64

        Raises
        ------
        InputError
            As :meth:`nearest`.
        """
        if not 0 < k <= self._num_items:
            k = self._k(k)
        item, distance_m = np.empty(k, INDEX), np.empty(k)
        if available is None and classes is None:
            num_found = _NEAREST_ONE.call(self._grid, x, y, max_distance_m, item, distance_m)
        else:
            keep, bits = self._filter(available, classes)
            num_found = _NEAREST_KEPT.call(self._grid, keep, x, y, bits, max_distance_m, item, distance_m)
        if num_found == k:
            return item, distance_m
        if num_found < 0:
            raise bad_query(x, y, "max_distance_m", max_distance_m)
        return item[:num_found], distance_m[:num_found]

    def within_one(
        self,
        x: float,
        y: float,
        radius_m: float,
        available: NDArray[np.bool_] | None = None,
        classes: int | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Find all items within `radius_m` of one place, as :meth:`within` does, with the least overhead.

        Parameters
        ----------
        x, y : float
            Metres.
        radius_m, available, classes
            As for :meth:`within`.

        Returns
        -------
        item : (found,) int32
            Rows, sorted by distance, then row.
        distance_m : (found,) float64

        Raises
        ------
        InputError
            As :meth:`within`.
        """
        keep, bits = _ALL, 0
        if available is not None or classes is not None:
            keep, bits = self._filter(available, classes)
        room = min(FIRST_ROOM, self._num_items)
        num_found = grid_search.TOO_LITTLE_ROOM
        while num_found == grid_search.TOO_LITTLE_ROOM:
            item, distance_m = np.empty(room, INDEX_DTYPE), np.empty(room)
            num_found = _WITHIN_ONE.call(self._grid, keep, x, y, bits, radius_m, item, distance_m)
            room = len(self._grid.item)
        if num_found < 0:
            raise bad_query(x, y, "radius_m", radius_m)
        return item[:num_found], distance_m[:num_found]

    # --- changing --------------------------------------------------------------------------------

    def add(self, x: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> NDArray[np.int32]:
        """Add items, and give their rows.

        Parameters
        ----------
        x, y : (items,) float64
            Metres.
        classes : (items,) int64
            If and only if the index has classes.

        Returns
        -------
        (items,) int32
            Rows of removed items, those removed last first; then new ones, from :attr:`num_rows` on.

        Raises
        ------
        InputError
            As the constructor; then nothing is added.
        """
        points = as_points("x", x, "y", y)
        num_added = len(points.x)
        if (classes is not None) != self._has_classes:
            raise InputError(
                f"classes are {'missing' if classes is None else 'given'}: an item has classes if and only "
                "if the index was built with them"
            )
        bits = _NO_CLASSES if classes is None else as_classes(classes, num_added)
        num_reused = min(num_added, len(self._free_rows))
        check_num_rows(self._num_rows + num_added - num_reused)
        reused = [self._free_rows.pop() for _ in range(num_reused)]
        fresh = np.arange(self._num_rows, self._num_rows + num_added - num_reused, dtype=INDEX_DTYPE)
        rows = np.concatenate([np.array(reused, INDEX_DTYPE), fresh])
        self._num_rows += len(fresh)
        self._num_items += num_added
        if self._has_classes:
            self._class_bits = _grown(self._class_bits, self._num_rows)
            self._class_bits[rows] = bits
        self._change(grid_moves.insert, rows, points)
        return rows

    def move(self, item: ArrayLike, x: ArrayLike, y: ArrayLike) -> None:
        """Move items.

        Up to 20,000 items or a quarter of all are moved one by one, at 15 to 130 ns each. If there are more,
        and after sixteen changes an item, the index is built anew from where they are now, which is quicker.

        Parameters
        ----------
        item : (moved,) int
            Rows; if one is named twice, its last position counts.
        x, y : (moved,) float64
            Metres.

        Raises
        ------
        InputError
            A row has no item, shapes differ or a coordinate breaks a rule; then nothing is moved.
        """
        points = as_points("x", x, "y", y)
        rows = self._rows(item, unique=False)
        if len(rows) != len(points.x):
            raise InputError(f"item has {len(rows)} rows and x has {len(points.x)}: one position for each")
        self._change(grid_moves.move, rows, points)

    def remove(self, item: ArrayLike) -> None:
        """Take items out; :meth:`add` gives their rows again.

        Parameters
        ----------
        item : (removed,) int
            Rows, each at most once.

        Raises
        ------
        InputError
            A row has no item or is named twice; then nothing is removed.
        """
        rows = self._rows(item, unique=True)
        grid_moves.remove(self._grid, rows, self._placed())
        self._num_items -= len(rows)
        self._num_changes += len(rows)
        self._free_rows.extend(rows.tolist())
        if self._has_classes:
            self._class_bits[rows] = 0

    def _change(self, kernel: Callable[..., int], rows: NDArray[np.int32], points: kernels.Points) -> None:
        """Put items where they are now: one by one, or by building anew where that is quicker."""
        self._num_changes += len(rows)
        done = 0
        if (
            len(rows) <= max(ALWAYS_MOVED, REBUILD_SHARE * self._num_items)
            and self._num_changes <= CHANGES_PER_FRAME * self._num_items
        ):
            done = kernel(self._grid, rows, points, 0, self._placed())
        if done < len(rows):
            self._rebuild(rows[done:], points.x[done:], points.y[done:])

    def _rebuild(self, rows: NDArray[np.int32], x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Build anew from where the items are, those in `rows` at `x` and `y`."""
        all_points = kernels.Points(np.full(self._num_rows, np.nan), np.full(self._num_rows, np.nan))
        grid_moves.points_by_item(self._grid, all_points)
        all_points.x[rows], all_points.y[rows] = x, y
        if not self._free_rows:
            self._build(all_points, _NO_ROWS)
            return
        present = np.flatnonzero(~np.isnan(all_points.x)).astype(INDEX_DTYPE)
        self._build(kernels.Points(all_points.x[present], all_points.y[present]), present)

    def _build(
        self, points: kernels.Points, rows: NDArray[np.int32], x_name: str = "x", y_name: str = "y"
    ) -> None:
        """Lay the cells and sort the points into them; the points are checked on the way."""
        num_items = len(points.x)
        self._grid = kernels.Grid(
            np.empty(kernels.FRAME_SIZE),
            np.empty(2 * num_items + 2, INDEX_DTYPE),
            np.empty(2 * num_items),
            np.empty(num_items, INDEX_DTYPE),
        )
        if not kernels.build(*points, rows, np.empty(num_items, INDEX_DTYPE), *self._grid):
            check_points(points, x_name, y_name)
        self._place: NDArray[np.int32] | None = None
        self._num_changes = 0

    def _placed(self) -> NDArray[np.int32]:
        """Give the slot of each row, (at least num_rows,); the first time, make gaps to move items into."""
        if self._place is None:
            num_items, num_cells = self._num_items, _num_cells(self._grid)
            num_slots = num_items + 2 * grid_moves.num_gaps(num_items, num_cells)
            loose = kernels.Grid(
                self._grid.frame,
                np.empty(num_cells + 1, INDEX_DTYPE),
                np.empty(2 * num_slots),
                np.empty(num_slots, INDEX_DTYPE),
            )
            self._place = np.empty(self._num_rows, INDEX_DTYPE)
            grid_moves.spread_gaps(self._grid, loose, self._place)
            self._grid = loose
        self._place = _grown(self._place, self._num_rows)
        return self._place

    # --- checking --------------------------------------------------------------------------------

    def _k(self, k: int) -> int:
        if k < 1:
            raise InputError(f"k is {k}: it must be at least 1")
        return min(int(k), max(self._num_items, 1))

    def _queries(
        self, x: ArrayLike, y: ArrayLike, available: NDArray[np.bool_] | None, classes: ArrayLike | None
    ) -> tuple[grid_search.Queries, grid_search.Filter]:
        points = as_points("query_x", x, "query_y", y)
        mask = _NO_MASK if available is None else self._mask(available)
        if classes is None:
            return grid_search.Queries(*points, _ANY_CLASS), grid_search.Filter(mask, _NO_CLASSES)
        self._check_has_classes()
        bits = as_plain(classes, INT64)
        bits = bits.reshape(1) if bits.ndim == 0 else as_classes(bits, len(points.x))
        if not len(bits):
            bits = _ANY_CLASS
        return grid_search.Queries(*points, bits), grid_search.Filter(mask, self._class_bits)

    def _thinned(
        self, queries: grid_search.Queries, keep: grid_search.Filter
    ) -> tuple[kernels.Grid, grid_search.Filter]:
        """Give a grid of the items that may be found, if queries are many, and what is left to filter."""
        same_for_all = len(queries.class_bits) == 1
        by_class = keep.class_bits if same_for_all else _NO_CLASSES
        if len(keep.available) + len(by_class) == 0:
            return self._grid, keep
        # The fewer items may be found, the more are looked at in vain.
        rarity = (
            self._num_rows / max(1, int(np.count_nonzero(keep.available))) if len(keep.available) else 1.0
        )
        if len(queries.x) * SLOTS_PER_QUERY * rarity < len(self._grid.item):
            return self._grid, keep
        thin = kernels.Grid(
            self._grid.frame,
            np.empty(_num_cells(self._grid) + 1, INDEX_DTYPE),
            np.empty_like(self._grid.xy),
            np.empty_like(self._grid.item),
        )
        kept = grid_search.Filter(keep.available, by_class)
        grid_search.thin(self._grid, kept, queries.class_bits[0], *thin[1:])
        return thin, grid_search.Filter(_NO_MASK, _NO_CLASSES if same_for_all else keep.class_bits)

    def _filter(
        self, available: NDArray[np.bool_] | None, classes: int | None
    ) -> tuple[grid_search.Filter, int]:
        mask = _NO_MASK if available is None else self._mask(available)
        if classes is None:
            return grid_search.Filter(mask, _NO_CLASSES), 0
        self._check_has_classes()
        return grid_search.Filter(mask, self._class_bits), classes

    def _check_has_classes(self) -> None:
        if not self._has_classes:
            raise InputError("classes are given, but the index has none: give each item its classes first")

    def _mask(self, available: NDArray[np.bool_]) -> NDArray[np.bool_]:
        available = np.asarray(available)
        if available.dtype is not BOOL or available.shape != (self._num_rows,):
            raise InputError(
                f"available is {available.dtype} of shape {available.shape}: it must be bool, one "
                f"for each of the {self._num_rows} rows"
            )
        return as_plain(available, BOOL)

    def _rows(self, item: ArrayLike, unique: bool) -> NDArray[np.int32]:
        """Give rows as the kernels read them, checked."""
        given = np.atleast_1d(np.asarray(item))
        if given.ndim != 1 or (given.dtype.kind not in "iu" and len(given)):
            raise InputError(f"item is {given.dtype} of shape {given.shape}: it must be whole rows, (n,)")
        if given.dtype.itemsize > INDEX_DTYPE().itemsize:
            given = np.clip(given, NO_INDEX, MAX_ROWS)
        rows = as_plain(given, INDEX)
        wrong = grid_moves.first_wrong_row(self._placed(), rows, unique)
        if wrong != NO_INDEX:
            raise InputError(
                f"item at row {wrong} is {given[wrong]}: no such item{' or named twice' if unique else ''}; "
                "items are the rows of the constructor and of add, without those removed"
            )
        return rows


def _num_cells(grid: kernels.Grid) -> int:
    frame = kernels.Frame(*grid.frame.tolist())
    return int((frame.last_col + 1) * (frame.last_row + 1))


def _grown(values: NDArray[Any], size: int) -> NDArray[Any]:
    """Give the same values with room for more, NO_INDEX in new rows."""
    if size <= len(values):
        return values
    grown = np.full(max(size, 2 * len(values)), NO_INDEX, values.dtype)
    grown[: len(values)] = values
    return grown
