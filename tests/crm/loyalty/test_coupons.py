"""Coupons: what a definition asks for, codes, validation without effect, and who may do what."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT, actor
from crm.engaged import add_customers
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.coupons import CouponTerms, Quote, grant_in, new_codes
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.tables.loyalty import coupon, coupon_code
from dispatch.crm.tables.people import audit
from dispatch.errors import AuthError, InputError, StateError

UNTIL_MS = MONDAY_MS + 60 * DAY_MS
TERMS = CouponTerms("welcome", MONDAY_MS, UNTIL_MS, cents=500, code="WELCOME")
RIDE = Booking(1, 2000)


def held_rows(crm: Crm) -> list[tuple[int, int]]:
    with crm.context.database.reading() as connection:
        return [tuple(row) for row in connection.execute(sa.select(coupon.c.coupon_id, coupon.c.num_held))]


def test_a_shared_code_is_validated_reserved_committed_and_given_back(crm, scope_id):
    add_customers(crm, scope_id, [7, 8])
    coupons = crm.coupons
    coupon_id = coupons.define(scope_id, replace(TERMS, most_uses=1), at_ms=MONDAY_MS)
    assert coupons.validate(7, "welcome ", RIDE, at_ms=MONDAY_MS) == Quote(500)
    assert held_rows(crm) == [(coupon_id, 0)]
    done = [coupons.reserve(7, "WELCOME", RIDE, at_ms=MONDAY_MS) for _ in range(2)]
    assert done[0] == done[1]
    assert (done[0].state, done[0].discount_cents, done[0].coupon_id) == ("reserved", 500, coupon_id)
    assert coupons.validate(8, "WELCOME", replace(RIDE, order_id=2), at_ms=MONDAY_MS) == Quote(0, "used_up")
    states = [coupons.commit(7, 1, at_ms=MONDAY_MS + HOUR_MS).state for _ in range(2)]
    states += [coupons.roll_back(7, 1, at_ms=MONDAY_MS + HOUR_MS).state for _ in range(2)]
    assert states == ["committed", "committed", "rolled_back", "rolled_back"]
    assert held_rows(crm) == [(coupon_id, 0)]
    with pytest.raises(StateError, match="neither coupon nor pass"):
        coupons.commit(7, 1, at_ms=MONDAY_MS + HOUR_MS)
    coupons.reserve(8, "WELCOME", replace(RIDE, order_id=2), at_ms=MONDAY_MS)
    coupons.commit(8, 2, at_ms=MONDAY_MS)
    told = coupons.report(coupon_id)
    assert (told.issued, told.uses, told.discount_cents) == (0, {"committed": 1, "rolled_back": 1}, 500)


def test_each_term_is_a_reason_to_refuse(crm, scope_id):
    add_customers(crm, scope_id, [7, 8], tier=[None, "gold"])
    coupons = crm.coupons
    strict = replace(
        TERMS,
        cents=0,
        permille=250,
        most_cents=400,
        least_fare_cents=1500,
        least_tier="silver",
        channel="app",
        vehicle_class="comfort",
    )
    coupon_id = coupons.define(scope_id, strict, at_ms=MONDAY_MS)
    good = Booking(1, 1500, channel="app", vehicle_class="comfort")
    asked = [
        (8, "WELCOME", good, MONDAY_MS, Quote(375)),
        (8, "WELCOME", replace(good, fare_cents=9000), MONDAY_MS, Quote(400)),
        (8, "WELCOM", good, MONDAY_MS, Quote(0, "unknown")),
        (8, "WELCOME", good, MONDAY_MS - 1, Quote(0, "not_yet")),
        (8, "WELCOME", good, UNTIL_MS, Quote(0, "expired")),
        (8, "WELCOME", replace(good, fare_cents=1499), MONDAY_MS, Quote(0, "fare_too_low")),
        (7, "WELCOME", good, MONDAY_MS, Quote(0, "tier_too_low")),
        (8, "WELCOME", replace(good, channel="web"), MONDAY_MS, Quote(0, "channel")),
        (8, "WELCOME", replace(good, vehicle_class=""), MONDAY_MS, Quote(0, "vehicle_class")),
    ]
    for who, code, booking, at_ms, quote in asked:
        assert coupons.validate(who, code, booking, at_ms=at_ms) == quote
        if quote.refusal:
            with pytest.raises((StateError, InputError), match=quote.refusal.replace("unknown", "not known")):
                coupons.reserve(who, code, booking, at_ms=at_ms)
    assert held_rows(crm) == [(coupon_id, 0)]
    coupons.withdraw(coupon_id, at_ms=MONDAY_MS, reason="budget")
    assert coupons.validate(8, "WELCOME", good, at_ms=MONDAY_MS).refusal == "withdrawn"
    with pytest.raises(StateError, match="withdrawn before"):
        coupons.withdraw(coupon_id, at_ms=MONDAY_MS, reason="budget")


def test_codes_of_persons_are_theirs_and_good_once(crm, scope_id):
    add_customers(crm, scope_id, [7, 8])
    coupons, when = crm.coupons, {"at_ms": MONDAY_MS}
    coupon_id = coupons.define(scope_id, replace(TERMS, code="", permille=100, cents=0), **when)
    own, other, bearer = coupons.issue(coupon_id, [7, 8, None], **when, seed=5)
    assert [own, other, bearer] == new_codes(3, seed=5)
    assert coupons.validate(7, other, RIDE, **when).refusal == "unknown"
    with pytest.raises(InputError, match="not known"):
        coupons.reserve(7, other, RIDE, **when)
    assert [one.code for one in coupons.of_customer(7, **when)] == [own]
    assert coupons.reserve(7, own, RIDE, **when).discount_cents == 200
    assert coupons.of_customer(7, **when) == []
    second = replace(RIDE, order_id=2)
    with pytest.raises(StateError, match="redeemed"):
        coupons.reserve(7, own, second, **when)
    with pytest.raises(StateError, match="has a discount already"):
        coupons.reserve(7, bearer, RIDE, **when)
    with pytest.raises(StateError, match="has a discount already"):
        coupons.reserve(7, own, replace(RIDE, fare_cents=5), **when)
    coupons.commit(7, 1, **when)
    with pytest.raises(StateError, match="redeemed"):
        coupons.reserve(7, own, second, **when)
    coupons.roll_back(7, 1, **when)
    coupons.reserve(7, own, second, **when)
    coupons.reserve(8, bearer, replace(RIDE, order_id=3), **when)
    late = MONDAY_MS + 30 * DAY_MS
    assert coupons.validate(8, other, replace(RIDE, order_id=4), at_ms=late).refusal == "expired"
    with pytest.raises(InputError, match="time goes backwards"):
        coupons.commit(8, 3, at_ms=MONDAY_MS - 1)
    with pytest.raises(StateError, match="neither coupon nor pass"):
        coupons.commit(7, 3, **when)


def test_a_company_wide_coupon_serves_all_its_cities_and_nobody_else(crm, scope_id):
    add_customers(crm, scope_id, [7])
    add_customers(crm, crm.scope(TENANT, OTHER_CITY), [8])
    add_customers(crm, crm.scope(OTHER_TENANT, OTHER_CITY), [9])
    wide = crm.scope(TENANT, "")
    crm.coupons.define(wide, replace(TERMS, cents=100), at_ms=MONDAY_MS)
    crm.coupons.define(scope_id, TERMS, at_ms=MONDAY_MS)
    found = [crm.coupons.validate(one, "WELCOME", RIDE, at_ms=MONDAY_MS) for one in (7, 8, 9)]
    assert found == [Quote(500), Quote(100), Quote(0, "unknown")]
    own = crm.coupons.define(wide, replace(TERMS, name="own", code=""), at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="customer_ids holds 9"):
        crm.coupons.issue(own, [7, 9], at_ms=MONDAY_MS)
    assert len(crm.coupons.issue(own, [7, 8], at_ms=MONDAY_MS)) == 2


def test_bad_input_is_told_and_changes_nothing(crm, scope_id):
    add_customers(crm, scope_id, [7, 8], status=["active", "erased"])
    for told, message in (
        ({"cents": -5}, "cents is -5"),
        ({"cents": 0}, "one of them must be above 0"),
        ({"permille": 10}, "one of them must be above 0"),
        ({"cents": 0, "permille": 1001}, "permille is 1001"),
        ({"until_ms": MONDAY_MS}, "must be after from_ms"),
        ({"code": "a b"}, "code is 'a b'"),
        ({"most_uses": -1}, "most_uses is -1"),
        ({"name": "no name"}, "name is"),
    ):
        with pytest.raises(InputError, match=message):
            replace(TERMS, **told)
    with pytest.raises(InputError, match="tier is 'platinum'"):
        crm.coupons.define(scope_id, replace(TERMS, least_tier="platinum"), at_ms=MONDAY_MS)
    shared = crm.coupons.define(scope_id, TERMS, at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="there already"):
        crm.coupons.define(scope_id, replace(TERMS, name="again"), at_ms=MONDAY_MS)
    own = crm.coupons.define(scope_id, replace(TERMS, name="own", code=""), at_ms=MONDAY_MS)
    for coupon_id, ids, more, error, message in (
        (shared, [7], {}, StateError, "all share"),
        (own, [], {}, InputError, "entries is 0"),
        (own, [7, 8], {}, InputError, "customer_ids holds 8"),
        (own, [7], {"until_ms": MONDAY_MS}, InputError, "until_ms is"),
        (own, [7], {"at_ms": UNTIL_MS}, StateError, "over"),
        (99, [7], {}, InputError, "coupon 99 is not known"),
    ):
        with pytest.raises(error, match=message):
            crm.coupons.issue(coupon_id, ids, **{"at_ms": MONDAY_MS, **more})
    with crm.context.database.reading() as connection:
        assert connection.execute(sa.select(coupon_code)).all() == []


def test_rules_grant_coupons_to_many_at_once(crm, scope_id):
    add_customers(crm, scope_id, range(1, 2001), status=["erased", *["active"] * 1999])
    with crm.context.database.writing() as connection:
        for _ in range(2):
            assert grant_in(connection, crm.context, range(1, 2001), "tier.gold", 800, MONDAY_MS) == 1999
        assert grant_in(connection, crm.context, [], "tier.gold", 900, MONDAY_MS) == 0
    held = crm.coupons.of_customer(7, at_ms=MONDAY_MS)
    assert [(one.name, one.cents, one.until_ms) for one in held] == [
        ("tier.gold.800", 800, MONDAY_MS + 30 * DAY_MS)
    ] * 2
    assert held[0].coupon_id == held[1].coupon_id
    assert crm.coupons.of_customer(1, at_ms=MONDAY_MS) == []
    told = [(one.type, one.object_id) for one in crm.outbox.messages(limit=3)]
    assert told == [("coupon.issued", 2), ("coupon.issued", 3), ("coupon.issued", 4)]


def test_who_holds_a_code_is_told_with_the_one_that_ends_first(crm, scope_id):
    add_customers(crm, scope_id, [7, 8, 9])
    own = crm.coupons.define(scope_id, replace(TERMS, code=""), at_ms=MONDAY_MS)
    late = crm.coupons.issue(own, [7, 8, None], at_ms=MONDAY_MS, until_ms=MONDAY_MS + 9 * DAY_MS)
    soon = crm.coupons.issue(own, [7], at_ms=MONDAY_MS, until_ms=MONDAY_MS + DAY_MS)
    told = {"scope_id": scope_id}
    assert crm.coupons.holders(**told, at_ms=MONDAY_MS) == {7: soon[0], 8: late[1]}
    crm.coupons.reserve(8, late[1], RIDE, at_ms=MONDAY_MS)
    assert crm.coupons.holders(**told, at_ms=MONDAY_MS + DAY_MS) == {7: late[0]}


def test_codes_are_many_and_all_different():
    codes = new_codes(20_000)
    assert len(set(codes)) == 20_000
    assert {len(code) for code in codes} == {12}
    assert not set("".join(codes)) & set("01IO")


def test_each_does_what_is_within_reach(crm, scope_id):
    add_customers(crm, scope_id, [7])
    add_customers(crm, crm.scope(TENANT, OTHER_CITY), [8])
    marketing, agent, own = actor("marketing"), actor("agent"), actor("customer", own=("customer", 7))
    coupon_id = crm.acting_as(marketing).coupons.define(scope_id, TERMS, at_ms=MONDAY_MS)
    done = crm.acting_as(own).coupons.reserve(7, "WELCOME", RIDE, at_ms=MONDAY_MS)
    assert crm.acting_as(agent).coupons.roll_back(7, 1, at_ms=MONDAY_MS).redemption_id == done.redemption_id
    far = crm.coupons.define(crm.scope(OTHER_TENANT, OTHER_CITY), TERMS, at_ms=MONDAY_MS)
    for who, call in (
        (own, lambda coupons: coupons.define(scope_id, TERMS, at_ms=MONDAY_MS)),
        (own, lambda coupons: coupons.of_customer(8, at_ms=MONDAY_MS)),
        (own, lambda coupons: coupons.commit(7, 1, at_ms=MONDAY_MS)),
        (agent, lambda coupons: coupons.reserve(8, "WELCOME", RIDE, at_ms=MONDAY_MS)),
        (agent, lambda coupons: coupons.report(coupon_id)),
        (marketing, lambda coupons: coupons.report(far)),
        (marketing, lambda coupons: coupons.issue(far, [7], at_ms=MONDAY_MS)),
        (marketing, lambda coupons: coupons.expire(at_ms=MONDAY_MS)),
    ):
        with pytest.raises(AuthError):
            call(crm.acting_as(who).coupons)
    with crm.context.database.reading() as connection:
        done = sa.select(audit.c.action, audit.c.actor).where(audit.c.action.not_like("refused:%"))
        noted = [tuple(row) for row in connection.execute(done)]
    assert noted == [("coupon.define", "staff-1"), ("coupon.define", "system")]
