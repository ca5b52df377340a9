"""The points ledger: entries that are added and never changed, and what is left of each.

An account's net is the sum of its entries. While it is positive it is the balance, which the lots hold: what
is left of each entry that brought points, spent in the sequence in which they expire. Where points are taken
back after they were spent the net falls below zero: the balance stays 0, the rest is a *debt*, and whatever
comes in next pays it first. So ``balance - debt`` equals the sum of the entries, ``balance`` that of the
lots, and one of the two is 0. All of it holds at every commit: each writer locks customer and account rows
first.

Everything here works on a connection of somebody else's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import check_not_before
from dispatch.crm.loyalty.standing import Standing, Standings, standing_in
from dispatch.crm.outbox import announce_in, announce_many_in
from dispatch.crm.tables.loyalty import points_account, points_entry, points_lot, points_use
from dispatch.crm.tables.people import customer
from dispatch.crm.vertical import Vertical
from dispatch.errors import InputError, StateError
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

OF_ORDERS: Final = ("trip", "delivery")
"""What an order of the engine is: the one or the other, as the business has it."""
_CHANGED: Final = "points.changed"
# Written out, not as parameters: only so is a partial index known to cover them.
IS_LEFT: Final = sa.text("points_lot.remaining > 0")
"""That a lot holds points."""
IS_EARNED: Final = sa.text("points_entry.kind = 'earn' AND points_entry.order_id IS NOT NULL")
"""That an entry was earned on an order."""
IS_OF_ORDER: Final = sa.text("points_entry.kind <> 'earn' AND points_entry.order_id IS NOT NULL")
"""That an entry of another kind has to do with an order."""


@dataclass(slots=True)
class Account:
    """A locked row; :func:`save_in` writes what became of it."""

    customer_id: int
    balance: int
    debt: int
    last_at_ms: int
    scope_id: int
    tier: int

    def add(self, points: int) -> None:
        """Let the net rise or fall."""
        net = self.balance - self.debt + points
        self.balance, self.debt = max(net, 0), max(-net, 0)


def points_for(
    vertical: Vertical,
    on: Iterable[str],
    cents: NDArray[np.int64],
    tier: NDArray[np.int64],
    product: str = "",
) -> NDArray[np.int64]:
    """Give the points that the rules of a business grant.

    Parameters
    ----------
    vertical
    on : of str
        Rules for these count, all that fit.
    cents : (n,) int64
    tier : (n,) int64
        Rows of the vertical's tiers.
    product : str
        Of energy, or the activity.

    Returns
    -------
    (n,) int64
    """
    wanted, total = set(on), np.zeros(len(cents), np.int64)
    for rule in vertical.earn:
        if rule.on not in wanted or rule.product not in ("", product):
            continue
        gained = np.full(len(cents), rule.flat, np.int64)
        if rule.per_cents:
            gained += cents // rule.per_cents * rule.points
        if rule.tiers:
            gained[~np.isin(tier, [vertical.tier_row[name] for name in rule.tiers])] = 0
        total += gained
    return total


def accounts_in(connection: sa.Connection, standings: Iterable[Standing]) -> dict[int, Account]:
    """Lock the accounts of customers whose rows are locked; made where there are none."""
    of = {one.customer_id: one for one in standings}
    ids = sorted(of)
    found = (
        sa.select(points_account)
        .where(bulk.among(connection, points_account.c.customer_id, ids))
        .order_by(points_account.c.customer_id)
        .with_for_update()
    )
    rows = connection.execute(found).all()
    if len(rows) < len(ids):
        there = {row.customer_id for row in rows}
        bulk.insert(connection, points_account, {"customer_id": [one for one in ids if one not in there]})
        rows = connection.execute(found).all()
    accounts = {}
    for customer_id, balance, debt, last_at_ms in rows:
        one = of[customer_id]
        accounts[customer_id] = Account(customer_id, balance, debt, last_at_ms, one.scope_id, one.tier)
    return accounts


def account_in(connection: sa.Connection, vertical: Vertical, customer_id: int, at_ms: int) -> Account:
    """Lock one account for a command, with what is due by now expired.

    Raises
    ------
    InputError
        The account has seen a later instant.
    StateError
        The customer is not active.
    """
    standing = standing_in(connection, vertical, [customer_id]).get(customer_id)
    if standing is None or not standing.is_active:
        raise StateError(f"customer {customer_id} is not active: points can neither come nor go")
    account = accounts_in(connection, [standing])[standing.customer_id]
    check_not_before("at_ms", at_ms, account.last_at_ms, f"the last entry of customer {account.customer_id}")
    account.last_at_ms = at_ms
    due = [lot for lot in _lots(connection, account.customer_id) if lot.expires_at_ms <= at_ms]
    for lot in due:
        add_in(connection, account, "expire", -lot.remaining, at_ms, source_entry_id=lot.entry_id)
    if due:
        _set_remaining(connection, {lot.entry_id: 0 for lot in due})
        tell_in(connection, account, -sum(lot.remaining for lot in due), at_ms, "expire")
    return account


def save_in(connection: sa.Connection, account: Account) -> None:
    """Write what became of an account."""
    changed = {name: getattr(account, name) for name in ("balance", "debt", "last_at_ms")}
    mine = points_account.c.customer_id == account.customer_id
    connection.execute(sa.update(points_account).where(mine).values(changed))


def add_in(
    connection: sa.Connection, account: Account, kind: str, points: int, at_ms: int, **more: Any
) -> int:
    """Add an entry; gives its id. Lots are the caller's: see :func:`gain_in` and :func:`spend_in`."""
    entry = {"customer_id": account.customer_id, "kind": kind, "points": points, "at_ms": at_ms}
    added = connection.execute(sa.insert(points_entry).values(**entry, **more))
    account.add(points)
    return int(added.inserted_primary_key[0])  # type: ignore[index]  # an insertion of one row has one


def gain_in(
    connection: sa.Connection, account: Account, kind: str, points: int, at_ms: int, **more: Any
) -> int:
    """Add an entry that brings points, `expires_at_ms` told with it: debts first, then its lot."""
    paid = min(account.debt, points)
    entry_id = add_in(connection, account, kind, points, at_ms, **more)
    lot = {"entry_id": entry_id, "customer_id": account.customer_id, "expires_at_ms": more["expires_at_ms"]}
    connection.execute(sa.insert(points_lot).values(**lot, remaining=points - paid))
    return entry_id


def spend_in(
    connection: sa.Connection, account: Account, kind: str, points: int, at_ms: int, **more: Any
) -> int:
    """Add an entry that takes points (told positive), out of lots by expiry, the rest as a debt."""
    used = _take(connection, account, points)
    entry_id = add_in(connection, account, kind, -points, at_ms, **more)
    rows = [{"entry_id": entry_id, "lot_entry_id": lot, "points": part} for lot, part in used.items()]
    if rows:
        connection.execute(sa.insert(points_use), rows)
    return entry_id


def take_back_in(connection: sa.Connection, account: Account, entry: Any, at_ms: int, reason: str) -> None:
    """Roll back an entry that brought points: out of its own lot, then out of others, the rest a debt.

    What expired of it is gone already and not taken a second time.
    """
    origins = _origins(connection, entry.entry_id)
    gone = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(points_entry.c.points), 0)).where(
            points_entry.c.kind == "expire", bulk.among(connection, points_entry.c.source_entry_id, origins)
        )
    ).scalar_one()
    points = entry.points + int(gone)
    _take(connection, account, points, first=origins)
    more = {"source_entry_id": entry.entry_id, "order_id": entry.order_id, "reason": reason}
    add_in(connection, account, "rollback", -points, at_ms, key=f"rollback:{entry.entry_id}", **more)


def give_back_in(connection: sa.Connection, account: Account, entry: Any, at_ms: int, reason: str) -> None:
    """Roll back a redemption: the points come back and expire when they would have expired before.

    A customer could otherwise let old points live longer by redeeming and cancelling.
    """
    uses = connection.execute(
        sa.select(points_use.c.points, points_lot.c.expires_at_ms)
        .join(points_lot, points_lot.c.entry_id == points_use.c.lot_entry_id)
        .where(points_use.c.entry_id == entry.entry_id)
        .order_by(points_lot.c.expires_at_ms, points_lot.c.entry_id)
    ).all()
    for row, (points, expires_at_ms) in enumerate(uses):
        more = {"source_entry_id": entry.entry_id, "order_id": entry.order_id, "reason": reason}
        key = f"rollback:{entry.entry_id}" if row == 0 else None
        more |= {"expires_at_ms": expires_at_ms, "key": key}
        gain_in(connection, account, "rollback", points, at_ms, **more)


@dataclass(frozen=True)
class Gains:
    """Points (n,) that facts bring, in the sequence in which they do.

    Facts may arrive after a later command: an entry keeps its own instant, and none is refused.
    """

    owner: Sequence[Standing]
    points: Sequence[int]
    kind: Sequence[str]
    """earn or grant"""
    at_ms: Sequence[int]
    order_id: Sequence[int | None]
    reason: Sequence[str | None]
    key: Sequence[str | None]
    """of idempotency; orders that earn have their own"""


def gain_many_in(connection: sa.Connection, vertical: Vertical, gains: Gains) -> None:
    """Add entries that bring points, and their lots; debts are paid first, and each entry is announced.

    Customers are locked already.
    """
    if not len(gains.owner):
        return
    mine = np.array([owner.customer_id for owner in gains.owner], np.int64)
    points, at_ms = np.array(gains.points, np.int64), np.array(gains.at_ms, np.int64)
    ids, first, row = np.unique(mine, return_index=True, return_inverse=True)
    accounts = _accounts(connection, ids, [gains.owner[one].scope_id for one in first.tolist()])
    entry_ids = bulk.next_ids(connection, points_entry, len(mine))
    expires_at_ms = at_ms + vertical.points.expire_after_days * MS_PER_DAY
    lot = {"entry_id": entry_ids, "customer_id": mine, "expires_at_ms": expires_at_ms}
    told = {name: getattr(gains, name) for name in ("kind", "order_id", "reason", "key")}
    bulk.insert(connection, points_entry, {**lot, **told, "points": points, "at_ms": at_ms})
    bulk.insert(connection, points_lot, {**lot, "remaining": _after_debts(points, accounts.debt, row)})
    net, scope_of = (accounts.balance - accounts.debt).tolist(), accounts.scope_id
    data = []
    for one, gained, kind in zip(row.tolist(), gains.points, gains.kind, strict=True):
        net[one] += gained
        sides = {"balance": max(net[one], 0), "debt": max(-net[one], 0)}
        data.append({"kind": kind, "points": int(gained), **sides})
    last = accounts.last_at_ms.copy()
    np.maximum.at(last, row, at_ms)
    _save_many(connection, ids, np.array(net, np.int64), last)
    scopes = [scope_of[one] for one in row.tolist()]
    announce_many_in(connection, _CHANGED, "customer", mine.tolist(), at_ms.tolist(), data, scopes)


def earned_in(connection: sa.Connection, order_ids: Sequence[int]) -> set[int]:
    """Give those of orders (n,) that were earned on: each is once, however often it is told.

    To be asked under the locks of their customers: the same orders may be told in two transactions at once.
    """
    return {row[0] for row in _EARNED.rows(connection, orders=order_ids)}


def reward_in(
    connection: sa.Connection,
    vertical: Vertical,
    customer_id: Sequence[int],
    occasion: Sequence[tuple[int | None, str]],
    points: int,
    at_ms: Sequence[int],
    reason: str,
    standing: Standings | None = None,
) -> None:
    """Grant points to customers (n,) on occasions (n,), each once.

    An occasion is the order that it was, None where it was none, and the key of the entry. As of
    :class:`Gains`, late facts are not refused; who is not active gets nothing.
    """
    if standing is None:
        standing = standing_in(connection, vertical, customer_id)
    told = [
        (standing[one], order, when, key)
        for one, (order, key), when in zip(customer_id, occasion, at_ms, strict=True)
        if one in standing and standing[one].is_active
    ]
    if not told or not points:
        return
    owners, orders, instants, keys = zip(*told, strict=True)
    num = len(told)
    of_all = ([points] * num, ["grant"] * num, instants, orders, [reason] * num, keys)
    gain_many_in(connection, vertical, Gains(owners, *of_all))


def expire_in(connection: sa.Connection, at_ms: int) -> tuple[int, int]:
    """Expire all lots that are due, of all customers; gives how many lots and points."""
    due = sa.and_(IS_LEFT, points_lot.c.expires_at_ms <= at_ms)
    owners = connection.execute(sa.select(points_lot.c.customer_id).where(due).distinct()).scalars().all()
    if not owners:
        return 0, 0
    # Under the locks no lot of these accounts changes between the statements below.
    rows = connection.execute(
        sa.select(customer.c.customer_id, customer.c.scope_id)
        .where(bulk.among(connection, customer.c.customer_id, owners))
        .order_by(customer.c.customer_id)
        .with_for_update()
    ).all()
    ids = np.array([row.customer_id for row in rows], np.int64)
    accounts = _accounts(connection, ids, [row.scope_id for row in rows])
    due = sa.and_(due, bulk.among(connection, points_lot.c.customer_id, ids))
    sums = connection.execute(
        sa.select(points_lot.c.customer_id, sa.func.sum(points_lot.c.remaining), sa.func.count())
        .where(due)
        .group_by(points_lot.c.customer_id)
    ).all()
    if not sums:
        return 0, 0
    lot = points_lot.c
    columns = [lot.customer_id, sa.literal("expire"), -lot.remaining, sa.literal(at_ms, sa.BigInteger)]
    names = ["customer_id", "kind", "points", "at_ms", "source_entry_id"]
    rows_due = sa.select(*columns, lot.entry_id).where(due).order_by(lot.expires_at_ms, lot.entry_id)
    connection.execute(sa.insert(points_entry).from_select(names, rows_due))
    connection.execute(sa.update(points_lot).where(due).values(remaining=0))
    change = np.zeros(len(ids), np.int64)
    change[np.searchsorted(ids, [row[0] for row in sums])] = [-int(row[1]) for row in sums]
    _credit(connection, accounts, change, np.full(len(ids), at_ms), "expire")
    return sum(row[2] for row in sums), -int(change.sum())


def merge_in(connection: sa.Connection, vertical: Vertical, from_id: int, into_id: int, at_ms: int) -> None:
    """Move the points of a customer to another one, lot by lot, each with its own expiry; a debt as well."""
    rows = connection.execute(
        sa.select(customer.c.customer_id, customer.c.scope_id, customer.c.tier)
        .where(customer.c.customer_id.in_([from_id, into_id]))
        .order_by(customer.c.customer_id)
        .with_for_update()
    ).all()
    standings = [Standing(row[0], vertical.tier_row.get(row[2], 0), row[1], True) for row in rows]
    accounts = accounts_in(connection, standings)
    if len(accounts) != 2:
        raise InputError(f"customers {from_id} and {into_id}: both must be known, and be two")
    old, new = accounts[from_id], accounts[into_id]
    moved, debt = old.balance, old.debt
    for lot in _lots(connection, from_id):
        more = {"source_entry_id": lot.entry_id, "reason": "merge"}
        add_in(connection, old, "transfer", -lot.remaining, at_ms, **more)
        _set_remaining(connection, {lot.entry_id: 0})
        more["expires_at_ms"] = lot.expires_at_ms
        gain_in(connection, new, "transfer", lot.remaining, at_ms, **more)
    if debt:
        entry_id = add_in(connection, old, "transfer", debt, at_ms, reason="merge")
        more = {"source_entry_id": entry_id, "reason": "merge"}
        spend_in(connection, new, "transfer", debt, at_ms, **more)
    for account in (old, new):
        account.last_at_ms = max(account.last_at_ms, at_ms)
        save_in(connection, account)
    if moved or debt:
        tell_in(connection, new, moved - debt, at_ms, "transfer")


def tell_in(connection: sa.Connection, account: Account, points: int, at_ms: int, kind: str) -> None:
    """Tell the outbox that an account changed, ``points.changed``: by how much, and what it holds now."""
    data = {"kind": kind, "points": points, "balance": account.balance, "debt": account.debt}
    announce_in(connection, _CHANGED, "customer", account.customer_id, at_ms, data, account.scope_id)


def _lots(connection: sa.Connection, customer_id: int) -> Sequence[Any]:
    """Give what an account holds, in the sequence in which it is spent."""
    lot = points_lot.c
    mine = sa.select(points_lot).where(lot.customer_id == customer_id, IS_LEFT)
    return connection.execute(mine.order_by(lot.expires_at_ms, lot.entry_id)).all()


def _take(
    connection: sa.Connection, account: Account, points: int, first: Iterable[int] = ()
) -> dict[int, int]:
    """Take points out of lots, out of some of them first; gives how many of each."""
    preferred, wanted = set(first), points
    used, left = {}, {}
    lots = sorted(_lots(connection, account.customer_id), key=lambda lot: lot.entry_id not in preferred)
    for lot in lots:
        part = min(wanted, lot.remaining)
        if part:
            used[lot.entry_id], left[lot.entry_id] = part, lot.remaining - part
            wanted -= part
    _set_remaining(connection, left)
    return used


def _set_remaining(connection: sa.Connection, remaining: Mapping[int, int]) -> None:
    if not remaining:
        return
    change = sa.update(points_lot).where(points_lot.c.entry_id == sa.bindparam("lot"))
    rows = [{"lot": lot, "left": left} for lot, left in remaining.items()]
    connection.execute(change.values(remaining=sa.bindparam("left")), rows)


def _origins(connection: sa.Connection, entry_id: int) -> list[int]:
    """Give an entry and those by which its points moved on when customers were merged."""
    found, wanted = [entry_id], [entry_id]
    while wanted:
        moved = sa.select(points_entry.c.entry_id).where(
            bulk.among(connection, points_entry.c.source_entry_id, wanted),
            points_entry.c.kind == "transfer",
            points_entry.c.points > 0,
        )
        wanted = list(connection.execute(moved).scalars())
        found += wanted
    return found


_EARNED: Final = bulk.Prepared(
    sa.select(points_entry.c.order_id).where(IS_EARNED, bulk.among_told(points_entry.c.order_id, "orders"))
)
"""Those of orders that were earned on."""
_HELD: Final = bulk.Prepared(
    sa.select(points_account)
    .where(bulk.among_told(points_account.c.customer_id, "ids"))
    .order_by(points_account.c.customer_id)
    .with_for_update()
)


@dataclass(frozen=True)
class _Accounts:
    """Locked rows of many customers."""

    customer_id: NDArray[np.int64]
    """(n,) ascending"""
    scope_id: Sequence[int]
    """(n,)"""
    balance: NDArray[np.int64]
    debt: NDArray[np.int64]
    last_at_ms: NDArray[np.int64]
    """(n,) int64"""


def _accounts(connection: sa.Connection, ids: NDArray[np.int64], scope_ids: Sequence[int]) -> _Accounts:
    """Lock accounts of many customers (n,), ascending, whose rows are locked; made where there are none."""
    rows = np.array(_HELD.rows(connection, ids=ids), np.int64).reshape(-1, 4).T
    if rows.shape[1] < len(ids):
        bulk.insert(connection, points_account, {"customer_id": np.setdiff1d(ids, rows[0])})
        there = np.zeros((4, len(ids)), np.int64)
        there[:, np.searchsorted(ids, rows[0])] = rows
        rows = there
    return _Accounts(ids, scope_ids, *rows[1:])


def _after_debts(
    points: NDArray[np.int64], debt: NDArray[np.int64], row: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Give what is left of gains (n,) once each has paid what its account, a row of debts (m,), owes."""
    left, owed = points.copy(), debt.copy()
    for one in np.flatnonzero(debt[row]).tolist():
        paid = min(left[one], owed[row[one]])
        left[one] -= paid
        owed[row[one]] -= paid
    return left


def _credit(
    connection: sa.Connection,
    accounts: _Accounts,
    change: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    kind: str,
) -> None:
    """Add to accounts (n,), and announce each that changed."""
    net = accounts.balance - accounts.debt + change
    _save_many(connection, accounts.customer_id, net, np.maximum(accounts.last_at_ms, at_ms))
    told = np.flatnonzero(change)
    columns = [one[told].tolist() for one in (change, np.maximum(net, 0), np.maximum(-net, 0))]
    data = [
        {"kind": kind, "points": points, "balance": balance, "debt": debt}
        for points, balance, debt in zip(*columns, strict=True)
    ]
    ids, scopes = accounts.customer_id[told].tolist(), [accounts.scope_id[one] for one in told.tolist()]
    announce_many_in(connection, _CHANGED, "customer", ids, at_ms[told].tolist(), data, scopes)


def _save_many(
    connection: sa.Connection,
    customer_id: NDArray[np.int64],
    net: NDArray[np.int64],
    last_at_ms: NDArray[np.int64],
) -> None:
    """Write what became of accounts (n,)."""
    sides = {"balance": np.maximum(net, 0), "debt": np.maximum(-net, 0)}
    columns = {"customer_id": customer_id, **sides, "last_at_ms": last_at_ms}
    bulk.upsert(connection, points_account, columns)
