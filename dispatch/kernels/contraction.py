"""Contract nodes in a given order: the elimination tree, and which shortcuts the hierarchy needs."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.csr import LINKS
from dispatch.kernels.jit import I32, kernel, record
from dispatch.units import NO_INDEX


class Tree(NamedTuple):
    """A contracted graph: nodes go by rank, and every arc leads from a node to one of its ancestors.

    Ranks are a postorder of the elimination tree: the descendants of ``v`` are ``lowest[v] … v - 1``. Arcs
    are kept by the depth of the ancestor, in one row of cells from ``first_depth[v]`` to ``depth[v] - 1``;
    those of ancestors that the node has no arc to stay unreachable. So two rows meet cell by cell.
    """

    parent: np.ndarray
    """(nodes,) int32, NO_INDEX at roots"""
    depth: np.ndarray
    """(nodes,) int32, 0 at roots"""
    lowest: np.ndarray
    """(nodes,) int32, the lowest rank of the subtree"""
    first_depth: np.ndarray
    """(nodes,) int32, depth of the farthest ancestor that an arc leads to, ``depth`` where there is none"""
    base: np.ndarray
    """(nodes,) int32, the cell of the arc to the ancestor of depth ``d`` is ``base + d``"""
    first_upper: np.ndarray
    """(nodes + 1,) int32"""
    upper: np.ndarray
    """(arcs,) int32, the ancestors that arcs lead to, farthest first"""


TREE = record(Tree, I32, I32, I32, I32, I32, I32, I32)


@kernel(makes_arrays=True)
def _grown(array, size):
    """Give a copy with room for at least `size` entries."""
    larger = np.empty(max(size, 3 * len(array) // 2), np.int32)
    larger[: len(array)] = array
    return larger


@kernel((LINKS, I32), makes_arrays=True)
def eliminate(links, order):
    """Contract nodes in `order`: each joins its neighbours that are left with each other.

    Parameters
    ----------
    links : Links
    order : (nodes,) int32
        The node of each rank.

    Returns
    -------
    first : (nodes + 1,) int32
        By rank.
    upper : (arcs,) int32
        Ranks that each is joined with when it is contracted, in any order.
    parent : (nodes,) int32
        The lowest of these, NO_INDEX where there is none.

    Notes
    -----
    A row is the node's own links and the rows of its children in the tree: no other fill can arise
    (symbolic Cholesky factorization; George and Liu 1981).
    """
    n = len(order)
    rank = np.empty(n, np.int32)
    for r in range(n):
        rank[order[r]] = r
    first = np.empty(n + 1, np.int32)
    upper = np.empty(2 * len(links.to) + 16, np.int32)
    parent = np.full(n, NO_INDEX, np.int32)
    first_child = np.full(n, NO_INDEX, np.int32)
    next_child = np.full(n, NO_INDEX, np.int32)
    mark = np.full(n, NO_INDEX, np.int32)
    num = 0
    for r in range(n):
        first[r] = num
        if num + n - r > len(upper):
            upper = _grown(upper, num + n - r)
        mark[r] = r
        lowest = n
        for a in range(links.first[order[r]], links.first[order[r] + 1]):
            w = rank[links.to[a]]
            if w > r:
                mark[w] = r
                upper[num] = w
                num += 1
                lowest = min(lowest, w)
        child = first_child[r]
        while child != NO_INDEX:
            for k in range(first[child], first[child + 1]):
                w = upper[k]
                if mark[w] != r:
                    mark[w] = r
                    upper[num] = w
                    num += 1
                    lowest = min(lowest, w)
            child = next_child[child]
        if lowest < n:
            parent[r] = lowest
            next_child[r] = first_child[lowest]
            first_child[lowest] = r
    first[n] = num
    return first, upper[:num].copy(), parent


@kernel((I32, I32, I32), makes_arrays=True)
def tree_of(first, upper, parent):
    """Number the nodes anew, in postorder, and lay out their rows.

    Parameters
    ----------
    first, upper, parent : arrays
        What :func:`eliminate` gives.

    Returns
    -------
    tree : Tree
    new_rank : (nodes,) int32
        By old rank.
    num_cells : int
    """
    n = len(parent)
    size = np.ones(n, np.int32)
    for r in range(n):
        if parent[r] != NO_INDEX:
            size[parent[r]] += size[r]
    new_rank, taken = np.empty(n, np.int32), np.zeros(n, np.int32)
    begin = 0
    tree_parent, depth, lowest = np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32)
    for r in range(n - 1, -1, -1):
        p = parent[r]
        if p == NO_INDEX:
            low = begin
            begin += size[r]
        else:
            low = lowest[new_rank[p]] + taken[p]
            taken[p] += size[r]
        v = low + size[r] - 1
        new_rank[r] = v
        lowest[v] = low
        tree_parent[v] = NO_INDEX if p == NO_INDEX else new_rank[p]
        depth[v] = 0 if p == NO_INDEX else depth[new_rank[p]] + 1
    first_upper = np.empty(n + 1, np.int32)
    first_upper[0] = 0
    for r in range(n):
        first_upper[new_rank[r] + 1] = first[r + 1] - first[r]
    for v in range(n):
        first_upper[v + 1] += first_upper[v]
    sorted_upper = _sorted_rows(first, upper, new_rank, first_upper)
    first_depth, base = np.empty(n, np.int32), np.empty(n, np.int32)
    num_cells = 0
    for v in range(n):
        first_depth[v] = depth[v]
        if first_upper[v] < first_upper[v + 1]:
            first_depth[v] = depth[sorted_upper[first_upper[v]]]
        base[v] = num_cells - first_depth[v]
        num_cells += depth[v] - first_depth[v]
    tree = Tree(tree_parent, depth, lowest, first_depth, base, first_upper, sorted_upper)
    return tree, new_rank, num_cells


@kernel(makes_arrays=True)
def _sorted_rows(first, upper, new_rank, first_upper):
    """Give the rows by new rank, each from the highest to the lowest: by turning them round twice."""
    n, num = len(new_rank), len(upper)
    first_lower = np.zeros(n + 1, np.int32)
    for k in range(num):
        first_lower[new_rank[upper[k]] + 1] += 1
    for v in range(n):
        first_lower[v + 1] += first_lower[v]
    place = first_lower.copy()
    lower = np.empty(num, np.int32)
    for r in range(n):
        for k in range(first[r], first[r + 1]):
            v = new_rank[upper[k]]
            lower[place[v]] = new_rank[r]
            place[v] += 1
    place[:n] = first_upper[:n]
    rows = np.empty(num, np.int32)
    for v in range(n - 1, -1, -1):
        for k in range(first_lower[v], first_lower[v + 1]):
            rows[place[lower[k]]] = v
            place[lower[k]] += 1
    return rows


@kernel((TREE,), makes_arrays=True)
def turned_round(tree):
    """Give for each node the nodes below that have an arc to it.

    Returns
    -------
    first_lower : (nodes + 1,) int32
    lower : (arcs,) int32
        Ranks, ascending.
    """
    n, num = len(tree.parent), len(tree.upper)
    first_lower = np.zeros(n + 1, np.int32)
    for k in range(num):
        first_lower[tree.upper[k] + 1] += 1
    for v in range(n):
        first_lower[v + 1] += first_lower[v]
    place = first_lower.copy()
    lower = np.empty(num, np.int32)
    for v in range(n):
        for k in range(tree.first_upper[v], tree.first_upper[v + 1]):
            w = tree.upper[k]
            lower[place[w]] = v
            place[w] += 1
    return first_lower, lower
