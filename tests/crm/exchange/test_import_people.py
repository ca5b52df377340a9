"""What is imported: days of birth as files write them, and people by what they are known by."""

import pytest

from crm.conftest import MONDAY_MS
from crm.made_people import details
from dispatch.crm.exchange.import_people import CustomerImport, DriverImport, mmdd
from dispatch.errors import InputError


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("1990-02-28", 228),
        ("12-31", 1231),
        ("1231", 1231),
        ("301", 301),
        ("1990-02-28 00:00:00", 228),
        (None, None),
    ],
)
def test_birthdays(text, told):
    assert mmdd(text) == told


@pytest.mark.parametrize("text", ["31.12.1990", "tomorrow", "1990-2-8", "12345"])
def test_what_is_no_birthday(text):
    with pytest.raises(InputError, match="birthday_mmdd is no day") as caught:
        mmdd(text)
    assert text not in str(caught.value)


def test_who_is_known_by_number_mail_card_and_alias(crm, scope_id):
    told = details(custom=None)
    first = crm.customers.register(told, scope_id=scope_id, at_ms=MONDAY_MS)
    other = details(custom=None, phone="+14155550100", email=None, member_no="M-2")
    second = crm.customers.register(other, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.contacts.add_alias(first, "phone", "+14155550199", at_ms=MONDAY_MS)
    people = CustomerImport(crm.context, scope_id, MONDAY_MS, "US")
    with crm.context.database.reading() as connection:
        asked = ["+14155552671", "+14155550100", "+14155550199", "+14155550000"]
        assert people.known(connection, "phone", asked) == dict(
            zip(asked, (first, second, first), strict=False)
        )
        assert people.known(connection, "email", ["zoe.q@mail.example", "x@y.example"]) == {
            "zoe.q@mail.example": first
        }
        assert people.known(connection, "member_no", ["M-17", "M-2", "M-3"]) == {"M-17": first, "M-2": second}
        elsewhere = CustomerImport(crm.context, crm.scope("acme", "oakland"), MONDAY_MS, "US")
    with crm.context.database.reading() as connection:
        assert elsewhere.known(connection, "phone", asked) == {}
    crm.contacts.merge(second, first, at_ms=MONDAY_MS)
    with crm.context.database.reading() as connection:
        assert people.known(connection, "phone", asked[1:2]) == {asked[1]: first}


def test_changes_leave_what_is_not_told_and_who_is_restricted(crm, scope_id):
    ids = [
        crm.customers.register(
            details(custom=None, phone=f"+1415555010{n}", member_no=f"M-{n}"),
            scope_id=scope_id,
            at_ms=MONDAY_MS,
        )
        for n in range(2)
    ]
    crm.privacy.hold("customer", ids[1], "court", at_ms=MONDAY_MS)
    crm.privacy.erase("customer", ids[1], at_ms=MONDAY_MS)
    people = CustomerImport(crm.context, scope_id, MONDAY_MS, "US")
    with crm.context.database.writing() as connection:
        assert people.change(connection, {one: {"name": "New Name"} for one in ids}) == {ids[0]}
        assert people.change(connection, {ids[1]: {"name": "x"}}) == set()
    known = crm.customers.get(ids[0], at_ms=MONDAY_MS)
    assert (known.name, known.phone, known.language) == ("New Name", "+14155550100", "en")


def test_a_driver_without_a_key_gets_one_with_the_first_value(crm, scope_id):
    crm.drivers.register_many([7], scope_id=scope_id, at_ms=MONDAY_MS)
    people = DriverImport(crm.context, scope_id, MONDAY_MS, "")
    with crm.context.database.writing() as connection:
        assert people.change(connection, {7: {"phone": "+14155550100", "name": "Bo Lin"}}) == {7}
    assert crm.drivers.find("+14155550100", scope_id=scope_id, at_ms=MONDAY_MS) == 7
    assert crm.drivers.read(7, at_ms=MONDAY_MS).name == "Bo Lin"
