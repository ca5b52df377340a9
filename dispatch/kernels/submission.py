"""New orders: checked at one go, and written into the table and the log."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.all_pairs import pairs
from dispatch.kernels.candidates import TIMETABLE
from dispatch.kernels.event_log import LOG, write_event
from dispatch.kernels.id_map import find_one, put_rows
from dispatch.kernels.jit import F64, I8, I32, I64, i64, kernel, record
from dispatch.units import NO_INDEX, NO_VALUE, UNREACHABLE_MS

MAX_CLASSES = 8
MAX_SEATS = 7
"""More passengers than this, or more seats, count as so many."""
ANY_BITS = (1 << MAX_CLASSES * MAX_SEATS) - 1
"""A car that may serve every order."""
ONE_OF_EACH_CLASS = sum(1 << MAX_SEATS * one for one in range(MAX_CLASSES))
FEW = 128
"""Up to so many ids are compared with each other; sorting more is done elsewhere."""
SUBMITTED = 2
"""The number of EventKind.ORDER_SUBMITTED."""


class Told(NamedTuple):
    """What callers say of new orders; the last ten may be (0,): not told."""

    order_id: np.ndarray
    """(n,) int64"""
    pickup_lon: np.ndarray
    """(n,) float64, degrees"""
    pickup_lat: np.ndarray
    """(n,) float64"""
    dropoff_lon: np.ndarray
    """(n,) float64"""
    dropoff_lat: np.ndarray
    """(n,) float64"""
    submitted_at_ms: np.ndarray
    """(n,) int64"""
    pickup_node: np.ndarray
    """(n,) int32"""
    dropoff_node: np.ndarray
    """(n,) int32"""
    customer_id: np.ndarray
    """(n,) int64"""
    wanted_after_ms: np.ndarray
    """(n,) int64"""
    tier: np.ndarray
    """(n,) int64"""
    is_first: np.ndarray
    """(n,) int64"""
    passengers: np.ndarray
    """(n,) int64"""
    vehicle_class: np.ndarray
    """(n,) int64"""
    priority: np.ndarray
    """(n,) int64, permille"""
    patience_ms: np.ndarray
    """(n,) int64"""
    skills: np.ndarray
    """(n,) int64, bits"""
    may_upgrade: np.ndarray
    """(n,) int64, 1 or 0"""


class NewRows(NamedTuple):
    """Columns of the order table that new orders fill."""

    order_id: np.ndarray
    """(rows,) int64"""
    pickup_lon: np.ndarray
    """(rows,) float64, degrees"""
    pickup_lat: np.ndarray
    """(rows,) float64"""
    dropoff_lon: np.ndarray
    """(rows,) float64"""
    dropoff_lat: np.ndarray
    """(rows,) float64"""
    pickup_node: np.ndarray
    """(rows,) int32"""
    dropoff_node: np.ndarray
    """(rows,) int32"""
    trip_ms: np.ndarray
    """(rows,) int32"""
    submitted_at_ms: np.ndarray
    """(rows,) int64"""
    wanted_at_ms: np.ndarray
    """(rows,) int64"""
    expires_at_ms: np.ndarray
    """(rows,) int64"""
    changed_at_ms: np.ndarray
    """(rows,) int64"""
    class_bits: np.ndarray
    """(rows,) int64"""
    tier: np.ndarray
    """(rows,) int8"""
    priority: np.ndarray
    """(rows,) int64, permille; ``NO_VALUE`` where not told"""
    patience_ms: np.ndarray
    """(rows,) int64, 0 where not known"""
    skills: np.ndarray
    """(rows,) int64, bits"""


class Register(NamedTuple):
    """Where orders are found."""

    slot_id: np.ndarray
    """(slots,) int64, the hash table of ids"""
    slot_row: np.ndarray
    """(slots,) int32"""
    live: np.ndarray
    """(room,) int32, rows of orders that are not finished"""


class Entry(NamedTuple):
    """Which new orders are entered, and where."""

    begin: int
    end: int
    """of what was told, rows ``begin … end - 1``"""
    first_row: int
    """row of the first one in the table"""
    num_live: int
    """how many orders were not finished before"""
    max_wait_ms: int
    """after so long they expire"""


TOLD = record(Told, *(I64, F64, F64, F64, F64, I64, I32, I32), *([I64] * 10))
NEW_ROWS = record(
    NewRows, *(I64, F64, F64, F64, F64, I32, I32, I32), *(I64, I64, I64, I64, I64, I8, I64, I64, I64)
)

REGISTER = record(Register, I64, I32, I32)
ENTRY = record(Entry, i64, i64, i64, i64, i64)


@kernel()
def _all_within(values, low, high):
    """Tell whether all values are from `low` to `high`."""
    right = True
    for i in range(len(values)):
        right &= (values[i] >= low) & (values[i] <= high)
    return right


@kernel((TOLD, I64, i64, i64, I64, I32))
def is_in_order(told, limits, num_nodes, clock_ms, slot_id, slot_row):
    """Tell whether new orders are plainly in order; where not, a closer look tells what is wrong.

    Parameters
    ----------
    told : Told
    limits : (21,) int64
        The latest instant, then the least and the most of each of the last ten columns.
    num_nodes, clock_ms : int
    slot_id, slot_row
        The hash table of known ids.
    """
    right = _all_within(told.pickup_lon, -180.0, 180.0) and _all_within(told.dropoff_lon, -180.0, 180.0)
    right = right and _all_within(told.pickup_lat, -90.0, 90.0) and _all_within(told.dropoff_lat, -90.0, 90.0)
    right = right and _all_within(told.submitted_at_ms, max(clock_ms, -limits[0]), limits[0])
    right = right and _all_within(told.pickup_node, 0, num_nodes - 1)
    right = right and _all_within(told.dropoff_node, 0, num_nodes - 1)
    right = right and _all_within(told.customer_id, limits[1], limits[2])
    right = right and _all_within(told.wanted_after_ms, limits[3], limits[4])
    right = right and _all_within(told.tier, limits[5], limits[6])
    right = right and _all_within(told.is_first, limits[7], limits[8])
    right = right and _all_within(told.passengers, limits[9], limits[10])
    right = right and _all_within(told.vehicle_class, limits[11], limits[12])
    right = right and _all_within(told.priority, limits[13], limits[14])
    right = right and _all_within(told.patience_ms, limits[15], limits[16])
    right = right and _all_within(told.skills, limits[17], limits[18])
    right = right and _all_within(told.may_upgrade, limits[19], limits[20])
    for i in range(len(told.order_id)):
        order_id = told.order_id[i]
        right = right and order_id >= 0 and find_one(slot_id, slot_row, order_id) == NO_INDEX
    return right and _all_differ(told.order_id)


@kernel()
def _all_differ(ids):
    """Tell whether ids differ from each other; not of many that are not in their order."""
    is_ascending = True
    for i in range(1, len(ids)):
        is_ascending &= ids[i] > ids[i - 1]
    if is_ascending or len(ids) > FEW:
        return is_ascending
    for i in range(1, len(ids)):
        for k in range(i):
            if ids[i] == ids[k]:
                return False
    return True


@kernel()
def _e6(degrees):
    """Give a coordinate as the log keeps it."""
    return np.int32(np.rint(degrees * 1e6))


@kernel()
def _or_no_value(values, i):
    """Give an optional number."""
    return values[i] if len(values) > 0 else np.int64(NO_VALUE)


@kernel()
def asked_bits(vehicle_class, passengers, may_upgrade):
    """Give the bits of which a car must have one: of a class and a number of passengers, or of all above."""
    bit = vehicle_class * MAX_SEATS + min(max(passengers, 1), MAX_SEATS) - 1
    return (np.int64(ONE_OF_EACH_CLASS) << bit) & ANY_BITS if may_upgrade else np.int64(1) << bit


@kernel(makes_arrays=True)
def _part(told, begin, end):
    """Give some of the new orders; columns that were not told stay empty."""
    return Told(
        told.order_id[begin:end],
        told.pickup_lon[begin:end],
        told.pickup_lat[begin:end],
        told.dropoff_lon[begin:end],
        told.dropoff_lat[begin:end],
        told.submitted_at_ms[begin:end],
        told.pickup_node[begin:end],
        told.dropoff_node[begin:end],
        told.customer_id[begin:end],
        told.wanted_after_ms[begin:end],
        told.tier[begin:end],
        told.is_first[begin:end],
        told.passengers[begin:end],
        told.vehicle_class[begin:end],
        told.priority[begin:end],
        told.patience_ms[begin:end],
        told.skills[begin:end],
        told.may_upgrade[begin:end],
    )


@kernel((TOLD, I64, i64, ENTRY, TIMETABLE, REGISTER, NEW_ROWS, LOG), makes_arrays=True)
def take_in_timed(told, limits, clock_ms, entry, times, out_register, out_rows, out_log):
    """Check new orders, look their travel times up in a table, and take them in; all of it at one go.

    Parameters
    ----------
    told, limits, clock_ms
        As of :func:`is_in_order`.
    entry : Entry
    times : Timetable
    out_register : Register
    out_rows : NewRows
    out_log : (n,) EVENT_DTYPE

    Returns
    -------
    bool
        Whether they were taken in; if not, nothing was written, and a closer look tells what is wrong.
    """
    told = _part(told, entry.begin, entry.end)
    num_nodes, slot_id, slot_row = len(times.table.to_ms), out_register.slot_id, out_register.slot_row
    if not is_in_order(told, limits, num_nodes, clock_ms, slot_id, slot_row):
        return False
    trip_ms = np.empty(len(told.order_id), np.int32)
    pairs(times.table, times.permille, told.pickup_node, told.dropoff_node, trip_ms)
    for i in range(len(trip_ms)):
        if trip_ms[i] >= UNREACHABLE_MS:
            return False
    take_in(told, trip_ms, entry, out_register, out_rows, out_log)
    return True


@kernel((TOLD, I32, ENTRY, REGISTER, NEW_ROWS, LOG))
def take_in(told, trip_ms, entry, out_register, out_rows, out_log):
    """Write new orders and their events.

    Parameters
    ----------
    told : Told
        Those that are entered.
    trip_ms : (n,) int32
        Travel times of the trips.
    entry : Entry
    out_register : Register
    out_rows : NewRows
    out_log : (n,) EVENT_DTYPE
    """
    put_rows(out_register.slot_id, out_register.slot_row, told.order_id, entry.first_row)
    for i in range(len(trip_ms)):
        row, at_ms = entry.first_row + i, told.submitted_at_ms[i]
        out_register.live[entry.num_live + i] = row
        out_rows.order_id[row] = told.order_id[i]
        out_rows.pickup_lon[row], out_rows.pickup_lat[row] = told.pickup_lon[i], told.pickup_lat[i]
        out_rows.dropoff_lon[row], out_rows.dropoff_lat[row] = told.dropoff_lon[i], told.dropoff_lat[i]
        out_rows.pickup_node[row], out_rows.dropoff_node[row] = told.pickup_node[i], told.dropoff_node[i]
        out_rows.trip_ms[row] = trip_ms[i]
        out_rows.submitted_at_ms[row] = out_rows.changed_at_ms[row] = at_ms
        out_rows.wanted_at_ms[row] = at_ms + max(_or_no_value(told.wanted_after_ms, i), 0)
        out_rows.expires_at_ms[row] = out_rows.wanted_at_ms[row] + entry.max_wait_ms
        out_rows.tier[row] = max(_or_no_value(told.tier, i), 0)
        out_rows.priority[row] = _or_no_value(told.priority, i)
        out_rows.patience_ms[row] = max(_or_no_value(told.patience_ms, i), 0)
        out_rows.skills[row] = max(_or_no_value(told.skills, i), 0)
        asked_class = max(_or_no_value(told.vehicle_class, i), 0)
        out_rows.class_bits[row] = asked_bits(
            asked_class, _or_no_value(told.passengers, i), _or_no_value(told.may_upgrade, i) > 0
        )
        write_event(out_log, i, SUBMITTED, at_ms)
        event = out_log[i]
        event["order_id"] = told.order_id[i]
        event["customer_id"] = _or_no_value(told.customer_id, i)
        event["wanted_after_ms"] = _or_no_value(told.wanted_after_ms, i)
        event["tier"], event["is_first"] = _or_no_value(told.tier, i), _or_no_value(told.is_first, i)
        event["passengers"] = _or_no_value(told.passengers, i)
        event["vehicle_class"] = _or_no_value(told.vehicle_class, i)
        event["lon_e6"], event["lat_e6"] = _e6(told.pickup_lon[i]), _e6(told.pickup_lat[i])
