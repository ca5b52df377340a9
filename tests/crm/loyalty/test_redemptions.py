"""Limits of coupons and passes hold, however many clients reserve, commit and roll back at once."""

import itertools
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS
from crm.engaged import add_customers
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty import redemptions
from dispatch.crm.loyalty.coupons import CouponTerms
from dispatch.crm.loyalty.redemptions import Booking, discount_of
from dispatch.crm.tables.loyalty import coupon, coupon_code, coupon_customer, customer_pass, redemption
from dispatch.errors import InputError, StateError

CUSTOMERS = range(1, 13)
CLIENTS = 8
IS_LIVE = redemption.c.state.in_(("reserved", "committed"))


# --- many clients at once ------------------------------------------------------------------------


@dataclass(frozen=True)
class Storm:
    """What many clients did, and how far limits were exceeded at any time."""

    done: Counter
    over: int
    wall_s: float


def define(crm: Crm, name: str, **told: int) -> int:
    scope_id = crm.scope("acme", "san_francisco")
    terms = CouponTerms(name, MONDAY_MS, MONDAY_MS + 99 * DAY_MS, cents=300, code=name.upper(), **told)
    return crm.coupons.define(scope_id, terms, at_ms=MONDAY_MS)


def storm(crm: Crm, attempts: int, clients: int = CLIENTS) -> Storm:
    """Let clients reserve shared codes, and commit or roll back, while a watcher counts what is live."""
    add_customers(crm, crm.scope("acme", "san_francisco"), CUSTOMERS)
    names = {
        define(crm, "total", most_uses=attempts // 20): "TOTAL",
        define(crm, "each", most_per_customer=3): "EACH",
        define(crm, "both", most_uses=20, most_per_customer=2): "BOTH",
    }
    orders = itertools.count(1)
    begin_s, is_over = time.perf_counter(), []

    def client(seed: int) -> Counter:
        chooser, done = random.Random(seed), Counter()
        for _ in range(attempts // clients):
            done[attempt(crm, chooser, next(orders), chooser.choice(list(names.values())))] += 1
        return done

    def watch() -> int:
        worst = 0
        while not is_over:
            worst = max(worst, exceeded(crm))
            time.sleep(0.02)
        return max(worst, exceeded(crm))

    with ThreadPoolExecutor(clients + 1) as pool:
        watched = pool.submit(watch)
        try:
            done = sum(pool.map(client, range(clients)), Counter())
        finally:
            is_over.append(True)
    return Storm(done, watched.result(), time.perf_counter() - begin_s)


def attempt(crm: Crm, chooser: random.Random, order_id: int, code: str) -> str:
    """Try to use a code on an order, and do with it what comes to mind."""
    customer_id, told = chooser.choice(CUSTOMERS), {"at_ms": MONDAY_MS + order_id}
    try:
        crm.coupons.reserve(customer_id, code, Booking(order_id, 1000), **told)
    except StateError as error:
        return "refused" if "used" in str(error) else str(error)
    what = chooser.choice(["commit", "commit", "roll_back", "settle", "both", "leave"])
    if what in ("commit", "both"):
        crm.coupons.commit(customer_id, order_id, **told)
    if what in ("roll_back", "both"):
        crm.coupons.roll_back(customer_id, order_id, **told)
    if what == "settle":
        with crm.context.database.writing() as connection:
            is_completed = chooser.random() < 0.5
            redemptions.settle_in(connection, [order_id], [is_completed], [told["at_ms"]])
    return what


def exceeded(crm: Crm) -> int:
    """Count by how much all limits together are exceeded in one state of the database."""
    with crm.context.database.reading() as connection:
        limits = {row.coupon_id: row for row in connection.execute(sa.select(coupon))}
        live = connection.execute(
            sa.select(redemption.c.coupon_id, redemption.c.customer_id, sa.func.count())
            .where(IS_LIVE)
            .group_by(redemption.c.coupon_id, redemption.c.customer_id)
        ).all()
    over, total = 0, Counter()
    for coupon_id, _, num in live:
        total[coupon_id] += num
        over += max(num - (limits[coupon_id].most_per_customer or num), 0)
    return over + sum(max(num - (limits[one].most_uses or num), 0) for one, num in total.items())


def assert_counters_are_counts(crm: Crm) -> None:
    """Each counter of a limit is the number of what is reserved or committed."""
    with crm.context.database.reading() as connection:
        for table, keys in (
            (coupon, ("coupon_id",)),
            (coupon_customer, ("coupon_id", "customer_id")),
            (coupon_code, ("code_id",)),
            (customer_pass, ("pass_id",)),
        ):
            columns = [redemption.c[key] for key in keys]
            counted = sa.select(*columns, sa.func.count()).where(IS_LIVE, columns[0].is_not(None))
            live = {tuple(row[:-1]): row[-1] for row in connection.execute(counted.group_by(*columns))}
            held = connection.execute(sa.select(*(table.c[key] for key in keys), table.c.num_held)).all()
            assert {tuple(row[:-1]): row[-1] for row in held if row[-1]} == live


def test_limits_hold_under_many_clients(crm):
    """Cheap enough for every day; the same with 10,000 attempts below."""
    told = storm(crm, 400 if crm.context.database.is_sqlite else 800)
    assert_limits_held(crm, told)


@pytest.mark.long
def test_limits_hold_in_ten_thousand_attempts(postgres_url, tmp_path):
    with Crm.create(postgres_url, "ride", keys=tmp_path / "crm.keys") as crm:
        told = storm(crm, 10_000)
        assert_limits_held(crm, told)


def assert_limits_held(crm: Crm, told: Storm) -> None:
    assert told.over == 0
    # The limits were reached, and places that were given back were taken again.
    assert told.done["refused"] > sum(told.done.values()) / 5
    assert set(told.done) == {"refused", "commit", "roll_back", "settle", "both", "leave"}
    assert min(told.done[what] for what in ("commit", "roll_back", "settle", "both", "leave")) > 5
    assert_counters_are_counts(crm)


def test_the_storm_finds_limits_that_are_read_before_they_are_written(postgres_url, tmp_path, monkeypatch):
    """With the guard taken out there must be something over: else the tests above would show nothing."""

    def take_unguarded(connection, coupon_id, customer_id, code_id=None):
        (limits,) = connection.execute(sa.select(coupon).where(coupon.c.coupon_id == coupon_id))
        mine = sa.and_(coupon_customer.c.coupon_id == coupon_id, coupon_customer.c.customer_id == customer_id)
        by_customer = connection.scalar(sa.select(coupon_customer.c.num_held).where(mine)) or 0
        if limits.most_uses and limits.num_held >= limits.most_uses:
            raise StateError("used up")
        if limits.most_per_customer and by_customer >= limits.most_per_customer:
            raise StateError("used up")
        time.sleep(0.02)  # so long that others read the same, on any machine
        one = coupon.c.coupon_id == coupon_id
        connection.execute(sa.update(coupon).where(one).values(num_held=limits.num_held + 1))
        raised = sa.text(
            "INSERT INTO coupon_customer (coupon_id, customer_id, num_held) VALUES (:coupon_id, :one, :num) "
            "ON CONFLICT (coupon_id, customer_id) DO UPDATE SET num_held = excluded.num_held"
        )
        connection.execute(raised, {"coupon_id": coupon_id, "one": customer_id, "num": by_customer + 1})

    monkeypatch.setattr(redemptions, "take_coupon_in", take_unguarded)
    monkeypatch.setattr(redemptions, "_lower", lambda *_: None)
    with Crm.create(postgres_url, "ride", keys=tmp_path / "crm.keys") as crm:
        assert storm(crm, 160).over > 0


def test_one_code_of_a_person_is_redeemed_once_by_many_at_once(crm):
    scope_id = crm.scope("acme", "san_francisco")
    add_customers(crm, scope_id, CUSTOMERS)
    terms = CouponTerms("own", MONDAY_MS, MONDAY_MS + 99 * DAY_MS, permille=500)
    coupon_id = crm.coupons.define(scope_id, terms, at_ms=MONDAY_MS)
    bearer, own = crm.coupons.issue(coupon_id, [None, 3], at_ms=MONDAY_MS)

    def redeem(order_id: int) -> bool:
        try:
            code, who = (own, 3) if order_id % 2 else (bearer, 1 + order_id % 12)
            crm.coupons.reserve(who, code, Booking(order_id, 1000), at_ms=MONDAY_MS)
        except StateError:
            return False
        return True

    with ThreadPoolExecutor(CLIENTS) as pool:
        assert sum(pool.map(redeem, range(100, 140))) == 2
    assert_counters_are_counts(crm)


# --- settling in bulk ----------------------------------------------------------------------------


def test_orders_that_end_settle_what_they_have_and_nothing_else(crm):
    scope_id = crm.scope("acme", "san_francisco")
    add_customers(crm, scope_id, CUSTOMERS)
    shared = define(crm, "shared", most_uses=4)
    terms = CouponTerms("own", MONDAY_MS, MONDAY_MS + 99 * DAY_MS, cents=5000)
    codes = crm.coupons.issue(crm.coupons.define(scope_id, terms, at_ms=MONDAY_MS), [5, 6], at_ms=MONDAY_MS)
    crm.passes.buy(7, "ten_rides", at_ms=MONDAY_MS, key="pay-7")
    for who, order, code in ((1, 11, "SHARED"), (2, 12, "SHARED"), (3, 13, "SHARED"), (5, 15, codes[0])):
        crm.coupons.reserve(who, code, Booking(order, 1000), at_ms=MONDAY_MS)
    crm.coupons.reserve(6, codes[1], Booking(16, 1000), at_ms=MONDAY_MS)
    for order in (17, 18):
        crm.passes.reserve(7, Booking(order, 1000), at_ms=MONDAY_MS)
    ended = {11: True, 12: False, 13: True, 15: False, 16: True, 17: True, 18: False, 99: True, 98: False}
    # Order 13 took longer than a coupon is held: whether it was swept before or not, it is void.
    at_ms = [MONDAY_MS + (3 * HOUR_MS if order == 13 else HOUR_MS) for order in ended]
    for _ in range(2):
        with crm.context.database.writing() as connection:
            redemptions.settle_in(connection, list(ended), list(ended.values()), at_ms)
        with crm.context.database.reading() as connection:
            states = dict(connection.execute(sa.select(redemption.c.order_id, redemption.c.state)).all())
        assert states == {
            11: "committed",
            12: "rolled_back",
            13: "expired",
            15: "rolled_back",
            16: "committed",
            17: "committed",
            18: "rolled_back",
        }
        assert_counters_are_counts(crm)
    assert crm.coupons.report(shared).uses == {"committed": 1, "expired": 1, "rolled_back": 1}
    assert [one.num_held for one in crm.passes.of_customer(7, at_ms=MONDAY_MS)] == [1]
    assert crm.coupons.of_customer(5, at_ms=MONDAY_MS)[0].code == codes[0]
    assert crm.coupons.of_customer(6, at_ms=MONDAY_MS) == []


def test_reservations_expire_and_give_back(crm):
    add_customers(crm, crm.scope("acme", "san_francisco"), CUSTOMERS)
    define(crm, "one", most_uses=1)
    held = crm.coupons.reserve(1, "ONE", Booking(11, 1000), at_ms=MONDAY_MS)
    assert held.until_ms == MONDAY_MS + 2 * HOUR_MS
    assert crm.coupons.expire(at_ms=held.until_ms) == 0
    assert crm.coupons.expire(at_ms=held.until_ms + 1) == 1
    crm.coupons.reserve(2, "ONE", Booking(12, 1000), at_ms=held.until_ms + 1)
    with pytest.raises(StateError, match="expired at"):
        crm.coupons.commit(1, 11, at_ms=held.until_ms + 1)
    assert crm.coupons.roll_back(1, 11, at_ms=held.until_ms + 1).state == "expired"
    with pytest.raises(StateError, match="expired at"):
        crm.coupons.commit(2, 12, at_ms=held.until_ms + DAY_MS)
    assert crm.coupons.roll_back(2, 12, at_ms=held.until_ms + DAY_MS).state == "expired"
    assert_counters_are_counts(crm)


def test_what_a_merged_customer_had_goes_on(crm):
    scope_id = crm.scope("acme", "san_francisco")
    add_customers(crm, scope_id, CUSTOMERS)
    define(crm, "each", most_per_customer=2)
    terms = CouponTerms("own", MONDAY_MS, MONDAY_MS + 99 * DAY_MS, cents=500)
    crm.coupons.issue(crm.coupons.define(scope_id, terms, at_ms=MONDAY_MS), [1], at_ms=MONDAY_MS)
    crm.passes.buy(1, "ten_rides", at_ms=MONDAY_MS, key="pay-1")
    for who, order in ((1, 11), (2, 12)):
        crm.coupons.reserve(who, "EACH", Booking(order, 1000), at_ms=MONDAY_MS)
    crm.passes.reserve(1, Booking(13, 1000), at_ms=MONDAY_MS)
    with crm.context.database.writing() as connection:
        redemptions.merge_in(connection, 1, 2)
    assert_counters_are_counts(crm)
    with pytest.raises(StateError, match="used_up_by_customer"):
        crm.coupons.reserve(2, "EACH", Booking(14, 1000), at_ms=MONDAY_MS)
    assert len(crm.coupons.of_customer(2, at_ms=MONDAY_MS)) == 1
    crm.coupons.roll_back(2, 11, at_ms=MONDAY_MS)
    crm.passes.commit(2, 13, at_ms=MONDAY_MS)
    assert_counters_are_counts(crm)


def test_a_long_list_of_orders_without_coupons_costs_next_to_nothing(tmp_path: Path):
    """Statements do not grow with the orders."""
    with Crm.create(tmp_path / "crm.db") as crm, crm.context.database.writing() as connection:
        asked = []
        sa.event.listen(connection, "before_cursor_execute", lambda *told: asked.append(told[2]))
        num_asked = []
        for num in (1, 100_000):
            redemptions.settle_in(connection, list(range(num)), [True] * num, [MONDAY_MS] * num)
            num_asked.append(len(asked))
        assert num_asked[1] - num_asked[0] <= num_asked[0] + 1


def test_discounts_never_exceed_the_fare():
    assert discount_of(1000, 300, 0, 0) == 300
    assert discount_of(200, 300, 0, 0) == 200
    assert discount_of(1999, 0, 500, 0) == 999
    assert discount_of(1999, 0, 500, 600) == 600
    assert discount_of(0, 0, 1000, 600) == 0
    with pytest.raises(InputError, match="fare_cents is -1"):
        Booking(1, -1)
    with pytest.raises(InputError, match="channel is"):
        Booking(1, 1, channel="by phone")


# --- booked ahead --------------------------------------------------------------------------------

AHEAD_MS = MONDAY_MS + 9 * DAY_MS
"""When the pickup is wanted."""
END_MS = AHEAD_MS + 2 * HOUR_MS


def settle(crm: Crm, order_id: int, is_completed: bool, at_ms: int) -> None:
    with crm.context.database.writing() as connection:
        redemptions.settle_in(connection, [order_id], [is_completed], [at_ms])


def state_of(crm: Crm, order_id: int) -> str:
    with crm.context.database.reading() as connection:
        found = sa.select(redemption.c.state).where(redemption.c.order_id == order_id)
        return connection.execute(found.order_by(redemption.c.redemption_id.desc())).scalars().first()


def test_what_is_booked_ahead_is_held_until_after_the_ride(crm):
    add_customers(crm, crm.scope("acme", "san_francisco"), CUSTOMERS)
    define(crm, "four", most_uses=4)
    booked = [Booking(order, 1000, wanted_at_ms=AHEAD_MS) for order in (11, 12, 13, 14)]
    for who, booking in enumerate(booked, 1):
        held = crm.coupons.reserve(who, "FOUR", booking, at_ms=MONDAY_MS)
        assert held.until_ms == END_MS
        # Told again, at whatever instant until then, with or without the pickup, it is the same.
        assert crm.coupons.reserve(who, "FOUR", booking, at_ms=END_MS) == held
        assert crm.coupons.reserve(who, "FOUR", replace(booking, wanted_at_ms=None), at_ms=END_MS) == held
    with pytest.raises(StateError, match="has a discount already"):
        crm.coupons.reserve(1, "FOUR", replace(booked[0], wanted_at_ms=AHEAD_MS + 1), at_ms=MONDAY_MS)
    with pytest.raises(StateError, match="used_up"):
        crm.coupons.reserve(5, "FOUR", Booking(15, 1000), at_ms=END_MS)
    # The sweep, what settles orders and who commits agree on the last instant, and on the one after it.
    assert crm.coupons.expire(at_ms=END_MS) == 0
    assert crm.coupons.commit(1, 11, at_ms=END_MS).state == "committed"
    settle(crm, 12, True, END_MS)
    settle(crm, 13, True, END_MS + 1)
    assert [state_of(crm, order) for order in (11, 12, 13, 14)] == [
        "committed",
        "committed",
        "expired",
        "reserved",
    ]
    with pytest.raises(StateError, match=f"expired at {END_MS}"):
        crm.coupons.commit(4, 14, at_ms=END_MS + 1)
    with pytest.raises(StateError, match=f"expired at {END_MS}: roll it back before"):
        crm.coupons.reserve(4, "FOUR", booked[3], at_ms=END_MS + 1)
    assert crm.coupons.expire(at_ms=END_MS + 1) == 1
    assert crm.coupons.reserve(4, "FOUR", Booking(14, 1000), at_ms=END_MS + 1).state == "reserved"
    assert_counters_are_counts(crm)


def test_a_ride_that_is_cancelled_long_before_gives_back(crm):
    add_customers(crm, crm.scope("acme", "san_francisco"), CUSTOMERS)
    define(crm, "one", most_uses=1)
    crm.coupons.reserve(1, "ONE", Booking(11, 1000, wanted_at_ms=AHEAD_MS), at_ms=MONDAY_MS)
    settle(crm, 11, False, MONDAY_MS + DAY_MS)
    assert state_of(crm, 11) == "rolled_back"
    crm.coupons.reserve(2, "ONE", Booking(12, 1000, wanted_at_ms=AHEAD_MS), at_ms=MONDAY_MS + DAY_MS)
    assert crm.coupons.roll_back(2, 12, at_ms=MONDAY_MS + DAY_MS).state == "rolled_back"
    assert_counters_are_counts(crm)


def test_pickups_out_of_range_are_refused_and_change_nothing(crm):
    add_customers(crm, crm.scope("acme", "san_francisco"), CUSTOMERS)
    define(crm, "one", most_uses=1)
    crm.passes.buy(1, "ten_rides", at_ms=MONDAY_MS, key="pay-1")
    for wanted_at_ms in (MONDAY_MS - 1, MONDAY_MS + redemptions.MOST_AHEAD_MS + 1):
        booking = Booking(11, 1000, wanted_at_ms=wanted_at_ms)
        for call in (
            lambda booking=booking: crm.coupons.reserve(1, "ONE", booking, at_ms=MONDAY_MS),
            lambda booking=booking: crm.coupons.validate(1, "ONE", booking, at_ms=MONDAY_MS),
            lambda booking=booking: crm.passes.reserve(1, booking, at_ms=MONDAY_MS),
        ):
            with pytest.raises(InputError, match=f"wanted_at_ms is {wanted_at_ms}"):
                call()
    for nonsense in (-1, 2.5, True, "tomorrow", 10**15):
        with pytest.raises(InputError, match="wanted_at_ms is"):
            Booking(11, 1000, wanted_at_ms=nonsense)
    with crm.context.database.reading() as connection:
        assert connection.execute(sa.select(redemption)).all() == []
    latest = MONDAY_MS + redemptions.MOST_AHEAD_MS
    held = crm.coupons.reserve(1, "ONE", Booking(11, 1000, wanted_at_ms=latest), at_ms=MONDAY_MS)
    assert held.until_ms == latest + 2 * HOUR_MS
    assert_counters_are_counts(crm)
