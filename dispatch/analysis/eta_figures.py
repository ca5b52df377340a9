"""The figures of a test of ETAs that tables show: their names, what they mean, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from dispatch.analysis.eta_evaluation import MODEL, CoverageCheck, EtaEvaluation
from dispatch.analysis.eta_groups import EtaGroup
from dispatch.analysis.eta_measures import Between, ErrorFigures, QuantileFigures
from dispatch.analysis.formatting import NOT_MEASURED, format_count, format_share

Cell = str


class Column(NamedTuple):
    """One figure of a predictor or of a group."""

    name: str
    label: str
    definition: str
    text: Callable[[Any], Cell]
    short: str
    """Its label where there is little room"""


def format_seconds(value_s: float | None) -> str:
    """Format seconds so that near values can be compared: ``115.9 s``."""
    return NOT_MEASURED if value_s is None else f"{value_s:,.1f} s".replace("-", "−")


def level_label(level: float) -> str:
    """Name a quantile for people: ``P80``."""
    return f"P{100 * level:g}"


ERROR_COLUMNS: Final = (
    Column(
        "mae",
        "Mean absolute error",
        "Mean of |actual − predicted| over all trips.",
        lambda one: format_seconds(one.mae_s),
        "MAE",
    ),
    Column(
        "median",
        "Median error",
        "Half of the trips were predicted nearer than this: the median of |actual − predicted|.",
        lambda one: format_seconds(one.median_s),
        "median",
    ),
    Column(
        "mape",
        "MAPE",
        "Mean of |actual − predicted| as a share of the actual duration, of trips that took any time.",
        lambda one: format_share(one.mape),
        "MAPE",
    ),
    Column(
        "bias",
        "Bias",
        "Mean of actual − predicted: positive where trips take longer than predicted. A median lies "
        "below the mean: few trips take very long and none less than no time.",
        lambda one: format_seconds(one.bias_s),
        "bias",
    ),
    Column(
        "late5",
        "Late by over 5 min",
        "Trips that took more than five minutes longer than predicted.",
        lambda one: format_share(one.late5_share),
        "5 min late",
    ),
    Column(
        "p90",
        "P90",
        "Nine of ten trips were predicted nearer than this: the 90th percentile of |actual − predicted|.",
        lambda one: format_seconds(one.p90_s),
        "P90",
    ),
)
"""Of :class:`ErrorFigures`"""

PINBALL: Final = Column(
    "pinball",
    "Mean pinball loss",
    "Mean over trips and levels of the loss that the true quantile makes least: at level q, q times what the "
    "quantile is too short, or 1 − q times what it is too long.",
    lambda one: format_seconds(one.mean_pinball_s),
    "mean loss",
)
WIDTH_COLUMNS: Final = (
    Column(
        "width",
        "Width of the interval",
        "Sharpness: mean of the highest minus the lowest quantile. Of two that cover alike the narrower "
        "tells more.",
        lambda one: format_seconds(one.width_s),
        "width",
    ),
    Column(
        "relative",
        "Width over median",
        "Mean of that width as a share of the predicted median.",
        lambda one: format_share(one.relative_width),
        "rel.",
    ),
    Column(
        "inside",
        "Inside",
        "Trips whose duration lies between the lowest and the highest quantile.",
        lambda one: format_share(one.inside_share),
        "inside",
    ),
    Column(
        "score",
        "Interval score",
        "Mean width, plus what durations outside of the interval cost: less is better.",
        lambda one: format_seconds(one.interval_score_s),
        "score",
    ),
)
"""Of :class:`QuantileFigures`"""

MORE_DEFINITION: Final = (
    "How much more it costs than the model, trip by trip, with a 95 % interval: bands of four hours of one "
    "day are drawn as a whole, with replacement. Days as such are too few to be drawn."
)
COVERAGE_DEFINITION: Final = (
    "Trips that took no longer than this quantile: as many as its name says, if all is right."
)
DEFINITIONS: Final = (
    *((one.label, one.definition) for one in ERROR_COLUMNS),
    ("Against the model", MORE_DEFINITION),
    ("Coverage", COVERAGE_DEFINITION),
    *((one.label, one.definition) for one in (PINBALL, *WIDTH_COLUMNS)),
)
"""Names and meanings, for those who read on"""

_MAX_TOLD: Final = 8
"""Shares out of tolerance that are named; the table marks all."""

Row = tuple[str, Sequence[Cell]]


def predictor_label(name: str) -> str:
    """Name a predictor in tables."""
    return "this model" if name == MODEL else name


def more_text(more: Between | None) -> str:
    """Tell a difference and its interval: ``+21.3 s (16.8 … 26.9)``."""
    if more is None:
        return NOT_MEASURED
    return f"{more.mean:+.1f} s ({more.low:.1f} … {more.high:.1f})".replace("-", "−")


def error_rows(evaluation: EtaEvaluation) -> list[Row]:
    """Give a row for each predictor: :data:`ERROR_COLUMNS`, and how much larger its MAE is."""
    return [
        (
            predictor_label(name),
            [
                *_cells(ERROR_COLUMNS, figures),
                "" if name == MODEL else more_text(evaluation.mae_more_s.get(name)),
            ],
        )
        for name, figures in evaluation.errors.items()
    ]


def loss_rows(evaluation: EtaEvaluation) -> list[Row]:
    """Give a row for each predictor of quantiles: loss by level, their mean, and how much more that is."""
    return [
        (
            predictor_label(name),
            [
                *map(format_seconds, figures.pinball_s),
                format_seconds(figures.mean_pinball_s),
                "" if name == MODEL else more_text(evaluation.pinball_more_s.get(name)),
            ],
        )
        for name, figures in evaluation.quantiles.items()
    ]


def width_rows(evaluation: EtaEvaluation) -> list[Row]:
    """Give a row for each predictor of quantiles: coverage by level, and :data:`WIDTH_COLUMNS`."""
    return [
        (predictor_label(name), [*map(format_share, figures.coverage), *_cells(WIDTH_COLUMNS, figures)])
        for name, figures in evaluation.quantiles.items()
    ]


def more_rows(evaluation: EtaEvaluation) -> list[Row]:
    """Give a row for each predictor but the model: how much larger its MAE and its pinball loss are."""
    return [
        (name, [more_text(evaluation.mae_more_s.get(name)), more_text(evaluation.pinball_more_s.get(name))])
        for name in evaluation.errors
        if name != MODEL
    ]


def group_rows(groups: Sequence[EtaGroup]) -> list[Row]:
    """Give a row for each group: trips, errors of the model, coverage, pinball loss and width."""
    return [
        (
            group.label,
            [
                format_count(group.num),
                *_cells(ERROR_COLUMNS, group.errors[MODEL]),
                *map(format_share, group.quantiles.coverage),
                format_seconds(group.quantiles.mean_pinball_s),
                format_seconds(group.quantiles.width_s),
            ],
        )
        for group in groups
    ]


def _cells(columns: Sequence[Column], figures: ErrorFigures | QuantileFigures) -> list[Cell]:
    return [column.text(figures) for column in columns]


def check_text(check: CoverageCheck) -> Cell:
    """Tell a share of coverage and whether it is near enough: ``81.4 % ✗``."""
    return f"{format_share(check.observed)} {'✓' if check.passes else '✗'}"


def summary_lines(evaluation: EtaEvaluation) -> list[str]:
    """Say in words what was found: which quantiles keep their promise, and which do not."""
    failing = [check for check in evaluation.checks if not check.passes]
    tested = len(evaluation.checks)
    if not failing:
        return [
            f"All {tested} shares of coverage are within their tolerance (±1 point of all trips, ±2.5 in "
            "bands)."
        ]
    told = ", ".join(
        f"{level_label(check.level)} of {check.where} {100 * check.observed:.1f}\u00a0%"
        for check in failing[:_MAX_TOLD]
    )
    if len(failing) > _MAX_TOLD:
        told += f" and {len(failing) - _MAX_TOLD} more"
    return [
        f"{len(failing)} of {tested} shares of coverage are out of tolerance (±1 point of all trips, ±2.5 in "
        f"bands): {told}."
    ]


def left_out_line(evaluation: EtaEvaluation) -> str:
    """Say how many trips were left out of the test, and why; empty where none was."""
    drops = evaluation.test.drops
    if not drops:
        return ""
    told = "; ".join(f"{drop.count:,} {drop.what}" for drop in drops)
    return f"Left out of the test: {told}."
