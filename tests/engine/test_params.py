import numpy as np
import pytest

from dispatch.engine.params import DispatchParams, FareRule
from dispatch.errors import InputError
from dispatch.units import MAX_TRAVEL_MS

WRONG = [
    ("policy", "best", "policy is 'best': it must be one of batch, nearest, "),
    ("policy", None, "policy is None: it must be a name"),
    ("candidates_by", "rail", "candidates_by is 'rail': it must be one of air, road"),
    ("candidates_by", None, "candidates_by is None: it must be one of air, road"),
    ("candidates_by", "Road", "candidates_by is 'Road'"),
    ("candidates_per_order", 0, "candidates_per_order is 0: it must be a number from 1 to 10000"),
    ("candidates_per_order", 10_001, "candidates_per_order is 10001"),
    ("candidates_per_order", 3.5, "candidates_per_order is 3.5: it must be a whole number"),
    ("candidates_per_order", True, "candidates_per_order is True: it must be a number"),
    ("max_pickup_s", 0, "max_pickup_s is 0: it must be a number from 1 to 536871 seconds"),
    ("max_pickup_s", np.nan, "max_pickup_s is nan"),
    ("max_pickup_s", 1e9, "max_pickup_s is 1000000000.0"),
    ("max_pickup_s", "600", "max_pickup_s is '600': it must be a number"),
    ("offer_timeout_s", 0, "offer_timeout_s is 0: it must be a number from 0.001 to 86400 seconds"),
    ("offer_timeout_s", -1, "offer_timeout_s is -1"),
    ("max_wait_s", 0, "max_wait_s is 0"),
    ("max_wait_s", np.inf, "max_wait_s is inf"),
    ("stale_position_s", 0, "stale_position_s is 0"),
    ("keep_explanations", -1, "keep_explanations is -1: it must be a number from 0 to 1e+06"),
    ("keep_explanations", 0.5, "keep_explanations is 0.5: it must be a whole number"),
    ("snap_limit_m", -1, "snap_limit_m is -1: it must be a number from 0 to 100000 metres"),
]


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_out_of_range(name, value, message):
    with pytest.raises(InputError) as raised:
        DispatchParams(**{name: value})
    assert str(raised.value).startswith(message)


def test_limits_themselves_are_legal():
    DispatchParams("nearest", 1, 1, 0.001, 0.001, 0.001, 0, "air")
    DispatchParams("batch", 10_000, MAX_TRAVEL_MS / 1000, 86_400, 7 * 86_400, 86_400, 100_000, "road")
    DispatchParams("batch", np.int64(7), np.float32(60), np.int32(10))


def test_candidates_are_nearest_by_air_unless_told_otherwise():
    assert DispatchParams().candidates_by == "air"


@pytest.mark.parametrize("name", ["base_cents", "per_km_cents", "per_minute_cents", "minimum_cents"])
@pytest.mark.parametrize("value", [-1, 1_000_001, 0.5, True, "1"])
def test_amounts(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}: it must be a"):
        FareRule(**{name: value})


def test_fare_is_base_distance_and_time_but_at_least_the_minimum():
    rule = FareRule(base_cents=300, per_km_cents=200, per_minute_cents=50, minimum_cents=700)
    trip_m, trip_ms = np.array([0.0, 2000.0, 2503.0, -1.0]), np.array([0, 60_000, 90_000, 60_000])
    assert rule.fare_cents(trip_m, trip_ms).tolist() == [700, 750, round(300 + 500.6 + 75), -1]


def test_an_absurd_fare_stays_a_number():
    rule = FareRule(per_km_cents=1_000_000)
    assert rule.fare_cents(np.array([1e7]), np.array([0])).tolist() == [2**31 - 1]
