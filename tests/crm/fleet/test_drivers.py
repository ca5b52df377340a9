"""Drivers: registered, found, changed, gone; personal values sealed."""

import sqlite3

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_TENANT, actor
from dispatch.crm.fleet.drivers import DriverDetails
from dispatch.crm.tables.people import audit, driver
from dispatch.errors import AuthError, InputError, StateError

ANNA = DriverDetails("Anna Example", "+1 415 555 0101", "1 Market St", 229)


def test_a_driver_is_registered_read_changed_and_found(crm, scope_id):
    anna = crm.drivers.register(ANNA, scope_id=scope_id, at_ms=MONDAY_MS)
    ben = crm.drivers.register(
        DriverDetails("Ben", "+14155550102"), scope_id=scope_id, at_ms=MONDAY_MS, driver_id=500
    )
    after = crm.drivers.register(DriverDetails("Cy", "+14155550103"), scope_id=scope_id, at_ms=MONDAY_MS)
    assert ben == 500
    assert after > 500, "ids go on behind one that was told"
    seen = crm.drivers.get(anna, at_ms=MONDAY_MS)
    assert (seen.name, seen.phone, seen.address) == ("Anna Example", "+14155550101", "1 Market St")
    assert (seen.birthday_mmdd, seen.status, seen.version) == (229, "active", 1)
    crm.drivers.update(anna, DriverDetails(phone="+1 415 555 0199"), at_ms=MONDAY_MS + 5, version=1)
    seen = crm.drivers.get(anna, at_ms=MONDAY_MS + 5)
    assert (seen.name, seen.phone, seen.version) == ("Anna Example", "+14155550199", 2)
    assert crm.drivers.find("+1 (415) 555-0199", scope_id=scope_id, at_ms=MONDAY_MS) == anna
    assert crm.drivers.find("+1 415 555 0101", scope_id=scope_id, at_ms=MONDAY_MS) is None
    assert crm.drivers.ids(scope_id=scope_id) == sorted([anna, ben, after])
    assert crm.drivers.ids(scope_id=scope_id, after=anna, limit=1) == [sorted([anna, ben, after])[1]]
    with pytest.raises(StateError, match="version 2"):
        crm.drivers.update(anna, DriverDetails(name="A"), at_ms=MONDAY_MS + 5, version=1)
    with pytest.raises(InputError, match="time goes backwards"):
        crm.drivers.update(anna, DriverDetails(name="A"), at_ms=MONDAY_MS + 4)
    with pytest.raises(StateError, match="there already"):
        crm.drivers.register(DriverDetails("Bo", "+14155550199"), scope_id=scope_id, at_ms=MONDAY_MS + 6)
    crm.drivers.leave(anna, at_ms=MONDAY_MS + DAY_MS)
    assert anna not in crm.drivers.ids(scope_id=scope_id)
    with pytest.raises(StateError, match="left already"):
        crm.drivers.leave(anna, at_ms=MONDAY_MS + DAY_MS)
    crm.drivers.rejoin(anna, at_ms=MONDAY_MS + 2 * DAY_MS)
    assert crm.drivers.get(anna, at_ms=MONDAY_MS).left_at_ms is None
    with pytest.raises(StateError, match="only one who left"):
        crm.drivers.rejoin(anna, at_ms=MONDAY_MS + 2 * DAY_MS)
    _assert_nothing_readable(crm)


def _assert_nothing_readable(crm):
    """Neither rows nor audit hold a name, number or address in the clear."""
    with crm.context.database.reading() as connection:
        for table in (driver, audit):
            for row in connection.execute(sa.select(table)):
                text = repr(tuple(row))
                assert not any(word in text for word in ("Anna", "Example", "555019", "Market"))
    if crm.context.database.path is not None:
        with sqlite3.connect(crm.context.database.path) as raw:
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        assert b"Anna" not in crm.context.database.path.read_bytes()


def test_many_drivers_without_anything_personal_get_a_key_when_needed(crm, scope_id):
    assert crm.drivers.register_many(range(10, 30), scope_id=scope_id, at_ms=MONDAY_MS) == 20
    assert crm.drivers.get(10, at_ms=MONDAY_MS).name is None
    crm.drivers.update(10, DriverDetails(name="Dee"), at_ms=MONDAY_MS)
    assert crm.drivers.get(10, at_ms=MONDAY_MS).name == "Dee"
    with pytest.raises(StateError, match=r"driver_ids\[1\] is 10: there is such a driver already"):
        crm.drivers.register_many([5, 10], scope_id=scope_id, at_ms=MONDAY_MS)
    with pytest.raises(InputError, match=r"driver_ids\[2\] is 5: it is that of row 0 as well"):
        crm.drivers.register_many([5, 6, 5], scope_id=scope_id, at_ms=MONDAY_MS)
    assert 5 not in crm.drivers.ids(scope_id=scope_id), "all or none"


def test_who_may_see_what_of_a_driver(crm, scope_id):
    anna = crm.drivers.register(ANNA, scope_id=scope_id, at_ms=MONDAY_MS)
    herself = actor("driver", "d", own=("driver", anna))
    assert crm.acting_as(herself).drivers.get(anna, at_ms=MONDAY_MS).address == "1 Market St"
    seen = crm.acting_as(actor("dispatcher")).drivers.get(anna, at_ms=MONDAY_MS)
    assert (seen.name, seen.address, seen.birthday_mmdd) == ("Anna Example", None, None)
    for other in (
        actor("driver", "x", own=("driver", anna + 1)),
        actor("customer", "c", own=("customer", anna)),
        actor("dispatcher", tenant=OTHER_TENANT),
        actor("agent", cities=frozenset({"elsewhere"})),
        actor("marketing"),
    ):
        with pytest.raises(AuthError):
            crm.acting_as(other).drivers.get(anna, at_ms=MONDAY_MS)
    with pytest.raises(AuthError):
        crm.acting_as(herself).drivers.leave(anna, at_ms=MONDAY_MS)
    crm.acting_as(herself).drivers.update(anna, DriverDetails(address="2 Pine"), at_ms=MONDAY_MS)


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"phone": "12345"}, "phone is no number"),
        ({"phone": "+1 999 555"}, "phone is no number"),
        ({"name": "  "}, "name must be a text"),
        ({"name": "x" * 201}, "200"),
        ({"birthday_mmdd": 230}, "no day of a year"),
        ({"birthday_mmdd": True}, "no day of a year"),
    ],
)
def test_details_are_checked_and_not_repeated(told, rule):
    with pytest.raises(InputError, match=rule) as caught:
        DriverDetails(**told)
    assert str(next(iter(told.values()))) not in str(caught.value) or told == {"name": "  "}


def test_name_and_phone_must_be_told(crm, scope_id):
    for details in (DriverDetails(name="A"), DriverDetails(phone="+14155550101")):
        with pytest.raises(InputError, match="must be told"):
            crm.drivers.register(details, scope_id=scope_id, at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="nothing to change"):
        crm.drivers.update(1, DriverDetails(), at_ms=MONDAY_MS)


def test_drivers_are_listed_page_by_page_as_far_as_one_reaches(crm, scope_id):
    crm.drivers.register_many(range(1, 6), scope_id=scope_id, at_ms=MONDAY_MS)
    crm.drivers.register_many([9], scope_id=crm.scope(OTHER_TENANT, "rome"), at_ms=MONDAY_MS)
    crm.drivers.leave(3, at_ms=MONDAY_MS + 1)
    first = crm.drivers.list(limit=4)
    rest = crm.drivers.list(limit=4, token=first.next_token)
    assert [row.driver_id for row in (*first.rows, *rest.rows)] == [1, 2, 3, 4, 5, 9]
    assert rest.next_token is None
    assert (first.rows[2].status, first.rows[2].left_at_ms) == ("left", MONDAY_MS + 1)
    assert [row.driver_id for row in crm.drivers.list(scope_id=scope_id, status="left").rows] == [3]
    agent = crm.acting_as(actor("agent"))
    assert [row.driver_id for row in agent.drivers.list().rows] == [1, 2, 3, 4, 5]
    with pytest.raises(AuthError):
        crm.acting_as(actor("marketing")).drivers.list()
    for told, rule in (
        ({"status": "asleep"}, "status is 'asleep'"),
        ({"limit": 0}, "limit is 0"),
        ({"scope_id": -1}, "scope_id is -1"),
        ({"token": first.next_token, "status": "left"}, "token is not one"),
    ):
        with pytest.raises(InputError, match=rule):
            crm.drivers.list(**told)
