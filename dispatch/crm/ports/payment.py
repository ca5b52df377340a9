"""Payments and refunds of orders, by any method, each key once; who really moves money is behind a port."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import sqlalchemy as sa

from dispatch.crm.context import Context, check_instant
from dispatch.crm.outbox import announce_in
from dispatch.crm.people.idempotency import check_key
from dispatch.crm.rules import MOST_CENTS, check_name
from dispatch.crm.tables.engagement import payment, refund
from dispatch.crm.tables.orders import orders
from dispatch.errors import InputError, StateError
from dispatch.limits import check_whole
from dispatch.store import bulk

PENDING: Final = "pending"
SETTLED: Final = "settled"
REFUSED: Final = "refused"


class Method(StrEnum):
    """Ways to pay."""

    WECHAT = "wechat"
    ALIPAY = "alipay"
    CARD = "card"
    CASH = "cash"
    WALLET = "wallet"
    ACCOUNT = "account"
    """of a company, billed monthly"""


@dataclass(frozen=True)
class Charge:
    """What a port is asked to take, or to give back; the same key again is the same request."""

    key: str
    order_id: int
    method: Method
    cents: int
    reference: str | None = None
    """of a refund: the port's own name of the payment"""


@dataclass(frozen=True)
class Settlement:
    """What a port answers."""

    settled: bool
    reference: str
    """its own name of it: letters and digits, nothing personal"""


class PaymentPort(Protocol):
    """Whatever moves money. Both calls may come again with the same key, and must then do nothing more."""

    def charge(self, asked: Charge) -> Settlement:
        """Take money; :class:`DeliveryError` where nobody knows whether it was."""

    def refund(self, asked: Charge) -> Settlement:
        """Give money back."""


class LocalSettlement:
    """Settles all at once, as the simulator needs it. It is no gateway: no money moves."""

    is_gateway = False

    def charge(self, asked: Charge) -> Settlement:
        """Say that it is settled."""
        return Settlement(True, f"local-{asked.key}")

    def refund(self, asked: Charge) -> Settlement:
        """Say that it is settled."""
        return Settlement(True, f"local-{asked.key}")


@dataclass(frozen=True)
class Payment:
    """A payment of an order."""

    payment_id: int
    order_id: int
    method: Method
    cents: int
    refunded_cents: int
    state: str
    """pending, settled or refused"""
    reference: str | None


class Payments:
    """Pays orders and refunds them; ``orders.payment_state`` tells how an order stands.

    That is nothing, ``pending``, ``paid``, ``refused``, ``part_refunded`` or ``refunded``.
    """

    def __init__(self, context: Context, port: PaymentPort) -> None:
        self._context, self._port = context, port

    def pay(self, order_id: int, method: Method, cents: int, key: str, at_ms: int) -> Payment:
        """Pay an order. The same key again is the same payment; while it is pending the port is asked again.

        A key must hold nothing personal: it stays whoever is erased.

        Raises
        ------
        InputError
            The key was used for another payment.
        StateError
            The order is paid already, or a payment of it is pending.
        DeliveryError
            The port did not answer; the payment is pending.
        """
        asked = Charge(key, order_id, Method(method), cents)
        _check(key, cents, at_ms)
        with self._context.acting("payment.take", ("order", order_id), at_ms=at_ms) as connection:
            found = self._begun_in(connection, asked, at_ms)
        if found.state != PENDING:
            return found
        answer = self._port.charge(asked)
        with self._context.acting("payment.take", ("order", order_id), at_ms=at_ms) as connection:
            done = (
                sa.update(payment)
                .where(payment.c.payment_id == found.payment_id, payment.c.state == PENDING)
                .values(state=SETTLED if answer.settled else REFUSED, reference=answer.reference)
            )
            if connection.execute(done).rowcount:
                _mark_in(connection, order_id, "paid" if answer.settled else REFUSED)
                type_ = "payment.settled" if answer.settled else "payment.refused"
                announce_in(connection, type_, "order", order_id, at_ms, {"cents": cents, "method": method})
            return payment_in(connection, found.payment_id)

    def refund(self, payment_id: int, cents: int, reason: str, key: str, at_ms: int) -> Payment:
        """Give back a payment, or a part of it; keys as of :meth:`pay`.

        Raises
        ------
        StateError
            The payment is not settled, or less of it is left.
        """
        check_name("reason", reason)
        _check(key, cents, at_ms)
        target, details = ("payment", payment_id), {"cents": cents, "reason": reason}
        with self._context.acting("payment.refund", target, at_ms=at_ms, details=details) as connection:
            found = payment_in(connection, payment_id, locks=True)
            state = self._refund_begun_in(connection, found, (cents, reason, key), at_ms)
        if state != PENDING:
            return self.read(payment_id)
        asked = Charge(key, found.order_id, found.method, cents, found.reference)
        answer = self._port.refund(asked)
        with self._context.acting("payment.refund", target, at_ms=at_ms, details=details) as connection:
            found = payment_in(connection, payment_id, locks=True)
            done = (
                sa.update(refund)
                .where(refund.c.key == key, refund.c.state == PENDING)
                .values(state=SETTLED if answer.settled else REFUSED, reference=answer.reference)
            )
            if connection.execute(done).rowcount:
                self._refund_ended_in(connection, found, cents, answer.settled, at_ms)
            return payment_in(connection, payment_id)

    def read(self, payment_id: int) -> Payment:
        """Give a payment."""
        with self._context.looking("payment.read", ("payment", payment_id)) as connection:
            return payment_in(connection, payment_id)

    def of_order(self, order_id: int) -> list[Payment]:
        """Give all payments of an order, oldest first."""
        with self._context.looking("payment.read", ("order", order_id)) as connection:
            rows = connection.execute(
                sa.select(payment).where(payment.c.order_id == order_id).order_by(payment.c.payment_id)
            )
            return [_payment(row) for row in rows]

    def _begun_in(self, connection: sa.Connection, asked: Charge, at_ms: int) -> Payment:
        """Enter a payment as pending, or find it by its key."""
        order = connection.execute(
            sa.select(orders.c.payment_state, orders.c.scope_id)
            .where(orders.c.order_id == asked.order_id)
            .with_for_update()
        ).one()
        known = connection.execute(sa.select(payment).where(payment.c.key == asked.key)).one_or_none()
        if known is not None:
            if (known.order_id, known.method, known.cents) != (asked.order_id, asked.method, asked.cents):
                raise InputError("key was used for another payment: each needs one of its own")
            return _payment(known)
        if order.payment_state not in (None, REFUSED):
            raise StateError(f"order {asked.order_id} is {order.payment_state}: it is not paid twice")
        added = connection.execute(
            sa.insert(payment).values(
                order_id=asked.order_id,
                scope_id=order.scope_id,
                method=asked.method.value,
                cents=asked.cents,
                state=PENDING,
                key=asked.key,
                at_ms=at_ms,
            )
        )
        _mark_in(connection, asked.order_id, PENDING)
        return payment_in(connection, int(added.inserted_primary_key[0]))  # type: ignore[index]  # one row

    def _refund_begun_in(
        self, connection: sa.Connection, found: Payment, told: tuple[int, str, str], at_ms: int
    ) -> str:
        """Set aside what is to be given back, or find the refund by its key; gives its state."""
        cents, reason, key = told
        known = connection.execute(sa.select(refund).where(refund.c.key == key)).one_or_none()
        if known is not None:
            if (known.payment_id, known.cents, known.reason) != (found.payment_id, cents, reason):
                raise InputError("key was used for another refund: each needs one of its own")
            return str(known.state)
        if found.state != SETTLED:
            raise StateError(f"payment {found.payment_id} is {found.state}: there is nothing to give back")
        left = found.cents - found.refunded_cents
        if cents > left:
            raise StateError(
                f"payment {found.payment_id} has {left} cents left: {cents} cannot be given back"
            )
        _set_refunded_in(connection, found.payment_id, found.refunded_cents + cents)
        told_row = {"payment_id": found.payment_id, "cents": cents, "reason": reason, "key": key}
        connection.execute(sa.insert(refund).values(**told_row, state=PENDING, at_ms=at_ms))
        return PENDING

    def _refund_ended_in(
        self, connection: sa.Connection, found: Payment, cents: int, settled: bool, at_ms: int
    ) -> None:
        if not settled:
            _set_refunded_in(connection, found.payment_id, found.refunded_cents - cents)
            return
        is_all = found.refunded_cents == found.cents
        _mark_in(connection, found.order_id, "refunded" if is_all else "part_refunded")
        announce_in(connection, "payment.refunded", "order", found.order_id, at_ms, {"cents": cents})


def settle_in(
    connection: sa.Connection,
    order_id: Sequence[int],
    cents: Sequence[int],
    at_ms: Sequence[int],
    method: Method = Method.CARD,
) -> int:
    """Settle completed orders (n,) at once, as :class:`LocalSettlement` would; gives how many were unpaid.

    For simulations: no port is asked, no message is left. Orders without a fare are left out.
    """
    told = {one: (fare, at) for one, fare, at in zip(order_id, cents, at_ms, strict=True) if fare > 0}
    rows = connection.execute(
        sa.select(orders.c.order_id, orders.c.scope_id).where(
            bulk.among(connection, orders.c.order_id, list(told)), orders.c.payment_state.is_(None)
        )
    ).all()
    ids = [row.order_id for row in rows]
    num = bulk.insert(
        connection,
        payment,
        {
            "order_id": ids,
            "scope_id": [row.scope_id for row in rows],
            "method": [method.value] * len(ids),
            "cents": [told[one][0] for one in ids],
            "state": [SETTLED] * len(ids),
            "key": [f"order-{one}" for one in ids],
            "reference": [f"local-order-{one}" for one in ids],
            "at_ms": [told[one][1] for one in ids],
        },
    )
    paid = sa.update(orders).where(bulk.among(connection, orders.c.order_id, ids))
    connection.execute(paid.values(payment_state="paid"))
    return num


def payment_in(connection: sa.Connection, payment_id: int, locks: bool = False) -> Payment:
    """Read a payment that is there."""
    wanted = sa.select(payment).where(payment.c.payment_id == payment_id)
    return _payment(connection.execute(wanted.with_for_update() if locks else wanted).one())


def _payment(row: sa.Row[Any]) -> Payment:
    method = Method(row.method)
    return Payment(
        row.payment_id, row.order_id, method, row.cents, row.refunded_cents, row.state, row.reference
    )


def _set_refunded_in(connection: sa.Connection, payment_id: int, cents: int) -> None:
    chosen = sa.update(payment).where(payment.c.payment_id == payment_id)
    connection.execute(chosen.values(refunded_cents=cents))


def _mark_in(connection: sa.Connection, order_id: int, state: str) -> None:
    connection.execute(sa.update(orders).where(orders.c.order_id == order_id).values(payment_state=state))


def _check(key: str, cents: int, at_ms: int) -> None:
    check_key("key", key)
    check_whole("cents", cents, 1, MOST_CENTS)
    check_instant("at_ms", at_ms)
