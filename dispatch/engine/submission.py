"""Taking orders in."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine import desk
from dispatch.engine.commit import EngineState
from dispatch.engine.inputs import ORDER_LIMITS, NewOrders
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.kernels import submission as kernels
from dispatch.kernels.checks import first_outside
from dispatch.units import LATEST_MS, MS_PER_S, NO_INDEX, UNREACHABLE_MS

_LIMITS: Final = np.array([LATEST_MS, *(limit for pair in ORDER_LIMITS.values() for limit in pair)], np.int64)
_IDS, _DEGREES, _NODES = np.dtype(np.int64), np.dtype(np.float64), np.dtype(np.int32)
_DTYPES: Final = {
    "order_id": _IDS,
    "pickup_lon": _DEGREES,
    "pickup_lat": _DEGREES,
    "dropoff_lon": _DEGREES,
    "dropoff_lat": _DEGREES,
    "submitted_at_ms": _IDS,
    "pickup_node": _NODES,
    "dropoff_node": _NODES,
    **dict.fromkeys(ORDER_LIMITS, _IDS),
}
"""Columns as kernels take them; numpy has one object for each of its own types."""
_FIRST_OPTIONAL: Final = len(_DTYPES) - len(ORDER_LIMITS)
_NOT_TOLD: Final = np.empty(0, np.int64)


def submit(state: EngineState, world: World, new_orders: NewOrders) -> None:
    """Take orders in; see :meth:`Dispatcher.submit`."""
    told = _in_order(state, world, new_orders)
    if told is None:
        told = _looked_at_closely(state, world, new_orders)
    if not len(told.order_id):
        return
    latest_ms = int(told.submitted_at_ms.max())
    trip_ms = world.at(latest_ms).pairs_ms(told.pickup_node, told.dropoff_node)
    row = first_outside(trip_ms, 0, UNREACHABLE_MS - 1)
    if row != NO_INDEX:
        raise desk.unreachable(told.order_id, row)
    orders, num_new = state.orders, len(told.order_id)
    first_row = orders.add(told.order_id).start
    max_wait_ms = round(world.params.max_wait_s * MS_PER_S)
    if state.views.get("new rows", (None,))[0] != orders.version:
        columns = kernels.NewRows(*(getattr(orders, name) for name in kernels.NewRows._fields))
        state.views["new rows"] = orders.version, columns
    log = state.log.room(num_new)
    kernels.take_in(told, trip_ms, first_row, max_wait_ms, state.views["new rows"][1], log)
    state.log.keep(num_new)
    state.latest_ms = max(state.latest_ms, latest_ms)


def _in_order(state: EngineState, world: World, new_orders: NewOrders) -> kernels.Told | None:
    """Give new orders as kernels take them, if they are arrays as these want them and plainly in order.

    Nothing is wrong with others: it takes a closer look to tell.
    """
    given: list[NDArray[Any]] = []
    shape = getattr(new_orders.order_id, "shape", None)
    for name, dtype in _DTYPES.items():
        values = getattr(new_orders, name)
        if values is None and len(given) >= _FIRST_OPTIONAL:
            values = _NOT_TOLD
        elif not (
            type(values) is np.ndarray
            and values.dtype is dtype
            and values.shape == shape
            and values.flags.carray
        ):
            return None
        given.append(values)
    told, ids = kernels.Told(*given), state.orders.ids
    num_nodes = len(world.node_x)
    if kernels.is_in_order(told, _LIMITS, num_nodes, state.clock_ms, ids.slot_id, ids.slot_row):
        return told
    return None


def _looked_at_closely(state: EngineState, world: World, new_orders: NewOrders) -> kernels.Told:
    """Read new orders of any kind, and say what is wrong with them."""
    checked = new_orders.checked(len(world.node_x))
    known = np.flatnonzero(state.orders.ids.rows(checked.order_id) != NO_INDEX)
    if len(known):
        raise InputError(
            f"order_id[{known[0]}] is {checked.order_id[known[0]]}: an order of that id is known already"
        )
    early = np.flatnonzero(checked.submitted_at_ms < state.clock_ms)
    if len(early):
        raise InputError(
            f"submitted_at_ms[{early[0]}] is {checked.submitted_at_ms[early[0]]}: time goes backwards, the "
            f"latest step or event was at {state.clock_ms}"
        )
    pickup_node, dropoff_node = desk.ends_of(world, checked)
    optional = (getattr(checked, name) for name in ORDER_LIMITS)
    return kernels.Told(
        checked.order_id,
        checked.pickup_lon,
        checked.pickup_lat,
        checked.dropoff_lon,
        checked.dropoff_lat,
        checked.submitted_at_ms,
        pickup_node,
        dropoff_node,
        *(_NOT_TOLD if values is None else values for values in optional),
    )
