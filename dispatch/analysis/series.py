"""KPIs over the day: orders grouped by the time of their request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.driver_table import driver_spans, drivers_in_state
from dispatch.analysis.measured import measured
from dispatch.analysis.statistics import kaplan_meier_quantile, quantile
from dispatch.engine.events import Events
from dispatch.engine.lifecycle import DriverStatus
from dispatch.errors import InputError
from dispatch.units import MS_PER_S, NO_VALUE

MIN_ORDERS = 5
"""A quantile of fewer orders is ``None``: it would be noise."""

DRIVER_STATES = {
    "occupied_next": (DriverStatus.OCCUPIED_ASSIGNED,),
    "occupied": (DriverStatus.OCCUPIED, DriverStatus.OCCUPIED_OFFERED),
    "at_pickup": (DriverStatus.AT_PICKUP,),
    "to_pickup": (DriverStatus.TO_PICKUP,),
    "idle": (DriverStatus.IDLE, DriverStatus.OFFERED),
}
"""What an online driver may be doing, as charts group it."""

Quantiles = tuple[float | None, ...]


@dataclass(frozen=True)
class KpiSeries:
    """KPIs by local time of request; every column is (bins,).

    Columns of quantiles are tuples with ``None`` where fewer than :data:`MIN_ORDERS` tell.
    """

    from_at_ms: NDArray[np.int64]
    """Begin of each bin"""
    local_minute: NDArray[np.int64]
    """The same in minutes since the local midnight before the first order"""
    num_submitted: NDArray[np.int64]
    num_completed: NDArray[np.int64]
    """Of the orders submitted in the bin, whenever they were completed"""
    response_p50_s: Quantiles
    response_p90_s: Quantiles
    wait_p50_s: Quantiles
    wait_p90_s: Quantiles
    drivers: dict[str, NDArray[np.float64]]
    """Mean number of drivers in each of :data:`DRIVER_STATES`"""


def kpis_by_hour(events: Events, timezone: str, *, bin_minutes: int = 60) -> KpiSeries:
    """Measure KPIs by local time of day.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A legal log from its beginning.
    timezone : str
        IANA name; bins begin at full local hours.
    bin_minutes : int
        Width of a bin; a divisor of 1440.

    Returns
    -------
    KpiSeries
        From the first order's bin to the bin of the last event; no bins where there is no order at all.
    """
    if bin_minutes < 1 or 1440 % bin_minutes:
        raise InputError(f"bin_minutes is {bin_minutes}: it must divide a day of 1440 minutes")
    tables = measured(events)
    orders = tables.orders
    submitted = orders.submitted_at_ms
    bin_ms = bin_minutes * 60 * MS_PER_S
    if len(orders) == 0:
        edges = np.zeros(1, np.int64)
        midnight_ms = 0
    else:
        midnight_ms = local_midnight_ms(int(submitted[0]), timezone)
        first = midnight_ms + (int(submitted[0]) - midnight_ms) // bin_ms * bin_ms
        edges = np.arange(first, tables.end_at_ms + bin_ms + 1, bin_ms)
    bin_of_order = np.searchsorted(edges, submitted, side="right") - 1
    num_bins = len(edges) - 1
    response_s, accepted = tables.response_s
    wait_s = orders.wait_ms / MS_PER_S
    picked_up = orders.picked_up_at_ms != NO_VALUE
    # Orders stand in order of submission, so that each bin is one slice.
    slices = np.searchsorted(bin_of_order, np.arange(num_bins + 1))

    bins = [slice(a, b) for a, b in zip(slices[:-1].tolist(), slices[1:].tolist(), strict=True)]

    def response(level: float) -> Quantiles:
        return tuple(
            kaplan_meier_quantile(response_s[b], accepted[b], level)
            if b.stop - b.start >= MIN_ORDERS
            else None
            for b in bins
        )

    def wait(level: float) -> Quantiles:
        samples = [wait_s[b][picked_up[b]] for b in bins]
        return tuple(quantile(one, level) if len(one) >= MIN_ORDERS else None for one in samples)

    spans = driver_spans(events)
    return KpiSeries(
        from_at_ms=edges[:-1],
        local_minute=(edges[:-1] - midnight_ms) // (60 * MS_PER_S),
        num_submitted=np.bincount(bin_of_order, minlength=num_bins),
        num_completed=np.bincount(bin_of_order[orders.is_completed], minlength=num_bins),
        response_p50_s=response(0.5),
        response_p90_s=response(0.9),
        wait_p50_s=wait(0.5),
        wait_p90_s=wait(0.9),
        drivers={name: drivers_in_state(spans, edges, states) for name, states in DRIVER_STATES.items()},
    )


def local_midnight_ms(at_ms: int, timezone: str) -> int:
    """Instant of the local midnight before `at_ms`."""
    local = datetime.fromtimestamp(at_ms / MS_PER_S, UTC).astimezone(ZoneInfo(timezone))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return round(midnight.timestamp()) * MS_PER_S
