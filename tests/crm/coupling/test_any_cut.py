"""What follows from a log is the same however it is cut: as if each event were applied by itself."""

import random
import shutil
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings, strategies as st

from crm.conftest import CITY, DAY_MS, HOUR_MS, MONDAY_MS, TENANT
from crm.engaged import add_customers, insert
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.coupons import grant_in
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.rules import MembershipRule
from dispatch.crm.tables import loyalty, orders as facts
from dispatch.crm.tables.engagement import outbox
from dispatch.crm.tables.loyalty import membership, points_entry, referral
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import credit, credit_event
from dispatch.crm.vertical import Vertical
from dispatch.engine.events import EventKind as Kind, make_events

BEGIN_MS = MONDAY_MS + 8 * DAY_MS
"""Two days before the month ends."""
RIDE = Vertical.load("ride")
RULES = {
    "spend_cents": (0, 2_000, 4_000),
    "orders": (0, 2, 5),
    "points": (0, 40, 560),
}
"""Thresholds of tiers that the customers of these logs reach within days."""
NUM_ORDERS = 26
ENDS = (Kind.ORDER_CLOSED,) * 5 + (Kind.ORDER_CANCELLED, Kind.ORDER_EXPIRED)


def vertical_of(measure):
    tiers = tuple(
        replace(tier, at_least=least) for tier, least in zip(RIDE.tiers, RULES[measure], strict=True)
    )
    rule = MembershipRule(measure=measure, window_days=2, keep_days=1)
    limits = replace(RIDE.referral, most_a_month=1)
    credit_rule = replace(RIDE.credit, begin=98, completed=1, cancelled_late=-3)
    return replace(RIDE, tiers=tiers, membership=rule, referral=limits, credit=credit_rule)


def prepare(crm):
    """Customers who owe points, hold coupons, were won by others, are merged, or gone."""
    scope_id = crm.scope(TENANT, CITY)
    add_customers(crm, scope_id, range(1, 6))
    add_customers(crm, scope_id, [6, 7], status=["merged", "erased"], merged_into=[1, None])
    won = [(2, 1), (3, 1), (4, 5), (5, 2), (1, 4)]
    insert(crm, referral, [{"referee_id": a, "referrer_id": b, "at_ms": MONDAY_MS} for a, b in won])
    crm.memberships.set_tier(3, "silver", at_ms=BEGIN_MS + 30 * HOUR_MS, reason="goodwill")  # later than some
    with crm.context.database.writing() as connection:
        grant_in(connection, crm.context, [1, 2, 3], "gift", 300, MONDAY_MS)
    for who in (1, 2, 3):
        entry = crm.points.grant(who, 400, at_ms=MONDAY_MS, reason="goodwill", key=f"g{who}")
        for order in (who, who + 5, who + 10):
            crm.points.redeem(who, 100 + order, at_ms=MONDAY_MS, key=f"r{order}", order_id=order)
        crm.points.roll_back(who, entry, at_ms=MONDAY_MS + 1, reason="mistake")  # so much is owed
        (coupon,) = crm.coupons.of_customer(who, at_ms=MONDAY_MS)
        booking = Booking(who, 2_000, wanted_at_ms=BEGIN_MS + who * 4 * HOUR_MS)
        crm.coupons.reserve(who, coupon.code, booking, at_ms=MONDAY_MS + 2)


def some_log(seed):
    """Orders of few customers, mixed with each other; many instants are the same."""
    luck = random.Random(seed)
    waiting = list(range(1, NUM_ORDERS + 1))
    running, rows, at_ms = {}, [], BEGIN_MS
    while waiting or running:
        at_ms += luck.choice((0, 0, 0, 40_000, HOUR_MS))
        if waiting and (len(running) < 5 or luck.random() < 0.2):
            order = waiting.pop(luck.randrange(min(len(waiting), 4)))
            who = order if order <= 3 else luck.choice((1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 99, -1))
            running[order] = steps_of(luck, luck.choice(ENDS))
            rows.append((Kind.ORDER_SUBMITTED, at_ms, order, -1, who, 0))
        else:
            order = luck.choice(list(running))
            kind = running[order].pop(0)
            fare = luck.randrange(200, 2_000) if kind == Kind.DROPPED_OFF else -1
            with_driver = kind not in (Kind.ORDER_CLOSED, Kind.ORDER_EXPIRED)
            rows.append((kind, at_ms, order, 100 + order % 4 if with_driver else -1, -1, fare))
            if not running[order]:
                del running[order]
        if luck.random() < 0.15:  # also twice, as after a crash
            rows.append(
                (
                    luck.choice((Kind.DRIVER_ONLINE, Kind.DRIVER_OFFLINE)),
                    at_ms,
                    -1,
                    100 + luck.randrange(5),
                    -1,
                    -1,
                )
            )
    log = make_events(Kind.ORDER_SUBMITTED, len(rows))
    columns = np.array(rows, np.int64).T
    for name, values in zip(
        ("kind", "at_ms", "order_id", "driver_id", "customer_id", "fare_cents"), columns, strict=True
    ):
        log[name] = values
    log["wanted_after_ms"][log["kind"] == Kind.ORDER_SUBMITTED] = 0
    log["eta_ms"][log["kind"] == Kind.ORDER_ASSIGNED] = 60_000
    return log


def steps_of(luck, end):
    if end == Kind.ORDER_CLOSED:
        return [Kind.ORDER_ASSIGNED, Kind.DRIVER_ARRIVED, Kind.PICKED_UP, Kind.DROPPED_OFF, end]
    return [Kind.ORDER_ASSIGNED, end] if end == Kind.ORDER_CANCELLED and luck.random() < 0.7 else [end]


def ends_of(cut, length):
    """The ends of parts of random sizes, mostly of few events."""
    luck, ends = random.Random(cut), [0]
    while ends[-1] < length:
        ends.append(min(ends[-1] + luck.choice((1, 4, 15, 60, 1_000)), length))
    return ends


def apply(crm, log, ends, measure):
    events = Crm(replace(crm.context, vertical=vertical_of(measure))).events
    for begin, end in pairwise(ends):
        events.apply(log[begin:end], first_seq=begin)


def rows_of(crm):
    """All that followed, without ids of rows that count up by themselves, each in its customer's sequence."""
    entry, lot, code, coupon = (
        table.c for table in (points_entry, loyalty.points_lot, loyalty.coupon_code, loyalty.coupon)
    )
    e_names = (entry.customer_id, entry.kind, entry.points, entry.at_ms, entry.expires_at_ms, entry.order_id)
    questions = {
        "ledger": sa.select(*e_names, entry.reason, lot.remaining)
        .outerjoin(loyalty.points_lot, lot.entry_id == entry.entry_id)
        .order_by(entry.customer_id, entry.entry_id),
        "codes": sa.select(code.customer_id, coupon.name, code.issued_at_ms, code.until_ms, code.num_held)
        .join(loyalty.coupon, coupon.coupon_id == code.coupon_id)
        .order_by(code.customer_id, coupon.name, code.issued_at_ms),
        "coupons": sa.select(coupon.name, coupon.created_at_ms, coupon.num_held).order_by(coupon.name),
        "standing events": sa.select(
            *(credit_event.c[name] for name in ("customer_id", "reason", "delta", "order_id", "at_ms"))
        ).order_by(credit_event.c.customer_id, credit_event.c.event_id),
        "tiers": sa.select(customer.c.customer_id, customer.c.tier).order_by(customer.c.customer_id),
        "periods": sa.select(*(column for column in membership.c if column.name != "membership_id")).order_by(
            membership.c.customer_id, membership.c.from_ms
        ),
        "messages": sa.select(outbox.c.type, outbox.c.object_id, outbox.c.at_ms, outbox.c.data),
    }
    tables = (loyalty.points_account, loyalty.redemption, referral, credit, facts.orders, facts.offer)
    tables += (facts.trip, facts.customer_day, facts.driver_day, facts.duty)
    questions |= {table.name: sa.select(table) for table in tables}
    with crm.context.database.reading() as connection:
        found = {name: list(map(tuple, connection.execute(asked))) for name, asked in questions.items()}
    for name in ("messages", *(table.name for table in tables)):
        found[name] = sorted(map(repr, found[name]))
    found["messages"] = [row for row in found["messages"] if "coupon_id" not in row]
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A database as it is before any log, to be copied."""
    path = tmp_path_factory.mktemp("any_cut") / "crm.db"
    with Crm.create(path, "ride") as crm:
        prepare(crm)
    return path


def copied(prepared, name):
    """A copy of the database that fears no loss of power: each event is a transaction of its own."""
    path = prepared.with_name(name)
    for one in prepared.parent.glob(f"{prepared.name}*"):  # keys and all
        shutil.copy(one, f"{path}{one.name.removeprefix(prepared.name)}")
    crm = Crm.open(path)
    sa.event.listen(
        crm.context.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF")
    )
    crm.context.database.engine.dispose()
    return crm


def assert_same(prepared, measure, seed, cut):
    log, found = some_log(seed), []
    for row, ends in enumerate((range(len(log) + 1), ends_of(cut, len(log)), (0, len(log)))):
        with copied(prepared, f"{measure}-{row}.db") as crm:
            apply(crm, log, list(ends), measure)
            found.append(rows_of(crm))
    one_by_one, *others = found
    for other in others:
        for name, rows in one_by_one.items():
            assert other[name] == rows, name


@pytest.mark.parametrize("measure", list(RULES))
@settings(max_examples=2)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 10**6))
def test_the_same_follows_however_a_log_is_cut(prepared, measure, seed, cut):
    assert_same(prepared, measure, seed, cut)


@pytest.mark.long
@pytest.mark.parametrize("measure", list(RULES))
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), cut=st.integers(0, 10**6))
def test_the_same_follows_of_many_logs(prepared, measure, seed, cut):
    assert_same(prepared, measure, seed, cut)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_same_follows_on_postgresql(crm, prepared):
    log, measure = some_log(7), "points"
    prepare(crm)
    apply(crm, log, ends_of(7, len(log)), measure)
    with copied(prepared, f"{measure}.db") as other:
        apply(other, log, list(range(len(log) + 1)), measure)
        found = rows_of(other)
    assert rows_of(crm) == found
    # All that could depend on the sequence happened.
    assert {"silver", "gold"} <= {row[1] for row in found["periods"] if "measured" in row}
    assert {"earn", "grant", "rollback"} <= {row[1] for row in found["ledger"] if row[3] > BEGIN_MS}
    assert {"over_limit", "rewarded"} <= {word for row in found["referral"] for word in row.split("'")}
    assert {"committed", "rolled_back"} & {word for row in found["redemption"] for word in row.split("'")}
