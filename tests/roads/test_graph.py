from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX
from roads.test_edge_shapes import lines_of, shapes_of
from roads.test_forbidden_turns import rules_of

EDGES = st.lists(
    st.tuples(
        st.integers(0, 5), st.integers(0, 5), st.floats(0.1, 1e5), st.floats(1, 200), st.integers(0, 7)
    ),
    max_size=30,
)


def graph_of(edges, num_nodes=6):
    columns = [np.array([edge[i] for edge in edges]) for i in range(5)]
    tails, heads = (column.astype(np.int32) for column in columns[:2])
    lonlat = np.linspace(10, 11, num_nodes), np.linspace(50, 51, num_nodes)
    return RoadGraph.from_edges(lonlat, tails, heads, *columns[2:])


@given(EDGES)
@settings(max_examples=100, deadline=None)
def test_rows_hold_every_edge_once_sorted_by_tail_then_head(edges):
    graph = graph_of(edges)
    columns = graph.tail, graph.head, graph.length_m, graph.speed_kph, graph.road_class
    arcs = list(zip(*(column.tolist() for column in columns), strict=True))
    assert sorted(arcs) == sorted(edges)
    assert [arc[:2] for arc in arcs] == sorted(edge[:2] for edge in edges)
    assert graph.first_arc.tolist() == [sum(edge[0] < node for edge in edges) for node in range(7)]
    assert (graph.num_nodes, graph.num_arcs) == (6, len(edges))


def test_arrays_are_what_kernels_were_compiled_for():
    graph = graph_of([(2, 0, 10, 36, 1), (0, 1, 5, 36, 2)])
    expected = {"first_arc": np.int32, "head": np.int32, "length_m": np.float64, "road_class": np.int8}
    for name, dtype in expected.items():
        column = getattr(graph, name)
        assert (column.dtype, column.flags.c_contiguous) == (dtype, True), name
    assert graph.free_flow_ms().dtype == graph.tail.dtype == np.int32


def test_free_flow_is_length_over_speed():
    graph = graph_of([(0, 1, 100.0, 36.0, 0), (1, 2, 1000.0, 50.0, 0)])
    assert graph.free_flow_ms().tolist() == [10_000, 72_000]
    assert graph.free_flow_ms(1.5).tolist() == [15_000, 108_000]


def test_no_arc_is_free_and_none_is_unreachable():
    graph = graph_of([(0, 1, 1e-6, 200.0, 0), (1, 2, 1e12, 1.0, 0)])
    assert graph.free_flow_ms().tolist() == [1, MAX_TRAVEL_MS]


@pytest.mark.parametrize("slowdown", [0.0, -1.0, np.nan, np.inf])
def test_a_slowdown_that_is_none(slowdown):
    with pytest.raises(InputError, match=f"slowdown is {slowdown}: it must be a positive number"):
        graph_of([]).free_flow_ms(slowdown)


def test_an_empty_graph():
    graph = graph_of([], num_nodes=0)
    assert (graph.num_nodes, graph.num_arcs, graph.first_arc.tolist()) == (0, 0, [0])
    assert len(graph.free_flow_ms()) == 0


def test_classes_go_from_most_to_least_important():
    assert ROAD_CLASSES[0] == "motorway"
    assert ROAD_CLASSES.index("primary") < ROAD_CLASSES.index("residential")
    assert len(set(ROAD_CLASSES)) == len(ROAD_CLASSES) < np.iinfo(np.int8).max


# --- shapes, rules and twins ---------------------------------------------------------------------


@given(EDGES)
@settings(max_examples=50, deadline=None)
def test_shapes_and_rules_are_sorted_along(edges):
    lines = [[(tail, i), (head, i)] for i, (tail, head, *_) in enumerate(edges)]
    rules = [(i, j) for i in range(len(edges)) for j in range(len(edges)) if edges[i][1] == edges[j][0]]
    plain = graph_of(edges)
    columns = [np.array([edge[i] for edge in edges]) for i in range(5)]
    graph = RoadGraph.from_edges(
        (plain.node_lon, plain.node_lat),
        *(column.astype(np.int32) for column in columns[:2]),
        *columns[2:],
        shapes_of(lines),
        ForbiddenTurns.of(rules),
    )
    sorted_lines = lines_of(graph.shapes)
    assert [(int(a[0]), int(b[0])) for a, b in sorted_lines] == [edge[:2] for edge in sorted(edges)]
    given_as = [int(a[1]) for a, _ in sorted_lines]
    assert [tuple(given_as[arc] for arc in rule) for rule in rules_of(graph.forbidden)] == rules


def twins_by_hand(graph, same_street):
    """Whether the twins are a largest pairing of arcs that are the same street driven the other way."""
    twin, rows = graph.twin.tolist(), range(graph.num_arcs)
    paired = [arc for arc in rows if twin[arc] != NO_INDEX]
    assert all(twin[twin[arc]] == arc != twin[arc] and same_street(arc, twin[arc]) for arc in paired)
    alone = [arc for arc in rows if twin[arc] == NO_INDEX]
    assert not [(a, b) for a in alone for b in alone if a < b and same_street(a, b)]


FEW_KINDS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([5.0, 7.0]), st.just(30.0), st.just(1)),
    max_size=25,
)


@given(FEW_KINDS)
def test_the_twin_of_a_straight_street_has_its_length_and_class(edges):
    graph = graph_of(edges)

    def same_street(a, b):
        ends = graph.tail[a] == graph.head[b] and graph.head[a] == graph.tail[b]
        return ends and graph.length_m[a] == graph.length_m[b]

    twins_by_hand(graph, same_street)


@given(FEW_KINDS, st.lists(st.lists(st.integers(0, 1), max_size=2), min_size=25, max_size=25))
@settings(max_examples=300)
def test_the_twin_of_a_drawn_street_runs_backwards_through_its_points(edges, bends):
    lines = [
        [(tail, 0), *((bend, 9) for bend in inner), (head, 0)]
        for (tail, head, *_), inner in zip(edges, bends, strict=False)
    ]
    graph = graph_of(edges)
    order = np.lexsort((*reversed([np.array([edge[i] for edge in edges]) for i in range(2)]),))
    graph = replace(graph, shapes=shapes_of([lines[i] for i in order]))
    drawn = lines_of(graph.shapes)
    twins_by_hand(graph, lambda a, b: drawn[a] == drawn[b][::-1])
