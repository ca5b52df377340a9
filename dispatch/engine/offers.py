"""Offers: made to drivers, answered or timed out. An offer is live while its order is ``OFFERED``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState, Happening, commit
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import OrderStatus
from dispatch.engine.params import FareRule
from dispatch.engine.plan import Plan
from dispatch.engine.tell import tables_of
from dispatch.engine.world import World
from dispatch.errors import StateError
from dispatch.kernels import offering
from dispatch.kernels.candidates import survey
from dispatch.units import NO_INDEX


def make(state: EngineState, world: World, fare: FareRule, plan: Plan, now_ms: int) -> None:
    """Offer what was planned; orders looked at for the first time log how many cars there were."""
    num_offers = len(plan.order_idx) - plan.num_moved
    if plan.num_moved:
        _reassign(state, plan, num_offers, now_ms)
    if not num_offers and not len(plan.open_order_idx):
        return
    tables = tables_of(state, world, fare)
    proposed = offering.Proposed(
        plan.order_idx[:num_offers],
        plan.driver_idx[:num_offers],
        plan.eta_ms[:num_offers],
        plan.nearest_eta_ms[:num_offers],
        plan.open_order_idx,
        plan.num_cars,
    )
    expires_at_ms = now_ms + world.offer_timeout_ms
    log = state.log.room(num_offers + len(plan.open_order_idx))
    num_events = offering.offer(
        proposed, now_ms, expires_at_ms, tables.known, tables.parties, tables.offered, log
    )
    if num_events:
        state.log.keep(num_events)
        state.latest_ms = max(state.latest_ms, now_ms)


def _reassign(state: EngineState, plan: Plan, first: int, now_ms: int) -> None:
    """Take orders from their drivers and give them to others, without offers."""
    orders, moved = state.orders, plan.order_idx[first:]
    at_ms = _now(now_ms, moved)
    commit(state, Happening(EventKind.ORDER_RELEASED, at_ms, moved, orders.driver_idx[moved]))
    quoted = {"eta_ms": plan.eta_ms[first:], "nearest_eta_ms": plan.nearest_eta_ms[first:]}
    commit(state, Happening(EventKind.ORDER_REASSIGNED, at_ms, moved, plan.driver_idx[first:]), **quoted)
    orders.promise(moved, at_ms, quoted["eta_ms"])
    orders.nearest_eta_ms[moved] = quoted["nearest_eta_ms"]


def answered(
    state: EngineState, at_ms: NDArray[np.int64], order_idx: NDArray[np.int32], driver_idx: NDArray[np.int32]
) -> Happening:
    """Find the live offers of these orders (n,) to these drivers (n,).

    Raises
    ------
    StateError
        If one of them is not live, for instance because it has timed out.
    """
    orders = state.orders
    live = (orders.status[order_idx] == OrderStatus.OFFERED) & (orders.driver_idx[order_idx] == driver_idx)
    in_time = at_ms < orders.offer_expires_at_ms[order_idx]
    dead = np.flatnonzero(~(live & in_time))
    if len(dead):
        row, order = dead[0], order_idx[dead[0]]
        why = f"the order is {OrderStatus(orders.status[order]).name}"
        if live[row]:
            why = f"it timed out at {orders.offer_expires_at_ms[order]}, the answer is of {at_ms[row]}"
        raise StateError(
            f"row {row}: no live offer of order {orders.order_id[order]} to driver "
            f"{state.fleet.driver_id[driver_idx[row]]} ({why}); nothing was applied"
        )
    return Happening(EventKind.OFFER_DECLINED, at_ms, order_idx, driver_idx)


def accept(state: EngineState, answer: Happening) -> None:
    """Turn live offers into assignments."""
    order_idx, driver_idx = answer.order_idx, answer.driver_idx
    commit(state, Happening(EventKind.OFFER_ACCEPTED, answer.at_ms, order_idx, driver_idx))
    quoted = {
        "eta_ms": state.orders.eta_ms[order_idx],
        "nearest_eta_ms": state.orders.nearest_eta_ms[order_idx],
    }
    commit(state, Happening(EventKind.ORDER_ASSIGNED, answer.at_ms, order_idx, driver_idx), **quoted)
    state.orders.promise(order_idx, answer.at_ms, quoted["eta_ms"])


def refuse(state: EngineState, refusal: Happening) -> None:
    """Commit a refusal (declined, timed out, taken away) and remember the pair."""
    commit(state, refusal)
    state.orders.refuse(refusal.order_idx, refusal.driver_idx)


def time_out(state: EngineState, now_ms: int) -> None:
    """Expire the offers, then the open orders, whose time is up by `now_ms`, at the instant it was up."""
    late, overdue = _survey(state, now_ms)
    if len(late):
        orders = state.orders
        driver = orders.driver_idx[late]
        # A driver may have dropped off, or driven, after the offer's time was up and before this step.
        at_ms = np.maximum(orders.offer_expires_at_ms[late], state.fleet.changed_at_ms[driver])
        at_ms = np.maximum(at_ms, state.clock_ms)
        refuse(state, Happening(EventKind.OFFER_EXPIRED, at_ms, late, driver))
        _, overdue = _survey(state, now_ms)  # orders that are open again may be overdue, too
    if len(overdue):
        orders = state.orders
        at_ms = np.maximum(orders.expires_at_ms[overdue], orders.changed_at_ms[overdue])
        at_ms = np.maximum(at_ms, state.clock_ms)
        nobody = np.full(len(overdue), NO_INDEX, np.int32)
        commit(state, Happening(EventKind.ORDER_EXPIRED, at_ms, overdue, nobody))


def _survey(state: EngineState, now_ms: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Give the orders with an offer that timed out by `now_ms`, and the open ones whose time is up."""
    orders = state.orders
    late, overdue = np.empty(orders.num_live, np.int32), np.empty(orders.num_live, np.int32)
    orders.num_live, num_late, num_overdue = survey(
        orders.live,
        orders.num_live,
        now_ms,
        orders.status,
        orders.offer_expires_at_ms,
        orders.expires_at_ms,
        late,
        overdue,
    )
    return late[:num_late], overdue[:num_overdue]


def _now(now_ms: int, rows: NDArray[np.int32]) -> NDArray[np.int64]:
    return np.full(len(rows), now_ms, np.int64)
