"""Chains of hashes: a signed head is what nobody else can make."""

import json

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dispatch.errors import StoreError
from dispatch.store.chain import START, Head, canonical, link
from dispatch.store.sealing import Keyring

RING = Keyring.new()


def test_one_text_of_an_entry():
    assert canonical({"b": 1, "a": [None, "é"]}) == '{"a":[null,"é"],"b":1}'.encode()
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert canonical({"a": np.int64(1), "b": [np.uint8(2)]}) == canonical({"a": 1, "b": [2]})
    for value in (b"1", np.float64(1.5).astype(np.float32), object()):
        with pytest.raises(TypeError):
            canonical({"a": value})


@given(st.lists(st.binary(max_size=10), min_size=2, max_size=6, unique=True))
def test_a_hash_covers_all_before_it(entries):
    def end(told):
        hash_ = START
        for entry in told:
            hash_ = link(hash_, entry)
        return hash_

    assert len({end(entries), end(entries[::-1]), end(entries[:-1]), end(entries[1:]), START}) >= 4
    assert end(entries) == end(list(entries))


def test_a_head_is_saved_read_and_checked(tmp_path):
    head = Head.signed(RING, 7, link(START, b"x"), 1_700_000_000_000)
    head.check()
    head.check(RING.public_key())
    head.save(tmp_path / "head.json")
    assert Head.load(tmp_path / "head.json") == head


@pytest.mark.parametrize("field", ["seq", "hash", "at_ms", "signature", "public_key"])
def test_every_field_of_a_head_is_signed(tmp_path, field):
    head = Head.signed(RING, 7, link(START, b"x"), 1_700_000_000_000)
    path = tmp_path / "head.json"
    head.save(path)
    told = json.loads(path.read_text())
    value = told[field]
    told[field] = value + 1 if isinstance(value, int) else ("1" if value[0] == "0" else "0") + value[1:]
    path.write_text(json.dumps(told))
    with pytest.raises(StoreError, match="not what was signed"):
        Head.load(path).check()


def test_a_head_signed_by_another_key_is_refused():
    forged = Head.signed(Keyring.new(), 7, START, 1)
    forged.check()
    with pytest.raises(StoreError, match="another key"):
        forged.check(RING.public_key())


def test_what_is_no_head_is_told(tmp_path):
    path = tmp_path / "head.json"
    Head.signed(RING, 7, START, 1).save(path)
    told = json.loads(path.read_text())
    for text in (
        "",
        "[]",
        json.dumps(told | {"hash": "zz"}),
        json.dumps(told | {"seq": "x"}),
        json.dumps({}),
    ):
        path.write_text(text)
        with pytest.raises(StoreError, match="no head"):
            Head.load(path)
    with pytest.raises(StoreError, match="no head"):
        Head.load(tmp_path / "none")


def test_a_head_that_cannot_be_written(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        Head.signed(RING, 1, START, 1).save(tmp_path / "none" / "head.json")
