import json
import signal
import subprocess
import sys

import pyarrow as pa
import pytest
from rich.console import Console

from cities import grid_city, write_city, write_csv
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import log_sha256, read_log
from dispatch.sim import runner
from dispatch.units import MS_PER_DAY
from sim.test_recorded_day import FIRST_MS, columns_of, trips_on


def test_bars_show_simulated_time_and_rate_on_a_terminal(dispatch, city, monkeypatch, tmp_path):
    screen = (tmp_path / "screen").open("w+", encoding="utf-8")
    monkeypatch.setattr("dispatch.cli.console.err", Console(file=screen, force_terminal=True, width=120))
    assert dispatch("simulate", city, "--drivers", 4)[0] == 0
    screen.seek(0)
    shown = screen.read()
    screen.close()
    for part in ("kernels (compiled once", "batch", "× real time", "Mon "):
        assert part in shown


# --- Ctrl-C --------------------------------------------------------------------------------------

TELLS_WHEN_IT_RUNS = """
import sys
import dispatch.sim.runner as runner
from dispatch.cli import main

real, windows = runner.run, 0

def run(scenario, on_progress, should_stop):
    def tell(progress):
        global windows
        windows += 1
        if windows == 1400:
            print("RUNNING", flush=True)
        on_progress(progress)
    return real(scenario, tell, should_stop)

runner.run = run
sys.argv = ["dispatch", *sys.argv[1:]]
main()
"""


def interrupted(arguments, num_signals=1):
    """Start the command, press Ctrl-C in the middle of the day; exit status, output, complaints."""
    command = [sys.executable, "-c", TELLS_WHEN_IT_RUNS, *(str(argument) for argument in arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "RUNNING\n"
    for _ in range(num_signals):
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


@pytest.fixture
def long_day(tmp_path):
    """Trips at the beginning and at the end of a day: some ten thousand windows of 6 s between them."""
    folder = write_city(tmp_path / "longday", grid_city())
    columns = columns_of(trips_on(0, 20))
    at_ms = FIRST_MS + MS_PER_DAY - 7_200_000
    columns["requested_at"][-1] = str(pa.scalar(at_ms, pa.timestamp("ms")).as_py()) + "Z"
    write_csv(folder / "trips.csv", columns)
    return folder


def test_ctrl_c_ends_cleanly_with_partial_figures_and_valid_files(long_day, tmp_path):
    files = [tmp_path / name for name in ("log.parquet", "kpis.json", "day.html")]
    options = ["--drivers", 4, "--window", 6, "--events", files[0], "--json", files[1], "--report", files[2]]
    status, out, err = interrupted(["simulate", long_day, *options])
    assert status == 130
    assert err == "interrupted: the figures cover only the part of the day that was simulated\n"
    assert "batch (partial)" in out
    told = json.loads(files[1].read_text())
    assert told["partial"] is True
    events = read_log(files[0])
    assert log_sha256(events) == told["event_log_sha256"]
    report = check_invariants(events, complete=False)
    assert 0 < report.num_orders < 20
    assert "partial" in files[2].read_text()


def test_ctrl_c_ends_a_comparison_after_the_policy_under_way(long_day, tmp_path):
    json_file = tmp_path / "kpis.json"
    status, out, _ = interrupted(["compare", long_day, "--drivers", 4, "--window", 6, "--json", json_file])
    assert status == 130
    assert "nearest (partial)" in out
    assert [one["policy"] for one in json.loads(json_file.read_text())] == ["nearest"]


def pressing_ctrl_c(monkeypatch, times):
    """Ctrl-C in this process, in the middle of a run."""
    real = runner.run

    def run(scenario, on_progress, should_stop):
        def press(progress):
            on_progress(progress)
            if progress.num_finished == 20:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        return real(scenario, press, should_stop)

    monkeypatch.setattr("dispatch.sim.runner.run", run)


def test_the_first_ctrl_c_ends_the_run_after_its_window(dispatch, city, monkeypatch, tmp_path):
    pressing_ctrl_c(monkeypatch, 1)
    json_file = tmp_path / "kpis.json"
    status, out, err = dispatch("compare", city, "--drivers", 4, "--json", json_file)
    assert (status, err) == (
        130,
        "interrupted: the figures cover only the part of the day that was simulated\n",
    )
    assert "nearest (partial)" in out
    assert [one["partial"] for one in json.loads(json_file.read_text())] == [True]


def test_a_second_ctrl_c_stops_at_once(dispatch, city, monkeypatch, tmp_path):
    pressing_ctrl_c(monkeypatch, 2)
    before, json_file = signal.getsignal(signal.SIGINT), tmp_path / "kpis.json"
    status, out, _ = dispatch("simulate", city, "--drivers", 4, "--json", json_file)
    assert (status, out) == (130, "")
    assert not json_file.exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_the_handler_of_ctrl_c_is_given_back(dispatch, city):
    before = signal.getsignal(signal.SIGINT)
    dispatch("simulate", city, "--drivers", 4)
    assert signal.getsignal(signal.SIGINT) is before
