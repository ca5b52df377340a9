"""Drivers' scores and incomes, of all drivers at once, and what they cost a candidate.

The score is :class:`dispatch.crm.rules.ScoreRule`'s: a weighted mean of parts, each a share between 0 and 1,
of sums of days that count half as much every ``half_life_days``. After a cool-down only later days count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_instant
from dispatch.crm.fleet.eligibility import eligibility_in
from dispatch.crm.rules import ScoreRule
from dispatch.crm.tables.fleet import driver_block
from dispatch.crm.tables.orders import driver_day, duty
from dispatch.crm.tables.people import driver
from dispatch.crm.vertical import Vertical
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY, MS_PER_S

PARTS: Final = ("acceptance", "reliability", "punctuality", "rating", "complaint")
LOW_SCORE: Final = "low_score"
"""Why a review blocks drivers; blocks by hand, for other reasons, do not begin the score anew."""
NOT_MEASURED: Final = -1.0
"""A part of which there is nothing to tell: it does not count."""
BEST_PAID: Final = 0.9
"""From this share of drivers on, by income, fairness costs all that the rule says; below in proportion."""
LEAST_ONLINE_MS: Final = 3_600_000
"""Who was on duty for less has no income an hour that says anything."""
_WEIGHTED: Final = (
    "offered",
    "accepted",
    "unassigned",
    "arrived",
    "late",
    "completed",
    "ratings",
    "stars",
    "complaints_upheld",
)

Floats = NDArray[np.float64]
Wholes = NDArray[np.int64]
Terms = tuple[Wholes, Wholes, Wholes, Wholes]
"""The engine's ``quality_cost_ms``, ``income_cost_ms``, ``eligible``, ``skills`` of drivers, (n,) each."""


@dataclass(frozen=True)
class Scored:
    """Scores of drivers, in the sequence in which they were asked for; arrays (n,)."""

    driver_id: Wholes
    score: Floats
    """0 … 1; 1 for who is not judged"""
    judged: NDArray[np.bool_]
    """false below ``min_trips``"""
    trips: Wholes
    """completed in the window, or since the last cool-down"""
    parts: Floats
    """(parts, n), in the sequence of :data:`PARTS`; -1 where there is nothing to tell"""


@dataclass(frozen=True)
class ScorePart:
    """One part of a driver's score."""

    name: str
    value: float | None
    """0 … 1, None where there is nothing to tell"""
    weight: float
    lost: float
    """of the score, by this part"""


@dataclass(frozen=True)
class ScoreExplained:
    """A driver's score by its parts: ``score`` is 1 less what the parts lost, unless it is not judged."""

    driver_id: int
    score: float
    judged: bool
    trips: int
    min_trips: int
    parts: tuple[ScorePart, ...]


@dataclass(frozen=True)
class Incomes:
    """Income of drivers per hour on duty, over the window; arrays (n,)."""

    driver_id: Wholes
    """who were on duty for an hour at least"""
    scope_id: Wholes
    cents_per_hour: Floats
    rank: Floats
    """share of the drivers of the same place who earn less, ties half: 0 … 1"""

    @property
    def gini(self) -> float:
        """How unequal incomes are: 0 alike, towards 1 one driver has all."""
        return gini(self.cents_per_hour)


class Scores:
    """Tells scores and incomes, and explains them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of_all(self, *, scope_id: int, at_ms: int) -> Scored:
        """Score the active drivers of a place."""
        check_instant("at_ms", at_ms)
        with self._context.looking("score.read", scope_id=scope_id) as connection:
            ids = active_in(connection, scope_id)
            return scores_in(connection, self._context.vertical.score, ids, at_ms)

    def explain(self, driver_id: int, *, at_ms: int) -> ScoreExplained:
        """Tell a driver's score by its parts."""
        check_instant("at_ms", at_ms)
        with self._context.looking("score.read", ("driver", driver_id)) as connection:
            return score_explained_in(connection, self._context.vertical.score, driver_id, at_ms)

    def incomes(self, *, scope_id: int, at_ms: int) -> Incomes:
        """Give the incomes of a place's drivers over the window of the score's rule."""
        check_instant("at_ms", at_ms)
        with self._context.looking("score.incomes", scope_id=scope_id) as connection:
            return incomes_in(connection, self._context.vertical.score, at_ms, driver.c.scope_id == scope_id)


def score_explained_in(
    connection: sa.Connection, rule: ScoreRule, driver_id: int, at_ms: int
) -> ScoreExplained:
    """Tell a driver's score by its parts; see :meth:`Scores.explain`."""
    scored = scores_in(connection, rule, [driver_id], at_ms)
    weights = _weights(rule)
    known = scored.parts[:, 0] != NOT_MEASURED
    total = max(weights[known].sum(), np.finfo(float).tiny)
    parts = tuple(
        ScorePart(
            name,
            float(scored.parts[row, 0]) if known[row] else None,
            float(weights[row]),
            float((1 - scored.parts[row, 0]) * weights[row] / total) if known[row] else 0.0,
        )
        for row, name in enumerate(PARTS)
    )
    judged = bool(scored.judged[0])
    return ScoreExplained(
        driver_id, float(scored.score[0]), judged, int(scored.trips[0]), rule.min_trips, parts
    )


def driver_terms_in(
    connection: sa.Connection, vertical: Vertical, driver_ids: Sequence[int], at_ms: int
) -> Terms:
    """Give what the engine is to know of drivers (n,): costs, eligibility, skills; unknown ones get nothing.

    ``quality_cost_ms`` is ``cost_s`` at a score of 0 and nothing at 1. ``income_cost_ms`` rises with the rank
    of the driver's income among those of the same place, up to ``income_cost_s`` for the best-paid tenth.
    """
    rule = vertical.score
    ids = np.asarray(driver_ids, dtype=np.int64)
    fit = eligibility_in(connection, vertical, driver_ids, at_ms)
    scored = scores_in(connection, rule, driver_ids, at_ms)
    quality = np.rint(rule.cost_s * MS_PER_S * (1 - scored.score)).astype(np.int64)
    income = np.zeros(len(ids), np.int64)
    if rule.income_cost_s > 0 and len(ids):
        places = sa.select(driver.c.scope_id).where(bulk.among(connection, driver.c.driver_id, ids))
        incomes = incomes_in(connection, rule, at_ms, driver.c.scope_id.in_(places))
        cost = np.rint(rule.income_cost_s * MS_PER_S * np.minimum(incomes.rank / BEST_PAID, 1)).astype(
            np.int64
        )
        row = np.searchsorted(incomes.driver_id, ids)
        known = np.flatnonzero(row < len(incomes.driver_id))
        known = known[incomes.driver_id[row[known]] == ids[known]]
        income[known] = cost[row[known]]
    return quality, income, fit.eligible, fit.skills


def scores_in(connection: sa.Connection, rule: ScoreRule, driver_ids: Sequence[int], at_ms: int) -> Scored:
    """Score drivers (n,) at an instant: one query, summed by the database.

    Complexity
    ----------
    Linear in drivers times days of the window: 2,000 of 30 days in about 50 ms on SQLite.
    """
    asked = np.asarray(driver_ids, dtype=np.int64)
    sums = bulk.fetch_floats(connection, _sums(connection, rule, asked, at_ms))
    ids = sums[0].astype(np.int64)
    row = np.searchsorted(ids, asked)
    found = row < len(ids)
    found[found] = ids[row[found]] == asked[found]
    mine = np.zeros((len(sums) - 1, len(asked)))
    mine[:, found] = sums[1:, row[found]]
    trips, parts = mine[0].astype(np.int64), _parts(dict(zip(_WEIGHTED, mine[1:], strict=True)))
    weights = _weights(rule)[:, None] * (parts != NOT_MEASURED)
    total = weights.sum(axis=0)
    judged = (trips >= rule.min_trips) & (total > 0)
    score = np.ones(len(asked))
    np.divide((weights * parts).sum(axis=0), total, out=score, where=judged)
    return Scored(asked, score, judged, trips, parts)


def incomes_in(
    connection: sa.Connection, rule: ScoreRule, at_ms: int, which: sa.ColumnElement[bool]
) -> Incomes:
    """Give incomes of drivers of some places, ascending by their ids, with their ranks within each place."""
    day = at_ms // MS_PER_DAY
    # Time on duty counts in the sums once it ends: of who is on duty now it is added.
    begin_ms = (day - rule.window_days + 1) * MS_PER_DAY
    since = sa.func.max(sa.case((duty.c.online_at_ms < begin_ms, begin_ms), else_=duty.c.online_at_ms))
    running = sa.case((since < at_ms, at_ms - since), else_=0)
    online = sa.func.sum(driver_day.c.online_ms) + running
    rows = bulk.fetch(
        connection,
        sa.select(
            driver_day.c.driver_id,
            sa.func.max(driver.c.scope_id),
            sa.func.sum(driver_day.c.income_cents),
            online,
        )
        .join(driver, driver.c.driver_id == driver_day.c.driver_id)
        .outerjoin(duty, duty.c.driver_id == driver_day.c.driver_id)
        .where(which, driver_day.c.day > day - rule.window_days, driver_day.c.day <= day)
        .group_by(driver_day.c.driver_id)
        .having(online >= LEAST_ONLINE_MS)
        .order_by(driver_day.c.driver_id),
    )
    ids, scope_id, cents, online_ms = rows
    hourly = cents * float(LEAST_ONLINE_MS) / np.maximum(online_ms, 1)
    rank = np.zeros(len(ids))
    for place in np.unique(scope_id):
        mine = scope_id == place
        ascending = np.sort(hourly[mine])
        below, until = (np.searchsorted(ascending, hourly[mine], side) for side in ("left", "right"))
        rank[mine] = (below + until) / (2 * len(ascending))
    return Incomes(ids, scope_id, hourly, rank)


def gini(values: Floats) -> float:
    """Give the Gini coefficient Σ(2i − n − 1)xᵢ / (n Σxᵢ) of values (n,), none negative; 0 for no values."""
    total = float(values.sum())
    if total <= 0:
        return 0.0
    num = len(values)
    place = 2 * np.arange(1, num + 1) - num - 1
    return float((place * np.sort(values)).sum() / (num * total))


def active_in(connection: sa.Connection, scope_id: int) -> list[int]:
    """Give the ids of active drivers of a place, ascending."""
    wanted = sa.select(driver.c.driver_id).where(driver.c.scope_id == scope_id, driver.c.status == "active")
    return list(connection.execute(wanted.order_by(driver.c.driver_id)).scalars())


def _sums(connection: sa.Connection, rule: ScoreRule, driver_ids: Wholes, at_ms: int) -> sa.Select[Any]:
    """Give each driver's trips, and weighted sums of days: of the window, and after a cool-down began."""
    today = at_ms // MS_PER_DAY
    weight = bulk.numbered(connection, 0.5 ** (np.arange(rule.window_days) / rule.half_life_days))
    blocked = (
        sa.select(driver_block.c.driver_id, (sa.func.max(driver_block.c.from_ms) // MS_PER_DAY).label("day"))
        .where(
            driver_block.c.reason == LOW_SCORE,
            driver_block.c.lifted_at_ms.is_(None),
            driver_block.c.from_ms <= at_ms,
        )
        .group_by(driver_block.c.driver_id)
        .subquery()
    )
    columns = driver_day.c
    return (
        sa.select(
            columns.driver_id,
            sa.func.sum(columns.completed),
            *(sa.func.sum(columns[name] * weight.c.value) for name in _WEIGHTED),
        )
        .join(weight, weight.c.row == today - columns.day)
        .outerjoin(blocked, blocked.c.driver_id == columns.driver_id)
        .where(
            bulk.among(connection, columns.driver_id, driver_ids),
            columns.day > today - rule.window_days,
            columns.day <= today,
            columns.day > sa.func.coalesce(blocked.c.day, -1),
        )
        .group_by(columns.driver_id)
        .order_by(columns.driver_id)
    )


def _parts(sums: dict[str, Floats]) -> Floats:
    """Give the parts (parts, n) of sums (n,), in the sequence of :data:`PARTS`."""
    trips = sums["completed"]
    told = (
        (sums["offered"], _ratio(sums["accepted"], sums["offered"])),
        (trips, 1 - _ratio(sums["unassigned"], trips)),
        (sums["arrived"], 1 - _ratio(sums["late"], sums["arrived"])),
        (sums["ratings"], (_ratio(sums["stars"], sums["ratings"]) - 1) / 4),
        (trips, 1 - 100 * _ratio(sums["complaints_upheld"], trips)),
    )
    return np.stack([np.where(of > 0, np.clip(part, 0, 1), NOT_MEASURED) for of, part in told])


def _ratio(num: Floats, of: Floats) -> Floats:
    return np.divide(num, of, out=np.zeros(len(num)), where=of > 0)


def _weights(rule: ScoreRule) -> Floats:
    return np.array([getattr(rule, f"{name}_weight") for name in PARTS])
