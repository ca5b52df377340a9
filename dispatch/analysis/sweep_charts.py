"""Charts of a sweep: a KPI against a number that was varied, a line for each combination of all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from dispatch.analysis.charts import INK, RUN_DASHES, Figure, layout
from dispatch.analysis.formatting import format_duration, format_money_per_h, format_share
from dispatch.analysis.kpi_list import Kpi
from dispatch.analysis.sweep_table import SweepTable, size_text, value_text

LINE_COLOURS: Final = (
    *("#0b6bcb", "#d1570b", "#0a8f6a", "#a6468a", "#7a5c00", "#5b6ee1", "#b3261e", "#52606d"),
)
MAX_LINES: Final = len(LINE_COLOURS) * len(RUN_DASHES)
_BAND_OPACITY: Final = 0.13
_MANY_MINUTES: Final = 120.0
_S_PER_MIN: Final = 60.0


@dataclass(frozen=True)
class Line:
    """Variants that differ in the number along the axis only."""

    label: str
    """what they share, safe to print; empty where nothing else was varied"""
    variants: tuple[int, ...]
    """rows of variants, ascending along the axis"""
    colour: str
    dash: str


def axis_key(table: SweepTable) -> str | None:
    """Choose the number that charts lie along: the one with the most values; None where none was varied."""
    keys = table.axis_keys()
    place = {key: table.keys.index(key) for key in keys}
    return max(keys, key=lambda key: len({values[place[key]] for values in table.variants}), default=None)


def lines_of(table: SweepTable, along: str | None) -> list[Line]:
    """Give the lines of all charts, at most MAX_LINES; without an axis one line holds all variants."""
    rows = range(len(table.variants))
    if along is None:
        return [Line("", tuple(rows), LINE_COLOURS[0], "none")]
    axis = table.keys.index(along)
    others = [key for key in table.keys if key != along]
    rows_of: dict[tuple[Any, ...], list[int]] = {}
    for row in rows:
        values = table.variants[row]
        rows_of.setdefault((*values[:axis], *values[axis + 1 :]), []).append(row)
    lines = []
    for number, (shared, own) in enumerate(list(rows_of.items())[:MAX_LINES]):
        names = zip(others, map(value_text, shared), strict=True)
        label = " · ".join(value if len(others) == 1 else f"{key} {value}" for key, value in names)
        # Neighbours differ in both, so that of two equal lines the lower one is seen through the upper.
        dash = RUN_DASHES[(number + number // len(LINE_COLOURS)) % len(RUN_DASHES)]
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        ascending = sorted(own, key=lambda row: table.variants[row][axis])
        lines.append(Line(escape(label), tuple(ascending), colour, dash))
    return lines


def kpi_chart(
    table: SweepTable,
    kpi: Kpi,
    along: str | None,
    lines: Sequence[Line],
    target: float | None = None,
    answer: float | None = None,
) -> Figure:
    """Draw means over seeds with bands of their intervals.

    Parameters
    ----------
    table : SweepTable
    kpi : Kpi
    along : str or None
        The varied key along the horizontal axis; None: variants by name.
    lines : sequence of Line
    target : float, optional
        Value to be reached, a dashed line.
    answer : float, optional
        Place on the axis to be marked.
    """
    factor, unit = _scale(table, kpi)
    traces: list[Figure] = []
    for line in lines:
        measured = [row for row in line.variants if table.interval(row, kpi.name).mean is not None]
        found = [table.interval(row, kpi.name) for row in measured]
        axis = 0 if along is None else table.keys.index(along)
        x = [
            escape(table.label(row)) if along is None else float(table.variants[row][axis])
            for row in measured
        ]
        trace: Figure = {
            "type": "scatter",
            "mode": "markers" if along is None else "lines+markers",
            "x": x,
            "y": [_scaled(one.mean, factor) for one in found],
            "customdata": [
                kpi.format(one.mean) + ("" if one.low is None else f" ± {size_text(kpi, one.half_width)}")
                for one in found
            ],
            "name": line.label or escape(kpi.label),
            "marker": {"color": line.colour, "size": 6},
            "hovertemplate": "%{customdata}" + ("" if line.label else "<extra></extra>"),
        }
        if along is None:
            trace["error_y"] = {
                "type": "data",
                "array": [_scaled(one.half_width, factor) for one in found],
                "color": line.colour,
                "thickness": 1.5,
            }
        else:
            trace["line"] = {"color": line.colour, "width": 2, "dash": line.dash}
            known = [(at, one) for at, one in zip(x, found, strict=True) if one.low is not None]
            traces.append(_band(known, factor, line.colour))
        traces.append(trace)
    marks = _marks(target, answer, factor)
    y_axis = {"rangemode": "normal"} if target is None else {"rangemode": "normal", "autorange": True}
    x_axis: Figure = {"type": "category"} if along is None else {}
    drawn = layout(along or "", f"{unit}", xaxis=x_axis, yaxis=y_axis, height=300, shapes=marks)
    return {"data": [trace for trace in traces if trace["x"]] or traces[-1:], "layout": drawn}


def _band(known: Sequence[tuple[Any, Any]], factor: float, colour: str) -> Figure:
    """Give the area between the ends of the intervals."""
    there, back = list(known), list(reversed(known))
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [at for at, _ in (*there, *back)],
        "y": [_scaled(one.high, factor) for _, one in there] + [_scaled(one.low, factor) for _, one in back],
        "fill": "toself",
        "fillcolor": f"rgba({red},{green},{blue},{_BAND_OPACITY})",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }


def _marks(target: float | None, answer: float | None, factor: float) -> list[Figure]:
    """Give a line at the target across, and one at the answer upright."""
    line = {"color": INK, "width": 1.2, "dash": "dash"}
    marks: list[Figure] = []
    if target is not None:
        at = target * factor
        marks.append({"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": at, "y1": at, "line": line})
    if answer is not None:
        place = {"x0": answer, "x1": answer, "y0": 0, "y1": 1, "yref": "paper"}
        marks.append({"type": "line", **place, "line": line})
    return marks


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, 6)


def _scale(table: SweepTable, kpi: Kpi) -> tuple[float, str]:
    """Give factor and unit of a chart: shares in per cent, long times in minutes, money in whole units."""
    if kpi.format is format_share:
        return 100.0, "%"
    if kpi.format is format_money_per_h:
        return 0.01, "per hour"
    if kpi.format is not format_duration:
        return 1.0, "km" if "_km" in kpi.name else ""
    means = [table.interval(row, kpi.name).mean for row in range(len(table.variants))]
    is_long = max((mean for mean in means if mean is not None), default=0.0) >= _MANY_MINUTES
    return (1 / _S_PER_MIN, "min") if is_long else (1.0, "s")


def figures(
    table: SweepTable,
    kpis: Sequence[Kpi],
    targets: Mapping[str, float],
    answer: float | None,
) -> tuple[dict[str, Figure], list[Line]]:
    """Give a chart for each KPI, by ``chart-`` and its name, and the lines that all of them have."""
    along = axis_key(table)
    lines = lines_of(table, along)
    drawn = {
        f"chart-{kpi.name}": kpi_chart(table, kpi, along, lines, targets.get(kpi.name), answer)
        for kpi in kpis
    }
    return drawn, lines
