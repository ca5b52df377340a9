"""Where objects belong: by their own rows, or by those that they refer to."""

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, OTHER_CITY, TENANT
from crm.made_people import enter, insert
from dispatch.crm.objects import KINDS, known_scope, place_of, scope_named, scope_place
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.permissions import Place
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.orders import orders
from dispatch.errors import InputError


def test_places(crm, scope_id):
    made = enter(crm, scope_id, custom=None)
    merged = crm.customers.register(CustomerDetails(), scope_id=scope_id, at_ms=MONDAY_MS)
    insert(
        crm,
        orders,
        {"order_id": 1, "customer_id": made, "driver_id": 7, "scope_id": scope_id},
        {"order_id": 2, "customer_id": 4711, "driver_id": None, "scope_id": None},
        {"order_id": 3, "customer_id": merged, "driver_id": None, "scope_id": scope_id},
    )
    crm.contacts.merge(merged, made, at_ms=MONDAY_MS)
    own = ("customer", made)
    expected = {
        ("customer", made): (scope_id, Place(TENANT, CITY, frozenset({own}))),
        ("alias", 1): (scope_id, Place(TENANT, CITY, frozenset({own}))),
        ("address", 1): (scope_id, Place(TENANT, CITY, frozenset({own}))),
        ("order", 1): (scope_id, Place(TENANT, CITY, frozenset({own, ("driver", 7)}))),
        ("order", 2): (None, Place("", "", frozenset({("customer", 4711)}))),
        # What was made under an earlier id is the customer's own as well.
        ("order", 3): (scope_id, Place(TENANT, CITY, frozenset({own, ("customer", merged)}))),
        ("order", 4): None,
        ("alias", 99): None,
    }
    with crm.context.database.reading() as connection:
        for target, place in expected.items():
            assert place_of(connection, *target) == place, target
        with pytest.raises(InputError, match="kind is 'dog'"):
            place_of(connection, "dog", 1)
        assert scope_place(connection, scope_id) == known_scope(connection, scope_id) == Place(TENANT, CITY)
        assert known_scope(connection, 99) is None
        assert scope_place(connection, 99) == scope_place(connection, None) == Place("", "")


def test_every_kind_leads_to_a_scope():
    for name, kind in KINDS.items():
        assert kind.key in kind.table.primary_key.columns, name
        assert all(column in kind.table.c for _, column in kind.owners), name
        seen = {name}
        while kind.within is not None:
            outer, column = kind.within
            assert column in kind.table.c, name
            assert outer not in seen, name
            seen.add(outer)
            kind = KINDS[outer]
        assert "scope_id" in kind.table.c, name


def test_scopes_are_entered_once(crm, scope_id):
    with crm.context.database.writing() as connection:
        assert scope_named(connection, TENANT, CITY) == scope_id
        other = scope_named(connection, TENANT, OTHER_CITY)
        assert other != scope_id
        for tenant, city, rule in (
            ("", CITY, "must name a company"),
            (TENANT, "x" * 65, "64"),
            (5, CITY, "tenant"),
        ):
            with pytest.raises(InputError, match=rule):
                scope_named(connection, tenant, city)
        table = metadata.tables["scope"]
        assert connection.scalar(sa.select(sa.func.count()).select_from(table)) == 2
