"""Texts in rows of all kinds, sealed under the key of the person whose text it is."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.rules import check_letters
from dispatch.crm.tables.people import customer, driver
from dispatch.crm.vault import Vault, seal_text, unseal_text
from dispatch.errors import InputError, StateError

LONGEST_TEXT: Final = 10_000
_PERSONS: Final = {"customer": customer.c.customer_id, "driver": driver.c.driver_id}


def check_text(field: str, value: object, longest: int = LONGEST_TEXT, *, lines: bool = True) -> None:
    """Raise :class:`InputError` unless `value` is a text of 1 to so many letters; it is not repeated."""
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{field} must be a text that is not empty")
    if len(value) > longest:
        raise InputError(f"{field} has {len(value)} letters: at most {longest}")
    check_letters(field, value, lines=lines)


def key_in(connection: sa.Connection, vault: Vault, kind: str, person_id: int) -> bytes:
    """Give the key of a person, made now for one who had nothing personal kept until now.

    Raises
    ------
    InputError
        There is no such person.
    StateError
        The person was erased.
    """
    keys = vault.keys(connection, kind, [person_id])
    if keys:
        return keys[person_id]
    column = _PERSONS[kind]
    known = sa.select(column.table.c.status).where(column == person_id).with_for_update()
    status = connection.execute(known).scalar_one_or_none()
    if status is None:
        raise InputError(f"{kind} {person_id} is not known")
    if status == "erased":
        raise StateError(f"{kind} {person_id} was erased: nothing personal can be kept")
    return vault.give_keys(connection, kind, [person_id])[person_id]


def sealed_field(column: sa.Column[Any], row_id: int) -> str:
    """Give the name of a field of one row, which its sealed value is bound to: ``complaint.words.17``."""
    return f"{column.table.name}.{column.name}.{row_id}"


def keep_text(
    connection: sa.Connection,
    vault: Vault,
    person: tuple[str, int],
    column: sa.Column[Any],
    row_id: int,
    text: str | None,
) -> None:
    """Seal a text into a row that is there already, by its table's single key; None leaves it as it is."""
    if text is None:
        return
    key = key_in(connection, vault, *person)
    sealed = seal_text(key, *person, sealed_field(column, row_id), text)
    (own_id,) = column.table.primary_key.columns
    connection.execute(sa.update(column.table).where(own_id == row_id).values({column.name: sealed}))


def open_text(
    connection: sa.Connection,
    vault: Vault,
    person: tuple[str, int],
    column: sa.Column[Any],
    row_id: int,
    sealed: bytes | None,
) -> str | None:
    """Open a text of a row; None where there is none, or none any more since the person was erased."""
    if sealed is None:
        return None
    keys = vault.keys(connection, person[0], [person[1]])
    if not keys:
        return None
    return unseal_text(keys[person[1]], *person, sealed_field(column, row_id), sealed)
