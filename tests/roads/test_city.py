import datetime
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from cities import grid_city, line_city
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES, RoadGraph
from dispatch.roads.hierarchy import Hierarchy
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


# --- its streets, ready for travel times ---------------------------------------------------------


def test_a_city_has_one_network_and_free_flow_on_it():
    city = line_city(5)
    assert city.network is city.network
    assert city.network.graph is city.graph
    metric, slow = city.free_flow(), city.free_flow(1.5)
    assert city.free_flow() is metric, "scenarios of one city share it, and its table of all pairs"
    assert metric.network is slow.network is city.network
    assert metric.travel_ms.tolist() == city.graph.free_flow_ms().tolist()
    assert metric.from_ms([0]).tolist() == [0, 10_000, 20_000, 30_000, 40_000]
    assert slow.from_ms([0]).tolist() == [0, 15_000, 30_000, 45_000, 60_000]
    with pytest.raises(InputError, match="slowdown is 0: it must be a positive number"):
        city.free_flow(0)


@pytest.fixture
def saved(tmp_path):
    """The folder of a city and of the hierarchy in it."""
    city = grid_city(seed=2)
    city.save(tmp_path / "grid")
    return tmp_path / "grid", city.network.save(tmp_path / "grid")


def test_a_hierarchy_in_the_folder_of_the_city_is_used(saved, monkeypatch):
    folder, _ = saved
    made_anew = City.from_graph("anew", City.load(folder).graph)
    expected = made_anew.free_flow().table_ms(np.arange(81), np.arange(81))

    def build(*_):
        pytest.fail("the hierarchy was made anew")

    monkeypatch.setattr(Hierarchy, "build", build)
    city = City.load(folder)
    assert (city.free_flow().table_ms(np.arange(81), np.arange(81)) == expected).all()
    assert (city.network.hierarchy.rank == made_anew.network.hierarchy.rank).all()


def test_a_hierarchy_of_other_streets_is_not_used(saved):
    folder, of_hierarchy = saved
    grid_city(7, 7).save(folder)
    assert not of_hierarchy.exists()
    grid_city(seed=2).network.save(folder)
    city = City.load(folder)
    assert of_hierarchy.exists()
    assert city.network.hierarchy.key not in of_hierarchy.name
    assert (city.free_flow().from_ms([0]) == grid_city(7, 7).free_flow().from_ms([0])).all()


def test_other_speeds_use_the_same_hierarchy(saved):
    folder, of_hierarchy = saved
    slow = replace(City.load(folder).graph, speed_kph=np.full(288, 5.0))
    City.from_graph("slow", slow).save(folder.parent / "slow")
    of_hierarchy.rename(folder.parent / "slow" / of_hierarchy.name)
    city = City.load(folder.parent / "slow")
    assert city.network.hierarchy.key in of_hierarchy.name
    assert isinstance(city.network.hierarchy.rank.base, np.memmap)
    expected = City.from_graph("slow", slow).free_flow().from_ms([0])
    assert city.free_flow().from_ms([0]).tolist() == expected.tolist()


def test_a_damaged_hierarchy_is_told_when_it_is_needed(saved):
    folder, of_hierarchy = saved
    path = of_hierarchy / "tree_upper.npy"
    path.write_bytes(path.read_bytes()[:-8])
    city = City.load(folder)
    assert city.snap([10.0], [50.0])[0].tolist() != [NO_INDEX]
    with pytest.raises(InputError, match=r"hierarchy-\w+ is damaged .*: delete the folder, it is made anew"):
        city.network  # noqa: B018 - asking for it opens the files


# --- real data -----------------------------------------------------------------------------------


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
