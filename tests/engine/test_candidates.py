import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, dispatcher_on, line_city, new_orders, positions
from dispatch.engine.candidates import CandidateSet, find_candidates, with_pickup_eta
from dispatch.engine.events import EventKind

CITY = line_city()
LINES = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99), st.booleans()), max_size=5), max_size=8
)


def set_of(lines, with_eta=True):
    """A set whose order ``i`` has the candidates of ``lines[i]``: (driver, ETA, …)."""
    flat = [entry for line in lines for entry in line]
    return CandidateSet(
        np.arange(len(lines), dtype=np.int32),
        np.arange(10, dtype=np.int32),
        np.cumsum([0, *map(len, lines)]).astype(np.int32),
        np.array([entry[0] for entry in flat], np.int32),
        np.array([entry[1] for entry in flat] if with_eta else [], np.int32),
        np.zeros(len(lines), np.bool_),
    )


def found_by(dispatcher):
    state, world = dispatcher._state, dispatcher._world
    found = find_candidates(state, world, T0)
    return found, with_pickup_eta(found, state, world)


@given(LINES, st.booleans())
@settings(max_examples=100, deadline=None)
def test_keep_drops_candidates_and_no_order(lines, with_eta):
    before = set_of(lines, with_eta)
    kept = before.keep(np.array([entry[2] for line in lines for entry in line], np.bool_))
    expected = set_of([[entry for entry in line if entry[2]] for line in lines], with_eta)
    for name in ("order_idx", "driver_idx", "first_candidate", "candidate_driver", "eta_ms"):
        got, wanted = getattr(kept, name), getattr(expected, name)
        assert (got.tolist(), got.dtype) == (wanted.tolist(), wanted.dtype), name
    assert kept.num_of_order.tolist() == expected.num_of_order.tolist()
    assert kept.order_of_candidate.tolist() == expected.order_of_candidate.tolist()


@pytest.mark.parametrize(("num_orders", "num_drivers"), [(0, 0), (3, 0), (0, 3)])
def test_nobody_to_match(num_orders, num_drivers):
    dispatcher = dispatcher_on(CITY)
    if num_drivers:
        dispatcher.drivers_online(positions(CITY, range(num_drivers), range(num_drivers)))
    if num_orders:
        dispatcher.submit(new_orders(CITY, range(num_orders), range(num_orders), [9] * num_orders))
    for found in found_by(dispatcher):
        assert found.first_candidate.tolist() == [0] * (num_orders + 1)
        assert (len(found.driver_idx), len(found.candidate_driver)) == (num_drivers, 0)


def test_a_driver_that_is_near_by_air_but_late_by_road_is_dropped_by_its_eta():
    dispatcher = dispatcher_on(CITY, max_pickup_s=30.0)
    dispatcher.drivers_online(positions(CITY, [1, 2, 3], [0, 8, 12]))
    dispatcher.submit(new_orders(CITY, [7], [10], [0]))
    near, in_time = found_by(dispatcher)
    assert near.candidate_driver.tolist()[2:] == [0]
    assert sorted(near.candidate_driver.tolist()) == [0, 1, 2]
    assert len(near.eta_ms) == 0
    assert sorted(in_time.candidate_driver.tolist()) == [1, 2]
    assert in_time.eta_ms.tolist() == [20_000, 20_000]


def test_only_free_drivers_and_open_orders_come_into_question():
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(positions(CITY, [1, 2, 3], [0, 5, 9]))
    dispatcher.submit(new_orders(CITY, [7, 8], [1, 6], [9, 9]))
    dispatcher.assign([7], [2], T0)
    dispatcher.drivers_offline([3], T0)
    _, found = found_by(dispatcher)
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
