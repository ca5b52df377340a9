"""What orders that ended bring and take, each in its place among the others."""

from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from crm.conftest import HOUR_MS, MONDAY_MS
from crm.engaged import add_customers, insert
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.climbing import Trips
from dispatch.crm.loyalty.closing import Ended, follow_in
from dispatch.crm.loyalty.standing import standing_in
from dispatch.crm.tables.engagement import outbox
from dispatch.crm.tables.loyalty import coupon_code, points_entry, referral

NONE = np.zeros(0, np.int64)


def follow(crm, rows):
    """Orders that ended: (customer, order, cents, instant, closed or not)."""
    customers, orders, cents, instants, closed = map(list, zip(*rows, strict=True))
    ended = Ended(customers, orders, cents, instants, list(range(len(rows))), closed)
    with crm.context.database.writing() as connection:
        standing = standing_in(connection, crm.context.vertical, customers)
        follow_in(connection, crm.context, ended, Trips(NONE, NONE, NONE, NONE), standing)


def entries(crm, who):
    names = ("kind", "points", "order_id", "at_ms")
    with crm.context.database.reading() as connection:
        asked = sa.select(*(points_entry.c[name] for name in names)).where(points_entry.c.customer_id == who)
        return list(map(tuple, connection.execute(asked.order_by(points_entry.c.entry_id))))


def test_points_come_and_go_in_the_sequence_of_the_orders(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    insert(crm, referral, [{"referee_id": 2, "referrer_id": 1, "at_ms": MONDAY_MS}])
    for order in (11, 13):
        crm.points.grant(1, 200, at_ms=MONDAY_MS, reason="gift", key=f"g{order}")
        crm.points.redeem(1, 200, at_ms=MONDAY_MS, key=f"r{order}", order_id=order)
    at = [MONDAY_MS + hour * HOUR_MS for hour in range(1, 7)]
    rows = [
        (1, 10, 1_000, at[0], True),
        (1, 11, 0, at[1], False),
        (2, 12, 500, at[2], True),
        (1, 13, 0, at[3], False),
        (1, 14, 700, at[4], True),
        (99, 15, 700, at[5], True),
    ]
    follow(crm, rows)
    won = crm.context.vertical.referral.referrer_points
    assert entries(crm, 1)[4:] == [
        ("earn", 10, 10, at[0]),
        ("rollback", 200, 11, at[1]),
        ("grant", won, 12, at[2]),
        ("rollback", 200, 13, at[3]),
        ("earn", 7, 14, at[4]),
    ]
    assert entries(crm, 2) == [("earn", 5, 12, at[2])]
    assert entries(crm, 99) == []
    follow(crm, rows)
    assert len(entries(crm, 1)) == 9, "told once more: all of it was before"
    with crm.context.database.reading() as connection:
        told = connection.execute(
            sa.select(outbox.c.data)
            .where(outbox.c.type == "points.changed", outbox.c.object_id == 1)
            .order_by(outbox.c.message_id)
        ).scalars()
        balances = [one["balance"] for one in told]
    assert balances == [200, 0, 200, 0, 10, 210, 210 + won, 410 + won, 417 + won]


def test_who_bought_first_is_rewarded_first_and_coupons_bear_their_own_instant(crm, scope_id):
    add_customers(crm, scope_id, [1, 5, 9])
    insert(crm, referral, [{"referee_id": who, "referrer_id": 1, "at_ms": MONDAY_MS} for who in (5, 9)])
    rule = replace(crm.context.vertical.referral, most_a_month=1)
    limited = Crm(replace(crm.context, vertical=replace(crm.context.vertical, referral=rule)))
    follow(
        limited, [(9, 21, 0, MONDAY_MS, True), (5, 22, 0, MONDAY_MS, True), (5, 23, 0, MONDAY_MS + 1, True)]
    )
    won = {one.referee_id: (one.state, one.order_id) for one in crm.referrals.won_by(1)}
    assert won == {9: ("rewarded", 21), 5: ("over_limit", 22)}
    add_customers(crm, scope_id, [6, 7])
    insert(crm, referral, [{"referee_id": who, "referrer_id": 5, "at_ms": MONDAY_MS} for who in (6, 7)])
    follow(crm, [(7, 31, 0, MONDAY_MS + HOUR_MS, True), (6, 32, 0, MONDAY_MS + 2 * HOUR_MS, True)])
    with crm.context.database.reading() as connection:
        asked = sa.select(coupon_code.c.customer_id, coupon_code.c.issued_at_ms)
        issued = dict(connection.execute(asked.where(coupon_code.c.customer_id.in_([6, 7]))).all())
    assert issued == {7: MONDAY_MS + HOUR_MS, 6: MONDAY_MS + 2 * HOUR_MS}
