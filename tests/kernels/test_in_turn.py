"""Who is served in turn, against trying out all ways to serve orders."""

from itertools import permutations

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.in_turn import serve_in_turn
from dispatch.matching.problem import AssignmentProblem
from naive.assignment import best_by_scipy


def can_all_be_served(rows, drivers_of, num_drivers):
    """Some way to give each of the rows a driver of its own."""
    return any(
        all(driver in drivers_of[row] for row, driver in zip(rows, way, strict=True))
        for way in permutations(range(num_drivers), len(rows))
    )


def graph(drivers_of):
    first = np.cumsum([0, *map(len, drivers_of)]).astype(np.int32)
    return first, np.array([driver for drivers in drivers_of for driver in drivers], np.int32)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 5))
def test_each_is_served_that_can_be_beside_those_before_it(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    share = random.choice([0.2, 0.5])
    drivers_of = [np.flatnonzero(random.random(num_drivers) < share).tolist() for _ in range(num_orders)]
    turn = random.permutation(num_orders)[: random.integers(0, num_orders + 1)]
    served = serve_in_turn(*graph(drivers_of), turn, num_drivers)
    expected = []
    for row in turn.tolist():
        if can_all_be_served([*expected, row], drivers_of, num_drivers):
            expected.append(row)
    assert np.flatnonzero(served).tolist() == sorted(expected)


def test_as_many_are_served_as_any_matching_serves():
    """Served in whatever sequence, as many are: sets that can be served at once are a matroid's."""
    random = np.random.default_rng(0)
    for _ in range(20):
        drivers_of = [random.permutation(60)[:3].tolist() for _ in range(80)]
        first, driver = graph(drivers_of)
        served = serve_in_turn(first, driver, random.permutation(80), 60)
        assert served.sum() == best_by_scipy(AssignmentProblem(first, driver, np.zeros(240), 60))[0]
