"""Key figures of a community's days, overall and by membership tier: the one place that defines each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dispatch.analysis.community_day import CommunityDay
from dispatch.analysis.formatting import (
    NOT_MEASURED,
    format_count,
    format_duration,
    format_number,
    format_points,
    format_share,
)
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.series import MIN_ORDERS

Days = Sequence[CommunityDay]


@dataclass(frozen=True)
class DayFigure:
    """A key figure of one day or of several."""

    name: str
    label: str
    """For people; what is made up says so"""
    definition: str
    format: Callable[[float | None], str]
    measure: Callable[[Days], float | None]
    """``None`` where nothing is to be measured"""
    group: str
    """Head above its column and its neighbours'"""
    head: str
    """Label below that"""


@dataclass(frozen=True)
class TierFigure:
    """A key figure of a membership tier's orders."""

    name: str
    label: str
    definition: str
    format: Callable[[float | None], str]
    of_day: Callable[[CommunityDay, int], tuple[float | None, int]]
    """Value of a tier on a day, and of how many orders; ``None`` where they are too few"""


def _count(value: float | None) -> str:
    return NOT_MEASURED if value is None else format_count(round(value))


def _sum(name: str) -> Callable[[Days], float | None]:
    return lambda days: sum(getattr(day, name) for day in days)


def _share(part: str, whole: str) -> Callable[[Days], float | None]:
    def measure(days: Days) -> float | None:
        total = sum(getattr(day, whole) for day in days)
        return sum(getattr(day, part) for day in days) / total if total else None

    return measure


def _silent(days: Days) -> float | None:
    complained = _share("num_complaints", "num_bad")(days)
    return None if complained is None else 1 - complained


def _mean_kpi(name: str) -> Callable[[Days], float | None]:
    return lambda days: _weighted((day.kpis[name], day.num_orders) for day in days)


def _most_kpi(name: str) -> Callable[[Days], float | None]:
    return lambda days: max(
        (value for value in (day.kpis[name] for day in days) if value is not None), default=None
    )


def _weighted(told: Iterator[tuple[float | None, int]]) -> float | None:
    known = [(value, weight) for value, weight in told if value is not None and weight]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


_MEAN_OF_DAYS: Final = " Of several days: the mean of theirs, each as heavy as it has orders."
_SYNTHETIC: Final = " Synthetic: drawn with probabilities that the scenario assumes."

_ORDERS: Final = "Orders"
_FELT: Final = "Customers' satisfaction, synthetic"
_CUSTOMERS: Final = "Customers, synthetic"
_DRIVERS: Final = "Drivers, synthetic but Gini"

FIGURES: Final = (
    DayFigure(
        "orders",
        "Orders",
        "Orders asked for.",
        _count,
        _sum("num_orders"),
        _ORDERS,
        "Orders",
    ),
    DayFigure(
        "completed",
        "Completed",
        KPI["completion_share"].definition,
        format_share,
        _share("num_completed", "num_orders"),
        _ORDERS,
        "Completed",
    ),
    DayFigure(
        "response",
        KPI["response_p50_s"].label,
        KPI["response_p50_s"].definition + _MEAN_OF_DAYS,
        format_duration,
        _mean_kpi("response_p50_s"),
        _ORDERS,
        "Response, median",
    ),
    DayFigure(
        "wait",
        KPI["wait_mean_s"].label,
        KPI["wait_mean_s"].definition + _MEAN_OF_DAYS,
        format_duration,
        _mean_kpi("wait_mean_s"),
        _ORDERS,
        "Wait, mean",
    ),
    DayFigure(
        "priority_wait",
        KPI["priority_wait_max_s"].label,
        KPI["priority_wait_max_s"].definition + " Of several days: the longest of theirs.",
        format_duration,
        _most_kpi("priority_wait_max_s"),
        _ORDERS,
        "Longest by priority",
    ),
    DayFigure(
        "dissatisfied",
        "Dissatisfied (synthetic)",
        "Of the orders that ended (of those asked again: the last try only), those that left their customers "
        "dissatisfied." + _SYNTHETIC,
        format_share,
        _share("num_bad", "num_judged"),
        _FELT,
        "Dissatisfied",
    ),
    DayFigure(
        "silent",
        "Of them silent (synthetic)",
        "Of the dissatisfied, those who did not complain." + _SYNTHETIC,
        format_share,
        _silent,
        _FELT,
        "Of them silent",
    ),
    DayFigure(
        "complaints",
        "Complaints (synthetic)",
        "Complaints filed." + _SYNTHETIC,
        _count,
        _sum("num_complaints"),
        _FELT,
        "Complaints",
    ),
    DayFigure(
        "stars",
        "Stars (synthetic)",
        "Mean of the stars, one to five, of completed orders that were rated." + _SYNTHETIC,
        format_number,
        _share("stars", "num_rated"),
        _FELT,
        "Stars",
    ),
    DayFigure(
        "rated_well",
        "Rated four or five (synthetic)",
        "Of the rated orders, those with four stars or five." + _SYNTHETIC,
        format_share,
        _share("num_rated_well", "num_rated"),
        _FELT,
        "Four or five",
    ),
    DayFigure(
        "customers",
        "Customers, at the end",
        "Who joined and did not leave, at the end of the last day.",
        _count,
        lambda days: days[-1].num_customers,
        _CUSTOMERS,
        "At the end",
    ),
    DayFigure(
        "active",
        "Customers who ordered, a day",
        "Customers with at least one order on the day. Of several days: their mean.",
        _count,
        lambda days: sum(day.num_active for day in days) / len(days),
        _CUSTOMERS,
        "Who ordered",
    ),
    DayFigure(
        "joined",
        "Customers joined",
        "New customers." + _SYNTHETIC,
        _count,
        _sum("num_joined"),
        _CUSTOMERS,
        "Joined",
    ),
    DayFigure(
        "left",
        "Customers left",
        "Customers who left for good." + _SYNTHETIC,
        _count,
        _sum("num_left"),
        _CUSTOMERS,
        "Left",
    ),
    DayFigure(
        "drivers_bad",
        "Drivers dissatisfied (synthetic)",
        "Of the drivers who were online for an hour or longer, those dissatisfied with the day." + _SYNTHETIC,
        format_share,
        _share("num_drivers_bad", "num_drivers_asked"),
        _DRIVERS,
        "Dissatisfied",
    ),
    DayFigure(
        "drivers_left",
        "Drivers left",
        "Drivers who left for good, and were replaced." + _SYNTHETIC,
        _count,
        _sum("num_drivers_left"),
        _DRIVERS,
        "Left",
    ),
    DayFigure(
        "gini",
        KPI["driver_income_gini"].label,
        KPI["driver_income_gini"].definition + _MEAN_OF_DAYS,
        format_number,
        _mean_kpi("driver_income_gini"),
        _DRIVERS,
        "Gini",
    ),
)
"""In the order of tables."""
FIGURE: Final = {one.name: one for one in FIGURES}
"""The same by name."""


def _kpi_of_tier(name: str) -> Callable[[CommunityDay, int], tuple[float | None, int]]:
    def of_day(day: CommunityDay, tier: int) -> tuple[float | None, int]:
        for row, key in enumerate(day.by_tier.key.tolist()):
            if key == tier:
                num = int(day.by_tier.num_orders[row])
                return (day.by_tier.value_of_kpi[name][row] if num >= MIN_ORDERS else None), num
        return None, 0

    return of_day


def _bad_of_tier(day: CommunityDay, tier: int) -> tuple[float | None, int]:
    num = day.judged_by_tier[tier] if tier < len(day.judged_by_tier) else 0
    return (day.bad_by_tier[tier] / num if num >= MIN_ORDERS else None), num


def _tier_kpi(name: str) -> TierFigure:
    kpi = KPI[name]
    return TierFigure(name, kpi.label, kpi.definition, kpi.format, _kpi_of_tier(name))


TIER_FIGURES: Final = (
    _tier_kpi("response_p50_s"),
    _tier_kpi("wait_mean_s"),
    _tier_kpi("completion_share"),
    TierFigure(
        "dissatisfied_share",
        FIGURE["dissatisfied"].label,
        FIGURE["dissatisfied"].definition,
        format_share,
        _bad_of_tier,
    ),
)
"""What tiers are compared by."""
TIER_FIGURE: Final = {one.name: one for one in TIER_FIGURES}
"""The same by name."""
GAP_DEFINITION: Final = (
    "A tier's figure minus the lowest tier's of the same day; of several days the mean of that, each day as "
    "heavy as the tier has orders. Customers reach tiers over time: days are compared one by one, so that no "
    f"trend passes for a gap. Days with fewer than {MIN_ORDERS} orders of either tier are left out."
)
"""What :func:`tier_gap_of` gives, in a sentence."""


def tiers_of(days: Days) -> list[int]:
    """Give the membership tiers that orders of some days had, the lowest first."""
    return sorted({key for day in days for key in day.by_tier.key.tolist() if key >= 0})


def num_orders_of(days: Days, tier: int) -> int:
    """Count a tier's orders."""
    return sum(int(day.by_tier.num_orders[day.by_tier.key == tier].sum()) for day in days)


def tier_value(days: Days, figure: TierFigure, tier: int) -> float | None:
    """Give a tier's figure: the mean of the days, each as heavy as the tier has orders."""
    return _weighted(figure.of_day(day, tier) for day in days)


def tier_gap_of(days: Days, figure: TierFigure, tier: int, lowest: int) -> float | None:
    """Give what a tier's figure is above the lowest tier's, as :data:`GAP_DEFINITION` says."""

    def gap(day: CommunityDay) -> tuple[float | None, int]:
        (value, num), (base, _) = figure.of_day(day, tier), figure.of_day(day, lowest)
        return (None if value is None or base is None else value - base), num

    return _weighted(gap(day) for day in days)


def gap_text(figure: TierFigure, gap: float | None) -> str:
    """Write a gap with its sign, ``±0`` where it rounds to nothing."""
    if gap is None:
        return NOT_MEASURED
    if figure.format(abs(gap)) == figure.format(0.0):
        return "±0"
    if figure.format is format_share:
        return format_points(gap)
    return ("+" if gap > 0 else "") + figure.format(gap)


def tier_name(names: Sequence[str], tier: int) -> str:
    """Name a tier, by its number where nobody named it."""
    return names[tier] if tier < len(names) else f"tier {tier}"
