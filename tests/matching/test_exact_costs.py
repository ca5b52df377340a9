from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from assignments import check, check_best, problem_of
from dispatch.errors import InputError
from dispatch.matching import solve
from dispatch.matching.exact_costs import in_integers
from naive.assignment import best_by_trying

FINITE = st.floats(0, 1e300, allow_nan=False)


def counted(costs, penalty=None, dtype=float, num_drivers=3):
    problem = problem_of(
        [[(i % num_drivers, cost)] for i, cost in enumerate(costs)], num_drivers, dtype=dtype
    )
    return in_integers(problem, penalty)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_integers_stay_as_they_are(dtype):
    result = counted([5, 0, 2**31 - 1], [4, 5, 6], dtype)
    assert result.cost.tolist() == [5, 0, 2**31 - 1]
    assert result.penalty.tolist() == [4, 5, 6]
    assert result.unit == 1.0
    assert result.cost.dtype == result.penalty.dtype == np.int64
    assert counted([5], None, dtype).penalty is None


def test_penalties_are_copied():
    penalty = np.array([4, 5, 6])
    counted([1, 2, 3], penalty, int).penalty[:] = 0
    assert penalty.tolist() == [4, 5, 6]


@settings(deadline=None, max_examples=300)
@given(st.lists(FINITE, min_size=1, max_size=20))
def test_floats_lose_no_more_than_half_a_unit_which_is_small(costs):
    result = counted(costs)
    unit, highest = Fraction(result.unit), Fraction(max(costs))
    assert all(
        abs(unit * n - Fraction(c)) <= unit / 2 for n, c in zip(result.cost.tolist(), costs, strict=True)
    )
    assert highest == 0 or unit <= max(highest / 2**44, Fraction(2) ** -1000)
    assert min(len(costs), 3) * int(result.cost.max()) < 2**58


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 2**30), min_size=1, max_size=20), st.integers(-900, 900))
def test_whole_multiples_of_a_power_of_two_lose_nothing(numbers, power):
    costs = np.ldexp(np.array(numbers, float), power)
    result = counted(costs)
    assert (np.ldexp(result.cost.astype(float), round(np.log2(result.unit))) == costs).all()


def test_penalties_are_counted_in_the_unit_of_the_costs():
    result = counted([0.5, 2.25], [1.75, 8.0])
    assert (result.cost * result.unit).tolist() == [0.5, 2.25]
    assert (result.penalty * result.unit).tolist() == [1.75, 8.0]
    result = counted([0.5, 2.25], 3)
    assert (result.penalty * result.unit).tolist() == [3.0, 3.0]


def test_sums_that_floats_blur_are_told_apart():
    """0.1 + 0.2 is not 0.3 in floats; whole units add up whatever the sequence."""
    rows = [[(0, 0.1), (1, 0.3)], [(0, 0.2), (1, 0.4)], [(1, 0.2), (2, 0.1)]]
    check_best(problem_of(rows, 3, dtype=float))


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e-9, 1.0, 1e9, 1e200])
def test_floats_of_all_sizes_are_solved(scale):
    rows = [[(0, 4.0), (1, 5.0)], [(0, 1.0), (1, 9.0)], [(0, 8.0)]]
    problem = problem_of([[(driver, cost * scale) for driver, cost in row] for row in rows], 2, dtype=float)
    answer = check(problem)
    served, total = best_by_trying(problem)
    assert answer.num_served == served
    assert scale < 1e-300 or answer.total_cost == total


def test_a_float_that_is_a_whole_number_of_units_of_one_is_proven():
    """Costs of which the sum depends on the sequence in which floats are added; their unit is 1."""
    rng = np.random.default_rng(0)
    costs = rng.random(150) * 2**50
    answer = check(problem_of([[(i, cost)] for i, cost in enumerate(costs)], 150, dtype=float))
    assert answer.price_unit == 1.0


def test_nothing_costs_nothing():
    assert check(problem_of([[(0, 0.0)], [(0, 0.0)]], 1, dtype=float)).total_cost == 0.0
    assert check(problem_of([[], []], 1, dtype=float), 0.5).num_served == 0


@pytest.mark.parametrize(
    ("penalty", "dtype", "message"),
    [
        ([1, 2], int, r"penalty has the shape \(2,\): .* each of the 3 orders"),
        ([[1, 2, 3]], int, r"penalty has the shape \(1, 3\)"),
        (1.5, int, "penalty holds float64 and cost int64"),
        ([True, True, False], int, "penalty holds bool"),
        ("much", float, "penalty holds <U4"),
        (-1, int, r"penalty\[0\] is -1: it must not be negative"),
        ([0, 3, -2], int, r"penalty\[2\] is -2"),
        ([0, float("nan"), 1], float, r"penalty\[1\] is nan: .* finite"),
        (float("inf"), float, r"penalty\[0\] is inf"),
        (2**63, int, r"penalty"),
        (2**70, int, r"penalty"),
    ],
)
def test_penalties_that_break_a_rule_are_refused(penalty, dtype, message):
    with pytest.raises(InputError, match=message):
        solve(problem_of([[(0, 1)], [(0, 2)], [(1, 1)]], 2, dtype=dtype), penalty)


def test_costs_beyond_exact_arithmetic_are_refused():
    with pytest.raises(InputError, match=r"cost is up to 9223372036854775807: .* use a coarser unit"):
        solve(problem_of([[(0, 2**63 - 1)]], 1))
    with pytest.raises(InputError, match=r"cost is up to 5 and penalty up to 576460752303423489: .* coarser"):
        solve(problem_of([[(0, 5)]], 1), 2**59 + 1)
    largest = check_exact([[(0, 2**57), (1, 2**57 - 1)], [(0, 2**57)]])
    assert (largest.num_served, largest.total_cost) == (2, 2**58 - 1)


def check_exact(rows, penalty=None):
    return check(problem_of(rows, 1 + max(driver for row in rows for driver, _ in row)), penalty)


def total_unless_refused(problem, penalty):
    try:
        return check(problem, penalty).total_cost
    except InputError:
        return None


def test_sums_beyond_int64_are_right_or_refused():
    """Each cost fits, but not what twenty of them add up to."""
    num_orders, cost = 20, 2**59 - 1
    problem = problem_of([[(i, cost)] for i in range(num_orders)], num_orders)
    assert total_unless_refused(problem, 2**59) in (None, num_orders * cost)


def test_the_gap_is_right_where_floats_with_penalties_are_many():
    rng = np.random.default_rng(2)
    driver, cost = rng.integers(0, 200, (300, 4)), rng.uniform(0.8, 1.0, (300, 4))
    rows = [list(zip(*row, strict=True)) for row in zip(driver, cost, strict=True)]
    problem = problem_of(rows, 200, dtype=float)
    for max_scans in (0, 2_000, 10**9):
        check(problem, 1.0, max_scans=max_scans)


@pytest.mark.parametrize("penalty", [1e3, 1e9, 1e15, 1e19, 1e300])
def test_a_penalty_far_above_the_costs_does_not_drown_them_unnoticed(penalty):
    problem = problem_of([[(0, 1.0), (1, 2.0)], [(0, 1.0), (1, 5.0)]], 2, dtype=float)
    assert total_unless_refused(problem, penalty) in (None, 3.0)


def test_floats_whose_sum_is_infinite_are_refused():
    with pytest.raises(InputError, match="cost"):
        solve(problem_of([[(0, 1e308)], [(1, 1e308)]], 2, dtype=float))
