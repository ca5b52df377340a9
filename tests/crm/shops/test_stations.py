"""Stations: energy bought once, points earned, range left, sales by product and hour."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, actor
from crm.engaged import add_customers
from dispatch.crm.fleet.vehicles import Vehicle
from dispatch.crm.shops.merchants import Merchant
from dispatch.crm.shops.stations import Purchase
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StateError


@pytest.fixture
def fuel(crm):
    """The same CRM by the rules of petrol stations."""
    vertical = replace(Vertical.load("fuel"), classes=("car",))
    return type(crm)(replace(crm.context, vertical=vertical))


@pytest.fixture
def station(fuel, scope_id):
    told = Merchant("station", "Main St", 0, 0, slots=6)
    return fuel.merchants.add(told, scope_id=scope_id, at_ms=MONDAY_MS)


def test_customers_buy_fuel_once_a_key_and_earn_points(fuel, scope_id, station):
    add_customers(fuel, scope_id, [1, 2], tier=[None, "diamond"])
    plain = Purchase("petrol_95", 4567, "till-1/17", customer_id=1, millilitres=30_000)
    first = fuel.stations.sell(station, plain, at_ms=MONDAY_MS)
    assert (first.points, first.is_new) == (45, True)
    again = fuel.stations.sell(station, plain, at_ms=MONDAY_MS + 5)
    assert again == replace(first, is_new=False)
    assert fuel.points.balance(1, at_ms=MONDAY_MS).points == 45
    with pytest.raises(StateError, match="another purchase"):
        fuel.stations.sell(station, replace(plain, cents=1), at_ms=MONDAY_MS)
    best = replace(plain, product="petrol_98", customer_id=2, key="till-1/18")
    assert fuel.stations.sell(station, best, at_ms=MONDAY_MS).points == 3 * 45, "all rules that fit"
    other = fuel.merchants.add(Merchant("station", "Elm St", 0, 0), scope_id=scope_id, at_ms=MONDAY_MS)
    assert fuel.stations.sell(other, plain, at_ms=MONDAY_MS + 5).is_new, "another station's till"
    nobody = Purchase("shop", 100, "till-1/19", millilitres=1)
    assert fuel.stations.sell(station, nobody, at_ms=MONDAY_MS).points == 0
    assert [one.cents for one in fuel.stations.of_customer(1)] == [4567, 4567]
    assert fuel.stations.of_customer(1, from_ms=MONDAY_MS + 6) == []
    many = replace(plain, key="till-1/20", cents=60_000)
    assert fuel.stations.sell(station, many, at_ms=MONDAY_MS + 6).points == 600
    assert fuel.memberships.tier_at(1, at_ms=MONDAY_MS + 6) == "silver", "690 points, of 500"
    me = fuel.acting_as(actor("customer", own=("customer", 1)))
    assert len(me.stations.of_customer(1)) == 3
    for call in (lambda: me.stations.of_customer(2), lambda: me.stations.sell(station, plain, at_ms=1)):
        with pytest.raises(AuthError):
            call()


def test_a_fill_up_counts_in_a_customer_s_figures(fuel, scope_id, station):
    add_customers(fuel, scope_id, [1, 2])
    for number, day in enumerate((0, 3, 3)):
        plain = Purchase("petrol_95", 4_000 + number, f"till-1/{number}", customer_id=1, millilitres=30_000)
        fuel.stations.sell(station, plain, at_ms=MONDAY_MS + day * DAY_MS)
    found = fuel.statistics.features(scope_id, MONDAY_MS + 5 * DAY_MS)
    assert found.customer_id.tolist() == [1, 2]
    assert (found.completed.tolist(), found.spend_cents.tolist()) == ([3, 0], [12_003, 0])
    assert (found.active_days.tolist(), found.recency_days.tolist()) == ([2, 0], [2, float("inf")])


def test_the_first_fill_up_rewards_who_referred_the_customer_once(fuel, scope_id, station):
    add_customers(fuel, scope_id, [1, 2, 3, 4])
    code = fuel.referrals.code(1, at_ms=MONDAY_MS)
    for one in (2, 3):
        fuel.referrals.refer(one, code, at_ms=MONDAY_MS)
    first = Purchase("petrol_95", 4_000, "till-1/1", customer_id=2, millilitres=30_000)
    when = MONDAY_MS + DAY_MS
    # Who won them may have seen a later instant: a till is not turned away for that.
    fuel.points.grant(1, 7, at_ms=when + 5, reason="goodwill", key="later")
    made = fuel.stations.sell(station, first, at_ms=when)
    for _ in range(2):  # told again, and once more bought
        assert not fuel.stations.sell(station, first, at_ms=when + 1).is_new
    fuel.stations.sell(station, replace(first, key="till-1/2"), at_ms=when + 2)
    other = replace(first, key="till-1/3", customer_id=4)
    fuel.stations.sell(station, other, at_ms=when + 3)
    told = [
        (one.referee_id, one.state, one.purchase_id, one.settled_at_ms) for one in fuel.referrals.won_by(1)
    ]
    assert told == [(2, "rewarded", made.purchase_id, when), (3, "waiting", None, None)]
    assert fuel.points.balance(1, at_ms=when + 9).points == 507
    assert [one.cents for one in fuel.coupons.of_customer(2, at_ms=when + 9)] == [500]
    with pytest.raises(StateError, match="at registration"):
        fuel.referrals.refer(4, code, at_ms=when + 9)
    # What is refused settles nothing: the customer came, and the till sold nothing.
    wrong = replace(first, key="till-1/1", customer_id=3)
    with pytest.raises(StateError, match="another purchase"):
        fuel.stations.sell(station, wrong, at_ms=when + 10)
    assert fuel.referrals.won_by(1)[1].state == "waiting"


def test_tills_at_once_reward_a_first_fill_up_once(fuel, scope_id, station):
    add_customers(fuel, scope_id, [1, *range(10, 18)])
    code = fuel.referrals.code(1, at_ms=MONDAY_MS)
    for one in range(10, 18):
        fuel.referrals.refer(one, code, at_ms=MONDAY_MS)

    def sell(number):
        who = 10 + number % 8
        told = Purchase("petrol_95", 4_000, f"till-{number}", customer_id=who, millilitres=30_000)
        return fuel.stations.sell(station, told, at_ms=MONDAY_MS).is_new

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(sell, range(24)))
    assert [one.state for one in fuel.referrals.won_by(1)] == ["rewarded"] * 8
    assert fuel.points.balance(1, at_ms=MONDAY_MS).points == 8 * 500
    for who in range(10, 18):
        assert len(fuel.coupons.of_customer(who, at_ms=MONDAY_MS)) == 1


def test_who_was_merged_fills_up_as_the_customer_who_is_left(fuel, scope_id, station):
    add_customers(fuel, scope_id, [1, 2, 3])
    fuel.referrals.refer(2, fuel.referrals.code(1, at_ms=MONDAY_MS), at_ms=MONDAY_MS)
    told = Purchase("petrol_95", 30_000, "till-1/1", customer_id=3, millilitres=30_000)
    fuel.contacts.merge(3, 2, at_ms=MONDAY_MS)
    made = fuel.stations.sell(station, told, at_ms=MONDAY_MS + 1)
    assert (made.points, fuel.points.balance(2, at_ms=MONDAY_MS + 1).points) == (300, 300)
    (won,) = fuel.referrals.won_by(1)
    assert (won.referee_id, won.state, won.purchase_id) == (2, "rewarded", made.purchase_id)
    fuel.stations.sell(station, replace(told, key="till-1/2", customer_id=2), at_ms=MONDAY_MS + 2)
    assert fuel.memberships.tier_at(2, at_ms=MONDAY_MS + 2) == "silver", "600 points, of 500"
    assert [one.at_ms for one in fuel.stations.of_customer(2)] == [MONDAY_MS + 2, MONDAY_MS + 1]
    assert len(fuel.points.entries(1)) == 1


def test_drivers_fill_up_and_get_so_far(fuel, scope_id, station):
    fuel.drivers.register_many([1, 2, 3], scope_id=scope_id, at_ms=0)
    told = {"at_ms": MONDAY_MS}
    electric = fuel.vehicles.add(1, Vehicle("car", 4, "electric", 300_000), **told)
    petrol = fuel.vehicles.add(2, Vehicle("car", 4, "petrol", 600_000), **told)
    charge = Purchase("electricity_dc", 900, "a", None, 1, None, 30_000, electric, 800)
    made = fuel.stations.sell(station, charge, at_ms=MONDAY_MS)
    assert made.points == 0
    assert fuel.stations.ranges([3, 2, 1], scope_id=scope_id).tolist() == [-1, -1, 240_000]
    assert fuel.stations.ranges([1], scope_id=fuel.scope("acme", "oakland")).tolist() == [-1]
    (entry,) = fuel.acting_as(actor("driver", own=("driver", 1))).stations.log(1)
    assert (entry.watt_hours, entry.millilitres, entry.level_permille) == (30_000, None, 800)
    for bad, rule in (
        (replace(charge, key="b", vehicle_id=petrol), "has no such vehicle"),
        (replace(charge, key="b", driver_id=2, vehicle_id=petrol), "takes petrol"),
        (replace(charge, key="b", product="hay"), "product"),
    ):
        with pytest.raises(InputError, match=rule):
            fuel.stations.sell(station, bad, at_ms=MONDAY_MS)
    cafe = fuel.merchants.add(Merchant("restaurant", "x", 0, 0), scope_id=scope_id, **told)
    with pytest.raises(StateError, match="sold at stations"):
        fuel.stations.sell(cafe, replace(charge, key="b"), at_ms=MONDAY_MS)
    assert len(fuel.stations.log(1)) == 1


def test_sales_by_product_and_hour(fuel, scope_id, station):
    sold = (
        ("petrol_95", 0, 1000),
        ("petrol_95", 5, 2000),
        ("petrol_95", 29, 400),
        ("electricity_ac", 5, 70),
    )
    for place, (product, hour, cents) in enumerate(sold):
        energy = {"watt_hours": 5} if "electric" in product else {"millilitres": 7}
        purchase = Purchase(product, cents, f"k{place}", **energy)
        fuel.stations.sell(station, purchase, at_ms=MONDAY_MS + hour * HOUR_MS)
    told = fuel.stations.sales(MONDAY_MS, MONDAY_MS + 2 * DAY_MS, scope_id=scope_id)
    assert told.products == ("electricity_ac", "petrol_95")
    assert told.cents[1, [0, 5, 6]].tolist() == [1000, 2400, 0]
    assert (told.num.sum(), told.cents.sum()) == (4, 3470)
    assert (told.millilitres.sum(), told.watt_hours.sum()) == (21, 5)
    one_day = fuel.stations.sales(MONDAY_MS, MONDAY_MS + DAY_MS, scope_id=scope_id, station_id=station)
    assert one_day.num.sum() == 3
    nothing = fuel.stations.sales(0, 1, scope_id=scope_id)
    assert nothing.cents.shape == (0, 24)


@pytest.mark.parametrize(
    "changes",
    [
        {"cents": -1},
        {"millilitres": None},
        {"watt_hours": 5},
        {"millilitres": 0},
        {"millilitres": -5},
        {"millilitres": None, "watt_hours": 0},
        {"customer_id": 1, "driver_id": 1},
        {"key": ""},
        {"vehicle_id": 1},
        {"level_permille": 5},
        {"driver_id": 1, "vehicle_id": 1, "level_permille": 1001},
    ],
)
def test_bad_purchases_are_refused(changes):
    with pytest.raises(InputError):
        Purchase(**{"product": "diesel", "cents": 100, "key": "k", "millilitres": 50} | changes)
