"""Simple statistics against plain recounts, and who may see them."""

import json
import math

import numpy as np
import pytest

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from crm.engaged import MONDAY, add_customers, add_days, add_orders, insert
from dispatch.crm.engagement.statistics import Acquired, Funnel, Rate, Route
from dispatch.crm.tables.fleet import delivery
from dispatch.crm.tables.orders import orders
from dispatch.errors import AuthError, InputError

HERE = {"lon_e6": -122_419_000, "lat_e6": 37_774_000, "to_lon_e6": -122_271_000, "to_lat_e6": 37_804_000}
THERE = {**HERE, "to_lon_e6": -122_401_000}


def test_rates_shares_and_engagement(crm, scope_id):
    add_customers(crm, scope_id, range(1, 11), tier=["gold"] * 3 + ["basic"] * 7)
    add_days(
        crm, [(1, 1, 1, 8000), (1, 2, 1, 0), (2, 3, 1, 500), (3, 40, 9, 9), (4, 2, 3, 500), (5, 1, 0, 0)]
    )
    assert crm.statistics.repeat_rate(scope_id, MONDAY_MS) == Rate(2, 3)
    assert crm.statistics.share_of_best(scope_id, MONDAY_MS, 30, 334) == pytest.approx(8000 / 9000)
    assert crm.statistics.share_of_best(scope_id, MONDAY_MS, 30, 1) == pytest.approx(8000 / 9000)
    assert crm.statistics.share_of_best(scope_id, MONDAY_MS, 30, 1000) == 1
    engaged = crm.statistics.engagement(scope_id, MONDAY_MS)
    assert engaged == {"basic": Rate(1, 7), "silver": Rate(0, 0), "gold": Rate(2, 3)}
    assert math.isnan(engaged["silver"].share)
    assert engaged["gold"].share == pytest.approx(2 / 3)
    assert math.isnan(crm.statistics.share_of_best(scope_id, MONDAY_MS - 400 * DAY_MS))
    found = crm.statistics.features(scope_id, MONDAY_MS)
    assert found.completed.tolist()[:4] == [2, 1, 0, 3]
    assert crm.statistics.win_back(scope_id, MONDAY_MS, 3) == [(2, 3, 500), (3, 40, 9)]
    assert crm.statistics.win_back(scope_id, MONDAY_MS, 3, limit=1) == [(2, 3, 500)]


def test_second_purchases_are_followed_until_their_time_is_over(crm, scope_id):
    add_customers(
        crm, scope_id, range(1, 7), status=["active"] * 5 + ["merged"], merged_into=[None] * 5 + [2]
    )
    add_customers(crm, crm.scope("acme", OTHER_CITY), [9])
    days = [
        (1, 0),
        (1, 10),
        (2, 1),
        (6, 20),
        (3, 2),
        (3, 40),
        (4, 60),
        (4, 61),
        (5, -5),
        (5, 3),
        (9, 0),
        (9, 1),
    ]
    rows = [{"customer_id": who, "at_ms": MONDAY_MS + day * DAY_MS} for who, day in days]
    rows.append({"customer_id": 3, "at_ms": MONDAY_MS + 3 * DAY_MS, "completed": False})
    add_orders(crm, scope_id, rows)
    until_ms, now_ms = MONDAY_MS + 30 * DAY_MS, MONDAY_MS + 100 * DAY_MS

    def second(now_ms: int, within_days: int = 30) -> Rate:
        return crm.statistics.second_purchase(scope_id, MONDAY_MS, until_ms, within_days, at_ms=now_ms)

    assert second(now_ms) == Rate(2, 3)
    assert second(now_ms, 10) == Rate(1, 3)
    assert second(MONDAY_MS + 31 * DAY_MS) == Rate(2, 2), "the third one has some days left"
    with pytest.raises(InputError, match="from_ms"):
        crm.statistics.second_purchase(scope_id, until_ms, MONDAY_MS, 3, at_ms=now_ms)


def test_cohorts_are_those_of_a_plain_recount(crm, scope_id):
    rng = np.random.default_rng(4)
    add_customers(crm, scope_id, range(60))
    days = sorted(
        {
            (int(who), int(ago))
            for who, ago in zip(rng.integers(0, 60, 300), rng.integers(0, 100, 300), strict=True)
        }
    )
    add_days(crm, [(who, ago, 1, 1) for who, ago in days])
    begin = MONDAY - 69
    found = crm.statistics.cohorts(scope_id, begin * DAY_MS, MONDAY_MS, 20)
    own = {who: sorted(MONDAY - ago for one, ago in days if one == who) for who in range(60)}
    assert found.first_day.tolist() == [begin, begin + 20, begin + 40, begin + 60]
    for cohort in range(4):
        members = [who for who in own if own[who] and (own[who][0] - begin) // 20 == cohort]
        assert found.num_customers[cohort] == len(members)
        for later in range(4):
            if begin + (cohort + later + 1) * 20 > MONDAY + 1:
                assert found.active[cohort, later] == -1
                assert np.isnan(found.retention[cohort, later])
                continue
            again = [who for who in members if any((day - begin) // 20 == cohort + later for day in own[who])]
            assert found.active[cohort, later] == len(again)
    assert found.retention[0, 0] == 1
    assert found.active[3, 0] == -1


def test_the_funnel_and_what_channels_cost(crm, scope_id):
    add_orders(
        crm,
        scope_id,
        [
            {"customer_id": 1, "at_ms": MONDAY_MS, "channel": "app"},
            {"customer_id": 1, "at_ms": MONDAY_MS, "channel": "app", "completed": False},
            {"customer_id": 1, "at_ms": MONDAY_MS - 1, "channel": "app"},
        ],
    )
    insert(crm, orders, [{"order_id": 77, "scope_id": scope_id, "submitted_at_ms": MONDAY_MS}])
    end_ms = MONDAY_MS + DAY_MS
    assert crm.statistics.funnel(scope_id, MONDAY_MS, end_ms) == [
        Funnel("app", 2, 2, 2, 2, 1),
        Funnel("unknown", 1, 0, 0, 0, 0),
    ]
    add_customers(
        crm,
        scope_id,
        [1, 2, 3, 4],
        created_at_ms=[MONDAY_MS] * 3 + [end_ms],
        channel=["ad", "ad", None, "ad"],
    )
    add_days(crm, [(1, 0, 1, 1), (2, 0, 0, 0)])
    costs = {"channel": ["ad", "ad", "fair"], "day": [MONDAY, MONDAY + 1, MONDAY], "cents": [900, 7, 50]}
    assert crm.statistics.import_costs(scope_id, **costs, at_ms=MONDAY_MS) == 3
    crm.statistics.import_costs(scope_id, ["ad"], [MONDAY], [1000], MONDAY_MS)
    found = crm.statistics.acquisition(scope_id, MONDAY_MS, end_ms)
    assert found == [Acquired("ad", 2, 1, 1000), Acquired("fair", 0, 0, 50), Acquired("unknown", 1, 0, None)]
    assert [one.cents_per_customer for one in found] == [500, None, None]
    for broken, said in (
        ({"cents": [1, 2]}, "all must have"),
        ({"cents": [900, -1, 50]}, r"cents\[1\] is -1"),
        ({"day": [MONDAY, MONDAY + 1, 3.5]}, r"day\[2\] is 3.5"),
        ({"channel": ["ad", "a d", "x"]}, r"channel\[1\]"),
        ({"day": [MONDAY] * 3}, "told twice"),
    ):
        with pytest.raises(InputError, match=said):
            crm.statistics.import_costs(scope_id, **(costs | broken), at_ms=MONDAY_MS)
    assert crm.statistics.acquisition(scope_id, MONDAY_MS, end_ms) == found, "nothing is half-applied"


def test_habits_of_single_customers(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    hour_ms = 3_600_000
    rides = [(1, 8, HERE)] * 3 + [(1, 18, THERE)] * 2 + [(2, 1, HERE)]
    add_orders(
        crm,
        scope_id,
        [
            {"customer_id": who, "at_ms": MONDAY_MS - (place + 1) * DAY_MS + hour * hour_ms, **way}
            for place, (who, hour, way) in enumerate(rides)
        ],
    )
    ride = (-122_415_000, 37_775_000, -122_275_000, 37_805_000)
    other = (-122_415_000, 37_775_000, -122_405_000, 37_805_000)
    assert crm.statistics.top_routes(scope_id, MONDAY_MS, least_times=1) == [
        Route(1, *ride, hour=8, times=3),
        Route(2, *ride, hour=1, times=1),
    ]
    local = crm.statistics.top_routes(scope_id, MONDAY_MS, time_zone="America/Los_Angeles")
    assert local == [Route(1, *ride, hour=0, times=3)]
    assert crm.statistics.reorder(1, MONDAY_MS) == [
        Route(1, *ride, hour=8, times=3),
        Route(1, *other, hour=18, times=2),
    ]
    assert crm.statistics.reorder(3, MONDAY_MS) == []
    rows = [
        (1, MONDAY_MS - 5, ["soup", "tea"]),
        (2, MONDAY_MS - 4, ["soup"]),
        (3, MONDAY_MS - 300 * DAY_MS, ["rice"]),
    ]
    insert(
        crm,
        delivery,
        [
            {
                "order_id": order_id,
                "merchant_id": 4,
                "customer_id": 2,
                "placed_at_ms": at_ms,
                "preparation_ms": 0,
                "items": json.dumps([{"product": one, "count": 1, "cents": 5} for one in items]),
                "cents": 5,
            }
            for order_id, at_ms, items in rows
        ],
    )
    assert crm.statistics.reorder(2, MONDAY_MS) == [(4, "soup", 2), (4, "tea", 1)]
    customer_1 = crm.acting_as(actor("customer", own=("customer", 1))).statistics
    assert len(customer_1.reorder(1, MONDAY_MS, limit=1)) == 1
    with pytest.raises(AuthError):
        customer_1.reorder(2, MONDAY_MS)


def test_analysts_see_sums_and_no_single_customer(crm, scope_id):
    analyst = crm.acting_as(actor("analyst")).statistics
    assert analyst.repeat_rate(scope_id, MONDAY_MS) == Rate(0, 0)
    elsewhere = crm.scope("acme", OTHER_CITY)
    for refused in (
        lambda: analyst.features(scope_id, MONDAY_MS),
        lambda: analyst.win_back(scope_id, MONDAY_MS),
        lambda: analyst.top_routes(scope_id, MONDAY_MS),
        lambda: analyst.repeat_rate(elsewhere, MONDAY_MS),
        lambda: analyst.funnel(elsewhere, 0, MONDAY_MS),
        lambda: analyst.cohorts(elsewhere, 0, MONDAY_MS),
        lambda: analyst.acquisition(elsewhere, 0, MONDAY_MS),
        lambda: analyst.second_purchase(elsewhere, 0, MONDAY_MS, at_ms=MONDAY_MS),
        lambda: analyst.import_costs(scope_id, ["ad"], [1], [1], MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            refused()
    for refused in (
        lambda: crm.statistics.repeat_rate(scope_id, -1),
        lambda: crm.statistics.repeat_rate(scope_id, MONDAY_MS, 0),
        lambda: crm.statistics.share_of_best(scope_id, MONDAY_MS, 30, 0),
        lambda: crm.statistics.top_routes(scope_id, MONDAY_MS, time_zone="Mars"),
    ):
        with pytest.raises(InputError):
            refused()
