"""Pages of lists: a token says where the next one begins, and means nothing to anybody else."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from dispatch.crm.vault import Vault
from dispatch.errors import InputError
from dispatch.limits import check_whole
from dispatch.store.chain import canonical

T = TypeVar("T")
LARGEST_PAGE: Final = 1000
_MARK_BYTES: Final = 12


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list, and the token that gives the next ones; None at the end."""

    rows: tuple[T, ...]
    next_token: str | None


def check_page(limit: object) -> None:
    """Raise :class:`InputError` unless `limit` can be a number of rows of one page."""
    check_whole("limit", limit, 1, LARGEST_PAGE)  # type: ignore[arg-type]  # whatever it is, it is checked


def page_of(vault: Vault, what: Any, rows: list[T], limit: int, places: list[list[int]]) -> Page[T]:
    """Make a page of rows, one more of which was read than fit, and of the place of each in the list.

    Parameters
    ----------
    vault : Vault
        Its look-up key marks tokens as ours.
    what
        The list and its filters, as JSON: a token is good for the same list alone.
    rows, places : list
        (n,) rows, and the values that they are sorted by.
    limit : int
    """
    if len(rows) <= limit:
        return Page(tuple(rows), None)
    text = canonical(places[limit - 1])
    return Page(tuple(rows[:limit]), base64.urlsafe_b64encode(_mark(vault, what, text) + text).decode())


def after(vault: Vault, what: Any, token: str | None) -> list[int] | None:
    """Give the place after which the page of a token begins, None for the first page.

    Raises
    ------
    InputError
        The token is not one of this list.
    """
    if token is None:
        return None
    try:
        told = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error, ValueError):
        told = b""
    text = told[_MARK_BYTES:]
    if not hmac.compare_digest(told[:_MARK_BYTES], _mark(vault, what, text)):
        raise InputError("token is not one that a page of this list ended with")
    place: list[int] = json.loads(text)
    return place


def _mark(vault: Vault, what: Any, text: bytes) -> bytes:
    return vault.find_by("page", f"{canonical(what).decode()}\0{text.hex()}")[:_MARK_BYTES]
