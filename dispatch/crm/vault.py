"""Personal values: sealed under a key of the person, which a master key seals, which lives elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from dispatch.crm.tables.people import installation, person_key
from dispatch.errors import InputError, StateError, StoreError
from dispatch.store import bulk
from dispatch.store.sealing import Keyring, new_key, seal, seal_many, seal_table, unseal

PERSONS: Final = ("customer", "driver")
_AT_ONCE: Final = 50_000


class Vault:
    """Seals and opens the personal values of persons; holds the keyring and nothing else."""

    def __init__(self, keyring: Keyring, path: Path | None = None) -> None:
        self.keyring = keyring
        self.path = path
        """where the keyring is kept; another process may have put a newer master key there"""
        self._seen = self._stamp()

    def check(self, connection: sa.Connection) -> None:
        """Raise :class:`StoreError` where the keyring is another one than that of the persons' keys."""
        row = connection.execute(sa.select(person_key).limit(1)).one_or_none()
        if row is None:
            return
        try:
            unseal(self._master(row.master_version), row.wrapped, key_label(row.kind, row.person_id))
        except (StoreError, StateError) as error:
            raise StoreError(
                f"{self.path}: this keyring is not the one that the database's persons were sealed with "
                f"({error})"
            ) from error

    def give_keys(self, connection: sa.Connection, kind: str, person_ids: Sequence[int]) -> dict[int, bytes]:
        """Make keys for new persons (n,) and store them sealed; gives them by id."""
        _check_kind(kind)
        # What a master key that was retired meanwhile seals would open nowhere: who changes master keys waits
        # until these rows can be seen, and we until theirs are.
        connection.execute(sa.select(installation.c.only).with_for_update(read=True))
        if self._stamp() != self._seen:
            self._reload()
        ring, keys = self.keyring, {int(person): new_key() for person in person_ids}
        master = ring.masters[ring.version]
        bulk.insert(
            connection,
            person_key,
            {
                "kind": [kind] * len(keys),
                "person_id": list(keys),
                "master_version": [ring.version] * len(keys),
                "wrapped": seal_many(
                    master, (key_label(kind, person) for person in keys), list(keys.values())
                ),
            },
        )
        return keys

    def keys(self, connection: sa.Connection, kind: str, person_ids: Sequence[int]) -> dict[int, bytes]:
        """Give the keys of persons (n,) by id; who was erased, or never known, is left out."""
        _check_kind(kind)
        rows = connection.execute(
            sa.select(person_key.c.person_id, person_key.c.master_version, person_key.c.wrapped).where(
                person_key.c.kind == kind, bulk.among(connection, person_key.c.person_id, person_ids)
            )
        )
        return {
            person: unseal(self._master(version), wrapped, key_label(kind, person))
            for person, version, wrapped in rows
        }

    def key(self, connection: sa.Connection, kind: str, person_id: int) -> bytes:
        """Give the key of one person; :class:`StateError` if it was destroyed."""
        found = self.keys(connection, kind, [person_id])
        if not found:
            raise StateError(f"{kind} {person_id} has no key: it was erased, nothing personal can be kept")
        return found[person_id]

    def destroy(self, connection: sa.Connection, kind: str, person_id: int) -> bool:
        """Delete the key of a person: what it sealed opens nowhere any more; tell if it was there."""
        gone = sa.delete(person_key).where(person_key.c.kind == kind, person_key.c.person_id == person_id)
        return connection.execute(gone).rowcount > 0

    def rewrap(self, connection: sa.Connection, fresh: Keyring) -> int:
        """Seal all persons' keys by the newest master of another keyring, to be used then; gives how many."""
        # Locked, so that a person who is erased meanwhile does not come back with the rows written below.
        rows = connection.execute(
            sa.select(person_key).order_by(person_key.c.kind, person_key.c.person_id).with_for_update()
        ).all()
        for first in range(0, len(rows), _AT_ONCE):
            told: dict[str, list[object]] = {"kind": [], "person_id": [], "master_version": [], "wrapped": []}
            for row in rows[first : first + _AT_ONCE]:
                label = key_label(row.kind, row.person_id)
                key = unseal(self._master(row.master_version), row.wrapped, label)
                told["kind"].append(row.kind)
                told["person_id"].append(row.person_id)
                told["master_version"].append(fresh.version)
                told["wrapped"].append(seal(fresh.masters[fresh.version], key, label))
            bulk.upsert(connection, person_key, told)
        return len(rows)

    def find_by(self, field: str, value: str) -> bytes:
        """Hash a personal value to look it up by."""
        return self.keyring.find_by(field, value)

    def _master(self, version: int) -> bytes:
        if version not in self.keyring.masters:
            self._reload()
        try:
            return self.keyring.masters[version]
        except KeyError:
            known = ", ".join(map(str, self.keyring.masters))
            raise StateError(
                f"a key is sealed by master key {version}: the keyring has only {known}"
            ) from None

    def _stamp(self) -> tuple[int, int] | None:
        """Tell one state of the keyring's file from another; it is replaced as a whole."""
        if self.path is None or not self.path.exists():
            return None
        found = self.path.stat()
        return found.st_ino, found.st_mtime_ns

    def _reload(self) -> None:
        if self.path is not None and self.path.exists():
            self._seen = self._stamp()
            self.keyring = Keyring.load(self.path)


def seal_columns(
    keys: Mapping[int, bytes], kind: str, fields: Mapping[str, Sequence[str | None]]
) -> dict[str, list[bytes | None]]:
    """Seal many persons' values: each field's (n,), in the sequence of the keys' persons."""
    return seal_table(keys.values(), [value_label(kind, person, "") for person in keys], fields)


def seal_text(key: bytes, kind: str, person_id: int, field: str, text: str | None) -> bytes | None:
    """Seal one personal value of a person, None where there is none."""
    return None if text is None else seal(key, text.encode(), value_label(kind, person_id, field))


def unseal_text(key: bytes, kind: str, person_id: int, field: str, sealed: bytes | None) -> str | None:
    """Open one personal value of a person, None where there is none."""
    return None if sealed is None else unseal(key, sealed, value_label(kind, person_id, field)).decode()


def unseal_row(
    key: bytes, kind: str, person_id: int, sealed: Mapping[str, bytes | None]
) -> dict[str, str | None]:
    """Open several values of a person, by the names of their fields."""
    return {name: unseal_text(key, kind, person_id, name, value) for name, value in sealed.items()}


def value_label(kind: str, person_id: int, field: str) -> str:
    """Give the place that a sealed value is bound to."""
    return f"{kind}/{person_id}/{field}"


def key_label(kind: str, person_id: int) -> str:
    """Give the place that a sealed key is bound to."""
    return f"key/{kind}/{person_id}"


def _check_kind(kind: str) -> None:
    if kind not in PERSONS:
        raise InputError(f"kind is {kind!r}: persons are {', '.join(PERSONS)}")
