"""Segments are defined, counted, entered with their day, and reach no farther than their city."""

import numpy as np
import pytest

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from crm.engaged import MONDAY, add_customers, add_days, add_orders, insert, say
from dispatch.crm.crm import Crm
from dispatch.crm.engagement.segment_rules import SegmentRule
from dispatch.crm.engagement.segments import Cell, Snapshot
from dispatch.crm.tables.engagement import interest
from dispatch.crm.tables.loyalty import referral
from dispatch.crm.tables.orders import customer_day
from dispatch.crm.tables.people import customer
from dispatch.errors import AuthError, InputError, StateError
from dispatch.store import bulk

FREQUENT = SegmentRule.from_table({"all": [{"measure": "orders", "at_least": 2}]})


def one(measure: str, **limits: object) -> SegmentRule:
    return SegmentRule.from_table({"all": [{"measure": measure, **limits}]})


def test_a_segment_lives_and_its_snapshots_stay(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3, 4])
    add_customers(crm, crm.scope("acme", OTHER_CITY), [5])
    add_days(crm, [(1, 3, 2, 900), (2, 3, 1, 500), (3, 0, 3, 100), (4, 40, 5, 900), (5, 1, 9, 9)])
    say(crm, [3], "profiling", granted=False)
    segment_id = crm.segments.define(scope_id, "frequent", FREQUENT, MONDAY_MS)
    assert crm.segments.count(scope_id, FREQUENT, MONDAY_MS) == 1
    assert crm.segments.snapshot(segment_id, MONDAY_MS) == Snapshot(segment_id, MONDAY, 1, 4)
    assert crm.segments.members(segment_id, MONDAY) == [1]
    assert crm.segments.define(scope_id, "frequent", one("orders", at_least=1), MONDAY_MS + 1) == segment_id
    assert crm.segments.read(segment_id).version == 2
    for hour in (2, 3):
        assert crm.segments.snapshot(segment_id, MONDAY_MS + hour).num_members == 2
    assert crm.segments.members(segment_id, MONDAY, after=1) == [2]
    crm.segments.snapshot(segment_id, MONDAY_MS + 28 * DAY_MS)
    assert [(shot.day - MONDAY, shot.num_members) for shot in crm.segments.snapshots(segment_id)] == [
        (0, 2),
        (28, 0),
    ]
    crm.segments.retire(segment_id, MONDAY_MS + 3)
    for refused in (
        lambda: crm.segments.retire(segment_id, MONDAY_MS + 4),
        lambda: crm.segments.snapshot(segment_id, MONDAY_MS + 4),
        lambda: crm.segments.define(scope_id, "frequent", FREQUENT, MONDAY_MS + 4),
        lambda: crm.segments.members(segment_id, MONDAY + 1),
        lambda: crm.segments.distribution(segment_id, MONDAY + 1),
    ):
        with pytest.raises(StateError):
            refused()
    assert crm.segments.members(segment_id, MONDAY) == [1, 2]
    assert [found.status for found in crm.segments.listed(scope_id)] == ["retired"]


def test_rules_reach_other_tables(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3], tier=["gold", "basic", "gold"])
    insert(crm, interest, [{"customer_id": 2, "topic": "airport", "since_at_ms": MONDAY_MS}])
    insert(
        crm,
        referral,
        [
            {"referee_id": 10 + row, "referrer_id": row, "at_ms": MONDAY_MS, "state": state}
            for row, state in ((1, "rewarded"), (2, "waiting"))
        ],
    )
    here = {"lon_e6": -122_419_000, "lat_e6": 37_774_000, "to_lon_e6": -122_271_000, "to_lat_e6": 37_804_000}
    add_orders(
        crm,
        scope_id,
        [{"customer_id": 3, "at_ms": MONDAY_MS - day * DAY_MS, **here} for day in range(1, 5)],
    )
    segments, told = crm.segments, {}
    for name, rule in {
        "airport": one("topic", one_of=["airport"]),
        "referrers": one("referrals", at_least=1),
        "commuters": one("route_orders", at_least=4),
        "night": one("hour_share", hours=[0], at_least=0.9),
        "golden": one("tier", one_of=["gold"]),
    }.items():
        segment_id = segments.define(scope_id, name, rule, MONDAY_MS)
        segments.snapshot(segment_id, MONDAY_MS)
        told[name] = (segment_id, segments.members(segment_id, MONDAY))
    assert {name: ids for name, (_, ids) in told.items()} == {
        "airport": [2],
        "referrers": [1],
        "commuters": [3],
        "night": [3],
        "golden": [1, 3],
    }
    cells = segments.distribution(told["golden"][0], MONDAY)
    assert cells == [
        Cell("gold", None, None, 1),
        Cell("gold", -122_415_000, 37_775_000, 1),
    ]


def test_who_may_do_what_where(crm, scope_id):
    elsewhere = crm.scope("acme", OTHER_CITY)
    segment_id = crm.segments.define(elsewhere, "frequent", FREQUENT, MONDAY_MS)
    marketing, analyst = crm.acting_as(actor("marketing")), crm.acting_as(actor("analyst"))
    for refused in (
        lambda: marketing.segments.read(segment_id),
        lambda: marketing.segments.define(elsewhere, "frequent", FREQUENT, MONDAY_MS),
        lambda: marketing.segments.snapshot(segment_id, MONDAY_MS),
        lambda: analyst.segments.count(elsewhere, FREQUENT, MONDAY_MS),
        lambda: analyst.segments.define(scope_id, "frequent", FREQUENT, MONDAY_MS),
        lambda: crm.acting_as(actor("driver", own=("driver", 3))).segments.listed(scope_id),
    ):
        with pytest.raises(AuthError):
            refused()
    own = marketing.segments.define(scope_id, "frequent", FREQUENT, MONDAY_MS)
    marketing.segments.snapshot(own, MONDAY_MS)
    assert analyst.segments.snapshots(own)[0].num_customers == 0
    with pytest.raises(AuthError):
        analyst.segments.members(own, MONDAY)
    for name, rule in (("frequent ones", FREQUENT), ("x", one("tier", one_of=["platinum"]))):
        with pytest.raises(InputError):
            crm.segments.define(scope_id, name, rule, MONDAY_MS)
    with pytest.raises(InputError, match="not known"):
        crm.segments.read(999)


def test_twenty_thousand_customers_of_thirty_days(tmp_path):
    num, rng = 20_000, np.random.default_rng(5)
    ids = np.arange(num)
    with Crm.create(tmp_path / "crm.db") as crm:
        scope_id = crm.scope("acme", "here")
        with crm.context.database.writing() as connection:
            same = {"scope_id": [scope_id] * num, "created_at_ms": [0] * num, "changed_at_ms": [0] * num}
            bulk.insert(connection, customer, {"customer_id": ids, **same})
            keys = np.unique(rng.integers(0, num, 120_000) * 100 + rng.integers(0, 30, 120_000))
            cents = rng.integers(500, 5000, len(keys))
            done = np.ones(len(keys), np.int64)
            days = {"customer_id": keys // 100, "day": MONDAY - keys % 100}
            bulk.insert(connection, customer_day, {**days, "completed": done, "spend_cents": cents})
        rule = SegmentRule.from_table(
            {
                "all": [
                    {"measure": "spend_tercile", "at_least": 3},
                    {"measure": "recency_days", "at_most": 7},
                ],
                "none": [{"measure": "lifecycle", "one_of": ["lost"]}],
            }
        )
        segment_id = crm.segments.define(scope_id, "best", rule, MONDAY_MS)
        shot = crm.segments.snapshot(segment_id, MONDAY_MS)
    spent = np.bincount(keys // 100, cents, num)
    last = np.full(num, 99)
    np.minimum.at(last, keys // 100, keys % 100)
    best = spent > np.quantile(spent[spent > 0], 2 / 3)
    assert shot.num_members == np.sum(best & (last <= 7)) > 1000
