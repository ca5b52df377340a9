import datetime

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.units import NO_INDEX
from roads.small_city import BOTH, LAT0, LON0, STEP, arcs, city_of, square, write


@BOTH
def test_a_small_city(tmp_path, suffix):
    city = city_of(tmp_path / "square", *square(), suffix)
    assert (city.name, city.timezone, city.drops) == ("square", "Europe/Berlin", ())
    assert city.folder == tmp_path / "square"
    assert city.graph.node_lon.tolist() == [LON0, LON0 + STEP, LON0 + STEP, LON0]
    assert arcs(city) == [(0, 1), (0, 3), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0), (3, 2)]
    assert city.graph.free_flow_ms().tolist() == [10_000] * 8
    assert set(city.graph.road_class) == {ROAD_CLASSES.index("primary")}
    assert (city.projection.lon0, city.projection.lat0) == pytest.approx((LON0 + STEP / 2, LAT0 + STEP / 2))
    assert city.trips is None
    assert city.pings_path is None
    assert city.snap([LON0, LON0 + 1], [LAT0, LAT0])[0].tolist() == [0, NO_INDEX]


def ring(lon, lat):
    nodes = np.arange(len(lon), dtype=np.int32)
    one = np.ones(len(lon))
    return RoadGraph.from_edges(
        (np.array(lon, float), np.array(lat, float)),
        nodes,
        np.roll(nodes, 1),
        one * 100,
        one * 50,
        one.astype(np.int8),
    )


def test_a_city_of_a_graph():
    water = shapely.box(0, 0, 1, 1)
    city = City.from_graph("ring", ring([139.6, 139.8, 139.8], [35.6, 35.6, 35.7]), water=water)
    assert (city.timezone, city.water) == ("Asia/Tokyo", water)
    assert (city.projection.lon0, city.projection.lat0) == pytest.approx((139.7, 35.65))
    assert City.from_graph("ring", city.graph, "UTC").timezone == "UTC"
    assert city.snapper is city.snapper


def test_a_city_across_the_antimeridian():
    city = City.from_graph("Taveuni", ring([179.95, -179.95, -179.9], [-16.8, -16.8, -16.9]))
    assert city.projection.lon0 == pytest.approx(-179.975)
    node, distance_m = city.snap([-179.9501, 179.9501], [-16.8, -16.8])
    assert node.tolist() == [1, 0]
    assert distance_m == pytest.approx([10.66, 10.66], abs=0.05)


def test_cities_that_cannot_be():
    with pytest.raises(InputError, match=r"graph has no nodes"):
        City.from_graph("empty", ring([], []))
    with pytest.raises(InputError, match=r"lat0 is 89.0"):
        City.from_graph("pole", ring([0, 1], [89, 89]))
    with pytest.raises(InputError, match=r"timezone is 'Mars/Olympus'"):
        City.from_graph("ring", ring([0, 1], [0, 0]), "Mars/Olympus")


def test_pings_beside_the_city(tmp_path):
    city_of(tmp_path / "city", *square())
    write(tmp_path / "city", "pings", {"driver_id": [1]})
    assert City.load(tmp_path / "city").pings_path == tmp_path / "city" / "pings.parquet"


# Real data


def both_inside(trips):
    return int(np.count_nonzero((trips.pickup_node != NO_INDEX) & (trips.dropoff_node != NO_INDEX)))


def test_san_francisco(data):
    city = City.load(data / "san_francisco")
    assert (city.graph.num_nodes, city.graph.num_arcs, city.drops) == (9_326, 29_091, ())
    assert city.timezone == "America/Los_Angeles"
    assert len(city.trips) == 329_974
    assert city.trips.days(city.timezone) == [
        datetime.date(2008, 5, 17) + datetime.timedelta(days=day) for day in range(18)
    ]
    day = city.trips.on_day(datetime.date(2008, 5, 31), city.timezone)
    assert (len(day), both_inside(day)) == (22_846, 21_352)
    assert city.pings_path == data / "san_francisco" / "pings.parquet"


def test_manhattan(data):
    city = City.load(data / "manhattan")
    assert city.graph.num_nodes == 4_401
    assert {drop.count for drop in city.drops if "nodes" in drop.what} == {89}
    assert (len(city.trips), both_inside(city.trips)) == (79_692, 79_618)
    assert (city.trips.dated, city.timezone) == (False, "America/New_York")
    assert city.trips.requested_at_ms.max() == 1439 * 60_000


def test_manhattan_hourly(data):
    city = City.load(data / "manhattan_hourly")
    assert (city.graph.num_nodes, city.graph.num_arcs) == (4_091, 9_452)
    assert city.graph.speed_kph.max() <= 120
    assert 10 < np.median(city.graph.speed_kph) < 30


def test_rhein_neckar(data):
    city = City.load(data / "rhein_neckar")
    assert city.timezone == "Europe/Berlin"
    # six edges have no length, which cuts off five nodes
    assert [drop.count for drop in city.drops] == [6, 5, 6]
    assert city.graph.num_nodes == 158_785 - 5
    assert ROAD_CLASSES[np.bincount(city.graph.road_class).argmax()] == "residential"


def test_dimacs_new_york(data):
    city = City.load(data / "dimacs_ny")
    assert (city.graph.num_nodes, city.graph.num_arcs, city.drops) == (264_346, 733_846, ())
    travel_time = (
        pq.read_table(data / "dimacs_ny" / "edges.parquet")
        .sort_by([("from_node", "ascending"), ("to_node", "ascending")])["travel_time"]
        .to_numpy()
    )
    ratio = city.graph.length_m / city.graph.speed_kph / travel_time
    assert np.ptp(ratio) < 1e-9 * ratio[0]
