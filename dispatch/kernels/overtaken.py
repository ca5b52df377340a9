"""How long an order waited after one of a higher tier had overtaken it."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import F64, I8, I64, f64, kernel, record
from dispatch.units import NO_VALUE


class Requests(NamedTuple):
    """Orders, one a row."""

    submitted_at_ms: np.ndarray
    """(orders,) int64"""
    wanted_at_ms: np.ndarray
    """(orders,) int64 wanted pickup"""
    until_at_ms: np.ndarray
    """(orders,) int64 first acceptance, or when the order was lost from sight"""
    tier: np.ndarray
    """(orders,) int8"""
    vehicle_class: np.ndarray
    """(orders,) int8"""
    x: np.ndarray
    """(orders,) float64 pickup, metres"""
    y: np.ndarray
    """(orders,) float64 pickup, metres"""


@kernel((record(Requests, I64, I64, I64, I8, I8, F64, F64), I64, I64, f64))
def longest_overtaken(requests, accepted, longest_first, near_m):
    """Find the longest time that an order waited on after an order of a higher tier overtook it.

    An order is overtaken when another one is accepted while it waits that is of a higher tier, asks for the
    same class of car, is wanted later, and whose pickup lies within `near_m`.

    Parameters
    ----------
    requests : Requests
    accepted : (accepted,) int64
        Rows of the orders that were accepted, by the instant of acceptance.
    longest_first : (orders,) int64
        All rows, the longest wait for an acceptance first.
    near_m : float

    Returns
    -------
    int
        Milliseconds, ``NO_VALUE`` where no order was overtaken.

    Complexity
    ----------
    It ends at the first order whose whole wait is no longer than what was found; at worst it looks, for each
    order, at all acceptances during its wait.
    """
    submitted, wanted, until, tier, vehicle_class, x, y = requests
    best = NO_VALUE
    for k in longest_first:
        if until[k] - submitted[k] <= best:
            break
        low, high = 0, len(accepted)
        while low < high:
            middle = (low + high) // 2
            if until[accepted[middle]] < submitted[k]:
                low = middle + 1
            else:
                high = middle
        for place in range(low, len(accepted)):
            other = accepted[place]
            # Later acceptances leave a shorter rest of the wait.
            if until[k] - until[other] <= max(best, 0):
                break
            if (
                tier[other] <= tier[k]
                or vehicle_class[other] != vehicle_class[k]
                or wanted[other] <= wanted[k]
            ):
                continue
            if (x[other] - x[k]) ** 2 + (y[other] - y[k]) ** 2 <= near_m * near_m:
                best = until[k] - until[other]
                break
    return best
