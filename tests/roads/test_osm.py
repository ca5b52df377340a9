"""Whole imports, of small files written by hand and of real extracts."""

import collections
import itertools
import math
import sys

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings, strategies as st
from pyproj import Geod

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.osm import car_profile, reading, restriction_tags
from dispatch.roads.osm.segments import BARRIERS, NO_NODES, OUTSIDE
from dispatch.units import NO_INDEX, UNREACHABLE_MS
from roads.osm_files import STREET, arcs_of, city_of, drops_of, node_at, place, write_osm
from roads.test_edge_shapes import lines_of

GEOD = Geod(ellps="WGS84")
SQUARE = {1: (0, 0), 2: (4, 0), 3: (4, 4), 4: (0, 4)}
RING = (10, [1, 2, 3, 4, 1], STREET)
TWO_RINGS = {**SQUARE, 5: (8, 0), 6: (8, 4)}
EIGHT = [RING, (11, [2, 5, 6, 3], STREET)]
"""Two crossings, 2 and 3, and three streets between them."""


def both_ways(*pairs, kph=30.0):
    return sorted((a, b, kph) for pair in pairs for a, b in (pair, pair[::-1]))


def test_streets_from_crossing_to_crossing(tmp_path):
    city = city_of(tmp_path, TWO_RINGS, EIGHT)
    assert (city.name, city.timezone, city.drops, city.folder) == ("small", "Europe/Malta", (), None)
    assert arcs_of(city, TWO_RINGS) == both_ways((2, 3), (2, 3), (2, 3))
    assert set(city.graph.road_class) == {ROAD_CLASSES.index("residential")}
    assert city.graph.forbidden is None
    lines = {tuple(line) for line in lines_of(city.graph.shapes)}
    corners = [place(*TWO_RINGS[node][:2]) for node in (2, 5, 6, 3)]
    assert tuple(corners) in lines
    assert tuple(reversed(corners)) in lines
    assert len(lines) == 6


def test_lengths_are_those_of_the_ellipsoid_and_add_up(tmp_path):
    graph = city_of(tmp_path, TWO_RINGS, EIGHT).graph
    for line, length_m in zip(lines_of(graph.shapes), graph.length_m, strict=True):
        lon, lat = zip(*line, strict=True)
        assert length_m == pytest.approx(GEOD.line_length(lon, lat), abs=1e-3)
    assert (graph.length_m == graph.length_m[graph.twin]).all()


def test_a_ring_without_crossings_is_a_loop(tmp_path):
    city = city_of(tmp_path, SQUARE, [RING])
    assert (city.graph.num_nodes, city.graph.num_arcs) == (1, 2)
    assert city.graph.twin.tolist() == [1, 0]
    assert city.graph.length_m[0] == pytest.approx(4 * (4 * 90.2 + 4 * 111) / 2, rel=0.01)


def test_loops_and_parallel_streets_stay(tmp_path):
    nodes = {1: (0, 0), 2: (1, 0), 3: (2, 1), 4: (2, -1), 5: (0, 1)}
    ways = [(10, [1, 2], STREET), (11, [2, 3, 4, 2], STREET), (12, [1, 5, 2], STREET)]
    city = city_of(tmp_path, nodes, ways)
    assert arcs_of(city, nodes) == both_ways((2, 2), (2, 2))
    nodes[6] = (-1, 0)
    city = city_of(tmp_path, nodes, [*ways, (13, [1, 6], STREET)])
    assert arcs_of(city, nodes) == both_ways((1, 2), (1, 2), (2, 2), (1, 6))


def test_a_street_is_parted_where_class_speed_or_direction_change(tmp_path):
    nodes = {number: (number, 0) for number in range(1, 8)}
    ways = [
        (10, [1, 2], STREET),
        (11, [2, 3], {**STREET, "name": "the same street"}),
        (12, [3, 4], {"highway": "tertiary", "maxspeed": "30"}),
        (13, [4, 5], {"highway": "tertiary", "maxspeed": "50"}),
        (14, [6, 5], {"highway": "tertiary", "maxspeed": "50", "name": "drawn the other way"}),
        (15, [6, 7], {"highway": "tertiary", "maxspeed:forward": "50", "maxspeed:backward": "40"}),
    ]
    arcs = arcs_of(city_of(tmp_path, nodes, ways), nodes)
    assert [arc[:2] for arc in arcs] == [arc[:2] for arc in both_ways((1, 3), (3, 4), (4, 6), (6, 7))]
    assert {arc[:2]: arc[2] for arc in arcs}[6, 7] == 50
    assert {arc[:2]: arc[2] for arc in arcs}[7, 6] == 40


ONE_WAYS = [
    ({**STREET, "oneway": "yes"}, [(2, 3)]),
    ({**STREET, "oneway": "-1"}, [(3, 2)]),
    ({**STREET, "junction": "roundabout"}, [(2, 3)]),
    ({**STREET, "vehicle:backward": "no"}, [(2, 3)]),
    ({"highway": "motorway"}, [(2, 3)]),
    ({"highway": "motorway_link"}, [(2, 3)]),
    ({"highway": "motorway", "oneway": "no"}, [(2, 3), (3, 2)]),
    ({"highway": "primary"}, [(2, 3), (3, 2)]),
]


@pytest.mark.parametrize(("tags", "expected"), ONE_WAYS)
def test_one_way_streets(tmp_path, tags, expected):
    city = city_of(tmp_path, TWO_RINGS, [RING, (11, [2, 5, 6, 3], tags)])
    by_arc = {tuple(line): line for line in lines_of(city.graph.shapes) if place(8, 0) in line}
    numbers = {place(*TWO_RINGS[node][:2]): node for node in (2, 3)}
    assert sorted((numbers[line[0]], numbers[line[-1]]) for line in by_arc) == expected
    assert np.count_nonzero(city.graph.twin == NO_INDEX) == len(expected) % 2


def test_a_roundabout_is_driven_round(tmp_path):
    nodes = {1: (1, 0), 2: (0, 1), 3: (-1, 0), 4: (0, -1), 5: (5, 0), 6: (-5, 0)}
    ways = [(10, [1, 2, 3, 4, 1], {"highway": "primary", "junction": "roundabout", "maxspeed": "40"})]
    ways += [(11, [1, 5], STREET), (12, [3, 6], STREET)]
    city = city_of(tmp_path, nodes, ways)
    assert arcs_of(city, nodes) == sorted([(1, 3, 40), (3, 1, 40), *both_ways((1, 5), (3, 6))])


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"highway": "cycleway"}, car_profile.NOT_FOR_CARS),
        ({"highway": "residential", "access": "private"}, car_profile.CLOSED),
        ({"highway": "construction"}, car_profile.UNFINISHED),
        ({"route": "ferry"}, car_profile.FERRIES),
        ({"highway": "service", "service": "driveway"}, car_profile.DRIVEWAYS),
        ({"highway": "service", "area": "yes"}, car_profile.AREAS),
        ({"highway": "tertiary", "oneway": "reversible"}, car_profile.REVERSIBLE),
        ({"railway": "rail"}, None),
        ({"route": "bus"}, None),
    ],
)
def test_what_is_no_street_is_counted(tmp_path, tags, reason):
    city = city_of(tmp_path, TWO_RINGS, [RING, (11, [2, 5, 6, 3], tags), (12, [5, 6], tags)])
    assert city.graph.num_nodes == 1
    assert drops_of(city) == ({reason: 2} if reason else {})
    assert {drop.where for drop in city.drops} <= {"small.osm.pbf"}


@pytest.mark.parametrize(
    ("tags", "closed"),
    [
        ({"barrier": "bollard"}, True),
        ({"barrier": "gate", "access": "no"}, True),
        ({"barrier": "gate"}, False),
        ({"barrier": "bollard", "motor_vehicle": "yes"}, False),
    ],
)
def test_barriers_on_nodes(tmp_path, tags, closed):
    nodes = {**TWO_RINGS, 5: (8, 0, tags)}
    city = city_of(tmp_path, nodes, EIGHT)
    assert drops_of(city) == ({BARRIERS: 1} if closed else {})
    lines = lines_of(city.graph.shapes)
    assert sum(place(8, 0) in line for line in lines) == (4 if closed else 2)
    assert sum(place(8, 0) in line[1:-1] for line in lines) == (0 if closed else 2)


def test_a_barrier_at_a_crossing_parts_all_its_streets(tmp_path):
    nodes = {1: (0, 0, {"barrier": "block"}), 2: (1, 0), 3: (0, 1), 4: (-1, 0)}
    ways = [(10, [1, 2], STREET), (11, [1, 3], STREET), (12, [4, 1], STREET), (13, [2, 3], STREET)]
    city = city_of(tmp_path, nodes, ways)
    assert drops_of(city)[BARRIERS] == 1
    assert city.graph.num_nodes == 2  # from the block over 2 and 3 back to it
    assert city.graph.node_lon.tolist() == [place(0, 0)[0]] * 2


def test_only_the_largest_part_is_kept(tmp_path):
    nodes = {**TWO_RINGS, 7: (20, 0), 8: (21, 0), 9: (12, 0)}
    ways = [*EIGHT, (12, [7, 8], STREET), (13, [5, 9], {**STREET, "oneway": "yes"})]
    city = city_of(tmp_path, nodes, ways)
    assert arcs_of(city, nodes) == both_ways((2, 3), (2, 3), (2, 3))
    what = "pieces of streets outside of the largest of 3 strongly connected parts"
    assert drops_of(city) == {what: 2}


def test_nodes_that_the_file_does_not_hold(tmp_path):
    nodes = {**TWO_RINGS, 7: (8, 8)}
    city = city_of(tmp_path, nodes, [*EIGHT, (12, [5, 7, 99], STREET), (13, [98, 97], STREET)])
    assert drops_of(city) == {NO_NODES: 2}
    assert node_at(city, 8, 8) is not None


def test_ways_of_one_node_of_none_and_with_one_twice(tmp_path):
    ways = [(9, [], STREET), (10, [1], STREET), (11, [1, 2, 2, 3], STREET), (12, [], STREET)]
    city = city_of(tmp_path, SQUARE, ways)
    assert arcs_of(city, SQUARE) == both_ways((1, 3))


def test_two_nodes_on_one_spot(tmp_path):
    nodes = {1: (0, 0), 2: (0, 0), 3: (1, 0), 4: (1, 1)}
    ways = [(10, [1, 2], {**STREET, "maxspeed": "20"}), (11, [2, 3], STREET), (12, [1, 4], STREET)]
    graph = city_of(tmp_path, nodes, ways).graph
    assert graph.num_nodes == 4
    assert graph.length_m.min() == 0.01
    assert (graph.free_flow_ms() > 0).all()


# --- the area ------------------------------------------------------------------------------------

LINE = {number: (number, 0) for number in range(10)}
LONG = [(10, list(range(10)), STREET)]


def test_a_box(tmp_path):
    west, south = place(1.5, -1)
    east, north = place(6, 1)
    city = city_of(tmp_path, LINE, LONG, bbox=(west, south, east, north))
    assert arcs_of(city, LINE) == both_ways((2, 6))
    assert drops_of(city) == {OUTSIDE: 5}


def test_a_polygon(tmp_path):
    polygon = shapely.Polygon([place(-1, -1), place(4.5, -1), place(4.5, 3)])
    city = city_of(tmp_path, LINE, LONG, polygon=polygon)
    assert arcs_of(city, LINE) == both_ways((1, 4))
    apart = shapely.MultiPolygon([shapely.box(*place(3.5, -1), *place(8.5, 1)), shapely.box(0, 0, 1, 1)])
    assert arcs_of(city_of(tmp_path, LINE, LONG, polygon=apart), LINE) == both_ways((4, 8))


def test_speeds_are_those_of_the_country_of_the_area(tmp_path):
    """Most of the file is in Malta; the area chosen is in Sicily, and the other way round."""
    nodes = {number: (x, 1000 * (number > 8)) for number, x in enumerate([*range(9), *range(4)])}
    road = {"highway": "motorway", "oneway": "no"}
    ways = [(10, list(range(9)), road), (11, list(range(9, 13)), road)]
    sicily, malta = (*place(-1, 999), *place(9, 1001)), (*place(-1, -1), *place(9, 1))
    assert arcs_of(city_of(tmp_path, nodes, ways), nodes) == both_ways((0, 8), kph=80.0)
    assert arcs_of(city_of(tmp_path, nodes, ways, bbox=malta), nodes) == both_ways((0, 8), kph=80.0)
    assert arcs_of(city_of(tmp_path, nodes, ways, bbox=sicily), nodes) == both_ways((9, 12), kph=130.0)
    polygon = shapely.box(*sicily)
    assert arcs_of(city_of(tmp_path, nodes, ways, polygon=polygon), nodes) == both_ways((9, 12), kph=130.0)


def test_the_part_that_is_kept_is_found_without_turn_restrictions(tmp_path):
    """Nobody may turn into the side street: it stays, though who obeys does not reach its end."""
    nodes = {**TWO_RINGS, 7: (-4, 0)}
    ways = [
        (10, [1, 2, 3], STREET),
        (11, [3, 4, 1], STREET),
        (12, [2, 5, 6, 3], STREET),
        (13, [1, 7], STREET),
    ]
    rules = [
        (
            20 + way,
            [("w", way, "from"), ("n", 1, "via"), ("w", 13, "to")],
            {"type": "restriction", "restriction": turn},
        )
        for way, turn in ((10, "no_straight_on"), (11, "no_right_turn"))
    ]
    city = city_of(tmp_path, nodes, ways, rules)
    assert node_at(city, -4) is not None
    to_ms = city.free_flow().to_ms(node_at(city, -4))
    assert sorted((to_ms == UNREACHABLE_MS).tolist()) == [False] * 2 + [True] * 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bbox": (1, 2, 3)}, "bbox is 1, 2, 3: it must be west, south, east, north"),
        ({"bbox": (2, 0, 1, 1)}, "bbox is 2.0, 0.0, 1.0, 1.0: west must be less than east"),
        ({"bbox": (0, 1, 1, 1)}, "bbox is 0.0, 1.0, 1.0, 1.0: west must be less than east"),
        ({"bbox": (0, 35, 1, 95)}, "bbox reaches from 0.0, 35.0 to 1.0, 95.0: it must be WGS84 degrees"),
        ({"bbox": (0, 0, math.nan, 1)}, "bbox reaches from 0.0, 0.0 to nan, 1.0"),
        ({"polygon": shapely.Point(0, 0)}, "polygon is POINT (0 0): it must be a shapely polygon"),
        ({"polygon": shapely.Polygon()}, "polygon is POLYGON EMPTY"),
        ({"polygon": shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])}, "polygon is not valid (Self-inter"),
        ({"polygon": shapely.box(300, 0, 301, 1)}, "polygon reaches from 300.0, 0.0"),
        ({"bbox": (0, 0, 1, 1), "polygon": shapely.box(0, 0, 1, 1)}, "bbox and polygon are both given"),
        ({"bbox": (0, 0, 1, 1)}, "small.osm.pbf: no streets for cars inside of the area; left out: 9 pieces"),
    ],
)
def test_areas_that_cannot_be(tmp_path, options, message):
    with pytest.raises(InputError) as told:
        city_of(tmp_path, LINE, LONG, **options)
    assert message in str(told.value)


# --- files ---------------------------------------------------------------------------------------


def test_files_that_cannot_be_imported(tmp_path):
    with pytest.raises(InputError, match=r"no\.osm\.pbf: no such file"):
        City.from_osm(tmp_path / "no.osm.pbf")
    path = tmp_path / "text.osm.pbf"
    path.write_text("this is not a file of OpenStreetMap")
    with pytest.raises(InputError, match=r"text\.osm\.pbf: no readable file of OpenStreetMap"):
        City.from_osm(path)
    with pytest.raises(InputError, match=r"no streets for cars; left out: nothing"):
        city_of(tmp_path, SQUARE, [])
    with pytest.raises(InputError, match=r"no streets for cars; left out: 1 ways that are not for cars"):
        city_of(tmp_path, SQUARE, [(10, [1, 2], {"highway": "path"})])
    with pytest.raises(InputError, match=r"no two places reach each other on 1 pieces of streets"):
        city_of(tmp_path, SQUARE, [(10, [1, 2], {"highway": "motorway"})])


def test_a_truncated_file(tmp_path):
    path = write_osm(tmp_path / "cut.osm.pbf", TWO_RINGS, EIGHT)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        InputError, match=r"cut\.osm\.pbf: no readable file of OpenStreetMap, perhaps truncated"
    ):
        City.from_osm(path)


def test_the_reader_is_an_extra(tmp_path, monkeypatch):
    path = write_osm(tmp_path / "small.osm.pbf", TWO_RINGS, EIGHT)
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "dispatch-engine\[osm\]"'):
        City.from_osm(path)


@pytest.mark.parametrize("name", ["a.osm", "a.osm.bz2", "a.b.osm.pbf"])
def test_load_knows_files_by_their_names(tmp_path, name):
    city = City.load(write_osm(tmp_path / name, TWO_RINGS, EIGHT), timezone="UTC")
    assert (city.name, city.timezone, city.graph.num_arcs) == ("a", "UTC", 6)
    with pytest.raises(InputError, match=r"trips is t\.csv"):
        City.load(tmp_path / name, trips="t.csv")


def test_progress_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_EACH", 1)
    told = []
    city_of(tmp_path, TWO_RINGS, EIGHT, on_progress=lambda *what: told.append(what))
    assert told == [("reading streets", 0, 0), ("reading streets", 1, 0), ("joining streets", 0, 0)]


# --- joining streets changes no distance ----------------------------------------------------------

PLACES = [(x, y) for x in range(4) for y in range(3)]
TAGS = [
    STREET,
    {**STREET, "oneway": "yes"},
    {**STREET, "oneway": "-1"},
    {"highway": "primary", "maxspeed": "50"},
    {"highway": "primary", "maxspeed": "50", "junction": "roundabout"},
]
WAYS = st.lists(
    st.tuples(st.lists(st.integers(1, 12), min_size=2, max_size=6), st.sampled_from(range(len(TAGS)))),
    min_size=1,
    max_size=7,
)


def naive_links(ways):
    """Which node leads to which: seconds, by (node, next), the least of parallel ones; and speeds there."""
    links = {}
    for refs, kind in ways:
        forward, backward = car_profile.directions(TAGS[kind])
        for a, b in itertools.pairwise(refs):
            lon, lat = zip(place(*PLACES[a - 1]), place(*PLACES[b - 1]), strict=True)
            seconds = GEOD.line_length(lon, lat) / (50 if kind > 2 else 30) * 3.6
            for pair, allowed in (((a, b), forward), ((b, a), backward)):
                if allowed and a != b:
                    links[pair] = min(seconds, links.get(pair, math.inf))
    return links


def naive_seconds(links):
    """All-pairs times by Floyd and Warshall."""
    nodes = range(1, 13)
    seconds = {(a, b): 0 if a == b else links.get((a, b), math.inf) for a in nodes for b in nodes}
    for via, a, b in itertools.product(nodes, nodes, nodes):
        seconds[a, b] = min(seconds[a, b], seconds[a, via] + seconds[via, b])
    return seconds


@given(WAYS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_joined_network_has_the_times_of_its_ways(tmp_path, ways):
    seconds = naive_seconds(naive_links(ways))
    reach = {
        a: {b for b in range(1, 13) if max(seconds[a, b], seconds[b, a]) < math.inf} for a in range(1, 13)
    }
    used = {a for refs, _ in ways for a, b in itertools.pairwise(refs) if a != b}
    largest = max((len(reach[a]) for a in used), default=0)
    nodes = {number: PLACES[number - 1] for number in range(1, 13)}
    numbered = [(10 + row, refs, TAGS[kind]) for row, (refs, kind) in enumerate(ways)]
    if largest < 2:
        with pytest.raises(InputError):
            city_of(tmp_path, nodes, numbered)
        return
    graph = city_of(tmp_path, nodes, numbered).graph
    at = {place(*xy): number for number, xy in nodes.items()}
    kept = [at[pair] for pair in zip(graph.node_lon, graph.node_lat, strict=True)]
    parts = [reach[a] for a in used if len(reach[a]) == largest]
    (part,) = [one for one in {frozenset(one) for one in parts} if set(kept) <= one]
    on_lines = {at[point] for line in lines_of(graph.shapes) for point in line}
    assert on_lines == part
    times = {(a, b): 0 if a == b else math.inf for a in kept for b in kept}
    for arc in range(graph.num_arcs):
        pair = kept[graph.tail[arc]], kept[graph.head[arc]]
        arc_s = graph.length_m[arc] / graph.speed_kph[arc] * 3.6
        times[pair] = min(times[pair], arc_s) if pair[0] != pair[1] else 0
    for via, a, b in itertools.product(kept, kept, kept):
        times[a, b] = min(times[a, b], times[a, via] + times[via, b])
    assert times == pytest.approx({pair: seconds[pair] for pair in times}, abs=1e-2)


@given(WAYS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_node_is_left_that_could_be_joined(tmp_path, ways):
    nodes = {number: PLACES[number - 1] for number in range(1, 13)}
    numbered = [(10 + row, refs, TAGS[kind]) for row, (refs, kind) in enumerate(ways)]
    try:
        graph = city_of(tmp_path, nodes, numbered).graph
    except InputError:
        return
    kinds = collections.defaultdict(list)
    for arc in range(graph.num_arcs):
        what = graph.road_class[arc], graph.speed_kph[arc], bool(graph.twin[arc] == NO_INDEX)
        kinds[int(graph.tail[arc])].append(("out", *what))
        kinds[int(graph.head[arc])].append(("in", *what))
    for ends in kinds.values():
        if len({what[1:] for what in ends}) > 1 or graph.num_nodes == 1:
            continue
        streets = len(ends) / (1 if ends[0][3] else 2)
        assert streets != 2, "two streets of one kind meet"


# --- real extracts --------------------------------------------------------------------------------


def check_real(city):
    """What holds of every import."""
    graph = city.graph
    lines = lines_of(graph.shapes)
    for arc in np.random.default_rng(0).integers(0, graph.num_arcs, 500).tolist():
        lon, lat = zip(*lines[arc], strict=True)
        assert graph.length_m[arc] == pytest.approx(max(GEOD.line_length(lon, lat), 0.01), abs=1e-3)
        assert (lon[0], lat[0]) == (graph.node_lon[graph.tail[arc]], graph.node_lat[graph.tail[arc]])
        assert (lon[-1], lat[-1]) == (graph.node_lon[graph.head[arc]], graph.node_lat[graph.head[arc]])
    two_way = np.flatnonzero(graph.twin != NO_INDEX)
    assert np.array_equal(graph.length_m[two_way], graph.length_m[graph.twin[two_way]])
    assert graph.speed_kph.min() >= 3
    assert graph.speed_kph.max() <= 140
    service = graph.road_class == ROAD_CLASSES.index("service")
    assert not service.any() or graph.speed_kph[service].max() <= 15
    if graph.forbidden is not None:
        arcs, first = graph.forbidden.arc, graph.forbidden.first
        follows = graph.head[arcs[:-1]] == graph.tail[arcs[1:]]
        assert np.delete(follows, first[1:-1] - 1).all()
    assert all(drop.count > 0 for drop in city.drops)


def turning_of_roundabouts(path, graph):
    """Areas of the closed roundabouts of a file, positive where their nodes run counterclockwise."""
    osmium = sys.modules["osmium"]
    on_lines = collections.Counter(
        pair for line in lines_of(graph.shapes) for pair in itertools.pairwise(line)
    )
    areas = []
    for way in (
        osmium.FileProcessor(str(path)).with_locations().with_filter(osmium.filter.KeyFilter("junction"))
    ):
        if not way.is_way() or way.tags.get("junction") != "roundabout" or not way.is_closed():
            continue
        points = [(node.x / 1e7, node.y / 1e7) for node in way.nodes]
        if all(pair in on_lines for pair in itertools.pairwise(points)):
            backwards = itertools.pairwise(points[::-1])
            assert not any(pair in on_lines for pair in backwards), way.id
            areas.append(shapely.LinearRing(points).is_ccw)
    return areas


def test_andorra(data):
    path = data / "osm" / "andorra.osm.pbf"
    city = City.from_osm(path)
    assert (city.name, city.timezone) == ("andorra", "Europe/Andorra")
    assert 2000 < city.graph.num_nodes < 2600
    assert city.graph.forbidden.num_rules > 50
    check_real(city)
    ccw = turning_of_roundabouts(path, city.graph)
    assert len(ccw) > 20
    assert all(ccw)  # they drive on the right


def test_malta(data):
    path = data / "osm" / "malta.osm.pbf"
    city = City.from_osm(path)
    assert city.timezone == "Europe/Malta"
    assert 16_000 < city.graph.num_nodes < 20_000
    assert drops_of(city)[car_profile.FERRIES] == 9
    assert city.snap([14.25], [36.05], 1000)[0].tolist() == [NO_INDEX]  # Gozo: the sea is between
    check_real(city)
    ccw = turning_of_roundabouts(path, city.graph)
    assert len(ccw) > 20
    assert not any(ccw)  # they drive on the left


@pytest.mark.long
@pytest.mark.parametrize(("name", "num_nodes"), [("munchen", 373), ("rnv_rhein_neckar", 33_742)])
def test_germany(data, name, num_nodes):
    city = City.from_osm(data / "osm" / f"{name}.osm.pbf")
    assert city.graph.num_nodes == pytest.approx(num_nodes, rel=0.1)
    assert city.timezone == "Europe/Berlin"
    check_real(city)


def test_reasons_are_told_apart():
    modules = (car_profile, restriction_tags)
    texts = [
        text
        for module in modules
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str)
    ]
    assert len(texts) == len(set(texts)) >= 12
