"""Charts of a test of ETAs as plain plotly figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any, Final

from dispatch.analysis.charts import GRID, INK, Figure, layout
from dispatch.analysis.eta_evaluation import MODEL, TOLERANCE_ALL, TOLERANCE_BAND, EtaEvaluation
from dispatch.analysis.eta_groups import MIN_TRIPS, EtaGroup
from dispatch.analysis.eta_measures import ErrorFigures
from dispatch.analysis.eta_training import is_group, ranked_gains

PREDICTOR_COLOURS: Final = ("#0b6bcb", "#d1570b", "#0a8f6a", "#a6468a", "#9a6700", "#7b8794")
"""The model's first; after the last they begin again at the second."""
PREDICTOR_DASHES: Final = ("solid", "dash", "dashdot")
BAND_COLOURS: Final = ("#1b2a5c", "#3d5a98", "#7a9a3c", "#d9a520", "#d1570b", "#8a2f62")
"""From night over noon to night."""
LEVEL_COLOURS: Final = ("#7fb2e5", "#0b6bcb", "#d1570b", "#8a2f08", "#0a8f6a", "#a6468a")
GROUP_COLOUR: Final = "#8896a5"
MAX_FEATURES: Final = 30
"""Features whose gain is drawn, those with the most."""


def predictor_look(name: str, evaluation: EtaEvaluation) -> tuple[str, str]:
    """Give colour and dash of a predictor."""
    number = list(evaluation.errors).index(name)
    if number == 0:
        return PREDICTOR_COLOURS[0], PREDICTOR_DASHES[0]
    others = PREDICTOR_COLOURS[1:]
    return others[(number - 1) % len(others)], PREDICTOR_DASHES[1 + (number - 1) % 2]


def _line(x: Sequence[Any], y: Sequence[float | None], name: str, **more: Any) -> Figure:
    rounded = [None if value is None else round(value, 3) for value in y]
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": rounded, "name": name, **more}


def error_by(
    evaluation: EtaEvaluation,
    by: str,
    x_title: str,
    y_title: str,
    of: Callable[[ErrorFigures], float | None],
) -> Figure:
    """Draw a figure of errors, one line a predictor, over the groups of `by` that hold enough trips."""
    groups = [group for group in evaluation.groups[by] if group.num >= MIN_TRIPS]
    labels = _labels(groups)
    traces = []
    for name in evaluation.errors:
        colour, dash = predictor_look(name, evaluation)
        line = {"color": colour, "dash": dash, "width": 2.6 if name == MODEL else 1.6}
        values = [of(group.errors[name]) for group in groups]
        style = {"mode": "lines+markers", "marker": {"size": 5, "color": colour}, "line": line}
        traces.append(_line(labels, values, name, hovertemplate="%{y:.1f}", **style))
    axis = {"type": "category", "tickangle": 0, "nticks": 9}
    return {"data": traces, "layout": layout(x_title, y_title, xaxis=axis)}


def calibration(evaluation: EtaEvaluation) -> Figure:
    """Draw the share of trips that each quantile covered over what it promised."""
    levels = [100 * level for level in evaluation.test.levels]
    straight = {"color": "#8896a5", "width": 1.2, "dash": "dash"}
    traces = [_line([0, 100], [0, 100], "as promised", line=straight, hoverinfo="skip")]
    for name, figures in evaluation.quantiles.items():
        colour, dash = predictor_look(name, evaluation) if name in evaluation.errors else (INK, "dot")
        observed = [None if share is None else 100 * share for share in figures.coverage]
        line = {"color": colour, "dash": dash, "width": 2.6 if name == MODEL else 1.6}
        style = {"mode": "lines+markers", "marker": {"size": 8, "color": colour}, "line": line}
        label = "all trips" if name == MODEL else name
        traces.append(_line(levels, observed, label, hovertemplate="%{y:.1f} %", **style))
    for group in evaluation.groups["band"]:
        colour = BAND_COLOURS[group.key]
        observed = [None if share is None else 100 * share for share in group.quantiles.coverage]
        style = {"mode": "markers", "marker": {"size": 7, "color": colour, "symbol": "line-ew-open"}}
        traces.append(_line(levels, observed, group.label, hovertemplate="%{y:.1f} %", **style))
    axis = {"range": [0, 100], "tickvals": levels, "ticktext": [f"{level:g}" for level in levels]}
    return {
        "data": traces,
        "layout": layout("promised, %", "observed, %", xaxis=axis, yaxis={"range": [0, 100]}, height=400),
    }


def calibration_gaps(evaluation: EtaEvaluation) -> Figure:
    """Draw by how many points coverage is off, one group of bars a level: all trips, then each band."""
    names = [f"P{100 * level:g}" for level in evaluation.test.levels]
    places = [("all trips", evaluation.quantiles[MODEL].coverage, PREDICTOR_COLOURS[0])]
    places += [
        (group.label, group.quantiles.coverage, BAND_COLOURS[group.key])
        for group in evaluation.groups["band"]
    ]
    traces = []
    for label, coverage, colour in places:
        pairs = zip(coverage, evaluation.test.levels, strict=True)
        gaps = [None if seen is None else round(100 * (seen - level), 2) for seen, level in pairs]
        traces.append(
            {
                "type": "bar",
                "x": names,
                "y": gaps,
                "name": label,
                "marker": {"color": colour},
                "hovertemplate": "%{y:+.2f} points",
            }
        )
    shapes = [
        {
            "type": "rect",
            "xref": "paper",
            **{"x0": 0, "x1": 1, "y0": -100 * limit, "y1": 100 * limit},
            "fillcolor": fill,
            "line": {"width": 0},
            "layer": "below",
        }
        for limit, fill in ((TOLERANCE_BAND, "#eef3f8"), (TOLERANCE_ALL, "#d9e6f2"))
    ]
    return {
        "data": traces,
        "layout": layout(
            "quantile",
            "observed − promised, points",
            xaxis={"type": "category"},
            yaxis={"zeroline": True, "zerolinecolor": INK, "gridcolor": GRID},
            shapes=shapes,
            bargap=0.25,
            height=400,
        ),
    }


def shares_between_chart(evaluation: EtaEvaluation) -> Figure:
    """Draw where durations fell between the quantiles, over how many should have: 1 where all is right."""
    labels = [f"P{100 * level:g}" for level in evaluation.test.levels]
    names = [f"below {labels[0]}"]
    names += [f"{low}–{high}" for low, high in pairwise(labels)]
    names.append(f"above {labels[-1]}")
    ends = (0.0, *evaluation.test.levels, 1.0)
    promised = [high - low for low, high in pairwise(ends)]
    seen = evaluation.shares_between
    text = [
        f"{100 * one:.1f} % of trips, promised {100 * p:.4g} %" for one, p in zip(seen, promised, strict=True)
    ]
    trace = {
        "type": "bar",
        "x": names,
        "y": [round(one / wanted, 4) for one, wanted in zip(seen, promised, strict=True)],
        "customdata": text,
        "marker": {"color": PREDICTOR_COLOURS[0]},
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    line = {"color": INK, "width": 1.2, "dash": "dash"}
    even = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": line}
    return {
        "data": [trace],
        "layout": layout(
            "where the duration fell", "observed / promised", hovermode="closest", shapes=[even], bargap=0.3
        ),
    }


def coverage_by_hour(evaluation: EtaEvaluation) -> Figure:
    """Draw the share of trips that each quantile covered, hour by hour, beside what it promised."""
    groups = [group for group in evaluation.groups["hour"] if group.num >= MIN_TRIPS]
    hours = [group.label for group in groups]
    traces, shapes = [], []
    for number, level in enumerate(evaluation.test.levels):
        colour = LEVEL_COLOURS[number % len(LEVEL_COLOURS)]
        observed = [_per_cent(group.quantiles.coverage[number]) for group in groups]
        line = {"color": colour, "width": 2}
        name = f"P{100 * level:g}"
        traces.append(_line(hours, observed, name, line=line, hovertemplate="%{y:.1f} %"))
        place = {"xref": "paper", "x0": 0, "x1": 1, "y0": 100 * level, "y1": 100 * level}
        shapes.append({"type": "line", **place, "line": {"color": colour, "width": 1, "dash": "dot"}})
    return {
        "data": traces,
        "layout": layout(
            "local hour of the request",
            "trips covered, %",
            xaxis={"type": "category", "tickangle": 0, "nticks": 9},
            yaxis={"range": [0, 100]},
            shapes=shapes,
        ),
    }


def _per_cent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def interval_by(evaluation: EtaEvaluation, by: str, x_title: str) -> Figure:
    """Draw the mean width from the lowest to the highest quantile over the groups of `by`, minutes."""
    groups = [group for group in evaluation.groups[by] if group.num >= MIN_TRIPS]
    trace = {
        "type": "bar",
        "x": _labels(groups),
        "y": [_in_min(group) for group in groups],
        "marker": {"color": "#7fb2e5"},
        "hovertemplate": "%{y:.1f} min<extra></extra>",
    }
    axis = {"type": "category", "tickangle": 0, "nticks": 9}
    return {"data": [trace], "layout": layout(x_title, "width of the interval, min", xaxis=axis, bargap=0.3)}


def _labels(groups: Sequence[EtaGroup]) -> list[str]:
    """Name groups along an axis, whose title tells the unit."""
    return [group.label.removesuffix(" km") for group in groups]


def _in_min(group: EtaGroup) -> float | None:
    width_s = group.quantiles.width_s
    return None if width_s is None else round(width_s / 60, 2)


def gains(gain_of_feature: Mapping[str, float]) -> Figure:
    """Draw how much each feature, and each group of them, brought: shares of what all features brought."""
    most = ranked_gains(gain_of_feature)[:MAX_FEATURES][::-1]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": [round(100 * gain, 2) for _, gain in most],
        "y": [escape(name) for name, _ in most],
        "marker": {"color": [GROUP_COLOUR if is_group(name) else PREDICTOR_COLOURS[0] for name, _ in most]},
        "hovertemplate": "%{y}: %{x:.1f} %<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": layout(
            "share of all features, %",
            "",
            yaxis={"type": "category", "dtick": 1, "ticks": ""},
            hovermode="closest",
            bargap=0.25,
            height=90 + 21 * len(most),
        ),
    }
