from dataclasses import replace

import numpy as np
import pytest

from cities import T0, grid_city, line_city, random_trips, shifts_of, small_scenario
from dispatch.analysis.invariants import check_invariants
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.land_use_of_roads import land_use_of_roads, residential_m
from dispatch.sim.demand import DemandProfile, ordinary_day, synthetic_orders
from dispatch.sim.runner import run
from dispatch.sim.scenario import (
    LONGEST_RIDE_S,
    SimParams,
    drain_ms,
    made_up_day,
    spread_in_time,
    synthetic_scenario,
)
from dispatch.units import MS_PER_DAY

CITY = line_city()

WRONG = [
    ("window_s", 0, "window_s is 0: it must be a number from 0.1 to 3600 seconds"),
    ("window_s", -10, "window_s is -10"),
    ("window_s", np.nan, "window_s is nan"),
    ("window_s", "10", "window_s is '10'"),
    ("boarding_s", -1, "boarding_s is -1: it must be a number from 0 to 3600 seconds"),
    ("alighting_s", 3601, "alighting_s is 3601"),
    ("ping_s", 0, "ping_s is 0: it must be a number from 1 to 3600 seconds"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_simulation_parameters_out_of_range(name, value, message):
    with pytest.raises(InputError) as raised:
        SimParams(**{name: value})
    assert str(raised.value).startswith(message)


def test_an_empty_fleet():
    with pytest.raises(InputError, match="the fleet is empty: no driver is on duty"):
        small_scenario(shifts=shifts_of([(1, T0, T0 + 1, 0)]).__class__(*[np.empty(0, np.int64)] * 4))


def test_no_orders():
    with pytest.raises(InputError, match="there are no orders on that day"):
        small_scenario(orders=random_trips(CITY, 0))


@pytest.mark.parametrize("end", ["pickup_node", "dropoff_node"])
def test_an_order_off_the_network(end):
    orders = random_trips(CITY, 3)
    getattr(orders, end)[1] = -1
    with pytest.raises(InputError, match="an order has an end off the network"):
        small_scenario(orders=orders)


def test_the_same_day_under_another_policy():
    scenario = small_scenario()
    nearest = scenario.with_policy("nearest")
    assert nearest.params == replace(scenario.params, policy="nearest")
    assert nearest.orders is scenario.orders
    assert nearest.shifts is scenario.shifts
    with pytest.raises(InputError, match="policy is 'best'"):
        scenario.with_policy("best")


def test_travel_times_of_an_instant():
    """Constant ones are in force at all instants, others say which."""
    scenario, free, slow = small_scenario(city=CITY), CITY.free_flow(), CITY.free_flow(2.0)

    class SlowAtLast:
        def at(self, at_ms):
            return free if at_ms < 100 else slow

    class Other:
        num_nodes, pairs_ms, paths = free.num_nodes, free.pairs_ms, free.paths

    assert scenario.travel_times_at(0) is scenario.travel_times_at(100) is scenario.travel_times
    other = Other()
    assert replace(scenario, travel_times=other).travel_times_at(100) is other
    by_time = replace(scenario, travel_times=SlowAtLast())
    assert [by_time.travel_times_at(at_ms) for at_ms in (0, 99, 100)] == [free, free, slow]


def test_requests_of_a_coarse_clock_are_spread_within_its_step():
    trips = random_trips(CITY, 5000, span_s=600)
    minutes = replace(
        trips, requested_at_ms=trips.requested_at_ms // 60_000 * 60_000, resolution_ms=60_000, dated=False
    )
    spread = spread_in_time(minutes, seed=3)
    assert (np.diff(spread.requested_at_ms) >= 0).all()
    assert spread.resolution_ms == 1
    assert not spread.dated
    counts = [np.bincount(t.requested_at_ms // 60_000 - T0 // 60_000) for t in (minutes, spread)]
    assert np.array_equal(*counts)
    within = spread.requested_at_ms % 60_000
    assert within.min() < 100
    assert within.max() > 59_900
    assert abs(within.mean() - 30_000) < 1000
    assert sorted(spread.pickup_node.tolist()) == sorted(minutes.pickup_node.tolist())
    assert np.array_equal(spread_in_time(minutes, 3).requested_at_ms, spread.requested_at_ms)
    assert not np.array_equal(spread_in_time(minutes, 4).requested_at_ms, spread.requested_at_ms)


def test_no_request_leaves_its_step():
    trips = replace(random_trips(CITY, 20_000, span_s=1), resolution_ms=1001)
    trips.requested_at_ms[:] = T0
    within = spread_in_time(trips, seed=0).requested_at_ms - T0
    assert (within.min(), within.max()) == (0, 1000)


def test_requests_of_a_fine_clock_stay_where_they_are():
    trips = random_trips(CITY, 100)
    shuffled = trips.select(np.random.default_rng(0).permutation(100))
    spread = spread_in_time(shuffled, seed=3)
    assert np.array_equal(spread.requested_at_ms, trips.requested_at_ms)
    assert np.array_equal(spread.pickup_node, trips.pickup_node)


def test_the_built_in_day():
    scenario = synthetic_scenario(seed=2, num_orders=200, num_drivers=30, shift_h=6.0)
    assert len(scenario.orders) == 200
    assert scenario.shifts.num_drivers == 30
    assert scenario.orders.requested_at_ms.min() >= 0
    assert scenario.orders.requested_at_ms.max() < MS_PER_DAY
    assert scenario.shifts.end_at_ms.max() <= MS_PER_DAY + drain_ms(scenario.params)
    assert (scenario.seed, scenario.date, scenario.timezone, scenario.orders_outside) == (2, None, "UTC", 0)
    assert "seed 2" in scenario.notes[0]
    again = synthetic_scenario(seed=2, num_orders=200, num_drivers=30, shift_h=6.0)
    assert np.array_equal(again.orders.pickup_node, scenario.orders.pickup_node)
    assert np.array_equal(again.shifts.start_at_ms, scenario.shifts.start_at_ms)


def test_a_day_of_any_network():
    """Residential streets only: an order for each 200 m of them, but at least 100, a driver for 25."""
    city = grid_city(num_rows=16, num_cols=16)
    day = made_up_day(city, seed=3)
    street_m = residential_m(city.graph)
    assert street_m == pytest.approx(city.graph.length_m.sum() / 2, rel=0.001)
    assert len(day.orders) == round(street_m / 200) > 500
    assert day.shifts.num_drivers == round(len(day.orders) / 25)
    assert (day.seed, day.date, day.timezone, day.start_at_ms) == (3, None, "UTC", 0)
    with_use = replace(city, land_use=land_use_of_roads(city.graph, city.projection))
    orders = synthetic_orders(with_use, len(day.orders), 3, profile=ordinary_day(with_use))
    assert np.array_equal(day.orders.pickup_node, orders.pickup_node)
    told = " ".join(day.notes)
    for said in (
        "(seed 3)",
        "8 hours",
        "guessed from",
        "The median trip is about",
        "one for each 200 m of",
        "one for 25",
    ):
        assert said in told
    finished = run(day)
    assert not finished.partial
    assert check_invariants(finished.events).num_closed > 0.9 * len(day.orders)


def test_a_small_network_still_has_a_day():
    day = made_up_day(CITY)
    assert (len(day.orders), day.shifts.num_drivers) == (100, 5)


def test_what_is_given_is_not_made_up():
    city = replace(grid_city(), land_use=land_use_of_roads(grid_city().graph, grid_city().projection))
    profile = DemandProfile(median_trip_m=500.0)
    day = made_up_day(city, 40, 3, 24.0, 7, sim=SimParams(window_s=15.0), profile=profile)
    assert (len(day.orders), day.shifts.num_drivers, day.sim.window_s) == (40, 3, 15.0)
    assert day.city is city
    assert len(day.notes) == 3
    assert day.notes[0] == "Orders and fleet are made up (seed 7); drivers work shifts of 24 hours."


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_orders": 0}, "orders is 0: it must be a number from 1 to 1e"),
        ({"num_drivers": 0}, "drivers is 0"),
        ({"shift_h": 0.0}, "shift_h is 0.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_made_up_day_that_cannot_be(wrong, message):
    with pytest.raises(InputError) as raised:
        made_up_day(grid_city(), **wrong)
    assert str(raised.value).startswith(message)


def test_a_day_straight_from_openstreetmap(data):
    day = made_up_day(City.from_osm(data / "osm" / "andorra.osm.pbf"), 300)
    assert day.shifts.num_drivers == 12
    assert 200_000 < residential_m(day.city.graph) < 320_000
    report = check_invariants(run(day).events)
    assert report.num_closed > 0.85 * len(day.orders)


def test_the_last_orders_of_a_day_find_drivers():
    params = small_scenario().params
    assert drain_ms(params) == round(params.max_wait_s + LONGEST_RIDE_S) * 1000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_orders": 0}, "orders is 0: it must be a number from 1 to 1e"),
        ({"num_orders": 1.5}, "orders is 1.5: it must be a whole number"),
        ({"num_drivers": 0}, "drivers is 0"),
        ({"shift_h": 0.0}, "shift_h is 0.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_built_in_day_that_cannot_be(wrong, message):
    with pytest.raises(InputError) as raised:
        synthetic_scenario(**{"num_orders": 20, "num_drivers": 3} | wrong)
    assert str(raised.value).startswith(message)


def test_a_grid_city_is_what_its_helper_says():
    """The scenarios of these tests stand on it: every node reaches every other one."""
    city = grid_city()
    pairs = np.indices((city.graph.num_nodes, city.graph.num_nodes), np.int32).reshape(2, -1).copy()
    assert small_scenario().travel_times.pairs_ms(pairs[0], pairs[1]).max() < 600_000
