"""Passes: a monthly pass or a package of rides, whose rides orders reserve, use or give back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from dispatch.crm.context import Context, check_id, check_instant, check_not_before
from dispatch.crm.loyalty import order_owner, redemptions
from dispatch.crm.loyalty.redemptions import Booking, Redemption
from dispatch.crm.people.idempotency import check_key
from dispatch.crm.people.persons import family_in, locked_in
from dispatch.crm.rules import PassRule, check_one_of
from dispatch.crm.tables.loyalty import customer_pass
from dispatch.crm.tables.orders import customer_day
from dispatch.errors import InputError, StateError
from dispatch.units import MS_PER_DAY

WINDOW_DAYS: Final = 30
"""A recommendation is told by the rides of so many days."""


@dataclass(frozen=True)
class Pass:
    """A pass that a customer bought."""

    pass_id: int
    product: str
    price_cents: int
    most_rides: int
    """0: as many as one likes"""
    num_held: int
    """rides reserved or used"""
    from_ms: int
    until_ms: int


@dataclass(frozen=True)
class Recommendation:
    """What would cost a customer least, if they go on as in the last 30 days."""

    kind: str
    """pass; coupon: single ones, where rides are too few for a pass; none, where no pass is sold"""
    product: str
    """of the pass; of the nearest one where a coupon is recommended; "" where there is none"""
    num_rides: int
    """within the window"""
    break_even: int
    """rides within the days of the product from which it costs less than single fares"""
    saved_cents: int
    """expected over the days of the product, after its price; negative where it does not pay"""


class Passes:
    """Passes of customers, by the products of the vertical."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def buy(
        self, customer_id: int, product: str, *, at_ms: int, key: str, from_ms: int | None = None
    ) -> Pass:
        """Enter a pass that a customer paid for; told again with its key it is the same one.

        Parameters
        ----------
        customer_id : int
        product : str
            One of the vertical's passes.
        at_ms : int
        key : str
            Of the payment, made of ids: it stays whoever is erased, and must hold nothing personal.
        from_ms : int, optional
            When it begins, by default now.

        Raises
        ------
        InputError
            The product is unknown, or it would begin in the past.
        StateError
            The customer has one of this product then, with rides left: the next may begin when it ends.
        """
        rule = self._rule(product)
        check_instant("at_ms", at_ms)
        check_key("key", key)
        begin_ms = at_ms if from_ms is None else from_ms
        check_not_before("from_ms", begin_ms, at_ms, "the purchase")
        with self._context.acting("pass.buy", ("customer", customer_id), at_ms=at_ms) as connection:
            locked_in(connection, "customer", customer_id)
            known = connection.execute(
                sa.select(customer_pass).where(customer_pass.c.key == key)
            ).one_or_none()
            if known is not None:
                if (known.customer_id, known.product) != (customer_id, product):
                    raise InputError(f"key is {key!r}: another pass was bought with it")
                return _as_pass(known)
            row = {
                "customer_id": customer_id,
                "product": product,
                "price_cents": rule.price_cents,
                "most_rides": rule.rides,
                "from_ms": begin_ms,
                "until_ms": begin_ms + rule.days * MS_PER_DAY,
                "bought_at_ms": at_ms,
                "key": key,
            }
            _check_apart(connection, row)
            added = connection.execute(sa.insert(customer_pass).values(row))
            pass_id = added.inserted_primary_key[0]  # type: ignore[index]  # an insertion of one row has one
            found = sa.select(customer_pass).where(customer_pass.c.pass_id == pass_id)
            return _as_pass(connection.execute(found).one())

    def of_customer(self, customer_id: int, *, at_ms: int) -> list[Pass]:
        """Give the passes of a customer that have not ended, those that end first before others."""
        check_instant("at_ms", at_ms)
        with self._context.looking("pass.read", ("customer", customer_id)) as connection:
            table = customer_pass.c
            mine = sa.select(customer_pass).where(table.customer_id == customer_id, table.until_ms > at_ms)
            return [_as_pass(row) for row in connection.execute(mine.order_by(table.until_ms, table.pass_id))]

    def reserve(self, customer_id: int, booking: Booking, *, at_ms: int, product: str = "") -> Redemption:
        """Reserve a ride of a pass for an order, of the one that ends first; idempotent by the order's id.

        The pass must hold when the pickup is wanted: its last day does not give the rides of the days after.

        Raises
        ------
        InputError
            The pickup was wanted before now, or too far ahead.
        StateError
            No pass holds then with a ride left, or the order has another discount, or one that expired; or
            the order is known to be another customer's, of another company, or over.
        """
        check_instant("at_ms", at_ms)
        if product:
            self._rule(product)
        held_s = self._context.vertical.coupons.reserve_for_s
        with self._context.acting("pass.reserve", ("customer", customer_id), at_ms=at_ms) as connection:
            refusal = order_owner.refusal_in(connection, customer_id, booking.order_id, order_owner.OVER)
            live = redemptions.live_of_in(connection, customer_id, booking.order_id, at_ms)
            if live is not None and refusal not in order_owner.NOT_THEIRS:
                return redemptions.answer_again(live, customer_id, booking, at_ms, held_s, coupon_id=None)
            if refusal:
                raise StateError(f"no pass can be used on order {booking.order_id}: {refusal}")
            pickup_ms = booking.pickup_ms(at_ms)
            found = connection.execute(_usable(customer_id, pickup_ms, product)).first()
            if found is None:
                when = "now" if booking.wanted_at_ms is None else f"at {pickup_ms}"
                raise StateError(f"customer {customer_id} has no pass that holds {when} with a ride left")
            redemptions.take_pass_in(connection, found.pass_id)
            rule = self._rule(found.product)
            discount = redemptions.discount_of(booking.fare_cents, 0, rule.discount_permille, rule.most_cents)
            return redemptions.reserve_in(
                connection, customer_id, booking, discount, at_ms, held_s, pass_id=found.pass_id
            )

    def commit(self, customer_id: int, order_id: int, *, at_ms: int) -> Redemption:
        """Use the ride that is reserved on an order; told again it changes nothing."""
        return self._end("pass.commit", customer_id, order_id, "committed", at_ms)

    def roll_back(self, customer_id: int, order_id: int, *, at_ms: int) -> Redemption:
        """Give back the ride that is reserved or was used on an order; told again it changes nothing."""
        return self._end("pass.roll_back", customer_id, order_id, "rolled_back", at_ms)

    def recommend(self, customer_id: int, *, at_ms: int) -> Recommendation:
        """Recommend a pass or single coupons, by how often and for how much a customer rode lately."""
        check_instant("at_ms", at_ms)
        today = at_ms // MS_PER_DAY
        with self._context.looking("pass.read", ("customer", customer_id)) as connection:
            day, family = customer_day.c, family_in(connection, customer_id)
            num, cents = connection.execute(
                sa.select(
                    sa.func.coalesce(sa.func.sum(day.completed), 0),
                    sa.func.coalesce(sa.func.sum(day.spend_cents), 0),
                ).where(day.customer_id.in_(family), day.day > today - WINDOW_DAYS, day.day <= today)
            ).one()
        return recommend(self._context.vertical.passes, int(num), int(cents))

    def _rule(self, product: str) -> PassRule:
        rules = {rule.product: rule for rule in self._context.vertical.passes}
        check_one_of("product", product, tuple(rules))
        return rules[product]

    def _end(self, action: str, customer_id: int, order_id: int, state: str, at_ms: int) -> Redemption:
        check_id("order_id", order_id)
        with self._context.acting(action, ("customer", customer_id), at_ms=at_ms) as connection:
            return redemptions.end_one_in(connection, customer_id, order_id, state, at_ms)


def recommend(rules: tuple[PassRule, ...], num_rides: int, spend_cents: int) -> Recommendation:
    """Choose among products by rides and spend of the last 30 days; see :class:`Recommendation`."""
    if not rules:
        return Recommendation("none", "", num_rides, 0, 0)
    fare_cents = spend_cents // num_rides if num_rides else 0
    judged = []
    for rule in rules:
        expected = num_rides * rule.days // WINDOW_DAYS
        counted = min(expected, rule.rides) if rule.rides else expected
        each = redemptions.discount_of(fare_cents, 0, rule.discount_permille, rule.most_cents)
        break_even = -(-rule.price_cents // each) if each else 0
        judged.append((counted * each - rule.price_cents, rule.product, break_even))
    saved, product, break_even = max(judged, key=lambda one: one[0])
    return Recommendation("pass" if saved > 0 else "coupon", product, num_rides, break_even, saved)


def _usable(customer_id: int, at_ms: int, product: str) -> sa.Select[Any]:
    table = customer_pass.c
    found = sa.select(customer_pass).where(
        table.customer_id == customer_id,
        table.from_ms <= at_ms,
        table.until_ms > at_ms,
        sa.or_(table.most_rides == 0, table.num_held < table.most_rides),
    )
    if product:
        found = found.where(table.product == product)
    return found.order_by(table.until_ms, table.pass_id).limit(1)


def _check_apart(connection: sa.Connection, row: dict[str, Any]) -> None:
    """Refuse a pass beside another one of the product that still has rides."""
    table = customer_pass.c
    other = connection.execute(
        sa.select(table.from_ms, table.until_ms).where(
            table.customer_id == row["customer_id"],
            table.product == row["product"],
            table.from_ms < row["until_ms"],
            table.until_ms > row["from_ms"],
            sa.or_(table.most_rides == 0, table.num_held < table.most_rides),
        )
    ).first()
    if other is not None:
        raise StateError(
            f"customer {row['customer_id']} has {row['product']} from {other.from_ms} until "
            f"{other.until_ms}: the next one may begin then"
        )


def _as_pass(row: Any) -> Pass:
    return Pass(*(getattr(row, name) for name in Pass.__dataclass_fields__))
