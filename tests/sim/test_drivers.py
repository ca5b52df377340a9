"""Simulated drivers: their shifts, their rides, the positions that they send."""

from dataclasses import replace

import numpy as np
import pytest

from cities import T0, line_city, places, random_trips, shifts_of, small_scenario
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K
from dispatch.errors import InputError
from dispatch.sim.runner import run
from dispatch.sim.scenario import SimParams

LINE = line_city()
MINUTE = 60_000
SIM = SimParams(window_s=10.0, boarding_s=30.0, alighting_s=15.0)


def orders_on_line(rows):
    """Rows are (seconds after T0, pickup, drop-off, recorded duration in seconds or -1)."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    pickup, dropoff = columns[1].astype(np.int32), columns[2].astype(np.int32)
    return replace(
        random_trips(LINE, len(rows)),
        requested_at_ms=T0 + 1000 * columns[0],
        pickup_node=pickup,
        dropoff_node=dropoff,
        pickup_lon=places(LINE, pickup)[0],
        pickup_lat=places(LINE, pickup)[1],
        dropoff_lon=places(LINE, dropoff)[0],
        dropoff_lat=places(LINE, dropoff)[1],
        duration_s=columns[3].astype(np.int32),
    )


def day_on_line(orders, shifts, **sim):
    """Shifts are (driver, first second, last second, node)."""
    shifts = [(driver, T0 + 1000 * begin, T0 + 1000 * end, node) for driver, begin, end, node in shifts]
    scenario = small_scenario(
        city=LINE, orders=orders_on_line(orders), shifts=shifts_of(shifts), sim=replace(SIM, **sim)
    )
    return run(scenario).events


def told(events, *kinds):
    """What happened, as (seconds after T0, kind, order, driver)."""
    chosen = events[np.isin(events["kind"], kinds)] if kinds else events
    return [
        (int(e["at_ms"] - T0) / 1000, K(e["kind"]).name.lower(), int(e["order_id"]), int(e["driver_id"]))
        for e in chosen
    ]


class Slower:
    """From an instant on, every arc takes twice its time."""

    def __init__(self, from_ms):
        self.from_ms = from_ms
        self.before, self.after = (LINE.free_flow(factor) for factor in (1.0, 2.0))

    def at(self, at_ms):
        return self.before if at_ms < self.from_ms else self.after


def test_drivers_take_the_times_of_the_instant_at_which_they_set_out():
    """Two nodes to the pickup, five to the drop-off, 10 s an arc; slower while the passenger boards."""
    times = []
    for slower_s in (10_000, 50, 0):
        scenario = small_scenario(
            city=LINE,
            orders=orders_on_line([(5, 4, 9, -1)]),
            shifts=shifts_of([(8, T0, T0 + 600_000, 2)]),
            sim=SIM,
            travel_times=Slower(T0 + 1000 * slower_s),
        )
        events = run(scenario).events
        check_invariants(events)
        times.append([second for second, *_ in told(events, K.DRIVER_ARRIVED, K.PICKED_UP, K.DROPPED_OFF)])
        (offered,) = events[events["kind"] == K.ORDER_OFFERED]
        assert offered["eta_ms"] == (40_000 if slower_s == 0 else 20_000)
    assert times == [[30, 60, 125], [30, 60, 175], [50, 80, 195]]


def test_a_day_of_one_driver_and_one_order():
    events = day_on_line([(5, 4, 9, -1)], [(8, 0, 600, 2)])
    assert told(events) == [
        (0, "driver_online", -1, 8),
        (5, "order_submitted", 0, -1),
        (10, "cars_shown", 0, -1),
        (10, "order_offered", 0, 8),
        (10, "offer_accepted", 0, 8),
        (10, "order_assigned", 0, 8),
        (30, "driver_arrived", 0, 8),
        (60, "picked_up", 0, 8),
        (125, "dropped_off", 0, 8),
        (125, "order_closed", 0, -1),
        (130, "driver_offline", -1, 8),
    ]
    assert events["leg_m"][events["leg_m"] >= 0].tolist() == [200, 500]


def test_a_recorded_duration_is_kept_exactly_whatever_the_roads_say():
    events = day_on_line([(5, 4, 9, 777), (6, 9, 4, 3)], [(8, 0, 3600, 2), (9, 0, 3600, 9)])
    picked_up, dropped_off = (events[events["kind"] == kind] for kind in (K.PICKED_UP, K.DROPPED_OFF))
    lasted = {}
    for order in (0, 1):
        at_ms = [int(part["at_ms"][part["order_id"] == order][0]) for part in (picked_up, dropped_off)]
        lasted[order] = at_ms[1] - at_ms[0]
    assert lasted == {0: 777_000, 1: 3000}
    assert picked_up["eta_ms"].tolist() == [50_000, 50_000]


def test_an_order_from_a_node_to_itself():
    events = day_on_line([(5, 4, 4, -1), (5, 4, 4, 60)], [(8, 0, 3600, 4), (9, 0, 3600, 4)])
    assert told(events, K.DROPPED_OFF) == [(55, "dropped_off", 0, 8), (100, "dropped_off", 1, 9)]
    assert events["leg_m"][events["leg_m"] >= 0].tolist() == [0, 0, 0, 0]


def test_a_busy_driver_finishes_after_its_shift_and_then_goes():
    events = day_on_line([(5, 4, 9, -1), (200, 4, 9, -1)], [(8, 0, 20, 2), (9, 300, 900, 4)])
    assert (125, "dropped_off", 0, 8) in told(events)
    assert (125, "driver_offline", -1, 8) in told(events)
    assert told(events, K.ORDER_ASSIGNED)[1] == (300, "order_assigned", 1, 9)


def test_a_driver_whose_next_shift_begins_during_a_trip_stays_on():
    shifts = [(8, 0, 20, 2), (8, 100, 200, 15), (8, 400, 500, 16)]
    events = day_on_line([(5, 4, 9, -1), (450, 16, 17, -1)], shifts)
    assert told(events, K.DRIVER_ONLINE, K.DRIVER_OFFLINE, K.DROPPED_OFF)[:4] == [
        (0, "driver_online", -1, 8),
        (125, "dropped_off", 0, 8),
        (200, "driver_offline", -1, 8),
        (400, "driver_online", -1, 8),
    ]


def test_a_trip_over_several_shifts_stays_on_until_the_end_of_the_last_one_begun():
    shifts = [(8, 0, 20, 2), (8, 30, 40, 3), (8, 50, 60, 3), (8, 100, 300, 3), (8, 500, 600, 3)]
    events = day_on_line([(5, 4, 9, -1), (510, 4, 9, -1)], shifts)
    assert told(events, K.DRIVER_ONLINE, K.DRIVER_OFFLINE)[:3] == [
        (0, "driver_online", -1, 8),
        (300, "driver_offline", -1, 8),
        (500, "driver_online", -1, 8),
    ]


def test_each_driver_stays_on_by_its_own_clock():
    """Two drivers end trips in one window; the next shift of one begins between the two."""
    shifts = [(8, 0, 20, 2), (8, 128, 300, 2), (9, 0, 20, 11), (9, 128, 300, 11)]
    events = day_on_line([(5, 4, 9, -1), (5, 13, 18, 70), (290, 4, 9, -1)], shifts)
    ends = told(events, K.DROPPED_OFF, K.DRIVER_OFFLINE, K.DRIVER_ONLINE)
    assert ends[2:6] == [
        (125, "dropped_off", 0, 8),
        (125, "driver_offline", -1, 8),
        (128, "driver_online", -1, 8),
        (130, "dropped_off", 1, 9),
    ]
    assert (300, "driver_offline", -1, 9) in ends


def test_a_second_shift_starts_where_it_says():
    events = day_on_line([(5, 4, 9, -1), (450, 15, 14, -1)], [(8, 0, 200, 2), (8, 400, 600, 16)])
    assigned = events[events["kind"] == K.ORDER_ASSIGNED]
    assert assigned["eta_ms"].tolist() == [20_000, 10_000]
    online = events[events["kind"] == K.DRIVER_ONLINE]
    assert online["lon_e6"].tolist() == np.rint(places(LINE, [2, 16])[0] * 1e6).astype(int).tolist()


def test_a_shift_within_one_window_comes_and_goes():
    events = day_on_line([(100, 4, 9, -1)], [(7, 41, 46, 3), (8, 0, 600, 2)])
    assert told(events, K.DRIVER_ONLINE, K.DRIVER_OFFLINE)[:3] == [
        (0, "driver_online", -1, 8),
        (41, "driver_online", -1, 7),
        (46, "driver_offline", -1, 7),
    ]


def test_a_parked_driver_keeps_its_place_fresh():
    """Orders far apart in time: pings keep the driver eligible; longer silence is refused."""
    orders = [(5, 4, 9, -1), (900, 9, 4, -1)]
    assert len(told(day_on_line(orders, [(8, 0, 3600, 2)]), K.DROPPED_OFF)) == 2
    with pytest.raises(InputError, match="ping_s is 121: it must not be above stale_position_s, 120"):
        day_on_line(orders, [(8, 0, 3600, 2)], ping_s=121.0)


@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_travel_is_as_predicted_and_service_times_are_added(policy):
    scenario = small_scenario(60, 8, seed=3).with_policy(policy)
    events = run(scenario).events
    for order in range(60):
        mine = events[events["order_id"] == order]
        at_ms = {K(kind): int(at) for kind, at in zip(mine["kind"], mine["at_ms"], strict=True)}
        if K.ORDER_ASSIGNED not in at_ms:
            continue
        eta_ms = int(mine["eta_ms"][mine["kind"] == K.ORDER_ASSIGNED][0])
        trip_ms = int(mine["eta_ms"][mine["kind"] == K.PICKED_UP][0])
        assert at_ms[K.DRIVER_ARRIVED] == at_ms[K.ORDER_ASSIGNED] + eta_ms
        assert at_ms[K.PICKED_UP] == at_ms[K.DRIVER_ARRIVED] + 30_000
        assert at_ms[K.DROPPED_OFF] == at_ms[K.PICKED_UP] + trip_ms + 15_000
        assert at_ms[K.ORDER_CLOSED] == at_ms[K.DROPPED_OFF]
