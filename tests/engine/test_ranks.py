"""Taxi ranks, classes of cars and seats: who may serve whom, through the public face."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from cities import T0, new_orders, positions
from dispatch.engine.inputs import NewDrivers
from dispatch.errors import InputError
from engine.riding import LINE, line_dispatcher, offers

RANK = np.full(20, -1, np.int32)
RANK[[5, 6, 7]], RANK[15] = 0, 3
BOTH_WAYS = pytest.mark.parametrize("by", ["air", "road"])


def at_rank(by="air", **params):
    """Drivers 1, 2 and 3 come to the rank at 5 … 7 one after another; 4 stands at 12."""
    dispatcher = line_dispatcher("batch", RANK, candidates_by=by, stale_position_s=9000.0, **params)
    dispatcher.drivers_online(positions(LINE, [1, 2, 3, 4], [7, 10, 10, 12]))
    dispatcher.step(T0)
    dispatcher.update_positions(positions(LINE, [2], [5], T0 + 1000))
    dispatcher.step(T0 + 1000)
    dispatcher.update_positions(positions(LINE, [3], [6], T0 + 2000))
    dispatcher.step(T0 + 2000)
    return dispatcher


def order(dispatcher, order_id, pickup, at_s=3, **told):
    at_ms = T0 + 1000 * at_s
    dispatcher.submit(replace(new_orders(LINE, [order_id], [pickup], [0], at_ms), **told))
    return [(one, driver) for one, driver, _, _ in offers(dispatcher.step(at_ms))]


@BOTH_WAYS
def test_orders_at_a_rank_go_to_who_came_first(by):
    dispatcher = at_rank(by)
    assert order(dispatcher, 11, 6) == [(11, 1)]
    assert order(dispatcher, 12, 6, 4) == [(12, 2)]
    assert order(dispatcher, 13, 5, 5) == [(13, 3)]
    assert order(dispatcher, 14, 6, 6) == [(14, 4)]  # nobody queues any more: from elsewhere


@BOTH_WAYS
def test_orders_of_one_window_get_the_first_of_the_queue_one_each(by):
    dispatcher = at_rank(by)
    dispatcher.submit(new_orders(LINE, [11, 12], [6, 6], [0, 0], T0 + 3000))
    assert order(dispatcher, 13, 7) == [(11, 1), (12, 2), (13, 3)]


@BOTH_WAYS
def test_who_queues_gets_no_order_from_elsewhere(by):
    dispatcher = at_rank(by, candidates_per_order=1)
    assert order(dispatcher, 11, 4) == [(11, 4)]
    assert order(dispatcher, 12, 8, 4) == []


@BOTH_WAYS
def test_who_leaves_the_rank_leaves_the_queue(by):
    dispatcher = at_rank(by)
    dispatcher.update_positions(positions(LINE, [1], [9], T0 + 2500))
    dispatcher.step(T0 + 2500)
    dispatcher.update_positions(positions(LINE, [1], [6], T0 + 2600))
    assert order(dispatcher, 11, 6) == [(11, 2)]
    assert order(dispatcher, 12, 6, 4) == [(12, 3)]
    assert order(dispatcher, 13, 6, 5) == [(13, 1)]


@BOTH_WAYS
def test_whom_the_first_refused_gets_the_next(by):
    dispatcher = at_rank(by)
    assert order(dispatcher, 11, 6) == [(11, 1)]
    for at_s, (driver, following) in enumerate([(1, 2), (2, 3), (3, 4)], 4):
        dispatcher.decline([11], [driver], T0 + 1000 * at_s - 500)
        assert [one[:2] for one in offers(dispatcher.step(T0 + 1000 * at_s))] == [(11, following)]


@BOTH_WAYS
def test_whose_car_does_not_suit_is_passed_over_and_others_come_from_elsewhere(by):
    dispatcher = at_rank(by, upgrades=False)
    dispatcher.register_drivers(NewDrivers([1, 2, 3, 4], [0, 1, 0, 2], [4, 4, 7, 4]))
    assert order(dispatcher, 11, 6, vehicle_class=[1]) == [(11, 2)]
    assert order(dispatcher, 12, 6, 4, passengers=[6]) == [(12, 3)]
    assert order(dispatcher, 13, 6, 5, vehicle_class=[2]) == [(13, 4)]
    assert order(dispatcher, 14, 6, 6) == [(14, 1)]


@BOTH_WAYS
def test_an_order_that_may_be_upgraded_takes_the_first_of_the_queue_in_a_better_car(by):
    dispatcher = at_rank(by, upgrades=False)
    dispatcher.register_drivers(NewDrivers([1, 2, 3, 4], [1, 0, 2, 0], [4, 4, 4, 4]))
    assert order(dispatcher, 11, 6, may_upgrade=[0]) == [(11, 2)]
    assert order(dispatcher, 12, 6, 4, may_upgrade=[1]) == [(12, 1)]
    assert order(dispatcher, 13, 6, 5, may_upgrade=[1], passengers=[5]) == []
    assert order(dispatcher, 14, 6, 6, may_upgrade=[1], vehicle_class=[1]) == [(14, 3)]


@BOTH_WAYS
def test_each_rank_has_a_queue_of_its_own(by):
    dispatcher = at_rank(by)
    dispatcher.drivers_online(positions(LINE, [9], [15], T0 + 2000))
    assert order(dispatcher, 11, 15) == [(11, 9)]
    assert order(dispatcher, 12, 7, 4) == [(12, 1)]


@pytest.mark.parametrize("node_rank", [np.zeros(19, np.int32), np.full(20, -2, np.int32)])
def test_ranks_that_cannot_be_are_refused(node_rank):
    with pytest.raises(
        InputError, match=r"node_rank has .* rows for 20 nodes: it must hold a rank from 0 on"
    ):
        line_dispatcher("batch", node_rank)


# --- classes and seats -----------------------------------------------------------------------------


@given(
    car=st.tuples(st.integers(0, 7), st.integers(1, 9)) | st.none(),
    asked=st.tuples(st.integers(0, 7), st.integers(1, 9)),
    upgrades=st.booleans(),
    may_upgrade=st.booleans() | st.none(),
)
def test_a_car_serves_its_class_and_as_many_as_it_seats(car, asked, upgrades, may_upgrade):
    dispatcher = line_dispatcher("batch", upgrades=upgrades)
    if car is not None:
        dispatcher.register_drivers(NewDrivers([1], [car[0]], [car[1]]))
    dispatcher.drivers_online(positions(LINE, [1], [5]))
    told = {"vehicle_class": [asked[0]], "passengers": [asked[1]]}
    if may_upgrade is not None:
        told["may_upgrade"] = [int(may_upgrade)]
    dispatcher.submit(replace(new_orders(LINE, [7], [5], [9]), **told))
    suits = car is None or (
        (asked[0] <= car[0] if upgrades or may_upgrade else asked[0] == car[0])
        and min(asked[1], 7) <= min(car[1], 7)
    )
    assert bool(offers(dispatcher.step(T0))) == suits


@BOTH_WAYS
def test_the_nearest_whose_car_suits_is_found_among_many(by):
    dispatcher = line_dispatcher("batch", candidates_by=by, candidates_per_order=2)
    dispatcher.register_drivers(NewDrivers(range(9), [0] * 8 + [1]))
    dispatcher.drivers_online(positions(LINE, range(9), range(5, 14)))
    dispatcher.submit(replace(new_orders(LINE, [7], [5], [9]), vehicle_class=[1]))
    assert offers(dispatcher.step(T0)) == [(7, 8, 80, 80)]


def test_a_car_that_changes_serves_other_orders_from_then_on():
    dispatcher = line_dispatcher("batch")
    dispatcher.drivers_online(positions(LINE, [1], [5]))
    dispatcher.register_drivers(NewDrivers([1], [0], [2]))
    dispatcher.submit(replace(new_orders(LINE, [7], [5], [9]), passengers=[3]))
    assert offers(dispatcher.step(T0)) == []
    dispatcher.register_drivers(NewDrivers([1], [0], [3]))
    assert offers(dispatcher.step(T0)) == [(7, 1, 0, 0)]
