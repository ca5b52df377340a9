"""Pickups under way, estimated anew from where their drivers are; which of them will be missed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState, Happening, commit
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.engine.world import World
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE, UNREACHABLE_MS


@dataclass(frozen=True)
class PickupEtas:
    """When drivers will arrive, as far as is known now; every array is (orders,).

    Instants are milliseconds since the epoch, ``NO_VALUE`` of orders without a driver on the way, and where
    its position or a road from there is not known.
    """

    order_id: NDArray[np.int64]
    promised_at_ms: NDArray[np.int64]
    """as told at the assignment"""
    arrives_at_ms: NDArray[np.int64]
    """the median"""
    earliest_at_ms: NDArray[np.int64]
    """the quantile of 10 %, or of the lowest level; ``NO_VALUE`` where travel times do not say how sure they
    are"""
    latest_at_ms: NDArray[np.int64]
    """the quantile of 90 %, or of the highest level"""


class _UnderWay(NamedTuple):
    """Orders whose driver is on the way, and from where the last drive to the pickup begins; all are (n,)."""

    row: NDArray[np.intp]
    """of the orders asked for"""
    start_ms: NDArray[np.int64]
    """when it does"""
    from_node: NDArray[np.int32]
    to_node: NDArray[np.int32]
    travel_ms: NDArray[np.int32]


def reestimate(state: EngineState, world: World, now_ms: int) -> None:
    """Estimate all pickups under way, and log those that will be missed; each once an assignment."""
    orders = state.orders
    live = orders.live[: orders.num_live]
    live = live[(orders.status[live] == OrderStatus.ASSIGNED) & ~orders.miss_predicted[live]]
    if not len(live):
        return
    under_way = _under_way(state, world, live)
    arrives_at_ms = np.maximum(under_way.start_ms + under_way.travel_ms, now_ms)
    order_idx = live[under_way.row]
    late_ms = arrives_at_ms - orders.promised_at_ms[order_idx]
    missed = np.flatnonzero(late_ms > round(world.params.miss_after_s * MS_PER_S))
    if not len(missed):
        return
    order_idx = order_idx[missed]
    eta_ms = np.minimum(arrives_at_ms[missed] - now_ms, UNREACHABLE_MS).astype(np.int32)
    at_ms = np.full(len(missed), now_ms, np.int64)
    told = Happening(EventKind.PICKUP_MISS_PREDICTED, at_ms, order_idx, orders.driver_idx[order_idx])
    commit(state, told, eta_ms=eta_ms)
    orders.miss_predicted[order_idx] = True


def pickup_etas(state: EngineState, world: World, order_idx: NDArray[np.int32]) -> PickupEtas:
    """Tell when the drivers of these orders (n,) will arrive, not before the latest step."""
    orders, num = state.orders, len(order_idx)
    arrives, earliest, latest, promised = (np.full(num, NO_VALUE, np.int64) for _ in range(4))
    assigned = np.flatnonzero(orders.status[order_idx] == OrderStatus.ASSIGNED)
    promised[assigned] = orders.promised_at_ms[order_idx[assigned]]
    under_way = _under_way(state, world, order_idx[assigned])
    row, start_ms = assigned[under_way.row], under_way.start_ms
    arrives[row] = np.maximum(start_ms + under_way.travel_ms, state.clock_ms)
    if world.uncertain is not None:
        range_ms = world.ranges_ms(under_way.from_node, under_way.to_node)
        earliest[row] = np.maximum(start_ms + range_ms[:, 0], state.clock_ms)
        latest[row] = np.maximum(start_ms + range_ms[:, 1], state.clock_ms)
    return PickupEtas(orders.order_id[order_idx], promised, arrives, earliest, latest)


def _under_way(state: EngineState, world: World, order_idx: NDArray[np.int32]) -> _UnderWay:
    """Find out about assigned orders (n,); left out are those whose driver is off the network or has no road.

    A driver is taken to drive on from the position told last since that was told, or since the assignment if
    that came later. One with a passenger on board first drives to the drop-off, which is taken as certain.
    """
    orders, fleet = state.orders, state.fleet
    row = np.flatnonzero(fleet.node[orders.driver_idx[order_idx]] != NO_INDEX)
    order_idx = order_idx[row]
    driver = orders.driver_idx[order_idx]
    from_node, to_node = fleet.node[driver], orders.pickup_node[order_idx]
    since_ms = orders.promised_at_ms[order_idx] - orders.eta_ms[order_idx]
    busy = np.flatnonzero(fleet.status[driver] == DriverStatus.OCCUPIED_ASSIGNED)
    on_board = _orders_on_board(state, driver[busy])
    here, dropoff = from_node[busy], orders.dropoff_node[on_board]
    since_ms[busy] = orders.picked_up_at_ms[on_board]
    from_node[busy] = dropoff
    asked = np.concatenate([from_node, here]), np.concatenate([to_node, dropoff])
    travel_ms, rest_ms = np.split(world.pairs_ms(*asked), [len(row)])
    start_ms = np.maximum(fleet.position_at_ms[driver], since_ms)
    start_ms[busy] += rest_ms
    is_known = travel_ms < UNREACHABLE_MS
    is_known[busy] &= rest_ms < UNREACHABLE_MS
    return _UnderWay(
        row[is_known], start_ms[is_known], from_node[is_known], to_node[is_known], travel_ms[is_known]
    )


def _orders_on_board(state: EngineState, driver_idx: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give the order that each of these drivers (n,) has on board."""
    orders = state.orders
    live = orders.live[: orders.num_live]
    live = live[orders.status[live] == OrderStatus.ON_BOARD]
    order_of_driver = np.full(state.fleet.num_rows, NO_INDEX, np.int32)
    order_of_driver[orders.driver_idx[live]] = live
    return order_of_driver[driver_idx]
