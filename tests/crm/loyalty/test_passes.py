"""Passes: bought once, rides counted along with orders, and recommended where they pay."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.engaged import add_customers, add_days
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.loyalty.passes import Pass, Recommendation, recommend
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.rules import PassRule
from dispatch.crm.tables.loyalty import customer_pass
from dispatch.crm.tables.people import customer
from dispatch.errors import AuthError, InputError, StateError


def test_a_package_gives_rides_until_none_is_left(crm, scope_id):
    add_customers(crm, scope_id, [7])
    passes = crm.passes
    bought = [passes.buy(7, "ten_rides", at_ms=MONDAY_MS, key="pay-1") for _ in range(2)]
    until_ms = MONDAY_MS + 90 * DAY_MS
    assert bought == [Pass(1, "ten_rides", 9000, 10, 0, MONDAY_MS, until_ms)] * 2
    for order in range(10):
        done = [passes.reserve(7, Booking(order, 1400), at_ms=MONDAY_MS) for _ in range(2)]
        assert done[0] == done[1]
        assert (done[0].discount_cents, done[0].pass_id) == (1400, 1)
    with pytest.raises(StateError, match="no pass that holds now"):
        passes.reserve(7, Booking(10, 1400), at_ms=MONDAY_MS)
    assert passes.roll_back(7, 3, at_ms=MONDAY_MS).state == "rolled_back"
    assert passes.reserve(7, Booking(10, 9900), at_ms=MONDAY_MS).discount_cents == 1500
    assert [passes.commit(7, 10, at_ms=MONDAY_MS).state for _ in range(2)] == ["committed"] * 2
    assert [one.num_held for one in passes.of_customer(7, at_ms=MONDAY_MS)] == [10]
    assert passes.of_customer(7, at_ms=until_ms) == []
    # Used up, another one may be bought beside it.
    passes.buy(7, "ten_rides", at_ms=MONDAY_MS, key="pay-2")
    assert passes.reserve(7, Booking(11, 1400), at_ms=MONDAY_MS).pass_id == 2


def test_the_pass_that_ends_first_is_used_and_one_discount_is_enough(crm, scope_id):
    add_customers(crm, scope_id, [7, 8])
    passes = crm.passes
    passes.buy(7, "ten_rides", at_ms=MONDAY_MS, key="a")
    passes.buy(7, "commuter_month", at_ms=MONDAY_MS, key="b")
    month = passes.reserve(7, Booking(1, 1000), at_ms=MONDAY_MS)
    ten = passes.reserve(7, Booking(2, 1000), at_ms=MONDAY_MS, product="ten_rides")
    assert [(one.pass_id, one.discount_cents) for one in (month, ten)] == [(2, 500), (1, 1000)]
    terms = CouponTerms("welcome", MONDAY_MS, MONDAY_MS + DAY_MS, cents=100, code="WELCOME")
    crm.coupons.define(scope_id, terms, at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="has a discount already"):
        crm.coupons.reserve(7, "WELCOME", Booking(1, 1000), at_ms=MONDAY_MS)
    crm.coupons.reserve(7, "WELCOME", Booking(3, 1000), at_ms=MONDAY_MS)
    for booking, who in ((Booking(3, 1000), 7), (Booking(1, 1000), 8), (Booking(1, 1001), 7)):
        with pytest.raises(StateError, match="has a discount already"):
            passes.reserve(who, booking, at_ms=MONDAY_MS)


def test_bad_input_is_told_and_changes_nothing(crm, scope_id):
    add_customers(crm, scope_id, [7, 8], status=["active", "erased"])
    month = {"product": "commuter_month", "at_ms": MONDAY_MS}
    crm.passes.buy(7, **month, key="a")
    for who, told, error, message in (
        (7, {**month, "key": "b"}, StateError, "the next one may begin then"),
        (7, {**month, "key": "b", "from_ms": MONDAY_MS + 30 * DAY_MS - 1}, StateError, "may begin then"),
        (7, {**month, "key": "a", "product": "ten_rides"}, InputError, "another pass"),
        (7, {**month, "key": "b", "product": "year"}, InputError, "product is 'year'"),
        (7, {**month, "key": "b", "from_ms": MONDAY_MS - 1}, InputError, "time goes backwards"),
        (7, {**month, "key": ""}, InputError, "key must be"),
        (8, {**month, "key": "b"}, StateError, "erased"),
        (9, {**month, "key": "b"}, InputError, "customer 9 is not known"),
    ):
        with pytest.raises(error, match=message):
            crm.passes.buy(who, **told)
    with crm.context.database.reading() as connection:
        assert len(connection.execute(sa.select(customer_pass)).all()) == 1
    later = crm.passes.buy(7, **month, key="b", from_ms=MONDAY_MS + 30 * DAY_MS)
    assert later.until_ms == MONDAY_MS + 60 * DAY_MS
    with pytest.raises(StateError, match="no pass"):
        crm.passes.reserve(7, Booking(1, 1), at_ms=MONDAY_MS, product="ten_rides")
    with pytest.raises(InputError, match="product is 'year'"):
        crm.passes.reserve(7, Booking(1, 1), at_ms=MONDAY_MS, product="year")
    with pytest.raises(StateError, match="neither coupon nor pass"):
        crm.passes.commit(7, 1, at_ms=MONDAY_MS)


def test_the_last_rides_are_not_given_twice(crm, scope_id):
    add_customers(crm, scope_id, [7])
    crm.passes.buy(7, "ten_rides", at_ms=MONDAY_MS, key="a")

    def ride(order_id: int) -> bool:
        try:
            crm.passes.reserve(7, Booking(order_id, 1000), at_ms=MONDAY_MS)
        except StateError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ride, range(30))) == 10


def test_a_pass_gives_the_rides_that_are_wanted_while_it_holds(crm, scope_id):
    add_customers(crm, scope_id, [7])
    buy = {"product": "commuter_month", "at_ms": MONDAY_MS}
    first = crm.passes.buy(7, **buy, key="a")
    last_day_ms = first.until_ms - DAY_MS

    def reserve(order: int, wanted_at_ms: int):
        booking = Booking(order, 1000, wanted_at_ms=wanted_at_ms)
        return crm.passes.reserve(7, booking, at_ms=last_day_ms)

    held = reserve(1, first.until_ms - 1)
    assert held.until_ms == first.until_ms - 1 + 2 * HOUR_MS
    with pytest.raises(StateError, match=f"no pass that holds at {first.until_ms} with a ride left"):
        reserve(2, first.until_ms)
    second = crm.passes.buy(7, **buy, key="b", from_ms=first.until_ms)
    assert reserve(2, first.until_ms).pass_id == second.pass_id
    assert reserve(1, first.until_ms - 1) == held
    with pytest.raises(StateError, match="has a discount already"):
        reserve(1, first.until_ms)
    assert [one.num_held for one in crm.passes.of_customer(7, at_ms=last_day_ms)] == [1, 1]
    assert crm.passes.commit(7, 1, at_ms=held.until_ms).state == "committed"


def test_a_pass_is_recommended_where_it_costs_less(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3, 4])
    # 12 $ a ride: the commuter's month saves 6 $ a ride and costs 49 $; ten rides save 12 $ each, for 90 $.
    add_days(crm, [(1, 0, 20, 24_000), (2, 3, 2, 2_400), (2, 40, 30, 36_000), (4, 0, 20, 24_000)])
    asked = [crm.passes.recommend(one, at_ms=MONDAY_MS) for one in (1, 2, 3)]
    assert asked[0] == Recommendation("pass", "commuter_month", 20, 9, 20 * 600 - 4900)
    assert asked[1] == Recommendation("coupon", "ten_rides", 2, 8, 6 * 1200 - 9000)
    assert (asked[2].kind, asked[2].num_rides, asked[2].break_even) == ("coupon", 0, 0)
    with crm.context.database.writing() as connection:
        merged = sa.update(customer).where(customer.c.customer_id == 4)
        connection.execute(merged.values(status="merged", merged_into=3))
    assert crm.passes.recommend(3, at_ms=MONDAY_MS).kind == "pass"


def test_recommendations_follow_from_rides_and_fares():
    free = PassRule("free", 3000, rides=4)
    assert recommend((), 9, 9000) == Recommendation("none", "", 9, 0, 0)
    assert recommend((free,), 9, 9000) == Recommendation("pass", "free", 9, 3, 4 * 1000 - 3000)
    assert recommend((free,), 3, 3000) == Recommendation("coupon", "free", 3, 3, 0)
    assert recommend((free, PassRule("month", 100)), 9, 9000).product == "month"


def test_each_does_what_is_within_reach(crm, scope_id):
    add_customers(crm, scope_id, [7])
    add_customers(crm, crm.scope(TENANT, OTHER_CITY), [8])
    own = crm.acting_as(actor("customer", own=("customer", 7)))
    own.passes.buy(7, "ten_rides", at_ms=MONDAY_MS, key="a")
    own.passes.reserve(7, Booking(1, 500), at_ms=MONDAY_MS)
    for call in (
        lambda passes: passes.buy(8, "ten_rides", at_ms=MONDAY_MS, key="b"),
        lambda passes: passes.of_customer(8, at_ms=MONDAY_MS),
        lambda passes: passes.recommend(8, at_ms=MONDAY_MS),
        lambda passes: passes.commit(7, 1, at_ms=MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            call(own.passes)
