"""From events to rows: what a batch of the engine's events makes of orders, offers, sums of days. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EventKind as Kind, Events
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import InputError
from dispatch.units import MS_PER_DAY, NO_COORDINATE, NO_VALUE

Wholes = NDArray[np.int64]

ORDER_COLUMNS: Final = (
    "customer_id",
    "driver_id",
    "stage",
    "submitted_at_ms",
    "wanted_at_ms",
    "first_offered_at_ms",
    "accepted_at_ms",
    "arrived_at_ms",
    "picked_up_at_ms",
    "dropped_off_at_ms",
    "ended_at_ms",
    "quoted_eta_ms",
    "pickup_m",
    "trip_m",
    "fare_cents",
    "pickup_lon_e6",
    "pickup_lat_e6",
    "dropoff_lon_e6",
    "dropoff_lat_e6",
    "tier",
    "is_first",
    "passengers",
    "vehicle_class",
    "num_offers",
)
"""Columns of the table ``orders`` that events fill, in the sequence in which they are read."""
_ASSIGNED: Final = (Kind.ORDER_ASSIGNED, Kind.ORDER_REASSIGNED)
_TAKEN: Final = (Kind.ORDER_UNASSIGNED, Kind.ORDER_RELEASED)
_ENDED: Final = (Kind.ORDER_CLOSED, Kind.ORDER_CANCELLED, Kind.ORDER_EXPIRED)
_OVER: Final = (Kind.DROPPED_OFF, *_ENDED)
_ANSWERS: Final = (Kind.OFFER_ACCEPTED, Kind.OFFER_DECLINED, Kind.OFFER_EXPIRED)
_EMPTY_LEGS: Final = (Kind.DRIVER_ARRIVED, Kind.CRUISING_LEG, Kind.REPOSITIONING_LEG, Kind.ABANDONED_LEG)
_STAGE_AFTER: Final = {
    Kind.ORDER_SUBMITTED: OrderStatus.OPEN,
    Kind.ORDER_OFFERED: OrderStatus.OFFERED,
    Kind.OFFER_ACCEPTED: OrderStatus.OPEN,
    Kind.OFFER_DECLINED: OrderStatus.OPEN,
    Kind.OFFER_EXPIRED: OrderStatus.OPEN,
    Kind.ORDER_ASSIGNED: OrderStatus.ASSIGNED,
    Kind.ORDER_REASSIGNED: OrderStatus.ASSIGNED,
    Kind.ORDER_UNASSIGNED: OrderStatus.OPEN,
    Kind.ORDER_RELEASED: OrderStatus.OPEN,
    Kind.DRIVER_ARRIVED: OrderStatus.ARRIVED,
    Kind.PICKED_UP: OrderStatus.ON_BOARD,
    Kind.DROPPED_OFF: OrderStatus.DROPPED_OFF,
    Kind.ORDER_CLOSED: OrderStatus.CLOSED,
    Kind.ORDER_CANCELLED: OrderStatus.CANCELLED,
    Kind.ORDER_EXPIRED: OrderStatus.EXPIRED,
}
_LATEST: Final = (
    ("accepted_at_ms", _ASSIGNED, "at_ms"),
    ("quoted_eta_ms", _ASSIGNED, "eta_ms"),
    ("arrived_at_ms", (Kind.DRIVER_ARRIVED,), "at_ms"),
    ("pickup_m", (Kind.DRIVER_ARRIVED,), "leg_m"),
    ("picked_up_at_ms", (Kind.PICKED_UP,), "at_ms"),
    ("dropped_off_at_ms", (Kind.DROPPED_OFF,), "at_ms"),
    ("trip_m", (Kind.DROPPED_OFF,), "leg_m"),
    ("fare_cents", (Kind.DROPPED_OFF,), "fare_cents"),
    ("dropoff_lon_e6", (Kind.DROPPED_OFF,), "lon_e6"),
    ("dropoff_lat_e6", (Kind.DROPPED_OFF,), "lat_e6"),
    ("ended_at_ms", _ENDED, "at_ms"),
    ("customer_id", (Kind.ORDER_SUBMITTED,), "customer_id"),
    ("submitted_at_ms", (Kind.ORDER_SUBMITTED,), "at_ms"),
    ("pickup_lon_e6", (Kind.ORDER_SUBMITTED,), "lon_e6"),
    ("pickup_lat_e6", (Kind.ORDER_SUBMITTED,), "lat_e6"),
    ("tier", (Kind.ORDER_SUBMITTED,), "tier"),
    ("is_first", (Kind.ORDER_SUBMITTED,), "is_first"),
    ("passengers", (Kind.ORDER_SUBMITTED,), "passengers"),
    ("vehicle_class", (Kind.ORDER_SUBMITTED,), "vehicle_class"),
)
"""Column of an order, the events whose latest one fills it, and their column."""


@dataclass(frozen=True)
class Folded:
    """What a batch makes of the tables: columns by name, (n,) int64, ``NO_VALUE`` for what is unknown."""

    orders: dict[str, Wholes]
    """of every order that the batch speaks of, ``order_id`` among them: as they stand now"""
    submitted: NDArray[np.bool_]
    """(n,) of the orders: submitted in the batch"""
    offers: dict[str, Wholes]
    """made in the batch, with their answers where these are in it too"""
    answers: dict[str, Wholes]
    """to offers of earlier batches"""
    trips: dict[str, Wholes]
    trip_place: NDArray[np.intp]
    """(k,) of the trips: place in the batch of the event that ended each, ascending"""
    customer_days: dict[str, Wholes]
    """what is to be added"""
    driver_days: dict[str, Wholes]
    ended: NDArray[np.intp]
    """(m,) rows of ``orders`` that ended in the batch, in the sequence in which they did"""
    ended_place: NDArray[np.intp]
    """(m,) places in the batch of the events that ended them"""


def order_ids(events: Events) -> Wholes:
    """Give the orders (n,) that events speak of, ascending."""
    found = np.unique(events["order_id"])
    told: Wholes = found[found != NO_VALUE]
    return told


def check_own_ids(events: Events, order_id: Wholes, known: dict[str, Wholes], first_row: int) -> None:
    """Refuse events that submit an order by the id of one that was served or has ended.

    The engine frees such ids (:meth:`Dispatcher.forget_finished`). Here coupons, points and trips stand on
    the id of their order: those of two orders under one id would depend on where the log is cut.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
    order_id : (n,) int64
        As :func:`order_ids` gives them.
    known : dict of str to (n,) int64
        As for :func:`fold`.
    first_row : int
        By which the first of the events is named.

    Raises
    ------
    InputError
    """
    submitted = np.flatnonzero(events["kind"] == Kind.ORDER_SUBMITTED)
    submitted = submitted[events["order_id"][submitted] != NO_VALUE]
    over = np.flatnonzero(np.isin(events["kind"], _OVER) & (events["order_id"] != NO_VALUE))
    place = np.full(len(order_id), len(events))
    place[np.searchsorted(order_id, events["order_id"][over])[::-1]] = over[::-1]  # the first one stays
    place[(known["ended_at_ms"] != NO_VALUE) | (known["dropped_off_at_ms"] != NO_VALUE)] = -1
    again = submitted[place[np.searchsorted(order_id, events["order_id"][submitted])] < submitted]
    if len(again):
        row = int(again[0])
        raise InputError(
            f"events[{first_row + row}].order_id is {events['order_id'][row]}: an order of this id was "
            "served or has ended, and in the CRM an id is one order's for ever; the engine frees ids, the "
            "CRM does not: give orders ids of their own"
        )


def fold(events: Events, order_id: Wholes, known: dict[str, Wholes], late_after_ms: int) -> Folded:
    """Fold events into what was known of their orders.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
        In the order of time.
    order_id : (n,) int64
        As :func:`order_ids` gives them.
    known : dict of str to (n,) int64
        :data:`ORDER_COLUMNS` of each, ``NO_VALUE`` for what is not known, 0 offers of unknown orders.
    late_after_ms : int
        A driver is late so long after the quoted ETA.
    """
    batch = _Batch(events, order_id)
    orders = _orders(batch, known)
    picks = {name: orders[name] for name in ORDER_COLUMNS}
    place = batch.position(*_ENDED)
    ended = np.flatnonzero(place >= 0)
    ended = ended[np.argsort(place[ended])]
    offers, answers = _offers(batch)
    return Folded(
        {"order_id": order_id, **picks},
        batch.position(Kind.ORDER_SUBMITTED) >= 0,
        offers,
        answers,
        _trips(batch, orders),
        batch.at(Kind.DROPPED_OFF),
        _customer_days(batch, orders, known, late_after_ms),
        _driver_days(batch, orders, known, late_after_ms),
        ended,
        place[ended],
    )


class _Batch:
    """Events with the row of their order."""

    def __init__(self, events: Events, order_id: Wholes) -> None:
        self.events, self.num_orders = events, len(order_id)
        self.order_id = order_id
        self.kind = np.ascontiguousarray(events["kind"])
        self.at_ms = np.ascontiguousarray(events["at_ms"])
        self.driver = np.ascontiguousarray(events["driver_id"])
        self.of_order = np.ascontiguousarray(events["order_id"])
        self.row = np.searchsorted(order_id, self.of_order)  # means nothing where there is no order
        by_kind = np.argsort(self.kind, kind="stable")
        ends = np.searchsorted(self.kind[by_kind], np.arange(len(Kind) + 1))
        self._of_kind = [by_kind[ends[kind] : ends[kind + 1]] for kind in range(len(Kind))]

    def at(self, *kinds: Kind) -> NDArray[np.intp]:
        """Positions of the events of these kinds, in the order of time."""
        if len(kinds) == 1:
            return self._of_kind[kinds[0]]
        return np.sort(np.concatenate([self._of_kind[kind] for kind in kinds]))

    def position(self, *kinds: Kind) -> NDArray[np.intp]:
        """(orders,) position of each order's latest event of these kinds, -1 for none."""
        found = self.at(*kinds)
        out = np.full(self.num_orders, -1)
        out[self.row[found]] = found  # of an order that stands in it several times, the last one stays
        return out

    def latest_before(self, at: NDArray[np.intp], *kinds: Kind) -> NDArray[np.intp]:
        """Give the position of the latest event of these kinds of the same order before each of `at` (n,)."""
        found = self.at(*kinds)
        size = len(self.events) + 1
        keys = self.row[found] * size + found
        order = np.argsort(keys)
        place = np.searchsorted(keys[order], self.row[at] * size + at) - 1
        there = place >= 0
        position = np.full(len(at), -1)
        position[there] = found[order[place[there]]]
        same = self.row[np.maximum(position, 0)] == self.row[at]
        return np.where(there & same, position, -1)

    def column(self, name: str) -> Wholes:
        """A column of the events as int64."""
        values: Wholes = self.events[name].astype(np.int64)
        return values


def _orders(batch: _Batch, known: dict[str, Wholes]) -> dict[str, Wholes]:
    """Give the columns of the orders as they stand after the batch."""
    now = {name: known[name].copy() for name in ORDER_COLUMNS}
    latest = {kinds: batch.position(*kinds) for kinds in {kinds for _, kinds, _ in _LATEST}}
    for name, kinds, column in _LATEST:
        at = latest[kinds]
        told = np.flatnonzero(at >= 0)
        now[name][told] = batch.events[column][at[told]]
    for name in ("pickup_lon_e6", "pickup_lat_e6", "dropoff_lon_e6", "dropoff_lat_e6"):
        now[name][now[name] == NO_COORDINATE] = NO_VALUE
    submitted = latest[(Kind.ORDER_SUBMITTED,)]
    told = np.flatnonzero(submitted >= 0)
    ahead_ms = np.maximum(batch.events["wanted_after_ms"][submitted[told]].astype(np.int64), 0)
    now["wanted_at_ms"][told] = now["submitted_at_ms"][told] + ahead_ms
    assigned, taken = latest[_ASSIGNED], batch.position(*_TAKEN)
    given = np.flatnonzero(assigned > taken)
    now["driver_id"][given] = batch.driver[assigned[given]]
    now["driver_id"][taken > assigned] = NO_VALUE
    offered = batch.at(Kind.ORDER_OFFERED)
    now["num_offers"] += np.bincount(batch.row[offered], minlength=batch.num_orders)
    first = np.full(batch.num_orders, NO_VALUE)
    first[batch.row[offered][::-1]] = batch.at_ms[offered][::-1]
    now["first_offered_at_ms"] = np.where(now["first_offered_at_ms"] >= 0, now["first_offered_at_ms"], first)
    moves = batch.position(*_STAGE_AFTER)
    moved = np.flatnonzero(moves >= 0)
    stage_after = np.array([_STAGE_AFTER.get(kind, 0) for kind in Kind], np.int64)
    now["stage"][moved] = stage_after[batch.kind[moves[moved]]]
    return now


def _offers(batch: _Batch) -> tuple[dict[str, Wholes], dict[str, Wholes]]:
    """Give offers with their answers, and answers to offers that were made before."""
    at = batch.at(Kind.ORDER_OFFERED, *_ANSWERS)
    pair = np.lexsort((at, batch.driver[at], batch.of_order[at]))
    at = at[pair]
    is_offer = batch.kind[at] == Kind.ORDER_OFFERED
    follows = np.zeros(len(at), np.bool_)
    follows[1:] = (batch.of_order[at[1:]] == batch.of_order[at[:-1]]) & (
        batch.driver[at[1:]] == batch.driver[at[:-1]]
    )
    answered = np.zeros(len(at), np.bool_)
    answered[:-1] = is_offer[:-1] & follows[1:] & ~is_offer[1:]
    made, answer = np.flatnonzero(is_offer), np.append(at[1:], 0)
    offers = {
        "order_id": batch.of_order[at[made]],
        "driver_id": batch.driver[at[made]],
        "offered_at_ms": batch.at_ms[at[made]],
        "outcome": np.where(answered[made], batch.kind[answer[made]].astype(np.int64), NO_VALUE),
        "answered_at_ms": np.where(answered[made], batch.at_ms[answer[made]], NO_VALUE),
        "eta_ms": batch.column("eta_ms")[at[made]],
    }
    of_earlier = ~is_offer.copy()
    of_earlier[1:] &= ~answered[:-1]
    late = at[of_earlier]
    return offers, {
        "outcome": batch.kind[late].astype(np.int64),
        "answered_at_ms": batch.at_ms[late],
        "order_id": batch.of_order[late],
        "driver_id": batch.driver[late],
    }


def _trips(batch: _Batch, orders: dict[str, Wholes]) -> dict[str, Wholes]:
    at = batch.at(Kind.DROPPED_OFF)
    row = batch.row[at]
    return {
        "order_id": batch.of_order[at],
        "customer_id": orders["customer_id"][row],
        "driver_id": batch.driver[at],
        "picked_up_at_ms": orders["picked_up_at_ms"][row],
        "dropped_off_at_ms": batch.at_ms[at],
        "trip_m": batch.column("leg_m")[at],
        "fare_cents": np.maximum(batch.column("fare_cents")[at], 0),
    }


class _Sums:
    """Sums by a person and a day."""

    def __init__(self, person: str) -> None:
        self._person = person
        self._parts: list[tuple[str, Wholes, Wholes, Wholes]] = []

    def add(self, name: str, person_id: Wholes, at_ms: Wholes, amount: Any = 1) -> None:
        """Add amounts (n,) of persons at instants; nobody's are left out."""
        values = amount if isinstance(amount, np.ndarray) else np.full(len(person_id), amount, np.int64)
        told = person_id != NO_VALUE
        self._parts.append((name, person_id[told], at_ms[told] // MS_PER_DAY, values[told]))

    def columns(self) -> dict[str, Wholes]:
        """Give the sums, a row for each person and day."""
        if not self._parts:
            return {}
        persons = np.concatenate([part[1] for part in self._parts])
        days = np.concatenate([part[2] for part in self._parts])
        order = np.lexsort((days, persons))
        is_new = np.ones(len(order), np.bool_)
        is_new[1:] = (np.diff(persons[order]) != 0) | (np.diff(days[order]) != 0)
        row = np.empty(len(order), np.int64)
        row[order] = np.cumsum(is_new) - 1
        first = order[is_new]
        columns = {self._person: persons[first], "day": days[first]}
        start = 0
        for name, person_id, _, amounts in self._parts:
            if name not in columns:
                columns[name] = np.zeros(len(first), np.int64)
            np.add.at(columns[name], row[start : start + len(person_id)], amounts)
            start += len(person_id)
        return columns


def _customer_days(
    batch: _Batch, orders: dict[str, Wholes], known: dict[str, Wholes], late_after_ms: int
) -> dict[str, Wholes]:
    sums = _Sums("customer_id")

    def add(name: str, at: NDArray[np.intp], amount: Any = 1) -> None:
        sums.add(name, orders["customer_id"][batch.row[at]], batch.at_ms[at], amount)

    def of(name: str, at: NDArray[np.intp]) -> Wholes:
        return orders[name][batch.row[at]]

    add("submitted", batch.at(Kind.ORDER_SUBMITTED))
    done = batch.at(Kind.DROPPED_OFF)
    add("completed", done)
    add("spend_cents", done, np.maximum(batch.column("fare_cents")[done], 0))
    add("trip_m", done, np.maximum(batch.column("leg_m")[done], 0))
    cancelled, expired = batch.at(Kind.ORDER_CANCELLED), batch.at(Kind.ORDER_EXPIRED)
    add("cancelled", cancelled)
    add("expired", expired)
    add("cancelled_late", cancelled[of("driver_id", cancelled) != NO_VALUE])
    boarded = batch.at(Kind.PICKED_UP)
    add("picked_up", boarded)
    wanted = of("wanted_at_ms", boarded)
    add("wait_ms", boarded, np.where(wanted >= 0, np.maximum(batch.at_ms[boarded] - wanted, 0), 0))
    accepted = batch.at(*_ASSIGNED)
    accepted = accepted[known["accepted_at_ms"][batch.row[accepted]] < 0]
    _, first = np.unique(batch.row[accepted], return_index=True)
    unanswered = (cancelled[of("accepted_at_ms", cancelled) < 0], expired[of("accepted_at_ms", expired) < 0])
    for at in (accepted[first], *unanswered):
        wanted = of("wanted_at_ms", at)
        add("unanswered_ms", at, np.where(wanted >= 0, np.maximum(batch.at_ms[at] - wanted, 0), 0))
    add("gave_up", cancelled[of("accepted_at_ms", cancelled) < 0])
    arrived = batch.at(Kind.DRIVER_ARRIVED)
    add("late", arrived[_late_ms(batch, known, arrived) > late_after_ms])
    return sums.columns()


def _late_ms(batch: _Batch, known: dict[str, Wholes], arrived: NDArray[np.intp]) -> Wholes:
    """Give how long after the quoted ETA drivers arrived (n,), 0 where that is not known."""
    row, assigned = batch.row[arrived], batch.latest_before(arrived, *_ASSIGNED)
    is_here = assigned >= 0
    accepted = np.where(is_here, batch.at_ms[assigned], known["accepted_at_ms"][row])
    eta = np.where(is_here, batch.events["eta_ms"][assigned], known["quoted_eta_ms"][row])
    late_ms = np.maximum(batch.at_ms[arrived] - accepted - eta, 0)
    return np.where((accepted >= 0) & (eta >= 0), late_ms, 0)


def _driver_days(
    batch: _Batch, orders: dict[str, Wholes], known: dict[str, Wholes], late_after_ms: int
) -> dict[str, Wholes]:
    sums = _Sums("driver_id")

    def add(name: str, at: NDArray[np.intp], amount: Any = 1) -> None:
        sums.add(name, batch.driver[at], batch.at_ms[at], amount)

    add("offered", batch.at(Kind.ORDER_OFFERED))
    for name, kind in (("accepted", _ANSWERS[0]), ("declined", _ANSWERS[1]), ("offer_expired", _ANSWERS[2])):
        add(name, batch.at(kind))
    add("unassigned", batch.at(Kind.ORDER_UNASSIGNED))
    arrived = batch.at(Kind.DRIVER_ARRIVED)
    late_ms = _late_ms(batch, known, arrived)
    add("arrived", arrived)
    add("late", arrived[late_ms > late_after_ms])
    add("late_ms", arrived, late_ms)
    done = batch.at(Kind.DROPPED_OFF)
    add("completed", done)
    add("income_cents", done, np.maximum(batch.column("fare_cents")[done], 0))
    add("trip_m", done, np.maximum(batch.column("leg_m")[done], 0))
    boarded = orders["picked_up_at_ms"][batch.row[done]]
    add("occupied_ms", done, np.where(boarded >= 0, batch.at_ms[done] - boarded, 0))
    empty = batch.at(*_EMPTY_LEGS)
    add("empty_m", empty, np.maximum(batch.column("leg_m")[empty], 0))
    return sums.columns()


def added_days(person: str, *sums: dict[str, Wholes]) -> dict[str, Wholes]:
    """Add up sums of persons' days that were made apart: one row for each person and day, ascending."""
    told = [one for one in sums if one]
    if len(told) < 2:
        return told[0] if told else {}
    both = _Sums(person)
    for one in told:
        at_ms = one["day"] * MS_PER_DAY
        for name in one.keys() - {person, "day"}:
            both.add(name, one[person], at_ms, one[name])
    return both.columns()


class Spell(NamedTuple):
    """That a driver is on duty."""

    online_at_ms: int
    last_at_ms: int
    """of the driver's last event"""
    stream_id: int | None
    """of the log that told of the driver last; None: it is not known, any may end it"""

    def told(self, at_ms: int, stream_id: int) -> Spell:
        """Give the spell after a log told of the driver; what lies before is known."""
        return self if at_ms < self.last_at_ms else self._replace(last_at_ms=at_ms, stream_id=stream_id)


def duties(
    events: Events, on_duty: Mapping[int, Spell], stream_id: int
) -> tuple[dict[str, Wholes], dict[int, Spell]]:
    """Give the time on duty that ended in a batch, by driver and day, and who is on duty after it.

    Who goes on duty once more never went off, as after a crash: the earlier spell ends at the driver's last
    event before. Where several logs tell of a driver, the spell that began last counts, and is of the log
    that told of the driver last; another one that is behind neither begins nor ends anything: its time that
    had not been told when the spell began is not counted.

    Parameters
    ----------
    events : (events,) EVENT_DTYPE
    on_duty : mapping of int to Spell
        Drivers on duty before the batch; at least those whom it speaks of.
    stream_id : int
        Of the log.

    Returns
    -------
    driver_days : dict of str to (n,) int64
        A spell counts on the days on which it lies.
    on_duty : dict of int to Spell
    """
    kind, who, when = events["kind"], events["driver_id"], events["at_ms"]
    # That a driver goes off duty says nothing of a spell of another log.
    tells = np.flatnonzero((who != NO_VALUE) & (kind != Kind.DRIVER_OFFLINE))

    def met(spell: Spell, place: int, driver: int) -> Spell:
        """Give a spell as it stands before an event, after those of its driver before."""
        before = tells[: np.searchsorted(tells, place)]
        told = before[who[before] == driver]
        return spell.told(int(when[told[-1]]), stream_id) if len(told) else spell

    at = np.flatnonzero((kind == Kind.DRIVER_ONLINE) | (kind == Kind.DRIVER_OFFLINE))
    after, spells = dict(on_duty), []
    is_online = (kind[at] == Kind.DRIVER_ONLINE).tolist()
    columns = (at.tolist(), who[at].tolist(), when[at].tolist(), is_online)
    for place, driver, at_ms, begins in zip(*columns, strict=True):
        spell = after.get(driver)
        if spell is not None and (begins or spell.stream_id != stream_id):
            spell = met(spell, place, driver)
        if spell is not None:
            if at_ms < spell.online_at_ms or not (begins or spell.stream_id in (None, stream_id)):
                continue
            end_ms = min(spell.last_at_ms, at_ms) if begins else at_ms
            spells.append((driver, spell.online_at_ms, end_ms))
            del after[driver]
        if begins:
            after[driver] = Spell(at_ms, at_ms, stream_id)
    latest = dict(zip(who[tells].tolist(), when[tells].tolist(), strict=True))
    for driver in after.keys() & latest.keys():
        after[driver] = after[driver].told(latest[driver], stream_id)
    return _spell_days(spells), after


def _spell_days(spells: Sequence[tuple[int, int, int]]) -> dict[str, Wholes]:
    """Give the time of spells, driver, begin and end each, by driver and day."""
    sums = _Sums("driver_id")
    begin, end = (np.array([spell[i] for spell in spells], np.int64) for i in (1, 2))
    driver = np.array([spell[0] for spell in spells], np.int64)
    while len(driver):
        midnight = (begin // MS_PER_DAY + 1) * MS_PER_DAY
        sums.add("online_ms", driver, begin, np.minimum(end, midnight) - begin)
        goes_on = end > midnight
        driver, begin, end = driver[goes_on], midnight[goes_on], end[goes_on]
    return sums.columns()
