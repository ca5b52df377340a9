"""One self-contained HTML page about one to four runs, opened without a network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Final, NamedTuple

import dispatch
from dispatch.analysis import charts, report_tables
from dispatch.analysis.charts import Figure, RunTables
from dispatch.analysis.comparison import comparison_table, hourly_difference
from dispatch.analysis.group_tables import group_section
from dispatch.analysis.groups import KpiGroups, kpis_by
from dispatch.analysis.heat_maps import ZoneHours
from dispatch.analysis.map_chart import CityMap
from dispatch.analysis.page_file import json_for_script, page_part, plotly_source, write_whole
from dispatch.analysis.recorded import EmptyDriving
from dispatch.analysis.run_record import RunRecord
from dispatch.analysis.series import MIN_ORDERS
from dispatch.analysis.timelines import sample_drivers, timeline
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.zones import Zones, grid_zones

MAX_RUNS: Final = len(charts.RUN_COLOURS)


def write_report(
    path: str | Path,
    city: City,
    runs: Sequence[RunRecord],
    recorded: EmptyDriving | None = None,
    zones: Zones | None = None,
) -> None:
    """Write the report of one run, or the comparison of up to four.

    Parameters
    ----------
    path : str or Path
        HTML file to write; written whole or not at all.
    city : City
        Where the runs took place: name, time zone, streets and water.
    runs : sequence of RunRecord
        One to four, each with its own label; changes are told against the first.
    recorded : EmptyDriving, optional
        What real drivers did there, for comparison.
    zones : Zones, optional
        By which pickups are told; those of the kind ``report``, or all where there are none. By default
        squares of 2 km.

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
    drawn_zones = _zones(city, zones)
    heat = ZoneHours(tables, drawn_zones, [one.timezone for one in tables])
    several = _Several.of(tables)
    figures, notes = _figures(tables, city_map, heat, several)
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
        compared=several.html(tables) if several is not None else "",
        maps=_map_places(tables, notes),
        zones_lead=_ZONES_LEAD if zones is not None else f"{_ZONES_LEAD} {_SQUARES}",
        heat=_heat_places(tables, heat),
        groups=group_section(tables),
        timelines=_timeline_places(tables),
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


_ZONES_LEAD: Final = (
    "By the zone of the pickup and the local hour of the request; faint cells hold fewer than "
    f"{MIN_ORDERS} orders."
)
_SQUARES: Final = (
    "Zones are squares of 2 km: N2 E4 lies 2 km north and 4 km east of the middle of the street network."
)


def _zones(city: City, zones: Zones | None) -> Zones:
    return grid_zones(city) if zones is None else zones.of_kind("report") or zones


class _Several(NamedTuple):
    """What a comparison shows beside the runs themselves."""

    by_hour: list[KpiGroups]

    @classmethod
    def of(cls, tables: Sequence[RunTables]) -> _Several | None:
        """Measure all runs by hour, where there is more than one."""
        if len(tables) < 2:
            return None
        return cls([kpis_by(one.run.events, "hour", timezone=one.timezone, **one.run.void) for one in tables])

    def html(self, tables: Sequence[RunTables]) -> str:
        """The section about what changed."""
        first = tables[0].name
        legend = report_tables.run_legend(tables[1:], all_runs=True)
        return (
            "<section><h2>Before and after</h2>"
            f'<p class="lead">Below each value: the change against {first}, and its sign hour by hour. Hours '
            f"are paired: the same hour of day under both, where each had at least {MIN_ORDERS} orders.</p>"
            f"{comparison_table(tables, self.by_hour)}"
            f"<h3>Median wait, hour by hour, against {first}</h3>{legend}"
            f"{_place('difference')}</section>"
        )


def _figures(
    tables: Sequence[RunTables], city_map: CityMap, heat: ZoneHours, several: _Several | None
) -> tuple[dict[str, Figure], list[str]]:
    """All charts by the id of their place, in the order of drawing, and the notes under the maps."""
    maps = [city_map.figure(one) for one in tables]
    drivers = sample_drivers(tables)
    difference = {} if several is None else {"difference": hourly_difference(tables, several.by_hour)}
    figures = {
        **difference,
        "demand": charts.demand(tables),
        "response": charts.over_the_day(tables, "response"),
        "wait": charts.over_the_day(tables, "wait"),
        **{f"states-{number}": charts.driver_states(one, tables) for number, one in enumerate(tables)},
        "trips": charts.per_driver(tables, "trips"),
        "income": charts.per_driver(tables, "income"),
        "waits": charts.waits(tables),
        # Last, because they take longest to draw.
        **{f"heat-{number}": heat.figure(number) for number in range(len(tables))},
        **{
            f"timeline-{number}": timeline(one, ids, tables)
            for number, (one, ids) in enumerate(zip(tables, drivers, strict=True))
        },
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
    "difference": "Difference in median wait by hour of day, minutes",
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
    legend = report_tables.state_legend(tables)
    return f'{legend}<div class="states{_several(tables)}">{"".join(parts)}</div>'


def _heat_places(tables: Sequence[RunTables], heat: ZoneHours) -> str:
    parts = [report_tables.heat_choice()]
    for number, one in enumerate(tables):
        caption = report_tables.run_name(one, "figcaption") if len(tables) > 1 else ""
        place = _place(f"heat-{number}", f"Heat map of zones by hours of the day, {one.name}")
        parts.append(f'<figure class="heat">{caption}{place}</figure>')
    note = heat.note()
    return "".join(parts) + (f'<p class="small">{escape(note)}</p>' if note else "")


def _timeline_places(tables: Sequence[RunTables]) -> str:
    parts = [report_tables.state_legend(tables, with_breaks=True)]
    for number, one in enumerate(tables):
        caption = report_tables.run_name(one, "figcaption") if len(tables) > 1 else ""
        place = _place(f"timeline-{number}", f"What a sample of drivers did over the day, {one.name}")
        parts.append(f'<figure class="state">{caption}{place}</figure>')
    return "".join(parts)


def _several(tables: Sequence[RunTables]) -> str:
    return " several" if len(tables) > 1 else ""
