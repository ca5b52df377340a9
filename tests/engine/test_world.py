from dataclasses import replace

import numpy as np
import pytest

from cities import PLANE, T0, city_of, dispatcher_on, grid_city, line_city, new_orders, places, positions
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.roads.travel_times import MatrixTravelTimes
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX
from naive.neighbours import neighbours

CITY = line_city()


def world_of(city=CITY, **params):
    travel_times = city.free_flow()
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
        World.of(CITY, other.free_flow(), DispatchParams())


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


# Nodes 0 and 1 are the ends of a street of 1 km, 2 lies beyond it; from 2 a street of one way leads to 3.
LONG = city_of([0, 1000, 1100, 1100], [0, 0, 0, 1000], [(0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 0)])


def at_metres(x, y):
    return PLANE.to_degrees(np.asarray(x, float), np.asarray(y, float))


def test_the_middle_of_a_long_street_is_at_its_nearer_end():
    x, y = [499, 501, 499, 501, 500, 1100, 1100, 0], [0, 0, -190, -190, -300, 490, 510, 0]
    assert world_of(LONG).node_of(*at_metres(x, y)).tolist() == [0, 1, 0, 1, NO_INDEX, 2, 3, 0]
    assert world_of(LONG, snap_limit_m=350.0).node_of(*at_metres([490], [-300])).tolist() == [0]
    assert world_of(LONG, snap_limit_m=5.0).node_of(*at_metres([499, 499], [4, 6])).tolist() == [0, NO_INDEX]


def test_streets_are_looked_for_only_where_no_node_is():
    world = world_of(replace(LONG))
    assert world.node_of(*at_metres([0, 150, 1050], [0, 0, 50])).tolist() == [0, 0, 2]
    assert "edge_snapper" not in vars(world.city)
    world.node_of(*at_metres([300], [0]))
    assert "edge_snapper" in vars(world.city)


def test_orders_and_drivers_on_a_long_street_are_on_the_network():
    dispatcher = dispatcher_on(LONG)
    dispatcher.drivers_online(Positions([1, 2], *at_metres([400, 600], [0, 0]), T0))
    fleet = dispatcher._state.fleet
    assert fleet.node[:2].tolist() == [0, 1]
    away = at_metres([400, 600], [-300, 0])
    assert dispatcher.update_positions(Positions([1, 2], *away, T0 + 1)) == (0, 1)
    assert fleet.node[:2].tolist() == [NO_INDEX, 1]
    dispatcher.submit(NewOrders([7], *at_metres([300], [10]), *at_metres([1100], [600]), T0 + 1))
    orders = dispatcher._state.orders
    assert (orders.pickup_node[0], orders.dropoff_node[0]) == (0, 3)
    (offer,) = [event for event in dispatcher.step(T0 + 2) if event["kind"] == EventKind.ORDER_OFFERED]
    assert (offer["driver_id"], offer["eta_ms"]) == (2, 100_000)
    with pytest.raises(InputError, match=r"pickup_lon\[0\], .*no node of Testville lies within 200 m"):
        dispatcher.submit(NewOrders([8], *at_metres([500], [-300]), *at_metres([1100], [600]), T0 + 2))


def test_swapped_places_on_a_long_street_are_told():
    lon, lat = at_metres([500], [0])
    with pytest.raises(InputError, match="longitude and latitude look swapped"):
        world_of(LONG).snap(lat, lon, "")


@pytest.mark.parametrize(
    ("plain", "params"),
    [
        (True, {}),
        (True, {"policy": Policy(priority_cap=2.0)}),
        (False, {"policy": Policy(patience_weight=0.1)}),
        (False, {"policy": Policy(priority_weights=(1.0,))}),
        (False, {"policy": Policy(starvation_s=60.0)}),
        (False, {"keep_explanations": 1}),
    ],
)
def test_a_step_is_plain_where_nobody_is_weighed_or_explained(plain, params):
    assert World.of(CITY, CITY.free_flow(), DispatchParams(**params)).is_plain == plain


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
    fleet.class_bits[drivers], fleet.skills[drivers] = random.choice([1, 2, 3], 7), random.choice([1, 3], 7)
    for bits, skills in (([7, 7, 7], 0), ([1, 2, 4], 0), ([2, 1, 3], 2)):
        found = world.nearest_drivers(fleet, drivers, pickups, np.array(bits), skills)
        for row, node in enumerate(pickups):
            mine = slice(found.first[row], found.first[row + 1])
            told = list(zip(found.distance_m[mine].tolist(), found.item[mine].tolist(), strict=True))
            suits = (fleet.class_bits[drivers] & bits[row]) != 0
            suits &= (fleet.skills[drivers] & skills) == skills
            place = world.node_x[node], world.node_y[node]
            near = neighbours(fleet.x[drivers], fleet.y[drivers], *place, 4, available=suits)
            assert told == near


def test_nearest_by_road_asks_the_metric_of_the_drivers_given():
    city = grid_city(seed=2)
    metric = city.free_flow()
    params = DispatchParams(candidates_by="road", candidates_per_order=3, max_pickup_s=150.0)
    dispatcher = Dispatcher(city, metric, params)
    nodes = np.random.default_rng(0).integers(0, 81, 15)
    dispatcher.drivers_online(positions(city, np.arange(15), nodes))
    drivers, pickups = np.array([1, 3, 4, 8, 9, 11, 14], np.int32), np.array([0, 40, 80], np.int32)
    found = dispatcher._world.nearest_by_road(dispatcher._state.fleet.node[drivers], pickups)
    told = metric.nearest(nodes[drivers], pickups, 3, 150_000)
    for mine, theirs in zip(found, told, strict=True):
        assert mine.tolist() == theirs.tolist()
    assert 0 < len(found.ms) < 9
    assert found.ms.max() <= 150_000


def test_by_road_the_longest_pickup_may_be_the_longest_travel_time():
    params = DispatchParams(candidates_by="road", max_pickup_s=MAX_TRAVEL_MS / 1000)
    dispatcher = Dispatcher(CITY, None, params)
    drivers, pickups = np.array([0, 5], np.int32), np.array([3], np.int32)
    found = dispatcher._world.nearest_by_road(drivers, pickups)
    assert (found.item.tolist(), found.ms.tolist()) == ([1, 0], [20_000, 30_000])


def test_only_a_metric_finds_candidates_by_road():
    by_road, num_nodes = DispatchParams(candidates_by="road"), CITY.graph.num_nodes
    matrix = MatrixTravelTimes(np.zeros((num_nodes, num_nodes), np.int32))
    for told in (matrix, Clocked()):
        with pytest.raises(InputError, match="candidates_by is 'road' and travel_times a MatrixTravelTimes"):
            Dispatcher(CITY, told, by_road)
        Dispatcher(CITY, told)
    World.of(CITY, CITY.free_flow(), by_road)


class Clocked:
    """Travel times that say when they were asked for: every drive takes as many seconds as the hour."""

    def __init__(self):
        self.asked_ms = []

    def at(self, at_ms):
        self.asked_ms.append(at_ms)
        hour = at_ms // 3_600_000
        num_nodes = CITY.graph.num_nodes
        return MatrixTravelTimes(np.full((num_nodes, num_nodes), 1000 * (hour % 1000), np.int32))


def test_every_command_uses_the_travel_times_of_its_instant():
    clocked = Clocked()
    dispatcher = Dispatcher(CITY, clocked, DispatchParams(stale_position_s=80_000.0, max_wait_s=80_000.0))
    assert dispatcher.travel_times is clocked
    t0 = 3_600_000 * 1000 * 475  # the hours after it count from 0
    del clocked.asked_ms[:]
    at_ms = [t0 + 3_600_000 * hour for hour in range(10)]
    dispatcher.drivers_online(positions(CITY, [1, 2], [0, 5], at_ms[1]))
    (quote,) = dispatcher.quote(new_orders(CITY, [7], [3], [9]), at_ms[2])
    assert (quote.pickup_eta_ms, quote.trip_ms, quote.trip_m) == (2000, 2000, None)
    assert dispatcher.nearby(*(one[0] for one in places(CITY, [4])), at_ms[3]).eta_ms.tolist() == [3000, 3000]
    dispatcher.submit(new_orders(CITY, [7, 8], [3, 4], [9, 9], np.array([at_ms[2], at_ms[4]])))
    dispatcher.assign([8], [2], at_ms[5])
    events = dispatcher.step(at_ms[6])
    eta_ms = {EventKind(e["kind"]): int(e["eta_ms"]) for e in events}
    assert eta_ms[EventKind.ORDER_ASSIGNED] == 5000
    assert eta_ms[EventKind.ORDER_OFFERED] == 6000
    dispatcher.accept([7], [1], at_ms[6])
    dispatcher.arrive([7], at_ms[8], [100.0])
    dispatcher.pick_up([7], at_ms[8])
    (picked_up,) = dispatcher.take_events()[-1:]
    assert picked_up["eta_ms"] == 4000  # the trip's time as told when it was submitted
    assert clocked.asked_ms == [at_ms[hour] for hour in (2, 3, 4, 5, 6)]


def test_travel_times_by_time_of_another_network_are_refused():
    class Elsewhere:
        def at(self, at_ms):
            return grid_city().free_flow()

    class Nothing:
        def at(self, at_ms):
            return None

    with pytest.raises(InputError, match="travel_times cover 81 nodes, the city has 20"):
        Dispatcher(CITY, Elsewhere())
    with pytest.raises(InputError, match="travel_times is a NoneType: it must have num_nodes and pairs_ms"):
        Dispatcher(CITY, Nothing())


def test_a_world_without_a_clock_stays_the_same():
    world = world_of()
    assert world.at(T0) is world
    assert world.by_time is None
