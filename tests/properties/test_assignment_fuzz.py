"""Random assignment problems by the thousand: every answer is certified, many are compared with scipy's.

A case is a problem, with a penalty or without. It is solved as users do and, its costs rounded to integers,
once more as where drivers are scarce, which few small problems are. Each case has a generator of its own,
seeded with the seed of the run and the number of the case, which a failure tells.
"""

import time

import numpy as np
import pytest

from assignments import by_bids, check, check_best, solved
from dispatch.matching import certificate
from random_assignments import FAMILIES, in_unit_costs, random_penalty, random_problem

NUM_CASES, NUM_CHUNKS, LARGEST = 20_000, 8, 14
LONG_SEED, NUM_LONG_CASES, CASES_A_LINE, LARGEST_LONG = 1_000, 500_000, 20_000, 60
CROWD, CASES_A_CROWD = (100, 160), 49
"""Enough orders for the scarce path of the solver itself; one case in so many has them, in every family."""


def check_case(seed, case, largest):
    rng = np.random.default_rng([seed, case])
    sizes = rng.integers(*CROWD, 2) if case % CASES_A_CROWD == 0 else rng.integers(2, largest + 1, 2)
    problem = random_problem(rng, FAMILIES[case % len(FAMILIES)], *sizes)
    penalty = random_penalty(rng, problem)
    (check_best if case % 5 == 0 else check)(problem, penalty)
    whole = in_unit_costs(problem)
    whole_penalty = None if penalty is None else np.rint(penalty).astype(np.int64)
    proof = certificate(whole, solved(by_bids, whole, whole_penalty), whole_penalty)
    assert proof.optimal, proof


def check_cases(seed, cases, largest):
    for case in cases:
        try:
            check_case(seed, case, largest)
        except Exception as error:
            error.add_note(f"seed {seed}, case {case}, largest {largest}")
            raise


@pytest.mark.parametrize("seed", range(NUM_CHUNKS))
def test_small_problems(seed):
    check_cases(seed, range(NUM_CASES // NUM_CHUNKS), LARGEST)


@pytest.mark.long
def test_half_a_million_problems():
    began = time.perf_counter()
    for start in range(0, NUM_LONG_CASES, CASES_A_LINE):
        check_cases(LONG_SEED, range(start, start + CASES_A_LINE), LARGEST_LONG)
        print(f"{start + CASES_A_LINE:,} problems, {time.perf_counter() - began:.0f} s", flush=True)
