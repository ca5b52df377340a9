from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.matching import AssignmentProblem, certificate, solve, solve_nearest

PROBLEM = AssignmentProblem.checked([0, 2, 3, 5], [0, 1, 0, 1, 2], [1, 5, 2, 3, 9], 3)
SOLVED = solve(PROBLEM)


def changed(array, row, value):
    array = array.copy()
    array[row] = value
    return array


def test_accepts_the_best_with_its_prices():
    proof = certificate(PROBLEM, SOLVED)
    assert proof.optimal
    assert (proof.gap, proof.violations) == (0, "")
    # Served: order 1 by driver 0 (2), orders 0 and 2 by 1 and 2 (5 + 9): 16.
    assert (SOLVED.num_served, SOLVED.total_cost) == (3, 16)


def test_rejects_a_worse_assignment_with_the_best_prices():
    greedy = solve_nearest(PROBLEM)
    proof = certificate(
        PROBLEM, replace(greedy, order_price=SOLVED.order_price, driver_price=SOLVED.driver_price)
    )
    assert not proof.optimal
    assert proof.violations == ""
    assert proof.gap > 0


def test_rejects_the_best_assignment_without_prices():
    proof = certificate(PROBLEM, replace(SOLVED, order_price=np.zeros(3, int), driver_price=np.zeros(3, int)))
    assert (proof.optimal, proof.gap, proof.violations) == (False, 16, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidate_of_order": np.array([0, 2, 4])}, "driver 1, but its candidate says 0"),
        ({"candidate_of_order": np.array([2, 2, 4])}, "order 0 has candidate 2, which is none of its own"),
        ({"candidate_of_order": np.array([1, 2, 99])}, "order 2 has candidate 99"),
        ({"candidate_of_order": np.array([-2, 2, 4])}, "order 0 has candidate -2"),
        ({"candidate_of_order": np.array([1, 2])}, "candidate_of_order has the shape"),
        ({"driver_of_order": np.array([1, 0, -1])}, "order 2 has driver -1"),
        (
            {"candidate_of_order": np.array([1, 2, 3]), "driver_of_order": np.array([1, 0, 1])},
            "driver 1 serves 2 orders",
        ),
        ({"num_served": 2}, "num_served is 2"),
        ({"total_cost": 15}, "total_cost is 15"),
        ({"unserved_penalty": 27}, "a penalty of 27 is too small"),
        (
            {"order_price": changed(SOLVED.order_price, 0, SOLVED.order_price[0] + 1)},
            "costs less than the prices",
        ),
        ({"order_price": changed(SOLVED.order_price, 0, SOLVED.unserved_penalty + 1)}, "above the penalty"),
        ({"driver_price": changed(SOLVED.driver_price, 2, 1)}, "driver 2 has a positive price"),
        ({"driver_price": changed(SOLVED.driver_price, 0, -(2**63))}, "driver_price is beyond 2"),
        ({"order_price": changed(SOLVED.order_price, 0, -(2**63))}, "order_price is beyond 2"),
    ],
)
def test_rejects_and_says_why(change, message):
    proof = certificate(PROBLEM, replace(SOLVED, **change))
    assert not proof.optimal
    assert message in proof.violations


def test_rejects_a_cheap_assignment_that_serves_fewer():
    """Least cost alone is not enough: with a small penalty leaving an order would look best."""
    problem = AssignmentProblem.checked([0, 1, 3], [0, 0, 1], [0, 0, 100], 2)
    fewer = replace(
        solve(problem),
        driver_of_order=np.array([0, -1]),
        candidate_of_order=np.array([0, -1]),
        num_served=1,
        total_cost=0,
        order_price=np.array([0, 50]),
        driver_price=np.array([0, 0]),
        unserved_penalty=50,
    )
    assert not certificate(problem, fewer).optimal
    assert certificate(problem, solve(problem)).optimal


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_any_single_change_of_a_price_or_a_choice_is_noticed(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = rng.integers(1, 4, 8)
    first = np.concatenate([[0], np.cumsum(sizes)])
    problem = AssignmentProblem.checked(
        first, rng.integers(0, 6, first[-1]), rng.integers(0, 30, first[-1]), 6
    )
    solved = solve(problem)
    assert certificate(problem, solved).optimal
    step = data.draw(st.sampled_from([-7, -1, 1, 7]))
    field = data.draw(st.sampled_from(["order_price", "driver_price"]))
    prices = getattr(solved, field)
    row = data.draw(st.integers(0, len(prices) - 1))
    assert not certificate(
        problem, replace(solved, **{field: changed(prices, row, prices[row] + step)})
    ).optimal
    order = data.draw(st.integers(0, 7))
    other = data.draw(st.integers(-1, first[-1] - 1))
    wrong = replace(solved, candidate_of_order=changed(solved.candidate_of_order, order, other))
    same = other == solved.candidate_of_order[order]
    twin = first[order] <= other < first[order + 1] and (
        (problem.candidate_driver[other], problem.cost[other])
        == (solved.driver_of_order[order], problem.cost[solved.candidate_of_order[order]])
    )
    assert certificate(problem, wrong).optimal == (same or twin)
