"""All data of one person, of every table, opened: for the person."""

from __future__ import annotations

import json
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.people.persons import ID_COLUMN, family_in, rows_of
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.people import audit, audit_head, idempotency, installation, person_key, rulebook
from dispatch.crm.vault import Vault, unseal_text
from dispatch.errors import InputError, StoreError
from dispatch.store import bulk

LEFT_OUT: Final = (person_key, idempotency, audit, audit_head, installation, rulebook)
"""Keys and the program's own; the audit is told apart, without who acted."""
MEMBER: Final = "person.json"


def person_in(connection: sa.Connection, vault: Vault, kind: str, person_id: int) -> dict[str, Any]:
    """Give all rows of a person by the names of tables; ids of other persons are left out.

    What another person's key seals, as the words of a customer on a driver, is that person's and left out.
    """
    ids = family_in(connection, person_id) if kind == "customer" else [person_id]
    keys = vault.keys(connection, kind, ids)
    told: dict[str, Any] = {}
    for table in metadata.sorted_tables:
        where = rows_of(connection, table, kind, ids)
        if table in LEFT_OUT or where is None:
            continue
        order = list(table.primary_key.columns)
        rows = [
            _opened(table, dict(row._mapping), kind, keys)
            for row in connection.execute(sa.select(table).where(where).order_by(*order))
        ]
        if rows:
            told[table.name] = rows
    seen = (
        sa.select(audit.c.at_ms, audit.c.action, audit.c.role)
        .where(audit.c.kind == kind, bulk.among(connection, audit.c.object_id, ids))
        .order_by(audit.c.seq)
    )
    told["audit"] = [dict(row._mapping) for row in connection.execute(seen)]
    return told


def check_new(path: Path) -> None:
    """Raise :class:`InputError` or :class:`StoreError` where a new file cannot be written there."""
    if path.exists():
        raise InputError(f"path is {str(path)!r}: there is such a file already")
    if not path.absolute().parent.is_dir():
        raise StoreError(f"{path}: it cannot be written (its folder is not there)")


def write(path: Path, told: Mapping[str, Any]) -> None:
    """Write it to a new file for the owner's eyes only: JSON, or the same in a zip by the name's end."""
    text = json.dumps(told, ensure_ascii=False, indent=1).encode()
    check_new(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
        try:
            with os.fdopen(handle, "wb") as file:
                if path.suffix == ".zip":
                    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                        archive.writestr(MEMBER, text)
                else:
                    file.write(text)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{path}: it cannot be written ({error})") from error


def _opened(table: sa.Table, row: Mapping[str, Any], kind: str, keys: Mapping[int, bytes]) -> dict[str, Any]:
    """Give a row without hashes and other persons, what is sealed opened by the person's key."""
    others = {name for other, name in ID_COLUMN.items() if other != kind}
    told: dict[str, Any] = {}
    for column in table.c:
        value = row[column.name]
        if column.name in others or (column.info.get("personal") and not column.info.get("sealed")):
            continue
        if column.info.get("sealed") and value is not None:
            value = _unsealed(table, column.name, row, kind, keys)
            if value is None:
                continue
        told[column.name] = value.hex() if isinstance(value, bytes) else value
    return told


def _unsealed(
    table: sa.Table, name: str, row: Mapping[str, Any], kind: str, keys: Mapping[int, bytes]
) -> str | None:
    """Open a value by any of the person's keys and the labels in use; None if it is another person's."""
    row_id = row[next(iter(table.primary_key.columns)).name]
    labels = (f"{table.name}.{name}.{row_id}", name)
    for person, key in keys.items():
        for label in labels:
            try:
                return unseal_text(key, kind, person, label, row[name])
            except StoreError:
                continue
    return None
