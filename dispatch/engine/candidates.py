"""Which drivers come into question for which open order: one CSR that every later stage shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState
from dispatch.engine.fleet import Fleet
from dispatch.engine.lifecycle import OrderStatus
from dispatch.engine.orders import Orders
from dispatch.engine.world import World
from dispatch.kernels import candidates as kernels


@dataclass(frozen=True)
class CandidateSet:
    """Orders that look for a driver × eligible drivers, sparse.

    Candidates of ``order_idx[i]`` are rows ``first_candidate[i] … first_candidate[i + 1] - 1``.
    """

    order_idx: NDArray[np.int32]
    """(orders,) rows of the order table: the open ones in the sequence of submission, then those whose driver
    may change"""
    num_open: int
    """how many are open"""
    driver_idx: NDArray[np.int32]
    """(drivers,) rows of the driver table: the eligible ones"""
    rest_ms: NDArray[np.int32]
    """(drivers,) time until the driver is free"""
    first_candidate: NDArray[np.int32]
    """(orders + 1,)"""
    candidate_driver: NDArray[np.int32]
    """(candidates,) rows of ``driver_idx``, nearest by pickup ETA first"""
    eta_ms: NDArray[np.int32]
    """(candidates,) pickup ETA"""
    cost: NDArray[np.int64]
    """(candidates,) what it costs to give the order to the driver"""
    is_cut: NDArray[np.bool_]
    """(orders,) there are eligible drivers that were not looked at, farther away"""

    @cached_property
    def num_of_order(self) -> NDArray[np.int32]:
        """(orders,) number of candidates."""
        return self.first_candidate[1:] - self.first_candidate[:-1]

    @cached_property
    def order_of_candidate(self) -> NDArray[np.int32]:
        """(candidates,) row of ``order_idx``."""
        return np.repeat(np.arange(len(self.order_idx), dtype=np.int32), self.num_of_order)


def find_candidates(state: EngineState, world: World, now_ms: int) -> CandidateSet:
    """Find for every open order the nearest eligible drivers and their pickup ETAs.

    Left out are drivers who refused the order, whose car does not suit it, or who are too far away.
    """
    orders, fleet = state.orders, state.fleet
    versions = (orders.version, fleet.version, fleet.num_rows)
    if state.views.get("candidates", (None,))[0] != versions:
        state.views["candidates"] = versions, _columns_of_orders(orders), columns_of_cars(fleet)
    _, of_orders, of_cars = state.views["candidates"]
    live, refusals = (orders.live, orders.num_live), orders.refusals(0)
    by_road = world.params.candidates_by == "road"
    if world.table is not None and not by_road:
        return CandidateSet(
            *kernels.find_timed(
                *live, now_ms, of_orders, world.rules, world.places, refusals, of_cars, *world.table
            )
        )
    order_idx, num_open, driver_idx, rest_ms, first, candidate, from_node, to_node, is_cut = kernels.find(
        *live, now_ms, of_orders, world.rules, world.places, refusals, of_cars
    )
    limit_ms = _limit_ms(orders, order_idx, num_open, world, now_ms)
    if by_road and len(driver_idx) and len(order_idx):
        first, candidate, travel_ms, is_cut = _by_road(state, order_idx, driver_idx, world)
    else:
        travel_ms = world.pairs_ms(from_node, to_node) if len(from_node) else from_node
    first, candidate, eta_ms, cost = kernels.weigh(first, candidate, rest_ms, travel_ms, limit_ms)
    return CandidateSet(order_idx, num_open, driver_idx, rest_ms, first, candidate, eta_ms, cost, is_cut)


def _by_road(
    state: EngineState, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32], world: World
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """Find the drivers who are nearest by road: row starts, drivers, travel times, whether there are more."""
    near = world.nearest_by_road(state.fleet, driver_idx, state.orders.pickup_node[order_idx])
    num_near = np.diff(near.first)
    is_cut = (num_near < len(driver_idx)) & (num_near == world.rules.num_nearest)
    order = np.repeat(np.arange(len(order_idx), dtype=np.int32), num_near)
    usable = _may_meet(state, order_idx[order], driver_idx[near.item])
    first = np.zeros(len(order_idx) + 1, np.int32)
    np.cumsum(np.bincount(order[usable], minlength=len(order_idx)), out=first[1:])
    return first, near.item[usable], near.ms[usable], is_cut


def look_everywhere(
    found: CandidateSet, which: NDArray[np.bool_], state: EngineState, world: World, now_ms: int
) -> CandidateSet:
    """Make every eligible driver a candidate of the orders `which` (orders,), nearest by road first."""
    everywhere, num_drivers = np.flatnonzero(which).astype(np.int32), len(found.driver_idx)
    order = np.repeat(everywhere, num_drivers)
    driver = np.tile(np.arange(num_drivers, dtype=np.int32), len(everywhere))
    usable = _may_meet(state, found.order_idx[order], found.driver_idx[driver])
    usable &= state.fleet.rank[found.driver_idx[driver]] == kernels.NO_RANK
    order, driver = order[usable], driver[usable]
    pickup = state.orders.pickup_node[found.order_idx]
    travel_ms = world.pairs_ms(free_node(found, state)[driver], pickup[order])
    limit_ms = _limit_ms(state.orders, found.order_idx[: found.num_open], len(found.order_idx), world, now_ms)
    num_of_order = np.where(which, 0, found.num_of_order)
    others = ~which[found.order_of_candidate]
    both_order = np.concatenate([found.order_of_candidate[others], order])
    both_driver = np.concatenate([found.candidate_driver[others], driver])
    drive_ms = found.eta_ms[others] - found.rest_ms[found.candidate_driver[others]]
    both_ms = np.concatenate([drive_ms, travel_ms])
    by_order = np.argsort(both_order, kind="stable")
    first = np.zeros(len(found.order_idx) + 1, np.int32)
    np.cumsum(num_of_order + np.bincount(order, minlength=len(num_of_order)), out=first[1:])
    first, candidate, eta_ms, cost = kernels.weigh(
        first, both_driver[by_order], found.rest_ms, both_ms[by_order], limit_ms
    )
    return replace(
        found,
        first_candidate=first,
        candidate_driver=candidate,
        eta_ms=eta_ms,
        cost=cost,
        is_cut=found.is_cut & ~which,
    )


def free_node(found: CandidateSet, state: EngineState) -> NDArray[np.int32]:
    """Give the node (drivers,) at which each eligible driver will be free."""
    node = state.fleet.node[found.driver_idx]
    busy = np.flatnonzero(found.rest_ms > 0)
    if len(busy):
        orders = state.orders
        live = orders.live[: orders.num_live]
        live = live[orders.status[live] == OrderStatus.ON_BOARD]
        dropoff_of_driver = np.empty(state.fleet.num_rows, np.int32)
        dropoff_of_driver[orders.driver_idx[live]] = orders.dropoff_node[live]
        node[busy] = dropoff_of_driver[found.driver_idx[busy]]
    return node


def _may_meet(
    state: EngineState, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Tell of pairs (n,) whether the car suits the order, and the driver did not refuse it."""
    suits: NDArray[np.bool_] = (state.orders.class_bits[order_idx] & state.fleet.class_bits[driver_idx]) != 0
    return suits & ~state.orders.refused(order_idx, driver_idx)


def _limit_ms(
    orders: Orders, order_idx: NDArray[np.int32], num_open: int, world: World, now_ms: int
) -> NDArray[np.int64]:
    """Give the largest pickup ETA of each order (orders,), by the policy's rule for patience."""
    limit_ms = np.full(len(order_idx), world.rules.max_pickup_ms, np.int64)
    kernels.find_limits(order_idx[:num_open], now_ms, orders.wanted_at_ms, world.rules, limit_ms)
    return limit_ms


def _columns_of_orders(orders: Orders) -> kernels.OpenOrders:
    return kernels.OpenOrders(
        orders.status,
        orders.pickup_node,
        orders.dropoff_node,
        orders.class_bits,
        orders.wanted_at_ms,
        orders.driver_idx,
        orders.picked_up_at_ms,
        orders.trip_ms,
    )


def columns_of_cars(fleet: Fleet) -> kernels.FreeCars:
    """Give the drivers' columns that matching reads."""
    used = slice(0, fleet.num_rows)
    return kernels.FreeCars(
        fleet.status[used],
        fleet.node[used],
        fleet.position_at_ms[used],
        fleet.class_bits[used],
        fleet.rank[used],
        fleet.rank_since_ms[used],
    )
