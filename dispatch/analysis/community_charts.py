"""Charts of a community's days, as plain plotly figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final

from dispatch.analysis.charts import Figure, layout
from dispatch.analysis.community_day import CommunityDay
from dispatch.analysis.community_figures import (
    FIGURE,
    TIER_FIGURE,
    Days,
    TierFigure,
    gap_text,
    tier_gap_of,
    tier_name,
    tier_value,
    tiers_of,
)
from dispatch.analysis.formatting import format_duration
from dispatch.analysis.sweep_charts import LINE_COLOURS

GOOD: Final = LINE_COLOURS[0]
BAD: Final = LINE_COLOURS[1]
OTHER: Final = LINE_COLOURS[2]
PLAIN: Final = LINE_COLOURS[7]
LOWEST_COLOUR: Final = "#8896a5"
"""Of the tier that others are compared with."""
MULTIPLES: Final = ("response_p50_s", "wait_mean_s", "completion_share")
"""Figures drawn tier by tier."""
PALE: Final = "#c9d6e4"
_MOST_MARKED: Final = 62
"""Days up to which each has a mark of its own on a line."""
_MOST_TICKS: Final = 8
_FEW: Final = 5
_STEPS: Final = (1, 2, 5, 7, 14, 28, 56, 91, 182, 364, 728)
_HEIGHT: Final = 260
_SMALL_HEIGHT: Final = 220
_S_PER_MIN: Final = 60.0


def day_charts(days: Days) -> dict[str, Figure]:
    """Draw what became of orders, customers and drivers by day, by the name of each chart."""
    return {
        "orders": _bars(
            days,
            "orders",
            [
                ("completed", GOOD, lambda day: day.num_completed),
                ("not completed", PALE, lambda day: day.num_orders - day.num_completed),
            ],
        ),
        "completion": _figure(days, "% of orders", "completed", GOOD, 100),
        "customers": _figure(days, "customers", "customers", GOOD),
        "active": _bars(days, "customers", [("ordered", GOOD, lambda day: day.num_active)]),
        "moves": _bars(
            days,
            "customers; left: below 0",
            [
                ("joined", OTHER, lambda day: day.num_joined),
                ("left", BAD, lambda day: -day.num_left),
            ],
        ),
        "stars": _figure(days, "mean stars, 1 to 5", "stars", GOOD),
        "dissatisfied": _figure(days, "% of orders", "dissatisfied", BAD, 100),
        "complaints": _bars(
            days,
            "dissatisfied orders",
            [
                ("complained", BAD, lambda day: day.num_complaints),
                ("stayed silent", PALE, lambda day: day.num_bad - day.num_complaints),
            ],
        ),
        "drivers_bad": _figure(days, "% of drivers asked", "drivers_bad", BAD, 100),
        "drivers_left": _bars(days, "drivers", [("left", BAD, lambda day: day.num_drivers_left)]),
        "gini": _figure(days, "Gini coefficient, 0: all equal", "gini", PLAIN),
    }


def tier_charts(days: Days, names: Sequence[str] = ()) -> dict[str, Figure]:
    """Draw each tier's figures beside the lowest tier's, and the gaps; nothing of fewer than two tiers.

    Parameters
    ----------
    days : sequence of CommunityDay
    names : sequence of str
        Of tiers, the lowest first.

    Returns
    -------
    dict
        ``tier-…`` for each of :data:`MULTIPLES` and each tier, ``gap-…`` and ``priority_wait``.
    """
    tiers = tiers_of(days)
    if len(tiers) < 2:
        return {}
    charts = {}
    for name in MULTIPLES:
        charts.update(_multiples(days, TIER_FIGURE[name], tiers, names))
    for name in ("response_p50_s", "completion_share"):
        charts[f"gap-{name}"] = _gaps(days, TIER_FIGURE[name], tiers, names)
    longest = FIGURE["priority_wait"]
    charts["priority_wait"] = _bars(
        days,
        "minutes",
        [("longest", PLAIN, lambda day: _scaled(longest.measure([day]), 1 / _S_PER_MIN))],
        lambda minutes: format_duration(minutes * _S_PER_MIN),
    )
    return charts


def tier_colour(rank: int) -> str:
    """Give the colour of a tier by its place among those seen, 0 the lowest."""
    return LOWEST_COLOUR if rank == 0 else LINE_COLOURS[(rank - 1) % len(LINE_COLOURS)]


Of = Callable[[CommunityDay], float | None]


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _numbers(days: Days) -> list[int]:
    return [day.day + 1 for day in days]


def _day_axis(days: Days) -> Figure:
    """Axis of whole days, in steps of weeks where there are many."""
    most = -(-len(days) // _MOST_TICKS)
    step = next((one for one in _STEPS if one >= most), _STEPS[-1])
    first, last = days[0].day + 1, days[-1].day + 1
    return {
        "range": [first - 0.6, last + 0.6],
        "tickvals": list(range(first, last + 1, step)),
        "unifiedhovertitle": {"text": "day %{x}"},
    }


def _line(days: Days, name: str, colour: str, y: Sequence[float | None]) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(days) <= _MOST_MARKED else "lines",
        "x": _numbers(days),
        "y": [None if value is None else round(value, 4) for value in y],
        "name": name,
        "line": {"color": colour, "width": 2, "dash": "solid"},
        "marker": {"color": colour, "size": 5},
    }


def _figure(days: Days, y_title: str, name: str, colour: str, scale: float = 1.0) -> Figure:
    """Draw a figure as a line on an axis of its own: how it changes is what matters."""
    figure = FIGURE[name]
    values = [figure.measure([day]) for day in days]
    trace = _line(days, figure.label, colour, [_scaled(value, scale) for value in values])
    trace["customdata"] = [figure.format(value) for value in values]
    trace["hovertemplate"] = _hover(1)
    return {"data": [trace], "layout": _layout(days, y_title, yaxis={"rangemode": "normal"})}


def _bars(
    days: Days,
    y_title: str,
    told: Sequence[tuple[str, str, Of]],
    text: Callable[[float], str] = lambda value: f"{abs(value):,.0f}",
) -> Figure:
    """Draw bars upon one another, those below 0 downwards."""
    traces, seen = [], {0.0}
    for name, colour, of in told:
        y = [of(day) for day in days]
        seen |= {float(value) for value in y if value is not None}
        traces.append(
            {
                "type": "bar",
                "x": _numbers(days),
                "y": y,
                "customdata": [None if value is None else text(value) for value in y],
                "name": name,
                "marker": {"color": colour},
                "hovertemplate": _hover(len(told)),
            }
        )
    # Of few people there are no halves.
    is_few = all(value.is_integer() and abs(value) <= _FEW for value in seen)
    axis = {"dtick": 1} if is_few else {}
    return {"data": traces, "layout": _layout(days, y_title, yaxis=axis, barmode="relative", bargap=0.15)}


def _hover(num_traces: int) -> str:
    return "%{customdata}" + ("<extra></extra>" if num_traces == 1 else "")


def _layout(days: Days, y_title: str, **more: Any) -> Figure:
    y_axis = {"tickformat": ",~f", **more.pop("yaxis", {})}
    return layout("day", y_title, **{"xaxis": _day_axis(days), "yaxis": y_axis, "height": _HEIGHT, **more})


# --- tiers ---------------------------------------------------------------------------------------


def _unit(figure: TierFigure) -> tuple[float, str]:
    """Give the factor to what axes show, and its unit."""
    if not figure.name.endswith("_s"):
        return 100.0, "% of orders"
    return (1.0, "seconds") if figure.name.startswith("response") else (1 / _S_PER_MIN, "minutes")


def _multiples(
    days: Days, figure: TierFigure, tiers: Sequence[int], names: Sequence[str]
) -> dict[str, Figure]:
    """Draw a tier a chart, the lowest one behind it, all on one scale."""
    factor, unit = _unit(figure)
    values = {tier: [tier_value([day], figure, tier) for day in days] for tier in tiers}
    known = [value * factor for of_tier in values.values() for value in of_tier if value is not None]
    span = _span(known, from_0=figure.name.endswith("_s"))
    charts = {}
    for rank, tier in enumerate(tiers):
        shown = [(tiers[0], LOWEST_COLOUR, "dash")] if rank else []
        shown.append((tier, tier_colour(rank), "solid"))
        traces = [
            _tier_line(days, tier_name(names, one), (colour, dash), values[one], (factor, figure.format))
            for one, colour, dash in shown
        ]
        traces[0]["mode"] = "lines" if rank else traces[0]["mode"]
        drawn = _layout(days, unit, yaxis={"range": span, "autorange": False}, height=_SMALL_HEIGHT)
        charts[f"tier-{figure.name}-{tier}"] = {"data": traces, "layout": drawn}
    return charts


def _span(known: Sequence[float], *, from_0: bool) -> list[float]:
    """Give the ends of an axis that holds all values, with some room."""
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    room = max(high - low, 0.02 * abs(high), 1e-6) * 0.08
    return [0.0 if from_0 else low - room, high + room]


def _gaps(days: Days, figure: TierFigure, tiers: Sequence[int], names: Sequence[str]) -> Figure:
    """Draw what each tier has above the lowest one, day by day."""
    factor, unit = _unit(figure)
    traces = [
        _tier_line(
            days,
            f"{tier_name(names, tier)} − {tier_name(names, tiers[0])}",
            (tier_colour(rank), "solid"),
            [tier_gap_of([day], figure, tier, tiers[0]) for day in days],
            (factor, lambda gap: gap_text(figure, gap)),
        )
        for rank, tier in enumerate(tiers)
        if rank
    ]
    axis = {"rangemode": "normal", "zeroline": True, "zerolinecolor": LOWEST_COLOUR, "zerolinewidth": 1.5}
    return {"data": traces, "layout": _layout(days, unit.replace("% of orders", "points"), yaxis=axis)}


def _tier_line(
    days: Days,
    name: str,
    look: tuple[str, str],
    values: Sequence[float | None],
    scale: tuple[float, Callable[[float | None], str]],
) -> Figure:
    """Draw a tier's values, with colour and dash, a factor and words for each."""
    factor, text = scale
    line = _line(days, escape(name), look[0], [_scaled(value, factor) for value in values])
    line["line"] = {**line["line"], "dash": look[1]}
    return {**line, "customdata": [text(value) for value in values], "hovertemplate": "%{customdata}"}
