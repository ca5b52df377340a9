from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import shapely

from cities import PLANE, city_of, grid_city, line_city
from dispatch.errors import InputError
from dispatch.roads.places import Places
from dispatch.roads.reachable import BESIDE_M, reachable_area
from dispatch.roads.road_network import RoadNetwork
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS
from roads.road_graphs import random_network, random_weights, with_rules
from roads.test_edge_shapes import shapes_of

SLACK_M = 6.0
"""What simplifying the border may move it."""


def in_plane(area):
    return shapely.transform(area, lambda lonlat: np.stack(PLANE.to_plane(*lonlat.T), axis=1))


def metres(area):
    """The bounds of an area (west, south, east, north)."""
    return in_plane(area).bounds


def covers(area, graph, nodes):
    return shapely.intersects_xy(area, graph.node_lon[nodes], graph.node_lat[nodes])


def test_the_last_street_is_reached_as_far_as_one_gets():
    """100 m and 10 s an arc: 25 s from the fifth node end in the middle of the third arc."""
    area = line_city().free_flow().reachable([5], 25_000)
    assert metres(area) == pytest.approx((250 - BESIDE_M, -BESIDE_M, 750 + BESIDE_M, BESIDE_M), abs=SLACK_M)
    assert in_plane(area).area == pytest.approx(500 * 2 * BESIDE_M + 3.1 * BESIDE_M**2, rel=0.03)


def test_in_no_time_one_is_where_one_is():
    area = line_city().free_flow().reachable([5], 0)
    assert metres(area) == pytest.approx((440, -60, 560, 60), abs=SLACK_M)


def test_round_a_corner():
    """A ring of 4 × 900 m, 90 s each: on the far streets one gets as far as time is left."""
    x, y = np.array([0, 900, 900, 0]), np.array([0, 0, 900, 900])
    ring = [(0, 1), (1, 2), (2, 3), (3, 0)]
    city = city_of(x, y, ring + [(head, tail) for tail, head in ring])
    for max_ms, far_m in ((90_000, 0), (120_000, 300), (150_000, 600)):
        area = in_plane(city.free_flow().reachable([0], max_ms))
        for along_m, reached in ((far_m + BESIDE_M - 9, True), (far_m + BESIDE_M + 9, False)):
            assert shapely.intersects_xy(area, 900, along_m) == reached
            assert shapely.intersects_xy(area, along_m, 900) == reached
        assert shapely.intersects_xy(area, [450, 0], [0, 450]).all()
        assert not shapely.intersects_xy(area, [450, 900], [450, 900]).any()


def test_one_way_streets_are_driven_one_way():
    city = city_of(100.0 * np.arange(9), np.zeros(9), [(node, node + 1) for node in range(8)])
    west, _, east, _ = metres(city.free_flow().reachable([4], 20_000))
    assert (west, east) == pytest.approx((400 - BESIDE_M, 600 + BESIDE_M), abs=SLACK_M)


def test_reached_nodes_are_inside_and_far_ones_outside():
    city = grid_city(seed=3)
    graph, metric = city.graph, city.free_flow()
    times, areas = metric.from_ms([40]), []
    for max_ms in (0, 20_000, 60_000, 100_000, 200_000, MAX_TRAVEL_MS):
        area = metric.reachable([40], max_ms)
        assert area.is_valid
        assert covers(area, graph, times <= max_ms).all()
        # Blocks are wider than 120 m: whoever is 15 s of driving away is not beside a reached street.
        far = times > max_ms + 15_000
        assert not covers(area, graph, far).any()
        areas.append(area.area)
    assert far.sum() == 0 < (times > 115_000).sum()
    assert areas == sorted(areas)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed):
    rng = np.random.default_rng(seed)
    graph, _ = random_network(rng, 30, 60)
    lonlat = PLANE.to_degrees(*rng.uniform(-10_000, 10_000, (2, 30)))
    graph = replace(graph, node_lon=lonlat[0], node_lat=lonlat[1])
    metric = RoadNetwork(graph).customize(random_weights(rng, graph.num_arcs))
    times = metric.from_ms([0])
    max_ms = int(np.median(times[times < UNREACHABLE_MS]))
    area = metric.reachable([0], max_ms)
    assert area.is_valid
    assert covers(area, graph, times <= max_ms).all()
    ends = np.stack([graph.tail, graph.head], axis=1)[times[graph.tail] <= max_ms]
    spots = np.stack(PLANE.to_plane(graph.node_lon, graph.node_lat), axis=1)
    driven = shapely.union_all([*shapely.linestrings(spots[ends]), *shapely.points(spots[times <= max_ms])])
    far = shapely.distance(driven, shapely.points(spots)) > BESIDE_M + SLACK_M
    assert not covers(area, graph, far).any()


@pytest.mark.parametrize("back_ms", [200_000, UNREACHABLE_MS, 10_000])
def test_a_street_that_is_driven_whole_one_way_only(back_ms):
    """From 1 to 0 just in time, no farther."""
    city = city_of([0.0, 500.0], [0.0, 0.0], [(0, 1), (1, 0)])
    area = city.network.customize([back_ms, 10_000]).reachable([1], 10_000)
    assert metres(area) == pytest.approx((-60, -60, 560, 60), abs=SLACK_M)
    assert shapely.intersects_xy(in_plane(area), 250, 0)


def test_it_grows_with_the_time():
    metric = grid_city(seed=3).free_flow()
    areas = [in_plane(metric.reachable([40], max_ms)) for max_ms in range(0, 200_000, 20_000)]
    for small, large in pairwise(areas):
        assert small.area < large.area
        assert small.difference(large.buffer(2 * SLACK_M)).is_empty


def test_streets_that_are_closed_are_not_drawn():
    city = line_city(9)
    metric = city.free_flow()
    closed = np.flatnonzero((city.graph.tail == 4) & (city.graph.head == 5))
    metric = metric.update(closed, [UNREACHABLE_MS])
    west, _, east, _ = metres(metric.reachable([2], MAX_TRAVEL_MS))
    assert (west, east) == pytest.approx((-BESIDE_M, 400 + BESIDE_M), abs=SLACK_M)


def test_streets_as_they_are_drawn():
    """From 0 to 1 over a corner 400 m to the north; half of it takes half of the time."""
    city = city_of([0.0, 400.0], [0.0, 0.0], [(0, 1)])
    corners = np.stack(PLANE.to_degrees([0, 0, 400, 400], [0, 400, 400, 0]), axis=1).tolist()
    graph = replace(city.graph, shapes=shapes_of([[tuple(corner) for corner in corners]]))
    area = reachable_area(graph, np.array([0, 120_000], np.int32), np.array([120_000], np.int32), 60_000)
    assert metres(area) == pytest.approx((-60, -60, 260, 460), abs=SLACK_M)
    area = in_plane(reachable_area(graph, np.array([0, 9], np.int32), np.array([9], np.int32), 9))
    assert not shapely.intersects_xy(area, 200, 0)
    assert shapely.intersects_xy(area, 400, 100)


def test_arcs_that_take_no_time():
    city = line_city(5)
    metric = city.network.customize(np.zeros(city.graph.num_arcs, np.int32))
    west, _, east, _ = metres(metric.reachable([2], 0))
    assert (west, east) == pytest.approx((-BESIDE_M, 400 + BESIDE_M), abs=SLACK_M)


def test_a_part_that_is_cut_off_is_another_polygon():
    """As if a ferry: the far street is reached, what lies between is not drawn."""
    city = city_of([0.0, 100.0, 2000.0, 2100.0], np.zeros(4), [(0, 1), (2, 3)])
    area = reachable_area(city.graph, np.array([0, 9, 0, 9], np.int32), np.array([9, 9], np.int32), 9)
    assert area.geom_type == "MultiPolygon"
    assert shapely.get_num_geometries(area) == 2


def test_nothing_is_reached():
    graph = line_city(3).graph
    assert line_city(3).free_flow().reachable([NO_INDEX], 10_000).is_empty
    nowhere = np.full(3, UNREACHABLE_MS, np.int32)
    assert reachable_area(graph, nowhere, graph.free_flow_ms(), MAX_TRAVEL_MS).is_empty


def test_a_node_without_streets():
    city = city_of([0.0, 500.0, 600.0], np.zeros(3), [(1, 2)])
    assert metres(city.free_flow().reachable([0], MAX_TRAVEL_MS)) == pytest.approx(
        (-60, -60, 60, 60), abs=SLACK_M
    )


def test_from_a_place_on_a_street():
    """A quarter along the arc 5 -> 6: 22.5 s are left at one end and 27.5 s at the other."""
    city = line_city()
    edge = np.flatnonzero((city.graph.tail == 5) & (city.graph.head == 6))
    area = city.free_flow().reachable(Places.on(edge, [0.25]), 30_000)
    assert metres(area) == pytest.approx((225 - BESIDE_M, -BESIDE_M, 825 + BESIDE_M, BESIDE_M), abs=SLACK_M)


@pytest.mark.parametrize(("max_ms", "reached_m"), [(60_000, 700), (20_000, 700), (0, 500)])
def test_the_street_of_the_place_itself(max_ms, reached_m):
    """A one-way street of a minute and 1000 m; from its middle the end is 30 s away."""
    city = city_of([0.0, 1000.0, 2000.0], np.zeros(3), [(0, 1), (1, 2)])
    area = city.network.customize([60_000, 60_000]).reachable(Places.on([0], [0.5]), max_ms)
    assert shapely.intersects_xy(in_plane(area), reached_m, 0)


def test_a_street_behind_a_forbidden_turn():
    graph = with_rules(city_of([0.0, 1000.0, 2000.0], np.zeros(3), [(0, 1), (1, 2)]).graph, [(0, 1)])
    metric = RoadNetwork(graph).customize([60_000, 60_000])
    assert metric.from_ms([0]).tolist() == [0, 60_000, UNREACHABLE_MS]
    area = in_plane(metric.reachable([0], 150_000))
    assert shapely.intersects_xy(area, 900, 0)
    assert not shapely.intersects_xy(area, 1400, 0)


def test_wrong_questions():
    metric = line_city().free_flow()
    for max_ms in (-1, UNREACHABLE_MS):
        with pytest.raises(
            InputError, match=f"max_ms is {max_ms}: it must be a whole number from 0 to {MAX_TRAVEL_MS}"
        ):
            metric.reachable([5], max_ms)
    with pytest.raises(InputError, match=r"source\[0\] is 20: nodes are 0 to 19"):
        metric.reachable([20], 5)
    with pytest.raises(InputError, match="2 places are given: source must be one node or place"):
        metric.reachable([1, 2], 5)
