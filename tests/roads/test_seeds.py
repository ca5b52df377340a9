from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.graph import RoadGraph
from dispatch.roads.places import Places
from dispatch.roads.seeds import direct_ms, source_seeds, target_seeds
from dispatch.roads.turns import expand_turns
from dispatch.units import NO_INDEX, UNREACHABLE_MS
from naive import places as naive
from naive.shortest_paths import travel_times_from

CLOSED = UNREACHABLE_MS


def graph_of(num_nodes, streets, rules=()):
    """A road graph of streets (one end, other end, whether both ways), each of a length of its own.

    Rules name arcs by their rows in the graph.
    """
    ends = [(a, b, 10.0 + k) for k, (a, b, _) in enumerate(streets)]
    ends += [(b, a, 10.0 + k) for k, (a, b, both) in enumerate(streets) if both]
    node = np.arange(num_nodes, dtype=float)
    graph = RoadGraph.from_edges(
        (node / 100, node % 3 / 100),
        np.array([end[0] for end in ends], np.int32),
        np.array([end[1] for end in ends], np.int32),
        np.array([end[2] for end in ends]),
        np.ones(len(ends)),
        np.zeros(len(ends), np.int8),
    )
    return replace(graph, forbidden=ForbiddenTurns.of(list(rules)))


def arcs_of(graph, travel_ms):
    return list(zip(graph.tail.tolist(), graph.head.tolist(), travel_ms.tolist(), strict=True))


def pairs(seeds, i):
    """State and time of the seeds of one row."""
    at = slice(int(seeds.first[i]), int(seeds.first[i + 1]))
    return sorted(zip(seeds.state[at].tolist(), seeds.ms[at].tolist(), strict=True))


def travel_time(turns, travel_ms, sources, targets):
    """Least time from a source's seeds to a target's, UNREACHABLE_MS where there is no way."""
    weights = travel_ms[turns.edge].tolist()
    arcs = list(zip(turns.tail.tolist(), turns.head.tolist(), weights, strict=True))
    best = UNREACHABLE_MS
    for state, from_ms in sources:
        reached = travel_times_from([arc for arc in arcs if arc[2] < CLOSED], state)
        for end, to_ms in targets:
            best = min(best, from_ms + reached.get(end, UNREACHABLE_MS) + to_ms)
    return best


@st.composite
def networks(draw):
    """Small networks, with loops, parallel streets, rules and closed arcs."""
    num_nodes = draw(st.integers(1, 4))
    node = st.integers(0, num_nodes - 1)
    streets = draw(st.lists(st.tuples(node, node, st.booleans()), min_size=1, max_size=6))
    graph = graph_of(num_nodes, streets)
    rules = []
    for _ in range(draw(st.integers(0, 5))):
        walk = [draw(st.integers(0, graph.num_arcs - 1))]
        for _ in range(draw(st.integers(1, 3))):
            first, stop = graph.first_arc[graph.head[walk[-1]]], graph.first_arc[graph.head[walk[-1]] + 1]
            if first < stop:
                walk.append(draw(st.integers(int(first), int(stop) - 1)))
        rules += [tuple(walk)] if len(walk) > 1 else []
    weight = st.one_of(st.integers(0, 9), st.just(CLOSED))
    travel_ms = draw(st.lists(weight, min_size=graph.num_arcs, max_size=graph.num_arcs))
    return graph_of(num_nodes, streets, rules), rules, np.array(travel_ms, np.int32)


SHARE = st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0])


@given(networks(), st.data())
@settings(max_examples=250)
def test_trips_between_places_take_as_long_as_on_split_streets(network, data):
    graph, rules, travel_ms = network
    edge = st.integers(0, graph.num_arcs - 1)
    places = data.draw(st.lists(st.tuples(edge, SHARE), min_size=2, max_size=4))
    start, stop = Places.on(*zip(*places[:-1], strict=True)), Places.on(*zip(*places[1:], strict=True))
    turns = expand_turns(graph)
    sources = source_seeds(graph, turns, start, travel_ms)
    targets = target_seeds(graph, turns, stop, travel_ms)
    direct = direct_ms(graph, start, stop, travel_ms)
    assert [values.dtype for values in (*sources, *targets, direct)] == [np.int32] * 7
    for i in range(len(start)):
        found = min(travel_time(turns, travel_ms, pairs(sources, i), pairs(targets, i)), int(direct[i]))
        arcs = arcs_of(graph, travel_ms)
        expected = naive.travel_time(arcs, graph.twin.tolist(), rules, places[i], places[i + 1])
        assert found == (UNREACHABLE_MS if expected is None else expected)


@given(networks(), st.data())
@settings(max_examples=100)
def test_the_parts_of_a_street_add_up(network, data):
    graph, _, travel_ms = network
    edge = np.arange(graph.num_arcs, dtype=np.int32)
    share = data.draw(st.lists(st.floats(0, 1), min_size=len(edge), max_size=len(edge)))
    turns = expand_turns(graph)
    places = Places.on(edge, share)
    sources = source_seeds(graph, turns, places, travel_ms)
    targets = target_seeds(graph, turns, places, travel_ms)
    first, state = turns.entries
    for e in range(graph.num_arcs):
        if travel_ms[e] < CLOSED:
            after, left_ms = pairs(sources, e)[0] if graph.twin[e] == NO_INDEX else (None, None)
            if after is not None:
                assert after == turns.state_after_edge[e]
                before = state[first[e] : first[e + 1]].tolist()
                assert pairs(targets, e) == sorted((x, int(travel_ms[e]) - left_ms) for x in before)


#  0 ── 1 ── 2, both ways, then one-way 2 -> 3; rows: 0 = 0->1, 1 = 1->0, 2 = 1->2, 3 = 2->1, 4 = 2->3
STREETS = [(0, 1, True), (1, 2, True), (2, 3, False)]


def test_seeds_of_places_on_a_line():
    graph = graph_of(4, STREETS, [(0, 2)])
    assert graph.twin.tolist() == [1, 0, 3, 2, NO_INDEX]
    turns = expand_turns(graph)
    travel_ms = np.array([10, 20, 30, 40, 50], np.int32)
    places = Places.on([0, 2, 4, NO_INDEX], [0.25, 0.5, 1.0, 0.0])
    behind_0 = 4  # the state of node 1 that remembers edge 0
    sources = source_seeds(graph, turns, places, travel_ms)
    # 0.25 of 10 ms is 2.5, taken as 3; backwards 0.75 of 20 ms is 15, which leaves 5.
    assert [pairs(sources, i) for i in range(4)] == [
        [(0, 5), (behind_0, 7)],
        [(1, 20), (2, 15)],
        [(3, 0)],
        [],
    ]
    targets = target_seeds(graph, turns, places, travel_ms)
    assert [pairs(targets, i) for i in range(4)] == [
        [(0, 3), (1, 15), (behind_0, 15)],
        [(1, 15), (2, 20)],
        [(2, 50)],
        [],
    ]


def test_closed_directions_give_no_seed():
    graph = graph_of(4, STREETS)
    turns = expand_turns(graph)
    travel_ms = np.array([CLOSED, 20, 2**31 - 1, CLOSED, 50], np.int32)
    places = Places.on([0, 2], [0.25, 0.5])
    sources, targets = (seeds(graph, turns, places, travel_ms) for seeds in (source_seeds, target_seeds))
    assert [pairs(sources, 0), pairs(targets, 0)] == [[(0, 5)], [(1, 15)]]
    assert [pairs(sources, 1), pairs(targets, 1)] == [[], []]


def test_direct_times():
    graph = graph_of(4, STREETS)
    travel_ms = np.array([10, 20, 30, 40, CLOSED], np.int32)

    def direct(one, other):
        return direct_ms(
            graph, Places.on(*zip(one, strict=True)), Places.on(*zip(other, strict=True)), travel_ms
        )

    assert direct((0, 0.25), (0, 0.75)) == [8 - 3]
    assert direct((0, 0.75), (0, 0.25)) == [15 - 5]  # backwards
    assert direct((0, 0.25), (1, 0.25)) == [8 - 3]  # the same place, seen the other way
    assert direct((1, 0.25), (0, 0.25)) == [15 - 5]
    assert direct((0, 0.5), (2, 0.5)) == [UNREACHABLE_MS]
    assert direct((4, 0.2), (4, 0.6)) == [UNREACHABLE_MS]  # closed
    assert direct((4, 0.2), (4, 0.2)) == [0]
    assert direct((NO_INDEX, 0.0), (NO_INDEX, 0.0)) == [UNREACHABLE_MS]
    assert direct((0, 0.0), (NO_INDEX, 0.0)) == [UNREACHABLE_MS]
    assert direct((4, 0.5), (NO_INDEX, 0.5)) == [UNREACHABLE_MS]
    assert direct((NO_INDEX, 0.5), (4, 0.5)) == [UNREACHABLE_MS]


def test_nodes_begin_in_their_plain_state_and_are_reached_in_any():
    graph = graph_of(4, STREETS, [(0, 2), (3, 2)])
    turns = expand_turns(graph)
    travel_ms = graph.free_flow_ms()
    sources = source_seeds(graph, turns, [1, NO_INDEX, 3], travel_ms)
    assert [pairs(sources, i) for i in range(3)] == [[(1, 0)], [], [(3, 0)]]
    targets = target_seeds(graph, turns, np.array([1, NO_INDEX, 3], np.int32), travel_ms)
    assert [pairs(targets, i) for i in range(3)] == [[(1, 0), (4, 0), (5, 0)], [], [(3, 0)]]
    assert [values.dtype for values in (*sources, *targets)] == [np.int32] * 6


def test_nobody_asks():
    graph = graph_of(4, STREETS)
    turns = expand_turns(graph)
    for where in ([], Places.on([], [])):
        for seeds in (source_seeds, target_seeds):
            first, state, ms = seeds(graph, turns, where, graph.free_flow_ms())
            assert (first.tolist(), len(state), len(ms)) == ([0], 0, 0)
    assert len(direct_ms(graph, Places.on([], []), Places.on([], []), graph.free_flow_ms())) == 0


def test_a_graph_without_streets():
    graph = graph_of(2, [])
    turns, nowhere = expand_turns(graph), Places.on([NO_INDEX], [0.0])
    for seeds in (source_seeds, target_seeds):
        assert pairs(seeds(graph, turns, nowhere, graph.free_flow_ms()), 0) == []
        assert pairs(seeds(graph, turns, [1], graph.free_flow_ms()), 0) == [(1, 0)]
    assert direct_ms(graph, nowhere, nowhere, graph.free_flow_ms()) == [UNREACHABLE_MS]


def test_wrong_rows_are_named():
    graph = graph_of(4, STREETS)
    turns, travel_ms = expand_turns(graph), graph.free_flow_ms()
    for seeds in (source_seeds, target_seeds):
        with pytest.raises(InputError, match="node at row 1 is 4: the graph has 4 nodes"):
            seeds(graph, turns, [0, 4], travel_ms)
        with pytest.raises(InputError, match="node at row 0 is -2"):
            seeds(graph, turns, [-2], travel_ms)
        with pytest.raises(InputError, match=r"shape \(1, 1\)"):
            seeds(graph, turns, [[1]], travel_ms)
        with pytest.raises(InputError, match="edge at row 0 is 5: the graph has 5 arcs"):
            seeds(graph, turns, Places.on([5], [0.5]), travel_ms)
    with pytest.raises(InputError, match="from_places are 1 and to_places 2"):
        direct_ms(graph, Places.on([0], [0.5]), Places.on([0, 1], [0.5, 0.5]), travel_ms)
