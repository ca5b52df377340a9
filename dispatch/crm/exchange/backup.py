"""Backups: the whole database as one signed file, put back into an empty database of either kind.

Persons' keys lie in it as they lie in the database, sealed by a master key; the keyring does not. Who was
erased after the backup is erased again on restoring, by the register of erasures kept beside the keyring, and
by other registers and later backups that are told. Keyring and register belong together: a register that is
missing, or is an older copy than the backup, is refused, for it would bring back who was erased since. A copy
that is to live beside its original needs a copy of both: master keys are retired once the one database that
is looked at has none in use.
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

import dispatch
from dispatch.crm import audit, schema
from dispatch.crm.context import Context, check_instant
from dispatch.crm.people.erasing import (
    SCRUBBED,
    apply_erasures_in,
    database_name,
    erased_in,
    lineage_of,
    rename_in,
)
from dispatch.crm.people.register import (
    Register,
    as_facts,
    begin,
    note,
    note_backup,
    of_facts,
    read,
    read_given,
    register_path,
)
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.people import person_key
from dispatch.errors import StoreError
from dispatch.store.archive import Archive, Manifest, OnProgress, follow_ids, write_archive
from dispatch.store.chain import Head
from dispatch.store.database import Database
from dispatch.store.migration import current
from dispatch.store.sealing import Keyring

_BRING: Final = (
    "who was erased since may come back. Copy the latest one there, or name it, or a later backup "
    "(--erasures); --without-register goes on without"
)
_HEAD_BYTES: Final = ("hash", "signature", "public_key")


@dataclass(frozen=True)
class Restored:
    """What a restored database holds."""

    manifest: Manifest
    audit_entries: int
    """checked, one by one"""
    erased: int
    """persons who were erased after the backup was made, and are again"""
    unsure: str = ""
    """why some may be back who were erased since, as without a register, or with an older one"""


def backup(context: Context, path: Path, *, at_ms: int, on_progress: OnProgress | None = None) -> Manifest:
    """Write the database as it is at one instant to a new file; others go on reading and writing meanwhile.

    The register of erasures is told of it: a copy of the register is to be kept with that of the keyring, and
    to be made anew with each backup, and after each erasure.

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
        The file or the register cannot be written, or the database not be read.
    """
    check_instant("at_ms", at_ms)
    keyring, mark = context.vault.keyring, secrets.token_hex(8)
    with context.acting("backup.make", at_ms=at_ms):
        pass  # The entry itself is in the backup; no writer waits for the reading, which comes after.
    with context.database.reading() as connection:
        if context.vault.path is not None:
            note_backup(register_path(context.vault.path), database_name(connection), mark, at_ms)
        facts = {
            "revision": current(connection),
            "vertical": context.vertical.name,
            "version": dispatch.__version__,
            "at_ms": at_ms,
            "mark": mark,
            "databases": list(lineage_of(connection).names),
            "erased": as_facts(erased_in(connection)[0]),
            "audit_head": told_of(audit.signed_head(connection, keyring, at_ms)),
        }
        return write_archive(path, connection, metadata.sorted_tables, keyring, facts, on_progress)


def restore(
    path: Path,
    where: str | Path,
    keys: Path,
    *,
    at_ms: int,
    erasures: Sequence[Path] = (),
    without_register: bool = False,
    on_progress: OnProgress | None = None,
) -> Restored:
    """Put a backup into an empty database; all of it, or nothing.

    The original may live on beside it: the new database has a name of its own, and one entry of the audit
    more, which tells of whose backup it was made. The register of erasures goes by these.

    Parameters
    ----------
    path : Path
        Of the backup.
    where : str or Path
        An empty database, of either kind; a file of SQLite is made.
    keys : Path
        Of the keyring that the backup was made with, or a later one that still holds its master key; the
        register of erasures belongs beside it.
    at_ms : int
    erasures : sequence of Path
        (n,) of other registers, or of later backups (``.zip``), that tell of erasures.
    without_register : bool
        Go on where no register is there, or only one that is older than the backup, and no later backup is
        told: :attr:`Restored.unsure`.
    on_progress : callable, optional

    Raises
    ------
    StoreError
        The backup is damaged: the member is named; it is of a newer version; the keys are others; the audit
        does not hold; the database is not empty; or the register is not there, or older than the backup.
    """
    check_instant("at_ms", at_ms)
    keyring, register = Keyring.load(keys), register_path(keys)
    archive = Archive(path, keyring)
    told, later = _told_erasures(register, erasures, keyring)
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
            unsure = _why_unsure(connection, archive, told)
            until_ms = _known_until(archive, later)
            if unsure and until_ms is not None:
                day = datetime.datetime.fromtimestamp(until_ms // 1000, datetime.UTC)
                unsure = f"erasures are known until the later backup alone, of {day:%Y-%m-%d %H:%M:%S} UTC"
            elif unsure and not without_register:
                raise StoreError(f"{register}: {unsure}; {_BRING}")
            rename_in(connection, archive.manifest.facts["at_ms"], at_ms)
            erased = apply_erasures_in(connection, told, at_ms)
            _fill_register(connection, register, at_ms)
        if erased:
            database.scrub(*SCRUBBED)
    return Restored(archive.manifest, entries, erased, unsure)


def _told_erasures(
    register: Path, others: Sequence[Path], keyring: Keyring
) -> tuple[Register, list[Mapping[str, Any]]]:
    """Read what the register beside the keyring, others and later backups tell; and the facts of these."""
    told, later = read(register), []
    for path in others:
        if path.suffix == ".zip":
            later.append(Archive(path, keyring).manifest.facts)
            told = told.joined(of_facts(later[-1], path))
        else:
            told = told.joined(read_given(path))
    return told, later


def _known_until(archive: Archive, later: Sequence[Mapping[str, Any]]) -> int | None:
    """Give the instant of the latest of those backups that are later ones of the same database."""
    facts = archive.manifest.facts
    names = set(facts.get("databases", ()))
    instants = [int(one["at_ms"]) for one in later if names & set(one.get("databases", ()))]
    return max((at_ms for at_ms in instants if at_ms > facts["at_ms"]), default=None)


def _why_unsure(connection: sa.Connection, archive: Archive, told: Register) -> str:
    """Tell why who was erased after a backup, in this empty database, may not be known; "" if it is."""
    if told.databases.isdisjoint(lineage_of(connection).names):
        return "there is no register of erasures of this database beside the keyring"
    known, created = erased_in(connection)
    mark = archive.manifest.facts.get("mark")
    if known.without(told, created).erased or (mark is not None and mark not in told.backups):
        return "this register of erasures is an older copy than the backup"
    return ""


def _fill_register(connection: sa.Connection, register: Path, at_ms: int) -> None:
    """Keep the register beside the keyring for the restored database, too, with all whom it knows."""
    begin(register, database_name(connection), at_ms)
    known, created = erased_in(connection)
    for name, persons in known.without(read(register), created).erased.items():
        note(register, name, persons)


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
