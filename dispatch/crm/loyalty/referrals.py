"""Referrals: who won whom, and what both get once the new customer has bought for the first time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.loyalty import coupons, ledger
from dispatch.crm.loyalty.standing import Standing, Standings, standing_in
from dispatch.crm.people.persons import family_in, locked_in
from dispatch.crm.tables.loyalty import referral, referral_code
from dispatch.crm.tables.orders import customer_day, scope
from dispatch.crm.tables.people import customer
from dispatch.errors import InputError, StateError
from dispatch.store import bulk

_CODE_LETTERS: Final = 8
REASON: Final = "referral"
"""Why points are granted, as the ledger has it."""
ORDERS: Final = frozenset(("trip", "delivery"))
"""What an order of the engine is: the one or the other, as the business has it."""


@dataclass(frozen=True)
class Referral:
    """A customer whom another one won."""

    referee_id: int
    referrer_id: int
    at_ms: int
    state: str
    """waiting; rewarded; over_limit: the referrer had won as many that month as are rewarded"""
    order_id: int | None
    settled_at_ms: int | None
    purchase_id: int | None = None
    """of energy, where that was the first purchase, not an order"""


class Referrals:
    """Codes of customers, and whom they won by them."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def code(self, customer_id: int, *, at_ms: int, seed: int | None = None) -> str:
        """Give the code that a customer hands on, made at its first use."""
        with self._context.acting("referral.code", ("customer", customer_id), at_ms=at_ms) as connection:
            locked_in(connection, "customer", customer_id)
            found = sa.select(referral_code.c.code).where(referral_code.c.customer_id == customer_id)
            known = connection.execute(found).scalar_one_or_none()
            if known is not None:
                return str(known)
            code = coupons.new_codes(1, seed)[0][:_CODE_LETTERS]
            row = {"customer_id": customer_id, "code": code, "created_at_ms": at_ms}
            connection.execute(sa.insert(referral_code).values(row))
            return code

    def refer(self, referee_id: int, code: str, *, at_ms: int) -> int:
        """Note at registration by whose code a customer came; gives the referrer.

        Raises
        ------
        InputError
            The code is not known in the company, the customer's own, or that of somebody whom this customer
            won, directly or through others.
        StateError
            The customer came by a code before, or has bought something: it is too late.
        """
        with self._context.acting("referral.refer", ("customer", referee_id), at_ms=at_ms) as connection:
            return refer_in(connection, referee_id, code, at_ms)

    def won_by(self, customer_id: int) -> list[Referral]:
        """Give whom a customer won, oldest first."""
        with self._context.looking("referral.read", ("customer", customer_id)) as connection:
            rows = connection.execute(
                sa.select(*(referral.c[name] for name in Referral.__dataclass_fields__))
                .where(referral.c.referrer_id == customer_id)
                .order_by(referral.c.at_ms, referral.c.referee_id)
            )
            return [Referral(*row) for row in rows]


def refer_in(connection: sa.Connection, referee_id: int, code: str, at_ms: int) -> int:
    """Note within somebody else's transaction, a registration's, by whose code a customer came."""
    check_instant("at_ms", at_ms)
    table = customer.c
    owner = sa.select(referral_code.c.customer_id).where(referral_code.c.code == str(code).strip().upper())
    referrer_id = connection.execute(owner).scalar_one_or_none()
    if referrer_id == referee_id:
        raise InputError("code is the customer's own: nobody wins themselves")
    # Chains of referrals are judged under the locks of both.
    rows = connection.execute(
        sa.select(table.customer_id, table.scope_id, table.status)
        .where(table.customer_id.in_([referee_id, referrer_id]))
        .order_by(table.customer_id)
        .with_for_update()
    ).all()
    found = {row.customer_id: row for row in rows}
    referrer = found.get(referrer_id)
    if (
        referrer_id is None
        or referrer is None
        or referrer.status != "active"
        or _tenant(connection, referrer.scope_id) != _tenant(connection, found[referee_id].scope_id)
    ):
        raise InputError("code is not known: check its letters")
    before = sa.select(referral.c.referrer_id).where(referral.c.referee_id == referee_id)
    if connection.execute(before).scalar_one_or_none() is not None:
        raise StateError(f"customer {referee_id} came by a code before")
    own = customer_day.c.customer_id.in_(family_in(connection, referee_id))
    done = sa.select(sa.func.sum(customer_day.c.completed)).where(own)
    if connection.execute(done).scalar():
        raise StateError(f"customer {referee_id} has completed an order: referrals are told at registration")
    if referee_id in _chain(connection, referrer_id):
        raise InputError(f"code is that of customer {referrer_id}, whom customer {referee_id} won")
    row = {"referee_id": referee_id, "referrer_id": referrer_id, "at_ms": at_ms}
    connection.execute(sa.insert(referral).values(row))
    return int(referrer_id)


@dataclass(frozen=True)
class Reward:
    """What a referrer gets for somebody whom they won."""

    referrer: Standing
    order_id: int | None
    """None where energy was bought"""
    key: str
    """of the entry in the ledger: it rewards once"""
    at_ms: int


def settle_orders_in(
    connection: sa.Connection,
    context: Context,
    customer_id: Sequence[int],
    order_id: Sequence[int],
    at_ms: Sequence[int],
    standing: Standings,
) -> list[Reward]:
    """Settle the referrals of customers (n,) whose orders (n,) were completed, told in that sequence.

    Who was not referred, or is settled already, is not affected: the first completed order counts, where
    orders do by ``referral.on``. The referrer is to get what is given back, for at most
    ``referral.most_a_month`` customers in a calendar month (UTC): the ledger is the caller's. The customer
    gets a coupon in any case. They, and who won them, are locked already.
    """
    if not ORDERS & set(context.vertical.referral.on):
        return []
    first: dict[int, tuple[int, int]] = {}
    for one, order, at in zip(customer_id, order_id, at_ms, strict=True):
        # Orders keep the customer under whom they were made; the referrers' rows lock their monthly limits.
        first.setdefault(standing[one].customer_id if one in standing else one, (at, order))
    return _settle_in(connection, context, first, "order_id", standing)[1]


def reward_purchase_in(
    connection: sa.Connection, context: Context, customer_id: int, purchase_id: int, at_ms: int
) -> bool:
    """Reward the referral of a customer who bought energy, as :func:`reward_in`; tells if it was settled.

    Where ``energy`` is none of ``referral.on`` none is.
    """
    if "energy" not in context.vertical.referral.on:
        return False
    standing = standing_in(connection, context.vertical, [customer_id])
    if customer_id not in standing:
        return False
    first = {standing[customer_id].customer_id: (at_ms, purchase_id)}
    num, rewards = _settle_in(connection, context, first, "purchase_id", standing)
    for one in rewards:
        who = one.referrer.customer_id
        told = ([who], [(one.order_id, one.key)], context.vertical.referral.referrer_points, [one.at_ms])
        ledger.reward_in(connection, context.vertical, *told, REASON, {who: one.referrer})
    return num > 0


def _settle_in(
    connection: sa.Connection,
    context: Context,
    first: Mapping[int, tuple[int, int]],
    what: str,
    standing: Standings,
) -> tuple[int, list[Reward]]:
    """Settle those of referred customers who wait, by the instant and id of what they bought first.

    `what` names the column for such an id; customers stand in the sequence in which they bought. Gives how
    many were settled, and what their referrers are to get.
    """
    rule, vertical = context.vertical.referral, context.vertical
    found = _WAITING.rows(connection, ids=sorted(first))
    if not found:
        return 0, []
    is_waiting = sa.and_(
        referral.c.state == "waiting",
        bulk.among(connection, referral.c.referee_id, [row[0] for row in found]),
    )
    rows = connection.execute(sa.select(referral).where(is_waiting)).all()
    if not {row.referrer_id for row in rows} <= standing.keys():
        standing = {**standing, **standing_in(connection, vertical, [row.referrer_id for row in rows])}
    sequence = {one: place for place, one in enumerate(first)}
    rows = sorted(rows, key=lambda row: sequence[row.referee_id])
    told: list[dict[str, Any]] = []
    won: list[Reward] = []
    rewarded: dict[tuple[int, int], int] = {}
    for row in rows:
        at, bought = first[row.referee_id]
        month = (row.referrer_id, _month(at)[0])
        if month not in rewarded:
            rewarded[month] = _num_rewarded(connection, row.referrer_id, at)
        is_within = rewarded[month] < rule.most_a_month
        rewarded[month] += is_within
        state = "rewarded" if is_within else "over_limit"
        told.append({"one": row.referee_id, "to_state": state, "by": bought, "at": at})
        owner = standing.get(row.referrer_id)
        if is_within and rule.referrer_points and owner is not None and owner.is_active:
            won.append(Reward(owner, *_occasion(what, bought), at))
    change = sa.update(referral).where(referral.c.referee_id == sa.bindparam("one"))
    settled = {"state": "to_state", what: "by", "settled_at_ms": "at"}
    if told:
        connection.execute(
            change.values({name: sa.bindparam(value) for name, value in settled.items()}), told
        )
    if rule.referee_coupon_cents and rows:
        instants = {row.referee_id: first[row.referee_id][0] for row in rows}
        coupons.grant_in(connection, context, instants, "referral", rule.referee_coupon_cents, instants)
    return len(rows), won


def _occasion(what: str, bought: int) -> tuple[int | None, str]:
    """Give the order that shows in the ledger, and the key under which it rewards once."""
    return (bought, f"referral:{bought}") if what == "order_id" else (None, f"referral:energy:{bought}")


_WAITING: Final = bulk.Prepared(
    sa.select(referral.c.referee_id).where(
        referral.c.state == "waiting", bulk.among_told(referral.c.referee_id, "ids")
    )
)


def merge_in(connection: sa.Connection, from_id: int, into_id: int) -> None:
    """Move whom a customer won, and by whom they came, to the one that they are merged into."""
    mine = sa.update(referral).where(referral.c.referrer_id == from_id)
    connection.execute(
        sa.delete(referral).where(referral.c.referrer_id == from_id, referral.c.referee_id == into_id)
    )
    connection.execute(mine.values(referrer_id=into_id))
    came = connection.execute(sa.select(referral).where(referral.c.referee_id == from_id)).one_or_none()
    if came is None:
        return
    known = sa.select(referral.c.referee_id).where(referral.c.referee_id == into_id)
    is_free = connection.execute(known).one_or_none() is None and came.referrer_id != into_id
    connection.execute(sa.delete(referral).where(referral.c.referee_id == from_id))
    if is_free and into_id not in _chain(connection, came.referrer_id):
        connection.execute(sa.insert(referral).values({**came._mapping, "referee_id": into_id}))


def _month(at_ms: int) -> tuple[int, int]:
    """Give the beginning and end of a calendar month (UTC)."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = at.replace(year=at.year + at.month // 12, month=at.month % 12 + 1)
    return int(at.timestamp()) * 1000, int(after.timestamp()) * 1000


def _num_rewarded(connection: sa.Connection, referrer_id: int, at_ms: int) -> int:
    begin_ms, end_ms = _month(at_ms)
    when = referral.c.settled_at_ms
    counted = sa.select(sa.func.count()).where(
        referral.c.referrer_id == referrer_id,
        referral.c.state == "rewarded",
        sa.and_(when >= begin_ms, when < end_ms),
    )
    return int(connection.execute(counted).scalar_one())


def _chain(connection: sa.Connection, customer_id: int) -> set[int]:
    """Give a customer and all those through whom they came."""
    chain: set[int] = set()
    last: int | None = customer_id
    while last is not None and last not in chain:
        chain.add(last)
        before = sa.select(referral.c.referrer_id).where(referral.c.referee_id == last)
        last = connection.execute(before).scalar_one_or_none()
    return chain


def _tenant(connection: sa.Connection, scope_id: int) -> str | None:
    found: str | None = connection.execute(
        sa.select(scope.c.tenant).where(scope.c.scope_id == scope_id)
    ).scalar()
    return found
