"""Cut a graph in two by the smallest number of links between its nodes on one side and on the other."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import kernel
from dispatch.units import NO_INDEX

MIDDLE, SOURCE, SINK = 0, 1, 2
NEAR, FAR, SEPARATOR = 0, 1, 2


class Part(NamedTuple):
    """The graph to cut, its nodes numbered from 0, and scratch; arrays may be longer than the graph."""

    first: np.ndarray
    """(nodes + 1,) int32"""
    to: np.ndarray
    """(links,) int32"""
    twin: np.ndarray
    """(links,) int32, the same link in the row of the other end"""
    flow: np.ndarray
    """(links,) int8, -1, 0 or 1"""
    kind: np.ndarray
    """(nodes,) int8, where flow begins and ends"""
    level: np.ndarray
    """(nodes,) int32, steps that flow can still go from where it begins, NO_INDEX: out of reach"""
    queue: np.ndarray
    """(nodes,) int32"""
    next_link: np.ndarray
    """(nodes,) int32"""
    path: np.ndarray
    """(nodes,) int32, links"""
    side: np.ndarray
    """(nodes,) int8, of the best cut so far"""
    along: np.ndarray
    """(nodes,) float64, coordinate in the direction looked at"""
    sorted: np.ndarray
    """(nodes,) float64"""


@kernel()
def _smallest(values, n, k):
    """Give the `k`-th smallest of ``values[:n]``, which is rearranged (Hoare 1961)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


@kernel(inline=True)
def choose_ends(part, n, share):
    """Let flow begin at the nodes lowest along the direction and end at the highest, `share` of all each."""
    num = max(1, int(n * share))
    for v in range(n):  # a slice would take room for a copy
        part.sorted[v] = part.along[v]
    low = _smallest(part.sorted, n, num - 1)
    high = _smallest(part.sorted, n, n - num)
    for v in range(n):
        if low < high:
            part.kind[v] = SOURCE if part.along[v] <= low else SINK if part.along[v] >= high else MIDDLE
        else:  # all on one line across the direction
            part.kind[v] = SOURCE if v < num else SINK if v >= n - num else MIDDLE


@kernel()
def _find_levels(part, n, begin, sign):
    """Search from nodes of kind `begin` over links that can take flow, or with `sign` -1 that gave it.

    Returns how many nodes are in reach, or 0 if the other end is.
    """
    end = SINK if begin == SOURCE else SOURCE
    num, i, end_level = 0, 0, n
    for v in range(n):
        part.level[v] = NO_INDEX
        if part.kind[v] == begin:
            part.level[v] = 0
            part.queue[num] = v
            num += 1
    while i < num:
        v = part.queue[i]
        i += 1
        level = part.level[v] + 1
        if level > end_level:
            break
        for a in range(part.first[v], part.first[v + 1]):
            w = part.to[a]
            if part.level[w] == NO_INDEX and part.flow[a] * sign < 1:
                part.level[w] = level
                part.queue[num] = w
                num += 1
                if part.kind[w] == end:
                    end_level = level
    return num if end_level == n else 0


@kernel()
def _send(part, n, most):
    """Send flow along shortest ways, one level a step, until none is left or it is `most`; give how much."""
    sent = 0
    for v in range(n):
        part.next_link[v] = part.first[v]
    for source in range(n):
        while part.kind[source] == SOURCE and sent < most:
            v, steps = source, 0
            while part.kind[v] != SINK:
                a = part.next_link[v]
                if a < part.first[v + 1]:
                    w = part.to[a]
                    if part.level[w] == part.level[v] + 1 and part.flow[a] < 1:
                        part.path[steps] = a
                        steps += 1
                        v = w
                    else:
                        part.next_link[v] = a + 1
                elif steps > 0:
                    steps -= 1
                    a = part.path[steps]
                    v = part.to[part.twin[a]]
                    part.next_link[v] = a + 1
                else:
                    break
            if part.kind[v] != SINK:
                break
            for k in range(steps):
                a = part.path[k]
                part.flow[a] += 1
                part.flow[part.twin[a]] -= 1
            sent += 1
    return sent


@kernel(inline=True)
def cut(part, n, most):
    """Find a smallest cut between the two ends.

    Parameters
    ----------
    part : Part
        With the ends chosen.
    n : int
        Number of nodes.
    most : int
        Give up beyond that many links.

    Returns
    -------
    size : int
        Links that are cut, ``most + 1`` if given up.
    smaller : int
        Nodes on the smaller side, once for each of the two extreme smallest cuts, of which ``part.next_link``
        tells the side (NEAR, FAR) of each node for the more even one.

    Notes
    -----
    Dinic 1970, on links of capacity 1 both ways.
    """
    part.flow[: part.first[n]] = 0
    size, num_near = 0, 0
    while num_near == 0:
        num_near = _find_levels(part, n, SOURCE, 1)
        if num_near == 0:
            size += _send(part, n, most + 1 - size)
            if size > most:
                return size, 0
    for v in range(n):
        part.next_link[v] = FAR if part.level[v] == NO_INDEX else NEAR
    num_far = _find_levels(part, n, SINK, -1)
    smaller = min(num_near, n - num_near)
    if min(num_far, n - num_far) > smaller:
        smaller = min(num_far, n - num_far)
        for v in range(n):
            part.next_link[v] = NEAR if part.level[v] == NO_INDEX else FAR
    return size, smaller


@kernel(inline=True)
def separate(part, n):
    """Turn the cut in ``part.side`` into a separator: the ends of its links on the side with fewer."""
    num_near, num_far = 0, 0
    for v in range(n):
        part.kind[v] = part.side[v]
        for a in range(part.first[v], part.first[v + 1]):
            if part.side[part.to[a]] != part.side[v]:
                part.kind[v] = SEPARATOR
                num_near += part.side[v] == NEAR
                num_far += part.side[v] == FAR
                break
    kept = NEAR if num_near <= num_far else FAR
    for v in range(n):
        if part.side[v] == kept:
            part.side[v] = part.kind[v]
