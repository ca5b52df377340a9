import math

import numpy as np
import pytest
from hypothesis import given

from dispatch.kernels.peeling import MOST_NEIGHBOURS, PEELED, peel
from naive.hierarchy import ancestors, elimination_game, parents
from roads.road_graphs import SHAPES, link_lists, links_of


def peeled(num_nodes, pairs):
    """The nodes contracted, in order, and the links of the others."""
    links = links_of(num_nodes, pairs)
    to, degree = np.full(len(links.to), -7, np.int32), np.full(num_nodes, -7, np.int32)
    order = np.full(num_nodes, -7, np.int32)
    num = peel(links, to, degree, order)
    assert (order[num:] == -7).all()
    left = {v: to[links.first[v] :][: degree[v]].tolist() for v in range(num_nodes) if degree[v] != PEELED}
    return order[:num].tolist(), left


def check(num_nodes, pairs):
    order, left = peeled(num_nodes, pairs)
    assert sorted([*order, *left]) == list(range(num_nodes))
    near = {v: {b if a == v else a for a, b in pairs if v in (a, b)} - {v} for v in range(num_nodes)}
    for v in order:
        joined = near.pop(v)
        assert len(joined) <= MOST_NEIGHBOURS
        for w in joined:
            near[w] = (near[w] | joined) - {v, w}
    assert {v: sorted(row) for v, row in left.items()} == {v: sorted(row) for v, row in near.items()}
    assert all(len(row) > MOST_NEIGHBOURS for row in near.values())


@given(link_lists(max_nodes=12, max_links=30))
def test_each_has_two_neighbours_at_most_and_the_others_more(graph):
    check(*graph)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    check(*SHAPES[shape])


@pytest.mark.parametrize("closed", [False, True], ids=["path", "cycle"])
def test_chains_become_bushes(closed):
    num = 300
    pairs = [(v, (v + 1) % num) for v in range(num - 1 + closed)]
    order, left = peeled(num, pairs)
    assert left == {}
    parent = parents(elimination_game(num, pairs, order))
    # A round takes at least a third of what is left, or all but the last node.
    assert max(len(ancestors(parent, v)) for v in range(num)) <= math.log(num, 1.5) + 2
