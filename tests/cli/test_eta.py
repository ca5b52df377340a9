import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from cities import grid_city, random_trips, write_city, write_csv
from cli.said import assert_one_line
from sim.test_recorded_day import DAY_MS, FIRST_MS, columns_of

GRID = grid_city()
START_MS = FIRST_MS - 3_600_000
"""Local midnight: the city lies in Germany."""


def trips_of(num_days, num_trips=300):
    """Trips over whole days, which take 1.5 times the free flow, give or take a fifth."""
    trips = random_trips(GRID, num_days * num_trips, 5, START_MS, num_days * DAY_MS // 1000)
    free_s = GRID.free_flow().pairs_ms(trips.pickup_node, trips.dropoff_node) / 1000
    luck = np.exp(0.2 * np.random.default_rng(6).standard_normal(len(free_s)))
    return replace(trips, duration_s=np.maximum(np.rint(1.5 * free_s * luck), 1).astype(np.int32))


@pytest.fixture(scope="module")
def city(tmp_path_factory):
    """A folder with four days of trips, and without pings."""
    folder = write_city(tmp_path_factory.mktemp("cities") / "gridville", GRID)
    write_csv(folder / "trips.csv", columns_of(trips_of(4)))
    return folder


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    """A folder with streets alone."""
    return write_city(tmp_path_factory.mktemp("cities") / "gridville", GRID)


@pytest.fixture(scope="module")
def model(city, tmp_path_factory):
    """A model learnt on three of the days."""
    from dispatch.eta.boosting import BoostingParams
    from dispatch.eta.training import EtaParams, train_eta
    from dispatch.roads.city import City

    path = tmp_path_factory.mktemp("models") / "grid.npz"
    quick = BoostingParams(trees=8, leaves=4, min_leaf=20)
    loaded = City.load(city)
    params = EtaParams(median=quick, quantiles=quick, folds=3)
    train_eta(loaded, loaded.trips, before_ms=START_MS + 3 * DAY_MS, params=params).save(path)
    return path


def test_a_model_is_trained_and_says_of_what(dispatch, city, tmp_path, monkeypatch):
    import dispatch.eta.training as training

    asked = {}

    def quick(city, trips, pings, *, before_ms, params, on_progress):
        asked.update(before_ms=before_ms, seed=params.seed, trips=len(trips), pings=pings)
        on_progress("growing trees", 1, 2)
        return training.EtaModel.free_flow(city)

    monkeypatch.setattr(training, "train_eta", quick)
    status, out, err = dispatch(
        "eta", "train", city, "--before", "2024-03-07", "--out", tmp_path / "grid.npz", "--seed", 7
    )
    assert (status, err) == (0, "")
    assert asked == {"before_ms": START_MS + 3 * DAY_MS, "seed": 7, "trips": 1200, "pings": None}
    assert (tmp_path / "grid.npz").is_file()
    assert f"model: {tmp_path / 'grid.npz'}" in out


def test_without_trips_it_says_that_it_is_free_flow(dispatch, streets, tmp_path):
    status, out, _ = dispatch("eta", "train", streets, "--out", tmp_path / "free.npz")
    assert status == 0
    assert "the model is no learnt one but free flow: no data" in " ".join(out.split())


def test_trips_are_predicted_measured_and_handed_out(dispatch, city, model, tmp_path):
    files = {name: tmp_path / name for name in ("eta.html", "eta.json", "trips.parquet")}
    status, out, err = dispatch(
        "eta", "evaluate", city, model, "--from", "2024-03-07", "--report", files["eta.html"],
        "--json", files["eta.json"], "--export", files["trips.parquet"],
    )  # fmt: skip
    assert (status, err) == (0, "")
    told = json.loads(files["eta.json"].read_text())
    assert told["days"] == ["2024-03-07"]
    assert told["num"] == pq.read_table(files["trips.parquet"]).num_rows > 200
    assert set(told["errors"]) == {"model", "free flow", "free flow × ratio"}
    assert told["errors"]["model"]["mae_s"] < told["errors"]["free flow"]["mae_s"]
    assert told["training"]["kind"] == "learnt"
    assert told["notes"] == []
    words = " ".join(out.split())
    assert f"gridville · 2024-03-07 · {told['num']} trips" in words
    for name in ("this model", "free flow", "all trips", "08–12 h", "P80"):
        assert name in words
    assert "Test of predicted durations" in files["eta.html"].read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_days_that_were_trained_on_are_told(dispatch, city, model, tmp_path):
    file = tmp_path / "eta.json"
    assert dispatch("eta", "evaluate", city, model, "--to", "2024-03-04", "--json", file)[0] == 0
    told = json.loads(file.read_text())
    assert told["days"] == ["2024-03-04"]
    assert told["notes"][0].startswith("The model may have seen these trips")
    assert set(told["errors"]) == {"model", "free flow"}, "no earlier trips tell a ratio"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "soon"], "--from is 'soon': it must be a day such as 2008-05-31"),
        (["--to", "2024-02-30"], "--to is '2024-02-30'"),
        (["--from", "2024-03-06", "--to", "2024-03-05"], "--to is 2024-03-05: it must not be before --from"),
        (["--from", "2025-01-01", "--to", "2025-01-02"], "--from is 2025-01-01: trips were recorded from"),
        (["--trips", "none.csv"], "--trips is none.csv: no such file"),
        (["--pings", "none.parquet"], "--pings is none.parquet: no such file"),
        (["--json", "eta.xlsx"], "--json is eta.xlsx: cannot tell the format by its ending"),
        (["--report", "no/such/folder.html"], "--report is no/such/folder.html: its folder does not exist"),
    ],
)
def test_what_is_wrong_with_a_test_is_told(dispatch, city, model, options, message):
    assert_one_line(dispatch("eta", "evaluate", city, model, *options), message)


def test_a_test_needs_trips_and_a_model_of_the_city(dispatch, city, streets, model, tmp_path):
    assert_one_line(dispatch("eta", "evaluate", streets, model), "gridville has no recorded trips")
    assert_one_line(
        dispatch("eta", "evaluate", city, tmp_path / "none.npz"), f"{tmp_path}/none.npz: no such file"
    )
    (tmp_path / "other.npz").write_text("no model")
    message = f"{tmp_path}/other.npz: no readable model of ETAs"
    assert_one_line(dispatch("eta", "evaluate", city, tmp_path / "other.npz"), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--before", "31.5.2008"], "--before is '31.5.2008': it must be a day"),
        (["--before", "2024-03-05"], "trips holds 27"),
        (["--seed", "-1"], "--seed is -1"),
    ],
)
def test_what_is_wrong_with_a_training_is_told(dispatch, city, options, message, tmp_path):
    assert_one_line(dispatch("eta", "train", city, "--out", tmp_path / "grid.npz", *options), message)
    assert list(tmp_path.iterdir()) == []


def test_help_has_examples(dispatch):
    for command in ("train", "evaluate"):
        _, out, _ = dispatch("eta", command, "--help")
        assert f"dispatch eta {command} sf" in " ".join(out.split())
