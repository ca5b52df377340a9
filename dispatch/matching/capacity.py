"""Drivers who can serve several orders, as so many drivers who can serve one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.matching.problem import AssignmentProblem
from dispatch.units import INDEX_DTYPE


class UnitProblem(NamedTuple):
    """An equivalent problem in which each driver serves one order."""

    problem: AssignmentProblem
    first_place: NDArray[np.int64]
    """(drivers + 1,) driver ``j`` is the drivers ``first_place[j] … first_place[j + 1] - 1`` there"""
    candidate: NDArray[np.int32]
    """(candidates there,) row of the problem's own candidates"""


def in_places(problem: AssignmentProblem) -> UnitProblem:
    """Give each driver as many places as it can serve orders, at most as many as want it.

    The prices of the places of one driver are equal in every optimum where one of them is taken: an order in
    a dear place would move to a cheap one. So nothing is lost, and the answer is exact.

    Parameters
    ----------
    problem : AssignmentProblem
        With capacities.

    Returns
    -------
    UnitProblem

    Raises
    ------
    InputError
        If the places would have more candidates than int32 can number.
    """
    wanted = np.bincount(problem.candidate_driver, minlength=problem.num_drivers)
    places = wanted if problem.capacity is None else np.minimum(problem.capacity, wanted).astype(np.int64)
    first_place = np.concatenate([[0], np.cumsum(places)])
    copies = places[problem.candidate_driver]
    first_copy = np.concatenate([[0], np.cumsum(copies)])
    if first_copy[-1] > np.iinfo(INDEX_DTYPE).max:
        raise InputError(
            f"capacity makes {first_copy[-1]} candidates of {len(copies)}: int32 cannot number them, "
            "lower the capacities or split the problem"
        )
    candidate = np.repeat(np.arange(len(copies), dtype=INDEX_DTYPE), copies)
    number = np.arange(len(candidate)) - first_copy[candidate]
    unit = AssignmentProblem(
        first_copy[problem.first_candidate].astype(INDEX_DTYPE),
        (first_place[problem.candidate_driver[candidate]] + number).astype(INDEX_DTYPE),
        problem.cost[candidate],
        int(first_place[-1]),
    )
    return UnitProblem(unit, first_place, candidate)
