import numpy as np
import pytest

from cities import grid_city, line_city
from dispatch.errors import InputError
from dispatch.roads import all_pairs
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.travel_times import PathFinder
from dispatch.units import UNREACHABLE_MS
from naive.shortest_paths import arcs_of, travel_times_to
from random_days import with_forbidden_turns

CITIES = {
    "grid": grid_city(6, 7, seed=2),
    "line": line_city(9),
    "a node that nothing leaves": line_city(5, sink=True),
    "one node": line_city(1),
}


def all_of(num_nodes):
    pair = np.divmod(np.arange(num_nodes**2), num_nodes)
    return tuple(part.astype(np.int32) for part in pair)


@pytest.mark.parametrize("rows", [1, 5, 512])
@pytest.mark.parametrize("city", CITIES.values(), ids=CITIES)
def test_times_are_those_of_textbook_dijkstra(city, rows, monkeypatch):
    monkeypatch.setattr(all_pairs, "_ROWS", rows)
    times, num_nodes = AllPairsTimes(city.free_flow()), city.graph.num_nodes
    arcs = arcs_of(city.graph, city.graph.free_flow_ms())
    assert times.num_nodes == num_nodes
    for to in range(num_nodes):
        assert times.table.to_ms[to][times.table.place].tolist() == travel_times_to(arcs, to, num_nodes)
    from_node, to_node = all_of(num_nodes)
    assert np.array_equal(
        times.pairs_ms(from_node, to_node), times.table.to_ms[to_node, times.table.place[from_node]]
    )


@pytest.mark.parametrize("city", CITIES.values(), ids=CITIES)
def test_ways_take_the_time_of_the_table_and_are_walks(city):
    times, graph = AllPairsTimes(city.free_flow()), city.graph
    assert isinstance(times, PathFinder)
    from_node, to_node = all_of(graph.num_nodes)
    paths, ms = times.paths(from_node, to_node), times.pairs_ms(from_node, to_node)
    travel_ms = graph.free_flow_ms()
    has_way = ms < UNREACHABLE_MS
    assert np.array_equal(np.diff(paths.first) > 0, has_way)
    assert np.array_equal(paths.at_ms[paths.first[1:] - 1][has_way], ms[has_way])
    steps = np.ones(len(paths.node), bool)
    steps[paths.first[:-1][has_way]] = False
    arc = paths.edge[steps]
    assert np.array_equal(graph.head[arc], paths.node[steps])
    assert np.array_equal(graph.tail[arc], paths.node[np.flatnonzero(steps) - 1])
    assert np.array_equal(np.diff(paths.at_ms)[steps[1:]], travel_ms[arc])
    assert np.diff(paths.at_m)[steps[1:]] == pytest.approx(graph.length_m[arc])


def test_a_pace_scales_every_time():
    times = AllPairsTimes(CITIES["grid"].free_flow())
    from_node, to_node = all_of(times.num_nodes)
    ms = times.pairs_ms(from_node, to_node).astype(np.int64)
    assert np.array_equal(times.scaled_pairs_ms(from_node, to_node, 1370), (ms * 1370 + 500) // 1000)


def test_what_does_not_suit(monkeypatch):
    grid = grid_city(4, 4)
    assert AllPairsTimes.suits(grid.graph)
    turns = with_forbidden_turns(grid)
    assert not AllPairsTimes.suits(turns.graph)
    with pytest.raises(InputError, match="16 nodes and forbidden turns: a table of all pairs"):
        AllPairsTimes(turns.free_flow())
    monkeypatch.setattr(all_pairs, "MAX_NODES", 15)
    assert not AllPairsTimes.suits(grid.graph)
    with pytest.raises(InputError, match=r"the network has 16 nodes: .* for 15 nodes at most"):
        AllPairsTimes(grid.free_flow())
