"""Apply one kind of event to the columns of orders and drivers: check all rows, then write all."""

from typing import NamedTuple

import numpy as np
from numba import types

from dispatch.kernels.event_log import LOG, write_event
from dispatch.kernels.jit import I8, I32, I64, i64, kernel, record
from dispatch.units import NO_INDEX

I8_2D = types.int8[:, ::1]

ALL_LEGAL = 0
ILLEGAL_STATUS = 1
TIME_BACKWARDS = 2
TWICE = 3
ILLEGAL = -1
_SEEN = 127  # marks parties of earlier rows while rows are checked
OPEN, OFFERED, ASSIGNED, ARRIVED, ON_BOARD, DROPPED_OFF, FIRST_FINAL = range(7)
"""Statuses of an order; those from ``FIRST_FINAL`` on are final, in ``OPEN`` an order has no driver."""
IDLE, TO_PICKUP, OCCUPIED = 1, 3, 5
"""Statuses of a driver that kernels ask for."""


class Rules(NamedTuple):
    """What the event makes of a pair (order status, driver status); ``ILLEGAL`` where it may not happen."""

    order_to: np.ndarray
    """(statuses, statuses) int8; the last row or column stands for *nobody takes part*"""
    driver_to: np.ndarray
    """(statuses, statuses) int8"""


class Parties(NamedTuple):
    """Columns of the order and the driver table."""

    order_id: np.ndarray
    """(orders,) int64"""
    order_status: np.ndarray
    """(orders,) int8"""
    order_changed_at_ms: np.ndarray
    """(orders,) int64"""
    order_driver: np.ndarray
    """(orders,) int32, ``NO_INDEX`` without a driver"""
    driver_id: np.ndarray
    """(drivers,) int64"""
    driver_status: np.ndarray
    """(drivers,) int8"""
    driver_changed_at_ms: np.ndarray
    """(drivers,) int64"""


class Rows(NamedTuple):
    """The events of one kind: when, which order, which driver (``NO_INDEX``: none)."""

    at_ms: np.ndarray
    """(n,) int64"""
    order_idx: np.ndarray
    """(n,) int32"""
    driver_idx: np.ndarray
    """(n,) int32"""


RULES = record(Rules, I8_2D, I8_2D)
PARTIES = record(Parties, I64, I8, I64, I32, I64, I8, I64)
ROWS = record(Rows, I64, I32, I32)


@kernel()
def _check(rows, rules, parties, clock_ms, i):
    """Judge row `i`."""
    nobody = rules.order_to.shape[0] - 1
    order, driver = rows.order_idx[i], rows.driver_idx[i]
    order_status, driver_status, earliest = nobody, nobody, clock_ms
    if order != NO_INDEX:
        order_status = parties.order_status[order]
        earliest = max(earliest, parties.order_changed_at_ms[order])
    if driver != NO_INDEX:
        driver_status = parties.driver_status[driver]
        earliest = max(earliest, parties.driver_changed_at_ms[driver])
    if order_status == _SEEN or driver_status == _SEEN:
        return TWICE
    if rules.order_to[order_status, driver_status] == ILLEGAL:
        return ILLEGAL_STATUS
    return TIME_BACKWARDS if rows.at_ms[i] < earliest else ALL_LEGAL


@kernel(makes_arrays=True)
def _check_all(rows, rules, parties, clock_ms):
    """Find the first row that is not legal; `parties` is as before when it returns.

    Returns
    -------
    (int, int)
        Verdict and row, as :func:`commit_rows` gives them.
    """
    num_rows = len(rows.at_ms)
    order_status, driver_status = np.empty(num_rows, np.int8), np.empty(num_rows, np.int8)
    verdict, marked = ALL_LEGAL, 0
    while marked < num_rows:
        verdict = _check(rows, rules, parties, clock_ms, marked)
        if verdict != ALL_LEGAL:
            break
        order, driver = rows.order_idx[marked], rows.driver_idx[marked]
        if order != NO_INDEX:
            order_status[marked] = parties.order_status[order]
            parties.order_status[order] = _SEEN
        if driver != NO_INDEX:
            driver_status[marked] = parties.driver_status[driver]
            parties.driver_status[driver] = _SEEN
        marked += 1
    for i in range(marked):
        if rows.order_idx[i] != NO_INDEX:
            parties.order_status[rows.order_idx[i]] = order_status[i]
        if rows.driver_idx[i] != NO_INDEX:
            parties.driver_status[rows.driver_idx[i]] = driver_status[i]
    return verdict, marked


@kernel()
def _apply_all(rows, rules, kind, out_parties, out_log):
    """Write the new statuses and instants of rows that are legal, and their events."""
    nobody = rules.order_to.shape[0] - 1
    for i in range(len(rows.at_ms)):
        order, driver, at_ms = rows.order_idx[i], rows.driver_idx[i], rows.at_ms[i]
        order_status = out_parties.order_status[order] if order != NO_INDEX else nobody
        driver_status = out_parties.driver_status[driver] if driver != NO_INDEX else nobody
        write_event(out_log, i, kind, at_ms)
        if order != NO_INDEX:
            out_log[i]["order_id"] = out_parties.order_id[order]
            out_parties.order_status[order] = rules.order_to[order_status, driver_status]
            out_parties.order_changed_at_ms[order] = at_ms
            if out_parties.order_status[order] == OPEN:
                out_parties.order_driver[order] = NO_INDEX
            elif driver != NO_INDEX:
                out_parties.order_driver[order] = driver
        if driver != NO_INDEX:
            out_log[i]["driver_id"] = out_parties.driver_id[driver]
            out_parties.driver_status[driver] = rules.driver_to[order_status, driver_status]
            out_parties.driver_changed_at_ms[driver] = at_ms


@kernel((ROWS, RULES, i64, i64, PARTIES, LOG), makes_arrays=True)
def commit_rows(rows, rules, kind, clock_ms, out_parties, out_log):
    """Apply rows of one kind of event if all of them are legal, else change nothing.

    Parameters
    ----------
    rows : Rows
    rules : Rules
        Of this kind of event.
    kind : int
        Its number.
    clock_ms : int
        No event may lie before.
    out_parties : Parties
    out_log : (rows,) EVENT_DTYPE
        Gets kind, instant and ids of each row.

    Returns
    -------
    (int, int)
        ``ALL_LEGAL``, ``ILLEGAL_STATUS``, ``TIME_BACKWARDS`` (before `clock_ms`, or before an earlier
        event of the same order or driver) or ``TWICE`` (a party stands in an earlier row), and the row.
    """
    verdict, row = _check_all(rows, rules, out_parties, clock_ms)
    if verdict == ALL_LEGAL:
        _apply_all(rows, rules, kind, out_parties, out_log)
    return verdict, row
