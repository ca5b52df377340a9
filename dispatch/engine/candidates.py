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
    """(candidates,) rows of ``driver_idx``, nearest by air first"""
    eta_ms: NDArray[np.int32]
    """(candidates,) pickup ETA; empty until :func:`with_pickup_eta`"""

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
    """Find for every open order the nearest idle drivers by air that have not refused it."""
    fleet, orders = state.fleet, state.orders
    order_idx = orders.rows_in(OrderStatus.OPEN)
    driver_idx = world.free_drivers(fleet, now_ms)
    nowhere = np.empty(0, np.int32)
    if not len(order_idx) or not len(driver_idx):
        return CandidateSet(order_idx, driver_idx, np.zeros(len(order_idx) + 1, np.int32), nowhere, nowhere)
    near = world.nearest_drivers(fleet, driver_idx, orders.pickup_node[order_idx])
    found = CandidateSet(order_idx, driver_idx, near.first, near.item, nowhere)
    refused = orders.refused(order_idx[found.order_of_candidate], driver_idx[near.item])
    return found.keep(~refused)


def with_pickup_eta(found: CandidateSet, state: EngineState, world: World) -> CandidateSet:
    """Add the pickup ETA of every candidate and drop those farther away than ``max_pickup_s``."""
    if not len(found.candidate_driver):
        return found
    pickup = state.orders.pickup_node[found.order_idx]
    eta_ms = world.travel_times.pairs_ms(
        state.fleet.node[found.driver_idx[found.candidate_driver]], pickup[found.order_of_candidate]
    )
    return replace(found, eta_ms=eta_ms).keep(eta_ms <= world.params.max_pickup_s * MS_PER_S)
