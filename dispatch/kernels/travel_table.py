"""Travel times from many places to many, and from one place to all."""

import numpy as np

from dispatch.kernels.jit import I32, I32_2D, boolean, i64, kernel
from dispatch.kernels.labels import CLIMB, ENDS, find_label, find_labels
from dispatch.units import UNREACHABLE_MS

BLOCK = 512


@kernel()
def _spread(label, column, out_columns):
    """Write a label down a column."""
    for d in range(len(label)):
        out_columns[d, column] = label[d]


@kernel()
def _place(ranks, begin, end, rank):
    """Give the first of ``ranks[begin:end]``, ascending, that is not below `rank`, or `end`."""
    while begin < end:
        middle = (begin + end) // 2
        if ranks[middle] < rank:
            begin = middle + 1
        else:
            end = middle
    return begin


@kernel()
def _lower(row, begin, end, column, at_ms):
    """Lower ``row[begin:end]`` to `at_ms` plus the same of `column`."""
    begin = np.uint64(begin)
    for k in range(np.uint64(end) - begin):
        row[begin + k] = min(row[begin + k], np.int32(at_ms + column[begin + k]))


@kernel((CLIMB, ENDS, ENDS, I32_2D), makes_arrays=True)
def fill_table(climb, sources, targets, out_ms):
    """Find the travel times from all sources to all targets, both by ascending rank of their deepest nodes.

    Parameters
    ----------
    climb : Climb
    sources, targets : Ends
    out_ms : (sources, targets) int32
        ``UNREACHABLE_MS`` where there is no way.

    Notes
    -----
    Targets below the same ancestor are neighbours, so the times over that ancestor are one loop over a row of
    labels that lie depth by depth (New York: 2 ns a cell, where pair by pair takes 17).
    """
    num_sources, num_targets = out_ms.shape
    height = 1
    ranks = np.empty(num_targets, np.int32)
    for j in range(num_targets):
        ranks[j] = targets.rank[targets.first[j]]
        height = max(height, climb.depth[ranks[j]] + 1)
    first, label = find_labels(climb, True, sources)
    columns, own = np.empty((height, BLOCK), np.int32), np.empty(height, np.int32)
    deepest = 1
    for i in range(num_sources):
        deepest = max(deepest, first[i + 1] - first[i])
    path = np.empty(deepest, np.int32)
    for begin in range(0, num_targets, BLOCK):
        end = min(begin + BLOCK, num_targets)
        for j in range(begin, end):
            find_label(climb, False, targets, j, own)
            _spread(own[: climb.depth[ranks[j]] + 1], j - begin, columns)
        for i in range(num_sources):
            v = np.int64(sources.rank[sources.first[i]])
            num = climb.depth[v] + 1
            for d in range(num - 1, -1, -1):
                path[d] = v
                v = np.int64(climb.parent[v])
            row = out_ms[i, begin:end]
            row[:] = UNREACHABLE_MS
            low, high = begin, end
            for d in range(num):
                low = _place(ranks, low, high, climb.lowest[path[d]])
                high = _place(ranks, low, high, path[d] + 1)
                if low == high:
                    break
                _lower(row, low - begin, high - begin, columns[d], label[first[i] + d])


@kernel((CLIMB, boolean, ENDS, I32, I32, i64), makes_arrays=True)
def one_to_all(climb, is_source, ends, node_of_rank, out_ms, height):
    """Find the travel times from one place to all nodes, or from all nodes to it.

    Parameters
    ----------
    climb : Climb
    is_source : bool
    ends : Ends
        One place.
    node_of_rank : (nodes,) int32
    out_ms : (nodes,) int32
        By node.

    Notes
    -----
    From the root down: a node's time is the least over its ancestors, which an array by depth holds
    (PHAST, Delling et al. 2011, without an order by level).
    """
    parent, depth, lowest, first_depth, base, _, _, ms = climb
    half = len(ms) // 2 if is_source else 0
    n = len(parent)
    own, at = np.empty(height, np.int32), np.empty(height, np.int32)
    find_label(climb, is_source, ends, 0, own)
    start = np.int64(ends.rank[ends.first[0]])
    for v in range(n - 1, -1, -1):
        d, first = np.int64(depth[v]), np.int64(first_depth[v])
        best_ms = np.int32(UNREACHABLE_MS)
        if lowest[v] <= start <= v:
            best_ms = own[d]
        begin, cell = np.uint64(first), np.uint64(half + base[v] + first)
        for k in range(np.uint64(d - first)):
            best_ms = min(best_ms, np.int32(at[begin + k] + ms[cell + k]))
        at[d] = best_ms
        out_ms[node_of_rank[v]] = best_ms
