"""What a run comes to: a record for reports and a summary for files."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from dispatch.analysis.driver_table import driver_table
from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpis import kpis
from dispatch.analysis.order_table import rows_of
from dispatch.analysis.run_record import RunRecord
from dispatch.engine.events import EventKind, log_sha256
from dispatch.engine.params import FareRule
from dispatch.errors import InvariantError
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.etas import EtaSource
from dispatch.sim.runner import Run
from dispatch.sim.scenario import Scenario
from dispatch.units import NO_INDEX

BEHAVIOUR_NOTE: Final = (
    "Simulated drivers accept every offer and nobody cancels: completion and response are those of the "
    "matching alone."
)
ASSUMED_NOTE: Final = (
    "People behave as the scenario's parameters say; that figures repeat a parameter that was put in "
    "validates nothing."
)


def run_record(run: Run, prepare_s: float, compile_s: float) -> RunRecord:
    """Check a run's invariants and measure its KPIs.

    Parameters
    ----------
    run : Run
    prepare_s : float
        Seconds for reading the city and its day, and for its travel times.
    compile_s : float
        Seconds for compiling kernels, or loading them from numba's cache.

    Raises
    ------
    InvariantError
        If the log breaks an invariant, or disagrees with the scenario's orders or the drivers' odometers.
    """
    started = time.perf_counter()
    scenario = run.scenario
    check_invariants(run.events, complete=not run.partial)
    _check_books(run)
    fare_rule = _in_words(scenario.fare)
    meta: dict[str, Any] = {
        "city": scenario.city.name,
        "date": scenario.date,
        "policy": scenario.params.rules.name,
        "seed": scenario.seed,
        "orders": len(scenario.orders),
        "orders_submitted": run.num_orders,
        "orders_outside": scenario.orders_outside,
        "drivers": scenario.shifts.num_drivers,
        "shifts": len(scenario.shifts),
        "window_s": scenario.sim.window_s,
        "max_pickup_s": scenario.params.max_pickup_s,
        "slowdown": scenario.slowdown,
        "fare_rule": fare_rule,
        "timezone": scenario.timezone,
        "partial": run.partial,
        "prepare_s": round(prepare_s, 3),
        "setup_s": round(run.setup_s, 3),
        "run_s": round(run.wall_s, 3),
        "compile_s": round(compile_s, 3),
        "event_log_sha256": log_sha256(run.events),
        "left_out": [{"count": one.count, "what": one.what, "where": one.where} for one in scenario.drops],
        "notes": [
            *scenario.notes,
            _behaviour_note(scenario),
            f"Incomes rest on the declared fare rule: {fare_rule}.",
        ],
    }
    if scenario.recorded is not None:
        meta["recorded_empty_km_share"] = scenario.recorded.share
    if scenario.etas is not None:
        source = scenario.eta_source or EtaSource(type(scenario.etas).__name__)
        meta["etas"] = asdict(source)
    is_predicted = scenario.traffic.kind == "exact" and scenario.etas is None
    are_machines = scenario.behaviour == Behaviour.none()
    measured = kpis(run.events, travel_is_predicted=is_predicted, nobody_cancels=are_machines)
    meta["wall_s"] = round(prepare_s + run.setup_s + run.wall_s + time.perf_counter() - started, 3)
    return RunRecord(scenario.params.rules.name, meta, run.events, measured, run.partial)


def _behaviour_note(scenario: Scenario) -> str:
    return BEHAVIOUR_NOTE if scenario.behaviour == Behaviour.none() else ASSUMED_NOTE


def _check_books(run: Run) -> None:
    """Hold the log against what was kept apart from it: the orders of the day and the odometers."""
    num_orders = run.num_orders
    num_submitted = int(np.count_nonzero(run.events["kind"] == EventKind.ORDER_SUBMITTED))
    if num_submitted > num_orders or (num_submitted < num_orders and not run.partial):
        raise InvariantError(f"the log has {num_submitted} orders submitted, the run {num_orders}")
    drivers = driver_table(run.events)
    row = rows_of(drivers.driver_id, run.driver_id)
    logged_m = np.append(drivers.driven_m, 0)[np.where(row == NO_INDEX, -1, row)]
    wrong = np.flatnonzero(logged_m != run.driven_m)
    if len(wrong):
        first = wrong[0]
        raise InvariantError(
            f"driver_id {run.driver_id[first]} drove {run.driven_m[first]} m by its odometer, "
            f"{logged_m[first]} m by the log; drivers like it: {len(wrong)}"
        )


def _in_words(fare: FareRule) -> str:
    return (
        f"fare = max({fare.minimum_cents / 100:.2f}, {fare.base_cents / 100:.2f} + "
        f"{fare.per_km_cents / 100:.2f} per km + {fare.per_minute_cents / 100:.2f} per minute)"
    )


def summary(record: RunRecord) -> dict[str, Any]:
    """Give the record as plain values: everything in ``meta``, and ``kpis`` by name."""
    return {**record.meta, "kpis": dict(record.kpis)}
