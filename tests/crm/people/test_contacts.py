"""Aliases, addresses and merges: two who are one become one, and nothing of either is lost."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT, actor
from crm.made_people import ADDRESS, CARD, EMAIL, NAME, PHONE, dump, enter, insert
from dispatch.crm.people.contacts import Contacts
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import address
from dispatch.errors import AuthError, InputError, StateError

OTHER_PHONE = "+14155550199"


@pytest.fixture
def two(crm, scope_id):
    """Two customers of a place, of whom all is told."""
    plain = {"custom": None}
    one = enter(crm, scope_id, **plain)
    two = enter(crm, scope_id, phone=OTHER_PHONE, member_no="M-18", name="Zoe Q", email=None, **plain)
    return one, two


def test_aliases(crm, two, scope_id):
    one, other = two
    contacts = crm.contacts
    alias_id = contacts.add_alias(one, "phone", "(415) 555-0123", at_ms=MONDAY_MS + 1, region="US")
    found = contacts.aliases_of(one, at_ms=MONDAY_MS)
    assert [(row.kind, row.value) for row in found] == [("card", f"{CARD}-{one}"), ("phone", "+14155550123")]
    assert found[1].alias_id == alias_id
    before = dump(crm)
    with pytest.raises(StateError, match="there already"):
        contacts.add_alias(other, "card", f"{CARD}-{one}", at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="another customer's"):
        contacts.add_alias(one, "phone", OTHER_PHONE, at_ms=MONDAY_MS)
    for kind, value in (("phone", "12"), ("email", "x"), ("card", ""), ("ca rd", "1"), ("card", 5)):
        with pytest.raises(InputError):
            contacts.add_alias(one, kind, value, at_ms=MONDAY_MS)
    assert dump(crm) == before
    contacts.remove_alias(alias_id, at_ms=MONDAY_MS)
    assert len(contacts.aliases_of(one, at_ms=MONDAY_MS)) == 1
    with pytest.raises(InputError, match="not known"):
        contacts.remove_alias(alias_id, at_ms=MONDAY_MS)
    assert crm.customers.find("phone", "+14155550123", scope_id=scope_id, at_ms=MONDAY_MS) is None


def test_addresses(crm, two):
    one, _ = two
    contacts = crm.contacts
    (home,) = contacts.addresses_of(one, at_ms=MONDAY_MS)
    assert (home.label, home.text, home.lon_e6, home.lat_e6) == ("home", ADDRESS, -122_419_416, 37_774_929)
    before = dump(crm)
    for changes, rule in (
        ({"text": ""}, "text has 0"),
        ({"text": "x" * 501}, "501 letters"),
        ({"label": "at home"}, "label is"),
        ({"lon_e6": 5}, "told together"),
        ({"lon_e6": 5, "lat_e6": 91_000_000}, "lat_e6 is 91000000"),
    ):
        told = {"label": "work", "text": "1 Pier"} | changes
        with pytest.raises(InputError, match=rule):
            contacts.add_address(one, told.pop("label"), told.pop("text"), at_ms=MONDAY_MS, **told)
    assert dump(crm) == before
    # Who sees no addresses sees that there is one.
    assert crm.acting_as(actor("dispatcher")).contacts.addresses_of(one, at_ms=MONDAY_MS)[0].text == ADDRESS
    with pytest.raises(AuthError):
        crm.acting_as(actor("marketing")).contacts.addresses_of(one, at_ms=MONDAY_MS)
    own = crm.acting_as(actor("customer", own=("customer", one))).contacts
    own.remove_address(home.address_id, at_ms=MONDAY_MS)
    assert own.addresses_of(one, at_ms=MONDAY_MS) == []
    stranger = crm.acting_as(actor("customer", own=("customer", 77))).contacts
    with pytest.raises(AuthError):
        stranger.add_address(one, "home", "1 Pier", at_ms=MONDAY_MS)


def test_merge(crm, two, scope_id):
    one, other = two
    for customer_id, granted in ((one, True), (other, False)):
        crm.consents.record(customer_id, "marketing", granted, at_ms=MONDAY_MS, source="app")
    crm.consents.record(one, "survey", True, at_ms=MONDAY_MS, source="app")
    insert(
        crm,
        orders,
        *(
            {"order_id": row, "customer_id": (one, other)[row % 2], "submitted_at_ms": row}
            for row in range(6)
        ),
    )
    insert(
        crm,
        customer_day,
        *(
            {"customer_id": customer_id, "day": 1, "submitted": 3, "spend_cents": 500 * customer_id}
            for customer_id in two
        ),
    )
    crm.contacts.merge(other, one, at_ms=MONDAY_MS + 9)

    view = crm.customer_views.view(one, at_ms=MONDAY_MS)
    assert view.customer.name == NAME
    assert view.merged_ids == (other,)
    assert {(row.kind, row.value) for row in view.aliases} == {
        ("card", f"{CARD}-{one}"),
        ("card", f"{CARD}-{other}"),
        ("phone", OTHER_PHONE),
    }
    assert [row.text for row in view.addresses] == [ADDRESS, ADDRESS]
    assert view.consents == {"marketing": False, "survey": True}
    assert (view.sums["submitted"], view.sums["spend_cents"]) == (6, 500 * (one + other))
    assert view.counts["orders"] == 6
    for phone in (PHONE, OTHER_PHONE):
        assert crm.customers.find("phone", phone, scope_id=scope_id, at_ms=MONDAY_MS) == one
    gone = crm.customers.get(other, at_ms=MONDAY_MS)
    assert (gone.status, gone.merged_into, gone.name, gone.phone, gone.version) == (
        "merged",
        one,
        None,
        None,
        2,
    )
    before = dump(crm)
    for call in (
        lambda: crm.contacts.merge(other, one, at_ms=MONDAY_MS + 9),
        lambda: crm.contacts.merge(one, other, at_ms=MONDAY_MS + 9),
        lambda: crm.customers.update(other, CustomerDetails(name="X"), at_ms=MONDAY_MS + 9),
        lambda: crm.contacts.add_alias(other, "card", "9", at_ms=MONDAY_MS + 9),
        lambda: crm.contacts.add_address(other, "home", "9 Pier", at_ms=MONDAY_MS + 9),
        lambda: crm.consents.record(other, "survey", True, at_ms=MONDAY_MS + 9, source="app"),
    ):
        with pytest.raises(StateError, match="merged into 1"):
            call()
    with pytest.raises(InputError, match="into itself"):
        crm.contacts.merge(one, one, at_ms=MONDAY_MS + 9)
    assert dump(crm) == before


def test_merges_in_a_row_lead_to_the_last(crm, scope_id):
    ids = [
        crm.customers.register(CustomerDetails(phone=f"+1415555020{row}"), scope_id=scope_id, at_ms=MONDAY_MS)
        for row in range(3)
    ]
    crm.contacts.merge(ids[0], ids[1], at_ms=MONDAY_MS)
    crm.contacts.merge(ids[1], ids[2], at_ms=MONDAY_MS)
    assert crm.customers.get(ids[0], at_ms=MONDAY_MS).merged_into == ids[2]
    for row in range(3):
        number = f"+1415555020{row}"
        assert crm.customers.find("phone", number, scope_id=scope_id, at_ms=MONDAY_MS) == ids[2]
    assert set(crm.customer_views.view(ids[2], at_ms=MONDAY_MS).merged_ids) == set(ids[:2])


def test_merges_stay_within_a_company(crm, scope_id):
    one = enter(crm, scope_id, custom=None)
    away = enter(crm, crm.scope(TENANT, OTHER_CITY), custom=None, email=EMAIL)
    foreign = enter(crm, crm.scope(OTHER_TENANT, CITY), custom=None)
    with pytest.raises(StateError, match="different companies"):
        crm.contacts.merge(foreign, one, at_ms=MONDAY_MS)
    with pytest.raises(AuthError):
        crm.acting_as(actor("manager")).contacts.merge(foreign, one, at_ms=MONDAY_MS)
    crm.acting_as(actor("manager")).contacts.merge(away, one, at_ms=MONDAY_MS)
    assert crm.customers.get(away, at_ms=MONDAY_MS).merged_into == one


def test_other_parts_move_what_they_keep_or_nothing_is_merged(crm, two):
    one, other = two
    called = []

    def fails(connection, context, from_id, into_id, at_ms):
        raise StateError("a reservation is open")

    def moves(connection, context, from_id, into_id, at_ms):
        called.append((from_id, into_id, at_ms))

    before = dump(crm)
    with pytest.raises(StateError, match="a reservation is open"):
        Contacts(crm.context, (moves, fails)).merge(other, one, at_ms=MONDAY_MS)
    assert dump(crm) == before
    Contacts(crm.context, (moves,)).merge(other, one, at_ms=MONDAY_MS)
    assert called == [(other, one, MONDAY_MS)] * 2


def test_of_a_restricted_customer_only_who_keeps_it_sees_anything(crm, two):
    one, _ = two
    crm.privacy.hold("customer", one, "court_17", at_ms=MONDAY_MS)
    crm.privacy.erase("customer", one, at_ms=MONDAY_MS)
    for role, seen in (("manager", False), ("agent", False), ("admin", True)):
        as_ = crm.acting_as(actor(role))
        assert (as_.customers.get(one, at_ms=MONDAY_MS).name == NAME) is seen
        assert (as_.contacts.aliases_of(one, at_ms=MONDAY_MS)[0].value is not None) is seen
        assert (as_.contacts.addresses_of(one, at_ms=MONDAY_MS)[0].text == ADDRESS) is seen
    with pytest.raises(StateError, match="restricted"):
        crm.contacts.add_alias(one, "card", "9", at_ms=MONDAY_MS)
    assert replace(crm.customers.get(one, at_ms=MONDAY_MS)).status == "restricted"


def test_a_refusal_that_is_moved_is_the_latest_word(crm, two):
    one, other = two
    crm.consents.record(one, "marketing", True, at_ms=MONDAY_MS + 50, source="app")
    crm.consents.record(other, "marketing", False, at_ms=MONDAY_MS, source="app")
    with pytest.raises(InputError, match="time goes backwards"):
        crm.contacts.merge(other, one, at_ms=MONDAY_MS + 9)
    crm.contacts.merge(other, one, at_ms=MONDAY_MS + 50)
    assert crm.consents.of(one) == {"marketing": False}


def test_the_house_is_sealed_and_moves_with_its_address(crm, two):
    one, other = two
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(address)).all()
    assert not any("122419416" in str(value) for row in rows for value in row)
    crm.contacts.merge(other, one, at_ms=MONDAY_MS + 9)
    places = [(row.lon_e6, row.lat_e6) for row in crm.contacts.addresses_of(one, at_ms=MONDAY_MS)]
    assert places == [(-122_419_416, 37_774_929)] * 2
    crm.contacts.add_address(one, "work", "1 Pier", at_ms=MONDAY_MS)
    assert crm.contacts.addresses_of(one, at_ms=MONDAY_MS)[2].lon_e6 is None


@pytest.mark.parametrize("value", ["a\udcff", "a\x1b[2J"])
def test_letters_that_are_none(crm, two, value):
    one, _ = two
    for call in (
        lambda: crm.contacts.add_alias(one, "app", value, at_ms=MONDAY_MS),
        lambda: crm.contacts.add_address(one, "work", value, at_ms=MONDAY_MS),
    ):
        with pytest.raises(InputError, match="holds a control character"):
            call()
    crm.contacts.add_address(one, "work", "1 Pier\nAcme\u3000Ltd", at_ms=MONDAY_MS)
