from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.labels import (
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
@settings(max_examples=120)
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
