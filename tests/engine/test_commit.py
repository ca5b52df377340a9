import numpy as np
import pytest

from cities import T0, enter_orders
from dispatch.engine.commit import EngineState, Happening, commit
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.errors import InputError, StateError
from dispatch.units import NO_INDEX


def engine_state(num_orders=4, num_drivers=4):
    """Orders 100, 101, … open, drivers 10, 11, … idle, all since T0."""
    state = EngineState()
    drivers = state.fleet.register(np.arange(10, 10 + num_drivers))
    state.fleet.status[drivers] = DriverStatus.IDLE
    state.fleet.changed_at_ms[drivers] = T0
    added = enter_orders(state.orders, np.arange(100, 100 + num_orders))
    state.orders.changed_at_ms[added] = T0
    return state


def happening(kind, at_ms, orders, drivers):
    rows = (np.array(orders, np.int32), np.array(drivers, np.int32))
    return Happening(kind, np.broadcast_to(np.int64(at_ms), len(orders)).copy(), *rows)


def copy_of(state):
    tables = [getattr(t, c)[: t.num_rows].copy() for t in (state.fleet, state.orders) for c in t.COLUMNS]
    return [*tables, state.log._events[: state.log._num_events].copy()]


def assert_refused(state, told, error, pattern):
    before = copy_of(state)
    with pytest.raises(error, match=pattern):
        commit(state, told)
    for old, new in zip(before, copy_of(state), strict=True):
        assert np.array_equal(old, new)


def test_applies_all_rows_and_logs_them_in_their_sequence():
    state = engine_state()
    commit(state, happening(K.ORDER_OFFERED, T0 + 1, [2, 0], [1, 3]), eta_ms=[50, 60])
    assert state.orders.status[:4].tolist() == [OrderStatus.OFFERED, 0, OrderStatus.OFFERED, 0]
    assert state.orders.driver_idx[:4].tolist() == [3, NO_INDEX, 1, NO_INDEX]
    assert state.fleet.status[:4].tolist() == [1, DriverStatus.OFFERED, 1, DriverStatus.OFFERED]
    assert state.orders.changed_at_ms[:4].tolist() == [T0 + 1, T0, T0 + 1, T0]
    logged = state.log.take()
    assert logged["order_id"].tolist() == [102, 100]
    assert logged["driver_id"].tolist() == [11, 13]
    assert logged["eta_ms"].tolist() == [50, 60]


def test_an_open_order_has_no_driver():
    state = engine_state()
    commit(state, happening(K.ORDER_OFFERED, T0, [0], [1]))
    commit(state, happening(K.OFFER_DECLINED, T0, [0], [1]))
    assert state.orders.driver_idx[0] == NO_INDEX


def test_an_illegal_row_in_the_middle_changes_nothing():
    state = engine_state()
    state.fleet.status[2] = DriverStatus.TO_PICKUP
    assert_refused(
        state,
        happening(K.ORDER_OFFERED, T0 + 1, [0, 1, 2], [0, 2, 1]),
        StateError,
        "row 1: ORDER_OFFERED is not legal while order 101 is OPEN and driver 12 is TO_PICKUP",
    )


def test_time_backwards_names_row_and_the_latest_instant():
    state = engine_state()
    state.orders.changed_at_ms[1] = T0 + 9
    told = happening(K.ORDER_OFFERED, T0 + 1, [0, 1], [0, 1])
    assert_refused(state, told, InputError, rf"at_ms\[1\] is {T0 + 1}: time goes backwards.* {T0 + 9}")
    state.fleet.changed_at_ms[3] = T0 + 7
    told = happening(K.ORDER_OFFERED, T0 + 1, [0], [3])
    assert_refused(state, told, InputError, f"time goes backwards.* {T0 + 7}")


def test_nothing_happens_before_the_latest_step():
    state = engine_state()
    state.clock_ms = T0 + 100
    told = happening(K.ORDER_OFFERED, T0 + 99, [0], [0])
    assert_refused(state, told, InputError, f"time goes backwards.* {T0 + 100}")
    commit(state, happening(K.ORDER_OFFERED, T0 + 100, [0], [0]))


TWICE = [([0, 1, 0], [0, 1, 2], "order 100"), ([0, 1, 2], [0, 1, 0], "driver 10")]


@pytest.mark.parametrize(("orders", "drivers", "twice"), TWICE)
def test_a_party_stands_once_in_a_call(orders, drivers, twice):
    state = engine_state()
    told = happening(K.ORDER_OFFERED, T0, orders, drivers)
    assert_refused(state, told, InputError, f"row 2: {twice} stands in an earlier row too")


def test_no_rows_are_no_events():
    state = engine_state()
    commit(state, happening(K.ORDER_OFFERED, T0, [], []))
    assert len(state.log.take()) == 0
