"""The replay of logs against plain Python, and on rules that contradict each other."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.histories import random_history
from dispatch.analysis.invariants import _KERNEL_RULES as RULES
from dispatch.engine.events import EventKind as K
from dispatch.kernels import replay as r
from dispatch.units import NO_INDEX
from naive.replay import Replay

ORDER_STATES = (None, "open", "offered", "accepted", "assigned", "arrived", "on board", "released")
ORDER_STATES += ("dropped off", "closed", "cancelled", "expired")


def rows_of(log):
    """The log as rows; ids as they stand there, so that legal ids must be small."""
    return r.Rows(
        *(np.ascontiguousarray(log[name]) for name in ("kind", "at_ms")),
        *(log[name].astype(np.int32) for name in ("order_id", "driver_id")),
    )


def replayed(rows, num_orders, num_drivers, rules=RULES):
    """Verdict, row, and where everything stands."""
    state = r.State(
        np.zeros(num_orders, np.int8),
        np.full(num_orders, NO_INDEX, np.int32),
        np.zeros(num_drivers, np.int8),
        np.full(num_drivers, NO_INDEX, np.int32),
        np.full(num_drivers, NO_INDEX, np.int32),
    )
    orders_in, drivers_in = np.zeros(r.NUM_ORDER_STATES, np.int64), np.zeros(r.NUM_DRIVER_STATES, np.int64)
    orders_in[r.UNHEARD], drivers_in[0] = num_orders, num_drivers
    verdict, row = r.replay(rows, rules, state, orders_in, drivers_in)
    return verdict, row, state, orders_in, drivers_in


def small_ids(log):
    """The same log with ids 0, 1, …"""
    log = log.copy()
    for name in ("order_id", "driver_id"):
        named = log[name] != -1
        log[name][named] = np.unique(log[name][named], return_inverse=True)[1]
    return log


def driver_in_words(state, driver):
    """The driver's state as the oracle has it."""
    duty, aboard, its_next = (column[driver] for column in state[2:])
    if duty != r.ON_DUTY:
        return "offline" if duty == r.OFF_DUTY else None
    next_state = "" if its_next == NO_INDEX else ORDER_STATES[state.order_state[its_next]]
    if aboard != NO_INDEX:
        return f"occupied, {next_state}" if next_state else "occupied"
    return {"": "idle", "assigned": "to pickup", "arrived": "at pickup"}.get(next_state, next_state)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), num_drivers=st.integers(1, 6), mutate=st.booleans())
def test_the_replay_is_that_of_plain_python(seed, num_drivers, mutate):
    random = np.random.default_rng(seed)
    log = small_ids(random_history(seed, num_steps=80, num_drivers=num_drivers, complete=False))
    if not len(log):
        return
    if mutate:  # only what keeps metres, ETAs and the like in place
        at, other = np.sort(random.integers(0, len(log), 2))
        same = log["kind"] == log["kind"][at]
        column = random.choice(["order_id", "driver_id"])
        log[column][at] = random.choice(log[column][same])
        log["at_ms"][other:] += random.integers(2)
    oracle, breach = Replay(), None
    for row, event in enumerate(log):
        if not oracle.step(event):
            breach = row
            break
    num_orders, num_drivers = (int(log[name].max()) + 1 for name in ("order_id", "driver_id"))
    verdict, row, state, orders_in, drivers_in = replayed(rows_of(log), num_orders, num_drivers)
    assert row == (len(log) if breach is None else breach)
    assert (verdict == r.ALL_LEGAL) == (breach is None)
    found = [ORDER_STATES[one] for one in state.order_state]
    assert found == [oracle.order_state.get(order) for order in range(num_orders)]
    drivers = [driver_in_words(state, driver) for driver in range(num_drivers)]
    assert drivers == [oracle.driver_state.get(driver) for driver in range(num_drivers)]
    assert orders_in.tolist() == [found.count(one) for one in ORDER_STATES]
    assert drivers_in.sum() == num_drivers
    assert drivers_in[r.ON_DUTY * r.NUM_STAGES :].sum() == sum(
        one not in (None, "offline") for one in drivers
    )
    assert r.is_balanced(orders_in, drivers_in)


def rows(*events):
    kind, at_ms, order, driver = zip(*events, strict=True)
    return r.Rows(
        np.array(kind, np.int8), np.array(at_ms), np.array(order, np.int32), np.array(driver, np.int32)
    )


BOTH_ONLINE = [(K.DRIVER_ONLINE, 0, NO_INDEX, 0), (K.DRIVER_ONLINE, 0, NO_INDEX, 1)]
GIVEN = [*BOTH_ONLINE, (K.ORDER_SUBMITTED, 0, 0, NO_INDEX), (K.ORDER_ASSIGNED, 0, 0, 0)]
RELEASED = [*GIVEN, (K.ORDER_RELEASED, 5, 0, 0)]
CASES = [
    ([(K.ORDER_CLOSED, 9, 0, NO_INDEX)], r.WRONG_ORDER_STATE),
    ([(K.DRIVER_OFFLINE, 9, NO_INDEX, 0)], r.WRONG_DRIVER_STATE),
    ([(K.REPOSITION_ADVISED, 9, NO_INDEX, 0)], r.WRONG_DRIVER_STATE),
    ([(K.CRUISING_LEG, 9, NO_INDEX, 2)], r.WRONG_DRIVER_STATE),
    ([(K.DRIVER_ARRIVED, 9, 0, 1)], r.OTHER_DRIVER),
    ([(K.ORDER_CANCELLED, 9, 0, NO_INDEX)], r.OTHER_DRIVER),
    ([(K.ORDER_SUBMITTED, 9, 1, NO_INDEX), (K.ORDER_CANCELLED, 9, 1, 1)], r.OTHER_DRIVER),
    ([(K.ORDER_SUBMITTED, 9, 1, NO_INDEX), (K.ORDER_OFFERED, 9, 1, 0)], r.WRONG_DRIVER_STATE),
]


@pytest.mark.parametrize(("more", "verdict"), CASES)
def test_verdicts(more, verdict):
    assert replayed(rows(*GIVEN), 2, 3)[0] == r.ALL_LEGAL
    assert replayed(rows(*GIVEN, *more), 2, 3)[:2] == (verdict, len(GIVEN) + len(more) - 1)


@pytest.mark.parametrize(
    ("more", "verdict"),
    [
        ((K.ORDER_REASSIGNED, 5, 0, 1), r.ALL_LEGAL),
        ((K.ORDER_REASSIGNED, 5, 0, 0), r.SAME_DRIVER),
        ((K.ORDER_REASSIGNED, 6, 0, 1), r.LEFT_UNDONE),
        ((K.CRUISING_LEG, 6, NO_INDEX, 1), r.LEFT_UNDONE),
        ((K.CRUISING_LEG, 5, NO_INDEX, 1), r.ALL_LEGAL),
        ((K.ORDER_ASSIGNED, 5, 0, 1), r.WRONG_ORDER_STATE),
        ((K.ORDER_CANCELLED, 5, 0, NO_INDEX), r.WRONG_ORDER_STATE),
    ],
)
def test_what_follows_a_release(more, verdict):
    assert replayed(rows(*RELEASED, more), 1, 2)[0] == verdict


def test_rules_that_contradict_each_other_are_found():
    does = RULES.driver_does.copy()
    does[K.OFFER_DECLINED] = r.NOTHING
    offered = [*BOTH_ONLINE, (K.ORDER_SUBMITTED, 0, 0, NO_INDEX), (K.ORDER_OFFERED, 0, 0, 0)]
    declined = [*offered, (K.OFFER_DECLINED, 0, 0, 0)]
    assert replayed(rows(*declined), 1, 2)[0] == r.ALL_LEGAL
    assert replayed(rows(*declined), 1, 2, RULES._replace(driver_does=does))[:2] == (r.UNBALANCED, 4)


@pytest.mark.parametrize(
    ("orders", "drivers", "expected"),
    [
        ({}, {}, True),
        ({r.OPEN: 3, r.CLOSED: 2}, {0: 1, 4: 2, 8: 5}, True),
        ({r.OFFERED: 1, r.ACCEPTED: 1, r.ON_BOARD: 1}, {9: 1, 13: 1}, True),
        ({r.ASSIGNED: 2, r.ARRIVED: 1, r.ON_BOARD: 2}, {10: 1, 14: 1, 11: 1, 12: 1}, True),
        ({r.ASSIGNED: 1}, {9: 1}, False),
        ({r.OFFERED: 1}, {}, False),
        ({r.ARRIVED: 1}, {10: 1}, False),
        ({r.ON_BOARD: 1}, {8: 1}, False),
        ({r.ARRIVED: 1, r.ON_BOARD: 1}, {15: 1}, False),
        ({r.OFFERED: 1}, {5: 1}, False),
        ({r.ASSIGNED: 1}, {2: 1}, False),
    ],
)
def test_balance(orders, drivers, expected):
    orders_in, drivers_in = np.zeros(r.NUM_ORDER_STATES, np.int64), np.zeros(r.NUM_DRIVER_STATES, np.int64)
    for counts, told in ((orders_in, orders), (drivers_in, drivers)):
        counts[list(told)] = list(told.values())
    assert r.is_balanced(orders_in, drivers_in) == expected
