"""What a run comes to: a record for reports and a summary for files."""

from __future__ import annotations

from typing import Any

from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpis import kpis
from dispatch.analysis.run_record import RunRecord
from dispatch.engine.events import log_sha256
from dispatch.sim.runner import Run


def run_record(run: Run, wall_s: float, compile_s: float) -> RunRecord:
    """Check a run's invariants and measure its KPIs.

    Parameters
    ----------
    run : Run
    wall_s : float
        Seconds for everything but compilation: reading, travel times, the run.
    compile_s : float
        Seconds for compiling kernels, or loading them from numba's cache.

    Raises
    ------
    InvariantError
        If the log breaks an invariant.
    """
    scenario = run.scenario
    check_invariants(run.events, complete=not run.partial)
    meta: dict[str, Any] = {
        "city": scenario.city.name,
        "date": scenario.date,
        "policy": scenario.params.policy,
        "seed": scenario.seed,
        "orders": len(scenario.orders),
        "orders_outside": scenario.orders_outside,
        "drivers": scenario.shifts.num_drivers,
        "shifts": len(scenario.shifts),
        "window_s": scenario.sim.window_s,
        "max_pickup_s": scenario.params.max_pickup_s,
        "slowdown": scenario.slowdown,
        "timezone": scenario.timezone,
        "partial": run.partial,
        "wall_s": round(wall_s, 3),
        "run_s": round(run.wall_s, 3),
        "compile_s": round(compile_s, 3),
        "event_log_sha256": log_sha256(run.events),
        "notes": list(scenario.notes),
    }
    if scenario.recorded is not None:
        meta["recorded_empty_km_share"] = scenario.recorded.share
    measured = kpis(run.events, travel_is_predicted=True)
    return RunRecord(scenario.params.policy, meta, run.events, measured, run.partial)


def summary(record: RunRecord) -> dict[str, Any]:
    """Give the record as plain values: everything in ``meta``, and ``kpis`` by name."""
    return {**record.meta, "kpis": dict(record.kpis)}
