"""A step of the dispatcher at one go, as most are: nothing times out, and nobody must look farther."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.assignment import TOO_LARGE, Earlier, Outcome, assign
from dispatch.kernels.bipartite import Matching
from dispatch.kernels.candidates import (
    CARS,
    ORDERS,
    PLACES,
    RULES,
    TIMETABLE,
    FreeCars,
    OpenOrders,
    Places,
    Rules,
    Timetable,
    find_timed,
    queue_up,
    survey,
)
from dispatch.kernels.event_log import LOG
from dispatch.kernels.happenings import KNOWN, Known
from dispatch.kernels.jit import I32, I64, i64, kernel, record
from dispatch.kernels.offering import COLUMNS, OfferColumns, Proposed, offer, propose
from dispatch.kernels.refusals import REFUSALS, Refusals
from dispatch.kernels.transition import PARTIES, Parties
from dispatch.units import NO_INDEX

LOOK_CLOSER = -1
NO_LIMIT = 2**62
"""Of scans."""


class Fixed(NamedTuple):
    """What a step only reads."""

    rules: Rules
    places: Places
    times: Timetable
    known: Known


class Changing(NamedTuple):
    """The tables, and who is still to be served."""

    live: np.ndarray
    """(room,) int32, rows of orders in the sequence of submission"""
    expires_at_ms: np.ndarray
    """(orders,) int64, when an order expires that no driver has"""
    orders: OpenOrders
    cars: FreeCars
    parties: Parties
    offered: OfferColumns
    refusals: Refusals


FIXED = record(Fixed, RULES, PLACES, TIMETABLE, KNOWN)
CHANGING = record(Changing, I32, I64, ORDERS, CARS, PARTIES, COLUMNS, REFUSALS)


@kernel(makes_arrays=True)
def _match(first, candidate_driver, cost, num_drivers):
    """Match as many orders as possible at the least sum of costs; give each its candidate."""
    num_orders = len(first) - 1
    matching = Matching(
        np.empty(num_orders, np.int32), np.empty(num_drivers, np.int32), np.empty(num_drivers, np.int64)
    )
    outcome = Outcome(
        np.empty(num_orders, np.int64), np.empty(num_orders, np.int32), np.empty(num_orders, np.int64)
    )
    most_served = max(min(num_orders, num_drivers), 1)
    nothing, work = Earlier(0, np.empty(0, np.int64)), np.array([0, 0, NO_LIMIT])
    status, _, _ = assign(first, candidate_driver, cost, most_served, nothing, work, matching, outcome)
    return status != TOO_LARGE, matching.edge_of_row


@kernel((i64, i64, i64, FIXED, CHANGING, LOG), makes_arrays=True)
def step(num_live, now_ms, offer_expires_at_ms, fixed, out_changing, out_log):
    """Find candidates, match as many orders as possible at the least sum of pickup ETAs, and make offers.

    Parameters
    ----------
    num_live : int
        How many of the live orders mean something; finished ones are dropped.
    now_ms, offer_expires_at_ms : int
    fixed : Fixed
    out_changing : Changing
    out_log : (2 * num_live,) EVENT_DTYPE

    Returns
    -------
    num_live : int
    num_events : int
        ``LOOK_CLOSER``: no offers were made; something has timed out, an order that found nobody must look
        at all drivers, or the sum of costs is too large.
    """
    live, orders, places = out_changing.live, out_changing.orders, fixed.places
    late, overdue = np.empty(num_live, np.int32), np.empty(num_live, np.int32)
    num_live, num_late, num_overdue = survey(
        live,
        num_live,
        now_ms,
        orders.status,
        out_changing.offered.offer_expires_at_ms,
        out_changing.expires_at_ms,
        late,
        overdue,
    )
    if num_late + num_overdue > 0:
        return num_live, LOOK_CLOSER
    if len(places.rank) > 0:
        queue_up(now_ms, places, out_changing.cars)
    order_idx, num_open, driver_idx, _, first, candidate, eta_ms, cost, is_cut = find_timed(
        live[:num_live],
        now_ms,
        orders,
        fixed.rules,
        places,
        out_changing.refusals,
        out_changing.cars,
        fixed.times,
    )
    is_done, chosen = _match(first, candidate, cost, len(driver_idx))
    for i in range(num_open):
        if is_cut[i] and chosen[i] == NO_INDEX:
            is_done = False
    if not is_done:
        return num_live, LOOK_CLOSER
    made, _ = propose(order_idx, num_open, driver_idx, first, candidate, eta_ms, chosen, orders.driver_idx)
    proposed = Proposed(made[0], made[1], made[2], made[3], order_idx, first[1:] - first[:-1])
    num_events = offer(
        proposed,
        now_ms,
        offer_expires_at_ms,
        fixed.known,
        out_changing.parties,
        out_changing.offered,
        out_log,
    )
    return num_live, num_events
