"""``dispatch community``: many days, with a CRM behind them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, bar, compile_kernels, err, interruptible, out
from dispatch.cli.simulate import ReportOpt, check_places
from dispatch.errors import InputError

if TYPE_CHECKING:
    from dispatch.analysis.community_day import CommunityDay
    from dispatch.crm.crm import Crm
    from dispatch.crm.vertical import Vertical
    from dispatch.sim.community_days import CommunityDays
    from dispatch.sim.scenario_file import ScenarioFile

ScenarioArg = Annotated[str, typer.Argument(help="A scenario file, or the name of a packaged one.")]
DbOpt = Annotated[
    str | None,
    typer.Option(
        "--db",
        help="Database of the CRM, new: a file, or [b]postgresql://…[/b]. Default: no CRM is behind it.",
    ),
]
KeysOpt = Annotated[Path | None, typer.Option(help="Its keyring. Default: the database's file with .keys.")]
WithoutOpt = Annotated[
    str,
    typer.Option(help="What the CRM keeps but does not tell the engine: tiers, scores, or tiers,scores."),
]
PARTS = ("tiers", "scores")


@app.command(
    epilog="Examples:  dispatch community --db crm.db  |  dispatch community my_city.toml "
    "--db crm.db --without scores --json without.json  |  dispatch crm report --db crm.db --by week"
)
def community(
    scenario: ScenarioArg = "community",
    db: DbOpt = None,
    keys: KeysOpt = None,
    days: Annotated[int | None, typer.Option(help="Simulated days. Default: the scenario's, 30.")] = None,
    customers: Annotated[int | None, typer.Option(help="At the start. Default: the scenario's.")] = None,
    orders: Annotated[int | None, typer.Option(help="Of a usual day. Default: the scenario's.")] = None,
    drivers: Annotated[int | None, typer.Option(help="On the roster. Default: the scenario's.")] = None,
    vertical: Annotated[str, typer.Option(help="Rules of the business, a name or a file.")] = "ride",
    without: WithoutOpt = "",
    seed: Annotated[int | None, typer.Option(help="Of everything random. Default: the scenario's.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the days to this file.")] = None,
    report: ReportOpt = None,
) -> None:
    """Simulate many days of customers who come back or do not, with the CRM behind the engine.

    What people feel is made up, and labelled synthetic.
    """
    check_places({"--json": json_file, "--report": report})
    left_out = _parts_of(without)
    told = {
        "community.days": days,
        "community.customers": customers,
        "day.orders": orders,
        "day.drivers": drivers,
        "scenario.seed": seed,
    }
    file = _scenario_file(scenario, {key: value for key, value in told.items() if value is not None})
    rules = _rules(vertical) if db is not None else None
    compile_kernels()
    crm = _new_crm(db, keys, rules) if db is not None and rules is not None else None
    try:
        started = time.perf_counter()
        run, stopped = _run(file, crm, left_out)
        wall_s = time.perf_counter() - started
        _show(run, wall_s)
    finally:
        if crm is not None:
            crm.close()
    if json_file is not None:
        text = json.dumps([_plain(day) for day in run.days], indent=1, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
    if report is not None and run.days:
        _report(report, run, file, wall_s)
    if stopped:
        err.print("[yellow]interrupted: the days until then are whole[/]")
        raise typer.Exit(INTERRUPTED)


def _parts_of(without: str) -> set[str]:
    named = {part.strip() for part in without.split(",") if part.strip()}
    wrong = named - set(PARTS)
    if wrong:
        raise InputError(f"--without is {without!r}: it may name {' and '.join(PARTS)}")
    return named


def _scenario_file(name: str, changes: dict[str, Any]) -> ScenarioFile:
    from dispatch.sim.scenario_file import load_scenario

    return load_scenario(name).with_values(changes)


def _rules(vertical: str) -> Vertical:
    """Read the rules of the business, which must know what a community complains of: before any work."""
    from dispatch.cli.crm import needs_database

    with needs_database():
        from dispatch.crm.vertical import Vertical
    from dispatch.sim.liaison import check_vertical

    rules = Vertical.load(vertical)
    check_vertical(rules)
    return rules


def _new_crm(where: str, keys: Path | None, rules: Vertical) -> Crm:
    from dispatch.cli.crm import needs_database

    with needs_database():
        from dispatch.crm.crm import Crm
    return Crm.create(where, rules, keys=keys)


def _run(file: ScenarioFile, crm: Crm | None, left_out: set[str]) -> tuple[CommunityDays, bool]:
    """Let the days pass behind a bar; Ctrl-C ends them after the day."""
    from dispatch.sim.community_days import community_of

    liaison = None
    if crm is not None:
        from dispatch.sim.liaison import Liaison

        liaison = Liaison(crm, "tiers" not in left_out, "scores" not in left_out)
    run = community_of(file, liaison)
    with interruptible() as should_stop, bar("days") as advance:
        run.run(lambda day: advance(day.day + 1, run.params.days), should_stop)
    return run, len(run.days) < run.params.days


def _show(run: CommunityDays, wall_s: float) -> None:
    from dispatch.analysis.community_figures import FIGURES
    from dispatch.analysis.formatting import NOT_MEASURED

    days = run.days
    if not days:
        return
    table = Table("", title=f"{len(days)} days, synthetic")
    for head in ("first day", "last day", "all days"):
        table.add_column(head, justify="right")
    parts = (days[:1], days[-1:], days)
    for figure in FIGURES:
        cells = [figure.format(figure.measure(part)) for part in parts]
        if any(cell != NOT_MEASURED for cell in cells):
            table.add_row(figure.label, *cells)
    _add_gaps(table, parts, _tier_names(run))
    out.print(table)
    out.print(", ".join(_spent(run, wall_s)), highlight=False)


def _add_gaps(table: Table, parts: Sequence[Sequence[CommunityDay]], names: Sequence[str]) -> None:
    """Add what each tier has above the lowest one."""
    from dispatch.analysis.community_figures import TIER_FIGURES, gap_text, tier_gap_of, tier_name, tiers_of

    lowest, *others = tiers_of(parts[-1]) or [0]
    if others:
        table.add_section()
        table.add_row(f"[bold]Tier gap to {escape(tier_name(names, lowest))}[/]")
    for figure in TIER_FIGURES:
        for tier in others:
            cells = [gap_text(figure, tier_gap_of(part, figure, tier, lowest)) for part in parts]
            table.add_row(f"{figure.label}: {escape(tier_name(names, tier))}", *cells)


def _tier_names(run: CommunityDays) -> list[str]:
    return [] if run.liaison is None else [tier.name for tier in run.liaison.crm.context.vertical.tiers]


def _spent(run: CommunityDays, wall_s: float) -> list[str]:
    told = [f"{wall_s:.1f} s"]
    if run.liaison is not None:
        crm_s, apply_s = (sum(getattr(day, name) for day in run.days) for name in ("crm_s", "apply_s"))
        rate = run.liaison.num_applied / max(apply_s, 1e-9)
        told.append(f"of which the CRM {crm_s:.1f} s")
        told.append(f"{run.liaison.num_applied:,} events applied, {rate:,.0f}/s")
    return told


def _report(path: Path, run: CommunityDays, file: ScenarioFile, wall_s: float) -> None:
    from dispatch.analysis.community_report import write_community_report

    with err.status("drawing the report"):
        write_community_report(
            path,
            run.days,
            _settings(run, file, wall_s),
            name=file.name,
            tiers=_tier_names(run),
            num_days=run.params.days,
        )
    out.print(f"report: {escape(str(path))}", highlight=False, soft_wrap=True)


def _settings(run: CommunityDays, file: ScenarioFile, wall_s: float) -> dict[str, Any]:
    """Give what the days were made with."""
    import dispatch

    told: dict[str, Any] = {"Scenario": file.path or file.name, "Seed": run.seed}
    told |= {"Orders of a usual day": f"{run.num_orders:,}", "Drivers on the roster": f"{run.num_drivers:,}"}
    told["CRM behind the engine"] = "none"
    if run.liaison is not None:
        uses = {"tiers": run.liaison.uses_tiers, "scores": run.liaison.uses_scores}
        known = " and ".join(part for part in PARTS if uses[part])
        told["CRM behind the engine"] = f"{run.liaison.crm.context.vertical.name}, the engine is told " + (
            known or "nothing"
        )
    told |= {f"community.{key}": value for key, value in vars(run.params).items()}
    return {**told, "Wall time": ", ".join(_spent(run, wall_s)), "dispatch": dispatch.__version__}


def _plain(day: CommunityDay) -> dict[str, Any]:
    told = dict(vars(day))
    told["kpis"] = dict(day.kpis)
    told["by_tier"] = {
        "tier": day.by_tier.key.tolist(),
        "num_orders": day.by_tier.num_orders.tolist(),
        **day.by_tier.value_of_kpi,
    }
    return told
