"""Merging customers moves all that loyalty keeps, or nothing at all."""

import pytest

from crm.conftest import CITY, DAY_MS, MONDAY_MS, TENANT
from crm.engaged import add_customers, add_days
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.loyalty.memberships import progress_in
from dispatch.crm.loyalty.points import Gain
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.errors import StateError


def test_a_merged_customer_takes_everything_along(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    when = {"at_ms": MONDAY_MS}
    crm.points.earn(1, Gain("trip", "a", 20_000), **when)
    crm.points.earn(2, Gain("trip", "b", 10_000), **when)
    crm.memberships.set_tier(1, "gold", **when, reason="goodwill")
    terms = CouponTerms("own", MONDAY_MS, MONDAY_MS + DAY_MS, cents=100)
    (code,) = crm.coupons.issue(crm.coupons.define(scope_id, terms, **when), [1], **when)
    crm.passes.buy(1, "ten_rides", **when, key="pay")
    crm.referrals.refer(3, crm.referrals.code(1, **when), **when)
    crm.coupons.reserve(1, code, Booking(5, 500), **when)
    crm.contacts.merge(1, 2, **when)
    assert [crm.points.balance(one, **when).points for one in (1, 2)] == [0, 300]
    assert crm.memberships.tier_at(2, **when) == "gold"
    assert [one.product for one in crm.passes.of_customer(2, **when)] == ["ten_rides"]
    assert [one.referee_id for one in crm.referrals.won_by(2)] == [3]
    crm.coupons.roll_back(2, 5, **when)
    assert [one.code for one in crm.coupons.of_customer(2, **when)] == [code]
    for call in (
        lambda: crm.referrals.code(1, **when),
        lambda: crm.passes.buy(1, "ten_rides", **when, key="again"),
        lambda: crm.memberships.set_tier(1, "gold", **when, reason="goodwill"),
        lambda: crm.coupons.reserve(1, code, Booking(6, 500), **when),
    ):
        with pytest.raises((StateError, ValueError)):
            call()
    # Points that come under the old name go to the customer who is left.
    assert crm.points.earn(1, Gain("trip", "c", 5_000), **when) == 100
    assert crm.points.balance(2, **when).points == 400


def view_of(crm, customer_id, at_ms):
    view = crm.customer_views.view(customer_id, at_ms=at_ms)
    return view.standing, view.measure, [(one.tier, one.from_ms, one.until_ms) for one in view.tiers]


@pytest.mark.parametrize("vertical", ["ride", "delivery", "fuel"])
def test_the_view_tells_what_both_were_whatever_tiers_are_told_by(database_url, tmp_path, vertical):
    with Crm.create(database_url, vertical, keys=tmp_path / "crm.keys") as crm:
        add_customers(crm, crm.scope(TENANT, CITY), [1, 2, 3])
        low, middle, _ = (tier.name for tier in crm.context.vertical.tiers[:3])
        edge = crm.context.vertical.tiers[1].at_least
        parts, measure = {1: edge // 2, 2: edge - edge // 2}, crm.context.vertical.membership.measure
        for one, part in parts.items():
            if measure == "points":
                crm.points.earn(one, Gain("energy", f"energy:{one}", 100 * part), at_ms=MONDAY_MS)
            else:
                is_by_orders = measure == "orders"
                num, cents = (part, 100) if is_by_orders else (1, part)
                add_days(crm, [(one, 1, num, cents)])
                # A single customer who did all of it.
                add_days(crm, [(3, one, num, cents)])
        if measure == "points":
            crm.points.earn(3, Gain("energy", "energy:3", 100 * edge), at_ms=MONDAY_MS)
        assert view_of(crm, 1, MONDAY_MS) == (80, parts[1], [])
        crm.contacts.merge(1, 2, at_ms=MONDAY_MS + 1)
        with crm.context.database.writing() as connection:
            progress_in(connection, crm.context, [3], MONDAY_MS + 1)
        assert view_of(crm, 2, MONDAY_MS + 2) == (80, edge, [(middle, MONDAY_MS + 1, None)])
        assert view_of(crm, 2, MONDAY_MS + 2) == view_of(crm, 3, MONDAY_MS + 2)
        assert crm.memberships.tier_at(1, at_ms=MONDAY_MS) == low
        assert crm.memberships.tier_at(1, at_ms=MONDAY_MS + 2) == middle
        # What was merged is rolled back under the new name, and counts no more for either.
        if measure == "points":
            crm.points.roll_back(1, crm.points.entries(1)[0].entry_id, at_ms=MONDAY_MS + 3, reason="refund")
            assert view_of(crm, 2, MONDAY_MS + 3)[1] == parts[2]
        counts = crm.customer_views.view(2, at_ms=MONDAY_MS + 3).counts
        assert counts["membership"] == 1
