"""Rules that a row broke, in words: the same on both databases, and nothing of the row."""

import pytest
import sqlalchemy as sa

from dispatch.crm.broken_rules import in_words
from dispatch.crm.tables import fleet, loyalty, people
from dispatch.crm.tables.orders import scope

DAY = {"created_at_ms": 1, "changed_at_ms": 1}
ANN = {"scope_id": 1, "member_no": "M-1", "phone_index": b"secret-hash", **DAY}
CASES = [
    (
        people.customer,
        [ANN, ANN | {"member_no": None}],
        "another customer of the place with the same phone is there already",
    ),
    (
        people.customer,
        [ANN, ANN | {"phone_index": None}],
        "another customer of the place with the same member_no is there already",
    ),
    (
        people.customer,
        [{"customer_id": 5, "scope_id": 1, **DAY}] * 2,
        "another customer with the same customer_id is there already",
    ),
    (
        scope,
        [{"tenant": "acme", "city": "paris"}] * 2,
        "another scope with the same tenant and city is there already",
    ),
    (
        loyalty.coupon_code,
        [{"coupon_id": 1, "code": "C", "issued_at_ms": 1, "until_ms": 2}] * 2,
        "another coupon code with the same code is there already",
    ),
    (
        fleet.vehicle,
        [
            {
                "driver_id": 1,
                "scope_id": 1,
                "vehicle_class": 0,
                "seats": 101,
                "energy": "none",
                "added_at_ms": 1,
            }
        ],
        "a vehicle breaks its rule 'seats'",
    ),
    (
        loyalty.coupon,
        [{"scope_id": 1, "name": "n", "cents": 1, "from_ms": 5, "until_ms": 5, "created_at_ms": 1}],
        "a coupon breaks its rule 'window'",
    ),
    (
        fleet.shift,
        [{"driver_id": None, "scope_id": 1, "begin_at_ms": 1, "end_at_ms": 2, "planned_at_ms": 1}],
        "shift.driver_id is missing",
    ),
]


def write(crm, table, rows):
    with crm.context.database.writing() as connection:
        for row in rows:
            connection.execute(sa.insert(table).values(row))


@pytest.mark.parametrize(("table", "rows", "words"), CASES)
def test_in_words(crm, table, rows, words):
    with pytest.raises(sa.exc.IntegrityError) as caught:
        write(crm, table, rows)
    assert in_words(caught.value) == words


def test_rules_of_other_tables(crm):
    with crm.context.database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE hat (size BIGINT CONSTRAINT fits CHECK (size > 5), id BIGINT)"
        )
        connection.exec_driver_sql("CREATE UNIQUE INDEX one_hat ON hat (id)")
    for size, words in ((3, "the rule 'fits' is broken"), (7, None)):
        with pytest.raises(sa.exc.IntegrityError) as caught, crm.context.database.writing() as connection:
            connection.exec_driver_sql(f"INSERT INTO hat VALUES ({size}, 1), ({size}, 1)")
        told = in_words(caught.value)
        assert (
            told == words
            if words
            else told in ("the rule 'one_hat' is broken", "another hat with the same id is there already")
        )
