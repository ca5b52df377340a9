"""Campaigns: who joins, who is held out, who must be served first, and what they did."""

import math

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from crm.engaged import add_customers, add_days, add_orders, insert, say
from dispatch.crm import audit
from dispatch.crm.engagement.campaigns import TRIGGERS, CampaignPlan, Joined, is_held_out
from dispatch.crm.engagement.segment_rules import SegmentRule
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.tables.engagement import campaign_member
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import coupon_code
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import complaint
from dispatch.errors import AuthError, InputError, StateError

END_MS = MONDAY_MS + 30 * DAY_MS


def plan(**told: object) -> CampaignPlan:
    defaults = {"template": "come_back", "begin_at_ms": MONDAY_MS, "end_at_ms": END_MS, "holdout_permille": 0}
    return CampaignPlan(**(defaults | told))


def live(crm, scope_id: int, name: str = "autumn", **told: object) -> int:
    campaign_id = crm.campaigns.create(scope_id, name, plan(**told), MONDAY_MS)
    crm.campaigns.activate(campaign_id, MONDAY_MS)
    return campaign_id


def arms(crm, campaign_id: int) -> dict[int, str]:
    with crm.context.database.reading() as connection:
        table = campaign_member.c
        rows = connection.execute(
            sa.select(table.customer_id, table.arm).where(table.campaign_id == campaign_id)
        )
        return {row.customer_id: row.arm for row in rows}


def complain(crm, scope_id: int, customer_id: int) -> None:
    row = {
        "scope_id": scope_id,
        "incident_id": 1,
        "customer_id": customer_id,
        "code": "driver_late",
        "severity": 2,
        "channel": "app",
        "day": 1,
        "filed_at_ms": 1,
        "respond_by_ms": 2,
        "resolve_by_ms": 3,
        "last_at_ms": 1,
    }
    insert(crm, complaint, [row])


def test_a_campaign_is_drafted_goes_live_and_ends(crm, scope_id):
    add_customers(
        crm, scope_id, range(1, 201), tier=["gold" if one <= 150 else "basic" for one in range(1, 201)]
    )
    say(crm, range(1, 141), "marketing")
    say(crm, [139], "marketing", granted=False, at_ms=MONDAY_MS + 1)
    complain(crm, scope_id, 140)
    golden = SegmentRule.from_table({"all": [{"measure": "tier", "one_of": ["gold"]}]})
    told = {"rule": golden, "holdout_permille": 250, "coupon_cents": 500}
    campaign_id = crm.campaigns.create(scope_id, "members_only", plan(**told), MONDAY_MS)
    assert crm.campaigns.read(campaign_id).plan == plan(**told)
    assert crm.campaigns.run(MONDAY_MS) == {}, "a draft reaches nobody"
    with pytest.raises(StateError, match="only a live"):
        crm.campaigns.end(campaign_id, MONDAY_MS)
    crm.campaigns.activate(campaign_id, MONDAY_MS)
    with pytest.raises(StateError, match="only a draft"):
        crm.campaigns.activate(campaign_id, MONDAY_MS)
    came = crm.campaigns.run(MONDAY_MS + 5)[campaign_id]
    found = arms(crm, campaign_id)
    assert set(found) == set(range(1, 139))
    assert came == Joined(138 - came.held_out, came.held_out, waiting=1)
    assert 20 <= came.held_out <= 50
    assert all((arm == "holdout") == is_held_out(campaign_id, one, 250) for one, arm in found.items())
    assert crm.campaigns.run(MONDAY_MS + 6)[campaign_id] == Joined(waiting=1), "nobody joins twice"
    messages = [one for one in crm.outbox.messages() if one.type == "campaign.message"]
    treated = {one for one, arm in found.items() if arm == "treated"}
    assert {one.object_id for one in messages} == treated, "who is held out hears nothing"
    assert messages[0].data == {"campaign_id": campaign_id, "template": "come_back"}
    with crm.context.database.reading() as connection:
        assert set(connection.execute(sa.select(coupon_code.c.customer_id)).scalars()) == treated
        assert audit.verify(connection) > 0
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(complaint).values(state="resolved", verdict="upheld"))
    came = crm.campaigns.run(MONDAY_MS + 7)[campaign_id]
    assert came.treated + came.held_out == 1, "served first, then asked"
    crm.campaigns.end(campaign_id, MONDAY_MS + 8)
    assert crm.campaigns.run(MONDAY_MS + 9) == {}
    assert [one.status for one in crm.campaigns.listed(scope_id)] == ["ended"]


def test_each_trigger_meets_its_own(crm, scope_id):
    elsewhere = crm.scope("acme", OTHER_CITY)
    add_customers(
        crm,
        scope_id,
        range(1, 7),
        birthday_mmdd=[1119, 1121, 1201, None, None, None],
        status=["active"] * 5 + ["merged"],
        merged_into=[None] * 5 + [5],
    )
    add_customers(crm, elsewhere, [8], birthday_mmdd=1121)
    say(crm, [*range(1, 7), 8], "marketing")
    add_days(crm, [(1, 40, 1, 1), (3, -1, 1, 1), (4, 10, 1, 1), (4, -1, 1, 1), (6, -1, 1, 1)])
    add_orders(
        crm,
        scope_id,
        [
            {"customer_id": 1, "at_ms": MONDAY_MS - 40 * DAY_MS},
            {"customer_id": 3, "at_ms": MONDAY_MS + DAY_MS},
            {"customer_id": 4, "at_ms": MONDAY_MS + DAY_MS},
            {"customer_id": 6, "at_ms": MONDAY_MS + DAY_MS},
            {"customer_id": 2, "at_ms": MONDAY_MS + 3 * DAY_MS},
        ],
    )
    ids = {trigger: live(crm, scope_id, trigger, trigger=trigger) for trigger in TRIGGERS}
    crm.campaigns.run(MONDAY_MS + 2 * DAY_MS)
    assert {trigger: sorted(arms(crm, ids[trigger])) for trigger in TRIGGERS} == {
        "start": [1, 2, 3, 4, 5],
        "completed_order": [3, 4, 5],
        "first_order": [3, 5],
        "unused": [1],
        "birthday": [2],
    }
    crm.campaigns.run(END_MS - 1)
    assert sorted(arms(crm, ids["birthday"])) == [2, 3]
    crm.campaigns.run(END_MS)
    assert {one.status for one in crm.campaigns.listed(scope_id)} == {"ended"}


def test_offers_are_codes_of_a_coupon_and_audiences_are_segments(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    add_days(crm, [(2, 3, 4, 100)])
    say(crm, [1, 2, 3], "marketing")
    frequent = SegmentRule.from_table({"all": [{"measure": "orders", "at_least": 2}]})
    segment_id = crm.segments.define(scope_id, "frequent", frequent, MONDAY_MS)
    terms = CouponTerms("half", MONDAY_MS, END_MS, permille=500, most_cents=1000)
    coupon_id = crm.coupons.define(scope_id, terms, at_ms=MONDAY_MS)
    campaign_id = live(crm, scope_id, segment_id=segment_id, coupon_id=coupon_id)
    assert crm.campaigns.run(MONDAY_MS)[campaign_id].treated == 1
    assert [one.coupon_id for one in crm.coupons.of_customer(2, at_ms=MONDAY_MS)] == [coupon_id]
    elsewhere = crm.scope("acme", OTHER_CITY)
    for told in ({"segment_id": segment_id}, {"coupon_id": coupon_id}, {"segment_id": 99}, {"coupon_id": 99}):
        with pytest.raises(InputError):
            crm.campaigns.create(elsewhere, "other", plan(**told), MONDAY_MS)
    crm.coupons.withdraw(coupon_id, at_ms=MONDAY_MS, reason="sold_out")
    add_days(crm, [(3, 3, 4, 100)])
    with pytest.raises(StateError, match="withdrawn"):
        crm.campaigns.run(MONDAY_MS + 1)
    assert sorted(arms(crm, campaign_id)) == [2], "nothing is half-applied"


def test_the_effect_is_that_of_a_plain_count(crm, scope_id):
    rng, num = np.random.default_rng(2), 600
    add_customers(crm, scope_id, range(1, num + 1))
    say(crm, range(1, num + 1), "marketing")
    campaign_id = live(crm, scope_id, holdout_permille=400)
    crm.campaigns.run(MONDAY_MS)
    found = arms(crm, campaign_id)
    rows, again, late = [], dict.fromkeys(found, False), dict.fromkeys(found, False)
    for one, arm in found.items():
        # The offer works for ten days; afterwards all are as before.
        for day in range(1, 40):
            rate = 0.06 if arm == "treated" and day <= 10 else 0.02
            if rng.random() < rate:
                rows.append({"customer_id": one, "at_ms": MONDAY_MS + day * DAY_MS})
                again[one] |= day <= 20
                late[one] |= 10 < day <= 20
    rows += [{"customer_id": one, "at_ms": MONDAY_MS - DAY_MS} for one in found]
    rows += [{"customer_id": one, "at_ms": MONDAY_MS + DAY_MS, "completed": False} for one in found]
    add_orders(crm, scope_id, rows)
    now_ms = MONDAY_MS + 20 * DAY_MS
    effect = crm.campaigns.effect(campaign_id, 20, now_ms)
    by_arm = {arm: [one for one in found if found[one] == arm] for arm in ("treated", "holdout")}
    assert (effect.treated, effect.holdout) == (len(by_arm["treated"]), len(by_arm["holdout"]))
    assert effect.treated_repeated == sum(again[one] for one in by_arm["treated"])
    assert effect.holdout_repeated == sum(again[one] for one in by_arm["holdout"])
    assert effect.is_shown
    assert effect.difference.low > 0
    assert effect.incremental.value == pytest.approx(effect.treated * effect.difference.value)
    after = crm.campaigns.effect(campaign_id, 20, now_ms, after_days=10)
    assert after.treated_repeated == sum(late[one] for one in by_arm["treated"])
    assert not after.is_shown, "a discount that built no loyalty shows none"
    early = crm.campaigns.effect(campaign_id, 20, now_ms - 1)
    assert (early.treated, early.holdout) == (0, 0), "nobody's time is over"
    assert math.isnan(early.difference.value)
    first, second = by_arm["treated"][0], by_arm["holdout"][0]
    with crm.context.database.writing() as connection:
        merging = sa.update(customer).where(customer.c.customer_id == second)
        connection.execute(merging.values(status="merged", merged_into=first))
    merged = crm.campaigns.effect(campaign_id, 20, now_ms)
    assert merged.treated + merged.holdout == num - 1


def test_the_hash_holds_out_as_many_as_told_and_others_each_time():
    held = [[one for one in range(20_000) if is_held_out(campaign, one, 100)] for campaign in (1, 2)]
    for ids in held:
        assert 1850 <= len(ids) <= 2150
    assert 120 <= len(set(held[0]) & set(held[1])) <= 280
    assert held[0] == [one for one in range(20_000) if is_held_out(1, one, 100)]
    assert set(held[0]) < {one for one in range(20_000) if is_held_out(1, one, 200)}


def test_who_may_do_what(crm, scope_id):
    elsewhere = crm.scope("acme", OTHER_CITY)
    campaign_id = live(crm, elsewhere)
    marketing = crm.acting_as(actor("marketing")).campaigns
    for refused in (
        lambda: marketing.read(campaign_id),
        lambda: marketing.end(campaign_id, MONDAY_MS),
        lambda: marketing.effect(campaign_id, 3, MONDAY_MS),
        lambda: marketing.create(elsewhere, "other", plan(), MONDAY_MS),
        lambda: marketing.run(MONDAY_MS),
        lambda: crm.acting_as(actor("analyst")).campaigns.create(scope_id, "x", plan(), MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            refused()
    own = marketing.create(scope_id, "own", plan(), MONDAY_MS)
    marketing.activate(own, MONDAY_MS)
    with pytest.raises(StateError):
        marketing.create(scope_id, "own", plan(), MONDAY_MS)
    late = crm.campaigns.create(scope_id, "late", plan(), MONDAY_MS)
    with pytest.raises(StateError, match="it is over"):
        crm.campaigns.activate(late, END_MS)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"template": "two words"}, "template"),
        ({"end_at_ms": MONDAY_MS}, "end_at_ms"),
        ({"begin_at_ms": -1}, "begin_at_ms"),
        ({"trigger": "rain"}, "trigger"),
        ({"trigger_days": 0}, "trigger_days"),
        ({"coupon_cents": -1}, "coupon_cents"),
        ({"coupon_cents": 1, "coupon_id": 1}, "beside coupon_id"),
        ({"segment_id": 1, "rule": SegmentRule(window_days=9)}, "beside segment_id"),
        ({"holdout_permille": 901}, "holdout_permille"),
    ],
)
def test_bad_plans_are_refused(told, said):
    with pytest.raises(InputError, match=said):
        plan(**told)


def test_a_merged_member_does_not_join_again(crm, scope_id):
    add_customers(crm, scope_id, range(1, 41))
    say(crm, range(1, 41), "marketing")
    first = live(crm, scope_id, rule=SegmentRule(), holdout_permille=500)
    held = sorted(one for one in range(1, 41) if is_held_out(first, one, 500))
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(customer).where(customer.c.customer_id > 20).values(status="left"))
    crm.campaigns.run(MONDAY_MS)
    into = next(one for one in range(21, 41) if one not in held)
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(customer).where(customer.c.customer_id == into).values(status="active"))
        gone = sa.update(customer).where(customer.c.customer_id == held[0])
        connection.execute(gone.values(status="merged", merged_into=into))
    assert crm.campaigns.run(MONDAY_MS + DAY_MS)[first] == Joined()
    assert into not in arms(crm, first)


def test_buying_energy_counts_as_an_order(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    say(crm, [1, 2], "marketing")
    row = {"scope_id": scope_id, "station_id": 1, "product": "petrol_95", "millilitres": 9, "cents": 1}
    bought = [{**row, "customer_id": 1, "key": str(day), "at_ms": MONDAY_MS + day * DAY_MS} for day in (1, 3)]
    insert(crm, energy_purchase, bought)
    campaign_id = live(crm, scope_id, trigger="completed_order")
    assert crm.campaigns.run(MONDAY_MS + 2 * DAY_MS)[campaign_id].treated == 1
    effect = crm.campaigns.effect(campaign_id, 5, MONDAY_MS + 10 * DAY_MS)
    assert (effect.treated, effect.treated_repeated) == (1, 1)
