"""Nearest edge of a road network to points of a plane: straight segments in the cells of a flat grid, exact.

A segment lies in all cells that it touches. The cells are those of :mod:`dispatch.kernels.grid`: they cover
the bulk of the network, and border cells reach to infinity. Coordinates are metres.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.grid import BINS, POINTS, axis_cell, bulk, frame_of, num_cells_of
from dispatch.kernels.grid_search import block_of, is_whole
from dispatch.kernels.jit import F64, I8, I32, f64, kernel, record
from dispatch.units import NO_INDEX

POINTS_PER_CELL = 1.0
MIN_CELL_M = 0.01
MOST_ENTRIES = 6
"""Entries per point at most: where long segments would need more, the cells grow."""
ON_EDGE_M = 1e-6
"""So near it lies on the edge: rounding alone puts a point of the edge a few nanometres beside it."""
RELATIVE_SLACK = 1e-14
"""Of coordinates: no intermediate result is rounded by more."""
TINY = 1e-300
FIRST_REACH = 0.4
"""Radius of the first look around a query, in cells. 0.25 … 0.75 measured: 0.35 … 0.5 best by 10 %."""
GROWTH = 2.0
"""Of the radius, as long as nothing is found."""

LEFT, ON_IT, RIGHT = -1, 0, 1


class Lines(NamedTuple):
    """Points of all edges, one edge after another; between two points of one edge lies a segment.

    No two points of an edge that follow each other are equal, except the two of an edge without length.
    """

    x: np.ndarray
    """(points,) float64"""
    y: np.ndarray
    """(points,) float64"""
    share: np.ndarray
    """(points,) float64, 0 … 1 of the way along the edge"""
    edge: np.ndarray
    """(points,) int32, ascending"""


class EdgeGrid(NamedTuple):
    """Segments by cell, each in all cells that it touches.

    The segments of cell ``c`` are slots ``first_slot[c] … first_slot[c + 1] - 1``.
    """

    frame: np.ndarray
    """(FRAME_SIZE,) float64, see :class:`dispatch.kernels.grid.Frame`"""
    first_slot: np.ndarray
    """(at least cells + 1,) int32"""
    segment: np.ndarray
    """(slots,) int32, the row of the segment's first point"""
    ends: np.ndarray
    """(4 * slots,) float64, x and y of its first and of its last point"""


LINES = record(Lines, F64, F64, F64, I32)
EDGE_GRID = record(EdgeGrid, F64, I32, I32, F64)


@kernel()
def slack_m(frame, x0, y0, x1, y1):
    """Bound what rounding does to these coordinates and to the borders of the cells."""
    size = abs(x0) + abs(y0) + abs(x1) + abs(y1) + abs(frame.x0) + abs(frame.y0)
    return RELATIVE_SLACK * size + 1e-9 * frame.cell_m


@kernel()
def rows_touched(frame, y0, y1, slack):
    """Give the first and last row of cells that a segment touches."""
    lower = axis_cell(min(y0, y1) - slack, frame.y0, frame.cells_per_m, frame.last_row)
    return lower, axis_cell(max(y0, y1) + slack, frame.y0, frame.cells_per_m, frame.last_row)


@kernel()
def columns_touched(frame, ends, slack, row):
    """Give the first and last column that the part of a segment within a row of cells touches."""
    x0, y0, x1, y1 = ends
    start, stop = 0.0, 1.0
    if y0 != y1:
        lower = frame.y0 + row * frame.cell_m - slack if row > 0 else -inf
        upper = frame.y0 + (row + 1) * frame.cell_m + slack if row < frame.last_row else inf
        one, other = (lower - y0) / (y1 - y0), (upper - y0) / (y1 - y0)
        start, stop = max(min(one, other), 0.0), min(max(one, other), 1.0)
    one, other = x0 + start * (x1 - x0), x0 + stop * (x1 - x0)
    left = axis_cell(min(one, other) - slack, frame.x0, frame.cells_per_m, frame.last_col)
    return left, axis_cell(max(one, other) + slack, frame.x0, frame.cells_per_m, frame.last_col)


@kernel()
def count_entries(lines, frame, most, out_first_slot):
    """Count the entries of each cell; give the sum of all, or more than `most` where it is more."""
    x, y, edge = lines.x, lines.y, lines.edge
    num_cols = int(frame.last_col) + 1
    total = 0
    out_first_slot[: num_cells_of(frame) + 1] = 0
    for k in range(len(x) - 1):
        if edge[k] != edge[k + 1]:
            continue
        ends = (x[k], y[k], x[k + 1], y[k + 1])
        slack = slack_m(frame, x[k], y[k], x[k + 1], y[k + 1])
        lower, upper = rows_touched(frame, y[k], y[k + 1], slack)
        for row in range(lower, upper + 1):
            left, right = columns_touched(frame, ends, slack, row)
            total += right + 1 - left
            if total > most:
                return total
            for col in range(left, right + 1):
                out_first_slot[row * num_cols + col] += 1
    return total


@kernel(makes_arrays=True)
def lay_cells(lines, max_cells, most, out_frame, out_first_slot):
    """Lay cells over the bulk of the points, as large as long segments need them; give the sum of entries."""
    counts = np.empty(BINS, np.int64)
    x0, width_m = bulk(lines.x, counts)
    y0, height_m = bulk(lines.y, counts)
    num_cells = max(1.0, len(lines.x) / POINTS_PER_CELL)
    cell_m = max(sqrt(width_m * height_m / num_cells), max(width_m, height_m) / num_cells * 2.0, MIN_CELL_M)
    while True:
        last_col, last_row = int(width_m / cell_m), int(height_m / cell_m)
        out_frame[0], out_frame[1] = x0, y0
        out_frame[2], out_frame[3] = cell_m, 1.0 / cell_m
        out_frame[4], out_frame[5] = last_col, last_row
        if (last_col + 1) * (last_row + 1) <= max_cells:
            total = count_entries(lines, frame_of(out_frame), most, out_first_slot)
            if total <= most or last_col + last_row == 0:
                return total
        cell_m *= 1.25


@kernel((LINES, F64, I32), makes_arrays=True)
def build(lines, out_frame, out_first_slot):
    """Sort segments by cell: lay the cells, count, fill.

    Parameters
    ----------
    lines : Lines
        Of at least one edge.
    out_frame : (FRAME_SIZE,) float64
    out_first_slot : (room,) int32
        Room for more cells than there are points, and one more.

    Returns
    -------
    segment : (slots,) int32
    ends : (4 * slots,) float64
        The other fields of an :class:`EdgeGrid`.
    """
    x, y, edge = lines.x, lines.y, lines.edge
    first_slot = out_first_slot
    most = MOST_ENTRIES * len(x)
    num_slots = lay_cells(lines, len(first_slot) - 1, most, out_frame, first_slot)
    segment, ends = np.empty(num_slots, np.int32), np.empty(4 * num_slots)
    frame = frame_of(out_frame)
    num_cols = int(frame.last_col) + 1
    total = np.int32(0)
    for cell in range(num_cells_of(frame) + 1):
        total += first_slot[cell]
        first_slot[cell] = total  # the end; moved to the start by the next loop
    for k in range(len(x) - 2, -1, -1):
        if edge[k] != edge[k + 1]:
            continue
        between = (x[k], y[k], x[k + 1], y[k + 1])
        slack = slack_m(frame, x[k], y[k], x[k + 1], y[k + 1])
        lower, upper = rows_touched(frame, y[k], y[k + 1], slack)
        for row in range(lower, upper + 1):
            left, right = columns_touched(frame, between, slack, row)
            for col in range(left, right + 1):
                slot = first_slot[row * num_cols + col] - 1
                first_slot[row * num_cols + col] = slot
                segment[slot] = k
                for i in range(4):
                    ends[4 * slot + i] = between[i]
    return segment, ends


@kernel()
def squared_m(ends, slot, x, y):
    """Give the squared distance of a point from a segment.

    From the very coordinates of an end where that is nearest, so that all edges that meet there tie. All
    three cases are computed and one is chosen: with branches 1.25 times slower.
    """
    at = np.uint64(4) * np.uint64(slot)
    from_x, from_y = x - ends[at], y - ends[at + np.uint64(1)]
    to_x, to_y = x - ends[at + np.uint64(2)], y - ends[at + np.uint64(3)]
    dx, dy = ends[at + np.uint64(2)] - ends[at], ends[at + np.uint64(3)] - ends[at + np.uint64(1)]
    along = from_x * dx + from_y * dy
    length2 = dx * dx + dy * dy
    across = from_x * dy - from_y * dx
    d2 = across * across / max(length2, TINY)
    d2 = to_x * to_x + to_y * to_y if along >= length2 else d2
    return from_x * from_x + from_y * from_y if along <= 0.0 else d2


@kernel()
def nearest_segment(grid, frame, x, y, max_distance_m):
    """Give the nearest segment and its squared distance; of equally near ones the first.

    All segments within the disc of the last look have been looked at.
    """
    slack = slack_m(frame, x, y, 0.0, 0.0)
    reach_m = min(FIRST_REACH * frame.cell_m, max_distance_m)
    num_cols = int(frame.last_col) + 1
    best, nearest = inf, NO_INDEX
    while True:
        block = block_of(frame, x, y, reach_m + slack)
        for row in range(block[2], block[3] + 1):
            start = grid.first_slot[np.uint64(row * num_cols + block[0])]
            stop = grid.first_slot[np.uint64(row * num_cols + block[1] + 1)]
            for slot in range(start, stop):
                d2 = squared_m(grid.ends, slot, x, y)
                if d2 <= best:
                    segment = grid.segment[slot]
                    if d2 < best or segment < nearest:
                        best, nearest = d2, segment
        if best <= reach_m * reach_m or reach_m >= max_distance_m or is_whole(frame, block):
            return nearest, best
        reach_m = min(sqrt(best) * (1.0 + RELATIVE_SLACK) if best < inf else GROWTH * reach_m, max_distance_m)


@kernel()
def along_of(lines, k, x, y):
    """Give the share of segment `k` at which it is nearest to a point, 0 … 1."""
    dx, dy = lines.x[k + 1] - lines.x[k], lines.y[k + 1] - lines.y[k]
    along = (x - lines.x[k]) * dx + (y - lines.y[k]) * dy
    length2 = dx * dx + dy * dy
    if along <= 0.0:
        return 0.0
    return 1.0 if along >= length2 else along / length2


@kernel()
def turn(lines, k, x, y):
    """Tell on which side of the line through segment `k` a point lies: positive on the left."""
    x0, y0 = lines.x[k], lines.y[k]
    return (lines.x[k + 1] - x0) * (y - y0) - (lines.y[k + 1] - y0) * (x - x0)


@kernel()
def side_of(lines, k, along, x, y):
    """Tell on which side of its edge a point lies, whose nearest segment is `k`, `along` (0 … 1) of it.

    Where two segments meet, one alone may mislead: what is nearest to the bend lies outside of it.
    """
    edge = lines.edge
    left = turn(lines, k, x, y)
    if along >= 1.0 and k + 2 < len(edge) and edge[k + 2] == edge[k]:
        bend = turn(lines, k, lines.x[k + 2], lines.y[k + 2])
        left = -bend if bend != 0.0 else left
    elif along <= 0.0 and k > 0 and edge[k - 1] == edge[k]:
        bend = turn(lines, k - 1, lines.x[k + 1], lines.y[k + 1])
        left = -bend if bend != 0.0 else left
    if left > 0.0:
        return LEFT
    return RIGHT if left < 0.0 else ON_IT


@kernel((LINES, EDGE_GRID, POINTS, f64, I32, F64, F64, I8))
def snap(lines, grid, points, max_distance_m, out_edge, out_share, out_distance_m, out_side):
    """Find the nearest edge of each point; of equally near ones the one with the lowest row.

    Parameters
    ----------
    lines : Lines
    grid : EdgeGrid
    points : Points
        (n,)
    max_distance_m : float
        What is farther is not found.
    out_edge : (n,) int32
        NO_INDEX if nothing is found.
    out_share : (n,) float64
        Of the way along the edge, 0 … 1.
    out_distance_m : (n,) float64
        Infinite if nothing is found.
    out_side : (n,) int8
        LEFT, ON_IT or RIGHT.
    """
    frame = frame_of(grid.frame)
    for q in range(len(points.x)):
        x, y = points.x[q], points.y[q]
        k, d2 = nearest_segment(grid, frame, x, y, max_distance_m)
        out_edge[q], out_share[q], out_distance_m[q], out_side[q] = NO_INDEX, 0.0, inf, ON_IT
        distance_m = sqrt(d2)
        if k == NO_INDEX or distance_m > max_distance_m:
            continue
        along = along_of(lines, k, x, y)
        share = lines.share[k] + along * (lines.share[k + 1] - lines.share[k])
        out_edge[q], out_distance_m[q] = lines.edge[k], distance_m
        out_share[q] = lines.share[k + 1] if along == 1.0 else share
        if distance_m > ON_EDGE_M:
            out_side[q] = side_of(lines, k, along, x, y)
