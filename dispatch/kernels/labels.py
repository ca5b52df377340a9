"""How far it is from a place to its ancestors in the tree, or back: the key to all travel times."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import I32, boolean, i64, kernel, record
from dispatch.units import NO_INDEX, UNREACHABLE_MS

BETWEEN = NO_INDEX - 1
FEW_PLACES, NODES_PER_PLACE = 16, 5


class Climb(NamedTuple):
    """A contracted graph with its travel times, as searches go up in it; see :class:`Tree`."""

    parent: np.ndarray
    """(nodes,) int32"""
    depth: np.ndarray
    """(nodes,) int32"""
    lowest: np.ndarray
    """(nodes,) int32"""
    first_depth: np.ndarray
    """(nodes,) int32"""
    base: np.ndarray
    """(nodes,) int32"""
    first_upper: np.ndarray
    """(nodes + 1,) int32"""
    upper: np.ndarray
    """(arcs,) int32"""
    ms: np.ndarray
    """(cells,) int32, up, then down"""


class Ends(NamedTuple):
    """Where trips begin, or where they end: each place by nodes near it, which are each other's ancestors."""

    first: np.ndarray
    """(places + 1,) int32, place ``i`` has the entries ``first[i] … first[i + 1] - 1``, at least one"""
    rank: np.ndarray
    """(entries,) int32, the deepest node of each place first"""
    ms: np.ndarray
    """(entries,) int32, travel time between the place and the node"""


CLIMB = record(Climb, I32, I32, I32, I32, I32, I32, I32, I32)
ENDS = record(Ends, I32, I32, I32)


@kernel()
def _climb_up(climb, is_source, v, label):
    """Go up from a node to the root; ``label`` holds the times at which nodes on the way may be begun."""
    parent, depth, _, first_depth, base, _, _, ms = climb
    half = 0 if is_source else len(ms) // 2
    v, d = np.int64(v), np.int64(depth[v])
    while v >= 0:
        at_ms, first = label[d], np.int64(first_depth[v])
        to, cell = np.uint64(first), np.uint64(half + base[v] + first)
        for k in range(np.uint64(d - first)):  # unsigned: numba vectorizes no loop with positions of a sign
            label[to + k] = min(label[to + k], np.int32(at_ms + ms[cell + k]))
        v = np.int64(parent[v])
        d -= 1


@kernel()
def find_label(climb, is_source, ends, i, out_label):
    """Find the travel times from place `i` to its ancestors, or from these to it, by depth.

    Times are those of ways through nodes below the ancestor; the last entry is the deepest node's own.
    """
    depth = climb.depth
    v = ends.rank[ends.first[i]]
    for d in range(depth[v] + 1):
        out_label[d] = UNREACHABLE_MS
    for k in range(ends.first[i], ends.first[i + 1]):
        d = depth[ends.rank[k]]
        out_label[d] = min(out_label[d], ends.ms[k])
    _climb_up(climb, is_source, v, out_label)


@kernel()
def find_ancestors(climb, v, out_rank, out_lowest):
    """List a node's ancestors and itself by depth, each with the lowest node of its subtree."""
    d = np.int64(climb.depth[v])
    while v >= 0:
        out_rank[d], out_lowest[d] = v, climb.lowest[v]
        v = np.int64(climb.parent[v])
        d -= 1


@kernel()
def count_common(rank, lowest, num, v):
    """Count how many of `num` ancestors, by depth, are ancestors of `v` too, or `v`."""
    low, high = 0, num
    while low < high:
        middle = (low + high) // 2
        if lowest[middle] <= v <= rank[middle]:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(makes_arrays=True)
def _gather(climb, ends):
    """List the places by their deepest nodes, and mark all ancestors of these.

    Returns
    -------
    first_place : (nodes,) int32
        A place at each node, NO_INDEX for none, ``BETWEEN`` at ancestors of some.
    next_place : (places,) int32
        The next place at the same node.
    num_nodes : int
        How many nodes are marked.
    """
    parent = climb.parent
    first_place = np.full(len(parent), NO_INDEX, np.int32)
    next_place = np.empty(len(ends.first) - 1, np.int32)
    num_nodes = 0
    for i in range(len(next_place)):
        v = np.int64(ends.rank[ends.first[i]])
        next_place[i] = first_place[v] if first_place[v] >= 0 else NO_INDEX
        is_new = first_place[v] == NO_INDEX
        first_place[v] = i
        while is_new:
            num_nodes += 1
            v = np.int64(parent[v])
            is_new = v >= 0 and first_place[v] == NO_INDEX
            if is_new:
                first_place[v] = BETWEEN
    return first_place, next_place, num_nodes


@kernel(makes_arrays=True)
def _share_labels(climb, is_source, ends, where, first, out_label):
    """Find the labels of places from those of the nodes above, which lie in a row for each depth."""
    parent, depth, _, _, base, first_upper, upper, ms = climb
    first_place, next_place = where
    half = 0 if is_source else len(ms) // 2
    height = 0
    for i in range(len(next_place)):
        height = max(height, depth[ends.rank[ends.first[i]]] + 1)
    rows = np.empty((height, height), np.int32)
    for v in range(len(parent) - 1, -1, -1):
        if first_place[v] == NO_INDEX:
            continue
        d = np.int64(depth[v])
        own = rows[d]
        for k in range(np.uint64(d)):
            own[k] = UNREACHABLE_MS
        own[d] = 0
        for k in range(first_upper[v], first_upper[v + 1]):
            at = depth[upper[k]]
            above, at_ms = rows[at], ms[half + base[v] + at]
            for j in range(np.uint64(at + 1)):
                own[j] = min(own[j], np.int32(at_ms + above[j]))
        i = first_place[v]
        while i >= 0:
            begin = np.uint64(first[i])
            for k in range(np.uint64(d + 1)):
                out_label[begin + k] = UNREACHABLE_MS
            for entry in range(ends.first[i], ends.first[i + 1]):
                at, at_ms = depth[ends.rank[entry]], ends.ms[entry]
                above = rows[at]
                for k in range(np.uint64(at + 1)):
                    out_label[begin + k] = min(out_label[begin + k], np.int32(at_ms + above[k]))
            i = next_place[i]


@kernel(makes_arrays=True)
def find_labels(climb, is_source, ends):
    """Find the labels of all places.

    Returns
    -------
    first : (places + 1,) int64
    label : (entries,) int32

    Notes
    -----
    Where places are dense, the labels of nodes above are shared: a label is the least over a node's arcs of
    the label at their upper ends. San Francisco, 2,000 places: 1.4 ms, where one by one takes 2.8.
    """
    n = len(ends.first) - 1
    first = np.zeros(n + 1, np.int64)
    for i in range(n):
        first[i + 1] = first[i] + climb.depth[ends.rank[ends.first[i]]] + 1
    label = np.empty(first[n], np.int32)
    if n >= FEW_PLACES:
        first_place, next_place, num_nodes = _gather(climb, ends)
        if num_nodes <= NODES_PER_PLACE * n:
            _share_labels(climb, is_source, ends, (first_place, next_place), first, label)
            return first, label
    for i in range(n):
        find_label(climb, is_source, ends, i, label[first[i] : first[i + 1]])
    return first, label


@kernel((CLIMB, boolean, ENDS, ENDS, I32, I32, I32, I32), makes_arrays=True)
def pair_times(climb, are_sources, groups, others, order, first_pair, other_of_pair, out_ms):
    """Find the travel times between each place of one side and some of the other.

    Parameters
    ----------
    climb : Climb
    are_sources : bool
        Trips begin at `groups` and end at `others`; or the other way round.
    groups, others : Ends
    order : (groups,) int32
        In which groups are looked at: those close to each other share what is in the cache.
    first_pair : (groups + 1,) int32
    other_of_pair : (pairs,) int32
        Rows of `others`.
    out_ms : (pairs,) int32
        ``UNREACHABLE_MS`` where there is no way, or none below that.

    Notes
    -----
    A shortest way climbs to some common ancestor and descends (Dibbelt, Strasser and Wagner 2016): common
    ancestors are the first entries of both labels. New York: 2.1 µs a label, 1.6 where neighbours follow each
    other; 60 ns a pair of neighbours with some 120 common ancestors.
    """
    first, label = find_labels(climb, not are_sources, others)
    depth, height = climb.depth, 1
    for i in range(len(order)):
        height = max(height, depth[groups.rank[groups.first[i]]] + 1)
    own, rank, lowest = np.empty(height, np.int32), np.empty(height, np.int32), np.empty(height, np.int32)
    for i in order:
        if first_pair[i] == first_pair[i + 1]:
            continue
        v = np.int64(groups.rank[groups.first[i]])
        find_label(climb, are_sources, groups, i, own)
        find_ancestors(climb, v, rank, lowest)
        for k in range(first_pair[i], first_pair[i + 1]):
            j = other_of_pair[k]
            w = others.rank[others.first[j]]
            num, high = 0, depth[v] + 1
            while num < high:
                middle = (num + high) // 2
                if lowest[middle] <= w <= rank[middle]:
                    num = middle + 1
                else:
                    high = middle
            best_ms, begin = np.int32(UNREACHABLE_MS), np.uint64(first[j])
            for d in range(np.uint64(num)):
                best_ms = min(best_ms, np.int32(own[d] + label[begin + d]))
            out_ms[k] = best_ms


@kernel((CLIMB, i64, i64), makes_arrays=True)
def pair_time(climb, source, target):
    """Give the travel time between two nodes, by rank: what :func:`pair_times` does for many."""
    up, down = np.empty(climb.depth[source] + 1, np.int32), np.empty(climb.depth[target] + 1, np.int32)
    for is_source, v, label in ((True, source, up), (False, target, down)):
        for d in range(len(label)):
            label[d] = UNREACHABLE_MS
        label[len(label) - 1] = 0
        _climb_up(climb, is_source, v, label)
    v, w = min(source, target), max(source, target)
    while 0 <= v < w:  # the first ancestor that is not below `w` is the lowest one of both
        v = np.int64(climb.parent[v])
    best_ms = np.int32(UNREACHABLE_MS)
    if v >= 0:
        for d in range(np.uint64(climb.depth[v] + 1)):
            best_ms = min(best_ms, np.int32(up[d] + down[d]))
    return best_ms
