import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.travel_table import BLOCK, fill_table, one_to_all
from dispatch.units import MAX_TRAVEL_MS, UNREACHABLE_MS
from naive.hierarchy import times_below
from roads.road_graphs import Contracted, contracted, ends_of, ints, places_of


def table_of(graph, sources, targets):
    out_ms = np.full((len(sources), len(targets)), -7, np.int32)
    fill_table(graph.climb(), ends_of(sources), ends_of(targets), out_ms)
    return out_ms.tolist()


def expected_time(times, source, target):
    return min([a + times[v][w] + b for v, a in source for w, b in target] + [UNREACHABLE_MS])


def by_deepest(places):
    return sorted(places, key=lambda place: place[0][0])


@given(contracted(), st.data())
@settings(max_examples=80)
def test_tables_hold_the_times_of_shortest_ways(graph, data):
    sources, targets = (by_deepest(data.draw(places_of(graph, 7))) for _ in range(2))
    _, _, times = times_below(len(graph.rank), graph.arcs)
    expected = [[expected_time(times, source, target) for target in targets] for source in sources]
    assert table_of(graph, sources, targets) == expected


def test_blocks_of_targets():
    rng = np.random.default_rng(3)
    num = 9
    arcs = [(*pair, w) for *pair, w in rng.integers(0, num, (20, 3)).tolist()]
    graph = Contracted(num, arcs, rng.permutation(num).tolist())
    _, _, times = times_below(num, graph.arcs)
    sources = [[(v, 0)] for v in range(num)]
    for num_targets in (BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3):
        targets = [[(v, 1)] for v in sorted(rng.integers(0, num, num_targets).tolist())]
        expected = [[min(UNREACHABLE_MS, times[s][t[0][0]] + 1) for t in targets] for s in range(num)]
        assert table_of(graph, sources, targets) == expected


def test_tables_without_a_side():
    graph = Contracted(2, [(0, 1, 5)], [0, 1])
    for sources, targets in (([], [[(0, 0)]]), ([[(0, 0)]], []), ([], [])):
        assert table_of(graph, sources, targets) == [[] for _ in sources]


def all_of(graph, place, is_source, height):
    node_of_rank = np.empty(len(graph.rank), np.int32)
    node_of_rank[graph.rank] = np.arange(len(graph.rank))
    out_ms = np.full(len(graph.rank), -7, np.int32)
    one_to_all(graph.climb(), is_source, ends_of([place]), node_of_rank, out_ms, height)
    return out_ms.tolist()


@given(contracted(max_nodes=10), st.data(), st.integers(0, 3))
@settings(max_examples=100)
def test_one_to_all_holds_the_times_of_shortest_ways(graph, data, spare):
    (place,) = data.draw(places_of(graph, 1, min_places=1))
    height = max(graph.depth) + 1 + spare
    _, _, times = times_below(len(graph.rank), graph.arcs)
    assert all_of(graph, place, True, height) == [
        expected_time(times, place, [(graph.rank[node], 0)]) for node in range(len(graph.rank))
    ]
    assert all_of(graph, place, False, height) == [
        expected_time(times, [(graph.rank[node], 0)], place) for node in range(len(graph.rank))
    ]


def test_sums_beyond_what_is_a_time_do_not_wrap_round():
    num = 6
    graph = Contracted(num, [(v, v + 1, MAX_TRAVEL_MS) for v in range(num - 1)], [3, 0, 5, 1, 4, 2])
    place = [(graph.rank[0], MAX_TRAVEL_MS)]
    far = [UNREACHABLE_MS] * num
    assert all_of(graph, place, True, num) == [MAX_TRAVEL_MS, *far[1:]]
    assert all_of(graph, [(graph.rank[0], 0)], True, num) == [0, MAX_TRAVEL_MS, *far[2:]]
    assert all_of(graph, [(graph.rank[5], 1)], False, num) == [*far[1:], 1]
    assert all_of(graph, [(graph.rank[0], UNREACHABLE_MS)], True, num) == far
    ranks = [[(v, UNREACHABLE_MS)] for v in sorted(ints(graph.rank).tolist())]
    assert table_of(graph, ranks, ranks) == [far] * num
