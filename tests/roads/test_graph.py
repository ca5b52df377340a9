import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.units import MAX_TRAVEL_MS

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
    arcs = graph.arcs(graph.free_flow_ms())
    assert (arcs.first_arc is graph.first_arc, arcs.head is graph.head) == (True, True)
    assert arcs.travel_ms.dtype == np.int32


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
