"""What each driver did: spans of time in one state, and totals per driver, read from an event log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EventKind, Events
from dispatch.engine.lifecycle import DriverStatus
from dispatch.units import NO_VALUE

STATE_AFTER: Final = {
    EventKind.DRIVER_ONLINE: DriverStatus.IDLE,
    EventKind.DRIVER_OFFLINE: DriverStatus.OFFLINE,
    EventKind.ORDER_OFFERED: DriverStatus.OFFERED,
    EventKind.OFFER_ACCEPTED: DriverStatus.TO_PICKUP,
    EventKind.OFFER_DECLINED: DriverStatus.IDLE,
    EventKind.OFFER_EXPIRED: DriverStatus.IDLE,
    EventKind.ORDER_ASSIGNED: DriverStatus.TO_PICKUP,
    EventKind.ORDER_UNASSIGNED: DriverStatus.IDLE,
    EventKind.DRIVER_ARRIVED: DriverStatus.AT_PICKUP,
    EventKind.PICKED_UP: DriverStatus.OCCUPIED,
    EventKind.DROPPED_OFF: DriverStatus.IDLE,
    EventKind.ORDER_CANCELLED: DriverStatus.IDLE,
}
"""Status of the event's driver after it; kinds that are not listed change no driver's status."""

_UNCHANGED: Final = -1
_STATE_AFTER_KIND: Final = np.array([STATE_AFTER.get(kind, _UNCHANGED) for kind in EventKind], np.int8)


@dataclass(frozen=True)
class DriverSpans:
    """Stretches of time that a driver spent in one state; every array is (spans,).

    Sorted by driver, then time. Offline spans are left out; a span that the log's end cuts off ends
    with the log's last event.
    """

    driver_id: NDArray[np.int64]
    state: NDArray[np.int8]
    """A :class:`DriverStatus`"""
    from_at_ms: NDArray[np.int64]
    to_at_ms: NDArray[np.int64]


@dataclass(frozen=True)
class DriverTable:
    """One row a driver, sorted by id; every array is (drivers,). Times are ``int64`` milliseconds."""

    driver_id: NDArray[np.int64]
    online_ms: NDArray[np.int64]
    """Idle, offered, on the way, at a pickup or occupied"""
    to_pickup_ms: NDArray[np.int64]
    at_pickup_ms: NDArray[np.int64]
    occupied_ms: NDArray[np.int64]
    pickup_m: NDArray[np.int64]
    """Metres to pickups that the driver reached, also of orders that were cancelled there"""
    trip_m: NDArray[np.int64]
    """Metres with a passenger"""
    num_trips: NDArray[np.int64]
    """Passengers dropped off"""
    income_cents: NDArray[np.int64]
    """Sum of fares"""

    def __len__(self) -> int:
        """Number of drivers."""
        return len(self.driver_id)

    def take(self, rows: NDArray[np.int64] | slice) -> DriverTable:
        """Give the table of some drivers, by their rows (n,) or a slice, which copies nothing."""
        return DriverTable(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def driver_spans(events: Events) -> DriverSpans:
    """Cut the log into spans of one driver in one state.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A legal log from its beginning; it may end anywhere.
    """
    state = _STATE_AFTER_KIND[events["kind"]]
    moved = np.flatnonzero((events["driver_id"] != NO_VALUE) & (state != _UNCHANGED))
    driver_id = events["driver_id"][moved]
    moved = moved[np.argsort(driver_id, kind="stable")]
    driver_id, state, at_ms = events["driver_id"][moved], state[moved], events["at_ms"][moved]
    end_at_ms = np.empty_like(at_ms)
    end_at_ms[:-1] = at_ms[1:]
    is_last = np.ones(len(moved), np.bool_)
    is_last[:-1] = driver_id[1:] != driver_id[:-1]
    if len(events):
        end_at_ms[is_last] = events["at_ms"][-1]
    kept = (state != DriverStatus.OFFLINE) & (end_at_ms > at_ms)
    return DriverSpans(driver_id[kept], state[kept], at_ms[kept], end_at_ms[kept])


def driver_table(events: Events) -> DriverTable:
    """Add up what each driver did.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A legal log from its beginning; it may end anywhere.

    Returns
    -------
    DriverTable
        One row for each driver that the log mentions, sorted by id.
    """
    mentioned = np.ascontiguousarray(events["driver_id"])
    driver_id = np.unique(mentioned[mentioned != NO_VALUE])
    spans = driver_spans(events)
    span_row = np.searchsorted(driver_id, spans.driver_id)
    span_ms = spans.to_at_ms - spans.from_at_ms

    def time_in(*states: DriverStatus) -> NDArray[np.int64]:
        chosen = np.isin(spans.state, states)
        return _sum(span_row[chosen], span_ms[chosen])

    def _sum(row: NDArray[np.int64], value: NDArray[np.int64]) -> NDArray[np.int64]:
        # Sums of float64 are exact here: far below 2**53.
        return np.bincount(row, value, minlength=len(driver_id)).astype(np.int64)

    def sum_of(kind: EventKind, field: str) -> NDArray[np.int64]:
        chosen = (events["kind"] == kind) & (events[field] != NO_VALUE) & (mentioned != NO_VALUE)
        return _sum(np.searchsorted(driver_id, mentioned[chosen]), events[field][chosen])

    dropped_off = events["kind"] == EventKind.DROPPED_OFF
    dropped_row = np.searchsorted(driver_id, mentioned[dropped_off])
    return DriverTable(
        driver_id=driver_id,
        online_ms=_sum(span_row, span_ms),
        to_pickup_ms=time_in(DriverStatus.TO_PICKUP),
        at_pickup_ms=time_in(DriverStatus.AT_PICKUP),
        occupied_ms=time_in(DriverStatus.OCCUPIED),
        pickup_m=sum_of(EventKind.DRIVER_ARRIVED, "leg_m"),
        trip_m=sum_of(EventKind.DROPPED_OFF, "leg_m"),
        num_trips=np.bincount(dropped_row, minlength=len(driver_id)).astype(np.int64),
        income_cents=sum_of(EventKind.DROPPED_OFF, "fare_cents"),
    )


def drivers_in_state(
    spans: DriverSpans, edges_at_ms: NDArray[np.int64], states: tuple[DriverStatus, ...]
) -> NDArray[np.float64]:
    """Mean number of drivers in any of `states` between successive edges.

    Parameters
    ----------
    spans : DriverSpans
    edges_at_ms : (bins + 1,) int64
        Increasing instants.
    states : tuple of DriverStatus

    Returns
    -------
    (bins,) float64
    """
    chosen = np.isin(spans.state, states)
    spent = _elapsed(spans.from_at_ms[chosen], edges_at_ms) - _elapsed(spans.to_at_ms[chosen], edges_at_ms)
    return np.asarray(np.diff(spent) / np.diff(edges_at_ms), np.float64)


def _elapsed(since_at_ms: NDArray[np.int64], edges_at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum over all instants that lie before each edge, of the time from them to it."""
    since = np.sort(since_at_ms)
    num_before = np.searchsorted(since, edges_at_ms)
    # Counted from the first edge, so that the running sum stays far from the end of int64.
    origin = edges_at_ms[0]
    total = np.concatenate([np.zeros(1, np.int64), np.cumsum(since - origin)])
    return np.asarray(num_before * (edges_at_ms - origin) - total[num_before], np.int64)
