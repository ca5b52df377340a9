"""The answer to an assignment problem."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class Status(StrEnum):
    """What is known about an assignment."""

    OPTIMAL = "optimal"
    """No assignment is better, as far as costs are counted (floats: see ``Certificate.rounding``); proven"""
    CUT_SHORT = "cut short"
    """The allowed work was done; at most ``gap`` better assignments exist"""
    UNPROVEN = "unproven"
    """A heuristic's answer; its prices are zeros and say nothing"""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who serves whom, and the prices by which :func:`dispatch.matching.certificate` proves it best.

    Prices and penalties are integers in units of ``price_unit``, so that a proof is exact.
    """

    driver_of_order: NDArray[np.int32]
    """(orders,) ``NO_INDEX`` if unserved"""
    candidate_of_order: NDArray[np.int32]
    """(orders,) row of the problem's candidates, ``NO_INDEX`` if unserved"""
    num_served: int
    """Orders that have a driver"""
    total_cost: int | float
    """Sum of the costs of the candidates that were taken; a float if the costs are"""
    order_price: NDArray[np.int64]
    """(orders,) what serving the order costs at the margin"""
    driver_price: NDArray[np.int64]
    """(drivers,) never positive, what one more such driver would change"""
    penalty: NDArray[np.int64]
    """(orders,) what leaving an order unserved counts; where most served come first, alike for all orders and
    more than all that could be saved by leaving one unserved"""
    price_unit: float
    """Cost that is one unit of the prices: 1, or a power of two where costs are floats"""
    status: Status
    gap: int
    """In units of the prices, the most by which cost and penalties could be less; 0 if optimal"""
    edges_scanned: int
    """Work done: how often a candidate was looked at"""
    augmentations: int
    """Work done: how many augmenting paths were searched"""
