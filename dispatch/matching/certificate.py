"""A proof that an assignment is best, or what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import Assignment
from dispatch.units import NO_INDEX

_LARGEST: Final = 2**61
"""Three such numbers add up in int64."""


@dataclass(frozen=True)
class Certificate:
    """Whether an assignment is proven to serve as many orders as possible at the least total cost."""

    optimal: bool
    """Proven: nothing is violated and the gap is 0"""
    gap: int
    """What the assignment costs, unserved orders at their penalty, above the bound that the prices give"""
    violations: str
    """What is wrong, empty if nothing is; with a violation the gap means nothing"""


def certificate(problem: AssignmentProblem, assignment: Assignment) -> Certificate:
    """Prove an assignment by the duality of linear programming, in exact integers.

    Prices that nobody could better are a lower bound on every assignment: an order is worth at most the
    cost of any candidate less that driver's price, and at most the penalty of going unserved, and no
    driver's price is positive. An assignment that costs no more than that bound is best. The penalty must
    exceed all that serving one order less could save; then least cost implies most served.

    It shares no code with the solver, and is meant for tests and audits as well as for doubters.

    Parameters
    ----------
    problem : AssignmentProblem
        What was asked.
    assignment : Assignment
        What was answered.

    Returns
    -------
    Certificate
        ``optimal`` is true only if proven: a best assignment with wrong prices is rejected, too.
    """
    violations = _shape_violations(problem, assignment)
    if violations:
        return Certificate(False, 0, "; ".join(violations))
    violations = _primal_violations(problem, assignment) + _dual_violations(problem, assignment)
    taken = assignment.candidate_of_order[assignment.candidate_of_order != NO_INDEX]
    cost = _sum(problem.cost[taken]) if not violations else 0
    num_unserved = problem.num_orders - len(taken)
    bound = _sum(assignment.order_price) + _sum(assignment.driver_price)
    gap = cost + num_unserved * assignment.unserved_penalty - bound
    return Certificate(not violations and gap == 0, gap, "; ".join(violations))


def _shape_violations(problem: AssignmentProblem, assignment: Assignment) -> list[str]:
    """Say which arrays have another length than the problem."""
    expected = {
        "driver_of_order": problem.num_orders,
        "candidate_of_order": problem.num_orders,
        "order_price": problem.num_orders,
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
    if (uses > 1).any():
        violations.append(f"driver {int(np.argmax(uses > 1))} serves {uses.max()} orders")
    if assignment.num_served != int(served.sum()):
        violations.append(
            f"num_served is {assignment.num_served}, but {int(served.sum())} orders have a driver"
        )
    if assignment.total_cost != _sum(problem.cost[candidate[served]]):
        violations.append(f"total_cost is {assignment.total_cost}, but the candidates add up otherwise")
    return violations


def _dual_violations(problem: AssignmentProblem, assignment: Assignment) -> list[str]:
    """Say what makes the prices no bound, or the penalty too small for most served to come first."""
    penalty = assignment.unserved_penalty
    order_price, driver_price = assignment.order_price, assignment.driver_price
    numbers = {"cost": problem.cost, "order_price": order_price, "driver_price": driver_price}
    huge = [name for name, values in numbers.items() if ((values > _LARGEST) | (values < -_LARGEST)).any()]
    if huge:
        return [f"{name} is beyond 2**61, where the proof would overflow" for name in huge]
    violations = []
    order_of_candidate = np.repeat(np.arange(problem.num_orders), np.diff(problem.first_candidate))
    slack = problem.cost - order_price[order_of_candidate] - driver_price[problem.candidate_driver]
    if (slack < 0).any():
        violations.append(f"candidate {int(np.argmax(slack < 0))} costs less than the prices of its two ends")
    if (order_price > penalty).any():
        violations.append(f"order {int(np.argmax(order_price > penalty))} has a price above the penalty")
    if (driver_price > 0).any():
        violations.append(f"driver {int(np.argmax(driver_price > 0))} has a positive price")
    most_served = min(problem.num_orders, problem.num_drivers)
    if penalty <= most_served * int(problem.cost.max(initial=0)):
        violations.append(f"a penalty of {penalty} is too small for most served to come first")
    return violations


def _sum(values: NDArray[np.int64]) -> int:
    """Add up in integers without limit."""
    return sum(values.tolist())
