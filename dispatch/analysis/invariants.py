"""What must hold in every run, checked by replaying its event log.

The rules stand here a second time on purpose, apart from the engine's own table of transitions: a
check that shares the code it checks proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.dense_rows import dense_rows
from dispatch.engine.events import EventKind, Events
from dispatch.errors import InvariantError
from dispatch.kernels import replay as r
from dispatch.units import NO_COORDINATE, NO_INDEX, NO_VALUE

_K = EventKind


class _Rule(NamedTuple):
    """States that an event may find its order in, the state it leaves it in, and what it is to its driver."""

    order_from: tuple[int, ...]
    order_to: int
    driver_does: int


_RULES: Final = {
    _K.DRIVER_ONLINE: _Rule((), r.UNHEARD, r.COMES_ONLINE),
    _K.DRIVER_OFFLINE: _Rule((), r.UNHEARD, r.GOES_OFFLINE),
    _K.ORDER_SUBMITTED: _Rule((r.UNHEARD,), r.OPEN, r.NOTHING),
    _K.CARS_SHOWN: _Rule((r.OPEN,), r.OPEN, r.NOTHING),
    _K.ORDER_OFFERED: _Rule((r.OPEN,), r.OFFERED, r.TAKES),
    _K.OFFER_ACCEPTED: _Rule((r.OFFERED,), r.ACCEPTED, r.NOTHING),
    _K.OFFER_DECLINED: _Rule((r.OFFERED,), r.OPEN, r.LOSES),
    _K.OFFER_EXPIRED: _Rule((r.OFFERED,), r.OPEN, r.LOSES),
    _K.ORDER_ASSIGNED: _Rule((r.OPEN, r.ACCEPTED), r.ASSIGNED, r.TAKES),
    _K.ORDER_UNASSIGNED: _Rule((r.ASSIGNED, r.ARRIVED), r.OPEN, r.LOSES),
    _K.DRIVER_ARRIVED: _Rule((r.ASSIGNED,), r.ARRIVED, r.ARRIVES),
    _K.PICKED_UP: _Rule((r.ARRIVED,), r.ON_BOARD, r.BOARDS),
    _K.DROPPED_OFF: _Rule((r.ON_BOARD,), r.DROPPED_OFF, r.ALIGHTS),
    _K.ORDER_CLOSED: _Rule((r.DROPPED_OFF,), r.CLOSED, r.NOTHING),
    _K.ORDER_CANCELLED: _Rule((r.OPEN, r.OFFERED, r.ASSIGNED, r.ARRIVED), r.CANCELLED, r.LOSES),
    _K.ORDER_EXPIRED: _Rule((r.OPEN,), r.EXPIRED, r.NOTHING),
    _K.ORDER_RELEASED: _Rule((r.ASSIGNED,), r.RELEASED, r.LOSES),
    _K.ORDER_REASSIGNED: _Rule((r.RELEASED,), r.ASSIGNED, r.TAKES_OVER),
    _K.REPOSITION_ADVISED: _Rule((), r.UNHEARD, r.IS_ADVISED),
    _K.CRUISING_LEG: _Rule((), r.UNHEARD, r.DRIVES),
    _K.REPOSITIONING_LEG: _Rule((), r.UNHEARD, r.DRIVES),
    _K.ABANDONED_LEG: _Rule((), r.UNHEARD, r.DRIVES),
    _K.PICKUP_MISS_PREDICTED: _Rule((r.ASSIGNED,), r.ASSIGNED, r.NOTHING),
}
"""The life cycle: the rules of each kind of event."""

_TEXTS: Final = {
    r.WRONG_ORDER_STATE: "it may not follow what happened to its order",
    r.WRONG_DRIVER_STATE: "it may not follow what its driver did",
    r.OTHER_DRIVER: "its order is with another driver, or with none",
    r.SAME_DRIVER: "its order was taken from that very driver",
    r.UNBALANCED: "after it the states of drivers and those of orders contradict each other",
}
_FINAL: Final = (r.CLOSED, r.CANCELLED, r.EXPIRED)
_LEGS: Final = (_K.CRUISING_LEG, _K.REPOSITIONING_LEG, _K.ABANDONED_LEG)
_HAS_NO_ORDER: Final = (_K.DRIVER_ONLINE, _K.DRIVER_OFFLINE, _K.REPOSITION_ADVISED, *_LEGS)
_HAS_NO_DRIVER: Final = (_K.ORDER_SUBMITTED, _K.CARS_SHOWN, _K.ORDER_CLOSED, _K.ORDER_EXPIRED)
_HAS_LEG: Final = (_K.DRIVER_ARRIVED, _K.DROPPED_OFF, *_LEGS)
_GIVES: Final = (_K.ORDER_ASSIGNED, _K.ORDER_REASSIGNED)
_HAS_QUOTE: Final = (_K.ORDER_OFFERED, *_GIVES, _K.PICKUP_MISS_PREDICTED)
_MAY_TELL: Final = {
    "customer_id": (_K.ORDER_SUBMITTED,),
    "tier": (_K.ORDER_SUBMITTED,),
    "is_first": (_K.ORDER_SUBMITTED,),
    "passengers": (_K.ORDER_SUBMITTED,),
    "wanted_after_ms": (_K.ORDER_SUBMITTED,),
    "vehicle_class": (_K.ORDER_SUBMITTED, _K.DRIVER_ONLINE),
}
"""Column → the kinds that may fill it; none must."""


def _set_of(kinds: Sequence[int]) -> NDArray[np.bool_]:
    chosen = np.zeros(len(EventKind), np.bool_)
    chosen[list(kinds)] = True
    return chosen


_KERNEL_RULES: Final = r.Rules(
    np.array([sum(1 << state for state in _RULES[kind].order_from) for kind in EventKind], np.int32),
    np.array([_RULES[kind].order_to for kind in EventKind], np.int8),
    np.array([_RULES[kind].driver_does for kind in EventKind], np.int8),
)


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
    cruising_m: int
    """Metres without an order, of the drivers' own accord"""
    repositioning_m: int
    """Metres without an order, as advised"""
    abandoned_m: int
    """Metres towards pickups that were not reached"""


@dataclass(frozen=True)
class _Breach:
    row: int
    text: str


def check_invariants(events: Events, *, complete: bool = True) -> InvariantReport:
    """Replay the log and hold it against the life cycle of orders and drivers.

    Held: time never goes backwards; every event follows one that it may follow, for its order and for
    its driver; an accepted offer is assigned in the same instant, and a released order reassigned, to
    another driver; an order's driver and a driver's order are each other's, so that no offer is live twice
    and no driver has two passengers, nor more than one order beside that of the passenger; at every moment
    there are as many drivers in each state as orders in the matching one; no order comes to an offline
    driver, and advice to idle ones only; every leg has its metres, and nothing else has; whoever is offered,
    assigned or given an order has a pickup ETA, none below the nearest driver's; a miss is predicted once an
    assignment, with an ETA; only trips have fares, and either all of them or none; only requests tell
    of customers, and only they and drivers of a class of vehicles; orders end in exactly one final state.

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
    One pass over the events and a few over single columns; no Python loop over events.
    """
    breach = _first_column_breach(events)
    sound = events if breach is None else events[: breach.row]
    replayed = _replay(sound)
    breach = replayed.breach or breach
    if breach is not None:
        raise InvariantError(f"{_describe(events, breach.row)}: {breach.text}")
    return _report(events, replayed, complete)


def _describe(events: Events, row: int) -> str:
    event = events[row]
    kind = int(event["kind"])
    name = EventKind(kind).name.lower() if 0 <= kind < len(EventKind) else f"kind {kind}"
    parts = [f"event {row}, {name}, at_ms {event['at_ms']}"]
    parts += [f"{who} {event[who]}" for who in ("order_id", "driver_id") if event[who] != NO_VALUE]
    return ", ".join(parts)


def _first(wrong: NDArray[np.bool_], text: str) -> list[_Breach]:
    return [_Breach(int(np.argmax(wrong)), text)] if wrong.any() else []


def _first_of(rows: NDArray[np.int64], wrong: NDArray[np.bool_], text: str) -> list[_Breach]:
    return [_Breach(int(rows[np.argmax(wrong)]), text)] if wrong.any() else []


def _first_column_breach(events: Events) -> _Breach | None:
    """Find the first event that breaks a rule by itself, or with its neighbour in the log."""
    raw_kind = np.ascontiguousarray(events["kind"])
    unknown = (raw_kind < 0) | (raw_kind >= len(EventKind))
    kind = np.where(unknown, 0, raw_kind)
    backwards = np.zeros(len(events), np.bool_)
    backwards[1:] = events["at_ms"][1:] < events["at_ms"][:-1]
    has_order, has_driver = events["order_id"] != NO_VALUE, events["driver_id"] != NO_VALUE
    needs_no_order, needs_no_driver = _set_of(_HAS_NO_ORDER)[kind], _set_of(_HAS_NO_DRIVER)[kind]
    may_lack_driver = needs_no_driver | (kind == _K.ORDER_CANCELLED)
    breaches = [
        *_first(unknown, "there is no such kind of event"),
        *_first(backwards, "time goes backwards in the log"),
        *_first(has_order & needs_no_order, "it cannot concern an order"),
        *_first(~has_order & ~needs_no_order, "it must name its order"),
        *_first(has_driver & needs_no_driver, "it cannot concern a driver"),
        *_first(~has_driver & ~may_lack_driver, "it must name its driver"),
        *_place_breaches(events, kind),
        *_miss_breaches(events, kind),
        *_number_breaches(events, kind),
        *_told_breaches(events, kind),
    ]
    return min(breaches, key=lambda breach: breach.row, default=None)


def _number_breaches(events: Events, kind: NDArray[np.int8]) -> list[_Breach]:
    """Rules on metres, ETAs and fares."""
    leg_m = np.ascontiguousarray(events["leg_m"])
    has_leg, has_quote = _set_of(_HAS_LEG)[kind], _set_of(_HAS_QUOTE)[kind]
    eta_ms, nearest_eta_ms, fare_cents = (
        np.ascontiguousarray(events[name]) for name in ("eta_ms", "nearest_eta_ms", "fare_cents")
    )
    is_trip = kind == _K.DROPPED_OFF
    has_fare = fare_cents != NO_VALUE
    # argmax: the log's first trip says whether its trips have fares.
    unlike_first = is_trip & (has_fare != has_fare[np.argmax(is_trip)]) if len(events) else is_trip
    return [
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


def _place_breaches(events: Events, kind: NDArray[np.int8]) -> list[_Breach]:
    advised = np.flatnonzero(kind == _K.REPOSITION_ADVISED)
    nowhere = (events["lon_e6"][advised] == NO_COORDINATE) | (events["lat_e6"][advised] == NO_COORDINATE)
    return _first_of(advised, nowhere, "it names no place to drive to")


def _miss_breaches(events: Events, kind: NDArray[np.int8]) -> list[_Breach]:
    is_miss = kind == _K.PICKUP_MISS_PREDICTED
    if not is_miss.any():
        return []
    rows = np.flatnonzero(is_miss | _set_of(_GIVES)[kind])
    rows = rows[np.argsort(events["order_id"][rows], kind="stable")]
    again = np.zeros(len(rows), np.bool_)
    again[1:] = is_miss[rows[1:]] & is_miss[rows[:-1]]
    again[1:] &= events["order_id"][rows[1:]] == events["order_id"][rows[:-1]]
    return [_Breach(int(rows[again].min()), "it was predicted before")] if again.any() else []


def _told_breaches(events: Events, kind: NDArray[np.int8]) -> list[_Breach]:
    """Rules on what requests tell of customers, and drivers of their cars."""
    breaches = _first(events["is_first"] > 1, "is_first is neither 0 nor 1")
    for field, kinds in _MAY_TELL.items():
        told = np.flatnonzero(events[field] != NO_VALUE)
        value = events[field][told]
        breaches += _first_of(told, value < NO_VALUE, f"{field} is negative")
        breaches += _first_of(told, ~_set_of(kinds)[kind[told]], f"it cannot have a {field}")
    return breaches


@dataclass(frozen=True)
class _Replayed:
    """Ids (orders,) and (drivers,), where everything stands, and the first event that may not be."""

    order_id: NDArray[np.int64]
    driver_id: NDArray[np.int64]
    state: r.State
    breach: _Breach | None


def _replay(events: Events) -> _Replayed:
    """Rules on what may follow what."""
    order_id, order_idx = dense_rows(np.ascontiguousarray(events["order_id"]))
    driver_id, driver_idx = dense_rows(np.ascontiguousarray(events["driver_id"]))
    num_orders, num_drivers = len(order_id), len(driver_id)
    state = r.State(
        np.full(num_orders, r.UNHEARD, np.int8),
        np.full(num_orders, NO_INDEX, np.int32),
        np.full(num_drivers, r.NEVER_ONLINE, np.int8),
        np.full(num_drivers, NO_INDEX, np.int32),
        np.full(num_drivers, NO_INDEX, np.int32),
    )
    orders_in, drivers_in = np.zeros(r.NUM_ORDER_STATES, np.int64), np.zeros(r.NUM_DRIVER_STATES, np.int64)
    orders_in[r.UNHEARD], drivers_in[0] = num_orders, num_drivers
    kind, at_ms = np.ascontiguousarray(events["kind"]), np.ascontiguousarray(events["at_ms"])
    verdict, row = r.replay(
        r.Rows(kind, at_ms, order_idx, driver_idx), _KERNEL_RULES, state, orders_in, drivers_in
    )
    if verdict == r.ALL_LEGAL:
        return _Replayed(order_id, driver_id, state, None)
    if verdict != r.LEFT_UNDONE:
        return _Replayed(order_id, driver_id, state, _Breach(row, _TEXTS[verdict]))
    undone = int(np.flatnonzero(np.isin(state.order_state, (r.ACCEPTED, r.RELEASED)))[0])
    what = "accepted" if state.order_state[undone] == r.ACCEPTED else "released"
    text = f"time goes on, but order_id {order_id[undone]}, {what} before, got no driver in the same instant"
    return _Replayed(order_id, driver_id, state, _Breach(row, text))


def _report(events: Events, replayed: _Replayed, complete: bool) -> InvariantReport:
    state = replayed.state.order_state
    num_open = len(state) - int(np.count_nonzero(np.isin(state, _FINAL)))
    if complete and num_open:
        still_open = replayed.order_id[~np.isin(state, _FINAL)]
        submitted = events["order_id"][events["kind"] == _K.ORDER_SUBMITTED]
        first = submitted[np.isin(submitted, still_open)][0]
        raise InvariantError(
            f"order_id {first} has no final state at the end of a complete run; "
            f"orders like it: {len(still_open)}"
        )
    num_online = int(np.count_nonzero(replayed.state.driver_duty == r.ON_DUTY))
    return InvariantReport(
        num_events=len(events),
        num_orders=len(state),
        num_closed=int(np.count_nonzero(state == r.CLOSED)),
        num_cancelled=int(np.count_nonzero(state == r.CANCELLED)),
        num_expired=int(np.count_nonzero(state == r.EXPIRED)),
        num_open=num_open,
        num_drivers=len(replayed.driver_id),
        num_online=num_online,
        num_offline=len(replayed.driver_id) - num_online,
        pickup_m=_total_m(events, _K.DRIVER_ARRIVED),
        trip_m=_total_m(events, _K.DROPPED_OFF),
        cruising_m=_total_m(events, _K.CRUISING_LEG),
        repositioning_m=_total_m(events, _K.REPOSITIONING_LEG),
        abandoned_m=_total_m(events, _K.ABANDONED_LEG),
    )


def _total_m(events: Events, kind: EventKind) -> int:
    return int(events["leg_m"][events["kind"] == kind].sum(dtype=np.int64))
