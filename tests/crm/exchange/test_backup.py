"""Backups: what is put back is what was there; damage is refused; who was erased since is erased again."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS, actor
from crm.filled import fill
from crm.made_people import EMAIL, NAME, PHONE, details
from dispatch.crm import schema
from dispatch.crm.audit import signed_head
from dispatch.crm.audit_log import AuditFilter
from dispatch.crm.crm import Crm
from dispatch.crm.exchange.backup import backup, restore, told_of
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.people.erasing import lineage_of
from dispatch.crm.people.register import note_backup
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.errors import AuthError, InputError, StoreError
from dispatch.store.archive import write_archive
from dispatch.store.database import Database
from dispatch.store.migration import VERSION_TABLE
from dispatch.store.sealing import Keyring

LATER_MS = MONDAY_MS + 40 * DAY_MS


def everything(where):
    """All rows of all tables, JSON as its text."""
    with Database(where) as database, database.reading() as connection:
        found = {}
        for table in metadata.sorted_tables:
            columns = [sa.cast(c, sa.Text) if isinstance(c.type, sa.JSON) else c for c in table.c]
            query = sa.select(*columns).order_by(*table.primary_key.columns)
            found[table.name] = connection.execute(query).all()
        return found


def is_copy_of(after, before):
    """Tell whether a restored database holds the same rows, but for its name and the entry that tells so."""
    name = after["installation"][0].name
    told = {"backup_at_ms": MONDAY_MS + DAY_MS, "from": before["installation"][0].name, "name": name}
    entry = after["audit"][-1]
    assert (entry.seq, entry.action, entry.actor) == (len(before["audit"]) + 1, "backup.restore", "system")
    assert (entry.at_ms, json.loads(entry.details)) == (LATER_MS, told)
    assert name != before["installation"][0].name
    own = {"audit": after["audit"][:-1], **{name: before[name] for name in ("audit_head", "installation")}}
    return after | own == before


def make(where, keys):
    """A CRM with some business, and two persons of whom something is known; gives their ids."""
    crm = Crm.create(where, keys=keys)
    scope_id = crm.scope("acme", "san_francisco")
    fill(crm, scope_id, num_orders=150, num_customers=20)
    given = details(custom=None)
    first = crm.customers.register(given, scope_id=scope_id, at_ms=MONDAY_MS)
    other = details(
        custom=None, phone="+14155550100", member_no="M-2", email="b@mail.example", name="Bea Bee"
    )
    second = crm.customers.register(other, scope_id=scope_id, at_ms=MONDAY_MS)
    return crm, first, second


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A backup made from SQLite, its keyring, and what was in the database."""
    folder = tmp_path_factory.mktemp("backup")
    crm, first, second = make(folder / "crm.db", folder / "crm.keys")
    with crm:
        manifest = backup(crm.context, folder / "crm.zip", at_ms=MONDAY_MS + DAY_MS)
    return folder, manifest, everything(folder / "crm.db"), (first, second)


def test_a_damaged_database_comes_back_as_it_was(database_url, tmp_path, postgres_url):
    keys, file = tmp_path / "crm.keys", tmp_path / "crm.zip"
    crm, first, _ = make(database_url, keys)
    with crm:
        manifest = backup(crm.context, file, at_ms=MONDAY_MS + DAY_MS)
        before = everything(database_url)
        assert manifest.rows == sum(map(len, before.values()))
        with crm.context.database.writing() as connection:
            connection.execute(sa.delete(orders).where(orders.c.order_id % 2 == 0))
            connection.execute(sa.update(customer).values(name=None))
        assert everything(database_url) != before
    again = tmp_path / "again.db"
    done = restore(file, again, keys, at_ms=LATER_MS)
    assert (done.manifest, done.erased) == (manifest, 0)
    assert done.audit_entries == len(before["audit"]) > 0
    assert is_copy_of(everything(again), before)
    with Crm.open(again, keys=keys) as restored:
        assert restored.customers.get(first, at_ms=LATER_MS).name == NAME
        made = restored.customers.register(
            details(custom=None, phone="+14155550177", member_no="M-9"),
            scope_id=restored.scope("acme", "san_francisco"),
            at_ms=LATER_MS,
        )
        assert made > max(row.customer_id for row in before["customer"])
    with Database(database_url) as database:
        if not database.is_sqlite:
            return  # its own database is the one for the other way
    assert restore(file, postgres_url, keys, at_ms=LATER_MS).audit_entries == done.audit_entries
    assert is_copy_of(everything(postgres_url), before)
    with Crm.open(postgres_url, keys=keys) as restored:
        scope_id = restored.scope("acme", "san_francisco")
        assert restored.customers.find("phone", PHONE, scope_id=scope_id, at_ms=LATER_MS) == first
        fresh = details(custom=None, phone="+14155550177", member_no="M-9")
        restored.customers.register(fresh, scope_id=scope_id, at_ms=LATER_MS)


def test_a_damaged_file_is_no_database_until_it_is_restored(made, tmp_path):
    folder, _, before, _ = made
    where = tmp_path / "crm.db"
    whole = (folder / "crm.db").read_bytes()
    where.write_bytes(b"\0" * 4096 + whole[4096:])
    with pytest.raises(StoreError):
        Crm.open(where, keys=folder / "crm.keys")
    where.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError):
        everything(where)
    where.unlink()
    restore(folder / "crm.zip", where, folder / "crm.keys", at_ms=LATER_MS)
    assert is_copy_of(everything(where), before)


def test_a_damaged_backup_is_refused_and_leaves_nothing(made, tmp_path):
    folder, manifest, _, _ = made
    whole = (folder / "crm.zip").read_bytes()
    with zipfile.ZipFile(folder / "crm.zip") as packed:
        places = {one.filename: one.header_offset + 50 + len(one.filename) for one in packed.infolist()}
    damaged = tmp_path / "damaged.zip"
    for member in manifest.members:
        place = places[member.file] + 20
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=f"{member.file} is damaged"):
            restore(damaged, tmp_path / "new.db", folder / "crm.keys", at_ms=LATER_MS)
    damaged.write_bytes(whole[:-100])
    with pytest.raises(StoreError, match="its end was cut"):
        restore(damaged, tmp_path / "new.db", folder / "crm.keys", at_ms=LATER_MS)
    Keyring.new().save(tmp_path / "other.keys")
    with pytest.raises(StoreError, match="signed by other keys"):
        restore(folder / "crm.zip", tmp_path / "new.db", tmp_path / "other.keys", at_ms=LATER_MS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.zip", "other.keys"]


def test_only_an_empty_database_is_filled(made, database_url):
    folder, *_ = made
    with Crm.create(database_url, keys=folder / "crm.keys"):
        before = everything(database_url)
    with pytest.raises(StoreError, match="there are tables already"):
        restore(folder / "crm.zip", database_url, folder / "crm.keys", at_ms=LATER_MS)
    assert everything(database_url) == before


def test_what_breaks_off_leaves_no_database(made, tmp_path):
    folder, *_ = made

    def stop(table, _done, _total):
        if table == "orders":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(
            folder / "crm.zip", tmp_path / "new.db", folder / "crm.keys", at_ms=LATER_MS, on_progress=stop
        )
    assert list(tmp_path.iterdir()) == []


def test_who_was_erased_since_is_erased_again(made, database_url, tmp_path):
    folder, _, before, (first, second) = made
    for name in ("crm.db", "crm.keys", "crm.keys.erased", "crm.zip"):
        shutil.copy(folder / name, tmp_path / f"own_{name}")
    keys = tmp_path / "own_crm.keys"
    with Crm.open(tmp_path / "own_crm.db", keys=keys) as crm:
        crm.privacy.erase("customer", first, at_ms=MONDAY_MS + 2 * DAY_MS)
    done = restore(tmp_path / "own_crm.zip", database_url, keys, at_ms=LATER_MS)
    assert done.erased == 1
    with Crm.open(database_url, keys=keys) as crm:
        assert crm.customers.get(first, at_ms=LATER_MS).status == "erased"
        assert crm.customers.get(second, at_ms=LATER_MS).name == "Bea Bee"
        assert crm.audit_log.verify() == done.audit_entries + 2 + 2
    assert len(everything(database_url)["orders"]) == len(before["orders"])
    if database_url.startswith("sqlite"):
        raw = b"".join(path.read_bytes() for path in Path(tmp_path).glob("crm.db*"))
        for told in (NAME, PHONE, EMAIL):
            assert told.encode() not in raw


def test_a_keyring_that_was_copied_alone_brings_nobody_back(database_url, tmp_path):
    """As it was advised once: keys copied, a backup made, somebody erased, all lost but the copies."""
    keys, file = tmp_path / "crm.keys", tmp_path / "crm.zip"
    alone, older, where = tmp_path / "alone.keys", tmp_path / "older.keys", tmp_path / "new.db"
    crm, first, second = make(tmp_path / "lost.db", keys)
    with crm:
        for copy in (alone, older):
            shutil.copy(keys, copy)
        shutil.copy(f"{keys}.erased", f"{older}.erased")
        backup(crm.context, file, at_ms=MONDAY_MS + DAY_MS)
        crm.privacy.erase("customer", first, at_ms=MONDAY_MS + 2 * DAY_MS)
        backup(crm.context, tmp_path / "later.zip", at_ms=MONDAY_MS + 3 * DAY_MS)
    before = sorted(tmp_path.iterdir())
    for copy, why in (
        (alone, "there is no register of erasures"),
        (older, "is an older copy than the backup"),
    ):
        with pytest.raises(StoreError, match=f"{copy.name}.erased: .*{why}.*--erasures"):
            restore(file, where, copy, at_ms=LATER_MS)
    assert sorted(tmp_path.iterdir()) == before
    # The register itself, found later, or a later backup tells.
    for told in (f"{keys}.erased", "later.zip"):
        copy = tmp_path / f"of_{Path(told).name}.keys"
        shutil.copy(keys, copy)
        shutil.copy(f"{older}.erased", f"{copy}.erased")
        done = restore(file, where, copy, at_ms=LATER_MS, erasures=[tmp_path / told])
        assert done.erased == 1
        # The later backup does not know whom somebody erased after it.
        unsure = "erasures are known until the later backup alone, of 2023-11-23 00:00:00 UTC"
        assert done.unsure == (unsure if told == "later.zip" else "")
        with Crm.open(where, keys=copy) as restored:
            assert restored.erased_again == 0
            assert restored.customers.get(first, at_ms=LATER_MS).status == "erased"
            assert restored.customers.get(second, at_ms=LATER_MS).name == "Bea Bee"
        for path in tmp_path.glob("new.db*"):
            path.unlink()
    # Put up with, it is said.
    done = restore(file, database_url, alone, at_ms=LATER_MS, without_register=True)
    assert (done.erased, done.unsure) == (
        0,
        "there is no register of erasures of this database beside the keyring",
    )
    with Crm.open(database_url, keys=alone) as restored:
        assert restored.customers.get(first, at_ms=LATER_MS).name == NAME


def test_a_register_that_lacks_who_was_erased_before_the_backup_is_older(tmp_path):
    """As of a machine that the database was not opened at meanwhile."""
    keys, there = tmp_path / "crm.keys", tmp_path / "there.keys"
    crm, first, _ = make(tmp_path / "crm.db", keys)
    with crm:
        for ending in ("", ".erased"):
            shutil.copy(f"{keys}{ending}", f"{there}{ending}")
        crm.privacy.erase("customer", first, at_ms=MONDAY_MS + DAY_MS)
        made = backup(crm.context, tmp_path / "crm.zip", at_ms=MONDAY_MS + 2 * DAY_MS)
    note_backup(Path(f"{there}.erased"), "another", made.facts["mark"], MONDAY_MS)
    with pytest.raises(StoreError, match="older copy"):
        restore(tmp_path / "crm.zip", tmp_path / "new.db", there, at_ms=LATER_MS)
    restore(tmp_path / "crm.zip", tmp_path / "new.db", keys, at_ms=LATER_MS)
    with pytest.raises(InputError, match="no such register"):
        restore(tmp_path / "crm.zip", tmp_path / "b.db", keys, at_ms=LATER_MS, erasures=[tmp_path / "none"])


def register(crm, name, day):
    """Enter somebody on a day; gives the id."""
    scope_id = crm.scope("acme", "san_francisco")
    return crm.customers.register(CustomerDetails(name), scope_id=scope_id, at_ms=MONDAY_MS + day * DAY_MS)


def names(crm, *ids):
    return [crm.customers.get(one, at_ms=LATER_MS).name for one in ids]


def test_a_copy_and_its_original_are_told_apart(database_url, tmp_path):
    """Both live on with one keyring, and give the same ids to different people."""
    keys = tmp_path / "crm.keys"

    def erase(crm, person, day):
        crm.privacy.erase("customer", person, at_ms=MONDAY_MS + day * DAY_MS)

    def save(crm, name, day):
        backup(crm.context, tmp_path / name, at_ms=MONDAY_MS + day * DAY_MS)

    with Crm.create(database_url, keys=keys) as original:
        common = [register(original, f"Common {row}", 0) for row in range(3)]
        save(original, "first.zip", 1)
        restore(tmp_path / "first.zip", tmp_path / "copy.db", keys, at_ms=MONDAY_MS + DAY_MS)
        with Crm.open(tmp_path / "copy.db", keys=keys) as copy:
            ours = [register(original, f"Ours {row}", 2) for row in range(3)]
            assert [register(copy, f"Theirs {row}", 2) for row in range(3)] == ours
            save(original, "ours.zip", 3)
            save(copy, "theirs.zip", 3)
            # Who was entered in the copy is nobody of the original's, and the other way round.
            erase(copy, ours[0], 4)
            erase(original, ours[1], 4)
            assert original.privacy.apply_erasures(at_ms=LATER_MS) == 0
            assert copy.privacy.apply_erasures(at_ms=LATER_MS) == 0
            assert names(original, *ours) == ["Ours 0", None, "Ours 2"]
            assert names(copy, *ours) == [None, "Theirs 1", "Theirs 2"]
            # Whoever was there before is one and the same.
            erase(copy, common[0], 5)
            erase(original, common[1], 5)
            assert original.privacy.apply_erasures(at_ms=LATER_MS) == 1
            assert copy.privacy.apply_erasures(at_ms=LATER_MS) == 1
            for crm in (original, copy):
                assert names(crm, *common) == [None, None, "Common 2"]
    for file, erased, told in (
        ("first.zip", 2, []),
        ("ours.zip", 3, ["Ours 0", None, "Ours 2"]),
        ("theirs.zip", 3, [None, "Theirs 1", "Theirs 2"]),
    ):
        where = tmp_path / f"{file}.db"
        assert restore(tmp_path / file, where, keys, at_ms=LATER_MS).erased == erased
        with Crm.open(where, keys=keys) as crm:
            assert names(crm, *common, *ours[: len(told)]) == [None, None, "Common 2", *told]
            copies = AuditFilter(action="backup.restore")
            assert len(crm.audit_log.entries(copies, at_ms=LATER_MS).rows) == 1 + (file == "theirs.zip")
            crm.audit_log.verify()


def test_whose_copy_it_is_must_be_told_by_the_audit(made, tmp_path):
    folder, _, before, _ = made
    restore(folder / "crm.zip", tmp_path / "new.db", folder / "crm.keys", at_ms=LATER_MS)
    with Database(tmp_path / "new.db") as database:
        with database.reading() as connection:
            lineage = lineage_of(connection)
        assert lineage.ancestors == ((before["installation"][0].name, MONDAY_MS + DAY_MS),)
        assert lineage.names[-1] == lineage.origin(MONDAY_MS + DAY_MS + 1) == lineage.name
        assert lineage.origin(MONDAY_MS + DAY_MS) == before["installation"][0].name
        for change in ("details = '{}'", "details = 'x'", "action = 'backup.make'"):
            with database.writing() as connection:
                connection.exec_driver_sql(f"UPDATE audit SET {change} WHERE action = 'backup.restore'")
                with pytest.raises(StoreError, match="does not tell of whose backup"):
                    lineage_of(connection)
                connection.rollback()


def test_a_backup_holds_nothing_personal_and_needs_the_keys_of_its_time(made, tmp_path):
    folder, *_ = made
    with zipfile.ZipFile(folder / "crm.zip") as packed:
        raw = b"".join(packed.read(name) for name in packed.namelist())
    for told in (NAME, PHONE, EMAIL):
        assert told.encode() not in raw
    ring = Keyring.load(folder / "crm.keys")
    assert ring.masters[1] not in raw
    ring.rotated().save(tmp_path / "rotated.keys")
    register = [folder / "crm.keys.erased"]
    restore(
        folder / "crm.zip", tmp_path / "new.db", tmp_path / "rotated.keys", at_ms=LATER_MS, erasures=register
    )
    ring.rotated().only_latest().save(tmp_path / "retired.keys")
    with pytest.raises(StoreError, match="sealed by master key 1"):
        restore(folder / "crm.zip", tmp_path / "newer.db", tmp_path / "retired.keys", at_ms=LATER_MS)


def test_a_backup_of_a_newer_version_is_refused(made, tmp_path, monkeypatch):
    folder, *_ = made
    monkeypatch.setattr(type(schema.MIGRATIONS), "revisions", lambda _: ("0001",))
    with pytest.raises(StoreError, match=r"this version, .*, lacks"):
        restore(folder / "crm.zip", tmp_path / "new.db", folder / "crm.keys", at_ms=LATER_MS)


def test_a_backup_of_an_older_revision_is_brought_up_to_date(database_url, tmp_path):
    keys, file = tmp_path / "crm.keys", tmp_path / "old.zip"
    crm, first, _ = make(tmp_path / "old.db", keys)
    with crm, crm.context.database.writing() as connection:
        schema.MIGRATIONS.downgrade(connection, "0002")
        head = signed_head(connection, crm.context.vault.keyring, MONDAY_MS)
        facts = {"revision": "0002", "version": "0.0", "at_ms": MONDAY_MS, "audit_head": told_of(head)}
        older = sa.MetaData()
        older.reflect(connection, only=lambda name, _: name != VERSION_TABLE)
        manifest = write_archive(file, connection, older.sorted_tables, crm.context.vault.keyring, facts)
        before = {table.name: connection.execute(sa.select(table)).all() for table in older.sorted_tables}
    assert "coupon" not in before
    assert restore(file, database_url, keys, at_ms=LATER_MS).manifest == manifest
    after = everything(database_url)
    assert {name: len(rows) for name, rows in after.items()} == {
        name: len(before.get(name, ())) + (name == "audit") for name in after
    }
    with Crm.open(database_url, "ride", keys=keys, changes_rules=True) as restored:
        assert restored.customers.get(first, at_ms=LATER_MS).name == NAME
        with restored.context.database.reading() as connection:
            assert schema.MIGRATIONS.differences(connection, metadata) == []


def test_bad_input(crm, tmp_path):
    with pytest.raises(AuthError):
        backup(crm.acting_as(actor("admin")).context, tmp_path / "crm.zip", at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="at_ms"):
        backup(crm.context, tmp_path / "crm.zip", at_ms=-1)
    with pytest.raises(InputError, match="its folder is not there"):
        backup(crm.context, tmp_path / "no" / "crm.zip", at_ms=MONDAY_MS)
    assert not list(tmp_path.glob("*.zip"))
