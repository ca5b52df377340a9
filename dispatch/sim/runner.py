"""Run a scenario: one loop over batch windows, the engine stepped once in each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EVENT_DTYPE, EventKind, Events
from dispatch.engine.inputs import NewOrders
from dispatch.sim.drivers import SimDrivers
from dispatch.sim.scenario import Scenario
from dispatch.units import MS_PER_S

_ENDS_ORDER = np.zeros(len(EventKind), np.bool_)
_ENDS_ORDER[[EventKind.ORDER_CLOSED, EventKind.ORDER_CANCELLED, EventKind.ORDER_EXPIRED]] = True


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    now_ms: int
    num_finished: int
    num_orders: int


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    scenario: Scenario
    events: Events
    partial: bool
    """stopped before every order was in a final state"""
    wall_s: float
    driver_id: NDArray[np.int64]
    """(drivers,) in the sequence of ``driven_m``"""
    driven_m: NDArray[np.int64]
    """(drivers,) odometers, kept apart from the log"""


def run(
    scenario: Scenario,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Simulate until every order is in a final state.

    Parameters
    ----------
    scenario : Scenario
    on_progress : callable, optional
        Called with a :class:`Progress` after every window.
    should_stop : callable, optional
        Asked after every window; true ends the run, which is then partial.
    """
    started = time.perf_counter()
    orders = scenario.orders
    dispatcher = Dispatcher(scenario.city, scenario.travel_times, scenario.params, scenario.fare)
    drivers = SimDrivers(scenario, dispatcher)
    window_ms = round(scenario.sim.window_s * MS_PER_S)
    ping_ms = round(scenario.sim.ping_s * MS_PER_S)
    now_ms = next_ping_ms = scenario.start_at_ms
    num_submitted = num_finished = 0
    log: list[Events] = []
    stopped = False
    while num_finished < len(orders) and not stopped:
        now_ms += window_ms
        drivers.advance(now_ms)
        num_due = int(np.searchsorted(orders.requested_at_ms, now_ms, side="right"))
        if num_due > num_submitted:
            dispatcher.submit(_new_orders(scenario, num_submitted, num_due))
            num_submitted = num_due
        if now_ms >= next_ping_ms:
            drivers.send_positions(now_ms)
            next_ping_ms = now_ms + ping_ms
        events = dispatcher.step(now_ms)
        log.append(events)
        num_finished += int(_ENDS_ORDER[events["kind"]].sum())
        offered = events[events["kind"] == EventKind.ORDER_OFFERED]
        if len(offered):
            drivers.accept(offered["order_id"], offered["driver_id"], now_ms)
        if on_progress is not None:
            on_progress(Progress(now_ms, num_finished, len(orders)))
        stopped = should_stop()
    if not stopped:
        drivers.go_home(now_ms)
    log.append(dispatcher.take_events())
    everything = np.concatenate(log) if log else np.empty(0, EVENT_DTYPE)
    return Run(
        scenario,
        everything,
        num_finished < len(orders),
        time.perf_counter() - started,
        drivers.driver_id,
        drivers.driven_m,
    )


def _new_orders(scenario: Scenario, first: int, end: int) -> NewOrders:
    """Give the orders of rows `first` … `end` - 1 as the dispatcher takes them."""
    orders, rows = scenario.orders, slice(first, end)
    return NewOrders(
        np.arange(first, end),
        orders.pickup_lon[rows],
        orders.pickup_lat[rows],
        orders.dropoff_lon[rows],
        orders.dropoff_lat[rows],
        orders.requested_at_ms[rows],
        orders.pickup_node[rows],
        orders.dropoff_node[rows],
    )
