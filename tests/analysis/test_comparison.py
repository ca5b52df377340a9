import re

import numpy as np
import pytest

from analysis.runs import record
from dispatch.analysis.charts import run_tables
from dispatch.analysis.comparison import (
    COMPARED,
    Change,
    change,
    comparison_table,
    hourly_difference,
    paired_hours,
)
from dispatch.analysis.groups import KpiGroups, kpis_by
from dispatch.analysis.kpi_list import KPI


@pytest.mark.parametrize(
    ("name", "before", "after", "expected"),
    [
        ("completion_share", 0.8, 0.85, Change("+5.0 points", "▲", "better")),
        ("expired_share", 0.2, 0.25, Change("+5.0 points", "▲", "worse")),
        ("wait_p50_s", 300.0, 240.0, Change("−1 min 00 s", "▼", "better")),
        ("wait_p50_s", 240.0, 300.5, Change("+1 min 00 s", "▲", "worse")),
        ("busy_share", 0.5, 0.6, Change("+10.0 points", "▲", "")),
        ("pickup_km_per_order", 1.0, 2.5, Change("+1.50 km", "▲", "worse")),
        ("wait_p50_s", 240.01, 240.02, Change("±0", "", "")),
        ("far_pickup_share", 0.02649, 0.02651, Change("+0.1 points", "▲", "worse")),
        ("wait_p50_s", None, 1.0, Change("–", "", "")),
        ("wait_p50_s", 1.0, None, Change("–", "", "")),
    ],
)
def test_a_change_has_its_size_direction_and_verdict(name, before, after, expected):
    assert change(KPI[name], before, after) == expected


def groups(values, num_orders):
    hours = np.arange(len(values))
    return KpiGroups(
        "hour", tuple(map(str, hours)), hours, np.array(num_orders), {"wait_p50_s": tuple(values)}
    )


def test_hours_are_paired_where_both_tell_enough():
    before = groups([100.0, 100.0, 100.0, None, 100.0, 100.0], [9, 9, 9, 9, 4, 9])
    after = groups([50.0, 150.0, 100.0, 50.0, 50.0], [9] * 5)
    assert paired_hours(KPI["wait_p50_s"], before, after) == (1, 1, 1)
    assert paired_hours(KPI["wait_p50_s"], groups([None], [9]), after) is None
    neutral = KpiGroups("hour", ("0",), np.array([0]), np.array([9]), {"busy_share": (0.5,)})
    assert paired_hours(KPI["busy_share"], neutral, neutral) is None


CHANGE = re.compile(r'<span class="change ([^"]*)">(?:<span aria-hidden="true">.</span> )?([^<]*)</span>')


@pytest.fixture(scope="module")
def compared():
    tables = run_tables([record(1, "a"), record(2, "b"), record(3, "c")], "UTC")
    return tables, [kpis_by(one.run.events, "hour", timezone="UTC") for one in tables]


def test_the_table_has_a_row_a_kpi_and_a_column_a_run(compared):
    html = comparison_table(*compared)
    rows = re.findall(r"<tr>.*?</tr>", html)[1:]
    tables = compared[0]
    assert len(rows) == sum(any(one.run.kpis[name] is not None for one in tables) for name in COMPARED)
    assert {row.count("<td") for row in rows} == {3}
    for row in rows:
        # Never by colour alone: what is better or worse says so, too.
        for style, words in CHANGE.findall(row):
            assert style == (words.split()[-1] if words.split()[-1] in ("better", "worse") else "")
    assert {"better", "worse"} <= set(re.findall(r'class="change (\w*)"', html))


def test_a_run_against_itself_changes_nothing(compared):
    tables, by_hour = compared
    html = comparison_table([tables[0], tables[0]], [by_hour[0], by_hour[0]])
    assert set(re.findall(r'class="change (\w*)"', html)) == {""}
    assert " 0 h worse" in html
    figure = hourly_difference([tables[0], tables[0]], [by_hour[0], by_hour[0]])
    assert set(figure["data"][0]["y"]) == {0}


def test_bars_are_the_differences_hour_by_hour(compared):
    tables, by_hour = compared
    figure = hourly_difference(tables, by_hour)
    assert [trace["name"] for trace in figure["data"]] == ["b", "c"]
    for trace, after in zip(figure["data"], by_hour[1:], strict=True):
        assert trace["x"]
        for hour, y in zip(trace["x"], trace["y"], strict=True):
            values = [
                one.value_of_kpi["wait_p50_s"][one.key.tolist().index(hour)] for one in (by_hour[0], after)
            ]
            assert y == pytest.approx((values[1] - values[0]) / 60, abs=0.006)
