from dataclasses import fields, replace
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.graph import RoadGraph
from dispatch.roads.turns import expand_turns
from naive import turns as naive
from naive.shortest_paths import travel_times_from


def graph_of(num_nodes, ends, rules=()):
    """A road graph of edges (tail, head); the rules name edges as they are given."""
    tails, heads = (np.array([end[side] for end in ends], np.int32) for side in (0, 1))
    node, ones = np.arange(num_nodes, dtype=float), np.ones(len(ends))
    return RoadGraph.from_edges(
        (node / 100, node % 3 / 100),
        tails,
        heads,
        ones,
        ones,
        np.zeros(len(ends), np.int8),
        forbidden=ForbiddenTurns.of(list(rules)) if rules is not None else None,
    )


def rules_of(graph):
    if graph.forbidden is None:
        return []
    first, arc = graph.forbidden.first.tolist(), graph.forbidden.arc.tolist()
    return [tuple(arc[a:b]) for a, b in pairwise(first)]


def expanded_times(turns, travel_ms, source):
    """Travel time from a node to every node that it reaches, over the states."""
    weights = travel_ms[turns.edge].tolist()
    arcs = list(zip(turns.tail.tolist(), turns.head.tolist(), weights, strict=True))
    best = {}
    for state, at in travel_times_from(arcs, source).items():
        node = int(turns.node_of_state[state])
        best[node] = min(best.get(node, at), at)
    return best


def assert_same_times(graph, travel_ms):
    turns = expand_turns(graph)
    arcs = list(zip(graph.tail.tolist(), graph.head.tolist(), travel_ms.tolist(), strict=True))
    for source in range(graph.num_nodes):
        expected = naive.travel_times(arcs, rules_of(graph), source)
        assert expanded_times(turns, travel_ms, source) == expected
    return turns


def assert_well_formed(graph, turns):
    for field in fields(turns):
        values = getattr(turns, field.name)
        assert values.dtype == np.int32, field.name
        assert values.flags.c_contiguous, field.name
    n, m = graph.num_nodes, graph.num_arcs
    assert (turns.num_nodes, turns.num_edges) == (n, m)
    assert (turns.first_arc[0], turns.first_arc[-1], len(turns.first_arc)) == (
        0,
        len(turns.head),
        turns.num_states + 1,
    )
    assert turns.first_arc[: n + 1].tolist() == graph.first_arc.tolist()
    assert turns.edge[:m].tolist() == list(range(m))
    assert turns.node_of_state[turns.head].tolist() == graph.head[turns.edge].tolist()
    assert turns.node_of_state[turns.tail].tolist() == graph.tail[turns.edge].tolist()
    assert turns.state_after_edge.tolist() == turns.head[:m].tolist()
    for state in range(turns.num_states):
        edges = turns.edge[turns.first_arc[state] : turns.first_arc[state + 1]].tolist()
        assert edges == sorted(set(edges))
    states = [
        turns.state[turns.first_state[v] : turns.first_state[v + 1]].tolist() for v in range(turns.num_nodes)
    ]
    assert all(own[0] == v and own == sorted(own) for v, own in enumerate(states))
    assert sorted(chain.from_iterable(states)) == list(range(turns.num_states))
    assert all(turns.node_of_state[state] == v for v, own in enumerate(states) for state in own)
    first, entry = turns.entries
    assert {(e, s) for e in range(m) for s in entry[first[e] : first[e + 1]].tolist()} == set(
        zip(turns.edge.tolist(), turns.tail.tolist(), strict=True)
    )


def follow(turns, edges):
    """The state at the end of a sequence of edges from a plain state, None where a rule forbids it."""
    state = int(turns.node_of_state[turns.tail[edges[0]]])
    for edge in edges:
        rows = range(turns.first_arc[state], turns.first_arc[state + 1])
        row = [row for row in rows if turns.edge[row] == edge]
        if not row:
            return None
        state = int(turns.head[row[0]])
    return state


@st.composite
def networks(draw, max_nodes=5, max_edges=12, max_rules=6):
    """Small graphs, dense enough for loops and parallel edges, with rules along random walks."""
    num_nodes = draw(st.integers(1, max_nodes))
    node = st.integers(0, num_nodes - 1)
    ends = draw(st.lists(st.tuples(node, node), min_size=1, max_size=max_edges))
    leaving = {v: [row for row, end in enumerate(ends) if end[0] == v] for v in range(num_nodes)}
    rules = []
    for _ in range(draw(st.integers(0, max_rules))):
        walk = [draw(st.integers(0, len(ends) - 1))]
        for _ in range(draw(st.integers(1, 4))):
            choices = leaving[ends[walk[-1]][1]]
            if choices:
                walk.append(draw(st.sampled_from(choices)))
        if len(walk) > 1:
            rules.append(tuple(walk))
    graph = graph_of(num_nodes, ends, rules)
    weights = draw(st.lists(st.integers(0, 9), min_size=len(ends), max_size=len(ends)))
    return graph, np.array(weights, np.int32)


@given(networks())
@settings(max_examples=150)
def test_travel_times_agree_with_brute_force(network):
    graph, travel_ms = network
    assert_well_formed(graph, assert_same_times(graph, travel_ms))


@given(networks(), st.data())
@settings(max_examples=150)
def test_exactly_the_walks_without_a_forbidden_sequence_can_be_driven(network, data):
    graph, _ = network
    turns = expand_turns(graph)
    walk = [data.draw(st.integers(0, graph.num_arcs - 1))]
    for _ in range(data.draw(st.integers(0, 12))):
        node = graph.head[walk[-1]]
        if graph.first_arc[node] < graph.first_arc[node + 1]:
            walk.append(
                data.draw(st.integers(int(graph.first_arc[node]), int(graph.first_arc[node + 1]) - 1))
            )
    state = follow(turns, walk)
    assert (state is None) == naive.breaks_a_rule(walk, rules_of(graph))
    if state is not None:
        beginnings = {rule[:size] for rule in rules_of(graph) for size in range(1, len(rule))}
        matters = any(tuple(walk[start:]) in beginnings for start in range(len(walk)))
        assert (state >= graph.num_nodes) == matters


@given(networks())
@settings(max_examples=100)
def test_with_companions_the_states_of_a_node_and_of_an_edge_s_ends_are_pairwise_adjacent(network):
    graph, _ = network
    turns = expand_turns(graph)
    one, other = turns.companions()
    assert (one.dtype, other.dtype) == (np.int32, np.int32)
    assert (one < other).all()
    joined = {frozenset(pair) for pair in zip(turns.tail.tolist(), turns.head.tolist(), strict=True)}
    added = {frozenset(pair) for pair in zip(one.tolist(), other.tolist(), strict=True)}
    assert len(added) == len(one)
    assert not added & joined
    near = {(v, v) for v in range(graph.num_nodes)} | set(
        zip(graph.tail.tolist(), graph.head.tolist(), strict=True)
    )
    states = [
        turns.state[turns.first_state[v] : turns.first_state[v + 1]].tolist() for v in range(graph.num_nodes)
    ]
    wanted = {frozenset((a, b)) for u, v in near for a in states[u] for b in states[v] if a != b}
    assert added == wanted - joined


CROSS = [(0, 1), (1, 2), (1, 3), (3, 1), (2, 1), (1, 1), (1, 2), (3, 0)]
LINE = [(0, 1), (1, 2), (2, 3), (3, 4), (2, 1), (1, 0)]


@pytest.mark.parametrize(
    ("num_nodes", "ends", "rules", "num_extra"),
    [
        (4, CROSS, [(0, 1)], 1),
        (4, CROSS, [(0, 1), (0, 2)], 1),  # one beginning, two ends
        (4, CROSS, [(0, 1), (0, 1)], 1),  # twice the same
        (4, CROSS, [(0, 1), (0, 6)], 1),  # one of two parallel edges each
        (4, CROSS, [(0, 5), (5, 5)], 2),  # into a loop, and round it twice
        (4, CROSS, [(5, 5, 5)], 2),  # round at most twice
        (4, CROSS, [(2, 3), (1, 4), (3, 2)], 3),  # no u-turns
        (5, LINE, [(0, 1, 2, 3)], 3),
        (5, LINE, [(0, 1, 2, 3), (1, 2)], 3),  # one contains the other: (0, 1, 2) is never driven
        (5, LINE, [(0, 1, 2), (0, 1, 2, 3)], 2),
        (5, LINE, [(0, 1, 2, 3), (1, 2, 3)], 3 + 2),
        (5, LINE, [(0, 1, 2, 3), (1, 4, 5)], 3 + 1 + 1),  # from (0, 1) by 4 to (1, 4)
        (5, LINE, [(1, 4, 1, 4, 1, 2), (4, 1, 4, 5)], 5 + 3),  # endings overlap beginnings
        (5, LINE, [(0, 1), (0, 5), (5, 0)], 2),  # a dead end behind edge 0
    ],
)
def test_rules_of_all_kinds(num_nodes, ends, rules, num_extra):
    graph = graph_of(num_nodes, ends, rules)
    travel_ms = np.arange(1, graph.num_arcs + 1, dtype=np.int32)
    turns = assert_same_times(graph, travel_ms)
    assert_well_formed(graph, turns)
    assert turns.num_states - num_nodes == num_extra


def test_a_forbidden_left_turn_is_driven_round_the_block():
    #  0 -> 1 -> 2 and 1 -> 3 -> 4 -> 1: to node 3 one may not turn off edge 0, but may after the loop by 2
    ends = [(0, 1), (1, 2), (1, 3), (2, 1)]
    graph = graph_of(4, ends, [(0, 2)])
    travel_ms = np.array([5, 10, 20, 30], np.int32)
    assert (graph.tail.tolist(), graph.head.tolist()) == ([0, 1, 1, 2], [1, 2, 3, 1])
    turns = assert_same_times(graph, travel_ms)
    assert expanded_times(turns, travel_ms, 0) == {0: 0, 1: 5, 2: 15, 3: 5 + 10 + 30 + 20}
    assert expanded_times(turns, travel_ms, 1) == {1: 0, 2: 10, 3: 20}


@pytest.mark.parametrize("rules", [None, ()])
def test_without_rules_the_graph_stays_as_it_is(rules):
    graph = graph_of(4, CROSS, rules)
    turns = expand_turns(graph)
    assert_well_formed(graph, turns)
    assert turns.num_states == 4
    assert turns.head.tolist() == graph.head.tolist()
    assert [len(side) for side in turns.companions()] == [0, 0]


def test_a_graph_without_edges():
    graph = graph_of(3, [], ())
    turns = expand_turns(graph)
    assert (turns.num_states, len(turns.head)) == (3, 0)
    assert [len(side) for side in turns.companions()] == [0, 0]


def test_bad_rules_are_named():
    graph = graph_of(4, CROSS, ())
    for rules, message in [
        ([(0,)], "fewer than two arcs"),
        ([(0, 99)], "99: the graph has 8 arcs"),
        ([(0, 0)], "does not begin where 0 ends"),
    ]:
        with pytest.raises(InputError, match=message):
            expand_turns(replace(graph, forbidden=ForbiddenTurns.of(rules)))


def long_rules(graph, num_rules, seed=2):
    """Rules along random walks of three to five arcs that do not turn back."""
    rng = np.random.default_rng(seed)
    rules = []
    while len(rules) < num_rules:
        walk = [int(rng.integers(graph.num_arcs))]
        for _ in range(rng.integers(2, 5)):
            first, stop = graph.first_arc[graph.head[walk[-1]]], graph.first_arc[graph.head[walk[-1]] + 1]
            ahead = [arc for arc in range(first, stop) if arc != graph.twin[walk[-1]]]
            walk += [int(rng.choice(ahead))] if ahead else []
        rules += [tuple(walk)] if len(walk) > 2 else []
    return rules


@pytest.mark.parametrize(
    ("extract", "num_long_rules", "num_sources"),
    [
        ("andorra", 0, 12),
        ("munchen", 0, 40),
        ("munchen", 60, 25),
        pytest.param("malta", 0, 20, marks=pytest.mark.long),
        pytest.param("andorra", 1000, 30, marks=pytest.mark.long),
    ],
)
def test_real_streets_agree_with_brute_force(data, extract, num_long_rules, num_sources):
    graph = City.from_osm(data / "osm" / f"{extract}.osm.pbf").graph
    rules = rules_of(graph) + long_rules(graph, num_long_rules)
    graph = replace(graph, forbidden=ForbiddenTurns.of(rules))
    turns, travel_ms = expand_turns(graph), graph.free_flow_ms()
    arcs = list(zip(graph.tail.tolist(), graph.head.tolist(), travel_ms.tolist(), strict=True))
    rng = np.random.default_rng(1)
    # Right before a rule, where it makes most of a difference, and anywhere.
    sources = {int(graph.tail[rules[rng.integers(len(rules))][0]]) for _ in range(num_sources // 2)}
    sources |= set(rng.integers(0, graph.num_nodes, num_sources // 2).tolist())
    num_later = 0
    for source in sorted(sources):
        expected = naive.travel_times(arcs, rules, source)
        assert expanded_times(turns, travel_ms, source) == expected
        num_later += travel_times_from(arcs, source) != expected
    assert num_later > len(sources) // 4, "these rules hardly matter"
