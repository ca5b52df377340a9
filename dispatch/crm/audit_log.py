"""The audit as those who look after it meet it: checked, signed, read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dispatch.crm.audit import signed_head, verify
from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.objects import KINDS
from dispatch.crm.paging import Page, after, check_page, page_of
from dispatch.crm.permissions import check_actor_text, permissions
from dispatch.crm.refusals import PREFIX
from dispatch.crm.rules import check_one_of
from dispatch.crm.tables.people import audit
from dispatch.errors import InputError, StoreError
from dispatch.store.chain import Head


@dataclass(frozen=True)
class AuditEntry:
    """Who did what to which row, or was refused it."""

    seq: int
    at_ms: int
    actor: str
    role: str
    action: str
    kind: str | None
    object_id: int | None
    scope_id: int | None
    """of the row; of a refusal, the actor's own"""
    details: Mapping[str, Any]
    refused: bool = False


@dataclass(frozen=True)
class AuditFilter:
    """Which entries to read; None: all.

    Parameters
    ----------
    actor, action : str, optional
    target : (str, int), optional
        Kind and id of an object.
    from_ms, until_ms : int, optional
        The second one is not within.
    refused : bool, optional
        True: attempts that were refused alone; False: what was done alone.
    """

    actor: str | None = None
    action: str | None = None
    target: tuple[str, int] | None = None
    from_ms: int | None = None
    until_ms: int | None = None
    refused: bool | None = None

    def __post_init__(self) -> None:
        """Refuse unknown actions and what is no instant."""
        if self.actor is not None:
            check_actor_text("actor", self.actor)  # it is noted in the audit that it was asked for
        if self.action is not None:
            check_one_of("action", self.action, permissions().actions)
        if self.target is not None:
            if not isinstance(self.target, tuple) or len(self.target) != 2:
                raise InputError(f"target is {self.target!r}: it must be a kind and an id")
            check_one_of("target", self.target[0], tuple(KINDS))
            check_id("target", self.target[1])
        for name in ("from_ms", "until_ms"):
            if getattr(self, name) is not None:
                check_instant(name, getattr(self, name))
        if self.refused is not None and not isinstance(self.refused, bool):
            raise InputError(f"refused is {self.refused!r}: it must be true or false")

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Give what entries must fulfil."""
        found: list[sa.ColumnElement[bool]] = [] if self.actor is None else [audit.c.actor == self.actor]
        if self.action is not None:
            found.append(audit.c.action.in_([self.action, PREFIX + self.action]))
        if self.refused is not None:
            is_refusal = audit.c.action.startswith(PREFIX)
            found.append(is_refusal if self.refused else sa.not_(is_refusal))
        if self.target is not None:
            found += [audit.c.kind == self.target[0], audit.c.object_id == self.target[1]]
        if self.from_ms is not None:
            found.append(audit.c.at_ms >= self.from_ms)
        if self.until_ms is not None:
            found.append(audit.c.at_ms < self.until_ms)
        return found


class AuditLog:
    """Checks the audit, signs how far it goes, and reads it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def verify(self, head: Head | None = None, public_key: bytes | None = None) -> int:
        """Check every entry; gives their number.

        Parameters
        ----------
        head : Head, optional
            Signed earlier and kept elsewhere: without it, a log that was written anew as a whole, or cut
            together with its own end, seems right.
        public_key : bytes, optional
            That must have signed the head; by default the keyring's.

        Raises
        ------
        StoreError
            An entry was changed, removed, added or cut off: the first one is named.
        """
        expected = self._context.vault.keyring.public_key() if public_key is None else public_key
        with self._context.looking("audit.verify") as connection:
            return verify(connection, head, None if head is None else expected)

    def num_refused(self) -> int:
        """Count the entries of refused attempts; who may check the audit may."""
        with self._context.looking("audit.verify") as connection:
            wanted = sa.select(sa.func.count()).where(audit.c.action.startswith(PREFIX))
            return connection.scalar(wanted) or 0

    def head(self, *, at_ms: int, path: Path | None = None) -> Head:
        """Sign how far the audit goes, and write it to a file for another place than the database's.

        Raises
        ------
        InputError
            There is a file of that name already that holds something else.
        """
        check_instant("at_ms", at_ms)
        if path is not None and path.exists():
            try:
                Head.load(path)
            except StoreError as error:
                raise InputError(
                    f"{path}: there is such a file, which is no head; it is not replaced"
                ) from error
        with self._context.looking("audit.head") as connection:
            signed = signed_head(connection, self._context.vault.keyring, at_ms)
        if path is not None:
            signed.save(path)
        return signed

    def entries(
        self,
        wanted: AuditFilter | None = None,
        *,
        at_ms: int,
        limit: int = 100,
        token: str | None = None,
    ) -> Page[AuditEntry]:
        """List entries within reach, the latest first; that they were read is an entry itself."""
        check_page(limit)
        told = AuditFilter() if wanted is None else wanted
        what = ["audit", *(value for value in vars(told).values())]
        place = after(self._context.vault, what, token)
        query = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit + 1).where(*told.conditions())
        if place is not None:
            query = query.where(audit.c.seq < place[0])
        noted = {name: value for name, value in vars(told).items() if value is not None}
        with self._context.listing("audit.read", audit.c.scope_id, at_ms=at_ms, details=noted) as (
            connection,
            within,
        ):
            rows = [_entry(row) for row in connection.execute(query.where(within))]
        return page_of(self._context.vault, what, rows, limit, [[row.seq] for row in rows])


def _entry(row: sa.Row[Any]) -> AuditEntry:
    told = dict(row._mapping)
    del told["hash"]
    told["refused"] = row.action.startswith(PREFIX)
    told["action"] = row.action.removeprefix(PREFIX)
    return AuditEntry(**told | {"details": json.loads(row.details)})
