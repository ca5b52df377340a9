from dataclasses import replace

import numpy as np
import pytest
import shapely

from dispatch.errors import InputError
from dispatch.roads.edge_shapes import EdgeShapes
from dispatch.roads.places import Places
from dispatch.roads.road_network import RoadNetwork
from dispatch.units import NO_INDEX, UNREACHABLE_MS
from roads.road_graphs import ints, random_network, random_weights, road_graph

KM = 1 / 111.195
"""Degrees of a great circle."""


def at(x_km, y_km=0.0):
    return shapely.Point(x_km * KM, y_km * KM)


def test_the_area_in_reach_ends_where_the_time_does():
    # A street along the equator, a kilometre an arc, a minute each; the other way it is closed.
    num = 6
    arcs = [(v, v + 1) for v in range(num - 1)] + [(v + 1, v) for v in range(num - 1)]
    lonlat = (np.arange(num) * KM, np.zeros(num))
    graph = road_graph(num, arcs, lonlat, np.full(len(arcs), 1000.0))
    travel_ms = np.where(graph.head > graph.tail, 60_000, UNREACHABLE_MS)
    metric = RoadNetwork(graph).customize(travel_ms)
    area = metric.reachable([1], 150_000)
    assert area.is_valid
    for km, inside in (
        (0.9, False),
        (0.97, True),
        (1, True),
        (2.2, True),
        (3.45, True),
        (3.6, False),
        (4, False),
    ):
        assert area.contains(shapely.Point(km * KM, 0)) == inside, km
    assert area.contains(shapely.Point(2.2 * KM, 0.04 * KM))
    assert not area.contains(shapely.Point(2.2 * KM, 0.09 * KM))
    spot = metric.reachable([5], 10**6)
    assert spot.bounds == pytest.approx(
        ((5 - 0.06) * KM, -0.06 * KM, (5 + 0.06) * KM, 0.06 * KM), abs=0.006 * KM
    )
    assert metric.reachable([1], 0).contains(shapely.Point(KM, 0))
    assert metric.reachable([NO_INDEX], 150_000).is_empty
    with pytest.raises(InputError, match="max_ms is -1"):
        metric.reachable([1], -1)


def test_streets_are_followed_where_they_bend():
    # One arc of 3 km, not straight on but over a corner a kilometre to the north.
    graph = road_graph(2, [(0, 1)], (np.array([0, KM]), np.zeros(2)), [3000.0])
    x, y = np.array([0, 0, 1, 1]) * KM, np.array([0, 1, 1, 0]) * KM
    bent = replace(graph, shapes=EdgeShapes(ints([0, 4]), x, y))
    area = RoadNetwork(bent).customize([90_000]).reachable([0], 45_000)
    for spot, inside in ((at(0, 0.5), True), (at(0.4, 1), True), (at(0.7, 1), False), (at(0.5), False)):
        assert area.contains(spot) == inside


def test_from_a_place_within_a_street():
    graph = road_graph(3, [(0, 1), (1, 2)], (np.arange(3) * KM, np.zeros(3)), [1000.0, 1000.0])
    metric = RoadNetwork(graph).customize([60_000, 60_000])
    area = metric.reachable(Places.on([0], [0.5]), 60_000)
    assert area.contains(at(1.4))
    assert not area.contains(at(1.6))


@pytest.mark.xfail(strict=True, reason="the street of the place itself is left out, up to its first node")
@pytest.mark.parametrize(("max_ms", "x_km"), [(60_000, 0.7), (20_000, 0.7), (0, 0.5)])
def test_a_place_s_own_street_is_in_it(max_ms, x_km):
    graph = road_graph(3, [(0, 1), (1, 2)], (np.arange(3) * KM, np.zeros(3)), [1000.0, 1000.0])
    area = RoadNetwork(graph).customize([60_000, 60_000]).reachable(Places.on([0], [0.5]), max_ms)
    assert area.contains(at(x_km))


@pytest.mark.xfail(
    strict=True, reason="an arc counts as driven from a node that is reached, however one came there"
)
def test_a_street_behind_a_forbidden_turn_is_not_in_it():
    graph = road_graph(3, [(0, 1), (1, 2)], (np.arange(3) * KM, np.zeros(3)), [1000.0, 1000.0], [(0, 1)])
    metric = RoadNetwork(graph).customize([60_000, 60_000])
    assert metric.from_ms([0]).tolist() == [0, 60_000, UNREACHABLE_MS]
    area = metric.reachable([0], 150_000)
    assert area.contains(at(0.9))
    assert not area.contains(at(1.4))


@pytest.mark.parametrize("seed", range(8))
def test_a_node_is_in_it_if_it_is_reached_and_out_of_it_far_from_all_that_is(seed):
    rng = np.random.default_rng(seed)
    graph, _ = random_network(rng, 30, 60)
    graph = replace(graph, node_lon=graph.node_lon * 20 * KM, node_lat=graph.node_lat * 20 * KM)
    metric = RoadNetwork(graph).customize(random_weights(rng, graph.num_arcs))
    times = metric.from_ms([0])
    max_ms = int(np.median(times[times < UNREACHABLE_MS]))
    area = metric.reachable([0], max_ms)
    spots = shapely.points(graph.node_lon, graph.node_lat)
    assert area.is_valid
    assert shapely.contains(area, spots[times <= max_ms]).all()
    ends = np.stack([graph.tail, graph.head], 1)[times[graph.tail] <= max_ms]
    lonlat = np.stack([graph.node_lon, graph.node_lat], 1)
    driven = shapely.union_all([*shapely.linestrings(lonlat[ends]), *spots[times <= max_ms]])
    far = shapely.distance(driven, spots) > 0.08 * KM
    assert not shapely.contains(area, spots[far]).any()
