import numpy as np
import pytest

from cities import T0, dispatcher_on, grid_city, line_city, places, positions
from dispatch.engine.params import DispatchParams
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.roads.travel_times import RoadTravelTimes
from naive.neighbours import neighbours

CITY = line_city()


def world_of(city=CITY, **params):
    travel_times = RoadTravelTimes(city.graph, city.graph.free_flow_ms())
    return World.of(city, travel_times, DispatchParams(**params))


def test_nodes_lie_in_the_plane_where_the_city_has_them():
    x, y = CITY.projection.to_plane(CITY.graph.node_lon, CITY.graph.node_lat)
    assert np.array_equal(world_of().node_x, x)
    assert np.array_equal(world_of().node_y, y)


def test_travel_times_of_another_network_are_refused():
    other = grid_city()
    with pytest.raises(
        InputError, match="travel_times cover 81 nodes, the city has 20: they must be of the same"
    ):
        World.of(CITY, RoadTravelTimes(other.graph, other.graph.free_flow_ms()), DispatchParams())


def test_places_on_the_network_get_their_node():
    assert world_of().snap(*places(CITY, [3, 0, 19]), "pickup_").tolist() == [3, 0, 19]


def test_the_first_place_off_the_network_is_named():
    lon, lat = places(CITY, [3, 4])
    lat = lat + np.array([0, 0.5])
    with pytest.raises(
        InputError, match=r"pickup_lon\[1\], pickup_lat\[1\] is .*no node of Testville lies within"
    ):
        world_of().snap(lon, lat, "pickup_")


def test_swapped_coordinates_are_told():
    lon, lat = places(CITY, [3, 4])
    with pytest.raises(InputError, match=r"lon\[0\], lat\[0\] is .*longitude and latitude look swapped"):
        world_of().snap(lat, lon, "")


def test_free_drivers_are_idle_fresh_and_on_the_network():
    dispatcher = dispatcher_on(CITY, stale_position_s=60.0)
    dispatcher.drivers_online(positions(CITY, [1, 2, 3], [0, 5, 9]))
    dispatcher.drivers_offline([2], T0)
    world, fleet = dispatcher._world, dispatcher._state.fleet
    assert world.free_drivers(fleet, T0 + 60_000).tolist() == [0, 2]
    assert world.free_drivers(fleet, T0 + 60_001).tolist() == []
    dispatcher.update_positions(positions(CITY, [3], [8], T0 + 30_000))
    assert world.free_drivers(fleet, T0 + 60_001).tolist() == [2]


def test_nearest_drivers_agree_with_brute_force():
    city = grid_city(seed=2)
    dispatcher = dispatcher_on(city, candidates_per_order=4)
    random = np.random.default_rng(0)
    dispatcher.drivers_online(positions(city, np.arange(15), random.integers(0, 81, 15)))
    world, fleet = dispatcher._world, dispatcher._state.fleet
    drivers = np.array([1, 3, 4, 8, 9, 11, 14], np.int32)
    pickups = np.array([0, 40, 80], np.int32)
    found = world.nearest_drivers(fleet, drivers, pickups)
    for row, node in enumerate(pickups):
        mine = slice(found.first[row], found.first[row + 1])
        told = list(zip(found.distance_m[mine].tolist(), found.item[mine].tolist(), strict=True))
        assert told == neighbours(
            fleet.x[drivers], fleet.y[drivers], world.node_x[node], world.node_y[node], 4
        )
