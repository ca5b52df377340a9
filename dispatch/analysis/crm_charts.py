"""The charts of an operating report, as plain plotly figures."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any, Final

import pyarrow as pa

from dispatch.analysis.charts import INK, Figure, layout
from dispatch.analysis.crm_columns import COLUMNS

COLOURS: Final = ("#0b6bcb", "#f0b849", "#8896a5", "#0a8f6a", "#a6468a", "#d1570b")
_MOST_TICKS: Final = 8
_FOUR_FIFTHS: Final = 0.8


def charts_of(tables: Mapping[str, pa.Table]) -> dict[str, Figure]:
    """Draw every table that has something to draw, by its name."""
    return {name: draw(tables[name]) for name, draw in _DRAWN.items() if _told(tables[name])}


def _told(table: pa.Table) -> bool:
    """Tell whether any number of a table is another than nought."""
    return any(
        any(table[name].to_pylist())
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        if pa.types.is_integer(kind) and name != "hour"
    )


def _bars(
    labels: Sequence[Any], table: pa.Table, names: Sequence[str], scale: float = 1, unit: str = ""
) -> list[Figure]:
    return [
        {
            "type": "bar",
            "x": list(labels),
            "y": [None if value is None else value / scale for value in table[name].to_pylist()],
            "name": COLUMNS[name].label,
            "marker": {"color": COLOURS[number]},
            "hovertemplate": ("%{y:,.2f}" if scale != 1 else "%{y:,}") + unit,
        }
        for number, name in enumerate(names)
    ]


def _axis(labels: Sequence[str]) -> Figure:
    """Axis of names: as many of them as fit, days without their year."""
    step = max(-(-len(labels) // _MOST_TICKS), 1)
    shown = list(labels)[::step]
    return {
        "type": "category",
        "tickangle": 0,
        "tickvals": shown,
        "ticktext": [_short(label) for label in shown],
    }


def _short(label: str) -> str:
    try:
        return f"{datetime.date.fromisoformat(label):%-d %b}"
    except ValueError:
        return label


def _stacked(table: pa.Table, first: str, names: Sequence[str], y_title: str) -> Figure:
    labels = [str(value) for value in table[first].to_pylist()]
    x_title = COLUMNS[first].label.lower()
    more = {"barmode": "relative", "bargap": 0.15, "xaxis": _axis(labels)}
    some = [name for name in names if any(table[name].to_pylist())]
    return {"data": _bars(labels, table, some), "layout": layout(x_title, y_title, **more)}


def _orders(table: pa.Table) -> Figure:
    return _stacked(table, "period", ("completed", "cancelled", "expired"), "orders")


def _revenue(table: pa.Table) -> Figure:
    labels = table["period"].to_pylist()
    more = {"bargap": 0.15, "xaxis": _axis(labels)}
    bars = _bars(labels, table, ("revenue_cents",), scale=100)
    return {"data": bars, "layout": layout("period", "currency units", **more)}


def _hours(table: pa.Table) -> Figure:
    return _stacked(table, "hour", ("completed", "cancelled", "expired"), "orders")


def _channels(table: pa.Table) -> Figure:
    return _stacked(table, "channel", ("completed", "cancelled", "expired"), "orders")


def _customers(table: pa.Table) -> Figure:
    return _stacked(table, "period", ("repeat", "new"), "active customers")


def _coupons(table: pa.Table) -> Figure:
    return _stacked(table, "period", ("committed", "reserved", "rolled_back", "expired"), "coupons")


def _points(table: pa.Table) -> Figure:
    return _stacked(table, "period", ("earn", "grant", "expire", "redeem", "rollback", "transfer"), "points")


def _complaints(table: pa.Table) -> Figure:
    """Draw how many were filed, and on a scale of their own the shares in time."""
    labels = table["period"].to_pylist()
    traces = _bars(labels, table, ("filed",))
    traces[0]["marker"] = {"color": "#c9d6e4"}
    for name, colour, dash in (
        ("answered_in_time", COLOURS[0], "solid"),
        ("resolved_in_time", COLOURS[5], "dot"),
    ):
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": labels,
                "y": [None if value is None else 100 * value for value in table[name].to_pylist()],
                "yaxis": "y2",
                "name": COLUMNS[name].label,
                "line": {"color": colour, "width": 2, "dash": dash},
                "hovertemplate": "%{y:.1f} %",
            }
        )
    shares = {
        "overlaying": "y",
        "side": "right",
        "range": [0, 105],
        "tickvals": [0, 25, 50, 75, 100],
        "ticktext": ["0 %", "25 %", "50 %", "75 %", "100 %"],
        "showgrid": False,
        "automargin": True,
        "tickfont": {"color": INK},
    }
    more = {"bargap": 0.15, "xaxis": _axis(labels), "yaxis2": shares}
    return {"data": traces, "layout": layout("period", "complaints filed", **more)}


def _concentration(table: pa.Table) -> Figure:
    """Draw the share of revenue over the share of customers, best first (Lorenz 1905, from the other end)."""
    customers = [0.0, *(100 * value for value in table["customers_share"].to_pylist())]
    revenue = [0.0, *(100 * value for value in table["revenue_share"].to_pylist())]
    (few,) = [
        (100 * x, 100 * y)
        for x, y, here in zip(
            table["customers_share"].to_pylist(),
            table["revenue_share"].to_pylist(),
            table["reaches_80"].to_pylist(),
            strict=True,
        )
        if here
    ]
    line = {"color": COLOURS[0], "width": 2.5}
    mark = {"color": COLOURS[5], "size": 10}
    traces: list[Figure] = [
        {"type": "scatter", "mode": "lines", "x": [0, 100], "y": [0, 100], "hoverinfo": "skip",
         "line": {"color": "#8896a5", "width": 1.2, "dash": "dash"}},
        {"type": "scatter", "mode": "lines", "x": customers, "y": revenue, "line": line,
         "hovertemplate": "%{x:.1f} % of customers bring %{y:.1f} %<extra></extra>"},
        {"type": "scatter", "mode": "markers+text", "x": [few[0]], "y": [few[1]], "marker": mark,
         "text": [f"{few[0]:.0f} % bring {100 * _FOUR_FIFTHS:.0f} %"], "textposition": "bottom right",
         "hoverinfo": "skip"},
    ]  # fmt: skip
    more = {"hovermode": "closest", "xaxis": {"range": [0, 101], "ticksuffix": " %"}}
    more["yaxis"] = {"range": [0, 103], "ticksuffix": " %"}
    return {
        "data": traces,
        "layout": layout("of customers, those who spend most first", "of revenue", **more),
    }


def _energy(table: pa.Table) -> Figure:
    """Draw revenue by local hour, one colour a product."""
    rows = table.to_pylist()
    labels = [str(hour) for hour in range(24)]
    traces = []
    for number, product in enumerate(dict.fromkeys(row["product"] for row in rows)):
        cents = {row["hour"]: row["revenue_cents"] for row in rows if row["product"] == product}
        traces.append(
            {
                "type": "bar",
                "x": labels,
                "y": [cents.get(hour, 0) / 100 for hour in range(24)],
                "name": escape(product),
                "marker": {"color": COLOURS[number % len(COLOURS)]},
                "hovertemplate": "%{y:,.2f}",
            }
        )
    more = {"barmode": "stack", "bargap": 0.15, "xaxis": _axis(labels)}
    return {"data": traces, "layout": layout("local hour", "currency units", **more)}


_DRAWN: Final[Mapping[str, Callable[[pa.Table], Figure]]] = MappingProxyType(
    {
        "orders": _orders,
        "channels": _channels,
        "hours": _hours,
        "customers": _customers,
        "concentration": _concentration,
        "coupons": _coupons,
        "points": _points,
        "complaints": _complaints,
        "energy": _energy,
    }
)


def revenue_of(tables: Mapping[str, pa.Table]) -> Figure:
    """Draw revenue by period."""
    return _revenue(tables["orders"])
