from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from assignments import problem_of
from dispatch.matching import Status, certificate, solve, solve_nearest

PROBLEM = problem_of([[(0, 4), (1, 9)], [(0, 6)], []], 3)


def test_an_answer_holds_what_was_promised():
    answer = solve(PROBLEM)
    assert answer.driver_of_order.tolist() == [1, 0, -1]
    assert answer.candidate_of_order.tolist() == [1, 2, -1]
    assert (answer.num_served, answer.total_cost) == (2, 15)
    fields = {name: getattr(answer, name) for name in answer.__slots__}
    kinds = {name: value.dtype for name, value in fields.items() if isinstance(value, np.ndarray)}
    assert kinds == {
        "driver_of_order": np.int32,
        "candidate_of_order": np.int32,
        "order_price": np.int64,
        "driver_price": np.int64,
        "penalty": np.int64,
    }
    assert len(set(answer.penalty.tolist())) == 1
    assert (answer.status, answer.gap, answer.price_unit) == (Status.OPTIMAL, 0, 1.0)
    assert answer.edges_scanned > 0
    with pytest.raises(FrozenInstanceError):
        answer.num_served = 3


@pytest.mark.compiled
def test_counts_are_numbers_of_python():
    answer = solve(PROBLEM)
    for name in ("num_served", "total_cost", "gap", "edges_scanned", "augmentations"):
        assert type(getattr(answer, name)) is int
    assert type(solve(problem_of([[(0, 1.5)]], 1, dtype=float)).total_cost) is float
    assert type(solve(problem_of([[(0, 1)]], 1, dtype=np.int32)).total_cost) is int


def test_prices_say_what_one_more_driver_would_save_at_most():
    """A second driver like 0 spares order 0 the one 5 dearer; the price is no less."""
    with_twin = problem_of([[(0, 4), (1, 9), (3, 4)], [(0, 6), (3, 6)], []], 4)
    saved = solve(PROBLEM).total_cost - solve(with_twin).total_cost
    assert saved == 5 <= -solve(PROBLEM).driver_price[0]


def test_a_status_reads_as_its_name():
    assert [str(status) for status in Status] == ["optimal", "cut short", "unproven"]


def test_a_heuristic_answer_claims_nothing():
    answer = solve_nearest(PROBLEM)
    assert answer.status == Status.UNPROVEN
    assert not answer.order_price.any()
    assert not answer.driver_price.any()
    proof = certificate(PROBLEM, answer)
    assert (proof.optimal, proof.gap, proof.violations) == (False, answer.gap, "")
