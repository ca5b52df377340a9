"""What all commands share: the two streams of a terminal, bars on it, and Ctrl-C."""

from __future__ import annotations

import datetime
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:
    from dispatch.sim.scenario import Scenario

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C, as shells expect."""

out, err = Console(), Console(stderr=True)


def compile_kernels() -> float:
    """Compile or load all kernels behind a progress bar."""
    from dispatch.kernels.warming import warm_up as compile_all

    with bar("kernels (compiled once, then cached)") as advance:
        return compile_all(lambda _, done, total: advance(done, total))


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
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
def steps(first: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show what is being done and how much of it; yields the function that tells."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task(first, total=None, count="")

        def show(what: str, done: int, total: int) -> None:
            count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
            progress.update(task, description=what, count=count)

        yield show


@contextmanager
def day_bar(policy: str, scenario: Scenario) -> Iterator[Callable[[Any], None]]:
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
def interruptible() -> Iterator[Callable[[], bool]]:
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
