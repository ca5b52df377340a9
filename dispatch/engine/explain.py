"""From a window's matching to the reasons of it, and to what is told of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import CandidateSet, pairs_ms
from dispatch.engine.commit import EngineState
from dispatch.engine.explanations import Asked, Explanation, Reasons, Weighing
from dispatch.engine.inputs import as_ids
from dispatch.engine.lifecycle import OrderStatus
from dispatch.engine.policy import Policy
from dispatch.engine.vehicles import asked_of
from dispatch.engine.weights import are_starving, cost_of_change, cost_of_weight, weights_of
from dispatch.engine.world import World
from dispatch.errors import InputError, StateError
from dispatch.units import INDEX_DTYPE, NO_INDEX, NO_VALUE

_SERVED: Final = (OrderStatus.ASSIGNED, OrderStatus.ARRIVED, OrderStatus.ON_BOARD, OrderStatus.DROPPED_OFF)
"""Statuses of orders with a driver who took them."""


def reasons_of(
    found: CandidateSet, chosen: NDArray[np.int32], state: EngineState, policy: Policy, now_ms: int
) -> Reasons:
    """Say what chosen candidates (orders,) were chosen by; a policy of one's own chooses for open orders."""
    orders, fleet, num = state.orders, state.fleet, len(found.order_idx)
    chosen = np.append(chosen, np.full(num - len(chosen), NO_INDEX, INDEX_DTYPE))
    driver = found.driver_idx[found.candidate_driver]
    served = np.flatnonzero(chosen != NO_INDEX)
    taken = driver[chosen[served]]
    order_of_driver = np.full(fleet.num_rows, NO_VALUE, np.int64)
    order_of_driver[taken] = orders.order_id[found.order_idx[served]]
    is_told = np.arange(num) < found.num_open
    is_told[served] |= taken != orders.driver_idx[found.order_idx[served]]
    weights = weights_of(orders, found.order_idx, policy, now_ms)
    starving = are_starving(found, orders, policy, now_ms) & (not policy.is_own)
    weighed = (column.tolist() for column in (*weights, starving))
    asked = (column.tolist() for column in asked_of(orders.class_bits[found.order_idx]))
    return Reasons(
        now_ms,
        orders.order_id[found.order_idx],
        is_told,
        chosen,
        [Weighing(*row) for row in zip(*weighed, strict=True)],
        [Asked(*row) for row in zip(*asked, strict=True)],
        found.first_candidate,
        _terms_of(found, state, policy, weights.weight),
        fleet.driver_id[driver],
        fleet.vehicle_class[driver],
        order_of_driver[driver],
    )


def _terms_of(
    found: CandidateSet, state: EngineState, policy: Policy, weight: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Take the costs of candidates apart; see :attr:`Reasons.terms`."""
    driver = found.driver_idx[found.candidate_driver]
    quality_ms, income_ms = state.fleet.quality_cost_ms[driver], state.fleet.income_cost_ms[driver]
    pair_ms = pairs_ms(found, state)
    risk_ms = found.cost - found.eta_ms - quality_ms - income_ms - pair_ms
    weight_ms = cost_of_weight(found, weight, policy)
    change_ms = cost_of_change(found, state.orders, policy)
    terms = (found.eta_ms, risk_ms, quality_ms, income_ms, pair_ms, weight_ms, change_ms)
    return np.stack(terms).astype(np.int32)


def explained(state: EngineState, world: World, order_id: int) -> Explanation:
    """Give the latest explanation of an order; see :meth:`Dispatcher.explain`."""
    (asked,) = _one_id(order_id)
    most = world.params.keep_explanations
    if most == 0:
        raise StateError("keep_explanations is 0: none are kept; DispatchParams says of how many orders to")
    told, row = state.explanations.of(int(asked)), int(state.orders.ids.rows(np.array([asked]))[0])
    if row == NO_INDEX:
        if told is not None:  # the order is forgotten, the explanation is not
            return told
        raise InputError(f"order_id is {asked}: no such order is known")
    orders = state.orders
    status, driver = OrderStatus(orders.status[row]), int(orders.driver_idx[row])
    if told is not None and told.at_ms < orders.submitted_at_ms[row]:
        told = None  # of another order that had this id
    if status in _SERVED and (told is None or told.driver_id != state.fleet.driver_id[driver]):
        raise StateError(
            f"order {asked} has no explanation: driver {state.fleet.driver_id[driver]} was chosen by hand, "
            f"or {most} orders were matched since"
        )
    if told is None and orders.cars_shown[row]:
        raise StateError(f"order {asked} has no explanation any more: {most} orders were matched since")
    if told is None:
        raise StateError(f"order {asked} has no explanation yet: it is {status.name} and was not matched")
    return told


def _one_id(order_id: int) -> NDArray[np.int64]:
    """Read one id."""
    asked = as_ids("order_id", order_id)
    if len(asked) != 1:
        raise InputError(f"order_id holds {len(asked)} ids: one is explained at a time")
    return asked
