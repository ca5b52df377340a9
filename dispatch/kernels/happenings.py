"""Apply what callers tell, events of many kinds at once: check all rows in their sequence, then write all."""

from typing import NamedTuple

import numpy as np
from numba import types

from dispatch.kernels.event_log import LOG, write_event
from dispatch.kernels.id_map import find_one
from dispatch.kernels.jit import BOOL, F64, I32, I64, i64, kernel, record
from dispatch.kernels.refusals import REFUSALS, Refusals, refuse_one
from dispatch.kernels.transition import (
    ALL_LEGAL,
    ILLEGAL,
    ILLEGAL_STATUS,
    OFFERED,
    OPEN,
    PARTIES,
    TIME_BACKWARDS,
    Parties,
)
from dispatch.units import LATEST_MS, NO_INDEX, NO_VALUE

I8_3D = types.int8[:, :, ::1]

UNKNOWN_ORDER, UNKNOWN_DRIVER, DEAD_OFFER, NO_SUCH_KIND = 4, 5, 6, 7
OTHER_DRIVER, NO_PLACE, NO_METRES, NO_INSTANT, NO_NODE = 8, 9, 10, 11, 12
"""Verdicts beside those of :mod:`dispatch.kernels.transition`."""

# Of the numbers of dispatch.engine.events.EventKind, those that callers may tell; a test compares them.
ONLINE, OFFLINE, ACCEPTED, DECLINED, ASSIGNED, UNASSIGNED = 0, 1, 5, 6, 8, 9
ARRIVED, PICKED_UP, DROPPED_OFF, CLOSED, CANCELLED = 10, 11, 12, 13, 14
CRUISING_LEG, REPOSITIONING_LEG, ABANDONED_LEG = 19, 20, 21


class Known(NamedTuple):
    """What events do not change."""

    order_slot_id: np.ndarray
    """(slots,) int64, a hash table from the caller's ids to rows, with the next"""
    order_slot_row: np.ndarray
    """(slots,) int32"""
    driver_slot_id: np.ndarray
    """(slots,) int64"""
    driver_slot_row: np.ndarray
    """(slots,) int32"""
    order_to: np.ndarray
    """(kinds, statuses, statuses) int8, what an event makes of an order; see :class:`transition.Rules`"""
    driver_to: np.ndarray
    """(kinds, statuses, statuses) int8, the same of a driver"""
    node_lon: np.ndarray
    """(nodes,) float64, degrees"""
    node_lat: np.ndarray
    """(nodes,) float64"""
    node_x: np.ndarray
    """(nodes,) float64, metres"""
    node_y: np.ndarray
    """(nodes,) float64"""
    fare: np.ndarray
    """(4,) float64: base, per kilometre, per minute, minimum, cents"""


class Tables(NamedTuple):
    """Columns that events fill in or write, beside those of :class:`Parties`."""

    pickup_lon: np.ndarray
    """(orders,) float64, degrees"""
    pickup_lat: np.ndarray
    """(orders,) float64"""
    dropoff_lon: np.ndarray
    """(orders,) float64"""
    dropoff_lat: np.ndarray
    """(orders,) float64"""
    dropoff_node: np.ndarray
    """(orders,) int32"""
    trip_ms: np.ndarray
    """(orders,) int32"""
    eta_ms: np.ndarray
    """(orders,) int32"""
    nearest_eta_ms: np.ndarray
    """(orders,) int32"""
    offer_expires_at_ms: np.ndarray
    """(orders,) int64"""
    picked_up_at_ms: np.ndarray
    """(orders,) int64"""
    promised_at_ms: np.ndarray
    """(orders,) int64, when the driver assigned is to arrive"""
    miss_predicted: np.ndarray
    """(orders,) bool, it is expected too late"""
    vehicle_class: np.ndarray
    """(drivers,) int32"""
    lon: np.ndarray
    """(drivers,) float64, degrees"""
    lat: np.ndarray
    """(drivers,) float64"""
    x: np.ndarray
    """(drivers,) float64, metres"""
    y: np.ndarray
    """(drivers,) float64"""
    node: np.ndarray
    """(drivers,) int32"""
    position_at_ms: np.ndarray
    """(drivers,) int64"""


class State(NamedTuple):
    """What events change."""

    parties: Parties
    tables: Tables
    refusals: Refusals


KNOWN = record(Known, I64, I32, I64, I32, I8_3D, I8_3D, F64, F64, F64, F64, F64)
TABLES = record(
    Tables,
    *(F64, F64, F64, F64, I32, I32, I32, I32, I64, I64, I64, BOOL),
    *(I32, F64, F64, F64, F64, I32, I64),
)
STATE = record(State, PARTIES, TABLES, REFUSALS)


@kernel()
def _parties_of(kind, event, known, parties):
    """Find the rows of an event's order and driver; give a verdict, too."""
    order, driver = NO_INDEX, NO_INDEX
    concerns_order = ACCEPTED <= kind <= CANCELLED
    if concerns_order:
        order = find_one(known.order_slot_id, known.order_slot_row, event["order_id"])
        if order == NO_INDEX:
            return UNKNOWN_ORDER, order, driver
    if kind == CLOSED:
        return ALL_LEGAL, order, driver
    if event["driver_id"] != NO_VALUE:
        driver = find_one(known.driver_slot_id, known.driver_slot_row, event["driver_id"])
        if driver == NO_INDEX:
            return UNKNOWN_DRIVER, order, driver
    elif not concerns_order or kind == ACCEPTED or kind == DECLINED:
        return UNKNOWN_DRIVER, order, driver
    if concerns_order and kind != ACCEPTED and kind != DECLINED:
        given = driver
        driver = parties.order_driver[order]
        if given != NO_INDEX and given != driver:
            return OTHER_DRIVER, order, given
    return ALL_LEGAL, order, driver


@kernel()
def _is_told(kind):
    """Tell whether callers may tell this kind of event."""
    return (
        kind == ONLINE
        or kind == OFFLINE
        or kind == ACCEPTED
        or kind == DECLINED
        or UNASSIGNED <= kind <= CANCELLED
        or CRUISING_LEG <= kind <= ABANDONED_LEG
    )


@kernel()
def _judge_numbers(kind, told, node, num_nodes):
    """Judge the numbers of one event."""
    if told["at_ms"] > LATEST_MS or told["at_ms"] < -LATEST_MS:
        return NO_INSTANT
    if node < NO_INDEX or node >= num_nodes:
        return NO_NODE
    has_place = kind == ONLINE or kind >= CRUISING_LEG
    if has_place and node == NO_INDEX:
        return NO_PLACE
    has_leg = kind == ARRIVED or kind == DROPPED_OFF or kind >= CRUISING_LEG
    return NO_METRES if has_leg and told["leg_m"] < 0 else ALL_LEGAL


@kernel()
def _judge(kind, at_ms, who, known, clock_ms, state):
    """Judge one event of an order and a driver."""
    order, driver = who
    parties, tables = state.parties, state.tables
    nobody = known.order_to.shape[1] - 1
    order_status, driver_status, earliest = nobody, nobody, clock_ms
    if order != NO_INDEX:
        order_status = parties.order_status[order]
        earliest = max(earliest, parties.order_changed_at_ms[order])
        if kind == ACCEPTED or kind == DECLINED:
            is_live = order_status == OFFERED and parties.order_driver[order] == driver
            if not is_live or at_ms >= tables.offer_expires_at_ms[order]:
                return DEAD_OFFER
    if driver != NO_INDEX:
        driver_status = parties.driver_status[driver]
        earliest = max(earliest, parties.driver_changed_at_ms[driver])
    if known.order_to[kind, order_status, driver_status] == ILLEGAL:
        return ILLEGAL_STATUS
    return TIME_BACKWARDS if at_ms < earliest else ALL_LEGAL


@kernel()
def move(kind, at_ms, who, known, out_parties):
    """Write the new statuses of one event that is legal."""
    order, driver = who
    nobody = known.order_to.shape[1] - 1
    order_status = out_parties.order_status[order] if order != NO_INDEX else nobody
    driver_status = out_parties.driver_status[driver] if driver != NO_INDEX else nobody
    if order != NO_INDEX:
        out_parties.order_status[order] = known.order_to[kind, order_status, driver_status]
        out_parties.order_changed_at_ms[order] = at_ms
        if out_parties.order_status[order] == OPEN:
            out_parties.order_driver[order] = NO_INDEX
        elif driver != NO_INDEX:
            out_parties.order_driver[order] = driver
    if driver != NO_INDEX:
        out_parties.driver_status[driver] = known.driver_to[kind, order_status, driver_status]
        out_parties.driver_changed_at_ms[driver] = at_ms


@kernel()
def _remember(i, who, parties, undo):
    """Keep what row `i` is about to change."""
    order, driver = who
    if order != NO_INDEX:
        undo[i, 0] = parties.order_status[order]
        undo[i, 1] = parties.order_changed_at_ms[order]
        undo[i, 2] = parties.order_driver[order]
    if driver != NO_INDEX:
        undo[i, 3] = parties.driver_status[driver]
        undo[i, 4] = parties.driver_changed_at_ms[driver]


@kernel()
def _take_back(num, order_of_row, driver_of_row, undo, out_parties):
    """Undo the first `num` rows, the latest first."""
    for i in range(num - 1, -1, -1):
        order, driver = order_of_row[i], driver_of_row[i]
        if order != NO_INDEX:
            out_parties.order_status[order] = undo[i, 0]
            out_parties.order_changed_at_ms[order] = undo[i, 1]
            out_parties.order_driver[order] = undo[i, 2]
        if driver != NO_INDEX:
            out_parties.driver_status[driver] = undo[i, 3]
            out_parties.driver_changed_at_ms[driver] = undo[i, 4]


@kernel(makes_arrays=True)
def _move_all(told, node, known, clock_ms, order_of_row, driver_of_row, out_state):
    """Check all rows, each on what those before it left; write statuses, or change nothing."""
    out_parties = out_state.parties
    undo = np.empty((len(told), 5), np.int64)
    for i in range(len(told)):
        kind, at_ms = told[i]["kind"], told[i]["at_ms"]
        verdict, order, driver = NO_SUCH_KIND, NO_INDEX, NO_INDEX
        if _is_told(kind):
            verdict, order, driver = _parties_of(kind, told[i], known, out_parties)
        if verdict == ALL_LEGAL:
            verdict = _judge_numbers(kind, told[i], node[i], len(known.node_lon))
        order_of_row[i], driver_of_row[i] = order, driver
        if verdict == ALL_LEGAL:
            verdict = _judge(kind, at_ms, (order, driver), known, clock_ms, out_state)
        if verdict != ALL_LEGAL:
            _take_back(i, order_of_row, driver_of_row, undo, out_parties)
            return verdict, i
        _remember(i, (order, driver), out_parties, undo)
        move(kind, at_ms, (order, driver), known, out_parties)
        if kind == ACCEPTED:
            move(ASSIGNED, at_ms, (order, driver), known, out_parties)
    return ALL_LEGAL, NO_INDEX


@kernel()
def write_party_event(log, row, kind, at_ms, who, parties):
    """Write an event with its kind, instant and ids."""
    write_event(log, row, kind, at_ms)
    order, driver = who
    if order != NO_INDEX:
        log[row]["order_id"] = parties.order_id[order]
    if driver != NO_INDEX:
        log[row]["driver_id"] = parties.driver_id[driver]


@kernel()
def _e6(degrees):
    """Give a coordinate as the log keeps it."""
    return np.int32(np.rint(degrees * 1e6))


@kernel()
def _place(driver, at_ms, node, known, out_tables):
    """Put a driver at a node, unless a later position is known; tell which."""
    is_news = at_ms >= out_tables.position_at_ms[driver]
    if is_news:
        out_tables.lon[driver], out_tables.lat[driver] = known.node_lon[node], known.node_lat[node]
        out_tables.x[driver], out_tables.y[driver] = known.node_x[node], known.node_y[node]
        out_tables.node[driver], out_tables.position_at_ms[driver] = node, at_ms
    return is_news


@kernel()
def _fare_cents(fare, leg_m, trip_ms):
    """Price a trip by base, per kilometre, per minute and minimum, cents."""
    metered = fare[0] + fare[1] * leg_m / 1000 + fare[2] * trip_ms / 60_000
    return np.int32(min(max(np.rint(metered), fare[3]), 2.0**31 - 1))


@kernel()
def _fill_in(event, kind, told, node, who, known, tables):
    """Add to an event what the tables know, and let the tables know what it tells."""
    order, driver = who
    at_ms = told["at_ms"]
    if kind == ARRIVED:
        event["leg_m"] = told["leg_m"]
        event["lon_e6"], event["lat_e6"] = _e6(tables.pickup_lon[order]), _e6(tables.pickup_lat[order])
    elif kind == PICKED_UP:
        event["eta_ms"] = tables.trip_ms[order]
        tables.picked_up_at_ms[order] = at_ms
    elif kind == DROPPED_OFF:
        event["leg_m"] = told["leg_m"]
        event["lon_e6"], event["lat_e6"] = _e6(tables.dropoff_lon[order]), _e6(tables.dropoff_lat[order])
        event["fare_cents"] = _fare_cents(known.fare, told["leg_m"], at_ms - tables.picked_up_at_ms[order])
        if _place(driver, at_ms, tables.dropoff_node[order], known, tables):
            tables.lon[driver], tables.lat[driver] = tables.dropoff_lon[order], tables.dropoff_lat[order]
    elif kind == ONLINE or kind >= CRUISING_LEG:
        event["lon_e6"], event["lat_e6"] = _e6(known.node_lon[node]), _e6(known.node_lat[node])
        if kind == ONLINE:
            event["vehicle_class"] = tables.vehicle_class[driver]
            tables.position_at_ms[driver] = at_ms  # where it comes on duty counts, whatever was known
        else:
            event["leg_m"] = told["leg_m"]
        _place(driver, at_ms, node, known, tables)
    elif kind == OFFLINE:
        event["lon_e6"], event["lat_e6"] = _e6(tables.lon[driver]), _e6(tables.lat[driver])


@kernel((LOG, I32, KNOWN, i64, i64, STATE, LOG), makes_arrays=True)
def apply_told(told, node, known, clock_ms, num_refusals, out_state, out_log):
    """Apply events of many kinds in their sequence if all of them are legal, else change nothing.

    Parameters
    ----------
    told : (n,) EVENT_DTYPE
        Kind, instant, ids and metres; the rest is filled in from the tables.
    node : (n,) int32
        Where drivers are who come on duty, and where legs end; ``NO_INDEX`` elsewhere.
    known : Known
    clock_ms : int
        No event may lie before.
    num_refusals : int
        How many there are; room is left for n more.
    out_state : State
    out_log : (2n,) EVENT_DTYPE

    Returns
    -------
    (int, int, int, int, int)
        Verdict and row, the number of events written, the number of refusals now, the latest instant.
    """
    order_of_row, driver_of_row = np.empty(len(told), np.int32), np.empty(len(told), np.int32)
    verdict, row = _move_all(told, node, known, clock_ms, order_of_row, driver_of_row, out_state)
    if verdict != ALL_LEGAL:
        return verdict, row, 0, num_refusals, clock_ms
    parties, tables, num, latest_ms = out_state.parties, out_state.tables, 0, clock_ms
    for i in range(len(told)):
        kind, at_ms, who = told[i]["kind"], told[i]["at_ms"], (order_of_row[i], driver_of_row[i])
        latest_ms = max(latest_ms, at_ms)
        write_party_event(out_log, num, kind, at_ms, who, parties)
        _fill_in(out_log[num], kind, told[i], node[i], who, known, tables)
        num += 1
        if kind == ACCEPTED:
            write_party_event(out_log, num, ASSIGNED, at_ms, who, parties)
            out_log[num]["eta_ms"] = tables.eta_ms[who[0]]
            out_log[num]["nearest_eta_ms"] = tables.nearest_eta_ms[who[0]]
            tables.promised_at_ms[who[0]] = at_ms + tables.eta_ms[who[0]]
            tables.miss_predicted[who[0]] = False
            num += 1
        elif kind == DECLINED or kind == UNASSIGNED:
            refuse_one(who[0], who[1], num_refusals, out_state.refusals)
            num_refusals += 1
    return ALL_LEGAL, NO_INDEX, num, num_refusals, latest_ms
