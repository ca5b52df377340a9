"""Backups: the whole database as one signed file, put back into an empty database of either kind.

Persons' keys lie in it as they lie in the database, sealed by a master key; the keyring does not. Who was
erased after the backup is erased again on restoring, by the register of erasures kept beside the keyring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

import dispatch
from dispatch.crm import audit, schema
from dispatch.crm.context import Context, check_instant
from dispatch.crm.people.erasing import SCRUBBED, apply_erasures_in, register_path
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.people import person_key
from dispatch.errors import StoreError
from dispatch.store.archive import Archive, Manifest, OnProgress, follow_ids, write_archive
from dispatch.store.chain import Head
from dispatch.store.database import Database
from dispatch.store.migration import current
from dispatch.store.sealing import Keyring

_HEAD_BYTES: Final = ("hash", "signature", "public_key")


@dataclass(frozen=True)
class Restored:
    """What a restored database holds."""

    manifest: Manifest
    audit_entries: int
    """checked, one by one"""
    erased: int
    """persons who were erased after the backup was made, and are again"""


def backup(context: Context, path: Path, *, at_ms: int, on_progress: OnProgress | None = None) -> Manifest:
    """Write the database as it is at one instant to a new file; others go on reading and writing meanwhile.

    Parameters
    ----------
    context : Context
    path : Path
        A new file.
    at_ms : int
    on_progress : callable, optional
        Told the table, and how many rows of how many are done.

    Raises
    ------
    AuthError
        The actor may not.
    InputError
        There is such a file already, or its folder is not there.
    StoreError
        The file cannot be written, or the database not be read.
    """
    check_instant("at_ms", at_ms)
    keyring = context.vault.keyring
    with context.acting("backup.make", at_ms=at_ms):
        pass  # The entry itself is in the backup; no writer waits for the reading, which comes after.
    with context.database.reading() as connection:
        facts = {
            "revision": current(connection),
            "vertical": context.vertical.name,
            "version": dispatch.__version__,
            "at_ms": at_ms,
            "audit_head": told_of(audit.signed_head(connection, keyring, at_ms)),
        }
        return write_archive(path, connection, metadata.sorted_tables, keyring, facts, on_progress)


def restore(
    path: Path, where: str | Path, keys: Path, *, at_ms: int, on_progress: OnProgress | None = None
) -> Restored:
    """Put a backup into an empty database; all of it, or nothing.

    Parameters
    ----------
    path : Path
        Of the backup.
    where : str or Path
        An empty database, of either kind; a file of SQLite is made.
    keys : Path
        Of the keyring that the backup was made with, or a later one that still holds its master key.
    at_ms : int
    on_progress : callable, optional

    Raises
    ------
    StoreError
        The backup is damaged: the member is named; it is of a newer version; the keys are others; the audit
        does not hold; or the database is not empty.
    """
    check_instant("at_ms", at_ms)
    keyring = Keyring.load(keys)
    archive = Archive(path, keyring)
    head = _head(archive.manifest.facts, path)
    head.check(keyring.public_key())
    _check_revision(archive)
    with Database(where) as database, database.new_file():
        with database.writing() as connection:
            _fill(connection, schema.name_of(database), archive, on_progress)
            _check_masters(connection, keyring, path)
            entries = audit.verify(connection, head)
            if archive.manifest.facts["revision"] != schema.MIGRATIONS.head:
                schema.MIGRATIONS.upgrade(connection)
            erased = apply_erasures_in(connection, register_path(keys), at_ms)
        if erased:
            database.scrub(*SCRUBBED)
    return Restored(archive.manifest, entries, erased)


def _check_revision(archive: Archive) -> None:
    revision = archive.manifest.facts["revision"]
    if revision not in schema.MIGRATIONS.revisions():
        raise StoreError(
            f"{archive.path}: it was made by version {archive.manifest.facts['version']}, whose tables "
            f"(revision {revision}) this version, {dispatch.__version__}, lacks; restore with that one"
        )


def _fill(connection: sa.Connection, name: str, archive: Archive, on_progress: OnProgress | None) -> None:
    """Make the tables of the backup's revision, and fill them."""
    revision, tables = archive.manifest.facts["revision"], metadata
    if revision == schema.MIGRATIONS.head:
        schema.make(connection, name)
    else:
        schema.refuse_tables(connection, name)
        schema.MIGRATIONS.upgrade(connection, revision)
        tables = sa.MetaData()
        tables.reflect(connection)
    total, done = archive.manifest.rows, 0
    for table in tables.sorted_tables:

        def told(rows: int, before: int = done, table_name: str = table.name) -> None:
            if on_progress is not None:
                on_progress(table_name, before + rows, total)

        done += archive.load(connection, table, told)
    if done != total:
        raise StoreError(f"{archive.path}: {total - done} rows have no table in revision {revision}")
    follow_ids(connection, tables.sorted_tables)


def _check_masters(connection: sa.Connection, keyring: Keyring, path: Path) -> None:
    used = set(connection.scalars(sa.select(person_key.c.master_version).distinct()))
    missing = sorted(used - set(keyring.masters))
    if missing:
        raise StoreError(
            f"{path}: persons' keys in it are sealed by master key {missing[0]}, which the keyring does not "
            "hold any more: use the keyring of that time"
        )


def told_of(head: Head) -> dict[str, Any]:
    """Give a head of the audit as plain values, for a manifest."""
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in vars(head).items()}


def _head(facts: Mapping[str, Any], path: Path) -> Head:
    told = facts["audit_head"]
    try:
        values: dict[str, Any] = {
            name: bytes.fromhex(value) if name in _HEAD_BYTES else value for name, value in told.items()
        }
        return Head(**values)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: its head of the audit cannot be read ({error})") from error
