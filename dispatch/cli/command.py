"""The ``dispatch`` command itself: what it is called, what it says of mistakes."""

from __future__ import annotations

import datetime
import re
import sys
from typing import Final

import typer
from rich.markup import escape

from dispatch.cli.console import err
from dispatch.errors import DispatchError
from dispatch.units import MS_PER_DAY

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
    "place": "--place",
    "until_ms": "--until",
    "valid_until_ms": "--until",
    "from_ms": "--from",
    "valid_from_ms": "--from",
}
"""What the engine, the simulator and scenario files call a field → what the user typed."""

_ABOUT_INSTANTS: Final = re.compile(r"_ms\b|time goes backwards")
_INSTANT: Final = re.compile(r"(?<![\w+.'\"-])\d{12,13}(?![\w'\"])")
"""Milliseconds since 1970, of 1973 and later."""

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
    """Give the message with options in place of the fields that they became, where these begin a line.

    Instants, which are milliseconds inside, are told as people told them.
    """
    text = str(error)
    if _ABOUT_INSTANTS.search(text):
        text = _INSTANT.sub(lambda found: _clock(int(found[0])), text)
    return re.sub(r"(?m)^( *)(\S+)", lambda first: first[1] + _option(first[2]), text)


def _clock(at_ms: int) -> str:
    moment = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return f"{moment:%Y-%m-%d}" if at_ms % MS_PER_DAY == 0 else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _option(field: str) -> str:
    return _OPTION_OF_FIELD.get(field, field)
