"""After erasing a person, no byte of theirs is left anywhere, and what happened still counts."""

import json
import logging
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, MONDAY_MS, TENANT
from crm.made_people import (
    ADDRESS,
    CARD,
    EMAIL,
    NAME,
    PHONE,
    VERTICAL,
    WISH,
    dump,
    enter,
    found_in,
    insert,
    phone_spellings,
    spellings,
)
from crm.random_logs import random_log
from crm.waiting import wait_until_blocked
from dispatch.crm import vault as sealing_place
from dispatch.crm.audit_log import AuditFilter
from dispatch.crm.coupling.apply import EventLog
from dispatch.crm.crm import Crm
from dispatch.crm.exchange.backup import backup
from dispatch.crm.exchange.exporting import export_list
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.people.erasing import (
    apply_erasures_in,
    begin_register,
    catch_up,
    database_name,
)
from dispatch.crm.people.register import ErasedPerson, begin, note, read, register_path
from dispatch.crm.tables.engagement import telemetry
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import address, alias, customer, erasure, idempotency, person_key
from dispatch.errors import StateError, StoreError
from dispatch.store import sealing

WORDS = [NAME, *NAME.split(), EMAIL, ADDRESS, "Lombardy", WISH, PHONE, *phone_spellings()]
HOME = "-122419416 37774929"
"""Where the address is, as it is sealed."""


@pytest.fixture
def shop(database_url, tmp_path):
    """A CRM whose vertical has custom fields."""
    with Crm.create(database_url, VERTICAL, keys=tmp_path / "crm.keys") as made:
        yield made


def live(crm: Crm) -> tuple[int, int]:
    """Enter two customers, and let both do all that leaves traces; the first one is to be erased."""
    scope_id = crm.scope(TENANT, CITY)
    gone = enter(crm, scope_id)
    other = {
        "name": "Somebody Else",
        "phone": "+12125550100",
        "email": None,
        "member_no": None,
        "custom": None,
    }
    stays = enter(crm, scope_id, "1 Pier", **other)
    crm.customers.register(
        CustomerDetails(email="third@mail.example"), scope_id=scope_id, at_ms=MONDAY_MS, key="k", region="US"
    )
    crm.customers.find("phone", PHONE, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.customers.find("alias.card", f"{CARD}-{gone}", scope_id=scope_id, at_ms=MONDAY_MS)
    crm.customers.update(gone, CustomerDetails(name=NAME + " Jr"), at_ms=MONDAY_MS)
    crm.consents.record(gone, "marketing", True, at_ms=MONDAY_MS, source="app")
    crm.contacts.aliases_of(gone, at_ms=MONDAY_MS)
    crm.contacts.addresses_of(gone, at_ms=MONDAY_MS)
    insert(
        crm,
        orders,
        *(
            {
                "order_id": row,
                "customer_id": (gone, stays)[row % 2],
                "submitted_at_ms": MONDAY_MS,
                "fare_cents": 900,
                "pickup_lon_e6": -122_419_416,
                "pickup_lat_e6": 37_774_929,
            }
            for row in range(8)
        ),
    )
    return gone, stays


def files_of(crm: Crm, tmp_path, *, personal: bool = False):
    """Write what can be written of a CRM, and give all files: database, logs of it, exports, backups."""
    with crm.context.database.reading() as connection:
        rows = dump(crm)
        (tmp_path / "dump.txt").write_text("\n".join(line for lines in rows.values() for line in lines))
        # The server's files are not ours: every row as text and as bytes instead.
        parts = []
        for table in rows:
            for row in connection.execute(sa.text(f'SELECT * FROM "{table}"')):
                parts += [value if isinstance(value, bytes) else str(value).encode() for value in row]
        (tmp_path / "values.bin").write_bytes(b"\n".join(parts))
    (tmp_path / "audit.json").write_text(
        json.dumps([vars(row) for row in crm.audit_log.entries(at_ms=MONDAY_MS, limit=1000).rows])
    )
    for ending in ("csv", "parquet"):
        path = tmp_path / f"customers.{ending}"
        export_list(crm.context, "customers", path, at_ms=MONDAY_MS, personal=personal)
    (tmp_path / "the.backup").unlink(missing_ok=True)
    backup(crm.context, tmp_path / "the.backup", at_ms=MONDAY_MS)
    # Packed members are searched as they are read.
    with zipfile.ZipFile(tmp_path / "the.backup") as archive:
        (tmp_path / "members.bin").write_bytes(b"\n".join(map(archive.read, archive.namelist())))
    return [path for path in tmp_path.iterdir() if path.is_file()]


def erase_and_search(crm, tmp_path, caplog):
    """Erase the first customer, and give what is found of them afterwards."""
    caplog.set_level(logging.DEBUG)
    gone, stays = live(crm)
    # Sealed, nothing is there to be read even while they live.
    assert found_in(files_of(crm, tmp_path), spellings(WORDS)) == []
    with crm.context.database.reading() as connection:
        wrapped = connection.scalar(sa.select(person_key.c.wrapped).where(person_key.c.person_id == gone))
        sealed = connection.execute(
            sa.select(customer.c.name, customer.c.phone_index).where(customer.c.customer_id == gone)
        ).one()
    erased = crm.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1)
    assert erased.done
    assert erased.persons == (gone,)
    assert erased.scrubbed
    crm.privacy.export_person("customer", gone, at_ms=MONDAY_MS + 2, path=tmp_path / "gone.json")
    crm.privacy.export_person("customer", stays, at_ms=MONDAY_MS + 2, path=tmp_path / "stays.json")
    (tmp_path / "log.txt").write_text(caplog.text)
    files = files_of(crm, tmp_path, personal=True)
    return found_in(files, [*spellings(WORDS), wrapped, *sealed])


def test_no_byte_is_left(shop, tmp_path, caplog):
    assert erase_and_search(shop, tmp_path, caplog) == []
    names = {path.name for path in tmp_path.iterdir()}
    exported = {"gone.json", "the.backup", "members.bin", "customers.csv", "customers.parquet"}
    assert exported | {"dump.txt", "values.bin", "audit.json", "log.txt"} <= names
    if shop.context.database.is_sqlite:
        assert {"crm.db", "crm.db-wal"} <= names


def test_the_search_finds_everything_where_nothing_is_sealed(database_url, tmp_path, caplog, monkeypatch):
    """The same search with encryption switched off: it must be able to fail."""
    monkeypatch.setattr(sealing_place, "seal", lambda key, plain, label: plain)
    monkeypatch.setattr(sealing_place, "unseal", lambda key, plain, label: plain)
    monkeypatch.setattr(
        sealing_place,
        "seal_table",
        lambda keys, prefixes, columns: {
            name: [None if value is None else value.encode() for value in values]
            for name, values in columns.items()
        },
    )
    with Crm.create(database_url, VERTICAL, keys=tmp_path / "crm.keys") as crm:
        live(crm)
        hits = found_in(files_of(crm, tmp_path), spellings([*WORDS, HOME]))
    found = {one for _, one in hits}
    for value in (NAME, EMAIL, ADDRESS, PHONE, WISH, HOME):
        assert value.encode() in found
    places = {"dump.txt", "values.bin", "members.bin"}
    assert {name for name, _ in hits} >= places | ({"crm.db-wal"} if "sqlite" in database_url else set())


def test_what_is_left_of_a_person(shop):
    gone, stays = live(shop)
    before = dump(shop)
    shop.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1)
    after = dump(shop)
    with shop.context.database.reading() as connection:
        row = connection.execute(sa.select(customer).where(customer.c.customer_id == gone)).one()._mapping
        assert row["status"] == "erased"
        for column in customer.c:
            if column.info.get("personal") or column.name in ("birthday_mmdd", "member_no", "language"):
                assert row[column.name] is None, column.name
        for table in (alias, address):
            owners = set(connection.scalars(sa.select(table.c.customer_id)))
            assert owners == {stays}
        assert connection.scalars(sa.select(person_key.c.person_id)).all() == [stays, stays + 1]
        asked = connection.execute(sa.select(erasure)).one()
        assert (asked.person_id, asked.asked_at_ms, asked.done_at_ms) == (gone, MONDAY_MS + 1, MONDAY_MS + 1)
        # Orders stay, cut to about 1 km; the other customer's are as they were.
        rows = connection.execute(sa.select(orders.c.order_id, orders.c.pickup_lon_e6))
        precise = dict(rows.all())
    assert precise == {row: (-122_410_000, -122_419_416)[row % 2] for row in range(8)}
    assert after["consent"] == before["consent"]
    found = shop.customers.get(gone, at_ms=MONDAY_MS + 1)
    assert (found.status, found.name, found.custom, found.hidden) == ("erased", None, {}, ())
    for call in (
        lambda: shop.privacy.erase("customer", gone, at_ms=MONDAY_MS + 2),
        lambda: shop.customers.update(gone, CustomerDetails(name="X"), at_ms=MONDAY_MS + 2),
        lambda: shop.contacts.add_alias(gone, "card", "1", at_ms=MONDAY_MS + 2),
        lambda: shop.privacy.hold("customer", gone, "court_17", at_ms=MONDAY_MS + 2),
        lambda: shop.contacts.merge(gone, stays, at_ms=MONDAY_MS + 2),
    ):
        with pytest.raises(StateError, match="is erased"):
            call()
    # Events go on being counted under the pseudonymous id.
    insert(shop, orders, {"order_id": 100, "customer_id": gone, "submitted_at_ms": MONDAY_MS + 5})
    insert(shop, customer_day, {"customer_id": gone, "day": 9, "submitted": 1, "spend_cents": 0})
    assert len(shop.customers.orders_of(gone).rows) == 5
    # The number is free again.
    again = shop.customers.register(
        CustomerDetails(phone=PHONE), scope_id=shop.scope(TENANT, CITY), at_ms=MONDAY_MS + 3
    )
    assert again not in (gone, stays)


def test_events_are_applied_and_counted_as_if_nobody_was_erased(shop, tmp_path):
    """Half of a log before the erasure, half after it: the sums are those of a database without one."""
    events = random_log(5)
    half = len(events) // 2

    def sums(crm):
        with crm.context.database.reading() as connection:
            return sorted(map(tuple, connection.execute(sa.select(customer_day))))

    for crm in (shop, Crm.create(tmp_path / "other.db", "ride")):
        scope_id = crm.scope(TENANT, CITY)
        told = {"customer_id": [1, 2, 3], "name": ["A", "B", "C"]}
        crm.customers.register_many(told, scope_id=scope_id, at_ms=1)
        log = EventLog(crm.context)
        log.apply(events[:half], first_seq=0, stream="engine")
        if crm is shop:
            assert crm.privacy.erase("customer", 2, at_ms=2).done
        log.apply(events[half:], first_seq=half, stream="engine")
        if crm is shop:
            counted = sums(crm)
        else:
            assert sums(crm) == counted
            crm.close()
    assert {row[0] for row in counted} == {1, 2, 3}


def test_keys_of_many_erased_persons_are_nowhere_in_the_file(tmp_path):
    """Pages split and merge as keys come and go; none keeps an old copy."""
    with Crm.create(tmp_path / "crm.db", VERTICAL) as crm:
        scope_id = crm.scope(TENANT, CITY)
        ids = [(row * 7919) % 20011 for row in range(1, 1201)]
        crm.customers.register_many(
            {"customer_id": ids, "name": [f"Name {row}" for row in ids]}, scope_id=scope_id, at_ms=1
        )
        with crm.context.database.reading() as connection:
            rows = connection.execute(sa.select(person_key.c.person_id, person_key.c.wrapped))
            wrapped = dict(rows.all())
        crm.context.database.scrub()
        content = (tmp_path / "crm.db").read_bytes()
        assert all(one in content for one in wrapped.values())
        gone = ids[::30]
        for customer_id in gone:
            crm.privacy.erase("customer", customer_id, at_ms=2)
        content = (tmp_path / "crm.db").read_bytes() + (tmp_path / "crm.db-wal").read_bytes()
        assert [one for one in gone if wrapped[one] in content] == []


def test_erased_with_those_merged_into_them(shop, tmp_path):
    gone, stays = live(shop)
    shop.contacts.merge(stays, gone, at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="merged into"):
        shop.privacy.erase("customer", stays, at_ms=MONDAY_MS)
    assert set(shop.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1).persons) == {gone, stays}
    with shop.context.database.reading() as connection:
        assert not set(connection.scalars(sa.select(person_key.c.person_id))) & {gone, stays}
        told = read(register_path(tmp_path / "crm.keys")).erased[_name(shop)]
    assert {person.person_id for person in told} == {gone, stays}


def _name(crm):
    with crm.context.database.reading() as connection:
        return database_name(connection)


def test_an_older_database_is_brought_up_to_the_register(shop, tmp_path):
    gone, stays = live(shop)
    register = register_path(tmp_path / "crm.keys")
    name = _name(shop)
    note(register, "another database", [ErasedPerson("customer", stays, MONDAY_MS)])
    note(register, name, [ErasedPerson("customer", gone, MONDAY_MS), ErasedPerson("driver", 4, MONDAY_MS)])
    note(register, name, [ErasedPerson("customer", 4711, MONDAY_MS)])
    assert shop.privacy.apply_erasures(at_ms=MONDAY_MS) == 1
    assert shop.customers.get(gone, at_ms=MONDAY_MS).status == "erased"
    assert shop.customers.get(stays, at_ms=MONDAY_MS).status == "active"
    before = dump(shop)
    with shop.context.database.writing() as connection:
        assert apply_erasures_in(connection, read(register), MONDAY_MS + 1) == 0
    assert dump(shop) == before
    told = AuditFilter(action="person.erase")
    assert [row.object_id for row in shop.audit_log.entries(told, at_ms=MONDAY_MS).rows] == [gone]


def test_who_was_entered_under_the_same_id_later_is_somebody_else(shop, tmp_path):
    """A database that was put back counts on from its own highest id: one that somebody erased had before."""
    gone, _ = live(shop)
    register = register_path(tmp_path / "crm.keys")
    note(register, _name(shop), [ErasedPerson("customer", gone, MONDAY_MS - 1)])
    assert shop.privacy.apply_erasures(at_ms=MONDAY_MS) == 0
    assert shop.customers.get(gone, at_ms=MONDAY_MS).name == NAME + " Jr"


def test_an_erasure_that_was_deferred_in_the_backup_is_done(shop, tmp_path):
    gone, _ = live(shop)
    shop.privacy.hold("customer", gone, "court", at_ms=MONDAY_MS)
    assert not shop.privacy.erase("customer", gone, at_ms=MONDAY_MS).done
    note(register_path(tmp_path / "crm.keys"), _name(shop), [ErasedPerson("customer", gone, MONDAY_MS + 5)])
    assert shop.privacy.apply_erasures(at_ms=MONDAY_MS + 9) == 1
    with shop.context.database.reading() as connection:
        (row,) = connection.execute(sa.select(erasure)).all()
    assert (row.asked_at_ms, row.done_at_ms) == (MONDAY_MS, MONDAY_MS + 9)


def test_a_hold_that_was_placed_after_the_erasure_was_noted_is_kept(shop, tmp_path):
    """Such an erasure broke off before it was committed; the hold is of somebody who was there."""
    gone, _ = live(shop)
    note(register_path(tmp_path / "crm.keys"), _name(shop), [ErasedPerson("customer", gone, MONDAY_MS)])
    hold = shop.privacy.hold("customer", gone, "court", at_ms=MONDAY_MS + 1)
    assert shop.privacy.apply_erasures(at_ms=MONDAY_MS + 2) == 0
    shop.privacy.release("customer", gone, hold, at_ms=MONDAY_MS + 3)
    assert shop.privacy.apply_erasures(at_ms=MONDAY_MS + 4) == 1


def state_of(crm, customer_id):
    """Status and name, as they are in the rows."""
    found = crm.customers.get(customer_id, at_ms=MONDAY_MS + 9)
    return found.status, found.name


def test_whoever_opens_an_older_file_finds_nobody_who_was_erased_since(tmp_path):
    """The file is put back in place, as from a copy of the disk; nobody calls anything."""
    where, keys = tmp_path / "crm.db", tmp_path / "crm.db.keys"
    with Crm.create(where, VERTICAL) as crm:
        gone, stays = live(crm)
        crm.contacts.merge(stays, gone, at_ms=MONDAY_MS)
        crm.context.database.scrub()
        shutil.copy(where, tmp_path / "older.db")
        crm.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1)
        assert crm.erased_again == 0
    for name in ("crm.db-wal", "crm.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "older.db", where)
    with Crm.open(where) as crm:
        assert crm.erased_again == 2
        assert state_of(crm, gone) == state_of(crm, stays) == ("erased", None)
        told = AuditFilter(action="person.erase")
        (first, _) = crm.audit_log.entries(told, at_ms=MONDAY_MS).rows
        assert (first.actor, first.details) == ("system", {"from": "register"})
        crm.audit_log.verify()
        files = [where, tmp_path / "crm.db-wal"]
        assert found_in([one for one in files if one.exists()], spellings(WORDS)) == []
    before = register_path(keys).read_bytes()
    with Crm.open(where) as crm:
        assert crm.erased_again == 0
    assert register_path(keys).read_bytes() == before


def test_a_database_on_a_server_that_was_put_back_is_caught_up_with(shop, database_url, tmp_path):
    """As one restored by the server's own means: the register knows more than the rows."""
    gone, stays = live(shop)
    note(register_path(tmp_path / "crm.keys"), _name(shop), [ErasedPerson("customer", gone, MONDAY_MS)])
    with Crm.open(database_url, keys=tmp_path / "crm.keys") as crm:
        assert crm.erased_again == 1
        assert state_of(crm, gone) == ("erased", None)
        assert state_of(crm, stays)[0] == "active"


def test_a_register_on_another_machine_learns_what_the_database_knows(shop, database_url, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for name in ("crm.keys", "crm.keys.erased"):
        shutil.copy(tmp_path / name, there)
    gone, stays = live(shop)
    scope_id = shop.scope(TENANT, CITY)
    shop.drivers.register_many([4], scope_id=scope_id, at_ms=MONDAY_MS)
    shop.contacts.merge(stays, gone, at_ms=MONDAY_MS)
    shop.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1)
    shop.privacy.erase("driver", 4, at_ms=MONDAY_MS + 2)
    theirs = register_path(there / "crm.keys")
    assert read(theirs).erased == {}
    for _ in range(2):  # the second time there is nothing left to tell
        with Crm.open(database_url, keys=there / "crm.keys") as crm:
            assert crm.erased_again == 0
        told = read(theirs).erased[_name(shop)]
        assert {(one.kind, one.person_id) for one in told} == {
            ("customer", gone),
            ("customer", stays),
            ("driver", 4),
        }
        assert len(told) == 3


def test_a_keyring_that_was_copied_without_its_register_is_refused(shop, database_url, tmp_path):
    gone, _ = live(shop)
    shop.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1)
    keys = tmp_path / "copy.keys"
    shutil.copy(tmp_path / "crm.keys", keys)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"copy.keys.erased: the register of erasures of this database"):
            Crm.open(database_url, keys=keys)
        # That of another database is none of this one's.
        begin(register_path(keys), "another", MONDAY_MS)
    database = shop.context.database
    assert begin_register(database, register_path(keys), MONDAY_MS + 2)
    assert not begin_register(database, register_path(keys), MONDAY_MS + 3)
    assert [one.person_id for one in read(register_path(keys)).erased[_name(shop)]] == [gone]
    Crm.open(database_url, keys=keys).close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_who_open_an_older_database_at_once_erase_once(shop, tmp_path):
    gone, _ = live(shop)
    register = register_path(tmp_path / "crm.keys")
    note(register, _name(shop), [ErasedPerson("customer", gone, MONDAY_MS)])
    database = shop.context.database
    with ThreadPoolExecutor() as pool:
        with database.writing() as first:
            assert apply_erasures_in(first, read(register), MONDAY_MS) == 1
            second = pool.submit(catch_up, database, register, MONDAY_MS)
            wait_until_blocked(database)
        assert second.result(timeout=30) == 0
    told = AuditFilter(action="person.erase")
    assert len(shop.audit_log.entries(told, at_ms=MONDAY_MS).rows) == 1


def test_where_a_driver_was_is_forgotten(shop):
    scope_id = shop.scope(TENANT, CITY)
    shop.drivers.register_many([4, 5], scope_id=scope_id, at_ms=MONDAY_MS)
    cars = [{"driver_id": one, "at_ms": MONDAY_MS, "lon_e6": 1_234_567, "lat_e6": 7} for one in (4, 5)]
    insert(shop, telemetry, *cars)
    shop.privacy.erase("driver", 4, at_ms=MONDAY_MS)
    with shop.context.database.reading() as connection:
        assert connection.scalars(sa.select(telemetry.c.driver_id)).all() == [5]


def test_a_failed_erasure_leaves_all_as_it_was(shop, tmp_path):
    gone, _ = live(shop)
    before = dump(shop)
    register = register_path(tmp_path / "crm.keys")
    register.unlink()
    register.mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        shop.privacy.erase("customer", gone, at_ms=MONDAY_MS + 1)
    assert dump(shop) == before


def test_requests_with_a_key_are_forgotten_with_the_person(shop):
    scope_id = shop.scope(TENANT, CITY)
    made = shop.customers.register(CustomerDetails(name="N"), scope_id=scope_id, at_ms=1, key="k")
    shop.privacy.erase("customer", made, at_ms=2)
    with shop.context.database.reading() as connection:
        assert connection.execute(sa.select(idempotency)).all() == []


def test_sealing_is_what_is_switched_off_above():
    """The names that the switch replaces are those that the vault calls."""
    assert (sealing_place.seal, sealing_place.seal_table) == (sealing.seal, sealing.seal_table)
