"""Items that move, come and go on a grid, without building it anew.

An item that leaves a cell leaves an empty slot. One that enters takes an empty slot of its cell, or the
nearest one: each cell in between hands a slot on to its neighbour and moves the item there to its other end.
Item rows and places are (n,) int32, coordinates (n,) float64 metres.

Source: M. A. Bender, E. D. Demaine, M. Farach-Colton, "Cache-oblivious B-trees", FOCS 2000 (an array kept
sorted with gaps).
"""

from math import nan

import numpy as np

from dispatch.kernels.grid import GRID, NO_ITEM, POINTS, cell_of, frame_of, num_cells_of
from dispatch.kernels.jit import I32, boolean, i64, kernel
from dispatch.units import NO_INDEX

ITEMS_PER_GAP = 16
"""An empty slot after so many items."""
CELLS_PER_GAP = 256
MOST_CELLS_SHIFTED = 1_000
"""Farther away an empty slot is not looked for."""


@kernel((I32, I32, boolean))
def first_wrong_row(place, row, unique):
    """Give the first position in `row` that names no item, or with `unique` one named before; else NO_INDEX.

    `place` is as it was when this returns.
    """
    wrong = NO_INDEX
    for i in range(len(row)):
        if row[i] < 0 or row[i] >= len(place) or place[row[i]] < 0:
            wrong = i
            break
        if unique:
            place[row[i]] = NO_INDEX - 1 - place[row[i]]  # negative: named already
    if unique:
        for i in range(len(row) if wrong == NO_INDEX else wrong):
            place[row[i]] = NO_INDEX - 1 - place[row[i]]
    return wrong


@kernel()
def put(grid, place, slot, item, x, y):
    """Write an item into a slot."""
    grid.item[slot] = item
    grid.xy[2 * slot] = x
    grid.xy[2 * slot + 1] = y
    place[item] = slot


@kernel()
def clear(grid, slot):
    """Leave a slot empty."""
    grid.item[slot] = NO_ITEM
    grid.xy[2 * slot] = nan
    grid.xy[2 * slot + 1] = nan


@kernel()
def hole_in(grid, cell):
    """Give an empty slot of a cell, NO_INDEX if it is full."""
    for slot in range(grid.first_slot[cell], grid.first_slot[cell + 1]):
        if grid.item[slot] == NO_ITEM:
            return slot
    return NO_INDEX


@kernel()
def shift(grid, place, slot, hole):
    """Move the item of a slot, if it has one, into a hole."""
    item = grid.item[slot]
    if slot != hole and item != NO_ITEM:
        put(grid, place, hole, item, grid.xy[2 * slot], grid.xy[2 * slot + 1])


@kernel()
def nearest_hole(grid, cell, num_cells):
    """Give the cell nearest to a cell that has an empty slot, and the slot; NO_INDEX if there is none near.

    Cell `num_cells` stands for the room behind the last one. Looking behind only, as long as there is any, is
    four times slower in the long run: the holes gather in front.
    """
    for steps in range(MOST_CELLS_SHIFTED):
        behind, before = cell + steps, cell - steps
        if behind < num_cells:
            hole = hole_in(grid, behind)
            if hole != NO_INDEX:
                return behind, hole
        elif behind == num_cells and grid.first_slot[num_cells] < len(grid.item):
            return behind, np.int64(grid.first_slot[num_cells])
        if before >= 0:
            hole = hole_in(grid, before)
            if hole != NO_INDEX:
                return before, hole
        elif behind > num_cells:
            break
    return NO_INDEX, NO_INDEX


@kernel()
def empty_slot(grid, place, cell, num_cells):
    """Give an empty slot of a cell, moving others if need be; NO_INDEX if there is none near."""
    first_slot = grid.first_slot
    owner, hole = nearest_hole(grid, cell, num_cells)
    if hole == NO_INDEX:
        return NO_INDEX
    if owner == num_cells:
        first_slot[num_cells] += 1
        owner -= 1
    for between in range(owner, cell, -1):  # its first item to its end, its first slot to the cell before
        slot = first_slot[between]
        shift(grid, place, slot, hole)
        hole = slot
        first_slot[between] += 1
    for between in range(owner, cell):  # its last item to its front, its last slot to the cell behind
        slot = first_slot[between + 1] - 1
        shift(grid, place, slot, hole)
        hole = slot
        first_slot[between + 1] -= 1
    clear(grid, hole)
    return hole


@kernel((GRID, I32, POINTS, i64, I32))
def insert(grid, row, points, start, place):
    """Put items, from position `start` of `row` on, into their cells; give the position where room ended."""
    frame = frame_of(grid.frame)
    num_cells = num_cells_of(frame)
    for i in range(start, len(row)):
        slot = empty_slot(grid, place, cell_of(frame, points.x[i], points.y[i]), num_cells)
        if slot == NO_INDEX:
            return i
        put(grid, place, slot, row[i], points.x[i], points.y[i])
    return len(row)


@kernel((GRID, I32, POINTS, i64, I32))
def move(grid, row, points, start, place):
    """Move items, from position `start` of `row` on; give the position where room ended.

    Of an item that is named twice, the last position counts.
    """
    frame = frame_of(grid.frame)
    num_cells = num_cells_of(frame)
    for i in range(start, len(row)):
        slot = place[row[i]]
        cell = cell_of(frame, points.x[i], points.y[i])
        if cell != cell_of(frame, grid.xy[2 * slot], grid.xy[2 * slot + 1]):
            free = empty_slot(grid, place, cell, num_cells)
            if free == NO_INDEX:
                return i
            clear(grid, place[row[i]])  # where it is now: making room may have moved it
            slot = free
        put(grid, place, slot, row[i], points.x[i], points.y[i])
    return len(row)


@kernel((GRID, I32, I32))
def remove(grid, row, place):
    """Take items out."""
    for i in range(len(row)):
        clear(grid, place[row[i]])
        place[row[i]] = NO_INDEX


@kernel((GRID, POINTS))
def points_by_item(grid, out_points):
    """Write the coordinates of all items into `out_points` (rows,), rows without an item left as they are."""
    for slot in range(len(grid.item)):
        if grid.item[slot] != NO_ITEM:
            out_points.x[grid.item[slot]] = grid.xy[2 * slot]
            out_points.y[grid.item[slot]] = grid.xy[2 * slot + 1]


@kernel()
def num_gaps(num_items, num_cells):
    """Give a bound of the gaps that :func:`spread_gaps` leaves."""
    return num_items // ITEMS_PER_GAP + num_cells // CELLS_PER_GAP + 1


@kernel((GRID, GRID, I32))
def spread_gaps(source, target, out_place):
    """Copy a grid with an empty slot after every ITEMS_PER_GAP items or CELLS_PER_GAP cells.

    `target` has the same frame, as many cells, and room for the items and their gaps; what is left is room
    at the end. `out_place` (rows,) is written.
    """
    num_cells = num_cells_of(frame_of(source.frame))
    out_place[:] = NO_INDEX
    free, gap_after, gap_before = 0, ITEMS_PER_GAP, CELLS_PER_GAP
    for cell in range(num_cells):
        target.first_slot[cell] = free
        for slot in range(source.first_slot[cell], source.first_slot[cell + 1]):
            if source.item[slot] != NO_ITEM:
                put(target, out_place, free, source.item[slot], source.xy[2 * slot], source.xy[2 * slot + 1])
                free += 1
                gap_after -= 1
        if gap_after <= 0 or cell >= gap_before:
            for _ in range(max(1, -gap_after // ITEMS_PER_GAP + 1)):
                clear(target, free)
                free += 1
            gap_after, gap_before = ITEMS_PER_GAP, cell + CELLS_PER_GAP
    target.first_slot[num_cells] = free
    for slot in range(free, len(target.item)):
        clear(target, slot)
