"""``dispatch community``: many days, with a CRM behind them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import INTERRUPTED, bar, compile_kernels, err, interruptible, out
from dispatch.cli.simulate import check_places
from dispatch.errors import InputError

if TYPE_CHECKING:
    from dispatch.crm.crm import Crm
    from dispatch.sim.community_days import CommunityDay, CommunityDays
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
) -> None:
    """Simulate many days of customers who come back or do not, with the CRM behind the engine.

    What people feel is made up, and labelled synthetic.
    """
    check_places({"--json": json_file})
    left_out = _parts_of(without)
    told = {
        "community.days": days,
        "community.customers": customers,
        "day.orders": orders,
        "day.drivers": drivers,
        "scenario.seed": seed,
    }
    file = _scenario_file(scenario, {key: value for key, value in told.items() if value is not None})
    compile_kernels()
    crm = _new_crm(db, keys, vertical) if db is not None else None
    try:
        started = time.perf_counter()
        run, stopped = _run(file, crm, left_out)
        _show(run, time.perf_counter() - started)
    finally:
        if crm is not None:
            crm.close()
    if json_file is not None:
        text = json.dumps([_plain(day) for day in run.days], indent=1, allow_nan=False)
        json_file.write_text(text + "\n", encoding="utf-8")
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


def _new_crm(where: str, keys: Path | None, vertical: str) -> Crm:
    from dispatch.cli.crm import needs_database

    with needs_database():
        from dispatch.crm.crm import Crm
    return Crm.create(where, vertical, keys=keys)


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
    days = run.days
    if not days:
        return
    table = Table("", "first day", "last day", "all days", title=f"{len(days)} days, synthetic")
    for label, measure in _ROWS:
        cells = [measure(part) for part in (days[:1], days[-1:], days)]
        table.add_row(label, *cells)
    out.print(table)
    crm_s, apply_s = sum(day.crm_s for day in days), sum(day.apply_s for day in days)
    spent = f"{wall_s:.1f} s"
    if run.liaison is not None:
        rate = run.liaison.num_applied / max(apply_s, 1e-9)
        spent += (
            f", of which the CRM {crm_s:.1f} s; {run.liaison.num_applied:,} events applied, {rate:,.0f}/s"
        )
    out.print(spent, highlight=False)


def _share(days: Sequence[CommunityDay], part: str, whole: str) -> str:
    total = sum(getattr(day, whole) for day in days)
    return f"{sum(getattr(day, part) for day in days) / total:.1%}" if total else "–"


def _silent(days: Sequence[CommunityDay]) -> str:
    bad = sum(day.num_bad for day in days)
    return f"{1 - sum(day.num_complaints for day in days) / bad:.1%}" if bad else "–"


def _stars(days: Sequence[CommunityDay]) -> str:
    rated = sum(day.num_rated for day in days)
    return f"{sum(day.stars for day in days) / rated:.2f}" if rated else "–"


_ROWS: Any = (
    ("orders", lambda days: f"{sum(day.num_orders for day in days):,}"),
    ("completed", lambda days: _share(days, "num_completed", "num_orders")),
    ("dissatisfied (synthetic)", lambda days: _share(days, "num_bad", "num_judged")),
    ("of them silent", _silent),
    ("stars (synthetic)", _stars),
    ("rated four or five", lambda days: _share(days, "num_rated_well", "num_rated")),
    ("drivers dissatisfied (synthetic)", lambda days: _share(days, "num_drivers_bad", "num_drivers_asked")),
    ("complaints", lambda days: f"{sum(day.num_complaints for day in days):,}"),
    ("customers, at the end", lambda days: f"{days[-1].num_customers:,}"),
    ("customers joined", lambda days: f"{sum(day.num_joined for day in days):,}"),
    ("customers left", lambda days: f"{sum(day.num_left for day in days):,}"),
    ("drivers left", lambda days: f"{sum(day.num_drivers_left for day in days):,}"),
)


def _plain(day: CommunityDay) -> dict[str, Any]:
    told = dict(vars(day))
    told["kpis"] = dict(day.kpis)
    told["by_tier"] = {
        "tier": day.by_tier.key.tolist(),
        "num_orders": day.by_tier.num_orders.tolist(),
        **day.by_tier.value_of_kpi,
    }
    return told
