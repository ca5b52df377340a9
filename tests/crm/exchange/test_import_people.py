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
        ("1990-02-28T00:00:00.000Z", 228),
        ("1990-2-8", 208),
        ("1990/02/28", 228),
        ("1990.02.28", 228),
        ("19900228", 228),
        ("--02-29", 229),
        ("--0229", 229),
        ("29-Feb", 229),
        ("29 February 1980", 229),
        ("9-Sept-80", 909),
        ("Dec 31, 1990", 1231),
        ("1990年2月28日", 228),
        ("2月28日", 228),
        (None, None),
    ],
)
def test_birthdays(text, told):
    assert mmdd(text) == told


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tomorrow", "is no day"),
        ("12345", "is no day"),
        ("1990/02-28", "is no day"),
        ("31.12.1990", "may be day or month first"),
        ("31.12.", "may be day or month first"),
        ("05/06/1990", "may be day or month first"),
        ("5/6", "may be day or month first"),
        ("05-06-1990", "may be day or month first"),
        ("80-02-29", "may be day or month first"),
        ("12/31/1990 0:00", "may be day or month first"),
        ("1990-12-30T23:00:00Z", "has a time of day, in some zone"),
    ],
)
def test_what_is_no_birthday(text, message):
    with pytest.raises(InputError, match=f"birthday_mmdd {message}") as caught:
        mmdd(text)
    assert text not in str(caught.value)


def test_months_that_are_none_are_days_of_no_year(crm, scope_id):
    people = CustomerImport(crm.context, scope_id, MONDAY_MS, "US")
    for text in ("29-Xyz", "29-Mmm 1980", "1980", "31-12", "1990-13-01"):
        with pytest.raises(InputError, match="birthday_mmdd is no day of a year"):
            people.check("birthday_mmdd", text)


def test_numbers_that_a_spreadsheet_or_program_has_changed(crm, scope_id):
    people = CustomerImport(crm.context, scope_id, MONDAY_MS, "US")
    drivers = DriverImport(crm.context, scope_id, MONDAY_MS, "US")
    for field, text, message in (
        ("phone", "1.4155E+10", "phone is a rounded number"),
        ("phone", "1,4155E+10", "phone is a rounded number"),
        ("member_no", "1E+05", "member_no is a rounded number"),
        ("member_no", "1001.0", "member_no ends with .0"),
    ):
        with pytest.raises(InputError, match=message):
            people.check(field, text)
        with pytest.raises(InputError, match=field):
            people.read({field: [text]})
    with pytest.raises(InputError, match="phone is a rounded number"):
        drivers.check("phone", "1.4155E+10")
    # A German number of that many digits there is, and it is somebody else's.
    for one in (people, drivers, CustomerImport(crm.context, scope_id, MONDAY_MS, "DE")):
        assert one.read({"phone": ["14155550100.0" if one.region == "US" else "+14155550100.0"]}) == {
            "phone": ["+14155550100"]
        }


def test_what_persons_have_that_tells_them_apart(crm, scope_id):
    people = CustomerImport(crm.context, scope_id, MONDAY_MS, "US")
    told = (("phone", "member_no"), ("phone",), ("email",))
    whole = {"phone": "+14155550100", "member_no": "M-2", "email": "a@b.example"}
    ids = []
    for number, fields in enumerate(told):
        given = dict.fromkeys(whole) | {name: whole[name] for name in fields}
        if number:
            given["phone"] = given["phone"] and "+14155550101"
        ids.append(crm.customers.register(details(custom=None, **given), scope_id=scope_id, at_ms=MONDAY_MS))
    with crm.context.database.reading() as connection:
        assert people.told(connection, [*ids, 99]) == {
            ids[0]: ("member_no", "phone"), ids[1]: ("phone",), ids[2]: (),
        }  # fmt: skip
        assert DriverImport(crm.context, scope_id, MONDAY_MS, "US").told(connection, ids) == {}


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
    assert crm.drivers.get(7, at_ms=MONDAY_MS).name == "Bo Lin"
