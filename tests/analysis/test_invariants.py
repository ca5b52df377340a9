import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.logs import event, log_of, random_log
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.errors import InvariantError
from naive.replay import FINAL, replay

K = EventKind
EMPTY = np.empty(0, EVENT_DTYPE)


def first_breach(events):
    """Row of the first illegal event as `check_invariants` sees it, None if all are legal."""
    try:
        check_invariants(events, complete=False)
    except InvariantError as error:
        return int(re.match(r"event (\d+),", str(error))[1])
    return None


def completed_order(order_id=1, driver_id=9, at_ms=1000):
    return [
        event(K.DRIVER_ONLINE, at_ms, driver_id=driver_id),
        event(K.ORDER_SUBMITTED, at_ms, order_id),
        event(K.ORDER_OFFERED, at_ms, order_id, driver_id, eta_ms=60_000, nearest_eta_ms=60_000),
        event(K.OFFER_ACCEPTED, at_ms + 1, order_id, driver_id),
        event(K.ORDER_ASSIGNED, at_ms + 1, order_id, driver_id, eta_ms=60_000, nearest_eta_ms=60_000),
        event(K.DRIVER_ARRIVED, at_ms + 60_001, order_id, driver_id, leg_m=400),
        event(K.PICKED_UP, at_ms + 80_000, order_id, driver_id),
        event(K.DROPPED_OFF, at_ms + 200_000, order_id, driver_id, leg_m=900, fare_cents=700),
        event(K.ORDER_CLOSED, at_ms + 200_000, order_id),
    ]


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), num_drivers=st.integers(0, 8), complete=st.booleans())
def test_legal_logs_pass_and_the_report_agrees_with_the_oracle(seed, num_drivers, complete):
    events = random_log(seed, num_drivers=num_drivers, complete=complete)
    state, breach = replay(events)
    assert breach is None
    report = check_invariants(events, complete=complete)
    orders, drivers = list(state.order_state.values()), list(state.driver_state.values())
    assert (report.num_orders, report.num_drivers) == (len(orders), len(drivers))
    assert report.num_closed == orders.count("closed")
    assert report.num_cancelled == orders.count("cancelled")
    assert report.num_expired == orders.count("expired")
    assert report.num_open == sum(one not in FINAL for one in orders)
    assert report.num_offline == drivers.count("offline")
    assert report.num_online == sum(one != "offline" for one in drivers)
    assert (report.pickup_m, report.trip_m) == (sum(state.pickup_m.values()), sum(state.trip_m.values()))


def mutate(events, how, row, other, random):
    events = events.copy()
    if how == "swap":
        events[[row, other]] = events[[other, row]]
    elif how == "swap, times kept":
        events[[row, other]] = events[[other, row]]
        events["at_ms"][[row, other]] = events["at_ms"][[other, row]]
    elif how == "drop":
        events = np.delete(events, row)
    elif how == "duplicate":
        events = np.insert(events, row, events[row])
    elif how == "other driver":
        events["driver_id"][row] = random.choice(np.append(events["driver_id"], 999))
    elif how == "other order":
        events["order_id"][row] = random.choice(np.append(events["order_id"], 999))
    elif how == "other kind":
        events["kind"][row] = random.integers(-1, len(EventKind) + 1)
    elif how == "other time":
        events["at_ms"][row] += random.integers(-1000, 1000)
    elif how == "leg missing":
        events["leg_m"][random.choice(rows_of_kinds(events, K.DRIVER_ARRIVED, K.DROPPED_OFF))] = -1
    elif how == "fare missing":
        events["fare_cents"][random.choice(rows_of_kinds(events, K.DROPPED_OFF))] = -1
    elif how == "no ETA":
        events["eta_ms"][random.choice(rows_of_kinds(events, K.ORDER_OFFERED, K.ORDER_ASSIGNED))] = -1
    elif how == "ETA below the nearest":
        quoted = random.choice(rows_of_kinds(events, K.ORDER_OFFERED, K.ORDER_ASSIGNED))
        events["nearest_eta_ms"][quoted] = events["eta_ms"][quoted] + 1
    else:
        field = how.removeprefix("other ")
        events[field][row] = random.integers(-3, 3)
    return events


def rows_of_kinds(events, *kinds):
    return np.flatnonzero(np.isin(events["kind"], kinds))


MUTATIONS = (
    *("swap", "swap, times kept", "drop", "duplicate", "other driver"),
    *("other order", "other kind", "other time"),
    *("other leg_m", "other nearest_eta_ms", "other fare_cents"),
)
SURE_MUTATIONS = ("leg missing", "no ETA", "ETA below the nearest", "fare missing")


@pytest.mark.parametrize("how", MUTATIONS)
def test_mutated_logs_fail_where_the_oracle_fails(how):
    random = np.random.default_rng(MUTATIONS.index(how))
    num_caught = 0
    for seed in range(60):
        events = random_log(seed, num_steps=120)
        row, other = random.integers(len(events), size=2)
        mutated = mutate(events, how, row, other, random)
        expected = replay(mutated)[1]
        assert first_breach(mutated) == expected, (seed, row, other)
        num_caught += expected is not None
    assert num_caught >= 10, "mutations that break nothing test nothing"


@pytest.mark.parametrize("how", SURE_MUTATIONS)
def test_a_number_that_cannot_be_is_caught_wherever_it_stands(how):
    random = np.random.default_rng(SURE_MUTATIONS.index(how))
    num_caught = 0
    for seed in range(40):
        events = random_log(seed, num_steps=200)
        trips = rows_of_kinds(events, K.DROPPED_OFF)
        if len(trips) < 2 or (how == "fare missing" and events["fare_cents"][trips[0]] == -1):
            continue
        mutated = mutate(events, how, 0, 0, random)
        expected = replay(mutated)[1]
        assert expected is not None
        assert first_breach(mutated) == expected, seed
        num_caught += 1
    assert num_caught >= 10


def test_an_empty_log_breaks_nothing():
    report = check_invariants(EMPTY)
    assert (report.num_events, report.num_orders, report.num_drivers) == (0, 0, 0)


def test_one_completed_order():
    report = check_invariants(log_of(*completed_order()))
    assert (report.num_closed, report.num_online, report.pickup_m, report.trip_m) == (1, 1, 400, 900)


def test_every_prefix_is_a_legal_partial_run_and_no_complete_one():
    events = log_of(*completed_order())
    for length in range(2, len(events)):
        assert check_invariants(events[:length], complete=False).num_open == 1
        with pytest.raises(InvariantError, match="order_id 1 has no final state"):
            check_invariants(events[:length])


@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        (event(K.ORDER_CANCELLED, 300_000, 1), "may not follow what happened to its order"),
        (event(K.ORDER_EXPIRED, 300_000, 1), "may not follow what happened to its order"),
        (event(K.CARS_SHOWN, 300_000, 1, num_cars=1), "may not follow what happened to its order"),
        (event(K.ORDER_SUBMITTED, 300_000, 1), "may not follow what happened to its order"),
        (event(K.DRIVER_ONLINE, 300_000, driver_id=9), "may not follow what its driver did"),
        (event(K.DRIVER_OFFLINE, 300_000, driver_id=8), "may not follow what its driver did"),
        (event(K.DRIVER_OFFLINE, 300_000, 1, 9), "cannot concern an order"),
        (event(K.DRIVER_OFFLINE, 300_000), "must name its driver"),
        (event(K.ORDER_SUBMITTED, 300_000), "must name its order"),
        (event(K.ORDER_SUBMITTED, 300_000, 2, 9), "cannot concern a driver"),
        (event(K.DRIVER_OFFLINE, 900, driver_id=9), "time goes backwards"),
        (event(K.ORDER_SUBMITTED, 300_000, 2, leg_m=1), "nobody drove for it"),
        (event(K.ORDER_SUBMITTED, 300_000, 2, fare_cents=1), "has a fare, but ends no trip"),
    ],
)
def test_the_message_names_the_rule(extra, rule):
    with pytest.raises(InvariantError, match=rule):
        check_invariants(log_of(*completed_order(), extra), complete=False)


def test_one_driver_on_two_trips():
    first, second = completed_order(1), completed_order(2, at_ms=300_000)
    with pytest.raises(InvariantError, match=r"event 6, order_offered.*order_id 2, driver_id 9: .*driver"):
        check_invariants(log_of(*first[:5], second[1], second[2]), complete=False)


def test_one_order_offered_to_two_drivers_at_once():
    other = event(K.DRIVER_ONLINE, 1000, driver_id=8)
    twice = event(K.ORDER_OFFERED, 1000, 1, 8, eta_ms=1, nearest_eta_ms=1)
    with pytest.raises(InvariantError, match=r"event 4, order_offered.*order_id 1, driver_id 8: .*order"):
        check_invariants(log_of(other, *completed_order()[:3], twice), complete=False)


def test_two_drivers_who_swap_their_passengers():
    first, second = completed_order(1, 8), completed_order(2, 9)
    swapped = event(K.DROPPED_OFF, 81_000, 1, 9, leg_m=1, fare_cents=1)
    events = log_of(
        *first[:3], *second[:3], *first[3:5], *second[3:5], first[5], second[5], first[6], second[6]
    )
    check_invariants(events, complete=False)
    with pytest.raises(InvariantError, match="its order is with another driver"):
        check_invariants(log_of(events, swapped), complete=False)


def test_an_acceptance_is_assigned_in_the_same_instant():
    events = log_of(*completed_order())
    events["at_ms"][4] += 1
    with pytest.raises(InvariantError, match="same instant"):
        check_invariants(events)


CHANGED = [
    (5, "leg_m", -1, "the metres of its leg are missing"),
    (7, "leg_m", -1, "the metres of its leg are missing"),
    (7, "fare_cents", -2, "the fare is negative"),
    (2, "eta_ms", -1, "no pickup ETA"),
    (4, "eta_ms", -1, "no pickup ETA"),
    (2, "eta_ms", 59_999, "below the nearest driver's"),
    (4, "eta_ms", 59_999, "below the nearest driver's"),
    (4, "nearest_eta_ms", -2, "nearest driver's pickup ETA is negative"),
]


@pytest.mark.parametrize(("row", "field", "value", "rule"), CHANGED)
def test_numbers_that_cannot_be(row, field, value, rule):
    events = log_of(*completed_order())
    events[field][row] = value
    assert replay(events)[1] == row
    with pytest.raises(InvariantError, match=f"event {row}, .*{rule}"):
        check_invariants(events)


def test_one_trip_without_a_fare_among_trips_with_one():
    events = log_of(*completed_order(1), *completed_order(2, 8, at_ms=300_000))
    check_invariants(events)
    events["fare_cents"][16] = -1
    assert replay(events)[1] == 16
    with pytest.raises(InvariantError, match=r"event 16, .*unlike the first"):
        check_invariants(events)
    events["fare_cents"][7] = -1
    check_invariants(events)
    assert replay(events)[1] is None
