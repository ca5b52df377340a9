"""The same day with more or fewer orders, of the same places and hours."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from dispatch.limits import check_range, check_seed
from dispatch.roads.trips import RecordedTrips
from dispatch.units import NO_VALUE

JITTER_MS: Final = 10 * 60_000
"""A copy of an order is asked for up to so long before or after it."""


def scaled_demand(orders: RecordedTrips, scale: float, seed: int, day_ms: tuple[int, int]) -> RecordedTrips:
    """Draw from orders, or repeat them.

    A scale of ``k + part`` keeps every order and adds ``k - 1`` copies of each, and of the next copy those
    that a draw below ``part`` selects; below 1, it keeps the orders that a draw selects. A copy has the ends
    and the duration of its original and is requested up to 10 minutes earlier or later, evenly; at the ends
    of the day the time is mirrored back into it. Copies name no recorded driver.

    Draws are those of an order and of the number of its copy, whatever the scale: of two scales with one
    seed, the larger day holds every order of the smaller one, at the same instant.

    Parameters
    ----------
    orders : RecordedTrips
        Sorted by time, all within the day.
    scale : float
        Above 0; about so many times as many orders come out, exactly so for whole numbers.
    seed : int
    day_ms : (start, end)

    Returns
    -------
    RecordedTrips
        Sorted by time.
    """
    check_range("demand_scale", scale, 0.001, 1000)
    check_seed(seed)
    whole, part = int(scale), scale - int(scale)
    copies = []
    for number in range(whole + (part > 0)):
        random = np.random.default_rng([seed, 0xD5CA, number])
        kept = random.random(len(orders)) < (1.0 if number < whole else part)
        shift_ms = random.integers(-JITTER_MS, JITTER_MS + 1, len(orders))
        at_ms = orders.requested_at_ms + (shift_ms if number else 0)
        taken = orders.select(kept)
        driver_id = np.full(len(taken), NO_VALUE, np.int64) if number else taken.driver_id
        at_ms = _mirrored(at_ms[kept], *day_ms) if number else at_ms[kept]
        copies.append(replace(taken, requested_at_ms=at_ms, driver_id=driver_id))
    return _in_order(copies)


def _mirrored(at_ms: np.ndarray[Any, np.dtype[np.int64]], start_ms: int, end_ms: int) -> Any:
    """Bring instants a little outside of the day back into it."""
    at_ms = np.where(at_ms < start_ms, 2 * start_ms - at_ms, at_ms)
    at_ms = np.where(at_ms >= end_ms, 2 * (end_ms - 1) - at_ms, at_ms)
    return np.clip(at_ms, start_ms, end_ms - 1)


def _in_order(parts: list[RecordedTrips]) -> RecordedTrips:
    """Put trips together and sort them by time; equal instants keep the order of the parts."""
    if len(parts) == 1:
        return parts[0]
    columns: dict[str, Any] = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts])
        for f in fields(parts[0])
        if f.name not in ("dated", "resolution_ms")
    }
    order = np.argsort(columns["requested_at_ms"], kind="stable")
    return replace(parts[0], **{name: column[order] for name, column in columns.items()})
