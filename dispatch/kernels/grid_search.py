"""Exact search on a grid: all cells that a disc touches are read, and the disc grows until it holds enough.

The first disc is laid out by the number of items around the query, so that nearly always one look is enough.
Rings of cells with a stop rule instead: 2.5 times slower, each cell's end being a mispredicted branch.
Distances are metres.
"""

from math import pi, sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.grid import GRID, MAX_COORDINATE_M, axis_cell, frame_of
from dispatch.kernels.grid_order import select_least, write_sorted
from dispatch.kernels.jit import BOOL, F64, I32, I64, f64, i64, kernel, record

# sqrt(d2) <= d implies d2 <= d * d * SQUARED_SLACK, whatever way the two were rounded; and fl(x - d) may be
# taken for the left end of a disc if d is lengthened so.
SQUARED_SLACK = 1.0 + 1e-15
UNDERFLOW = 1e-300
FARTHEST_M = 4.0 * MAX_COORDINATE_M
"""More than between any two points."""

SPREAD = 0.75
"""The first disc should hold k + SPREAD * sqrt(k) items. 0.5 … 2 measured: within 15 %, 0.5 … 1 best."""
MOST_GROWTH = 16.0
"""Of a disc's area from one look to the next."""
PROBES = 64
LESS_SHARE = 1 / 64
MEMORY = 0.1
"""Weight of the latest query in the estimated share of items that pass the filter."""

BAD_INPUT = -1
TOO_LITTLE_ROOM = -2


class Filter(NamedTuple):
    """Which items may be found."""

    available: np.ndarray
    """(rows,) bool, or (0,): all"""
    class_bits: np.ndarray
    """(rows,) int64, the classes an item belongs to, or (0,): nobody asks for classes"""


class Queries(NamedTuple):
    """Places to search around."""

    x: np.ndarray
    """(queries,) float64"""
    y: np.ndarray
    """(queries,) float64"""
    class_bits: np.ndarray
    """(queries,) int64, classes of which an item must have one; (1,): the same for all"""


FILTER = record(Filter, BOOL, I64)
QUERIES = record(Queries, F64, F64, I64)


@kernel()
def passes(available, item_classes, item, class_bits):
    """Tell whether an item may be found."""
    return (len(available) == 0 or available[item]) and (
        len(item_classes) == 0 or (item_classes[item] & class_bits) != 0
    )


@kernel()
def share_passing(available, item_classes, class_bits):
    """Estimate the share of items that may be found, from a few."""
    num_rows = len(available) if len(available) > 0 else len(item_classes)
    if num_rows == 0:
        return 1.0
    stride = max(1, num_rows // PROBES)
    num_passing, num_probes = 0, 0
    for item in range(0, num_rows, stride):
        num_passing += passes(available, item_classes, item, class_bits)
        num_probes += 1
    return max(num_passing / num_probes, LESS_SHARE)


@kernel()
def block_of(frame, x, y, reach_m):
    """Give the first and last column and the first and last row that a disc touches."""
    reach = reach_m * SQUARED_SLACK
    left = axis_cell(x - reach, frame.x0, frame.cells_per_m, frame.last_col)
    right = axis_cell(x + reach, frame.x0, frame.cells_per_m, frame.last_col)
    lower = axis_cell(y - reach, frame.y0, frame.cells_per_m, frame.last_row)
    upper = axis_cell(y + reach, frame.y0, frame.cells_per_m, frame.last_row)
    return left, right, lower, upper


@kernel()
def num_slots(first_slot, frame, block):
    """Count the slots of a block of cells."""
    left, right, lower, upper = block
    num_cols = int(frame.last_col) + 1
    total = 0
    for row in range(lower, upper + 1):
        total += (
            first_slot[np.uint64(row * num_cols + right + 1)] - first_slot[np.uint64(row * num_cols + left)]
        )
    return total


@kernel()
def first_reach_m(first_slot, frame, x, y, wanted):
    """Guess the radius of a disc that holds as many items as wanted, from the nine cells around."""
    col = axis_cell(x, frame.x0, frame.cells_per_m, frame.last_col)
    row = axis_cell(y, frame.y0, frame.cells_per_m, frame.last_row)
    left, right = max(col - 1, 0), min(col + 1, int(frame.last_col))
    lower, upper = max(row - 1, 0), min(row + 1, int(frame.last_row))
    around = num_slots(first_slot, frame, (left, right, lower, upper))
    num_cells = (right - left + 1) * (upper - lower + 1)
    return frame.cell_m * sqrt(wanted * num_cells / (pi * max(around, 0.5)))


@kernel()
def append_near(xy, run, query, limit, found_m, found_item, size):
    """Append squared distance and slot of items among slots ``run[0] … run[1] - 1``; give the new size.

    Written always, counted if near: a branch would be mispredicted every other time (1.8 times slower).
    Unsigned, because numba looks for negative rows in signed ones (1.2 times slower).
    """
    x, y = query
    end = np.uint64(size)
    for slot in range(np.uint64(run[0]), np.uint64(run[1])):
        dx = xy[np.uint64(2) * slot] - x
        dy = xy[np.uint64(2) * slot + np.uint64(1)] - y
        d2 = dx * dx + dy * dy
        found_m[end] = d2
        found_item[end] = slot
        end += np.uint64(d2 <= limit)
    return np.int64(end)


@kernel()
def collect(first_slot, xy, frame, query, reach_m, found_m, found_item):
    """Write squared distance and slot of all items of a disc; there is room for those of its block.

    Leaving out the corners of the block, which the disc does not touch: 1.6 times slower.
    """
    left, right, lower, upper = block_of(frame, query[0], query[1], reach_m)
    limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
    num_cols = int(frame.last_col) + 1
    size = 0
    for row in range(lower, upper + 1):
        start = first_slot[np.uint64(row * num_cols + left)]
        stop = first_slot[np.uint64(row * num_cols + right + 1)]
        size = append_near(xy, (start, stop), query, limit, found_m, found_item, size)
    return size


@kernel()
def settle(item, found_m, found_item, reach_m, start, stop):
    """Turn rows ``start … stop - 1`` into distance and item, without those beyond the disc; give the end."""
    end = np.uint64(start)
    for i in range(np.uint64(start), np.uint64(stop)):
        distance_m = sqrt(found_m[i])
        found_m[end] = distance_m
        found_item[end] = item[np.uint64(found_item[i])]
        end += np.uint64(distance_m <= reach_m)
    return np.int64(end)


@kernel()
def leave_out(available, item_classes, class_bits, found_m, found_item, start, stop):
    """Keep those of the rows ``start … stop - 1`` that may be found; give the end."""
    if len(available) == 0 and len(item_classes) == 0:
        return stop
    end = np.uint64(start)
    for i in range(np.uint64(start), np.uint64(stop)):
        item = np.uint64(found_item[i])
        found_m[end] = found_m[i]
        found_item[end] = item
        end += np.uint64(passes(available, item_classes, item, class_bits))
    return np.int64(end)


@kernel()
def farthest_m(distance_m, size):
    """Give the largest of the first `size` distances."""
    most = 0.0
    for i in range(size):
        most = max(most, distance_m[i])
    return most


@kernel()
def collect_best(grid, keep, query, class_bits, k, reach_m, found_m, found_item):
    """Write distance and item of the `k` nearest of a disc, and maybe more; give their number.

    For a disc whose block has more slots than there is room: whenever the room is used up, all but the `k`
    nearest are dropped and the disc shrinks.
    """
    frame = frame_of(grid.frame)
    room = len(found_item) // 2
    num_cols = int(frame.last_col) + 1
    limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
    left, right, lower, upper = block_of(frame, query[0], query[1], reach_m)
    size, settled = 0, 0
    for row in range(lower, upper + 1):
        start = grid.first_slot[row * num_cols + left]
        stop = grid.first_slot[row * num_cols + right + 1]
        while start < stop:
            end = min(stop, start + room - size)
            size = append_near(grid.xy, (start, end), query, limit, found_m, found_item, size)
            start = end
            if size < room:
                continue
            size = settle(grid.item, found_m, found_item, reach_m, settled, size)
            size = leave_out(keep.available, keep.class_bits, class_bits, found_m, found_item, settled, size)
            if size > room // 2:
                select_least(found_m, found_item, size, k)
                size = k
                reach_m = farthest_m(found_m, k)
                limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
                left, right, _, _ = block_of(frame, query[0], query[1], reach_m)
            settled = size
    size = settle(grid.item, found_m, found_item, reach_m, settled, size)
    return leave_out(keep.available, keep.class_bits, class_bits, found_m, found_item, settled, size)


@kernel()
def search(grid, keep, queries, k, max_distance_m, out_first, out_item, out_distance_m):
    """Find the `k` nearest items of each query; see :func:`nearest`.

    Rejected: guessing the first disc a second time, from the cells of the first guess (1.1 times slower);
    taking queries in the order of their cells (as fast up to 100,000 items, 1.15 times faster for a million,
    which sorting takes back).
    """
    # Arrays are taken out of their tuples here and passed one by one: a tuple costs an atomic count of
    # references for each array and call, which made a query three times slower.
    frame, first_slot, xy, item = frame_of(grid.frame), grid.first_slot, grid.xy, grid.item
    available, item_classes = keep.available, keep.class_bits
    room = 8 * k + 512
    found_m, found_item, order = (
        np.empty(2 * room),
        np.empty(2 * room, np.int64),
        np.empty(room + 1, np.int64),
    )
    farthest = min(max_distance_m, FARTHEST_M)
    share = share_passing(available, item_classes, queries.class_bits[0])
    wanted = k + SPREAD * sqrt(k)
    num_found = 0
    out_first[0] = 0
    for q in range(len(queries.x)):
        query = (queries.x[q], queries.y[q])
        class_bits = queries.class_bits[min(q, len(queries.class_bits) - 1)]
        reach_m = min(first_reach_m(first_slot, frame, query[0], query[1], wanted / share), farthest)
        while True:
            if num_slots(first_slot, frame, block_of(frame, query[0], query[1], reach_m)) < room:
                seen = collect(first_slot, xy, frame, query, reach_m, found_m, found_item)
                seen = settle(item, found_m, found_item, reach_m, 0, seen)
                size = leave_out(available, item_classes, class_bits, found_m, found_item, 0, seen)
                share = max(share + MEMORY * ((size + 1.0) / (seen + 1.0) - share), LESS_SHARE)
            else:
                size = collect_best(grid, keep, query, class_bits, k, reach_m, found_m, found_item)
            if size >= k or reach_m >= farthest:
                break
            growth = min(max(1.2 * wanted / max(size, 0.5), 2.0), MOST_GROWTH)
            reach_m = min(reach_m * sqrt(growth), farthest)
        num_found += write_sorted(found_m, found_item, order, size, k, out_item, out_distance_m, num_found)
        out_first[q + 1] = num_found
    return num_found


@kernel((GRID, FILTER, QUERIES, i64, f64, I32, I32, F64))
def nearest(grid, keep, queries, k, max_distance_m, out_first, out_item, out_distance_m):
    """Find the `k` nearest items of each query, straight into compressed sparse rows.

    `k` is at least 1; ``out_item`` and ``out_distance_m`` (queries * k,) have room for `k` rows a query,
    ``out_first`` is (queries + 1,). Distances above `max_distance_m` are not found.
    """
    search(grid, keep, queries, k, max_distance_m, out_first, out_item, out_distance_m)


@kernel()
def is_right(x, y, limit_m):
    """Tell whether a query is in order; NaN is not."""
    return abs(x) <= MAX_COORDINATE_M and abs(y) <= MAX_COORDINATE_M and limit_m >= 0.0


@kernel()
def query_of(x, y, class_bits):
    """Make a batch of one."""
    xy, bits = np.empty(2), np.empty(1, np.int64)
    xy[0], xy[1], bits[0] = x, y, class_bits
    return Queries(xy[:1], xy[1:], bits)


@kernel((GRID, FILTER, f64, f64, i64, f64, I32, F64))
def nearest_one(grid, keep, x, y, class_bits, max_distance_m, out_item, out_distance_m):
    """Find as many nearest items of one query as there is room for, (k,); give their number or BAD_INPUT."""
    if not is_right(x, y, max_distance_m):
        return BAD_INPUT
    queries, first, k = query_of(x, y, class_bits), np.empty(2, np.int32), len(out_item)
    return search(grid, keep, queries, k, max_distance_m, first, out_item, out_distance_m)


@kernel((GRID, QUERIES, f64))
def most_within(grid, queries, radius_m):
    """Give a bound of the number of rows that :func:`within` writes, and of the largest of one query."""
    frame, first_slot = frame_of(grid.frame), grid.first_slot
    reach_m = min(radius_m, FARTHEST_M)
    total, most = 0, 0
    for q in range(len(queries.x)):
        num = num_slots(first_slot, frame, block_of(frame, queries.x[q], queries.y[q], reach_m))
        total += num
        most = max(most, num)
    return total, most


@kernel()
def search_disc(grid, keep, queries, radius_m, most, out_first, out_item, out_distance_m):
    """Find all items within `radius_m` of each query; see :func:`within`."""
    frame, first_slot, xy, item = frame_of(grid.frame), grid.first_slot, grid.xy, grid.item
    available, item_classes = keep.available, keep.class_bits
    room = most + 1
    found_m, found_item, order = (
        np.empty(2 * room),
        np.empty(2 * room, np.int64),
        np.empty(room + 1, np.int64),
    )
    reach_m = min(radius_m, FARTHEST_M)
    num_found = 0
    out_first[0] = 0
    for q in range(len(queries.x)):
        query = (queries.x[q], queries.y[q])
        class_bits = queries.class_bits[min(q, len(queries.class_bits) - 1)]
        size = collect(first_slot, xy, frame, query, reach_m, found_m, found_item)
        size = settle(item, found_m, found_item, reach_m, 0, size)
        size = leave_out(available, item_classes, class_bits, found_m, found_item, 0, size)
        num_found += write_sorted(found_m, found_item, order, size, most, out_item, out_distance_m, num_found)
        out_first[q + 1] = num_found
    return num_found


@kernel((GRID, FILTER, QUERIES, f64, i64, I32, I32, F64))
def within(grid, keep, queries, radius_m, most, out_first, out_item, out_distance_m):
    """Write all items within `radius_m` of each query, sorted by distance, then item.

    `most` and the room of ``out_item`` and ``out_distance_m`` (rows,) are what :func:`most_within` gave;
    ``out_first`` is (queries + 1,).
    """
    search_disc(grid, keep, queries, radius_m, most, out_first, out_item, out_distance_m)


@kernel((GRID, FILTER, f64, f64, i64, f64, I32, F64))
def within_one(grid, keep, x, y, class_bits, radius_m, out_item, out_distance_m):
    """Write all items within `radius_m` of one query, sorted; give their number, or why there are none.

    ``out_item`` and ``out_distance_m`` are (room,): TOO_LITTLE_ROOM if they might not do.
    """
    if not is_right(x, y, radius_m):
        return BAD_INPUT
    queries, first = query_of(x, y, class_bits), np.empty(2, np.int32)
    most, _ = most_within(grid, queries, radius_m)
    if most > len(out_item):
        return TOO_LITTLE_ROOM
    return search_disc(grid, keep, queries, radius_m, most, first, out_item, out_distance_m)
