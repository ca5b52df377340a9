"""Whom points go to, and who is locked."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS
from crm.engaged import add_customers, insert
from dispatch.crm.loyalty.standing import Standing, current_of, lock_in, standing_in
from dispatch.crm.tables.loyalty import referral
from dispatch.crm.tables.people import customer


@pytest.fixture
def people(crm, scope_id):
    """1 was merged into 2, 3 was won by 4 and waits, 5 by 6 long ago, 7 is erased."""
    add_customers(
        crm,
        scope_id,
        range(1, 8),
        status=["merged", *["active"] * 5, "erased"],
        merged_into=[2, *[None] * 6],
        tier=[None, "gold", None, "silver", None, "gone", None],
    )
    insert(
        crm,
        referral,
        [
            {"referee_id": a, "referrer_id": b, "at_ms": MONDAY_MS, "state": state}
            for a, b, state in ((2, 6, "waiting"), (3, 4, "waiting"), (5, 6, "rewarded"))
        ],
    )
    return crm


def test_points_go_to_whom_a_customer_is_now(people, scope_id):
    with people.context.database.writing() as connection:
        found = standing_in(connection, people.context.vertical, [1, 7, 999])
    assert found == {
        1: Standing(2, 2, scope_id, True),
        2: Standing(2, 2, scope_id, True),
        7: Standing(7, 0, scope_id, False),
    }


def test_who_won_a_customer_and_waits_is_locked_as_well(people):
    with people.context.database.writing() as connection:
        assert sorted(lock_in(connection, [5])) == [5]
        found = lock_in(connection, [3, 1])
        assert sorted(found) == [1, 2, 3, 4]
        assert [current_of(found, one) for one in (1, 2, 3)] == [2, 2, 3]
        assert lock_in(connection, []) == {}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer at a time
def test_all_are_locked(people):
    free = (
        sa.select(customer.c.customer_id).with_for_update(skip_locked=True).order_by(customer.c.customer_id)
    )

    def others():
        with people.context.database.writing() as connection:
            return list(connection.scalars(free))

    with people.context.database.writing() as connection, ThreadPoolExecutor(1) as pool:
        lock_in(connection, [3, 1])
        assert pool.submit(others).result() == [5, 6, 7]
