from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, line_city, places, random_trips
from dispatch.analysis.on_shift import MAX_SILENCE_MS
from dispatch.errors import InputError
from dispatch.roads.pings import RecordedPings
from dispatch.roads.tables import Dropped
from dispatch.roads.trips import RecordedTrips
from dispatch.sim.shifts import made_up_shifts, recorded_shifts, why_no_shifts

CITY = line_city()
HOUR_MS = 3_600_000
DAY = (T0, T0 + 24 * HOUR_MS)
MINUTE = 60_000


def trips_of_a_day(seed=0, num_trips=400):
    return random_trips(CITY, num_trips, seed, T0, 24 * 3600)


def hours_of(shifts, num_drivers):
    """Milliseconds of each driver within the 24 hours from T0."""
    end_at_ms = np.minimum(shifts.end_at_ms, T0 + 24 * HOUR_MS)
    worked_ms = np.maximum(end_at_ms - shifts.start_at_ms, 0)
    return np.bincount(shifts.driver_id, worked_ms, num_drivers)


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 60),
    st.floats(0.1, 24),
    st.integers(0, 2**63),
    st.integers(1, 40),
    st.sampled_from([0, 90 * MINUTE]),
)
def test_each_driver_works_the_hours_asked_for_in_one_or_two_spells(drivers, shift_h, seed, trips, drain):
    day_ms = (DAY[0], DAY[1] + drain)
    shifts = made_up_shifts(drivers, trips_of_a_day(1, trips), day_ms, shift_h, seed)
    assert (shifts.start_at_ms >= day_ms[0]).all()
    assert (shifts.end_at_ms <= day_ms[1]).all()
    assert (shifts.end_at_ms > shifts.start_at_ms).all()
    assert shifts.num_drivers == drivers
    assert (hours_of(shifts, drivers) == round(shift_h * HOUR_MS)).all()
    assert np.bincount(shifts.driver_id).max() <= 2
    same = shifts.driver_id[1:] == shifts.driver_id[:-1]
    assert ((np.diff(shifts.driver_id) > 0) | (shifts.start_at_ms[1:] >= shifts.end_at_ms[:-1]) & same).all()
    assert np.isin(shifts.node, trips_of_a_day(1, trips).pickup_node).all()
    again = made_up_shifts(drivers, trips_of_a_day(1, trips), day_ms, shift_h, seed)
    assert all(np.array_equal(a, b) for a, b in zip(vars(shifts).values(), vars(again).values(), strict=True))


def test_supply_around_midnight_is_that_of_a_day_that_repeats():
    """Orders around midnight only: as many shifts run over it as begin before it."""
    late = random_trips(CITY, 500, 3, T0 + 23 * HOUR_MS, 3600)
    shifts = made_up_shifts(400, late, DAY, 8.0, 5)
    early = shifts.start_at_ms == T0
    assert 100 < early.sum() < 400
    assert set(shifts.driver_id[early].tolist()) <= set(shifts.driver_id[~early].tolist())
    assert (shifts.end_at_ms[early] <= T0 + 8 * HOUR_MS).all()


def test_24_hours_are_the_whole_span_even_if_it_is_longer():
    longer = (DAY[0], DAY[1] + HOUR_MS)
    shifts = made_up_shifts(5, trips_of_a_day(), longer, 24, 1)
    assert set(shifts.start_at_ms.tolist()) == {longer[0]}
    assert set(shifts.end_at_ms.tolist()) == {longer[1]}


def test_drivers_are_there_when_orders_are():
    """All orders in one hour: every shift covers part of it."""
    trips = random_trips(CITY, 300, 3, T0 + 10 * HOUR_MS, 3600)
    shifts = made_up_shifts(200, trips, DAY, 4.0, 5)
    assert (shifts.start_at_ms <= T0 + 11 * HOUR_MS).all()
    assert (shifts.end_at_ms >= T0 + 10 * HOUR_MS).all()
    assert len(np.unique(shifts.start_at_ms)) > 100


def test_a_shift_starts_at_a_pickup_of_its_hour():
    trips = trips_of_a_day(num_trips=2000)
    shifts = made_up_shifts(300, trips, DAY, 6.0, 2)
    for start, node in zip(shifts.start_at_ms, shifts.node, strict=True):
        near = np.abs(trips.requested_at_ms - start) <= HOUR_MS // 2
        assert node in trips.pickup_node[near]


def test_where_the_hour_has_no_orders_all_of_the_day_are_drawn_from():
    late = random_trips(CITY, 300, 3, T0 + 10 * HOUR_MS, 3600)
    shifts = made_up_shifts(300, late, DAY, 24, 5)
    assert len(np.unique(shifts.node)) == CITY.graph.num_nodes


@pytest.mark.parametrize("shift_h", [3, 8, 24])
def test_a_larger_fleet_has_the_drivers_of_the_smaller(shift_h):
    small, large = (made_up_shifts(num, trips_of_a_day(), DAY, shift_h, 7) for num in (9, 14))
    shared = large.driver_id < 9
    for column in ("driver_id", "start_at_ms", "end_at_ms", "node"):
        assert np.array_equal(getattr(large, column)[shared], getattr(small, column))


def test_another_seed_makes_other_shifts():
    one, other = (made_up_shifts(20, trips_of_a_day(), DAY, 8.0, seed) for seed in (1, 2))
    assert not np.array_equal(one.start_at_ms, other.start_at_ms)


WRONG = [
    ({"num_drivers": 0}, "drivers is 0: it must be a number from 1 to 1e+06"),
    ({"num_drivers": -3}, "drivers is -3"),
    ({"num_drivers": 2.5}, "drivers is 2.5: it must be a whole number"),
    ({"shift_h": 0}, "shift_h is 0: it must be a number from 0.1 to 24 hours"),
    ({"shift_h": 24.5}, "shift_h is 24.5"),
    ({"shift_h": np.nan}, "shift_h is nan"),
    ({"orders": trips_of_a_day(num_trips=1).select(np.arange(0))}, "there are no orders: without demand"),
    ({"seed": -1}, "seed is -1: it must be a number from 0"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_wrong_input(wrong, message):
    given = {"num_drivers": 3, "orders": trips_of_a_day(), "day_ms": DAY, "shift_h": 8.0, "seed": 1} | wrong
    with pytest.raises(InputError) as raised:
        made_up_shifts(**given)
    assert str(raised.value).startswith(message)


# --- recorded ---


def pings_of(rows):
    """Rows are (driver, minutes after T0, node or None for off the network, has a passenger)."""
    rows = sorted(rows, key=lambda row: row[:2])
    lon, lat = (degrees.copy() for degrees in places(CITY, [row[2] or 0 for row in rows]))
    lat[[row[2] is None for row in rows]] += 0.5
    return RecordedPings(
        np.array([row[0] for row in rows], np.int64),
        np.array([round(T0 + row[1] * MINUTE) for row in rows], np.int64),
        lon,
        lat,
        np.array([row[3] for row in rows], bool),
    )


def trips_with(rows):
    """Rows are (driver, minutes after T0, duration in minutes, pickup inside, drop-off inside)."""
    trips = random_trips(CITY, len(rows))
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    inside = [np.array(column, bool) for column in columns[3:]]
    return RecordedTrips(
        np.array([round(T0 + minutes * MINUTE) for minutes in columns[1]], np.int64),
        np.where(inside[0], 1, -1).astype(np.int32),
        np.where(inside[1], 2, -1).astype(np.int32),
        *(np.zeros(len(trips)) for _ in range(4)),
        np.array([round(60 * minutes) for minutes in columns[2]], np.int32),
        np.array(columns[0], np.int64),
        np.ones(len(trips), np.int32),
    )


def shifts_told(pings, trips=(), day_ms=DAY):
    """Shifts as (driver, first minute, last minute, node)."""
    shifts = recorded_shifts(pings_of(pings), trips_with(trips), CITY, day_ms)
    start, end = ((at_ms - T0) / MINUTE for at_ms in (shifts.start_at_ms, shifts.end_at_ms))
    columns = (shifts.driver_id.tolist(), start.tolist(), end.tolist(), shifts.node.tolist())
    return list(zip(*columns, strict=True))


def drive(driver, minutes, node=3, occupied=False):
    return [(driver, minute, node, occupied) for minute in minutes]


def test_a_run_of_pings_is_a_shift():
    assert shifts_told(drive(7, range(0, 60, 5), 4)) == [(7, 0, 55, 4)]


def test_a_gap_of_more_than_15_minutes_ends_it():
    assert shifts_told(drive(7, [0, 10, 25, 30])) == [(7, 0, 30, 3)]
    assert shifts_told(drive(7, [0, 10, 25.001, 30])) == [(7, 0, 10, 3), (7, 25.001, 30, 3)]
    assert MAX_SILENCE_MS == 15 * MINUTE


def test_time_off_the_network_is_no_shift():
    pings = drive(7, [0, 5]) + drive(7, [10, 12], None) + drive(7, [15, 20], 6)
    assert shifts_told(pings) == [(7, 0, 5, 3), (7, 15, 20, 6)]


def test_time_on_a_trip_that_leaves_the_network_is_no_shift():
    pings = drive(7, range(0, 60, 5))
    trips = [(7, 12, 16, True, False), (8, 30, 20, True, False), (7, 45, 5, True, True)]
    assert shifts_told(pings, trips) == [(7, 0, 10, 3), (7, 30, 55, 3)]
    assert shifts_told(pings, [(7, 10, 5, False, True)]) == [(7, 0, 5, 3), (7, 20, 55, 3)]


def test_a_trip_outside_without_duration_or_driver_takes_nothing_away():
    trips = [(7, 12, 0, True, False), (-1, 12, 30, True, False)]
    assert shifts_told(drive(7, range(0, 60, 5)), trips) == [(7, 0, 55, 3)]


def test_with_a_passenger_it_joins_at_its_first_empty_ping_where_it_is_then():
    pings = drive(7, [0, 5, 10], 3, True) + drive(7, [12, 20], 8) + drive(7, [25, 30], 9, True)
    assert shifts_told(pings) == [(7, 12, 30, 8)]


def test_never_empty_or_seen_only_once_is_no_shift():
    assert shifts_told(drive(7, [0, 5, 10], 3, True)) == []
    assert shifts_told(drive(7, [0])) == []
    assert shifts_told(drive(7, [0, 5], 3, True) + drive(7, [10])) == []
    assert shifts_told([]) == []


def test_drivers_are_told_apart_and_pings_outside_of_the_day_do_not_count():
    pings = drive(7, [-5, 0, 5]) + drive(8, [6, 10], 4) + drive(9, [24 * 60 - 3, 24 * 60, 24 * 60 + 3])
    assert shifts_told(pings) == [(7, 0, 5, 3), (8, 6, 10, 4)]


def test_ids_however_large_do_not_mix_up_drivers():
    """A telephone number times the milliseconds of a day does not fit in 64 bits."""
    for last in range(46, 60):
        one = (2**63 - 13 * MINUTE) // (last * MINUTE + 1)
        pings = drive(one, [*range(0, 46, 5), last]) + drive(one + 1, range(0, 40, 5), 6)
        expected = [(one, 0, 10, 3), (one, 30, last, 3), (one + 1, 0, 35, 6)]
        assert shifts_told(pings, [(one, 12, 16, True, False)]) == expected


def test_why_there_are_no_shifts():
    away, full = drive(7, [0, 5], None), drive(8, [0, 5, 10], 4, True)
    assert (
        "; 0 pings were read on it, 0 lie within 200 m of the network: check the date, and"
        in why_no_shifts(pings_of([]), CITY)
    )
    assert (
        "; 2 pings were read on it, 0 lie within 200 m of the network: they look like those"
        in why_no_shifts(pings_of(away), CITY)
    )
    assert (
        "; 5 pings were read on it, 3 lie within 200 m of the network: 0 of these have no"
        in why_no_shifts(pings_of(away + full), CITY)
    )
    there = pings_of(drive(7, range(5)) + away)
    swapped = replace(there, lon=there.lat, lat=there.lon, drops=(Dropped("broken pings", 9, "p"),))
    told = why_no_shifts(swapped, CITY)
    assert told.startswith("the fleet is empty: no driver is on duty on that day; 7 pings were read on it")
    assert ", 9 broken pings left out, 0 lie within 200 m of the network: 5 would with longitude and" in told
    lon, lat = np.full(3, 150.0), np.full(3, 50.0)
    far = replace(pings_of(full), lon=lon, lat=lat)
    assert "they look like those of another city than Testville; or give" in why_no_shifts(far, CITY)
