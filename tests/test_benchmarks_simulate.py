"""The suite of simulated days: what a row says, what is wrong, what is measured without the data sets."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import harness, sim_days, sim_stages, simulate
from benchmarks.harness import Report, fails
from benchmarks.sim_days import Found
from dispatch.sim.runner import run

ROOT = Path(__file__).resolve().parent.parent


def found_day(**changes):
    facts = {"orders": 100, "submitted": 110, "served": 90, "nodes": 5, "events": 999}
    times = {"load_s": 1.0, "streets_s": 2.0, "table_s": 3.0, "demand_s": 4.0, "day_s": 5.0, "cpu_s": 4.5}
    kernel_s, calls = {"simulate.advance": 3.0, "new.one": 1.0}, {"simulate.advance": 2, "new.one": 1}
    watched = {"watched_s": 5.0, "kernel_s": kernel_s, "kernel_calls": calls}
    return Found(**facts, **times, rounds_s=[5.0], peak_mb=100.0, **watched)._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "told", "failed"),
    [
        ({"day_s": 4.0}, "", False),
        ({"day_s": 4.1}, "day_s: 4.10, at most 4.00, miss", False),
        ({"day_s": 5.1}, "day_s: 5.10, at most 4.00, miss", True),
        ({"day_s": 4.0, "watched_s": 5.5}, "outside_share: 0.273, at most 0.200, miss", True),
        ({"day_s": 4.0, "peak_mb": 130.0}, "peak_mb: 130, at most 120, miss", False),
        ({"day_s": 4.0, "wrong": "two passengers"}, "WRONG: ours: two passengers", True),
    ],
)
def test_a_day_is_held_against_its_limits(changes, told, failed):
    limits = {"day_s": 4.0, "outside_share": 0.2, "peak_mb": 120.0}
    asked = simulate.Asked("x", sim_days.Day(sim_days.ONE_HOUR, 100, 7), limits, 1.5)
    found = simulate.row_of_day(asked, found_day(**changes))
    assert harness.remark(found) == told
    assert fails(found) == failed
    assert (found["orders"], found["drivers"], found["prepare_s"]) == (100, 7, 6.0)
    assert found["fleetpy_recorded_s"] == simulate.FLEETPY_S


def test_a_day_is_told_with_its_stages_and_unknown_kernels():
    asked = simulate.Asked("x", sim_days.Day(sim_days.BUILT_IN, 100, 7), {"day_s": 4.0}, 1.5)
    rows = [(asked, simulate.row_of_day(asked, found_day()))]
    assert simulate.days_table(rows).lines == [
        ("x", "5", "100", "7", "5.00", "4.00", "1.50", "4.50", "20.0%", "1.00", "2.00", "3.00", "4.00", "100")
    ]
    stages = {line[0]: line[1:] for line in simulate.stages_table(rows).lines}
    assert stages["people"] == ("3.00", "60.0%")
    assert stages[sim_stages.OTHER] == stages[sim_stages.PYTHON] == ("1.00", "20.0%")
    assert "Other kernels: new.one." in simulate.stages_table(rows).note
    assert simulate.kernels_table(rows).lines[0] == ("simulate.advance", "people", "3.00", "2", "1,500,000")


@pytest.mark.parametrize(
    ("kernel", "stage"),
    [
        ("simulate.ask", "submission"),
        ("simulate.x", "people"),
        ("candidates.weigh", "matching"),
        ("x.y", "other kernels"),
    ],
)
def test_a_kernel_goes_before_its_module(kernel, stage):
    assert sim_stages.stage_of(kernel) == stage


def test_exponents_are_fitted_on_logarithms():
    assert simulate.exponent([1, 10, 100], [3, 3 * 10**1.5, 3 * 10**3]) == 1.5
    assert simulate.exponent([1, 2, 4], [7, 7, 7]) == 0


def test_a_run_is_judged_and_days_without_a_passenger_are_wrong():
    scenario, _ = sim_days.make(sim_days.Day(sim_days.ONE_HOUR, 50, 10, num_nodes=2_000))
    assert np.ptp(scenario.orders.requested_at_ms) < sim_days.MS_PER_HOUR
    assert len(scenario.shifts) == 10
    done = run(scenario)
    assert sim_days.judge(done) == ""
    assert sim_days.judge(replace(done, events=done.events[:0])) == "nobody was served"
    assert "no final state" in sim_days.judge(replace(done, events=done.events[:-100]))
    assert sim_days.fingerprint(done) == sim_days.fingerprint(run(scenario))
    assert sim_days.fingerprint(done) != sim_days.fingerprint(replace(done, events=done.events[1:]))


def test_a_day_is_measured_in_a_child_and_its_failure_is_told(monkeypatch):
    monkeypatch.delenv("DISPATCH_DATA", raising=False)
    with pytest.raises(
        sim_days.DayFailedError, match=r"^FileNotFoundError: DISPATCH_DATA names no folder with manhattan$"
    ):
        sim_days.find(sim_days.Day(sim_days.MANHATTAN, None, 5))


def test_a_day_that_fails_is_a_wrong_row_and_the_others_go_on(monkeypatch):
    def find(day, **_):
        if day.num_drivers == 40:
            raise sim_days.DayFailedError("two passengers")
        return found_day(orders=day.num_orders)

    monkeypatch.setattr(simulate, "find", find)
    report = Report(tiny=True, out=io.StringIO(), progress=io.StringIO())
    simulate.measure(report)
    assert [row["wrong"] for row in report.rows] == [{}, {}, {}, {"ours": "two passengers"}]
    assert report.rows[-1]["ours_ms"] is None
    assert report.exit_status == 1
    curve = report.tables[-1]
    assert [line[0] for line in curve.lines] == ["orders", "orders", "drivers"]
    assert "drivers^" not in curve.note


def test_without_the_data_sets_the_days_are_those_of_the_built_in_city(monkeypatch):
    monkeypatch.delenv("DISPATCH_DATA", raising=False)
    report = Report(out=io.StringIO(), progress=io.StringIO())
    asked = simulate.days(report)
    assert {one.day.place for one in asked} == {sim_days.BUILT_IN, sim_days.ONE_HOUR}
    assert not any(one.limits for one in asked)
    assert all(day.place == sim_days.BUILT_IN for curve in simulate.curves(report) for day in curve)


def test_the_peak_is_this_processs():
    code = (
        "import numpy; from benchmarks.process import peak_mb; before = peak_mb(); "
        "grown = numpy.ones(30_000_000); print(before, peak_mb(), grown.nbytes / 1e6)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    before, after, grown = map(float, done.stdout.split())
    assert before > 20
    assert 0.9 * grown < after - before < 1.5 * grown
