"""The face: made, opened, acted as somebody; keys beside the file."""

from functools import cached_property

import pytest

from crm.conftest import CITY, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.made_people import dump
from dispatch.crm.crm import MERGE_HOOKS, Crm
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StoreError
from dispatch.store.sealing import Keyring


def test_made_and_opened_again(database_url, tmp_path):
    keys = tmp_path / "crm.keys"
    with Crm.create(database_url, "ride", keys=keys) as crm:
        scope_id = crm.scope(TENANT, CITY)
        made = crm.customers.register(CustomerDetails(name="N"), scope_id=scope_id, at_ms=MONDAY_MS)
        before = dump(crm)
    with pytest.raises(StoreError, match="there are tables already"):
        Crm.create(database_url, "ride", keys=keys)
    with Crm.open(database_url, Vertical.load("ride"), keys=keys) as crm:
        assert dump(crm) == before
        assert crm.scope(TENANT, CITY) == scope_id
        assert crm.customers.get(made, at_ms=MONDAY_MS).name == "N"
        assert crm.audit_log.verify() == 2
    Keyring.new().save(keys)
    with pytest.raises(StoreError, match="this keyring is not the one"):
        Crm.open(database_url, "ride", keys=keys)
    # Other versions of master keys are another keyring as well.
    Keyring.new().rotated().only_latest().save(keys)
    with pytest.raises(StoreError, match="this keyring is not the one"):
        Crm.open(database_url, "ride", keys=keys)


def test_where(tmp_path):
    with Crm.create(tmp_path / "a.db") as crm:
        assert Keyring.load(tmp_path / "a.db.keys") == crm.context.vault.keyring
    for where, error, rule in (
        (tmp_path / "none" / "a.db", InputError, "its folder is not there"),
        ("postgresql://127.0.0.1/none", InputError, "keys is missing"),
        ("mysql://127.0.0.1/none", InputError, "database is"),
    ):
        with pytest.raises(error, match=rule):
            Crm.create(where)
    with pytest.raises(InputError, match="vertical is 'bakery'"):
        Crm.create(tmp_path / "b.db", "bakery")
    with pytest.raises(StoreError, match="no such file"):
        Crm.open(tmp_path / "b.db")
    assert (tmp_path / "a.db").stat().st_mode & 0o77 == 0
    (tmp_path / "a.db.keys").unlink()
    with pytest.raises(StoreError, match="there are tables already"):
        Crm.create(tmp_path / "a.db")
    assert not (tmp_path / "a.db.keys").exists()  # which would be taken for the right one
    with pytest.raises(StoreError, match="no keys"):
        Crm.open(tmp_path / "a.db")
    assert not (tmp_path / "b.db").exists()


def test_a_keyring_that_is_there_is_kept(tmp_path, monkeypatch):
    keys = tmp_path / "crm.keys"
    first = Crm.create(tmp_path / "a.db", keys=keys)
    monkeypatch.setattr(type(keys), "exists", lambda path: path != keys and path.is_file())  # a race
    with Crm.create(tmp_path / "b.db", keys=keys) as second:
        assert second.context.vault.keyring == first.context.vault.keyring == Keyring.load(keys)
    keys.chmod(0o640)
    monkeypatch.undo()
    with pytest.raises(InputError, match="others may read"):
        Crm.create(tmp_path / "c.db", keys=keys)
    with pytest.raises(InputError, match=r"keys is .* its folder is not there"):
        Crm.create(tmp_path / "c.db", keys=tmp_path / "none" / "crm.keys")
    assert not list(tmp_path.glob("c.db*"))
    first.close()


def test_a_place_that_is_known_waits_for_no_writer(crm, scope_id):
    with crm.context.database.writing():
        assert crm.scope(TENANT, CITY) == scope_id
    for tenant in ("a\0b", "a\udcff", "", 7, "x" * 65):
        with pytest.raises(InputError, match="tenant is"):
            crm.scope(tenant, CITY)


def test_acting_as_somebody(crm, scope_id):
    agent = crm.acting_as(actor("agent"))
    assert agent.context.actor.role == "agent"
    assert agent.context.database is crm.context.database
    assert agent.context.vault is crm.context.vault
    assert agent.scope(TENANT, CITY) == scope_id
    crm.scope(TENANT, OTHER_CITY)
    with pytest.raises(AuthError):
        agent.scope(TENANT, OTHER_CITY)
    assert crm.acting_as(actor("manager")).scope(TENANT, OTHER_CITY)


def test_parts_are_made_once(crm):
    names = [name for name, value in vars(Crm).items() if isinstance(value, cached_property)]
    for name in names:
        part = getattr(crm, name)
        assert part is getattr(crm, name)
        assert type(part).__doc__, name
        assert part is not getattr(crm.acting_as(actor("agent")), name)
    assert {"customers", "contacts", "consents", "privacy", "audit_log", "customer_views"} <= set(names)
    assert all(callable(hook) for hook in MERGE_HOOKS)
