"""From the tables to a proposal: pure, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import CandidateSet, find_candidates, look_everywhere
from dispatch.engine.commit import EngineState
from dispatch.engine.policy import Policy, Window
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.kernels import offering
from dispatch.matching.assignment import Assignment
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve, solve_nearest
from dispatch.units import INDEX_DTYPE, MS_PER_S, NO_INDEX

Solver = Callable[..., Assignment]

SOLVERS: Final[dict[str, Solver]] = {"batch": solve, "nearest": solve_nearest}
"""By the policy's matching."""


@dataclass(frozen=True)
class Plan:
    """Who is to be offered what. Rows of the order and of the driver table."""

    order_idx: NDArray[np.int32]
    """(offers,) open orders, then ``num_moved`` orders that are to change their driver"""
    driver_idx: NDArray[np.int32]
    """(offers,)"""
    eta_ms: NDArray[np.int32]
    """(offers,) pickup ETA of that driver"""
    nearest_eta_ms: NDArray[np.int32]
    """(offers,) pickup ETA of the nearest eligible driver"""
    num_moved: int
    open_order_idx: NDArray[np.int32]
    """(open orders,) every order that was looked at"""
    num_cars: NDArray[np.int32]
    """(open orders,) candidates within the largest pickup ETA"""


def plan(state: EngineState, world: World, now_ms: int) -> Plan:
    """Propose an offer for as many open orders as the policy serves.

    Candidates are the drivers nearest by air. An order that gets none of them looks at all drivers: none
    starves at a hot spot, or because those nearest to it refused.
    """
    found = find_candidates(state, world, now_ms)
    chosen = match(found, state, world, now_ms)
    left_out = (chosen == NO_INDEX) & found.is_cut
    if left_out.any():
        found = look_everywhere(found, left_out, state, world, now_ms)
        chosen = match(found, state, world, now_ms)
    return propose(found, chosen, state)


def match(found: CandidateSet, state: EngineState, world: World, now_ms: int) -> NDArray[np.int32]:
    """Solve the window's assignment problem by the policy; give the candidate (orders,) of each order."""
    policy = world.params.rules
    if policy.is_own and found.num_open == 0:
        return np.empty(0, INDEX_DTYPE)
    if policy.is_own:
        return _own_choice(policy, _window(found, state, now_ms))
    cost, penalty = found.cost, None
    if policy.least_gain_s > 0 and found.num_open < len(found.order_idx):
        cost = cost + _cost_of_change(found, state, policy)
    if policy.matching == "batch" and (
        cost is not found.cost or policy.priority_weights or policy.starvation_s
    ):
        penalty = _penalties(found, state, policy, now_ms, cost)
    problem = AssignmentProblem(found.first_candidate, found.candidate_driver, cost, len(found.driver_idx))
    solver = SOLVERS[policy.matching]
    return (solver(problem) if penalty is None else solver(problem, penalty)).candidate_of_order


def _cost_of_change(found: CandidateSet, state: EngineState, policy: Policy) -> NDArray[np.int64]:
    """Give what it costs (candidates,) to take an order from its driver."""
    is_moved = found.order_of_candidate >= found.num_open
    own = state.orders.driver_idx[found.order_idx[found.order_of_candidate]]
    is_moved &= found.driver_idx[found.candidate_driver] != own
    return np.where(is_moved, round(policy.least_gain_s * MS_PER_S), 0)


def _penalties(
    found: CandidateSet, state: EngineState, policy: Policy, now_ms: int, cost: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Give the cost of leaving each order (orders,) unserved: far above all pickup times together.

    Orders that have a driver keep one before all others are served, starving ones come next. A driver serves
    one order, so that a larger weight is never outweighed by many smaller ones: sums are not needed.
    """
    orders, idx = state.orders, found.order_idx
    weight = np.ones(len(idx))
    if policy.priority_weights:
        tier = np.minimum(orders.tier[idx], len(policy.priority_weights) - 1)
        weight = np.array(policy.priority_weights)[tier]
    if policy.starvation_s > 0:
        starving = now_ms - orders.wanted_at_ms[idx] > policy.starvation_s * MS_PER_S
        weight = np.where(starving, weight.max(initial=0.0) + 1, weight)
    weight[found.num_open :] = weight.max(initial=0.0) + 1
    most = min(len(idx), len(found.driver_idx)) + 1
    unit = (int(cost.max(initial=0)) + 1) * most / weight.min(initial=1.0)
    penalty: NDArray[np.int64] = np.ceil(weight * unit).astype(np.int64)
    return penalty


def _window(found: CandidateSet, state: EngineState, now_ms: int) -> Window:
    """Show a policy of the caller's own the open orders."""
    orders, idx = state.orders, found.order_idx[: found.num_open]
    end = found.first_candidate[found.num_open]
    return Window(
        now_ms,
        found.first_candidate[: found.num_open + 1],
        found.candidate_driver[:end],
        found.eta_ms[:end],
        len(found.driver_idx),
        orders.order_id[idx],
        state.fleet.driver_id[found.driver_idx],
        np.maximum(now_ms - orders.wanted_at_ms[idx], 0),
        orders.tier[idx],
        found.cost[:end],
    )


def _own_choice(policy: Policy, window: Window) -> NDArray[np.int32]:
    """Ask a policy of the caller's own, and check what it says."""
    chosen, num_orders = np.asarray(policy.choose(window)), len(window.order_id)
    if chosen.shape != (num_orders,) or chosen.dtype.kind not in "iu":
        raise InputError(
            f"choose of the policy {policy.name!r} gave {chosen.dtype} of shape {chosen.shape}: it must give "
            f"one row of a candidate, or {NO_INDEX}, for each of {num_orders} orders"
        )
    served = np.flatnonzero(chosen != NO_INDEX)
    taken = np.ascontiguousarray(chosen[served], np.int64)
    first, end = window.first_candidate[served], window.first_candidate[served + 1]
    wrong = np.flatnonzero((taken < first) | (taken >= end))
    if len(wrong):
        row = served[wrong[0]]
        raise InputError(
            f"choose of the policy {policy.name!r} gave order {row} the candidate {chosen[row]}: its own are "
            f"{first[wrong[0]]} to {end[wrong[0]] - 1}"
        )
    drivers = np.sort(window.candidate_driver[taken])
    if (drivers[1:] == drivers[:-1]).any():
        raise InputError(f"choose of the policy {policy.name!r} gave a driver to two orders")
    return chosen.astype(np.int32)


def propose(found: CandidateSet, chosen: NDArray[np.int32], state: EngineState) -> Plan:
    """Translate chosen candidates (orders,) into rows of the tables."""
    (order_idx, driver_idx, eta_ms, nearest_eta_ms), num_moved = offering.propose(
        found.order_idx,
        found.num_open,
        found.driver_idx,
        found.first_candidate,
        found.candidate_driver,
        found.eta_ms,
        chosen,
        state.orders.driver_idx,
    )
    return Plan(
        order_idx,
        driver_idx,
        eta_ms,
        nearest_eta_ms,
        num_moved,
        found.order_idx[: found.num_open],
        found.num_of_order[: found.num_open],
    )
