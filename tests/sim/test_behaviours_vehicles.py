"""What cars need, and how long they really take, measured from the log."""

from dataclasses import replace

import numpy as np
import pytest

from cities import T0
from dispatch.engine.events import EventKind as K
from dispatch.kernels import sim_state
from dispatch.kernels.random_streams import draw
from dispatch.sim.runner import run
from dispatch.sim.traffic import LEVEL_Z, TrafficModel
from simulated import (
    GRID,
    GRID_TIMES,
    assert_drawn_from,
    assert_share,
    at_of,
    behaving,
    busy_day,
    of_kind,
)

MINUTE = 60_000
RANGE_KM, RESERVE, CHARGE_MIN = 12.0, 0.35, 30.0
METRES = (K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG, K.DRIVER_ARRIVED, K.DROPPED_OFF)


def by_driver(events):
    mine = {}
    for event in events[events["driver_id"] >= 0]:
        mine.setdefault(int(event["driver_id"]), []).append(event)
    return mine


def electric_day(num_stations=2, slots=2, electric_share=1.0, seed=1, **drivers):
    vehicles = {
        "electric_share": electric_share, "range_km": RANGE_KM, "reserve_share": RESERVE,
        "charge_min": CHARGE_MIN, "num_stations": num_stations, "slots_per_station": slots,
    }  # fmt: skip
    behaviour = behaving(vehicles=vehicles, drivers=drivers)
    return busy_day(500, 30, hours=2.5, seed=seed, behaviour=behaviour)


def charging_stops(day, events):
    """Each stop that was finished: (station, came at, began at, done at), and the batteries (km) on the way.

    Rebuilt from metres alone: what a battery holds at first is drawn, each stop fills it.
    """
    driver_ids = np.unique(day.shifts.driver_id)
    first = np.empty(len(driver_ids))
    draw(day.seed, sim_state.BATTERY, np.arange(len(driver_ids)), 0, first)
    km_left = dict(zip(driver_ids.tolist(), ((0.4 + 0.6 * first) * RANGE_KM).tolist(), strict=True))
    stops, batteries = [], []
    for driver, mine in by_driver(events).items():
        on_duty, km, came = False, km_left[driver], None
        for event in mine:
            if event["kind"] in METRES:
                km -= event["leg_m"] / 1000
                batteries.append(km)
            if event["kind"] == K.CRUISING_LEG and not on_duty:
                came = (int(event["lon_e6"]), int(event["lat_e6"])), int(event["at_ms"]), km
            elif event["kind"] == K.DRIVER_ONLINE:
                on_duty = True
                if came is not None:
                    station, at_ms, had_km = came
                    takes_ms = (RANGE_KM - had_km) / RANGE_KM * CHARGE_MIN * MINUTE
                    stops.append((station, at_ms, int(event["at_ms"]) - takes_ms, int(event["at_ms"])))
                    km, came = RANGE_KM, None
            elif event["kind"] == K.DRIVER_OFFLINE:
                on_duty = False
                assert event["at_ms"] >= T0
    return stops, np.array(batteries)


def test_cars_charge_in_time_and_at_a_constant_rate():
    day = electric_day(num_stations=20, slots=50)
    stops, batteries = charging_stops(day, run(day).events)
    assert len(stops) > 60
    for _, came_ms, began_ms, _ in stops:
        assert abs(began_ms - came_ms) < 1000, (
            "with slots enough nobody queues; metres are told in whole ones"
        )
    # Asked at the end of each trip: the longest pickup, trip and way to a station from the reserve on.
    longest_km = 3 * 16 * 0.36
    assert batteries.min() > RESERVE * RANGE_KM - longest_km
    assert (batteries > 0).mean() > 0.99


@pytest.mark.parametrize(("num_stations", "slots"), [(1, 1), (1, 3), (2, 2)])
def test_a_station_charges_no_more_cars_than_it_has_slots_first_come_first_served(num_stations, slots):
    day = electric_day(num_stations, slots)
    stops, _ = charging_stops(day, run(day).events)
    stations = {stop[0] for stop in stops}
    assert len(stations) <= num_stations
    num_queued = 0
    for station in stations:
        mine = sorted(stop[1:] for stop in stops if stop[0] == station)
        began_ms, done_ms = (np.array([stop[k] for stop in mine]) for k in (1, 2))
        assert (np.diff(began_ms) > -1000).all(), "who came first began first"
        for at_ms in began_ms + 1000:  # a second is what whole metres hide
            assert ((began_ms < at_ms - 500) & (at_ms < done_ms)).sum() <= slots
        num_queued += sum(began - came > 1000 for came, began, _ in mine)
    assert num_queued > 3


def test_so_many_cars_are_electric():
    random = np.random.default_rng(3)
    vehicles = {"electric_share": 0.3, "range_km": 1.0, "reserve_share": 1.0, "charge_min": 1.0}
    day = busy_day(1500, 300, behaviour=behaving(vehicles=vehicles), seed=int(random.integers(100)))
    events = run(day).events
    # After every trip the battery is not full, so that each electric car goes to charge.
    charges = served = 0
    for mine in by_driver(events).values():
        kinds = [int(event["kind"]) for event in mine]
        if K.DROPPED_OFF in kinds:
            served += 1
            charges += kinds.count(K.DRIVER_ONLINE) > 1 or K.CRUISING_LEG in kinds
    assert_share(charges, served, 0.3)


def test_without_electric_cars_nobody_charges():
    events = run(electric_day(electric_share=0.0)).events
    assert len(of_kind(events, K.DRIVER_ONLINE)) == 30
    assert not len(of_kind(events, K.CRUISING_LEG))


def test_cars_that_cruise_charge_before_they_stand_still():
    """Without an order for hours, in a random walk."""
    day = electric_day(num_stations=5, slots=20, cruising="random_walk")
    one = replace(day, orders=day.orders.select(np.array([0, 499])))
    stops, batteries = charging_stops(one, run(one).events)
    assert len(stops) > 30
    assert batteries.min() > 0


# --- traffic ----------------------------------------------------------------------------------------


def durations(events, begin, end):
    """Predicted and true milliseconds of the legs between two kinds of events, by order."""
    starts, ends = of_kind(events, begin), at_of(events, end)
    rows = [
        (int(e["eta_ms"]), ends[int(e["order_id"])] - int(e["at_ms"]))
        for e in starts
        if int(e["order_id"]) in ends
    ]
    return np.array(rows).T


def traffic_day(model, num_orders=900):
    return replace(busy_day(num_orders, 150, behaviour=behaving()), traffic=model)


def test_exact_traffic_keeps_every_promise():
    day = traffic_day(TrafficModel.exact())
    events = run(day).events
    eta_ms, took_ms = durations(events, K.ORDER_ASSIGNED, K.DRIVER_ARRIVED)
    assert len(eta_ms) > 700
    assert np.array_equal(eta_ms, took_ms)
    eta_ms, took_ms = durations(events, K.PICKED_UP, K.DROPPED_OFF)
    assert np.array_equal(eta_ms + 1000 * day.sim.alighting_s, took_ms)


@pytest.mark.parametrize("rho", [0.0, 0.02])
def test_errors_of_predicted_times_are_those_of_the_model(rho):
    model = replace(TrafficModel.assumed(), rho=rho)
    day = traffic_day(model)
    events = run(day).events
    for begin, end, more_ms in (
        (K.ORDER_ASSIGNED, K.DRIVER_ARRIVED, 0),
        (K.PICKED_UP, K.DROPPED_OFF, 1000 * day.sim.alighting_s),
    ):
        eta_ms, took_ms = durations(events, begin, end)
        drives = eta_ms > 5000
        ratio = np.log((took_ms - more_ms)[drives] / eta_ms[drives])
        # Back from the quantiles of the model to normal scores.
        scores = np.interp(ratio, model.quantile[0], LEVEL_Z)
        assert_drawn_from(scores, "norm", least=400)


def test_predicted_times_follow_the_hours_of_the_week():
    """Within an hour the factor stays; it is that of the instant at which the engine looks."""
    model = TrafficModel.assumed()
    day = traffic_day(model)
    events = run(day).events
    submitted = of_kind(events, K.ORDER_SUBMITTED)
    predicted = of_kind(events, K.PICKED_UP)
    at = dict(zip(submitted["order_id"].tolist(), submitted["at_ms"].tolist(), strict=True))
    rows = predicted["order_id"].astype(np.int64)
    free_ms = GRID_TIMES.pairs_ms(day.orders.pickup_node[rows], day.orders.dropoff_node[rows])
    asked_ms = np.array([at[row] for row in rows.tolist()])
    expected_ms = model.predicted_ms(free_ms, asked_ms, "UTC")
    assert np.abs(predicted["eta_ms"] / expected_ms - 1).max() < 0.002
    assert GRID.graph.num_nodes == 81


def test_legs_of_one_time_are_slow_together():
    """With all luck shared, every leg of a quarter of an hour has the same score."""
    model = replace(TrafficModel.assumed(), rho=1.0, city_phi=0.0)
    day = traffic_day(model)
    events = run(day).events
    starts, ends = of_kind(events, K.PICKED_UP), at_of(events, K.DROPPED_OFF)
    took_ms = (
        np.array([ends[int(e["order_id"])] - int(e["at_ms"]) for e in starts]) - 1000 * day.sim.alighting_s
    )
    quarter = (starts["at_ms"] - T0) // (15 * MINUTE)
    ratio = np.log(took_ms / starts["eta_ms"])
    means = [ratio[quarter == one].mean() for one in range(4)]
    # The prediction may be of the hour before.
    same_hour = starts["eta_ms"] > 20_000
    spread = [np.std(ratio[(quarter == one) & same_hour]) for one in range(4)]
    assert max(spread) < 0.03
    assert np.ptp(means) > 0.1
