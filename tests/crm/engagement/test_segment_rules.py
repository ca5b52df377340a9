"""Rules of segments: read from files, refused where they say nothing, applied as a plain reading would."""

import json

import numpy as np
import pytest

from dispatch.crm.engagement.features import NEVER, Features, OrderHabits
from dispatch.crm.engagement.segment_rules import MEASURES, Condition, Measured, SegmentRule, top_routes
from dispatch.crm.vertical import Vertical
from dispatch.errors import InputError

DAY = 20_000
RIDE = Vertical.load("ride")


def features(**columns: list[int]) -> Features:
    """Five customers; what is not told is 0, and all have last ordered today."""
    num = 5
    names = [
        name
        for name in Features.__dataclass_fields__
        if name not in ("day", "window_days", "customer_id", "tier", "channel", "last_day")
    ]
    told = {name: np.array(columns.get(name, [0] * num), np.int64) for name in names}
    return Features(
        day=DAY,
        window_days=30,
        customer_id=np.arange(num, dtype=np.int64),
        tier=np.array(columns.get("tier", [0] * num), np.int8),
        channel=np.array(columns.get("channel", [""] * num), np.str_),
        last_day=np.array(columns.get("last_day", [DAY] * num), np.int64),
        **told,
    )


def chosen(of: Features, table: dict, **told: object) -> list[int]:
    rule = SegmentRule.from_table(table)
    return np.flatnonzero(Measured(of, rule, RIDE, **told).members()).tolist()


def one(measure: str, **limits: object) -> dict:
    return {"all": [{"measure": measure, **limits}]}


def test_numbers_words_and_their_combinations():
    of = features(
        completed=[0, 1, 2, 3, 4],
        spend_cents=[0, 500, 100, 900, 300],
        tier=[0, 1, 2, 2, 0],
        channel=["app", "web", "", "app", "app"],
    )
    assert chosen(of, {}) == [0, 1, 2, 3, 4]
    assert chosen(of, one("orders", at_least=2, at_most=3)) == [2, 3]
    assert chosen(of, one("tier", one_of=["gold", "silver"])) == [1, 2, 3]
    assert chosen(of, one("channel", one_of=["app"])) == [0, 3, 4]
    both = [{"measure": "orders", "at_least": 4}, {"measure": "channel", "one_of": ["web"]}]
    assert chosen(of, {"any": both}) == [1, 4]
    assert chosen(of, {"none": both}) == [0, 2, 3]
    assert chosen(of, {"all": both}) == []
    assert chosen(of, one("spend_tercile", at_least=3)) == [3]
    assert chosen(of, one("spend_tercile", at_most=1)) == [2, 4], "who bought nothing is in no third"


def test_lifecycle_and_value():
    of = features(
        created_day=[DAY - 5, DAY - 500, DAY - 500, DAY - 500, DAY - 500],
        first_day=[NEVER, DAY - 400, DAY - 400, DAY - 400, NEVER],
        last_day=[NEVER, DAY - 10, DAY - 40, DAY - 300, NEVER],
    )
    for row, word in enumerate(["new", "active", "at_risk", "lost", "idle"]):
        assert chosen(of, one("lifecycle", one_of=[word])) == [row]
    assert chosen(of, one("recency_days", at_least=300)) == [0, 3, 4]
    assert chosen(of, one("age_days", at_most=5)) == [0]
    grown = features(
        completed=[4, 2, 2, 1, 0], second_half=[2, 1, 2, 1, 0], spend_cents=[900, 100, 150, 200, 0]
    )
    assert chosen(grown, one("value", one_of=["high"])) == [0]
    assert chosen(grown, one("value", one_of=["potential"])) == [2, 3]
    assert chosen(grown, one("value", one_of=["normal"])) == [1, 4]


def test_what_is_unknown_meets_no_limit():
    of = features()
    stars = np.array([np.nan, 1.5, 5, 3, np.nan])
    assert chosen(of, one("stars", at_most=3), stars=stars) == [1, 3]
    assert chosen(of, {"none": [{"measure": "stars", "at_most": 3}]}, stars=stars) == [0, 2, 4]
    assert chosen(of, one("stars", at_most=3)) == []
    assert chosen(of, one("referrals", at_least=2), referrals=np.array([0, 1, 2, 3, 0])) == [2, 3]
    topics = {"night": np.array([True, False, False, False, True])}
    assert chosen(of, one("topic", one_of=["night", "airport"]), topics=topics) == [0, 4]
    assert chosen(of, one("topic", one_of=["airport"]), topics=topics) == []


def test_habits_of_time_and_route():
    # Customer 0 rides 1 -> 2 at 8 on weekdays, 1 at random; customer 2 once; others never.
    row = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2])
    hour = np.array([8, 8, 8, 20, 1, 2, 3, 22, 8])
    weekday = np.array([0, 1, 2, 5, 5, 6, 6, 0, 6])
    from_cell = np.array([1, 1, 1, 9, 3, 3, 3, NEVER, 1])
    to_cell = np.array([2, 2, 2, 1, 4, 5, 4, 4, 2])
    habits = OrderHabits(row, hour, weekday, from_cell, to_cell)
    of = features()
    told = {"habits": habits}
    assert chosen(of, one("hour_share", hours=[7, 8, 9], at_least=0.7), **told) == [0, 2]
    assert chosen(of, one("weekday_share", weekdays=[5, 6], at_least=0.7), **told) == [1, 2]
    assert chosen(of, one("route_orders", at_least=3), **told) == [0]
    assert chosen(of, one("route_share", at_least=0.75, hours=[8], weekdays=[0, 1, 2, 3, 4]), **told) == [0]
    assert chosen(of, one("route_orders", at_least=1, hours=[22]), **told) == []
    assert chosen(of, one("hour_share", hours=[8], at_least=0.1)) == []
    route, times = top_routes(habits, np.ones(9, bool), 5)
    assert route[0].tolist() == [1, 2, 8]
    assert route[1].tolist() == [3, 4, 1], "of equal ones the first"
    assert times.tolist() == [3, 1, 1, 0, 0]
    assert route[4].tolist() == [NEVER] * 3


def test_files_of_both_kinds_come_back(tmp_path):
    told = {
        "window_days": 60,
        "time_zone": "America/Los_Angeles",
        "all": [{"measure": "hour_share", "hours": [22, 23, 0], "at_least": 0.5}],
        "none": [{"measure": "tier", "one_of": ["gold"]}],
    }
    (tmp_path / "night.json").write_text(json.dumps(told))
    (tmp_path / "night.toml").write_text(
        'window_days = 60\ntime_zone = "America/Los_Angeles"\n'
        'all = [{ measure = "hour_share", hours = [22, 23, 0], at_least = 0.5 }]\n'
        'none = [{ measure = "tier", one_of = ["gold"] }]\n'
    )
    rule = SegmentRule.load(tmp_path / "night.toml")
    assert rule == SegmentRule.load(tmp_path / "night.json")
    assert rule == SegmentRule.from_table(json.loads(json.dumps(rule.as_table())))
    assert rule.needs_habits
    assert rule.measures == {"hour_share", "tier"}
    assert not SegmentRule().needs_habits
    with pytest.raises(InputError, match="no rule of a segment"):
        SegmentRule.load(tmp_path / "day.toml")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"window_days": 0}, "window_days is 0"),
        ({"active_days": 90}, "below lost_days"),
        ({"time_zone": "Mars"}, "Mars"),
        ({"some": []}, "unknown key 'some'"),
        (one("luck", at_least=1), "measure is 'luck'"),
        (one("orders"), "numbers need one"),
        (one("orders", at_least=3, at_most=2), "nothing is between"),
        (one("orders", at_least=float("nan")), "nothing is between"),
        (one("orders", one_of=["a"]), "one_of"),
        (one("orders", at_least=1, hours=[3]), "hours is told"),
        (one("hour_share", at_least=1), "hours is empty"),
        (one("hour_share", at_least=1, hours=[24]), "hours is 24"),
        (one("weekday_share", at_least=1), "weekdays is empty"),
        (one("tier"), "one_of"),
        (one("tier", one_of=["gold"], at_least=1), "limits"),
        (one("channel", one_of=["+1 415 555 0100"]), "one_of"),
        (one("lifecycle", one_of=["dead"]), "lifecycle is 'dead'"),
        (one("value", one_of=["low"]), "value is 'low'"),
    ],
)
def test_bad_rules_are_refused(table, said):
    with pytest.raises(InputError, match=said):
        SegmentRule.from_table(table)


def test_unknown_tiers_are_refused_by_the_vertical():
    SegmentRule.from_table(one("tier", one_of=["gold"])).check_tiers(RIDE)
    with pytest.raises(InputError, match="platinum"):
        SegmentRule.from_table(one("tier", one_of=["platinum"])).check_tiers(RIDE)
    assert len(MEASURES) == len(set(MEASURES))
    assert Condition("orders", at_least=1).at_most == float("inf")
