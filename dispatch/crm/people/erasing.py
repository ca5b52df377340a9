"""Erasing of persons: their keys are destroyed, so that what was sealed opens nowhere any more.

What happened, orders and sums, stays under the pseudonymous id, and events can still be applied. By the
register of erasures, see :mod:`.register`, an older backup, or an older file put back, is brought up to them.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm import audit
from dispatch.crm.people.persons import ID_COLUMN, TABLE, family_in, rows_of
from dispatch.crm.people.register import ErasedPerson, Register, begin, note, read
from dispatch.crm.permissions import SYSTEM, Actor
from dispatch.crm.tables.engagement import interest, telemetry
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import (
    address,
    alias,
    audit as entries,
    customer,
    erasure,
    idempotency,
    installation,
    legal_hold,
    person_key,
)
from dispatch.errors import StoreError
from dispatch.store import bulk
from dispatch.store.database import Database
from dispatch.units import NO_COORDINATE

BLUR_E6: Final = 10_000
"""Coordinates are cut to about 1 km."""
RESTORED: Final = "backup.restore"
"""Action of the entry by which a restored database begins."""
_COPY: Final = "."
"""In the name of a copy, before the sequence of that entry."""
SCRUBBED: Final = ("person_key", "customer", "driver", "alias", "address")
"""Tables whose dead rows hold what was erased."""


def erase_in(connection: sa.Connection, kind: str, person_id: int, at_ms: int) -> list[int]:
    """Erase a person, and of a customer those merged into it; gives all their ids.

    Keys are deleted, and whatever is sealed, looked up by or a date of birth is emptied in all tables.
    """
    ids = family_in(connection, person_id) if kind == "customer" else [person_id]
    connection.execute(
        sa.delete(person_key).where(
            person_key.c.kind == kind, bulk.among(connection, person_key.c.person_id, ids)
        )
    )
    if kind == "customer":
        for table in (alias, address, interest):
            connection.execute(sa.delete(table).where(bulk.among(connection, table.c.customer_id, ids)))
        connection.execute(
            sa.delete(idempotency).where(bulk.among(connection, idempotency.c.customer_id, ids))
        )
    for table in metadata.sorted_tables:
        changes = {column.name: None for column in table.c if column.info.get("personal")}
        where = rows_of(connection, table, kind, ids, written=True)
        if changes and where is not None and table is not TABLE[kind]:
            connection.execute(sa.update(table).where(where).values(**changes))
    _empty_row(connection, kind, ids, at_ms)
    blur_in(connection, orders, bulk.among(connection, orders.c[ID_COLUMN[kind]], ids))
    if kind == "driver":
        connection.execute(sa.delete(telemetry).where(bulk.among(connection, telemetry.c.driver_id, ids)))
    return ids


def blur_in(connection: sa.Connection, table: sa.Table, where: sa.ColumnElement[bool]) -> int:
    """Cut coordinates of orders, or of cars, to about 1 km; gives how many rows had more."""
    places = [column for column in table.c if column.name.endswith(("lon_e6", "lat_e6"))]
    precise = sa.or_(*(column % BLUR_E6 != 0 for column in places))
    changes = {
        column.name: sa.case((column == NO_COORDINATE, column), else_=column - column % BLUR_E6)
        for column in places
    }
    return connection.execute(sa.update(table).where(where, precise).values(**changes)).rowcount


@dataclass(frozen=True)
class Lineage:
    """The name of a database, and of those that it is a copy of."""

    name: str
    ancestors: tuple[tuple[str, int], ...]
    """names, and when the backup was made that became the next one; the earliest first"""

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the earliest first."""
        return (*(name for name, _ in self.ancestors), self.name)

    def origin(self, created_at_ms: int) -> str:
        """Give the name of the database that a person was entered in.

        A copy and its original go on giving the same ids to different people, but have those in common who
        were there before: by this name and the id a person is told from all others.
        """
        return next((name for name, until_ms in self.ancestors if created_at_ms <= until_ms), self.name)


def database_name(connection: sa.Connection) -> str:
    """Give the database's own name, which its backups share, and what is restored from them does not."""
    return str(connection.execute(sa.select(installation.c.name)).scalar_one())


def lineage_of(connection: sa.Connection) -> Lineage:
    """Read whose copy a database is: a copy's name ends in the sequence of the audit's entry that tells.

    Raises
    ------
    StoreError
        There is no such entry, or it was changed.
    """
    name = earlier = database_name(connection)
    ancestors: list[tuple[str, int]] = []
    while _COPY in earlier:
        copy, seq = earlier, earlier.rpartition(_COPY)[2]
        try:
            wanted = sa.select(entries.c.details).where(
                entries.c.action == RESTORED, entries.c.seq == int(seq)
            )
            told = json.loads(connection.execute(wanted).scalar_one())
            earlier, until_ms = str(told["from"]), int(told["backup_at_ms"])
            if told["name"] != copy:
                raise ValueError(f"it tells of {told['name']}")
        except (ValueError, KeyError, TypeError, sa.exc.NoResultFound) as error:
            raise StoreError(
                f"audit: entry {seq} does not tell of whose backup {copy} was made ({error})"
            ) from error
        ancestors.insert(0, (earlier, until_ms))
    return Lineage(name, tuple(ancestors))


def rename_in(connection: sa.Connection, backup_at_ms: int, at_ms: int) -> None:
    """Give a database that was restored a name of its own; the audit tells of whose backup it was made."""
    name = f"{secrets.token_hex(16)}{_COPY}{audit.lock(connection).seq + 1}"
    told = {"from": database_name(connection), "backup_at_ms": backup_at_ms, "name": name}
    audit.append(connection, Actor(*SYSTEM), RESTORED, at_ms, [(None, None, None)], told)
    connection.execute(sa.update(installation).values(name=name))


def note_in(connection: sa.Connection, register: Path, persons: Sequence[ErasedPerson]) -> None:
    """Add persons (n,) of a database to the register, each under the name of where it was entered.

    So copies that were made since, and those made of backups of that time, find who is theirs, and nobody
    else who has the same id by now.
    """
    lineage = lineage_of(connection)
    by_name: dict[str, list[ErasedPerson]] = {}
    for person in persons:
        table = TABLE[person.kind]
        created = sa.select(table.c.created_at_ms).where(table.c[ID_COLUMN[person.kind]] == person.person_id)
        by_name.setdefault(lineage.origin(connection.execute(created).scalar_one()), []).append(person)
    for name, some in by_name.items():
        note(register, name, some)


def erased_in(connection: sa.Connection) -> tuple[Register, dict[tuple[str, int], int]]:
    """Give whom a database itself knows to be erased, and when each of them was entered."""
    lineage = lineage_of(connection)
    erased: dict[str, list[ErasedPerson]] = {}
    created: dict[tuple[str, int], int] = {}
    for kind, table in TABLE.items():
        column = table.c[ID_COLUMN[kind]]
        asked = [column] if table is not customer else [column, customer.c.merged_into]
        for of in asked:
            rows = connection.execute(
                sa.select(column, table.c.created_at_ms, erasure.c.done_at_ms)
                .join(erasure, sa.and_(erasure.c.kind == kind, erasure.c.person_id == of))
                .where(erasure.c.done_at_ms.is_not(None), table.c.status == "erased")
                .order_by(erasure.c.erasure_id, column)
            )
            for person_id, created_at_ms, done_at_ms in rows:
                # One clock may be behind another: whoever is erased was entered before.
                person = ErasedPerson(kind, person_id, max(done_at_ms, created_at_ms))
                erased.setdefault(lineage.origin(created_at_ms), []).append(person)
                created[kind, person_id] = created_at_ms
    return Register(erased), created


def catch_up(database: Database, register: Path, at_ms: int) -> int:
    """Bring a database up to its register, and the register up to the database; gives how many were erased.

    So an older file or server that was put back in place loses again who was erased since; and of a register
    on each of several machines none lacks whom another one erased, once the database is opened there. A
    register that cannot be written is left as it is.

    Raises
    ------
    StoreError
        The register is not there, or is that of other databases.
    """
    told = read(register)
    with database.reading() as connection:
        names = lineage_of(connection).names
        if told.databases.isdisjoint(names):
            raise StoreError(
                f"{register}: the register of erasures of this database is not there; it belongs beside the "
                "keyring, copy both together. Where it is lost: dispatch crm init --upgrade begins a new one"
            )
        known, created = erased_in(connection)
        is_behind = bool(_come_back(connection, told))
    missing = known.without(told, created).erased
    if missing and os.access(register, os.W_OK):
        for name, persons in missing.items():
            note(register, name, persons)
    if not is_behind:
        return 0
    with database.writing() as connection:
        num = apply_erasures_in(connection, told, at_ms)
    if num:
        database.scrub(*SCRUBBED)
    return num


def begin_register(database: Database, register: Path, at_ms: int) -> bool:
    """Begin the register of a database that has none, with whom the database knows; tell if it was begun."""
    with database.reading() as connection:
        lineage = lineage_of(connection)
        known, _ = erased_in(connection)
    if not read(register).databases.isdisjoint(lineage.names):
        return False
    begin(register, lineage.name, at_ms)
    for name, persons in known.erased.items():
        note(register, name, persons)
    return True


def apply_erasures_in(connection: sa.Connection, told: Register, at_ms: int) -> int:
    """Erase again who was erased after a backup was made; gives how many persons.

    A legal hold of the backup's time does not matter: at the erasure there was none; one that was placed
    later does. Who was entered after the erasure is somebody else: a database that was put back counts on
    from its own highest id.
    """
    done: list[tuple[str, int]] = []
    for person in _come_back(connection, told):
        table = TABLE[person.kind]
        column = table.c[ID_COLUMN[person.kind]]
        # Another process may be about to erase the same person; and with one go those merged into it.
        status = connection.scalar(
            sa.select(table.c.status).where(column == person.person_id).with_for_update()
        )
        if status == "erased":
            continue
        ids = erase_in(connection, person.kind, person.person_id, at_ms)
        of = {"kind": person.kind, "person_id": person.person_id}
        asked = sa.and_(*(erasure.c[name] == value for name, value in of.items()))
        if not connection.execute(sa.update(erasure).where(asked).values(done_at_ms=at_ms)).rowcount:
            connection.execute(sa.insert(erasure).values(**of, asked_at_ms=person.at_ms, done_at_ms=at_ms))
        done += [(person.kind, one) for one in ids]
    if done:
        targets: list[tuple[str | None, int | None, int | None]] = [(kind, one, None) for kind, one in done]
        audit.append(connection, Actor(*SYSTEM), "person.erase", at_ms, targets, {"from": "register"})
    return len(done)


def _come_back(connection: sa.Connection, told: Register) -> list[ErasedPerson]:
    """Give those of a register who are in the database all the same."""
    lineage = lineage_of(connection)
    found = []
    for kind, table in TABLE.items():
        column = table.c[ID_COLUMN[kind]]
        persons = [
            (origin, one)
            for origin in lineage.names
            for one in told.erased.get(origin, ())
            if one.kind == kind
        ]
        ids = sorted({one.person_id for _, one in persons})
        there = sa.select(column, table.c.created_at_ms).where(
            bulk.among(connection, column, ids), table.c.status != "erased"
        )
        created = {row[0]: row[1] for row in connection.execute(there)} if ids else {}
        held = sa.select(legal_hold.c.person_id, sa.func.max(legal_hold.c.placed_at_ms)).where(
            legal_hold.c.kind == kind,
            bulk.among(connection, legal_hold.c.person_id, sorted(created)),
            legal_hold.c.released_at_ms.is_(None),
        )
        rows = connection.execute(held.group_by(legal_hold.c.person_id)) if created else ()
        held_ms = {row[0]: row[1] for row in rows}
        for origin, one in persons:
            at = created.get(one.person_id)
            if at is None or at > one.at_ms or lineage.origin(at) != origin:
                continue
            if held_ms.get(one.person_id, -1) <= one.at_ms:
                found.append(one)
    return found


def _empty_row(connection: sa.Connection, kind: str, ids: Sequence[int], at_ms: int) -> None:
    table = TABLE[kind]
    changes: dict[str, Any] = {column.name: None for column in table.c if column.info.get("personal")}
    if table is customer:
        changes |= {"member_no": None, "language": None}
    connection.execute(
        sa.update(table)
        .where(bulk.among(connection, table.c[ID_COLUMN[kind]], ids))
        .values(
            **changes, birthday_mmdd=None, status="erased", changed_at_ms=at_ms, version=table.c.version + 1
        )
    )
