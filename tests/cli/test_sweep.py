import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from cli.said import assert_one_line
from sim.tiny_sweeps import TINY, without_times

VARY = ("--vary", "drivers=8:12:4", "--vary", "policy=nearest,batch")


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenarios") / "tiny.toml"
    path.write_text(TINY.to_toml())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sweeps") / "runs"


def test_a_sweep_its_table_its_files_and_its_report(dispatch, scenario, folder, tmp_path):
    report = tmp_path / "sweep.html"
    command = ("sweep", scenario, *VARY, "--seeds", 2, "--out", folder, "--report", report)
    status, out, err = dispatch(*command)
    assert (status, err) == (0, "")
    assert "tiny: means over 2 seeds" in out
    assert "paired differences to drivers 8 · policy nearest" in out
    assert "Differences are paired" in " ".join(out.split())
    assert report.read_text().lower().startswith("<!doctype html>")
    rows = pq.read_table(folder / "runs.parquet").to_pylist()
    assert [(row["drivers"], row["policy"], row["seed"]) for row in rows] == [
        (drivers, policy, seed) for drivers in (8, 12) for policy in ("batch", "nearest") for seed in (1, 2)
    ]
    meta = json.loads((folder / "sweep.json").read_text())
    assert meta["varied"] == {"drivers": [8, 12], "policy": ["nearest", "batch"]}
    # All is there: nothing is run again, and another baseline changes no file of runs.
    before = (folder / "runs.parquet").stat().st_mtime_ns
    status, out, _ = dispatch(*command[:-2], "--baseline", "policy=batch,drivers=12")
    assert status == 0
    assert "paired differences to drivers 12 · policy batch" in out
    assert (folder / "runs.parquet").stat().st_mtime_ns == before


def test_one_seed_makes_no_claims(dispatch, scenario, folder):
    status, out, _ = dispatch("sweep", scenario, *VARY, "--seeds", 1, "--out", folder)
    assert status == 0
    assert "One seed (1): there are no intervals" in " ".join(out.split())
    assert "±" not in out


def test_another_scenario_does_not_go_into_the_same_folder(dispatch, scenario, folder, tmp_path):
    changed = tmp_path / "changed.toml"
    changed.write_text(TINY.with_value("orders", 61).to_toml())
    said = dispatch("sweep", changed, *VARY, "--out", folder)
    assert_one_line(
        said, f"{folder}: its runs are of the scenario tiny as it was: day.orders was 60, is 61; "
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--vary", "drivrs=3"], "drivrs is no key of a scenario: did you mean drivers?"),
        (["--vary", "drivers"], "--vary is 'drivers': it must be KEY=VALUE"),
        (
            ["--vary", "drivers=1:2:3:4"],
            "--vary gives drivers=1:2:3:4: day.drivers is ",
        ),
        (["--seeds", "0"], "--seeds is 0"),
        (["--jobs", "0"], "--jobs is 0"),
        (["--confidence", "95"], "--confidence is 95.0"),
        (
            ["--vary", "drivers=3,4", "--baseline", "drivers=5"],
            "--baseline is 'drivers=5': ",
        ),
        (["--vary", "drivers=from-data"], "tiny with drivers=from-data: "),
    ],
)
def test_what_is_wrong_is_told_before_any_work(dispatch, scenario, tmp_path, options, message):
    assert_one_line(dispatch("sweep", scenario, "--out", tmp_path / "runs", *options), message)


def test_help_has_an_example(dispatch):
    status, out, _ = dispatch("sweep", "--help")
    assert status == 0
    assert "Example" in out
    for option in ("--vary", "--seeds", "--jobs", "--out", "--baseline", "--report"):
        assert option in out


def num_alive(group):
    """Count the processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    states = [line.split() for line in listed.splitlines()]
    return sum(int(pgid) == group and not state.startswith("Z") for pgid, state in states)


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(dispatch, tmp_path):
    # Many windows: the runs take seconds together, so that the first ends well before the last.
    scenario = tmp_path / "tiny.toml"
    scenario.write_text(TINY.with_value("window_s", 15.0).to_toml())
    folder, whole = tmp_path / "runs", tmp_path / "whole"
    options = ["--vary", "policy=nearest,batch", "--seeds", "4"]
    command = [sys.executable, "-m", "cli.start", "sweep", str(scenario), *options, "--jobs", "2", "--out"]
    paths = os.pathsep.join(path for path in sys.path if path)
    process = subprocess.Popen(
        [*command, str(folder)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (folder / "runs.parquet").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # As a terminal does it: to the command and to the processes that it has started.
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    num_kept = pq.read_table(folder / "runs.parquet").num_rows
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert 1 <= num_kept < 8
    assert f"stopped: {num_kept} of 8 runs are in {folder}" in err
    assert "means over 4 seeds" in out
    while num_alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert num_alive(process.pid) == 0
    kept = {row["run_id"]: row for row in pq.read_table(folder / "runs.parquet").to_pylist()}
    for place in (folder, whole):
        assert dispatch("sweep", scenario, *options, "--out", place)[0] == 0
    resumed, never_stopped = (pq.read_table(place / "runs.parquet") for place in (folder, whole))
    assert without_times(resumed).equals(without_times(never_stopped))
    # Times are measured anew where a run is: those kept have theirs.
    assert {row["run_id"]: row for row in resumed.to_pylist() if row["run_id"] in kept} == kept
