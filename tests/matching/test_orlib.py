"""Published problems with published optima."""

import numpy as np
import pytest

from assignments import check
from dispatch.matching.dense import linear_sum_assignment
from orlib import NUMBERS, as_problem, read_costs, read_optima

MOST_AS_PLAIN_PYTHON = 100
"""Larger ones take kernels seconds or minutes that are not compiled."""
SIZES = [
    pytest.param(number, marks=[pytest.mark.compiled] if number > MOST_AS_PLAIN_PYTHON else [])
    for number in NUMBERS
]


@pytest.mark.parametrize("number", SIZES)
def test_the_published_optimum_is_reproduced(data, number):
    folder, name = data / "orlib_assign", f"assign{number}"
    costs, optimum = read_costs(folder, name), read_optima(folder)[name]
    as_published = np.tile(np.arange(number), (number, 1))
    for sequence in (as_published, np.argsort(costs, axis=1, kind="stable")):
        problem = as_problem(costs, sequence)
        for penalty in (None, int(costs.max())):
            answer = check(problem, penalty)
            assert (answer.num_served, answer.total_cost) == (number, optimum)


@pytest.mark.parametrize("number", SIZES)
def test_the_dense_front_reproduces_it(data, number):
    folder, name = data / "orlib_assign", f"assign{number}"
    costs, optimum = read_costs(folder, name), read_optima(folder)[name]
    rows, columns = linear_sum_assignment(costs)
    assert sorted(columns) == rows.tolist() == list(range(number))
    assert costs[rows, columns].sum() == optimum
