"""What happened with a customer, in words: by the calls that make it happen, and by rows alone."""

import pytest

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS
from crm.made_people import insert
from crm.served import NOW_MS, served_city
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.loyalty.points import Gain
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.people import timeline as module
from dispatch.crm.people.persons import ID_COLUMN
from dispatch.crm.service.complaints import Compensation, NewComplaint
from dispatch.crm.tables import engagement, fleet, loyalty, orders, people, service
from dispatch.crm.tables.everything import metadata

ME, OTHER = 1, 2
OF_ORDER = {"order_id": 7, "customer_id": ME}


def entries(crm, at_ms, limit=100):
    return crm.customer_views.view(ME, at_ms=at_ms, limit=limit).timeline


def words(crm, at_ms, limit=100):
    return [entry.what for entry in entries(crm, at_ms, limit)]


def test_what_an_operator_reads(crm, scope_id):
    served_city(crm, scope_id, 1)
    at = NOW_MS
    terms = CouponTerms("autumn", code="AUTUMN", cents=300, from_ms=MONDAY_MS, until_ms=at + DAY_MS)
    crm.coupons.define(scope_id, terms, at_ms=at - DAY_MS)
    crm.coupons.reserve(ME, "AUTUMN", Booking(1002, 2_000), at_ms=at + 1)
    crm.coupons.roll_back(ME, 1002, at_ms=at + 2)
    crm.points.earn(ME, Gain("trip", "c", 5_000, order_id=1001), at_ms=at + 3)
    crm.ratings.rate(1001, "driver", 1, at_ms=at + 5)
    made = crm.service_desk.file(NewComplaint(ME, "rude_driver", order_id=1001), at_ms=at + 6)
    crm.service_desk.respond(made, at_ms=at + 7)
    amends = Compensation(points=200)
    crm.service_desk.resolve(made, "upheld", reason="right", at_ms=at + 8, compensation=amends)
    crm.consents.record(ME, "marketing", False, at_ms=at + 9, source="phone")
    crm.memberships.set_tier(ME, "gold", reason="gift", at_ms=at + 10)
    found = words(crm, at + 10)
    assert found[:10] == [
        "tier set: gold, gift",
        "refused: marketing, source phone",
        "points granted: +200 points, complaint_upheld",
        "complaint upheld: complaint 1, +200 points",
        "complaint answered: complaint 1",
        "complaint filed: complaint 1, rude_driver, order 1001, channel app",
        "rated the driver: 1 star, order 1001",
        "points earned: +50 points, order 1001, trip",
        "coupon given back: autumn, order 1002, discount 3.00",
        "coupon held: autumn, order 1002, discount 3.00",
    ]
    assert "ride completed: order 1001, driver 101" in found
    assert "order submitted: order 1001" in found
    assert found[-1] == "entered as a customer"
    assert words(crm, at + 10, limit=3) == found[:3]
    # Points expire in a year, the coupon is void tomorrow: nothing of it has happened.
    instants = [entry.at_ms for entry in entries(crm, at + 10)]
    assert instants == sorted(instants, reverse=True)
    assert max(instants) == at + 10
    assert words(crm, at + 6) == found[5:]
    view = crm.customer_views.view(ME, at_ms=at + 6)
    assert (view.counts["complaint"], view.counts["redemption"]) == (1, 1)
    assert "membership" not in view.counts


ROWS = [
    (orders.orders, {"stage": 7, "ended_at_ms": 1}, ["order cancelled: order 7"]),
    (orders.orders, {"stage": 8, "ended_at_ms": 1}, ["order expired, nobody came: order 7"]),
    (orders.orders, {"stage": 6, "ended_at_ms": 1}, []),
    (
        orders.orders,
        {"dropped_off_at_ms": 1, "driver_id": 3, "fare_cents": 1999},
        ["ride completed: order 7, driver 3, fare 19.99"],
    ),
    (
        fleet.delivery,
        {
            "merchant_id": 4,
            "placed_at_ms": 1,
            "preparation_ms": 1,
            "cents": 990,
            "ready_at_ms": 2,
            "cancelled_at_ms": 3,
        },
        [
            "delivery cancelled: order 7",
            "delivery ready to be fetched: order 7",
            "delivery ordered: order 7, merchant 4, for 9.90",
        ],
    ),
    (
        loyalty.points_entry,
        {"kind": "expire", "points": -1_200, "at_ms": 1, "expires_at_ms": 10**12},
        ["points expired: -1,200 points, order 7"],
    ),
    (
        loyalty.redemption,
        {
            "pass_id": 3,
            "state": "committed",
            "fare_cents": 900,
            "discount_cents": 900,
            "reserved_at_ms": 1,
            "until_ms": 9,
            "ended_at_ms": 5,
        },
        ["pass used: pass 3, order 7, discount 9.00", "pass held: pass 3, order 7, discount 9.00"],
    ),
    (
        service.rating,
        {"about": "customer", "stars": 4, "day": 0, "at_ms": 1, "removed_at_ms": 2},
        ["rating taken out by an appeal: 4 stars, order 7", "was rated by the driver: 4 stars, order 7"],
    ),
    (
        service.incident,
        {"scope_id": 1, "code": "detour", "stage": "riding", "severity": 3, "source": "staff", "at_ms": 1},
        ["problem noted: detour, order 7, severity 3, source staff"],
    ),
    (
        service.credit_event,
        {"reason": "no_show", "delta": -5, "made_by": "x", "at_ms": 1},
        ["standing changed: -5, no_show, order 7"],
    ),
    (service.credit_event, {"reason": "completed", "delta": 0, "made_by": "x", "at_ms": 1}, []),
    (
        service.feedback,
        {
            "scope_id": 1,
            "channel": "email",
            "topic": "price",
            "stars": 2,
            "key": "k",
            "received_at_ms": 1,
            "handled_at_ms": 2,
            "outcome": "thanked",
        },
        ["feedback handled: price, thanked", "feedback: price, channel email, 2 stars, order 7"],
    ),
]
OTHERS = [
    (
        fleet.energy_purchase,
        {
            "scope_id": 1,
            "station_id": 5,
            "customer_id": ME,
            "product": "diesel",
            "cents": 8_000,
            "millilitres": 45_300,
            "at_ms": 1,
            "key": "k",
        },
        ["fuel or charge bought: diesel, 45.3 l, for 80.00, station 5"],
    ),
    (
        loyalty.customer_pass,
        {
            "customer_id": ME,
            "product": "monthly",
            "price_cents": 4_900,
            "from_ms": 1,
            "until_ms": 9,
            "bought_at_ms": 1,
        },
        ["pass bought: monthly, for 49.00"],
    ),
    (
        loyalty.referral_code,
        {"customer_id": ME, "code": "C", "created_at_ms": 1},
        ["got a code to refer others by"],
    ),
    (
        service.appeal,
        {
            "scope_id": 1,
            "against": "complaint",
            "object_id": 4,
            "kind": "customer",
            "person_id": ME,
            "reason": "r",
            "filed_by": "x",
            "state": "granted",
            "filed_at_ms": 1,
            "decided_at_ms": 2,
        },
        ["appeal granted: appeal 1, against complaint", "appeal filed: appeal 1, against complaint"],
    ),
    (
        service.appeal,
        {
            "scope_id": 1,
            "against": "block",
            "object_id": 4,
            "kind": "driver",
            "person_id": ME,
            "reason": "r",
            "filed_by": "x",
            "filed_at_ms": 1,
        },
        [],
    ),
    (
        service.call_back,
        {
            "scope_id": 1,
            "customer_id": ME,
            "reason": "low_rating",
            "asked_at_ms": 1,
            "due_at_ms": 5,
            "done_at_ms": 3,
            "outcome": "reached",
            "stars": 5,
        },
        ["called back: reached, 5 stars", "call-back asked for: low_rating"],
    ),
    (
        engagement.care_sent,
        {
            "kind": "customer",
            "person_id": ME,
            "trigger": "birthday",
            "occasion": 2023,
            "at_ms": 1,
            "coupon_cents": 500,
        },
        ["care: birthday, a coupon of 5.00"],
    ),
    (
        engagement.interest,
        {"customer_id": ME, "topic": "sales", "since_at_ms": 1},
        ["asked to hear of a topic: sales"],
    ),
    (
        people.alias,
        {"customer_id": ME, "scope_id": 1, "kind": "card", "added_at_ms": 1},
        ["another name added: card"],
    ),
]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("table", "row", "expected"), [(t, OF_ORDER | r, e) for t, r, e in ROWS] + OTHERS)
def test_each_kind_of_row(crm, scope_id, table, row, expected):
    crm.customers.register_many({"customer_id": [ME, OTHER]}, scope_id=scope_id, at_ms=0)
    insert(crm, table, row)
    found = entries(crm, MONDAY_MS)
    assert [entry.what for entry in found][:-1] == expected
    assert {entry.table for entry in found[:-1]} <= {table.name}
    assert len(crm.customer_views.view(OTHER, at_ms=MONDAY_MS).timeline) == 1


def test_what_has_a_name_is_told_by_it(crm, scope_id):
    crm.customers.register_many({"customer_id": [ME]}, scope_id=scope_id, at_ms=0)
    window = {"begin_at_ms": 0, "end_at_ms": 9, "holdout_permille": 0}
    named = {"scope_id": scope_id, "created_at_ms": 0}
    insert(crm, engagement.campaign, {"campaign_id": 6, "name": "back_to_work", **named, **window})
    insert(
        crm,
        engagement.campaign_member,
        {"campaign_id": 6, "customer_id": ME, "arm": "holdout", "joined_at_ms": 1},
    )
    insert(crm, service.survey, {"survey_id": 8, "name": "spring", **named})
    insert(
        crm, service.survey_sent, {"survey_id": 8, "customer_id": ME, "sent_at_ms": 2, "answered_at_ms": 3}
    )
    terms = CouponTerms("welcome", cents=300, from_ms=0, until_ms=HOUR_MS)
    made = crm.coupons.define(scope_id, terms, at_ms=3)
    crm.coupons.issue(made, [ME], at_ms=4)
    assert words(crm, HOUR_MS)[:-1] == [
        "coupon issued: welcome",
        "survey answered: survey spring",
        "survey sent: survey spring",
        "in a campaign: campaign back_to_work, holdout",
    ]


def test_every_table_that_names_customers_is_told_or_left_out_with_a_reason():
    told = {moment.instant.table.name for moment in module._MOMENTS}
    assert not told & set(module.NOT_TOLD)
    for table in metadata.sorted_tables:
        has_instant = any(column.name.endswith("at_ms") for column in table.c)
        if ID_COLUMN["customer"] in table.c and has_instant:
            assert table.name in told | set(module.NOT_TOLD), table.name
    for moment in module._MOMENTS:
        names = {column.name for column in moment.instant.table.c} | {t.name for t in module._NAMED.values()}
        assert set(moment.told) <= names, moment.instant
        assert not any(
            moment.instant.table.c[name].info.get("personal")
            for name in moment.told
            if name in moment.instant.table.c
        )
