from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.customization import customize
from dispatch.kernels.labels import Climb
from dispatch.kernels.unpacking import Shortcuts, find_paths
from dispatch.units import UNREACHABLE_MS
from naive.hierarchy import times_below
from roads.road_graphs import WEIGHTS, Contracted, contracted, ends_of, ints, places_of


def paths_of(graph, sources, targets, climb=None, spare=0):
    """Times, and edges of each way."""
    out_ms, first = np.full(len(sources), -7, np.int32), np.full(len(sources) + 1, -7, np.int32)
    edge = find_paths(
        Shortcuts(climb or graph.climb(), graph.inputs(), graph.lower, graph.travel_ms),
        ends_of(sources),
        ends_of(targets),
        max(graph.depth) + 1 + spare,
        out_ms,
        first,
    )
    assert (first[0], first[-1]) == (0, len(edge))
    return out_ms.tolist(), [edge[a:b].tolist() for a, b in pairwise(first)]


def assert_way(graph, edges, ms, source, target):
    """The edges follow each other, from a node of one place to one of the other, and take that long."""
    driven = [graph.arcs[edge] for edge in edges]
    assert all(one[1] == other[0] for one, other in pairwise(driven))
    ride_ms = sum(weight for _, _, weight in driven)
    ends = [(driven[0][0], driven[-1][1])] if driven else [(v, v) for v, _ in source]
    assert ms in {a + ride_ms + b for v, a in source for w, b in target if (v, w) in ends}


@given(contracted(), st.data(), st.integers(0, 2))
@settings(max_examples=100)
def test_ways_are_drivable_and_as_short_as_they_say(graph, data, spare):
    sources = data.draw(places_of(graph))
    targets = data.draw(places_of(graph, len(sources), len(sources)))
    _, _, times = times_below(len(graph.rank), graph.arcs)
    found_ms, ways = paths_of(graph, sources, targets, spare=spare)
    for source, target, ms, edges in zip(sources, targets, found_ms, ways, strict=True):
        expected = [a + times[v][w] + b for v, a in source for w, b in target]
        assert ms == min([*expected, UNREACHABLE_MS])
        if ms < UNREACHABLE_MS:
            assert_way(graph, edges, ms, source, target)
        else:
            assert edges == []


@given(
    st.permutations(range(7)),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), WEIGHTS.filter(bool)), max_size=24),
)
@settings(max_examples=80)
def test_with_times_above_zero_no_way_comes_to_a_node_twice(order, arcs):
    graph = Contracted(7, arcs, order)
    every = [(v, w) for v in range(7) for w in range(7)]
    found_ms, ways = paths_of(graph, [[(v, 0)] for v, _ in every], [[(w, 0)] for _, w in every])
    for (v, _), ms, edges in zip(every, found_ms, ways, strict=True):
        nodes = [v, *(graph.arcs[edge][1] for edge in edges)]
        assert len(set(nodes)) == len(nodes)
        assert sum(graph.arcs[edge][2] for edge in edges) == (ms if ms < UNREACHABLE_MS else 0)


def test_of_parallel_edges_a_shortest_is_taken():
    graph = Contracted(3, [(0, 1, 9), (0, 1, 4), (1, 0, 4), (1, 1, 0), (1, 2, 5), (1, 2, 7)], [1, 0, 2])
    ranks = graph.rank
    found = paths_of(graph, [[(ranks[0], 0)], [(ranks[2], 0)]], [[(ranks[2], 0)], [(ranks[0], 0)]])
    assert found == ([9, UNREACHABLE_MS], [[1, 4], []])


@pytest.mark.parametrize("num_pairs", [1, 3])
def test_more_edges_than_room_was_made_for(num_pairs):
    num = 1_100
    # Every other node first, then every other one of the rest: a balanced tree.
    order = sorted(range(num), key=lambda v: (v + 1) & -(v + 1))
    graph = Contracted(num, [(v, v + 1, 1) for v in range(num - 1)], order)
    ms = np.empty(2 * graph.num_cells, np.int32)
    whole = ints([0]), ints([num])
    customize(graph.tree, graph.tree.base, graph.inputs(), graph.travel_ms, *whole, ms)
    ends = [[(graph.rank[0], 0)]] * num_pairs, [[(graph.rank[num - 1], 0)]] * num_pairs
    found_ms, ways = paths_of(graph, *ends, climb=Climb(*graph.tree, ms))
    assert found_ms == [num - 1] * num_pairs
    assert ways == [list(range(num - 1))] * num_pairs


def test_nobody_asks():
    graph = Contracted(2, [(0, 1, 5)], [0, 1])
    assert paths_of(graph, [], []) == ([], [])
    assert paths_of(graph, [[(0, 0)]], [[(0, 3)]]) == ([3], [[]])
