from dataclasses import replace

import pytest

from analysis.sweeps import sweep_table
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.sweep_charts import MAX_LINES, axis_key, figures, kpi_chart, lines_of

GOLDEN = KPI["golden5_share"]


def chart_of(table, kpi=GOLDEN, **more):
    along = axis_key(table)
    return kpi_chart(table, kpi, along, lines_of(table, along), **more)


def test_a_line_and_a_band_for_each_other_variant():
    table = sweep_table()
    data = chart_of(table)["data"]
    lines = [trace for trace in data if trace.get("hoverinfo") != "skip"]
    bands = [trace for trace in data if trace.get("hoverinfo") == "skip"]
    assert [trace["name"] for trace in lines] == ["nearest", "batch"]
    for line, band, rows in zip(lines, bands, ((0, 2, 4), (1, 3, 5)), strict=True):
        assert line["x"] == [300.0, 400.0, 500.0]
        found = [table.interval(row, GOLDEN.name) for row in rows]
        assert line["y"] == pytest.approx([100 * one.mean for one in found], abs=1e-5)
        assert band["x"] == [300.0, 400.0, 500.0, 500.0, 400.0, 300.0]
        ends = [one.high for one in found] + [one.low for one in reversed(found)]
        assert band["y"] == pytest.approx([100 * end for end in ends], abs=1e-5)


def test_the_number_with_the_most_values_lies_along_the_axis_in_ascending_order():
    table = sweep_table(("window_s", "drivers"), ((10.0, 30.0), (500, 300, 400)))
    assert axis_key(table) == "drivers"
    lines = lines_of(table, "drivers")
    assert [line.label for line in lines] == ["10", "30"]
    assert [table.variants[row][1] for row in lines[0].variants] == [300, 400, 500]
    more = sweep_table(("a", "policy", "b"), ((1, 2, 3), ("x", "y"), (7, 8)))
    assert [line.label for line in lines_of(more, "a")][:2] == ["policy x · b 7", "policy x · b 8"]


def test_without_a_number_variants_stand_side_by_side_with_bars():
    table = sweep_table(("policy",), (("<nearest>", "batch"),))
    (trace,) = chart_of(table)["data"]
    assert trace["x"] == ["policy &lt;nearest&gt;", "policy batch"]
    assert trace["error_y"]["array"] == pytest.approx(
        [100 * table.interval(row, GOLDEN.name).half_width for row in (0, 1)], abs=1e-5
    )


def test_one_seed_has_no_bands():
    data = chart_of(sweep_table(num_seeds=1))["data"]
    assert [trace["name"] for trace in data] == ["nearest", "batch"]
    assert all("±" not in text for trace in data for text in trace["customdata"])


def test_what_could_not_be_measured_or_was_not_run_is_no_point():
    table = sweep_table()
    assert all(trace["x"] == [] for trace in chart_of(table, KPI["pickup_eta_mae_s"])["data"])
    kept = {place: run for place, run in table.kpis.items() if place[0] != 2}
    line = next(t for t in chart_of(replace(table, kpis=kept))["data"] if t.get("name") == "nearest")
    assert line["x"] == [300.0, 500.0]


def test_units():
    titles = {
        name: chart_of(sweep_table(), KPI[name])["layout"]["yaxis"]["title"]["text"]
        for name in ("golden5_share", "wait_mean_s", "pickup_km_per_order", "driver_income_gini")
    }
    assert titles == {
        "golden5_share": "%", "wait_mean_s": "min", "pickup_km_per_order": "km", "driver_income_gini": "",
    }  # fmt: skip
    chart = chart_of(sweep_table(), KPI["driver_income_mean_cents_per_h"])
    assert chart["layout"]["yaxis"]["title"]["text"] == "per hour"


def test_targets_and_answers_are_marked():
    across, upright = chart_of(sweep_table(), target=0.9, answer=412.0)["layout"]["shapes"]
    assert (across["y0"], across["y1"]) == (90.0, 90.0)
    assert (upright["x0"], upright["x1"]) == (412.0, 412.0)


def test_lines_are_told_apart_and_not_too_many():
    table = sweep_table(("drivers", "city"), ((1, 2), tuple(f"c{i}" for i in range(40))), num_seeds=1)
    drawn, lines = figures(table, [GOLDEN], {}, None)
    assert len(lines) == MAX_LINES
    assert len({(line.colour, line.dash) for line in lines}) == MAX_LINES
    assert list(drawn) == ["chart-golden5_share"]
