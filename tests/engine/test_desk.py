"""Cars nearby, quotes, assignment by hand."""

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import (
    T0,
    assert_same_tables,
    dispatcher_on,
    grid_city,
    line_city,
    new_orders,
    places,
    positions,
    tables_of,
)
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import NewDrivers, Positions
from dispatch.engine.params import DispatchParams, FareRule
from dispatch.engine.terms import DriverTerms
from dispatch.errors import InputError
from dispatch.roads.spread_times import SpreadTimes
from dispatch.roads.travel_times import MatrixTravelTimes
from dispatch.units import UNREACHABLE_MS
from naive.neighbours import neighbours
from naive.shortest_paths import arcs_of, travel_times_to

LINE, SQUARE = line_city(), grid_city(seed=5)


def on_line(nodes, at_ms=T0, **params):
    dispatcher = dispatcher_on(LINE, **params)
    dispatcher.drivers_online(positions(LINE, np.arange(len(nodes)), nodes, at_ms))
    return dispatcher


def cars_at(dispatcher, node, now_ms=T0, **options):
    return dispatcher.nearby(*(float(degree[0]) for degree in places(LINE, node)), now_ms, **options)


def test_nearest_by_air_first_with_their_etas():
    cars = cars_at(on_line([19, 3, 8, 5]), 4, num_cars=3)
    assert cars.driver_id.tolist() == [1, 3, 2]
    assert cars.distance_m == pytest.approx([100, 100, 400], abs=0.1)
    assert cars.eta_ms.tolist() == [10_000, 10_000, 40_000]


def test_each_car_tells_how_old_its_position_is():
    dispatcher = on_line([3, 8])
    dispatcher.update_positions(positions(LINE, [1], [8], T0 + 40_000))
    cars = cars_at(dispatcher, 4, T0 + 60_000)
    assert (cars.driver_id.tolist(), cars.age_ms.tolist()) == ([0, 1], [60_000, 20_000])


def test_the_radius_and_the_number_bound_what_is_shown():
    dispatcher = on_line([19, 3, 8, 5])
    assert cars_at(dispatcher, 4, radius_m=150).driver_id.tolist() == [1, 3]
    assert cars_at(dispatcher, 4, num_cars=1).driver_id.tolist() == [1]
    assert cars_at(dispatcher, 12, radius_m=0).driver_id.tolist() == []
    assert cars_at(dispatcher, 19, radius_m=0.001).driver_id.tolist() == [0]
    assert cars_at(on_line([]), 4).driver_id.tolist() == []


def test_all_drivers_around_a_place_by_brute_force():
    city, random = grid_city(), np.random.default_rng(3)
    dispatcher = dispatcher_on(city)
    nodes = random.integers(0, city.graph.num_nodes, 50)
    dispatcher.drivers_online(positions(city, np.arange(50), nodes))
    x, y = city.projection.to_plane(*places(city, nodes))
    travel_ms = city.graph.free_flow_ms()
    arcs = arcs_of(city.graph, travel_ms)
    for node in range(0, city.graph.num_nodes, 17):
        lon, lat = places(city, node)
        cars = dispatcher.nearby(lon[0], lat[0], T0, num_cars=12, radius_m=900)
        qx, qy = city.projection.to_plane(lon, lat)
        expected = neighbours(x, y, qx[0], qy[0], 12, 900)
        assert cars.driver_id.tolist() == [driver for _, driver in expected]
        to_node = travel_times_to(arcs, node, city.graph.num_nodes)
        assert cars.eta_ms.tolist() == [to_node[nodes[driver]] for _, driver in expected]


def test_a_position_of_120_s_is_a_car_and_an_older_one_is_none():
    dispatcher = on_line([3])
    order = new_orders(LINE, [1], [4], [9])
    assert cars_at(dispatcher, 4, T0 + 120_000).driver_id.tolist() == [0]
    assert cars_at(dispatcher, 4, T0 + 120_001).driver_id.tolist() == []
    assert dispatcher.quote(order, T0 + 120_000)[0].num_cars == 1
    assert dispatcher.quote(order, T0 + 120_001)[0].pickup_eta_ms is None


@pytest.mark.parametrize(("max_pickup_s", "num_cars"), [(30.0, 1), (29.999, 0)])
def test_a_car_just_as_far_as_the_limit_is_one(max_pickup_s, num_cars):
    dispatcher = on_line([3], max_pickup_s=max_pickup_s)
    order = new_orders(LINE, [1], [6], [9])
    assert dispatcher.quote(order, T0)[0].num_cars == num_cars
    dispatcher.submit(order)
    events = dispatcher.step(T0)
    assert events["num_cars"].max() == num_cars
    assert (events["kind"] == K.ORDER_OFFERED).sum() == num_cars


@pytest.mark.parametrize(("age_ms", "num_offers"), [(120_000, 1), (120_001, 0)])
def test_a_stale_driver_is_offered_nothing_until_it_is_heard_of(age_ms, num_offers):
    dispatcher = on_line([3])
    dispatcher.submit(new_orders(LINE, [1], [4], [9], T0 + age_ms))
    events = dispatcher.step(T0 + age_ms)
    assert (events["kind"] == K.ORDER_OFFERED).sum() == num_offers
    assert events["num_cars"].max() == num_offers
    if not num_offers:
        assert dispatcher.update_positions(positions(LINE, [0], [3], T0 + age_ms)) == (0, 0)
        assert (dispatcher.step(T0 + age_ms + 1)["kind"] == K.ORDER_OFFERED).sum() == 1


def test_busy_and_offline_drivers_are_no_cars():
    dispatcher = on_line([3, 4, 5, 6])
    dispatcher.drivers_offline([0], T0)
    dispatcher.submit(new_orders(LINE, [1, 2], [4, 12], [9, 9]))
    dispatcher.assign([2], [2], T0)
    dispatcher.step(T0)
    assert dispatcher.order_status([1]) == [1]
    assert cars_at(dispatcher, 4).driver_id.tolist() == [3]


def test_a_driver_off_the_network_is_no_car_until_it_is_back():
    dispatcher = dispatcher_on(LINE)
    lon, lat = places(LINE, [3, 5])
    dispatcher.drivers_online(Positions([0, 1], lon, np.add(lat, [0, 0.01]), T0))
    dispatcher.submit(new_orders(LINE, [1], [5], [9]))
    assert cars_at(dispatcher, 5).driver_id.tolist() == [0]
    with pytest.raises(InputError, match=r"driver_id\[0\] is off the network: send a position on it first"):
        dispatcher.assign([1], [1], T0)
    assert dispatcher.step(T0)[-1][["driver_id", "eta_ms"]].tolist() == (0, 20_000)
    assert dispatcher.update_positions(Positions([0, 1], lon, np.add(lat, [0.01, 0]), T0 + 1)) == (0, 1)
    assert cars_at(dispatcher, 5, T0 + 1).driver_id.tolist() == [1]


def test_late_positions_are_ignored_and_counted():
    dispatcher = on_line([3, 5])
    assert dispatcher.update_positions(positions(LINE, [1, 0], [9, 8], [T0 - 1, T0])) == (1, 0)
    assert cars_at(dispatcher, 6, num_cars=2).driver_id.tolist() == [1, 0]
    assert cars_at(dispatcher, 6, num_cars=2).eta_ms.tolist() == [10_000, 20_000]


def test_the_drop_off_does_not_undo_a_later_position():
    dispatcher = on_line([3])
    dispatcher.submit(new_orders(LINE, [1], [4], [9]))
    dispatcher.assign([1], [0], T0)
    dispatcher.arrive([1], T0, [100])
    dispatcher.pick_up([1], T0)
    dispatcher.update_positions(positions(LINE, [0], [15], T0 + 60_000))
    dispatcher.drop_off([1], T0 + 50_000, [500])
    assert cars_at(dispatcher, 15, T0 + 60_000).eta_ms.tolist() == [0]


def test_after_the_drop_off_the_driver_stands_there():
    dispatcher = on_line([3])
    dispatcher.submit(new_orders(LINE, [1], [4], [9]))
    dispatcher.assign([1], [0], T0)
    dispatcher.arrive([1], T0, [100])
    dispatcher.pick_up([1], T0)
    dispatcher.drop_off([1], T0 + 50_000, [500])
    assert cars_at(dispatcher, 9, T0 + 50_000).eta_ms.tolist() == [0]


def test_a_quote_is_what_happens():
    city, random = grid_city(seed=5), np.random.default_rng(1)
    fare = FareRule(base_cents=100, per_km_cents=90, per_minute_cents=25, minimum_cents=0)
    nodes = random.integers(0, city.graph.num_nodes, (3, 30))
    for order in range(30):
        dispatcher = Dispatcher(city, fare=fare)
        dispatcher.drivers_online(positions(city, np.arange(30), nodes[0]))
        asked = new_orders(city, [order], nodes[1, order], nodes[2, order])
        before = tables_of(dispatcher)
        quote = dispatcher.quote(asked, T0)[0]
        assert_same_tables(before, tables_of(dispatcher))
        dispatcher.submit(asked)
        events = dispatcher.step(T0)
        assert (events["num_cars"].max(), events["eta_ms"][-1]) == (quote.num_cars, quote.pickup_eta_ms)
        dispatcher.accept([order], events["driver_id"][-1:], T0)
        dispatcher.arrive([order], T0 + quote.pickup_eta_ms, [0])
        dispatcher.pick_up([order], T0 + quote.pickup_eta_ms)
        dropped_off_at_ms = T0 + quote.pickup_eta_ms + quote.trip_ms
        dispatcher.drop_off([order], dropped_off_at_ms, [quote.trip_m])
        events = dispatcher.take_events()
        assert events["eta_ms"][events["kind"] == K.PICKED_UP].tolist() == [quote.trip_ms]
        assert events["fare_cents"][-1] == quote.fare_cents


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_quote_goes_by_the_drivers_who_may_serve_the_order(seed, upgrades):
    """Cars of classes and seats, drivers with skills: what is quoted is what is offered, order by order."""
    random, num = np.random.default_rng(seed), 12
    city = SQUARE
    base = Dispatcher(city, params=DispatchParams(upgrades=upgrades))
    base.register_drivers(NewDrivers(range(num), random.integers(0, 3, num), random.integers(1, 5, num)))
    base.set_driver_terms(DriverTerms(range(num), skills=random.integers(0, 4, num)))
    base.drivers_online(positions(city, np.arange(num), random.integers(0, 81, num)))
    pickups = random.integers(0, 81, 6)
    told = {
        "vehicle_class": random.integers(0, 3, 6),
        "passengers": random.integers(1, 5, 6),
        "skills": random.integers(0, 4, 6),
        "may_upgrade": random.integers(0, 2, 6),
    }
    asked = replace(new_orders(city, range(6), pickups, (pickups + 1) % 81), **told)
    for order, quote in enumerate(base.quote(asked, T0)):
        dispatcher = copy.deepcopy(base)
        dispatcher.submit(asked.part(slice(order, order + 1)))
        events = dispatcher.step(T0)
        offered = events[events["kind"] == K.ORDER_OFFERED]["eta_ms"].tolist()
        assert offered == ([] if quote.pickup_eta_ms is None else [quote.pickup_eta_ms])
        assert events["num_cars"].max() == quote.num_cars


def test_quotes_of_many_orders_agree_with_dijkstra():
    city = grid_city()
    dispatcher = dispatcher_on(city, candidates_per_order=200, max_pickup_s=90.0)
    random = np.random.default_rng(2)
    nodes = random.integers(0, city.graph.num_nodes, (3, 20))
    dispatcher.drivers_online(positions(city, np.arange(20), nodes[0]))
    arcs = arcs_of(city.graph, city.graph.free_flow_ms())
    quotes = dispatcher.quote(new_orders(city, np.arange(20), nodes[1], nodes[2]), T0)
    for row, quote in enumerate(quotes):
        to_pickup, to_dropoff = (
            travel_times_to(arcs, nodes[end, row], city.graph.num_nodes) for end in (1, 2)
        )
        near = [to_pickup[node] for node in nodes[0] if to_pickup[node] <= 90_000]
        assert quote.num_cars == len(near)
        assert quote.pickup_eta_ms == min(near, default=None)
        assert quote.trip_ms == to_dropoff[nodes[1, row]]
        assert quote.trip_m >= 0
        assert quote.fare_cents >= 500


def test_travel_times_of_the_user_know_no_metres_and_so_no_fare():
    minutes = np.abs(np.arange(20)[:, None] - np.arange(20)) * 60_000
    minutes[7, :] = UNREACHABLE_MS
    dispatcher = Dispatcher(LINE, MatrixTravelTimes(minutes))
    dispatcher.drivers_online(positions(LINE, [0, 1], [7, 3]))
    asked = new_orders(LINE, [1], [6], [9])
    quote = dispatcher.quote(asked, T0)[0]
    assert (quote.num_cars, quote.pickup_eta_ms, quote.trip_ms) == (1, 180_000, 180_000)
    assert (quote.trip_m, quote.fare_cents) == (None, None)
    assert cars_at(dispatcher, 6).eta_ms.tolist() == [UNREACHABLE_MS, 180_000]
    dispatcher.submit(asked)
    with pytest.raises(InputError, match="row 0: no road leads from the driver to the pickup"):
        dispatcher.assign([1], [0], T0)
    assert dispatcher.step(T0)[-1][["driver_id", "eta_ms"]].tolist() == (1, 180_000)


def test_travel_times_of_another_network():
    with pytest.raises(InputError, match="travel_times cover 3 nodes, the city has 20: they must be of the"):
        Dispatcher(LINE, MatrixTravelTimes(np.zeros((3, 3), np.int32)))


def test_a_quote_tells_how_sure_it_is():
    times = SpreadTimes(LINE.free_flow(), (0.1, 0.5, 0.9), np.array([0.5, 1.0, 2.0]))
    dispatcher = Dispatcher(LINE, times)
    asked = new_orders(LINE, [1], [10], [15])
    (nobody,) = dispatcher.quote(asked, T0)
    assert (nobody.pickup_eta_range_ms, nobody.trip_range_ms) == (None, (25_000, 100_000))
    dispatcher.drivers_online(positions(LINE, [1, 2], [2, 12]))
    (told,) = dispatcher.quote(asked, T0)
    assert (told.pickup_eta_ms, told.pickup_eta_range_ms) == (20_000, (10_000, 40_000))
    assert (told.trip_ms, told.trip_range_ms, told.trip_m) == (50_000, (25_000, 100_000), 500.0)
    certain = on_line([12]).quote(asked, T0)[0]
    assert (certain.pickup_eta_range_ms, certain.trip_range_ms) == (None, None)
