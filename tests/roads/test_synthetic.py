import hashlib
import subprocess
import sys
from collections import deque
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.land_use import USES
from dispatch.roads.synthetic import synthetic_city

MOTORWAY, PRIMARY, SECONDARY, RESIDENTIAL, SERVICE = (
    ROAD_CLASSES.index(c) for c in ("motorway", "primary", "secondary", "residential", "service")
)
SEEDS = (1, 2, 5, 11, 16)


@cache
def city_of(seed):
    return synthetic_city(seed)


def plane(city):
    return np.column_stack(city.projection.to_plane(city.graph.node_lon, city.graph.node_lat))


def pieces(graph, arcs):
    """Arcs as shapely lines in degrees."""
    lonlat = np.column_stack([graph.node_lon, graph.node_lat])
    return shapely.linestrings(np.stack([lonlat[graph.tail[arcs]], lonlat[graph.head[arcs]]], axis=1))


def keys(graph):
    """Each arc, and its opposite, as one number."""
    tail, head = graph.tail.astype(np.int64), graph.head.astype(np.int64)
    return tail * graph.num_nodes + head, head * graph.num_nodes + tail


def streets_per_node(graph):
    there, back = keys(graph)
    streets = np.unique(np.minimum(there, back))
    return np.bincount(
        np.r_[streets // graph.num_nodes, streets % graph.num_nodes], minlength=graph.num_nodes
    )


def digest(city):
    graph, use = city.graph, city.land_use
    arrays = [graph.node_lon, graph.node_lat, graph.first_arc, graph.head, graph.length_m, graph.speed_kph]
    arrays += [graph.road_class, *(getattr(use, name) for name in USES)]
    parts = [a.tobytes() for a in arrays] + [shapely.to_wkb(city.water), shapely.to_wkb(use.parks)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def reached(first_arc, head, num_nodes):
    """Nodes that a plain breadth-first search reaches from node 0."""
    seen, queue = {0}, deque([0])
    while queue:
        node = queue.popleft()
        for arc in range(first_arc[node], first_arc[node + 1]):
            if head[arc] not in seen:
                seen.add(head[arc])
                queue.append(head[arc])
    return len(seen)


@pytest.mark.parametrize("seed", range(1, 21))
def test_every_seed_gives_a_whole_city(seed):
    city = city_of(seed)
    graph = city.graph
    assert 7200 <= graph.num_nodes <= 8800
    assert graph.num_arcs >= 20_000
    assert 17_000 <= np.ptp(plane(city), axis=0).max() <= 26_000
    assert city.timezone == "UTC"
    assert city.trips is None
    assert shapely.is_valid(city.water)
    assert len(city.land_use) == graph.num_nodes
    assert (np.diff(graph.first_arc) > 0).all()
    there, _ = keys(graph)
    assert len(np.unique(there)) == len(there), "parallel arcs"
    assert (graph.tail != graph.head).all(), "loops"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_node_reaches_every_other(seed):
    graph = city_of(seed).graph
    first, head = graph.first_arc.tolist(), graph.head.tolist()
    assert reached(first, head, graph.num_nodes) == graph.num_nodes
    backward = np.argsort(graph.head, kind="stable")
    first = np.r_[0, np.cumsum(np.bincount(graph.head, minlength=graph.num_nodes))].tolist()
    assert reached(first, graph.tail[backward].tolist(), graph.num_nodes) == graph.num_nodes


@pytest.mark.parametrize("seed", SEEDS)
def test_streets_are_as_long_as_drawn_and_as_fast_as_their_class(seed):
    city = city_of(seed)
    graph = city.graph
    crow = np.hypot(*(plane(city)[graph.tail] - plane(city)[graph.head]).T)
    np.testing.assert_allclose(graph.length_m, crow, rtol=1e-4)
    assert graph.length_m.min() > 12
    assert graph.speed_kph.min() >= 25
    assert graph.speed_kph.max() == 100
    present = np.bincount(graph.road_class, minlength=len(ROAD_CLASSES)) > 0
    named = ("motorway", "primary", "secondary", "tertiary", "residential", "service")
    assert all(present[ROAD_CLASSES.index(c)] for c in named)
    speed = [
        graph.speed_kph[graph.road_class == k].mean() for k in (MOTORWAY, PRIMARY, SECONDARY, RESIDENTIAL)
    ]
    assert speed == sorted(speed, reverse=True)
    assert 95 <= np.median(graph.length_m[graph.road_class == RESIDENTIAL]) <= 160


@pytest.mark.parametrize("seed", SEEDS)
def test_crossings_dead_ends_and_one_way_streets_are_those_of_a_city(seed):
    graph = city_of(seed).graph
    there, back = keys(graph)
    assert 0.18 <= 1 - np.isin(there, back).mean() <= 0.33
    degree = streets_per_node(graph)
    assert 0.005 <= np.mean(degree == 1) <= 0.06
    assert np.mean((degree == 3) | (degree == 4)) > 0.7
    assert np.mean(degree > 5) < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_roads_are_longer_than_the_crow_flies_by_as_much_as_in_cities(seed):
    city = city_of(seed)
    graph, xy = city.graph, plane(city)
    rng = np.random.default_rng(seed)
    start, end = rng.integers(0, graph.num_nodes, (2, 100))
    weights = csr_array((graph.length_m, graph.head, graph.first_arc), shape=(graph.num_nodes,) * 2)
    road = dijkstra(weights, indices=start)[np.arange(100), end]
    crow = np.hypot(*(xy[start] - xy[end]).T)
    far = crow > 500
    assert 1.15 <= np.mean(road[far] / crow[far]) <= 1.5


@pytest.mark.parametrize("seed", SEEDS)
def test_only_bridges_of_main_roads_cross_water(seed):
    city = city_of(seed)
    graph = city.graph
    shapely.prepare(city.water)
    assert not shapely.contains_xy(city.water, graph.node_lon, graph.node_lat).any()
    every = np.arange(graph.num_arcs)
    wet = every[shapely.intersects(city.water, pieces(graph, every))]
    assert np.isin(graph.road_class[wet], (MOTORWAY, PRIMARY, SECONDARY)).all()
    spans = np.unique(np.sort(np.column_stack([graph.tail[wet], graph.head[wet]]), axis=1), axis=0)
    assert 8 <= len(spans) <= 16
    assert graph.length_m[wet].max() < 1000


@pytest.mark.parametrize("seed", SEEDS)
def test_streets_cross_only_where_they_meet(seed):
    """Motorways and bridges apart: they pass over and under."""
    graph = city_of(seed).graph
    there, back = keys(graph)
    small = np.flatnonzero((graph.road_class != MOTORWAY) & ((there < back) | ~np.isin(there, back)))
    lines = pieces(graph, small)
    a, b = shapely.STRtree(lines).query(lines, predicate="crosses")
    assert not (a < b).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_motorways_are_one_way_and_entered_by_ramps_only(seed):
    graph = city_of(seed).graph
    motorway = graph.road_class == MOTORWAY
    there, back = keys(graph)
    assert not np.isin(there[motorway], back[motorway]).any()
    ends = [
        np.unique(np.r_[graph.tail[m], graph.head[m]]) for m in (motorway & (graph.speed_kph > 90), ~motorway)
    ]
    assert len(ends[0]) > 100
    assert not np.intersect1d(*ends).size, "a carriageway meets a street"
    feet = np.intersect1d(np.r_[graph.tail[motorway], graph.head[motorway]], ends[1])
    assert 8 <= len(feet) <= 60
    length_m = graph.length_m[motorway & (graph.speed_kph > 90)].sum()
    assert 30_000 <= length_m <= 120_000


@pytest.mark.parametrize("seed", SEEDS)
def test_land_use_lies_where_it_should(seed):
    city = city_of(seed)
    graph, use, xy = city.graph, city.land_use, plane(city)
    middle = use.leisure @ xy
    distance = np.hypot(*(xy - middle).T)
    assert use.leisure @ distance < use.jobs @ distance < use.homes @ distance < 7000
    airport = np.flatnonzero(use.airport)
    assert 5 <= len(airport) <= 20
    assert distance[airport].min() > 6000
    assert np.ptp(xy[airport], axis=0).max() < 800
    assert not (use.homes[airport] + use.jobs[airport] + use.leisure[airport]).any()
    street = graph.road_class != MOTORWAY
    on_street = np.zeros(graph.num_nodes, bool)
    on_street[graph.tail[street]] = on_street[graph.head[street]] = True
    for name in USES:
        weights = getattr(use, name)
        assert not weights[~on_street].any()
        assert abs(weights.sum() - 1) < 1e-9
        assert name == "airport" or weights.max() < 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_parks_hold_no_small_streets(seed):
    city = city_of(seed)
    graph = city.graph
    small = np.ones(graph.num_nodes, bool)
    for k in (MOTORWAY, PRIMARY, SECONDARY):
        small[graph.tail[graph.road_class == k]] = small[graph.head[graph.road_class == k]] = False
    parks = city.land_use.parks
    assert parks.area > 0
    assert not parks.buffer(-1e-5).intersection(city.water).area
    shapely.prepare(parks)
    assert not shapely.contains_xy(parks, graph.node_lon[small], graph.node_lat[small]).any()


def test_seeds_give_different_cities():
    assert len({digest(city_of(seed)) for seed in range(1, 21)}) == 20
    outlines = [
        shapely.union_all(shapely.points(city_of(s).graph.node_lon, city_of(s).graph.node_lat)).convex_hull
        for s in SEEDS
    ]
    for k, one in enumerate(outlines):
        for other in outlines[:k]:
            assert one.symmetric_difference(other).area > 0.1 * one.area


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    code = "import test_synthetic as t; print(t.digest(t.synthetic_city(7)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
        timeout=120,
    )
    assert run.stdout.strip() == digest(synthetic_city(7)) == digest(City.synthetic(7))


@pytest.mark.parametrize("num_nodes", [2000, 4000, 20_000])
def test_size_follows_the_wish(num_nodes):
    graph = synthetic_city(3, num_nodes_about=num_nodes).graph
    assert abs(graph.num_nodes - num_nodes) < 0.12 * num_nodes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.5}, "seed is 1.5"),
        ({"seed": True}, "seed is True"),
        ({"seed": "1"}, "seed is '1'"),
        ({"num_nodes_about": 1999}, "num_nodes_about is 1999: it must be a whole number, 2000 … 100000"),
        ({"num_nodes_about": 10**9}, "num_nodes_about is 1000000000"),
        ({"num_nodes_about": 8000.0}, "num_nodes_about is 8000.0"),
    ],
)
def test_bad_arguments_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        synthetic_city(**arguments)
