"""Rows of persons: locked where they may be changed, and followed through merges."""

import pytest

from crm.conftest import MONDAY_MS
from crm.made_people import insert
from dispatch.crm.people.persons import check_kind, current_among, current_in, family_in, locked_in
from dispatch.crm.tables.people import customer, driver
from dispatch.errors import InputError, StateError


def test_rows_of_persons(crm, scope_id):
    same = {"scope_id": scope_id, "created_at_ms": MONDAY_MS, "changed_at_ms": MONDAY_MS}
    rows = [
        (1, "active", None),
        (2, "merged", 1),
        (3, "merged", 1),
        (4, "erased", None),
        (5, "restricted", None),
    ]
    insert(
        crm,
        customer,
        *({"customer_id": one, "status": status, "merged_into": into, **same} for one, status, into in rows),
    )
    insert(crm, driver, {"driver_id": 1, "status": "left", **same})
    with crm.context.database.writing() as connection:
        assert locked_in(connection, "customer", 1).status == "active"
        assert locked_in(connection, "customer", 5, ("restricted",)).status == "restricted"
        assert locked_in(connection, "customer", 4, None).status == "erased"
        assert locked_in(connection, "driver", 1, ("left",)).driver_id == 1
        for kind, one, rule in (
            ("customer", 2, "merged into 1"),
            ("customer", 4, "is erased"),
            ("customer", 5, "is restricted"),
            ("driver", 1, "is left"),
        ):
            with pytest.raises(StateError, match=rule):
                locked_in(connection, kind, one)
        with pytest.raises(InputError, match="customer 9 is not known"):
            locked_in(connection, "customer", 9)
        assert family_in(connection, 1) == [1, 2, 3]
        assert family_in(connection, 2) == [2]
        assert [current_in(connection, one) for one in (1, 2, 9)] == [1, 1, 9]
        assert current_among(connection, [1, 2, 3, 9]) == {2: 1, 3: 1}
    with pytest.raises(InputError, match="kind is"):
        check_kind("dog")
