from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.customization import customize
from dispatch.kernels.labels import (
    FEW_PLACES,
    Climb,
    count_common,
    find_ancestors,
    find_label,
    find_labels,
    pair_time,
    pair_times,
)
from dispatch.units import UNREACHABLE_MS
from naive.hierarchy import times_below
from roads.road_graphs import Contracted, contracted, ends_of, ints, places_of


def expected_label(graph, place, is_source):
    """Times between a place and its ancestors through nodes below these, by depth."""
    _, below, _ = times_below(len(graph.rank), graph.arcs)
    chain = graph.above[place[0][0]]
    return [
        min(
            [ms + (below[v][w] if is_source else below[w][v]) for v, ms in place if v <= w] + [UNREACHABLE_MS]
        )
        for w in chain
    ]


def expected_time(times, source, target):
    """The least time between two places over all of their nodes."""
    return min([a + times[v][w] + b for v, a in source for w, b in target] + [UNREACHABLE_MS])


@given(contracted(), st.data())
@settings(max_examples=80)
def test_labels_are_times_through_lower_nodes(graph, data):
    places = data.draw(places_of(graph))
    climb, ends = graph.climb(), ends_of(places)
    for is_source in (True, False):
        expected = [expected_label(graph, place, is_source) for place in places]
        first, label = find_labels(climb, is_source, ends)
        assert (first.dtype, label.dtype) == (np.int64, np.int32)
        assert [label[a:b].tolist() for a, b in pairwise(first)] == expected
        for i, one in enumerate(expected):
            longer = np.full(len(one) + 2, -7, np.int32)
            find_label(climb, is_source, ends, i, longer)
            assert longer.tolist() == [*one, -7, -7]


@pytest.mark.parametrize("seed", range(6))
def test_labels_of_dense_places_and_of_few_far_apart_are_the_same(seed):
    """Where places are dense, they share the labels of nodes above them."""
    rng = np.random.default_rng(seed)
    num_nodes = (9, 40, 120)[seed % 3]
    arcs = [(*pair, w) for *pair, w in rng.integers(0, num_nodes, (2 * num_nodes, 3)).tolist()]
    graph = Contracted(num_nodes, arcs, rng.permutation(num_nodes).tolist())
    tree, ms = graph.tree, np.empty(2 * graph.num_cells, np.int32)
    customize(tree, tree.base, graph.inputs(), graph.travel_ms, ints([0]), ints([num_nodes]), ms)
    climb = Climb(*tree, ms)
    for num_places in (0, 1, FEW_PLACES - 1, FEW_PLACES, 60):
        deepest = rng.integers(0, num_nodes, num_places).tolist()
        others = [rng.choice(graph.above[v], rng.integers(0, 3)).tolist() for v in deepest]
        places = [
            [(w, int(rng.choice([0, 7, UNREACHABLE_MS]))) for w in (v, *sorted(more))]
            for v, more in zip(deepest, others, strict=True)
        ]
        ends = ends_of(places)
        for is_source in (True, False):
            first, label = find_labels(climb, is_source, ends)
            assert np.diff(first).tolist() == [len(graph.above[v]) for v in deepest]
            for i in range(num_places):
                alone = np.empty(first[i + 1] - first[i], np.int32)
                find_label(climb, is_source, ends, i, alone)
                assert label[first[i] : first[i + 1]].tolist() == alone.tolist()


@given(contracted(max_nodes=12))
@settings(max_examples=60)
def test_ancestors_and_how_many_are_common(graph):
    climb, n = graph.climb(), len(graph.rank)
    for v in range(n):
        num = len(graph.above[v])
        rank, lowest = np.full(n, -7, np.int32), np.full(n, -7, np.int32)
        find_ancestors(climb, v, rank, lowest)
        assert rank[:num].tolist() == graph.above[v]
        assert lowest[:num].tolist() == [graph.tree.lowest[w] for w in graph.above[v]]
        assert (rank[num:] == -7).all()
        for w in range(n):
            common = sum(a == b for a, b in zip(graph.above[v], graph.above[w], strict=False))
            assert count_common(rank, lowest, num, w) == common


def pairs_of(graph, groups, others, rows, are_sources, order):
    """Ask for each group and its rows of others."""
    first = ints(np.cumsum([0] + [len(row) for row in rows]))
    out_ms = np.full(first[-1], -7, np.int32)
    other = ints([j for row in rows for j in row])
    pair_times(
        graph.climb(), are_sources, ends_of(groups), ends_of(others), ints(order), first, other, out_ms
    )
    return [out_ms[a:b].tolist() for a, b in pairwise(first)]


@given(contracted(), st.data())
@settings(max_examples=80)
def test_pairs_take_as_long_as_the_shortest_way(graph, data):
    groups, others = data.draw(places_of(graph)), data.draw(places_of(graph, min_places=1))
    row = st.lists(st.integers(0, len(others) - 1), max_size=4)
    rows = data.draw(st.lists(row, min_size=len(groups), max_size=len(groups)))
    order = data.draw(st.permutations(range(len(groups))))
    _, _, times = times_below(len(graph.rank), graph.arcs)
    found = pairs_of(graph, groups, others, rows, True, order)
    assert found == [
        [expected_time(times, group, others[j]) for j in row] for group, row in zip(groups, rows, strict=True)
    ]
    found = pairs_of(graph, groups, others, rows, False, order)
    assert found == [
        [expected_time(times, others[j], group) for j in row] for group, row in zip(groups, rows, strict=True)
    ]


@given(contracted(max_nodes=9))
@settings(max_examples=80)
def test_one_pair_at_a_time(graph):
    climb, n = graph.climb(), len(graph.rank)
    _, _, times = times_below(n, graph.arcs)
    assert [[pair_time(climb, v, w) for w in range(n)] for v in range(n)] == times


@pytest.mark.parametrize("are_sources", [True, False])
def test_only_the_groups_of_the_order_are_looked_at(are_sources):
    graph = Contracted(2, [(0, 1, 5), (1, 0, 5)], [0, 1])
    places = [[(graph.rank[0], 0)], [(graph.rank[1], 0)]]
    found = pairs_of(graph, places, places, [[1], [0]], are_sources, [1])
    assert found == [[-7], [5]]


def test_nobody_asks():
    graph = Contracted(2, [(0, 1, 5)], [0, 1])
    assert pairs_of(graph, [], [], [], True, []) == []
    assert pairs_of(graph, [[(0, 0)]], [], [[]], True, [0]) == [[]]
