"""Chained dispatch: drivers about to drop off are offered what comes next."""

import numpy as np
import pytest

from cities import T0, new_orders, positions
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K, make_events
from dispatch.engine.lifecycle import DriverStatus as D, OrderStatus as S
from dispatch.engine.policy import POLICIES, Policy
from dispatch.errors import StateError
from engine.riding import LINE, line_dispatcher, named, offers, ride

SOON = T0 + 30_000
"""The ride of 150 s from node 0 to 15 has 120 s to go."""


def chained(at_ms=SOON, policy="lookahead", **params):
    """Driver 4 rides with order 1 from 0 to 15; order 2 waits at 17."""
    dispatcher = line_dispatcher(policy, **params)
    ride(dispatcher, 1, 4, 0, 15)
    dispatcher.submit(new_orders(LINE, [2], [17], [3], T0))
    return dispatcher, dispatcher.step(at_ms)


def status(dispatcher):
    return dispatcher.driver_status([4])[0], dispatcher.order_status([2])[0]


@pytest.mark.parametrize("before_s", [0.0, 60.0, 120.0])
def test_an_offer_comes_no_sooner_than_so_long_before_the_drop_off(before_s):
    policy = Policy(chain_before_dropoff_s=before_s)
    dispatcher, events = chained(T0 + 150_000 - int(1000 * before_s) - 1, policy)
    assert offers(events) == []
    events = dispatcher.step(T0 + 150_000 - int(1000 * before_s))
    assert offers(events) == ([(2, 4, before_s + 20, before_s + 20)] if before_s else [])


def test_the_eta_holds_the_rest_of_the_trip_and_the_way_from_its_end():
    dispatcher, events = chained(T0 + 80_000)
    assert offers(events) == [(2, 4, 70 + 20, 70 + 20)]
    assert status(dispatcher) == (D.OCCUPIED_OFFERED, S.OFFERED)


@pytest.mark.parametrize("by", ["air", "road"])
def test_a_trip_that_should_be_over_ends_at_its_drop_off_now(by):
    _, events = chained(T0 + 170_000, candidates_by=by)
    assert offers(events) == [(2, 4, 20, 20)]


@pytest.mark.parametrize("by", ["air", "road"])
@pytest.mark.parametrize("at_s", [100, 170])
def test_it_is_the_same_for_who_was_not_looked_at_at_first(by, at_s):
    """The only candidate declines; of all others, the one with a passenger counts from its drop-off."""
    dispatcher, _ = chained(T0, candidates_by=by, candidates_per_order=1)
    dispatcher.drivers_online(positions(LINE, [9], [17], T0 + 1))
    assert offers(dispatcher.step(T0 + 1)) == [(2, 9, 0, 0)]
    dispatcher.decline([2], [9], T0 + 2)
    rest_s = max(150 - at_s, 0)
    assert offers(dispatcher.step(T0 + 1000 * at_s)) == [(2, 4, rest_s + 20, rest_s + 20)]


def test_by_road_the_place_where_the_trip_ends_counts():
    """By where it is now, the driver would be too far away to be found."""
    _, events = chained(T0 + 150_000, candidates_by="road", max_pickup_s=30.0)
    assert offers(events) == [(2, 4, 20, 20)]


def test_who_is_free_and_sooner_there_comes_first():
    dispatcher, _ = chained(T0)
    dispatcher.drivers_online(positions(LINE, [5], [8], T0))
    assert offers(dispatcher.step(SOON)) == [(2, 5, 90, 90)]


def test_the_next_order_follows_the_drop_off():
    dispatcher, events = chained()
    dispatcher.accept([2], [4], SOON + 1)
    assert status(dispatcher) == (D.OCCUPIED_ASSIGNED, S.ASSIGNED)
    with pytest.raises(
        StateError, match="DRIVER_ARRIVED is not legal while order 2 is ASSIGNED and driver 4"
    ):
        dispatcher.arrive([2], SOON + 2, [100])
    dispatcher.drop_off([1], SOON + 3, [1500])
    assert status(dispatcher) == (D.TO_PICKUP, S.ASSIGNED)
    dispatcher.arrive([2], SOON + 4, [200])
    dispatcher.pick_up([2], SOON + 5)
    dispatcher.drop_off([2], SOON + 6, [1400])
    dispatcher.close([1, 2], SOON + 7)
    assert status(dispatcher) == (D.IDLE, S.CLOSED)
    told = dispatcher.take_events()
    assert named(told)[:4] == ["offer_accepted", "order_assigned", "dropped_off", "driver_arrived"]
    assert check_invariants_of(events, told) == 2


def check_invariants_of(*logs):
    return check_invariants(np.concatenate(logs), complete=False).num_orders


def test_a_cancelled_next_order_leaves_the_ride_as_it_is():
    dispatcher, _ = chained()
    dispatcher.accept([2], [4], SOON + 1)
    dispatcher.cancel([2], SOON + 2)
    assert status(dispatcher) == (D.OCCUPIED, S.CANCELLED)
    dispatcher.drop_off([1], SOON + 3, [1500])
    assert dispatcher.driver_status([4]) == [D.IDLE]


def test_an_offer_cancelled_on_the_ride_leaves_it_as_it_is():
    dispatcher, _ = chained()
    dispatcher.cancel([2], SOON + 2)
    assert status(dispatcher) == (D.OCCUPIED, S.CANCELLED)


@pytest.mark.parametrize("command", ["decline", "unassign"])
def test_an_order_given_back_on_the_ride_is_never_offered_again(command):
    dispatcher, _ = chained()
    if command == "decline":
        dispatcher.decline([2], [4], SOON + 1)
    else:
        dispatcher.accept([2], [4], SOON + 1)
        dispatcher.unassign([2], SOON + 2)
    assert status(dispatcher) == (D.OCCUPIED, S.OPEN)
    assert offers(dispatcher.step(SOON + 1000)) == []
    dispatcher.drop_off([1], SOON + 2000, [1500])
    dispatcher.update_positions(positions(LINE, [4], [16], SOON + 2000))
    assert offers(dispatcher.step(SOON + 3000)) == []
    dispatcher.drivers_online(positions(LINE, [8], [10], SOON + 3000))
    assert offers(dispatcher.step(SOON + 4000)) == [(2, 8, 70, 70)]


def test_an_offer_may_be_accepted_after_the_drop_off():
    dispatcher, _ = chained()
    dispatcher.drop_off([1], SOON + 1000, [1500])
    assert status(dispatcher) == (D.OFFERED, S.OFFERED)
    dispatcher.accept([2], [4], SOON + 2000)
    assert status(dispatcher) == (D.TO_PICKUP, S.ASSIGNED)


@pytest.mark.parametrize(("dropped_off_s", "ended_s"), [(None, 30), (10, 30), (30, 30), (40, 40)])
def test_an_offer_times_out_before_at_and_after_the_drop_off(dropped_off_s, ended_s):
    """Where the driver drops off after the time was up and before the step, its end comes after that."""
    dispatcher, first = chained(offer_timeout_s=30.0)
    if dropped_off_s is not None:
        dispatcher.drop_off([1], SOON + 1000 * dropped_off_s, [1500])
    events = dispatcher.step(SOON + 50_000)
    (expired,) = events[events["kind"] == K.OFFER_EXPIRED]
    assert (expired["at_ms"], expired["driver_id"]) == (SOON + 1000 * ended_s, 4)
    assert status(dispatcher) == (D.OCCUPIED if dropped_off_s is None else D.IDLE, S.OPEN)
    assert offers(events) == []
    assert check_invariants_of(first, events) == 2


def test_who_drives_while_an_offer_times_out_holds_nothing_up():
    """A leg told after the offer's time was up, before the step that ends it."""
    dispatcher = line_dispatcher("batch", offer_timeout_s=30.0)
    dispatcher.drivers_online(positions(LINE, [4], [3], T0))
    dispatcher.submit(new_orders(LINE, [2], [5], [9], T0))
    dispatcher.step(T0)
    leg = make_events(K.CRUISING_LEG, 1, driver_id=4, at_ms=T0 + 35_000, leg_m=100)
    dispatcher.apply(leg, np.array([4], np.int32))
    events = dispatcher.step(T0 + 40_000)
    assert named(events) == ["cruising_leg", "offer_expired"]
    assert dispatcher.driver_status([4]) == [D.IDLE]


def test_only_policies_that_say_so_look_ahead():
    ahead = {name for name, policy in POLICIES.items() if policy.chain_before_dropoff_s}
    assert ahead == {"lookahead", "patient_lookahead"}
    for name in sorted(POLICIES.keys() - {"promise"}):  # which needs travel times that are uncertain
        _, events = chained(policy=name)
        assert bool(offers(events)) == (name in ahead)
