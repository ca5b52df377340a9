"""Personal data: exported, held, erased, and kept no longer than it may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant, check_not_before
from dispatch.crm.paging import Page, after, check_page, page_of
from dispatch.crm.people import idempotency, person_export
from dispatch.crm.people.erasing import (
    SCRUBBED,
    apply_erasures_in,
    blur_in,
    erase_in,
    note_in,
)
from dispatch.crm.people.persons import TABLE, check_kind, held_in, locked_in
from dispatch.crm.people.register import ErasedPerson, read, read_given, register_path
from dispatch.crm.rules import check_name
from dispatch.crm.tables.engagement import telemetry
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import customer, erasure, installation, legal_hold, person_key
from dispatch.errors import InputError, StateError
from dispatch.store.sealing import Keyring
from dispatch.units import MS_PER_DAY

_THERE = ("active", "restricted", "left")


@dataclass(frozen=True)
class Erased:
    """What became of a wish to be erased."""

    done: bool
    """false while a legal hold defers it: the person is restricted until then"""
    persons: tuple[int, ...] = ()
    """ids that were erased, those of merged customers too"""
    scrubbed: bool = False
    """whether older pages are out of the database's files: others who read at that time keep them a while"""


@dataclass(frozen=True)
class Inactive:
    """A customer who may not be kept any longer."""

    customer_id: int
    last_at_ms: int
    """of the last order, or of the registration where there is none"""


class Privacy:
    """Exports, holds and erases persons; changes the master key; keeps nothing longer than allowed."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def export_person(
        self, kind: str, person_id: int, *, at_ms: int, path: Path | None = None
    ) -> dict[str, Any]:
        """Give all data of one person, of every table, opened.

        Parameters
        ----------
        kind : str
            ``customer`` or ``driver``.
        person_id, at_ms : int
        path : Path, optional
            A new file to write it to as well, JSON, or a zip by its name's end.
        """
        check_kind(kind)
        if path is not None:
            person_export.check_new(path)
        with self._context.acting("person.export", (kind, person_id), at_ms=at_ms) as connection:
            tables = person_export.person_in(connection, self._context.vault, kind, person_id)
        told = {"format": 1, "kind": kind, "person_id": person_id, "at_ms": at_ms, "tables": tables}
        if path is not None:
            person_export.write(path, told)  # no file without its entry in the audit
        return told

    def hold(self, kind: str, person_id: int, reason: str, *, at_ms: int) -> int:
        """Keep a person from being erased, as long as a law demands it; gives the id of the hold.

        Nor is a customer merged into another meanwhile, or anything told of one forgotten or removed.

        Parameters
        ----------
        kind, person_id
        reason : str
            A short name, ``court_2024_17``; nothing personal.
        at_ms : int
        """
        check_kind(kind)
        check_name("reason", reason)
        noted: dict[str, Any] = {"reason": reason}
        with self._context.acting("person.hold", (kind, person_id), at_ms=at_ms, details=noted) as connection:
            locked_in(connection, kind, person_id, _THERE)
            added = connection.execute(
                sa.insert(legal_hold).values(
                    kind=kind, person_id=person_id, reason=reason, placed_at_ms=at_ms
                )
            )
            noted["hold_id"] = hold_id = int(added.inserted_primary_key[0])  # type: ignore[index]  # one row has one
        return hold_id

    def release(self, kind: str, person_id: int, hold_id: int, *, at_ms: int) -> Erased:
        """End a hold; an erasure that it deferred is done now, unless another hold is left.

        Raises
        ------
        StateError
            There is no such hold of this person, or it is ended.
        """
        check_kind(kind)
        check_id("hold_id", hold_id)
        with self._context.acting(
            "person.release", (kind, person_id), at_ms=at_ms, details={"hold_id": hold_id}
        ) as connection:
            locked_in(connection, kind, person_id, _THERE)
            own = sa.and_(
                legal_hold.c.kind == kind,
                legal_hold.c.person_id == person_id,
                legal_hold.c.released_at_ms.is_(None),
            )
            placed = connection.scalar(
                sa.select(legal_hold.c.placed_at_ms).where(own, legal_hold.c.hold_id == hold_id)
            )
            if placed is None:
                raise StateError(f"{kind} {person_id} has no hold {hold_id} that could be ended")
            check_not_before("at_ms", at_ms, placed, f"the beginning of hold {hold_id}")
            connection.execute(
                sa.update(legal_hold).where(legal_hold.c.hold_id == hold_id).values(released_at_ms=at_ms)
            )
            if _pending(connection, kind, person_id) is None or held_in(connection, kind, person_id):
                return Erased(False)
            ids = self._erase(connection, kind, person_id, at_ms)
        return Erased(True, tuple(ids), self._context.database.scrub(*SCRUBBED))

    def erase(self, kind: str, person_id: int, *, at_ms: int) -> Erased:
        """Erase a person; where a legal hold forbids it, restrict, and erase once it is released.

        The key is destroyed, so that what it sealed opens nowhere, in no copy either once the master key of
        that time is retired; orders and sums stay under the pseudonymous id. Backups made earlier are brought
        up to it on restoring, and older files on opening, by the register beside the keyring: copies of that
        are to be made anew now, for an older one does not tell of this erasure.

        Raises
        ------
        StateError
            It was erased already, or merged: then the other is to be erased.
        """
        check_kind(kind)
        noted: dict[str, Any] = {}
        with self._context.acting(
            "person.erase", (kind, person_id), at_ms=at_ms, details=noted
        ) as connection:
            row = locked_in(connection, kind, person_id, _THERE)
            check_not_before("at_ms", at_ms, row.changed_at_ms, f"the last change of {kind} {person_id}")
            if _pending(connection, kind, person_id) is None:
                connection.execute(
                    sa.insert(erasure).values(kind=kind, person_id=person_id, asked_at_ms=at_ms)
                )
            if held_in(connection, kind, person_id):
                noted["deferred"] = True
                table = TABLE[kind]
                connection.execute(
                    sa.update(table)
                    .where(table.c[f"{kind}_id"] == person_id)
                    .values(status="restricted", changed_at_ms=at_ms, version=row.version + 1)
                )
                return Erased(False)
            ids = self._erase(connection, kind, person_id, at_ms)
        return Erased(True, tuple(ids), self._context.database.scrub(*SCRUBBED))

    def apply_erasures(self, register: Path | None = None, *, at_ms: int) -> int:
        """Erase again who was erased since the database's state; gives how many.

        :meth:`Crm.open` and ``restore`` do so by themselves, by the register beside the keyring; this is for
        another one, as one that is found later.

        Parameters
        ----------
        register : Path, optional
            By default the one beside the keyring.
        at_ms : int

        Raises
        ------
        InputError
            There is no such register.
        """
        told = read_given(register) if register is not None else read(register_path(self._keys()))
        with self._context.acting("privacy.apply_erasures", at_ms=at_ms) as connection:
            num = apply_erasures_in(connection, told, at_ms)
        if num:
            self._context.database.scrub(*SCRUBBED)
        return num

    def rotate_keys(self, *, at_ms: int) -> int:
        """Seal all persons' keys by a new master key; gives how many.

        The older master keys stay in the keyring, so that older backups can be restored, until
        :meth:`retire_keys`. The keyring with both is on the disk before the first row is changed: whenever
        this breaks off, everything can be read.
        """
        path = self._keys()
        noted: dict[str, Any] = {}
        vault = self._context.vault
        with self._context.acting("privacy.rotate_keys", at_ms=at_ms, details=noted) as connection:
            _lock_masters(connection)
            vault.keyring = Keyring.load(path)
            fresh = vault.keyring.rotated()
            fresh.save(path)
            noted["version"] = fresh.version
            noted["num"] = num = vault.rewrap(connection, fresh)
        vault.keyring = fresh
        return num

    def retire_keys(self, *, at_ms: int) -> tuple[int, ...]:
        """Forget all master keys but the newest; gives the versions of those forgotten.

        Keys in older backups cannot be opened any more, those of erased persons among them.

        Raises
        ------
        StateError
            Persons' keys are still sealed by an older one: rotate first.
        """
        path = self._keys()
        noted: dict[str, Any] = {}
        vault = self._context.vault
        with self._context.acting("privacy.retire_keys", at_ms=at_ms, details=noted) as connection:
            _lock_masters(connection)
            ring = Keyring.load(path)
            used = set(connection.scalars(sa.select(person_key.c.master_version).distinct()))
            if used - {ring.version}:
                raise StateError(
                    f"keys are still sealed by master key {min(used)}, the newest is {ring.version}: "
                    "rotate first"
                )
            noted["retired"] = gone = sorted(set(ring.masters) - {ring.version})
            # Under the lock: who rotates right after it would lose the master key that it has just saved.
            vault.keyring = ring.only_latest()
            vault.keyring.save(path)
        return tuple(gone)

    def blur_locations(self, *, at_ms: int) -> int:
        """Cut coordinates of orders to about 1 km once they are older than ``keep.locations_days``.

        So are those of cars that have told nothing since. Keys of idempotency that need not be kept any
        longer go as well. Gives the number of orders.
        """
        check_instant("at_ms", at_ms)
        latest = at_ms - self._context.vertical.keep.locations_days * MS_PER_DAY
        noted: dict[str, Any] = {}
        with self._context.acting("privacy.blur", at_ms=at_ms, details=noted) as connection:
            noted["orders"] = num = blur_in(connection, orders, orders.c.submitted_at_ms < latest)
            noted["cars"] = blur_in(connection, telemetry, telemetry.c.at_ms < latest)
            noted["keys"] = idempotency.forget_in(connection, at_ms)
        return num

    def inactive(self, *, at_ms: int, limit: int = 100, token: str | None = None) -> Page[Inactive]:
        """List customers without an order for ``keep.inactive_customer_days``, who are not held."""
        check_instant("at_ms", at_ms)
        check_page(limit)
        days = self._context.vertical.keep.inactive_customer_days
        earliest_day = at_ms // MS_PER_DAY - days
        place = after(self._context.vault, "inactive", token)
        merged = customer.alias("merged")
        last = (
            sa.select(sa.func.max(customer_day.c.day))
            .where(
                sa.or_(
                    customer_day.c.customer_id == customer.c.customer_id,
                    customer_day.c.customer_id.in_(
                        sa.select(merged.c.customer_id)
                        .where(merged.c.merged_into == customer.c.customer_id)
                        .correlate(customer)
                    ),
                )
            )
            .correlate(customer)
            .scalar_subquery()
        )
        held = sa.exists().where(
            legal_hold.c.kind == "customer",
            legal_hold.c.person_id == customer.c.customer_id,
            legal_hold.c.released_at_ms.is_(None),
        )
        wanted = (
            sa.select(
                customer.c.customer_id,
                sa.func.coalesce(sa.cast(last, sa.BigInteger) * MS_PER_DAY, customer.c.created_at_ms),
            )
            .where(
                customer.c.status == "active",
                customer.c.created_at_ms < at_ms - days * MS_PER_DAY,
                sa.func.coalesce(last, 0) < earliest_day,
                sa.not_(held),
                customer.c.customer_id > (place[0] if place else -1),
            )
            .order_by(customer.c.customer_id)
            .limit(limit + 1)
        )
        with self._context.listing("person.inactive", customer.c.scope_id) as (connection, within):
            rows = [Inactive(*row) for row in connection.execute(wanted.where(within))]
        return page_of(self._context.vault, "inactive", rows, limit, [[row.customer_id] for row in rows])

    def _erase(self, connection: sa.Connection, kind: str, person_id: int, at_ms: int) -> Sequence[int]:
        """Erase, and note it in the register before it is committed."""
        ids = erase_in(connection, kind, person_id, at_ms)
        connection.execute(
            sa.update(erasure)
            .where(erasure.c.kind == kind, erasure.c.person_id == person_id, erasure.c.done_at_ms.is_(None))
            .values(done_at_ms=at_ms)
        )
        persons = [ErasedPerson(kind, one, at_ms) for one in ids]
        note_in(connection, register_path(self._keys()), persons)
        return ids

    def _keys(self) -> Path:
        path = self._context.vault.path
        if path is None:
            raise InputError("the keyring has no file: nothing can be kept beside it")
        return path


def _lock_masters(connection: sa.Connection) -> None:
    """Let nobody seal keys of persons, nor change master keys, until the transaction ends."""
    connection.execute(sa.select(installation).with_for_update())


def _pending(connection: sa.Connection, kind: str, person_id: int) -> int | None:
    """Give the id of an erasure that is asked for and not done."""
    asked = sa.select(erasure.c.erasure_id).where(
        erasure.c.kind == kind, erasure.c.person_id == person_id, erasure.c.done_at_ms.is_(None)
    )
    found: int | None = connection.scalar(asked)
    return found
