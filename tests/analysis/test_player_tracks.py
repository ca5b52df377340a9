import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.driver_logs import walked_log
from analysis.logs import event, log_of, random_log
from cities import grid_city
from dispatch.analysis.player_tracks import (
    CarState,
    driver_events,
    latest,
    legs_of,
    order_rows,
    state_changes,
)
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import TRANSITIONS, DriverStatus
from naive.cars import DRIVER_TO, drives, events_of_drivers, state_counts

CITY = grid_city(6, 6)
A, B, C = ({"lon_e6": 10_000_000 + n, "lat_e6": 50_000_000} for n in range(3))


def tracks(events):
    driver_id = np.unique(events["driver_id"][events["driver_id"] != -1])
    drivers = driver_events(events, driver_id)
    legs = legs_of(events, drivers)
    return driver_id, drivers, legs, state_changes(events, drivers, legs, len(driver_id))


def counts_at(changes, at_ms):
    counts = np.zeros(len(CarState), int)
    for begin, end in zip(changes.first[:-1], changes.first[1:], strict=True):
        row = np.searchsorted(changes.at_ms[begin:end], at_ms, side="right") - 1
        counts[changes.state[begin + row] if row >= 0 else CarState.OFF_DUTY] += 1
    return dict(enumerate(counts.tolist()))


def assert_as_replayed(events, instants):
    *_, changes = tracks(events)
    for at_ms in instants:
        expected = state_counts(events, at_ms)
        assert counts_at(changes, at_ms) == {state: expected[state] for state in CarState}


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_states_are_those_of_a_replay(seed):
    events = walked_log(seed, CITY, num_steps=250)
    at_ms = events["at_ms"]
    random = np.random.default_rng(seed)
    between = random.integers(at_ms[0] - 1000, at_ms[-1] + 1000, 8)
    assert_as_replayed(events, [*random.choice(at_ms, 8).tolist(), *between.tolist()])


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_states_of_other_logs_too(seed):
    events = random_log(seed, num_steps=150)
    if len(events):
        assert_as_replayed(events, np.unique(events["at_ms"])[::5].tolist())


@given(st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_statuses_and_drives_are_those_of_a_replay(seed):
    events = walked_log(seed, CITY, num_steps=250)
    driver_id, drivers, legs, changes = tracks(events)
    for car, own in enumerate(events_of_drivers(events)[one] for one in driver_id.tolist()):
        status, expected = DriverStatus.OFFLINE, []
        for kind, *_ in own:
            status = DRIVER_TO[kind, status]
            expected.append(status)
        assert drivers.status[drivers.car == car].tolist() == expected
        mine = legs.car == car
        told = [(start, stop) for _, start, stop, _ in drives(own)]
        found = zip(legs.from_at_ms[mine].tolist(), legs.to_at_ms[mine].tolist(), strict=True)
        assert list(found) == told
    # Drives of one car follow one another; states are told only where they change.
    same = legs.car[1:] == legs.car[:-1]
    assert (legs.from_at_ms[1:][same] >= legs.to_at_ms[:-1][same]).all()
    for begin, end in zip(changes.first[:-1], changes.first[1:], strict=True):
        assert (np.diff(changes.at_ms[begin:end]) > 0).all()


def test_the_walks_reach_every_transition_of_drivers():
    reached = set()
    for seed in range(12):
        for own in events_of_drivers(walked_log(seed, CITY, num_steps=4000)).values():
            status = DriverStatus.OFFLINE
            for kind, *_ in own:
                reached.add((kind, status))
                status = DRIVER_TO[kind, status]
    assert {(one.event, one.driver_from) for one in TRANSITIONS if one.driver_from is not None} == reached


def chained():
    return log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=1, **A),
        event(K.ORDER_ASSIGNED, 10, 100, 1),
        event(K.DRIVER_ARRIVED, 20, 100, 1, leg_m=5, **B),
        event(K.PICKED_UP, 25, 100, 1),
        event(K.ORDER_OFFERED, 30, 200, 1),
        event(K.OFFER_ACCEPTED, 31, 200, 1),
        event(K.ORDER_ASSIGNED, 31, 200, 1),
        event(K.DROPPED_OFF, 40, 100, 1, leg_m=5, **C),
        event(K.DRIVER_ARRIVED, 60, 200, 1, leg_m=5, **A),
    )


def test_a_chained_order_is_driven_to_from_the_drop_off():
    _, _, legs, changes = tracks(chained())
    assert list(zip(legs.from_at_ms.tolist(), legs.to_at_ms.tolist(), strict=True)) == [
        *((0, 0), (10, 20), (25, 40), (40, 60)),
    ]
    S = CarState
    told = zip(changes.at_ms.tolist(), changes.state.tolist(), changes.order_id.tolist(), strict=True)
    assert list(told) == [
        (0, S.IDLE, -1),
        (10, S.TO_PICKUP, 100),
        (20, S.AT_PICKUP, 100),
        (25, S.OCCUPIED, 100),
        (31, S.OCCUPIED_NEXT, 100),
        (40, S.TO_PICKUP, 200),
        (60, S.AT_PICKUP, 200),
    ]


def test_cruising_and_repositioning_while_idle_and_not_while_offered():
    events = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=1, **A),
        event(K.CRUISING_LEG, 50, driver_id=1, leg_m=5, **B),
        event(K.REPOSITION_ADVISED, 60, driver_id=1, **C),
        event(K.ORDER_OFFERED, 70, 100, 1),
        event(K.OFFER_DECLINED, 80, 100, 1),
        event(K.REPOSITIONING_LEG, 90, driver_id=1, leg_m=5, **C),
    )
    *_, changes = tracks(events)
    S = CarState
    assert list(zip(changes.at_ms.tolist(), changes.state.tolist(), strict=True)) == [
        *((0, S.CRUISING), (50, S.IDLE), (60, S.REPOSITIONING)),
        *((70, S.OFFERED), (80, S.REPOSITIONING), (90, S.IDLE)),
    ]


def test_a_drive_that_was_given_up_begins_at_the_assignment():
    events = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=1, **A),
        event(K.ORDER_ASSIGNED, 10, 100, 1),
        event(K.ORDER_CANCELLED, 30, 100, 1),
        event(K.ABANDONED_LEG, 30, driver_id=1, leg_m=5, **B),
        event(K.DRIVER_OFFLINE, 40, driver_id=1, **B),
    )
    _, _, legs, _ = tracks(events)
    assert list(zip(legs.from_at_ms.tolist(), legs.to_at_ms.tolist(), strict=True)) == [
        *((0, 0), (10, 30), (30, 40)),
    ]


def test_a_log_without_drivers():
    driver_id, drivers, legs, changes = tracks(log_of(event(K.ORDER_SUBMITTED, 0, 1)))
    assert len(driver_id) == len(drivers.row) == len(legs.car) == len(changes.at_ms) == 0
    assert changes.first.tolist() == [0]


@pytest.mark.parametrize(("before", "expected"), [(False, [0, 0, -1, 3]), (True, [-1, 0, -1, -1])])
def test_latest_stays_within_a_car(before, expected):
    speaks, car = np.array([True, False, False, True]), np.array([0, 0, 1, 1])
    assert latest(speaks, car, before=before).tolist() == expected


def test_rows_of_orders():
    assert order_rows(np.array([7, 2**40]), np.array([2**40, -1, 7, 8])).tolist() == [1, -1, 0, -1]
