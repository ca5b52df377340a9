"""Contract nodes of up to two neighbours: dead ends and the chains between junctions."""

import numpy as np

from dispatch.kernels.csr import LINKS
from dispatch.kernels.jit import I32, kernel
from dispatch.units import NO_INDEX

PEELED = NO_INDEX
MOST_NEIGHBOURS = 2


@kernel()
def _drop(to, begin, degree, node):
    """Take `node` out of a row."""
    for k in range(begin, begin + degree):
        if to[k] == node:
            to[k] = to[begin + degree - 1]
            return


@kernel()
def _replace(to, begin, degree, node, other):
    """Put `other` in the place of `node` in a row; tell whether it was not there already."""
    place = begin
    for k in range(begin, begin + degree):
        if to[k] == other:
            return False
        if to[k] == node:
            place = k
    to[place] = other
    return True


@kernel()
def _contract(first, to, degree, v):
    """Take `v` out and join its neighbours; give them, NO_INDEX for want of one."""
    a = to[first[v]] if degree[v] > 0 else NO_INDEX
    b = to[first[v] + 1] if degree[v] > 1 else NO_INDEX
    if b == NO_INDEX:
        if a != NO_INDEX:
            _drop(to, first[a], degree[a], v)
            degree[a] -= 1
    elif _replace(to, first[a], degree[a], v, b):
        _replace(to, first[b], degree[b], v, a)
    else:
        _drop(to, first[a], degree[a], v)
        _drop(to, first[b], degree[b], v)
        degree[a] -= 1
        degree[b] -= 1
    degree[v] = PEELED
    return a, b


@kernel((LINKS, I32, I32, I32), makes_arrays=True)
def peel(links, out_to, out_degree, out_order):
    """Contract nodes of up to two neighbours until none is left.

    Parameters
    ----------
    links : Links
    out_to : (ends,) int32
        The links that are left: those of node ``v`` are ``out_to[links.first[v] :][: out_degree[v]]``.
    out_degree : (nodes,) int32
        ``PEELED`` for nodes that were contracted.
    out_order : (nodes,) int32
        The nodes contracted, in order.

    Returns
    -------
    int
        How many were contracted.

    Notes
    -----
    No node is contracted in the round of a neighbour, so that chains become bushes rather than poles. The
    order of what is left is easier to find and better: New York has 144,000 of 264,000 nodes left, the
    hierarchy 1.37 M arcs instead of 1.51 M, and the order takes 3 s instead of 17.
    """
    first, to, degree = links.first, out_to, out_degree
    num_nodes = len(first) - 1
    to[:] = links.to
    queue, waiting = np.empty(num_nodes, np.int32), np.empty(num_nodes, np.int32)
    touched, queued = np.zeros(num_nodes, np.int32), np.zeros(num_nodes, np.int32)
    num, num_queued, turn = 0, 0, 0
    for v in range(num_nodes):
        degree[v] = first[v + 1] - first[v]
        if degree[v] <= MOST_NEIGHBOURS:
            queue[num_queued] = v
            num_queued += 1
    while num_queued > 0:
        turn += 1
        num_waiting = 0
        for i in range(num_queued):
            v = queue[i]
            if degree[v] == PEELED:
                continue
            ends = (v, v)
            if touched[v] != turn:
                out_order[num] = v
                num += 1
                ends = _contract(first, to, degree, v)
            for w in ends:
                if w == NO_INDEX:
                    continue
                touched[w] = turn
                if degree[w] <= MOST_NEIGHBOURS and queued[w] != turn:
                    queued[w] = turn
                    waiting[num_waiting] = w
                    num_waiting += 1
        queue, waiting = waiting, queue
        num_queued = num_waiting
    return num
