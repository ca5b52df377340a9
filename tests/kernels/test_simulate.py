"""Windows of a day, the dispatcher's decisions made by hand."""

import numpy as np
import pytest

from cities import T0, small_scenario
from dispatch.engine.events import EventKind as K
from dispatch.kernels import happenings, sim_state as s, simulate
from dispatch.kernels.agenda import Agenda
from dispatch.kernels.random_streams import uniform
from dispatch.sim.runner import run
from dispatch.units import NO_INDEX
from simulated import behaving, day_of, decide, line_scenario, rows, told, until


def one_ride(**parts):
    """Driver 8 stands at node 2; order 0, of second 5, goes from 4 to 9."""
    day = day_of(line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)], **parts))
    assert until(day, 4) == [(0, "DRIVER_ONLINE", -1, 8)]
    simulate.ask(day, rows(0))
    return day


def test_kinds_are_those_of_the_log():
    for module, names in (
        (simulate, ["ORDER_OFFERED", "OFFER_EXPIRED", "ORDER_EXPIRED", "ORDER_RELEASED", "ORDER_REASSIGNED",
                    "REPOSITION_ADVISED"]),
        (happenings, ["CRUISING_LEG", "REPOSITIONING_LEG", "ABANDONED_LEG", "PICKED_UP", "DROPPED_OFF"]),
    ):  # fmt: skip
        for name in names:
            assert getattr(module, name) == K[name], name
    short = {
        "ONLINE": K.DRIVER_ONLINE, "OFFLINE": K.DRIVER_OFFLINE, "ACCEPTED": K.OFFER_ACCEPTED,
        "DECLINED": K.OFFER_DECLINED, "ASSIGNED": K.ORDER_ASSIGNED, "UNASSIGNED": K.ORDER_UNASSIGNED,
        "ARRIVED": K.DRIVER_ARRIVED, "CLOSED": K.ORDER_CLOSED, "CANCELLED": K.ORDER_CANCELLED,
    }  # fmt: skip
    assert {name: getattr(happenings, name) for name in short} == short


def test_a_ride_from_offer_to_end():
    day = one_ride()
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 10) == [(10, "OFFER_ACCEPTED", 0, 8)]
    assert day.drivers[0]["phase"] == s.TO_PICKUP
    assert until(day, 59) == [(30, "DRIVER_ARRIVED", 0, 8)]
    assert until(day, 3000) == [
        (60, "PICKED_UP", 0, 8),
        (125, "DROPPED_OFF", 0, 8),
        (125, "ORDER_CLOSED", 0, -1),
    ]
    assert day.out.num[s.UNFINISHED] == 0
    assert (day.drivers[0]["driven_m"], day.drivers[0]["node"], day.drivers[0]["phase"]) == (700, 9, s.PARKED)
    assert until(day, 4000) == [(3600, "DRIVER_OFFLINE", -1, 8)]


def test_a_declined_offer_leaves_both_free():
    day = one_ride(behaviour=behaving(drivers={"accept_bias": -100.0, "answer_s": (3.0, 3.0)}))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert day.orders[0]["stage"] == s.OFFERED
    assert until(day, 100) == [(13, "OFFER_DECLINED", 0, 8)]
    assert (day.orders[0]["stage"], day.orders[0]["driver"]) == (s.WAITING, NO_INDEX)
    assert (day.drivers[0]["offered"], day.drivers[0]["phase"]) == (NO_INDEX, s.PARKED)


def test_who_thinks_too_long_never_answers():
    day = one_ride(behaviour=behaving(drivers={"answer_s": (30.0, 30.0)}))  # the offer's time-out
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 50) == []
    decide(day, 50, K.OFFER_EXPIRED, 0, 8)
    assert (day.orders[0]["stage"], day.drivers[0]["offered"]) == (s.WAITING, NO_INDEX)
    assert until(day, 4000) == [(3600, "DRIVER_OFFLINE", -1, 8)]


def test_an_offer_taken_back_is_not_answered():
    day = one_ride(behaviour=behaving(drivers={"answer_s": (20.0, 20.0)}))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    decide(day, 20, K.OFFER_EXPIRED, 0, 8)
    assert until(day, 100) == []
    decide(day, 100, K.OFFER_EXPIRED, 0, 8)  # of another offer than the driver thinks about: nothing
    assert day.orders[0]["stage"] == s.WAITING


def test_an_impatient_customer_leaves_while_a_driver_thinks():
    behaviour = behaving(
        customers={"impatient_share": 1.0, "impatient_after_s": 12.0}, drivers={"answer_s": (20.0, 20.0)}
    )
    day = one_ride(behaviour=behaviour)
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 100) == [(17, "ORDER_CANCELLED", 0, -1)]
    assert (day.orders[0]["stage"], day.drivers[0]["offered"]) == (s.DONE, NO_INDEX)
    assert day.out.num[s.UNFINISHED] == 0


def test_an_expired_order_is_asked_again_as_a_row_of_its_own():
    day = one_ride(behaviour=behaving(customers={"retry_share": 1.0, "max_retries": 1}))
    decide(day, 600, K.ORDER_EXPIRED, 0)
    assert day.out.num[s.UNFINISHED] == 1
    assert until(day, 90_000) == [(3600, "DRIVER_OFFLINE", -1, 8)]
    assert day.out.retries[0] == 1
    assert day.out.num[s.ORDERS_KNOWN] == 2
    first, again = day.orders[:2]
    for name in (
        "origin",
        "customer_id",
        "pickup_node",
        "dropoff_node",
        "tier",
        "passengers",
        "vehicle_class",
    ):
        assert again[name] == first[name], name
    assert (again["attempt"], again["is_first"], again["num_accepted"]) == (1, 0, 0)
    assert again["requested_at_ms"] == again["wanted_at_ms"] == first["due_at_ms"] > T0 + 600_000
    simulate.ask(day, rows(1))
    decide(day, 90_600, K.ORDER_EXPIRED, 1)
    assert day.out.num[s.UNFINISHED] == 0, "once only"


def test_a_released_order_goes_over_to_another_driver():
    day = day_of(line_scenario([(5, 10, 15)], [(8, 0, 3600, 2), (9, 0, 3600, 19)]))
    simulate.ask(day, rows(0))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=80)
    until(day, 44)
    decide(day, 45, K.ORDER_RELEASED, 0, 8)
    decide(day, 45, K.ORDER_REASSIGNED, 0, 9, eta_s=90)
    # It was 3.5 arcs on its way: it goes to the nearer end of its arc.
    assert told(day) == [(45, "ABANDONED_LEG", -1, 8)]
    assert (day.drivers[0]["driven_m"], day.drivers[0]["node"]) == (400, 6)
    assert day.orders[0]["eta_ms"] == 90_000
    assert until(day, 136)[0] == (135, "DRIVER_ARRIVED", 0, 9)
    assert day.drivers[0]["phase"] == s.PARKED


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_advice_is_followed_or_not(share):
    day = day_of(
        line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)], behaviour=behaving(drivers={"follow_share": share}))
    )
    until(day, 10)
    decide(day, 10, K.REPOSITION_ADVISED, -1, 8, node=7)
    happened = until(day, 3000)
    assert happened == ([(60, "REPOSITIONING_LEG", -1, 8)] if share else [])
    assert day.drivers[0]["node"] == (7 if share else 2)


def test_who_accepts_on_the_way_breaks_the_leg_off():
    day = one_ride(behaviour=behaving(drivers={"follow_share": 1.0, "answer_s": (5.0, 5.0)}))
    decide(day, 10, K.REPOSITION_ADVISED, -1, 8, node=12)
    decide(day, 30, K.ORDER_OFFERED, 0, 8, eta_s=0)
    # At second 35 it is half-way between nodes 4 and 5.
    assert until(day, 35) == [(35, "REPOSITIONING_LEG", -1, 8), (35, "OFFER_ACCEPTED", 0, 8)]
    assert day.drivers[0]["driven_m"] == 300
    assert until(day, 45) == [(45, "DRIVER_ARRIVED", 0, 8)]


def test_a_chained_order_begins_where_the_trip_ends():
    day = day_of(line_scenario([(5, 4, 9), (6, 11, 3)], [(8, 0, 3600, 2)]))
    simulate.ask(day, rows(0, 1))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    until(day, 100)
    decide(day, 100, K.ORDER_OFFERED, 1, 8, eta_s=45)
    assert until(day, 124) == [(100, "OFFER_ACCEPTED", 1, 8)]
    assert (day.drivers[0]["order"], day.drivers[0]["next_order"]) == (0, 1)
    assert until(day, 145) == [
        (125, "DROPPED_OFF", 0, 8), (125, "ORDER_CLOSED", 0, -1), (145, "DRIVER_ARRIVED", 1, 8)
    ]  # fmt: skip


def test_a_driver_gives_up_on_the_way():
    day = one_ride(behaviour=behaving(drivers={"cancel_share": 1.0}))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    (accepted, (second, *unassigned), leg) = until(day, 3000)
    assert accepted == (10, "OFFER_ACCEPTED", 0, 8)
    assert unassigned == ["ORDER_UNASSIGNED", 0, 8]
    assert 10 <= second < 30
    assert leg == (second, "ABANDONED_LEG", -1, 8)
    assert (day.orders[0]["stage"], day.drivers[0]["phase"]) == (s.WAITING, s.PARKED)
    assert day.out.num[s.UNFINISHED] == 1


def test_nobody_is_at_the_door():
    day = one_ride(behaviour=behaving(customers={"no_show_share": 1.0, "no_show_wait_s": 100.0}))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 3000)[1:] == [(30, "DRIVER_ARRIVED", 0, 8), (130, "ORDER_CANCELLED", 0, 8)]
    assert (day.orders[0]["stage"], day.drivers[0]["phase"]) == (s.DONE, s.PARKED)
    assert day.out.num[s.UNFINISHED] == 0


def test_a_far_eta_sends_a_customer_away_while_the_driver_comes():
    behaviour = behaving(customers={"far_eta_s": 10.0, "far_eta_refusal_share": 1.0, "retry_share": 1.0})
    day = one_ride(behaviour=behaviour)
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 3000)[1:] == [(15, "ORDER_CANCELLED", 0, -1), (15, "ABANDONED_LEG", -1, 8)]
    assert (day.drivers[0]["phase"], day.drivers[0]["order"]) == (s.PARKED, NO_INDEX)
    assert day.out.num[s.UNFINISHED] == 0, "who had an acceptance does not ask again"


def test_a_chained_order_that_is_cancelled_leaves_the_trip_alone():
    behaviour = behaving(customers={"far_eta_s": 30.0, "far_eta_refusal_share": 1.0})
    day = day_of(line_scenario([(5, 4, 9), (6, 11, 3)], [(8, 0, 3600, 2)], behaviour=behaviour))
    simulate.ask(day, rows(0, 1))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    until(day, 100)
    decide(day, 100, K.ORDER_OFFERED, 1, 8, eta_s=45)
    assert until(day, 3000)[1:] == [
        (105, "ORDER_CANCELLED", 1, -1), (125, "DROPPED_OFF", 0, 8), (125, "ORDER_CLOSED", 0, -1)
    ]  # fmt: skip
    assert day.drivers[0]["next_order"] == NO_INDEX


def test_who_thinks_at_the_end_of_a_trip_stays_for_the_answer():
    day = day_of(
        line_scenario(
            [(5, 4, 9), (6, 11, 3)], [(8, 0, 110, 2)], behaviour=behaving(drivers={"answer_s": (20.0, 20.0)})
        )
    )
    simulate.ask(day, rows(0, 1))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    until(day, 140)
    decide(day, 140, K.ORDER_OFFERED, 1, 8, eta_s=45)
    # The trip ends at second 145, after the shift: the driver answers before it goes home.
    assert until(day, 160) == [
        (145, "DROPPED_OFF", 0, 8), (145, "ORDER_CLOSED", 0, -1), (160, "OFFER_ACCEPTED", 1, 8)
    ]  # fmt: skip
    assert until(day, 180) == [(180, "DRIVER_ARRIVED", 1, 8)]


def test_who_thinks_at_the_end_of_the_shift_answers_first():
    behaviour = behaving(drivers={"answer_s": (20.0, 20.0), "accept_bias": -100.0})
    day = day_of(line_scenario([(5, 4, 9)], [(8, 0, 50, 2)], behaviour=behaviour))
    simulate.ask(day, rows(0))
    until(day, 40)
    decide(day, 40, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 100) == [(60, "OFFER_DECLINED", 0, 8), (60, "DRIVER_OFFLINE", -1, 8)]


@pytest.mark.parametrize(("bias", "accepts"), [(-7.0, True), (-14.0, False)])
def test_a_better_fare_is_accepted(bias, accepts):
    """The trip costs 4.60 by the meter, 5.00 at least; worth 2 each, the odds are e^(10 + bias)."""
    behaviour = behaving(drivers={"accept_bias": bias, "accept_per_fare": 2.0})
    day = one_ride(behaviour=behaviour)
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert until(day, 10)[0][1] == ("OFFER_ACCEPTED" if accepts else "OFFER_DECLINED")
    assert (day.orders[0]["trip_m"], day.orders[0]["trip_free_ms"]) == (500, 50_000)


@pytest.mark.parametrize("seed", range(12))
def test_each_decision_is_a_draw_of_its_own_name(seed):
    """Order 1, a first try, and driver row 1: whoever else there is, and whatever was drawn before."""
    behaviour = behaving(
        customers={"no_show_share": 0.5, "no_show_wait_s": 300.0},
        drivers={"answer_s": (2.0, 9.0), "cancel_share": 0.3, "accept_bias": 0.4},
    )
    shifts = [(3, 0, 3600, 19), (8, 0, 3600, 2)]
    day = day_of(line_scenario([(4, 1, 3), (5, 4, 9)], shifts, behaviour=behaviour, seed=seed))
    until(day, 5)
    simulate.ask(day, rows(0, 1))
    decide(day, 10, K.ORDER_OFFERED, 1, 8, eta_s=20)
    happened = until(day, 3000)
    answers_at = 10 + int(1000 * (2 + 7 * uniform(seed, s.ANSWER_TIME, 1, 1))) / 1000
    u = uniform(seed, s.ACCEPT, 1, 1)
    accepts = np.log(u / (1 - u)) < 0.4
    assert happened[0] == (pytest.approx(answers_at), "OFFER_ACCEPTED" if accepts else "OFFER_DECLINED", 1, 8)
    if not accepts:
        return
    if uniform(seed, s.GIVE_UP, 1, 1) < 0.3:
        gives_up_at = answers_at + int(20_000 * uniform(seed, s.GIVE_UP_TIME, 1, 1)) / 1000
        assert happened[1] == (pytest.approx(gives_up_at), "ORDER_UNASSIGNED", 1, 8)
        return
    assert happened[1] == (pytest.approx(answers_at + 20), "DRIVER_ARRIVED", 1, 8)
    is_there = uniform(seed, s.NO_SHOW, 1, 0) >= 0.5
    assert happened[2][1] == ("PICKED_UP" if is_there else "ORDER_CANCELLED")


def test_cars_queue_for_a_slot():
    """Three cars come to one station with two slots: the third waits for the first."""
    vehicles = {
        "electric_share": 1.0, "range_km": 10.0, "reserve_share": 1.0, "charge_min": 10.0, "num_stations": 1,
        "slots_per_station": 2,
    }  # fmt: skip
    shifts = [(1, 0, 7200, 5), (2, 0, 7200, 6), (3, 0, 7200, 7)]
    day = day_of(line_scenario([(5, 4, 9)], shifts, behaviour=behaving(vehicles=vehicles)))
    day.drivers["battery_m"] = 5100.0, 6200.0, 5300.0  # 5, 4 and 5 minutes at node 4
    ended = [one for one in until(day, 3000) if one[0] > 0]
    assert ended == [
        (10, "CRUISING_LEG", -1, 1), (20, "CRUISING_LEG", -1, 2), (30, "CRUISING_LEG", -1, 3),
        (260, "DRIVER_ONLINE", -1, 2), (310, "DRIVER_ONLINE", -1, 1), (560, "DRIVER_ONLINE", -1, 3),
    ]  # fmt: skip


def test_who_is_on_the_way_to_a_station_goes_home_from_there():
    vehicles = {"electric_share": 1.0, "range_km": 10.0, "reserve_share": 1.0, "num_stations": 1}
    day = day_of(line_scenario([(5, 4, 9)], [(1, 0, 7200, 10)], behaviour=behaving(vehicles=vehicles)))
    until(day, 30)
    simulate.go_home(day, T0 + 32_000)
    assert told(day) == [(32, "CRUISING_LEG", -1, 1)]
    assert (day.drivers[0]["phase"], day.drivers[0]["driven_m"]) == (s.OFF, 300)


def test_what_does_not_fit_is_told_in_several_goes():
    """The same in small portions: nothing is lost, nothing comes twice."""
    scenario = small_scenario(2, 40, seed=3)
    whole, day = day_of(scenario), day_of(scenario)
    expected = until(whole, 7300)
    assert len(expected) == 80
    few = day.out._replace(events=day.out.events[:11].copy(), node=day.out.node[:11].copy())
    day, portions = day._replace(out=few), []
    while not simulate.advance(day, T0 + 7_300_000):
        portions.append(told(day))
        assert 0 < len(portions[-1]) <= 11
    assert sum(portions, []) + told(day) == expected  # noqa: RUF017 - few
    assert len(portions) > 10


def test_without_room_in_the_agenda_nothing_happens():
    day = day_of(line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)]))
    agenda = Agenda(day.agenda.at_ms[:4].copy(), day.agenda.key[:4].copy(), day.agenda.size)
    assert not simulate.advance(day._replace(agenda=agenda), T0 + 100)
    assert told(day) == []


def test_everybody_goes_home():
    day = one_ride(behaviour=behaving(drivers={"follow_share": 1.0}))
    decide(day, 10, K.REPOSITION_ADVISED, -1, 8, node=12)
    simulate.go_home(day, T0 + 32_000)
    assert told(day) == [(32, "REPOSITIONING_LEG", -1, 8), (32, "DRIVER_OFFLINE", -1, 8)]
    assert day.drivers[0]["driven_m"] == 200
    simulate.go_home(day, T0 + 40_000)
    assert told(day) == []


def test_orders_are_read_as_the_customer_tells_them():
    day = day_of(line_scenario([(5, 4, 9), (6, 11, 3)], [(8, 0, 3600, 2)]))
    order = day.orders[1]
    order["wanted_at_ms"] += 77_000
    order["customer_id"], order["tier"], order["is_first"] = 9, 2, 1
    order["passengers"], order["vehicle_class"] = 3, 1
    columns = [np.empty(2, np.int64) for _ in range(6)]
    simulate.read_orders(day, rows(1, 0), *columns)
    assert [column[0] for column in columns] == [9, 77_000, 2, 1, 3, 1]
    assert [column[1] for column in columns][1:] == [0, 0, 0, 1, 0]


@pytest.mark.compiled
def test_the_log_of_the_simulator_is_what_the_kernels_told():
    """A run through the dispatcher has the same rides as decisions by hand."""
    events = run(line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)])).events
    told_by_log = [((int(e["at_ms"]) - T0) / 1000, K(e["kind"]).name) for e in events if e["driver_id"] == 8]
    assert told_by_log[3:7] == [
        (10, "ORDER_ASSIGNED"),
        (30, "DRIVER_ARRIVED"),
        (60, "PICKED_UP"),
        (125, "DROPPED_OFF"),
    ]
