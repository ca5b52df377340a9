"""Deliveries: placed with a merchant, prepared, collected."""

import random
from statistics import median_low

import numpy as np
import pytest
from hypothesis import given, strategies as st

from crm.conftest import DAY_MS, HOUR_MS, actor
from crm.engaged import insert
from crm.served import NOW_MS, served_city
from dispatch.crm.shops.deliveries import (
    LEARNT_DAYS,
    LEARNT_FROM,
    PRIOR_DELIVERIES,
    Item,
    _median,
    readiness_in,
    usual_delay_in,
)
from dispatch.crm.shops.merchants import Merchant
from dispatch.crm.tables.fleet import delivery
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


def readiness(crm, order_ids, at_ms):
    with crm.context.database.reading() as connection:
        return readiness_in(connection, order_ids, at_ms)


def usual(crm, merchants, at_ms):
    with crm.context.database.reading() as connection:
        return usual_delay_in(connection, np.array(merchants), at_ms).tolist()


def add_deliveries(crm, rows):
    """Deliveries (order, merchant, placed, preparation, ready or None, cancelled or None)."""
    names = ("order_id", "merchant_id", "placed_at_ms", "preparation_ms", "ready_at_ms", "cancelled_at_ms")
    told = [dict(zip(names, row, strict=True)) | {"items": "[]", "cents": 0} for row in rows]
    insert(crm, delivery, told)


def test_the_way_of_a_delivery(crm, scope_id, cafe):
    served_city(crm, scope_id, 2)
    placed = crm.deliveries.place(1001, cafe, [Item("soup", 2), Item("pie", 1, 450)], at_ms=NOW_MS)
    assert (placed.cents, placed.customer_id) == (1850, 1)
    assert placed.expected_at_ms == NOW_MS + 600_000
    assert crm.deliveries.read(1001) == placed
    later = crm.deliveries.place(1002, cafe, [Item("soup")], at_ms=NOW_MS, preparation_ms=60_000)
    told = readiness(crm, [1002, 5, 1001], NOW_MS)
    assert told.ready_at_ms.tolist() == [NOW_MS + 60_000, -1, NOW_MS + 600_000]
    assert told.preparation_ms.tolist() == [60_000, -1, 600_000]
    assert readiness(crm, [], NOW_MS).ready_at_ms.tolist() == []
    crm.deliveries.ready(1001, at_ms=NOW_MS + 700_000)
    assert crm.deliveries.read(1001).expected_at_ms == NOW_MS + 700_000
    crm.deliveries.cancel(1002, at_ms=NOW_MS + 5)
    assert later.cents == 700
    told = readiness(crm, [1001, 1002], NOW_MS + HOUR_MS)
    assert told.is_cancelled.tolist() == [False, True]
    assert told.ready_at_ms[0] == NOW_MS + 700_000
    waiting = readiness(crm, [1001], NOW_MS + 650_000)
    assert waiting.ready_at_ms.tolist() == [NOW_MS + 650_000], "not ready then, and due: at once"
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


def test_how_late_merchants_are_is_learnt(crm, scope_id, cafe):
    """The cafe is ten minutes late, the stall five minutes early, the bar is new."""
    stall, bar = (
        crm.merchants.add(Merchant("restaurant", name, 0, 0), scope_id=scope_id, at_ms=NOW_MS)
        for name in ("Stall", "Bar")
    )
    placed_ms, rows = NOW_MS - DAY_MS, []
    for k in range(9):
        at_ms = placed_ms + k * 60_000
        rows.append((k, cafe, at_ms, 600_000, at_ms + 1_200_000 + 1000 * (k - 4), None))
        rows.append((100 + k, stall, at_ms, 900_000, at_ms + 600_000, None))
    add_deliveries(crm, rows)
    share = 9 / (9 + PRIOR_DELIVERIES)
    assert usual(crm, [cafe, stall, bar], NOW_MS) == [round(600_000 * share), round(-300_000 * share), 0]
    assert usual(crm, [cafe], placed_ms + 600_000) == [0], "nothing was ready by then"
    add_deliveries(crm, [(50, cafe, NOW_MS, 300_000, None, None), (51, bar, NOW_MS, 300_000, None, None)])
    told = readiness(crm, [51, 50, 77], NOW_MS + 1000)
    late_ms = round(600_000 * share)
    assert told.ready_at_ms.tolist() == [NOW_MS + 300_000, NOW_MS + 300_000 + late_ms, -1]
    assert told.delay_ms.tolist() == [0, late_ms, 0]


def test_a_stuck_kitchen_is_seen_before_anything_is_ready(crm, cafe):
    rows = [
        (k, cafe, NOW_MS - HOUR_MS * 30 + k, 600_000, NOW_MS - HOUR_MS * 30 + k + 600_000, None)
        for k in range(9)
    ]
    add_deliveries(crm, rows)
    assert usual(crm, [cafe], NOW_MS) == [0]
    add_deliveries(crm, [(20 + k, cafe, NOW_MS - HOUR_MS + k, 600_000, None, None) for k in range(20)])
    assert usual(crm, [cafe], NOW_MS - HOUR_MS + 300_000) == [0], "nobody could know it then"
    share = 9 / (9 + PRIOR_DELIVERIES)
    assert usual(crm, [cafe], NOW_MS) == [round((HOUR_MS - 600_000) * share)]
    collected = [{"order_id": 20 + k, "picked_up_at_ms": NOW_MS - 1} for k in range(20)]
    insert(crm, orders, collected)
    assert usual(crm, [cafe], NOW_MS) == [0], "they were collected: the merchant does not say what is ready"


def test_delays_as_told_one_at_a_time(crm, scope_id, cafe):
    """The latest of each merchant, of those known by then and not too old, in plain Python."""
    luck, rows, collected = random.Random(3), [], {}
    kitchens = [cafe] + [
        crm.merchants.add(Merchant("restaurant", f"K{k}", 0, 0), scope_id=scope_id, at_ms=NOW_MS)
        for k in range(3)
    ]
    for order in range(400):
        placed_ms = NOW_MS - luck.randrange(2 * LEARNT_DAYS * DAY_MS)
        made_ms, late_ms = luck.randrange(1_200_000), luck.randrange(-600_000, 1_200_000)
        ready_ms = luck.choice((None, max(placed_ms + made_ms + late_ms, placed_ms)))
        gone_ms = luck.choice((None,) * 5 + (placed_ms,))
        rows.append((order, kitchens[order % 3], placed_ms, made_ms, ready_ms, gone_ms))
        if luck.random() < 0.8:
            collected[order] = placed_ms + luck.randrange(HOUR_MS)
    add_deliveries(crm, rows)
    insert(crm, orders, [{"order_id": one, "picked_up_at_ms": at} for one, at in collected.items()])
    seen = set()
    for at_ms in range(NOW_MS - 20 * DAY_MS, NOW_MS + 1, 4 * DAY_MS):
        expected = []
        for kitchen in kitchens:
            mine = sorted(
                (row for row in rows if row[1] == kitchen and row[2] <= at_ms), key=lambda row: -row[2]
            )
            told = []
            for order, _, placed_ms, made_ms, ready_ms, gone_ms in mine[:LEARNT_FROM]:
                if gone_ms is not None or placed_ms < at_ms - LEARNT_DAYS * DAY_MS:
                    continue
                if ready_ms is not None and ready_ms <= at_ms:
                    told.append((ready_ms - placed_ms - made_ms, True))
                elif collected.get(order, at_ms + 1) > at_ms:
                    told.append((at_ms - placed_ms - made_ms, False))
            num = sum(known for _, known in told)
            expected.append(round(survived_by_half(told) * num / (num + PRIOR_DELIVERIES)) if num else 0)
        assert usual(crm, kitchens, at_ms) == expected
        seen |= set(expected)
    assert len(seen) > 10


def survived_by_half(told):
    """Kaplan and Meier, in fractions of those still waiting, one instant after another."""
    above = 1.0
    for value in sorted({value for value, known in told if known}):
        waiting = sum(one >= value for one, _ in told)
        ended = sum(one == value and known for one, known in told)
        above *= 1 - ended / waiting
        if above <= 0.5 + 1e-9:
            return value
    return max(value for value, _ in told)


@given(st.lists(st.tuples(st.integers(-9, 9), st.booleans()), min_size=1, max_size=12))
def test_the_median_of_what_is_known_in_part(told):
    values, known = (np.array(column) for column in zip(*told, strict=True))
    assert _median(values.astype(np.int64), known) == survived_by_half(told)
    if known.all():
        assert _median(values.astype(np.int64), known) == median_low(values.tolist())
