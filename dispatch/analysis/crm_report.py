"""One self-contained HTML page of an operating report, opened without a network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final, NamedTuple

import pyarrow as pa

import dispatch
from dispatch.analysis.charts import Figure
from dispatch.analysis.crm_charts import charts_of, revenue_of
from dispatch.analysis.crm_columns import COLUMNS, cell, money
from dispatch.analysis.formatting import NOT_MEASURED, format_count, format_share
from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.analysis.page_pieces import card, known_by, titled_chart
from dispatch.crm.reports.reports import TITLES, Report
from dispatch.errors import InputError

_MOST_PLACES: Final = 8
_MOST_ROWS: Final = 12
"""Rows of a table that is not folded."""


class _Section(NamedTuple):
    head: str
    lead: str
    tables: tuple[str, ...]


_SECTIONS: Final = (
    _Section(
        "Orders", "By when they were asked for, in local time.", ("orders", "hours", "channels", "classes")
    ),
    _Section(
        "Customers",
        "Active: with a completed order in the period. New: with none before it.",
        ("customers", "concentration"),
    ),
    _Section("Coupons and passes", "By when they were reserved.", ("coupons", "coupon_names")),
    _Section("Points", "What was earned, spent and lost.", ("points",)),
    _Section(
        "Complaints",
        "By when they were filed. In time: as the vertical's service levels ask for.",
        ("complaints", "problems"),
    ),
    _Section("Energy", "Fuel and charge sold, by local hour.", ("energy",)),
)


def write_crm_report(path: str | Path, report: Report) -> None:
    """Write an operating report as a page.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    report : Report

    Raises
    ------
    DispatchError
        Plotly is not installed.
    InputError
        The folder is not there.
    """
    if not Path(path).absolute().parent.is_dir():
        raise InputError(f"{path}: its folder does not exist")
    plotly = plotly_source()
    figures = charts_of(report.tables)
    if "orders" in figures:
        figures["revenue"] = revenue_of(report.tables)
    since, until = report.periods.since, report.periods.until
    title = [report.vertical.title(), str(since) if since == until else f"{since} … {until}"]
    some = [section for section in _SECTIONS if any(_shown(report.tables[name]) for name in section.tables)]
    missing = [section.head.lower() for section in _SECTIONS if section not in some]
    page = Template(page_part("crm.html")).substitute(
        title=escape(" · ".join(title)),
        heading=" · ".join(f'<span class="whole">{escape(part)}</span>' for part in title),
        style=page_part("report.css"),
        period=escape(report.periods.kind),
        places=_places(report),
        notes=f'<div class="notes">Nothing is known of {escape(", ".join(missing))} in this time.</div>'
        if missing
        else "",
        cards=_cards(report.tables),
        sections="".join(_section(section, report.tables, figures) for section in some),
        definitions="".join(
            f'<dt>{escape(one.label)}</dt><dd id="column-{name}">{escape(one.definition)}</dd>'
            for name, one in COLUMNS.items()
        ),
        version=dispatch.__version__,
        plotly=plotly,
        data=json_for_script({"background": "", "figures": figures}),
        script=page_part("report.js"),
    )
    write_whole(Path(path), page)


def _places(report: Report) -> str:
    told = list(report.places)
    if len(told) > _MOST_PLACES:
        told[_MOST_PLACES - 1 :] = [f"and {len(told) - _MOST_PLACES + 1} more"]
    return "".join(f"<span>{escape(one)}</span>" for one in [*told, report.periods.timezone])


def _shown(table: pa.Table) -> bool:
    """Tell whether a table says anything."""
    return any(
        any(value not in (None, 0, False) for value in table[name].to_pylist())
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        if name != "hour" and not pa.types.is_string(kind)
    )


def _cards(tables: Mapping[str, pa.Table]) -> str:
    """Give the figures to look at first."""
    orders, customers, complaints = tables["orders"], tables["customers"], tables["complaints"]
    done, submitted = _sum(orders, "completed"), _sum(orders, "submitted")
    over = done + _sum(orders, "cancelled") + _sum(orders, "expired")
    revenue = _sum(orders, "revenue_cents")
    each = f"{money(round(revenue / done))} an order" if done else ""
    few = next((row for row in tables["concentration"].to_pylist() if row["reaches_80"]), None)
    told = [
        ("submitted", "Orders", format_count(submitted), f"{format_count(done)} completed"),
        (
            "completed_share",
            "Completed",
            format_share(done / over) if over else NOT_MEASURED,
            "of those over",
        ),
        ("revenue_cents", "Revenue", money(revenue), each),
        ("new", "New customers", format_count(_sum(customers, "new")), ""),
        (
            "reaches_80",
            "80 % of revenue",
            NOT_MEASURED if few is None else format_share(few["customers_share"]),
            "of customers bring it",
        ),
        ("filed", "Complaints", format_count(_sum(complaints, "filed")), _per_thousand(complaints, done)),
    ]
    return "".join(card(_known(name, label), value, note) for name, label, value, note in told)


def _sum(table: pa.Table, name: str) -> int:
    return sum(table[name].to_pylist())


def _per_thousand(complaints: pa.Table, done: int) -> str:
    return f"{1000 * _sum(complaints, 'filed') / done:.1f} for 1,000 completed orders" if done else ""


def _known(name: str, label: str) -> str:
    return known_by(f"column-{name}", label)


def _section(section: _Section, tables: Mapping[str, pa.Table], figures: Mapping[str, Figure]) -> str:
    drawn = [name for name in section.tables if name in figures]
    if "orders" in drawn:
        drawn.insert(1, "revenue")
    charts = "".join(titled_chart(name, _TITLES.get(name) or TITLES[name], figures[name]) for name in drawn)
    if len(drawn) > 1:
        charts = f'<div class="two">{charts}</div>'
    shown = [name for name in section.tables if _shown(tables[name])]
    return (
        f'<section><h2>{escape(section.head)}</h2><p class="lead">{escape(section.lead)}</p>'
        f"{charts}{''.join(_table(name, tables[name]) for name in shown)}</section>"
    )


_TITLES: Final = {"revenue": "Revenue by period", "energy": "Energy sold by hour"}


def _table(name: str, table: pa.Table) -> str:
    names = [one for one in table.schema.names if one in _first(table) or _says(table, one)]
    heads = "".join(f"<th>{_known(one, COLUMNS[one].label)}</th>" for one in names)
    rows = "".join(_row(names, row) for row in table.select(names).to_pylist())
    caption = f"<caption>{escape(TITLES[name])}</caption>"
    head = f"{caption}<thead><tr>{heads}</tr></thead>"
    made = f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'
    if table.num_rows <= _MOST_ROWS:
        return made
    return f"<details><summary>{escape(TITLES[name])}, {table.num_rows} rows</summary>{made}</details>"


def _first(table: pa.Table) -> str:
    return str(table.schema.names[0])


def _says(table: pa.Table, name: str) -> bool:
    """Leave out columns of noughts."""
    return any(value not in (None, 0) for value in table[name].to_pylist())


def _row(names: list[str], row: Mapping[str, Any]) -> str:
    cells = [cell(name, row[name]) for name in names]
    rest = "".join(
        f'<td class="none">{NOT_MEASURED}</td>' if text == NOT_MEASURED else f"<td>{escape(text)}</td>"
        for text in cells[1:]
    )
    return f"<tr><th>{escape(cells[0])}</th>{rest}</tr>"
