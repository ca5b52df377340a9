"""Exact search on a grid: all cells that a disc touches are read, and the disc grows until it holds enough.

The first disc is laid out by the number of items around the query, so that nearly always one look is enough.
Rings of cells with a stop rule instead: 2.5 times slower, each cell's end being a mispredicted branch.
Distances are metres.
"""

from math import pi, sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.grid import GRID, MAX_COORDINATE_M, NO_ITEM, axis_cell, frame_of
from dispatch.kernels.grid_order import (
    BUCKETS_PER_ENTRY,
    MOST_TO_RANK,
    copy_out,
    place_by_rank,
    rank,
    select_least,
    sort_many,
)
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
ROOM_PER_NEIGHBOUR = 4
LEAST_ROOM = 128
"""What a disc's cells may hold before items are dropped on the way."""
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
def cells_around(frame, x, y):
    """Give the block of the nine cells around a place, fewer at the border."""
    col = axis_cell(x, frame.x0, frame.cells_per_m, frame.last_col)
    row = axis_cell(y, frame.y0, frame.cells_per_m, frame.last_row)
    left, right = max(col - 1, 0), min(col + 1, int(frame.last_col))
    lower, upper = max(row - 1, 0), min(row + 1, int(frame.last_row))
    return left, right, lower, upper


@kernel()
def is_whole(frame, block):
    """Tell whether a block is the whole grid: then all items are looked at, however far the disc reaches."""
    return block[0] + block[2] == 0 and block[1] == frame.last_col and block[3] == frame.last_row


@kernel()
def first_reach_m(frame, block, around, wanted):
    """Guess the radius of a disc that holds as many items as wanted, if a block of cells has so many."""
    left, right, lower, upper = block
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
def run_of(first_slot, frame, block, row):
    """Give the first slot of a row of a block of cells, and the one behind its last."""
    start = row * (int(frame.last_col) + 1)
    return first_slot[np.uint64(start + block[0])], first_slot[np.uint64(start + block[1] + 1)]


@kernel()
def settle(item, found_m, found_item, reach_m, start, stop):
    """Turn rows ``start … stop - 1`` into distance and item, without those beyond the disc; give the end."""
    for i in range(np.uint64(start), np.uint64(stop)):
        found_m[i] = sqrt(found_m[i])
    end = np.uint64(start)
    for i in range(np.uint64(start), np.uint64(stop)):
        distance_m = found_m[i]
        found_m[end] = distance_m
        found_item[end] = item[np.uint64(found_item[i])]
        end += np.uint64(distance_m <= reach_m)
    return np.int64(end)


@kernel()
def keep_available(available, found_m, found_item, start, stop):
    """Keep those of the rows ``start … stop - 1`` that are available; give the end."""
    end = np.uint64(start)
    for i in range(np.uint64(start), np.uint64(stop)):
        item = np.uint64(found_item[i])
        found_m[end] = found_m[i]
        found_item[end] = item
        end += np.uint64(available[item])
    return np.int64(end)


@kernel()
def keep_classes(item_classes, class_bits, found_m, found_item, start, stop):
    """Keep those of the rows ``start … stop - 1`` that have one of the classes; give the end."""
    end = np.uint64(start)
    for i in range(np.uint64(start), np.uint64(stop)):
        item = np.uint64(found_item[i])
        found_m[end] = found_m[i]
        found_item[end] = item
        end += np.uint64((item_classes[item] & class_bits) != 0)
    return np.int64(end)


@kernel()
def farthest_m(distance_m, size):
    """Give the largest of the first `size` distances."""
    most = 0.0
    for i in range(size):
        most = max(most, distance_m[i])
    return most


@kernel(makes_arrays=True)
def scratch_of(room):
    """Make room for as many found items and for as many sorted ones: distances, items, order.

    In one piece of memory: three pieces take a single query 0.1 µs more.
    """
    numbers = np.empty((4 + BUCKETS_PER_ENTRY) * room + 1)
    return (
        numbers[: 2 * room],
        numbers[2 * room : 4 * room].view(np.int64),
        numbers[4 * room :].view(np.int64),
    )


@kernel()
def collect_best(grid, keep, query, class_bits, k, reach_m, found_m, found_item):
    """Write distance and item of the `k` nearest of a disc, and maybe more; give their number.

    For a disc whose block has more slots than there is room: whenever the room is used up, all but the `k`
    nearest are dropped and the disc shrinks.
    """
    frame = frame_of(grid.frame)
    room = len(found_item) // 2
    limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
    block = block_of(frame, query[0], query[1], reach_m)
    size, settled = 0, 0
    for row in range(block[2], block[3] + 1):
        start, stop = run_of(grid.first_slot, frame, block, row)
        while start < stop:
            end = min(stop, start + room - size)
            size = append_near(grid.xy, (start, end), query, limit, found_m, found_item, size)
            start = end
            if size < room:
                continue
            size = settle_kept(grid.item, keep, class_bits, reach_m, found_m, found_item, (settled, size))
            if size > room // 2:
                select_least(found_m, found_item, size, k)
                size = k
                reach_m = farthest_m(found_m, k)
                limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
                block = block_of(frame, query[0], query[1], reach_m)
            settled = size
    return settle_kept(grid.item, keep, class_bits, reach_m, found_m, found_item, (settled, size))


@kernel()
def settle_kept(item, keep, class_bits, reach_m, found_m, found_item, rows):
    """Turn some rows into distance and item, without those that may not be found; give the end."""
    start, stop = rows
    stop = settle(item, found_m, found_item, reach_m, start, stop)
    if len(keep.available) > 0:
        stop = keep_available(keep.available, found_m, found_item, start, stop)
    if len(keep.class_bits) > 0:
        stop = keep_classes(keep.class_bits, class_bits, found_m, found_item, start, stop)
    return stop


@kernel(makes_arrays=True)
def search(grid, keep, queries, k, max_distance_m, out_first, out_item, out_distance_m):
    """Find the `k` nearest items of each query; see :func:`nearest`.

    What is called once a query must be small or take few arrays: a function with many branches counts the
    references to each, atomically, which took half of the time.
    Rejected: guessing the first disc a second time, from the cells of the first guess (1.1 times slower);
    taking queries in the order of their cells (as fast up to 100,000 items, 1.15 times faster for a million,
    which sorting takes back).
    """
    frame, first_slot, xy, item = frame_of(grid.frame), grid.first_slot, grid.xy, grid.item
    available, item_classes = keep
    query_x, query_y, query_classes = queries
    room = ROOM_PER_NEIGHBOUR * k + LEAST_ROOM
    found_m, found_item, order = scratch_of(room)
    farthest = min(max_distance_m, FARTHEST_M)
    share = share_passing(available, item_classes, query_classes[0])
    wanted = k + SPREAD * sqrt(k)
    num_found = 0
    out_first[0] = 0
    for q in range(len(query_x)):
        query = (query_x[q], query_y[q])
        class_bits = query_classes[min(q, len(query_classes) - 1)]
        block = cells_around(frame, query[0], query[1])
        around = num_slots(first_slot, frame, block)
        reach_m = min(first_reach_m(frame, block, around, wanted / share), farthest)
        while True:
            block = block_of(frame, query[0], query[1], reach_m)
            if num_slots(first_slot, frame, block) < room:
                limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
                size = 0
                for row in range(block[2], block[3] + 1):
                    run = run_of(first_slot, frame, block, row)
                    size = append_near(xy, run, query, limit, found_m, found_item, size)
                size = seen = settle(item, found_m, found_item, reach_m, 0, size)
                if len(available) > 0:
                    size = keep_available(available, found_m, found_item, 0, size)
                if len(item_classes) > 0:
                    size = keep_classes(item_classes, class_bits, found_m, found_item, 0, size)
                share = max(share + MEMORY * ((size + 1.0) / (seen + 1.0) - share), LESS_SHARE)
            else:
                size = collect_best(grid, keep, query, class_bits, k, reach_m, found_m, found_item)
            if size >= k or reach_m >= farthest:
                break
            growth = min(max(1.2 * wanted / max(size, 0.5), 2.0), MOST_GROWTH)
            reach_m = farthest if is_whole(frame, block) else min(reach_m * sqrt(growth), farthest)
        if size <= MOST_TO_RANK:
            rank(found_m, found_item, order, size)
            place_by_rank(found_m, found_item, order, size)
        else:
            size = sort_many(found_m, found_item, order, size, k, reach_m)
        copy_out(found_m, found_item, size, min(size, k), out_item, out_distance_m, num_found)
        num_found += min(size, k)
        out_first[q + 1] = num_found
    return num_found


@kernel((GRID, FILTER, QUERIES, i64, f64, I32, I32, F64), makes_arrays=True)
def nearest(grid, keep, queries, k, max_distance_m, out_first, out_item, out_distance_m):
    """Find the `k` nearest items of each query, straight into compressed sparse rows.

    `k` is at least 1; ``out_item`` and ``out_distance_m`` (queries * k,) have room for `k` rows a query,
    ``out_first`` is (queries + 1,). Distances above `max_distance_m` are not found.
    """
    search(grid, keep, queries, k, max_distance_m, out_first, out_item, out_distance_m)


@kernel((GRID, FILTER, i64, I32, F64, I32))
def thin(grid, keep, class_bits, out_first_slot, out_xy, out_item):
    """Copy the items that may be found: many queries pay for that, since they need no filter then.

    ``out_first_slot`` is (cells + 1,), ``out_xy`` (2 * slots,), ``out_item`` (slots,).
    """
    num_kept = 0
    for cell in range(len(out_first_slot) - 1):
        out_first_slot[cell] = num_kept
        for slot in range(grid.first_slot[cell], grid.first_slot[cell + 1]):
            item = grid.item[slot]
            out_xy[2 * num_kept], out_xy[2 * num_kept + 1] = grid.xy[2 * slot], grid.xy[2 * slot + 1]
            out_item[num_kept] = item
            num_kept += item != NO_ITEM and passes(keep.available, keep.class_bits, item, class_bits)
    out_first_slot[len(out_first_slot) - 1] = num_kept


@kernel()
def is_right(x, y, limit_m):
    """Tell whether a query is in order; NaN is not."""
    return abs(x) <= MAX_COORDINATE_M and abs(y) <= MAX_COORDINATE_M and limit_m >= 0.0


@kernel(makes_arrays=True)
def query_of(x, y, class_bits):
    """Make a batch of one, and room for its row starts; in one piece of memory, as :func:`scratch_of`."""
    numbers = np.empty(4)
    bits, first = numbers[2:3].view(np.int64), numbers[3:].view(np.int32)
    numbers[0], numbers[1], bits[0] = x, y, class_bits
    return Queries(numbers[:1], numbers[1:2], bits), first


@kernel((GRID, f64, f64, f64, I32, F64), makes_arrays=True)
def nearest_one(grid, x, y, max_distance_m, out_item, out_distance_m):
    """Find as many nearest items of one query as there is room for, (k,); give their number or BAD_INPUT.

    Without a filter: handing over two empty arrays would take 0.1 µs of 1.3.
    """
    if not is_right(x, y, max_distance_m):
        return BAD_INPUT
    queries, first = query_of(x, y, 0)
    keep = Filter(grid.item[:0].view(np.bool_), grid.item[:0].view(np.int64))
    return search(grid, keep, queries, len(out_item), max_distance_m, first, out_item, out_distance_m)


@kernel((GRID, FILTER, f64, f64, i64, f64, I32, F64), makes_arrays=True)
def nearest_kept(grid, keep, x, y, class_bits, max_distance_m, out_item, out_distance_m):
    """As :func:`nearest_one`, (k,), of the items that pass a filter."""
    if not is_right(x, y, max_distance_m):
        return BAD_INPUT
    queries, first = query_of(x, y, class_bits)
    return search(grid, keep, queries, len(out_item), max_distance_m, first, out_item, out_distance_m)


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


@kernel(makes_arrays=True)
def search_disc(grid, keep, queries, radius_m, most, out_first, out_item, out_distance_m):
    """Find all items within `radius_m` of each query; see :func:`within`."""
    frame, first_slot, xy, item = frame_of(grid.frame), grid.first_slot, grid.xy, grid.item
    available, item_classes = keep
    query_x, query_y, query_classes = queries
    found_m, found_item, order = scratch_of(max(most, MOST_TO_RANK) + 1)
    reach_m = min(radius_m, FARTHEST_M)
    limit = reach_m * reach_m * SQUARED_SLACK + UNDERFLOW
    num_found = 0
    out_first[0] = 0
    for q in range(len(query_x)):
        query = (query_x[q], query_y[q])
        block = block_of(frame, query[0], query[1], reach_m)
        size = 0
        for row in range(block[2], block[3] + 1):
            run = run_of(first_slot, frame, block, row)
            size = append_near(xy, run, query, limit, found_m, found_item, size)
        size = settle(item, found_m, found_item, reach_m, 0, size)
        if len(available) > 0:
            size = keep_available(available, found_m, found_item, 0, size)
        if len(item_classes) > 0:
            class_bits = query_classes[min(q, len(query_classes) - 1)]
            size = keep_classes(item_classes, class_bits, found_m, found_item, 0, size)
        if size <= MOST_TO_RANK:
            rank(found_m, found_item, order, size)
            place_by_rank(found_m, found_item, order, size)
        else:
            sort_many(found_m, found_item, order, size, size, reach_m)
        copy_out(found_m, found_item, size, size, out_item, out_distance_m, num_found)
        num_found += size
        out_first[q + 1] = num_found
    return num_found


@kernel((GRID, FILTER, QUERIES, f64, i64, I32, I32, F64), makes_arrays=True)
def within(grid, keep, queries, radius_m, most, out_first, out_item, out_distance_m):
    """Write all items within `radius_m` of each query, sorted by distance, then item.

    `most` and the room of ``out_item`` and ``out_distance_m`` (rows,) are what :func:`most_within` gave;
    ``out_first`` is (queries + 1,).
    """
    search_disc(grid, keep, queries, radius_m, most, out_first, out_item, out_distance_m)


@kernel((GRID, FILTER, f64, f64, i64, f64, I32, F64), makes_arrays=True)
def within_one(grid, keep, x, y, class_bits, radius_m, out_item, out_distance_m):
    """Write all items within `radius_m` of one query, sorted; give their number, or why there are none.

    ``out_item`` and ``out_distance_m`` are (room,): TOO_LITTLE_ROOM if they might not do.
    """
    if not is_right(x, y, radius_m):
        return BAD_INPUT
    queries, first = query_of(x, y, class_bits)
    most, _ = most_within(grid, queries, radius_m)
    if most > len(out_item):
        return TOO_LITTLE_ROOM
    return search_disc(grid, keep, queries, radius_m, most, first, out_item, out_distance_m)
