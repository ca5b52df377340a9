"""A proof that an assignment is best, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.matching.assignment import Assignment
from dispatch.matching.problem import AssignmentProblem
from dispatch.units import NO_INDEX

_LARGEST: Final = 2**61
"""Three such numbers add up in int64."""


@dataclass(frozen=True)
class Certificate:
    """Whether an assignment is proven best: most served at the least cost, or least cost with penalties."""

    optimal: bool
    """Proven: nothing is violated and the gap is 0"""
    gap: int
    """What the assignment costs, unserved orders at their penalty, above the bound that the prices give; in
    units of the prices"""
    violations: str
    """What is wrong, empty if nothing is; with a violation the gap means nothing"""
    rounding: float
    """What counting in whole units may hide of a sum of costs and penalties; 0 where it is exact"""


def certificate(
    problem: AssignmentProblem, assignment: Assignment, penalty: ArrayLike | None = None
) -> Certificate:
    """Prove an assignment by the duality of linear programming, in exact integers.

    Prices that nobody could better are a lower bound on every assignment: an order is worth at most the
    cost of any candidate less that driver's price, and at most the penalty of going unserved, and no
    driver's price is positive. An assignment that costs no more than that bound is best. Without `penalty`,
    that of the assignment must exceed all that serving one order less could save; then least cost implies
    most served.

    It shares no code with the solver, and is meant for tests and audits as well as for doubters.

    Parameters
    ----------
    problem : AssignmentProblem
        What was asked.
    assignment : Assignment
        What was answered.
    penalty : number or (orders,) numbers, optional
        As it was asked.

    Returns
    -------
    Certificate
        ``optimal`` is true only if proven: a best assignment with wrong prices is rejected, too.
    """
    violations = _shape_violations(problem, assignment)
    if violations:
        return Certificate(False, 0, "; ".join(violations), 0.0)
    unit = assignment.price_unit
    cost = _in_units(problem.cost, unit)
    violations = (
        _primal_violations(problem, assignment)
        + _dual_violations(problem, cost, assignment)
        + _penalty_violations(problem, cost, assignment, penalty)
    )
    if violations:
        return Certificate(False, 0, "; ".join(violations), 0.0)
    candidate = assignment.candidate_of_order
    served = candidate != NO_INDEX
    paid = _sum(cost[candidate[served]]) + _sum(assignment.penalty[~served])
    bound = _sum(assignment.order_price) + sum(
        places * price
        for places, price in zip(_places(problem).tolist(), assignment.driver_price.tolist(), strict=True)
    )
    exact = np.array_equal(cost * unit, problem.cost) and _is_exact(penalty, problem.num_orders, unit)
    rounding = 0.0 if exact else unit * problem.num_orders
    return Certificate(paid == bound, paid - bound, "", rounding)


def _in_units(values: NDArray[Any], unit: float) -> NDArray[np.int64]:
    """Round to whole units."""
    if unit == 1.0 and np.issubdtype(values.dtype, np.integer):
        return values.astype(np.int64)
    return np.rint(values / unit).astype(np.int64)


def _is_exact(penalty: ArrayLike | None, num_orders: int, unit: float) -> bool:
    """Whether the penalties are whole units."""
    if penalty is None:
        return True
    values = np.broadcast_to(np.asarray(penalty), num_orders)
    return bool((_in_units(values, unit) * unit == values).all())


def _places(problem: AssignmentProblem) -> NDArray[np.int64]:
    """Orders that each driver can serve: its capacity, and no more than want it."""
    if problem.capacity is None:
        return np.ones(problem.num_drivers, np.int64)
    wanted = np.bincount(problem.candidate_driver, minlength=problem.num_drivers)
    return np.minimum(problem.capacity, wanted).astype(np.int64)


def _shape_violations(problem: AssignmentProblem, assignment: Assignment) -> list[str]:
    """Say which arrays have another length than the problem."""
    expected = {
        "driver_of_order": problem.num_orders,
        "candidate_of_order": problem.num_orders,
        "order_price": problem.num_orders,
        "penalty": problem.num_orders,
        "driver_price": problem.num_drivers,
    }
    return [
        f"{name} has the shape {getattr(assignment, name).shape}, not ({length},)"
        for name, length in expected.items()
        if getattr(assignment, name).shape != (length,)
    ]


def _primal_violations(problem: AssignmentProblem, assignment: Assignment) -> list[str]:
    """Say what makes it no assignment."""
    candidate, driver = assignment.candidate_of_order, assignment.driver_of_order
    served = candidate != NO_INDEX
    first = problem.first_candidate
    foreign = served & ((candidate < first[:-1]) | (candidate >= first[1:]))
    if foreign.any():
        order = int(np.argmax(foreign))
        return [f"order {order} has candidate {candidate[order]}, which is none of its own"]
    violations = []
    expected = np.full(problem.num_orders, NO_INDEX)
    expected[served] = problem.candidate_driver[candidate[served]]
    if not np.array_equal(driver, expected):
        order = int(np.argmax(driver != expected))
        violations.append(
            f"order {order} has driver {driver[order]}, but its candidate says {expected[order]}"
        )
    uses = np.bincount(expected[served], minlength=problem.num_drivers)
    too_many = uses > (1 if problem.capacity is None else problem.capacity)
    if too_many.any():
        driver_idx = int(np.argmax(too_many))
        violations.append(f"driver {driver_idx} serves {uses[driver_idx]} orders")
    if assignment.num_served != int(served.sum()):
        violations.append(
            f"num_served is {assignment.num_served}, but {int(served.sum())} orders have a driver"
        )
    total = sum(problem.cost[candidate[served]].tolist())
    if abs(assignment.total_cost - total) > (1e-12 * total if problem.cost.dtype == np.float64 else 0):
        violations.append(f"total_cost is {assignment.total_cost}, but the candidates add up otherwise")
    return violations


def _dual_violations(
    problem: AssignmentProblem, cost: NDArray[np.int64], assignment: Assignment
) -> list[str]:
    """Say what makes the prices no bound."""
    penalty = assignment.penalty
    order_price, driver_price = assignment.order_price, assignment.driver_price
    numbers = {"cost": cost, "order_price": order_price, "driver_price": driver_price}
    huge = [name for name, values in numbers.items() if ((values > _LARGEST) | (values < -_LARGEST)).any()]
    if huge:
        return [f"{name} is beyond 2**61, where the proof would overflow" for name in huge]
    violations = []
    order_of_candidate = np.repeat(np.arange(problem.num_orders), np.diff(problem.first_candidate))
    slack = cost - order_price[order_of_candidate] - driver_price[problem.candidate_driver]
    wrong = (slack < 0) & (_places(problem) > 0)[problem.candidate_driver]
    if wrong.any():
        violations.append(f"candidate {int(np.argmax(wrong))} costs less than the prices of its two ends")
    if (order_price > penalty).any():
        violations.append(f"order {int(np.argmax(order_price > penalty))} has a price above the penalty")
    if (driver_price > 0).any():
        violations.append(f"driver {int(np.argmax(driver_price > 0))} has a positive price")
    return violations


def _penalty_violations(
    problem: AssignmentProblem, cost: NDArray[np.int64], assignment: Assignment, asked: ArrayLike | None
) -> list[str]:
    """Say what makes the penalties others than were asked for, or too small for most served first."""
    penalty = assignment.penalty
    if asked is not None:
        expected = _in_units(np.broadcast_to(np.asarray(asked), penalty.shape), assignment.price_unit)
        return (
            [] if np.array_equal(penalty, expected) else ["the penalties are not those that were asked for"]
        )
    if not len(penalty):
        return []
    least, highest = int(penalty.min()), int(penalty.max())
    if least != highest:
        return [f"penalties differ, {least} to {highest}: most served need not come first"]
    places = _places(problem)
    most_served = min(problem.num_orders, int(places.sum()))
    usable = places[problem.candidate_driver] > 0
    if least <= most_served * int(cost[usable].max(initial=0)):
        return [f"a penalty of {least} is too small for most served to come first"]
    return []


def _sum(values: NDArray[np.int64]) -> int:
    """Add up in integers without limit."""
    return sum(values.tolist())
