from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from assignments import problem_of
from dispatch.matching import AssignmentProblem, Certificate, certificate, solve, solve_nearest
from random_assignments import FAMILIES, in_whole_costs, random_problem

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
        ({"penalty": np.full(3, 27)}, "a penalty of 27 is too small"),
        (
            {"order_price": changed(SOLVED.order_price, 0, SOLVED.order_price[0] + 1)},
            "costs less than the prices",
        ),
        ({"order_price": changed(SOLVED.order_price, 0, SOLVED.penalty[0] + 1)}, "above the penalty"),
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
        penalty=np.array([50, 50]),
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


RICH = problem_of([[(0, 4), (1, 9)], [(0, 6)], [(0, 5), (1, 7)], [(2, 3)]], 3, [2, 1, 1])
PENALTY = np.array([20, 8, 15, 2])
ANSWER = solve(RICH, PENALTY)


def test_accepts_the_best_with_penalties_and_capacities():
    assert certificate(RICH, ANSWER, PENALTY).optimal
    # Driver 0 serves orders 0 and 1, driver 1 order 2; order 3 costs more than its penalty.
    assert ANSWER.driver_of_order.tolist() == [0, 0, 1, -1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty": changed(PENALTY, 3, 3)}, "not those that were asked for"),
        ({"penalty": np.full(4, 8)}, "not those that were asked for"),
        ({"order_price": changed(ANSWER.order_price, 3, 3)}, "order 3 has a price above the penalty"),
        ({"driver_price": changed(ANSWER.driver_price, 2, 1)}, "driver 2 has a positive price"),
        ({"num_served": 4}, "num_served is 4"),
        ({"total_cost": 16}, "total_cost is 16"),
        (
            {
                "driver_of_order": np.array([0, 0, 0, -1]),
                "candidate_of_order": np.array([0, 2, 3, -1]),
                "total_cost": 15,
            },
            "driver 0 serves 3 orders",
        ),
    ],
)
def test_rejects_wrong_penalties_and_too_many_orders_a_driver(change, message):
    proof = certificate(RICH, replace(ANSWER, **change), PENALTY)
    assert not proof.optimal
    assert message in proof.violations


def test_rejects_serving_an_order_that_had_better_be_left():
    served = replace(
        ANSWER,
        driver_of_order=changed(ANSWER.driver_of_order, 3, 2),
        candidate_of_order=changed(ANSWER.candidate_of_order, 3, 5),
        num_served=4,
        total_cost=ANSWER.total_cost + 3,
    )
    assert certificate(RICH, served, PENALTY) == Certificate(False, 1, "", 0.0)


def test_an_answer_with_penalties_is_no_proof_that_most_are_served():
    proof = certificate(RICH, ANSWER)
    assert not proof.optimal
    assert "penalties differ, 2 to 20" in proof.violations


def test_a_capacity_that_was_ignored_is_noticed():
    problem = problem_of([[(0, 1)], [(0, 2)]], 1, [2])
    assert not certificate(replace(problem, capacity=None), solve(problem)).optimal
    assert not certificate(problem, solve(replace(problem, capacity=None))).optimal


def test_a_driver_without_places_counts_for_nothing():
    problem = problem_of([[(0, 1), (1, 5)]], 2, [0, 1])
    assert certificate(problem, solve(problem)).optimal
    taken = {"driver_of_order": np.array([0]), "candidate_of_order": np.array([0]), "total_cost": 1}
    assert "driver 0 serves 1 orders" in certificate(problem, replace(solve(problem), **taken)).violations


def test_rounding_is_told_where_floats_are_not_whole_units():
    exact = problem_of([[(0, 0.5)], [(0, 0.25)]], 1, dtype=float)
    assert certificate(exact, solve(exact)).rounding == 0.0
    assert certificate(exact, solve(exact, 0.75), 0.75).rounding == 0.0
    third = problem_of([[(0, 1 / 3)], [(0, 1e-9 / 7)]], 1, dtype=float)
    proof = certificate(third, solve(third))
    assert proof.optimal
    assert 0 < proof.rounding < 1e-14
    assert certificate(exact, solve(exact, 1e-9 / 7), 1e-9 / 7).rounding > 0


def test_a_total_that_is_off_by_more_than_floats_are_is_noticed():
    problem = problem_of([[(0, 0.1)], [(1, 0.2)]], 2, dtype=float)
    answer = solve(problem)
    assert certificate(problem, replace(answer, total_cost=0.3)).optimal
    assert not certificate(problem, replace(answer, total_cost=0.3 + 1e-9)).optimal


@pytest.mark.parametrize("field", ["order_price", "driver_price", "penalty"])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_change_of_a_price_or_a_penalty_passes_with_penalties_and_capacities(field, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    problem = in_whole_costs(random_problem(rng, FAMILIES[rng.integers(len(FAMILIES))], 7, 6))
    penalty = rng.integers(0, 2 * problem.cost.max(initial=1) + 1, 7)
    answer = solve(problem, penalty)
    assert certificate(problem, answer, penalty).optimal
    values = getattr(answer, field)
    row, step = data.draw(st.integers(0, len(values) - 1)), data.draw(st.sampled_from([-9, -1, 1, 9]))
    proof = certificate(
        problem, replace(answer, **{field: changed(values, row, values[row] + step)}), penalty
    )
    nothing_to_serve = field == "driver_price" and step < 0 and is_idle(problem, row)
    assert proof.optimal == nothing_to_serve


def is_idle(problem, driver):
    """Whether a driver has no place for which anybody asks: its price counts no orders."""
    no_place = problem.capacity is not None and problem.capacity[driver] == 0
    return no_place or (problem.capacity is not None and driver not in problem.candidate_driver)
