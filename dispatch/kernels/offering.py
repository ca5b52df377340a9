"""From a matching to offers: who is offered what, and the tables and the log that say so."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.event_log import LOG
from dispatch.kernels.happenings import KNOWN, move, write_party_event
from dispatch.kernels.jit import BOOL, I32, I64, i64, kernel, record
from dispatch.kernels.transition import PARTIES
from dispatch.units import NO_INDEX

CARS_SHOWN, ORDER_OFFERED = 3, 4
"""Numbers of EventKind."""
MOST_CARS = np.iinfo(np.int16).max


class Proposed(NamedTuple):
    """Who is to be offered what; rows of the tables."""

    order_idx: np.ndarray
    """(offers,) int32"""
    driver_idx: np.ndarray
    """(offers,) int32"""
    eta_ms: np.ndarray
    """(offers,) int32"""
    nearest_eta_ms: np.ndarray
    """(offers,) int32"""
    open_order_idx: np.ndarray
    """(open orders,) int32"""
    num_cars: np.ndarray
    """(open orders,) int32"""


class OfferColumns(NamedTuple):
    """Columns of the order table that offers write, each (orders,)."""

    cars_shown: np.ndarray
    """bool"""
    offer_expires_at_ms: np.ndarray
    """int64"""
    eta_ms: np.ndarray
    """int32"""
    nearest_eta_ms: np.ndarray
    """int32"""


PROPOSED = record(Proposed, I32, I32, I32, I32, I32, I32)
COLUMNS = record(OfferColumns, BOOL, I64, I32, I32)


@kernel((I32, i64, I32, I32, I32, I32, I32, I32), makes_arrays=True)
def propose(order_idx, num_open, driver_idx, first, candidate_driver, eta_ms, chosen, driver_of_order):
    """Translate the chosen candidates (orders,) into rows of the tables.

    Parameters
    ----------
    order_idx : (orders,) int32
        Open ones first, then those whose driver may change; the first `num_open` are open.
    driver_idx : (drivers,) int32
    first, candidate_driver, eta_ms
        Candidates in compressed sparse rows, nearest first.
    chosen : (orders,) int32
        ``NO_INDEX``: none.
    driver_of_order : (rows,) int32
        Column of the order table.

    Returns
    -------
    (order_idx, driver_idx, eta_ms, nearest_eta_ms), num_moved
        (offers,) int32 each, the last `num_moved` of which change an order's driver.
    """
    num, num_moved = 0, 0
    rows = np.empty((4, len(order_idx)), np.int32)
    for i in range(len(order_idx)):
        taken = chosen[i]
        if taken == NO_INDEX:
            continue
        driver = driver_idx[candidate_driver[taken]]
        if i >= num_open:
            if driver == driver_of_order[order_idx[i]]:
                continue
            num_moved += 1
        rows[0, num], rows[1, num] = order_idx[i], driver
        rows[2, num], rows[3, num] = eta_ms[taken], eta_ms[first[i]]
        num += 1
    return (rows[0, :num].copy(), rows[1, :num].copy(), rows[2, :num].copy(), rows[3, :num].copy()), num_moved


@kernel((PROPOSED, i64, i64, KNOWN, PARTIES, COLUMNS, LOG))
def offer(proposed, now_ms, expires_at_ms, known, out_parties, out_columns, out_log):
    """Tell how many cars there were for orders looked at for the first time, and make offers.

    Parameters
    ----------
    proposed : Proposed
    now_ms, expires_at_ms : int
        When offers are made, and when they time out.
    known : Known
    out_parties : Parties
    out_columns : OfferColumns
    out_log : (open orders + offers,) EVENT_DTYPE

    Returns
    -------
    int
        Number of events; what is proposed must be legal.
    """
    num = 0
    for i in range(len(proposed.open_order_idx)):
        order = np.int64(proposed.open_order_idx[i])
        if not out_columns.cars_shown[order]:
            out_columns.cars_shown[order] = True
            out_parties.order_changed_at_ms[order] = now_ms
            write_party_event(out_log, num, CARS_SHOWN, now_ms, (order, np.int64(NO_INDEX)), out_parties)
            out_log[num]["num_cars"] = min(proposed.num_cars[i], MOST_CARS)
            num += 1
    for i in range(len(proposed.order_idx)):
        order, driver = np.int64(proposed.order_idx[i]), np.int64(proposed.driver_idx[i])
        move(ORDER_OFFERED, now_ms, (order, driver), known, out_parties)
        out_columns.offer_expires_at_ms[order] = expires_at_ms
        out_columns.eta_ms[order] = proposed.eta_ms[i]
        out_columns.nearest_eta_ms[order] = proposed.nearest_eta_ms[i]
        write_party_event(out_log, num, ORDER_OFFERED, now_ms, (order, driver), out_parties)
        out_log[num]["eta_ms"] = proposed.eta_ms[i]
        out_log[num]["nearest_eta_ms"] = proposed.nearest_eta_ms[i]
        num += 1
    return num
