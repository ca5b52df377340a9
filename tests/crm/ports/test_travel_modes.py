"""Advice on other ways to travel: sensible for distance and weather, for those who got no car."""

import pytest

from crm.conftest import MONDAY_MS, actor
from crm.engaged import add_customers, insert
from dispatch.crm.ports.travel_modes import Journey, ModeAdvice, TypicalSpeeds
from dispatch.crm.tables.orders import orders
from dispatch.errors import AuthError, InputError, StateError


def modes(weather: str = "fair", east_degrees: float = 0.02) -> list[str]:
    journey = Journey(10.0, 50.0, 10.0 + east_degrees, 50.0, MONDAY_MS, weather)
    return [one.mode for one in TypicalSpeeds().advise(journey)]


def test_modes_follow_distance_and_weather():
    journey = Journey(10.0, 50.0, 10.02, 50.0, MONDAY_MS)
    assert journey.straight_m == pytest.approx(1429.5, abs=1)
    bicycle, walk, public = TypicalSpeeds().advise(journey)
    assert (bicycle.mode, walk.mode, public.mode) == ("bicycle", "walk", "public_transport")
    assert walk.duration_s == pytest.approx(1429.5 * 1.3 / 1.3, abs=2)
    assert bicycle.duration_s < walk.duration_s
    assert (public.duration_s, public.basis) == (None, "no_timetable_here")
    assert modes("storm") == ["public_transport"]
    assert modes("snow") == ["walk", "public_transport"]
    assert modes(east_degrees=0.08) == ["bicycle", "public_transport"]
    assert modes(east_degrees=0.5) == ["public_transport"]
    for broken in ((181.0, 0.0, "fair"), (0.0, 91.0, "fair"), (0.0, 0.0, "fog")):
        with pytest.raises(InputError):
            Journey(broken[0], broken[1], 0.0, 0.0, 0, broken[2])


def test_an_order_without_a_driver_is_advised(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    places = {"pickup_lon_e6": 10_000_000, "pickup_lat_e6": 50_000_000, "dropoff_lat_e6": 50_000_000}
    insert(
        crm,
        orders,
        [
            {
                "order_id": one,
                "scope_id": scope_id,
                "customer_id": 1,
                "stage": stage,
                "dropoff_lon_e6": lon,
                **places,
            }
            for one, stage, lon in (
                (10, 8, 10_020_000),
                (11, 0, 10_020_000),
                (12, 2, 10_020_000),
                (13, 8, None),
            )
        ],
    )
    own = ModeAdvice(crm.acting_as(actor("customer", own=("customer", 1))).context, TypicalSpeeds())
    assert [one.mode for one in own.for_order(10)][:2] == ["bicycle", "walk"]
    assert [one.mode for one in own.for_order(11, "ice")] == ["public_transport"]
    for order_id, said in ((12, "got a driver"), (13, "no known places")):
        with pytest.raises(StateError, match=said):
            own.for_order(order_id)
    other = ModeAdvice(crm.acting_as(actor("customer", own=("customer", 2))).context, TypicalSpeeds())
    with pytest.raises(AuthError):
        other.for_order(10)
