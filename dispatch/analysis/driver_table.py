"""What each driver did: spans of time in one state, and totals per driver, read from an event log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.dense_rows import by_row, dense_rows
from dispatch.engine.events import EventKind, Events
from dispatch.engine.lifecycle import DriverStatus
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE

SHORT_ARRIVAL_MS: Final = 300 * MS_PER_S
"""An arrival within this time of the acceptance is a short one."""
OCCUPIED_STATES: Final = (
    DriverStatus.OCCUPIED,
    DriverStatus.OCCUPIED_OFFERED,
    DriverStatus.OCCUPIED_ASSIGNED,
)
"""With a passenger."""

_K = EventKind
_LEGS: Final = (_K.CRUISING_LEG, _K.REPOSITIONING_LEG, _K.ABANDONED_LEG)
_TAKES: Final = (_K.ORDER_ASSIGNED, _K.ORDER_REASSIGNED)
_UNCHANGED: Final = -1
_NONE, _OFFERED, _ASSIGNED, _ARRIVED = range(4)


def _by_kind(after: Mapping[EventKind, int]) -> NDArray[np.int8]:
    return np.array([after.get(kind, _UNCHANGED) for kind in EventKind], np.int8)


# A driver's state has three parts, and each is what the last event that touches it made of it. The log
# need not be replayed one by one: three look-ups of that last event are enough.
_ON_DUTY: Final = _by_kind({kind: kind != _K.DRIVER_OFFLINE for kind in _K if kind not in _LEGS})
_HAS_PASSENGER: Final = _by_kind({_K.PICKED_UP: 1, _K.DROPPED_OFF: 0})
_NEXT_ORDER: Final = _by_kind(
    {
        _K.ORDER_OFFERED: _OFFERED,
        _K.DRIVER_ARRIVED: _ARRIVED,
        **dict.fromkeys(_TAKES, _ASSIGNED),
        **dict.fromkeys((_K.OFFER_DECLINED, _K.OFFER_EXPIRED, _K.PICKED_UP), _NONE),
        **dict.fromkeys((_K.ORDER_UNASSIGNED, _K.ORDER_RELEASED, _K.ORDER_CANCELLED), _NONE),
    }
)
_STATUS: Final = np.array(
    [
        [DriverStatus.IDLE, DriverStatus.OFFERED, DriverStatus.TO_PICKUP, DriverStatus.AT_PICKUP],
        [*OCCUPIED_STATES, DriverStatus.OCCUPIED],
    ],
    np.int8,
)
"""Status on duty by whether there is a passenger, and by the stage of the next order."""


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
    """Without a passenger"""
    at_pickup_ms: NDArray[np.int64]
    occupied_ms: NDArray[np.int64]
    """With a passenger, whatever order may come next"""
    break_ms: NDArray[np.int64]
    """Between going offline and coming online again"""
    pickup_m: NDArray[np.int64]
    """Metres to pickups that the driver reached, also of orders that were cancelled there"""
    trip_m: NDArray[np.int64]
    """Metres with a passenger"""
    cruising_m: NDArray[np.int64]
    """Metres without an order, of the driver's own accord"""
    repositioning_m: NDArray[np.int64]
    """Metres without an order, as advised"""
    abandoned_m: NDArray[np.int64]
    """Metres towards pickups that the driver did not reach"""
    num_trips: NDArray[np.int64]
    """Passengers dropped off"""
    num_accepted: NDArray[np.int64]
    """Orders given to the driver by an accepted offer, by hand or from another driver; kept or not"""
    num_declined: NDArray[np.int64]
    """Offers declined or left to expire"""
    num_cancelled: NDArray[np.int64]
    """Orders taken from the driver again, by the driver or by hand; not those given to another one at once"""
    num_short_arrivals: NDArray[np.int64]
    """Pickups reached within 300 s of being given the order"""
    income_cents: NDArray[np.int64]
    """Sum of fares"""

    @property
    def driven_m(self) -> NDArray[np.int64]:
        """(drivers,) metres of all legs."""
        return self.pickup_m + self.trip_m + self.cruising_m + self.repositioning_m + self.abandoned_m

    def __len__(self) -> int:
        """Number of drivers."""
        return len(self.driver_id)

    def take(self, rows: NDArray[np.int64] | slice) -> DriverTable:
        """Give the table of some drivers, by their rows (n,) or a slice, which copies nothing."""
        return DriverTable(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


@dataclass(frozen=True)
class _Rows:
    """Events that concern a driver, by driver, each one's in the order of the log; arrays are (rows,)."""

    events: Events
    """The log"""
    event: NDArray[np.int64]
    """Row in the log"""
    driver_id: NDArray[np.int64]
    """(drivers,) ascending"""
    driver: NDArray[np.int32]
    """Row in ``driver_id``"""
    begin: NDArray[np.int64]
    """First row of the same driver"""
    kind: NDArray[np.int8]
    at_ms: NDArray[np.int64]
    end_at_ms: int
    """The log's last event"""

    def last(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Give the last chosen row of the same driver up to each row, ``NO_INDEX`` if there is none."""
        latest = np.maximum.accumulate(np.where(chosen, np.arange(len(chosen)), NO_INDEX))
        return np.where(latest >= self.begin, latest, NO_INDEX)

    def since_ms(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(rows,) time since the last chosen row of the same driver, ``NO_VALUE`` if there is none."""
        last = self.last(chosen)
        return np.where(last == NO_INDEX, NO_VALUE, self.at_ms - self.at_ms[last])

    def is_any(self, *kinds: EventKind) -> NDArray[np.bool_]:
        """(rows,) whether the event is of one of these kinds."""
        chosen = np.zeros(len(EventKind), np.bool_)
        chosen[list(kinds)] = True
        return chosen[self.kind]

    def status(self) -> NDArray[np.int8]:
        """(rows,) what the driver is doing after each event."""
        status = _STATUS[self._part(_HAS_PASSENGER), self._part(_NEXT_ORDER)]
        return np.where(self._part(_ON_DUTY) == 1, status, np.int8(DriverStatus.OFFLINE))

    def _part(self, after: NDArray[np.int8]) -> NDArray[np.int8]:
        made = after[self.kind]
        last = self.last(made != _UNCHANGED)
        return np.where(last == NO_INDEX, np.int8(0), made[last])

    def sum(self, value: NDArray[np.integer], chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """(drivers,) sum of values (n,) that the chosen rows (n,) have."""
        # Sums of float64 are exact here: far below 2**53.
        total = np.bincount(self.driver[chosen], value, minlength=len(self.driver_id))
        return total.astype(np.int64)

    def total(self, field: str, kind: EventKind) -> NDArray[np.int64]:
        """(drivers,) sum of a column over the events of a kind."""
        chosen = np.flatnonzero(self.is_any(kind))
        value = self.events[field][self.event[chosen]]
        return self.sum(np.where(value == NO_VALUE, 0, value), chosen)

    def count(self, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(drivers,) number of chosen rows."""
        return np.bincount(self.driver[chosen], minlength=len(self.driver_id)).astype(np.int64)


def _by_driver(events: Events) -> _Rows:
    ids = np.ascontiguousarray(events["driver_id"])
    driver_id, row = dense_rows(ids)
    concerns = np.flatnonzero(row != NO_INDEX)
    concerns = concerns[by_row(row[concerns], len(driver_id))]
    driver = row[concerns]
    starts = np.searchsorted(driver, np.arange(len(driver_id)))
    return _Rows(
        events,
        concerns,
        driver_id,
        driver,
        starts[driver],
        np.ascontiguousarray(events["kind"])[concerns],
        np.ascontiguousarray(events["at_ms"])[concerns],
        int(events["at_ms"][-1]) if len(events) else NO_VALUE,
    )


def driver_spans(events: Events) -> DriverSpans:
    """Cut the log into spans of one driver in one state.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A legal log from its beginning; it may end anywhere.

    Complexity
    ----------
    Linear in events where driver ids are dense and there are fewer than 65,536; otherwise a sort.
    """
    return _spans(_by_driver(events))


def _spans(rows: _Rows) -> DriverSpans:
    state = rows.status()
    is_first = np.arange(len(state)) == rows.begin
    changes = is_first.copy()
    changes[1:] |= state[1:] != state[:-1]
    at = np.flatnonzero(changes)
    to_at_ms = np.full(len(at), rows.end_at_ms, np.int64)
    to_at_ms[:-1] = np.where(is_first[at[1:]], rows.end_at_ms, rows.at_ms[at[1:]])
    kept = (state[at] != DriverStatus.OFFLINE) & (to_at_ms > rows.at_ms[at])
    at = at[kept]
    return DriverSpans(rows.driver_id[rows.driver[at]], state[at], rows.at_ms[at], to_at_ms[kept])


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

    Complexity
    ----------
    As of :func:`driver_spans`.
    """
    rows = _by_driver(events)
    spans = _spans(rows)
    span_row = np.searchsorted(rows.driver_id, spans.driver_id)
    span_ms = spans.to_at_ms - spans.from_at_ms

    def time_in(*states: DriverStatus) -> NDArray[np.int64]:
        chosen = np.isin(spans.state, states)
        total = np.bincount(span_row[chosen], span_ms[chosen], minlength=len(rows.driver_id))
        return total.astype(np.int64)

    is_given = rows.is_any(*_TAKES)
    arrival_ms = rows.since_ms(is_given)
    is_short = rows.is_any(_K.DRIVER_ARRIVED) & (arrival_ms != NO_VALUE) & (arrival_ms <= SHORT_ARRIVAL_MS)
    away_ms = rows.since_ms(rows.is_any(_K.DRIVER_OFFLINE))
    returns = np.flatnonzero(rows.is_any(_K.DRIVER_ONLINE) & (away_ms != NO_VALUE))
    return DriverTable(
        driver_id=rows.driver_id,
        online_ms=time_in(*DriverStatus),
        to_pickup_ms=time_in(DriverStatus.TO_PICKUP),
        at_pickup_ms=time_in(DriverStatus.AT_PICKUP),
        occupied_ms=time_in(*OCCUPIED_STATES),
        break_ms=rows.sum(away_ms[returns], returns),
        pickup_m=rows.total("leg_m", _K.DRIVER_ARRIVED),
        trip_m=rows.total("leg_m", _K.DROPPED_OFF),
        cruising_m=rows.total("leg_m", _K.CRUISING_LEG),
        repositioning_m=rows.total("leg_m", _K.REPOSITIONING_LEG),
        abandoned_m=rows.total("leg_m", _K.ABANDONED_LEG),
        num_trips=rows.count(rows.is_any(_K.DROPPED_OFF)),
        num_accepted=rows.count(is_given),
        num_declined=rows.count(rows.is_any(_K.OFFER_DECLINED, _K.OFFER_EXPIRED)),
        num_cancelled=rows.count(rows.is_any(_K.ORDER_UNASSIGNED)),
        num_short_arrivals=rows.count(is_short),
        income_cents=rows.total("fare_cents", _K.DROPPED_OFF),
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
