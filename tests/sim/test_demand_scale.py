import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, grid_city, random_trips
from dispatch.errors import InputError
from dispatch.sim.demand_scale import JITTER_MS, scaled_demand

HOUR_MS = 3_600_000
GRID = grid_city()
ORDERS = random_trips(GRID, 500, 3, T0, 3600)
DAY_MS = (T0, T0 + HOUR_MS)


def instants(orders):
    """Each order as (instant, pickup, drop-off)."""
    columns = orders.requested_at_ms, orders.pickup_node, orders.dropoff_node
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_scale_of_one_changes_nothing():
    assert instants(scaled_demand(ORDERS, 1.0, 7, DAY_MS)) == instants(ORDERS)


@pytest.mark.parametrize("scale", [2, 3.0])
def test_whole_copies_hold_every_order_and_each_copy_of_it_nearby(scale):
    scaled = scaled_demand(ORDERS, scale, 7, DAY_MS)
    assert len(scaled) == scale * len(ORDERS)
    for row in range(len(ORDERS)):
        same = (scaled.pickup_node == ORDERS.pickup_node[row]) & (
            scaled.dropoff_node == ORDERS.dropoff_node[row]
        )
        away_ms = np.abs(scaled.requested_at_ms[same] - ORDERS.requested_at_ms[row])
        assert (away_ms <= JITTER_MS).sum() >= scale
        assert (away_ms == 0).any()
    assert len(np.unique(scaled.requested_at_ms)) > 1.9 * len(np.unique(ORDERS.requested_at_ms))


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 4), st.floats(0.01, 4), st.integers(0, 2**64))
def test_of_two_scales_the_larger_day_holds_the_smaller(one, other, seed):
    low, high = sorted((one, other))
    small, large = (scaled_demand(ORDERS, scale, seed, DAY_MS) for scale in (low, high))
    assert set(instants(small)) <= set(instants(large))
    for scale, scaled in ((low, small), (high, large)):
        part = scale - int(scale)
        spread = 6 * np.sqrt(len(ORDERS) * part * (1 - part)) + 1
        assert abs(len(scaled) - scale * len(ORDERS)) <= spread
        assert (np.diff(scaled.requested_at_ms) >= 0).all()
        assert DAY_MS[0] <= scaled.requested_at_ms.min()
        assert scaled.requested_at_ms.max() < DAY_MS[1]
        assert set(scaled.pickup_node) <= set(ORDERS.pickup_node)


def test_a_day_shorter_than_the_jitter_keeps_its_orders_inside():
    short = (T0, T0 + 60_000)
    orders = ORDERS.select(np.arange(20))
    orders.requested_at_ms[:] = np.sort(T0 + np.arange(20) * 2999)
    scaled = scaled_demand(orders, 5, 1, short)
    assert len(scaled) == 100
    assert short[0] <= scaled.requested_at_ms.min() <= scaled.requested_at_ms.max() < short[1]


def test_the_seed_decides():
    same, again, another = (instants(scaled_demand(ORDERS, 1.5, seed, DAY_MS)) for seed in (1, 1, 2))
    assert same == again != another


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), 1001])
def test_a_scale_that_cannot_be(scale):
    with pytest.raises(InputError, match=r"demand_scale is .*: it must be a number from 0.001 to 1000"):
        scaled_demand(ORDERS, scale, 1, DAY_MS)
