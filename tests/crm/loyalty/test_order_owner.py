"""Coupons, passes and points are used on one's own orders, at their place, before they have ended."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import CITY, DAY_MS, MONDAY_MS, OTHER_CITY, OTHER_TENANT, TENANT
from crm.waiting import wait_until_blocked
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.loyalty.order_owner import OVER, is_owner_in, others_in, refusal_in
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.tables.loyalty import points_entry, redemption
from dispatch.crm.tables.orders import orders
from dispatch.engine.events import EventKind as Kind, make_events
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import StateError

NOW_MS = MONDAY_MS + DAY_MS
FARE = 2000
SUBMITTED = ((Kind.ORDER_SUBMITTED, 0),)
RIDDEN = (
    (Kind.ORDER_ASSIGNED, 1000),
    (Kind.DRIVER_ARRIVED, 2000),
    (Kind.PICKED_UP, 3000),
    (Kind.DROPPED_OFF, 4000),
)
CLOSED = (*RIDDEN, (Kind.ORDER_CLOSED, 5000))
CANCELLED = ((Kind.ORDER_CANCELLED, 5000),)
EXPIRED = ((Kind.ORDER_EXPIRED, 5000),)


def fill(log, customer_id, steps, at_ms):
    """Write what happened to an order, from an instant on."""
    log["kind"] = [kind for kind, _ in steps]
    log["at_ms"] = [at_ms + after_ms for _, after_ms in steps]
    begins, rides = log["kind"] == Kind.ORDER_SUBMITTED, np.isin(log["kind"], [kind for kind, _ in RIDDEN])
    log["customer_id"][begins], log["tier"][begins], log["wanted_after_ms"][begins] = customer_id, 0, 0
    log["driver_id"][rides] = 9
    log["fare_cents"][log["kind"] == Kind.DROPPED_OFF] = FARE


class Stream:
    """Tells the CRM what became of orders, bit by bit."""

    def __init__(self, crm, scope_id, name="engine"):
        self.crm, self.scope_id, self.name, self.seq = crm, scope_id, name, 0

    def tell(self, order_id, customer_id, *steps, at_ms=NOW_MS):
        log = make_events(Kind.ORDER_SUBMITTED, len(steps), order_id=order_id)
        fill(log, customer_id, steps, at_ms)
        told = {"first_seq": self.seq, "stream": self.name, "scope_id": self.scope_id}
        self.crm.events.apply(log, **told)
        self.seq += len(log)


@pytest.fixture
def ada_and_bo(crm, scope_id):
    """Two customers with a thousand points and a pass each; anybody may use TEN and, in the city, CITY."""
    people = crm.customers.register_many({"name": ["Ada", "Bo"]}, scope_id=scope_id, at_ms=MONDAY_MS)
    for one in people:
        crm.points.grant(one, 1000, at_ms=MONDAY_MS, reason="gift", key=f"gift-{one}")
        crm.passes.buy(one, "commuter_month", at_ms=MONDAY_MS, key=f"pass-{one}")
    company = crm.scope(TENANT, "")
    until_ms = MONDAY_MS + 90 * DAY_MS
    crm.coupons.define(company, CouponTerms("ten", MONDAY_MS, until_ms, 500, code="TEN"), at_ms=MONDAY_MS)
    crm.coupons.define(scope_id, CouponTerms("city", MONDAY_MS, until_ms, 300, code="CITY"), at_ms=MONDAY_MS)
    return people


def rows_of(crm, order_id):
    """Who has what state on an order, the earliest first."""
    with crm.context.database.reading() as connection:
        found = sa.select(redemption.c.customer_id, redemption.c.state).where(
            redemption.c.order_id == order_id
        )
        return [tuple(row) for row in connection.execute(found.order_by(redemption.c.redemption_id))]


def points_of(crm, customer_id):
    return crm.points.balance(customer_id, at_ms=NOW_MS + DAY_MS).points


def uses(crm, who, order_id, at_ms):
    """All ways to use something on an order."""
    booking = Booking(order_id, FARE)
    return {
        "coupon": lambda: crm.coupons.reserve(who, "TEN", booking, at_ms=at_ms),
        "pass": lambda: crm.passes.reserve(who, booking, at_ms=at_ms),
        "points": lambda: crm.points.redeem(
            who, 200, at_ms=at_ms, key=f"{who}-{order_id}", order_id=order_id
        ),
    }


def test_nothing_is_used_on_an_order_of_another(crm, scope_id, ada_and_bo):
    ada, bo = ada_and_bo
    Stream(crm, scope_id).tell(7, ada, *SUBMITTED)
    for use in uses(crm, bo, 7, NOW_MS + 10).values():
        with pytest.raises(StateError, match="order_of_another"):
            use()
    assert crm.coupons.validate(bo, "TEN", Booking(7, FARE), at_ms=NOW_MS).refusal == "order_of_another"
    assert crm.coupons.validate(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS).discount_cents == 500
    assert rows_of(crm, 7) == []
    assert points_of(crm, bo) == 1000
    crm.coupons.reserve(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS + 10)
    assert crm.points.redeem(ada, 200, at_ms=NOW_MS + 10, key="own", order_id=7).points == 200


@pytest.mark.parametrize("ends", [CANCELLED, EXPIRED, CLOSED])
def test_nothing_is_used_on_an_order_that_has_ended(crm, scope_id, ada_and_bo, ends):
    ada, _ = ada_and_bo
    stream = Stream(crm, scope_id)
    stream.tell(7, ada, *SUBMITTED, *ends)
    at_ms = NOW_MS + 10_000
    told = uses(crm, ada, 7, at_ms)
    points = told.pop("points")
    for use in told.values():
        with pytest.raises(StateError, match="order_ended"):
            use()
    if ends is CLOSED:  # a fare may be paid after the ride
        assert points().points == 200
        return
    with pytest.raises(StateError, match="it has ended"):
        points()
    assert points_of(crm, ada) == 1000
    assert rows_of(crm, 7) == []


def test_what_came_to_nothing_is_not_committed(crm, scope_id, ada_and_bo):
    ada, _ = ada_and_bo
    stream = Stream(crm, scope_id)
    crm.coupons.reserve(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS)
    stream.tell(7, ada, *SUBMITTED)
    stream.tell(7, ada, *CANCELLED)
    assert rows_of(crm, 7) == [(ada, "rolled_back")]
    for call in (crm.coupons.commit, crm.passes.commit):
        with pytest.raises(StateError, match="neither coupon nor pass"):
            call(ada, 7, at_ms=NOW_MS + 10_000)
    # As by two who did so at the same time: reserved just when the order ended.
    with crm.context.database.writing() as connection:
        connection.execute(sa.update(redemption).values(state="reserved", ended_at_ms=None))
    with pytest.raises(StateError, match="order 7: it has ended"):
        crm.coupons.commit(ada, 7, at_ms=NOW_MS + 10_000)


def test_a_request_that_is_sent_again_gets_the_same_answer_afterwards(crm, scope_id, ada_and_bo):
    ada, _ = ada_and_bo
    stream = Stream(crm, scope_id)
    reserved = crm.coupons.reserve(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS)
    points = crm.points.redeem(ada, 200, at_ms=NOW_MS, key="k", order_id=7)
    stream.tell(7, ada, *SUBMITTED, *CLOSED)
    again = crm.coupons.reserve(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS)
    assert (again.redemption_id, again.state) == (reserved.redemption_id, "committed")
    assert crm.coupons.commit(ada, 7, at_ms=NOW_MS + 10_000) == again
    assert crm.points.redeem(ada, 200, at_ms=NOW_MS, key="k", order_id=7) == points


def test_merged_customers_are_one(crm, scope_id, ada_and_bo):
    ada, bo = ada_and_bo
    Stream(crm, scope_id).tell(7, bo, *SUBMITTED)
    crm.contacts.merge(bo, ada, at_ms=NOW_MS)
    crm.coupons.reserve(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS + 10)
    assert crm.coupons.commit(ada, 7, at_ms=NOW_MS + 20).state == "committed"
    assert crm.points.redeem(ada, 200, at_ms=NOW_MS + 20, key="k", order_id=7).points == 200


def test_coupons_are_for_orders_of_their_place(crm, scope_id, ada_and_bo):
    ada, _ = ada_and_bo
    away, strange = crm.scope(TENANT, OTHER_CITY), crm.scope(OTHER_TENANT, CITY)
    Stream(crm, away, "away").tell(7, ada, *SUBMITTED)
    Stream(crm, strange, "strange").tell(8, ada, *SUBMITTED)
    with pytest.raises(StateError, match="order_elsewhere"):
        crm.coupons.reserve(ada, "CITY", Booking(7, FARE), at_ms=NOW_MS)
    assert crm.coupons.reserve(ada, "TEN", Booking(7, FARE), at_ms=NOW_MS).discount_cents == 500
    assert crm.points.redeem(ada, 200, at_ms=NOW_MS, key="k", order_id=7).points == 200
    for use in uses(crm, ada, 8, NOW_MS).values():
        with pytest.raises(StateError, match="order_elsewhere"):
            use()


def test_a_coupon_that_was_reserved_for_another_place_is_given_back(crm, ada_and_bo):
    ada, _ = ada_and_bo
    for order, code in ((7, "CITY"), (8, "TEN")):
        crm.coupons.reserve(ada, code, Booking(order, FARE), at_ms=NOW_MS)
    away = Stream(crm, crm.scope(TENANT, OTHER_CITY))
    for order in (7, 8):
        away.tell(order, ada, *SUBMITTED)
    with pytest.raises(StateError, match="of another place"):
        crm.coupons.commit(ada, 7, at_ms=NOW_MS + 10)
    for order in (7, 8):
        away.tell(order, ada, *CLOSED, at_ms=NOW_MS + order * 10_000)
    assert (rows_of(crm, 7), rows_of(crm, 8)) == ([(ada, "rolled_back")], [(ada, "committed")])


@pytest.mark.parametrize("way", ["coupon", "pass"])
@pytest.mark.parametrize("committed", [False, True])
def test_what_another_put_on_an_order_beforehand_is_given_back_at_its_end(
    crm, scope_id, ada_and_bo, way, committed
):
    """Nobody knew whose order 7 would be: it is served, and Ada's; Bo had used something on it."""
    ada, bo = ada_and_bo
    told, part = uses(crm, bo, 7, NOW_MS), crm.coupons if way == "coupon" else crm.passes
    told[way]()
    told["points"]()
    if committed:
        part.commit(bo, 7, at_ms=NOW_MS)
    assert points_of(crm, bo) == 800
    stream = Stream(crm, scope_id)
    stream.tell(7, ada, *SUBMITTED)
    if not committed:
        with pytest.raises(StateError, match="order 7: it is another customer's"):
            part.commit(bo, 7, at_ms=NOW_MS + 10)
    crm.points.redeem(ada, 300, at_ms=NOW_MS, key="own", order_id=7)
    stream.tell(7, ada, *CLOSED)
    assert rows_of(crm, 7) == [(bo, "rolled_back")]
    assert points_of(crm, bo) == 1000
    # Those of the owner stay used.
    assert points_of(crm, ada) == 700 + FARE // 100


@pytest.mark.parametrize("way", ["coupon", "pass"])
def test_nobody_keeps_an_owner_from_a_discount(crm, scope_id, ada_and_bo, way):
    ada, bo = ada_and_bo
    uses(crm, bo, 7, NOW_MS)[way]()
    with pytest.raises(StateError, match="has a discount already"):
        uses(crm, ada, 7, NOW_MS)[way]()  # whose order it will be nobody knows yet
    Stream(crm, scope_id).tell(7, ada, *SUBMITTED)
    made = uses(crm, ada, 7, NOW_MS + 10)[way]()
    assert rows_of(crm, 7) == [(bo, "rolled_back"), (ada, "reserved")]
    with pytest.raises(StateError, match="order_of_another"):
        uses(crm, bo, 7, NOW_MS + 20)[way]()
    assert uses(crm, ada, 7, NOW_MS + 10)[way]() == made
    # What was given back can be used on an order of one's own.
    assert uses(crm, bo, 8, NOW_MS + 30)[way]().state == "reserved"


def test_orders_of_nobody_known_are_open_to_who_pays(crm, scope_id, ada_and_bo):
    ada, _ = ada_and_bo
    stream = Stream(crm, scope_id)
    stream.tell(7, -1, *SUBMITTED)
    for way in ("coupon", "points"):
        uses(crm, ada, 7, NOW_MS)[way]()
    stream.tell(7, -1, *CLOSED)
    assert rows_of(crm, 7) == [(ada, "committed")]
    assert points_of(crm, ada) == 800


def steps_of(order_id, customer_id, steps):
    """The events of one order, as rows of a log."""
    log = make_events(Kind.ORDER_SUBMITTED, len(steps), order_id=order_id)
    fill(log, customer_id, steps, NOW_MS + order_id)
    return log


def test_what_is_given_back_is_the_same_however_a_log_is_cut(tmp_path):
    ends = {7: (1, CLOSED), 8: (2, CLOSED), 9: (2, CANCELLED), 10: (1, CLOSED)}
    log = np.concatenate([steps_of(order, who, SUBMITTED + end) for order, (who, end) in ends.items()])
    log = log[np.argsort(log["at_ms"], kind="stable")]
    found = []
    for size in (1, 3, len(log)):
        with Crm.create(tmp_path / f"{size}.db") as crm:
            told = {"customer_id": [1, 2], "name": ["Ada", "Bo"]}
            crm.customers.register_many(told, scope_id=crm.scope(TENANT, CITY), at_ms=MONDAY_MS)
            for one in (1, 2):
                crm.points.grant(one, 1000, at_ms=MONDAY_MS, reason="gift", key=f"gift-{one}")
            for order in ends:  # Bo on all of them, Ada on some
                for who in (2, 1)[: 1 + order % 2]:
                    crm.points.redeem(who, 100, at_ms=NOW_MS, key=f"{who}-{order}", order_id=order)
            for first in range(0, len(log), size):
                crm.events.apply(log[first : first + size], first_seq=first)
            with crm.context.database.reading() as connection:
                columns = [column for column in points_entry.c if column.name != "entry_id"]
                found.append(connection.execute(sa.select(*columns).order_by(points_entry.c.entry_id)).all())
            balances = [crm.points.balance(one, at_ms=NOW_MS + DAY_MS).points for one in (1, 2)]
            # Ada redeemed on 7, her own, and on 9, Bo's; Bo on 8, his own, and on three that give back.
            assert balances == [900 + 2 * FARE // 100, 900 + FARE // 100]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("way", ["coupon", "pass", "points"])
def test_who_comes_while_an_order_is_cancelled_waits_for_it(crm, scope_id, ada_and_bo, way):
    ada, _ = ada_and_bo
    Stream(crm, scope_id).tell(7, ada, *SUBMITTED)
    database = crm.context.database
    with ThreadPoolExecutor() as pool:
        with database.writing() as connection:
            ended = sa.update(orders).where(orders.c.order_id == 7).values(stage=int(OrderStatus.CANCELLED))
            connection.execute(ended)
            asked = pool.submit(uses(crm, ada, 7, NOW_MS + 10)[way])
            wait_until_blocked(database)
        with pytest.raises(StateError, match="ended"):
            asked.result(timeout=30)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_end_that_comes_while_points_are_redeemed_gives_them_back(crm, scope_id, ada_and_bo):
    ada, _ = ada_and_bo
    stream, database = Stream(crm, scope_id), crm.context.database
    stream.tell(7, ada, *SUBMITTED)
    with ThreadPoolExecutor() as pool:
        with database.writing() as connection:
            # What redeeming locks first.
            assert refusal_in(connection, ada, 7, OVER) == ""
            ending = pool.submit(stream.tell, 7, ada, *CANCELLED)
            wait_until_blocked(database)
            assert crm.points.redeem(ada, 200, at_ms=NOW_MS, key="k", order_id=7).points == 200
        ending.result(timeout=30)
    assert points_of(crm, ada) == 1000


def test_who_is_another(crm, scope_id, ada_and_bo):
    ada, bo = ada_and_bo
    stream = Stream(crm, scope_id)
    stream.tell(7, ada, *SUBMITTED)
    stream.tell(8, 4711, *SUBMITTED)
    with crm.context.database.reading() as connection:
        assert [is_owner_in(connection, one, 7) for one in (ada, bo)] == [True, False]
        assert not is_owner_in(connection, ada, 99)
        # The CRM need not know whose order it is.
        assert refusal_in(connection, ada, 8, OVER, locks=False) == "order_of_another"
        assert refusal_in(connection, ada, 99, OVER, locks=False) == ""
        assert others_in(connection, {0: (ada, ada), 1: (ada, bo), 2: (bo, None)}) == {1}
