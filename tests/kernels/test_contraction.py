from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.contraction import eliminate, tree_of, turned_round
from dispatch.units import NO_INDEX
from naive.hierarchy import ancestors, elimination_game, parents
from roads.road_graphs import SHAPES, ints, link_lists, links_of


def rows_of(first, entries):
    return [entries[a:b].tolist() for a, b in pairwise(first)]


def check(num_nodes, pairs, order):
    first, upper, parent = eliminate(links_of(num_nodes, pairs), ints(order))
    expected = elimination_game(num_nodes, pairs, order)
    rows = rows_of(first, upper)
    assert [set(row) for row in rows] == expected
    assert [len(row) for row in rows] == [len(row) for row in expected]
    assert parent.tolist() == parents(expected)
    assert (first[0], first[-1]) == (0, len(upper))
    tree, new_rank, num_cells = tree_of(first, upper, parent)
    check_tree(tree, new_rank.tolist(), num_cells, expected)
    first_lower, lower = turned_round(tree)
    below = [[] for _ in range(num_nodes)]
    for v, row in enumerate(rows_of(tree.first_upper, tree.upper)):
        for w in row:
            below[w].append(v)
    assert rows_of(first_lower, lower) == below


def check_tree(tree, new_rank, num_cells, upper):
    n = len(upper)
    assert sorted(new_rank) == list(range(n))
    parent = tree.parent.tolist()
    old = parents(upper)
    assert all(parent[new_rank[r]] == (NO_INDEX if old[r] == -1 else new_rank[old[r]]) for r in range(n))
    above = [ancestors(parent, v) for v in range(n)]
    assert tree.depth.tolist() == [len(chain) - 1 for chain in above]
    for v in range(n):
        descendants = [u for u in range(n) if v in above[u]]
        assert descendants == list(range(tree.lowest[v], v + 1))
    rows = rows_of(tree.first_upper, tree.upper)
    assert rows == [
        sorted((new_rank[w] for w in upper[r]), reverse=True)
        for _, r in sorted(zip(new_rank, range(n), strict=True))
    ]
    cells = []
    for v, row in enumerate(rows):
        assert set(row) <= set(above[v][:-1])
        assert tree.first_depth[v] == min((tree.depth[w] for w in row), default=tree.depth[v])
        cells += [int(tree.base[v]) + d for d in range(tree.first_depth[v], tree.depth[v])]
    assert cells == list(range(num_cells))
    assert all(array.dtype == np.int32 for array in tree)


@given(link_lists(max_nodes=11, max_links=26), st.data())
@settings(max_examples=80)
def test_it_is_the_elimination_game(graph, data):
    check(*graph, data.draw(st.permutations(range(graph[0]))))


@pytest.mark.parametrize("ahead", [True, False], ids=["ahead", "backwards"])
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape, ahead):
    num_nodes, pairs = SHAPES[shape]
    check(num_nodes, pairs, list(range(num_nodes))[:: 1 if ahead else -1])


def test_more_arcs_than_room_was_made_for():
    # The hub of a star first: its 60 leaves become all joined, 1,770 arcs of 60 links.
    check(61, [(0, v) for v in range(1, 61)], list(range(61)))
