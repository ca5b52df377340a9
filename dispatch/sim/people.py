"""Who asks on a simulated day, where that is known person by person; and luck by name."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.random_streams import draw

Wholes = NDArray[np.int64]


@dataclass(frozen=True)
class People:
    """The customers of a day's orders, and what the engine is told of each; arrays are (orders,) int64."""

    customer_id: Wholes
    tier: Wholes
    is_first: Wholes
    """1 for the first order that the customer ever makes"""
    priority: Wholes
    """permille, as of :class:`dispatch.NewOrders`"""
    patience_ms: Wholes
    """as the engine is told, 0 for not known; how customers really behave is the behaviour's"""
    may_upgrade: Wholes
    """1 where a better class of car may serve, as the engine is told"""

    def check_as_many(self, num_orders: int) -> None:
        """Raise :class:`InputError` unless there is one row an order."""
        for one in fields(self):
            if len(getattr(self, one.name)) != num_orders:
                raise InputError(
                    f"people.{one.name} has {len(getattr(self, one.name))} rows for {num_orders} orders: one "
                    "each"
                )


def luck(seed: int, stream: int, who: Wholes, occasion: int = 0) -> NDArray[np.float64]:
    """Draw a number in (0, 1) for an occasion of each person (n,): the same whoever else draws."""
    drawn = np.empty(len(who))
    draw(seed, stream, np.ascontiguousarray(who, np.int64), occasion, drawn)
    return drawn
