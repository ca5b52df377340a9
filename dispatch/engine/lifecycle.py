"""The one transition table: what may happen to an order, a driver and an offer, and what it makes of them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from dispatch.engine.events import EventKind
from dispatch.kernels import transition
from dispatch.kernels.transition import ILLEGAL, Rules


class OrderStatus(IntEnum):
    """Where an order stands. The last three are final."""

    OPEN = transition.OPEN
    OFFERED = transition.OFFERED
    ASSIGNED = transition.ASSIGNED
    ARRIVED = transition.ARRIVED
    ON_BOARD = transition.ON_BOARD
    DROPPED_OFF = transition.DROPPED_OFF
    CLOSED = transition.FIRST_FINAL
    CANCELLED = 7
    EXPIRED = 8


class DriverStatus(IntEnum):
    """What a driver is doing."""

    OFFLINE = 0
    IDLE = transition.IDLE
    OFFERED = 2
    TO_PICKUP = transition.TO_PICKUP
    AT_PICKUP = 4
    OCCUPIED = transition.OCCUPIED
    OCCUPIED_OFFERED = 6
    """with a passenger on board, and another order offered for afterwards"""
    OCCUPIED_ASSIGNED = 7
    """with a passenger on board, and another order to serve afterwards"""


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
    Transition(_E.ORDER_OFFERED, _O.OPEN, _D.OCCUPIED, _O.OFFERED, _D.OCCUPIED_OFFERED),
    Transition(_E.OFFER_ACCEPTED, _O.OFFERED, _D.OCCUPIED_OFFERED, _O.OPEN, _D.OCCUPIED),
    Transition(_E.OFFER_DECLINED, _O.OFFERED, _D.OCCUPIED_OFFERED, _O.OPEN, _D.OCCUPIED),
    Transition(_E.OFFER_EXPIRED, _O.OFFERED, _D.OCCUPIED_OFFERED, _O.OPEN, _D.OCCUPIED),
    Transition(_E.ORDER_ASSIGNED, _O.OPEN, _D.OCCUPIED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED),
    Transition(_E.ORDER_UNASSIGNED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED, _O.OPEN, _D.OCCUPIED),
    Transition(_E.DROPPED_OFF, _O.ON_BOARD, _D.OCCUPIED_OFFERED, _O.DROPPED_OFF, _D.OFFERED),
    Transition(_E.DROPPED_OFF, _O.ON_BOARD, _D.OCCUPIED_ASSIGNED, _O.DROPPED_OFF, _D.TO_PICKUP),
    Transition(_E.ORDER_RELEASED, _O.ASSIGNED, _D.TO_PICKUP, _O.OPEN, _D.IDLE),
    Transition(_E.ORDER_RELEASED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED, _O.OPEN, _D.OCCUPIED),
    Transition(_E.ORDER_REASSIGNED, _O.OPEN, _D.IDLE, _O.ASSIGNED, _D.TO_PICKUP),
    Transition(_E.ORDER_REASSIGNED, _O.OPEN, _D.OCCUPIED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED),
    Transition(_E.PICKUP_MISS_PREDICTED, _O.ASSIGNED, _D.TO_PICKUP, _O.ASSIGNED, _D.TO_PICKUP),
    Transition(
        _E.PICKUP_MISS_PREDICTED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED
    ),
    Transition(_E.REPOSITION_ADVISED, None, _D.IDLE, None, _D.IDLE),
    *(
        Transition(leg, None, status, None, status)
        for leg in (_E.CRUISING_LEG, _E.REPOSITIONING_LEG, _E.ABANDONED_LEG)
        for status in DriverStatus
    ),
    Transition(_E.ORDER_CANCELLED, _O.OFFERED, _D.OCCUPIED_OFFERED, _O.CANCELLED, _D.OCCUPIED),
    Transition(_E.ORDER_CANCELLED, _O.ASSIGNED, _D.OCCUPIED_ASSIGNED, _O.CANCELLED, _D.OCCUPIED),
    Transition(_E.ORDER_CANCELLED, _O.OPEN, None, _O.CANCELLED, None),
    Transition(_E.ORDER_CANCELLED, _O.OFFERED, _D.OFFERED, _O.CANCELLED, _D.IDLE),
    Transition(_E.ORDER_CANCELLED, _O.ASSIGNED, _D.TO_PICKUP, _O.CANCELLED, _D.IDLE),
    Transition(_E.ORDER_CANCELLED, _O.ARRIVED, _D.AT_PICKUP, _O.CANCELLED, _D.IDLE),
    Transition(_E.ORDER_EXPIRED, _O.OPEN, None, _O.EXPIRED, None),
)
"""Everything that may happen. ``order_submitted`` creates its order as ``OPEN``.

``offer_accepted`` is followed by ``order_assigned`` in the same instant, ``order_released`` by
``order_reassigned``. Legs are told of drivers in any status, also off duty on the way to a charger.
"""

NOBODY: Final = max(len(OrderStatus), len(DriverStatus))
"""Stands for the status of a party that takes no part."""


def _tabulate() -> dict[EventKind, Rules]:
    shape = (NOBODY + 1, NOBODY + 1)
    rules = {
        kind: Rules(np.full(shape, ILLEGAL, np.int8), np.full(shape, ILLEGAL, np.int8)) for kind in EventKind
    }
    for one in TRANSITIONS:
        key = (
            NOBODY if one.order_from is None else one.order_from,
            NOBODY if one.driver_from is None else one.driver_from,
        )
        rules[one.event].order_to[key] = NOBODY if one.order_to is None else one.order_to
        rules[one.event].driver_to[key] = NOBODY if one.driver_to is None else one.driver_to
    return rules


RULES: Final = _tabulate()
"""The same for kernels: by event, what it makes of each pair of statuses."""
