"""Merging customers moves all that loyalty keeps, or nothing at all."""

import pytest

from crm.conftest import DAY_MS, MONDAY_MS
from crm.engaged import add_customers
from dispatch.crm.loyalty.coupons import CouponTerms
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
