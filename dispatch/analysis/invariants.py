"""What must hold in every run, checked by replaying its event log.

The rules stand here a second time on purpose, apart from the engine's own table of transitions: a
check that shares the code it checks proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EventKind, Events
from dispatch.errors import InvariantError
from dispatch.units import NO_VALUE

_K = EventKind
_OPEN: Final = (_K.ORDER_SUBMITTED, _K.OFFER_DECLINED, _K.OFFER_EXPIRED, _K.ORDER_UNASSIGNED)
_IDLE: Final = (
    _K.DRIVER_ONLINE,
    _K.OFFER_DECLINED,
    _K.OFFER_EXPIRED,
    _K.ORDER_UNASSIGNED,
    _K.DROPPED_OFF,
    _K.ORDER_CANCELLED,
)
_FINAL: Final = (_K.ORDER_CLOSED, _K.ORDER_CANCELLED, _K.ORDER_EXPIRED)
_ENGAGED: Final = (_K.ORDER_OFFERED, _K.OFFER_ACCEPTED, _K.ORDER_ASSIGNED, _K.DRIVER_ARRIVED, _K.PICKED_UP)
"""After these an order has a driver, and that driver the order."""
_NOTHING: Final = len(EventKind)
"""Stands for the kind before the first event."""

_PREVIOUS_ENGAGED: Final = {
    _K.OFFER_ACCEPTED: (_K.ORDER_OFFERED,),
    _K.OFFER_DECLINED: (_K.ORDER_OFFERED,),
    _K.OFFER_EXPIRED: (_K.ORDER_OFFERED,),
    _K.ORDER_UNASSIGNED: (_K.ORDER_ASSIGNED, _K.DRIVER_ARRIVED),
    _K.DRIVER_ARRIVED: (_K.ORDER_ASSIGNED,),
    _K.PICKED_UP: (_K.DRIVER_ARRIVED,),
    _K.DROPPED_OFF: (_K.PICKED_UP,),
}
_PREVIOUS_OF_ORDER: Final = {
    **_PREVIOUS_ENGAGED,
    _K.ORDER_SUBMITTED: (_NOTHING,),
    _K.CARS_SHOWN: _OPEN,
    _K.ORDER_OFFERED: _OPEN,
    _K.ORDER_ASSIGNED: (*_OPEN, _K.OFFER_ACCEPTED),
    _K.ORDER_CLOSED: (_K.DROPPED_OFF,),
    _K.ORDER_CANCELLED: (*_OPEN, _K.ORDER_OFFERED, _K.ORDER_ASSIGNED, _K.DRIVER_ARRIVED),
    _K.ORDER_EXPIRED: _OPEN,
}
"""Kind of an order's event → kinds that its previous event may have (``cars_shown`` changes nothing)."""
_PREVIOUS_OF_DRIVER: Final = {
    **_PREVIOUS_ENGAGED,
    _K.DRIVER_ONLINE: (_NOTHING, _K.DRIVER_OFFLINE),
    _K.DRIVER_OFFLINE: _IDLE,
    _K.ORDER_OFFERED: _IDLE,
    _K.ORDER_ASSIGNED: (*_IDLE, _K.OFFER_ACCEPTED),
    _K.ORDER_CANCELLED: (_K.ORDER_OFFERED, _K.ORDER_ASSIGNED, _K.DRIVER_ARRIVED),
}
"""The same for a driver's events."""
_HAS_NO_ORDER: Final = (_K.DRIVER_ONLINE, _K.DRIVER_OFFLINE)
_HAS_NO_DRIVER: Final = (_K.ORDER_SUBMITTED, _K.CARS_SHOWN, _K.ORDER_CLOSED, _K.ORDER_EXPIRED)
_HAS_LEG: Final = (_K.DRIVER_ARRIVED, _K.DROPPED_OFF)
_HAS_QUOTE: Final = (_K.ORDER_OFFERED, _K.ORDER_ASSIGNED)


def _set_of(kinds: tuple[int, ...]) -> NDArray[np.bool_]:
    chosen = np.zeros(_NOTHING + 1, np.bool_)
    chosen[list(kinds)] = True
    return chosen


def _pairs(previous: dict[EventKind, tuple[int, ...]]) -> NDArray[np.bool_]:
    return np.stack([_set_of(previous.get(kind, ())) for kind in EventKind])


_ORDER_PAIR, _DRIVER_PAIR = _pairs(_PREVIOUS_OF_ORDER), _pairs(_PREVIOUS_OF_DRIVER)


@dataclass(frozen=True)
class InvariantReport:
    """What a run that broke no invariant consists of."""

    num_events: int
    num_orders: int
    num_closed: int
    num_cancelled: int
    num_expired: int
    num_open: int
    """Orders in no final state; 0 of a complete run"""
    num_drivers: int
    num_online: int
    """Drivers online when the log ends"""
    num_offline: int
    """Drivers offline when the log ends"""
    pickup_m: int
    """Metres to pickups of all drivers"""
    trip_m: int
    """Metres with a passenger of all drivers"""


@dataclass(frozen=True)
class _Breach:
    row: int
    text: str


def check_invariants(events: Events, *, complete: bool = True) -> InvariantReport:
    """Replay the log and hold it against the life cycle of orders and drivers.

    Held: time never goes backwards; every event follows one that it may follow, for its order and for
    its driver; an accepted offer is assigned in the same instant; an order's driver and a driver's order
    are each other's, so that no driver has two trips and no offer is live twice; nothing happens to an
    offline driver; every leg has its metres, and nothing else has; whoever is offered or assigned an order
    has a pickup ETA, none below the nearest driver's; only trips have fares, and either all of them or none;
    orders end in exactly one final state.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        A log from its beginning.
    complete : bool
        The run came to its end: an order without a final state is a breach.

    Returns
    -------
    InvariantReport

    Raises
    ------
    InvariantError
        Names the first event that breaks a rule, with its order and driver.

    Complexity
    ----------
    A sort of the events by order and one by driver; no Python loop over events.
    """
    breaches = [*_column_breaches(events), *_sequence_breaches(events)]
    if breaches:
        first = min(breaches, key=lambda breach: breach.row)
        raise InvariantError(f"{_describe(events, first.row)}: {first.text}")
    return _report(events, complete)


def _describe(events: Events, row: int) -> str:
    event = events[row]
    kind = int(event["kind"])
    name = EventKind(kind).name.lower() if 0 <= kind < len(EventKind) else f"kind {kind}"
    parts = [f"event {row}, {name}, at_ms {event['at_ms']}"]
    parts += [f"{who} {event[who]}" for who in ("order_id", "driver_id") if event[who] != NO_VALUE]
    return ", ".join(parts)


def _first(wrong: NDArray[np.bool_], text: str) -> list[_Breach]:
    return [_Breach(int(np.argmax(wrong)), text)] if wrong.any() else []


def _column_breaches(events: Events) -> list[_Breach]:
    """Rules that a single event or two neighbours in the log can break."""
    raw_kind = events["kind"]
    unknown = (raw_kind < 0) | (raw_kind >= len(EventKind))
    kind = np.where(unknown, 0, raw_kind)
    backwards = np.zeros(len(events), np.bool_)
    backwards[1:] = events["at_ms"][1:] < events["at_ms"][:-1]
    has_order, has_driver = events["order_id"] != NO_VALUE, events["driver_id"] != NO_VALUE
    needs_no_order, needs_no_driver = _set_of(_HAS_NO_ORDER)[kind], _set_of(_HAS_NO_DRIVER)[kind]
    may_lack_driver = needs_no_driver | (kind == _K.ORDER_CANCELLED)
    leg_m = events["leg_m"]
    has_leg, has_quote = _set_of(_HAS_LEG)[kind], _set_of(_HAS_QUOTE)[kind]
    eta_ms, nearest_eta_ms = events["eta_ms"], events["nearest_eta_ms"]
    fare_cents, is_trip = events["fare_cents"], kind == _K.DROPPED_OFF
    has_fare = fare_cents != NO_VALUE
    # argmax: the log's first trip says whether its trips have fares.
    unlike_first = is_trip & (has_fare != has_fare[np.argmax(is_trip)]) if len(events) else is_trip
    return [
        *_first(unknown, "there is no such kind of event"),
        *_first(backwards, "time goes backwards in the log"),
        *_first(has_order & needs_no_order, "it cannot concern an order"),
        *_first(~has_order & ~needs_no_order, "it must name its order"),
        *_first(has_driver & needs_no_driver, "it cannot concern a driver"),
        *_first(~has_driver & ~may_lack_driver, "it must name its driver"),
        *_first(leg_m < NO_VALUE, "the metres of a leg are negative"),
        *_first((leg_m != NO_VALUE) & ~has_leg, "it has metres, but nobody drove for it"),
        *_first((leg_m == NO_VALUE) & has_leg, "the metres of its leg are missing"),
        *_first((eta_ms < 0) & has_quote, "it has no pickup ETA"),
        *_first(nearest_eta_ms < NO_VALUE, "the nearest driver's pickup ETA is negative"),
        *_first((eta_ms < nearest_eta_ms) & has_quote, "its pickup ETA is below the nearest driver's"),
        *_first(fare_cents < NO_VALUE, "the fare is negative"),
        *_first(has_fare & ~is_trip, "it has a fare, but ends no trip"),
        *_first(unlike_first, "all trips of a log have fares, or none has: this is unlike the first"),
    ]


def _sequence_breaches(events: Events) -> list[_Breach]:
    """Rules on the order of one order's events, and of one driver's."""
    kind = np.clip(events["kind"], 0, len(EventKind) - 1)
    has_order, has_driver = events["order_id"] != NO_VALUE, events["driver_id"] != NO_VALUE
    of_order = _previous(events["order_id"], has_order, kind != _K.CARS_SHOWN)
    of_driver = _previous(events["driver_id"], has_driver, np.ones(len(events), np.bool_))
    before_order, before_driver = _kind_at(kind, of_order), _kind_at(kind, of_driver)
    order_engaged, driver_engaged = _set_of(_ENGAGED)[before_order], _set_of(_ENGAGED)[before_driver]
    other_driver = order_engaged & (events["driver_id"][of_order] != events["driver_id"])
    other_order = driver_engaged & (events["order_id"][of_driver] != events["order_id"])
    late = (before_order == _K.OFFER_ACCEPTED) & (events["at_ms"][of_order] != events["at_ms"])
    return [
        *_first(has_order & ~_ORDER_PAIR[kind, before_order], "it may not follow what happened to its order"),
        *_first(has_driver & ~_DRIVER_PAIR[kind, before_driver], "it may not follow what its driver did"),
        *_first(has_order & other_driver, "its order is with another driver"),
        *_first(has_driver & other_order, "its driver is with another order"),
        *_first(has_order & late, "the accepted order was not assigned in the same instant"),
    ]


def _previous(
    ids: NDArray[np.int64], involved: NDArray[np.bool_], counted: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(events,) row of the previous counted event with the same id, ``NO_VALUE`` if there is none."""
    rows = np.flatnonzero(involved)
    rows = rows[np.argsort(ids[rows], kind="stable")]
    # Within one id the rows ascend: the running maximum of the counted ones is the latest so far.
    starts = np.ones(len(rows), np.bool_)
    starts[1:] = ids[rows[1:]] != ids[rows[:-1]]
    group = np.cumsum(starts) - 1
    latest = np.maximum.accumulate(np.where(counted[rows], np.arange(len(rows)), NO_VALUE))
    before = np.concatenate([np.full(1, NO_VALUE), latest[:-1]])[: len(rows)]
    found = (before != NO_VALUE) & (group[before] == group)
    previous = np.full(len(ids), NO_VALUE, np.int64)
    previous[rows[found]] = rows[before[found]]
    return previous


def _kind_at(kind: NDArray[np.int8], rows: NDArray[np.int64]) -> NDArray[np.int8]:
    return np.where(rows == NO_VALUE, _NOTHING, kind[rows]).astype(np.int8)


def _last_kind(
    events: Events, field: str, counted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
    """Ids and the kind of the last counted event of each."""
    chosen = np.flatnonzero((events[field] != NO_VALUE) & counted)[::-1]
    ids, first = np.unique(events[field][chosen], return_index=True)
    return ids, events["kind"][chosen[first]]


def _report(events: Events, complete: bool) -> InvariantReport:
    order_id, last = _last_kind(events, "order_id", events["kind"] != _K.CARS_SHOWN)
    is_open = ~_set_of(_FINAL)[last]
    if complete and is_open.any():
        still_open = order_id[is_open]
        submitted = events["order_id"][events["kind"] == _K.ORDER_SUBMITTED]
        first = submitted[np.isin(submitted, still_open)][0]
        raise InvariantError(
            f"order_id {first} has no final state at the end of a complete run; "
            f"orders like it: {len(still_open)}"
        )
    driver_id, driver_last = _last_kind(events, "driver_id", np.ones(len(events), np.bool_))
    num_offline = int(np.count_nonzero(driver_last == _K.DRIVER_OFFLINE))
    return InvariantReport(
        num_events=len(events),
        num_orders=len(order_id),
        num_closed=int(np.count_nonzero(last == _K.ORDER_CLOSED)),
        num_cancelled=int(np.count_nonzero(last == _K.ORDER_CANCELLED)),
        num_expired=int(np.count_nonzero(last == _K.ORDER_EXPIRED)),
        num_open=int(np.count_nonzero(is_open)),
        num_drivers=len(driver_id),
        num_online=len(driver_id) - num_offline,
        num_offline=num_offline,
        pickup_m=_total_m(events, _K.DRIVER_ARRIVED),
        trip_m=_total_m(events, _K.DROPPED_OFF),
    )


def _total_m(events: Events, kind: EventKind) -> int:
    leg_m = events["leg_m"][(events["kind"] == kind) & (events["leg_m"] != NO_VALUE)]
    return int(leg_m.sum(dtype=np.int64))
