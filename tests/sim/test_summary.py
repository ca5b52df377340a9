import json
from dataclasses import replace

import numpy as np
import pytest

from cities import small_scenario
from dispatch.analysis.recorded import EmptyDriving
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.engine.params import FareRule
from dispatch.errors import InvariantError
from dispatch.sim.runner import run
from dispatch.sim.summary import run_record, summary

META = {
    "city",
    "date",
    "policy",
    "seed",
    "orders",
    "orders_outside",
    "drivers",
    "fare_rule",
    "wall_s",
    "compile_s",
    "event_log_sha256",
}
KPIS = {
    "completion_share",
    "response_p50_s",
    "response_p90_s",
    "response_p99_s",
    "golden5_share",
    "golden10_share",
    "wait_mean_s",
    "wait_p90_s",
    "pickup_eta_mae_s",
    "empty_km_share",
    "utilisation_share",
    "driver_income_gini",
}


def test_the_summary_holds_everything_and_survives_json():
    finished = run(small_scenario(seed=3, orders_outside=4, date="2023-11-14"))
    record = run_record(finished, prepare_s=1.23456, compile_s=0.5)
    told = json.loads(json.dumps(summary(record), allow_nan=False))
    assert told.keys() >= META
    assert told["kpis"].keys() >= KPIS
    assert (told["city"], told["date"], told["policy"], told["seed"]) == (
        "Gridville",
        "2023-11-14",
        "batch",
        3,
    )
    assert (told["orders"], told["orders_outside"], told["drivers"]) == (60, 4, 8)
    assert (told["prepare_s"], told["compile_s"], told["partial"]) == (1.235, 0.5, False)
    assert told["wall_s"] >= 1.234 + told["run_s"]
    assert told["event_log_sha256"] == log_sha256(finished.events)
    assert "recorded_empty_km_share" not in told


def test_what_this_stage_cannot_measure_is_null():
    told = summary(run_record(run(small_scenario()), 1.0, 1.0))["kpis"]
    assert told["pickup_eta_mae_s"] is None
    cancels = [name for name in told if "cancel" in name]
    assert len(cancels) == 5
    assert all(told[name] is None for name in cancels), "nobody can cancel: 0 would be no measurement"
    measured = KPIS - {"pickup_eta_mae_s"}
    assert all(isinstance(told[name], float) for name in measured)
    assert told["golden10_of_submitted_share"] <= told["golden10_share"]


def test_a_day_in_which_nobody_is_served_measures_nothing_of_rides():
    idle = small_scenario(5, 1, params=replace(small_scenario().params, max_pickup_s=1.0, max_wait_s=60.0))
    told = summary(run_record(run(idle), 1.0, 1.0))["kpis"]
    assert told["completion_share"] == 0.0
    assert [told[name] for name in ("wait_mean_s", "golden10_share", "empty_km_share")] == [None] * 3


def test_what_really_happened_is_told_where_it_is_known():
    recorded = EmptyDriving(0.4, 40.0, 100.0, 7)
    record = run_record(run(small_scenario(recorded=recorded)), 1.0, 1.0)
    assert summary(record)["recorded_empty_km_share"] == 0.4


def test_a_partial_run_is_marked_and_its_log_need_not_be_complete():
    record = run_record(run(small_scenario(), should_stop=lambda: True), 1.0, 1.0)
    assert record.partial
    assert summary(record)["partial"] is True


def test_a_log_that_breaks_an_invariant_gives_no_record():
    finished = run(small_scenario())
    broken = replace(finished, events=finished.events[:-20])
    with pytest.raises(InvariantError):
        run_record(broken, 1.0, 1.0)


def test_the_fare_rule_and_how_people_behave_are_told():
    fare = FareRule(base_cents=350, per_km_cents=170, per_minute_cents=30, minimum_cents=500)
    told = summary(run_record(run(small_scenario(fare=fare, notes=("First.",))), 1.0, 1.0))
    assert told["fare_rule"] == "fare = max(5.00, 3.50 + 1.70 per km + 0.30 per minute)"
    first, behaviour, income = told["notes"]
    assert first == "First."
    assert "accept every offer and nobody cancels" in behaviour
    assert told["fare_rule"] in income


def test_an_order_that_never_reached_the_log_gives_no_record():
    finished = run(small_scenario())
    lost = replace(finished, events=finished.events[finished.events["order_id"] != 7])
    with pytest.raises(InvariantError, match="the log has 59 orders submitted, the run 60"):
        run_record(lost, 1.0, 1.0)


def test_metres_that_the_odometer_does_not_know_give_no_record():
    finished = run(small_scenario())
    events = finished.events.copy()
    leg = np.flatnonzero(events["kind"] == K.DROPPED_OFF)[3]
    events["leg_m"][leg] -= 1
    driver_id = events["driver_id"][leg]
    with pytest.raises(InvariantError, match=f"driver_id {driver_id} drove .*; drivers like it: 1"):
        run_record(replace(finished, events=events), 1.0, 1.0)


def test_a_driver_of_whom_the_log_knows_nothing_has_driven_nothing():
    finished = run(small_scenario())
    more = {"driver_id": np.append(finished.driver_id, 10**6)}
    run_record(replace(finished, **more, driven_m=np.append(finished.driven_m, 0)), 1.0, 1.0)
    with pytest.raises(InvariantError, match="driver_id 1000000 drove 5 m by its odometer, 0 m by the log"):
        run_record(replace(finished, **more, driven_m=np.append(finished.driven_m, 5)), 1.0, 1.0)
