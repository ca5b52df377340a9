"""The one door: what is refused, what is written with it, and what errors do not tell."""

import threading

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT, actor
from crm.made_people import details, dump, enter, insert
from dispatch.crm.context import MOST_TRIES, check_id, check_instant, check_not_before, persistently
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.refusals import MOST
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.errors import AuthError, InputError, StateError, StoreError
from dispatch.store.database import Database

AT = MONDAY_MS


def calls(parts, one, two, alias_id, address_id, scope_id):
    """Every public method of the parts for persons, done to given objects."""
    told = CustomerDetails(name="X")
    return {
        "register": lambda: parts.customers.register(told, scope_id=scope_id, at_ms=AT),
        "register_many": lambda: parts.customers.register_many({"name": ["X"]}, scope_id=scope_id, at_ms=AT),
        "update": lambda: parts.customers.update(one, told, at_ms=AT),
        "get": lambda: parts.customers.get(one, at_ms=AT),
        "find": lambda: parts.customers.find("member_no", "M-1", scope_id=scope_id, at_ms=AT),
        "orders_of": lambda: parts.customers.orders_of(one),
        "view": lambda: parts.customer_views.view(one, at_ms=AT),
        "add_alias": lambda: parts.contacts.add_alias(one, "card", "1", at_ms=AT),
        "remove_alias": lambda: parts.contacts.remove_alias(alias_id, at_ms=AT),
        "aliases_of": lambda: parts.contacts.aliases_of(one, at_ms=AT),
        "add_address": lambda: parts.contacts.add_address(one, "home", "1 Pier", at_ms=AT),
        "remove_address": lambda: parts.contacts.remove_address(address_id, at_ms=AT),
        "addresses_of": lambda: parts.contacts.addresses_of(one, at_ms=AT),
        "merge": lambda: parts.contacts.merge(one, two, at_ms=AT),
        "merge_into": lambda: parts.contacts.merge(two, one, at_ms=AT),
        "record": lambda: parts.consents.record(one, "marketing", True, at_ms=AT, source="app"),
        "of": lambda: parts.consents.of(one),
        "history": lambda: parts.consents.history(one),
        "export_person": lambda: parts.privacy.export_person("customer", one, at_ms=AT),
        "hold": lambda: parts.privacy.hold("customer", one, "court", at_ms=AT),
        "release": lambda: parts.privacy.release("customer", one, 1, at_ms=AT),
        "erase": lambda: parts.privacy.erase("customer", one, at_ms=AT),
    }


def test_foreign_objects_and_unknown_ones_are_refused_in_the_same_words(crm, scope_id):
    foreign_scope = crm.scope(OTHER_TENANT, CITY)
    mine = enter(crm, scope_id, custom=None)
    ours = enter(crm, crm.scope(TENANT, OTHER_CITY), custom=None)
    foreign = enter(crm, foreign_scope, custom=None)
    before = dump(crm)
    count = 0
    actors = [
        actor("admin"),
        actor("manager"),
        actor("agent"),
        actor("dispatcher"),
        actor("marketing"),
        actor("customer", own=("customer", mine)),
        actor("driver", own=("driver", mine)),
    ]
    for who in actors:
        parts = crm.acting_as(who)
        theirs = calls(parts, foreign, mine, foreign, foreign, foreign_scope)
        nobody = calls(parts, 4711, mine, 4711, 4711, 4711)
        for name in theirs:
            refused = []
            for call in (theirs[name], nobody[name]):
                with pytest.raises(AuthError) as caught:
                    call()
                refused.append(str(caught.value))
            assert refused[0] == refused[1], (who.role, name)
            assert str(foreign) not in refused[0], (who.role, name)
            count += 2
    # The own city's staff do not reach the company's other city either.
    for name, call in calls(crm.acting_as(actor("agent")), ours, mine, ours, ours, 2).items():
        with pytest.raises(AuthError):
            call()
        assert name
    for call in (
        lambda: crm.acting_as(actor("agent")).scope(OTHER_TENANT, CITY),
        lambda: crm.acting_as(actor("agent")).scope("nobody", CITY),
        lambda: crm.acting_as(actor("customer")).scope(TENANT, CITY),
        lambda: crm.acting_as(actor("admin")).scope(TENANT, "new_city"),
        lambda: crm.acting_as(actor("admin")).privacy.rotate_keys(at_ms=AT),
        lambda: crm.acting_as(actor("admin")).privacy.retire_keys(at_ms=AT),
        lambda: crm.acting_as(actor("admin")).privacy.blur_locations(at_ms=AT),
        lambda: crm.acting_as(actor("admin")).privacy.apply_erasures(at_ms=AT),
        lambda: crm.acting_as(actor("admin")).audit_log.verify(),
        lambda: crm.acting_as(actor("agent")).audit_log.entries(at_ms=AT),
    ):
        with pytest.raises(AuthError):
            call()
    after = dump(crm)
    assert {name for name in after if after[name] != before[name]} == {"audit", "audit_head"}
    # So many are written of each in a minute, and within another one if the clock came to that.
    assert len(actors) * MOST <= crm.audit_log.num_refused() <= 2 * len(actors) * MOST
    assert count == 2 * 22 * len(actors)
    assert crm.acting_as(actor("agent")).scope(TENANT, CITY) == scope_id


def test_targets_and_the_scope_are_both_checked(crm, scope_id):
    """Something about a customer of ours must not be put into another company's place."""
    mine = crm.customers.register(CustomerDetails(), scope_id=scope_id, at_ms=AT)
    foreign_scope = crm.scope(OTHER_TENANT, CITY)
    context = crm.context.of(actor("agent"))
    with context.acting("customer.update", ("customer", mine), scope_id=scope_id, at_ms=AT):
        pass
    with (
        pytest.raises(AuthError),
        context.acting("customer.update", ("customer", mine), scope_id=foreign_scope, at_ms=AT),
    ):
        pass
    with (
        pytest.raises(AuthError),
        context.looking("customer.orders", ("customer", mine), scope_id=foreign_scope),
    ):
        pass
    with pytest.raises(AuthError), context.acting("customer.update", at_ms=AT):
        pass


def test_rows_of_no_place_are_reached_by_who_reaches_all(crm):
    nowhere = {"order_id": 1, "scope_id": None, "customer_id": 7}
    insert(crm, orders, nowhere, nowhere | {"order_id": 2, "scope_id": 99})
    for order_id in (1, 2):
        with crm.context.looking("order.read", ("order", order_id)):
            pass
        with crm.context.of(actor("customer", own=("customer", 7))).looking(
            "order.read", ("order", order_id)
        ):
            pass
        for who in (actor("admin"), actor("agent"), actor("agent", tenant="", cities=frozenset({""}))):
            with pytest.raises(AuthError), crm.context.of(who).looking("order.read", ("order", order_id)):
                pass


def test_bad_calls(crm, scope_id):
    context = crm.context
    for target, rule in (
        (("customer", True), "customer_id is True"),
        (("customer", -1), "customer_id is -1"),
        (("customer", 2**63), "customer_id is"),
        (("customer", "1"), "customer_id is '1'"),
        (("dog", 1), "kind is 'dog'"),
    ):
        with pytest.raises(InputError, match=rule), context.looking("order.read", target):
            pass
    with pytest.raises(InputError, match="must be done by acting"), context.looking("customer.get"):
        pass
    with pytest.raises(InputError, match="does not know"), context.looking("customer.sell"):
        pass
    with pytest.raises(InputError, match="does not know"):
        context.reaches("customer.sell")
    with pytest.raises(InputError, match="at_ms is"), context.acting("customer.get", at_ms=None):
        pass
    with pytest.raises(InputError, match="at_ms is"), context.listing("audit.read", customer.c.scope_id):
        pass
    with pytest.raises(InputError, match="scope_id is 77"), context.looking("order.read", scope_id=77):
        pass
    for value in (True, 1.0, "1", None, -1, 2**63):
        with pytest.raises(InputError):
            check_id("id", value)
        with pytest.raises(InputError):
            check_instant("at_ms", value)
    with pytest.raises(InputError, match="time goes backwards"):
        check_not_before("at_ms", 5, 6, "the last one")
    check_not_before("at_ms", 6, 6, "the last one")


def test_what_two_do_at_once_is_told_without_values(crm, scope_id):
    crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=AT)
    with pytest.raises(StateError) as caught:
        crm.customers.register(details(custom=None, member_no=None), scope_id=scope_id, at_ms=AT)
    assert "there already" in str(caught.value)
    assert "\\x" not in str(caught.value)
    assert "b'" not in str(caught.value)


def test_a_reading_connection_cannot_write(crm, scope_id):
    with pytest.raises(StoreError), crm.context.looking("order.read") as connection:
        connection.execute(sa.insert(orders).values(order_id=5))


def test_a_person_is_locked_while_something_personal_is_written(crm, scope_id):
    """Between the check and the write nobody erases: on PostgreSQL the row is locked, on SQLite all is."""
    made = crm.customers.register(details(custom=None), scope_id=scope_id, at_ms=AT)
    entered, may_go = threading.Event(), threading.Event()
    vault = crm.context.vault
    find_by = vault.find_by

    def slow(field, value):
        entered.set()
        may_go.wait(10)
        return find_by(field, value)

    vault.find_by = slow
    change = CustomerDetails(phone="+14155550123")
    updating = threading.Thread(target=lambda: crm.customers.update(made, change, at_ms=AT))
    updating.start()
    assert entered.wait(10)
    erasing = threading.Thread(target=lambda: crm.privacy.erase("customer", made, at_ms=AT))
    erasing.start()
    erasing.join(0.2)
    assert erasing.is_alive()
    may_go.set()
    updating.join(10)
    erasing.join(10)
    with crm.context.database.reading() as connection:
        row = connection.execute(sa.select(customer).where(customer.c.customer_id == made)).one()
    assert (row.status, row.phone, row.phone_index) == ("erased", None, None)


def test_a_transaction_that_others_get_in_the_way_of_is_tried_again_and_no_other(postgres_url):
    tries = []

    def work(state, num):
        tries.append(state)
        with Database(postgres_url) as database, database.writing() as connection:
            if len(tries) <= num:
                connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION SQLSTATE '{state}'; END $$")
        return len(tries)

    assert persistently(lambda: work("40P01", 2)) == 3
    tries.clear()
    with pytest.raises(StoreError):
        persistently(lambda: work("40001", 99))
    assert len(tries) == MOST_TRIES
    tries.clear()
    with pytest.raises(StoreError):
        persistently(lambda: work("22012", 1))
    assert len(tries) == 1
