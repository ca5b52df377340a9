import json

import numpy as np
import pytest

from analysis.eta_tests import CITY, LEVELS, eta_test
from dispatch.analysis import eta_charts
from dispatch.analysis.eta_evaluation import MODEL, evaluate_eta

FOUND = evaluate_eta(eta_test(), CITY)


def test_figures_are_plain_values():
    for figure in (
        eta_charts.calibration(FOUND),
        eta_charts.calibration_gaps(FOUND),
        eta_charts.shares_between_chart(FOUND),
        eta_charts.coverage_by_hour(FOUND),
        eta_charts.interval_by(FOUND, "distance", "km"),
        eta_charts.gains({"a": 1.0}),
    ):
        json.dumps(figure, allow_nan=False)


def test_calibration_shows_all_trips_and_every_band():
    straight, own, other, *bands = eta_charts.calibration(FOUND)["data"]
    assert straight["y"] == [0, 100]
    assert own["x"] == [10, 50, 80, 90]
    assert own["y"] == pytest.approx([100 * one for one in FOUND.quantiles[MODEL].coverage], abs=0.001)
    assert other["name"] == "one ratio"
    assert len(bands) == 6
    gaps = eta_charts.calibration_gaps(FOUND)["data"]
    assert [trace["name"] for trace in gaps] == ["all trips", *(band["name"] for band in bands)]
    for trace, shown in zip(gaps, [own, *bands], strict=True):
        assert trace["y"] == pytest.approx(np.array(shown["y"]) - 100 * np.array(LEVELS), abs=0.01)


def test_errors_are_lines_of_all_predictors():
    figure = eta_charts.error_by(FOUND, "hour", "hour", "seconds", lambda one: one.mae_s)
    assert [trace["name"] for trace in figure["data"]] == list(FOUND.errors)
    assert figure["data"][0]["y"][5] == pytest.approx(FOUND.groups["hour"][5].errors[MODEL].mae_s, abs=0.001)
    assert figure["data"][0]["x"][5] == "05:00"
    looks = [eta_charts.predictor_look(name, FOUND) for name in FOUND.errors]
    assert len(set(looks)) == 4


def test_groups_of_few_trips_are_not_drawn():
    few = evaluate_eta(eta_test(300), CITY)
    shown = eta_charts.error_by(few, "hour", "hour", "seconds", lambda one: one.mae_s)["data"][0]["x"]
    assert 0 <= len(shown) < 24
    assert set(shown) == {group.label for group in few.groups["hour"] if group.num >= 20}
    labels = eta_charts.interval_by(FOUND, "distance", "km")["data"][0]["x"]
    assert labels[:2] == ["under 1", "1–2"]


def test_true_quantiles_give_even_shares():
    found = evaluate_eta(eta_test(60_000), CITY)
    assert eta_charts.shares_between_chart(found)["data"][0]["y"] == pytest.approx([1] * 5, abs=0.06)
    assert eta_charts.shares_between_chart(found)["data"][0]["x"] == [
        "below P10", "P10–P50", "P50–P80", "P80–P90", "above P90",
    ]  # fmt: skip


def test_coverage_by_hour():
    traces = eta_charts.coverage_by_hour(FOUND)["data"]
    assert [trace["name"] for trace in traces] == ["P10", "P50", "P80", "P90"]
    assert traces[2]["y"][7] == pytest.approx(100 * FOUND.groups["hour"][7].quantiles.coverage[2], abs=0.001)


def test_gains_are_ranked_and_names_are_safe():
    bars = eta_charts.gains({"<b>x": 1.0, "all of streets": 3.0, "y": 3.0})["data"][0]
    assert bars["y"] == ["&lt;b&gt;x", "y", "all of streets"]
    assert bars["x"] == [25, 75, 75]
    colours = bars["marker"]["color"]
    assert colours[0] == colours[1] != colours[2]
    many = eta_charts.gains({f"f{n}": float(n) for n in range(99)})["data"][0]
    assert len(many["y"]) == eta_charts.MAX_FEATURES
    assert many["y"][-1] == "f98"
