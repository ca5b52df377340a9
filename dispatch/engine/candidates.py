"""Which drivers come into question for which open order: one CSR that every later stage shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState
from dispatch.engine.lifecycle import OrderStatus
from dispatch.engine.world import World
from dispatch.units import MS_PER_S


@dataclass(frozen=True)
class CandidateSet:
    """Open orders × eligible drivers, sparse.

    Candidates of ``order_idx[i]`` are rows ``first_candidate[i] … first_candidate[i + 1] - 1``.
    """

    order_idx: NDArray[np.int32]
    """(orders,) rows of the order table, in the sequence of submission"""
    driver_idx: NDArray[np.int32]
    """(drivers,) rows of the driver table: the eligible ones"""
    first_candidate: NDArray[np.int32]
    """(orders + 1,)"""
    candidate_driver: NDArray[np.int32]
    """(candidates,) rows of ``driver_idx``, nearest first"""
    eta_ms: NDArray[np.int32]
    """(candidates,) pickup ETA; empty until :func:`with_pickup_eta` where they are nearest by air"""
    is_cut: NDArray[np.bool_]
    """(orders,) there are eligible drivers that were not looked at, farther away"""

    @cached_property
    def num_of_order(self) -> NDArray[np.int32]:
        """(orders,) number of candidates."""
        return np.diff(self.first_candidate)

    @cached_property
    def order_of_candidate(self) -> NDArray[np.int32]:
        """(candidates,) row of ``order_idx``."""
        return np.repeat(np.arange(len(self.order_idx), dtype=np.int32), self.num_of_order)

    def keep(self, kept: NDArray[np.bool_]) -> CandidateSet:
        """Drop the candidates that are not `kept` (candidates,)."""
        if kept.all():
            return self
        num_kept = np.bincount(self.order_of_candidate[kept], minlength=len(self.order_idx))
        first = np.zeros(len(self.first_candidate), np.int32)
        np.cumsum(num_kept, out=first[1:])
        eta_ms = self.eta_ms[kept] if len(self.eta_ms) else self.eta_ms
        return replace(
            self, first_candidate=first, candidate_driver=self.candidate_driver[kept], eta_ms=eta_ms
        )


def find_candidates(state: EngineState, world: World, now_ms: int) -> CandidateSet:
    """Find for every open order the nearest idle drivers, less those who refused it.

    Those nearest by road come with their pickup ETAs, those nearest by air without.
    """
    fleet, orders = state.fleet, state.orders
    order_idx = orders.rows_in(OrderStatus.OPEN)
    driver_idx = world.free_drivers(fleet, now_ms)
    nowhere = np.empty(0, np.int32)
    if not len(order_idx) or not len(driver_idx):
        first, uncut = np.zeros(len(order_idx) + 1, np.int32), np.zeros(len(order_idx), np.bool_)
        return CandidateSet(order_idx, driver_idx, first, nowhere, nowhere, uncut)
    pickup = orders.pickup_node[order_idx]
    by_road = world.nearest_by_road(fleet, driver_idx, pickup)
    near = by_road or world.nearest_drivers(fleet, driver_idx, pickup)
    num_near = np.diff(near.first)
    # Those left out by road because they are too far away need no second look.
    is_cut = (num_near < len(driver_idx)) & (num_near == world.params.candidates_per_order)
    eta_ms = nowhere if by_road is None else by_road.ms
    found = CandidateSet(order_idx, driver_idx, near.first, near.item, eta_ms, is_cut)
    refused = orders.refused(order_idx[found.order_of_candidate], driver_idx[near.item])
    return found.keep(~refused)


def with_pickup_eta(found: CandidateSet, state: EngineState, world: World) -> CandidateSet:
    """Add the pickup ETA of every candidate and drop those farther away than ``max_pickup_s``."""
    if not len(found.candidate_driver) or len(found.eta_ms):
        return found
    eta_ms = _pickup_eta_ms(found, found.order_of_candidate, found.candidate_driver, state, world)
    return replace(found, eta_ms=eta_ms).keep(eta_ms <= world.params.max_pickup_s * MS_PER_S)


def look_everywhere(
    found: CandidateSet, which: NDArray[np.bool_], state: EngineState, world: World
) -> CandidateSet:
    """Make every eligible driver a candidate of the orders `which` (orders,), nearest by road first."""
    everywhere, num_drivers = np.flatnonzero(which).astype(np.int32), len(found.driver_idx)
    order = np.repeat(everywhere, num_drivers)
    driver = np.tile(np.arange(num_drivers, dtype=np.int32), len(everywhere))
    eta_ms = _pickup_eta_ms(found, order, driver, state, world)
    usable = eta_ms <= world.params.max_pickup_s * MS_PER_S
    usable &= ~state.orders.refused(found.order_idx[order], found.driver_idx[driver])
    others = ~which[found.order_of_candidate]
    order = np.concatenate([found.order_of_candidate[others], order[usable]])
    driver = np.concatenate([found.candidate_driver[others], driver[usable]])
    eta_ms = np.concatenate([found.eta_ms[others], eta_ms[usable]])
    by_row = np.lexsort((eta_ms, order))
    first = np.zeros(len(found.order_idx) + 1, np.int32)
    np.cumsum(np.bincount(order, minlength=len(found.order_idx)), out=first[1:])
    return replace(
        found,
        first_candidate=first,
        candidate_driver=driver[by_row],
        eta_ms=eta_ms[by_row],
        is_cut=found.is_cut & ~which,
    )


def _pickup_eta_ms(
    found: CandidateSet,
    order: NDArray[np.int32],
    driver: NDArray[np.int32],
    state: EngineState,
    world: World,
) -> NDArray[np.int32]:
    """Travel time (n,) from drivers to pickups, given as rows of `found`."""
    pickup = state.orders.pickup_node[found.order_idx]
    return world.pairs_ms(state.fleet.node[found.driver_idx[driver]], pickup[order])
