"""Erasing of persons: their keys are destroyed, so that what was sealed opens nowhere any more.

What happened, orders and sums, stays under the pseudonymous id, and events can still be applied. The register
of erasures lies beside the keyring, outside of the database, so that an older backup can be brought up to it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import sqlalchemy as sa

from dispatch.crm import audit
from dispatch.crm.people.persons import ID_COLUMN, TABLE, check_kind, family_in, rows_of
from dispatch.crm.permissions import SYSTEM, Actor
from dispatch.crm.tables.engagement import interest, telemetry
from dispatch.crm.tables.everything import metadata
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import (
    address,
    alias,
    customer,
    erasure,
    idempotency,
    installation,
    person_key,
)
from dispatch.errors import StoreError
from dispatch.store import bulk
from dispatch.store.chain import canonical
from dispatch.store.sealing import sync_folder
from dispatch.units import NO_COORDINATE

BLUR_E6: Final = 10_000
"""Coordinates are cut to about 1 km."""
SCRUBBED: Final = ("person_key", "customer", "driver", "alias", "address")
"""Tables whose dead rows hold what was erased."""


@dataclass(frozen=True)
class ErasedPerson:
    """A line of the register."""

    kind: str
    person_id: int
    at_ms: int


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


def database_name(connection: sa.Connection) -> str:
    """Give the database's own name, which its backups share."""
    return str(connection.execute(sa.select(installation.c.name)).scalar_one())


def register_path(keys: Path) -> Path:
    """Give the place of the register of erasures of a keyring."""
    return keys.with_name(f"{keys.name}.erased")


def note(register: Path, database: str, persons: Sequence[ErasedPerson]) -> None:
    """Add persons (n,) to the register, before the erasure itself is committed.

    A crash between the two leaves somebody in the register who is still there, and whose erasure was asked
    for; the other way round, an older backup would bring back who was erased.
    """
    lines = [canonical({"database": database, **vars(person)}) + b"\n" for person in persons]
    mode = stat.S_IRUSR | stat.S_IWUSR
    try:
        with os.fdopen(os.open(register, os.O_RDWR | os.O_CREAT | os.O_APPEND, mode), "r+b") as file:
            _lock(file)
            told = file.read()
            # A line that a crash cut short was never committed.
            file.truncate(told.rfind(b"\n") + 1)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(register.parent)
    except OSError as error:
        raise StoreError(f"{register}: the register of erasures cannot be written ({error})") from error


def _lock(file: IO[bytes]) -> None:
    """Let no other process write until the file is closed: what it wrote would be taken for a cut line."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock, and goes without
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def noted(register: Path, database: str) -> list[ErasedPerson]:
    """Read the persons of a database in the register, the earliest first; none where there is no such file.

    Raises
    ------
    StoreError
        A line is none: it is named.
    """
    if not register.exists():
        return []
    told = register.read_bytes()
    persons = []
    for number, line in enumerate(told[: told.rfind(b"\n") + 1].splitlines(), 1):
        try:
            parts = json.loads(line)
            person = ErasedPerson(parts["kind"], int(parts["person_id"]), int(parts["at_ms"]))
            check_kind(person.kind)
            if parts["database"] == database:
                persons.append(person)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{register}: line {number} is none of the register ({error})") from error
    return persons


def apply_erasures_in(connection: sa.Connection, register: Path, at_ms: int) -> int:
    """Erase again who was erased after a backup was made; gives how many persons.

    A legal hold of the backup's time does not matter: at the erasure there was none. Who was entered after
    the erasure is somebody else: a database that was put back counts on from its own highest id.
    """
    done: list[tuple[str, int]] = []
    for person in noted(register, database_name(connection)):
        table = TABLE[person.kind]
        column = table.c[ID_COLUMN[person.kind]]
        there = sa.select(table.c.status).where(
            column == person.person_id, table.c.created_at_ms <= person.at_ms
        )
        status = connection.scalar(there)
        if status is None or status == "erased":
            continue
        ids = erase_in(connection, person.kind, person.person_id, at_ms)
        told = {"kind": person.kind, "person_id": person.person_id}
        asked = sa.and_(*(erasure.c[name] == value for name, value in told.items()))
        if not connection.execute(sa.update(erasure).where(asked).values(done_at_ms=at_ms)).rowcount:
            connection.execute(sa.insert(erasure).values(**told, asked_at_ms=person.at_ms, done_at_ms=at_ms))
        done += [(person.kind, one) for one in ids]
    if done:
        targets: list[tuple[str | None, int | None, int | None]] = [(kind, one, None) for kind, one in done]
        audit.append(connection, Actor(*SYSTEM), "person.erase", at_ms, targets, {"from": "register"})
    return len(done)


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
