"""Personal data: exported, held, erased later; keys changed; nothing kept too long."""

import json
import threading
import zipfile
from dataclasses import replace

import pytest
import sqlalchemy as sa

from crm.conftest import CITY, DAY_MS, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.made_people import ADDRESS, EMAIL, NAME, PHONE, VERTICAL, WISH, dump, enter, insert
from dispatch.crm.crm import Crm
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.people.customers import register_many_in
from dispatch.crm.tables.engagement import telemetry
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import consent, erasure, person_key
from dispatch.crm.vault import Vault
from dispatch.errors import AuthError, InputError, StateError, StoreError
from dispatch.store import bulk
from dispatch.store.sealing import Keyring
from dispatch.units import NO_COORDINATE


def add(crm, num, first=1, at_ms=MONDAY_MS):
    ids = list(range(first, first + num))
    names = [f"Name {one}" for one in ids]
    return crm.customers.register_many({"customer_id": ids, "name": names}, scope_id=1, at_ms=at_ms)


# --- legal hold ----------------------------------------------------------------------------------


def test_a_hold_defers_the_erasure(crm, scope_id):
    (made,) = add(crm, 1)
    privacy = crm.privacy
    first = privacy.hold("customer", made, "court_17", at_ms=MONDAY_MS)
    second = privacy.hold("customer", made, "tax_2023", at_ms=MONDAY_MS)
    assert crm.customers.get(made, at_ms=MONDAY_MS).status == "active"
    assert not privacy.erase("customer", made, at_ms=MONDAY_MS + 1).done
    assert not privacy.erase("customer", made, at_ms=MONDAY_MS + 2).done  # asked again, noted once
    held = crm.customers.get(made, at_ms=MONDAY_MS)
    assert (held.status, held.name) == ("restricted", "Name 1")
    with pytest.raises(StateError, match="is restricted"):
        crm.customers.update(made, CustomerDetails(name="X"), at_ms=MONDAY_MS + 3)
    assert not privacy.release("customer", made, first, at_ms=MONDAY_MS + 3).done
    before = dump(crm)
    for call, error in (
        (lambda: privacy.release("customer", made, first, at_ms=MONDAY_MS + 4), StateError),
        (lambda: privacy.release("customer", made, 99, at_ms=MONDAY_MS + 4), StateError),
        (lambda: privacy.release("customer", made, second, at_ms=MONDAY_MS - 1), InputError),
        (lambda: privacy.release("customer", 99, second, at_ms=MONDAY_MS + 4), InputError),
        (lambda: privacy.hold("customer", made, "a b", at_ms=MONDAY_MS), InputError),
        (lambda: privacy.hold("dog", made, "court", at_ms=MONDAY_MS), InputError),
        (lambda: privacy.erase("customer", made, at_ms=MONDAY_MS), InputError),  # time goes backwards
    ):
        with pytest.raises(error):
            call()
    assert dump(crm) == before
    assert privacy.release("customer", made, second, at_ms=MONDAY_MS + 4).done
    assert crm.customers.get(made, at_ms=MONDAY_MS + 4).status == "erased"
    with crm.context.database.reading() as connection:
        (row,) = connection.execute(sa.select(erasure)).all()
        assert (row.asked_at_ms, row.done_at_ms) == (MONDAY_MS + 1, MONDAY_MS + 4)
    # A hold that ends without a wish to be erased changes nothing.
    (kept,) = add(crm, 1, first=5)
    hold = privacy.hold("customer", kept, "court_18", at_ms=MONDAY_MS)
    assert not privacy.release("customer", kept, hold, at_ms=MONDAY_MS).done
    assert crm.customers.get(kept, at_ms=MONDAY_MS).status == "active"


def test_nothing_of_a_held_customer_is_lost(crm, scope_id):
    held, other = (
        enter(crm, scope_id, custom=None),
        enter(crm, scope_id, phone=None, member_no=None, custom=None),
    )
    hold = crm.privacy.hold("customer", held, "court_17", at_ms=MONDAY_MS)
    (card,) = crm.contacts.aliases_of(held, at_ms=MONDAY_MS)
    (home,) = crm.contacts.addresses_of(held, at_ms=MONDAY_MS)
    before = dump(crm)
    lost = (
        lambda: crm.contacts.merge(held, other, at_ms=MONDAY_MS),
        lambda: crm.contacts.remove_alias(card.alias_id, at_ms=MONDAY_MS),
        lambda: crm.contacts.remove_address(home.address_id, at_ms=MONDAY_MS),
        lambda: crm.customers.update(held, CustomerDetails(), forget=["email"], at_ms=MONDAY_MS),
    )
    for call in lost:
        with pytest.raises(StateError, match="under a legal hold"):
            call()
    assert dump(crm) == before
    crm.customers.update(held, CustomerDetails(name="Zoe"), at_ms=MONDAY_MS)  # corrected it may be
    crm.contacts.merge(other, held, at_ms=MONDAY_MS)  # and told more of
    assert not crm.privacy.erase("customer", held, at_ms=MONDAY_MS).done
    for call in lost[1:]:
        with pytest.raises(StateError, match="is restricted"):
            call()
    assert crm.privacy.release("customer", held, hold, at_ms=MONDAY_MS).done


# --- keys ----------------------------------------------------------------------------------------


def versions(crm):
    with crm.context.database.reading() as connection:
        return set(connection.scalars(sa.select(person_key.c.master_version)))


def test_keys_are_rotated_and_retired(crm, scope_id, tmp_path, database_url):
    ids = add(crm, 30)
    keys = tmp_path / "crm.keys"
    with Crm.open(database_url, "ride", keys=keys) as elsewhere:  # another process, with the keys of before
        assert crm.privacy.rotate_keys(at_ms=MONDAY_MS) == 30
        assert versions(crm) == {2}
        assert set(Keyring.load(keys).masters) == {1, 2}
        assert crm.customers.get(ids[7], at_ms=MONDAY_MS).name == "Name 8"
        assert elsewhere.customers.get(ids[7], at_ms=MONDAY_MS).name == "Name 8"
        add(crm, 1, first=50)
        assert versions(crm) == {2}
        assert crm.privacy.rotate_keys(at_ms=MONDAY_MS) == 31
        assert crm.privacy.retire_keys(at_ms=MONDAY_MS) == (1, 2)
        assert set(Keyring.load(keys).masters) == {3}
        assert elsewhere.customers.get(50, at_ms=MONDAY_MS).name == "Name 50"
        # One who missed all of it seals by the newest, not by one that is retired.
        with Crm.open(database_url, "ride", keys=keys) as late:
            late.privacy.rotate_keys(at_ms=MONDAY_MS)
            late.privacy.retire_keys(at_ms=MONDAY_MS)
            add(elsewhere, 1, first=60)
            assert late.customers.get(60, at_ms=MONDAY_MS).name == "Name 60"
    with Crm.open(database_url, "ride", keys=keys) as again:
        assert again.customers.get(ids[29], at_ms=MONDAY_MS).name == "Name 30"


def test_master_keys_are_retired_before_anybody_else_can_rotate(crm, scope_id, tmp_path, monkeypatch):
    """Saved after the commit, the keyring would lose the master key that another process made meanwhile."""
    add(crm, 3)
    crm.privacy.rotate_keys(at_ms=MONDAY_MS)
    keys, saved = tmp_path / "crm.keys", []

    def save(ring, path, **told):
        done = threading.Event()
        thread = threading.Thread(
            target=lambda: (crm_of_another().privacy.rotate_keys(at_ms=MONDAY_MS), done.set())
        )
        if not saved:
            saved.append(thread)
            thread.start()
            assert not done.wait(0.2)
        real(ring, path, **told)

    def crm_of_another():
        return Crm(replace(crm.context, vault=Vault(Keyring.load(keys), keys)))

    real = Keyring.save
    monkeypatch.setattr(Keyring, "save", save)
    assert crm.privacy.retire_keys(at_ms=MONDAY_MS) == (1,)
    saved[0].join(30)
    assert set(Keyring.load(keys).masters) == {2, 3}
    assert crm.customers.get(2, at_ms=MONDAY_MS).name == "Name 2"


def test_keys_in_use_are_not_retired(crm, scope_id, tmp_path):
    add(crm, 3)
    ring = Keyring.load(tmp_path / "crm.keys").rotated()
    ring.save(tmp_path / "crm.keys")
    with pytest.raises(StateError, match="rotate first"):
        crm.privacy.retire_keys(at_ms=MONDAY_MS)
    assert set(Keyring.load(tmp_path / "crm.keys").masters) == {1, 2}


def test_a_master_key_is_not_retired_while_somebody_seals_by_it(crm, scope_id):
    """A registration that is not committed yet: its key must not be left to a master key that is gone."""
    done = threading.Event()

    def rotate_and_retire():
        crm.privacy.rotate_keys(at_ms=MONDAY_MS)
        crm.privacy.retire_keys(at_ms=MONDAY_MS)
        done.set()

    with crm.context.acting("customer.register_many", scope_id=scope_id, at_ms=MONDAY_MS) as connection:
        told = {"customer_id": [7], "name": ["Name 7"]}
        register_many_in(connection, crm.context, told, scope_id, MONDAY_MS)
        thread = threading.Thread(target=rotate_and_retire)
        thread.start()
        assert not done.wait(0.2)
    thread.join(30)
    assert done.is_set()
    assert versions(crm) == {2}
    assert crm.customers.get(7, at_ms=MONDAY_MS).name == "Name 7"


class CrashError(Exception):
    """The power is cut."""


@pytest.mark.parametrize("where", ["before saving", "after saving", "between rows", "before the commit"])
def test_whatever_breaks_off_a_rotation_all_can_be_read(crm, scope_id, tmp_path, monkeypatch, where):
    add(crm, 20)
    keys = tmp_path / "crm.keys"

    def crash(*_args, **_told):
        raise CrashError

    def after(call):
        def called(*args, **told):
            call(*args, **told)
            raise CrashError

        return called

    with monkeypatch.context() as patch:
        if where == "before saving":
            patch.setattr(Keyring, "save", crash)
        elif where == "after saving":
            patch.setattr(Keyring, "save", after(Keyring.save))
        elif where == "between rows":
            patch.setattr("dispatch.crm.vault._AT_ONCE", 7)
            patch.setattr("dispatch.crm.vault.bulk.upsert", after(bulk.upsert))
        else:
            patch.setattr(Vault, "rewrap", after(Vault.rewrap))
        with pytest.raises(CrashError):
            crm.privacy.rotate_keys(at_ms=MONDAY_MS)
    assert versions(crm) == {1}
    for context in (crm.context, replace(crm.context, vault=Vault(Keyring.load(keys), keys))):
        for customer_id in (1, 8, 20):
            assert Crm(context).customers.get(customer_id, at_ms=MONDAY_MS).name == f"Name {customer_id}"
    assert crm.privacy.rotate_keys(at_ms=MONDAY_MS) == 20
    assert crm.customers.get(20, at_ms=MONDAY_MS).name == "Name 20"


def test_a_keyring_without_a_file_cannot_be_rotated(crm, scope_id):
    alone = Crm(replace(crm.context, vault=Vault(crm.context.vault.keyring)))
    with pytest.raises(InputError, match="no file"):
        alone.privacy.rotate_keys(at_ms=MONDAY_MS)


# --- keeping -------------------------------------------------------------------------------------


def test_locations_are_blurred_once_they_are_old(crm, scope_id):
    old = MONDAY_MS - 60 * DAY_MS - 1
    rows = [
        {
            "order_id": order_id,
            "submitted_at_ms": at_ms,
            "pickup_lon_e6": lon,
            "pickup_lat_e6": 37_774_929,
            "dropoff_lon_e6": NO_COORDINATE,
            "dropoff_lat_e6": None,
        }
        for order_id, (at_ms, lon) in enumerate(
            [(old, -122_419_416), (old + 1, -122_419_416), (old, 13_376_543)]
        )
    ]
    insert(crm, orders, *rows)
    crm.customers.register(CustomerDetails(), scope_id=scope_id, at_ms=old, key="k")
    place = {"lon_e6": 13_376_543, "lat_e6": 52_512_345}
    insert(crm, telemetry, *({"driver_id": old - at_ms, "at_ms": at_ms, **place} for at_ms in (old, old + 1)))
    assert crm.privacy.blur_locations(at_ms=MONDAY_MS) == 2
    before = dump(crm)["orders"]
    with crm.context.database.reading() as connection:
        read = sa.select(orders.c.pickup_lon_e6, orders.c.pickup_lat_e6, orders.c.dropoff_lon_e6)
        found = [tuple(row) for row in connection.execute(read.order_by(orders.c.order_id))]
    assert found == [
        (-122_410_000, 37_770_000, NO_COORDINATE),
        (-122_419_416, 37_774_929, NO_COORDINATE),
        (13_370_000, 37_770_000, NO_COORDINATE),
    ]
    with crm.context.database.reading() as connection:
        cars = connection.scalars(sa.select(telemetry.c.lon_e6).order_by(telemetry.c.at_ms)).all()
    assert cars == [13_370_000, 13_376_543]
    crm.privacy.blur_locations(at_ms=MONDAY_MS)
    assert dump(crm)["orders"] == before
    assert dump(crm)["idempotency"] == []


def test_customers_of_long_ago(crm, scope_id):
    days = crm.context.vertical.keep.inactive_customer_days
    old = MONDAY_MS - (days + 2) * DAY_MS
    add(crm, 6, at_ms=old)
    add(crm, 1, first=7)
    crm.customers.register_many({"customer_id": [8]}, scope_id=crm.scope(TENANT, OTHER_CITY), at_ms=old)
    day = MONDAY_MS // DAY_MS
    insert(
        crm,
        customer_day,
        {"customer_id": 1, "day": day - days - 1},
        {"customer_id": 2, "day": day - days},
        {"customer_id": 3, "day": day - days},
    )
    crm.contacts.merge(3, 4, at_ms=MONDAY_MS)  # 4 has now the order of 3
    crm.privacy.hold("customer", 5, "court", at_ms=MONDAY_MS)

    def listed(as_, limit=2):
        found, token = [], None
        while True:
            page = as_.privacy.inactive(at_ms=MONDAY_MS, limit=limit, token=token)
            found += page.rows
            token = page.next_token
            if token is None:
                return found

    assert [(row.customer_id, row.last_at_ms) for row in listed(crm)] == [
        (1, (day - days - 1) * DAY_MS),
        (6, old),
        (8, old),
    ]
    assert len(listed(crm.acting_as(actor("admin")))) == 3
    assert listed(crm.acting_as(actor("admin", tenant="zenith"))) == []
    with pytest.raises(AuthError):
        listed(crm.acting_as(actor("manager")))


# --- export --------------------------------------------------------------------------------------


def test_all_data_of_one_person_opened(database_url, tmp_path):
    with Crm.create(database_url, VERTICAL, keys=tmp_path / "crm.keys") as crm:
        scope_id = crm.scope(TENANT, CITY)
        made = enter(crm, scope_id)
        other = enter(
            crm, scope_id, "1 Pier", name="Other", phone=None, email=None, member_no=None, custom=None
        )
        crm.consents.record(made, "marketing", True, at_ms=MONDAY_MS, source="app")
        insert(crm, orders, {"order_id": 5, "customer_id": made, "driver_id": 424_242, "fare_cents": 900})
        insert(crm, orders, {"order_id": 6, "customer_id": other, "driver_id": 424_242, "fare_cents": 901})
        told = crm.privacy.export_person("customer", made, at_ms=MONDAY_MS, path=tmp_path / "me.zip")
        text = json.dumps(told, ensure_ascii=False)
        for value in (NAME, PHONE, EMAIL, ADDRESS, WISH, "CARD-55-9071-1", "900"):
            assert value in text
        for value in ("Other", "1 Pier", "901", "424242"):
            assert value not in text
        assert told["tables"]["customer"][0]["name"] == NAME
        assert {"customer", "alias", "address", "consent", "orders", "audit"} <= set(told["tables"])
        with zipfile.ZipFile(tmp_path / "me.zip") as archive:
            assert json.loads(archive.read("person.json")) == told
        assert (tmp_path / "me.zip").stat().st_mode & 0o77 == 0
        own = crm.acting_as(actor("customer", own=("customer", made)))
        own.privacy.export_person("customer", made, at_ms=MONDAY_MS, path=tmp_path / "me.json")
        assert json.loads((tmp_path / "me.json").read_text())["tables"]["customer"][0]["phone"] == PHONE
        with pytest.raises(InputError, match="there is such a file"):
            own.privacy.export_person("customer", made, at_ms=MONDAY_MS, path=tmp_path / "me.json")
        with pytest.raises(StoreError, match="cannot be written"):
            own.privacy.export_person("customer", made, at_ms=MONDAY_MS, path=tmp_path / "none" / "me.json")
        with pytest.raises(AuthError):
            own.privacy.export_person("customer", other, at_ms=MONDAY_MS)
        with crm.context.database.reading() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(consent)) == 1


def test_no_export_without_its_entry_in_the_audit(crm, scope_id, tmp_path, monkeypatch):
    made = enter(crm, scope_id, custom=None)

    def fail(*_):
        raise StoreError("the audit cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr("dispatch.crm.context.audit.append", fail)
        with pytest.raises(StoreError, match="the audit"):
            crm.privacy.export_person("customer", made, at_ms=MONDAY_MS, path=tmp_path / "me.json")
    assert not (tmp_path / "me.json").exists()

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("dispatch.crm.people.person_export.zipfile.ZipFile.writestr", full)
    with pytest.raises(StoreError, match="no space"):
        crm.privacy.export_person("customer", made, at_ms=MONDAY_MS, path=tmp_path / "me.zip")
    assert not (tmp_path / "me.zip").exists()
