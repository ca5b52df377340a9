"""The least fleet that reaches targets, found by simulating fleets of many sizes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from dispatch.analysis.formatting import format_share
from dispatch.analysis.kpi_list import KPI, Kpi
from dispatch.analysis.paired import Interval
from dispatch.analysis.sweep_table import SweepTable
from dispatch.errors import InputError
from dispatch.limits import check_range, check_whole
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
        better = "more" if kpi.better == "up" else "less"
        raise InputError(f"target is {text!r}: of {kpi.name}, {better} is better")
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
    halved until it is closed. That is the least fleet that passes if larger ones never fail. Since they may,
    NEIGHBOURS on either side are tried as well, and one below that passes is followed further down. If no
    doubling passes, the start is halved: of some KPIs smaller fleets have better values.

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
        Number of drivers; None if all that were tried fail.
    """
    gap = _first_gap(lambda row: passes([fleets[row]])[0], fleets, start)
    if gap is None:
        return None
    failing, passing = gap
    while passing - failing > 1:
        row = (passing + failing) // 2
        if passes([fleets[row]])[0]:
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


def _first_gap(passes: Callable[[int], bool], fleets: range, start: int) -> tuple[int, int] | None:
    """Find rows of a fleet that fails and of a larger one that passes; -1 for one below the least."""

    def doubled(row: int) -> int:
        twice = -(-(2 * fleets[row] - fleets.start) // fleets.step)
        return min(max(twice, row + 1), len(fleets) - 1)

    def halved(row: int) -> int:
        return max(min((fleets[row] // 2 - fleets.start) // fleets.step, row - 1), 0)

    def downwards(passing: int) -> tuple[int, int]:
        while passing > 0:
            below = halved(passing)
            if not passes(below):
                return below, passing
            passing = below
        return -1, 0

    if passes(start):
        return downwards(start)
    row = start
    while row < len(fleets) - 1:
        below, row = row, doubled(row)
        if passes(row):
            return below, row
    row = start
    while row > 0:
        row = halved(row)
        if passes(row):
            return downwards(row)
    return None


@dataclass(frozen=True)
class FleetSearch:
    """Fleets that were tried, and what came out."""

    targets: tuple[Target, ...]
    confidence: float | None
    """of the interval whose worse end is to reach the targets; None: the mean is"""
    num_drivers: int | None
    """the least fleet found that reaches all targets, None: none of those tried"""
    table: SweepTable
    """a variant for each fleet tried, ascending"""

    @property
    def fleets(self) -> tuple[int, ...]:
        """Fleets tried, ascending."""
        return tuple(int(value) for (value,) in self.table.variants)

    @property
    def by_interval(self) -> bool:
        """Whether the worse end of the interval is to reach the targets."""
        return self.confidence is not None

    def judged(self, row: int, target: Target) -> float | None:
        """Give what is held against a target, of the fleet in a row."""
        return target.judged(self.table.interval(row, target.kpi.name), self.by_interval)

    def passes(self, row: int) -> bool:
        """Whether the fleet in a row reaches all targets."""
        return all(target.is_met(self.judged(row, target)) for target in self.targets)

    def best(self, target: Target) -> tuple[int, float] | None:
        """Give the fleet with the best value of a target's KPI and that value, None where none has one."""
        judged = [(fleet, self.judged(row, target)) for row, fleet in enumerate(self.fleets)]
        measured = [(fleet, value) for fleet, value in judged if value is not None]
        choose = max if target.better == "up" else min
        return choose(measured, key=lambda one: one[1]) if measured else None

    @property
    def larger_failing(self) -> tuple[int, ...]:
        """Fleets tried that fail though they are larger than the answer: there the KPIs are not monotone."""
        if self.num_drivers is None:
            return ()
        return tuple(
            fleet
            for row, fleet in enumerate(self.fleets)
            if fleet > self.num_drivers and not self.passes(row)
        )

    @property
    def next_below(self) -> int | None:
        """The largest smaller fleet tried, which fails; None where the answer is the least allowed."""
        smaller = [
            fleet for fleet in self.fleets if self.num_drivers is not None and fleet < self.num_drivers
        ]
        return max(smaller, default=None)


def find_fleet(
    scenario: ScenarioFile,
    targets: Sequence[Target],
    fleet_range: FleetRange,
    start: int,
    num_seeds: int,
    confidence: float | None,
    trial: Trial,
) -> FleetSearch:
    """Find the least fleet that reaches all targets.

    Parameters
    ----------
    scenario : ScenarioFile
    targets : sequence of Target
    fleet_range : FleetRange
    start : int
        Drivers of the first fleet tried.
    num_seeds : int
        Every fleet is run with seeds 1 … `num_seeds`.
    confidence : float or None
        None: means over seeds are to reach the targets; else the worse ends of their two-sided intervals.
    trial : Trial

    Raises
    ------
    InputError
        A number is out of range, or there are too few seeds for intervals.
    Stopped
        It was asked to stop; finished runs are in the store.
    """
    if not targets:
        raise InputError("target is missing: give at least one, as in golden10=0.95")
    if confidence is not None and num_seeds < 2:
        raise InputError(f"seeds is {num_seeds}: an interval needs 2 at least")
    tried: dict[int, bool] = {}

    def table_of(fleets: Sequence[int]) -> SweepTable:
        sweep = Sweep(scenario, {"drivers": tuple(fleets)}, num_seeds)
        found = run_sweep(sweep, trial.store, trial.workers, trial.on_progress, trial.should_stop)
        if found.num_missing:
            raise Stopped(f"stopped after {len(tried)} fleets; finished runs are kept")
        return found if confidence is None else replace(found, confidence=confidence)

    def search_of(num_drivers: int | None, fleets: Sequence[int]) -> FleetSearch:
        return FleetSearch(tuple(targets), confidence, num_drivers, table_of(fleets))

    def passes(fleets: Sequence[int]) -> list[bool]:
        new = [fleet for fleet in fleets if fleet not in tried]
        if new:
            found = search_of(None, new)
            tried.update({fleet: found.passes(row) for row, fleet in enumerate(new)})
            trial.on_fleets(found)
        return [tried[fleet] for fleet in fleets]

    least = least_passing(passes, fleet_range.fleets, fleet_range.nearest(start))
    return search_of(least, sorted(tried))


class Stopped(Exception):  # noqa: N818 - no error: somebody wished it
    """A search was asked to stop."""


@dataclass(frozen=True)
class Trial:
    """What the runs of a search are made with, and who is told of them."""

    store: RunStore
    workers: Workers
    on_progress: Callable[[SweepProgress], None] = lambda _state: None
    on_fleets: Callable[[FleetSearch], None] = lambda _tried: None
    """called with the fleets just tried"""
    should_stop: Callable[[], bool] = lambda: False


def usual_fleet(scenario: ScenarioFile) -> int:
    """Give the number of drivers that a scenario has; that of seed 1 where it follows from the day."""
    told = scenario.values["day"]["drivers"]
    return told if isinstance(told, int) else scenario.build(1).shifts.num_drivers


def usual_range(start: int, low: int | None = None, high: int | None = None, step: int = 1) -> FleetRange:
    """Give the fleets to search, TIMES_AS_MANY times the usual one at most; without `low`, from one step."""
    check_whole("step", step, 1, MAX_DRIVERS)
    low = step if low is None else low
    if high is None:
        high = max(min(TIMES_AS_MANY * start, MAX_DRIVERS), low)
    return FleetRange(low, high, step)
