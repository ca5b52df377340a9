"""The ``dispatch`` command itself: what it is called, what it says of mistakes."""

from __future__ import annotations

import re
import sys
from typing import Final

import typer
from rich.markup import escape

from dispatch.cli.console import err
from dispatch.errors import DispatchError

_OPTION_OF_FIELD: Final = {
    "sim.window_s": "--window",
    "engine.max_pickup_s": "--max-pickup",
    "seed": "--seed",
    "scenario.seed": "--seed",
    "drivers": "--drivers",
    "day.drivers": "--drivers",
    "orders": "--orders",
    "day.orders": "--orders",
    "shift_h": "--shift-hours",
    "day.shift_h": "--shift-hours",
    "date": "--date",
    "day.date": "--date",
    "policy.name": "--policy",
    "bbox": "--bbox",
    "polygon": "--polygon",
    "vary": "--vary",
    "baseline": "--baseline",
    "seeds": "--seeds",
    "jobs": "--jobs",
    "confidence": "--confidence",
    "target": "--target",
    "low": "--low",
    "high": "--high",
    "step": "--step",
    "region": "--region",
    "on_duplicate": "--on-duplicate",
    "period": "--by",
}
"""What the engine, the simulator and scenario files call a field → what the user typed."""

app = typer.Typer(
    name="dispatch",
    help="Which driver serves which order, when will the car be there, and what did it bring.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command; what the user did wrong is told in one line."""
    try:
        app()
    except DispatchError as error:
        err.print(f"[bold red]error:[/] {escape(_told(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _told(error: DispatchError) -> str:
    """Give the message with options in place of the fields that they became, where these begin a line."""
    return re.sub(r"(?m)^( *)(\S+)", lambda first: first[1] + _option(first[2]), str(error))


def _option(field: str) -> str:
    return _OPTION_OF_FIELD.get(field, field)
