import pytest

from analysis.communities import TIERS, community_day, community_days
from dispatch.analysis.community_figures import (
    FIGURE,
    FIGURES,
    TIER_FIGURE,
    TIER_FIGURES,
    gap_text,
    num_orders_of,
    tier_gap_of,
    tier_name,
    tier_value,
    tiers_of,
)
from dispatch.analysis.kpi_list import KPI

COMPLETED = TIER_FIGURE["completion_share"]
RESPONSE = TIER_FIGURE["response_p50_s"]


def told(name, days):
    return FIGURE[name].measure(days)


def test_figures_of_two_days_by_hand():
    days = [
        community_day(0, {0: (100, 30.0, 300.0, 0.8)}, num_completed=80, num_bad=20, num_complaints=3),
        community_day(
            1,
            {0: (300, 10.0, 500.0, 0.5)},
            num_completed=150,
            num_bad=60,
            num_complaints=1,
            num_customers=501,
            num_active=90,
            kpis={"response_p50_s": 10.0, "priority_wait_max_s": 7.0},
        ),
    ]
    assert told("orders", days) == 400
    assert told("completed", days) == 230 / 400
    assert told("response", days) == (100 * 30 + 300 * 10) / 400
    assert told("wait", days) == 300.0
    assert told("priority_wait", days) == 7.0
    assert told("dissatisfied", days) == 80 / 400
    assert told("silent", days) == 1 - 4 / 80
    assert told("complaints", days) == 4
    assert told("stars", days) == 252 / 60
    assert told("rated_well", days) == 48 / 60
    assert told("customers", days) == 501
    assert told("active", days) == 80
    assert (told("joined", days), told("left", days)) == (8, 6)
    assert told("drivers_bad", days) == 6 / 40
    assert told("drivers_left", days) == 2
    assert told("gini", days) == pytest.approx(0.2)
    assert told("priority_wait", days[:1]) is None


def test_nothing_measured_is_none_and_reads_so():
    day = community_day(
        num_orders=0, num_completed=0, num_judged=0, num_bad=0, num_complaints=0, num_rated=0,
        num_drivers_asked=0, kpis=dict.fromkeys(KPI),
    )  # fmt: skip
    empty = ("completed", "response", "wait", "priority_wait", "dissatisfied", "silent", "stars")
    for name in (*empty, "rated_well", "drivers_bad", "gini"):
        assert told(name, [day]) is None, name
        assert FIGURE[name].format(None) == "–"
    assert FIGURE["orders"].format(told("orders", [day])) == "0"


def test_what_is_felt_is_labelled_synthetic():
    for name in ("dissatisfied", "silent", "complaints", "stars", "rated_well", "drivers_bad"):
        assert FIGURE[name].label.endswith("(synthetic)")
    drawn = {one.name for one in FIGURES if "Synthetic:" in one.definition}
    measured = {"orders", "completed", "response", "wait", "priority_wait", "customers", "active", "gini"}
    assert drawn == {one.name for one in FIGURES} - measured


def test_a_trend_is_no_gap():
    """Who reaches gold does so on later, better days: gold is as good as basic on each of them."""
    days = [
        community_day(0, {0: (400, 60.0, 600.0, 0.5)}),
        community_day(1, {0: (100, 20.0, 200.0, 0.9), 2: (300, 20.0, 200.0, 0.9)}),
    ]
    assert tiers_of(days) == [0, 2]
    assert num_orders_of(days, 0) == 500
    assert tier_value(days, COMPLETED, 0) == pytest.approx(0.58)
    assert tier_value(days, COMPLETED, 2) == pytest.approx(0.9)
    for figure in TIER_FIGURES:
        assert tier_gap_of(days, figure, 2, 0) == 0.0


def test_a_gap_weighs_days_by_the_tier_s_orders():
    days = [
        community_day(0, {0: (100, 30.0, 300.0, 0.8), 1: (10, 20.0, 300.0, 0.9)}),
        community_day(1, {0: (100, 30.0, 300.0, 0.6), 1: (30, 34.0, 300.0, 0.8)}),
    ]
    assert tier_gap_of(days, RESPONSE, 1, 0) == pytest.approx((10 * -10 + 30 * 4) / 40)
    assert tier_gap_of(days, COMPLETED, 1, 0) == pytest.approx((10 * 0.1 + 30 * 0.2) / 40)
    assert tier_gap_of(days[:1], RESPONSE, 1, 0) == days[0].by_tier.against()["response_p50_s"][1]


def test_few_orders_tell_nothing():
    few = community_day(0, {0: (100, 30.0, 300.0, 0.8), 1: (4, 5.0, 50.0, 1.0)})
    enough = community_day(1, {0: (100, 30.0, 300.0, 0.8), 1: (5, 5.0, 50.0, 1.0)})
    assert all(tier_gap_of([few], figure, 1, 0) is None for figure in TIER_FIGURES)
    assert tier_gap_of([few, enough], RESPONSE, 1, 0) == -25.0
    unasked = community_day(0, {-1: (50, 9.0, 90.0, 0.9), 0: (100, 30.0, 300.0, 0.8)})
    assert tiers_of([unasked]) == [0]
    assert tier_value([few], RESPONSE, 7) is None


def test_dissatisfied_by_tier_is_that_of_the_judged():
    day = community_day(
        0,
        {0: (50, 9.0, 9.0, 0.9), 1: (50, 9.0, 9.0, 0.9)},
        bad_by_tier=(10, 6),
        judged_by_tier=(40, 20),
    )
    figure = TIER_FIGURE["dissatisfied_share"]
    assert (tier_value([day], figure, 0), tier_value([day], figure, 1)) == (0.25, 0.3)
    assert tier_gap_of([day], figure, 1, 0) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("figure", "gap", "words"),
    [
        (RESPONSE, 1.25, "+1.2 s"),
        (RESPONSE, -61.0, "−1 min 01 s"),
        (RESPONSE, -0.01, "±0"),
        (COMPLETED, 0.012, "+1.2 points"),
        (COMPLETED, -0.0001, "±0"),
        (COMPLETED, None, "–"),
    ],
)
def test_gaps_have_their_sign(figure, gap, words):
    assert gap_text(figure, gap) == words


def test_tiers_nobody_named_have_numbers():
    assert [tier_name(TIERS, tier) for tier in tiers_of(community_days())] == list(TIERS)
    assert tier_name(TIERS, 3) == "tier 3"
