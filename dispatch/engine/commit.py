"""The writer of the engine's tables and the source of its events, with a few kernels for bulk calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EventBuffer, EventKind
from dispatch.engine.explanations import Explanations
from dispatch.engine.fleet import Fleet
from dispatch.engine.lifecycle import RULES, DriverStatus, OrderStatus
from dispatch.engine.orders import Orders
from dispatch.errors import InputError, StateError
from dispatch.kernels.transition import (
    ALL_LEGAL,
    ILLEGAL_STATUS,
    TWICE,
    Parties,
    Rows,
    commit_rows,
)
from dispatch.units import NO_INDEX

NEVER: Final = int(np.iinfo(np.int64).min)
"""Before all time."""


@dataclass
class EngineState:
    """All that the engine remembers."""

    fleet: Fleet = field(default_factory=Fleet)
    orders: Orders = field(default_factory=Orders)
    clock_ms: int = NEVER
    """instant of the latest step"""
    advise_at_ms: int = NEVER
    """when idle drivers are advised next where to wait"""
    reestimate_at_ms: int = NEVER
    """when pickups under way are estimated next"""
    latest_ms: int = NEVER
    """latest instant of any event"""
    log: EventBuffer = field(default_factory=EventBuffer)
    """events made since they were last taken"""
    explanations: Explanations = field(default_factory=Explanations)
    """why orders were given to drivers"""
    views: dict[str, Any] = field(default_factory=dict)
    """columns as kernels take them, with the versions of the tables that they belong to"""

    def __getstate__(self) -> dict[str, Any]:
        """What a copy gets: not the views, which would be of other tables."""
        return vars(self) | {"views": {}}


@dataclass(frozen=True)
class Happening:
    """Events of one kind that are about to be committed; arrays are (n,)."""

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
        If an instant lies before the latest step or before an earlier event of the same party, or a
        party stands in two rows.
    """
    fleet, orders = state.fleet, state.orders
    rows = Rows(happening.at_ms, happening.order_idx, happening.driver_idx)
    parties = Parties(
        orders.order_id,
        orders.status,
        orders.changed_at_ms,
        orders.driver_idx,
        fleet.driver_id,
        fleet.status,
        fleet.changed_at_ms,
    )
    logged = state.log.room(len(rows.at_ms))
    verdict, row = commit_rows(
        rows, RULES[happening.kind], happening.kind.value, state.clock_ms, parties, logged
    )
    if verdict != ALL_LEGAL:
        raise _refusal(state, happening, verdict, row)
    state.log.keep(len(logged))
    for name, values in columns.items():
        logged[name] = values
    if len(logged):
        state.latest_ms = max(state.latest_ms, int(happening.at_ms.max()))


def _refusal(state: EngineState, happening: Happening, verdict: int, row: int) -> Exception:
    """Say why row `row` cannot be."""
    fleet, orders = state.fleet, state.orders
    order, driver = happening.order_idx[row], happening.driver_idx[row]
    who = []
    if verdict == TWICE:
        again = order != NO_INDEX and order in happening.order_idx[:row]
        name = f"order {orders.order_id[order]}" if again else f"driver {fleet.driver_id[driver]}"
        return InputError(f"row {row}: {name} stands in an earlier row too; once each in a call")
    if order != NO_INDEX:
        who.append(f"order {orders.order_id[order]} is {OrderStatus(orders.status[order]).name}")
    if driver != NO_INDEX:
        who.append(f"driver {fleet.driver_id[driver]} is {DriverStatus(fleet.status[driver]).name}")
    if verdict == ILLEGAL_STATUS:
        return StateError(
            f"row {row}: {happening.kind.name} is not legal while {' and '.join(who)}; nothing was applied"
        )
    earliest = max(
        state.clock_ms,
        orders.changed_at_ms[order] if order != NO_INDEX else state.clock_ms,
        fleet.changed_at_ms[driver] if driver != NO_INDEX else state.clock_ms,
    )
    return InputError(
        f"at_ms[{row}] is {happening.at_ms[row]}: time goes backwards, the latest step or event of the same "
        f"order or driver was at {earliest}; send the time at which you learnt of it"
    )
