"""Heat maps of a report: each zone in each hour of the day, by orders, waits and orders not served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.charts import Figure, RunTables, layout
from dispatch.analysis.groups import OUTSIDE, local_hour, pickup_zone
from dispatch.analysis.series import MIN_ORDERS
from dispatch.roads.zones import Zones
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE

MAX_ZONES: Final = 16
"""Zones shown, the busiest ones: more rows no screen shows at once."""
ELSEWHERE: Final = "everywhere else"
MAX_LABEL: Final = 20
"""Letters of a zone's name beside its row; the whole name appears when pointed at."""
_HOURS: Final = 24
_MS_PER_MIN: Final = 60 * MS_PER_S
_FADED: Final = 0.72
"""How far the colours of cells with few orders are mixed with white."""
_HIGHEST_LEVEL: Final = 0.98
"""Colours end at this quantile of the cells: one odd cell must not bleach the others."""


@dataclass(frozen=True)
class HeatMeasure:
    """What a heat map may show."""

    name: str
    label: str
    unit: str
    digits: int
    colours: tuple[str, ...]
    """From least to most, of one hue from light to dark: told apart also without seeing colours"""
    fades: bool
    """Few orders make it uncertain"""


MEASURES: Final = (
    HeatMeasure(
        "wait", "Median wait", "min", 1, ("#fff4e3", "#fdc98a", "#f08a3c", "#b8440e", "#6b2306"), True
    ),
    HeatMeasure(
        "unserved", "Not served", "%", 0, ("#f5f1fa", "#d3c3e8", "#a586cf", "#7249a8", "#3f1f6e"), True
    ),
    HeatMeasure(
        "orders", "Orders", "orders", 0, ("#eef5fc", "#b9d7f2", "#6eabdf", "#2670b5", "#0b3d70"), False
    ),
)


class ZoneHours:
    """Orders of all runs by zone of the pickup and hour of the request.

    Parameters
    ----------
    tables : sequence of RunTables
    zones : Zones
    timezones : sequence of str
        One for each run.
    """

    def __init__(self, tables: Sequence[RunTables], zones: Zones, timezones: Sequence[str]) -> None:
        zone = [pickup_zone(one.orders, zones) for one in tables]
        inside = np.concatenate(zone)
        num_orders = np.bincount(inside[inside != NO_INDEX], minlength=len(zones))
        busiest = np.argsort(-num_orders, kind="stable")[:MAX_ZONES]
        self.shown = busiest[num_orders[busiest] > 0]
        """(zones shown,) int64 rows of the zones, the busiest first"""
        num_others = len(inside) - int(num_orders[self.shown].sum())
        self.names = [zones.name[row] for row in self.shown.tolist()] + [ELSEWHERE] * (num_others > 0)
        """(rows,) the last one holds all other orders, if there are any"""
        # Outside of all zones is the row -1, the last one.
        row_of_zone = np.full(len(zones) + 1, len(self.shown))
        row_of_zone[self.shown] = np.arange(len(self.shown))
        self.cells = [
            _cells(one, row_of_zone[rows], local_hour(one.orders.submitted_at_ms, name), len(self.names))
            for one, rows, name in zip(tables, zone, timezones, strict=True)
        ]
        """For each run, by measure: (rows, 24) float64, NaN where there is nothing to measure"""
        self._num_zones_in_last = int(np.count_nonzero(num_orders)) - len(self.shown)

    def note(self) -> str:
        """Say what the last row is made of."""
        if ELSEWHERE not in self.names:
            return ""
        zones = f"{self._num_zones_in_last} less busy zones and " if self._num_zones_in_last else ""
        return f"{ELSEWHERE.capitalize()}: {zones}pickups {OUTSIDE}."

    def figure(self, number: int) -> Figure:
        """Draw the heat map of one run, two traces a measure; the page shows one measure at a time."""
        traces = []
        num_orders = self.cells[number]["orders"]
        for measure in MEASURES:
            value = self.cells[number][measure.name]
            few = measure.fades & (num_orders < MIN_ORDERS)
            for is_faded in (False, True) if measure.fades else (False,):
                chosen = np.where(few == is_faded, value, np.nan)
                traces.append(self._trace(measure, chosen, num_orders, is_faded))
        rows = range(len(self.names))
        hours = list(range(0, _HOURS, 3))
        return {
            "data": traces,
            "layout": layout(
                "local hour of the request",
                "",
                xaxis={"tickvals": hours, "ticktext": [f"{h:02d}" for h in hours], "showgrid": False},
                yaxis={
                    "tickvals": list(rows),
                    "ticktext": [_short(name) for name in self.names],
                    "range": [len(self.names) - 0.5, -0.5],
                    "showgrid": False,
                    "ticks": "",
                },
                height=96 + 25 * max(len(self.names), 3),
                hovermode="closest",
            ),
        }

    def _trace(
        self, measure: HeatMeasure, value: NDArray[Any], num_orders: NDArray[Any], is_faded: bool
    ) -> Figure:
        colours = [_faded(colour) for colour in measure.colours] if is_faded else measure.colours
        last = len(colours) - 1
        shown = [
            [None if np.isnan(one) else round(one, measure.digits) for one in row] for row in value.tolist()
        ]
        counts = np.nan_to_num(num_orders).astype(int).tolist()
        text = [
            [
                "" if one is None else self._words(measure, row, hour, one, counts[row][hour])
                for hour, one in enumerate(cells)
            ]
            for row, cells in enumerate(shown)
        ]
        return {
            "type": "heatmap",
            "meta": measure.name,
            "visible": measure is MEASURES[0],
            "x": list(range(_HOURS)),
            "y": list(range(len(self.names))),
            "z": shown,
            "hovertext": text,
            "hovertemplate": "%{hovertext}<extra></extra>",
            "texttemplate": f"%{{z:.{measure.digits}f}}",
            "textfont": {"size": 11},
            "zmin": 0,
            "zmax": self._highest(measure),
            "colorscale": [[at / last, colour] for at, colour in enumerate(colours)],
            "showscale": False,
            "xgap": 1,
            "ygap": 1,
            "hoverongaps": False,
        }

    def _words(self, measure: HeatMeasure, row: int, hour: int, value: float, num_orders: int) -> str:
        name, hours = escape(self.names[row]), f"{hour:02d}–{(hour + 1) % _HOURS:02d} h"
        of = (
            "" if measure.name == "orders" else f"{measure.label} {value:.{measure.digits}f} {measure.unit}, "
        )
        return f"{name}, {hours}<br>{of}{num_orders:,} orders"

    def _highest(self, measure: HeatMeasure) -> float:
        """One scale for all runs, so that they compare at a glance."""
        num_zones = max(len(self.shown), 1)  # not the last row: many zones at once outdo each single one
        sure = []
        for cells in self.cells:
            few = measure.fades & (cells["orders"] < MIN_ORDERS)
            sure.append(cells[measure.name][:num_zones][~few[:num_zones]])
        values = np.concatenate(sure)
        values = values[~np.isnan(values)]
        least = 1.0 if measure.name != "unserved" else 10.0
        return max(float(np.quantile(values, _HIGHEST_LEVEL)) if len(values) else least, least)


def _cells(
    one: RunTables, row: NDArray[np.int64], hour: NDArray[np.int64], num_rows: int
) -> dict[str, NDArray[np.float64]]:
    """Measures of one run, each (rows, 24)."""
    orders, num_cells = one.orders, num_rows * _HOURS
    cell = row * _HOURS + hour
    num_orders = np.bincount(cell, minlength=num_cells).astype(np.float64)
    lost = (orders.cancelled_at_ms != NO_VALUE) | (orders.expired_at_ms != NO_VALUE)
    num_lost = np.bincount(cell[lost], minlength=num_cells)
    some = num_orders > 0
    unserved = np.full(num_cells, np.nan)
    unserved[some] = 100 * num_lost[some] / num_orders[some]
    wait_ms = orders.wait_ms
    waited = np.flatnonzero(wait_ms != NO_VALUE)
    waited = waited[np.argsort(cell[waited], kind="stable")]
    begin = np.searchsorted(cell[waited], np.arange(num_cells + 1))
    wait = np.full(num_cells, np.nan)
    for at in np.flatnonzero(np.diff(begin)).tolist():
        wait[at] = np.median(wait_ms[waited[begin[at] : begin[at + 1]]]) / _MS_PER_MIN
    num_orders[~some] = np.nan
    shape = (num_rows, _HOURS)
    parts = {"orders": num_orders, "unserved": unserved, "wait": wait}
    return {name: values.reshape(shape) for name, values in parts.items()}


def _short(name: str) -> str:
    return escape(name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…")


def _faded(colour: str) -> str:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part + (255 - part) * _FADED):02x}" for part in parts)
