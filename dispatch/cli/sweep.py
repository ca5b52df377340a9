"""``dispatch sweep``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, compile_kernels, err, interruptible, out
from dispatch.cli.simulate import check_places

if TYPE_CHECKING:
    from dispatch.analysis.kpi_list import Kpi
    from dispatch.analysis.paired import Interval
    from dispatch.analysis.sweep_table import SweepTable
    from dispatch.sim.scenario_file import ScenarioFile
    from dispatch.sim.sweep import SweepProgress

ScenarioArg = Annotated[str, typer.Argument(help="A scenario file, or the name of a packaged one.")]
SeedsOpt = Annotated[int, typer.Option(help="Run each with seeds 1 … N.")]
JobsOpt = Annotated[int, typer.Option(help="Runs made side by side, each in a process of its own.")]
ReportOpt = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report to this file.")]
_MAX_ROWS: Final = 40


@app.command(
    epilog="Example:  dispatch sweep day.toml --vary drivers=300:700:100 --vary policy=nearest,batch "
    "--seeds 10 --jobs 2 --out runs --report sweep.html"
)
def sweep(
    scenario: ScenarioArg,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder that keeps the runs; the same command goes on there.")
    ],
    vary: Annotated[
        list[str] | None,
        typer.Option(help="KEY=FIRST:LAST:STEP or KEY=VALUE,VALUE…; several give every combination."),
    ] = None,
    seeds: SeedsOpt = 5,
    jobs: JobsOpt = 1,
    baseline: Annotated[
        str | None,
        typer.Option(help="KEY=VALUE,… of the variant to compare with. Default: the first."),
    ] = None,
    confidence: Annotated[float, typer.Option(help="Of intervals.")] = 0.95,
    report: ReportOpt = None,
) -> None:
    """Simulate a scenario under several values of some of its keys, each with the same seeds."""
    from dispatch.analysis.paired import mean_interval
    from dispatch.sim.scenario_file import load_scenario
    from dispatch.sim.sweep import Sweep, missing_runs, read_varied, run_sweep
    from dispatch.sim.sweep_store import RunStore, code_sha256
    from dispatch.sim.sweep_workers import Workers

    check_places({"--report": report})
    mean_interval([], confidence)  # refuses a confidence out of range
    base = load_scenario(scenario)
    wanted = Sweep(base, read_varied(base, vary or []), seeds)
    baseline_idx = 0 if baseline is None else wanted.variant_of(baseline)
    wanted.check()
    with RunStore(folder, base, code_sha256()) as store, Workers(jobs) as workers:
        store.note({"varied": {key: list(v) for key, v in wanted.varied.items()}, "num_seeds": seeds})
        if missing_runs(wanted, store):
            compile_kernels()
        with interruptible() as should_stop, runs_bar("runs") as on_progress:
            found = run_sweep(wanted, store, workers, on_progress, should_stop)
    found = replace(found, baseline_idx=baseline_idx, confidence=confidence)
    print_sweep(found)
    if report is not None and found.kpis:
        _report(report, base, found)
    if found.num_missing:
        num_made = len(found.kpis)
        err.print(
            f"[yellow]stopped:[/] {num_made} of {num_made + found.num_missing} runs are in "
            f"{escape(str(folder))}; the same command goes on from there",
            highlight=False,
            soft_wrap=True,
        )
        raise typer.Exit(INTERRUPTED)
    out.print(f"runs: {folder / 'runs.parquet'}", highlight=False, soft_wrap=True)


@contextmanager
def runs_bar(what: str) -> Iterator[Callable[[SweepProgress], None]]:
    """Show how many runs are made, how fast, and how long the rest will take."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    started = time.perf_counter()
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(what, total=None, count="")

        def show(state: SweepProgress) -> None:
            done = state.share * state.num_missing
            per_min = 60 * done / max(time.perf_counter() - started, 0.1)
            kept = f", {state.num_kept:,} kept from before" if state.num_kept else ""
            count = f"{state.num_done:,} of {state.num_missing:,}{kept} · {per_min:.1f} a minute"
            progress.update(task, completed=done, total=state.num_missing, count=count)

        yield show


def print_sweep(table: SweepTable) -> None:
    """Print means over seeds, and differences to the baseline."""
    from dispatch.analysis.kpi_list import KPI
    from dispatch.analysis.sweep_table import MAIN_KPIS, difference_text, interval_note, size_text

    kpis = [KPI[name] for name in MAIN_KPIS]

    def mean_cell(kpi: Kpi, found: Interval) -> str:
        half = "" if found.low is None else f"\n[dim]± {size_text(kpi, found.half_width)}[/]"
        return kpi.format(found.mean) + half

    def difference_cell(kpi: Kpi, found: Interval) -> str:
        text = difference_text(kpi, found.mean)
        if found.low is None:
            return text
        text = f"[bold]{text} *[/]" if found.excludes_zero else f"{text}  "
        return f"{text}\n[dim]± {size_text(kpi, found.half_width)}[/]  "

    rows = range(len(table.variants))
    means = [(row, [mean_cell(kpi, table.interval(row, kpi.name)) for kpi in kpis]) for row in rows]
    out.print(escape(f"{table.scenario}: means over {len(table.seeds)} seeds"), style="bold", highlight=False)
    _print_table(table, kpis, means)
    others = [
        (row, [difference_cell(kpi, table.difference(row, kpi.name)) for kpi in kpis])
        for row in rows
        if row != table.baseline_idx
    ]
    if others:
        against = escape(table.label(table.baseline_idx))
        out.print(f"paired differences to {against}", style="bold", highlight=False)
        _print_table(table, kpis, others)
    marked = "" if len(table.seeds) == 1 or not others else " * marks intervals that exclude 0."
    out.print(f"• {interval_note(table)}{marked}", style="dim", highlight=False)


def _print_table(table: SweepTable, kpis: list[Kpi], rows: list[tuple[int, list[str]]]) -> None:
    shown = Table()
    for key in table.keys or ("scenario",):
        shown.add_column(escape(key))
    for kpi in kpis:
        shown.add_column(kpi.label, justify="right")
    for row, cells in rows[:_MAX_ROWS]:
        shown.add_row(*(escape(name) for name in table.names(row)), *cells)
    out.print(shown)
    if len(rows) > _MAX_ROWS:
        out.print(f"and {len(rows) - _MAX_ROWS} more: see the report, or runs.parquet", style="dim")


def _report(path: Path, scenario: ScenarioFile, table: SweepTable) -> None:
    from dispatch.analysis.sweep_report import write_sweep_report

    write_sweep_report(path, table, settings_of(scenario, table))
    out.print(f"report: {path}", highlight=False, soft_wrap=True)


def settings_of(scenario: ScenarioFile, table: SweepTable) -> dict[str, Any]:
    """Give what the runs were made with: what is varied, and what the scenario sets itself."""
    import dispatch

    given: Mapping[str, Mapping[str, Any]] = scenario.given
    told = {f"{name}.{key}": value for name, keys in given.items() for key, value in keys.items()}
    varied = zip(table.keys, zip(*table.variants, strict=True), strict=True)
    return {
        "Scenario": scenario.path or scenario.name,
        **{f"Varied: {key}": ", ".join(str(v) for v in dict.fromkeys(values)) for key, values in varied},
        "Seeds": ", ".join(map(str, table.seeds)),
        **told,
        "Digest of the scenario": scenario.digest(),
        "dispatch": dispatch.__version__,
    }
