"""Costs as the integers that the kernels count with."""

from __future__ import annotations

from math import frexp, isfinite
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.assignment import LARGEST_PENALTY
from dispatch.matching.problem import AssignmentProblem

BITS: Final = 58
"""Penalties below ``2**58`` leave room in int64 for the sums that the kernels form."""
LEAST_COST_BITS: Final = 24
"""What must be left of the highest cost beside the highest penalty."""
MOST_HALVINGS: Final = 1000
"""Units of ``2**-1000`` are as fine as a float can be read back from."""


class IntegerCosts(NamedTuple):
    """Costs and penalties in whole units."""

    cost: NDArray[np.int64]
    """(candidates,)"""
    penalty: NDArray[np.int64] | None
    """(orders,) a copy; None where most served come first"""
    unit: float
    """Cost that is one: 1, or a power of two where costs are floats"""


def in_integers(problem: AssignmentProblem, penalty: ArrayLike | None) -> IntegerCosts:
    """Count the costs of a problem, and its penalties, in whole units.

    Integers stay as they are. Floats are counted in so small a power of two that the sums just fit: what is
    rounded away from a cost is less than ``2**-44`` of the highest for 10,000 orders, and nothing of costs
    that are whole multiples of some larger power of two.

    Parameters
    ----------
    problem : AssignmentProblem
        Orders, candidates, costs.
    penalty : None, number, or (orders,) numbers
        None where most served come first.

    Returns
    -------
    IntegerCosts

    Raises
    ------
    InputError
        A penalty is negative or not finite, or not of the kind that the costs are.
    """
    cost: NDArray[Any] = problem.cost
    penalties = None if penalty is None else _checked(penalty, problem)
    if cost.dtype == np.float64:
        most_served = min(problem.num_orders, problem.num_places)
        bits = BITS - most_served.bit_length()
        highest = max(_highest(cost), 0.0 if penalties is None else _highest(penalties))
        if not isfinite(highest * max(most_served, 1)):
            raise InputError(
                f"cost or penalty is up to {highest}: sums would be infinite, use a coarser unit"
            )
        halvings = min(bits - frexp(highest)[1], MOST_HALVINGS)
        if 0 < _highest(cost) < highest * 2.0 ** (LEAST_COST_BITS - bits):
            raise InputError(
                f"penalty is up to {highest} where costs are up to {_highest(cost)}: beside such a penalty "
                "costs cannot be counted exactly; leave it out if most served come first"
            )
        penalties = None if penalties is None else _rounded(penalties, halvings)
        return IntegerCosts(_rounded(cost, halvings), penalties, 2.0**-halvings)
    return IntegerCosts(cost.astype(np.int64, copy=False), penalties, 1.0)


def safe_penalty(problem: AssignmentProblem, cost: NDArray[np.int64]) -> int:
    """Give the least penalty with which most served come first: more than all costs that could be saved.

    Parameters
    ----------
    problem : AssignmentProblem
        Orders and drivers.
    cost : (candidates,) int64
        In whole units.

    Returns
    -------
    int

    Raises
    ------
    InputError
        It is too large to count with.
    """
    most_served = min(problem.num_orders, problem.num_places)
    penalty = most_served * int(cost.max(initial=0)) + 1
    if penalty > LARGEST_PENALTY:
        raise too_large(problem, cost, None)
    return penalty


def too_large(
    problem: AssignmentProblem, cost: NDArray[np.int64], penalty: NDArray[np.int64] | None
) -> InputError:
    """Say which numbers do not fit.

    Parameters
    ----------
    problem : AssignmentProblem
        Orders and drivers.
    cost : (candidates,) int64
        In whole units.
    penalty : (orders,) int64, optional
        None where most served come first.

    Returns
    -------
    InputError
        To be raised.
    """
    highest = int(cost.max(initial=0))
    if penalty is not None:
        return InputError(
            f"cost is up to {highest} and penalty up to {int(penalty.max(initial=0))}: for "
            f"{problem.num_orders} orders that cannot be added up exactly in int64, use a coarser unit"
        )
    return InputError(
        f"cost is up to {highest}: with {problem.num_orders} orders and {problem.num_drivers} drivers "
        "that cannot be added up exactly in int64, use a coarser unit"
    )


def _highest(values: NDArray[Any]) -> float:
    return float(values.max(initial=0))


def _rounded(values: NDArray[np.float64], halvings: int) -> NDArray[np.int64]:
    return np.rint(np.ldexp(values, halvings)).astype(np.int64)


def _checked(penalty: ArrayLike, problem: AssignmentProblem) -> NDArray[Any]:
    """Give one penalty for each order, of the kind that the costs are."""
    values = np.asarray(penalty)
    is_float = problem.cost.dtype == np.float64
    if values.ndim > 1 or (values.ndim == 1 and len(values) != problem.num_orders):
        raise InputError(
            f"penalty has the shape {values.shape}: give one number, or one for each of the "
            f"{problem.num_orders} orders"
        )
    if not np.issubdtype(values.dtype, np.integer) and not (
        is_float and np.issubdtype(values.dtype, np.floating)
    ):
        raise InputError(
            f"penalty holds {values.dtype} and cost {problem.cost.dtype}: where costs are integers, "
            "penalties must be"
        )
    if values.dtype == np.uint64 and (values > np.iinfo(np.int64).max).any():
        raise InputError(f"penalty holds {values.max()}: it must fit in int64")
    values = np.broadcast_to(values, problem.num_orders).astype(np.float64 if is_float else np.int64)
    wrong = ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"penalty[{row}] is {values[row]}: it must not be negative, and finite")
    return values
