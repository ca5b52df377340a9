"""Tiers reached by orders that are told together: each at the order that caused it."""

from dataclasses import replace

import numpy as np
import pytest

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS
from crm.engaged import MONDAY, add_customers, insert
from dispatch.crm.loyalty.climbing import Closes, Grant, Rise, Trips, climb_in, raise_in
from dispatch.crm.loyalty.standing import standing_in
from dispatch.crm.rules import MembershipRule
from dispatch.crm.tables.orders import customer_day
from dispatch.crm.vertical import Vertical

RIDE = Vertical.load("ride")
SILVER, GOLD = 1, 2


def measuring(measure, least, window_days=2):
    tiers = tuple(replace(tier, at_least=at) for tier, at in zip(RIDE.tiers, least, strict=True))
    return replace(RIDE, tiers=tiers, membership=MembershipRule(measure=measure, window_days=window_days))


def climb(crm, vertical, trips, closes, grants=(), earnings=None):
    """Trips: (customer, cents, instant, place); closes: (customer, instant, place)."""
    columns = [np.array(column, np.int64) for column in zip(*trips, strict=True)]
    days = {}
    for who, cents, at_ms, _ in trips:
        sums = days.setdefault((who, at_ms // DAY_MS), [0, 0])
        sums[0] += cents
        sums[1] += 1
    rows = [
        {"customer_id": who, "day": day, "spend_cents": cents, "completed": num}
        for (who, day), (cents, num) in days.items()
    ]
    if rows:
        insert(crm, customer_day, rows)
    nothing = [np.zeros(0, np.int64)] * 4
    with crm.context.database.writing() as connection:
        standing = standing_in(connection, vertical, [who for who, _, _ in closes])
        told = Closes(
            [standing[who] for who, _, _ in closes], [at for _, at, _ in closes], [p for *_, p in closes]
        )
        if earnings is None:
            earnings = np.zeros((len(vertical.tiers), len(closes)), np.int64)
        tier, rises = climb_in(connection, vertical, told, Trips(*(columns or nothing)), grants, earnings)
    return tier.tolist(), rises


def test_each_rise_is_at_the_order_that_caused_it_and_later_ones_earn_by_it(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    at = [MONDAY_MS + HOUR_MS * hour for hour in range(8)]
    trips = [(1, 60, at[0], 0), (2, 10, at[0], 1), (1, 60, at[2], 3), (1, 90, at[4], 5)]
    closes = [(1, at[1], 2), (2, at[2], 4), (1, at[5], 6), (1, at[6], 7), (1, at[7], 8)]
    tier, rises = climb(crm, measuring("spend_cents", (0, 100, 200)), trips, closes)
    assert tier == [0, 0, 0, GOLD, GOLD]
    assert rises == [Rise(1, GOLD, at[5])], (
        "over both steps at once, as the second trip was not closed before"
    )


def test_days_that_leave_the_window_count_no_more(crm, scope_id):
    add_customers(crm, scope_id, [1, 2], status=["active", "merged"], merged_into=[None, 1])
    insert(crm, customer_day, [{"customer_id": 2, "day": MONDAY - 2, "completed": 9, "spend_cents": 0}])
    insert(crm, customer_day, [{"customer_id": 1, "day": MONDAY - 1, "completed": 1, "spend_cents": 0}])
    trips = [(1, 5, MONDAY_MS, 0), (2, 5, MONDAY_MS + DAY_MS, 2), (1, 5, MONDAY_MS + DAY_MS + 1, 4)]
    closes = [(1, MONDAY_MS + 1, 1), (2, MONDAY_MS + DAY_MS, 3), (1, MONDAY_MS + DAY_MS + 2, 5)]
    tier, rises = climb(crm, measuring("orders", (0, 3, 5)), trips, closes)
    assert (tier, rises) == ([0, 0, 0], [Rise(1, SILVER, MONDAY_MS + DAY_MS + 2)])


def test_points_that_an_order_earns_count_and_those_granted_before_it(crm, scope_id):
    add_customers(crm, scope_id, [1])
    crm.points.grant(1, 40, at_ms=MONDAY_MS, reason="gift", key="a")
    crm.points.grant(1, 40, at_ms=MONDAY_MS + 30 * HOUR_MS, reason="gift", key="later than these")
    at = [MONDAY_MS + hour * HOUR_MS for hour in (1, 2, 3, 25)]
    grants = [Grant(1, 30, at[0], 1), Grant(1, 500, at[3], 7)]
    closes = [(1, at[0], 0), (1, at[1], 2), (1, at[2], 4), (1, at[3], 6)]
    earnings = np.array([[10, 10, 10, 10], [20, 20, 20, 20], [20, 20, 20, 20]])
    vertical = measuring("points", (0, 90, 110), window_days=1)
    tier, rises = climb(crm, vertical, [], closes, grants, earnings)
    assert tier == [0, 0, SILVER, GOLD]
    assert rises == [Rise(1, SILVER, at[1]), Rise(1, GOLD, at[2])]


def test_who_cannot_rise_is_not_asked_about(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3], status=["active", "erased", "active"])
    crm.memberships.set_tier(1, "gold", at_ms=MONDAY_MS, reason="gift")
    crm.memberships.set_tier(3, "silver", at_ms=MONDAY_MS + HOUR_MS, reason="gift")
    trips = [(who, 500, MONDAY_MS + 1, who) for who in (1, 2, 3)]
    closes = [(who, MONDAY_MS + 2, 9 + who) for who in (1, 2, 3)]
    tier, rises = climb(crm, measuring("spend_cents", (0, 100, 200)), trips, closes)
    assert rises == [], "at the top, gone, and of whom somebody decided later"
    assert tier == [GOLD, 0, 0], "the third had no tier yet then"


@pytest.mark.parametrize("vertical", [replace(RIDE, tiers=RIDE.tiers[:1], earn=(), sla=RIDE.sla[:1])])
def test_without_tiers_nobody_climbs(crm, scope_id, vertical):
    add_customers(crm, scope_id, [1])
    assert climb(crm, vertical, [(1, 10**6, MONDAY_MS, 0)], [(1, MONDAY_MS, 1)]) == ([0], [])


def test_rises_begin_periods_and_bring_coupons(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    rises = [
        Rise(1, SILVER, MONDAY_MS),
        Rise(2, SILVER, MONDAY_MS + 5),
        Rise(1, GOLD, MONDAY_MS + 7),
        Rise(2, GOLD, MONDAY_MS + 5),
    ]
    with crm.context.database.writing() as connection:
        raise_in(connection, crm.context, rises)
        raise_in(connection, crm.context, [])
    one = [(period.tier, period.from_ms, period.until_ms) for period in crm.memberships.periods(1)]
    assert one == [("silver", MONDAY_MS, MONDAY_MS + 7), ("gold", MONDAY_MS + 7, None)]
    two = [(period.tier, period.from_ms, period.until_ms) for period in crm.memberships.periods(2)]
    assert two == [("gold", MONDAY_MS + 5, None)], "silver was over as it began"
    kept_ms = crm.context.vertical.membership.keep_days * DAY_MS
    assert crm.memberships.periods(2)[0].keep_until_ms == MONDAY_MS + 5 + kept_ms
    held = [len(crm.coupons.of_customer(who, at_ms=MONDAY_MS + DAY_MS)) for who in (1, 2, 3)]
    assert held == [2, 2, 0]
    assert crm.memberships.counts(scope_id) == {"basic": 1, "silver": 0, "gold": 2}
