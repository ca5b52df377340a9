"""Replay an event log against the life cycle of orders and drivers, in one pass.

A driver is on duty or not, has at most one order on board and at most one *next* order, which may be offered,
accepted, assigned or waiting at its pickup. Which kind of event does what is told by :class:`Rules`.
"""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import I8, I32, I64, kernel, record
from dispatch.units import NO_INDEX

UNHEARD, OPEN, OFFERED, ACCEPTED, ASSIGNED, ARRIVED, ON_BOARD, RELEASED = range(8)
DROPPED_OFF, CLOSED, CANCELLED, EXPIRED = range(8, 12)
NUM_ORDER_STATES = 12

NEVER_ONLINE, OFF_DUTY, ON_DUTY = range(3)

COMES_ONLINE, GOES_OFFLINE, IS_ADVISED, DRIVES = range(4)
TAKES, TAKES_OVER, LOSES, ARRIVES, BOARDS, ALIGHTS, NOTHING = range(4, 11)
"""What an event is to its driver."""

ALL_LEGAL, WRONG_ORDER_STATE, WRONG_DRIVER_STATE, OTHER_DRIVER = range(4)
SAME_DRIVER, LEFT_UNDONE, UNBALANCED = range(4, 7)
"""Verdicts."""

NUM_STAGES = 4
"""Of a driver's next order: none, offered (or accepted), assigned, arrived."""
NUM_DRIVER_STATES = 4 * NUM_STAGES
"""Never online, off duty, on duty, with a passenger; each by the stage of the next order."""


class Rules(NamedTuple):
    """What each kind of event requires and does."""

    order_from: np.ndarray
    """(kinds,) int32, bit `s` set where the order may be in state `s` before"""
    order_to: np.ndarray
    """(kinds,) int8, state of the order afterwards"""
    driver_does: np.ndarray
    """(kinds,) int8"""


class Rows(NamedTuple):
    """The events, each with the orders and drivers that its kind requires."""

    kind: np.ndarray
    """(events,) int8"""
    at_ms: np.ndarray
    """(events,) int64, ascending"""
    order_idx: np.ndarray
    """(events,) int32, ``NO_INDEX``: none"""
    driver_idx: np.ndarray
    """(events,) int32"""


class State(NamedTuple):
    """Where everything stands."""

    order_state: np.ndarray
    """(orders,) int8, at first ``UNHEARD``"""
    order_driver: np.ndarray
    """(orders,) int32, the driver it is with or was with last, at first ``NO_INDEX``"""
    driver_duty: np.ndarray
    """(drivers,) int8, at first ``NEVER_ONLINE``"""
    driver_aboard: np.ndarray
    """(drivers,) int32, the order on board, at first ``NO_INDEX``"""
    driver_next: np.ndarray
    """(drivers,) int32, the order offered or to be picked up, at first ``NO_INDEX``"""


RULES = record(Rules, I32, I8, I8)
ROWS = record(Rows, I8, I64, I32, I32)
STATE = record(State, I8, I32, I8, I32, I32)


@kernel()
def _judge_order(rules, state, kind, order, driver):
    """Judge what an event wants of its order, and whether that is with the event's driver."""
    before, does = state.order_state[order], rules.driver_does[kind]
    if not (rules.order_from[kind] >> before) & 1:
        return WRONG_ORDER_STATE
    if OFFERED <= before <= ON_BOARD:
        return ALL_LEGAL if state.order_driver[order] == driver else OTHER_DRIVER
    if driver != NO_INDEX and does not in (TAKES, TAKES_OVER):
        return OTHER_DRIVER
    return SAME_DRIVER if does == TAKES_OVER and state.order_driver[order] == driver else ALL_LEGAL


@kernel()
def _judge_driver(does, state, order, driver):
    """Judge what an event wants of its driver."""
    duty, its_next = state.driver_duty[driver], state.driver_next[driver]
    is_empty = state.driver_aboard[driver] == NO_INDEX
    has_other = its_next != NO_INDEX and its_next != order
    is_right = True
    if does == COMES_ONLINE:
        is_right = duty != ON_DUTY
    elif does in (GOES_OFFLINE, IS_ADVISED):
        is_right = duty == ON_DUTY and its_next == NO_INDEX and is_empty
    elif does == DRIVES:
        is_right = duty != NEVER_ONLINE
    elif does in (TAKES, TAKES_OVER):
        is_right = duty == ON_DUTY and not has_other
    elif does == ARRIVES:
        is_right = is_empty
    return ALL_LEGAL if is_right else WRONG_DRIVER_STATE


@kernel()
def _judge(rules, state, kind, order, driver):
    """Judge an event by what it wants of its order, then of its driver."""
    verdict = ALL_LEGAL
    if order != NO_INDEX:
        verdict = _judge_order(rules, state, kind, order, driver)
    if verdict == ALL_LEGAL and driver != NO_INDEX:
        verdict = _judge_driver(rules.driver_does[kind], state, order, driver)
    return verdict


@kernel()
def _apply(does, order_to, order, driver, out_state):
    """Write what a legal event makes of its order and its driver."""
    if order != NO_INDEX:
        out_state.order_state[order] = order_to
        if driver != NO_INDEX:
            out_state.order_driver[order] = driver
    if driver == NO_INDEX:
        return
    if does == COMES_ONLINE:
        out_state.driver_duty[driver] = ON_DUTY
    elif does == GOES_OFFLINE:
        out_state.driver_duty[driver] = OFF_DUTY
    elif does in (TAKES, TAKES_OVER):
        out_state.driver_next[driver] = order
    elif does == LOSES:
        out_state.driver_next[driver] = NO_INDEX
    elif does == BOARDS:
        out_state.driver_next[driver], out_state.driver_aboard[driver] = NO_INDEX, order
    elif does == ALIGHTS:
        out_state.driver_aboard[driver] = NO_INDEX


@kernel()
def _count(by, state, order, driver, out_orders_in, out_drivers_in):
    """Add `by` to the counts of the states that the order and the driver are in."""
    if order != NO_INDEX:
        out_orders_in[state.order_state[order]] += by
    if driver == NO_INDEX:
        return
    duty, stage = state.driver_duty[driver] + (state.driver_aboard[driver] != NO_INDEX), 0
    if state.driver_next[driver] != NO_INDEX:
        its_next = state.order_state[state.driver_next[driver]]
        stage = 3 if its_next == ARRIVED else 2 if its_next == ASSIGNED else 1
    out_drivers_in[duty * NUM_STAGES + stage] += by


@kernel((I64, I64))
def is_balanced(orders_in, drivers_in):
    """Whether the orders and the drivers of one moment match.

    Parameters
    ----------
    orders_in : (NUM_ORDER_STATES,) int64
        Orders in each state.
    drivers_in : (NUM_DRIVER_STATES,) int64
        Drivers in each state.

    Returns
    -------
    bool
        Nobody off duty has an order, nobody waits at a pickup with a passenger on board, and there are as
        many drivers with a passenger, and at each stage of a next order, as such orders.
    """
    for state in range(1, 2 * NUM_STAGES):
        if drivers_in[state] != 0 and state != NUM_STAGES:
            return False
    with_passenger = drivers_in[12] + drivers_in[13] + drivers_in[14]
    return (
        drivers_in[15] == 0
        and with_passenger == orders_in[ON_BOARD]
        and drivers_in[9] + drivers_in[13] == orders_in[OFFERED] + orders_in[ACCEPTED]
        and drivers_in[10] + drivers_in[14] == orders_in[ASSIGNED]
        and drivers_in[11] == orders_in[ARRIVED]
    )


@kernel((ROWS, RULES, STATE, I64, I64))
def replay(rows, rules, out_state, out_orders_in, out_drivers_in):
    """Apply events until one is illegal.

    An order that was accepted or released must get its driver before time goes on.

    Parameters
    ----------
    rows : Rows
    rules : Rules
    out_state : State
        Where everything stands before and after.
    out_orders_in : (NUM_ORDER_STATES,) int64
        Orders in each state, before and after.
    out_drivers_in : (NUM_DRIVER_STATES,) int64
        Drivers in each state, before and after.

    Returns
    -------
    (int, int)
        Verdict and the first event that it holds for: ``ALL_LEGAL``, ``WRONG_ORDER_STATE``,
        ``WRONG_DRIVER_STATE``, ``OTHER_DRIVER`` (the order is with none or another one), ``SAME_DRIVER``
        (given back to the driver it was taken from), ``LEFT_UNDONE`` (time goes on) or ``UNBALANCED``
        (:func:`is_balanced` does not hold after it: the rules contradict each other).
    """
    num_undone = out_orders_in[ACCEPTED] + out_orders_in[RELEASED]
    for event in range(len(rows.kind)):
        kind, order, driver = rows.kind[event], rows.order_idx[event], rows.driver_idx[event]
        if num_undone > 0 and event > 0 and rows.at_ms[event] != rows.at_ms[event - 1]:
            return LEFT_UNDONE, event
        verdict = _judge(rules, out_state, kind, order, driver)
        if verdict != ALL_LEGAL:
            return verdict, event
        _count(-1, out_state, order, driver, out_orders_in, out_drivers_in)
        _apply(rules.driver_does[kind], rules.order_to[kind], order, driver, out_state)
        _count(1, out_state, order, driver, out_orders_in, out_drivers_in)
        num_undone = out_orders_in[ACCEPTED] + out_orders_in[RELEASED]
        if not is_balanced(out_orders_in, out_drivers_in):
            return UNBALANCED, event
    return ALL_LEGAL, len(rows.kind)
