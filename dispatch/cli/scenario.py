"""``dispatch scenario check``, ``show`` and ``list``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from dispatch.cli.command import app
from dispatch.cli.console import err, out
from dispatch.errors import InputError

scenario_app = typer.Typer(no_args_is_help=True, help="Check and look at scenarios: days to simulate.")
app.add_typer(scenario_app, name="scenario")

FileArg = Annotated[Path, typer.Argument(help="A .toml file, or the name of a packaged scenario.")]


@scenario_app.command(
    epilog="Examples:  dispatch scenario check my_day.toml  |  dispatch scenario check --build days/*.toml"
)
def check(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help=".toml files, or names of packaged scenarios.")
    ],
    build: Annotated[bool, typer.Option("--build", help="Read the city and make the day, too.")] = False,
) -> None:
    """Tell every unknown key, wrong unit, impossible value and missing file; exit status 1 for any."""
    wrong = 0
    for file in files:
        complaint = _complaint(file, build)
        wrong += bool(complaint)
        mark = "[red]✗[/]" if complaint else "[green]✓[/]"
        out.print(f"{mark} {escape(complaint or f'{file}: right')}", highlight=False, soft_wrap=True)
    if wrong:
        raise typer.Exit(1)


def _complaint(file: Path, build: bool) -> str:
    """Give what is wrong with a scenario, one problem a line; empty: nothing."""
    from dispatch.sim.scenario_file import load_scenario

    try:
        scenario = load_scenario(file)
        scenario.check()
        if build:
            with err.status(f"making the day of {file}"):
                scenario.build()
    except InputError as error:
        return str(error)
    return ""


@scenario_app.command(
    epilog="Examples:  dispatch scenario show san_francisco  |  "
    "dispatch scenario show built_in --toml > my_day.toml"
)
def show(
    file: FileArg,
    toml: Annotated[
        bool, typer.Option("--toml", help="As a scenario file, what is not set as comments.")
    ] = False,
) -> None:
    """Show every value of a scenario, what it may be, and where it differs from the default."""
    from dispatch.sim.scenario_file import load_scenario

    scenario = load_scenario(file)
    if toml:
        out.print(scenario.to_toml(complete=True), end="", markup=False, highlight=False, soft_wrap=True)
        return
    table = ""
    for row in scenario.rows():
        if row.table != table:
            table = row.table
            out.print(f"[bold]\\[{table}][/]", highlight=False)
        changed = row.value != row.default
        line = f"{'●' if changed else ' '} {row.key} = {_told(row.value)}"
        notes = [f"default: {_told(row.default)}"] * changed + [row.rule] * bool(row.rule)
        note = f"{'':{max(42 - len(line), 2)}}[dim]{escape('; '.join(notes))}[/]" if notes else ""
        out.print(escape(line) + note, highlight=False, soft_wrap=True)
    out.print("● differs from the default", style="dim", highlight=False)


@scenario_app.command("list", epilog="Example:  dispatch simulate built_in")
def list_packaged() -> None:
    """List the packaged scenarios, which go by name."""
    from dispatch.sim.scenario_file import load_scenario, packaged_scenarios

    table = Table(box=None, show_header=False)
    for name in packaged_scenarios():
        table.add_row(f"[bold]{name}", escape(load_scenario(name).values["scenario"]["description"]))
    out.print(table)


def _told(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value, ensure_ascii=False)
