"""The least fleet that reaches targets, found by simulating fleets of many sizes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from dispatch.analysis.formatting import format_share
from dispatch.analysis.kpi_list import KPI, Kpi
from dispatch.analysis.paired import Interval
from dispatch.analysis.sweep_table import SweepTable
from dispatch.engine.limits import check_range, check_whole
from dispatch.errors import InputError
from dispatch.sim.scenario_file import ScenarioFile
from dispatch.sim.scenario_tables import MAX_DRIVERS
from dispatch.sim.sweep import Sweep, SweepProgress, run_sweep
from dispatch.sim.sweep_store import RunStore
from dispatch.sim.sweep_workers import Workers

NEIGHBOURS: Final = 2
"""Fleets on either side of the answer that are simulated, too."""
TIMES_AS_MANY: Final = 16
"""drivers as the scenario has are the largest fleet tried, by default"""
_TARGET: Final = re.compile(r"\s*(\w+)\s*(>=|<=|=)\s*(\S+)\s*")
_SIGN: Final = {"up": ">=", "down": "<="}


@dataclass(frozen=True)
class Target:
    """A KPI and the value that it is to reach."""

    kpi: Kpi
    value: float
    better: Literal["up", "down"]

    def __str__(self) -> str:
        """Give it in words: ``Golden ten minutes ≥ 95.0 %``."""
        return f"{self.kpi.label} {'≥' if self.better == 'up' else '≤'} {self.kpi.format(self.value)}"

    def judged(self, found: Interval, by_interval: bool) -> float | None:
        """Give what is held against the target: the mean, or the worse end of its interval."""
        if not by_interval:
            return found.mean
        return found.low if self.better == "up" else found.high

    def is_met(self, value: float | None) -> bool:
        """Whether a value reaches the target; what could not be measured does not."""
        return value is not None and (value >= self.value if self.better == "up" else value <= self.value)


def read_target(text: str) -> Target:
    """Read ``golden10=0.95``: at least or at most, whichever way is better; ``>=`` and ``<=`` say it aloud.

    A KPI goes by its name in :data:`dispatch.analysis.KPI`, also without its ``_share`` or ``_s``.

    Raises
    ------
    InputError
        It is no such text, there is no such KPI, no way of it is better, or it cannot have that value.
    """
    found = _TARGET.fullmatch(text)
    if found is None:
        raise InputError(f"target is {text!r}: it must be KPI=VALUE, as in golden10=0.95")
    kpi = _kpi_named(found[1])
    if kpi.better is None:
        raise InputError(f"target is {text!r}: of {kpi.name} neither more nor less is better")
    if found[2] not in ("=", _SIGN[kpi.better]):
        raise InputError(f"target is {text!r}: of {kpi.name}, {'more' if kpi.better == 'up' else 'less'} is better")
    try:
        value = float(found[3])
    except ValueError:
        raise InputError(f"target is {text!r}: {found[3]!r} must be a number") from None
    is_share = kpi.format is format_share
    limits = (0.0, 1.0, "as a share of 1") if is_share else (0.0, 1e9, "")
    check_range(f"target {kpi.name}", value, *limits)
    return Target(kpi, value, kpi.better)


def _kpi_named(name: str) -> Kpi:
    for full_name in (name, f"{name}_share", f"{name}_s"):
        if full_name in KPI:
            return KPI[full_name]
    close = difflib.get_close_matches(name, [*KPI, *(one.removesuffix("_share") for one in KPI)], 1)
    hint = f"did you mean {close[0]}?" if close else f"they are {', '.join(KPI)}"
    raise InputError(f"target names {name}: there is no such KPI; {hint}")


@dataclass(frozen=True)
class FleetRange:
    """Fleets that may be tried: `low`, `low` + `step` … up to `high`."""

    low: int
    high: int
    step: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_whole("low", self.low, 1, MAX_DRIVERS)
        check_whole("high", self.high, self.low, MAX_DRIVERS)
        check_whole("step", self.step, 1, MAX_DRIVERS)

    @property
    def fleets(self) -> range:
        """All of them."""
        return range(self.low, self.high + 1, self.step)

    def nearest(self, num_drivers: int) -> int:
        """Give the row in `fleets` of the one nearest to a number of drivers."""
        return min(max(round((num_drivers - self.low) / self.step), 0), len(self.fleets) - 1)


def least_passing(passes: Callable[[Sequence[int]], Sequence[bool]], fleets: range, start: int) -> int | None:
    """Find a fleet that passes while those just below it fail.

    From `start` the fleet is doubled until one passes, or halved until one fails; then the gap between is
    halved until it is closed. That is the least fleet that passes if larger fleets never fail; since
    they may, NEIGHBOURS on either side are tried as well, and a smaller one that passes is followed further
    down.

    Parameters
    ----------
    passes : callable
        Fleets → whether each passes; fleets are asked for again, so it should remember.
    fleets : range
        Those that may be tried.
    start : int
        Row of the first to try.

    Returns
    -------
    int or None
        Number of drivers; None if all of the fleets that were tried, the largest among them, fail.
    """

    def one_passes(row: int) -> bool:
        return passes([fleets[row]])[0]

    failing, passing = -1, len(fleets)
    row = start
    while passing == len(fleets) or (failing == -1 and passing > 0):
        if one_passes(row):
            passing = row
            row = max(min((fleets[row] // 2 - fleets.start) // fleets.step, row - 1), 0)
        else:
            failing = row
            if row == len(fleets) - 1:
                return None
            row = min(max(-(-(2 * fleets[row] - fleets.start) // fleets.step), row + 1), len(fleets) - 1)
    while passing - failing > 1:
        row = (passing + failing) // 2
        if one_passes(row):
            passing = row
        else:
            failing = row
    while True:
        around = range(max(passing - NEIGHBOURS, 0), min(passing + NEIGHBOURS + 1, len(fleets)))
        passed = passes([fleets[row] for row in around])
        least = next(row for row, does in zip(around, passed, strict=True) if does)
        if least == passing:
            return fleets[passing]
        passing = least
