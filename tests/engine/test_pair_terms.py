"""Who had better not serve whom: costs of single pairs, and pairs that never meet."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment

from cities import T0, grid_city, new_orders, positions
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import log_sha256
from dispatch.engine.pair_terms import PairCosts, PairTerms
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.engine.terms import MAX_COST_MS
from dispatch.errors import InputError
from dispatch.roads.all_pairs import AllPairsTimes
from engine.riding import LINE, offers

METRIC = LINE.free_flow()
TABLE = AllPairsTimes(METRIC)
WAYS = {
    "table": (TABLE, {}),
    "no table": (METRIC, {}),
    "by road": (METRIC, {"candidates_by": "road"}),
    "nearest": (TABLE, {"policy": "nearest"}),
    "explained": (TABLE, {"keep_explanations": 5}),
}
GRID = grid_city(seed=4)
GRID_MS = GRID.free_flow()


def waiting(way, nodes=(0, 9), **params):
    """Drivers 1, 2, … at nodes."""
    times, more = WAYS[way]
    dispatcher = Dispatcher(LINE, times, DispatchParams(**more | params))
    dispatcher.drivers_online(positions(LINE, range(1, len(nodes) + 1), list(nodes)))
    return dispatcher


# --- costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("cost_ms", "driver", "eta_s"), [(49_999, 1, 20), (50_001, 2, 70)])
def test_a_pair_that_costs_more_than_the_way_is_kept_apart_and_other_orders_are_not(
    way, cost_ms, driver, eta_s
):
    dispatcher = waiting(way)
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    dispatcher.set_pair_terms(PairTerms([7], [1], cost_ms))
    assert offers(dispatcher.step(T0)) == [(7, driver, eta_s, 20)]
    dispatcher.decline([7], [driver], T0 + 1)
    dispatcher.cancel([7], T0 + 1)
    dispatcher.submit(new_orders(LINE, [8], [2], [5], T0 + 2))
    assert offers(dispatcher.step(T0 + 2)) == [(8, 1, 20, 20)]


@pytest.mark.parametrize("way", WAYS)
def test_who_had_better_not_meet_does_before_nobody_is_served(way):
    dispatcher = waiting(way, (0,))
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    dispatcher.set_pair_terms(PairTerms([7], [1], MAX_COST_MS))
    assert offers(dispatcher.step(T0)) == [(7, 1, 20, 20)]


@pytest.mark.parametrize("way", WAYS)
def test_who_must_not_meet_never_does(way):
    dispatcher = waiting(way, (0,))
    dispatcher.submit(new_orders(LINE, [7, 8], [2, 3], [5, 5]))
    dispatcher.set_pair_terms(PairTerms([7], [1], may_meet=0))
    assert offers(dispatcher.step(T0)) == [(8, 1, 30, 30)]
    dispatcher.decline([8], [1], T0 + 1)
    dispatcher.set_pair_terms(PairTerms([7], [1], may_meet=1))  # for good
    assert offers(dispatcher.step(T0 + 2)) == []


def test_what_is_told_anew_is_in_the_place_of_what_was():
    dispatcher = waiting("table")
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    for cost_ms, driver in ((90_000, 2), (0, 1), (60_000, 2), (10_000, 1)):
        dispatcher.set_pair_terms(PairTerms([7], [1], cost_ms))
        told = copy.deepcopy(dispatcher)
        assert [one[1] for one in offers(told.step(T0))] == [driver]


def test_a_driver_may_come_on_duty_later_and_rows_may_move():
    """Order 7 is finished and forgotten: what is known of 8 and of a driver to come stays with them."""
    dispatcher = waiting("table", (9,))
    dispatcher.submit(new_orders(LINE, [7, 8], [2, 2], [5, 5]))
    dispatcher.set_pair_terms(PairTerms([7, 8], [1, 44], [1000, 80_000]))
    dispatcher.cancel([7], T0)
    assert dispatcher.forget_finished() == 1
    dispatcher.drivers_online(positions(LINE, [44], [2]))
    dispatcher.submit(new_orders(LINE, [7], [9], [5]))
    assert sorted(one[:2] for one in offers(dispatcher.step(T0))) == [(7, 1), (8, 44)]
    dispatcher.cancel([7, 8], T0)
    dispatcher.submit(new_orders(LINE, [9], [2], [5]))
    dispatcher.set_pair_terms(PairTerms([9], [44], 80_000))
    assert [one[:2] for one in offers(dispatcher.step(T0))] == [(9, 1)]


def test_once_all_such_orders_are_finished_steps_are_plain_again():
    dispatcher = waiting("table")
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    dispatcher.set_pair_terms(PairTerms([7], [1], 5000))
    orders = dispatcher._state.orders
    dispatcher.step(T0)
    assert orders.has_pair_costs()
    dispatcher.cancel([7], T0 + 1)
    dispatcher.step(T0 + 1)
    assert len(orders.pair_costs) == 0


def test_an_order_on_its_way_changes_to_a_driver_whom_it_suits_better():
    dispatcher = Dispatcher(LINE, TABLE, DispatchParams(Policy(reassign_gain_s=5.0)))
    dispatcher.drivers_online(positions(LINE, [1, 2], [2, 6]))
    dispatcher.submit(new_orders(LINE, [7], [2], [9]))
    dispatcher.step(T0)
    dispatcher.accept([7], [1], T0)
    dispatcher.set_pair_terms(PairTerms([7], [1], 60_000))
    events = dispatcher.step(T0 + 1000)
    assert (events["order_id"][-1], events["driver_id"][-1]) == (7, 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_matching_is_the_best_of_all_pairs(seed, has_table):
    random = np.random.default_rng(seed)
    num_drivers, num_orders = (int(num) for num in random.integers(1, 8, 2))
    at, pickup = random.integers(0, 81, num_drivers), random.integers(0, 81, num_orders)
    times = AllPairsTimes(GRID_MS) if has_table else GRID_MS
    dispatcher = Dispatcher(GRID, times, DispatchParams(max_pickup_s=3600.0))
    dispatcher.drivers_online(positions(GRID, range(num_drivers), at))
    dispatcher.submit(new_orders(GRID, range(num_orders), pickup, (pickup + 1) % 81))
    order, driver = (axis.ravel() for axis in np.mgrid[:num_orders, :num_drivers])
    told = random.random(len(order)) < 0.4
    cost_ms = np.where(told, random.integers(0, 90_000, len(order)), 0)
    may_meet = np.where(told, random.random(len(order)) < 0.7, 1).astype(np.int64)
    rows = random.permutation(np.flatnonzero(told))
    dispatcher.set_pair_terms(PairTerms(order[rows], driver[rows], cost_ms[rows], may_meet[rows]))
    to_ms = GRID_MS.pairs_ms(at[driver].astype(np.int32), pickup[order].astype(np.int32))
    total_ms = np.where(may_meet == 1, to_ms + cost_ms, 10**9).reshape(num_orders, num_drivers)
    best = total_ms[linear_sum_assignment(total_ms)]
    made = [total_ms[one, other] for one, other, *_ in offers(dispatcher.step(T0))]
    assert (len(made), sum(made)) == ((best < 10**9).sum(), best[best < 10**9].sum())


def test_pairs_that_cost_nothing_leave_the_log_as_it_is():
    logs = set()
    for has_terms in (False, True):
        dispatcher = waiting("table", (0, 4, 9))
        dispatcher.submit(new_orders(LINE, [7, 8], [2, 3], [5, 5]))
        if has_terms:
            dispatcher.set_pair_terms(PairTerms([7, 8], [1, 2]))
            dispatcher.set_pair_terms(PairTerms([], []))
        logs.add(log_sha256(dispatcher.step(T0)))
    assert len(logs) == 1


# --- what is kept ----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_costs_are_those_of_a_dictionary(data):
    costs, expected = PairCosts(), {}
    rows = st.integers(0, 5)
    for _ in range(data.draw(st.integers(1, 6))):
        told = data.draw(st.dictionaries(st.tuples(rows, rows), st.integers(0, 3), max_size=8))
        order, driver = (np.array([pair[k] for pair in told], np.int32) for k in (0, 1))
        costs.set(order, driver, np.array(list(told.values()), np.int64))
        expected = {pair: cost for pair, cost in (expected | told).items() if cost}
        what = data.draw(st.sampled_from(["nothing", "keep", "drop"]))
        if what == "keep":
            kept = data.draw(st.sets(rows).map(sorted))
            costs.keep_orders(np.array(kept, np.intp))
            expected = {(kept.index(one), other): c for (one, other), c in expected.items() if one in kept}
        elif what == "drop":
            status = np.array(
                data.draw(st.lists(st.sampled_from([0, 5, 6, 8]), min_size=6, max_size=6)), np.int8
            )
            costs.drop_finished(status)
            expected = {(one, other): c for (one, other), c in expected.items() if status[one] < 6}
        order, driver = (axis.ravel().astype(np.int32) for axis in np.mgrid[:6, :6])
        found = dict(
            zip(zip(order.tolist(), driver.tolist(), strict=True), costs.of(order, driver), strict=True)
        )
        assert {pair: cost for pair, cost in found.items() if cost} == expected
        assert len(costs) == len(expected)
        assert costs.has(np.arange(6, dtype=np.int32)).tolist() == [
            one in {o for o, _ in expected} for one in range(6)
        ]


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        (PairTerms([7], [1, 2]), "driver_id has 2 rows and order_id 1"),
        (PairTerms([7, 7], [1, 1]), "hold 7 and 1 more than once"),
        (PairTerms([7], [-1]), r"driver_id\[0\] is -1: ids must not be negative"),
        (PairTerms([9], [1]), "order_id"),
        (PairTerms([7], [1], -1), r"cost_ms\[0\] is -1"),
        (
            PairTerms([7], [1], MAX_COST_MS + 1),
            r"cost_ms\[0\] is 3600001: it must be a whole number from 0 to 3600000",
        ),
        (PairTerms([7], [1], 0.5), "cost_ms"),
        (PairTerms([7], [1], may_meet=2), r"may_meet\[0\] is 2"),
        (PairTerms([7, 7], [1, 5], [90_000, -1]), r"cost_ms\[1\] is -1"),
    ],
)
def test_what_cannot_be_is_refused_as_a_whole(told, rule):
    dispatcher = waiting("table")
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    before = dispatcher._state.fleet.num_rows
    with pytest.raises(InputError, match=rule):
        dispatcher.set_pair_terms(told)
    assert dispatcher._state.fleet.num_rows == before
    assert offers(dispatcher.step(T0)) == [(7, 1, 20, 20)]


@pytest.mark.parametrize("policy", [Policy(), Policy(priority_weights=(1.0, 2.0))])
@pytest.mark.parametrize("times", [TABLE, METRIC])
def test_pairs_of_finished_orders_are_forgotten_on_every_path(policy, times):
    dispatcher = Dispatcher(LINE, times, DispatchParams(policy))
    for order in range(5):
        dispatcher.submit(new_orders(LINE, [order], [3], [9], T0 + order))
        dispatcher.set_pair_terms(PairTerms([order] * 3, [1, 2, 3], 1000))
        dispatcher.cancel([order], T0 + order)
        dispatcher.step(T0 + order)
        assert len(dispatcher._state.orders.pair_costs) == 0
