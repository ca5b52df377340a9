"""Payments and refunds: each key once, whatever the port does in between."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, actor
from crm.engaged import add_customers, add_orders
from dispatch.crm.outbox import DeliveryError
from dispatch.crm.ports.payment import Charge, LocalSettlement, Method, Payments, Settlement, settle_in
from dispatch.crm.tables.engagement import payment
from dispatch.crm.tables.orders import orders
from dispatch.errors import AuthError, InputError, StateError


class Gateway:
    """A gateway that answers as it is told to; it knows each key, as a real one must."""

    def __init__(self, *answers: bool | None) -> None:
        self._answers, self.asked = list(answers), []

    def charge(self, asked: Charge) -> Settlement:
        self.asked.append(asked)
        answer = self._answers.pop(0)
        if answer is None:
            raise DeliveryError("timed_out")
        return Settlement(answer, f"ref-{asked.key}")

    refund = charge


def state_of(crm, order_id: int) -> str | None:
    with crm.context.database.reading() as connection:
        wanted = sa.select(orders.c.payment_state).where(orders.c.order_id == order_id)
        return connection.execute(wanted).scalar_one()


def add(crm, scope_id: int, num: int = 1) -> None:
    add_customers(crm, scope_id, range(1, num + 1))
    add_orders(crm, scope_id, [{"customer_id": one, "at_ms": MONDAY_MS} for one in range(1, num + 1)])


def test_an_order_is_paid_once_and_given_back_in_parts(crm, scope_id):
    add(crm, scope_id)
    pay = Payments(crm.context, LocalSettlement())
    paid = pay.pay(1, Method.WECHAT, 1000, "key-1", MONDAY_MS)
    assert (paid.state, paid.method, paid.reference) == ("settled", Method.WECHAT, "local-key-1")
    assert pay.pay(1, Method.WECHAT, 1000, "key-1", MONDAY_MS + 1) == paid
    assert pay.of_order(1) == [paid]
    assert state_of(crm, 1) == "paid"
    with pytest.raises(StateError, match="not paid twice"):
        pay.pay(1, Method.ALIPAY, 1000, "key-2", MONDAY_MS)
    with pytest.raises(InputError, match="another payment"):
        pay.pay(1, Method.WECHAT, 999, "key-1", MONDAY_MS)
    assert pay.refund(paid.payment_id, 300, "late", "back-1", MONDAY_MS).refunded_cents == 300
    assert state_of(crm, 1) == "part_refunded"
    assert pay.refund(paid.payment_id, 300, "late", "back-1", MONDAY_MS).refunded_cents == 300
    with pytest.raises(InputError, match="another refund"):
        pay.refund(paid.payment_id, 301, "late", "back-1", MONDAY_MS)
    with pytest.raises(StateError, match="700 cents left"):
        pay.refund(paid.payment_id, 701, "late", "back-2", MONDAY_MS)
    assert pay.refund(paid.payment_id, 700, "late", "back-2", MONDAY_MS).refunded_cents == 1000
    assert state_of(crm, 1) == "refunded"
    told = [(one.type, one.subject, one.data["cents"]) for one in crm.outbox.messages()]
    assert told == [
        ("payment.settled", "order/1", 1000),
        ("payment.refunded", "order/1", 300),
        ("payment.refunded", "order/1", 700),
    ]
    assert not LocalSettlement.is_gateway


def test_a_gateway_that_does_not_answer_is_asked_again_by_the_same_key(crm, scope_id):
    add(crm, scope_id)
    gateway = Gateway(None, True, None, False, None, True)
    pay = Payments(crm.context, gateway)
    with pytest.raises(DeliveryError):
        pay.pay(1, Method.CARD, 1000, "key-1", MONDAY_MS)
    assert state_of(crm, 1) == "pending"
    with pytest.raises(StateError, match="pending"):
        pay.pay(1, Method.CARD, 1000, "key-2", MONDAY_MS)
    (pending,) = pay.of_order(1)
    with pytest.raises(StateError, match="nothing to give back"):
        pay.refund(pending.payment_id, 1, "late", "back-0", MONDAY_MS)
    paid = pay.pay(1, Method.CARD, 1000, "key-1", MONDAY_MS)
    assert paid.state == "settled"
    with pytest.raises(DeliveryError):
        pay.refund(paid.payment_id, 800, "late", "back-1", MONDAY_MS)
    assert pay.read(paid.payment_id).refunded_cents == 800, "set aside until the answer is known"
    assert pay.refund(paid.payment_id, 800, "late", "back-1", MONDAY_MS).refunded_cents == 0, "refused"
    assert state_of(crm, 1) == "paid"
    with pytest.raises(DeliveryError):
        pay.refund(paid.payment_id, 800, "late", "back-2", MONDAY_MS)
    assert pay.refund(paid.payment_id, 800, "late", "back-2", MONDAY_MS).refunded_cents == 800
    assert gateway.asked[2].reference == "ref-key-1"
    assert [asked.key for asked in gateway.asked] == [
        "key-1",
        "key-1",
        "back-1",
        "back-1",
        "back-2",
        "back-2",
    ]


def test_what_is_refused_may_be_paid_otherwise(crm, scope_id):
    add(crm, scope_id)
    pay = Payments(crm.context, Gateway(False, True))
    assert pay.pay(1, Method.CARD, 1000, "key-1", MONDAY_MS).state == "refused"
    assert state_of(crm, 1) == "refused"
    assert pay.pay(1, Method.CASH, 1000, "key-2", MONDAY_MS).state == "settled"
    assert state_of(crm, 1) == "paid"


def test_many_at_once_pay_it_once(crm, scope_id):
    add(crm, scope_id)
    pay = Payments(crm.context, LocalSettlement())

    def work(number: int) -> str:
        try:
            return pay.pay(1, Method.CARD, 1000, f"key-{number % 2}", MONDAY_MS).state
        except StateError:
            return "refused by state"

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert len(pay.of_order(1)) == 1
    paid = pay.of_order(1)[0]

    def give_back(number: int) -> bool:
        try:
            pay.refund(paid.payment_id, 300, "late", f"back-{number}", MONDAY_MS)
        except StateError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(give_back, range(8))) == 3
    assert pay.read(paid.payment_id).refunded_cents == 900


def test_simulations_settle_in_bulk(crm, scope_id):
    add(crm, scope_id, 5)
    Payments(crm.context, LocalSettlement()).pay(2, Method.CARD, 7, "key-1", MONDAY_MS)
    for expected in (3, 0):
        with crm.context.database.writing() as connection:
            fares = [100, 200, 0, 400, 500]
            assert settle_in(connection, [1, 2, 3, 4, 5], fares, [MONDAY_MS] * 5) == expected
    assert [state_of(crm, one) for one in range(1, 6)] == ["paid", "paid", None, "paid", "paid"]
    with crm.context.database.reading() as connection:
        assert connection.execute(sa.select(sa.func.sum(payment.c.cents))).scalar_one() == 1007


def test_who_may_and_what_is_no_payment(crm, scope_id):
    add(crm, scope_id, 2)
    own = crm.acting_as(actor("customer", own=("customer", 1)))
    pay = Payments(own.context, LocalSettlement())
    paid = pay.pay(1, Method.ALIPAY, 500, "key-1", MONDAY_MS)
    for refused in (
        lambda: pay.pay(2, Method.ALIPAY, 500, "key-2", MONDAY_MS),
        lambda: pay.of_order(2),
        lambda: pay.refund(paid.payment_id, 1, "late", "back-1", MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            refused()
    for broken in (
        lambda: pay.pay(1, "shells", 500, "key-3", MONDAY_MS),
        lambda: pay.pay(1, Method.CARD, 0, "key-3", MONDAY_MS),
        lambda: pay.pay(1, Method.CARD, -5, "key-3", MONDAY_MS),
        lambda: pay.pay(1, Method.CARD, 5, "", MONDAY_MS),
        lambda: pay.pay(1, Method.CARD, 5, "key-3", -1),
    ):
        with pytest.raises(ValueError):
            broken()
    assert len(pay.of_order(1)) == 1
