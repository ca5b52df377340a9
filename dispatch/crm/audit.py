"""The audit: who did what to which row, append-only and chained by hashes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.permissions import Actor
from dispatch.crm.tables.people import audit, audit_head
from dispatch.errors import StoreError
from dispatch.store.chain import START, Head, canonical, link
from dispatch.store.sealing import Keyring

_AT_ONCE: Final = 10_000
_COVERED: Final = ("seq", "at_ms", "actor", "role", "action", "kind", "object_id", "scope_id", "details")


def begin(connection: sa.Connection) -> None:
    """Start an empty chain, in a new database."""
    connection.execute(sa.insert(audit_head).values(only=1, seq=0, hash=START))


def lock(connection: sa.Connection) -> sa.Row[Any]:
    """Let nobody else append until the transaction ends; gives the head."""
    return connection.execute(sa.select(audit_head).with_for_update()).one()


def append(
    connection: sa.Connection,
    actor: Actor,
    action: str,
    at_ms: int,
    targets: list[tuple[str | None, int | None, int | None]],
    details: Mapping[str, Any],
) -> None:
    """Add an entry for each target (kind, id, scope), last of all in a transaction: it locks the head."""
    head = lock(connection)
    seq, hash_, text = head.seq, head.hash, canonical(dict(details)).decode()
    rows = []
    for kind, object_id, scope_id in targets:
        seq += 1
        entry = dict(
            zip(
                _COVERED,
                (seq, at_ms, actor.name, actor.role, action, kind, object_id, scope_id, text),
                strict=True,
            )
        )
        hash_ = link(hash_, canonical(entry))
        rows.append({**entry, "hash": hash_})
    connection.execute(sa.insert(audit), rows)
    connection.execute(sa.update(audit_head).values(seq=seq, hash=hash_))


def signed_head(connection: sa.Connection, keyring: Keyring, at_ms: int) -> Head:
    """Sign how far the audit goes; keep it where those who can write to the database cannot."""
    head = connection.execute(sa.select(audit_head)).one()
    return Head.signed(keyring, head.seq, head.hash, at_ms)


def verify(connection: sa.Connection, head: Head | None = None, public_key: bytes | None = None) -> int:
    """Check every entry, and that the log goes at least as far as a head that was signed earlier.

    Returns
    -------
    int
        Number of entries.

    Raises
    ------
    StoreError
        An entry was changed, removed, added or cut off: the first one is named.
    """
    ends = [(row.seq, row.hash) for row in connection.execute(sa.select(audit_head))]
    return verify_entries(_rows(connection), ends, head, public_key)


def verify_entries(
    entries: Iterable[Mapping[str, Any]],
    ends: Sequence[tuple[int, bytes]],
    head: Head | None = None,
    public_key: bytes | None = None,
) -> int:
    """Check entries as :meth:`verify` does, wherever they come from.

    Parameters
    ----------
    entries : iterable of mapping
        (n,) rows of the table, by their sequence.
    ends : sequence of (int, bytes)
        Rows of ``audit_head``: sequence and hash of the last entry, of which there must be one.
    head : Head, optional
        Signed earlier, kept elsewhere.
    public_key : bytes, optional
        That must have signed it.
    """
    if head is not None:
        head.check(public_key)
    hash_, seq, at_head = START, 0, head is None or (head.seq == 0 and head.hash == START)
    for row in entries:
        seq += 1
        if row["seq"] != seq:
            raise StoreError(f"audit: entry {seq} is missing; the next one there is {row['seq']!r}")
        try:
            hash_ = link(hash_, canonical({name: row[name] for name in _COVERED}))
        except (TypeError, ValueError) as error:
            raise StoreError(f"audit: entry {seq} was changed: it holds what none does ({error})") from error
        if hash_ != row["hash"]:
            raise StoreError(f"audit: entry {seq} was changed, or one before it")
        if head is not None and seq == head.seq:
            at_head = hash_ == head.hash
            if not at_head:
                raise StoreError(f"audit: entries until {seq} are not those whose head was signed")
    if len(ends) != 1 or tuple(ends[0]) != (seq, hash_):
        raise StoreError(f"audit: it ends at entry {seq}, its head says otherwise; entries were cut or added")
    if not at_head and head is not None:
        raise StoreError(f"audit: it ends at entry {seq}, a head was signed at {head.seq}; entries were cut")
    return seq


def _rows(connection: sa.Connection) -> Iterator[Mapping[str, Any]]:
    """Read all entries in their sequence, some at a time."""
    query = sa.select(audit).order_by(audit.c.seq).limit(_AT_ONCE)
    later = query  # from the very first row: one that was put in before entry 1 must be met as well
    while True:
        found = connection.execute(later).all()
        for row in found:
            yield dict(row._mapping)
        if len(found) < _AT_ONCE:
            return
        later = query.where(audit.c.seq > found[-1].seq)
