"""An order in which contracting nodes takes few shortcuts: nested dissection by inertial flow."""

import numpy as np

from dispatch.kernels.csr import LINKS
from dispatch.kernels.inertial_flow import FAR, NEAR, Part, choose_ends, cut, separate
from dispatch.kernels.jit import F64, I32, kernel

SMALLEST_PART = 3
SHARE = 0.25
NUM_DIRECTIONS = 4


@kernel(inline=True)
def _load(links, nodes, mark, owner, local, link_of, part):
    """Copy the links among `nodes` into `part`."""
    n, num = len(nodes), 0
    for i in range(n):
        local[nodes[i]] = i
        owner[nodes[i]] = mark
    for i in range(n):
        part.first[i] = num
        for a in range(links.first[nodes[i]], links.first[nodes[i] + 1]):
            if owner[links.to[a]] == mark:
                part.to[num] = local[links.to[a]]
                part.twin[num] = links.twin[a]
                link_of[a] = num
                num += 1
    part.first[n] = num
    for a in range(num):
        part.twin[a] = link_of[part.twin[a]]


@kernel(inline=True)
def _split_components(part, n):
    """Put what is joined with node 0 on the near side, the rest on the far one; tell whether there is any."""
    for v in range(n):
        part.side[v] = FAR
    part.side[0] = NEAR
    part.queue[0] = 0
    num, i = 1, 0
    while i < num:
        v = part.queue[i]
        i += 1
        for a in range(part.first[v], part.first[v + 1]):
            w = part.to[a]
            if part.side[w] == FAR:
                part.side[w] = NEAR
                part.queue[num] = w
                num += 1
    return num < n


@kernel(inline=True)
def _best_cut(part, nodes, x, y):
    """Put the best of the cuts in several directions into ``part.side``; give its sine and cosine."""
    n = len(nodes)
    best, best_sin, best_cos = np.inf, 0.0, 1.0
    for direction in range(NUM_DIRECTIONS):
        angle = np.pi * direction / NUM_DIRECTIONS
        sin, cos = np.sin(angle), np.cos(angle)
        for i in range(n):
            part.along[i] = cos * x[nodes[i]] + sin * y[nodes[i]]
        choose_ends(part, n, SHARE)
        most = min(float(part.first[n]), best * (n // 2))
        size, smaller = cut(part, n, int(most))
        if smaller > 0 and size / smaller < best:
            best, best_sin, best_cos = size / smaller, sin, cos
            for v in range(n):
                part.side[v] = part.next_link[v]
    return best_sin, best_cos


@kernel(inline=True, makes_arrays=True)
def _arrange(side, sin, cos, x, y, scratch, nodes):
    """Sort `nodes` into near side, far side and separator; give the numbers of the first two.

    The separator is sorted along the cut: rows of the hierarchy then have few gaps.
    """
    n, num_near, num_far = len(nodes), 0, 0
    for i in range(n):
        num_near += side[i] == NEAR
        num_far += side[i] == FAR
    at_near, at_far, at_separator = 0, num_near, num_near + num_far
    for i in range(n):
        if side[i] == NEAR:
            scratch[at_near] = nodes[i]
            at_near += 1
        elif side[i] == FAR:
            scratch[at_far] = nodes[i]
            at_far += 1
        else:
            scratch[at_separator] = nodes[i]
            at_separator += 1
    nodes[:] = scratch[:n]
    separator = nodes[num_near + num_far :]
    across = np.empty(len(separator))
    for i in range(len(separator)):
        across[i] = cos * y[separator[i]] - sin * x[separator[i]]
    separator[:] = separator[np.argsort(across)]
    return num_near, num_far


@kernel((LINKS, F64, F64, I32), makes_arrays=True)
def dissect(links, x, y, out_order):
    """Order nodes so that a part comes before the separator that cuts it from the rest.

    Parameters
    ----------
    links : Links
    x, y : (nodes,) float64
        In a plane, any unit.
    out_order : (nodes,) int32
        Nodes, first to last.

    Notes
    -----
    Inertial flow (Schild and Sommer 2015): in each of four directions, the smallest cut between the first and
    the last quarter of the nodes; of these the one with the fewest links for the nodes of its smaller side.
    New York: eight directions 1 % fewer arcs for twice the time, a share of 0.3 1 % more, 0.35 3 % more.
    """
    n, m = len(x), len(links.to)
    part = Part(
        np.empty(n + 1, np.int32),
        np.empty(m, np.int32),
        np.empty(m, np.int32),
        np.empty(m, np.int8),
        np.empty(n, np.int8),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
        np.empty(n, np.int8),
        np.empty(n),
        np.empty(n),
    )
    owner, local, link_of = np.zeros(n, np.int32), np.empty(n, np.int32), np.empty(m, np.int32)
    scratch = np.empty(n, np.int32)
    begins, ends = np.empty(n + 2, np.int32), np.empty(n + 2, np.int32)
    for v in range(n):
        out_order[v] = v
    begins[0], ends[0] = 0, n
    num, mark = 1, 0
    while num > 0:
        num -= 1
        begin, end = begins[num], ends[num]
        if end - begin <= SMALLEST_PART:
            continue
        nodes = out_order[begin:end]
        mark += 1
        _load(links, nodes, mark, owner, local, link_of, part)
        sin, cos = 0.0, 1.0
        if not _split_components(part, end - begin):
            sin, cos = _best_cut(part, nodes, x, y)
            separate(part, end - begin)
        num_near, num_far = _arrange(part.side, sin, cos, x, y, scratch, nodes)
        begins[num], ends[num] = begin, begin + num_near
        begins[num + 1], ends[num + 1] = begin + num_near, begin + num_near + num_far
        num += 2
