"""How much orders count, and which of them starve: these come strictly in turn."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import CandidateSet
from dispatch.engine.orders import Orders
from dispatch.engine.policy import Policy
from dispatch.kernels.assignment import LARGEST_PENALTY
from dispatch.kernels.in_turn import serve_in_turn
from dispatch.units import INDEX_DTYPE, MS_PER_S, NO_INDEX, NO_VALUE

LARGEST_COST_MS: Final = 2**31 - 1
"""More than three weeks: no weight makes a candidate cost more, so that costs can be told in 32 bits."""
_PER_WEIGHT: Final = 1000
"""Priorities are told in permille."""


class Weights(NamedTuple):
    """What it counts to leave orders unserved, and of what that is made; every array is (orders,)."""

    weight: NDArray[np.float64]
    base: NDArray[np.float64]
    """the told priority, or the weight of the tier"""
    is_told: NDArray[np.bool_]
    """the former"""
    factor: NDArray[np.float64]
    """by which the wait makes it grow"""
    is_capped: NDArray[np.bool_]


def weights_of(orders: Orders, order_idx: NDArray[np.int32], policy: Policy, now_ms: int) -> Weights:
    """Weigh orders (n,), rows of the table, by the policy."""
    base, factor = np.ones(len(order_idx)), np.ones(len(order_idx))
    is_told = np.zeros(len(order_idx), np.bool_)
    if not policy.weighs_people:
        return Weights(base, base, is_told, factor, is_told)
    if policy.priority_weights:
        tier = np.minimum(orders.tier[order_idx], len(policy.priority_weights) - 1)
        base = np.array(policy.priority_weights)[tier]
    priority = orders.priority[order_idx]
    is_told = priority != NO_VALUE
    base = np.where(is_told, priority / _PER_WEIGHT, base)
    if policy.patience_weight > 0:
        waited_ms = np.maximum(now_ms - orders.wanted_at_ms[order_idx], 0)
        patience_ms = orders.patience_ms[order_idx]
        share = np.minimum(waited_ms / np.maximum(patience_ms, 1), 1.0)
        factor = 1 + policy.patience_weight * np.where(patience_ms > 0, share, 0.0)
    weight = base * factor
    return Weights(
        np.minimum(weight, policy.priority_cap), base, is_told, factor, weight > policy.priority_cap
    )


def are_starving(found: CandidateSet, orders: Orders, policy: Policy, now_ms: int) -> NDArray[np.bool_]:
    """Tell which orders of a window (orders,) are open and have waited past the bound."""
    starving = np.zeros(len(found.order_idx), np.bool_)
    if policy.starvation_s > 0:
        waited_ms = now_ms - orders.wanted_at_ms[found.order_idx[: found.num_open]]
        starving[: found.num_open] = waited_ms > policy.starvation_s * MS_PER_S
    return starving


def by_wait(found: CandidateSet, orders: Orders, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Put orders of a window (n,) into the sequence in which they began to wait."""
    order_idx = found.order_idx[rows]
    return rows[np.lexsort((order_idx, orders.wanted_at_ms[order_idx]))]


def sequence_of(found: CandidateSet, orders: Orders, starving: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Give the sequence (orders,) of first come, first served: starving ones first, by their wait."""
    return np.concatenate([by_wait(found, orders, np.flatnonzero(starving)), np.flatnonzero(~starving)])


def penalties(
    found: CandidateSet,
    orders: Orders,
    weight: NDArray[np.float64],
    starving: NDArray[np.bool_],
    cost: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Give the cost of leaving each order (orders,) unserved: far above all pickup times together.

    Those that have a driver keep one before all others are served. Of the starving ones, who can be served
    is settled in turn, costs aside: those are served before the others, the rest of them by nobody. A driver
    serves one order, so that a larger weight is never outweighed by many smaller ones: sums are not needed.
    One penalty for all who must be served fits in the solver's integers, however many they are; a rank for
    each would be as many times as large.
    """
    has_driver = np.arange(len(weight)) >= found.num_open
    highest, lowest = weight.max(initial=0.0) + 1, weight[~(starving | has_driver)].min(initial=1.0)
    served = has_driver.copy()
    if starving.any():
        turn = np.concatenate([np.flatnonzero(has_driver), by_wait(found, orders, np.flatnonzero(starving))])
        served = serve_in_turn(found.first_candidate, found.candidate_driver, turn, len(found.driver_idx))
    most = min(len(weight), len(found.driver_idx)) + 1
    unit = min((int(cost.max(initial=0)) + 1) * most / lowest, LARGEST_PENALTY / (2 * highest))
    penalty = np.ceil(np.where(served, highest, weight) * unit).astype(np.int64)
    return np.where(starving & ~served, 0, penalty)


def own_driver(found: CandidateSet, orders: Orders) -> NDArray[np.int32]:
    """Give the row of the driver table (orders,) of each order's driver; ``NO_INDEX`` of open ones."""
    own = np.full(len(found.order_idx), NO_INDEX, INDEX_DTYPE)
    own[found.num_open :] = orders.driver_idx[found.order_idx[found.num_open :]]
    return own


def cost_of_change(found: CandidateSet, orders: Orders, policy: Policy) -> NDArray[np.int64]:
    """Give what it costs (candidates,) to take an order from its driver."""
    own = own_driver(found, orders)[found.order_of_candidate]
    is_moved = (own != NO_INDEX) & (found.driver_idx[found.candidate_driver] != own)
    return np.where(is_moved, round(policy.least_gain_s * MS_PER_S), 0)


def cost_of_weight(found: CandidateSet, weight: NDArray[np.float64], policy: Policy) -> NDArray[np.int64]:
    """Give what candidates cost more (candidates,), or less, for the weight of their orders (orders,)."""
    if policy.pickup_weight == 0 or not policy.weighs_people:
        return np.zeros(len(found.cost), np.int64)
    more = policy.pickup_weight * (weight - 1)
    extra: NDArray[np.int64] = np.rint(found.cost * more[found.order_of_candidate]).astype(np.int64)
    return np.minimum(extra, LARGEST_COST_MS - found.cost)


def overtaking(
    found: CandidateSet, chosen: NDArray[np.int32], orders: Orders, left_out: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which orders with a driver (orders,) get another whom an earlier one, `left_out`, could have."""
    num = len(found.order_idx)
    overtakes = np.zeros(num, np.bool_)
    if found.num_open == num or not left_out.any():
        return overtakes
    place = np.empty(num, np.int64)
    place[by_wait(found, orders, np.arange(num))] = np.arange(num)
    earliest = np.full(len(found.driver_idx), num)
    waiting = np.flatnonzero(left_out[found.order_of_candidate])
    np.minimum.at(earliest, found.candidate_driver[waiting], place[found.order_of_candidate[waiting]])
    driver = found.candidate_driver[chosen[found.num_open :]]
    overtakes[found.num_open :] = (
        (chosen[found.num_open :] != NO_INDEX)
        & (found.driver_idx[driver] != orders.driver_idx[found.order_idx[found.num_open :]])
        & (earliest[driver] < place[found.num_open :])
    )
    return overtakes
