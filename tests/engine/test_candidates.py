import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, city_of, dispatcher_on, grid_city, line_city, new_orders, positions
from dispatch.engine.candidates import find_candidates
from dispatch.engine.events import EventKind

CITY = line_city()
GRID = grid_city(seed=3)
GRID_TIMES = GRID.free_flow()


def found_by(dispatcher):
    state, world = dispatcher._state, dispatcher._world
    return find_candidates(state, world, T0)


@pytest.mark.parametrize(("num_orders", "num_drivers"), [(0, 0), (3, 0), (0, 3)])
def test_nobody_to_match(num_orders, num_drivers):
    dispatcher = dispatcher_on(CITY)
    if num_drivers:
        dispatcher.drivers_online(positions(CITY, range(num_drivers), range(num_drivers)))
    if num_orders:
        dispatcher.submit(new_orders(CITY, range(num_orders), range(num_orders), [9] * num_orders))
    found = found_by(dispatcher)
    assert found.first_candidate.tolist() == [0] * (num_orders + 1)
    assert len(found.candidate_driver) == 0


def test_a_driver_that_is_near_by_air_but_late_by_road_is_dropped_by_its_eta():
    dispatcher = dispatcher_on(CITY, max_pickup_s=30.0)
    dispatcher.drivers_online(positions(CITY, [1, 2, 3], [0, 8, 12]))
    dispatcher.submit(new_orders(CITY, [7], [10], [0]))
    in_time = found_by(dispatcher)
    assert sorted(in_time.candidate_driver.tolist()) == [1, 2]
    assert in_time.eta_ms.tolist() == [20_000, 20_000]


def test_only_free_drivers_and_open_orders_come_into_question():
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(positions(CITY, [1, 2, 3], [0, 5, 9]))
    dispatcher.submit(new_orders(CITY, [7, 8], [1, 6], [9, 9]))
    dispatcher.assign([7], [2], T0)
    dispatcher.drivers_offline([3], T0)
    found = found_by(dispatcher)
    assert (found.order_idx.tolist(), found.driver_idx.tolist()) == ([1], [0])


def offered(events):
    return events[events["kind"] == EventKind.ORDER_OFFERED]


def offers_until_quiet(dispatcher, at_ms):
    """Let everybody decline, and give the drivers asked, in their sequence."""
    asked = []
    while len(offers := offered(dispatcher.step(at_ms))):
        asked += offers["driver_id"].tolist()
        dispatcher.decline(offers["order_id"], offers["driver_id"], at_ms)
        at_ms += 1_000
    return asked


@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_an_order_that_the_nearest_refuse_is_offered_to_everybody_once(policy):
    dispatcher = dispatcher_on(CITY, policy=policy, candidates_per_order=2)
    dispatcher.drivers_online(positions(CITY, range(9), range(1, 10)))
    dispatcher.submit(new_orders(CITY, [7], [0], [9]))
    assert offers_until_quiet(dispatcher, T0 + 1) == list(range(9))


@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_no_order_is_left_out_at_a_hot_spot(policy):
    dispatcher = dispatcher_on(CITY, policy=policy, candidates_per_order=2)
    dispatcher.drivers_online(positions(CITY, range(9), range(1, 10)))
    dispatcher.submit(new_orders(CITY, range(7), [0] * 7, [9] * 7))
    offers = offered(dispatcher.step(T0 + 1))
    assert sorted(offers["driver_id"]) == list(range(7))
    assert (offers["nearest_eta_ms"] == offers["eta_ms"].min()).all()


def test_looking_everywhere_keeps_to_the_largest_pickup_eta():
    dispatcher = dispatcher_on(CITY, candidates_per_order=1, max_pickup_s=30.0)
    dispatcher.drivers_online(positions(CITY, range(9), range(1, 10)))
    dispatcher.submit(new_orders(CITY, range(9), [0] * 9, [9] * 9))
    offers = offered(dispatcher.step(T0 + 1))
    assert 1 < len(offers) < 9
    assert offers["eta_ms"].max() <= 30_000


# --- by road -------------------------------------------------------------------------------------

BANKS = [(n, n + 1) for n in (0, 1, 2, 3, 5, 6, 7, 8)] + [(4, 9)]
RIVER = city_of(
    [0, 100, 200, 300, 400] * 2,
    [0] * 5 + [50] * 5,
    BANKS + [(head, tail) for tail, head in BANKS],
    "Riverton",
)
"""Nodes 0 … 4 on one bank, 5 … 9 on the other one, 50 m away; the only bridge is between 4 and 9."""


def by_road(city, drivers, pickups, **params):
    """Drivers and orders at nodes; the candidates and the dispatcher."""
    dispatcher = dispatcher_on(city, **{"candidates_by": "road"} | params)
    dispatcher.drivers_online(positions(city, range(len(drivers)), drivers))
    pickups = np.asarray(pickups)
    far = np.where(pickups == 2, 7, 2)
    dispatcher.submit(new_orders(city, range(len(pickups)), pickups, far))
    return found_by(dispatcher), dispatcher


@pytest.mark.parametrize(("by", "wanted", "eta_ms"), [("air", 0, 85_000), ("road", 1, 30_000)])
def test_a_river_keeps_apart_only_who_is_nearest_by_air(by, wanted, eta_ms):
    found, _ = by_road(RIVER, [5, 3], [0], candidates_by=by, candidates_per_order=1)
    assert (found.candidate_driver.tolist(), found.eta_ms.tolist()) == ([wanted], [eta_ms])


@given(
    seed=st.integers(0, 2**16),
    num_drivers=st.integers(1, 15),
    num_orders=st.integers(1, 6),
    k=st.integers(1, 16),
    max_pickup_s=st.sampled_from([1.0, 60.0, 150.0, 1200.0]),
)
@settings(max_examples=40, deadline=None)
def test_candidates_by_road_agree_with_a_table_of_all(seed, num_drivers, num_orders, k, max_pickup_s):
    random = np.random.default_rng(seed)
    drivers, pickups = random.integers(0, 81, num_drivers), random.integers(0, 81, num_orders)
    found, _ = by_road(GRID, drivers, pickups, candidates_per_order=k, max_pickup_s=max_pickup_s)
    table = GRID_TIMES.table_ms(drivers, pickups).T.tolist()
    for order, times in enumerate(table):
        near = sorted((ms, driver) for driver, ms in enumerate(times) if ms <= max_pickup_s * 1000)
        mine = slice(found.first_candidate[order], found.first_candidate[order + 1])
        told = zip(found.eta_ms[mine].tolist(), found.candidate_driver[mine].tolist(), strict=True)
        assert list(told) == near[:k]
        assert found.is_cut[order] == (num_drivers > k <= len(near))


def test_both_ways_of_looking_give_a_driver_the_same_eta():
    drivers, pickups = [5, 3, 9, 7], [0, 2, 8]
    seen = []
    for by in ("air", "road"):
        found, _ = by_road(RIVER, drivers, pickups, candidates_by=by)
        order = found.order_of_candidate.tolist()
        columns = (order, found.candidate_driver.tolist(), found.eta_ms.tolist())
        seen.append(sorted(zip(*columns, strict=True)))
    assert seen[0] == seen[1]
    assert len(seen[0]) == 12


def test_drivers_too_far_away_by_road_are_not_looked_for_again():
    """Orders of which as many as asked for are in time have others; those of which fewer are, have none."""
    found, _ = by_road(RIVER, [5, 3, 4], [0, 8], candidates_per_order=2, max_pickup_s=35.0)
    assert [found.num_of_order.tolist(), found.is_cut.tolist()] == [[1, 2], [False, True]]
    assert found.eta_ms.tolist() == [30_000, 15_000, 25_000]


def test_by_road_who_refused_is_no_candidate_again():
    found, dispatcher = by_road(RIVER, [5, 3, 9], [0], candidates_per_order=3)
    assert found.candidate_driver.tolist() == [1, 2, 0]
    (offer,) = offered(dispatcher.step(T0 + 1))
    assert (offer["driver_id"], offer["eta_ms"]) == (1, 30_000)
    dispatcher.decline([0], [1], T0 + 1)
    found = found_by(dispatcher)
    assert (found.candidate_driver.tolist(), found.eta_ms.tolist()) == ([2, 0], [45_000, 85_000])


@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_by_road_too_everybody_is_asked_once(policy):
    dispatcher = dispatcher_on(CITY, policy=policy, candidates_per_order=2, candidates_by="road")
    dispatcher.drivers_online(positions(CITY, range(9), range(1, 10)))
    dispatcher.submit(new_orders(CITY, [7], [0], [9]))
    assert offers_until_quiet(dispatcher, T0 + 1) == list(range(9))
