import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cities import grid_city, write_city, write_csv
from cli.said import assert_one_line
from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpi_list import KPIS
from dispatch.engine.events import log_sha256, read_log
from sim.test_recorded_day import columns_of, pings_of, trips_on


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


def test_a_page_that_plays_the_day(dispatch, city, tmp_path):
    page = tmp_path / "player.html"
    status, out, err = dispatch("simulate", city, "--drivers", 6, "--date", "2024-03-04", "--player", page)
    assert (status, err) == (0, "")
    assert f"player: {page}, " in out.replace("\n", "")
    assert "<h1>gridville · 2024-03-04 · batch</h1>" in page.read_text(encoding="utf-8")


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


@pytest.mark.parametrize("command", ["simulate", "compare"])
def test_help_has_examples_and_says_what_each_option_is(dispatch, command):
    status, out, _ = dispatch(command, "--help")
    assert status == 0
    assert "Example" in out
    for option in ("--date", "--drivers", "--window", "--max-pickup", "--seed", "--json", "--report"):
        assert option in out


def test_a_report_that_nothing_could_draw_is_refused_before_any_work(dispatch, city, monkeypatch, tmp_path):
    monkeypatch.setattr("dispatch.cli.simulate.find_spec", lambda name: None)
    said = dispatch("simulate", city, "--report", tmp_path / "day.html")
    assert_one_line(said, '--report needs plotly: pip install "dispatch-engine[report]"')


def test_a_wrong_policy_to_compare(dispatch, city):
    said = dispatch("compare", city, "--policies", "nearest,best")
    assert_one_line(said, "--policies names 'best': a policy is one of batch, nearest")
    assert_one_line(dispatch("compare", city, "--policies", ""), "--policies names ''")
    said = dispatch("compare", city, "--policies", "batch,batch")
    assert_one_line(said, "--policies is batch,batch: name each policy once")
    assert_one_line(dispatch("compare", city, "--json", city), f"--json is {city}: that is a folder")


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


def test_a_city_without_trips_gets_a_made_up_day(dispatch, tmp_path):
    folder = write_city(tmp_path / "quiet", grid_city())
    status, out, err = dispatch("simulate", folder, "--window", 120)
    assert (status, err) == (0, "")
    assert "quiet · one day · 100 orders · 5 drivers" in out
    assert "guessed from the classes and density of roads" in " ".join(out.split())
    assert "one for each 200 m of" in " ".join(out.split())
    status, out, err = dispatch("compare", folder, "--window", 120, "--orders", 30, "--drivers", 4)
    assert (status, err) == (0, "")
    assert "30 orders · 4 drivers" in out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--date", "2024-03-04"], "--date is 2024-03-04: "),
        (["--drivers", "from-data"], "--drivers is from-data: "),
        (["--orders", "0"], "--orders is 0: it must be a number from 1 to 1e+07"),
        (["--drivers", "0"], "--drivers is 0: it must be a number from 1 to 1e+06"),
    ],
)
def test_a_wrong_option_of_a_made_up_day(dispatch, tmp_path, options, message):
    assert_one_line(dispatch("simulate", write_city(tmp_path / "quiet", grid_city()), *options), message)
