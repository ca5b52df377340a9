"""Who refused whom: a list of drivers for each order, chained through one pool."""

from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import BOOL, I32, i64, kernel, record
from dispatch.units import NO_INDEX


class Refusals(NamedTuple):
    """Pairs of an order and a driver that are not to meet again."""

    first: np.ndarray
    """(orders,) int32, the order's latest refusal, ``NO_INDEX`` for none"""
    driver: np.ndarray
    """(room,) int32"""
    following: np.ndarray
    """(room,) int32, an earlier refusal of the same order, ``NO_INDEX`` behind the last"""


REFUSALS = record(Refusals, I32, I32, I32)


@kernel()
def is_refused(refusals, order, driver):
    """Tell whether this pair was refused."""
    at = refusals.first[order]
    while at != NO_INDEX:
        if refusals.driver[at] == driver:
            return True
        at = refusals.following[at]
    return False


@kernel()
def refuse_one(order, driver, num, out_refusals):
    """Remember a pair as refusal number `num`; there must be room."""
    out_refusals.driver[num] = driver
    out_refusals.following[num] = out_refusals.first[order]
    out_refusals.first[order] = num


@kernel((I32, I32, i64, REFUSALS))
def refuse(order, driver, num, out_refusals):
    """Remember pairs (n,) as the refusals from number `num` on; there must be room for them."""
    for i in range(len(order)):
        refuse_one(order[i], driver[i], num + i, out_refusals)


@kernel((REFUSALS, I32, I32, BOOL))
def look_up(refusals, order, driver, out_refused):
    """Tell which of these pairs (n,) were refused."""
    for i in range(len(order)):
        out_refused[i] = is_refused(refusals, order[i], driver[i])
