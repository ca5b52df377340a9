"""Tiers rise at once, fall by review, never overlap, and are what the dispatcher is told."""

from dataclasses import replace
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given, settings, strategies as st

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.engaged import MONDAY, add_customers, add_days, insert
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty import ledger, memberships
from dispatch.crm.loyalty.memberships import Benefits, Period, progress_in, tiers_of
from dispatch.crm.loyalty.points import Gain
from dispatch.crm.tables.loyalty import membership
from dispatch.crm.tables.orders import customer_day
from dispatch.crm.tables.people import audit, customer
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StateError

RIDE = Vertical.load("ride")
KEEP_MS = 30 * DAY_MS


def progress(crm: Crm, ids: list[int], at_ms: int = MONDAY_MS) -> int:
    with crm.context.database.writing() as connection:
        return progress_in(connection, crm.context, ids, at_ms)


def tiers(crm: Crm, ids: list[int]) -> list[int]:
    with crm.context.database.reading() as connection:
        return tiers_of(connection, crm.context.vertical, ids).tolist()


def assert_periods_are_dated(crm: Crm) -> None:
    """No two of a customer overlap, one at most is open, and it is the tier in the customer's row."""
    with crm.context.database.reading() as connection:
        rows = connection.execute(
            sa.select(membership).order_by(membership.c.customer_id, membership.c.from_ms)
        ).all()
        in_force = dict(connection.execute(sa.select(customer.c.customer_id, customer.c.tier)).all())
    for before, after in pairwise(rows):
        if before.customer_id == after.customer_id:
            assert before.until_ms is not None
            assert before.until_ms <= after.from_ms
    for row in rows:
        if row.until_ms is None:
            assert in_force[row.customer_id] == row.tier


def test_a_tier_is_reached_at_once_and_lost_by_review(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3, 4], status=["active", "active", "active", "erased"])
    add_days(crm, [(1, 0, 2, 20_000), (2, 0, 9, 70_000), (3, 0, 1, 19_999), (4, 0, 9, 70_000)])
    assert progress(crm, [1, 2, 2, 3, 4, 99]) == 2
    assert progress(crm, [1, 2, 3, 4]) == 0
    assert tiers(crm, [3, 2, 99, 1]) == [0, 2, 0, 1]
    assert crm.memberships.periods(2) == [Period("gold", MONDAY_MS, None, "measured", MONDAY_MS + KEEP_MS)]
    assert [one.cents for one in crm.coupons.of_customer(2, at_ms=MONDAY_MS)] == [800]
    assert crm.memberships.progress(1, at_ms=MONDAY_MS) == (20_000, 40_000)
    assert crm.memberships.progress(2, at_ms=MONDAY_MS) == (70_000, None)
    add_days(crm, [(1, -1, 5, 45_000)])
    assert progress(crm, [1], MONDAY_MS + DAY_MS) == 1
    assert [one.tier for one in crm.memberships.periods(1)] == ["silver", "gold"]
    # Within keep_days nothing falls; later only to the tier that is still reached.
    assert crm.memberships.review(at_ms=MONDAY_MS + KEEP_MS - 1) == 0
    add_days(crm, [(2, -60, 3, 30_000)])
    assert crm.memberships.review(at_ms=MONDAY_MS + 92 * DAY_MS) == 2
    assert crm.memberships.review(at_ms=MONDAY_MS + 92 * DAY_MS) == 0
    assert tiers(crm, [1, 2, 3]) == [0, 1, 0]
    assert crm.memberships.tier_at(2, at_ms=MONDAY_MS + DAY_MS) == "gold"
    assert crm.memberships.tier_at(2, at_ms=MONDAY_MS + 92 * DAY_MS) == "silver"
    assert crm.memberships.tier_at(2, at_ms=MONDAY_MS - 1) == "basic"
    assert crm.memberships.counts(scope_id) == {"basic": 2, "silver": 1, "gold": 0}
    told = [one.data["tier"] for one in crm.outbox.messages() if one.type == "membership.changed"]
    assert sorted(told) == ["basic", "gold", "gold", "silver", "silver"]
    assert_periods_are_dated(crm)


def test_only_the_window_counts(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    add_days(crm, [(1, 89, 2, 20_000), (2, 90, 2, 20_000), (3, -1, 2, 20_000)])
    assert progress(crm, [1, 2, 3]) == 1
    assert tiers(crm, [1, 2, 3]) == [1, 0, 0]


def test_a_person_sets_a_tier_with_a_reason(crm, scope_id):
    add_customers(crm, scope_id, [1, 2], status=["active", "erased"])
    manager = crm.acting_as(actor("manager"))
    manager.memberships.set_tier(
        1, "gold", at_ms=MONDAY_MS, reason="goodwill", keep_until_ms=MONDAY_MS + DAY_MS
    )
    manager.memberships.set_tier(1, "silver", at_ms=MONDAY_MS, reason="mistake")
    assert crm.memberships.periods(1) == [Period("silver", MONDAY_MS, None, "mistake", MONDAY_MS + KEEP_MS)]
    # Events of an instant before a person's decision do not undo it.
    add_days(crm, [(1, 0, 9, 90_000)])
    assert progress(crm, [1], MONDAY_MS - 1) == 0
    for call, error, message in (
        (lambda one: one.set_tier(1, "gold", at_ms=MONDAY_MS - 1, reason="late"), InputError, "backwards"),
        (lambda one: one.set_tier(1, "platinum", at_ms=MONDAY_MS, reason="x"), InputError, "tier is 'plat"),
        (lambda one: one.set_tier(1, "gold", at_ms=MONDAY_MS, reason="so nice"), InputError, "reason is"),
        (lambda one: one.set_tier(2, "gold", at_ms=MONDAY_MS, reason="x"), StateError, "not active"),
        (
            lambda one: one.set_tier(1, "gold", at_ms=MONDAY_MS, reason="x", keep_until_ms=5),
            InputError,
            "keep_until_ms is 5",
        ),
    ):
        with pytest.raises(error, match=message):
            call(crm.memberships)
    for who in (actor("agent"), actor("customer", own=("customer", 1))):
        with pytest.raises(AuthError):
            crm.acting_as(who).memberships.set_tier(1, "gold", at_ms=MONDAY_MS, reason="x")
    assert tiers(crm, [1]) == [1]
    with crm.context.database.reading() as connection:
        noted = connection.execute(sa.select(audit.c.details)).scalars().all()
    assert noted[1] == '{"before":"gold","reason":"mistake","tier":"silver"}'
    assert_periods_are_dated(crm)


def test_a_tier_entitles_to_what_its_rule_says(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    crm.memberships.set_tier(1, "gold", at_ms=MONDAY_MS, reason="goodwill")
    rule = crm.context.vertical.tier("gold")
    assert crm.memberships.benefits(1, 1999, at_ms=MONDAY_MS) == Benefits(
        "gold", 1999 * rule.fee_discount_permille // 1000, True, rule.weight, rule.service_priority
    )
    assert crm.memberships.benefits(1, 1999, at_ms=MONDAY_MS).discount_cents == 99
    before = crm.memberships.benefits(1, 1999, at_ms=MONDAY_MS - 1)
    assert before == crm.memberships.benefits(2, 1999, at_ms=MONDAY_MS) == Benefits("basic", 0, False, 1, 0)
    for fare_cents in (-1, 2.5, True):
        with pytest.raises(InputError, match="fare_cents"):
            crm.memberships.benefits(1, fare_cents, at_ms=MONDAY_MS)
    with pytest.raises(AuthError):
        crm.acting_as(actor("customer", own=("customer", 2))).memberships.benefits(1, 5, at_ms=MONDAY_MS)


def test_history_is_entered_where_nothing_overlaps(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    past = [
        Period("silver", MONDAY_MS - 90 * DAY_MS, MONDAY_MS - 60 * DAY_MS),
        Period("gold", MONDAY_MS - 30 * DAY_MS, None),
    ]
    crm.memberships.enter(1, past, at_ms=MONDAY_MS)
    assert [(one.tier, one.from_ms, one.until_ms) for one in crm.memberships.periods(1)] == [
        (one.tier, one.from_ms, one.until_ms) for one in past
    ]
    assert tiers(crm, [1]) == [2]
    between = Period("basic", MONDAY_MS - 60 * DAY_MS, MONDAY_MS - 30 * DAY_MS)
    for told, message in (
        ([replace(between, from_ms=between.from_ms - 1)], "periods overlap: silver"),
        ([replace(between, until_ms=between.until_ms + 1)], "periods overlap: basic"),
        ([Period("basic", MONDAY_MS, None)], "periods overlap: gold"),
        ([replace(between, tier="platinum")], "tier is 'platinum'"),
        ([replace(between, until_ms=between.from_ms)], r"periods\[0\] is from"),
        ([between, replace(between, until_ms=MONDAY_MS + 1)], r"periods\[1\] is from"),
        ([between, between], "periods overlap"),
        ([], "periods is empty"),
    ):
        with pytest.raises(InputError, match=message):
            crm.memberships.enter(1, told, at_ms=MONDAY_MS)
    crm.memberships.enter(1, [between], at_ms=MONDAY_MS)
    assert [one.tier for one in crm.memberships.periods(1)] == ["silver", "basic", "gold"]
    assert_periods_are_dated(crm)
    row = {"customer_id": 2, "tier": "gold", "keep_until_ms": 0, "reason": "x", "entered_at_ms": 0}
    for from_ms, until_ms in ((5, 5), (5, 4)):
        with pytest.raises(sa.exc.IntegrityError):
            insert(crm, membership, [{**row, "from_ms": from_ms, "until_ms": until_ms}])
    with pytest.raises(sa.exc.IntegrityError):
        insert(crm, membership, [{**row, "from_ms": at, "until_ms": None} for at in (1, 2)])


@pytest.mark.parametrize("vertical", ["delivery", "fuel"])
def test_orders_and_points_are_measures_as_well(database_url, tmp_path, vertical):
    with Crm.create(database_url, vertical, keys=tmp_path / "crm.keys") as crm:
        add_customers(crm, crm.scope(TENANT, OTHER_CITY), [1, 2])
        if vertical == "delivery":
            add_days(crm, [(1, 0, 5, 100), (2, 0, 4, 100_000)])
        else:
            crm.points.earn(1, Gain("energy", "energy:1", 60_000), at_ms=MONDAY_MS)
            crm.points.earn(2, Gain("energy", "energy:2", 60_000), at_ms=MONDAY_MS)
            crm.points.roll_back(2, 2, at_ms=MONDAY_MS, reason="refunded")
            crm.points.redeem(1, 550, at_ms=MONDAY_MS, key="spent")
        assert progress(crm, [1, 2]) == 1
        assert tiers(crm, [1, 2]) == [1, 0]
        assert_periods_are_dated(crm)


def merge(crm: Crm, old: int, new: int, at_ms: int) -> None:
    """Merge as contacts do: the row first, then what memberships keep."""
    with crm.context.database.writing() as connection:
        merged = sa.update(customer).where(customer.c.customer_id == old)
        connection.execute(merged.values(status="merged", merged_into=new))
        memberships.merge_in(connection, crm.context, old, new, at_ms)
        ledger.merge_in(connection, crm.context.vertical, old, new, at_ms)


def test_the_higher_tier_stays_when_customers_are_merged(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    crm.memberships.set_tier(1, "gold", at_ms=MONDAY_MS, reason="goodwill")
    crm.memberships.set_tier(2, "silver", at_ms=MONDAY_MS, reason="goodwill")
    for old in (1, 3):
        merge(crm, old, 2, MONDAY_MS + HOUR_MS)
    # Both names tell the same: gold under the one until the merge, under the other since.
    told = [("gold", MONDAY_MS, MONDAY_MS + HOUR_MS), ("gold", MONDAY_MS + HOUR_MS, None)]
    for one in (1, 2):
        assert [(row.tier, row.from_ms, row.until_ms) for row in crm.memberships.periods(one)] == told
    assert_periods_are_dated(crm)
    # What they spent under the other name counts: the tier is kept, and another one is reached by it.
    add_days(crm, [(1, -31, 5, 40_000), (2, -31, 5, 30_000)])
    assert crm.memberships.review(at_ms=MONDAY_MS + 32 * DAY_MS) == 0
    add_days(crm, [(3, 0, 5, 30_000)])
    for one in (1, 2, 3):
        assert crm.memberships.progress(one, at_ms=MONDAY_MS + 32 * DAY_MS)[0] == 100_000
    crm.memberships.set_tier(2, "basic", at_ms=MONDAY_MS + 32 * DAY_MS, reason="mistake")
    assert progress(crm, [3], MONDAY_MS + 33 * DAY_MS) == 1
    assert tiers(crm, [2]) == [2]


def test_what_two_reach_together_is_theirs_at_once(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    add_days(crm, [(1, 1, 2, 35_000), (2, 2, 2, 30_000), (2, 95, 9, 90_000), (3, 3, 1, 10_000)])
    assert progress(crm, [1, 2, 3], MONDAY_MS) == 2
    merge(crm, 1, 2, MONDAY_MS + HOUR_MS)
    found = [(one.tier, one.reason, one.from_ms) for one in crm.memberships.periods(2)]
    assert found == [("silver", "measured", MONDAY_MS), ("gold", "measured", MONDAY_MS + HOUR_MS)]
    assert tiers(crm, [2]) == [2]
    assert sorted(one.cents for one in crm.coupons.of_customer(2, at_ms=MONDAY_MS + HOUR_MS)) == [300, 800]
    assert crm.memberships.periods(2)[-1].keep_until_ms == MONDAY_MS + HOUR_MS + KEEP_MS
    # Who was not there yet at the limit changes nothing, nor does a second coupon come.
    merge(crm, 3, 2, MONDAY_MS + 2 * HOUR_MS)
    assert [(one.tier, one.from_ms) for one in crm.memberships.periods(2)] == [
        ("silver", MONDAY_MS),
        ("gold", MONDAY_MS + HOUR_MS),
    ]
    assert len(crm.coupons.of_customer(2, at_ms=MONDAY_MS + 2 * HOUR_MS)) == 2
    assert crm.memberships.progress(2, at_ms=MONDAY_MS + 2 * HOUR_MS) == (75_000, None)
    assert_periods_are_dated(crm)


def test_of_equal_tiers_the_longer_one_to_be_kept_stays(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    told = {"at_ms": MONDAY_MS, "reason": "goodwill"}
    for one, days in ((1, 50), (2, 40), (3, 45)):
        crm.memberships.set_tier(one, "silver", **told, keep_until_ms=MONDAY_MS + days * DAY_MS)
    for old in (1, 3):
        merge(crm, old, 2, MONDAY_MS + HOUR_MS)
    assert crm.memberships.review(at_ms=MONDAY_MS + 50 * DAY_MS - 1) == 0
    assert crm.memberships.review(at_ms=MONDAY_MS + 50 * DAY_MS) == 1


def test_a_merge_before_the_last_change_overlaps_nothing(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    crm.memberships.set_tier(1, "gold", at_ms=MONDAY_MS - DAY_MS, reason="goodwill")
    last_ms = MONDAY_MS + 9 * DAY_MS
    crm.memberships.enter(2, [Period("silver", MONDAY_MS, last_ms)], at_ms=last_ms)
    merge(crm, 1, 2, MONDAY_MS + DAY_MS)
    found = [(one.tier, one.from_ms, one.until_ms) for one in crm.memberships.periods(2)]
    assert found == [
        ("gold", MONDAY_MS - DAY_MS, MONDAY_MS + DAY_MS),
        ("silver", MONDAY_MS + DAY_MS, last_ms),
        ("gold", last_ms, None),
    ]
    assert_periods_are_dated(crm)


SPELL = st.tuples(st.integers(0, 3), st.integers(1, 9), st.sampled_from(["basic", "silver", "gold"]))
LINE = st.lists(SPELL, max_size=5)


@settings(max_examples=200, deadline=None)
@given(lines=st.lists(LINE, min_size=1, max_size=3), are_open=st.lists(st.booleans(), min_size=3, max_size=3))
def test_merged_histories_are_the_highest_tier_of_any_instant(lines, are_open):
    periods, at = [], []
    for line, is_open in zip(lines, are_open, strict=False):
        when = 0
        for place, (gap, length, tier) in enumerate(line):
            is_last = is_open and place == len(line) - 1
            begin, when = when + gap, when + gap + length
            periods.append(Period(tier, begin, None if is_last else when))
        at.append(when)
    found = memberships._highest(RIDE, periods)
    assert all(a.until_ms is not None and a.until_ms <= b.from_ms for a, b in pairwise(found))
    for when in range(max(at) + 3):

        def held(some, when=when):
            tiers = [
                RIDE.tier_row[one.tier]
                for one in some
                if one.from_ms <= when and (one.until_ms is None or when < one.until_ms)
            ]
            return max(tiers, default=None)

        assert held(found) == held(periods)
    if len(lines) == 1:
        assert found == periods


def test_thousands_of_customers_progress_and_are_reviewed_at_once(crm, scope_id):
    ids = list(range(1, 2001))
    add_customers(crm, scope_id, ids)
    days = [(one, MONDAY - ago, 1, 1, 100 * one % 18_000) for one in ids for ago in range(4)]
    columns = ("customer_id", "day", "submitted", "completed", "spend_cents")
    insert(crm, customer_day, [dict(zip(columns, row, strict=True)) for row in days])
    num = progress(crm, ids)
    expected = [
        int(4 * (100 * one % 18_000) >= 20_000) + int(4 * (100 * one % 18_000) >= 60_000) for one in ids
    ]
    assert tiers(crm, ids) == expected
    assert num == sum(map(bool, expected))
    assert crm.memberships.review(at_ms=MONDAY_MS + 200 * DAY_MS) == num
    assert_periods_are_dated(crm)


def test_what_happened_before_the_end_of_an_entered_history_overlaps_nothing(crm, scope_id):
    add_customers(crm, scope_id, [1])
    crm.memberships.enter(
        1, [Period("silver", MONDAY_MS, MONDAY_MS + 9 * DAY_MS)], at_ms=MONDAY_MS + 9 * DAY_MS
    )
    add_days(crm, [(1, 0, 1, 99_000)])
    assert progress(crm, [1], MONDAY_MS + DAY_MS) == 0, "the history of that time is told"
    with pytest.raises(InputError, match="the last change of the tier"):
        crm.memberships.set_tier(1, "gold", at_ms=MONDAY_MS + 8 * DAY_MS, reason="goodwill")
    assert progress(crm, [1], MONDAY_MS + 9 * DAY_MS) == 1
    assert_periods_are_dated(crm)
