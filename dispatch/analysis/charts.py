"""The charts of a report as plain plotly figures: dictionaries of numbers, no plotly needed to make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.driver_table import DriverTable, driver_table
from dispatch.analysis.order_table import OrderTable, order_table
from dispatch.analysis.run_record import RunRecord
from dispatch.analysis.series import KpiSeries, kpis_by_hour
from dispatch.units import MS_PER_S, NO_VALUE

Figure = dict[str, Any]

BIN_MINUTES: Final = 15
RUN_COLOURS: Final = ("#0b6bcb", "#d1570b", "#0a8f6a", "#a6468a")
"""One accent a run; told apart also without red or green."""
RUN_DASHES: Final = ("solid", "dash", "dot", "dashdot")
STATE_COLOURS: Final = {
    "occupied_next": "#08396e",
    "occupied": "#0b6bcb",
    "at_pickup": "#9a6700",
    "to_pickup": "#f0b849",
    "idle": "#dde2e8",
}
STATE_LABELS: Final = {
    "occupied_next": "with a passenger, next order assigned",
    "occupied": "with a passenger",
    "at_pickup": "at the pickup",
    "to_pickup": "on the way to a pickup",
    "idle": "online, idle",
}
INK: Final = "#3d4852"
GRID: Final = "#e8ecf0"
_MAX_WAIT_MIN: Final = 30
_NUM_DRIVER_BINS: Final = 25
_S_PER_MIN: Final = 60.0
_MS_PER_H: Final = 3_600_000
_NO_DAY: Final = np.datetime64("2000-01-01T00:00")
DAY_AT_MS: Final = int(_NO_DAY.astype("datetime64[ms]").astype(np.int64))
"""Local midnight on axes of the time of day, as plotly counts: all runs are drawn on one day."""


@dataclass(frozen=True)
class RunTables:
    """What the charts read of one run."""

    run: RunRecord
    orders: OrderTable
    drivers: DriverTable
    series: KpiSeries
    timezone: str
    """IANA name in which hours are told"""
    colour: str
    dash: str

    @property
    def name(self) -> str:
        """The run's label, safe to print in a page or a chart."""
        return escape(self.run.label)


def run_tables(runs: Sequence[RunRecord], timezone: str) -> list[RunTables]:
    """Read each run's log once for all charts; hours are told in the run's time zone, else in `timezone`."""
    tables = []
    for number, run in enumerate(runs):
        own = str(run.meta.get("timezone") or timezone)
        series = kpis_by_hour(run.events, own, bin_minutes=BIN_MINUTES)
        orders, drivers = order_table(run.events), driver_table(run.events)
        tables.append(RunTables(run, orders, drivers, series, own, RUN_COLOURS[number], RUN_DASHES[number]))
    return tables


def layout(x_title: str, y_title: str, **more: Any) -> Figure:
    """Give the look that all charts share."""
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": "#c8d0d8",
        "ticks": "outside",
        "tickcolor": "#c8d0d8",
        "automargin": True,
    }
    return {
        "font": {
            "family": "system-ui, -apple-system, Segoe UI, Roboto, sans-serif",
            "size": 13,
            "color": INK,
        },
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 56, "r": 12, "t": 12, "b": 48},
        "height": 320,
        "hovermode": "x unified",
        "dragmode": False,
        # Legends are the page's: a chart's own takes its room on a phone.
        "showlegend": False,
        "hoverlabel": {"bgcolor": "#ffffff", "bordercolor": "#c8d0d8"},
        "modebar": {"bgcolor": "rgba(255,255,255,0.8)", "color": "#7b8794", "activecolor": INK},
        "xaxis": {**axis, "title": _axis_title(x_title), **more.pop("xaxis", {})},
        "yaxis": {**axis, "title": _axis_title(y_title), "rangemode": "tozero", **more.pop("yaxis", {})},
        **more,
    }


def _axis_title(text: str) -> Figure:
    return {"text": text, "font": {"size": 12, "color": "#616e7c"}, "standoff": 8}


def time_axis(tables: Sequence[RunTables]) -> Figure:
    """Axis of the time of day, from the first to the last of all runs."""
    minutes = np.concatenate([one.series.local_minute for one in tables])
    axis: Figure = {"type": "date", "tickformat": "%H:%M", "hoverformat": "%H:%M"}
    if len(minutes):
        axis["range"] = [_moment(minutes.min()), _moment(minutes.max() + BIN_MINUTES)]
    return axis


def _moment(minute: float) -> str:
    """Give a time of day as plotly reads it, of no day: runs of different days lie over one another."""
    return str(_NO_DAY + np.timedelta64(round(float(minute)), "m")).replace("T", " ")


def _times(one: RunTables) -> list[str]:
    return [_moment(minute) for minute in one.series.local_minute.tolist()]


def _rounded(values: NDArray[Any] | Sequence[float | None], digits: int = 2) -> list[float | None]:
    return [None if value is None else round(float(value), digits) for value in values]


def demand(tables: Sequence[RunTables]) -> Figure:
    """Orders per quarter of an hour, and how many of them were served."""
    traces = []
    for one in tables:
        # The bins after the last request hold none: they would draw a fall to zero that is none.
        num_bins = int(np.flatnonzero(one.series.num_submitted)[-1]) + 1 if len(one.orders) else 0
        common = {"x": _times(one)[:num_bins], "type": "scatter", "mode": "lines"}
        line = {"color": one.colour, "width": 2, "shape": "hv"}
        of_run = f", {one.name}" if len(tables) > 1 else ""
        traces.append(
            {
                **common,
                "y": one.series.num_submitted[:num_bins].tolist(),
                "name": f"submitted{of_run}",
                "line": {**line, "color": "#8896a5" if len(tables) == 1 else one.colour, "dash": "dot"},
                "hovertemplate": "%{y:,}",
            }
        )
        traces.append(
            {
                **common,
                "y": one.series.num_completed[:num_bins].tolist(),
                "name": f"completed{of_run}",
                "line": line,
                "hovertemplate": "%{y:,}",
                **({"fill": "tozeroy", "fillcolor": _faint(one.colour)} if len(tables) == 1 else {}),
            }
        )
    return {
        "data": traces,
        "layout": layout("local time of the request", "orders per 15 min", xaxis=time_axis(tables)),
    }


def _faint(colour: str, opacity: float = 0.12) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def over_the_day(tables: Sequence[RunTables], what: str) -> Figure:
    """Median and 90th percentile of ``response`` or ``wait`` by time of request, minutes."""
    traces = []
    for one in tables:
        x = _times(one)
        for level, label, width, dash in (
            ("p50", "median", 2.5, "solid"),
            ("p90", "90th percentile", 1.5, "dot"),
        ):
            seconds = getattr(one.series, f"{what}_{level}_s")
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": x,
                    "y": _rounded([None if s is None else s / _S_PER_MIN for s in seconds]),
                    "name": label + (f", {one.name}" if len(tables) > 1 else ""),
                    "line": {"color": one.colour, "width": width, "dash": dash},
                    "hovertemplate": "%{y:.1f} min",
                }
            )
    title = "response, min" if what == "response" else "wait, min"
    return {
        "data": traces,
        "layout": layout("local time of the request", title, xaxis=time_axis(tables)),
    }


def driver_states(one: RunTables, all_tables: Sequence[RunTables]) -> Figure:
    """Mean number of drivers in each state, stacked."""
    x = _times(one)
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "stackgroup": "drivers",
            "x": x,
            "y": _rounded(one.series.drivers[state], 1),
            "name": STATE_LABELS[state],
            "line": {"width": 0.5, "color": STATE_COLOURS[state]},
            "fillcolor": STATE_COLOURS[state],
            "hovertemplate": "%{y:.0f}",
        }
        for state in STATE_LABELS
    ]
    online = [np.sum(list(table.series.drivers.values()), axis=0) for table in all_tables]
    highest = max((float(most.max()) for most in online if len(most)), default=1.0)
    # One scale for all runs, so that the fleets compare at a glance.
    axis = {"range": [0, highest * 1.05]}
    return {
        "data": traces,
        "layout": layout("local time", "drivers", xaxis=time_axis(all_tables), yaxis=axis),
    }


def waits(tables: Sequence[RunTables]) -> Figure:
    """Histogram of waits in minutes, as a share of the orders picked up."""
    traces = []
    for one in tables:
        wait_ms = one.orders.wait_ms
        wait_min = wait_ms[wait_ms != NO_VALUE] / (MS_PER_S * _S_PER_MIN)
        inside = np.minimum(wait_min, _MAX_WAIT_MIN + 0.5)
        count = np.histogram(inside, np.arange(_MAX_WAIT_MIN + 2))[0]
        text = [f"{m}–{m + 1} min" for m in range(_MAX_WAIT_MIN)] + [f"over {_MAX_WAIT_MIN} min"]
        traces.append(_bars(one, len(tables), np.arange(_MAX_WAIT_MIN + 1) + 0.5, count, text, "orders"))
    ticks = list(range(0, _MAX_WAIT_MIN + 1, 5))
    axis = {
        "tickvals": ticks,
        "ticktext": [*map(str, ticks[:-1]), f"{_MAX_WAIT_MIN}+"],
        "range": [0, _MAX_WAIT_MIN + 1],
    }
    marks = [_limit(5, "5 min"), _limit(10, "10 min")]
    return {
        "data": traces,
        "layout": layout(
            "wait from request to boarding, min",
            "% of orders picked up",
            xaxis=axis,
            hovermode="closest",
            bargap=0.08,
            shapes=[mark["shape"] for mark in marks],
            annotations=[mark["text"] for mark in marks],
        ),
    }


def _limit(x: float, text: str) -> dict[str, Figure]:
    place = {"x": x, "y": 1, "yref": "paper"}
    line = {"color": INK, "width": 1.2, "dash": "dash"}
    return {
        "shape": {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": line},
        "text": {**place, "text": text, "showarrow": False, "xanchor": "left", "yanchor": "top", "xshift": 4},
    }


def _bars(
    one: RunTables,
    num_runs: int,
    x: NDArray[Any],
    count: NDArray[Any],
    text: list[str],
    what: str,
) -> Figure:
    """Bars of one run, or its outline where several lie over one another; per cent of the total."""
    per_cent = 100 * count / max(int(count.sum()), 1)
    trace = {
        "x": _rounded(x, 4),
        "y": _rounded(per_cent),
        "customdata": [
            f"{label}: {number:,} {what}" for label, number in zip(text, count.tolist(), strict=True)
        ],
        "name": one.name,
        "hovertemplate": "%{customdata} (%{y:.1f} %)" + ("<extra></extra>" if num_runs == 1 else ""),
    }
    if num_runs == 1:
        return {**trace, "type": "bar", "marker": {"color": one.colour}}
    line = {"color": one.colour, "width": 2, "shape": "hvh", "dash": one.dash}
    fill = {"fill": "tozeroy", "fillcolor": _faint(one.colour, 0.08)}
    return {**trace, "type": "scatter", "mode": "lines", "line": line, **fill}


def per_driver(tables: Sequence[RunTables], what: str) -> Figure:
    """Histogram over drivers of ``trips`` or of ``income`` per hour online."""
    samples = []
    for one in tables:
        online = one.drivers.online_ms > 0
        if what == "trips":
            samples.append(one.drivers.num_trips[online].astype(np.float64))
        else:
            samples.append(
                one.drivers.income_cents[online] / 100 / (one.drivers.online_ms[online] / _MS_PER_H)
            )
    edges = _edges(np.concatenate(samples), whole=what == "trips")
    traces = []
    for one, sample in zip(tables, samples, strict=True):
        count = np.histogram(sample, edges)[0]
        if what == "trips":
            text = [_span(int(a), int(b) - 1) + " trips" for a, b in pairwise(edges.tolist())]
        else:
            text = [f"{a:.2f}–{b:.2f} per h" for a, b in pairwise(edges.tolist())]
        middle = (edges[:-1] + edges[1:] - (what == "trips")) / 2
        traces.append(_bars(one, len(tables), middle, count, text, "drivers"))
    x_title = "trips per driver" if what == "trips" else "fares per hour online, currency units"
    mode = "closest" if len(tables) == 1 else "x unified"
    return {
        "data": traces,
        "layout": layout(x_title, "% of drivers", hovermode=mode, bargap=0.08, height=280),
    }


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _edges(values: NDArray[np.float64], whole: bool) -> NDArray[np.float64]:
    """About 25 equal bins of a round width from 0 over all values."""
    highest = float(values.max()) if len(values) else 1.0
    raw = max(highest, 1e-9) / _NUM_DRIVER_BINS
    if whole:
        width = float(max(1, int(np.ceil(raw))))
    else:
        size = 10.0 ** np.floor(np.log10(raw))
        width = float(size * next(step for step in (1, 2, 2.5, 5, 10) if step * size >= raw))
    return np.arange(0.0, highest + 2 * width, width)
