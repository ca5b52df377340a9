"""Flat grid over points of a plane: where its cells lie, and the counting sort that fills them.

Border cells reach to infinity, so the grid may cover only the bulk of the points: one far outlier neither
makes the cells large nor many. Arrays are (n,) unless told otherwise; coordinates are metres.
"""

from math import sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import F64, I32, kernel, record

ITEMS_PER_CELL = 3.0
MIN_CELL_M = 1e-6
MAX_COORDINATE_M = 1e9
"""No plane of the Earth reaches farther; beyond it squares lose their meaning."""

SAMPLE = 128
"""Items that are looked at to find where the bulk lies."""
TAIL = 0.02
"""Share of the sample on each side that may lie outside of the grid's core."""
BINS = 32
ENOUGH_BINS = 8
MAX_ZOOMS = 30
MARGIN = 0.03
"""Share by which the range of the sample is widened, for what the sample missed."""

FRAME_SIZE = 6
NO_ITEM = -1
"""In a slot that holds no item; its coordinates are NaN, so that no comparison ever finds it."""


class Points(NamedTuple):
    """Points of the plane, metres."""

    x: np.ndarray
    """(points,) float64"""
    y: np.ndarray
    """(points,) float64"""


class Grid(NamedTuple):
    """Items sorted by cell; cells are numbered row by row, from the lower left.

    The slots of cell ``c`` are ``first_slot[c] … first_slot[c + 1] - 1``; some may be empty.
    """

    frame: np.ndarray
    """(FRAME_SIZE,) float64, the fields of :class:`Frame`"""
    first_slot: np.ndarray
    """(at least cells + 1,) int32"""
    xy: np.ndarray
    """(2 * slots,) float64, x and y of a slot side by side; NaN in an empty one"""
    item: np.ndarray
    """(slots,) int32, the caller's row, NO_ITEM in an empty slot"""


class Frame(NamedTuple):
    """Where the cells lie."""

    x0: float
    """Left edge of column 0, metres"""
    y0: float
    """Lower edge of row 0"""
    cell_m: float
    """Side of a cell, positive"""
    cells_per_m: float
    last_col: float
    last_row: float


POINTS = record(Points, F64, F64)
GRID = record(Grid, F64, I32, F64, I32)


@kernel()
def frame_of(frame):
    """Give the fields (FRAME_SIZE,) their names."""
    return Frame(frame[0], frame[1], frame[2], frame[3], frame[4], frame[5])


@kernel()
def axis_cell(value, origin, cells_per_m, last):
    """Give the column or row of a coordinate; what lies beyond the grid belongs to the border.

    Never falls as `value` grows, also after rounding: a search may rely on it.
    """
    return int(min(max((value - origin) * cells_per_m, 0.0), last))


@kernel()
def cell_of(frame, x, y):
    """Give the cell of a point."""
    row = axis_cell(y, frame.y0, frame.cells_per_m, frame.last_row)
    return row * (int(frame.last_col) + 1) + axis_cell(x, frame.x0, frame.cells_per_m, frame.last_col)


@kernel()
def num_cells_of(frame):
    """Give the number of cells."""
    return (int(frame.last_row) + 1) * (int(frame.last_col) + 1)


@kernel()
def bulk(values, counts):
    """Give start and length of the range that holds the bulk, widened on both sides by half of its length.

    Quantiles of a sample from a histogram, `counts` (BINS,), that zooms in until the bulk fills enough of
    its bins. Sorting the sample instead: 5 times slower.
    """
    stride = max(1, len(values) // SAMPLE)
    least, most = values[0], values[0]
    size = 0
    for i in range(0, len(values), stride):
        least, most = min(least, values[i]), max(most, values[i])
        size += 1
    margin = MARGIN * (most - least)
    low, high = least, most
    for _ in range(MAX_ZOOMS):
        if high - low <= MIN_CELL_M:
            break
        counts[:] = 0
        bins_per_m = BINS / (high - low)
        for i in range(0, len(values), stride):
            counts[int(min(max((values[i] - low) * bins_per_m, 0.0), BINS - 1.0))] += 1
        start, end = 0, BINS - 1
        below, above = counts[start], counts[end]
        while below <= TAIL * size:
            start += 1
            below += counts[start]
        while above <= TAIL * size:
            end -= 1
            above += counts[end]
        low, high = low + start / bins_per_m, low + (end + 1) / bins_per_m
        if end + 1 - start >= ENOUGH_BINS:
            break
    widened = 0.5 * (high - low)
    start_m = max(least - margin, low - widened)
    return start_m, min(most + margin, high + widened) - start_m


@kernel()
def lay_frame(x, y, max_cells, counts, out_frame):
    """Lay cells over the bulk of the points, ITEMS_PER_CELL in each if they are spread evenly."""
    x0, width_m = bulk(x, counts)
    y0, height_m = bulk(y, counts)
    num_cells = max(1.0, len(x) / ITEMS_PER_CELL)
    # The second term keeps a thin strip from having more columns than there is room for.
    cell_m = max(sqrt(width_m * height_m / num_cells), max(width_m, height_m) / num_cells * 2.0, MIN_CELL_M)
    last_col, last_row = int(width_m / cell_m), int(height_m / cell_m)
    while (last_col + 1) * (last_row + 1) > max_cells:
        cell_m *= 1.1
        last_col, last_row = int(width_m / cell_m), int(height_m / cell_m)
    out_frame[0], out_frame[1] = x0, y0
    out_frame[2], out_frame[3] = cell_m, 1.0 / cell_m
    out_frame[4], out_frame[5] = last_col, last_row


@kernel((F64,))
def first_bad(values):
    """Give the first row that is not finite or too large, or the number of rows."""
    for i in range(len(values)):
        if not abs(values[i]) <= MAX_COORDINATE_M:
            return i
    return len(values)


@kernel()
def all_right(x, y):
    """Tell whether all coordinates are finite and none too large."""
    right = True
    for i in range(len(x)):
        right &= (abs(x[i]) <= MAX_COORDINATE_M) & (abs(y[i]) <= MAX_COORDINATE_M)
    return right


@kernel((F64, F64, I32, I32, F64, I32, F64, I32), makes_arrays=True)
def build(x, y, row, scratch_cell, out_frame, out_first_slot, out_xy, out_item):
    """Sort points by cell (stable counting sort) into a :class:`Grid`.

    Its fields are passed one by one: looking up the signature of a tuple takes 1 µs more.

    Parameters
    ----------
    x, y : (points,) float64
    row : (points,) int32
        What to call the points; (0,) for their own numbers.
    scratch_cell : (points,) int32
        Overwritten.
    out_frame, out_first_slot, out_xy, out_item
        The fields of a grid; ``out_first_slot`` has room for twice as many cells as there are points, and
        two more.

    Returns
    -------
    bool
        Whether all coordinates are in order; nothing is built if not.
    """
    if not all_right(x, y):
        return False
    for i in range(FRAME_SIZE):
        out_frame[i] = 0.0
    out_frame[2] = out_frame[3] = 1.0
    if len(x) > 0:
        lay_frame(x, y, len(out_first_slot) - 1, np.empty(BINS, np.int64), out_frame)
    frame = frame_of(out_frame)
    first_slot = out_first_slot
    num_cells = num_cells_of(frame)
    first_slot[: num_cells + 1] = 0
    for i in range(len(x)):
        cell = np.uint32(cell_of(frame, x[i], y[i]))
        scratch_cell[i] = cell
        first_slot[cell] += np.int32(1)
    total = np.int32(0)
    for cell in range(num_cells + 1):
        total += first_slot[cell]
        first_slot[cell] = total  # the end; moved to the start by the next loop
    for i in range(len(x) - 1, -1, -1):
        cell = np.uint32(scratch_cell[i])
        slot = np.uint32(first_slot[cell] - 1)
        first_slot[cell] = slot
        out_item[slot] = row[i] if len(row) > 0 else i
        out_xy[2 * slot] = x[i]
        out_xy[2 * slot + 1] = y[i]
    return True
