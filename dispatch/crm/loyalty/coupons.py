"""Coupons: defined once, shared by a code or issued to persons, used on orders; see :mod:`.redemptions`."""

from __future__ import annotations

import random
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant
from dispatch.crm.loyalty import order_owner, redemptions
from dispatch.crm.loyalty.redemptions import Booking, Redemption
from dispatch.crm.outbox import announce_many_in
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.tables.loyalty import coupon, coupon_code, coupon_customer, redemption
from dispatch.crm.tables.orders import scope
from dispatch.crm.tables.people import customer
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk
from dispatch.units import LATEST_MS, MS_PER_DAY

_LETTERS: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without those that are taken for another one: 0 O, 1 I."""
_CODE_LENGTH: Final = 12
"""60 bits: nobody guesses one, and a million of them hardly ever hold two alike."""
_CODE: Final = re.compile(r"[A-Z0-9-]{3,32}")
MOST_AT_ONCE: Final = 1_000_000
"""Codes in one batch."""


@dataclass(frozen=True)
class CouponTerms:
    """What a coupon is worth, for whom, when and how often; 0 and empty mean no such limit.

    Parameters
    ----------
    name : str
        Distinct within a scope.
    from_ms, until_ms : int
        May be reserved from the first instant until before the last one.
    cents : int
        Off the fare; or
    permille : int
        of the fare.
    most_cents : int
        Of discount.
    least_fare_cents : int
    most_uses : int
        By all together.
    most_per_customer : int
    code : str
        Shared by all; empty: each person gets a code of their own, good for one order.
    least_tier : str
        One of the vertical's.
    channel, vehicle_class : str
        Only for orders by this channel, for this class.
    """

    name: str
    from_ms: int
    until_ms: int
    cents: int = 0
    permille: int = 0
    most_cents: int = 0
    least_fare_cents: int = 0
    most_uses: int = 0
    most_per_customer: int = 0
    code: str = ""
    least_tier: str = ""
    channel: str = ""
    vehicle_class: str = ""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        check_name("name", self.name)
        check_instant("from_ms", self.from_ms)
        check_instant("until_ms", self.until_ms)
        if self.until_ms <= self.from_ms:
            raise InputError(f"until_ms is {self.until_ms}: it must be after from_ms, {self.from_ms}")
        check_whole("permille", self.permille, 0, 1000)
        for name in ("cents", "most_cents", "least_fare_cents", "most_uses", "most_per_customer"):
            check_whole(name, getattr(self, name), 0, MOST_CENTS)
        if (self.cents > 0) == (self.permille > 0):
            raise InputError(f"cents is {self.cents}, permille {self.permille}: one of them must be above 0")
        if self.code and not _CODE.fullmatch(self.code):
            raise InputError(f"code is {self.code!r}: it must be 3 to 32 of A-Z, 0-9 and -")
        for name in ("channel", "vehicle_class", "least_tier"):
            if getattr(self, name):
                check_name(name, getattr(self, name))


@dataclass(frozen=True)
class Quote:
    """What a coupon would do for an order."""

    discount_cents: int
    refusal: str = ""
    """why it would not be taken: unknown, not_yet, expired, withdrawn, used_up, used_up_by_customer,
    redeemed, fare_too_low, tier_too_low, channel, vehicle_class; and where the order is known:
    order_of_another, order_elsewhere, order_ended"""


@dataclass(frozen=True)
class HeldCoupon:
    """A code that a customer can use."""

    code: str
    coupon_id: int
    name: str
    cents: int
    permille: int
    until_ms: int


@dataclass(frozen=True)
class CouponReport:
    """What became of a coupon."""

    coupon_id: int
    issued: int
    """codes of persons"""
    uses: dict[str, int]
    """redemptions by state"""
    discount_cents: int
    """of those committed"""


class Coupons:
    """Coupons of a business.

    What is not known is an :class:`InputError`; what is known but does not hold now a :class:`StateError`.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def define(self, scope_id: int, terms: CouponTerms, *, at_ms: int) -> int:
        """Define a coupon for customers of a scope, or of a whole company (its scope without a city)."""
        check_id("scope_id", scope_id)
        vertical, details = self._context.vertical, {"name": terms.name}
        row = dict(terms.__dict__)
        row["least_tier"] = vertical.tier_row[vertical.tier(terms.least_tier).name] if terms.least_tier else 0
        for name in ("code", "channel", "vehicle_class"):
            row[name] = row[name] or None
        with self._context.acting(
            "coupon.define", at_ms=at_ms, scope_id=scope_id, details=details
        ) as connection:
            row |= {"scope_id": scope_id, "created_at_ms": at_ms}
            added = connection.execute(sa.insert(coupon).values(row))
            return int(added.inserted_primary_key[0])  # type: ignore[index]  # an insertion of one row has one

    def withdraw(self, coupon_id: int, *, at_ms: int, reason: str) -> None:
        """Let no more orders use a coupon; what is reserved stays so."""
        check_name("reason", reason)
        with self._context.acting(
            "coupon.withdraw", ("coupon", coupon_id), at_ms=at_ms, details={"reason": reason}
        ) as connection:
            mine = sa.update(coupon).where(
                coupon.c.coupon_id == coupon_id, coupon.c.withdrawn_at_ms.is_(None)
            )
            if connection.execute(mine.values(withdrawn_at_ms=at_ms)).rowcount != 1:
                raise StateError(f"coupon {coupon_id} was withdrawn before")

    def issue(
        self,
        coupon_id: int,
        customer_ids: Sequence[int | None],
        *,
        at_ms: int,
        until_ms: int | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """Issue codes (n,) of a coupon, all or none: to customers, or for anybody where None is told.

        Parameters
        ----------
        coupon_id : int
        customer_ids : (n,) of int or None
        at_ms : int
        until_ms : int, optional
            By default ``coupons.default_valid_days`` from now, but no longer than the coupon.
        seed : int, optional
            Of the codes, for simulations; by default they cannot be guessed.
        """
        check_whole("customer_ids has entries", len(customer_ids), 1, MOST_AT_ONCE)
        known = sorted({one for one in customer_ids if one is not None})
        for one in known:
            check_id("customer_ids", one)
        target, details = ("coupon", coupon_id), {"num": len(customer_ids)}
        with self._context.acting("coupon.issue", target, at_ms=at_ms, details=details) as connection:
            found = sa.select(coupon).where(coupon.c.coupon_id == coupon_id)
            row = connection.execute(found).one()
            if row.code is not None:
                raise StateError(
                    f"coupon {coupon_id} has a code that all share: nobody gets one of their own"
                )
            if row.withdrawn_at_ms is not None or row.until_ms <= at_ms:
                raise StateError(f"coupon {coupon_id} is over: no more codes are issued")
            self._check_served(connection, row.scope_id, known)
            valid_ms = self._context.vertical.coupons.default_valid_days * MS_PER_DAY
            end_ms = min(row.until_ms, at_ms + valid_ms if until_ms is None else until_ms)
            if end_ms <= at_ms:
                raise InputError(f"until_ms is {until_ms}: it must be after at_ms, {at_ms}")
            return _issue_in(connection, coupon_id, customer_ids, at_ms, end_ms, seed)

    def validate(self, customer_id: int, code: str, booking: Booking, *, at_ms: int) -> Quote:
        """Tell what a code would do for an order, without reserving it."""
        check_instant("at_ms", at_ms)
        booking.pickup_ms(at_ms)
        with self._context.looking("coupon.validate", ("customer", customer_id)) as connection:
            found = self._find(connection, customer_id, code)
            if found is None:
                return Quote(0, "unknown")
            refusal = _refusal_of_order(connection, found, customer_id, booking, locks=False)
            refusal = refusal or self._refusal(connection, found, customer_id, booking, at_ms)
            return Quote(0 if refusal else _discount(found, booking), refusal)

    def reserve(self, customer_id: int, code: str, booking: Booking, *, at_ms: int) -> Redemption:
        """Reserve a code for an order; idempotent by the order's id.

        It must hold now, and is held until ``coupons.reserve_for_s`` after the pickup is wanted. The order
        may be told before its events are: if it turns out to be another customer's, the coupon is given back
        when that one reserves, or the order ends.

        Raises
        ------
        InputError
            The code is not known, or another customer's; or the pickup was wanted before now, or too far
            ahead.
        StateError
            It does not hold now, is used up, or the order has another discount, or one that expired; or the
            order is known to be another customer's, of another place, or over.
        """
        check_instant("at_ms", at_ms)
        with self._context.acting("coupon.reserve", ("customer", customer_id), at_ms=at_ms) as connection:
            found = self._find(connection, customer_id, code)
            if found is None:
                raise InputError("code is not known: check its letters")
            held_s = self._context.vertical.coupons.reserve_for_s
            of = {"coupon_id": found.coupon_id, "code_id": found.code_id}
            refusal = _refusal_of_order(connection, found, customer_id, booking, locks=True)
            live = redemptions.live_of_in(connection, customer_id, booking.order_id, at_ms)
            if live is not None and refusal not in order_owner.NOT_THEIRS:
                return redemptions.answer_again(live, customer_id, booking, at_ms, held_s, **of)
            booking.pickup_ms(at_ms)
            refusal = refusal or self._refusal(connection, found, customer_id, booking, at_ms)
            if refusal:
                raise StateError(
                    f"coupon {found.coupon_id} is refused for order {booking.order_id}: {refusal}"
                )
            redemptions.take_coupon_in(connection, found.coupon_id, customer_id, found.code_id)
            discount = _discount(found, booking)
            return redemptions.reserve_in(connection, customer_id, booking, discount, at_ms, held_s, **of)

    def commit(self, customer_id: int, order_id: int, *, at_ms: int) -> Redemption:
        """Use what is reserved on an order; told again it changes nothing."""
        return self._end("coupon.commit", customer_id, order_id, "committed", at_ms)

    def roll_back(self, customer_id: int, order_id: int, *, at_ms: int) -> Redemption:
        """Give back what is reserved or was committed on an order; told again it changes nothing."""
        return self._end("coupon.roll_back", customer_id, order_id, "rolled_back", at_ms)

    def expire(self, *, at_ms: int) -> int:
        """Give back all reservations, of coupons and passes, that are void; gives how many."""
        with self._context.acting("coupon.expire", at_ms=at_ms) as connection:
            return redemptions.expire_in(connection, at_ms)

    def of_customer(self, customer_id: int, *, at_ms: int) -> list[HeldCoupon]:
        """Give the codes that a customer can use now, those that end first before others."""
        check_instant("at_ms", at_ms)
        with self._context.looking("coupon.read", ("customer", customer_id)) as connection:
            until_ms = coupon_code.c.until_ms
            rows = connection.execute(
                sa.select(coupon_code.c.code, coupon.c.coupon_id, coupon.c.name, coupon.c.cents)
                .add_columns(coupon.c.permille, until_ms)
                .join(coupon, coupon.c.coupon_id == coupon_code.c.coupon_id)
                .where(
                    coupon_code.c.customer_id == customer_id,
                    coupon_code.c.num_held == 0,
                    until_ms > at_ms,
                    coupon.c.from_ms <= at_ms,
                    coupon.c.withdrawn_at_ms.is_(None),
                )
                .order_by(until_ms, coupon_code.c.code_id)
            )
            return [HeldCoupon(*row) for row in rows]

    def holders(self, *, scope_id: int, at_ms: int) -> dict[int, str]:
        """Give customers who hold a usable code of a scope, each with the code that ends first."""
        check_instant("at_ms", at_ms)
        with self._context.looking("coupon.holders", scope_id=scope_id) as connection:
            rows = connection.execute(
                sa.select(coupon_code.c.customer_id, coupon_code.c.code)
                .join(coupon, coupon.c.coupon_id == coupon_code.c.coupon_id)
                .where(
                    coupon.c.scope_id == scope_id,
                    coupon_code.c.customer_id.is_not(None),
                    coupon_code.c.num_held == 0,
                    coupon_code.c.until_ms > at_ms,
                    coupon.c.from_ms <= at_ms,
                    coupon.c.withdrawn_at_ms.is_(None),
                )
                .order_by(coupon_code.c.until_ms.desc(), coupon_code.c.code_id.desc())
            )
            return {row.customer_id: row.code for row in rows}

    def report(self, coupon_id: int) -> CouponReport:
        """Count codes and redemptions of a coupon."""
        with self._context.looking("coupon.report", ("coupon", coupon_id)) as connection:
            codes = sa.select(sa.func.count()).where(coupon_code.c.coupon_id == coupon_id)
            rows = connection.execute(
                sa.select(redemption.c.state, sa.func.count(), sa.func.sum(redemption.c.discount_cents))
                .where(redemption.c.coupon_id == coupon_id)
                .group_by(redemption.c.state)
                .order_by(redemption.c.state)
            ).all()
            uses = {row[0]: int(row[1]) for row in rows}
            cents = sum(int(row[2]) for row in rows if row[0] == "committed")
            return CouponReport(coupon_id, int(connection.execute(codes).scalar_one()), uses, cents)

    def _end(self, action: str, customer_id: int, order_id: int, state: str, at_ms: int) -> Redemption:
        check_id("order_id", order_id)
        with self._context.acting(action, ("customer", customer_id), at_ms=at_ms) as connection:
            return redemptions.end_one_in(connection, customer_id, order_id, state, at_ms)

    def _check_served(self, connection: sa.Connection, scope_id: int, customer_ids: list[int]) -> None:
        """Refuse customers whom a coupon of a scope is not for."""
        mine, theirs = scope.alias("mine"), scope.alias("theirs")
        rows = connection.execute(
            sa.select(customer.c.customer_id)
            .join(theirs, theirs.c.scope_id == customer.c.scope_id)
            .join(mine, mine.c.scope_id == scope_id)
            .where(
                bulk.among(connection, customer.c.customer_id, customer_ids),
                customer.c.status == "active",
                mine.c.tenant == theirs.c.tenant,
                mine.c.city.in_(["", theirs.c.city]),
            )
        )
        missing = set(customer_ids) - set(rows.scalars())
        if missing:
            raise InputError(f"customer_ids holds {min(missing)}: no active customer of the coupon's scope")

    def _find(self, connection: sa.Connection, customer_id: int, code: str) -> Any:
        """Give the coupon behind a code, with its code_id, if it is for a customer; None if it is not."""
        told = str(code).strip().upper()
        mine, theirs = scope.alias("mine"), scope.alias("theirs")
        columns = (coupon, customer.c.tier, customer.c.status, mine.c.city)
        served = (
            sa.and_(mine.c.scope_id == coupon.c.scope_id, customer.c.customer_id == customer_id),
            sa.and_(theirs.c.scope_id == customer.c.scope_id, theirs.c.tenant == mine.c.tenant),
            mine.c.city.in_(["", theirs.c.city]),
        )
        own = sa.select(*columns, coupon_code.c.code_id, coupon_code.c.num_held.label("is_held")).where(
            coupon_code.c.code == told,
            coupon_code.c.coupon_id == coupon.c.coupon_id,
            sa.or_(coupon_code.c.customer_id.is_(None), coupon_code.c.customer_id == customer_id),
            *served,
        )
        found = connection.execute(
            own.add_columns(coupon_code.c.until_ms.label("code_until_ms"))
        ).one_or_none()
        if found is not None:
            return found
        shared = sa.select(*columns, sa.null().label("code_id"), sa.literal(0).label("is_held"))
        shared = shared.add_columns(coupon.c.until_ms.label("code_until_ms")).where(
            coupon.c.code == told, *served
        )
        # A city's coupon goes before the company's.
        return connection.execute(shared.order_by(mine.c.city.desc()).limit(1)).one_or_none()

    def _refusal(
        self, connection: sa.Connection, found: Any, customer_id: int, booking: Booking, at_ms: int
    ) -> str:
        """Tell why a coupon would not be taken for an order, "" if it would."""
        of_customer = sa.select(coupon_customer.c.num_held).where(
            coupon_customer.c.coupon_id == found.coupon_id, coupon_customer.c.customer_id == customer_id
        )
        limit = found.most_per_customer
        by_customer = int(connection.execute(of_customer).scalar() or 0) if limit else 0
        tier = self._context.vertical.tier_row.get(found.tier, 0)
        reasons = (
            (found.status != "active", "unknown"),
            (found.withdrawn_at_ms is not None, "withdrawn"),
            (at_ms < found.from_ms, "not_yet"),
            (at_ms >= min(found.until_ms, found.code_until_ms), "expired"),
            (bool(found.is_held), "redeemed"),
            (bool(found.most_uses) and found.num_held >= found.most_uses, "used_up"),
            (bool(limit) and by_customer >= limit, "used_up_by_customer"),
            (booking.fare_cents < found.least_fare_cents, "fare_too_low"),
            (tier < found.least_tier, "tier_too_low"),
            (found.channel not in (None, booking.channel), "channel"),
            (found.vehicle_class not in (None, booking.vehicle_class), "vehicle_class"),
        )
        return next((reason for holds, reason in reasons if holds), "")


def grant_in(
    connection: sa.Connection,
    context: Context,
    customer_ids: Iterable[int],
    name: str,
    cents: int,
    at_ms: int | Mapping[int, int],
) -> int:
    """Give each of many customers a coupon of so many cents, as rules grant them; gives how many.

    Parameters
    ----------
    connection, context
    customer_ids : (n,) of int
        Who is not active gets none.
    name : str
        Of the occasion: ``tier.gold``; a coupon of this name and worth is defined at its first use.
    cents : int
    at_ms : int or mapping of int to int
        The same instant for all, or by customer.
    """
    check_name("name", name)
    check_whole("cents", cents, 1, MOST_CENTS)
    told = list(customer_ids)
    by_scope: dict[int, list[int]] = {}
    rows = connection.execute(
        sa.select(customer.c.customer_id, customer.c.scope_id)
        .where(bulk.among(connection, customer.c.customer_id, told), customer.c.status == "active")
        .order_by(customer.c.customer_id)
    )
    for customer_id, scope_id in rows:
        by_scope.setdefault(scope_id, []).append(customer_id)
    valid_ms = context.vertical.coupons.default_valid_days * MS_PER_DAY
    for scope_id, members in sorted(by_scope.items()):
        instants = [at_ms if isinstance(at_ms, int | np.integer) else at_ms[one] for one in members]
        coupon_id = _defined_in(connection, scope_id, f"{name}.{cents}", cents, min(instants))
        until_ms = [min(instant + valid_ms, LATEST_MS) for instant in instants]
        _issue_in(connection, coupon_id, members, instants, until_ms, None)
    return sum(len(members) for members in by_scope.values())


def issue_in(
    connection: sa.Connection, context: Context, coupon_id: int, customer_ids: Sequence[int], at_ms: int
) -> None:
    """Issue a code of a coupon to each of many customers (n,), as a campaign does.

    Raises
    ------
    StateError
        The coupon has a code that all share, was withdrawn, or is over.
    """
    row = connection.execute(sa.select(coupon).where(coupon.c.coupon_id == coupon_id)).one()
    if row.code is not None or row.withdrawn_at_ms is not None or row.until_ms <= at_ms:
        raise StateError(f"coupon {coupon_id} is shared, withdrawn or over: no codes are issued")
    valid_ms = context.vertical.coupons.default_valid_days * MS_PER_DAY
    _issue_in(connection, coupon_id, customer_ids, at_ms, min(row.until_ms, at_ms + valid_ms), None)


def new_codes(num: int, seed: int | None = None) -> list[str]:
    """Make codes (num,), all different; by a seed the same ones each time."""
    chooser = secrets.SystemRandom() if seed is None else random.Random(seed)
    codes: dict[str, None] = {}
    while len(codes) < num:
        bits = chooser.getrandbits(5 * _CODE_LENGTH)
        codes["".join(_LETTERS[bits >> shift & 31] for shift in range(0, 5 * _CODE_LENGTH, 5))] = None
    return list(codes)


def _refusal_of_order(
    connection: sa.Connection, found: Any, customer_id: int, booking: Booking, *, locks: bool
) -> str:
    order_id, place = booking.order_id, found.scope_id
    return order_owner.refusal_in(
        connection, customer_id, order_id, order_owner.OVER, coupon_scope_id=place, locks=locks
    )


def _discount(found: Any, booking: Booking) -> int:
    return redemptions.discount_of(booking.fare_cents, found.cents, found.permille, found.most_cents)


def _issue_in(
    connection: sa.Connection,
    coupon_id: int,
    customer_ids: Sequence[int | None],
    at_ms: int | Sequence[int],
    until_ms: int | Sequence[int],
    seed: int | None,
) -> list[str]:
    """Add codes (n,), and announce them to whom they are for; instants of all, or of each (n,)."""
    num, codes = len(customer_ids), new_codes(len(customer_ids), seed)
    issued = [at_ms] * num if isinstance(at_ms, int | np.integer) else at_ms
    until = [until_ms] * num if isinstance(until_ms, int | np.integer) else until_ms
    bulk.insert(
        connection,
        coupon_code,
        {
            "coupon_id": [coupon_id] * num,
            "code": codes,
            "customer_id": customer_ids,
            "issued_at_ms": list(issued),
            "until_ms": list(until),
        },
    )
    of = [(one, *told) for one, *told in zip(customer_ids, issued, until, strict=True) if one is not None]
    data = [{"coupon_id": coupon_id, "until_ms": end_ms} for *_, end_ms in of]
    instants = [instant for _, instant, _ in of]
    announce_many_in(connection, "coupon.issued", "customer", [one for one, *_ in of], instants, data)
    return codes


def _defined_in(connection: sa.Connection, scope_id: int, name: str, cents: int, at_ms: int) -> int:
    """Give the coupon of a name that rules grant, defined at its first use."""
    found = sa.select(coupon.c.coupon_id).where(coupon.c.scope_id == scope_id, coupon.c.name == name)
    known = connection.execute(found).scalar_one_or_none()
    if known is not None:
        return int(known)
    fresh = sa.text(
        "INSERT INTO coupon (scope_id, name, cents, from_ms, until_ms, created_at_ms) "
        "VALUES (:scope_id, :name, :cents, 0, :until_ms, :at_ms) ON CONFLICT (scope_id, name) DO NOTHING"
    )
    told = {"scope_id": scope_id, "name": name, "cents": cents, "until_ms": LATEST_MS, "at_ms": at_ms}
    connection.execute(fresh, told)
    return int(connection.execute(found).scalar_one())
