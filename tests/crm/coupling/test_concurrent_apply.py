"""Several engines at once, and merges between: on PostgreSQL, where writers do not wait for each other."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS
from crm.coupling.test_consequences import FARE, order_of, together
from crm.engaged import add_customers, insert
from dispatch.crm.tables.loyalty import points_account, points_entry, referral
from dispatch.crm.tables.people import customer
from dispatch.engine.events import EventKind as Kind

NOW_MS = MONDAY_MS + DAY_MS


def totals(crm):
    with crm.context.database.reading() as connection:
        held = connection.scalar(sa.select(sa.func.sum(points_account.c.balance)))
        entered = connection.scalar(sa.select(sa.func.sum(points_entry.c.points)))
        rewarded = connection.scalar(sa.select(sa.func.count()).where(referral.c.state == "rewarded"))
    return int(held), int(entered), rewarded


# SQLite has one writer at a time: nobody meets anybody there.
pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def served(crm):
    return crm


def test_engines_that_reward_each_others_customers_do_not_get_stuck(served, scope_id, monkeypatch):
    """Referee 3k by 3k+2 in one stream; in the other the winner's own order, and referee 3k+1 by 3k."""
    monkeypatch.setattr("dispatch.crm.coupling.apply.persistently", lambda work: work())  # one try must do
    num, both = 40, Barrier(2)
    add_customers(served, scope_id, range(3 * num))
    first = 3 * np.arange(num)
    pairs = [(one, one + 2) for one in first.tolist()] + [(one + 1, one) for one in first.tolist()]
    insert(served, referral, [{"referee_id": a, "referrer_id": b, "at_ms": MONDAY_MS} for a, b in pairs])

    def run(stream):
        seq = 0
        for k in range(num):
            whom = [3 * k] if stream == "one" else [3 * k + 1, 3 * k + 2]
            base = 10 * k + (0 if stream == "one" else 5)
            at_ms = NOW_MS + k * 10**7
            log = together(
                *(order_of(base + row, one, Kind.ORDER_CLOSED, at_ms) for row, one in enumerate(whom))
            )
            # A driver of both streams would let one wait for the other before customers are locked at all.
            log["driver_id"][log["driver_id"] == 9] += stream == "two"
            both.wait(60)
            served.events.apply(log, first_seq=seq, stream=stream)
            seq += len(log)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, ("one", "two")))
    per_order, rule = FARE // 100, served.context.vertical.referral
    points = 3 * num * per_order + 2 * num * rule.referrer_points
    assert totals(served) == (points, points, 2 * num)


def test_a_batch_that_is_given_up_for_another_transaction_begins_anew(served, scope_id):
    add_customers(served, scope_id, [1, 2])
    log = together(*(order_of(who, who, Kind.ORDER_CLOSED, NOW_MS) for who in (1, 2)))
    lock = sa.select(customer.c.customer_id).with_for_update()
    holds = Event()

    def in_the_way():
        with served.context.database.writing() as connection:
            connection.execute(lock.where(customer.c.customer_id == 2)).all()
            holds.set()
            waiting = (
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            while not connection.exec_driver_sql(waiting).scalar_one():
                connection.exec_driver_sql("SELECT pg_sleep(0.02), pg_stat_clear_snapshot()")
            connection.execute(lock.where(customer.c.customer_id == 1)).all()

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(in_the_way)
        holds.wait()
        done = served.events.apply(log, first_seq=0)
        other.result()
    assert (done.num_new, done.num_completed) == (len(log), 2)
    assert totals(served)[0] == 2 * (FARE // 100)
    assert served.events.next_seq() == len(log)


def test_merges_while_events_come_lose_nothing(served, scope_id):
    num = 30
    add_customers(served, scope_id, range(2 * num))

    def events():
        seq = 0
        for k in range(num):
            log = together(
                *(order_of(2 * k + row, 2 * k + row, Kind.ORDER_CLOSED, NOW_MS + k * 10**7) for row in (0, 1))
            )
            served.events.apply(log, first_seq=seq)
            seq += len(log)

    def merges():
        for k in range(num):
            served.contacts.merge(2 * k + 1, 2 * k, at_ms=NOW_MS + 10**9)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one) for one in (events, merges)]:
            done.result()
    points = 2 * num * (FARE // 100)
    assert totals(served)[:2] == (points, points)
    for k in range(num):
        assert served.points.balance(2 * k, at_ms=NOW_MS + 10**9).points == 2 * (FARE // 100)
