"""Classes and seats of vehicles as bits: an order may ride in a car that has one of its bits.

An order has one, or one of each class from its own on where it may be upgraded; a car has those of all orders
that its class and seats suit. Skills of drivers are bits, too: one who serves an order holds all that it asks
for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.kernels.submission import (
    ANY_BITS as ANY_BITS,
    MAX_CLASSES as MAX_CLASSES,
    MAX_SEATS,
    ONE_OF_EACH_CLASS,
)

MAX_SKILLS: Final = 16
ALL_SKILLS: Final = (1 << MAX_SKILLS) - 1
"""A driver who is trained for everything."""


def served_bits(
    vehicle_class: NDArray[np.int64], seats: NDArray[np.int64], upgrades: bool
) -> NDArray[np.int64]:
    """Give the bits (n,) of orders that cars may serve: of their class, by `upgrades` of lower ones too."""
    of_class = np.left_shift(np.int64(1), np.clip(seats, 1, MAX_SEATS)) - 1
    own: NDArray[np.int64] = np.left_shift(of_class, vehicle_class * MAX_SEATS)
    if not upgrades:
        return own
    bits: NDArray[np.int64] = np.zeros_like(own)
    for lower in range(MAX_CLASSES):
        fits = vehicle_class >= lower
        bits |= np.where(fits, np.left_shift(of_class, np.int64(lower * MAX_SEATS)), 0)
    return bits


def asked_bits_of(
    vehicle_class: NDArray[np.int64], passengers: NDArray[np.int64], may_upgrade: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give the bits (n,) of orders, as :func:`dispatch.kernels.submission.asked_bits` does of each."""
    bit = vehicle_class * MAX_SEATS + np.clip(passengers, 1, MAX_SEATS) - 1
    bits: NDArray[np.int64] = np.where(
        may_upgrade > 0,
        np.left_shift(np.int64(ONE_OF_EACH_CLASS), bit) & ANY_BITS,
        np.left_shift(np.int64(1), bit),
    )
    return bits


def asked_of(class_bits: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Give the classes (n,) that orders with such bits ask for, and which may ride in a better one.

    Of the highest class there is none better: those may not, whatever was told.
    """
    lowest = class_bits & -class_bits
    asked: NDArray[np.int64] = np.log2(lowest).astype(np.int64) // MAX_SEATS
    return asked, lowest != class_bits
