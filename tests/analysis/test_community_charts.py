import json

import pytest

from analysis.communities import TIERS, community_day, community_days
from dispatch.analysis.community_charts import LOWEST_COLOUR, day_charts, tier_charts

DAYS = community_days()


def test_charts_show_the_numbers_of_the_days():
    charts = day_charts(DAYS)
    json.dumps(charts, allow_nan=False)
    done, undone = charts["orders"]["data"]
    assert done["x"] == list(range(1, 15))
    assert done["y"] == [day.num_completed for day in DAYS]
    assert [a + b for a, b in zip(done["y"], undone["y"], strict=True)] == [day.num_orders for day in DAYS]
    joined, left = charts["moves"]["data"]
    assert (joined["y"][0], left["y"][0], left["customdata"][0]) == (4, -3, "3")
    complained, silent = charts["complaints"]["data"]
    assert [a + b for a, b in zip(complained["y"], silent["y"], strict=True)] == [day.num_bad for day in DAYS]
    (completion,) = charts["completion"]["data"]
    assert completion["y"][0] == pytest.approx(100 * DAYS[0].num_completed / DAYS[0].num_orders)
    assert completion["customdata"][0] == "80.0 %"
    (gini,) = charts["gini"]["data"]
    assert gini["y"] == [round(day.kpis.driver_income_gini, 4) for day in DAYS]


def test_every_axis_tells_what_it_counts():
    for name, chart in {**day_charts(DAYS), **tier_charts(DAYS, TIERS)}.items():
        for axis in ("xaxis", "yaxis"):
            assert chart["layout"][axis]["title"]["text"], name


def test_a_tier_is_drawn_before_the_lowest_one_on_one_scale():
    charts = tier_charts(DAYS, TIERS)
    kpis = ("response_p50_s", "wait_mean_s", "completion_share")
    assert list(charts) == [
        *(f"tier-{kpi}-{tier}" for kpi in kpis for tier in range(3)),
        *("gap-response_p50_s", "gap-completion_share", "priority_wait"),
    ]
    for kpi in kpis:
        of_tier = [charts[f"tier-{kpi}-{tier}"] for tier in range(3)]
        assert len({tuple(one["layout"]["yaxis"]["range"]) for one in of_tier}) == 1
        low, high = of_tier[0]["layout"]["yaxis"]["range"]
        assert [trace["name"] for trace in of_tier[0]["data"]] == ["basic"]
        for chart, name in zip(of_tier[1:], TIERS[1:], strict=True):
            behind, own = chart["data"]
            assert (behind["name"], own["name"]) == ("basic", name)
            assert (behind["line"]["dash"], behind["line"]["color"]) == ("dash", LOWEST_COLOUR)
            assert own["line"]["dash"] == "solid"
            assert all(low <= y <= high for y in own["y"] if y is not None)
    silver = charts["tier-wait_mean_s-1"]["data"][1]
    assert silver["y"][:2] == [None, pytest.approx((290 + 200 * 0.05 * 0.8415) / 60, abs=1e-3)]


def test_gaps_are_those_of_the_day():
    gold = tier_charts(DAYS, TIERS)["gap-response_p50_s"]["data"][1]
    assert gold["name"] == "gold − basic"
    assert gold["y"][:3] == [None] * 3
    groups = DAYS[5].by_tier
    assert gold["y"][5] == pytest.approx(groups.against()["response_p50_s"][2], abs=1e-4)
    chart = tier_charts(DAYS[:4], TIERS)["priority_wait"]
    assert "dtick" not in chart["layout"]["yaxis"], "minutes have halves, people have none"
    (longest,) = chart["data"]
    assert (longest["y"][:2], longest["customdata"][3]) == ([None, 20 / 60], "1 min 00 s")


def test_names_of_tiers_are_no_html():
    gold = tier_charts(DAYS, ("basic", "silver", "<i>gold"))["tier-wait_mean_s-2"]["data"][1]
    assert gold["name"] == "&lt;i&gt;gold"


def test_without_tiers_there_is_no_gap_to_draw():
    assert tier_charts([community_day(0), community_day(1)]) == {}


@pytest.mark.parametrize("num", [1, 2, 30, 400, 3660])
def test_few_days_are_named_and_many_have_no_marks(num):
    charts = day_charts([community_day(day) for day in range(num)])
    axis, (line,) = charts["completion"]["layout"]["xaxis"], charts["completion"]["data"]
    assert axis["tickvals"][0] == 1
    assert 1 <= len(axis["tickvals"]) <= 8
    assert all(tick == int(tick) for tick in axis["tickvals"])
    assert line["mode"] == ("lines" if num > 62 else "lines+markers")
    assert charts["drivers_left"]["layout"]["yaxis"]["dtick"] == 1
