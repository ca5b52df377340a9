"""Points: earned on what customers buy and do, granted, redeemed, taken back, expired; see :mod:`.ledger`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.loyalty import ledger, order_owner
from dispatch.crm.loyalty.standing import standing_in
from dispatch.crm.people.idempotency import check_key
from dispatch.crm.rules import EARNING, MOST_CENTS, check_name, check_one_of
from dispatch.crm.tables.loyalty import points_account, points_entry, points_lot
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

MOST_POINTS: Final = 1_000_000_000
"""In one entry."""
MOST_ENTRIES: Final = 10_000
"""In one page."""
_OWN_KEYS: Final = "rollback:"


@dataclass(frozen=True)
class Entry:
    """One row of the ledger."""

    entry_id: int
    kind: str
    """earn, grant, redeem, rollback, expire or transfer"""
    points: int
    at_ms: int
    expires_at_ms: int | None
    order_id: int | None
    source_entry_id: int | None
    """what it takes back, expires or moves"""
    reason: str | None


@dataclass(frozen=True)
class Balance:
    """What a customer is told of their points."""

    customer_id: int
    points: int
    """to be redeemed now"""
    cents: int
    """what they are worth"""
    debt: int
    """taken back after they were spent: the next points pay it"""
    next_expires_at_ms: int | None
    next_expiring: int
    """points that expire then"""


@dataclass(frozen=True)
class Redeemed:
    """What a redemption took and gave."""

    entry_id: int
    points: int
    cents: int
    """off the fare; 0 where a reward was given"""


@dataclass(frozen=True)
class Gain:
    """What brings points: an activity, a fill-up, a delivery.

    Parameters
    ----------
    on : str
        ``trip``, ``delivery``, ``energy``, ``activity``.
    key : str
        Of idempotency: the same one earns once. ``energy:17``, ``activity:survey_3:customer_9``: made of ids,
        for it stays whoever is erased, and must hold nothing personal.
    cents : int
        What was paid.
    product : str
        Of energy, or which activity.
    order_id : int, optional
        Orders earn once, by whatever way.
    """

    on: str
    key: str
    cents: int = 0
    product: str = ""
    order_id: int | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_one_of("on", self.on, EARNING)
        _check_key(self.key)
        check_whole("cents", self.cents, 0, MOST_CENTS)
        if self.product:
            check_name("product", self.product)
        if self.order_id is not None:
            check_id("order_id", self.order_id)


class Points:
    """The points of customers.

    Every command is idempotent by its key: told again with the same values it answers the same and changes
    nothing; with others it is refused. Keys stay in the ledger, whoever is erased: they must hold nothing
    personal. A command at an instant before the account's last one is refused.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def earn(self, customer_id: int, gain: Gain, *, at_ms: int) -> int:
        """Let a customer earn by the rules of the business; gives the points, 0 where no rule grants any."""
        with self._context.acting("points.earn", ("customer", customer_id), at_ms=at_ms) as connection:
            return earn_in(connection, self._context, customer_id, gain, at_ms)

    def grant(self, customer_id: int, points: int, *, at_ms: int, reason: str, key: str) -> int:
        """Grant points by hand, which the audit notes; gives the entry's id.

        Parameters
        ----------
        customer_id, points : int
        at_ms : int
        reason : str
            A name, like ``goodwill``: no free text.
        key : str
            Of idempotency; nothing personal.
        """
        check_whole("points", points, 1, MOST_POINTS)
        check_name("reason", reason)
        _check_key(key)
        details = {"points": points, "reason": reason}
        target = ("customer", customer_id)
        with self._context.acting("points.grant", target, at_ms=at_ms, details=details) as connection:
            return grant_in(
                connection, self._context, customer_id, points, at_ms=at_ms, reason=reason, key=key
            )

    def redeem(
        self,
        customer_id: int,
        points: int,
        *,
        at_ms: int,
        key: str,
        reward: str = "",
        order_id: int | None = None,
    ) -> Redeemed:
        """Redeem points for cents off a fare, or for a reward; those that expire first are taken first.

        They are given back where the order comes to nothing, or turns out at its end to be another
        customer's: it may be told before its events are.

        Parameters
        ----------
        customer_id, points : int
        at_ms : int
        key : str
            Of idempotency; nothing personal.
        reward : str, optional
            A name.
        order_id : int, optional

        Raises
        ------
        InputError
            Fewer points than may be redeemed at once.
        StateError
            The customer has not so many; or the order is known to be another customer's, of another company,
            or to have come to nothing.
        """
        rule = self._context.vertical.points
        check_whole("points", points, 1, MOST_POINTS)
        if points < rule.least_redeemed:
            raise InputError(f"points is {points}: at least {rule.least_redeemed} are redeemed at once")
        _check_key(key)
        if reward:
            check_name("reward", reward)
        if order_id is not None:
            check_id("order_id", order_id)
        cents = 0 if reward else points * rule.cents_per_point
        more = {"reason": reward or "cents_off", "order_id": order_id, "key": key}
        with self._context.acting("points.redeem", ("customer", customer_id), at_ms=at_ms) as connection:
            told = {"kind": "redeem", "points": -points, **more}
            known = _known(connection, self._context, customer_id, key, told)
            if known is not None:
                return Redeemed(known.entry_id, points, cents)
            if order_id is not None:
                order_owner.check_in(connection, customer_id, order_id, order_owner.VAIN)
            account = ledger.account_in(connection, self._context.vertical, customer_id, at_ms)
            if account.balance < points:
                raise StateError(
                    f"customer {customer_id} has {account.balance} points: {points} are too many"
                )
            entry_id = ledger.spend_in(connection, account, "redeem", points, at_ms, **more)
            ledger.tell_in(connection, account, -points, at_ms, "redeem")
            ledger.save_in(connection, account)
        return Redeemed(entry_id, points, cents)

    def roll_back(self, customer_id: int, entry_id: int, *, at_ms: int, reason: str) -> Balance:
        """Take back what was earned or granted, or give back what was redeemed; once.

        Earned points that are spent already become a debt, which the next points pay: the balance never falls
        below zero. What expired meanwhile is not taken again; what is given back expires when it would have.

        Raises
        ------
        InputError
            The customer has no such entry.
        StateError
            It was rolled back before, or is of a kind that cannot be.
        """
        check_id("entry_id", entry_id)
        check_name("reason", reason)
        details = {"entry_id": entry_id, "reason": reason}
        target = ("customer", customer_id)
        with self._context.acting("points.roll_back", target, at_ms=at_ms, details=details) as connection:
            found = sa.select(points_entry).where(
                points_entry.c.entry_id == entry_id, points_entry.c.customer_id == customer_id
            )
            entry = connection.execute(found).one_or_none()
            if entry is None:
                raise InputError(f"entry_id is {entry_id}: customer {customer_id} has no such entry")
            account = roll_back_in(connection, self._context, entry, at_ms, reason)
            return _balance(connection, self._context, account.customer_id, at_ms)

    def expire(self, *, at_ms: int) -> tuple[int, int]:
        """Expire what is due, of all customers at once; gives how many lots, and points."""
        check_instant("at_ms", at_ms)
        with self._context.acting("points.expire", at_ms=at_ms) as connection:
            return ledger.expire_in(connection, at_ms)

    def balance(self, customer_id: int, *, at_ms: int) -> Balance:
        """Tell what a customer has, without what is due to expire by now."""
        check_instant("at_ms", at_ms)
        with self._context.looking("points.read", ("customer", customer_id)) as connection:
            return _balance(connection, self._context, customer_id, at_ms)

    def entries(self, customer_id: int, *, after: int = 0, limit: int = 100) -> list[Entry]:
        """Give entries in their sequence, from behind one of them."""
        check_id("after", after)
        check_whole("limit", limit, 1, MOST_ENTRIES)
        names = Entry.__dataclass_fields__
        with self._context.looking("points.read", ("customer", customer_id)) as connection:
            rows = connection.execute(
                sa.select(*(points_entry.c[name] for name in names))
                .where(points_entry.c.customer_id == customer_id, points_entry.c.entry_id > after)
                .order_by(points_entry.c.entry_id)
                .limit(limit)
            )
            return [Entry(*row) for row in rows]


def earn_in(connection: sa.Connection, context: Context, customer_id: int, gain: Gain, at_ms: int) -> int:
    """Let a customer earn within somebody else's transaction; gives the points: see :meth:`Points.earn`."""
    vertical = context.vertical
    told = {"kind": "earn", "order_id": gain.order_id, "reason": gain.product or gain.on}
    known = _known(connection, context, customer_id, gain.key, told)
    if known is not None:
        return int(known.points)
    account = ledger.account_in(connection, vertical, customer_id, at_ms)
    cents, tier = np.array([gain.cents], np.int64), np.array([account.tier], np.int64)
    points = int(ledger.points_for(vertical, [gain.on], cents, tier, gain.product)[0])
    if points:
        expires_at_ms = at_ms + vertical.points.expire_after_days * MS_PER_DAY
        more = {"order_id": gain.order_id, "reason": gain.product or gain.on, "key": gain.key}
        ledger.gain_in(connection, account, "earn", points, at_ms, expires_at_ms=expires_at_ms, **more)
        ledger.tell_in(connection, account, points, at_ms, "earn")
    ledger.save_in(connection, account)
    return points


def grant_in(
    connection: sa.Connection,
    context: Context,
    customer_id: int,
    points: int,
    *,
    at_ms: int,
    reason: str,
    key: str,
) -> int:
    """Grant points within somebody else's transaction; gives the entry's id."""
    told = {"kind": "grant", "points": points, "reason": reason}
    known = _known(connection, context, customer_id, key, told)
    if known is not None:
        return int(known.entry_id)
    account = ledger.account_in(connection, context.vertical, customer_id, at_ms)
    expires_at_ms = at_ms + context.vertical.points.expire_after_days * MS_PER_DAY
    entry_id = ledger.gain_in(
        connection, account, "grant", points, at_ms, expires_at_ms=expires_at_ms, reason=reason, key=key
    )
    ledger.tell_in(connection, account, points, at_ms, "grant")
    ledger.save_in(connection, account)
    return entry_id


def roll_back_in(
    connection: sa.Connection, context: Context, entry: Any, at_ms: int, reason: str
) -> ledger.Account:
    """Roll back an entry, a row of ``points_entry``; :class:`StateError` where that is not possible."""
    if entry.kind not in ("earn", "grant", "redeem"):
        raise StateError(f"entry {entry.entry_id} is of kind {entry.kind!r}: it cannot be rolled back")
    account = ledger.account_in(connection, context.vertical, entry.customer_id, at_ms)
    if entry_of_key(connection, f"{_OWN_KEYS}{entry.entry_id}") is not None:
        raise StateError(f"entry {entry.entry_id} was rolled back before")
    net = account.balance - account.debt
    take = ledger.give_back_in if entry.kind == "redeem" else ledger.take_back_in
    take(connection, account, entry, at_ms, reason)
    change = account.balance - account.debt - net
    ledger.tell_in(connection, account, change, at_ms, "rollback")
    ledger.save_in(connection, account)
    return account


def roll_back_orders_in(
    connection: sa.Connection, context: Context, order_ids: list[int], at_ms: int, reason: str
) -> int:
    """Roll back all that was earned or redeemed on orders (n,), as when they are refunded; gives how many."""
    # One question for each of the two indices by order.
    on_orders = bulk.among(connection, points_entry.c.order_id, order_ids)
    redeemed = sa.and_(ledger.IS_OF_ORDER, points_entry.c.kind == "redeem")
    rows = [
        row
        for which in (ledger.IS_EARNED, redeemed)
        for row in connection.execute(sa.select(points_entry).where(which, on_orders))
    ]
    rows.sort(key=lambda row: (row.customer_id, row.entry_id))
    num = 0
    for row in rows:
        if entry_of_key(connection, f"{_OWN_KEYS}{row.entry_id}") is None:
            roll_back_in(connection, context, row, at_ms, reason)
            num += 1
    return num


def give_back_orders_in(
    connection: sa.Connection,
    context: Context,
    order_ids: Sequence[int],
    at_ms: Sequence[int],
    by: Collection[int] | None = None,
) -> int:
    """Give back what was redeemed on orders (n,) that came to nothing; gives how many entries that were.

    Facts may come late: where the account has seen a later instant, that one is noted. Who is not active any
    more gets nothing. `by` tells customers whose redemptions alone are meant.
    """
    found = [row for row in _REDEEMED.rows(connection, orders=order_ids) if by is None or row[1] in by]
    if not found:
        return 0
    when, num = dict(zip(order_ids, at_ms, strict=True)), 0
    standing = standing_in(connection, context.vertical, [row[1] for row in found])
    for entry_id, customer_id, order_id in found:
        owner = standing.get(customer_id)
        if owner is None or not owner.is_active:
            continue
        (account,) = ledger.accounts_in(connection, [owner]).values()
        # Asked under the lock of the account.
        if entry_of_key(connection, f"{_OWN_KEYS}{entry_id}") is None:
            entry = connection.execute(
                sa.select(points_entry).where(points_entry.c.entry_id == entry_id)
            ).one()
            instant = max(when[order_id], account.last_at_ms)
            roll_back_in(connection, context, entry, instant, "order_ended")
            num += 1
    return num


def redeemed_orders_in(connection: sa.Connection, order_ids: Sequence[int]) -> dict[int, list[int]]:
    """Give those of orders (n,) on which points were redeemed, with the customers who did."""
    found: dict[int, list[int]] = {}
    for _, customer_id, order_id in _REDEEMED.rows(connection, orders=order_ids):
        found.setdefault(order_id, []).append(customer_id)
    return found


_REDEEMED: Final = bulk.Prepared(
    sa.select(points_entry.c.entry_id, points_entry.c.customer_id, points_entry.c.order_id)
    .where(
        ledger.IS_OF_ORDER,
        points_entry.c.kind == "redeem",
        bulk.among_told(points_entry.c.order_id, "orders"),
    )
    .order_by(points_entry.c.customer_id, points_entry.c.entry_id)
)


def entry_of_key(connection: sa.Connection, key: str) -> Any:
    """Give the entry that a key of idempotency made, None if there is none yet."""
    found = sa.select(points_entry).where(points_entry.c.key == key, points_entry.c.key.is_not(None))
    return connection.execute(found).one_or_none()


def _check_key(key: str) -> None:
    check_key("key", key)
    if key.startswith(_OWN_KEYS):
        raise InputError(f"key is {key!r}: keys that begin with {_OWN_KEYS} are the ledger's own")


def _known(
    connection: sa.Connection, context: Context, customer_id: int, key: str, told: dict[str, Any]
) -> Any:
    """Give the entry that a command made before; :class:`InputError` if it was another command."""
    known = entry_of_key(connection, key)
    if known is None:
        return None
    if known.customer_id != customer_id:
        standing = standing_in(connection, context.vertical, [customer_id]).get(customer_id)
        if standing is None or standing.customer_id != known.customer_id:
            raise InputError(f"key is {key!r}: it was used for another customer")
    for name, value in told.items():
        if getattr(known, name) != value:
            before = getattr(known, name)
            raise InputError(
                f"key is {key!r}: it was used with another {name}, {before!r} instead of {value!r}"
            )
    return known


def _balance(connection: sa.Connection, context: Context, customer_id: int, at_ms: int) -> Balance:
    account = points_account.c
    debt = sa.select(account.debt).where(account.customer_id == customer_id)
    lots = connection.execute(
        sa.select(points_lot.c.expires_at_ms, sa.func.sum(points_lot.c.remaining))
        .where(
            points_lot.c.customer_id == customer_id,
            ledger.IS_LEFT,
            points_lot.c.expires_at_ms > at_ms,
        )
        .group_by(points_lot.c.expires_at_ms)
        .order_by(points_lot.c.expires_at_ms)
    ).all()
    points = sum(int(row[1]) for row in lots)
    next_at_ms, next_points = (lots[0][0], int(lots[0][1])) if lots else (None, 0)
    cents = points * context.vertical.points.cents_per_point
    owed = int(connection.execute(debt).scalar() or 0)
    return Balance(customer_id, points, cents, owed, next_at_ms, next_points)
