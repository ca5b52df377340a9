import datetime
import json
from dataclasses import replace

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from analysis.eta_tests import CITY, LEVELS, eta_test
from dispatch.analysis.eta_evaluation import (
    MODEL,
    CoverageCheck,
    evaluate_eta,
    level_name,
    point_predictors,
    write_json,
    write_rows,
)
from dispatch.analysis.eta_groups import GROUPINGS
from dispatch.errors import InputError
from dispatch.roads.zones import grid_zones

TEST = eta_test(8000)
FOUND = evaluate_eta(TEST, CITY)


def test_all_predictors_are_measured_on_the_same_trips():
    assert list(FOUND.errors) == [MODEL, "free flow", "linear in distance", "one ratio"]
    assert {one.num for one in FOUND.errors.values()} == {len(TEST)}
    # Of one that gives quantiles only, the median counts.
    assert FOUND.errors["one ratio"].mae_s == pytest.approx(
        np.abs(TEST.actual_s - TEST.others_quantile_s["one ratio"][:, 1]).mean()
    )
    assert list(FOUND.quantiles) == [MODEL, "one ratio"]
    assert list(point_predictors(replace(TEST, others_quantile_s={}))) == list(FOUND.errors)[:3]


def test_differences_have_intervals_that_tell_better_from_worse():
    more = FOUND.mae_more_s["free flow"]
    assert more.mean == pytest.approx(FOUND.errors["free flow"].mae_s - FOUND.errors[MODEL].mae_s)
    assert more.low < more.mean < more.high
    assert more.excludes_zero
    loss = FOUND.pinball_more_s["one ratio"]
    assert loss.mean == pytest.approx(
        FOUND.quantiles["one ratio"].mean_pinball_s - FOUND.quantiles[MODEL].mean_pinball_s
    )
    same = evaluate_eta(replace(TEST, others={"twin": TEST.predicted_s}), CITY)
    assert same.mae_more_s["twin"] == (0, 0, 0)


def test_true_quantiles_pass_and_narrow_ones_are_flagged():
    assert [one.where for one in FOUND.checks[::4]] == ["all trips"] + [
        f"{h:02d}–{h + 4:02d} h" for h in range(0, 24, 4)
    ]
    assert all(one.passes for one in FOUND.checks if one.where == "all trips")
    narrow = evaluate_eta(eta_test(8000, exact=False), CITY)
    failing = {(one.where, one.level) for one in narrow.checks if not one.passes}
    assert {("all trips", 0.1), ("all trips", 0.8), ("all trips", 0.9)} <= failing
    assert ("all trips", 0.5) not in failing
    for number, level in enumerate(LEVELS):
        between = FOUND.coverage[number]
        assert between.low < FOUND.quantiles[MODEL].coverage[number] < between.high
        assert between.low < level < between.high
    assert sum(FOUND.shares_between) == pytest.approx(1)


def test_the_limit_itself_is_within_tolerance():
    assert CoverageCheck("all trips", 0.8, 0.81, 0.01, 100).passes
    assert CoverageCheck("all trips", 0.8, 0.79, 0.01, 100).passes
    assert not CoverageCheck("all trips", 0.8, 0.8101, 0.01, 100).passes


def test_days_and_blocks():
    assert FOUND.days == tuple(datetime.date(2024, 3, 4 + day) for day in range(4))
    assert FOUND.num_blocks == 24
    one_band = TEST.select(FOUND.local.day * 6 + FOUND.local.hour // 4 == 6 * 19_786 + 2)
    alone = evaluate_eta(one_band, CITY)
    assert (alone.num_blocks, alone.mae_more_s, alone.coverage) == (1, {}, (None,) * 4)


def test_zones_of_ones_own():
    zones = grid_zones(CITY, 3000)
    found = evaluate_eta(TEST, CITY, zones)
    assert found.zones is zones
    assert {group.label for group in found.groups["from_zone"]} <= set(zones.name)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(InputError, match="the test holds no trips"):
        evaluate_eta(TEST.select(np.empty(0, np.int64)), CITY)
    with pytest.raises(InputError, match="another predictor is named 'model'"):
        evaluate_eta(replace(TEST, others={MODEL: TEST.predicted_s}), CITY)


def test_json_holds_every_figure(tmp_path):
    write_json(FOUND, tmp_path / "eta.json", training={"seed": 1})
    told = json.loads((tmp_path / "eta.json").read_text())
    assert told["training"] == {"seed": 1}
    assert told["num"] == len(TEST)
    assert told["days"][0] == "2024-03-04"
    assert told["errors"]["model"]["mae_s"] == FOUND.errors[MODEL].mae_s
    assert set(told["groups"]) == set(GROUPINGS)
    assert told["groups"]["hour"][3]["label"] == "03:00"
    assert told["groups"]["hour"][3]["errors"]["free flow"]["num"] == FOUND.groups["hour"][3].num
    assert told["checks"][0]["passes"] is True
    assert told["left_out"][0]["count"] == 12
    assert told["routes"][0]["num"] >= 30
    assert len(told["coverage"]) == 4


def test_rows_as_files(tmp_path):
    for name, read in (("trips.parquet", pq.read_table), ("trips.csv", pyarrow.csv.read_csv)):
        write_rows(FOUND, tmp_path / name)
        told = read(tmp_path / name)
        assert told.num_rows == len(TEST)
        assert told.column_names == [
            "requested_at", "from_lon", "from_lat", "to_lon", "to_lat", "distance_m", "actual_s",
            "predicted_s", "p10_s", "p50_s", "p80_s", "p90_s", "free_flow_s", "linear_in_distance_s",
            "one_ratio_p10_s", "one_ratio_p50_s", "one_ratio_p80_s", "one_ratio_p90_s",
        ]  # fmt: skip
        assert told["p80_s"].to_numpy() == pytest.approx(TEST.quantile_s[:, 2])
    assert pq.read_table(tmp_path / "trips.parquet")["requested_at"].cast("int64").to_pylist() == (
        TEST.requested_at_ms.tolist()
    )
    with pytest.raises(InputError, match="cannot tell the format"):
        write_rows(FOUND, tmp_path / "trips.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trips.csv", "trips.parquet"]


def test_levels_have_names():
    assert [level_name(level) for level in (0.1, 0.975)] == ["p10", "p97.5"]
