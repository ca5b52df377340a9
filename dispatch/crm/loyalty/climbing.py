"""Tiers that customers reach by orders closed together: each rise at the very order that caused it.

What a tier is told by is followed from order to order, as if each were told by itself. Only of those who may
reach a higher tier at all: of most customers one sum shows that they cannot.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context
from dispatch.crm.loyalty import coupons
from dispatch.crm.loyalty.memberships import MEASURES, Period, counts_as_in, periods_in
from dispatch.crm.loyalty.standing import Standing
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.tables.loyalty import membership
from dispatch.crm.tables.people import customer
from dispatch.crm.vertical import Vertical
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

Wholes = NDArray[np.int64]


@dataclass(frozen=True)
class Closes:
    """Orders (n,) of customers whom the CRM knows, in the sequence in which they were closed."""

    owner: Sequence[Standing]
    at_ms: Sequence[int]
    place: Sequence[int]
    """(n,) ascending: of the event in what was told"""


@dataclass(frozen=True)
class Trips:
    """Trips (n,) that were told together with the closed orders, and are counted in their days already."""

    customer_id: Wholes
    cents: Wholes
    at_ms: Wholes
    place: Wholes
    """(n,) int64 each; places ascending"""


@dataclass(frozen=True)
class Grant:
    """Points that a customer gets because another one's order was closed."""

    customer_id: int
    points: int
    at_ms: int
    place: int


@dataclass(frozen=True)
class Rise:
    """A customer reaches a tier, a row of the vertical's."""

    customer_id: int
    row: int
    at_ms: int


def climb_in(
    connection: sa.Connection,
    vertical: Vertical,
    closes: Closes,
    trips: Trips,
    grants: Sequence[Grant],
    earnings: Wholes,
) -> tuple[Wholes, list[Rise]]:
    """Give the tier by which each order earns, the one held just before it was closed, and who rises when.

    A tier that somebody set at a later instant stands. Customers are locked already.

    Parameters
    ----------
    connection, vertical
    closes : Closes
    trips : Trips
    grants : sequence of Grant
        In their sequence.
    earnings : (tiers, n) int64
        Points that each order earns by each tier.

    Returns
    -------
    tier : (n,) int64
        Rows of the vertical's tiers.
    rises : list of Rise
        In their sequence.
    """
    tier = np.array([one.tier for one in closes.owner], np.int64)
    highest = len(vertical.tiers) - 1
    if not highest or not len(tier):
        return tier, []
    ids = sorted({one.customer_id for one in closes.owner})
    known_ms: dict[int, int] = dict(_KNOWN.rows(connection, ids=ids))
    _look_back(connection, vertical, closes, known_ms, tier)
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row, owner in enumerate(closes.owner):
        if owner.is_active and owner.tier < highest:
            rows_of[owner.customer_id].append(row)
    told = _Told(closes, trips, grants, earnings)
    meters = _METERS[vertical.membership.measure == "points"](connection, vertical, told, rows_of)
    rises: list[tuple[int, Rise]] = []
    for one, meter in meters.items():
        held, since_ms = closes.owner[rows_of[one][0]].tier, known_ms.get(one, 0)
        has_risen = False
        for row in rows_of[one]:
            at_ms = closes.at_ms[row]
            if has_risen:
                tier[row] = held
            reached = _row_of(vertical, meter.at(row, int(tier[row])))
            if reached > held and since_ms <= at_ms:
                held, since_ms, has_risen = reached, at_ms, True
                rises.append((row, Rise(one, reached, at_ms)))
    return tier, [rise for _, rise in sorted(rises, key=lambda found: found[0])]


def raise_in(connection: sa.Connection, context: Context, rises: Sequence[Rise]) -> None:
    """Begin the periods of tiers that customers reached, and give each the tier's coupon; in their sequence.

    A period that another one ends at the very instant at which it began never was.
    """
    vertical = context.vertical
    kept_ms = vertical.membership.keep_days * MS_PER_DAY
    for together in _rounds(rises):
        ends = [{"one": rise.customer_id, "at": rise.at_ms} for rise in together]
        connection.execute(_NEVER_WAS, ends)
        connection.execute(_ENDS, ends)
        ids = [rise.customer_id for rise in together]
        tiers = [vertical.tiers[rise.row].name for rise in together]
        instants = [rise.at_ms for rise in together]
        bulk.insert(
            connection,
            membership,
            {
                "customer_id": ids,
                "tier": tiers,
                "from_ms": instants,
                "keep_until_ms": [at_ms + kept_ms for at_ms in instants],
                "reason": ["measured"] * len(ids),
                "entered_at_ms": instants,
            },
        )
        changed = [{"one": one, "to_tier": tier} for one, tier in zip(ids, tiers, strict=True)]
        connection.execute(_HOLDS, changed)
        data = [{"tier": tier, "reason": "measured"} for tier in tiers]
        announce_many_in(connection, "membership.changed", "customer", ids, instants, data)
    for row, tier in enumerate(vertical.tiers):
        reached = {rise.customer_id: rise.at_ms for rise in rises if rise.row == row}
        if tier.coupon_cents and reached:
            worth = (f"tier.{tier.name}", tier.coupon_cents)
            coupons.grant_in(connection, context, reached, *worth, reached)


def _rounds(rises: Sequence[Rise]) -> Iterator[list[Rise]]:
    """Give each customer's first rises together, then the second ones, and so on."""
    rounds: list[list[Rise]] = []
    num: dict[int, int] = defaultdict(int)
    for rise in rises:
        if num[rise.customer_id] == len(rounds):
            rounds.append([])
        rounds[num[rise.customer_id]].append(rise)
        num[rise.customer_id] += 1
    return iter(rounds)


def _row_of(vertical: Vertical, measure: int) -> int:
    return max(bisect_right([tier.at_least for tier in vertical.tiers], measure) - 1, 0)


def _look_back(
    connection: sa.Connection, vertical: Vertical, closes: Closes, known_ms: Mapping[int, int], tier: Wholes
) -> None:
    """Set the tiers (n,) of orders that were closed before their customers' tiers changed last."""
    periods: dict[int, list[Period]] = {}
    for row, owner in enumerate(closes.owner):
        one, at_ms = owner.customer_id, closes.at_ms[row]
        if at_ms >= known_ms.get(one, 0):
            continue
        if one not in periods:
            periods[one] = periods_in(connection, vertical, one)
        held = [
            vertical.tier_row.get(period.tier, 0)
            for period in periods[one]
            if period.from_ms <= at_ms and (period.until_ms is None or at_ms < period.until_ms)
        ]
        tier[row] = held[0] if held else 0


@dataclass(frozen=True)
class _Told:
    """All that is told together."""

    closes: Closes
    trips: Trips
    grants: Sequence[Grant]
    earnings: Wholes
    """(tiers, n) int64"""


class _DayMeter:
    """What a customer spent or ordered within the days of a window, from order to order."""

    def __init__(
        self, told: _Told, days: dict[int, int], trips: list[tuple[int, int, int]], num_days: int
    ) -> None:
        self._closes, self._days, self._trips, self._num_days = told.closes, days, trips, num_days
        for _, day, amount in trips:  # counted in the days already: told anew from order to order
            days[day] -= amount
        self._next, self._day, self._total = 0, -1, 0

    def at(self, row: int, _tier: int) -> int:
        """Give what is measured at an order, later and later ones."""
        place, day = self._closes.place[row], self._closes.at_ms[row] // MS_PER_DAY
        while self._next < len(self._trips) and self._trips[self._next][0] < place:
            _, of_day, amount = self._trips[self._next]
            self._days[of_day] += amount
            self._next += 1
            self._total += amount if self._day - self._num_days < of_day <= self._day else 0
        if day != self._day:
            self._day = day
            self._total = sum(
                amount for of_day, amount in self._days.items() if day - self._num_days < of_day <= day
            )
        return self._total


class _PointMeter:
    """What points a customer came by within a window of time, from order to order."""

    def __init__(
        self, told: _Told, entries: Sequence[tuple[int, int]], grants: Sequence[Grant], window_ms: int
    ) -> None:
        self._told, self._grants, self._window_ms = told, grants, window_ms
        self._entries = sorted(entries)
        self._sums = [0, *accumulate(points for _, points in self._entries)]
        self._fresh: list[tuple[int, int]] = []
        self._fresh_sums = [0]
        self._next = 0

    def at(self, row: int, tier: int) -> int:
        """Let an order earn by a tier, and give what is measured then."""
        place, at_ms = self._told.closes.place[row], self._told.closes.at_ms[row]
        while self._next < len(self._grants) and self._grants[self._next].place < place:
            self._add(self._grants[self._next].at_ms, self._grants[self._next].points)
            self._next += 1
        self._add(at_ms, int(self._told.earnings[tier, row]))
        within = 0
        for entries, sums in ((self._entries, self._sums), (self._fresh, self._fresh_sums)):
            begin, end = (bisect_right(entries, (at, _MOST)) for at in (at_ms - self._window_ms, at_ms))
            within += sums[end] - sums[begin]
        return within

    def _add(self, at_ms: int, points: int) -> None:
        self._fresh.append((at_ms, points))
        self._fresh_sums.append(self._fresh_sums[-1] + points)


_MOST: Final = 2**63
Rows = Mapping[int, Sequence[int]]
"""Rows of closed orders by their customer."""


def _day_meters(
    connection: sa.Connection, vertical: Vertical, told: _Told, rows_of: Rows
) -> dict[int, _DayMeter]:
    """Make the meters of those whose sum over all the days in question reaches the next tier."""
    rule, at_ms = vertical.membership, told.closes.at_ms
    since, until = at_ms[0] // MS_PER_DAY - rule.window_days, at_ms[-1] // MS_PER_DAY
    counts_as, ids = _candidates(connection, vertical, told, rows_of, since, until)
    if not ids:
        return {}
    days: dict[int, dict[int, int]] = {one: defaultdict(int) for one in ids}
    family = [one for one, owner in counts_as.items() if owner in days]
    for one, day, amount in _DETAILS[rule.measure].rows(connection, ids=family, since=since, until=until):
        days[counts_as[one]][day] += amount
    trips: dict[int, list[tuple[int, int, int]]] = {one: [] for one in ids}
    mine = np.flatnonzero(np.isin(told.trips.customer_id, family))
    amounts = told.trips.cents if rule.measure == "spend_cents" else np.ones(len(told.trips.cents), np.int64)
    columns = (told.trips.customer_id, told.trips.place, told.trips.at_ms // MS_PER_DAY, amounts)
    for one, place, day, amount in zip(*(column[mine].tolist() for column in columns), strict=True):
        trips[counts_as[one]].append((place, day, amount))
    return {one: _DayMeter(told, days[one], trips[one], rule.window_days) for one in ids}


def _point_meters(
    connection: sa.Connection, vertical: Vertical, told: _Told, rows_of: Rows
) -> dict[int, _PointMeter]:
    """Make the meters of those whom all that they may come by brings to the next tier."""
    window_ms, at_ms = vertical.membership.window_days * MS_PER_DAY, told.closes.at_ms
    since, until = at_ms[0] - window_ms, at_ms[-1]
    counts_as, ids = _candidates(connection, vertical, told, rows_of, since, until)
    if not ids:
        return {}
    entries: dict[int, list[tuple[int, int]]] = {one: [] for one in ids}
    family = [one for one, owner in counts_as.items() if owner in entries]
    for one, when, points in _DETAILS["points"].rows(connection, ids=family, since=since, until=until):
        entries[counts_as[one]].append((when, points))
    grants: dict[int, list[Grant]] = {one: [] for one in ids}
    for grant in told.grants:
        if grant.customer_id in grants:
            grants[grant.customer_id].append(grant)
    return {one: _PointMeter(told, entries[one], grants[one], window_ms) for one in ids}


_METERS: Final = (_day_meters, _point_meters)


def _candidates(
    connection: sa.Connection, vertical: Vertical, told: _Told, rows_of: Rows, since: int, until: int
) -> tuple[dict[int, int], list[int]]:
    """Give whom customers count as, and who may reach a higher tier: by the most that could be measured."""
    counts_as = counts_as_in(connection, list(rows_of))
    measure, most = vertical.membership.measure, dict.fromkeys(rows_of, 0)
    for one, amount in _MOSTS[measure].rows(connection, ids=list(counts_as), since=since, until=until):
        most[counts_as[one]] += int(amount or 0)
    if measure == "points":
        gains = told.earnings.max(axis=0).tolist()
        for one, rows in rows_of.items():
            most[one] += sum(gains[row] for row in rows)
        for grant in told.grants:
            if grant.customer_id in most:
                most[grant.customer_id] += grant.points
    steps = [tier.at_least for tier in vertical.tiers]
    owner = told.closes.owner
    return counts_as, [one for one, rows in rows_of.items() if most[one] >= steps[owner[rows[0]].tier + 1]]


def _asked(measure: str, summed: bool) -> bulk.Prepared:
    """Give the question for amounts by customer and day or instant, or for what could add up at most."""
    owner, when, amount, *where = MEASURES[measure]
    since, until = (sa.bindparam(name, type_=sa.BigInteger) for name in ("since", "until"))
    columns: tuple[Any, ...] = (owner, when, amount)
    if summed:
        columns = (owner, sa.func.sum(sa.case((amount > 0, amount), else_=sa.literal_column("0"))))
    found = sa.select(*columns).where(bulk.among_told(owner, "ids"), when > since, when <= until, *where)
    return bulk.Prepared(found.group_by(owner) if summed else found)


_MOSTS: Final = {measure: _asked(measure, summed=True) for measure in MEASURES}
_DETAILS: Final = {measure: _asked(measure, summed=False) for measure in MEASURES}
_PERIOD: Final = membership.c
_KNOWN: Final = bulk.Prepared(
    sa.select(
        _PERIOD.customer_id,
        sa.func.max(sa.func.coalesce(_PERIOD.until_ms, _PERIOD.from_ms)),
    )
    .where(bulk.among_told(_PERIOD.customer_id, "ids"))
    .group_by(_PERIOD.customer_id)
)
"""When the tier of customers changed last."""
_MINE: Final = sa.and_(_PERIOD.until_ms.is_(None), _PERIOD.customer_id == sa.bindparam("one"))
_NEVER_WAS: Final = sa.delete(membership).where(_MINE, _PERIOD.from_ms >= sa.bindparam("at"))
_ENDS: Final = sa.update(membership).where(_MINE).values(until_ms=sa.bindparam("at"))
_HOLDS: Final = (
    sa.update(customer)
    .where(customer.c.customer_id == sa.bindparam("one"))
    .values(tier=sa.bindparam("to_tier"))
)
