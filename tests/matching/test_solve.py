from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from scipy.sparse import csr_array, diags_array, hstack
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from assignments import check, check_best, objective, problem_of
from dispatch.errors import InputError
from dispatch.matching import AssignmentProblem, Status, certificate, solve, solve_nearest
from naive.assignment import best_by_scipy, best_by_trying, first_come_first_served
from random_assignments import FAMILIES, in_unit_costs, random_penalty, random_problem


def problems(max_orders, max_drivers, costs, max_row=6):
    def rows_for(num_drivers):
        row = st.lists(st.tuples(st.integers(0, num_drivers - 1), costs), max_size=max_row)
        return st.lists(row, max_size=max_orders).map(lambda rows: problem_of(rows, num_drivers))

    return st.integers(1, max_drivers).flatmap(rows_for)


def skewed_problem(seed, num_orders, num_drivers, k, highest):
    """Up to k candidates an order; some drivers are wanted by many."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, k + 1, num_orders)
    first = np.concatenate([[0], np.cumsum(sizes)])
    driver = (num_drivers * rng.random(first[-1]) ** 2).astype(int)
    return AssignmentProblem.checked(first, driver, rng.integers(0, highest + 1, first[-1]), num_drivers)


def check_solved(problem, served_and_cost):
    solved = check(problem)
    assert solved.status == Status.OPTIMAL
    assert (solved.num_served, solved.total_cost) == served_and_cost
    return solved


@settings(deadline=None, max_examples=600)
@given(problems(5, 5, st.one_of(st.integers(0, 3), st.integers(0, 10**6))))
@example(problem_of([], 1))
@example(problem_of([[], [], []], 2))
@example(problem_of([[(0, 1), (1, 5)], [(0, 2)]], 2))  # the first order must give way
@example(problem_of([[(0, 0)], [(0, 10**6), (1, 10**6)], [(1, 0)]], 2))
@example(problem_of([[(0, 7), (0, 3), (0, 5)], [(0, 4), (0, 4)]], 1))  # duplicates of one pair
def test_equals_trying_everything(problem):
    check_solved(problem, best_by_trying(problem))


@settings(deadline=None, max_examples=300)
@given(problems(14, 9, st.integers(0, 2), max_row=5))
def test_ties_everywhere(problem):
    check_solved(problem, best_by_scipy(problem))


@settings(deadline=None, max_examples=150)
@given(problems(14, 9, st.just(0), max_row=4))
def test_all_costs_zero_is_largest_matching(problem):
    assert check_solved(problem, best_by_scipy(problem)).total_cost == 0


@settings(deadline=None, max_examples=150)
@given(problems(14, 14, st.integers(0, 10**9), max_row=8))
def test_costs_of_all_sizes(problem):
    check_solved(problem, best_by_scipy(problem))


@pytest.mark.parametrize(
    ("num_orders", "num_drivers", "k"), [(60, 60, 5), (90, 30, 8), (30, 90, 8), (150, 150, 3), (40, 40, 40)]
)
@pytest.mark.parametrize("highest", [0, 1, 20, 10**6])
def test_larger_ones_equal_scipy(num_orders, num_drivers, k, highest):
    for seed in range(6):
        problem = skewed_problem(seed, num_orders, num_drivers, k, highest)
        check_solved(problem, best_by_scipy(problem))


def test_real_size_with_too_few_drivers_equals_scipy():
    problem = skewed_problem(1, 1_500, 1_100, 20, 600_000)
    penalty = 600_000.0 * 1_500
    shape = (problem.num_orders, problem.num_drivers)
    # scipy adds up duplicates of a pair; keep the cheapest of each.
    order = np.repeat(np.arange(shape[0]), np.diff(problem.first_candidate))
    by_cost = np.argsort(problem.cost, kind="stable")
    _, chosen = np.unique((order * shape[1] + problem.candidate_driver)[by_cost], return_index=True)
    kept = by_cost[chosen]
    pairs = csr_array((problem.cost[kept] + 1.0, (order[kept], problem.candidate_driver[kept])), shape=shape)
    full = hstack([pairs, diags_array(np.full(shape[0], penalty))], format="csr")
    rows, columns = min_weight_full_bipartite_matching(full)
    served = columns < shape[1]
    cost = int((full[rows[served], columns[served]] - 1).sum())
    check_solved(problem, (int(served.sum()), cost))


def test_star_everybody_wants_one_driver():
    problem = problem_of([[(0, 500 - i)] for i in range(200)], 1)
    solved = check_solved(problem, (1, 301))
    assert solved.driver_of_order.tolist() == [-1] * 199 + [0]


def test_long_chain_is_shifted_by_its_last_order():
    length = 400
    rows = [[(i, 0), (i + 1, 10)] for i in range(length)] + [[(0, 0)]]
    solved = check_solved(problem_of(rows, length + 1), (length + 1, 10 * length))
    assert solved.driver_of_order.tolist() == [*range(1, length + 1), 0]


def test_serving_more_beats_any_cost():
    problem = problem_of([[(0, 0), (1, 10**9)], [(0, 0)], [(2, 10**9)]], 3)
    check_solved(problem, (3, 2 * 10**9))


def test_price_wars_end_exactly():
    """Many orders compete for one driver less, at costs a unit apart."""
    rows = [[(d, 1_000_000 + i * d % 3) for d in range(30)] for i in range(31)]
    problem = problem_of(rows, 30)
    check_solved(problem, best_by_scipy(problem))


def test_the_same_problem_has_the_same_answer():
    problem = skewed_problem(5, 200, 150, 10, 2)
    one, other = solve(problem), solve(problem)
    assert one.candidate_of_order.tobytes() == other.candidate_of_order.tobytes()
    assert one.driver_price.tobytes() == other.driver_price.tobytes()


def test_the_problem_is_not_written_to():
    problem = skewed_problem(6, 50, 30, 10, 99)
    before = [a.copy() for a in (problem.first_candidate, problem.candidate_driver, problem.cost)]
    solve(problem)
    solve_nearest(problem)
    for old, new in zip(
        before, (problem.first_candidate, problem.candidate_driver, problem.cost), strict=True
    ):
        assert (old == new).all()


def test_no_drivers_no_orders():
    for problem in (problem_of([], 0), problem_of([], 5), problem_of([[], []], 0)):
        check_solved(problem, (0, 0))
        assert solve_nearest(problem).num_served == 0


SCARCE = [(130, 90), (150, 150), (300, 250)]
"""Orders and drivers, so many of them and so few that the scarce path is taken."""


def scarce_problem(seed, num_orders, num_drivers, dtype=np.int64, highest=1_000):
    """Six candidates an order, sorted by cost."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.random((num_orders, 6)) * highest, axis=1)
    driver = rng.integers(0, num_drivers, rows.shape)
    return AssignmentProblem.checked(
        np.arange(num_orders + 1) * 6, driver.ravel(), rows.astype(dtype).ravel(), num_drivers
    )


@pytest.mark.compiled
@pytest.mark.parametrize(("num_orders", "num_drivers"), SCARCE)
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float64])
@pytest.mark.parametrize("penalty", [None, 0, 300, 2_000, "by order"])
def test_scarce_drivers_equal_scipy(num_orders, num_drivers, dtype, penalty):
    for seed in range(4):
        problem = scarce_problem(seed, num_orders, num_drivers, dtype)
        if penalty == "by order":
            check_best(problem, np.random.default_rng(seed).integers(0, 1_500, num_orders))
        else:
            check_best(problem, penalty)


@pytest.mark.compiled
def test_cities_side_by_side_are_each_at_their_best():
    """Random problems of all families in one: each with the best that it has alone."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        drawn = [in_unit_costs(random_problem(rng, family, 16, 14)) for family in FAMILIES]
        alone = [replace(problem, cost=problem.cost % 1_000) for problem in drawn]
        shift = np.cumsum([0, *(problem.num_drivers for problem in alone)])
        sizes = np.concatenate([np.diff(problem.first_candidate) for problem in alone])
        pairs = zip(alone, shift, strict=False)
        together = AssignmentProblem.checked(
            np.concatenate([[0], np.cumsum(sizes)]),
            np.concatenate([problem.candidate_driver + first for problem, first in pairs]),
            np.concatenate([problem.cost for problem in alone]),
            int(shift[-1]),
        )
        served, total = np.sum([best_by_scipy(problem) for problem in alone], axis=0)
        check_solved(together, (served, total))
        penalty = int(rng.integers(0, 2 * together.cost.max(initial=0) + 1))
        apart = sum(objective(problem, solve(problem, penalty), penalty) for problem in alone)
        assert objective(together, check(together, penalty), penalty) == apart


def test_an_order_with_a_higher_penalty_has_priority():
    rows = [[(0, 5)], [(0, 5)], [(0, 5)]]
    assert check(problem_of(rows, 1), [10, 30, 20]).driver_of_order.tolist() == [-1, 0, -1]
    assert check(problem_of(rows, 1), [4, 4, 4]).num_served == 0
    assert check(problem_of(rows, 1), 0).num_served == 0
    assert check(problem_of(rows, 1), 2**59).num_served == 1


def test_a_penalty_leaves_dear_orders_and_a_huge_one_serves_as_many_as_can_be():
    problem = problem_of([[(0, 0), (1, 90)], [(0, 1)]], 2)
    assert check(problem, 50).driver_of_order.tolist() == [0, -1]
    assert check(problem, 92).driver_of_order.tolist() == [1, 0]
    assert solve(problem).total_cost == solve(problem, 10**9).total_cost == 91


BUDGETS = {
    "abundance with ties": (60, 90, 3, None),
    "few": (30, 20, 1_000, None),
    "scarce": (130, 90, 1_000, None),
    "scarce with ties": (130, 90, 2, None),
    "penalty": (130, 70, 20, 30),
}


@pytest.mark.parametrize(("num_orders", "num_drivers", "highest", "penalty"), BUDGETS.values(), ids=BUDGETS)
def test_any_budget_gives_an_assignment_and_a_true_bound(num_orders, num_drivers, highest, penalty):
    problem = scarce_problem(7, num_orders, num_drivers, highest=highest)
    best = check_best(problem, penalty)
    statuses, scans = set(), best.edges_scanned
    for max_scans in [*range(20), *range(20, scans, max(scans // 60, 1)), scans, scans + 1]:
        answer = check(problem, penalty, max_scans=max_scans)
        counted = answer.penalty if penalty is None else penalty
        beyond = objective(problem, answer, counted) - objective(problem, best, counted)
        assert 0 <= beyond <= certificate(problem, answer, penalty).gap
        assert answer.num_served <= best.num_served or penalty is not None
        assert answer.edges_scanned <= scans
        statuses.add(answer.status)
    assert answer.status == Status.OPTIMAL
    assert statuses == {Status.OPTIMAL, Status.CUT_SHORT}


def test_a_cut_short_answer_serves_nobody_at_more_than_the_penalty():
    """Equal choices wait for a path that is not searched; the one left over is dear."""
    problem = problem_of([[(0, 1), (2, 1)], [(0, 1), (2, 1)], [(0, 1), (2, 1), (1, 1_000)]], 3)
    answer = check(problem, 10, max_scans=0)
    assert answer.total_cost <= 30


@pytest.mark.compiled
def test_budgets_and_capacities_go_together():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        problem = random_problem(rng, FAMILIES[seed % len(FAMILIES)], 110, 60)
        penalty = random_penalty(rng, problem)
        for max_scans in rng.integers(0, solve(problem, penalty).edges_scanned + 1, 5):
            check(problem, penalty, max_scans=int(max_scans))


@pytest.mark.compiled
@pytest.mark.parametrize("penalty", [None, 300])
@pytest.mark.parametrize(("num_orders", "num_drivers"), [(20, 15), *SCARCE])
def test_prices_of_any_earlier_assignment_lead_to_the_same_optimum(num_orders, num_drivers, penalty):
    problem = scarce_problem(1, num_orders, num_drivers)
    rng, cold = np.random.default_rng(0), check_best(problem, penalty)
    others = [
        solve(scarce_problem(seed, num_orders, num_drivers), p)
        for seed, p in [(1, None), (2, None), (3, 500)]
    ]
    zeros = np.zeros(num_drivers, np.int64)
    starts = [*others, solve(problem, max_scans=0), solve_nearest(problem), replace(cold, driver_price=zeros)]
    for low, high in [(-1_000, 1), (-1_000, 1_000), (1, 1_000), (-(2**62), 2**62), (-(2**63), -(2**63) + 1)]:
        starts.append(replace(cold, driver_price=rng.integers(low, high, num_drivers)))
    starts += [replace(starts[-2], penalty=np.full(num_orders, p)) for p in (0, 1, 2**60, 2**63 - 1, -5)]
    for start in starts:
        warm = check(problem, penalty, earlier=start)
        assert objective(problem, warm, penalty or 0) == objective(problem, cold, penalty or 0)
        assert warm.num_served == cold.num_served or penalty is not None


def test_earlier_prices_spare_work_where_drivers_are_scarce():
    problem = scarce_problem(5, 300, 250)
    cold = solve(problem)
    assert check(problem, earlier=cold).edges_scanned < cold.edges_scanned


def test_earlier_prices_of_drivers_with_capacities():
    rng = np.random.default_rng(3)
    problem = replace(scarce_problem(3, 150, 60), capacity=rng.integers(0, 4, 60).astype(np.int32))
    cold = check_best(problem)
    assert check(problem, earlier=cold).total_cost == cold.total_cost


def test_earlier_prices_that_do_not_fit_are_refused():
    problem = problem_of([[(1, 1)]], 2)
    answer = solve(problem)
    with pytest.raises(InputError, match=r"shape \(3,\): the problem has 2 drivers"):
        solve(problem, earlier=solve(problem_of([[(2, 1)]], 3)))
    for prices in (np.zeros(2), np.zeros((2, 1), np.int64), np.zeros(2, np.uint64)):
        with pytest.raises(InputError, match="earlier has prices of the kind"):
            solve(problem, earlier=replace(answer, driver_price=prices))


def test_earlier_prices_in_another_unit_are_counted_in_this_one():
    rng, problem = np.random.default_rng(3), random_problem(np.random.default_rng(2), FAMILIES[0], 150, 110)
    coarse, fine = (
        replace(problem, capacity=None, cost=rng.integers(0, highest, len(problem.cost)))
        for highest in (90, 60_000)
    )
    floats = [replace(problem, cost=problem.cost / 7.0) for problem in (coarse, fine)]
    for problem in (*floats, coarse):
        for other in (*floats, fine):
            assert check(problem, earlier=solve(other)).total_cost == solve(problem).total_cost


@pytest.mark.parametrize("limit", [-1, 1.5, True, "a", np.nan])
def test_a_limit_that_is_no_number_of_scans_is_refused(limit):
    with pytest.raises(InputError, match="max_scans is"):
        solve(problem_of([[(0, 1)]], 1), max_scans=limit)


def test_a_limit_beyond_all_work_is_none():
    assert solve(problem_of([[(0, 1)]], 1), max_scans=2**70).status == "optimal"


@pytest.mark.compiled
def test_two_threads_at_once_find_what_one_finds_after_the_other():
    tasks = [(scarce_problem(seed, 400, 330), penalty) for seed in range(12) for penalty in (None, 400)]
    one_by_one = [solve(*task) for task in tasks]
    with ThreadPoolExecutor(2) as pool:
        at_once = list(pool.map(lambda task: solve(*task), tasks))
    for one, other in zip(one_by_one, at_once, strict=True):
        for name in ("candidate_of_order", "driver_price", "order_price"):
            assert (getattr(one, name) == getattr(other, name)).all()
        assert one.edges_scanned == other.edges_scanned


@settings(deadline=None, max_examples=300)
@given(problems(10, 6, st.integers(0, 4)))
def test_nearest_is_first_come_first_served(problem):
    answer = solve_nearest(problem)
    assert answer.candidate_of_order.tolist() == first_come_first_served(problem)
    served = answer.candidate_of_order[answer.candidate_of_order >= 0]
    assert (answer.num_served, answer.total_cost) == (len(served), problem.cost[served].sum())
    proof = certificate(problem, answer)
    assert proof.violations == ""
    best = solve(problem)
    assert proof.gap >= 0
    assert (best.num_served, -best.total_cost) >= (answer.num_served, -answer.total_cost)
