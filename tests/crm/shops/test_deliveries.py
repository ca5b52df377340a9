"""Deliveries: placed with a merchant, prepared, collected."""

import pytest

from crm.conftest import HOUR_MS, actor
from crm.served import NOW_MS, served_city
from dispatch.crm.shops.deliveries import Item, expected_ready_in
from dispatch.crm.shops.merchants import Merchant
from dispatch.crm.tables.orders import orders
from dispatch.engine.events import EventKind, make_events
from dispatch.errors import AuthError, InputError, StateError


@pytest.fixture
def cafe(crm, scope_id):
    """A restaurant that sells soup and pie."""
    told = Merchant("restaurant", "Luna", 0, 0, preparation_ms=600_000)
    made = crm.merchants.add(told, scope_id=scope_id, at_ms=NOW_MS)
    for product, cents in (("soup", 700), ("pie", 500)):
        crm.merchants.set_price(made, product, cents, from_ms=NOW_MS, at_ms=NOW_MS)
    return made


def test_the_way_of_a_delivery(crm, scope_id, cafe):
    served_city(crm, scope_id, 2)
    placed = crm.deliveries.place(1001, cafe, [Item("soup", 2), Item("pie", 1, 450)], at_ms=NOW_MS)
    assert (placed.cents, placed.customer_id) == (1850, 1)
    assert placed.expected_at_ms == NOW_MS + 600_000
    assert crm.deliveries.read(1001) == placed
    later = crm.deliveries.place(1002, cafe, [Item("soup")], at_ms=NOW_MS, preparation_ms=60_000)
    with crm.context.database.reading() as connection:
        assert expected_ready_in(connection, [1002, 5, 1001]).tolist() == [
            NOW_MS + 60_000,
            -1,
            NOW_MS + 600_000,
        ]
        assert expected_ready_in(connection, []).tolist() == []
    crm.deliveries.ready(1001, at_ms=NOW_MS + 700_000)
    assert crm.deliveries.read(1001).expected_at_ms == NOW_MS + 700_000
    crm.deliveries.cancel(1002, at_ms=NOW_MS + 5)
    assert later.cents == 700
    for order in (1001, 1002):
        with pytest.raises(StateError, match="ready or cancelled"):
            crm.deliveries.ready(order, at_ms=NOW_MS + HOUR_MS)
    told = crm.deliveries.sold(cafe, NOW_MS, NOW_MS + HOUR_MS)
    assert [(one.product, one.count, one.cents) for one in told] == [("soup", 2, 1400), ("pie", 1, 450)]
    assert crm.deliveries.sold(cafe, 0, NOW_MS) == []
    crm.ratings.rate(1001, "merchant", 4, at_ms=NOW_MS)
    assert crm.ratings.of_merchant(cafe).mean == 4
    wrong = crm.incidents.pp100
    assert wrong(NOW_MS - 5 * HOUR_MS, NOW_MS, scope_id=scope_id).num_orders == 2
    me = crm.acting_as(actor("customer", own=("customer", 1)))
    assert me.deliveries.read(1001).merchant_id == cafe
    with pytest.raises(AuthError):
        me.deliveries.read(1002)


def test_an_order_may_be_placed_before_its_events_come(crm, scope_id, cafe):
    crm.deliveries.place(77, cafe, [Item("pie")], at_ms=NOW_MS, customer_id=9)
    events = make_events(EventKind.ORDER_SUBMITTED, 1, at_ms=NOW_MS, order_id=77, customer_id=9)
    crm.events.apply(events, first_seq=0, scope_id=scope_id)
    assert crm.deliveries.read(77).customer_id == 9
    with crm.context.database.reading() as connection:
        row = connection.execute(orders.select().where(orders.c.order_id == 77)).one()
    assert (row.merchant_id, row.customer_id, row.submitted_at_ms) == (cafe, 9, NOW_MS)


def test_what_cannot_be_placed(crm, scope_id, cafe):
    served_city(crm, scope_id, 1)
    crm.merchants.set_available(cafe, "pie", False, at_ms=NOW_MS)
    place = crm.deliveries.place
    for call, error in (
        (lambda: place(1001, cafe, [], at_ms=NOW_MS), InputError),
        (lambda: place(1001, cafe, [Item("tea")], at_ms=NOW_MS), InputError),
        (lambda: place(1001, cafe, [Item("soup")], at_ms=NOW_MS - 1), InputError),
        (lambda: place(1001, cafe, [Item("soup")], at_ms=NOW_MS, customer_id=2), InputError),
        (lambda: place(1001, cafe, [Item("soup")], at_ms=NOW_MS, preparation_ms=-1), InputError),
        (lambda: place(1001, 99, [Item("soup")], at_ms=NOW_MS), InputError),
        (lambda: place(1001, cafe, [Item("pie")], at_ms=NOW_MS), StateError),
        (lambda: crm.deliveries.ready(1001, at_ms=NOW_MS), InputError),
        (lambda: crm.deliveries.read(1001), InputError),
        (lambda: Item("soup", 0), InputError),
        (lambda: Item("soup", 1, -1), InputError),
        (lambda: Item("hot soup"), InputError),
    ):
        with pytest.raises(error):
            call()
    place(1001, cafe, [Item("soup")], at_ms=NOW_MS)
    with pytest.raises(StateError):
        place(1001, cafe, [Item("soup")], at_ms=NOW_MS)
    with pytest.raises(InputError, match="time goes backwards"):
        crm.deliveries.ready(1001, at_ms=NOW_MS - 1)
    crm.merchants.set_status(cafe, "closed", at_ms=NOW_MS)
    with pytest.raises(StateError, match="is closed"):
        place(5, cafe, [Item("soup")], at_ms=NOW_MS)
