"""Taking orders in."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine import desk
from dispatch.engine.commit import EngineState
from dispatch.engine.inputs import LATEST_MS, ORDER_LIMITS, NewOrders
from dispatch.engine.vehicles import asked_bits
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.kernels import submission as kernels
from dispatch.units import MS_PER_S, NO_INDEX, UNREACHABLE_MS

_LIMITS: Final = np.array([LATEST_MS, *(limit for pair in ORDER_LIMITS.values() for limit in pair)], np.int64)
_DTYPES: Final = {
    "order_id": np.int64,
    "pickup_lon": np.float64,
    "pickup_lat": np.float64,
    "dropoff_lon": np.float64,
    "dropoff_lat": np.float64,
    "submitted_at_ms": np.int64,
    "pickup_node": np.int32,
    "dropoff_node": np.int32,
}
_NOT_TOLD: Final = np.empty(0, np.int64)
_ALL_ALIKE: Final = np.empty(0, np.int64)


def submit(state: EngineState, world: World, new_orders: NewOrders) -> None:
    """Take orders in; see :meth:`Dispatcher.submit`."""
    told = _in_order(state, world, new_orders)
    if told is None:
        told = _looked_at_closely(state, world, new_orders)
    if not len(told.order_id):
        return
    latest_ms = int(told.submitted_at_ms.max())
    trip_ms = world.at(latest_ms).pairs_ms(told.pickup_node, told.dropoff_node)
    wrong = np.flatnonzero(trip_ms >= UNREACHABLE_MS)
    if len(wrong):
        raise desk.unreachable(told.order_id, int(wrong[0]))
    orders, num_new = state.orders, len(told.order_id)
    first_row = orders.add(told.order_id).start
    max_wait_ms = round(world.params.max_wait_s * MS_PER_S)
    columns = kernels.NewRows(*(getattr(orders, name) for name in kernels.NewRows._fields))
    log = state.log.room(num_new)
    kernels.take_in(told, trip_ms, _class_bits(told), first_row, max_wait_ms, columns, log)
    state.log.keep(num_new)
    state.latest_ms = max(state.latest_ms, latest_ms)


def _in_order(state: EngineState, world: World, new_orders: NewOrders) -> kernels.Told | None:
    """Give new orders as kernels take them, if they are arrays as these want them and plainly in order.

    Nothing is wrong with others: it takes a closer look to tell.
    """
    given: list[NDArray[Any]] = []
    num_rows = len(new_orders.order_id) if isinstance(new_orders.order_id, np.ndarray) else -1
    for name in kernels.Told._fields:
        values = getattr(new_orders, name)
        if values is None and name in ORDER_LIMITS:
            given.append(_NOT_TOLD)
            continue
        is_plain = (
            type(values) is np.ndarray
            and values.dtype == _DTYPES.get(name, np.int64)
            and values.shape == (num_rows,)
            and values.flags.carray
        )
        if not is_plain:
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


def _class_bits(told: kernels.Told) -> NDArray[np.int64]:
    """Give which cars may serve the orders (n,), (0,) where all may."""
    if not len(told.passengers) and not len(told.vehicle_class):
        return _ALL_ALIKE
    nothing = np.zeros(len(told.order_id), np.int64)
    return asked_bits(
        told.vehicle_class if len(told.vehicle_class) else nothing,
        told.passengers if len(told.passengers) else nothing,
    )
