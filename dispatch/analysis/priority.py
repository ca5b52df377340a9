"""What membership tiers gain, and what their priority costs the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.measured import Measured
from dispatch.analysis.order_table import OrderTable
from dispatch.kernels.overtaken import Requests, longest_overtaken
from dispatch.units import MS_PER_S, NO_COORDINATE, NO_VALUE

OVERTAKEN_WITHIN_M: Final = 1000.0
"""Pickups this near to one another would have been served by much the same drivers."""
_EARTH_M_PER_RADIAN: Final = 6_371_000.0


def tier_gap(m: Measured, measure: Callable[[Measured], float | None]) -> float | None:
    """Give a figure of the highest tier minus that of the lowest; ``None`` of fewer than two tiers."""
    tiers = np.unique(m.orders.tier[m.orders.tier != NO_VALUE])
    if len(tiers) < 2:
        return None
    highest, lowest = (measure(m.of_orders(np.flatnonzero(m.orders.tier == tiers[at]))) for at in (-1, 0))
    return None if highest is None or lowest is None else highest - lowest


def longest_priority_wait_s(m: Measured) -> float | None:
    """Give the longest wait that priority can have caused.

    An order is overtaken when, while it waits for an acceptance, one of a higher tier is accepted that asks
    for the same class of car, is wanted later, and whose pickup lies within :data:`OVERTAKEN_WITHIN_M`.
    Without priority the driver of that one would have been about as near to it, so that from then on
    priority may have caused its wait. May: the log does not tell whether that driver would have served it,
    hence this is an upper bound.

    Returns
    -------
    float or None
        Seconds from the first overtaking to the order's own first acceptance, or to where it was lost from
        sight; 0 where no order was overtaken, ``None`` of fewer than two tiers.
    """
    if len(np.unique(m.orders.tier[m.orders.tier != NO_VALUE])) < 2:
        return None
    # Orders without a place are near to none.
    known = (m.orders.pickup_lon_e6 != NO_COORDINATE) & (m.orders.pickup_lat_e6 != NO_COORDINATE)
    m = m if known.all() else m.of_orders(np.flatnonzero(known))
    orders = m.orders
    response_s, is_accepted = m.response_s
    until_at_ms = orders.submitted_at_ms + np.rint(response_s * MS_PER_S).astype(np.int64)
    accepted = np.flatnonzero(is_accepted)
    x, y = _pickups_m(orders)
    longest_ms = longest_overtaken(
        Requests(
            np.ascontiguousarray(orders.submitted_at_ms),
            np.ascontiguousarray(orders.wanted_at_ms),
            until_at_ms,
            np.ascontiguousarray(orders.tier),
            np.ascontiguousarray(orders.vehicle_class),
            x,
            y,
        ),
        accepted[np.argsort(until_at_ms[accepted], kind="stable")],
        np.argsort(-response_s, kind="stable"),
        OVERTAKEN_WITHIN_M,
    )
    return max(int(longest_ms), 0) / MS_PER_S


def _pickups_m(orders: OrderTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pickups in metres (orders,), good enough for short distances."""
    lon, lat = np.radians(orders.pickup_lon_e6 * 1e-6), np.radians(orders.pickup_lat_e6 * 1e-6)
    middle = float(np.mean(lat)) if len(lat) else 0.0
    return lon * (_EARTH_M_PER_RADIAN * np.cos(middle)), lat * _EARTH_M_PER_RADIAN
