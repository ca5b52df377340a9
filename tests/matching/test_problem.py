import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.matching import AssignmentProblem


def test_checked_takes_any_integers_and_gives_the_arrays_that_kernels_read():
    problem = AssignmentProblem.checked([0, 2, 2], np.array([1, 0], np.uint8), [5, 0], np.int64(3))
    assert (problem.first_candidate.dtype, problem.candidate_driver.dtype, problem.cost.dtype) == (
        np.int32,
        np.int32,
        np.int64,
    )
    assert problem.num_orders == 2
    assert problem.candidate_driver.tolist() == [1, 0]
    assert AssignmentProblem.checked([0], [], [], 0).num_orders == 0


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float64])
def test_costs_of_three_kinds_stay_what_they_are(dtype):
    assert AssignmentProblem.checked([0, 1], [0], np.array([3], dtype), 1).cost.dtype == dtype


@pytest.mark.parametrize(
    ("dtype", "becomes"), [(np.uint8, np.int64), (np.uint32, np.int64), (np.float32, np.float64)]
)
def test_costs_of_other_kinds_are_widened(dtype, becomes):
    assert AssignmentProblem.checked([0, 1], [0], np.array([3], dtype), 1).cost.dtype == becomes


def test_capacities_are_places():
    problem = AssignmentProblem.checked([0], [], [], 3, np.array([2, 0, 5], np.uint8))
    assert problem.capacity.dtype == np.int32
    assert problem.num_places == 7
    assert AssignmentProblem.checked([0], [], [], 3).num_places == 3
    assert AssignmentProblem.checked([0], [], [], 3, [2**31 - 1] * 3).num_places == 3 * (2**31 - 1)


@pytest.mark.parametrize(
    ("capacity", "message"),
    [
        ([1], "capacity has 1 rows: it must have one for each of 2 drivers"),
        ([1, -1], r"capacity\[1\] is -1: it must be 0 to 2147483647"),
        ([2**31, 0], r"capacity\[0\] is 2147483648"),
        ([1.5, 1.0], "capacity holds float64"),
        ([[1, 1]], r"capacity has the shape \(1, 2\)"),
    ],
)
def test_capacities_that_break_a_rule_are_refused(capacity, message):
    with pytest.raises(InputError, match=message):
        AssignmentProblem.checked([0], [], [], 2, capacity)


def test_checked_copies():
    cost = np.array([4])
    problem = AssignmentProblem.checked([0, 1], [0], cost, 1)
    cost[0] = 9
    assert problem.cost.tolist() == [4]


@pytest.mark.parametrize(
    ("first", "driver", "cost", "num_drivers", "message"),
    [
        ([], [], [], 1, "first_candidate must begin with 0"),
        ([1, 1], [0], [0], 1, "first_candidate must begin with 0"),
        ([0, 2, 1], [0], [0], 1, r"first_candidate\[2\] is 1: it must never fall"),
        ([0, 2], [0], [0], 1, "first_candidate ends with 2"),
        ([0, 1], [0], [0, 0], 1, "cost has 2 rows and candidate_driver 1"),
        ([0, 1], [1], [0], 1, r"candidate_driver\[0\] is 1: drivers are 0 to 0"),
        ([0, 2], [0, -1], [0, 0], 1, r"candidate_driver\[1\] is -1"),
        ([0, 1], [2**40], [0], 1, r"candidate_driver\[0\] is 1099511627776"),
        ([0, 2], [0, 0], [0, -3], 1, r"cost\[1\] is -3: it must not be negative"),
        ([0, 1], [0], [True], 1, "cost holds bool"),
        ([0, 1], [0], [float("nan")], 1, r"cost\[0\] is nan: it must be finite"),
        ([0, 2], [0, 0], [0.0, np.inf], 1, r"cost\[1\] is inf: it must be finite"),
        ([0, 1], [0], [-0.5], 1, r"cost\[0\] is -0.5: it must not be negative"),
        ([0, 1], [0], np.array([2**63], np.uint64), 1, r"cost\[0\] is 9223372036854775808: it must fit"),
        ([0, 1], [[0]], [0], 1, r"candidate_driver has the shape \(1, 1\)"),
        ([0], [], [], -1, "num_drivers is -1"),
        ([0], [], [], 2**31, "num_drivers is 2147483648"),
    ],
)
def test_checked_names_what_is_wrong(first, driver, cost, num_drivers, message):
    with pytest.raises(InputError, match=message):
        AssignmentProblem.checked(first, driver, cost, num_drivers)
