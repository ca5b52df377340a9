"""An offer's way: accepted, declined, timed out; never to the same driver again."""

import numpy as np
import pytest

from cities import T0, assert_same_tables, dispatcher_on, line_city, new_orders, positions, tables_of
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.errors import StateError

CITY = line_city()


def with_drivers(nodes, **params):
    """Drivers 0, 1, … at nodes of the line, and order 5 from node 0 to node 9."""
    dispatcher = dispatcher_on(CITY, **params)
    dispatcher.drivers_online(positions(CITY, np.arange(len(nodes)), nodes))
    dispatcher.submit(new_orders(CITY, [5], [0], [9]))
    return dispatcher


def told(events, *kinds):
    """What happened, as (kind, instant after T0, driver)."""
    chosen = events[np.isin(events["kind"], kinds)] if kinds else events
    return [(K(e["kind"]), int(e["at_ms"]) - T0, int(e["driver_id"])) for e in chosen]


def test_accepted_is_assigned_in_the_same_instant_with_the_same_quote():
    dispatcher = with_drivers([4, 2])
    offered = dispatcher.step(T0 + 100)[-1]
    assert (offered["kind"], offered["driver_id"], offered["eta_ms"]) == (K.ORDER_OFFERED, 1, 20_000)
    dispatcher.accept([5], [1], T0 + 900)
    events = dispatcher.take_events()
    assert told(events) == [(K.OFFER_ACCEPTED, 900, 1), (K.ORDER_ASSIGNED, 900, 1)]
    assert events["eta_ms"].tolist() == [-1, 20_000]
    assert events["nearest_eta_ms"].tolist() == [-1, 20_000]
    assert dispatcher.order_status([5]) == [OrderStatus.ASSIGNED]
    assert dispatcher.driver_status([0, 1]) == [DriverStatus.IDLE, DriverStatus.TO_PICKUP]


def test_declined_goes_to_the_next_driver_and_never_back():
    dispatcher = with_drivers([4, 2, 8])
    offers = []
    for second in range(0, 50, 5):
        events = told(dispatcher.step(T0 + 1000 * second), K.ORDER_OFFERED)
        offers += events
        for _, _, driver in events:
            dispatcher.decline([5], [driver], T0 + 1000 * second + 10)
            assert dispatcher.driver_status([driver]) == [DriverStatus.IDLE]
    assert [(at, driver) for _, at, driver in offers] == [(0, 1), (5000, 0), (10_000, 2)]
    assert dispatcher.order_status([5]) == [OrderStatus.OPEN]
    assert told(dispatcher.step(T0 + 60_000)) == []


def test_not_answered_times_out_at_its_instant_and_goes_to_the_next_driver():
    dispatcher = with_drivers([4, 2], offer_timeout_s=30.0)
    dispatcher.step(T0)
    assert told(dispatcher.step(T0 + 29_999)) == []
    assert told(dispatcher.step(T0 + 45_000)) == [(K.OFFER_EXPIRED, 30_000, 1), (K.ORDER_OFFERED, 45_000, 0)]
    assert told(dispatcher.step(T0 + 75_000)) == [(K.OFFER_EXPIRED, 75_000, 0)]
    assert dispatcher.count()["order_open"] == 1


def test_a_declined_driver_is_offered_other_orders():
    dispatcher = with_drivers([2])
    dispatcher.step(T0)
    dispatcher.decline([5], [0], T0)
    dispatcher.submit(new_orders(CITY, [6], [1], [9]))
    events = dispatcher.step(T0 + 1)
    assert events["order_id"][events["kind"] == K.ORDER_OFFERED].tolist() == [6]


def refused(dispatcher, command, *args, why):
    before = tables_of(dispatcher)
    with pytest.raises(StateError, match=why):
        command(*args)
    assert_same_tables(before, tables_of(dispatcher))


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_a_late_answer_is_refused_even_before_the_step_that_times_the_offer_out(answer):
    dispatcher = with_drivers([4, 2], offer_timeout_s=30.0)
    dispatcher.step(T0)
    late = (
        f"no live offer of order 5 to driver 1 .it timed out at {T0 + 30_000}, the answer is of {T0 + 30_000}"
    )
    refused(dispatcher, getattr(dispatcher, answer), [5], [1], T0 + 30_000, why=late)
    dispatcher.step(T0 + 31_000)
    why = "row 0: no live offer of order 5 to driver 1 .the order is OFFERED.; nothing was applied"
    refused(dispatcher, getattr(dispatcher, answer), [5], [1], T0 + 31_000, why=why)
    getattr(dispatcher, answer)([5], [0], T0 + 60_999)


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_an_answer_of_another_driver_or_to_a_past_offer_is_refused(answer):
    dispatcher = with_drivers([4, 2])
    refused(dispatcher, getattr(dispatcher, answer), [5], [1], T0, why="the order is OPEN")
    dispatcher.step(T0)
    refused(dispatcher, getattr(dispatcher, answer), [5], [0], T0, why="the order is OFFERED")
    dispatcher.accept([5], [1], T0)
    refused(dispatcher, getattr(dispatcher, answer), [5], [1], T0, why="the order is ASSIGNED")


def test_an_order_offered_when_its_patience_ends_expires_after_the_refusal():
    dispatcher = with_drivers([2], offer_timeout_s=30.0, max_wait_s=10.0)
    dispatcher.step(T0)
    assert told(dispatcher.step(T0 + 20_000)) == []
    expired = [(K.OFFER_EXPIRED, 30_000, 0), (K.ORDER_EXPIRED, 30_000, -1)]
    assert told(dispatcher.step(T0 + 40_000)) == expired
    dispatcher = with_drivers([2], offer_timeout_s=30.0, max_wait_s=10.0)
    dispatcher.step(T0)
    dispatcher.decline([5], [0], T0 + 15_000)
    events = told(dispatcher.step(T0 + 40_000))
    assert events == [(K.OFFER_DECLINED, 15_000, 0), (K.ORDER_EXPIRED, 15_000, -1)]


def test_an_order_accepted_late_in_its_patience_lives_on():
    dispatcher = with_drivers([2], max_wait_s=10.0)
    dispatcher.step(T0)
    dispatcher.accept([5], [0], T0 + 12_000)
    dispatcher.step(T0 + 40_000)
    assert dispatcher.order_status([5]) == [OrderStatus.ASSIGNED]


def test_an_order_without_a_car_expires_at_its_instant():
    dispatcher = with_drivers([], max_wait_s=10.0)
    events = dispatcher.step(T0 + 1000)
    assert told(events, K.CARS_SHOWN) == [(K.CARS_SHOWN, 1000, -1)]
    assert events["num_cars"].tolist() == [-1, 0]
    assert told(dispatcher.step(T0 + 9999)) == []
    assert told(dispatcher.step(T0 + 14_000)) == [(K.ORDER_EXPIRED, 10_000, -1)]


def test_cars_are_shown_once_an_order():
    dispatcher = with_drivers([2, 4, 19], max_pickup_s=100.0)
    events = dispatcher.step(T0)
    assert events["num_cars"][events["kind"] == K.CARS_SHOWN].tolist() == [2]
    dispatcher.decline([5], [0], T0)
    assert told(dispatcher.step(T0 + 10), K.CARS_SHOWN) == []


@pytest.mark.parametrize("stage", ["open", "offered", "assigned", "arrived"])
def test_cancelled_in_any_stage_before_the_ride_frees_the_driver(stage):
    dispatcher = with_drivers([2])
    if stage != "open":
        dispatcher.step(T0)
    if stage in ("assigned", "arrived"):
        dispatcher.accept([5], [0], T0)
    if stage == "arrived":
        dispatcher.arrive([5], T0, [200])
    dispatcher.take_events()
    dispatcher.cancel([5], T0 + 10)
    driver = -1 if stage == "open" else 0
    assert told(dispatcher.take_events()) == [(K.ORDER_CANCELLED, 10, driver)]
    assert dispatcher.driver_status([0]) == [DriverStatus.IDLE]
    dispatcher.submit(new_orders(CITY, [6], [0], [9], T0 + 10))
    assert told(dispatcher.step(T0 + 20), K.ORDER_OFFERED) == [(K.ORDER_OFFERED, 20, 0)]


def test_given_and_taken_by_hand():
    dispatcher = with_drivers([2, 7])
    dispatcher.assign([5], [1], T0 + 1)
    events = dispatcher.take_events()[-1:]
    assert told(events) == [(K.ORDER_ASSIGNED, 1, 1)]
    assert events["eta_ms"].tolist() == [70_000]
    dispatcher.unassign([5], T0 + 2)
    assert told(dispatcher.take_events()) == [(K.ORDER_UNASSIGNED, 2, 1)]
    assert told(dispatcher.step(T0 + 3), K.ORDER_OFFERED) == [(K.ORDER_OFFERED, 3, 0)]
    dispatcher.decline([5], [0], T0 + 4)
    assert told(dispatcher.step(T0 + 5), K.ORDER_OFFERED) == []  # driver 1 had it taken away
    dispatcher.assign([5], [1], T0 + 6)  # by hand a refusal does not count
    dispatcher.arrive([5], T0 + 7, [700])
    dispatcher.unassign([5], T0 + 8)
    assert dispatcher.order_status([5]) == [OrderStatus.OPEN]
    assert dispatcher.driver_status([1]) == [DriverStatus.IDLE]


def test_answers_of_many_offers_in_one_call():
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(positions(CITY, [10, 11, 12], [1, 8, 15]))
    dispatcher.submit(new_orders(CITY, [3, 1, 2], [15, 1, 8], [4, 5, 6]))
    events = dispatcher.step(T0)
    offered = events[events["kind"] == K.ORDER_OFFERED]
    assert offered[["order_id", "driver_id"]].tolist() == [(3, 12), (1, 10), (2, 11)]
    dispatcher.accept([2, 3], [11, 12], [T0 + 5, T0 + 3])
    dispatcher.decline([1], [10], T0 + 4)
    events = dispatcher.take_events()
    assert events["at_ms"].tolist() == [T0 + 3, T0 + 3, T0 + 4, T0 + 5, T0 + 5]
    assert events["order_id"].tolist() == [3, 3, 1, 2, 2]
