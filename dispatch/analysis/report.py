"""One self-contained HTML page about one to four runs, opened without a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final

import dispatch
from dispatch.analysis import charts, report_tables
from dispatch.analysis.charts import Figure, RunTables
from dispatch.analysis.map_chart import CityMap
from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.analysis.recorded import EmptyDriving
from dispatch.analysis.run_record import RunRecord
from dispatch.errors import InputError
from dispatch.roads.city import City

MAX_RUNS: Final = len(charts.RUN_COLOURS)


def write_report(
    path: str | Path, city: City, runs: Sequence[RunRecord], recorded: EmptyDriving | None = None
) -> None:
    """Write the report of one run, or the comparison of up to four.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    city : City
        Where the runs took place: name, time zone, streets and water.
    runs : sequence of RunRecord
        One to four, each with its own label.
    recorded : EmptyDriving, optional
        What real drivers did there, for comparison.

    Raises
    ------
    InputError
        No run, too many, or two of the same label.
    DispatchError
        Plotly is not installed.
    """
    _check(runs)
    plotly = plotly_source()
    tables = charts.run_tables(runs, city.timezone)
    city_map = CityMap(city, tables)
    figures, notes = _figures(tables, city_map)
    title = report_tables.title_parts(city.name, runs)
    page = Template(page_part("report.html")).substitute(
        title=escape(" · ".join(title)),
        heading=" · ".join(f'<span class="whole">{escape(part)}</span>' for part in title),
        style=page_part("report.css"),
        runs=report_tables.run_list(tables),
        banner=report_tables.banner(tables),
        notes=report_tables.notes(tables),
        cards=report_tables.cards(tables, recorded),
        marked=" ✓ marks the better value." if len(runs) > 1 else "",
        several=_several(tables),
        made="How this run was made" if len(runs) == 1 else "How these runs were made",
        table=report_tables.kpi_table(tables, recorded),
        beside=report_tables.beside_empty_driving(tables, recorded),
        maps=_map_places(tables, notes),
        states=_state_places(tables),
        settings=report_tables.settings(tables),
        definitions=report_tables.definitions(),
        version=dispatch.__version__,
        plotly=plotly,
        data=json_for_script({"background": city_map.svg, "figures": figures}),
        script=page_part("report.js"),
        **_chart_places(tables),
    )
    write_whole(Path(path), page)


def _check(runs: Sequence[RunRecord]) -> None:
    if not 1 <= len(runs) <= MAX_RUNS:
        raise InputError(f"runs has {len(runs)} entries: a report takes 1 to {MAX_RUNS}; leave some out")
    labels = [run.label for run in runs]
    if len(set(labels)) < len(labels):
        raise InputError(f"runs have the labels {labels}: each must be different; rename one")


def _figures(tables: Sequence[RunTables], city_map: CityMap) -> tuple[dict[str, Figure], list[str]]:
    """All charts by the id of their place, in the order of drawing, and the notes under the maps."""
    maps = [city_map.figure(one) for one in tables]
    figures = {
        "demand": charts.demand(tables),
        "response": charts.over_the_day(tables, "response"),
        "wait": charts.over_the_day(tables, "wait"),
        **{f"states-{number}": charts.driver_states(one, tables) for number, one in enumerate(tables)},
        "trips": charts.per_driver(tables, "trips"),
        "income": charts.per_driver(tables, "income"),
        "waits": charts.waits(tables),
        # Last, because they take longest to draw.
        **{f"map-{number}": figure for number, (figure, _) in enumerate(maps)},
    }
    return figures, [note for _, note in maps]


_CHART_NAMES: Final = {
    "demand": "Orders per 15 minutes over the day",
    "response": "Response time over the day, median and 90th percentile, minutes",
    "wait": "Wait over the day, median and 90th percentile, minutes",
    "waits": "Histogram of waits, minutes",
    "trips": "Histogram of trips per driver",
    "income": "Histogram of fares per hour online",
}


def _place(name: str, label: str = "") -> str:
    return f'<div class="chart" id="{name}" role="img" aria-label="{label or _CHART_NAMES[name]}"></div>'


def _chart_places(tables: Sequence[RunTables]) -> dict[str, str]:
    """Places of the charts that show all runs, each below its legend."""
    levels = report_tables.run_legend(tables, "median", "90th percentile")
    runs = report_tables.run_legend(tables)
    legend_of = {
        "demand": report_tables.run_legend(tables, "completed", "submitted"),
        "response": levels,
        "wait": levels,
        "trips": runs,
        "income": runs,
        "waits": runs,
    }
    return {name: legend + _place(name) for name, legend in legend_of.items()}


def _map_places(tables: Sequence[RunTables], notes: Sequence[str]) -> str:
    parts = []
    for number, (one, note) in enumerate(zip(tables, notes, strict=True)):
        caption = report_tables.run_name(one, "figcaption") if len(tables) > 1 else ""
        place = _place(f"map-{number}", f"Map of pickups by wait, {one.name}")
        small = f'<p class="small">{escape(note)}</p>' if note else ""
        parts.append(f'<figure class="map">{caption}{place}{small}</figure>')
    return f'<div class="maps{_several(tables)}">{"".join(parts)}</div>'


def _state_places(tables: Sequence[RunTables]) -> str:
    parts = []
    for number, one in enumerate(tables):
        caption = report_tables.run_name(one, "figcaption") if len(tables) > 1 else ""
        place = _place(f"states-{number}", f"Drivers by state over the day, {one.name}")
        parts.append(f'<figure class="state">{caption}{place}</figure>')
    legend = report_tables.state_legend()
    return f'{legend}<div class="states{_several(tables)}">{"".join(parts)}</div>'


def _several(tables: Sequence[RunTables]) -> str:
    return " several" if len(tables) > 1 else ""
