"""``dispatch simulate`` and ``dispatch compare``."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, compile_kernels, day_bar, err, interruptible, out
from dispatch.cli.day import Day
from dispatch.errors import InputError

if TYPE_CHECKING:
    from dispatch.analysis.run_record import RunRecord
    from dispatch.sim.scenario import Scenario

CityArg = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CITY|SCENARIO]",
        help="A city: a folder with nodes and edges, perhaps trips (Parquet or CSV), or a file of "
        "OpenStreetMap (.osm.pbf). Or a scenario: a .toml file, or a name that [b]dispatch scenario list[/b] "
        "tells. Without trips, the day is made up; without a city, it is the built-in one. Options take the "
        "place of a scenario's values.",
    ),
]
DateOpt = Annotated[
    str | None, typer.Option(help="Local day, YYYY-MM-DD. Default: the day with the most trips.")
]
DriversOpt = Annotated[
    str | None,
    typer.Option(
        help="Number of drivers, or [b]from-data[/b] for the recorded taxis. "
        "Default: from-data where the city has pings, one for 25 orders where the day is made up, else 2000."
    ),
]
OrdersOpt = Annotated[
    int | None,
    typer.Option(
        help="Orders of a made-up day. Default: 50000 in the built-in city, else one for each 200 m of "
        "residential street."
    ),
]
ShiftOpt = Annotated[
    float | None,
    typer.Option(help="Hours that a made-up driver works. Default: 8 on a made-up day, else 24."),
]
WindowOpt = Annotated[float | None, typer.Option(help="Batch window, seconds. Default: 30.")]
MaxPickupOpt = Annotated[
    float | None, typer.Option(help="Largest pickup ETA that is offered, seconds. Default: 1200.")
]
SeedOpt = Annotated[
    int | None,
    typer.Option(help="Seed of everything random; the city of a scenario has its own. Default: 1."),
]
JsonOpt = Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")]
ReportOpt = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report to this file.")]
PlayerOpt = Annotated[
    Path | None, typer.Option(help="Write a self-contained HTML page that plays the day on the map.")
]
ZonesOpt = Annotated[
    Path | None,
    typer.Option(help="GeoJSON file of zones: for the report and the export, geofences and taxi ranks."),
]
ExportOpt = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", help="Write KPIs, also by hour, zone and tier, and tables to this folder."
    ),
]


@app.command(
    epilog="Examples:  dispatch simulate --report day.html  |  dispatch simulate sf --date 2008-05-31  |  "
    "dispatch simulate built_in --policy nearest  |  dispatch simulate my_day.toml --drivers 250"
)
def simulate(
    city: CityArg = None,
    date: DateOpt = None,
    drivers: DriversOpt = None,
    policy: Annotated[
        str | None,
        typer.Option(help="batch, nearest, … or [b]package.module:Class[/b]. Default: batch."),
    ] = None,
    window: WindowOpt = None,
    max_pickup: MaxPickupOpt = None,
    seed: SeedOpt = None,
    orders: OrdersOpt = None,
    shift_hours: ShiftOpt = None,
    events: Annotated[Path | None, typer.Option(help="Write the event log to this Parquet file.")] = None,
    json_file: JsonOpt = None,
    report: ReportOpt = None,
    player: PlayerOpt = None,
    zones: ZonesOpt = None,
    export: ExportOpt = None,
) -> None:
    """Simulate a day: recorded or made-up orders, matched by the engine, measured by KPIs."""
    day = Day(city, date, drivers, orders, shift_hours, window, max_pickup, seed, zones)
    policies = [] if policy is None else [policy]
    _check_policies("--policy", policies)
    check_places({"--events": events, "--json": json_file, "--report": report, "--player": player})
    if export is not None and export.exists() and not export.is_dir():
        raise InputError(f"--export is {export}: that is a file, name a folder")
    scenario, records = _run_day(day, policies, events)
    if player is not None:
        _write_player(player, scenario, records[0])
    if export is not None:
        _export(export, scenario, records[0])
    _hand_out(scenario, records, json_file, report)


@app.command(
    epilog="Examples:  dispatch compare sf --policies nearest,batch --date 2008-05-31 --report both.html  |  "
    "dispatch compare built_in --policies batch,patient,reassign"
)
def compare(
    city: CityArg = None,
    policies: Annotated[str, typer.Option(help="Names of policies, separated by commas.")] = "nearest,batch",
    date: DateOpt = None,
    drivers: DriversOpt = None,
    window: WindowOpt = None,
    max_pickup: MaxPickupOpt = None,
    seed: SeedOpt = None,
    orders: OrdersOpt = None,
    shift_hours: ShiftOpt = None,
    json_file: JsonOpt = None,
    report: ReportOpt = None,
) -> None:
    """Simulate the same day under several policies and print their KPIs side by side."""
    day = Day(city, date, drivers, orders, shift_hours, window, max_pickup, seed)
    names = [name.strip() for name in policies.split(",")]
    _check_policies("--policies", names)
    check_places({"--json": json_file, "--report": report})
    _hand_out(*_run_day(day, names, None), json_file, report, compared=True)


def _check_policies(option: str, names: list[str]) -> None:
    """Refuse unknown names before any work."""
    from dispatch.engine.policy import POLICIES, policy_named

    for name in names:
        if ":" in name:
            policy_named(name)
        elif name not in POLICIES:
            raise InputError(
                f"{option} names {name!r}: a policy is one of {', '.join(POLICIES)}, or package.module:Class"
            )
    if len(set(names)) < len(names):
        raise InputError(f"{option} is {','.join(names)}: name each policy once")


def check_places(files: dict[str, Path | None]) -> None:
    """Refuse files that could not be written, before any work."""
    for option, path in files.items():
        if path is not None and path.is_dir():
            raise InputError(f"{option} is {path}: that is a folder, name a file")
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"{option} is {path}: its folder does not exist")
    if files.get("--report") is not None and find_spec("plotly") is None:
        raise InputError('--report needs plotly: pip install "dispatch-engine[report]"')


def _run_day(day: Day, policies: list[str], events: Path | None) -> tuple[Scenario, list[RunRecord]]:
    """Run a day under each policy, or its own, with progress bars; Ctrl-C ends the runs early but cleanly."""
    from dispatch.engine.events import write_log
    from dispatch.sim.runner import run
    from dispatch.sim.summary import run_record

    file = day.scenario_file()
    files = [file.with_policy(policy) for policy in policies] or [file]
    compile_s = compile_kernels()
    started = time.perf_counter()
    city_cache: dict[Any, Any] = {}
    with err.status("reading the city and its day"):
        scenarios = [one.build(city_cache=city_cache) for one in files]
    for drop in scenarios[0].drops:
        left_out = f"[yellow]left out[/] {drop.count:,} {drop.where}: {escape(drop.what)}"
        err.print(left_out, highlight=False, soft_wrap=True)
    prepare_s = time.perf_counter() - started
    records = []
    with interruptible() as should_stop:
        for scenario in scenarios:
            with day_bar(scenario.params.rules.name, scenario) as on_progress:
                finished = run(scenario, on_progress, should_stop)
            if events is not None:
                write_log(finished.events, events)
            records.append(run_record(finished, prepare_s, compile_s))
            if should_stop():
                break
    return scenarios[0], records


def _write_player(path: Path, scenario: Scenario, record: RunRecord) -> None:
    """Write the page that plays the run."""
    from dispatch.analysis.player import write_player

    started = time.perf_counter()
    with err.status("drawing the ways of all cars"):
        num_bytes = write_player(path, scenario.city, record)
    spent = f"{num_bytes / 1e6:.1f} MB, {time.perf_counter() - started:.1f} s"
    out.print(f"player: {path}, {spent}", highlight=False)


def _export(folder: Path, scenario: Scenario, record: RunRecord) -> None:
    """Write the tables of the run."""
    from dispatch.analysis.export import export_run

    with err.status("writing tables"):
        written = export_run(folder, record, scenario.zones, scenario.timezone)
    out.print(f"export: {len(written)} files in {folder}", highlight=False)


def _hand_out(
    scenario: Scenario,
    records: list[RunRecord],
    json_file: Path | None,
    report: Path | None,
    compared: bool = False,
) -> None:
    """Print the KPIs and write the files asked for; a comparison's JSON is a list, also of one."""
    from dispatch.sim.summary import summary

    _print_kpis(records)
    if json_file is not None:
        summaries = [summary(record) for record in records]
        text = json.dumps(summaries if compared else summaries[0], indent=2, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    if report is not None:
        from dispatch.analysis.report import write_report

        started = time.perf_counter()
        with err.status("drawing the report"):
            write_report(report, scenario.city, records, scenario.recorded, scenario.zones)
        out.print(f"report: {report}, {time.perf_counter() - started:.1f} s", highlight=False)
    if any(record.partial for record in records):
        err.print("[yellow]interrupted: the figures cover only the part of the day that was simulated[/]")
        raise typer.Exit(INTERRUPTED)


def _print_kpis(records: list[RunRecord]) -> None:
    """Print one column a run."""
    from dispatch.analysis.kpi_list import KPIS

    meta: Mapping[str, Any] = records[0].meta
    what = [str(meta["city"]), str(meta["date"] or "one day")]
    what += [f"{meta['orders']:,} orders", f"{meta['drivers']:,} drivers", f"seed {meta['seed']}"]
    table = Table()
    table.add_column("")
    for record in records:
        table.add_column(record.label + (" (partial)" if record.partial else ""), justify="right")
    for kpi in KPIS:
        table.add_row(kpi.label, *(kpi.format(record.kpis[kpi.name]) for record in records))
    out.print(escape(" · ".join(what)), style="bold", highlight=False, soft_wrap=True)
    out.print(table)
    for note in meta["notes"]:
        out.print(f"• {note}", style="dim", highlight=False)
    if meta.get("recorded_empty_km_share") is not None:
        share = meta["recorded_empty_km_share"]
        out.print(f"• What really happened: the same taxis drove {share:.1%} of their kilometres empty.")
    for record in records:
        meta = dict(record.meta)
        spent = f"{meta['wall_s']:.1f} s, compilation {meta['compile_s']:.1f} s"
        out.print(f"{record.label}: {spent}, log {meta['event_log_sha256'][:16]}", highlight=False)
