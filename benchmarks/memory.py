"""How much memory one solve takes: each solver in a process of its own.

A child, which inherits the environment, makes the instance, then the solver's own form of it (growth of the
resident set: `form`), gives what is free back to the system, resets the high-water mark, solves once, and
reads by how much the mark rose (`solve`). Pages asked for and never touched do not count. Linux only.
"""

import copy
import ctypes
import gc
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import OURS, Table, number
from benchmarks.process import ROOT
from dispatch import matching

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HIGH_WATER_ONLY = "5"
KB_PER_MB = 1024

Maker = Callable[[], Callable[[], Any]]


def memory_table(cases: Sequence[str], tell: Callable[[str], None]) -> Table:
    """Measure every solver on every case."""
    header = ("case", "solver", "form, MB", "solve, MB")
    lines = []
    for case in cases:
        tell(f"{case}: memory")
        for solver in _in_child(case, "?") if RESET.exists() else ():
            tell(f"{case}: memory of {solver}")
            form_mb, solve_mb = _in_child(case, solver)
            lines.append((case, solver, number(form_mb), number(solve_mb)))
    note = (
        "Growth of the resident set in a process of its own: the form in which a solver takes the instance, "
        "and the peak above it while it solves, its answer included."
    )
    return Table("Memory of one solve", header, lines, note)


def _in_child(case: str, solver: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.memory", case, solver]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"memory of {solver} on {case}: {done.stderr}")
    return json.loads(done.stdout)


def solvers(case: str) -> dict[str, Maker]:
    """By name: what makes the solver's own form of a case and gives the call that solves it.

    Every solver has solved a tiny problem by then: what is loaded once is no memory of a solve.
    """
    from benchmarks import assignment, instances, peers

    if case.startswith("dense"):
        return _dense_solvers(instances.dense_costs(int(case.split()[1].rstrip("²")), 1))
    problem = instances.sparse_problem(instances.FAMILIES[case], 1)
    tiny = instances.sparse_problem(assignment.TINY, 1)
    all_served = matching.solve(problem).num_served == problem.num_orders
    makers: dict[str, Maker] = {OURS: lambda: partial(matching.solve, copy.deepcopy(problem))}
    for name, prepare in peers.SPARSE.items():
        warm = prepare(peers.Question(tiny, None, False))
        if warm is not None:
            warm.call()
            question = peers.Question(problem, None, all_served)
            makers[name] = lambda prepare=prepare, question=question: prepare(question).call
    return makers


def _dense_solvers(cost: np.ndarray) -> dict[str, Maker]:
    from benchmarks import peers

    makers: dict[str, Maker] = {}
    tiny = cost[:20, :20].copy()
    if hasattr(matching, "linear_sum_assignment"):
        matching.linear_sum_assignment(tiny)
        makers[OURS] = lambda: partial(matching.linear_sum_assignment, cost.copy())
    for name, solver in peers.dense_peers(tiny, whole=True).items():
        if solver is not None and name not in peers.ONLY_SMALL:
            solver()
            makers[name] = lambda name=name: peers.DENSE[name](cost.copy(), True)
    return makers


def _settled_kb() -> int:
    """The resident set once all that is free is given back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _kb("VmRSS")


def _kb(field: str) -> int:
    """A figure of the kernel about this process."""
    (line,) = [line for line in STATUS.read_text().splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1])


def main() -> None:
    case, solver = sys.argv[1:]
    makers = solvers(case)
    if solver == "?":
        print(json.dumps(list(makers)))
        return
    before = _settled_kb()
    call = makers[solver]()
    formed = _settled_kb()
    RESET.write_text(HIGH_WATER_ONLY)
    call()
    peak = _kb("VmHWM")
    print(json.dumps([max(0, formed - before) / KB_PER_MB, max(0, peak - formed) / KB_PER_MB]))


if __name__ == "__main__":
    main()
