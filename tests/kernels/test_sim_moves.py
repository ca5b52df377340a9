"""What a driver decides at the end of a turn."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0
from dispatch.engine.events import EventKind as K
from dispatch.kernels import sim_state as s, simulate
from dispatch.kernels.agenda import put
from dispatch.kernels.sim_moves import LEAST_STAY_MS, drive, emit, keep_shift, plan_way
from dispatch.kernels.sim_state import SIM_DRIVER, Shifts
from dispatch.sim.cruising import CruiseHabits, CruiseModel
from simulated import LINE, behaving, day_of, decide, line_scenario, rows, told, until

LINE_WALK = CruiseModel.random_walk(LINE, CruiseHabits(stay_share=0.0, slowness=2.0))


def one_driver(shifts=((8, 0, 3600, 2),), orders=((5, 4, 9),), **parts):
    return day_of(line_scenario(list(orders), list(shifts), **parts))


def test_events_are_noted_one_after_another():
    day = one_driver()
    emit(day.out, K.DRIVER_ARRIVED, 77, 3, 8, 120, 9)
    emit(day.out, K.DRIVER_OFFLINE, 78, -1, 8, 0, -1)
    assert day.out.num[:2].tolist() == [2, 0]
    names = ["kind", "at_ms", "order_id", "driver_id", "leg_m"]
    assert day.out.events[:2][names].tolist() == [
        (K.DRIVER_ARRIVED, 77, 3, 8, 120),
        (K.DRIVER_OFFLINE, 78, -1, 8, 0),
    ]
    assert day.out.node[:2].tolist() == [9, -1]


@given(st.lists(st.floats(0, 1e5), max_size=20), st.booleans())
def test_the_odometer_counts_what_the_log_tells(legs, is_electric):
    drivers = np.zeros(1, SIM_DRIVER)
    driver = drivers[0]
    driver["battery_m"], driver["is_electric"] = 1e6, is_electric
    whole = [int(drive(driver, metres)) for metres in legs]
    assert whole == [round(metres) for metres in legs]
    assert driver["driven_m"] == sum(whole)
    assert driver["battery_m"] == pytest.approx(1e6 - is_electric * sum(legs))


def test_a_way_is_planned():
    drivers = np.zeros(1, SIM_DRIVER)
    plan_way(drivers[0], 17, s.TO_STATION)
    assert [drivers[0][name] for name in ("target", "next_phase", "todo")] == [17, s.TO_STATION, s.SET_OUT]


@settings(max_examples=200)
@given(st.lists(st.integers(0, 60), min_size=2, max_size=12), st.integers(0, 70), st.data())
def test_who_works_into_a_next_shift_goes_on_with_the_latest_one_begun(cuts, at_ms, data):
    cuts = sorted(cuts)[: len(cuts) // 2 * 2]
    spells = list(zip(cuts[::2], cuts[1::2], strict=True))
    first = data.draw(st.integers(0, len(spells) - 1))
    starts, ends = (np.array([spell[k] for spell in spells], np.int64) for k in (0, 1))
    shifts = Shifts(starts, ends, np.zeros(len(spells), np.int32))
    drivers = np.zeros(1, SIM_DRIVER)
    driver = drivers[0]
    driver["shift"], driver["end_shift"], driver["shift_end_ms"] = first, len(spells), ends[first]
    keep_shift(driver, shifts, at_ms)
    expected = first
    for later in range(first + 1, len(spells)):
        if at_ms < ends[later - 1] or starts[later] > at_ms:
            break
        expected = later
    assert (driver["shift"], driver["shift_end_ms"]) == (expected, ends[expected])


# --- after a trip -----------------------------------------------------------------------------------


def after_the_ride(**parts):
    """What driver 8 does at second 125, at the end of a trip to node 9."""
    day = one_driver(**parts)
    until(day, 4)
    simulate.ask(day, rows(0))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    until(day, 124)
    happened = until(day, 125)
    assert [one[1] for one in happened[:2]] == ["DROPPED_OFF", "ORDER_CLOSED"]
    return day, [one[1] for one in happened[2:]]


def test_it_parks():
    day, more = after_the_ride()
    assert more == []
    assert (day.drivers[0]["phase"], day.drivers[0]["due_at_ms"]) == (s.PARKED, T0 + 3_600_000)


def test_it_goes_home_when_the_shift_is_over():
    day, more = after_the_ride(shifts=[(8, 0, 100, 2), (8, 700, 900, 3)])
    assert more == ["DRIVER_OFFLINE"]
    assert (day.drivers[0]["phase"], day.drivers[0]["due_at_ms"]) == (s.OFF, T0 + 700_000)
    assert until(day, 700) == [(700, "DRIVER_ONLINE", -1, 8)]
    assert day.drivers[0]["node"] == 3


@pytest.mark.parametrize(("share", "minutes", "leaves"), [(1.0, 20, True), (0.0, 20, False), (1.0, 1, False)])
def test_it_winds_down_near_the_end(share, minutes, leaves):
    winds_down = {"wind_down_share": share, "wind_down_min": float(minutes)}
    day, more = after_the_ride(shifts=[(8, -3600, 1000, 2)], behaviour=behaving(drivers=winds_down))
    assert more == ["DRIVER_OFFLINE"] * leaves
    assert day.drivers[0]["phase"] == (s.OFF if leaves else s.PARKED)


@pytest.mark.parametrize(("hours", "rests"), [(0.03, True), (0.04, False)])
def test_it_rests_after_so_many_hours(hours, rests):
    day, more = after_the_ride(behaviour=behaving(drivers={"break_after_h": hours, "break_min": 5.0}))
    assert more == ["DRIVER_OFFLINE"] * rests
    if rests:
        assert day.drivers[0]["phase"] == s.BREAK
        assert until(day, 425) == [(425, "DRIVER_ONLINE", -1, 8)]
        assert day.drivers[0]["working_since_ms"] == T0 + 425_000


def test_no_break_outlasts_the_shift():
    breaks = {"break_after_h": 0.01, "break_min": 20.0}
    _, more = after_the_ride(shifts=[(8, 0, 1000, 2)], behaviour=behaving(drivers=breaks))
    assert more == []


def test_it_charges_what_is_missing():
    """All stations are where the only pickup is; half-way to empty, 0.7 km before the station's."""
    vehicles = {"electric_share": 1.0, "range_km": 2.0, "reserve_share": 1.0, "charge_min": 10.0}
    day = one_driver(behaviour=behaving(vehicles=vehicles))
    day.drivers[0]["battery_m"] = 2000.0
    until(day, 4)
    simulate.ask(day, rows(0))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    happened = until(day, 1000)[3:]
    # 700 m to the drop-off, 500 m back to node 4: 1200 m of 2000 are missing, 6 of 10 minutes.
    assert happened == [
        (125, "DROPPED_OFF", 0, 8),
        (125, "ORDER_CLOSED", 0, -1),
        (125, "DRIVER_OFFLINE", -1, 8),
        (175, "CRUISING_LEG", -1, 8),
        (535, "DRIVER_ONLINE", -1, 8),
    ]
    assert (day.drivers[0]["battery_m"], day.drivers[0]["node"]) == (2000, 4)


# --- idle -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told_s", [100, 600, 3000])
def test_cruising_that_goes_on_is_told_once_in_a_while(told_s):
    scenario = line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)])
    days = []
    for cruising_told_s in (0, told_s):
        sim = replace(scenario.sim, cruising_told_s=cruising_told_s)
        day = day_of(replace(scenario, cruise=LINE_WALK, sim=sim))
        ends = [one[0] for one in until(day, 3000) if one[1] == "CRUISING_LEG"]
        metres = day.out.events["leg_m"][: len(ends) + 1].sum()
        assert day.drivers[0]["driven_m"] == metres + day.drivers[0]["untold_m"]
        days.append((ends, day.drivers[0]["driven_m"], day.drivers[0]["num_moves"]))
    (often, *driven), (seldom, *also_driven) = days
    assert driven == also_driven
    assert set(seldom) < set(often)
    assert all(after - before >= told_s for before, after in pairwise([0, *seldom]))


def test_idle_drivers_move_on_and_on():
    scenario = line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)])
    day = day_of(replace(scenario, cruise=LINE_WALK, sim=replace(scenario.sim, cruising_told_s=0.0)))
    happened = until(day, 3000)
    assert [one[1] for one in happened[:1]] == ["DRIVER_ONLINE"]
    legs = happened[1:]
    assert {one[1] for one in legs} == {"CRUISING_LEG"}
    assert len(legs) > 10
    assert day.drivers[0]["num_moves"] == len(legs) + 1
    # Twice as slow as free flow: 20 s for 100 m.
    begun_m = day.drivers[0]["leg_m"]
    assert day.drivers[0]["driven_m"] == pytest.approx(legs[-1][0] / 20 * 100, abs=1)
    assert begun_m > 0


def test_moves_home_lead_to_the_cell_of_home():
    scenario = line_scenario([(5, 4, 9)], [(8, 0, 3600, 5)], behaviour=behaving(drivers={"home_share": 1.0}))
    day = day_of(replace(scenario, cruise=LINE_WALK))
    cell = LINE_WALK.cell_of_node
    for second in range(20, 3000, 20):
        until(day, second)
        assert cell[day.drivers[0]["node"]] == cell[5]
    assert day.drivers[0]["driven_m"] > 1000


def test_a_recorded_ride_lasts_as_it_was():
    day = one_driver()
    day.orders[0]["trip_ms"] = 777_000
    until(day, 4)
    simulate.ask(day, rows(0))
    decide(day, 10, K.ORDER_OFFERED, 0, 8, eta_s=20)
    assert (60 + 777, "DROPPED_OFF", 0, 8) in until(day, 1000)


def test_a_stay_is_never_too_short_to_be_one():
    stays = CruiseModel.random_walk(LINE, CruiseHabits(stay_share=1.0, stay_s=1.0))
    scenario = line_scenario([(5, 4, 9)], [(8, 0, 3600, 2)])
    day = day_of(replace(scenario, cruise=stays))
    assert until(day, 3000) == [(0, "DRIVER_ONLINE", -1, 8)]
    assert day.drivers[0]["num_moves"] == 3_000_000 // LEAST_STAY_MS + 1


def test_everybody_goes_home_from_a_stay_at_the_end_of_the_shift():
    scenario = line_scenario([(5, 4, 9)], [(8, 0, 900, 2)])
    day = day_of(replace(scenario, cruise=LINE_WALK))
    until(day, 880)
    assert told(day) == []
    last = until(day, 2000)[-1]
    assert last[1] == "DRIVER_OFFLINE"
    assert 900 <= last[0] < 1300


def test_an_entry_that_no_longer_holds_is_passed_over():
    day = one_driver()
    until(day, 4)
    put(day.agenda, T0 + 100_000, (s.DRIVER << s.KEY_BITS) | 0)
    put(day.agenda, T0 + 100_000, (s.CUSTOMER << s.KEY_BITS) | 0)
    put(day.agenda, T0 + 100_000, (s.ANSWER << s.KEY_BITS) | 0)
    assert until(day, 200) == []
