"""What follows from orders that ended, through the events that ended them."""

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS
from dispatch.crm.loyalty.coupons import grant_in
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.tables.loyalty import redemption
from dispatch.crm.tables.service import credit
from dispatch.engine.events import EventKind as Kind, make_events

NOW_MS = MONDAY_MS + DAY_MS
FARE = 25_000
"""Silver is reached by 20,000 in the ride vertical."""


def order_of(order_id, customer_id, ends, at_ms, with_driver=True):
    """The events of one order."""
    steps = [(Kind.ORDER_SUBMITTED, 0)]
    if with_driver:
        steps += [(Kind.ORDER_ASSIGNED, 60_000)]
    if ends == Kind.ORDER_CLOSED:
        steps += [(Kind.DRIVER_ARRIVED, 120_000), (Kind.PICKED_UP, 150_000), (Kind.DROPPED_OFF, 900_000)]
    steps += [(ends, 910_000)]
    log = make_events(Kind.ORDER_SUBMITTED, len(steps), order_id=order_id)
    log["kind"] = [kind for kind, _ in steps]
    log["at_ms"] = [at_ms + after_ms for _, after_ms in steps]
    log["customer_id"][0], log["tier"][0], log["wanted_after_ms"][0] = customer_id, 0, 0
    log["driver_id"][1:-1] = 9
    log["eta_ms"][log["kind"] == Kind.ORDER_ASSIGNED] = 60_000
    log["fare_cents"][log["kind"] == Kind.DROPPED_OFF] = FARE
    return log


def together(*orders):
    log = np.concatenate(orders)
    return log[np.argsort(log["at_ms"], kind="stable")]


@pytest.fixture
def people(crm, scope_id):
    return crm.customers.register_many({"name": ["Ada", "Bo", "Cy"]}, scope_id=scope_id, at_ms=MONDAY_MS)


def held(crm):
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(redemption.c.order_id, redemption.c.state)).all()
    return {row.order_id: row.state for row in rows}


def test_a_closed_order_earns_and_commits_a_cancelled_one_gives_back(crm, people):
    ada, bo, cy = people
    code = crm.referrals.code(ada, at_ms=MONDAY_MS)
    crm.referrals.refer(bo, code, at_ms=MONDAY_MS)
    with crm.context.database.writing() as connection:
        grant_in(connection, crm.context, [ada, cy], "gift", 300, MONDAY_MS)
    for customer, order in ((ada, 1), (cy, 3)):
        (coupon,) = crm.coupons.of_customer(customer, at_ms=NOW_MS)
        crm.coupons.reserve(customer, coupon.code, Booking(order, FARE), at_ms=NOW_MS)
    log = together(
        order_of(1, ada, Kind.ORDER_CLOSED, NOW_MS),
        order_of(2, bo, Kind.ORDER_CLOSED, NOW_MS + 5),
        order_of(3, cy, Kind.ORDER_CANCELLED, NOW_MS + 10),
        order_of(4, -1, Kind.ORDER_CLOSED, NOW_MS + 15),
        order_of(5, 999_999, Kind.ORDER_EXPIRED, NOW_MS + 20, with_driver=False),
    )
    for first in range(0, len(log), 7):
        crm.events.apply(log[first : first + 7], first_seq=first)
    crm.events.apply(log, first_seq=0)  # told again: nothing follows twice
    later = NOW_MS + DAY_MS
    rule = crm.context.vertical.referral
    assert crm.points.balance(bo, at_ms=later).points == FARE // 100
    assert crm.points.balance(ada, at_ms=later).points == FARE // 100 + rule.referrer_points
    assert crm.points.balance(cy, at_ms=later).points == 0
    assert held(crm)[1] == "committed"
    assert held(crm)[3] == "rolled_back"
    assert [crm.memberships.tier_at(one, at_ms=later) for one in people] == ["silver", "silver", "basic"]
    begin = crm.context.vertical.credit.begin
    credit = crm.context.vertical.credit
    standing = [crm.credit.standing(one) for one in people]
    assert standing == [begin + credit.completed, begin + credit.completed, begin + credit.cancelled_late]
    assert [one.state for one in crm.referrals.won_by(ada)] == ["rewarded"]


def test_a_cancellation_without_a_driver_costs_no_standing(crm, people):
    log = order_of(1, people[0], Kind.ORDER_CANCELLED, NOW_MS, with_driver=False)
    crm.events.apply(log, first_seq=0)
    assert crm.credit.standing(people[0]) == crm.context.vertical.credit.begin


def test_events_of_an_erased_customer_are_still_counted(crm, people):
    crm.privacy.erase("customer", people[0], at_ms=MONDAY_MS + 5)
    done = crm.events.apply(order_of(1, people[0], Kind.ORDER_CLOSED, NOW_MS), first_seq=0)
    assert (done.num_orders, done.num_completed) == (1, 1)
    assert crm.points.balance(people[0], at_ms=NOW_MS + DAY_MS).points == 0


def test_what_was_used_on_an_order_that_came_to_nothing_is_given_back_once(crm, people):
    ada, bo, _ = people
    with crm.context.database.writing() as connection:
        grant_in(connection, crm.context, [ada], "gift", 300, MONDAY_MS)
    (coupon,) = crm.coupons.of_customer(ada, at_ms=NOW_MS)
    crm.coupons.reserve(ada, coupon.code, Booking(1, FARE), at_ms=NOW_MS)
    crm.coupons.commit(ada, 1, at_ms=NOW_MS + 1)  # early, by an app that was sure of the ride
    for one in (ada, bo):
        crm.points.grant(one, 1000, at_ms=MONDAY_MS, reason="gift", key=f"gift-{one}")
    for row, points in enumerate((100, 150)):  # several redemptions of one order
        crm.points.redeem(ada, points, at_ms=NOW_MS + row, key=f"pay-{row}", order_id=1)
    crm.points.redeem(bo, 200, at_ms=NOW_MS, key="pay-bo", order_id=2)
    later_ms = NOW_MS + 10 * DAY_MS
    crm.points.grant(ada, 7, at_ms=later_ms, reason="gift", key="later")  # a command after the events' time
    log = together(
        order_of(1, ada, Kind.ORDER_CANCELLED, NOW_MS), order_of(2, bo, Kind.ORDER_CLOSED, NOW_MS + 5)
    )
    crm.events.apply(log, first_seq=0)
    again = order_of(1, ada, Kind.ORDER_CANCELLED, NOW_MS)[-1:]  # that it ended, by another log
    crm.events.apply(again, first_seq=0, stream="again")
    assert held(crm) == {1: "rolled_back"}
    assert [one.code for one in crm.coupons.of_customer(ada, at_ms=NOW_MS + DAY_MS)] == [coupon.code]
    assert crm.points.balance(ada, at_ms=later_ms).points == 1007
    assert crm.points.balance(bo, at_ms=later_ms).points == 800 + FARE // 100


def test_customers_whom_nobody_knows_get_no_standing(crm):
    crm.events.apply(order_of(1, 4711, Kind.ORDER_CLOSED, NOW_MS), first_seq=0)
    with crm.context.database.reading() as connection:
        assert connection.execute(sa.select(credit)).all() == []
