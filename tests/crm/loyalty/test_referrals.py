"""Referrals: nobody wins themselves; rewards come once, with the first order, within a month's limit."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, OTHER_TENANT, actor
from crm.engaged import add_customers, add_days, close_orders, insert
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty import referrals
from dispatch.crm.loyalty.referrals import Referral, reward_purchase_in
from dispatch.crm.rules import ReferralRule
from dispatch.crm.tables.loyalty import referral
from dispatch.errors import AuthError, InputError, StateError


def reward(crm: Crm, rows: list[tuple[int, int, int]]) -> int:
    """Tell of completed orders: (customer, order, instant)."""
    before = num_waiting(crm)
    close_orders(crm, [(who, order, 0, at_ms) for who, order, at_ms in sorted(rows, key=lambda row: row[2])])
    return before - num_waiting(crm)


def num_waiting(crm: Crm) -> int:
    with crm.context.database.reading() as connection:
        waits = sa.select(sa.func.count()).where(referral.c.state == "waiting")
        return int(connection.execute(waits).scalar_one())


def bought(crm: Crm, who: int, purchase_id: int, at_ms: int = MONDAY_MS) -> bool:
    """Tell of a purchase of energy."""
    with crm.context.database.writing() as connection:
        return reward_purchase_in(connection, crm.context, who, purchase_id, at_ms)


def counting(crm: Crm, *on: str) -> Crm:
    """The same CRM where such first purchases count."""
    rule = replace(crm.context.vertical.referral, on=on)
    return Crm(replace(crm.context, vertical=replace(crm.context.vertical, referral=rule)))


def points_of(crm: Crm, *ids: int) -> list[int]:
    return [crm.points.balance(one, at_ms=MONDAY_MS + 90 * DAY_MS).points for one in ids]


def test_both_sides_are_rewarded_once_with_the_first_completed_order(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    code = crm.referrals.code(1, at_ms=MONDAY_MS)
    assert crm.referrals.code(1, at_ms=MONDAY_MS + 1) == code
    assert crm.referrals.refer(2, code.lower(), at_ms=MONDAY_MS) == 1
    assert crm.referrals.won_by(1) == [Referral(2, 1, MONDAY_MS, "waiting", None, None)]
    assert points_of(crm, 1) == [0]
    when = MONDAY_MS + DAY_MS
    assert reward(crm, [(3, 30, when), (2, 21, when + 5), (2, 20, when), (99, 40, when)]) == 1
    assert reward(crm, [(2, 20, when), (2, 22, when + 9)]) == 0
    assert crm.referrals.won_by(1) == [Referral(2, 1, MONDAY_MS, "rewarded", 20, when)]
    assert points_of(crm, 1, 2, 3) == [500, 0, 0]
    (held,) = crm.coupons.of_customer(2, at_ms=when)
    assert (held.name, held.cents) == ("referral.500", 500)
    assert crm.coupons.of_customer(1, at_ms=when) == []


def test_who_may_not_be_referred_is_told_why(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3, 4, 5], status=["active"] * 4 + ["erased"])
    add_customers(crm, crm.scope(OTHER_TENANT, OTHER_CITY), [6])
    codes = {one: crm.referrals.code(one, at_ms=MONDAY_MS) for one in (1, 2, 3, 4, 6)}
    crm.referrals.refer(2, codes[1], at_ms=MONDAY_MS)
    crm.referrals.refer(3, codes[2], at_ms=MONDAY_MS)
    add_days(crm, [(4, 0, 1, 1000)])
    for who, code, error, message in (
        (1, codes[1], InputError, "nobody wins themselves"),
        (1, codes[2], InputError, "whom customer 1 won"),
        (1, codes[3], InputError, "whom customer 1 won"),
        (2, codes[4], StateError, "came by a code before"),
        (4, codes[1], StateError, "at registration"),
        (1, codes[6], InputError, "code is not known"),
        (1, "NOBODY", InputError, "code is not known"),
        (9, codes[1], InputError, "customer 9 is not known"),
    ):
        with pytest.raises(error, match=message):
            crm.referrals.refer(who, code, at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="erased"):
        crm.referrals.code(5, at_ms=MONDAY_MS)
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(referral.c.referee_id, referral.c.referrer_id)).all()
    assert sorted(map(tuple, rows)) == [(2, 1), (3, 2)]
    with pytest.raises(sa.exc.IntegrityError):
        insert(crm, referral, [{"referee_id": 4, "referrer_id": 4, "at_ms": 0}])


def test_a_month_rewards_so_many(database_url, tmp_path):
    with Crm.create(database_url, "ride", keys=tmp_path / "crm.keys") as crm:
        rule = ReferralRule(referrer_points=100, referee_coupon_cents=300, most_a_month=2)
        vertical = replace(crm.context.vertical, referral=rule)
        crm = Crm(replace(crm.context, vertical=vertical))
        add_customers(crm, crm.scope("acme", "san_francisco"), range(1, 9))
        code = crm.referrals.code(1, at_ms=MONDAY_MS)
        for one in range(2, 8):
            crm.referrals.refer(one, code, at_ms=MONDAY_MS)
        # Monday is the 20th of November: December begins 11 days later.
        assert reward(crm, [(2, 2, MONDAY_MS)]) == 1
        assert reward(crm, [(3, 3, MONDAY_MS + 1), (4, 4, MONDAY_MS + 2)]) == 2
        assert reward(crm, [(5, 5, MONDAY_MS + 11 * DAY_MS - 1), (6, 6, MONDAY_MS + 11 * DAY_MS)]) == 2
        told = [(one.referee_id, one.state) for one in crm.referrals.won_by(1)]
        assert told == [
            (2, "rewarded"),
            (3, "rewarded"),
            (4, "over_limit"),
            (5, "over_limit"),
            (6, "rewarded"),
            (7, "waiting"),
        ]
        assert points_of(crm, 1) == [300]
        assert [len(crm.coupons.of_customer(one, at_ms=MONDAY_MS)) for one in range(2, 8)] == [1] * 5 + [0]


def test_the_limit_holds_where_two_batches_are_applied_at_once(crm, scope_id):
    add_customers(crm, scope_id, range(1, 42))
    code = crm.referrals.code(1, at_ms=MONDAY_MS)
    for one in range(2, 42):
        crm.referrals.refer(one, code, at_ms=MONDAY_MS)
    batches = [[(one, one, MONDAY_MS + one) for one in range(2 + part, 42, 4)] for part in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda rows: reward(crm, rows), batches))
    assert num_waiting(crm) == 0
    states = [one.state for one in crm.referrals.won_by(1)]
    assert (states.count("rewarded"), points_of(crm, 1)) == (20, [20 * 500])


def test_merging_keeps_who_won_whom_without_circles(crm, scope_id):
    add_customers(crm, scope_id, range(1, 7))
    rows = [(2, 1), (3, 2), (5, 4)]
    insert(crm, referral, [{"referee_id": a, "referrer_id": b, "at_ms": 0} for a, b in rows])
    for old, new, left in (
        (3, 6, [(2, 1), (5, 4), (6, 2)]),  # 6 came by 2, as 3 did
        (2, 1, [(5, 4), (6, 1)]),  # 1 won 2, who is 1 now
        (4, 6, [(5, 6), (6, 1)]),  # 6 won 5, as 4 did
        (5, 1, [(6, 1)]),  # 1 did not come by 6, whom 1 won
    ):
        with crm.context.database.writing() as connection:
            referrals.merge_in(connection, old, new)
        with crm.context.database.reading() as connection:
            found = connection.execute(sa.select(referral.c.referee_id, referral.c.referrer_id))
            assert sorted(map(tuple, found)) == left


def test_an_order_made_before_a_merge_counts_for_the_customer_who_is_left(crm, scope_id):
    add_customers(
        crm, scope_id, [1, 2, 3], status=["active", "active", "merged"], merged_into=[None, None, 2]
    )
    insert(crm, referral, [{"referee_id": 2, "referrer_id": 1, "at_ms": 0}])
    assert reward(crm, [(3, 30, MONDAY_MS)]) == 1
    assert points_of(crm, 1) == [500]


def test_a_first_purchase_of_energy_counts_where_the_rule_says_so(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3, 4, 5])
    code = crm.referrals.code(1, at_ms=MONDAY_MS)
    for one in (2, 3, 4):
        crm.referrals.refer(one, code, at_ms=MONDAY_MS)
    assert crm.context.vertical.referral.on == ("trip", "delivery")
    fuel, both = counting(crm, "energy"), counting(crm, "trip", "energy")
    assert not bought(crm, 2, 17)
    assert reward(fuel, [(2, 17, MONDAY_MS)]) == 0
    assert points_of(crm, 1) == [0]
    assert bought(fuel, 2, 17)
    assert [bought(fuel, one, 17) for one in (2, 1, 5, 99)] == [False] * 4
    # The same number may be an order's: each rewards once.
    assert reward(both, [(3, 17, MONDAY_MS + 1)]) == 1
    assert bought(both, 4, 18, MONDAY_MS + 2)
    assert reward(both, [(2, 19, MONDAY_MS + 3), (4, 20, MONDAY_MS + 3)]) == 0
    assert not bought(both, 3, 21)
    told = [(one.referee_id, one.order_id, one.purchase_id, one.state) for one in crm.referrals.won_by(1)]
    assert told == [(2, None, 17, "rewarded"), (3, 17, None, "rewarded"), (4, None, 18, "rewarded")]
    assert points_of(crm, 1) == [1500]
    entries = crm.points.entries(1)
    assert [(one.order_id, one.reason) for one in entries] == [
        (None, "referral"),
        (17, "referral"),
        (None, "referral"),
    ]
    assert [len(crm.coupons.of_customer(one, at_ms=MONDAY_MS + 9)) for one in (2, 3, 4)] == [1, 1, 1]


def test_who_bought_under_another_name_is_no_new_customer(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    add_days(crm, [(3, 0, 1, 1000)])
    crm.contacts.merge(3, 2, at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="at registration"):
        crm.referrals.refer(2, crm.referrals.code(1, at_ms=MONDAY_MS), at_ms=MONDAY_MS)


def test_orders_of_customers_who_were_not_referred_reward_nobody(crm, scope_id):
    add_customers(crm, scope_id, [1])
    assert reward(crm, [(one, one, MONDAY_MS) for one in range(2_000)]) == 0


def test_each_does_what_is_within_reach(crm, scope_id):
    add_customers(crm, scope_id, [7, 8])
    own = crm.acting_as(actor("customer", own=("customer", 7))).referrals
    code = own.code(7, at_ms=MONDAY_MS)
    for call in (
        lambda: own.code(8, at_ms=MONDAY_MS),
        lambda: own.won_by(8),
        lambda: own.refer(8, code, at_ms=MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            call()
