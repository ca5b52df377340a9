"""The one transition table: what may happen to an order, a driver and an offer, and what it makes of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EventKind
from dispatch.errors import StateError


class OrderStatus(IntEnum):
    """Where an order stands. The last three are final."""

    OPEN = 0
    OFFERED = 1
    ASSIGNED = 2
    ARRIVED = 3
    ON_BOARD = 4
    DROPPED_OFF = 5
    CLOSED = 6
    CANCELLED = 7
    EXPIRED = 8


class DriverStatus(IntEnum):
    """What a driver is doing."""

    OFFLINE = 0
    IDLE = 1
    OFFERED = 2
    TO_PICKUP = 3
    AT_PICKUP = 4
    OCCUPIED = 5


FINAL_STATUSES: Final = (OrderStatus.CLOSED, OrderStatus.CANCELLED, OrderStatus.EXPIRED)

_O, _D, _E = OrderStatus, DriverStatus, EventKind


class Transition(NamedTuple):
    """One legal change: from a status of the order and of its driver to the next of each.

    ``None`` stands for *no such party takes part*. An offer is live exactly while its order and its
    driver are both ``OFFERED``: it needs no status of its own.
    """

    event: EventKind
    order_from: OrderStatus | None
    driver_from: DriverStatus | None
    order_to: OrderStatus | None
    driver_to: DriverStatus | None


TRANSITIONS: Final = (
    Transition(_E.DRIVER_ONLINE, None, _D.OFFLINE, None, _D.IDLE),
    Transition(_E.DRIVER_OFFLINE, None, _D.IDLE, None, _D.OFFLINE),
    Transition(_E.CARS_SHOWN, _O.OPEN, None, _O.OPEN, None),
    Transition(_E.ORDER_OFFERED, _O.OPEN, _D.IDLE, _O.OFFERED, _D.OFFERED),
    Transition(_E.OFFER_ACCEPTED, _O.OFFERED, _D.OFFERED, _O.OPEN, _D.IDLE),
    Transition(_E.OFFER_DECLINED, _O.OFFERED, _D.OFFERED, _O.OPEN, _D.IDLE),
    Transition(_E.OFFER_EXPIRED, _O.OFFERED, _D.OFFERED, _O.OPEN, _D.IDLE),
    Transition(_E.ORDER_ASSIGNED, _O.OPEN, _D.IDLE, _O.ASSIGNED, _D.TO_PICKUP),
    Transition(_E.ORDER_UNASSIGNED, _O.ASSIGNED, _D.TO_PICKUP, _O.OPEN, _D.IDLE),
    Transition(_E.ORDER_UNASSIGNED, _O.ARRIVED, _D.AT_PICKUP, _O.OPEN, _D.IDLE),
    Transition(_E.DRIVER_ARRIVED, _O.ASSIGNED, _D.TO_PICKUP, _O.ARRIVED, _D.AT_PICKUP),
    Transition(_E.PICKED_UP, _O.ARRIVED, _D.AT_PICKUP, _O.ON_BOARD, _D.OCCUPIED),
    Transition(_E.DROPPED_OFF, _O.ON_BOARD, _D.OCCUPIED, _O.DROPPED_OFF, _D.IDLE),
    Transition(_E.ORDER_CLOSED, _O.DROPPED_OFF, None, _O.CLOSED, None),
    Transition(_E.ORDER_CANCELLED, _O.OPEN, None, _O.CANCELLED, None),
    Transition(_E.ORDER_CANCELLED, _O.OFFERED, _D.OFFERED, _O.CANCELLED, _D.IDLE),
    Transition(_E.ORDER_CANCELLED, _O.ASSIGNED, _D.TO_PICKUP, _O.CANCELLED, _D.IDLE),
    Transition(_E.ORDER_CANCELLED, _O.ARRIVED, _D.AT_PICKUP, _O.CANCELLED, _D.IDLE),
    Transition(_E.ORDER_EXPIRED, _O.OPEN, None, _O.EXPIRED, None),
)
"""Everything that may happen. ``order_submitted`` creates its order as ``OPEN``.

``offer_accepted`` is followed by ``order_assigned`` in the same instant.
"""

NOBODY: Final = max(len(OrderStatus), len(DriverStatus))
"""Stands for the status of a party that takes no part."""

_ILLEGAL: Final = -1


def _tabulate() -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    shape = (len(EventKind), NOBODY + 1, NOBODY + 1)
    order_to, driver_to = np.full(shape, _ILLEGAL, np.int8), np.full(shape, _ILLEGAL, np.int8)
    for one in TRANSITIONS:
        key = (
            one.event,
            NOBODY if one.order_from is None else one.order_from,
            NOBODY if one.driver_from is None else one.driver_from,
        )
        order_to[key] = NOBODY if one.order_to is None else one.order_to
        driver_to[key] = NOBODY if one.driver_to is None else one.driver_to
    return order_to, driver_to


_ORDER_TO, _DRIVER_TO = _tabulate()


def next_statuses(
    event: EventKind, order_status: NDArray[np.int8], driver_status: NDArray[np.int8]
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Look up what `event` makes of orders and drivers in these statuses (n,), ``NOBODY`` where none.

    Raises
    ------
    StateError
        If the event is not legal for one of them; the message names the row and both statuses.
    """
    order_to = _ORDER_TO[event, order_status, driver_status]
    illegal = np.flatnonzero(order_to == _ILLEGAL)
    if len(illegal):
        row = int(illegal[0])
        order, driver = int(order_status[row]), int(driver_status[row])
        who = [f"an order that is {OrderStatus(order).name}"] if order != NOBODY else []
        who += [f"a driver who is {DriverStatus(driver).name}"] if driver != NOBODY else []
        raise StateError(f"row {row}: {event.name} is not legal for {' and '.join(who)}; nothing was applied")
    return order_to, _DRIVER_TO[event, order_status, driver_status]
