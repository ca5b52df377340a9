"""Sealing: what was sealed opens under its key and label alone; keys live in a file for the owner's eyes."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError, StoreError
from dispatch.store.sealing import (
    KEY_BYTES,
    NONCE_BYTES,
    Keyring,
    new_key,
    seal,
    seal_many,
    seal_table,
    sync_folder,
    unseal,
)

KEY, OTHER = bytes(range(32)), bytes(32)


@given(st.binary(max_size=200), st.text(max_size=30))
@settings(max_examples=50)
def test_what_is_sealed_opens_again(plain, label):
    sealed = seal(KEY, plain, label)
    assert unseal(KEY, sealed, label) == plain
    assert len(sealed) == NONCE_BYTES + len(plain) + 16
    for key, changed, other in (
        (OTHER, sealed, label),
        (KEY, sealed, label + "x"),
        (KEY, sealed[:-1], label),
    ):
        with pytest.raises(StoreError, match="cannot be opened"):
            unseal(key, changed, other)


def test_every_bit_counts():
    sealed = seal(KEY, b"Zoe", "customer/1/name")
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(StoreError):
            unseal(KEY, bytes(changed), "customer/1/name")
    for sealed in (b"", b"short"):
        with pytest.raises(StoreError):
            unseal(KEY, sealed, "x")


def test_no_two_sealed_values_are_alike():
    sealed = seal_many(KEY, ["a"] * 500, [b"same"] * 500)
    assert len({one[:NONCE_BYTES] for one in sealed}) == len(set(sealed)) == 500
    assert all(unseal(KEY, one, "a") == b"same" for one in sealed)
    assert len({new_key() for _ in range(100)}) == 100
    assert len(new_key()) == KEY_BYTES


def test_columns_are_sealed_as_single_values_are():
    keys = [new_key() for _ in range(3)]
    prefixes = [f"customer/{row}/" for row in range(3)]
    columns = {"name": ["Zoë", None, ""], "phone": [None, "+1", "+2"]}
    sealed = seal_table(keys, prefixes, columns)
    for name, values in columns.items():
        for row, value in enumerate(values):
            one = sealed[name][row]
            assert (one is None) == (value is None)
            if one is not None:
                assert unseal(keys[row], one, f"customer/{row}/{name}").decode() == value
    flat = [one[:NONCE_BYTES] for values in sealed.values() for one in values if one is not None]
    assert len(set(flat)) == 4
    assert seal_table(keys, prefixes, {}) == {}
    with pytest.raises(ValueError):
        seal_table(keys, prefixes, {"name": ["a"]})


@given(st.lists(st.none() | st.text(max_size=40), max_size=20), st.text(max_size=10))
@settings(max_examples=40)
def test_hashes_to_look_up_by_are_hmac(values, field):
    ring = Keyring({1: KEY}, OTHER + b"\1", new_key())
    for value, one in zip(values, ring.find_by_many(field, values), strict=True):
        if value is None:
            assert one is None
            continue
        expected = hmac.new(ring.lookup, f"{field}\0{value}".encode(), hashlib.sha256).digest()
        assert one == ring.find_by(field, value) == expected
    assert ring.find_by("a", "b") != ring.find_by("ab", "")


def test_a_keyring_is_saved_and_read(tmp_path):
    path = tmp_path / "crm.keys"
    ring = Keyring.new().rotated().rotated()
    assert ring.version == 3
    ring.save(path)
    assert Keyring.load(path) == ring
    assert path.stat().st_mode & 0o77 == 0
    assert [file.name for file in tmp_path.iterdir()] == ["crm.keys"]
    later = ring.rotated()
    assert {version: later.masters[version] for version in ring.masters} == ring.masters
    assert (later.lookup, later.signing) == (ring.lookup, ring.signing)
    later.only_latest().save(path)
    assert set(Keyring.load(path).masters) == {4}
    sync_folder(tmp_path)


def test_a_save_that_breaks_off_leaves_the_keys_as_they_were(tmp_path, monkeypatch):
    path = tmp_path / "crm.keys"
    ring = Keyring.new()
    ring.save(path)

    def crash(*_):
        raise OSError("the power is cut")

    monkeypatch.setattr("dispatch.store.sealing.os.fsync", crash)
    with pytest.raises(StoreError, match="power"):
        ring.rotated().save(path)
    assert Keyring.load(path) == ring
    with pytest.raises(StoreError, match="power"):
        ring.save(tmp_path / "fresh.keys", replaces=False)
    assert [file.name for file in tmp_path.iterdir()] == ["crm.keys"]
    monkeypatch.undo()
    with pytest.raises(FileExistsError):
        Keyring.new().save(path, replaces=False)
    assert Keyring.load(path) == ring


def test_keys_that_others_may_read_are_refused(tmp_path):
    path = tmp_path / "crm.keys"
    Keyring.new().save(path)
    path.chmod(0o640)
    with pytest.raises(InputError, match="set its mode to 600"):
        Keyring.load(path)


def test_what_is_no_keyring_is_told(tmp_path):
    path = tmp_path / "crm.keys"
    Keyring.new().save(path)
    told = json.loads(path.read_text())
    for text in (
        "",
        "[]",
        "7",
        json.dumps(told | {"masters": []}),
        json.dumps(told | {"masters": {"x": "00"}}),
        json.dumps(told | {"lookup": "zz"}),
        json.dumps(told | {"lookup": "00" * 16}),
        json.dumps(told | {"masters": {}}),
        json.dumps(told | {"format": 2}),
        json.dumps({name: value for name, value in told.items() if name != "signing"}),
    ):
        path.write_text(text)
        with pytest.raises(StoreError, match="no keys can be read"):
            Keyring.load(path)
    with pytest.raises(StoreError, match="no keys can be read"):
        Keyring.load(tmp_path / "none")
