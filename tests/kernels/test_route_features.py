import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.all_pairs import find_next_arcs
from dispatch.kernels.route_features import (
    NUM_COLUMNS,
    count_route_edges,
    lay_route_edges,
    write_route_columns,
)
from dispatch.units import UNREACHABLE_MS
from kernels.test_all_pairs import GRAPHS, all_of, table_of, time_of
from naive.route_features import columns_of
from random_drives import drives_of, seconds_of, streets_of, ways_of

NUM_NODES, NUM_EDGES = 9, 15


def written(drives, first, edge, streets, probes, trips):
    out = np.full((NUM_COLUMNS + 1, len(drives.slot) + 2), 77.0, np.float32)
    write_route_columns(drives, first, edge, streets, probes, trips, out)
    return out


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 5))
def test_columns_are_those_of_the_oracle(seed, num):
    rng = np.random.default_rng(seed)
    streets = streets_of(rng, NUM_NODES, NUM_EDGES)
    probes, trips = seconds_of(rng, NUM_EDGES), seconds_of(rng, NUM_EDGES)
    drives, (first, edge) = drives_of(rng, num, NUM_NODES), ways_of(rng, num, NUM_EDGES)
    out = written(drives, first, edge, streets, probes, trips)
    for i in range(num):
        way = edge[first[i] : first[i + 1]].tolist()
        expected = columns_of(drives, i, way, streets, probes, trips)
        np.testing.assert_allclose(out[:NUM_COLUMNS, i], expected, rtol=1e-5, atol=1e-5)
    assert (out[NUM_COLUMNS:] == 77).all()
    assert (out[:, num:] == 77).all()


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        ((0, 90), (1, 0)),
        ((0, -90), (0, 1)),
        ((0, 44, 88), (0, 0)),
        ((170, -170), (0, 0)),
        ((150, -120), (1, 0)),
        ((-150, 120), (0, 1)),
        ((10,), (0, 0)),
    ],
)
def test_turns_are_counted_across_the_seam_of_angles(degrees, expected):
    rng = np.random.default_rng(0)
    num = len(degrees)
    streets = streets_of(rng, 2, num)._replace(bearing=np.radians(degrees).astype(np.float32))
    first, edge = np.array([0, num], np.int64), np.arange(num, dtype=np.int32)
    out = written(drives_of(rng, 1, 2), first, edge, streets, seconds_of(rng, num), seconds_of(rng, num))
    assert tuple(out[17:19, 0]) == expected


@settings(max_examples=80)
@given(GRAPHS)
def test_ways_are_laid_edge_by_edge(graph):
    num_nodes, _ = graph
    table = table_of(*graph)
    find_next_arcs(table, 0, num_nodes)
    from_node, to_node = all_of(num_nodes)
    first = np.full(num_nodes**2 + 1, -9, np.int64)
    count_route_edges(table, from_node, to_node, first)
    edge = np.full(int(first[-1]), -9, np.int32)
    lay_route_edges(table, from_node, to_node, first, edge)
    for i, (node, to) in enumerate(zip(from_node.tolist(), to_node.tolist(), strict=True)):
        way = edge[first[i] : first[i + 1]].tolist()
        left_ms = time_of(table, node, to)
        if left_ms >= UNREACHABLE_MS:
            assert way == []
            continue
        for one in way:
            assert table.first_arc[node] <= one < table.first_arc[node + 1]
            node = table.head[one]
        assert node == to
        assert table.travel_ms[way].sum() == left_ms
