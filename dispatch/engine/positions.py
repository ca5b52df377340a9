"""Positions of drivers who are known, on nodes that the caller knows."""

from __future__ import annotations

import numpy as np

from dispatch.engine.commit import EngineState
from dispatch.engine.inputs import DEGREES, IDS, NODES, Positions, is_plain
from dispatch.engine.params import FareRule
from dispatch.engine.tell import tables_of
from dispatch.engine.world import World
from dispatch.kernels.jit import direct
from dispatch.kernels.positions import NOT_IN_ORDER

_MOVE_ALL = direct("positions.move_all")


def move_plainly(
    state: EngineState, world: World, fare: FareRule, told: Positions, latest_ms: int
) -> int | None:
    """Move drivers in one crossing into compiled code, if the caller's arrays are such and plainly in order.

    Gives how many positions were ignored, being older than the one known or later than `latest_ms`; None:
    nothing was done, it takes a closer look, which may find nothing wrong.
    """
    at_ms = np.array([told.at_ms]) if isinstance(told.at_ms, int) else told.at_ms
    columns = (
        (told.driver_id, IDS),
        (told.lon, DEGREES),
        (told.lat, DEGREES),
        (told.node, NODES),
    )
    if not all(is_plain(values, dtype) for values, dtype in (*columns, (at_ms, IDS))):
        return None
    num = len(told.driver_id)
    if len(at_ms) not in (1, num) or any(len(values) != num for values, _ in columns):
        return None
    known, _, tables, _ = tables_of(state, world, fare)
    num_ignored: int = _MOVE_ALL.call(
        told.driver_id, told.lon, told.lat, at_ms, told.node, latest_ms, known, tables
    )
    return None if num_ignored == NOT_IN_ORDER else num_ignored
