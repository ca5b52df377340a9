"""Tokens of pages: the next page of the same list, and nothing else."""

import base64

import pytest
from hypothesis import given, strategies as st

from dispatch.crm.paging import after, check_page, page_of
from dispatch.crm.vault import Vault
from dispatch.errors import InputError
from dispatch.store.sealing import Keyring

VAULT = Vault(Keyring.new())


@given(st.lists(st.integers(-(2**62), 2**62), unique=True, max_size=40), st.integers(1, 9))
def test_all_pages_together_are_the_list(values, limit):
    values = sorted(values)
    read, token, pages = [], None, 0
    while True:
        place = after(VAULT, ["list"], token)
        rest = [value for value in values if place is None or value > place[0]][: limit + 1]
        page = page_of(VAULT, ["list"], rest, limit, [[value] for value in rest])
        read += page.rows
        token, pages = page.next_token, pages + 1
        if token is None:
            break
    assert read == values
    assert pages == max(1, -(-len(values) // limit))


def test_a_token_is_good_for_its_own_list_alone():
    token = page_of(VAULT, ["list", 1], [7, 8], 1, [[7, 3], [8, 3]]).next_token
    assert after(VAULT, ["list", 1], token) == [7, 3]
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[-1] ^= 1
    changed = base64.urlsafe_b64encode(bytes(raw)).decode()
    for what, told in (
        (["list", 2], token),
        (["list", 1], changed),
        (["list", 1], token[:-4]),
        (["list", 1], ""),
        (["list", 1], "é"),
        (["list", 1], 7),
        (["list", 1], "===="),
    ):
        with pytest.raises(InputError, match="token is not one"):
            after(VAULT, what, told)
    with pytest.raises(InputError, match="token"):
        after(Vault(Keyring.new()), ["list", 1], token)


def test_sizes():
    check_page(1000)
    for limit in (0, 1001, True, 1.0, "1", None):
        with pytest.raises(InputError, match="limit is"):
            check_page(limit)
