import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from scipy.sparse import csr_array, diags_array, hstack
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from dispatch.errors import InputError
from dispatch.matching import AssignmentProblem, certificate, solve, solve_nearest
from naive.assignment import best_by_scipy, best_by_trying, first_come_first_served


def problem_of(rows, num_drivers):
    first = np.cumsum([0, *map(len, rows)])
    pairs = [pair for row in rows for pair in row]
    return AssignmentProblem.checked(
        first, np.array([d for d, _ in pairs], int), np.array([cost for _, cost in pairs], int), num_drivers
    )


def problems(max_orders, max_drivers, costs, max_row=6):
    def rows_for(num_drivers):
        row = st.lists(st.tuples(st.integers(0, num_drivers - 1), costs), max_size=max_row)
        return st.lists(row, max_size=max_orders).map(lambda rows: problem_of(rows, num_drivers))

    return st.integers(1, max_drivers).flatmap(rows_for)


def random_problem(seed, num_orders, num_drivers, k, highest):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, k + 1, num_orders)
    first = np.concatenate([[0], np.cumsum(sizes)])
    # Skewed: some drivers are wanted by many.
    driver = (num_drivers * rng.random(first[-1]) ** 2).astype(int)
    return AssignmentProblem.checked(first, driver, rng.integers(0, highest + 1, first[-1]), num_drivers)


def check_solved(problem, served_and_cost):
    solved = solve(problem)
    proof = certificate(problem, solved)
    assert proof.optimal, proof
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
        problem = random_problem(seed, num_orders, num_drivers, k, highest)
        check_solved(problem, best_by_scipy(problem))


def test_thousands_of_small_ones_equal_scipy():
    rng = np.random.default_rng(0)
    for seed in range(2_500):
        num_orders, num_drivers = (int(size) for size in rng.integers(1, 12, 2))
        highest = int(rng.choice([0, 1, 3, 50, 10**7]))
        problem = random_problem(seed, num_orders, num_drivers, int(rng.integers(1, 7)), highest)
        check_solved(problem, best_by_scipy(problem))


def test_real_size_with_too_few_drivers_equals_scipy():
    problem = random_problem(1, 1_500, 1_100, 20, 600_000)
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
    problem = random_problem(5, 200, 150, 10, 2)
    one, other = solve(problem), solve(problem)
    assert one.candidate_of_order.tobytes() == other.candidate_of_order.tobytes()
    assert one.driver_price.tobytes() == other.driver_price.tobytes()


def test_the_problem_is_not_written_to():
    problem = random_problem(6, 50, 30, 10, 99)
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


def test_costs_beyond_exact_arithmetic_are_refused():
    for policy in (solve, solve_nearest):
        with pytest.raises(InputError, match=r"cost is up to 9223372036854775807: .* use a coarser unit"):
            policy(problem_of([[(0, 2**63 - 1)]], 1))
    largest = problem_of([[(0, 2**57), (1, 2**57 - 1)], [(0, 2**57)]], 2)
    check_solved(largest, (2, 2**58 - 1))


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
