from dataclasses import replace

import pytest

from analysis.sweeps import sweep_table
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.paired import mean_interval, paired_interval
from dispatch.analysis.sweep_table import MAIN_KPIS, difference_text, interval_note, size_text, value_text

TABLE = sweep_table()


def test_means_and_differences_are_those_of_the_runs():
    values = [TABLE.kpis[3, seed]["golden5_share"] for seed in TABLE.seeds]
    baseline = [TABLE.kpis[0, seed]["golden5_share"] for seed in TABLE.seeds]
    assert TABLE.interval(3, "golden5_share") == mean_interval(values)
    assert TABLE.difference(3, "golden5_share") == paired_interval(values, baseline)
    assert TABLE.difference(0, "golden5_share").mean == 0
    wide = replace(TABLE, confidence=0.99, baseline_idx=1)
    assert wide.interval(3, "golden5_share") == mean_interval(values, 0.99)
    assert wide.difference(1, "golden5_share").mean == 0


def test_pairing_gains_where_luck_is_shared():
    assert TABLE.difference(3, "golden5_share").half_width < TABLE.interval(3, "golden5_share").half_width / 3


def test_missing_runs_are_left_out_of_both_sides():
    kpis = {place: run for place, run in TABLE.kpis.items() if place not in ((0, 2), (3, 4))}
    some = replace(TABLE, kpis=kpis)
    assert (TABLE.num_missing, some.num_missing) == (0, 2)
    assert some.values(0, "golden5_share")[1] is None
    assert some.interval(0, "golden5_share").num == 3
    both = [TABLE.kpis[3, s]["golden5_share"] - TABLE.kpis[0, s]["golden5_share"] for s in (1, 3)]
    assert some.difference(3, "golden5_share") == mean_interval(both)


def test_names():
    assert TABLE.label(3) == "drivers 400 · policy batch"
    assert TABLE.names(3) == ["400", "batch"]
    assert replace(TABLE, keys=(), variants=((),)).label(0) == "made_up"
    assert replace(TABLE, keys=(), variants=((),)).names(0) == ["made_up"]
    assert [value_text(v) for v in (True, False, 3, 0.5, 2.0, "a")] == ["true", "false", "3", "0.5", "2", "a"]


def test_numbers_that_vary_can_lie_along_an_axis():
    assert TABLE.axis_keys() == ("drivers",)
    assert sweep_table(("a", "b", "c"), ((1, 2), (0.5, 1.5), (3, 3.0))).axis_keys() == ("a", "b")
    assert sweep_table(("rests",), ((True, False),)).axis_keys() == ()


def test_kpis_that_no_run_could_measure_are_left_out():
    names = {kpi.name for kpi in TABLE.measured_kpis}
    assert names == KPI.keys() - {"pickup_eta_mae_s"}
    assert set(MAIN_KPIS) <= names


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("golden5_share", 0.0124, "+1.24 pp"),
        ("golden5_share", -0.0124, "−1.24 pp"),
        ("wait_mean_s", -75.0, "−1 min 15 s"),
        ("pickup_km_per_order", 0.25, "+0.25 km"),
        ("wait_mean_s", None, "–"),
    ],
)
def test_differences_in_words(name, value, text):
    assert difference_text(KPI[name], value) == text


def test_sizes_of_what_is_not_known():
    assert size_text(KPI["golden5_share"], None) == "–"


def test_the_note_says_how_many_seeds_and_that_differences_are_paired():
    told = interval_note(TABLE)
    assert "Means over 4 seeds, with 95 % intervals" in told
    assert "paired" in told
    assert "One seed (1): there are no intervals" in interval_note(sweep_table(num_seeds=1))
