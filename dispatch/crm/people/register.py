"""The register of erasures: a file beside the keyring, which tells who was erased, whatever is put back.

It lies outside of the database, as an older copy of the database does not know of later erasures. It is begun
with the database, and told of each backup: so a keyring that was copied without it, or with an older copy of
it, is noticed. What was erased after the copy was made, only the register itself or a later backup can tell.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from dispatch.crm.people.persons import check_kind
from dispatch.errors import InputError, StoreError
from dispatch.store.chain import canonical
from dispatch.store.sealing import sync_folder


@dataclass(frozen=True)
class ErasedPerson:
    """Who was erased, and when."""

    kind: str
    person_id: int
    at_ms: int


@dataclass(frozen=True)
class Register:
    """What is told of erasures; those of a database are under the name of where a person was entered."""

    erased: Mapping[str, Sequence[ErasedPerson]] = field(default_factory=dict)
    """(n,) of each database"""
    databases: frozenset[str] = frozenset()
    """for which it is kept"""
    backups: frozenset[str] = frozenset()
    """marks of those that were made while it was kept"""

    def joined(self, other: Register) -> Register:
        """Give what either tells."""
        names = sorted({*self.erased, *other.erased})
        erased = {name: (*self.erased.get(name, ()), *other.erased.get(name, ())) for name in names}
        return Register(erased, self.databases | other.databases, self.backups | other.backups)

    def without(self, other: Register, created_ms: Mapping[tuple[str, int], int]) -> Register:
        """Give those whom the other does not tell of, by when each was entered: ids may be given again."""
        missing: dict[str, list[ErasedPerson]] = {}
        for name, persons in self.erased.items():
            last: dict[tuple[str, int], int] = {}
            for one in other.erased.get(name, ()):
                place = (one.kind, one.person_id)
                last[place] = max(one.at_ms, last.get(place, -1))
            for one in persons:
                place = (one.kind, one.person_id)
                if last.get(place, -1) < created_ms[place]:
                    missing.setdefault(name, []).append(one)
        return Register(missing)


def register_path(keys: Path) -> Path:
    """Give the place of the register of erasures of a keyring."""
    return keys.with_name(f"{keys.name}.erased")


def read(path: Path) -> Register:
    """Read a register; where there is no such file, it tells of nobody.

    Raises
    ------
    StoreError
        A line is none: it is named; or it cannot be read.
    """
    try:
        told = path.read_bytes()
    except FileNotFoundError:
        return Register()
    except OSError as error:
        raise StoreError(f"{path}: the register of erasures cannot be read ({error})") from error
    erased: dict[str, list[ErasedPerson]] = {}
    databases, backups = set(), set()
    # A line that a crash cut short was never committed.
    for number, line in enumerate(told[: told.rfind(b"\n") + 1].splitlines(), 1):
        try:
            parts = json.loads(line)
            name, at_ms = str(parts["database"]), int(parts["at_ms"])
            databases.add(name)
            if "backup" in parts:
                backups.add(str(parts["backup"]))
            elif "kind" in parts:
                person = ErasedPerson(parts["kind"], int(parts["person_id"]), at_ms)
                check_kind(person.kind)
                erased.setdefault(name, []).append(person)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: line {number} is none of the register ({error})") from error
    return Register(erased, frozenset(databases), frozenset(backups))


def read_given(path: Path) -> Register:
    """Read a register that somebody names; :class:`InputError` where there is no such file."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such register of erasures")
    return read(path)


def begin(path: Path, database: str, at_ms: int) -> None:
    """Keep a register for a database from now on; the file is made where there is none."""
    _append(path, [{"database": database, "at_ms": at_ms}])


def note_backup(path: Path, database: str, mark: str, at_ms: int) -> None:
    """Tell the register of a backup, by a mark that is in the backup as well."""
    _append(path, [{"database": database, "backup": mark, "at_ms": at_ms}])


def note(path: Path, database: str, persons: Iterable[ErasedPerson]) -> None:
    """Add persons (n,) to the register, before the erasure itself is committed.

    A crash between the two leaves somebody in the register who is still there, and whose erasure was asked
    for; the other way round, an older backup would bring back who was erased.
    """
    _append(path, [{"database": database, **vars(person)} for person in persons])


def as_facts(told: Register) -> list[list[Any]]:
    """Give erasures as plain values, for the manifest of a backup."""
    return [
        [name, one.kind, one.person_id, one.at_ms] for name, persons in told.erased.items() for one in persons
    ]


def of_facts(facts: Mapping[str, Any], path: Path) -> Register:
    """Give what the manifest of a backup tells of erasures and of itself; nothing, of an older version."""
    erased: dict[str, list[ErasedPerson]] = {}
    try:
        for name, kind, person_id, at_ms in facts.get("erased", ()):
            check_kind(kind)
            erased.setdefault(str(name), []).append(ErasedPerson(kind, int(person_id), int(at_ms)))
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path}: its list of erasures cannot be read ({error})") from error
    return Register(erased)


def _append(path: Path, told: Sequence[Mapping[str, Any]]) -> None:
    lines = [canonical(dict(one)) + b"\n" for one in told]
    mode = stat.S_IRUSR | stat.S_IWUSR
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, mode), "r+b") as file:
            _lock(file)
            known = file.read()
            # A line that a crash cut short was never committed.
            file.truncate(known.rfind(b"\n") + 1)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.absolute().parent)
    except OSError as error:
        raise StoreError(f"{path}: the register of erasures cannot be written ({error})") from error


def _lock(file: IO[bytes]) -> None:
    """Let no other process write until the file is closed: what it wrote would be taken for a cut line."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock, and goes without
        return
    fcntl.flock(file, fcntl.LOCK_EX)
