"""The command as a user types it."""

import json
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from cities import grid_city, write_city, write_csv
from dispatch import cli
from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpi_list import KPIS
from dispatch.engine.events import log_sha256, read_log
from dispatch.sim import runner
from dispatch.units import MS_PER_DAY
from sim.test_recorded_day import FIRST_MS, columns_of, pings_of, trips_on


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A folder with two days of trips in the hour after one, and with pings of the first."""
    folder = write_city(tmp_path_factory.mktemp("cities") / "gridville", grid_city())
    write_csv(folder / "trips.csv", columns_of(trips_on(0), trips_on(1, 30)))
    pq.write_table(pa.table(pings_of()), folder / "pings.parquet")
    return folder


@pytest.fixture
def dispatch(monkeypatch, capsys):
    """Runs the command in this process; gives its exit status, output and complaints."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["dispatch", *(str(argument) for argument in arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        said = capsys.readouterr()
        return left.value.code or 0, said.out, said.err

    return call


def test_a_recorded_day_with_all_its_files(dispatch, city, tmp_path):
    files = {name: tmp_path / name for name in ("events.parquet", "kpis.json", "day.html")}
    status, out, err = dispatch(
        "simulate", city, "--date", "2024-03-04", "--drivers", 6, "--seed", 5, "--window", 15,
        "--events", files["events.parquet"], "--json", files["kpis.json"], "--report", files["day.html"],
    )  # fmt: skip
    assert (status, err) == (0, "")
    told = json.loads(files["kpis.json"].read_text())
    assert (told["city"], told["date"], told["policy"], told["seed"]) == (
        "gridville",
        "2024-03-04",
        "batch",
        5,
    )
    assert (told["orders"], told["orders_outside"], told["drivers"]) == (40, 0, 6)
    assert (told["window_s"], told["max_pickup_s"], told["partial"]) == (15.0, 1200.0, False)
    assert told["wall_s"] > 0
    assert told["compile_s"] > 0
    events = read_log(files["events.parquet"])
    assert log_sha256(events) == told["event_log_sha256"]
    report = check_invariants(events)
    assert told["kpis"]["completion_share"] == report.num_closed / 40
    assert files["day.html"].read_text().lower().startswith("<!doctype html>")
    assert "gridville · 2024-03-04 · 40 orders · 6 drivers · seed 5" in out
    assert all(kpi.label in out for kpi in KPIS)
    assert "What really happened: the same taxis drove 100.0% of their kilometres empty." in out
    assert f"report: {files['day.html']}" in out.replace("\n", "")


def test_the_built_in_city_needs_no_data(dispatch, tmp_path):
    json_file = tmp_path / "kpis.json"
    status, out, err = dispatch(
        "simulate", "--orders", 300, "--drivers", 40, "--window", 60, "--json", json_file
    )
    assert (status, err) == (0, "")
    told = json.loads(json_file.read_text())
    assert (told["orders"], told["drivers"], told["date"], told["seed"]) == (300, 40, None, 1)
    assert told["kpis"]["pickup_eta_mae_s"] is None
    assert set(told["kpis"]) == {kpi.name for kpi in KPIS}
    assert "one day · 300 orders · 40 drivers" in out


def test_the_same_seed_twice_and_another(dispatch, city, tmp_path):
    hashes = []
    for run, seed in enumerate((1, 1, 2)):
        json_file = tmp_path / f"{run}.json"
        assert dispatch("simulate", city, "--drivers", 4, "--seed", seed, "--json", json_file)[0] == 0
        hashes.append(json.loads(json_file.read_text())["event_log_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_recorded_drivers_are_the_default_of_a_folder(dispatch, city, tmp_path):
    json_file = tmp_path / "kpis.json"
    assert dispatch("simulate", city, "--policy", "nearest", "--json", json_file)[0] == 0
    told = json.loads(json_file.read_text())
    assert (told["policy"], told["drivers"], told["date"]) == ("nearest", 5, "2024-03-04")
    assert told["recorded_empty_km_share"] == 1.0


def test_shifts_of_some_hours(dispatch, city, tmp_path):
    json_file = tmp_path / "kpis.json"
    assert dispatch("simulate", city, "--drivers", 4, "--shift-hours", 3, "--json", json_file)[0] == 0
    assert json.loads(json_file.read_text())["shifts"] >= 4


def test_policies_side_by_side(dispatch, city, tmp_path):
    json_file, report = tmp_path / "kpis.json", tmp_path / "both.html"
    status, out, _ = dispatch(
        "compare",
        city,
        "--policies",
        "nearest, batch",
        "--drivers",
        3,
        "--json",
        json_file,
        "--report",
        report,
    )
    assert status == 0
    told = json.loads(json_file.read_text())
    assert [one["policy"] for one in told] == ["nearest", "batch"]
    assert told[0]["orders"] == told[1]["orders"] == 40
    header = next(line for line in out.splitlines() if "nearest" in line)
    assert header.index("nearest") < header.index("batch")
    assert report.is_file()


def test_rows_left_out_are_told(dispatch, city, tmp_path):
    folder = write_city(tmp_path / "broken", grid_city())
    columns = columns_of(trips_on(0))
    columns["duration_s"][4] = -7
    write_csv(folder / "trips.csv", columns)
    with (folder / "edges.csv").open("a") as file:
        file.write("0,9999,100,30\n1,2,-5,30\n")
    status, _, err = dispatch("simulate", folder, "--drivers", 3)
    assert status == 0
    lines = err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("left out 1 ") for line in lines)


def test_kernels_are_compiled_ahead(dispatch):
    status, out, err = dispatch("warm-up")
    assert (status, err) == (0, "")
    assert out.endswith(" s for all kernels\n")


@pytest.mark.parametrize("command", ["simulate", "compare"])
def test_help_has_examples_and_says_what_each_option_is(dispatch, command):
    status, out, _ = dispatch(command, "--help")
    assert status == 0
    assert "Example" in out
    for option in ("--date", "--drivers", "--window", "--max-pickup", "--seed", "--json", "--report"):
        assert option in out


def test_without_a_command_it_helps(dispatch):
    _, out, err = dispatch()
    assert all(command in out + err for command in ("simulate", "compare", "warm-up"))


WRONG_OPTIONS = [
    (["--window", "0"], "--window is 0.0: it must be a number from 0.1 to 3600 seconds"),
    (["--window", "nan"], "--window is nan: it must be a number"),
    (["--max-pickup", "0"], "--max-pickup is 0.0: it must be a number from 1 to"),
    (["--policy", "best"], "--policy names 'best': a policy is one of batch, nearest"),
    (["--seed", "-1"], "--seed is -1: it must be a"),
    (["--drivers", "0"], "--drivers is 0: it must be a number from 1 to 1e+06"),
    (["--drivers", "many"], "--drivers is 'many': it must be a whole number or from-data"),
    (
        ["--shift-hours", "0", "--drivers", "3"],
        "--shift-hours is 0.0: it must be a number from 0.1 to 24 hours",
    ),
    (["--shift-hours", "25", "--drivers", "3"], "--shift-hours is 25.0"),
    (["--json", "/no/such/folder/day.json"], "--json is /no/such/folder/day.json: its folder does not exist"),
    (["--events", "/no/such/folder/log"], "--events is /no/such/folder/log: its folder does not exist"),
    (["--report", "."], "--report is .: that is a folder, name a file"),
    (["--date", "31.5.2008"], "--date is '31.5.2008': it must be a day of the calendar as YYYY-MM-DD"),
]
WRONG_FOR_FOLDERS = [
    (["--date", "2007-01-01"], "--date is 2007-01-01: gridville has trips from 2024-03-04 to"),
    (["--orders", "9"], "--orders is 9: the orders of"),
    (["--drivers", "from-data", "--shift-hours", "8"], "--shift-hours goes with made-up drivers"),
]
WRONG_BUILT_IN = [
    (["--orders", "0"], "--orders is 0: it must be a number from 1 to 1e+07"),
    (
        ["--drivers", "from-data"],
        "--drivers is from-data: the built-in city has no recorded taxis, give a number",
    ),
    (["--date", "2024-03-04"], "--date is 2024-03-04: the built-in city has one day without a date"),
]


def assert_one_line(said, message):
    status, out, err = said
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {message}")
    assert err.endswith("\n")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS + WRONG_FOR_FOLDERS)
def test_a_wrong_option_is_told_in_one_line_that_names_it(dispatch, city, options, message):
    assert_one_line(dispatch("simulate", city, *options), message)


@pytest.mark.parametrize(("options", "message"), WRONG_BUILT_IN)
def test_a_wrong_option_of_the_built_in_city(dispatch, options, message):
    assert_one_line(dispatch("simulate", *options), message)


def test_a_report_that_nothing_could_draw_is_refused_before_any_work(dispatch, city, monkeypatch, tmp_path):
    monkeypatch.setattr("dispatch.cli.find_spec", lambda name: None)
    said = dispatch("simulate", city, "--report", tmp_path / "day.html")
    assert_one_line(said, '--report needs plotly: pip install "dispatch-engine[report]"')


def test_a_wrong_policy_to_compare(dispatch, city):
    said = dispatch("compare", city, "--policies", "nearest,best")
    assert_one_line(said, "--policies names 'best': a policy is one of batch, nearest")
    assert_one_line(dispatch("compare", city, "--policies", ""), "--policies names ''")
    said = dispatch("compare", city, "--policies", "batch,batch")
    assert_one_line(said, "--policies is batch,batch: name each policy once")
    assert_one_line(dispatch("compare", city, "--json", city), f"--json is {city}: that is a folder")


@pytest.mark.parametrize("options", [["--window", "soon"], ["--orders", "1.5"], ["--seed", "x"], ["--fast"]])
def test_what_is_no_number_or_no_option_is_named(dispatch, options):
    status, out, err = dispatch("simulate", *options)
    assert (status, out) == (2, "")
    assert options[0] in err
    assert "Traceback" not in err


def test_a_folder_that_is_no_city(dispatch, tmp_path):
    missing = tmp_path / "nowhere"
    assert_one_line(
        dispatch("simulate", missing), f"{missing}: no such folder; a city is a folder with nodes"
    )
    (tmp_path / "notes.txt").write_text("hello")
    no_city = f"{tmp_path}: no city, nodes and edges missing; looked for nodes.parquet or nodes.csv and"
    assert_one_line(dispatch("simulate", tmp_path), no_city)


@pytest.mark.parametrize("name", ["nodes", "edges", "trips", "pings"])
def test_a_truncated_parquet_file(dispatch, city, tmp_path, name):
    folder = write_city(tmp_path / "cut", grid_city())
    write_csv(folder / "trips.csv", columns_of(trips_on(0)))
    pq.write_table(pa.table(pings_of()), folder / f"{name}.parquet")
    path = folder / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:-25])
    assert_one_line(dispatch("simulate", folder), f"{path}: no readable Parquet file, perhaps truncated")


def test_an_empty_fleet(dispatch, tmp_path):
    folder = write_city(tmp_path / "parked", grid_city())
    write_csv(folder / "trips.csv", columns_of(trips_on(0)))
    pq.write_table(pa.table(pings_of(occupied=True)), folder / "pings.parquet")
    assert_one_line(dispatch("simulate", folder), "the fleet is empty: no driver is on duty on that day")


def test_a_city_without_trips(dispatch, tmp_path):
    folder = write_city(tmp_path / "empty", grid_city())
    assert_one_line(dispatch("simulate", folder), "empty has no recorded trips: put trips.parquet or")


def test_bars_show_simulated_time_and_rate_on_a_terminal(dispatch, city, monkeypatch, tmp_path):
    screen = (tmp_path / "screen").open("w+", encoding="utf-8")
    monkeypatch.setattr(cli, "err", Console(file=screen, force_terminal=True, width=120))
    assert dispatch("simulate", city, "--drivers", 4)[0] == 0
    screen.seek(0)
    shown = screen.read()
    screen.close()
    for part in ("kernels (compiled once", "travel times", "batch", "× real time", "Mon "):
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
