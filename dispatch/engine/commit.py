"""The only writer of the engine's tables, and the only source of its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EVENT_DTYPE, EventKind, Events, make_events
from dispatch.engine.fleet import Fleet
from dispatch.engine.lifecycle import NOBODY, DriverStatus, OrderStatus, next_statuses
from dispatch.engine.orders import Orders
from dispatch.errors import InputError
from dispatch.units import NO_INDEX, NO_VALUE


@dataclass
class EngineState:
    """All that the engine remembers."""

    fleet: Fleet = field(default_factory=Fleet)
    orders: Orders = field(default_factory=Orders)
    clock_ms: int = np.iinfo(np.int64).min
    """instant of the latest step"""
    latest_ms: int = np.iinfo(np.int64).min
    """latest instant of any event"""
    events: list[Events] = field(default_factory=list)
    """made since they were last taken"""


@dataclass(frozen=True)
class Happening:
    """Events of one kind that are about to be committed; arrays of equal length."""

    kind: EventKind
    at_ms: NDArray[np.int64]
    order_idx: NDArray[np.int32]
    """NO_INDEX where no order takes part"""
    driver_idx: NDArray[np.int32]
    """NO_INDEX where no driver takes part"""


def commit(state: EngineState, happening: Happening, **columns: Any) -> None:
    """Apply one kind of event to the tables and log it, or raise and change nothing.

    Raises
    ------
    StateError
        If the transition is not legal for one of the rows.
    InputError
        If an instant lies before the latest step or before an earlier event of the same party.
    """
    order_idx, driver_idx = happening.order_idx, happening.driver_idx
    fleet, orders = state.fleet, state.orders
    has_order, has_driver = order_idx != NO_INDEX, driver_idx != NO_INDEX
    order_to, driver_to = next_statuses(
        happening.kind,
        np.where(has_order, orders.status[order_idx], NOBODY).astype(np.int8),
        np.where(has_driver, fleet.status[driver_idx], NOBODY).astype(np.int8),
    )
    _check_instants(state, happening, has_order, has_driver)
    _log(state, happening, columns)
    moved = has_order & has_driver
    orders.driver_idx[order_idx[moved]] = driver_idx[moved]
    fleet.order_idx[driver_idx[moved]] = order_idx[moved]
    orders.status[order_idx[has_order]] = order_to[has_order]
    orders.changed_at_ms[order_idx[has_order]] = happening.at_ms[has_order]
    orders.driver_idx[order_idx[has_order & (order_to == OrderStatus.OPEN)]] = NO_INDEX
    fleet.status[driver_idx[has_driver]] = driver_to[has_driver]
    fleet.changed_at_ms[driver_idx[has_driver]] = happening.at_ms[has_driver]
    fleet.order_idx[driver_idx[has_driver & (driver_to <= DriverStatus.IDLE)]] = NO_INDEX


def _check_instants(
    state: EngineState, happening: Happening, has_order: NDArray[np.bool_], has_driver: NDArray[np.bool_]
) -> None:
    earliest = np.full(len(happening.at_ms), state.clock_ms)
    for involved, rows, changed in (
        (has_order, happening.order_idx, state.orders.changed_at_ms),
        (has_driver, happening.driver_idx, state.fleet.changed_at_ms),
    ):
        earliest = np.maximum(earliest, np.where(involved, changed[rows], earliest))
    backwards = np.flatnonzero(happening.at_ms < earliest)
    if len(backwards):
        row = backwards[0]
        raise InputError(
            f"at_ms[{row}] is {happening.at_ms[row]}: time goes backwards, the latest step or event of the "
            f"same order or driver was at {earliest[row]}; send the time at which you learnt of it"
        )


def _log(state: EngineState, happening: Happening, columns: dict[str, Any]) -> None:
    order_idx, driver_idx = happening.order_idx, happening.driver_idx
    ids = {
        "order_id": np.where(order_idx != NO_INDEX, state.orders.order_id[order_idx], NO_VALUE),
        "driver_id": np.where(driver_idx != NO_INDEX, state.fleet.driver_id[driver_idx], NO_VALUE),
    }
    append_events(
        state,
        make_events(happening.kind, len(happening.at_ms), **{"at_ms": happening.at_ms, **ids, **columns}),
    )


def append_events(state: EngineState, events: Events) -> None:
    """Log events; they are handed out, ordered by time, by :func:`take_events`."""
    if len(events):
        state.events.append(events)
        state.latest_ms = max(state.latest_ms, int(events["at_ms"].max()))


def take_events(state: EngineState) -> Events:
    """Hand out the events made since the last call, ordered by time, causes before effects."""
    if not state.events:
        return np.empty(0, EVENT_DTYPE)
    taken = np.concatenate(state.events)
    state.events.clear()
    return taken[np.argsort(taken["at_ms"], kind="stable")]
