"""Taking orders in."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine import desk
from dispatch.engine.commit import EngineState
from dispatch.engine.inputs import DEGREES, IDS, NODES, ORDER_LIMITS, NewOrders, as_ids
from dispatch.engine.world import World
from dispatch.errors import InputError
from dispatch.kernels import submission as kernels
from dispatch.kernels.candidates import Timetable
from dispatch.kernels.checks import first_outside
from dispatch.kernels.jit import direct
from dispatch.units import LATEST_MS, MS_PER_S, NO_INDEX, UNREACHABLE_MS

_TAKE_IN_TIMED: Final = direct("submission.take_in_timed")
_LIMITS: Final = np.array([LATEST_MS, *(limit for pair in ORDER_LIMITS.values() for limit in pair)], np.int64)
_DTYPES: Final = {
    "order_id": IDS,
    "pickup_lon": DEGREES,
    "pickup_lat": DEGREES,
    "dropoff_lon": DEGREES,
    "dropoff_lat": DEGREES,
    "submitted_at_ms": IDS,
    "pickup_node": NODES,
    "dropoff_node": NODES,
    **dict.fromkeys(ORDER_LIMITS, IDS),
}
"""Columns as kernels take them."""
_FIRST_OPTIONAL: Final = len(_DTYPES) - len(ORDER_LIMITS)
_NOT_TOLD: Final = np.empty(0, np.int64)


def submit(state: EngineState, world: World, new_orders: NewOrders, rows: slice | None) -> None:
    """Take orders in; see :meth:`Dispatcher.submit`."""
    is_sorted = False
    if rows is None:
        told = _as_arrays(new_orders)
        begin, end = 0, 0 if told is None else len(told.order_id)
    else:
        told, is_sorted = _as_kept_arrays(state, new_orders)
        begin, end = _bounds(rows, new_orders if told is None else told)
    times = None
    if told is not None and end > begin:
        at_ms = told.submitted_at_ms
        latest_ms = int(at_ms[end - 1] if is_sorted else at_ms[begin:end].max())
        times = world.at(latest_ms).timetable if abs(latest_ms) <= LATEST_MS else None
        if times is not None and _take_in(state, world, told, (begin, end), latest_ms, times):
            return
    if rows is not None:
        new_orders = new_orders.part(slice(begin, end))
        told = _as_arrays(new_orders)
    if told is None or times is not None or not _is_in_order(state, world, told):
        told = _looked_at_closely(state, world, new_orders)
    num_new = len(told.order_id)
    if not num_new:
        return
    latest_ms = int(told.submitted_at_ms.max())
    trip_ms = world.at(latest_ms).pairs_ms(told.pickup_node, told.dropoff_node)
    row = first_outside(trip_ms, 0, UNREACHABLE_MS - 1)
    if row != NO_INDEX:
        raise desk.unreachable(told.order_id, row)
    _take_in(state, world, told, (0, num_new), latest_ms, trip_ms)


def _bounds(rows: slice, told: NewOrders | kernels.Told) -> tuple[int, int]:
    """Give the first of some rows and the one behind the last; the latter is not before the former."""
    ids = told.order_id if isinstance(told, kernels.Told) else as_ids("order_id", told.order_id)
    try:
        begin, end, step = rows.indices(len(ids))
    except (AttributeError, TypeError):
        step = 0
    if step != 1:
        raise InputError(f"rows is {rows!r}: it must be a slice of rows that follow each other")
    return begin, max(begin, end)


def _take_in(
    state: EngineState,
    world: World,
    told: kernels.Told,
    rows: tuple[int, int],
    latest_ms: int,
    times: Timetable | NDArray[np.int32],
) -> bool:
    """Write the new orders of `rows`, from one to before another, into table and log.

    With travel times of all trips (n,) they must be right. With a table of travel times they are checked,
    too; false: nothing was written, it takes a closer look.
    """
    orders, num_new = state.orders, rows[1] - rows[0]
    orders.make_room(num_new)
    versions = orders.version, orders.ids.version, len(orders.live)
    if state.views.get("new rows", (None,))[0] != versions:
        columns = kernels.NewRows(*(getattr(orders, name) for name in kernels.NewRows._fields))
        register = kernels.Register(orders.ids.slot_id, orders.ids.slot_row, orders.live)
        state.views["new rows"] = versions, (register, columns, round(world.params.max_wait_s * MS_PER_S))
    register, columns, max_wait_ms = state.views["new rows"][1]
    log = state.log.room(num_new)
    entry = kernels.Entry(*rows, orders.num_rows, orders.num_live, max_wait_ms)
    if not isinstance(times, Timetable):
        kernels.take_in(told, times, entry, register, columns, log)
    elif not _TAKE_IN_TIMED.call(told, _LIMITS, state.clock_ms, entry, times, register, columns, log):
        return False
    orders.count(num_new)
    state.log.keep(num_new)
    state.latest_ms = max(state.latest_ms, latest_ms)
    return True


def _as_arrays(new_orders: NewOrders) -> kernels.Told | None:
    """Give new orders as kernels take them, if they are arrays as these want them."""
    given: list[NDArray[Any]] = []
    shape = getattr(new_orders.order_id, "shape", ())
    if len(shape) != 1:
        return None
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
    return kernels.Told(*given)


def _as_kept_arrays(state: EngineState, new_orders: NewOrders) -> tuple[kernels.Told | None, bool]:
    """Give new orders as kernels take them, and whether they come in the order of time.

    They are looked at only once, however many of their rows are submitted.
    """
    kept = state.views.get("told")
    if kept is None or kept[0] is not new_orders:
        told = _as_arrays(new_orders)
        is_sorted = told is not None and bool((np.diff(told.submitted_at_ms) >= 0).all())
        kept = state.views["told"] = new_orders, (told, is_sorted)
    of_all: tuple[kernels.Told | None, bool] = kept[1]
    return of_all


def _is_in_order(state: EngineState, world: World, told: kernels.Told) -> bool:
    """Tell whether new orders are plainly in order; with others it takes a closer look."""
    ids, num_nodes = state.orders.ids, len(world.node_x)
    in_order: bool = kernels.is_in_order(told, _LIMITS, num_nodes, state.clock_ms, ids.slot_id, ids.slot_row)
    return in_order


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
