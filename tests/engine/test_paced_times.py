"""Tables of all pairs, and paces, as the engine's travel times: the same offers as with their metric."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, grid_city, new_orders, positions
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import DriverStatus
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import POLICIES
from dispatch.errors import InputError
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.pace import PacedTimes, PaceOfDay
from dispatch.roads.spread_times import SpreadByTime, SpreadTimes
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import MatrixTravelTimes

CITY = grid_city(seed=6)
NUM_NODES = CITY.graph.num_nodes
METRIC = CITY.free_flow()
TABLE = AllPairsTimes(METRIC)
NODES = np.arange(NUM_NODES, dtype=np.int32)


def scaled(permille):
    """The metric's travel times, times a pace, rounded half up."""
    return MatrixTravelTimes(
        ((METRIC.table_ms(NODES, NODES).astype(np.int64) * permille + 500) // 1000).astype(np.int32)
    )


def unsure(travel_times):
    """The same, perhaps half or twice as long."""

    def around(base):
        return SpreadTimes(base, (0.1, 0.5, 0.9), np.array([0.5, 1.0, 2.0]))

    return SpreadByTime(travel_times, around) if isinstance(travel_times, ByTime) else around(travel_times)


def history(travel_times, seed, **params):
    """A log of offers, half of them accepted, half declined, some passengers on board."""
    random = np.random.default_rng(seed)
    if params.get("policy") == "promise":
        travel_times = unsure(travel_times)
    dispatcher = Dispatcher(CITY, travel_times, DispatchParams(**params))
    num_drivers = int(random.integers(1, 20))
    dispatcher.drivers_online(positions(CITY, range(num_drivers), random.integers(0, NUM_NODES, num_drivers)))
    logs = []
    for window in range(3):
        at_ms, num_orders = T0 + 20_000 * window, int(random.integers(0, 9))
        ids = range(100 * window, 100 * window + num_orders)
        pickups = random.integers(0, NUM_NODES, num_orders)
        if num_orders:
            dispatcher.submit(new_orders(CITY, ids, pickups, (pickups + 7) % NUM_NODES, at_ms))
        logs.append(dispatcher.step(at_ms))
        offered = logs[-1][logs[-1]["kind"] == K.ORDER_OFFERED]
        yes, no = offered[::2], offered[1::2]
        dispatcher.accept(yes["order_id"].copy(), yes["driver_id"].copy(), at_ms + 1)
        dispatcher.decline(no["order_id"].copy(), no["driver_id"].copy(), at_ms + 1)
        status = dispatcher.driver_status(yes["driver_id"].copy())
        aboard = yes["order_id"][np.array(status) == DriverStatus.TO_PICKUP][::2].copy()
        dispatcher.arrive(aboard, at_ms + 2, np.zeros(len(aboard)))
        dispatcher.pick_up(aboard, at_ms + 3)
    return np.concatenate([*logs, dispatcher.take_events()])


WAYS = given(
    seed=st.integers(0, 2**32 - 1),
    policy=st.sampled_from(sorted(POLICIES)),
    few=st.booleans(),
    max_pickup_s=st.sampled_from([90.0, 1200.0]),
)


@settings(max_examples=30)
@WAYS
def test_at_whole_pace_all_ways_of_telling_travel_times_make_the_same_offers(seed, policy, few, max_pickup_s):
    params = {"policy": policy, "candidates_per_order": 2 if few else 24, "max_pickup_s": max_pickup_s}
    expected = history(METRIC, seed, **params)
    for told in (
        TABLE,
        PacedTimes(METRIC),
        PacedTimes(TABLE),
        PaceOfDay(TABLE, np.array([1000]), 900_000, T0),
    ):
        assert history(told, seed, **params).tobytes() == expected.tobytes()


@settings(max_examples=30)
@WAYS
@pytest.mark.parametrize("permille", [730, 1500])
def test_at_another_pace_every_time_is_scaled(permille, seed, policy, few, max_pickup_s):
    params = {"policy": policy, "candidates_per_order": 2 if few else 24, "max_pickup_s": max_pickup_s}
    expected = history(scaled(permille), seed, **params)
    for told in (PacedTimes(METRIC, permille), PacedTimes(TABLE, permille)):
        assert history(told, seed, **params).tobytes() == expected.tobytes()


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1), k=st.integers(1, 5), max_pickup_s=st.sampled_from([60.0, 90.123, 1200.0])
)
def test_candidates_by_road_are_the_same_at_each_pace(seed, k, max_pickup_s):
    params = {"candidates_by": "road", "candidates_per_order": k, "max_pickup_s": max_pickup_s}
    assert history(PacedTimes(TABLE), seed, **params).tobytes() == history(METRIC, seed, **params).tobytes()
    by_table, by_metric = (history(PacedTimes(base, 730), seed, **params) for base in (TABLE, METRIC))
    assert by_table.tobytes() == by_metric.tobytes()


@given(max_ms=st.integers(0, 100_000), permille=st.sampled_from([1, 333, 700, 730, 1500, 100_000]))
def test_the_nearest_at_a_pace_are_all_that_it_rounds_into_time(max_ms, permille):
    drivers, orders = NODES[::3].copy(), NODES[::20].copy()
    paced = PacedTimes(METRIC, permille)
    found = paced.nearest(drivers, orders, len(drivers), max_ms)
    for row, order in enumerate(orders):
        ms = paced.pairs_ms(drivers, np.full(len(drivers), order, np.int32))
        mine = slice(found.first[row], found.first[row + 1])
        assert sorted(found.ms[mine].tolist()) == sorted(ms[ms <= max_ms].tolist())


def test_each_instant_has_the_pace_of_its_slot():
    times = PaceOfDay(TABLE, np.array([1000, 2000, 3000]), 60_000, T0)
    paces = [times.at(T0 + ms).permille for ms in (-1, 0, 59_999, 60_000, 179_999, 180_000)]
    assert paces == [3000, 1000, 1000, 2000, 3000, 1000]
    dispatcher = Dispatcher(CITY, times, DispatchParams(stale_position_s=9000.0))
    dispatcher.drivers_online(positions(CITY, [1], [0]))
    base_ms = int(METRIC.pairs_ms(NODES[:1], NODES[40:41])[0])
    for slot in range(3):
        (quote,) = dispatcher.quote(new_orders(CITY, [7], [40], [0]), T0 + 60_000 * slot)
        assert quote.pickup_eta_ms == base_ms * (slot + 1)


@pytest.mark.parametrize("permille", [0, 100_001])
def test_paces_out_of_range_are_refused(permille):
    with pytest.raises(InputError, match=f"permille is {permille}: it must be a whole number from 1 to"):
        PacedTimes(METRIC, permille)
    with pytest.raises(InputError, match=f"permille is {permille}"):
        PaceOfDay(METRIC, np.array([1000, permille]), 60_000, T0)
