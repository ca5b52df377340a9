import re
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.histories import TRANSITIONS, make_history, random_history
from analysis.logs import event, log_of, random_log
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.errors import InvariantError
from dispatch.units import NO_COORDINATE
from naive.replay import FINAL, replay

K = EventKind
EMPTY = np.empty(0, EVENT_DTYPE)
GENERATORS = (random_log, random_history)
PLACE = {"lon_e6": 10_000_000, "lat_e6": 50_000_000}


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


@settings(max_examples=80, deadline=None)
@given(
    make_log=st.sampled_from(GENERATORS),
    seed=st.integers(0, 10**6),
    num_drivers=st.integers(0, 8),
    complete=st.booleans(),
)
def test_legal_logs_pass_and_the_report_agrees_with_the_oracle(make_log, seed, num_drivers, complete):
    events = make_log(seed, num_drivers=num_drivers, complete=complete)
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
    assert all(getattr(report, name) == sum(metres.values()) for name, metres in state.metres.items())


def test_histories_drive_every_transition_and_every_part_of_them_is_legal():
    used = set()
    for seed in range(30):
        history = make_history(seed, num_steps=500)
        used |= history.used
        events = history.events()
        for length in np.random.default_rng(seed).integers(0, len(events), 5):
            check_invariants(events[:length], complete=False)
    assert used == set(range(len(TRANSITIONS)))


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
        events["leg_m"][random.choice(rows_of_kinds(events, *LEG_KINDS))] = -1
    elif how == "fare missing":
        events["fare_cents"][random.choice(rows_of_kinds(events, K.DROPPED_OFF))] = -1
    elif how == "no ETA":
        events["eta_ms"][random.choice(rows_of_kinds(events, *QUOTE_KINDS))] = -1
    elif how == "ETA below the nearest":
        quoted = random.choice(rows_of_kinds(events, *QUOTE_KINDS))
        events["nearest_eta_ms"][quoted] = events["eta_ms"][quoted] + 1
    elif how == "advised nowhere":
        advised = random.choice(rows_of_kinds(events, K.REPOSITION_ADVISED))
        events[random.choice(["lon_e6", "lat_e6"])][advised] = NO_COORDINATE
    elif how == "told too late":
        field = random.choice(["customer_id", "tier", "is_first", "passengers", "wanted_after_ms"])
        late = np.flatnonzero(events["kind"] != K.ORDER_SUBMITTED)
        events[field][random.choice(late)] = random.choice([0, 1])
    elif how == "time goes on after half":
        halves = rows_of_kinds(events, K.OFFER_ACCEPTED, K.ORDER_RELEASED)
        events["at_ms"][random.choice(halves) + 1 :] += 1
    elif how == "given back":
        given = random.choice(rows_of_kinds(events, K.ORDER_REASSIGNED))
        events["driver_id"][given] = events["driver_id"][given - 1]
    else:
        field = how.removeprefix("other ")
        events[field][row] = random.integers(-3, 3)
    return events


LEG_KINDS = (
    *(K.DRIVER_ARRIVED, K.DROPPED_OFF),
    *(K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG),
)
QUOTE_KINDS = (K.ORDER_OFFERED, K.ORDER_ASSIGNED, K.ORDER_REASSIGNED)


def rows_of_kinds(events, *kinds):
    return np.flatnonzero(np.isin(events["kind"], kinds))


MUTATIONS = (
    *("swap", "swap, times kept", "drop", "duplicate", "other driver"),
    *("other order", "other kind", "other time"),
    *("other leg_m", "other nearest_eta_ms", "other fare_cents"),
    *("other customer_id", "other tier", "other is_first", "other passengers"),
    *("other wanted_after_ms", "other vehicle_class"),
)
SURE_MUTATIONS = (
    *("leg missing", "no ETA", "ETA below the nearest", "fare missing"),
    *("advised nowhere", "told too late", "time goes on after half", "given back"),
)


@cache
def made_once(make_log, seed, num_steps):
    """Give a log, the same for all mutations, which copy it."""
    return make_log(seed, num_steps=num_steps)


@pytest.mark.parametrize("make_log", GENERATORS)
@pytest.mark.parametrize("how", MUTATIONS)
def test_mutated_logs_fail_where_the_oracle_fails(how, make_log):
    random = np.random.default_rng(MUTATIONS.index(how))
    num_caught = 0
    for seed in range(60):
        events = made_once(make_log, seed, 120)
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
        events = made_once(random_history, seed, 200)
        trips = rows_of_kinds(events, K.DROPPED_OFF)
        if len(trips) < 2 or (how == "fare missing" and events["fare_cents"][trips[0]] == -1):
            continue
        if how == "advised nowhere" and not len(rows_of_kinds(events, K.REPOSITION_ADVISED)):
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
        (event(K.CRUISING_LEG, 300_000, driver_id=8, leg_m=1), "may not follow what its driver did"),
        (event(K.CRUISING_LEG, 300_000, driver_id=9), "the metres of its leg are missing"),
        (event(K.ABANDONED_LEG, 300_000, 1, 9, leg_m=1), "cannot concern an order"),
        (event(K.REPOSITION_ADVISED, 300_000, driver_id=9, lon_e6=1), "names no place"),
        (event(K.REPOSITION_ADVISED, 300_000, driver_id=8, **PLACE), "may not follow what its driver did"),
        (event(K.ORDER_SUBMITTED, 300_000, 2, is_first=2), "is_first is neither 0 nor 1"),
        (event(K.ORDER_SUBMITTED, 300_000, 2, tier=-2), "tier is negative"),
        (event(K.DRIVER_OFFLINE, 300_000, driver_id=9, vehicle_class=0), "cannot have a vehicle_class"),
        (event(K.DRIVER_OFFLINE, 300_000, driver_id=9, customer_id=0), "cannot have a customer_id"),
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
    with pytest.raises(InvariantError, match=r"event 4, .*order_id 1, accepted before, .*same instant"):
        check_invariants(events)


def quoted(kind, at_ms, order_id, driver_id):
    return event(kind, at_ms, order_id, driver_id, eta_ms=60_000, nearest_eta_ms=0)


def chained():
    """Driver 9 has passenger 1 and order 2 comes next; driver 8 is idle."""
    return [
        *completed_order(1)[:7],
        event(K.DRIVER_ONLINE, 100_000, driver_id=8),
        event(K.ORDER_SUBMITTED, 100_000, 2),
        quoted(K.ORDER_OFFERED, 100_000, 2, 9),
        event(K.OFFER_ACCEPTED, 100_000, 2, 9),
        quoted(K.ORDER_ASSIGNED, 100_000, 2, 9),
    ]


DROPPED = event(K.DROPPED_OFF, 120_000, 1, 9, leg_m=900, fare_cents=700)
REACHED = event(K.DRIVER_ARRIVED, 150_000, 2, 9, leg_m=300)


@pytest.mark.parametrize(
    "more",
    [
        [DROPPED, REACHED, event(K.PICKED_UP, 160_000, 2, 9)],
        [event(K.ORDER_UNASSIGNED, 110_000, 2, 9), DROPPED, event(K.DRIVER_OFFLINE, 120_000, driver_id=9)],
        [event(K.ORDER_CANCELLED, 110_000, 2, 9), DROPPED],
        [event(K.ORDER_RELEASED, 110_000, 2, 9), quoted(K.ORDER_REASSIGNED, 110_000, 2, 8), DROPPED],
        [DROPPED, event(K.ORDER_RELEASED, 130_000, 2, 9), quoted(K.ORDER_REASSIGNED, 130_000, 2, 8)],
        [event(K.CRUISING_LEG, 110_000, driver_id=8, leg_m=5), event(K.DRIVER_OFFLINE, 110_000, driver_id=8)],
        [event(K.REPOSITION_ADVISED, 110_000, driver_id=8, **PLACE), quoted(K.ORDER_OFFERED, 110_000, 3, 8)],
    ],
)
def test_what_may_follow_a_chained_order(more):
    events = log_of(event(K.ORDER_SUBMITTED, 0, 3), *chained(), *more)
    assert replay(events)[1] is None
    check_invariants(events, complete=False)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ([REACHED], "may not follow what its driver did"),
        ([event(K.DROPPED_OFF, 120_000, 2, 9, leg_m=1)], "may not follow what happened to its order"),
        ([quoted(K.ORDER_OFFERED, 120_000, 3, 9)], "may not follow what its driver did"),
        ([event(K.DRIVER_OFFLINE, 120_000, driver_id=9)], "may not follow what its driver did"),
        ([event(K.REPOSITION_ADVISED, 120_000, driver_id=9, **PLACE)], "may not follow what its driver did"),
        ([DROPPED, event(K.DRIVER_OFFLINE, 130_000, driver_id=9)], "may not follow what its driver did"),
        ([event(K.ORDER_RELEASED, 110_000, 2, 9), DROPPED], "order_id 2, released before, got no driver"),
        (
            [event(K.ORDER_RELEASED, 110_000, 2, 9), quoted(K.ORDER_REASSIGNED, 110_000, 2, 9)],
            "taken from that very driver",
        ),
        ([quoted(K.ORDER_REASSIGNED, 110_000, 3, 8)], "may not follow what happened to its order"),
        ([event(K.ORDER_RELEASED, 110_000, 2, 8)], "its order is with another driver"),
        ([event(K.ORDER_REASSIGNED, 110_000, 2, 8)], "no pickup ETA"),
    ],
)
def test_what_may_not_follow_a_chained_order(more, rule):
    events = log_of(event(K.ORDER_SUBMITTED, 0, 3), *chained(), *more)
    assert replay(events)[1] == len(events) - 1
    with pytest.raises(InvariantError, match=f"event {len(events) - 1}, .*{rule}"):
        check_invariants(events, complete=False)


def test_legs_change_nothing_and_are_legal_off_duty():
    off = event(K.DRIVER_OFFLINE, 300_000, driver_id=9)
    legs = [
        event(kind, 300_000 + metres, driver_id=9, leg_m=metres)
        for kind, metres in ((K.CRUISING_LEG, 10), (K.REPOSITIONING_LEG, 20), (K.ABANDONED_LEG, 40))
    ]
    report = check_invariants(log_of(*completed_order(), off, *legs))
    assert (report.cruising_m, report.repositioning_m, report.abandoned_m) == (10, 20, 40)
    assert (report.pickup_m, report.trip_m, report.num_offline) == (400, 900, 1)


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
