"""Classes and seats of vehicles as bits: an order may ride in a car that has one of its bits.

Skills of drivers are bits, too: one who serves an order holds all that it asks for.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.kernels.submission import MAX_SEATS

MAX_CLASSES: Final = 8

ANY_BITS: Final = (1 << MAX_CLASSES * MAX_SEATS) - 1
"""A car that may serve every order."""

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
