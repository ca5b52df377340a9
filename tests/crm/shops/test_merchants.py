"""Merchants: places, hours, prices."""

from dataclasses import replace

import pytest

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, actor
from dispatch.crm.shops.merchants import Merchant
from dispatch.crm.vertical import Vertical
from dispatch.errors import AuthError, InputError, StateError

CAFE = Merchant("restaurant", "Café Luna", -122_410_000, 37_780_000, slots=3, preparation_ms=600_000)


def test_merchants_prices_and_what_is_sold_out(crm, scope_id):
    cafe = crm.merchants.add(CAFE, scope_id=scope_id, at_ms=MONDAY_MS)
    seen = crm.merchants.read(cafe)
    assert (seen.name, seen.slots, seen.scope_id, seen.status) == ("Café Luna", 3, scope_id, "open")
    with pytest.raises(StateError, match="there already"):
        crm.merchants.add(CAFE, scope_id=scope_id, at_ms=MONDAY_MS)
    pump = crm.merchants.add(Merchant("station", "Shellac", 0, 0), scope_id=scope_id, at_ms=MONDAY_MS)
    assert [one.merchant_id for one in crm.merchants.all(scope_id=scope_id)] == [cafe, pump]
    assert [one.merchant_id for one in crm.merchants.all(scope_id=scope_id, kind="station")] == [pump]
    crm.merchants.set_price(cafe, "soup", 700, from_ms=MONDAY_MS, at_ms=MONDAY_MS)
    crm.merchants.set_price(cafe, "soup", 800, from_ms=MONDAY_MS + DAY_MS, at_ms=MONDAY_MS)
    crm.merchants.set_price(cafe, "pie", 500, from_ms=MONDAY_MS + DAY_MS, at_ms=MONDAY_MS)

    def prices(at_ms):
        return {one.product: one.cents for one in crm.merchants.offers(cafe, at_ms=at_ms)}

    assert prices(MONDAY_MS - 1) == {}
    assert prices(MONDAY_MS) == prices(MONDAY_MS + DAY_MS - 1) == {"soup": 700}
    assert prices(MONDAY_MS + DAY_MS) == {"pie": 500, "soup": 800}
    crm.merchants.set_available(cafe, "soup", False, at_ms=MONDAY_MS)
    assert [one.available for one in crm.merchants.offers(cafe, at_ms=MONDAY_MS)] == [False]
    with pytest.raises(StateError, match="has a price"):
        crm.merchants.set_price(cafe, "soup", 1, from_ms=MONDAY_MS + DAY_MS, at_ms=MONDAY_MS)
    for call in (
        lambda: crm.merchants.set_price(cafe, "soup", -1, from_ms=MONDAY_MS + 5, at_ms=MONDAY_MS),
        lambda: crm.merchants.set_price(cafe, "soup", 1, from_ms=MONDAY_MS - 5, at_ms=MONDAY_MS),
        lambda: crm.merchants.set_price(cafe, "s p", 1, from_ms=MONDAY_MS + 5, at_ms=MONDAY_MS),
        lambda: crm.merchants.set_price(cafe, "soup", 1, from_ms=MONDAY_MS + 5, at_ms=MONDAY_MS, per="mile"),
        lambda: crm.merchants.set_available(cafe, "tea", True, at_ms=MONDAY_MS),
    ):
        with pytest.raises(InputError):
            call()
    crm.merchants.set_status(cafe, "closed", at_ms=MONDAY_MS)
    assert not crm.merchants.read(cafe).is_open(MONDAY_MS)
    for call in (
        lambda it: it.merchants.add(CAFE, scope_id=scope_id, at_ms=MONDAY_MS),
        lambda it: it.merchants.set_price(cafe, "soup", 1, from_ms=MONDAY_MS + 5, at_ms=MONDAY_MS),
    ):
        with pytest.raises(AuthError):
            call(crm.acting_as(actor("agent")))


def test_stations_sell_what_the_vertical_knows(crm, scope_id):
    fuel = type(crm)(replace(crm.context, vertical=Vertical.load("fuel")))
    pump = fuel.merchants.add(Merchant("station", "Shellac", 0, 0), scope_id=scope_id, at_ms=0)
    fuel.merchants.set_price(pump, "petrol_95", 459, from_ms=0, at_ms=0, per="litre")
    with pytest.raises(InputError, match="product"):
        fuel.merchants.set_price(pump, "soup", 459, from_ms=0, at_ms=0)


def test_hours_are_local_and_may_cross_midnight():
    told = {"kind": "shop", "name": "x", "lon_e6": 0, "lat_e6": 0, "time_zone": "America/Los_Angeles"}
    day = Merchant(**told, opens_ms=9 * HOUR_MS, closes_ms=17 * HOUR_MS)
    night = Merchant(**told, opens_ms=20 * HOUR_MS, closes_ms=2 * HOUR_MS)
    midnight = MONDAY_MS + 8 * HOUR_MS  # of that winter's day, in California
    for hour, by_day, by_night in (
        (0, 0, 1),
        (1.9, 0, 1),
        (2, 0, 0),
        (8.9, 0, 0),
        (9, 1, 0),
        (16.9, 1, 0),
        (17, 0, 0),
        (20, 0, 1),
    ):
        at_ms = int(midnight + hour * HOUR_MS)
        assert (day.is_open(at_ms), night.is_open(at_ms)) == (by_day, by_night), hour
    summer = midnight + 240 * DAY_MS
    assert day.is_open(summer + 8 * HOUR_MS), "an hour earlier by the sun"
    assert not day.is_open(midnight + 8 * HOUR_MS)
    assert Merchant(**told).is_open(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "circus"},
        {"name": ""},
        {"lon_e6": 180_000_001},
        {"lat_e6": -90_000_001},
        {"slots": 0},
        {"preparation_ms": -1},
        {"opens_ms": 86_400_001},
        {"time_zone": "Mars/Base"},
        {"time_zone": "../../etc/passwd"},
    ],
)
def test_bad_merchants_are_refused(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        Merchant(**{"kind": "shop", "name": "x", "lon_e6": 0, "lat_e6": 0} | changes)
