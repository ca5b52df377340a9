"""The ``dispatch`` command."""

from __future__ import annotations

import datetime
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dispatch.errors import DispatchError, InputError

if TYPE_CHECKING:
    from dispatch.analysis.run_record import RunRecord
    from dispatch.engine.params import DispatchParams
    from dispatch.sim.scenario import Scenario, SimParams

DEFAULT_DRIVERS: Final = "2000"
FROM_DATA: Final = "from-data"
INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells expect."""

_OPTION_OF_FIELD: Final = {
    "window_s": "--window",
    "max_pickup_s": "--max-pickup",
    "seed": "--seed",
    "drivers": "--drivers",
    "orders": "--orders",
    "shift_h": "--shift-hours",
    "date": "--date",
}
"""What the engine and the simulator call a field → what the user typed."""

app = typer.Typer(
    name="dispatch",
    help="Which driver serves which order, when will the car be there, and what did it bring.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)

CityArg = Annotated[
    Path | None,
    typer.Argument(
        help="Folder with nodes, edges and trips (Parquet or CSV). Without it: the built-in city."
    ),
]
DateOpt = Annotated[
    str | None, typer.Option(help="Local day, YYYY-MM-DD. Default: the day with the most trips.")
]
DriversOpt = Annotated[
    str | None,
    typer.Option(
        help="Number of drivers, or [b]from-data[/b] for the recorded taxis. "
        "Default: from-data where the city has pings, else 2000."
    ),
]
OrdersOpt = Annotated[int | None, typer.Option(help="Orders a day of the built-in city. Default: 50000.")]
ShiftOpt = Annotated[
    float | None,
    typer.Option(help="Hours that a made-up driver works. Default: 8 in the built-in city, else 24."),
]
WindowOpt = Annotated[float, typer.Option(help="Batch window, seconds.")]
MaxPickupOpt = Annotated[float, typer.Option(help="Largest pickup ETA that is offered, seconds.")]
SeedOpt = Annotated[int, typer.Option(help="Seed of everything random.")]
JsonOpt = Annotated[Path | None, typer.Option("--json", help="Write the summary to this file.")]
ReportOpt = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report to this file.")]


@app.command(
    epilog="Examples:  dispatch simulate --report day.html  |  dispatch simulate sf --date 2008-05-31"
)
def simulate(
    city: CityArg = None,
    date: DateOpt = None,
    drivers: DriversOpt = None,
    policy: Annotated[str, typer.Option(help="batch or nearest.")] = "batch",
    window: WindowOpt = 30.0,
    max_pickup: MaxPickupOpt = 1200.0,
    seed: SeedOpt = 1,
    orders: OrdersOpt = None,
    shift_hours: ShiftOpt = None,
    events: Annotated[Path | None, typer.Option(help="Write the event log to this Parquet file.")] = None,
    json_file: JsonOpt = None,
    report: ReportOpt = None,
) -> None:
    """Simulate a day: recorded or made-up orders, matched by the engine, measured by KPIs."""
    day = Day(city, date, drivers, orders, shift_hours, window, max_pickup, seed)
    _check_policies("--policy", [policy])
    _check_places({"--events": events, "--json": json_file, "--report": report})
    _hand_out(*_run_day(day, [policy], events), json_file, report)


@app.command(
    epilog="Example:  dispatch compare sf --policies nearest,batch --date 2008-05-31 --report compare.html"
)
def compare(
    city: CityArg = None,
    policies: Annotated[str, typer.Option(help="Names of policies, separated by commas.")] = "nearest,batch",
    date: DateOpt = None,
    drivers: DriversOpt = None,
    window: WindowOpt = 30.0,
    max_pickup: MaxPickupOpt = 1200.0,
    seed: SeedOpt = 1,
    orders: OrdersOpt = None,
    shift_hours: ShiftOpt = None,
    json_file: JsonOpt = None,
    report: ReportOpt = None,
) -> None:
    """Simulate the same day under several policies and print their KPIs side by side."""
    day = Day(city, date, drivers, orders, shift_hours, window, max_pickup, seed)
    names = [name.strip() for name in policies.split(",")]
    _check_policies("--policies", names)
    _check_places({"--json": json_file, "--report": report})
    _hand_out(*_run_day(day, names, None), json_file, report, compared=True)


@app.command()
def warm_up() -> None:
    """Compile all kernels now; later starts load them from numba's cache in a second or two."""
    out.print(f"{_compile():.1f} s for all kernels")


@dataclass(frozen=True)
class Day:
    """What the options of a command say of the day to simulate."""

    city: Path | None
    date: str | None
    drivers: str | None
    orders: int | None
    shift_hours: float | None
    window: float
    max_pickup: float
    seed: int

    def scenario(self) -> Scenario:
        """Read or make the city and its day."""
        from dispatch.engine.params import DispatchParams
        from dispatch.sim.scenario import SimParams

        params, sim = DispatchParams(max_pickup_s=self.max_pickup), SimParams(window_s=self.window)
        return self._built_in(params, sim) if self.city is None else self._recorded(self.city, params, sim)

    def _built_in(self, params: DispatchParams, sim: SimParams) -> Scenario:
        from dispatch.sim.scenario import synthetic_scenario

        if self.date is not None:
            raise InputError(f"--date is {self.date}: the built-in city has one day without a date")
        num_drivers = _num_drivers(self.drivers or DEFAULT_DRIVERS)
        if num_drivers is None:
            raise InputError("--drivers is from-data: the built-in city has no recorded taxis, give a number")
        num_orders = 50_000 if self.orders is None else self.orders
        shift_hours = 8.0 if self.shift_hours is None else self.shift_hours
        return synthetic_scenario(self.seed, num_orders, num_drivers, shift_hours, params, sim)

    def _recorded(self, folder: Path, params: DispatchParams, sim: SimParams) -> Scenario:
        from dispatch.roads.city import City
        from dispatch.sim.recorded_day import recorded_day

        if self.orders is not None:
            raise InputError(f"--orders is {self.orders}: the orders of {folder} are recorded; leave it out")
        date = None if self.date is None else _date(self.date)
        asked = None if self.drivers is None else _num_drivers(self.drivers)
        if self.drivers == FROM_DATA and self.shift_hours is not None:
            raise InputError("--shift-hours goes with made-up drivers, not with --drivers from-data")
        city = City.load(folder)
        if self.drivers is None and (city.pings_path is None or self.shift_hours is not None):
            asked = int(DEFAULT_DRIVERS)
        shift_hours = 24.0 if self.shift_hours is None else self.shift_hours
        return recorded_day(city, date, asked, shift_hours, self.seed, params, sim)


def _check_policies(option: str, names: list[str]) -> None:
    """Refuse unknown names before any work."""
    from dispatch.engine.params import POLICIES

    unknown = [name for name in names if name not in POLICIES]
    if unknown:
        raise InputError(f"{option} names {unknown[0]!r}: a policy is one of {', '.join(POLICIES)}")
    if len(set(names)) < len(names):
        raise InputError(f"{option} is {','.join(names)}: name each policy once")


def _check_places(files: dict[str, Path | None]) -> None:
    """Refuse files that could not be written, before any work."""
    for option, path in files.items():
        if path is not None and path.is_dir():
            raise InputError(f"{option} is {path}: that is a folder, name a file")
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"{option} is {path}: its folder does not exist")
    if files.get("--report") is not None and find_spec("plotly") is None:
        raise InputError('--report needs plotly: pip install "dispatch-engine[report]"')


def _num_drivers(text: str) -> int | None:
    """Read ``--drivers``; None stands for the recorded taxis."""
    if text == FROM_DATA:
        return None
    try:
        return int(text)
    except ValueError:
        raise InputError(f"--drivers is {text!r}: it must be a whole number or from-data") from None


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise InputError(f"--date is {text!r}: it must be a day of the calendar as YYYY-MM-DD") from None


def _run_day(day: Day, policies: list[str], events: Path | None) -> tuple[Scenario, list[RunRecord]]:
    """Run one day under each policy, with progress bars; Ctrl-C ends the runs early but cleanly."""
    from dispatch.engine.events import write_log
    from dispatch.sim.runner import run
    from dispatch.sim.summary import run_record

    compile_s = _compile()
    started = time.perf_counter()
    with err.status("reading the city and its day"):
        scenario = day.scenario()
    for drop in scenario.drops:
        left_out = f"[yellow]left out[/] {drop.count:,} {drop.where}: {escape(drop.what)}"
        err.print(left_out, highlight=False, soft_wrap=True)
    with _bar("travel times") as advance:
        scenario.prepare(on_progress=advance)
    prepare_s = time.perf_counter() - started
    records = []
    with _interruptible() as should_stop:
        for policy in policies:
            with _day_bar(policy, scenario) as on_progress:
                finished = run(scenario.with_policy(policy), on_progress, should_stop)
            if events is not None:
                write_log(finished.events, events)
            records.append(run_record(finished, prepare_s, compile_s))
            if should_stop():
                break
    return scenario, records


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
            write_report(report, scenario.city, records, scenario.recorded)
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


# --- progress ------------------------------------------------------------------------------------


def _compile() -> float:
    """Compile or load all kernels behind a progress bar."""
    from dispatch.kernels.jit import warm_up as compile_all

    with _bar("kernels (compiled once, then cached)") as advance:
        return compile_all(lambda _, done, total: advance(done, total))


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on the terminal; yields the function that moves it."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def _day_bar(policy: str, scenario: Scenario) -> Iterator[Callable[[Any], None]]:
    """Show simulated time, rate and time left."""
    from dispatch.roads.trips import zone_info

    zone = zone_info(scenario.timezone)
    started = time.perf_counter()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} [bold]{task.fields[clock]}[/]"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(policy, total=len(scenario.orders), clock="", rate="")
        next_update = 0.0
        clock_format = "%H:%M" if scenario.date is None else "%a %H:%M"

        def show(state: Any) -> None:
            nonlocal next_update
            elapsed = time.perf_counter() - started
            if elapsed < next_update:
                return
            next_update = elapsed + 0.1
            clock = datetime.datetime.fromtimestamp(state.now_ms / 1000, zone).strftime(clock_format)
            simulated_s = (state.now_ms - scenario.start_at_ms) / 1000
            rate = f"{simulated_s / elapsed:,.0f} × real time"
            progress.update(task, completed=state.num_finished, clock=clock, rate=rate)

        yield show


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a request to stop after the window; a second one stops at once."""
    asked = False

    def ask(_signal: int, _frame: Any) -> None:
        nonlocal asked
        asked = True
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def main() -> None:
    """Run the command; what the user did wrong is told in one line."""
    try:
        app()
    except DispatchError as error:
        err.print(f"[bold red]error:[/] {escape(_told(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _told(error: DispatchError) -> str:
    """Give the message with the option in place of the field that it became."""
    field, blank, rest = str(error).partition(" ")
    return _OPTION_OF_FIELD.get(field, field) + blank + rest
