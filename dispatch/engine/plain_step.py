"""The common step of the dispatcher in one crossing into compiled code."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.candidates import columns_of
from dispatch.engine.commit import EngineState
from dispatch.engine.params import FareRule
from dispatch.engine.tell import KernelTables, tables_of
from dispatch.engine.world import World
from dispatch.kernels.candidates import FreeCars, OpenOrders
from dispatch.kernels.jit import direct
from dispatch.kernels.plain_step import LOOK_CLOSER, Changing, Fixed
from dispatch.kernels.refusals import Refusals

_STEP: Final = direct("plain_step.step")


class _Kept(NamedTuple):
    """What the kernel was told last, and what that was made of."""

    world: World
    tables: KernelTables
    columns: tuple[OpenOrders, FreeCars]
    live: NDArray[np.int32]
    refusals: Refusals
    told: tuple[Fixed, Changing]


def step_plainly(state: EngineState, world: World, fare: FareRule, now_ms: int) -> bool:
    """Find candidates, match and make offers, as the long way does; tell whether that was all of the step.

    It is where a table tells travel times, the policy just matches in batches (without a price of risk, or
    changes of drivers), no pair of an order and a driver has a cost of its own, nothing has timed out, and no
    order has to look at all drivers. Else nothing was done but what the long way does again.
    """
    has_pair_costs = state.orders.has_pair_costs()  # asked first: it forgets those of finished orders
    if has_pair_costs or world.timetable is None or not world.is_plain:
        return False
    orders, told = state.orders, _told(state, world, fare)
    orders.num_live, num_events = _STEP.call(
        orders.num_live,
        now_ms,
        now_ms + world.offer_timeout_ms,
        *told,
        state.log.room(2 * orders.num_live),
    )
    if num_events == LOOK_CLOSER:
        return False
    if num_events:
        state.log.keep(num_events)
        state.latest_ms = max(state.latest_ms, now_ms)
    return True


def _told(state: EngineState, world: World, fare: FareRule) -> tuple[Fixed, Changing]:
    """Give all that the kernel reads and writes; made anew only where something of it was replaced."""
    tables, columns, live = tables_of(state, world, fare), columns_of(state), state.orders.live
    refusals = state.orders.refusals(0)
    kept: _Kept | None = state.views.get("plain step")
    if (
        kept is not None
        and kept.tables is tables
        and kept.columns is columns
        and kept.live is live
        and kept.refusals is refusals
        and kept.world is world
    ):
        return kept.told
    known, parties, _, offered = tables
    assert world.timetable is not None
    told = (
        Fixed(world.rules, world.places, world.timetable, known),
        Changing(live, state.orders.expires_at_ms, *columns, parties, offered, refusals),
    )
    state.views["plain step"] = _Kept(world, tables, columns, live, refusals, told)
    return told
