"""Which driver serves which order."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.assignment import CUT_SHORT, TOO_LARGE, Earlier, Outcome, assign
from dispatch.kernels.bipartite import Matching
from dispatch.kernels.greedy import assign_nearest
from dispatch.matching.assignment import Assignment, Status
from dispatch.matching.capacity import in_places
from dispatch.matching.exact_costs import IntegerCosts, in_integers, safe_penalty, too_large
from dispatch.matching.problem import AssignmentProblem
from dispatch.units import INDEX_DTYPE, NO_INDEX

_NO_LIMIT: Final = 2**62
_LARGEST_START: Final = 2.0**60
_NO_START: Final = Earlier(0, np.empty(0, np.int64))


def solve(
    problem: AssignmentProblem,
    penalty: ArrayLike | None = None,
    *,
    earlier: Assignment | None = None,
    max_scans: int | None = None,
) -> Assignment:
    """Find the best assignment: exact, deterministic, with prices that prove it.

    Without a penalty as many orders as possible are served, and among all ways to do so one of least total
    cost is found. With a penalty the sum of costs and of the penalties of unserved orders is least. Of
    equally good assignments the same one is found every time. The interpreter's lock is released meanwhile.

    Parameters
    ----------
    problem : AssignmentProblem
        Orders, candidates, costs.
    penalty : number or (orders,) numbers, optional
        Cost of leaving an order unserved, in the unit of the costs, not negative. An order with a higher
        penalty than others has priority.
    earlier : Assignment, optional
        The answer to an earlier problem with the same drivers, whose prices are a start where drivers are
        scarce: where more than one order in twelve is left after a quick reduction. Where they are not,
        it is faster without.
    max_scans : int, optional
        Stop after about so many looks at candidates: a few passes over all of them may begin before it is
        heeded. The answer then is an assignment whose distance from the
        best is at most its ``gap``.

    Returns
    -------
    Assignment

    Raises
    ------
    InputError
        If costs or penalties cannot be added up exactly in int64, or a penalty breaks a rule.

    Notes
    -----
    Row reduction settles most orders, shortest augmenting paths the rest. Where drivers are scarce, the
    orders that no exchange connects with a free driver are told apart from the others (a largest matching
    does that), and prices come from auctions in which both sides bid; paths mend what these leave. Sources
    at the kernels.
    """
    counted = in_integers(problem, penalty)
    if earlier is not None:
        earlier = _in_units(earlier, problem.num_drivers, counted.unit)
    allowed = _checked_limit(max_scans)
    if problem.capacity is None:
        answer = _solve_counted(problem, counted, penalty is None, earlier, allowed)
    else:
        answer = _solve_places(problem, counted, penalty is None, earlier, allowed)
    if problem.cost.dtype != np.float64:
        return answer
    taken = answer.candidate_of_order[answer.candidate_of_order != NO_INDEX]
    return replace(answer, total_cost=float(problem.cost[taken].sum()))


def _solve_counted(
    problem: AssignmentProblem,
    counted: IntegerCosts,
    most_first: bool,
    earlier: Assignment | None,
    max_scans: int,
) -> Assignment:
    """Solve in whole units, where each driver serves one order."""
    num_orders, num_drivers = problem.num_orders, problem.num_drivers
    start = _NO_START
    if earlier is not None:
        highest = int(earlier.penalty.max(initial=1)) if most_first else _NO_LIMIT
        start = Earlier(highest, np.ascontiguousarray(earlier.driver_price))
    matching = Matching(
        np.empty(num_orders, INDEX_DTYPE), np.empty(num_drivers, INDEX_DTYPE), np.empty(num_drivers, np.int64)
    )
    penalty = np.empty(num_orders, np.int64) if counted.penalty is None else counted.penalty
    outcome = Outcome(penalty, np.empty(num_orders, INDEX_DTYPE), np.empty(num_orders, np.int64))
    work = np.array([0, 0, max_scans])
    most_served = max(min(num_orders, problem.num_places), 1) if most_first else 0
    status, num_served, total_cost = assign(
        problem.first_candidate,
        problem.candidate_driver,
        counted.cost,
        most_served,
        start,
        work,
        matching,
        outcome,
    )
    if status == TOO_LARGE:
        raise too_large(problem, counted.cost, counted.penalty)
    gap = 0
    if status == CUT_SHORT:
        bound = _sum(outcome.price) + _sum(matching.column_price)
        gap = total_cost + _sum(penalty[outcome.column == NO_INDEX]) - bound
    edges_scanned, augmentations, _ = work.tolist()
    return Assignment(
        outcome.column,
        matching.edge_of_row,
        num_served,
        total_cost,
        outcome.price,
        matching.column_price,
        penalty,
        counted.unit,
        Status.OPTIMAL if gap == 0 else Status.CUT_SHORT,
        gap,
        edges_scanned,
        augmentations,
    )


def solve_nearest(problem: AssignmentProblem) -> Assignment:
    """Let each order, first come first served, take its cheapest driver that is still free.

    Orders come in the sequence of their rows; of equal costs the first candidate is taken. This is the
    policy to compare with, not a good one.

    Parameters
    ----------
    problem : AssignmentProblem
        Orders, candidates, costs. Capacities are not heeded.

    Returns
    -------
    Assignment
        Its prices are zeros: they prove nothing.

    Raises
    ------
    InputError
        As for :func:`solve`, or if there are capacities.
    """
    if problem.capacity is not None:
        raise InputError("capacity is given: the nearest policy knows drivers for one order only, use solve")
    counted = in_integers(problem, None)
    order_of_driver = np.full(problem.num_drivers, NO_INDEX, INDEX_DTYPE)
    candidate_of_order = np.empty(problem.num_orders, INDEX_DTYPE)
    assign_nearest(
        problem.first_candidate, problem.candidate_driver, counted.cost, order_of_driver, candidate_of_order
    )
    served = candidate_of_order != NO_INDEX
    taken = candidate_of_order[served]
    driver_of_order = np.full(problem.num_orders, NO_INDEX, INDEX_DTYPE)
    driver_of_order[served] = problem.candidate_driver[taken]
    penalty = np.full(problem.num_orders, safe_penalty(problem, counted.cost), np.int64)
    gap = _sum(counted.cost[taken]) + _sum(penalty[~served])
    return Assignment(
        driver_of_order,
        candidate_of_order,
        len(taken),
        problem.cost[taken].sum().item(),
        np.zeros(problem.num_orders, np.int64),
        np.zeros(problem.num_drivers, np.int64),
        penalty,
        counted.unit,
        Status.UNPROVEN,
        gap,
        len(problem.cost),
        0,
    )


def _solve_places(
    problem: AssignmentProblem,
    counted: IntegerCosts,
    most_first: bool,
    earlier: Assignment | None,
    max_scans: int,
) -> Assignment:
    """Solve a problem with capacities as one with places, and translate the answer."""
    unit = in_places(problem)
    num_places = np.diff(unit.first_place)
    if earlier is not None:
        earlier = replace(earlier, driver_price=np.repeat(earlier.driver_price, num_places))
    counted = counted._replace(cost=counted.cost[unit.candidate])
    answer = _solve_counted(unit.problem, counted, most_first, earlier, max_scans)
    served = answer.driver_of_order != NO_INDEX
    candidate_of_order = np.full(problem.num_orders, NO_INDEX, INDEX_DTYPE)
    candidate_of_order[served] = unit.candidate[answer.candidate_of_order[served]]
    driver_of_order = np.full(problem.num_orders, NO_INDEX, INDEX_DTYPE)
    driver_of_order[served] = problem.candidate_driver[candidate_of_order[served]]
    driver_price = np.zeros(problem.num_drivers, np.int64)
    with_places = np.flatnonzero(num_places)
    if len(with_places):
        first_place = unit.first_place[:-1][with_places]
        driver_price[with_places] = np.maximum.reduceat(answer.driver_price, first_place)
    gap = 0
    if answer.status is Status.CUT_SHORT:
        bound = _sum(answer.order_price) + _sum(driver_price * num_places)
        gap = int(answer.total_cost) + _sum(answer.penalty[~served]) - bound
    return replace(
        answer,
        candidate_of_order=candidate_of_order,
        driver_of_order=driver_of_order,
        driver_price=driver_price,
        gap=gap,
        status=Status.OPTIMAL if gap == 0 else Status.CUT_SHORT,
    )


def _checked_limit(max_scans: int | None) -> int:
    """Give the number of scans that are allowed."""
    if max_scans is None:
        return _NO_LIMIT
    if isinstance(max_scans, bool) or not isinstance(max_scans, (int, np.integer)) or max_scans < 0:
        raise InputError(f"max_scans is {max_scans!r}: it must be an integer, 0 or more")
    return min(int(max_scans), _NO_LIMIT)


def _in_units(earlier: Assignment, num_drivers: int, unit: float) -> Assignment:
    """Give an earlier assignment with prices in these units; raise if they are none of these drivers'."""
    price = earlier.driver_price
    if price.dtype != np.int64 or price.shape != (num_drivers,):
        raise InputError(
            f"earlier has prices of the kind {price.dtype} and the shape {price.shape}: the problem has "
            f"{num_drivers} drivers; put int64 prices in the sequence of the present drivers, 0 for new ones"
        )
    if earlier.price_unit == unit:
        return earlier
    times = earlier.price_unit / unit
    price, penalty = (
        np.clip(np.rint(values * times), -_LARGEST_START, _LARGEST_START).astype(np.int64)
        for values in (price, earlier.penalty)
    )
    return replace(earlier, driver_price=price, penalty=penalty)


def _sum(values: NDArray[np.int64]) -> int:
    """Add up in integers without limit."""
    return sum(values.tolist())
