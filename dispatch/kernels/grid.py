"""Flat grid over points of a plane: counting sort into cells, exact search by rings of cells.

Border cells reach to infinity, so the grid may cover only the bulk of the points: one far outlier neither
makes the cells large nor many.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import BOOL, F64, I32, f64, i64, kernel, record

# Edges of cells are rounded, and so may be their side of an item: distances to edges give way by this share
# of the coordinates' size.
ROUNDING = 1e-13
# sqrt(d2) <= d implies d2 <= d * d * SQUARED_SLACK, whatever way the two were rounded.
SQUARED_SLACK = 1.0 + 1e-15
UNDERFLOW = 1e-300


class Points(NamedTuple):
    """Points of the plane, metres."""

    x: np.ndarray
    """(points,) float64"""
    y: np.ndarray
    """(points,) float64"""


class Frame(NamedTuple):
    """Where the cells lie, and how far the items reach."""

    x0: float
    """Left edge of column 0, metres"""
    y0: float
    """Lower edge of row 0"""
    cell_m: float
    """Side of a cell, positive"""
    num_cols: int
    num_rows: int
    min_x: float
    """Bounds of all items, outliers included"""
    max_x: float
    min_y: float
    max_y: float


class Grid(NamedTuple):
    """Items sorted by cell; cells are numbered row by row, from the lower left."""

    first_item: np.ndarray
    """(cells + 1,) int32"""
    item: np.ndarray
    """(items,) int32, the caller's row; ascending within a cell"""
    x: np.ndarray
    """(items,) float64, in the order of ``item``"""
    y: np.ndarray
    """(items,) float64"""
    frame: Frame


POINTS = record(Points, F64, F64)
FRAME = record(Frame, f64, f64, f64, i64, i64, f64, f64, f64, f64)
GRID = record(Grid, I32, I32, F64, F64, FRAME)


@kernel()
def axis_cell(value, origin, cell_m, num_cells):
    """Give the column or row of a coordinate; what lies beyond the grid belongs to the border."""
    cell = (value - origin) / cell_m
    if cell <= 0.0:
        return 0
    if cell >= num_cells:
        return num_cells - 1
    return int(cell)


@kernel((FRAME, F64, F64, I32, I32, I32, F64, F64))
def build(frame, x, y, scratch_cell, out_first_item, out_item, out_x, out_y):
    """Sort the items `x`, `y` by cell (stable counting sort); `scratch_cell` (items,) is overwritten."""
    out_first_item[:] = 0
    for i in range(len(x)):
        col = axis_cell(x[i], frame.x0, frame.cell_m, frame.num_cols)
        row = axis_cell(y[i], frame.y0, frame.cell_m, frame.num_rows)
        cell = row * frame.num_cols + col
        scratch_cell[i] = cell
        out_first_item[cell] += 1
    total = 0
    for cell in range(len(out_first_item)):
        total += out_first_item[cell]
        out_first_item[cell] = total  # the end; moved to the start by the next loop
    for i in range(len(x) - 1, -1, -1):
        cell = scratch_cell[i]
        out_first_item[cell] -= 1
        place = out_first_item[cell]
        out_item[place] = i
        out_x[place] = x[i]
        out_y[place] = y[i]


@kernel()
def sift_down(distance_m, item, base, size, start):
    """Restore the max-heap of rows ``base … base + size - 1`` below `start`; key: distance, then item."""
    parent = start
    moved_m = distance_m[base + parent]
    moved_item = item[base + parent]
    while True:
        child = 2 * parent + 1
        if child >= size:
            break
        child_m = distance_m[base + child]
        if child + 1 < size:
            other_m = distance_m[base + child + 1]
            if other_m > child_m or (other_m == child_m and item[base + child + 1] > item[base + child]):
                child += 1
                child_m = other_m
        if child_m < moved_m or (child_m == moved_m and item[base + child] < moved_item):
            break
        distance_m[base + parent] = child_m
        item[base + parent] = item[base + child]
        parent = child
    distance_m[base + parent] = moved_m
    item[base + parent] = moved_item


@kernel()
def sort_heap(distance_m, item, base, size):
    """Sort a max-heap ascending, in place."""
    for end in range(size - 1, 0, -1):
        root_m, root_item = distance_m[base], item[base]
        distance_m[base], item[base] = distance_m[base + end], item[base + end]
        distance_m[base + end], item[base + end] = root_m, root_item
        sift_down(distance_m, item, base, end, 0)


@kernel()
def insert(distance_m, item, base, end, new_m, new_item):
    """Put an entry in its place among the sorted rows from `base` on; row `end` is free or given up."""
    place = end
    while place > base and (
        distance_m[place - 1] > new_m or (distance_m[place - 1] == new_m and item[place - 1] > new_item)
    ):
        distance_m[place] = distance_m[place - 1]
        item[place] = item[place - 1]
        place -= 1
    distance_m[place] = new_m
    item[place] = new_item


@kernel()
def scan(grid, run, query, available, out_item, out_distance_m, base, size):
    """Offer the items of a run of cells to the sorted rows of the best; give their new number."""
    # A heap of the best instead of sorted rows: 1.4 times slower at k = 10 and 50, 1.6 times faster at 3000.
    query_x, query_y, k, max_distance_m = query
    worst_m = out_distance_m[base + k - 1] if size == k else max_distance_m
    limit = worst_m * worst_m * SQUARED_SLACK + UNDERFLOW
    for i in range(grid.first_item[run[0]], grid.first_item[run[1] + 1]):
        dx = grid.x[i] - query_x
        dy = grid.y[i] - query_y
        squared = dx * dx + dy * dy
        if squared > limit:
            continue
        item = grid.item[i]
        if len(available) > 0 and not available[item]:
            continue
        distance = sqrt(squared)
        if distance > worst_m:
            continue
        if size < k:
            size += 1
        elif distance == worst_m and item > out_item[base + k - 1]:
            continue
        insert(out_distance_m, out_item, base, base + size - 1, distance, item)
        if size == k:
            worst_m = out_distance_m[base + k - 1]
            limit = worst_m * worst_m * SQUARED_SLACK + UNDERFLOW
    return size


@kernel()
def unseen_m(frame, query_x, query_y, col, row, ring):
    """Give a distance that no item outside of the rings ``0 … ring - 1`` around the cell undercuts."""
    gap_x = max(0.0, frame.min_x - query_x, query_x - frame.max_x)
    gap_y = max(0.0, frame.min_y - query_y, query_y - frame.max_y)
    least = inf
    if col + ring < frame.num_cols:
        edge = max(gap_x, frame.x0 + (col + ring) * frame.cell_m - query_x)
        least = min(least, edge * edge + gap_y * gap_y)
    if col - ring >= 0:
        edge = max(gap_x, query_x - (frame.x0 + (col - ring + 1) * frame.cell_m))
        least = min(least, edge * edge + gap_y * gap_y)
    if row + ring < frame.num_rows:
        edge = max(gap_y, frame.y0 + (row + ring) * frame.cell_m - query_y)
        least = min(least, edge * edge + gap_x * gap_x)
    if row - ring >= 0:
        edge = max(gap_y, query_y - (frame.y0 + (row - ring + 1) * frame.cell_m))
        least = min(least, edge * edge + gap_x * gap_x)
    return sqrt(least)


@kernel()
def slack_m(frame, query_x, query_y):
    """Give more than what rounding can do to the distance between a query and an edge."""
    size = abs(query_x) + abs(query_y) + abs(frame.x0) + abs(frame.y0)
    return ROUNDING * (size + frame.cell_m * (frame.num_cols + frame.num_rows))


@kernel()
def nearest_of_one(grid, query, available, out_item, out_distance_m, base):
    """Write the sorted neighbours of one query from row `base` on; give their number."""
    query_x, query_y, k, max_distance_m = query
    frame = grid.frame
    num_cols, num_rows = frame.num_cols, frame.num_rows
    col = axis_cell(query_x, frame.x0, frame.cell_m, num_cols)
    row = axis_cell(query_y, frame.y0, frame.cell_m, num_rows)
    slack = slack_m(frame, query_x, query_y)
    last_ring = max(col, num_cols - 1 - col, row, num_rows - 1 - row)
    size = 0
    # Leaving out single sides of a ring that are too far away already: no gain measured.
    for ring in range(last_ring + 1):
        worst_m = out_distance_m[base + k - 1] if size == k else max_distance_m
        if ring > 0 and unseen_m(frame, query_x, query_y, col, row, ring) - slack > worst_m:
            break
        left, right = max(col - ring, 0), min(col + ring, num_cols - 1)
        for r in range(max(row - ring, 0), min(row + ring, num_rows - 1) + 1):
            start = r * num_cols
            if abs(r - row) == ring:  # lower or upper side: one run of cells
                run = (start + left, start + right)
                size = scan(grid, run, query, available, out_item, out_distance_m, base, size)
                continue
            if col - ring >= 0:
                run = (start + left, start + left)
                size = scan(grid, run, query, available, out_item, out_distance_m, base, size)
            if col + ring < num_cols:
                run = (start + right, start + right)
                size = scan(grid, run, query, available, out_item, out_distance_m, base, size)
    return size


@kernel((GRID, POINTS, i64, f64, BOOL, I32, I32, F64))
def nearest(grid, queries, k, max_distance_m, available, out_first, out_item, out_distance_m):
    """Find the `k` nearest items of each query, straight into compressed sparse rows.

    `available` (items,) leaves items out, (0,) leaves none out. `k` is at least 1; ``out_item`` and
    ``out_distance_m`` have room for `k` rows a query.
    """
    num_found = 0
    out_first[0] = 0
    for q in range(len(queries.x)):
        query = (queries.x[q], queries.y[q], k, max_distance_m)
        num_found += nearest_of_one(grid, query, available, out_item, out_distance_m, num_found)
        out_first[q + 1] = num_found


@kernel()
def block(frame, query_x, query_y, radius_m):
    """Give the first and last column and the first and last row that a disc touches."""
    reach = radius_m + slack_m(frame, query_x, query_y)
    left = axis_cell(query_x - reach, frame.x0, frame.cell_m, frame.num_cols)
    right = axis_cell(query_x + reach, frame.x0, frame.cell_m, frame.num_cols)
    lower = axis_cell(query_y - reach, frame.y0, frame.cell_m, frame.num_rows)
    upper = axis_cell(query_y + reach, frame.y0, frame.cell_m, frame.num_rows)
    return left, right, lower, upper


@kernel((GRID, POINTS, f64, BOOL, I32))
def within_count(grid, queries, radius_m, available, out_first):
    """Write the row starts (queries + 1,) of :func:`within_fill`; give the rows, which may exceed int32."""
    num_found = 0
    out_first[0] = 0
    for q in range(len(queries.x)):
        left, right, lower, upper = block(grid.frame, queries.x[q], queries.y[q], radius_m)
        for r in range(lower, upper + 1):
            start = r * grid.frame.num_cols
            for i in range(grid.first_item[start + left], grid.first_item[start + right + 1]):
                dx = grid.x[i] - queries.x[q]
                dy = grid.y[i] - queries.y[q]
                if sqrt(dx * dx + dy * dy) <= radius_m and (len(available) == 0 or available[grid.item[i]]):
                    num_found += 1
        out_first[q + 1] = num_found
    return num_found


@kernel((GRID, POINTS, f64, BOOL, I32, I32, F64))
def within_fill(grid, queries, radius_m, available, first, out_item, out_distance_m):
    """Write all items within `radius_m` of each query, (found,), sorted by distance, then item."""
    for q in range(len(queries.x)):
        left, right, lower, upper = block(grid.frame, queries.x[q], queries.y[q], radius_m)
        base = first[q]
        size = 0
        for r in range(lower, upper + 1):
            start = r * grid.frame.num_cols
            for i in range(grid.first_item[start + left], grid.first_item[start + right + 1]):
                dx = grid.x[i] - queries.x[q]
                dy = grid.y[i] - queries.y[q]
                distance = sqrt(dx * dx + dy * dy)
                if distance <= radius_m and (len(available) == 0 or available[grid.item[i]]):
                    out_distance_m[base + size] = distance
                    out_item[base + size] = grid.item[i]
                    size += 1
        for parent in range(size // 2 - 1, -1, -1):
            sift_down(out_distance_m, out_item, base, size, parent)
        sort_heap(out_distance_m, out_item, base, size)
