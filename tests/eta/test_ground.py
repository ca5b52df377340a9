import numpy as np
import pytest

from cities import grid_city, line_city
from dispatch.eta.edge_times import NUM_SLOTS, EdgeTimes
from dispatch.eta.ground import ROUTE_COLUMNS, Ground, drives_at, ends_of, part_of_week
from dispatch.eta.pair_effects import PairEffects
from dispatch.kernels.route_features import NUM_CLASSES
from dispatch.roads.graph import ROAD_CLASSES
from dispatch.units import UNREACHABLE_MS
from eta.eta_city import DAY_MS, MONDAY_MS
from naive.route_features import columns_of

HOUR_MS = DAY_MS // 24


def ground_of(city, seed=0, has_table=True):
    """Times of edges drawn at random, other ones by trips."""
    rng, num = np.random.default_rng(seed), city.graph.num_arcs
    times = [
        EdgeTimes(
            city.graph.free_flow_ms() / 1000 * rng.uniform(0.7, 2.0, num),
            rng.integers(0, 3, num).astype(np.int32),
            rng.uniform(0.7, 1.8, (NUM_SLOTS, 3)),
            np.ones(num),
        )
        for _ in range(2)
    ]
    ground = Ground(city, *times, 30.0)
    ground.__dict__["has_table"] = has_table
    return ground


def all_pairs(city):
    num = city.graph.num_nodes
    return tuple(part.astype(np.int32) for part in np.divmod(np.arange(num * num), num))


@pytest.mark.parametrize("has_table", [True, False])
@pytest.mark.parametrize("city", [grid_city(5, 5), line_city(6, sink=True)], ids=["grid", "sink"])
def test_ways_are_quickest_at_an_ordinary_hour(city, has_table):
    ground = ground_of(city, has_table=has_table)
    from_node, to_node = all_pairs(city)
    first, edge = ground.routes(from_node, to_node)
    assert (first.dtype, edge.dtype, edge.flags.c_contiguous) == (np.int64, np.int32, True)
    usual_ms, graph = ground.probes.usual_ms(), city.graph
    told_ms = ground.metric.pairs_ms(from_node, to_node)
    for i, (node, to) in enumerate(zip(from_node.tolist(), to_node.tolist(), strict=True)):
        way = edge[first[i] : first[i + 1]]
        if told_ms[i] >= UNREACHABLE_MS:
            assert len(way) == 0
            continue
        assert usual_ms[way].sum() == told_ms[i]
        stops = [node, *graph.head[way].tolist()]
        assert stops[:-1] == graph.tail[way].tolist()
        assert stops[-1] == to


def test_no_pairs_have_no_ways():
    none = np.empty(0, np.int32)
    for has_table in (True, False):
        first, edge = ground_of(grid_city(4, 4), has_table=has_table).routes(none, none)
        assert (first.tolist(), len(edge)) == ([0], 0)


def test_small_networks_have_a_table():
    assert Ground(grid_city(4, 4), *(ground_of(grid_city(4, 4)).probes,) * 2, 0.0).has_table


def test_columns_of_ways_are_those_of_the_oracle():
    city = grid_city(6, 6)
    ground, rng = ground_of(city), np.random.default_rng(1)
    nodes = rng.integers(0, city.graph.num_nodes, (2, 50)).astype(np.int32)
    lon, lat = city.graph.node_lon[nodes], city.graph.node_lat[nodes]
    ends = [degrees + rng.normal(0, 1e-3, 50) for degrees in (lon[0], lat[0], lon[1], lat[1])]
    drives = drives_at(city, tuple(ends), tuple(nodes), MONDAY_MS + rng.integers(0, 7 * DAY_MS, 50))
    first, edge = ground.routes(drives.from_node, drives.to_node)
    columns = ground.route_columns(drives, first, edge)
    assert columns.shape == (len(ROUTE_COLUMNS), 50)
    for i in range(50):
        way = edge[first[i] : first[i + 1]].tolist()
        expected = columns_of(drives, i, way, ground.streets, ground.probes.seconds, ground.trips.seconds)
        np.testing.assert_allclose(columns[:, i], expected, rtol=1e-4, atol=1e-4)
    slot_s = [
        ground.trips.slot_s(s)[edge[a:b]].sum()
        for s, a, b in zip(drives.slot, first[:-1], first[1:], strict=True)
    ]
    np.testing.assert_allclose(columns[ROUTE_COLUMNS.index("trips_s")], slot_s, rtol=1e-5)


def test_columns_bear_their_names():
    """One drive to the east on Saturday at 18:30, that turns left once."""
    city = grid_city(3, 3, block_m=400.0)
    assert len(ROAD_CLASSES) == NUM_CLASSES
    assert len(ROUTE_COLUMNS) == len(set(ROUTE_COLUMNS))
    ground = ground_of(city)
    graph = city.graph
    lon, lat = graph.node_lon, graph.node_lat
    nodes = np.array([0], np.int32), np.array([8], np.int32)
    ends = (lon[[0]] - 0.001, lat[[0]], lon[[8]], lat[[8]])
    drives = drives_at(city, ends, nodes, [MONDAY_MS + 5 * DAY_MS + 18 * HOUR_MS + HOUR_MS // 2])
    first, edge = ground.routes(*nodes)
    told = dict(zip(ROUTE_COLUMNS, ground.route_columns(drives, first, edge)[:, 0].tolist(), strict=True))
    assert (told["hour"], told["weekday"], told["edges"]) == (18.5, 5, 4)
    assert told["route_km"] == pytest.approx(graph.length_m[edge].sum() / 1000)
    assert told[f"{ROAD_CLASSES[5]}_km"] == pytest.approx(told["route_km"])
    assert told["free_flow_s"] == pytest.approx(graph.free_flow_ms()[edge].sum() / 1000)
    assert told["probes_s"] == pytest.approx(ground.probes.slot_s(24 + 18)[edge].sum(), rel=1e-5)
    assert told["trips_s"] == pytest.approx(ground.trips.slot_s(24 + 18)[edge].sum(), rel=1e-5)
    assert told["to_first_node_m"] == pytest.approx(71.7, abs=1)
    assert told["from_last_node_m"] == pytest.approx(0, abs=0.01)
    assert told["left_turns"] + told["right_turns"] >= 1
    assert told["to_x_m"] > told["from_x_m"]


def test_times_of_drives_are_local():
    city = grid_city(3, 3)
    object.__setattr__(city, "timezone", "America/Los_Angeles")
    nodes = np.zeros(2, np.int32), np.ones(2, np.int32)
    ends = tuple(np.full(2, value) for value in (10.0, 50.0, 10.001, 50.0))
    drives = drives_at(city, ends, nodes, [MONDAY_MS, MONDAY_MS + 20 * HOUR_MS])
    assert drives.minute.tolist() == [(6 * 24 + 16) * 60, 12 * 60]
    assert drives.slot.tolist() == [2 * 24 + 16, 12]
    assert drives.part.tolist() == [6 + 4, 3]
    assert {column.dtype.name for column in drives} == {"float64", "int32"}
    assert all(column.flags.c_contiguous and column.flags.writeable for column in drives)
    assert all(
        mine is theirs for mine, theirs in zip(ends_of(drives), [*drives[:4], drives.part], strict=True)
    )


def test_parts_of_the_week_are_four_hours():
    minute = np.arange(7 * 1440)
    part = part_of_week(minute)
    assert np.unique(part).tolist() == list(range(12))
    assert np.bincount(part).tolist() == [5 * 240] * 6 + [2 * 240] * 6
    assert part[[0, 239, 240, 1439, 1440, 5 * 1440, 7 * 1440 - 1]].tolist() == [0, 0, 1, 5, 0, 6, 11]


def test_kernels_are_given_all_of_it():
    ground = ground_of(grid_city(3, 3))
    none = PairEffects(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.float32))
    given = ground.ground_of(none)
    assert given.start_s == 30.0
    assert given.effects is none.table
    assert given.probes.edge_s is ground.probes.edge_s
    assert given.trips.edge_s is ground.trips.edge_s
