"""From the tables to a proposal: pure, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import CandidateSet, find_candidates, look_everywhere
from dispatch.engine.commit import EngineState
from dispatch.engine.explain import reasons_of
from dispatch.engine.explanations import Reasons
from dispatch.engine.orders import Orders
from dispatch.engine.policy import Policy, Window
from dispatch.engine.weights import (
    are_starving,
    cost_of_change,
    cost_of_weight,
    overtaking,
    own_driver,
    penalties,
    sequence_of,
    weights_of,
)
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.kernels import offering
from dispatch.matching.assignment import Assignment
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve, solve_nearest
from dispatch.units import INDEX_DTYPE, NO_INDEX

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
    reasons: Reasons | None = None
    """why, where explanations are kept"""


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
    policy = world.params.rules
    if policy.starvation_s > 0 and not policy.is_own:
        found, chosen = _keep_turns(found, chosen, state, world, now_ms)
    planned = propose(found, chosen, state)
    if world.params.keep_explanations > 0:
        return replace(planned, reasons=reasons_of(found, chosen, state, policy, now_ms))
    return planned


def _keep_turns(
    found: CandidateSet, chosen: NDArray[np.int32], state: EngineState, world: World, now_ms: int
) -> tuple[CandidateSet, NDArray[np.int32]]:
    """Match again until no starving order is left out for want of a look, or overtaken by one with a driver.

    Each time some orders look at all drivers, or some with a driver keep theirs: it comes to an end.
    """
    orders = state.orders
    starving = are_starving(found, orders, world.params.rules, now_ms)
    while True:
        left_out = starving & (chosen == NO_INDEX)
        near_sighted = left_out & found.is_cut
        if near_sighted.any():
            found = look_everywhere(found, near_sighted, state, world, now_ms)
        else:
            overtakes = overtaking(found, chosen, orders, left_out)
            if not overtakes.any():
                return found, chosen
            found = _keeping_own(found, overtakes, orders)
        chosen = match(found, state, world, now_ms)


def _keeping_own(found: CandidateSet, which: NDArray[np.bool_], orders: Orders) -> CandidateSet:
    """Leave the orders `which` (orders,) no candidate but their own driver."""
    order = found.order_of_candidate
    is_own = found.driver_idx[found.candidate_driver] == own_driver(found, orders)[order]
    kept = ~which[order] | is_own
    first = np.zeros(len(found.order_idx) + 1, INDEX_DTYPE)
    np.cumsum(np.bincount(order[kept], minlength=len(found.order_idx)), out=first[1:])
    return replace(
        found,
        first_candidate=first,
        candidate_driver=found.candidate_driver[kept],
        eta_ms=found.eta_ms[kept],
        cost=found.cost[kept],
    )


def match(found: CandidateSet, state: EngineState, world: World, now_ms: int) -> NDArray[np.int32]:
    """Solve the window's assignment problem by the policy; give the candidate (orders,) of each order."""
    policy, orders = world.params.rules, state.orders
    if policy.is_own and found.num_open == 0:
        return np.empty(0, INDEX_DTYPE)
    if policy.is_own:
        return _own_choice(policy, _window(found, state, policy, now_ms))
    starving = are_starving(found, orders, policy, now_ms)
    if policy.matching == "nearest":
        return _first_come(found, sequence_of(found, orders, starving))
    cost = found.cost
    if policy.least_gain_s > 0 and found.num_open < len(found.order_idx):
        cost = cost + cost_of_change(found, orders, policy)
    weight = weights_of(orders, found.order_idx, policy, now_ms).weight
    if policy.pickup_weight > 0:
        cost = cost + cost_of_weight(found, weight, policy)
    problem = AssignmentProblem(found.first_candidate, found.candidate_driver, cost, len(found.driver_idx))
    if cost is found.cost and not policy.weighs_people and not policy.starvation_s:
        return SOLVERS["batch"](problem).candidate_of_order
    return SOLVERS["batch"](problem, penalties(found, orders, weight, starving, cost)).candidate_of_order


def _first_come(found: CandidateSet, sequence: NDArray[np.intp]) -> NDArray[np.int32]:
    """Let orders choose in a sequence (orders,); give the candidate (orders,) of each."""
    num = found.num_of_order[sequence]
    first = np.zeros(len(sequence) + 1, INDEX_DTYPE)
    np.cumsum(num, out=first[1:])
    candidate = np.arange(first[-1]) + np.repeat(found.first_candidate[sequence] - first[:-1], num)
    problem = AssignmentProblem(
        first, found.candidate_driver[candidate], found.cost[candidate], len(found.driver_idx)
    )
    taken = SOLVERS["nearest"](problem).candidate_of_order
    chosen, served = np.full(len(sequence), NO_INDEX, INDEX_DTYPE), taken != NO_INDEX
    chosen[sequence[served]] = candidate[taken[served]]
    return chosen


def _window(found: CandidateSet, state: EngineState, policy: Policy, now_ms: int) -> Window:
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
        weights_of(orders, idx, policy, now_ms).weight,
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
