"""What a segment is: conditions on measures of customers, read from TOML or JSON, applied to arrays."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.crm.engagement.features import NEVER, Features, OrderHabits, terciles
from dispatch.crm.rules import LONGEST_DAYS, check_name, check_one_of
from dispatch.crm.vertical import Vertical, from_table
from dispatch.errors import InputError
from dispatch.limits import check_whole
from dispatch.roads.trips import zone_info

LIFECYCLE: Final = ("new", "active", "at_risk", "lost", "idle")
"""Idle: registered, not newly, and never ordered."""
VALUES: Final = ("high", "normal", "potential")
Numbers = NDArray[np.float64]


def _thirds(of: Features, values: NDArray[np.int64]) -> Numbers:
    third = terciles(values, of.completed > 0)
    return np.where(third == 0, np.nan, third)


_HABITS: Final = ("hour_share", "weekday_share", "route_share", "route_orders")
_WORDS: Final = ("tier", "channel", "lifecycle", "value", "topic")
_MEASURED: Final = MappingProxyType(
    {
        "orders": lambda of: of.completed,
        "submitted": lambda of: of.submitted,
        "cancelled": lambda of: of.cancelled,
        "spend_cents": lambda of: of.spend_cents,
        "trip_m": lambda of: of.trip_m,
        "late": lambda of: of.late,
        "active_days": lambda of: of.active_days,
        "lifetime_orders": lambda of: of.lifetime,
        "lifetime_cents": lambda of: of.lifetime_cents,
        "recency_days": lambda of: of.recency_days,
        "age_days": lambda of: of.day - of.created_day,
        "weekend_share": lambda of: of.weekend / np.maximum(of.completed, 1),
        "spend_tercile": lambda of: _thirds(of, of.spend_cents),
        "frequency_tercile": lambda of: _thirds(of, of.completed),
        "distance_tercile": lambda of: _thirds(of, of.trip_m),
    }
)
_TOLD: Final = ("stars", "referrals")
MEASURES: Final = (*_MEASURED, *_TOLD, *_HABITS, *_WORDS)


@dataclass(frozen=True)
class Condition:
    """One condition: a number within limits, or a word among some.

    Parameters
    ----------
    measure : str
        One of ``MEASURES``.
    at_least, at_most : float
        Of a number. Who has none (no stars given, never ordered) meets no condition on it, but a recency
        without any order is infinite.
    one_of : tuple of str
        Of a word: ``tier``, ``channel``, ``lifecycle``, ``value``, ``topic``.
    hours : tuple of int
        For ``hour_share`` and the habits of routes: local hours that count.
    weekdays : tuple of int
        For ``weekday_share`` and the habits of routes: those that count, Monday is 0.
    """

    measure: str
    at_least: float = -math.inf
    at_most: float = math.inf
    one_of: tuple[str, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Refuse conditions that say nothing."""
        check_one_of("measure", self.measure, MEASURES)
        is_word = self.measure in _WORDS
        if is_word != bool(self.one_of):
            raise InputError(
                f"{self.measure}.one_of is {self.one_of!r}: a word needs some, a number has limits"
            )
        if math.isnan(self.at_least) or math.isnan(self.at_most) or self.at_least > self.at_most:
            raise InputError(
                f"{self.measure}.at_least is {self.at_least!r}, at_most {self.at_most!r}: nothing is between"
            )
        if is_word == (math.isfinite(self.at_least) or math.isfinite(self.at_most)):
            raise InputError(
                f"{self.measure} has limits {self.at_least!r}, {self.at_most!r}: numbers need one"
            )
        for word in self.one_of:
            check_name(f"{self.measure}.one_of", word)
        for name, most in (("hours", 23), ("weekdays", 6)):
            for one in getattr(self, name):
                check_whole(f"{self.measure}.{name}", one, 0, most)
            if getattr(self, name) and self.measure not in _HABITS:
                raise InputError(f"{self.measure}.{name} is told: only {', '.join(_HABITS)} look at times")
        for measure, name in (("hour_share", "hours"), ("weekday_share", "weekdays")):
            if self.measure == measure and not getattr(self, name):
                raise InputError(f"{measure}.{name} is empty: it must tell which count")


@dataclass(frozen=True)
class SegmentRule:
    """Who is in a segment.

    Parameters
    ----------
    window_days : int
        Over which sums and habits are taken.
    all, any, none : tuple of Condition
        All of the first must hold, one of the second if there are any, none of the third.
    time_zone : str
        Of hours and weekdays.
    new_days : int
        Who came, and first ordered, within so many days is new.
    active_days, lost_days : int
        Who ordered within so many days is active; longer ago than the second, lost; in between at risk.
    """

    window_days: int = 30
    all: tuple[Condition, ...] = ()
    any: tuple[Condition, ...] = ()
    none: tuple[Condition, ...] = ()
    time_zone: str = "UTC"
    new_days: int = 30
    active_days: int = 30
    lost_days: int = 90

    def __post_init__(self) -> None:
        """Refuse values out of range, and rules that hold for everybody by oversight."""
        for name in ("window_days", "new_days", "active_days", "lost_days"):
            check_whole(name, getattr(self, name), 1, LONGEST_DAYS)
        if self.active_days >= self.lost_days:
            raise InputError(
                f"active_days is {self.active_days}: it must be below lost_days, {self.lost_days}"
            )
        zone_info(self.time_zone)
        for condition in (*self.all, *self.any, *self.none):
            for measure, known in (("lifecycle", LIFECYCLE), ("value", VALUES)):
                if condition.measure == measure:
                    for word in condition.one_of:
                        check_one_of(measure, word, known)

    @classmethod
    def load(cls, path: Path) -> SegmentRule:
        """Read a rule from a file of TOML or JSON.

        Raises
        ------
        InputError
            It is neither, or a key is unknown or its value out of range: the key is named.
        """
        try:
            text = path.read_text(encoding="utf-8")
            table = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: no rule of a segment can be read from it ({error})") from error
        return cls.from_table(table, str(path))

    @classmethod
    def from_table(cls, table: Any, where: str = "rule") -> SegmentRule:
        """Make a rule of what TOML or JSON holds."""
        return from_table(cls, table, where)

    def as_table(self) -> dict[str, Any]:
        """Give what :meth:`from_table` reads, without what is not told."""
        told = asdict(self)
        for name in ("all", "any", "none"):
            told[name] = [
                {key: _plain(value) for key, value in one.items() if _is_told(value)} for one in told[name]
            ]
        return told

    @property
    def measures(self) -> frozenset[str]:
        """Names of the measures that it looks at."""
        return frozenset(one.measure for one in (*self.all, *self.any, *self.none))

    @property
    def needs_habits(self) -> bool:
        """Whether orders must be read, not only sums of days."""
        return bool(self.measures & set(_HABITS))

    def check_tiers(self, vertical: Vertical) -> None:
        """Raise :class:`InputError` for tiers that the vertical does not know."""
        for condition in (*self.all, *self.any, *self.none):
            if condition.measure == "tier":
                for tier in condition.one_of:
                    vertical.tier(tier)


@dataclass(frozen=True)
class Measured:
    """Customers and what rules ask of them; what no rule asks need not be told."""

    features: Features
    rule: SegmentRule
    vertical: Vertical
    habits: OrderHabits | None = None
    stars: Numbers | None = None
    """(n,) mean of those given, NaN where there are none"""
    referrals: NDArray[np.int64] | None = None
    """(n,) customers won"""
    topics: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    """(n,) who asked to hear of each"""

    @cached_property
    def lifecycle(self) -> NDArray[np.str_]:
        """(n,) words of ``LIFECYCLE``."""
        of, rule = self.features, self.rule
        began = np.where(of.first_day == NEVER, of.created_day, of.first_day)
        never, recency = of.last_day == NEVER, of.recency_days
        return np.select(
            [of.day - began < rule.new_days, never, recency < rule.active_days, recency < rule.lost_days],
            ["new", "idle", "active", "at_risk"],
            "lost",
        )

    @cached_property
    def value(self) -> NDArray[np.str_]:
        """(n,) words of ``VALUES``.

        High: the upper third by spending of those who ordered within the window. Potential: others who
        ordered more in its later half than in the earlier one. Normal: the rest.
        """
        of = self.features
        is_high = terciles(of.spend_cents, of.completed > 0) == 3
        grows = of.second_half > of.completed - of.second_half
        return np.select([is_high, grows], ["high", "potential"], "normal")

    def members(self) -> NDArray[np.bool_]:
        """Tell of each customer (n,) whether the rule holds."""
        rule, num = self.rule, self.features.num_customers
        holds = np.ones(num, bool)
        for condition in rule.all:
            holds &= self.meets(condition)
        if rule.any:
            holds &= np.logical_or.reduce([self.meets(condition) for condition in rule.any])
        for condition in rule.none:
            holds &= ~self.meets(condition)
        return holds

    def meets(self, condition: Condition) -> NDArray[np.bool_]:
        """Tell of each customer (n,) whether a condition holds."""
        of = self.features
        if condition.measure == "tier":
            rows = [self.vertical.tier_row[tier] for tier in condition.one_of]
            return np.isin(of.tier, rows)
        if condition.measure == "topic":
            asked = [self.topics[topic] for topic in condition.one_of if topic in self.topics]
            return np.logical_or.reduce(asked) if asked else np.zeros(of.num_customers, bool)
        if condition.measure in _WORDS:
            words = of.channel if condition.measure == "channel" else getattr(self, condition.measure)
            return np.isin(words, condition.one_of)
        value = self._number(condition)
        with np.errstate(invalid="ignore"):
            within: NDArray[np.bool_] = (value >= condition.at_least) & (value <= condition.at_most)
        return within

    def _number(self, condition: Condition) -> Numbers:
        measure, num = condition.measure, self.features.num_customers
        if measure in _MEASURED:
            measured: Callable[[Features], NDArray[Any]] = _MEASURED[measure]
            return measured(self.features).astype(np.float64)
        if measure in _HABITS:
            return np.zeros(num) if self.habits is None else _habit(self.habits, condition, num)
        told = self.stars if measure == "stars" else self.referrals
        return np.full(num, np.nan) if told is None else told.astype(np.float64)


def _habit(habits: OrderHabits, condition: Condition, num: int) -> Numbers:
    """Measure how much of a habit each customer (num,) has; 0 without orders."""
    counts = np.ones(len(habits.row), bool)
    if condition.hours:
        counts &= np.isin(habits.hour, condition.hours)
    if condition.weekdays:
        counts &= np.isin(habits.weekday, condition.weekdays)
    total = np.maximum(np.bincount(habits.row, minlength=num), 1)
    if condition.measure in ("hour_share", "weekday_share"):
        return np.bincount(habits.row[counts], minlength=num) / total
    _, best = top_routes(habits, counts, num)
    return best / total if condition.measure == "route_share" else best.astype(np.float64)


def top_routes(
    habits: OrderHabits, counts: NDArray[np.bool_], num: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the way and hour that each customer rode most often.

    Parameters
    ----------
    habits : OrderHabits
    counts : (orders,) bool
        Which ones to look at; those without both places never count.
    num : int
        Number of customers.

    Returns
    -------
    route : (num, 3) int64
        Cell of the pickup, cell of the drop-off, hour; NEVER without any. Of equal ones, the first by these.
    times : (num,) int64
    """
    counts = counts & (habits.from_cell != NEVER) & (habits.to_cell != NEVER)
    told = np.stack([habits.row, habits.from_cell, habits.to_cell, habits.hour])[:, counts]
    told = told[:, np.lexsort(told[::-1])]
    route, times = np.full((num, 3), NEVER, np.int64), np.zeros(num, np.int64)
    is_first = np.ones(told.shape[1], bool)
    is_first[1:] = np.any(told[:, 1:] != told[:, :-1], axis=0)
    first = np.flatnonzero(is_first)
    rides = np.diff(np.append(first, told.shape[1]))
    # Of each customer's ways the one ridden most often comes first, and is the first that unique finds.
    by_rides = np.lexsort((-rides, told[0, first]))
    who, best = np.unique(told[0, first[by_rides]], return_index=True)
    route[who], times[who] = told[1:, first[by_rides[best]]].T, rides[by_rides[best]]
    return route, times


def _is_told(value: Any) -> bool:
    return not (value == () or (isinstance(value, float) and math.isinf(value)))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
