"""Which drivers come into question for which open order: one CSR that every later stage shares."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState
from dispatch.engine.fleet import Fleet
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.engine.orders import Orders
from dispatch.engine.world import World
from dispatch.kernels import candidates as kernels
from dispatch.kernels.quantiles import add_risk
from dispatch.units import MS_PER_S


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
    """(candidates,) cost of giving the order to the driver: pickup ETA, risk, terms of driver and pair"""
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

    Left out are drivers who refused the order, who or whose car do not suit it, or who are too far away.
    """
    orders, refusals = state.orders, state.orders.refusals(0)
    of_orders, of_cars = columns_of(state)
    by_road = world.params.candidates_by == "road"
    if world.timetable is not None and not by_road:
        live = orders.live[: orders.num_live]
        timed = CandidateSet(
            *kernels.find_timed(
                live, now_ms, of_orders, world.rules, world.places, refusals, of_cars, world.timetable
            )
        )
        return _with_risk(_with_pairs(timed, state), state, world, now_ms)
    order_idx, num_open, driver_idx, rest_ms, first, candidate, from_node, to_node, is_cut = kernels.find(
        orders.live, orders.num_live, now_ms, of_orders, world.rules, world.places, refusals, of_cars
    )
    travel_ms = world.pairs_ms(from_node, to_node) if len(from_node) else from_node
    found = CandidateSet(
        order_idx, num_open, driver_idx, rest_ms, first, candidate, travel_ms, _no_costs(), is_cut
    )
    if by_road and len(driver_idx) and len(order_idx):
        found = _by_road(found, state, world)
    return _weighed(found, state, world, now_ms)


def _by_road(by_air: CandidateSet, state: EngineState, world: World) -> CandidateSet:
    """Put the drivers who are nearest by road in place of those by air; travel times stand for ETAs.

    Drivers whose turn it is at a rank, and those on the way to their orders, stay.
    """
    order_idx, driver_idx, own = by_air.order_idx, by_air.driver_idx, _own(by_air, state)
    in_queue = state.fleet.rank[driver_idx] != kernels.NO_RANK
    looked_at = np.flatnonzero(~in_queue).astype(np.int32)
    pickup = state.orders.pickup_node[order_idx]
    near = world.nearest_by_road(free_node(by_air, state)[looked_at], pickup)
    num_near = np.diff(near.first)
    is_cut = (num_near < len(looked_at)) & (num_near == world.rules.num_nearest)
    is_cut[by_air.num_open :] = False
    order = np.repeat(np.arange(len(order_idx), dtype=np.int32), num_near)
    driver = looked_at[near.item]
    has_turn = np.zeros(len(order_idx), np.bool_)
    has_turn[by_air.order_of_candidate[in_queue[by_air.candidate_driver]]] = True
    usable = _may_meet(state, order_idx[order], driver_idx[driver])
    usable &= ~has_turn[order] & (driver != own[order])
    stays = in_queue[by_air.candidate_driver] | (by_air.candidate_driver == own[by_air.order_of_candidate])
    return _merged(by_air, stays, (order[usable], driver[usable], near.ms[usable]), is_cut)


def _merged(
    found: CandidateSet,
    stays: NDArray[np.bool_],
    more: tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]],
    is_cut: NDArray[np.bool_],
) -> CandidateSet:
    """Put more pairs of order and driver, with their times, beside the candidates that stay (candidates,)."""
    told = (found.order_of_candidate, found.candidate_driver, found.eta_ms)
    order, driver, ms = (np.concatenate([old[stays], new]) for old, new in zip(told, more, strict=True))
    by_order = np.argsort(order, kind="stable")
    first = np.zeros(len(found.order_idx) + 1, np.int32)
    np.cumsum(np.bincount(order, minlength=len(found.order_idx)), out=first[1:])
    return replace(
        found,
        first_candidate=first,
        candidate_driver=driver[by_order],
        eta_ms=ms[by_order],
        is_cut=is_cut,
    )


def _weighed(found: CandidateSet, state: EngineState, world: World, now_ms: int) -> CandidateSet:
    """Turn travel times into pickup ETAs, drop who is too far away, and sort the others."""
    limit_ms = _limit_ms(state.orders, found.order_idx, found.num_open, world, now_ms)
    own, rest_ms = _own(found, state), found.rest_ms
    if world.rules.reassigns == kernels.ON_MISS:
        kernels.limit_to_gain(
            found.first_candidate,
            found.candidate_driver,
            own,
            rest_ms,
            found.eta_ms,
            world.rules.gain_ms,
            limit_ms,
        )
    first, candidate, eta_ms, cost = kernels.weigh(
        found.first_candidate, found.candidate_driver, own, rest_ms, found.eta_ms, limit_ms
    )
    kernels.add_driver_costs(candidate, found.driver_idx, state.fleet.cost_ms, cost)
    weighed = replace(found, first_candidate=first, candidate_driver=candidate, eta_ms=eta_ms, cost=cost)
    return _with_risk(_with_pairs(weighed, state), state, world, now_ms)


def _with_pairs(found: CandidateSet, state: EngineState) -> CandidateSet:
    """Add to costs what is known of single pairs."""
    if len(state.orders.pair_costs):
        found.cost[:] += pairs_ms(found, state)
    return found


def pairs_ms(found: CandidateSet, state: EngineState) -> NDArray[np.int64]:
    """Give what is known of single pairs, of each candidate (candidates,)."""
    pairs, cost_ms = state.orders.pair_costs, np.zeros(len(found.cost), np.int64)
    if len(pairs):
        rows = np.flatnonzero(pairs.has(found.order_idx)[found.order_of_candidate])
        order_idx = found.order_idx[found.order_of_candidate[rows]]
        cost_ms[rows] = pairs.of(order_idx, found.driver_idx[found.candidate_driver[rows]])
    return cost_ms


def _with_risk(found: CandidateSet, state: EngineState, world: World, now_ms: int) -> CandidateSet:
    """Add to costs that of promises that may be missed, by the policy's rule.

    Where no candidate can keep the promise any more all of an order's costs grow alike.
    """
    policy, order_idx = world.params.rules, found.order_idx
    if policy.risk_cost_s <= 0 or not len(found.candidate_driver):
        return found
    slack_ms = state.orders.wanted_at_ms[order_idx] + round(policy.promise_s * MS_PER_S) - now_ms
    quantile_ms = world.quantiles_ms(
        free_node(found, state)[found.candidate_driver],
        state.orders.pickup_node[order_idx[found.order_of_candidate]],
    )
    add_risk(
        found.first_candidate,
        found.candidate_driver,
        found.rest_ms,
        slack_ms,
        quantile_ms,
        world.levels,
        round(policy.risk_cost_s * MS_PER_S),
        found.cost,
    )
    return found


def _own(found: CandidateSet, state: EngineState) -> NDArray[np.int32]:
    """Give the driver on the way to each order (orders,), row of ``driver_idx``."""
    own: NDArray[np.int32] = kernels.find_own(
        found.order_idx, found.num_open, found.driver_idx, state.orders.driver_idx
    )
    return own


def _no_costs() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


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
    drive_ms = found.eta_ms - found.rest_ms[found.candidate_driver]
    merged = _merged(
        replace(found, eta_ms=drive_ms),
        ~which[found.order_of_candidate],
        (order, driver, travel_ms),
        found.is_cut & ~which,
    )
    return _weighed(merged, state, world, now_ms)


def free_node(found: CandidateSet, state: EngineState) -> NDArray[np.int32]:
    """Give the node (drivers,) at which each eligible driver will be free."""
    fleet, orders = state.fleet, state.orders
    node = fleet.node[found.driver_idx]
    busy = np.flatnonzero(fleet.status[found.driver_idx] == DriverStatus.OCCUPIED)
    if len(busy):
        live = orders.live[: orders.num_live]
        live = live[orders.status[live] == OrderStatus.ON_BOARD]
        dropoff_of_driver = np.empty(fleet.num_rows, np.int32)
        dropoff_of_driver[orders.driver_idx[live]] = orders.dropoff_node[live]
        node[busy] = dropoff_of_driver[found.driver_idx[busy]]
    return node


def _may_meet(
    state: EngineState, order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Tell of pairs (n,) whether car and driver suit the order, and the driver did not refuse it."""
    asked = state.orders.skills[order_idx]
    suits: NDArray[np.bool_] = (state.orders.class_bits[order_idx] & state.fleet.class_bits[driver_idx]) != 0
    suits &= (state.fleet.skills[driver_idx] & asked) == asked
    return suits & ~state.orders.refused(order_idx, driver_idx)


def _limit_ms(
    orders: Orders, order_idx: NDArray[np.int32], num_open: int, world: World, now_ms: int
) -> NDArray[np.int64]:
    """Give the largest pickup ETA of each order (orders,), by the policy's rule for patience."""
    limit_ms = np.full(len(order_idx), world.rules.max_pickup_ms, np.int64)
    kernels.find_limits(order_idx[:num_open], now_ms, orders.wanted_at_ms, world.rules, limit_ms)
    return limit_ms


def columns_of(state: EngineState) -> tuple[kernels.OpenOrders, kernels.FreeCars]:
    """Give the columns that matching reads; made anew only where they were replaced."""
    orders, fleet = state.orders, state.fleet
    versions = (orders.version, fleet.version, fleet.num_rows)
    if state.views.get("candidates", (None,))[0] != versions:
        state.views["candidates"] = versions, (_columns_of_orders(orders), columns_of_cars(fleet))
    kept: tuple[kernels.OpenOrders, kernels.FreeCars] = state.views["candidates"][1]
    return kept


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
        orders.miss_predicted,
        orders.skills,
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
        fleet.skills[used],
        fleet.cost_ms[used],
    )
