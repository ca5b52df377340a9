"""Shortest paths, edge by edge: arcs of the hierarchy are opened until only edges are left."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.customization import INPUTS
from dispatch.kernels.jit import I32, i64, kernel, record
from dispatch.kernels.labels import CLIMB, ENDS, count_common, find_ancestors, find_label
from dispatch.units import NO_INDEX, UNREACHABLE_MS


class Lower(NamedTuple):
    """The nodes below each node that have an arc to it."""

    first: np.ndarray
    """(nodes + 1,) int32"""
    rank: np.ndarray
    """(arcs,) int32, ascending"""


LOWER = record(Lower, I32, I32)


@kernel()
def _edge_of_cell(climb, inputs, travel_ms, low, cell, ms):
    """Give the edge from or to `low` that is the arc of `cell`, whose time is `ms`; NO_INDEX: a shortcut."""
    for k in range(inputs.first[low], inputs.first[low + 1]):
        if climb.base[low] + inputs.cell[k] == cell and travel_ms[inputs.edge[k]] == ms:
            return inputs.edge[k]
    return NO_INDEX


@kernel()
def _middle(climb, lower, low, high, ms, first_half, second_half):
    """Give the node below both ends over which a shortcut leads.

    From the highest down: the highest node of the way is one, and it is rarely far down.
    """
    base, first_depth = climb.base, climb.first_depth
    one, other = climb.depth[low], climb.depth[high]
    times = climb.ms
    for k in range(lower.first[low + 1] - 1, lower.first[low] - 1, -1):
        u = lower.rank[k]
        if first_depth[u] <= other:
            row = base[u]
            if times[first_half + row + one] + times[second_half + row + other] == ms:
                return u
    return NO_INDEX


@kernel()
def _open(climb, inputs, lower, travel_ms, low, high, is_up, stack, out_edge, num):
    """Write the edges of the arc between `low` and `high`; give the new number, or -1 if there is no room."""
    half = np.int64(len(climb.ms) // 2)
    stack[0, 0], stack[0, 1], stack[0, 2] = low, high, is_up
    size = 1
    while size > 0:
        size -= 1
        low, high, is_up = np.int64(stack[size, 0]), np.int64(stack[size, 1]), stack[size, 2]
        cell = climb.base[low] + climb.depth[high] + (0 if is_up else half)
        ms = climb.ms[cell]
        edge = _edge_of_cell(climb, inputs, travel_ms, low, cell, ms)
        if edge != NO_INDEX:
            if num == len(out_edge):
                return -1
            out_edge[num] = edge
            num += 1
            continue
        if is_up:  # low → middle → high
            middle = _middle(climb, lower, low, high, ms, half, 0)
            stack[size, 0], stack[size, 1], stack[size, 2] = middle, high, 1
            stack[size + 1, 0], stack[size + 1, 1], stack[size + 1, 2] = middle, low, 0
        else:
            middle = _middle(climb, lower, low, high, ms, 0, half)
            stack[size, 0], stack[size, 1], stack[size, 2] = middle, low, 1
            stack[size + 1, 0], stack[size + 1, 1], stack[size + 1, 2] = middle, high, 0
        size += 2
    return num


@kernel()
def _chain(climb, half, rank, label, num, at, ends, i, out_depth):
    """List the depths of the arcs' ends from the ancestor of depth `at` to a node of place `i`."""
    length = 0
    while True:
        out_depth[length] = at
        length += 1
        for k in range(ends.first[i], ends.first[i + 1]):
            if climb.depth[ends.rank[k]] == at and ends.ms[k] == label[at]:
                return length
        for d in range(at + 1, num):
            v = rank[d]
            if climb.first_depth[v] <= at and label[d] + climb.ms[half + climb.base[v] + at] == label[at]:
                at = d
                break


@kernel()
def _grown(array, num):
    """Give a copy of the first `num` entries with twice the room."""
    larger = np.empty(2 * len(array), np.int32)
    larger[:num] = array[:num]
    return larger


@kernel()
def _open_chain(climb, inputs, lower, travel_ms, rank, chain, is_up, stack, edges, num):
    """Write the edges of the arcs between neighbours of a chain of depths; give room and number."""
    length = len(chain)
    for step in range(1, length):
        k = length - step if is_up else step
        low, high = rank[chain[k]], rank[chain[k - 1]]
        after = _open(climb, inputs, lower, travel_ms, low, high, is_up, stack, edges, num)
        while after < 0:
            edges = _grown(edges, num)
            after = _open(climb, inputs, lower, travel_ms, low, high, is_up, stack, edges, num)
        num = after
    return edges, num


@kernel((CLIMB, INPUTS, LOWER, I32, ENDS, ENDS, i64, I32, I32))
def find_paths(climb, inputs, lower, travel_ms, sources, targets, height, out_ms, out_first):
    """Find a shortest way of each pair of places.

    Parameters
    ----------
    climb : Climb
    inputs : Inputs
    lower : Lower
    travel_ms : (edges,) int32
        That the climb was customized for.
    sources, targets : Ends
        (n,) places each.
    height : int
        Of the tree.
    out_ms : (n,) int32
        ``UNREACHABLE_MS`` where there is no way.
    out_first : (n + 1,) int32

    Returns
    -------
    (entries,) int32
        Edges of way ``i``: rows ``out_first[i] … out_first[i + 1] - 1``, from a node of the source to one of
        the target.
    """
    up, down = np.empty(height, np.int32), np.empty(height, np.int32)
    rank_up, rank_down = np.empty(height, np.int32), np.empty(height, np.int32)
    lowest, chain = np.empty(height, np.int32), np.empty(height, np.int32)
    stack = np.empty((2 * height + 2, 3), np.int32)
    edges, num = np.empty(1024, np.int32), 0
    half = len(climb.ms) // 2
    out_first[0] = 0
    for i in range(len(out_ms)):
        s, t = sources.rank[sources.first[i]], targets.rank[targets.first[i]]
        find_label(climb, True, sources, i, up)
        find_label(climb, False, targets, i, down)
        find_ancestors(climb, t, rank_down, lowest)
        find_ancestors(climb, s, rank_up, lowest)
        best_ms, apex = np.int32(UNREACHABLE_MS), NO_INDEX
        for d in range(count_common(rank_up, lowest, climb.depth[s] + 1, t)):
            if up[d] + down[d] < best_ms:
                best_ms, apex = np.int32(up[d] + down[d]), d
        out_ms[i] = best_ms
        if apex != NO_INDEX:
            length = _chain(climb, 0, rank_up, up, climb.depth[s] + 1, apex, sources, i, chain)
            edges, num = _open_chain(
                climb, inputs, lower, travel_ms, rank_up, chain[:length], 1, stack, edges, num
            )
            length = _chain(climb, half, rank_down, down, climb.depth[t] + 1, apex, targets, i, chain)
            edges, num = _open_chain(
                climb, inputs, lower, travel_ms, rank_down, chain[:length], 0, stack, edges, num
            )
        out_first[i + 1] = num
    return edges[:num].copy()
