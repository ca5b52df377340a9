import numpy as np
import pytest

from assignments import check_best, problem_of
from dispatch.errors import InputError
from dispatch.matching import AssignmentProblem, solve
from dispatch.matching.capacity import in_places
from naive.assignment import best_by_trying, least_by_trying
from random_assignments import FAMILIES, random_penalty, random_problem


def test_each_place_of_a_driver_is_a_driver_for_one_order():
    # Driver 0 has two places for three orders, driver 1 nine for one, driver 2 none; nobody wants driver 3.
    problem = problem_of([[(0, 5), (1, 7)], [(0, 6), (2, 1)], [(0, 8)]], 4, [2, 9, 0, 5])
    unit = in_places(problem)
    assert unit.first_place.tolist() == [0, 2, 3, 3, 3]
    assert unit.candidate.tolist() == [0, 0, 1, 2, 2, 4, 4]
    assert unit.problem.first_candidate.tolist() == [0, 3, 5, 7]
    assert unit.problem.candidate_driver.tolist() == [0, 1, 2, 0, 1, 0, 1]
    assert unit.problem.cost.tolist() == [5, 5, 7, 6, 6, 8, 8]
    assert (unit.problem.num_drivers, unit.problem.capacity) == (3, None)


def test_a_driver_serves_as_many_as_it_can():
    rows = [[(0, 10 + order)] for order in range(5)]
    for places in range(7):
        answer = check_best(problem_of(rows, 1, [places]))
        assert answer.num_served == min(places, 5)
        assert answer.driver_of_order.tolist() == [0] * answer.num_served + [-1] * (5 - answer.num_served)


def test_a_place_that_nobody_needs_has_no_price():
    answer = check_best(problem_of([[(0, 4)], [(0, 5), (1, 50)]], 2, [2, 1]))
    assert answer.total_cost == 9
    assert answer.driver_price.tolist() == [0, 0]


def test_a_driver_in_two_places_of_one_order_serves_it_once():
    answer = check_best(problem_of([[(0, 4), (0, 3)]], 1, [3]))
    assert (answer.num_served, answer.total_cost, answer.candidate_of_order.tolist()) == (1, 3, [1])


def test_more_places_than_int32_holds_are_no_more_than_the_orders_that_want_them():
    most = 2**31 - 1
    answer = check_best(problem_of([[(0, 1), (1, 2)], [(0, 3)], [(1, 1)]], 3, [most] * 3))
    assert (answer.num_served, answer.total_cost) == (3, 5)


def test_places_for_too_many_candidates_are_refused():
    many = 50_000
    problem = AssignmentProblem.checked(
        np.arange(many + 1), np.zeros(many, int), np.zeros(many, int), 1, [2**31 - 1]
    )
    with pytest.raises(InputError, match="capacity makes 2500000000 candidates of 50000"):
        solve(problem)


def test_ones_are_the_same_as_none():
    rng = np.random.default_rng(4)
    for _ in range(30):
        problem = random_problem(rng, FAMILIES[0], 20, 12)
        ones, none = (
            AssignmentProblem.checked(
                problem.first_candidate, problem.candidate_driver, problem.cost, 12, capacity
            )
            for capacity in (np.ones(12, int), None)
        )
        assert solve(ones).total_cost == solve(none).total_cost


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_equals_trying_everything(family):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = random_problem(rng, family, *rng.integers(1, 6, 2))
        problem = AssignmentProblem.checked(
            drawn.first_candidate,
            drawn.candidate_driver,
            np.rint(drawn.cost).astype(int),
            drawn.num_drivers,
            rng.integers(0, 4, drawn.num_drivers),
        )
        penalty = random_penalty(rng, problem)
        answer = check_best(problem, penalty)
        if penalty is None:
            assert (answer.num_served, answer.total_cost) == best_by_trying(problem)
        else:
            least = least_by_trying(problem, answer.penalty)
            assert answer.total_cost + answer.penalty[answer.driver_of_order == -1].sum() == least
