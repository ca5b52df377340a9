"""What a player shows of each car: its states, and where it drove when, read from an event log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.order_table import rows_of
from dispatch.engine.events import EventKind, Events
from dispatch.engine.lifecycle import DriverStatus
from dispatch.units import NO_COORDINATE, NO_INDEX, NO_VALUE

K = EventKind


class CarState(IntEnum):
    """What a car is shown to be doing: its driver's status, and what it drives for while idle."""

    OFF_DUTY = 0
    IDLE = 1
    CRUISING = 2
    REPOSITIONING = 3
    OFFERED = 4
    TO_PICKUP = 5
    AT_PICKUP = 6
    OCCUPIED = 7
    OCCUPIED_NEXT = 8
    """With a passenger on board, and another order to serve afterwards"""


_STATE_OF_STATUS: Final = {
    DriverStatus.OFFLINE: CarState.OFF_DUTY,
    DriverStatus.IDLE: CarState.IDLE,
    DriverStatus.OFFERED: CarState.OFFERED,
    DriverStatus.TO_PICKUP: CarState.TO_PICKUP,
    DriverStatus.AT_PICKUP: CarState.AT_PICKUP,
    DriverStatus.OCCUPIED: CarState.OCCUPIED,
    DriverStatus.OCCUPIED_OFFERED: CarState.OCCUPIED,
    DriverStatus.OCCUPIED_ASSIGNED: CarState.OCCUPIED_NEXT,
}
_STATE: Final = np.array([_STATE_OF_STATUS[status] for status in DriverStatus], np.uint8)

WAYPOINTS: Final = (
    *(K.DRIVER_ONLINE, K.DRIVER_OFFLINE, K.DRIVER_ARRIVED, K.DROPPED_OFF),
    *(K.CRUISING_LEG, K.REPOSITIONING_LEG, K.ABANDONED_LEG),
)
"""Events that tell where their driver is."""

# What a driver's events say, in three independent parts: each is as the last event that speaks of it left it.
_UNCHANGED: Final = -1
_ABOARD_AFTER: Final = {K.DRIVER_ONLINE: 0, K.DRIVER_OFFLINE: 0, K.PICKED_UP: 1, K.DROPPED_OFF: 0}
_NOTHING, _OFFER, _ASSIGNMENT, _ARRIVAL = range(4)
_HOLDS_AFTER: Final = {
    K.DRIVER_ONLINE: _NOTHING,
    K.DRIVER_OFFLINE: _NOTHING,
    K.ORDER_OFFERED: _OFFER,
    K.OFFER_ACCEPTED: _NOTHING,
    K.OFFER_DECLINED: _NOTHING,
    K.OFFER_EXPIRED: _NOTHING,
    K.ORDER_ASSIGNED: _ASSIGNMENT,
    K.ORDER_REASSIGNED: _ASSIGNMENT,
    K.ORDER_UNASSIGNED: _NOTHING,
    K.ORDER_RELEASED: _NOTHING,
    K.ORDER_CANCELLED: _NOTHING,
    K.DRIVER_ARRIVED: _ARRIVAL,
    K.PICKED_UP: _NOTHING,
}
"""What a driver holds besides a passenger on board."""
_ON_DUTY_AFTER: Final = {**dict.fromkeys(_HOLDS_AFTER, 1), K.DROPPED_OFF: 1, K.DRIVER_OFFLINE: 0}
"""Whoever has to do with an order is on duty, also where a log begins amid the day."""
_STATUS: Final = np.array(
    [
        [DriverStatus.IDLE, DriverStatus.OFFERED, DriverStatus.TO_PICKUP, DriverStatus.AT_PICKUP],
        [
            DriverStatus.OCCUPIED,
            DriverStatus.OCCUPIED_OFFERED,
            DriverStatus.OCCUPIED_ASSIGNED,
            DriverStatus.OCCUPIED_ASSIGNED,
        ],
    ],
    np.int8,
)
"""Status of a driver on duty by what is on board and what it holds."""

_MAY_START_LEG: Final = (
    *WAYPOINTS,
    *(K.ORDER_UNASSIGNED, K.ORDER_CANCELLED, K.ORDER_RELEASED, K.REPOSITION_ADVISED, K.PICKED_UP),
)
"""What a car without an order may begin to drive at: an offer leaves it where it was going."""
_MOTION_OF_LEG: Final = {K.CRUISING_LEG: CarState.CRUISING, K.REPOSITIONING_LEG: CarState.REPOSITIONING}


class DriverEvents(NamedTuple):
    """The events of drivers, sorted by driver, then as they stand in the log; every array is (n,)."""

    row: NDArray[np.int64]
    """Position in the log"""
    car: NDArray[np.int64]
    """Row of the driver among all drivers, sorted by id"""
    at_ms: NDArray[np.int64]
    kind: NDArray[np.int8]
    status: NDArray[np.int8]
    """:class:`DriverStatus` after the event"""
    order: NDArray[np.int64]
    """Row in `events` of the event that names the order which the driver is concerned with after it"""


class Legs(NamedTuple):
    """Drives from place to place, sorted by car, then time; every array is (legs,).

    A car stands where its last leg ended. A leg that takes no time from a place to itself is where a car
    appears.
    """

    car: NDArray[np.int64]
    from_at_ms: NDArray[np.int64]
    to_at_ms: NDArray[np.int64]
    from_row: NDArray[np.int64]
    """Event that tells where it begins"""
    to_row: NDArray[np.int64]
    """Event that tells where it ends"""
    motion: NDArray[np.uint8]
    """``CRUISING``, ``REPOSITIONING``, or ``OFF_DUTY`` for all others"""


@dataclass(frozen=True)
class StateChanges:
    """When each car's state changed; every array but the first is (changes,), sorted by car, then time."""

    first: NDArray[np.int32]
    """(cars + 1,) changes of car ``i`` are ``first[i] … first[i + 1] - 1``"""
    at_ms: NDArray[np.int64]
    state: NDArray[np.uint8]
    """:class:`CarState` from then on; off duty before the first"""
    order_id: NDArray[np.int64]
    """The order on board, else the one offered or assigned, ``NO_VALUE``: none"""


def _table(after: dict[EventKind, int]) -> NDArray[np.int8]:
    return np.array([after.get(kind, _UNCHANGED) for kind in EventKind], np.int8)


def _is_any(kind: NDArray[np.int8], kinds: Iterable[EventKind]) -> NDArray[np.bool_]:
    is_one = np.zeros(len(EventKind), np.bool_)
    is_one[list(kinds)] = True
    return is_one[kind]


def latest(speaks: NDArray[np.bool_], car: NDArray[np.int64], *, before: bool = False) -> NDArray[np.int64]:
    """Give the last row, up to each row or `before` it, of the same car that speaks.

    Parameters
    ----------
    speaks : (n,) bool
    car : (n,) int64
        Ascending.
    before : bool
        Only rows before the row itself.

    Returns
    -------
    (n,) int64
        ``NO_INDEX`` where there is none.
    """
    row = np.arange(len(car))
    last = np.maximum.accumulate(np.where(speaks, row, NO_INDEX)) if len(car) else row
    if before:
        last = np.concatenate([np.full(min(1, len(car)), NO_INDEX), last[:-1]])
    begin = np.searchsorted(car, car)
    return np.where(last >= begin, last, NO_INDEX)


def driver_events(events: Events, driver_id: NDArray[np.int64]) -> DriverEvents:
    """Sort events by driver and tell each driver's status after each of them.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A legal log from its beginning; a driver is off duty before the first event that tells otherwise.
    driver_id : (cars,) int64
        All drivers of the log, ascending.
    """
    mentioned = np.flatnonzero(events["driver_id"] != NO_VALUE)
    car_of_event = np.searchsorted(driver_id, events["driver_id"][mentioned])
    order = np.argsort(car_of_event, kind="stable")
    row, car = mentioned[order], car_of_event[order]
    kind = np.ascontiguousarray(events["kind"][row])
    on_duty, aboard, holds = (_table(after)[kind] for after in (_ON_DUTY_AFTER, _ABOARD_AFTER, _HOLDS_AFTER))
    duty_at, aboard_at, holds_at = (latest(one != _UNCHANGED, car) for one in (on_duty, aboard, holds))
    is_on_duty = _value_at(on_duty, duty_at, 0)
    is_aboard, held = _value_at(aboard, aboard_at, 0), _value_at(holds, holds_at, _NOTHING)
    status = np.where(is_on_duty, _STATUS[is_aboard, held], np.int8(DriverStatus.OFFLINE))
    concerned_at = np.where(is_aboard == 1, aboard_at, np.where(held != _NOTHING, holds_at, NO_INDEX))
    concerned = np.where(concerned_at == NO_INDEX, NO_INDEX, row[concerned_at] if len(row) else row)
    return DriverEvents(row, car, events["at_ms"][row], kind, status.astype(np.int8), concerned)


def _value_at(value: NDArray[np.int8], row: NDArray[np.int64], otherwise: int) -> NDArray[np.int8]:
    """Give the value (n,) at rows (n,), or what holds where there was none."""
    return np.where(row == NO_INDEX, np.int8(otherwise), value[row]) if len(value) else value


def legs_of(events: Events, drivers: DriverEvents) -> Legs:
    """Cut what each driver did into drives from one told place to the next.

    A drive ends at the event that tells where the driver is. It begins at the event that sent the driver on
    its way: the assignment, the boarding, whatever freed a driver without an order; not before the driver
    was where the drive begins.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
    drivers : DriverEvents
        Of the same log.
    """
    car, kind, at_ms = drivers.car, drivers.kind, drivers.at_ms
    assigned = latest(_is_any(kind, (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED)), car, before=True)
    boarded = latest(kind == K.PICKED_UP, car, before=True)
    freed = latest(_is_any(kind, _MAY_START_LEG), car, before=True)
    has_place = events["lon_e6"][drivers.row] != NO_COORDINATE
    has_place &= events["lat_e6"][drivers.row] != NO_COORDINATE
    here = np.flatnonzero(_is_any(kind, WAYPOINTS) & has_place)
    appears = kind[here] == K.DRIVER_ONLINE
    appears[1:] |= car[here][1:] != car[here][:-1]
    appears[:1] = True
    begins = np.where(_is_any(kind, (K.DRIVER_ARRIVED, K.ABANDONED_LEG)), assigned, freed)
    begins = np.where(kind == K.DROPPED_OFF, boarded, begins)[here]
    was = np.where(appears, here, np.concatenate([here[:1], here[:-1]]))
    to_at_ms = at_ms[here]
    from_at_ms = np.where(begins == NO_INDEX, at_ms[was], np.maximum(at_ms[begins], at_ms[was]))
    motion = np.zeros(len(here), np.uint8)
    for leg, state in _MOTION_OF_LEG.items():
        motion[(kind[here] == leg) & ~appears] = state
    return Legs(
        car[here],
        np.where(appears, to_at_ms, np.minimum(from_at_ms, to_at_ms)),
        to_at_ms,
        drivers.row[was],
        drivers.row[here],
        motion,
    )


def state_changes(events: Events, drivers: DriverEvents, legs: Legs, num_cars: int) -> StateChanges:
    """Tell when each car's state changed: by its driver's events, and by drives while idle.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
    drivers : DriverEvents
    legs : Legs
        Both of the same log.
    num_cars : int
    """
    driven = np.flatnonzero((legs.motion != CarState.OFF_DUTY) & (legs.to_at_ms > legs.from_at_ms))
    num_events, num_driven = len(drivers.row), len(driven)
    car = np.concatenate([drivers.car, legs.car[driven], legs.car[driven]])
    at_ms = np.concatenate([drivers.at_ms, legs.to_at_ms[driven], legs.from_at_ms[driven]])
    # One drive ends before the next one begins in the same instant.
    part = np.repeat([0, 1, 2], [num_events, num_driven, num_driven])
    order = np.lexsort((part, at_ms, car))
    car, at_ms, part = car[order], at_ms[order], part[order]
    event = np.concatenate([np.arange(num_events), np.zeros(2 * num_driven, np.int64)])[order]
    motion = np.concatenate([np.zeros(num_events + num_driven, np.uint8), legs.motion[driven]])[order]
    event_at, motion_at = latest(part == 0, car), latest(part > 0, car)
    known, moves = event_at != NO_INDEX, motion_at != NO_INDEX
    state, names = np.full(len(car), CarState.OFF_DUTY, np.uint8), np.full(len(car), NO_INDEX, np.int64)
    spoke = event[event_at[known]]
    state[known], names[known] = _STATE[drivers.status[spoke]], drivers.order[spoke]
    moving = moves & (state == CarState.IDLE) & (motion[motion_at] != CarState.OFF_DUTY)
    state[moving] = motion[motion_at[moving]]
    order_id = np.full(len(car), NO_VALUE, np.int64)
    order_id[names != NO_INDEX] = events["order_id"][names[names != NO_INDEX]]
    kept = np.flatnonzero(_ends_instant(car, at_ms))
    kept = kept[_differs(car[kept], state[kept], order_id[kept])]
    first = np.searchsorted(car[kept], np.arange(num_cars + 1)).astype(np.int32)
    return StateChanges(first, at_ms[kept], state[kept], order_id[kept])


def _ends_instant(car: NDArray[np.int64], at_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which rows (n,) are the last of their car's instant."""
    last = np.ones(len(car), np.bool_)
    last[:-1] = (car[1:] != car[:-1]) | (at_ms[1:] != at_ms[:-1])
    return last


def _differs(
    car: NDArray[np.int64], state: NDArray[np.uint8], order_id: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which rows (n,) are not as the row before of the same car."""
    differs = np.ones(len(car), np.bool_)
    differs[1:] = (car[1:] != car[:-1]) | (state[1:] != state[:-1]) | (order_id[1:] != order_id[:-1])
    return differs


def order_rows(order_id: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int32]:
    """Give the row in `order_id` (orders,) of each id (n,), ``NO_INDEX`` for ``NO_VALUE`` and strangers."""
    return np.where(wanted == NO_VALUE, NO_INDEX, rows_of(order_id, wanted)).astype(np.int32)
