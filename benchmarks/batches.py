"""Assignment problems that an engine met: windows of simulated days of real cities.

The orders of a recorded day, few drivers and windows of a minute: problems are large, and drivers scarce.
"""

import datetime
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dispatch import City
from dispatch.engine.plan import SOLVERS
from dispatch.matching import AssignmentProblem
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.runner import Progress, run
from dispatch.sim.scenario import SimParams

WINDOW_S = 60.0
MS_PER_HOUR = 3_600_000


class Day(NamedTuple):
    """A day whose first hours are run."""

    name: str
    folder: str
    date: datetime.date | None
    num_drivers: int
    hours: int


DAYS = (
    Day("San Francisco", "san_francisco", datetime.date(2008, 5, 31), num_drivers=220, hours=4),
    Day("Manhattan", "manhattan", None, num_drivers=1_000, hours=10),
)


def data_folder() -> Path | None:
    """Where the recorded cities are, None if nobody said."""
    folder = os.environ.get("DISPATCH_DATA")
    return Path(folder) if folder else None


def batches(day: Day, folder: Path) -> dict[str, AssignmentProblem]:
    """The window with the median number of candidates, and that with the most."""
    by_size = sorted(_windows(day, folder), key=lambda problem: len(problem.cost))
    return {"typical": by_size[len(by_size) // 2], "largest": by_size[-1]}


@cache
def _windows(day: Day, folder: Path) -> list[AssignmentProblem]:
    """Every problem of the day that the engine asked its solver."""
    city = City.load(folder / day.folder)
    sim = SimParams(window_s=WINDOW_S)
    scenario = recorded_day(city, day.date, num_drivers=day.num_drivers, sim=sim)
    end_ms = scenario.start_at_ms + day.hours * MS_PER_HOUR
    reached = Reached()
    seen: list[AssignmentProblem] = []
    solve = SOLVERS["batch"]

    def solve_and_keep(problem):
        seen.append(problem)
        return solve(problem)

    SOLVERS["batch"] = solve_and_keep
    try:
        run(scenario, reached.note, lambda: reached.now_ms >= end_ms)
    finally:
        SOLVERS["batch"] = solve
    return [problem for problem in seen if len(problem.cost)]


class Reached:
    """How far the run has come: one hook of the run tells it, another asks."""

    def __init__(self) -> None:
        self.now_ms = 0

    def note(self, progress: Progress) -> None:
        self.now_ms = progress.now_ms
