"""Keys of persons: made, read, destroyed and sealed anew; values open at their own place alone."""

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.tables.people import person_key
from dispatch.crm.vault import Vault, seal_columns, seal_text, unseal_row, unseal_text
from dispatch.errors import InputError, StateError, StoreError
from dispatch.store.sealing import Keyring, new_key


def test_keys(crm):
    vault = crm.context.vault
    with crm.context.database.writing() as connection:
        made = vault.give_keys(connection, "customer", [5, 3, 9])
        other = vault.give_keys(connection, "driver", [5])
        assert vault.give_keys(connection, "driver", []) == {}
        assert len({*made.values(), *other.values()}) == 4
        assert vault.keys(connection, "customer", [9, 5, 77]) == {5: made[5], 9: made[9]}
        assert vault.key(connection, "driver", 5) == other[5]
        wrapped = connection.scalars(sa.select(person_key.c.wrapped)).all()
        assert not any(key in one for key in made.values() for one in wrapped)
        assert vault.destroy(connection, "customer", 5)
        assert not vault.destroy(connection, "customer", 5)
        assert vault.key(connection, "driver", 5) == other[5]
        with pytest.raises(StateError, match="customer 5 has no key: it was erased"):
            vault.key(connection, "customer", 5)
        for call in (vault.give_keys, vault.keys):
            with pytest.raises(InputError, match="kind is 'dog'"):
                call(connection, "dog", [1])


def test_a_key_that_was_moved_does_not_open(crm):
    vault = crm.context.vault
    with crm.context.database.writing() as connection:
        vault.give_keys(connection, "customer", [1, 2])
        one = connection.scalar(sa.select(person_key.c.wrapped).where(person_key.c.person_id == 1))
        connection.execute(sa.update(person_key).where(person_key.c.person_id == 2).values(wrapped=one))
        with pytest.raises(StoreError, match="key/customer/2: cannot be opened"):
            vault.key(connection, "customer", 2)


def test_sealed_anew_in_parts(crm, monkeypatch):
    monkeypatch.setattr("dispatch.crm.vault._AT_ONCE", 7)
    vault = crm.context.vault
    with crm.context.database.writing() as connection:
        made = vault.give_keys(connection, "customer", range(1, 31))
        fresh = vault.keyring.rotated()
        assert vault.rewrap(connection, fresh) == 30
        assert Vault(fresh.only_latest()).keys(connection, "customer", range(1, 31)) == made
        with pytest.raises(StateError, match="sealed by master key 2: the keyring has only 1"):
            Vault(vault.keyring).keys(connection, "customer", [1])


def test_a_newer_keyring_is_read_once_it_is_needed(crm, tmp_path):
    path = tmp_path / "crm.keys"
    stale = Vault(Keyring.load(path), path)
    crm.privacy.rotate_keys(at_ms=MONDAY_MS)
    made = crm.customers.register(CustomerDetails(name="N"), scope_id=crm.scope("a", "b"), at_ms=MONDAY_MS)
    with crm.context.database.writing() as connection:
        assert set(stale.keyring.masters) == {1}
        assert made in stale.keys(connection, "customer", [made])
        assert set(stale.keyring.masters) == {1, 2}
        path.unlink()
        stale.give_keys(connection, "driver", [1])  # what it knows is enough


def test_values_open_at_their_own_place_alone():
    key = new_key()
    sealed = seal_text(key, "customer", 1, "name", "Zoë")
    assert unseal_text(key, "customer", 1, "name", sealed) == "Zoë"
    assert seal_text(key, "customer", 1, "name", None) is None
    assert unseal_text(key, "customer", 1, "name", None) is None
    assert unseal_row(key, "customer", 1, {"name": sealed, "phone": None}) == {"name": "Zoë", "phone": None}
    for kind, person, field in (("driver", 1, "name"), ("customer", 2, "name"), ("customer", 1, "phone")):
        with pytest.raises(StoreError):
            unseal_text(key, kind, person, field, sealed)
    many = seal_columns({1: key, 2: new_key()}, "customer", {"name": ["Zoë", None]})
    assert unseal_text(key, "customer", 1, "name", many["name"][0]) == "Zoë"
    assert many["name"][1] is None
