import datetime
import zoneinfo

import numpy as np
import pytest

from cities import T0, small_scenario
from dispatch.kernels import sim_state as s
from dispatch.kernels.agenda import put, take
from dispatch.roads.week_slots import slots_of
from dispatch.sim.day import grown_agenda, new_agenda, week_offset_ms
from dispatch.sim.traffic import TrafficModel
from dispatch.units import MS_PER_DAY
from simulated import GRID, GRID_TIMES, behaving, day_of


@pytest.mark.parametrize("zone", ["UTC", "America/Los_Angeles", "Asia/Kathmandu", "Europe/Berlin"])
@pytest.mark.parametrize("date", ["2023-11-14", "2008-05-31", "2024-07-01"])
def test_weeks_begin_on_monday_at_midnight_of_local_time(zone, date):
    local = datetime.datetime.fromisoformat(date).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    start_at_ms = round(local.timestamp() * 1000)
    offset_ms = week_offset_ms(small_scenario(2, 1, start_at_ms=start_at_ms, timezone=zone))
    since_monday_ms = (start_at_ms + offset_ms) % (7 * MS_PER_DAY)
    assert since_monday_ms == local.weekday() * MS_PER_DAY
    for hours in (1, 9, 23):  # the same slots as those of the model of traffic
        at_ms = start_at_ms + hours * 3_600_000
        slot = (at_ms + offset_ms) // 3_600_000 % 168
        assert slot == slots_of(np.array([at_ms]), zone)[0]


def test_everybody_is_entered_into_the_agenda_once():
    day = day_of(small_scenario(20, 6))
    assert day.agenda.size[0] == 6
    keys = sorted(int(take(day.agenda)) for _ in range(6))
    assert keys == [(s.DRIVER << s.KEY_BITS) | row for row in range(6)]
    assert day.out.num.tolist() == [0, 0, 20, 20]


def test_a_grown_agenda_holds_the_same():
    agenda = new_agenda(4)
    for at_ms, key in ((9, 1), (3, 2), (7, 0), (3, 1)):
        put(agenda, at_ms, key)
    grown = grown_agenda(agenda)
    assert len(grown.key) == len(grown.at_ms) == 8
    put(grown, 5, 5)
    assert [int(take(grown)) for _ in range(5)] == [1, 2, 5, 0, 1]


@pytest.mark.parametrize(("share", "more"), [(0.0, 1), (0.5, 2 * 20 + 1)])
def test_there_is_room_for_those_who_ask_again(share, more):
    day = day_of(small_scenario(20, 6, behaviour=behaving(customers={"retry_share": share})))
    assert len(day.orders) == 20 + more


def test_there_is_room_for_what_everybody_does_at_once():
    """More drivers than a telling has events: all of them go home at one instant."""
    from dispatch.kernels.simulate import go_home

    day = day_of(small_scenario(2, 20_000))
    for name, value in (("phase", s.CRUISING), ("num_nodes", 1)):
        day.drivers[name] = value
    go_home(day, T0)
    assert day.out.num[0] == 40_000 <= len(day.out.events)


def test_stations_stand_where_pickups_are_and_each_node_knows_its_nearest():
    vehicles = {"electric_share": 0.5, "num_stations": 5, "slots_per_station": 3}
    scenario = small_scenario(
        60, 4, city=GRID, travel_times=GRID_TIMES, behaviour=behaving(vehicles=vehicles)
    )
    stations = day_of(scenario).stations
    assert 1 <= len(stations.node) <= 5
    assert set(stations.node) <= set(scenario.orders.pickup_node)
    assert stations.free_at_ms.shape == (len(stations.node), 3)
    assert (stations.free_at_ms == T0).all()
    nodes = np.arange(81, dtype=np.int32)
    to_each = np.array([GRID_TIMES.pairs_ms(nodes, np.full(81, one, np.int32)) for one in stations.node])
    assert np.array_equal(to_each[stations.of_node, nodes], to_each.min(axis=0))


def test_without_electric_cars_there_are_no_stations_to_find():
    stations = day_of(small_scenario(5, 2)).stations
    assert stations.of_node.tolist() == [0] * 81
    assert len(stations.node) == 1


def test_numbers_of_all_behaviours_in_the_units_of_the_kernels():
    customers = {"patience_hazard_per_min": 0.6, "far_eta_s": 90.0, "retry_after_s": 2.5}
    drivers = {
        "accept_per_pickup_min": 0.3,
        "accept_per_fare": 0.5,
        "break_after_h": 2.0,
        "answer_s": (1.0, 2.5),
    }
    vehicles = {"range_km": 50.0, "reserve_share": 0.2, "charge_min": 3.0}
    behaviour = behaving(customers=customers, drivers=drivers, vehicles=vehicles)
    row = day_of(small_scenario(3, 2, seed=12, behaviour=behaviour)).params[0]
    expected = {
        "seed": 12, "hazard_per_ms": 0.6 / 60_000, "far_eta_ms": 90_000, "retry_after_ms": 2500,
        "accept_per_ms": 0.3 / 60_000, "accept_per_cent": 0.005, "break_after_ms": 7_200_000,
        "answer_least_ms": 1000, "answer_most_ms": 2500, "range_m": 50_000, "reserve_m": 10_000,
        "charge_ms": 180_000, "boarding_ms": 30_000, "alighting_ms": 15_000, "cruises": 0,
        "offer_timeout_ms": 30_000,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_the_city_s_state_is_drawn_from_the_seed():
    states = [
        day_of(small_scenario(3, 2, seed=seed, traffic=TrafficModel.assumed())).weather.city
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(states[0], states[1])
    assert not np.array_equal(states[0], states[2])
    assert len(states[0]) == 36 * 4
