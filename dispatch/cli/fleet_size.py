"""``dispatch fleet-size``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, compile_kernels, err, interruptible, out
from dispatch.cli.simulate import check_places
from dispatch.cli.sweep import JobsOpt, ReportOpt, ScenarioArg, runs_bar, settings_of

if TYPE_CHECKING:
    from dispatch.analysis.paired import Interval
    from dispatch.sim.fleet_size import FleetSearch, Target

NOT_REACHED = 1
"""Exit status where no fleet reaches the targets."""


@app.command(
    epilog="Example:  dispatch fleet-size day.toml --target golden10=0.95 --target completion=0.99 --out runs"
)
def fleet_size(
    scenario: ScenarioArg,
    target: Annotated[
        list[str],
        typer.Option(help="KPI=VALUE to be reached, as in golden10=0.95; several must all be."),
    ],
    seeds: Annotated[int, typer.Option(help="Run each fleet with seeds 1 … N.")] = 3,
    low: Annotated[int | None, typer.Option(help="Least fleet tried. Default: one step.")] = None,
    high: Annotated[
        int | None, typer.Option(help="Largest fleet tried. Default: 16 times the scenario's.")
    ] = None,
    step: Annotated[int, typer.Option(help="Fleets are tried in steps of so many drivers.")] = 1,
    confidence: Annotated[
        float | None,
        typer.Option(help="Let the worse end of this interval reach the targets, not the mean."),
    ] = None,
    jobs: JobsOpt = 1,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder that keeps the runs; the same command goes on there."),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write what was found to this file.")
    ] = None,
    report: ReportOpt = None,
) -> None:
    """Find the least fleet that reaches targets, by simulating fleets of many sizes."""
    from dispatch.sim.fleet_size import Stopped, Trial, find_fleet, read_target, usual_fleet, usual_range
    from dispatch.sim.scenario_file import load_scenario
    from dispatch.sim.sweep_store import RunStore, code_sha256
    from dispatch.sim.sweep_workers import Workers

    check_places({"--json": json_file, "--report": report})
    base = load_scenario(scenario)
    base.check()
    targets = [read_target(text) for text in target]
    with err.status("reading the city and its day"):
        start = usual_fleet(base)
    fleets = usual_range(start, low, high, step)
    with RunStore(folder, base, code_sha256()) as store, Workers(jobs) as workers:
        compile_kernels()
        with interruptible() as should_stop, runs_bar("fleets") as on_progress:
            trial = Trial(store, workers, on_progress, lambda _found: None, should_stop)
            try:
                found = find_fleet(base, targets, fleets, start, seeds, confidence, trial)
            except Stopped as stopped:
                kept = "" if folder is None else f"; the same command goes on from {folder}"
                err.print(f"[yellow]stopped:[/] {escape(f'{stopped}{kept}')}", highlight=False)
                raise typer.Exit(INTERRUPTED) from None
    _print_curve(found)
    _print_answer(found)
    if json_file is not None:
        json_file.write_text(json.dumps(_summary(found), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    if report is not None:
        from dispatch.analysis.sweep_report import write_sweep_report

        notes = [*_answer(found), *map(_definition, found.targets)]
        aims = {one.kpi.name: one.value for one in found.targets}
        settings = settings_of(base, found.table)
        write_sweep_report(report, found.table, settings, notes=notes, targets=aims, answer=found.num_drivers)
        out.print(f"report: {report}", highlight=False, soft_wrap=True)
    if found.num_drivers is None:
        raise typer.Exit(NOT_REACHED)


def _print_curve(found: FleetSearch) -> None:
    """Print every fleet tried, with completion beside the targets: many KPIs are of served orders only."""
    from dispatch.analysis.kpi_list import KPI
    from dispatch.analysis.sweep_table import size_text

    names = dict.fromkeys([*(one.kpi.name for one in found.targets), "completion_share", "wait_mean_s"])
    shown = Table()
    shown.add_column("drivers", justify="right")
    for name in names:
        shown.add_column(KPI[name].label, justify="right")
    shown.add_column("")
    for row, fleet in enumerate(found.fleets):
        cells = []
        for name in names:
            one: Interval = found.table.interval(row, name)
            half = "" if one.low is None else f" ± {size_text(KPI[name], one.half_width)}"
            cells.append(KPI[name].format(one.mean) + half)
        mark = "[green]✓[/]" if found.passes(row) else "[red]✗[/]"
        is_answer = fleet == found.num_drivers
        shown.add_row(str(fleet), *cells, mark, style="bold" if is_answer else None)
    out.print(shown)
    for target in found.targets:
        out.print(f"• {_definition(target)}", style="dim", highlight=False)


def _definition(target: Target) -> str:
    return f"{target.kpi.label}: {target.kpi.definition}"


def _print_answer(found: FleetSearch) -> None:
    first, *rest = _answer(found)
    out.print(first, style="bold", highlight=False, soft_wrap=True)
    for line in rest:
        out.print(f"• {line}", highlight=False, soft_wrap=True)


def _answer(found: FleetSearch) -> list[str]:
    """Say what was found, and how far it can be relied on."""
    wanted = " and ".join(map(str, found.targets))
    num_seeds = len(found.table.seeds)
    what = "means" if found.confidence is None else f"worse ends of {100 * found.confidence:g} % intervals"
    how = f"{what} over {num_seeds} seeds" if num_seeds > 1 else "one seed"
    if found.num_drivers is None:
        lines = [f"no fleet from {found.fleets[0]} to {found.fleets[-1]} drivers reaches {wanted}"]
        for target in found.targets:
            best = found.best(target)
            told = f"{target.kpi.format(best[1])} with {best[0]} drivers" if best else "not measurable here"
            lines.append(f"{target.kpi.label}, best: {told} ({how}).")
        return lines
    lines = [f"{found.num_drivers} drivers: the least fleet found for {wanted} ({how})"]
    if found.next_below is None:
        lines.append("It is the least that was allowed: a smaller --low may find a smaller one than that.")
    else:
        lines.append(f"{found.next_below} drivers fail; fleets between those in the table were not tried.")
    if found.larger_failing:
        fleets = ", ".join(map(str, found.larger_failing))
        lines.append(
            f"Not monotone near the answer: {fleets} drivers fail though they are more. Chance decides "
            "there: run more --seeds, or take a larger --step."
        )
    if num_seeds == 1:
        lines.append("One seed cannot tell chance from effect: run more --seeds.")
    return lines


def _summary(found: FleetSearch) -> dict[str, Any]:
    """Give everything found as plain values."""
    names = [kpi.name for kpi in found.table.measured_kpis]
    return {
        "scenario": found.table.scenario,
        "targets": [{"kpi": one.kpi.name, "value": one.value, "better": one.better} for one in found.targets],
        "seeds": list(found.table.seeds),
        "confidence": found.confidence,
        "drivers": found.num_drivers,
        "next_below": found.next_below,
        "larger_failing": list(found.larger_failing),
        "fleets": [
            {
                "drivers": fleet,
                "passes": found.passes(row),
                "kpis": {name: found.table.interval(row, name).mean for name in names},
            }
            for row, fleet in enumerate(found.fleets)
        ],
    }
