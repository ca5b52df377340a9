"""From the tables to a proposal: pure, it changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import CandidateSet, find_candidates, look_everywhere, with_pickup_eta
from dispatch.engine.commit import EngineState
from dispatch.engine.cost import pickup_cost
from dispatch.engine.params import DispatchParams
from dispatch.engine.world import World
from dispatch.matching.assignment import Assignment
from dispatch.matching.problem import AssignmentProblem
from dispatch.matching.solve import solve, solve_nearest
from dispatch.units import NO_INDEX

Solver = Callable[[AssignmentProblem], Assignment]

SOLVERS: Final[dict[str, Solver]] = {"batch": solve, "nearest": solve_nearest}
"""By the name of the policy."""


@dataclass(frozen=True)
class Plan:
    """Who is to be offered what. Rows of the order and of the driver table."""

    order_idx: NDArray[np.int32]
    """(offers,)"""
    driver_idx: NDArray[np.int32]
    """(offers,)"""
    eta_ms: NDArray[np.int32]
    """(offers,) pickup ETA of that driver"""
    nearest_eta_ms: NDArray[np.int32]
    """(offers,) pickup ETA of the nearest eligible driver"""
    open_order_idx: NDArray[np.int32]
    """(open orders,) every order that was looked at"""
    num_cars: NDArray[np.int32]
    """(open orders,) candidates within the largest pickup ETA"""


def plan(state: EngineState, world: World, now_ms: int) -> Plan:
    """Propose an offer for as many open orders as the policy serves.

    Candidates are the drivers nearest by air. An order that gets none of them looks at all drivers: none
    starves at a hot spot, or because those nearest to it refused.
    """
    found = with_pickup_eta(find_candidates(state, world, now_ms), state, world)
    assignment = match(found, pickup_cost(found), world.params)
    left_out = (assignment.driver_of_order == NO_INDEX) & found.is_cut
    if left_out.any():
        found = look_everywhere(found, left_out, state, world)
        assignment = match(found, pickup_cost(found), world.params)
    return propose(found, assignment)


def match(found: CandidateSet, cost: NDArray[np.int64], params: DispatchParams) -> Assignment:
    """Solve the window's assignment problem, `cost` (candidates,), by the policy's solver."""
    problem = AssignmentProblem(found.first_candidate, found.candidate_driver, cost, len(found.driver_idx))
    return SOLVERS[params.rules.matching](problem)


def propose(found: CandidateSet, assignment: Assignment) -> Plan:
    """Translate an assignment of candidates into rows of the tables."""
    served = np.flatnonzero(assignment.driver_of_order != NO_INDEX)
    chosen = assignment.candidate_of_order[served]
    nearest_eta_ms = np.empty(0, np.int32)
    if len(served):
        with_candidates = np.flatnonzero(found.num_of_order)
        nearest = np.full(len(found.order_idx), NO_INDEX, np.int32)
        nearest[with_candidates] = np.minimum.reduceat(found.eta_ms, found.first_candidate[with_candidates])
        nearest_eta_ms = nearest[served]
    return Plan(
        found.order_idx[served],
        found.driver_idx[assignment.driver_of_order[served]],
        found.eta_ms[chosen],
        nearest_eta_ms,
        found.order_idx,
        found.num_of_order,
    )
