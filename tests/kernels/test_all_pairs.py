import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.all_pairs import (
    NO_ARC,
    AllPairs,
    count_nodes,
    find_next_arcs,
    lay_out,
    pairs,
    scale,
    scaled,
)
from dispatch.units import NO_INDEX, UNREACHABLE_MS
from naive.shortest_paths import travel_times_to

GRAPHS = st.integers(1, 9).flatmap(
    lambda num_nodes: st.tuples(
        st.just(num_nodes),
        st.lists(
            st.tuples(st.integers(0, num_nodes - 1), st.integers(0, num_nodes - 1), st.integers(1, 6)),
            max_size=30,
        ),
    )
)
"""Nodes, and arcs as (tail, head, ms): loops, parallel ones, and parts that nothing joins."""


def table_of(num_nodes, arcs):
    """The table by textbook Dijkstra, its first arcs not found yet."""
    arcs = sorted(arcs)
    tail, head, ms = (np.array([arc[k] for arc in arcs], np.int32) for k in range(3))
    first = np.zeros(num_nodes + 1, np.int32)
    np.cumsum(np.bincount(tail, minlength=num_nodes), out=first[1:])
    to_ms = np.array([travel_times_to(arcs, node, num_nodes) for node in range(num_nodes)], np.int32)
    nothing = np.full((num_nodes, num_nodes), 77, np.uint8)
    place = np.random.default_rng(num_nodes).permutation(num_nodes).astype(np.int32)
    by_place = np.empty_like(to_ms)
    by_place[:, place] = to_ms
    return AllPairs(by_place, nothing, place, first, head, ms, 10.0 * ms)


def time_of(table, node, to):
    return table.to_ms[to, table.place[node]]


def all_of(num_nodes):
    pair = np.divmod(np.arange(num_nodes**2, dtype=np.int32), np.int32(num_nodes))
    return tuple(np.ascontiguousarray(part, np.int32) for part in pair)


@settings(max_examples=150)
@given(GRAPHS)
def test_first_arcs_begin_shortest_ways_and_of_equal_ones_the_first_is_taken(graph):
    num_nodes, _ = graph
    table = table_of(*graph)
    find_next_arcs(table, 0, num_nodes)
    for to in range(num_nodes):
        for node in range(num_nodes):
            good = [
                a - table.first_arc[node]
                for a in range(table.first_arc[node], table.first_arc[node + 1])
                if time_of(table, table.head[a], to) + table.travel_ms[a] == time_of(table, node, to)
            ]
            has_way = node != to and time_of(table, node, to) < UNREACHABLE_MS
            assert table.next_arc[to, table.place[node]] == (good[0] if has_way else NO_ARC)


@given(GRAPHS, st.data())
def test_rows_outside_of_the_range_stay(graph, data):
    num_nodes, _ = graph
    table, whole = table_of(*graph), table_of(*graph)
    begin, end = sorted(data.draw(st.tuples(st.integers(0, num_nodes), st.integers(0, num_nodes))))
    find_next_arcs(table, begin, end)
    find_next_arcs(whole, 0, num_nodes)
    inside = np.zeros(num_nodes, bool)
    inside[begin:end] = True
    assert np.array_equal(table.next_arc[inside], whole.next_arc[inside])
    assert (table.next_arc[~inside] == 77).all()


@settings(max_examples=150)
@given(GRAPHS)
def test_ways_are_walks_of_the_shortest_time(graph):
    num_nodes, _ = graph
    table = table_of(*graph)
    find_next_arcs(table, 0, num_nodes)
    from_node, to_node = all_of(num_nodes)
    first = np.empty(num_nodes**2 + 1, np.int32)
    count_nodes(table, from_node, to_node, first)
    size = int(first[-1])
    node, at_ms, arc = (np.full(size, -9, np.int32) for _ in range(3))
    at_m = np.empty(size)
    lay_out(table, from_node, to_node, first, node, at_ms, at_m, arc)
    for i, (start, to) in enumerate(zip(from_node.tolist(), to_node.tolist(), strict=True)):
        rows = slice(first[i], first[i + 1])
        if time_of(table, start, to) >= UNREACHABLE_MS:
            assert rows.start == rows.stop
            continue
        way, used = node[rows].tolist(), arc[rows].tolist()
        assert (way[0], way[-1], used[0], at_ms[rows][0]) == (start, to, NO_INDEX, 0)
        assert len(set(way)) == len(way)
        for k in range(1, len(way)):
            assert table.first_arc[way[k - 1]] <= used[k] < table.first_arc[way[k - 1] + 1]
            assert table.head[used[k]] == way[k]
        steps_ms = table.travel_ms[used[1:]]
        assert np.array_equal(at_ms[rows], np.append(0, np.cumsum(steps_ms)))
        assert np.array_equal(at_m[rows], np.append(0, np.cumsum(10.0 * steps_ms)))
        assert at_ms[rows][-1] == time_of(table, start, to)


MS = st.integers(0, 10**6) | st.just(UNREACHABLE_MS) | st.integers(UNREACHABLE_MS - 3, UNREACHABLE_MS)


@given(MS, st.integers(1, 100_000))
def test_another_pace_rounds_and_never_makes_or_breaks_a_way(ms, permille):
    found = int(scaled(np.int32(ms), permille))
    if ms == UNREACHABLE_MS:
        assert found == UNREACHABLE_MS
    else:
        assert found == min((2 * ms * permille + 1000) // 2000, UNREACHABLE_MS - 1)
    in_place = np.array([ms], np.int32)
    scale(in_place, permille)
    assert in_place[0] == found


@settings(max_examples=50)
@given(GRAPHS, st.sampled_from([1000, 1, 1234, 90_000]))
def test_pairs_are_looked_up_at_a_pace(graph, permille):
    num_nodes, _ = graph
    table = table_of(*graph)
    from_node, to_node = all_of(num_nodes)
    found_ms = np.empty(num_nodes**2, np.int32)
    pairs(table, permille, from_node, to_node, found_ms)
    expected = [int(scaled(time_of(table, a, b), permille)) for a, b in zip(from_node, to_node, strict=True)]
    assert found_ms.tolist() == expected


def test_nothing_to_look_up():
    table, none, first = table_of(3, [(0, 1, 5)]), np.empty(0, np.int32), np.full(1, 9, np.int32)
    pairs(table, 1000, none, none, none)
    count_nodes(table, none, none, first)
    assert first.tolist() == [0]


@pytest.mark.compiled
def test_a_large_network_s_ways_add_up():
    random = np.random.default_rng(4)
    num_nodes = 120
    arcs = [(i, (i + 1) % num_nodes, int(random.integers(1, 50))) for i in range(num_nodes)]
    arcs += [(*random.integers(0, num_nodes, 2).tolist(), int(random.integers(1, 50))) for _ in range(300)]
    table = table_of(num_nodes, arcs)
    find_next_arcs(table, 0, num_nodes)
    from_node, to_node = all_of(num_nodes)
    first = np.empty(num_nodes**2 + 1, np.int32)
    count_nodes(table, from_node, to_node, first)
    size = int(first[-1])
    node, at_ms, arc, at_m = (np.empty(size, dtype) for dtype in (np.int32, np.int32, np.int32, np.float64))
    lay_out(table, from_node, to_node, first, node, at_ms, at_m, arc)
    assert np.array_equal(at_ms[first[1:] - 1], table.to_ms[to_node, table.place[from_node]])
