import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from cities import city_of, grid_city
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.zones import ZONE_KINDS, Zones, grid_zones
from dispatch.units import NO_INDEX

CITY = grid_city(12, 12)


def box(west, south, east, north):
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def written(folder, *features, **more):
    path = folder / "zones.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features), **more}))
    return path


def test_zones_are_read_with_names_and_kinds(tmp_path):
    parts = {
        "type": "MultiPolygon",
        "coordinates": [box(0, 0, 1, 1)["coordinates"], box(3, 0, 4, 1)["coordinates"]],
    }
    label = feature({"type": "Point", "coordinates": [0, 0]}, name="a label")
    path = written(
        tmp_path,
        label,
        feature(parts, name="Old Town"),
        feature(box(2, 0, 2.5, 1), name="Airport", kind="rank"),
        feature(None, name="nowhere"),
    )
    zones = Zones.load(path)
    assert (zones.name, zones.kind) == (("Old Town", "Airport"), ("report", "rank"))
    assert zones.zone_of([0.5, 1.5, 2.2, 3.5], [0.5] * 4).tolist() == [0, NO_INDEX, 1, 0]
    assert zones.of_kind("rank").name == ("Airport",)
    assert zones.of_kind("no_pickup") is None
    assert len(zones.of_kind("report", "rank")) == len(zones) == 2


def test_the_first_zone_wins_and_borders_belong_to_zones():
    zones = Zones(("a", "b"), ("report",) * 2, (shapely.box(0, 0, 2, 2), shapely.box(1, 0, 4, 2)))
    assert zones.zone_of([0, 1.5, 2, 3, 4, 4.001], [1] * 6).tolist() == [0, 0, 0, 1, 1, NO_INDEX]
    assert zones.zone_of([], []).dtype == np.int32


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), num_zones=st.integers(1, 8))
def test_zones_of_points_agree_with_asking_each_polygon(seed, num_zones):
    random = np.random.default_rng(seed)
    polygons = []
    for _ in range(num_zones):
        centre, angle = random.uniform(-3, 3, 2), np.sort(random.uniform(0, 2 * np.pi, 7))
        spoke = random.uniform(0.2, 2.5, 7)
        ring = centre + np.stack([spoke * np.cos(angle), spoke * np.sin(angle)], 1)
        polygons.append(shapely.Polygon(ring).buffer(0.01))
    zones = Zones(tuple(map(str, range(num_zones))), ("report",) * num_zones, tuple(polygons))
    lon, lat = random.uniform(-5, 5, (2, 200))
    expected = [
        next((row for row, one in enumerate(polygons) if one.intersects(shapely.Point(x, y))), NO_INDEX)
        for x, y in zip(lon, lat, strict=True)
    ]
    assert zones.zone_of(lon, lat).tolist() == expected


def test_a_ring_that_crosses_itself_is_mended(tmp_path):
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]]}
    zones = Zones.load(written(tmp_path, feature(bow, name="bow")))
    assert zones.polygon[0].is_valid
    assert zones.zone_of([0.5, 1.5, 1.0], [1.0, 1.0, 1.9]).tolist() == [0, 0, NO_INDEX]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not even JSON"),
        ("[1, 2]", "FeatureCollection"),
        ('{"type": "Feature", "features": []}', "FeatureCollection"),
        ('{"type": "FeatureCollection", "features": []}', "0 features and no Polygon"),
        (
            '{"type": "FeatureCollection", "features": [{"geometry": {"type": "Point"}}]}',
            "1 features and no Polygon",
        ),
    ],
)
def test_what_is_no_geojson_of_zones_is_refused(tmp_path, text, said):
    path = tmp_path / "zones.geojson"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as refusal:
        Zones.load(path)
    assert str(path) in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: cannot be read \(No such file"):
        Zones.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([feature(box(0, 0, 1, 1))], 'feature 0 has no "name"'),
        ([feature(box(0, 0, 1, 1), name=" ")], 'feature 0 has no "name"'),
        (
            [feature(box(0, 0, 1, 1), name="a", kind="park")],
            "is 'park': it must be one of " + ", ".join(ZONE_KINDS),
        ),
        ([feature(box(0, 0, 1, 1), name="a")] * 2, "zones 0 and 1 are both named 'a'"),
        ([feature(box(0, 0, 0, 1), name="a")], "zone 'a' has no area"),
        ([feature({"type": "Polygon", "coordinates": [[[0, 0]]]}, name="a")], "'a' cannot be read"),
        ([feature(box(37.7, -122.5, 37.8, -122.4), name="a")], "look swapped"),
        ([feature(box(551_000, 4_180_000, 552_000, 4_181_000), name="a")], "must be degrees"),
        ([feature(box(4000, 50, 4001, 51), name="a")], "from longitude 4000"),
    ],
)
def test_bad_zones_are_refused_by_name_and_rule(tmp_path, features, said):
    with pytest.raises(InputError, match=said):
        Zones.load(written(tmp_path, *features))


def test_zones_of_another_place_and_swapped_ones_are_told_apart(tmp_path):
    lon, lat = float(CITY.graph.node_lon[0]), float(CITY.graph.node_lat[0])
    here = written(tmp_path, feature(box(lon, lat, lon + 0.01, lat + 0.01), name="a"))
    assert len(Zones.load(here, CITY)) == 1
    swapped = written(tmp_path, feature(box(lat, lon, lat + 0.01, lon + 0.01), name="a"))
    with pytest.raises(InputError, match=r"no zone lies in Gridville.*are swapped"):
        Zones.load(swapped, CITY)
    elsewhere = written(tmp_path, feature(box(-70, -30, -69, -29), name="a"))
    with pytest.raises(InputError, match="they lie elsewhere"):
        Zones.load(elsewhere, CITY)


def test_zones_need_one_name_and_kind_each():
    with pytest.raises(InputError, match="0 names, 0 kinds and 0 polygons"):
        Zones((), (), ())
    with pytest.raises(InputError, match="1 names, 2 kinds and 1 polygons"):
        Zones(("a",), ("report",) * 2, (shapely.box(0, 0, 1, 1),))


def test_squares_cover_every_node_and_are_named_by_where_they_lie():
    zones = grid_zones(CITY, 1000)
    zone = zones.of_nodes(CITY.graph)
    assert (zone != NO_INDEX).all()
    assert set(zone.tolist()) == set(range(len(zones))), "no square is empty"
    assert set(zones.kind) == {"report"}
    x, y = CITY.projection.to_plane(CITY.graph.node_lon, CITY.graph.node_lat)
    middle = (np.abs(x) < 450) & (np.abs(y) < 450)
    assert {zones.name[row] for row in zone[middle]} == {"centre"}
    far = (np.abs(x - 1000) < 450) & (np.abs(y + 1000) < 450)
    assert {zones.name[row] for row in zone[far]} == {"S1 E1"}
    assert zones.name.index("N1 W1") < zones.name.index("N1 E1") < zones.name.index("S1 W1")


def test_squares_on_the_antimeridian():
    city = city_of([0, 300, 600], [0, 0, 0], [(0, 1), (1, 2), (2, 0)])
    graph = type(city.graph).from_edges(
        (np.array([179.99, -179.99, -179.98]), np.array([-17.0, -17.0, -17.0])),
        city.graph.tail,
        city.graph.head,
        city.graph.length_m,
        city.graph.speed_kph,
        city.graph.road_class,
    )
    zones = grid_zones(City.from_graph("Taveuni", graph, "UTC"), 1000)
    assert len(set(zones.of_nodes(graph).tolist()) - {NO_INDEX}) == len(zones) >= 2
    assert zones.zone_of([180.01, 0.0], [-17.0, -17.0]).tolist() == [
        zones.zone_of([-179.99], [-17.0])[0],
        NO_INDEX,
    ]


@pytest.mark.parametrize("cell_m", [0, -5, np.nan, 1e6])
def test_a_side_that_is_none_is_refused(cell_m):
    with pytest.raises(InputError, match="cell_m is"):
        grid_zones(CITY, cell_m)


def test_400_000_points_have_the_zones_of_their_nodes():
    zones = grid_zones(CITY, 300)
    random = np.random.default_rng(0)
    node = random.integers(0, CITY.graph.num_nodes, 400_000)
    lon, lat = CITY.graph.node_lon[node], CITY.graph.node_lat[node]
    zone = zones.zone_of(lon, lat)
    assert np.array_equal(zone, zones.of_nodes(CITY.graph)[node])
