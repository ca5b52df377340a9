"""A customized hierarchy after some edges changed: only the arcs that this changes are found anew."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.contraction import TREE
from dispatch.kernels.customization import INPUTS
from dispatch.kernels.jit import I8, I32, I32_2D, i64, kernel, record
from dispatch.kernels.unpacking import LOWER
from dispatch.units import UNREACHABLE_MS

UP, DOWN = 0, 1
BETTER, FIND_ANEW = 1, 2


class Marks(NamedTuple):
    """Scratch: what is to be looked at again; nothing is marked between calls."""

    is_due: np.ndarray
    """(nodes,) int8"""
    mark: np.ndarray
    """(cells,) int8, ``BETTER`` and ``FIND_ANEW``, or both"""
    better_ms: np.ndarray
    """(cells,) int32, of a way that is now better, where the mark says so"""


class Row(NamedTuple):
    """Scratch: the row that is looked at, by direction and depth."""

    before_ms: np.ndarray
    """(2, height) int32"""
    changed: np.ndarray
    """(cells,) int32, ``2 × entry of upper + direction``"""


MARKS = record(Marks, I8, I8, I32)


@kernel(inline=True)
def _found_anew(tree, lower, ms, v, d, way):
    """Give the best way between a node and its ancestor of depth `d` through lower nodes."""
    base, first_depth, rank = tree.base, tree.first_depth, lower.rank
    best_ms = np.int32(UNREACHABLE_MS)
    half = len(ms) // 2
    one, other = (1 - way) * half + tree.depth[v], way * half + d
    for k in range(lower.first[v], lower.first[v + 1]):
        u = rank[k]
        if first_depth[u] <= d:
            cell = np.int64(base[u])
            best_ms = min(best_ms, np.int32(ms[one + cell] + ms[other + cell]))
    return best_ms


@kernel(inline=True)
def _renew_row(tree, inputs, lower, travel_ms, v, marks, ms, row):
    """Look at the marked cells of a row again; give how many changed."""
    half, num = len(ms) // 2, 0
    for way in range(2):
        begin = way * half + tree.base[v]
        for d in range(tree.first_depth[v], tree.depth[v]):
            row.before_ms[way, d] = ms[begin + d]
    for k in range(tree.first_upper[v], tree.first_upper[v + 1]):
        d = tree.depth[tree.upper[k]]
        for way in range(2):
            cell = way * half + tree.base[v] + d
            mark = marks.mark[cell]
            if mark == 0:
                continue
            marks.mark[cell] = 0
            best_ms = min(ms[cell], marks.better_ms[cell]) if mark == BETTER else ms[cell]
            if mark & FIND_ANEW:
                best_ms = _found_anew(tree, lower, ms, v, d, way)
                for j in range(inputs.first[v], inputs.first[v + 1]):
                    if tree.base[v] + inputs.cell[j] == cell:
                        best_ms = min(best_ms, travel_ms[inputs.edge[j]])
            if best_ms != ms[cell]:
                ms[cell] = best_ms
                row.changed[num] = 2 * k + way
                num += 1
    return num


@kernel(inline=True)
def _mark(cell, before_ms, after_ms, now_ms, marks):
    """Mark a cell if a way of it got better than it is, or was the best and got worse; tell whether."""
    if after_ms < now_ms:
        if marks.mark[cell] & BETTER == 0 or after_ms < marks.better_ms[cell]:
            marks.better_ms[cell] = after_ms
        marks.mark[cell] |= BETTER
    elif before_ms == now_ms and after_ms > now_ms:
        marks.mark[cell] |= FIND_ANEW
    else:
        return False
    return True


@kernel(inline=True)
def _mark_row_above(ms, cell, with_ms, before_ms, begin, num, marks):
    """Mark cells of the ancestor that a changed arc leads to; `with_ms` is the arc before and now."""
    was_ms, is_ms = with_ms
    cell_, begin_, any_ = np.uint64(cell), np.uint64(begin), np.int32(0)
    for k in range(np.uint64(num)):
        now_ms, after_ms = ms[cell_ + k], np.int32(is_ms + ms[begin_ + k])
        was_best = np.int32(was_ms + before_ms[k]) == now_ms
        any_ += np.int32((after_ms < now_ms) | (was_best & (after_ms > now_ms)))
    if any_ > 0:
        for k in range(num):
            _mark(cell + k, was_ms + before_ms[k], np.int32(is_ms + ms[begin + k]), ms[cell + k], marks)
    return any_ > 0


@kernel(inline=True)
def _mark_above(tree, ms, v, k, way, before_ms, marks):
    """Mark what a changed arc means for the arcs between its upper end and the node's other ancestors."""
    half, base, depth, upper, is_due = len(ms) // 2, tree.base, tree.depth, tree.upper, marks.is_due
    x = upper[k]
    dx, first = depth[x], tree.first_depth[v]
    other = (1 - way) * half
    was_ms, is_ms = before_ms[way, dx], ms[way * half + base[v] + dx]
    before = before_ms[1 - way]
    row = other + base[v]
    if _mark_row_above(
        ms, other + base[x] + first, (was_ms, is_ms), before[first:], row + first, dx - first, marks
    ):
        is_due[x] = 1
    for j in range(k + 1, tree.first_upper[v + 1]):
        y = upper[j]
        cell = way * half + base[y] + dx
        after_ms, now_ms = np.int32(is_ms + ms[row + depth[y]]), ms[cell]
        if after_ms != now_ms and _mark(cell, was_ms + before[depth[y]], after_ms, now_ms, marks):
            is_due[y] = 1


@kernel((TREE, INPUTS, LOWER, I32, I32_2D, i64, MARKS, I32), makes_arrays=True)
def repair(tree, inputs, lower, travel_ms, start, height, marks, out_ms):
    """Find the travel times of arcs anew after some edges changed.

    Parameters
    ----------
    tree, inputs, lower
        The hierarchy.
    travel_ms : (edges,) int32
        With the changes.
    start : (2, n) int32
        Nodes and cells of the changed edges.
    height : int
        Of the tree.
    marks : Marks
    out_ms : (cells,) int32
        Customized for the travel times before; as if for `travel_ms` afterwards.

    Returns
    -------
    (n,) int32
        Cells that changed.

    Notes
    -----
    From the lowest node up. A way over a changed arc that is now better than its cell, or was its best and
    got worse, marks the cell; only in the second case all ways of the cell are looked at again (Dibbelt,
    Strasser and Wagner 2016, section 7.5).
    """
    before_ms, changed = np.empty((2, height), np.int32), np.empty(2 * height, np.int32)
    row, half = Row(before_ms, changed), len(out_ms) // 2
    cells, num_cells = np.empty(4096, np.int32), 0
    for i in range(start.shape[1]):
        marks.is_due[start[0, i]] = 1
        marks.mark[start[1, i]] = FIND_ANEW
    for v in range(len(tree.depth)):
        if marks.is_due[v] == 0:
            continue
        marks.is_due[v] = 0
        num = _renew_row(tree, inputs, lower, travel_ms, v, marks, out_ms, row)
        if num_cells + num > len(cells):
            longer = np.empty(2 * (num_cells + num), np.int32)
            longer[:num_cells] = cells[:num_cells]
            cells = longer
        for i in range(num):
            k, way = changed[i] >> 1, changed[i] & 1
            cells[num_cells] = way * half + tree.base[v] + tree.depth[tree.upper[k]]
            num_cells += 1
            _mark_above(tree, out_ms, v, k, way, before_ms, marks)
    return cells[:num_cells].copy()
