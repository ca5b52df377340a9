"""Travel times into a contracted graph: every arc gets the time of the best way through lower nodes."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.contraction import TREE
from dispatch.kernels.jit import I32, kernel, record
from dispatch.units import UNREACHABLE_MS


class Inputs(NamedTuple):
    """The edges that travel times are given for, by the lower of their ends."""

    first: np.ndarray
    """(nodes + 1,) int32"""
    cell: np.ndarray
    """(inputs,) int32, less ``base``: depth of the upper end, plus half of all cells where it leads down"""
    edge: np.ndarray
    """(inputs,) int32, row of the edge"""


INPUTS = record(Inputs, I32, I32, I32)


@kernel((TREE, I32, INPUTS, I32, I32, I32))
def start_rows(tree, base, inputs, travel_ms, nodes, out_ms):
    """Put the edges of `nodes` (n,) into their rows; other arguments as in :func:`customize`."""
    half = len(out_ms) // 2
    for i in range(len(nodes)):
        v = nodes[i]
        for cell in range(base[v] + tree.first_depth[v], base[v] + tree.depth[v]):
            out_ms[cell] = UNREACHABLE_MS
            out_ms[half + cell] = UNREACHABLE_MS
        for k in range(inputs.first[v], inputs.first[v + 1]):
            cell = base[v] + inputs.cell[k]
            out_ms[cell] = min(out_ms[cell], travel_ms[inputs.edge[k]])


@kernel((TREE, I32, I32, I32))
def merge_rows(tree, base, nodes, out_ms):
    """Merge the private rows of `nodes` (n,), found by `base`, into their rows of the tree."""
    half = len(out_ms) // 2
    for i in range(len(nodes)):
        v = nodes[i]
        for d in range(tree.first_depth[v], tree.depth[v]):
            to, cell = tree.base[v] + d, base[v] + d
            out_ms[to] = min(out_ms[to], out_ms[cell])
            out_ms[half + to] = min(out_ms[half + to], out_ms[half + cell])


@kernel((TREE, I32, INPUTS, I32, I32, I32, I32))
def customize(tree, base, inputs, travel_ms, begin, end, out_ms):
    """Find the travel times of the arcs of some subtrees, and what they mean for the arcs above.

    Parameters
    ----------
    tree : Tree
    base : (nodes,) int32
        In place of ``tree.base``: threads have private rows for the nodes above their subtrees.
    inputs : Inputs
    travel_ms : (edges,) int32
        0 to ``UNREACHABLE_MS``.
    begin, end : (ranges,) int32
        Ranges of ranks, in order: each a subtree, or one node whose row was started already.
    out_ms : (cells,) int32
        Milliseconds from nodes to their ancestors, by cell, then from ancestors to nodes; ``UNREACHABLE_MS``
        without a way.

    Notes
    -----
    Every node, from the lowest, offers each pair of its ancestors the way through itself: its row meets the
    row of an ancestor cell by cell (Dibbelt, Strasser and Wagner 2016, with rows by depth). A row is started
    when the first node below it comes, so that it is still in the cache when it is needed.

    New York, 264,346 nodes: 34 ms. Each node pulling from those below 46 ms, since rows low in the tree are
    cold by then; both directions in one loop 14 % slower than in two; helper functions for inner loops 70 ms,
    since numba counts references to arrays at every call. No gain: single cells for nodes of few
    arcs, rows without gaps, steps of eight cells without remainders.
    """
    ms, half = out_ms, np.int64(len(out_ms) // 2)
    first_input, input_cell, input_edge = inputs
    parent, depth, lowest, first_depth, _, first_upper, upper = tree
    for i in range(len(begin)):
        for u in range(begin[i], end[i]):
            if lowest[u] == u:
                v = u
                while v != -1 and v < end[i] and lowest[v] == u:
                    row = np.int64(base[v])
                    up, num = np.uint64(row + first_depth[v]), np.uint64(depth[v] - first_depth[v])
                    down = up + np.uint64(half)
                    for k in range(num):  # unsigned: numba vectorizes no loop with positions of a sign
                        ms[up + k] = UNREACHABLE_MS
                    for k in range(num):
                        ms[down + k] = UNREACHABLE_MS
                    for k in range(first_input[v], first_input[v + 1]):
                        cell = row + input_cell[k]
                        ms[cell] = min(ms[cell], travel_ms[input_edge[k]])
                    v = parent[v]
            first, row = np.int64(first_depth[u]), np.int64(base[u])
            up = np.uint64(row + first)
            down = up + np.uint64(half)
            for k in range(first_upper[u] + 1, first_upper[u + 1]):
                v = upper[k]
                d = np.int64(depth[v])
                num, to_up = np.uint64(d - first), np.uint64(base[v] + first)
                to_down = to_up + np.uint64(half)
                down_ms, up_ms = ms[half + row + d], ms[row + d]
                for j in range(num):
                    ms[to_up + j] = min(ms[to_up + j], np.int32(down_ms + ms[up + j]))
                for j in range(num):
                    ms[to_down + j] = min(ms[to_down + j], np.int32(up_ms + ms[down + j]))
