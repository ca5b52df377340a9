"""Every (event, order, driver): legal by the table and applied, or a StateError that changes nothing."""

import itertools

import numpy as np
import pytest

from cities import T0, enter_orders
from dispatch.engine.commit import EngineState, Happening, commit
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import (
    FINAL_STATUSES,
    NOBODY,
    RULES,
    TRANSITIONS,
    DriverStatus,
    OrderStatus,
)
from dispatch.errors import StateError
from dispatch.kernels.transition import ILLEGAL
from dispatch.units import NO_INDEX

ORDER_SIDES = (None, *OrderStatus)
DRIVER_SIDES = (None, *DriverStatus)
LEGAL = {(one.event, one.order_from, one.driver_from): one for one in TRANSITIONS}


def state_with(order_status, driver_status):
    """One order and one driver in these statuses, each other's."""
    state = EngineState()
    driver = state.fleet.register(np.array([70]))
    state.fleet.status[driver] = driver_status
    state.fleet.changed_at_ms[driver] = T0
    enter_orders(state.orders, np.array([9]))
    state.orders.status[0], state.orders.driver_idx[0] = order_status, 0
    state.orders.changed_at_ms[0] = T0
    return state


def happening(kind, with_order, with_driver):
    rows = [np.array([0 if taken else NO_INDEX], np.int32) for taken in (with_order, with_driver)]
    return Happening(kind, np.array([T0 + 5]), *rows)


def statuses(state):
    return int(state.orders.status[0]), int(state.fleet.status[0])


@pytest.mark.parametrize("kind", EventKind)
def test_each_triple_is_in_the_table_or_a_state_error(kind):
    num_legal = 0
    for order, driver in itertools.product(ORDER_SIDES, DRIVER_SIDES):
        if order is None and driver is None:
            continue
        state = state_with(order or OrderStatus.OPEN, driver or DriverStatus.OFFLINE)
        before = statuses(state)
        told = happening(kind, order is not None, driver is not None)
        one = LEGAL.get((kind, order, driver))
        if one is None:
            with pytest.raises(StateError, match=f"{kind.name} is not legal"):
                commit(state, told)
            assert statuses(state) == before
            assert len(state.log.take()) == 0
            continue
        num_legal += 1
        commit(state, told)
        expected_order = before[0] if order is None else one.order_to
        expected_driver = before[1] if driver is None else one.driver_to
        assert statuses(state) == (expected_order, expected_driver)
        logged = state.log.take()
        assert logged["kind"].tolist() == [kind]
        assert logged["at_ms"].tolist() == [T0 + 5]
        assert logged["order_id"].tolist() == [-1 if order is None else 9]
        assert logged["driver_id"].tolist() == [-1 if driver is None else 70]
    assert num_legal == sum(one.event == kind for one in TRANSITIONS)


def test_no_two_rows_of_the_table_contradict_each_other():
    assert len(LEGAL) == len(TRANSITIONS)


def test_parties_come_and_go_together():
    for one in TRANSITIONS:
        assert (one.order_from is None) == (one.order_to is None)
        assert (one.driver_from is None) == (one.driver_to is None)


def test_a_final_status_has_no_way_out():
    assert {one.order_from for one in TRANSITIONS}.isdisjoint(FINAL_STATUSES)
    for kind in EventKind:
        assert (RULES[kind].order_to[list(FINAL_STATUSES)] == ILLEGAL).all()


def test_every_event_but_submission_has_a_row():
    assert {one.event for one in TRANSITIONS} == set(EventKind) - {EventKind.ORDER_SUBMITTED}


def reached(start, edges):
    known = {start}
    while more := {after for before, after in edges if before in known} - known:
        known |= more
    return known


def test_every_status_is_reachable():
    orders = {(one.order_from, one.order_to) for one in TRANSITIONS if one.order_from is not None}
    drivers = {(one.driver_from, one.driver_to) for one in TRANSITIONS if one.driver_from is not None}
    assert reached(OrderStatus.OPEN, orders) == set(OrderStatus)
    assert reached(DriverStatus.OFFLINE, drivers) == set(DriverStatus)


def test_every_status_but_a_final_one_leads_to_a_final_one():
    orders = {(one.order_to, one.order_from) for one in TRANSITIONS if one.order_from is not None}
    for status in OrderStatus:
        assert status in reached(OrderStatus.CLOSED, orders) | set(FINAL_STATUSES)


WITH_NEXT = {
    OrderStatus.OFFERED: (DriverStatus.OFFERED, DriverStatus.OCCUPIED_OFFERED),
    OrderStatus.ASSIGNED: (DriverStatus.TO_PICKUP, DriverStatus.OCCUPIED_ASSIGNED),
    OrderStatus.ARRIVED: (DriverStatus.AT_PICKUP,),
}
WITH_PASSENGER = (DriverStatus.OCCUPIED, DriverStatus.OCCUPIED_OFFERED, DriverStatus.OCCUPIED_ASSIGNED)


def next_of(driver):
    """Status of the driver's next order."""
    return next((order for order, drivers in WITH_NEXT.items() if driver in drivers), None)


@pytest.mark.parametrize("one", [one for one in TRANSITIONS if None not in (one.order_from, one.driver_from)])
def test_an_engaged_driver_has_an_engaged_order(one):
    """Whatever happens to a next order leaves the passenger on board, and the other way round."""
    had, has = (driver in WITH_PASSENGER for driver in (one.driver_from, one.driver_to))
    if one.event in (EventKind.PICKED_UP, EventKind.DROPPED_OFF):
        boards = one.event == EventKind.PICKED_UP
        assert (had, has) == (not boards, boards)
        assert (one.order_to if boards else one.order_from) == OrderStatus.ON_BOARD
    else:
        assert had == has
    if one.event == EventKind.DROPPED_OFF:
        assert next_of(one.driver_from) == next_of(one.driver_to)
        return
    engaged = tuple(WITH_NEXT)
    assert next_of(one.driver_from) == (one.order_from if one.order_from in engaged else None)
    assert next_of(one.driver_to) == (one.order_to if one.order_to in engaged else None)


def test_the_kernel_table_holds_nobody_last():
    for kind in EventKind:
        assert RULES[kind].order_to.shape == (NOBODY + 1, NOBODY + 1)
        assert RULES[kind].order_to[NOBODY, NOBODY] == ILLEGAL
