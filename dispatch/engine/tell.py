"""What callers tell in bulk: events of many kinds in one call, checked in their sequence, all or nothing."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState
from dispatch.engine.events import EventKind, Events
from dispatch.engine.lifecycle import RULES, DriverStatus, OrderStatus
from dispatch.engine.orders import Orders
from dispatch.engine.params import FareRule
from dispatch.engine.world import World
from dispatch.errors import InputError, StateError
from dispatch.kernels import happenings as kernels
from dispatch.kernels.jit import direct
from dispatch.kernels.offering import OfferColumns
from dispatch.kernels.transition import ALL_LEGAL, ILLEGAL_STATUS, TIME_BACKWARDS, Parties

_APPLY: Final = direct("happenings.apply_told")
_ORDER_TO: Final = np.stack([RULES[kind].order_to for kind in EventKind])
_DRIVER_TO: Final = np.stack([RULES[kind].driver_to for kind in EventKind])
TOLD: Final = (
    EventKind.DRIVER_ONLINE,
    EventKind.DRIVER_OFFLINE,
    EventKind.OFFER_ACCEPTED,
    EventKind.OFFER_DECLINED,
    EventKind.ORDER_UNASSIGNED,
    EventKind.DRIVER_ARRIVED,
    EventKind.PICKED_UP,
    EventKind.DROPPED_OFF,
    EventKind.ORDER_CLOSED,
    EventKind.ORDER_CANCELLED,
    EventKind.CRUISING_LEG,
    EventKind.REPOSITIONING_LEG,
    EventKind.ABANDONED_LEG,
)
"""The kinds that callers tell; all others are the engine's own."""


def tell(state: EngineState, world: World, fare: FareRule, told: Events, node: NDArray[np.int32]) -> None:
    """Apply events (n,) that happened outside of the engine; see :meth:`Dispatcher.apply`."""
    orders = state.orders
    known, parties, tables, _ = tables_of(state, world, fare)
    log = state.log.room(2 * len(told))
    verdict, row, num_logged, num_refusals, latest_ms = _APPLY.call(
        told,
        node,
        known,
        state.clock_ms,
        orders.num_refusals,
        kernels.State(parties, tables, orders.refusals(len(told))),
        log,
    )
    if verdict != ALL_LEGAL:
        raise _refusal(state, told, row, verdict)
    state.log.keep(num_logged)
    orders.num_refusals = num_refusals
    state.latest_ms = max(state.latest_ms, latest_ms)


class KernelTables(NamedTuple):
    """The tables as kernels take them."""

    known: kernels.Known
    parties: Parties
    tables: kernels.Tables
    offered: OfferColumns


def tables_of(state: EngineState, world: World, fare: FareRule) -> KernelTables:
    """Give the tables as kernels take them; made anew only where columns were replaced."""
    orders, fleet = state.orders, state.fleet
    # Versions only grow: their sum is as good as all of them.
    version = orders.version + orders.ids.version + fleet.version + fleet.ids.version
    kept = state.views.get("tables")
    if kept is None or kept[0] != version or kept[2] is not fare:
        made = KernelTables(
            _known(state, world, fare), _parties(state), _tables(state), _offered(state.orders)
        )
        kept = state.views["tables"] = version, made, fare
    return kept[1]


def _known(state: EngineState, world: World, fare: FareRule) -> kernels.Known:
    orders, fleet = state.orders, state.fleet
    return kernels.Known(
        orders.ids.slot_id,
        orders.ids.slot_row,
        fleet.ids.slot_id,
        fleet.ids.slot_row,
        _ORDER_TO,
        _DRIVER_TO,
        np.ascontiguousarray(world.city.graph.node_lon),
        np.ascontiguousarray(world.city.graph.node_lat),
        world.node_x,
        world.node_y,
        fare.numbers,
    )


def _parties(state: EngineState) -> Parties:
    orders, fleet = state.orders, state.fleet
    return Parties(
        orders.order_id,
        orders.status,
        orders.changed_at_ms,
        orders.driver_idx,
        fleet.driver_id,
        fleet.status,
        fleet.changed_at_ms,
    )


def _offered(orders: Orders) -> OfferColumns:
    return OfferColumns(orders.cars_shown, orders.offer_expires_at_ms, orders.eta_ms, orders.nearest_eta_ms)


def _tables(state: EngineState) -> kernels.Tables:
    orders, fleet = state.orders, state.fleet
    return kernels.Tables(
        orders.pickup_lon,
        orders.pickup_lat,
        orders.dropoff_lon,
        orders.dropoff_lat,
        orders.dropoff_node,
        orders.trip_ms,
        orders.eta_ms,
        orders.nearest_eta_ms,
        orders.offer_expires_at_ms,
        orders.picked_up_at_ms,
        orders.promised_at_ms,
        orders.miss_predicted,
        fleet.vehicle_class,
        fleet.lon,
        fleet.lat,
        fleet.x,
        fleet.y,
        fleet.node,
        fleet.position_at_ms,
    )


def _refusal(state: EngineState, told: Events, row: int, verdict: int) -> Exception:
    """Say why row `row` cannot be; the rows before it have been taken back."""
    event = told[row]
    kind, order_id, driver_id = int(event["kind"]), int(event["order_id"]), int(event["driver_id"])
    name = EventKind(kind).name if 0 <= kind < len(EventKind) else f"kind {kind}"
    at = f"row {row}, {name}"
    nothing = "nothing was applied"
    if verdict == kernels.NO_SUCH_KIND:
        names = ", ".join(one.name for one in TOLD)
        return InputError(f"{at}: it must be one of {names}; {nothing}")
    if verdict == kernels.UNKNOWN_ORDER:
        return InputError(f"{at}: order_id is {order_id}: no such order is known; {nothing}")
    if verdict == kernels.UNKNOWN_DRIVER:
        return InputError(f"{at}: driver_id is {driver_id}: no such driver is known; {nothing}")
    if verdict == kernels.NO_PLACE:
        return InputError(f"{at}: it needs a place on the network; {nothing}")
    if verdict == kernels.NO_INSTANT:
        return InputError(
            f"{at}: at_ms is {int(event['at_ms'])}: it must be milliseconds since 1970 and before 2200; "
            f"{nothing}"
        )
    if verdict == kernels.NO_NODE:
        return InputError(f"{at}: its node is none of the network's; {nothing}")
    if verdict == kernels.NO_METRES:
        return InputError(f"{at}: leg_m is {int(event['leg_m'])}: it must be 0 or more; {nothing}")
    if verdict == kernels.OTHER_DRIVER:
        return StateError(f"{at}: order {order_id} is not with driver {driver_id}; {nothing}")
    if verdict == kernels.DEAD_OFFER:
        return StateError(
            f"{at}: there is no live offer of order {order_id} to driver {driver_id}; {nothing}"
        )
    if verdict == ILLEGAL_STATUS:
        return StateError(f"{at}: it is not legal {_standing(state, told, row)}; {nothing}")
    if verdict == TIME_BACKWARDS:
        return InputError(
            f"{at}: at_ms is {int(event['at_ms'])}: time goes backwards, the latest step or an event of the "
            f"same order or driver came later; send the time at which you learnt of it; {nothing}"
        )
    raise AssertionError(verdict)  # pragma: no cover - every verdict is told above


def _standing(state: EngineState, told: Events, row: int) -> str:
    """Say where order and driver stand, or that an earlier row of the same call concerns them."""
    event, who = told[row], []
    for table, field in ((state.orders, "order_id"), (state.fleet, "driver_id")):
        if event[field] < 0:
            continue
        if (told[field][:row] == event[field]).any():
            return "after the rows before it"
        status = table.status[table.ids.rows(np.array([event[field]]))[0]]
        meaning = OrderStatus(status) if field == "order_id" else DriverStatus(status)
        who.append(f"{field.removesuffix('_id')} {event[field]} is {meaning.name}")
    return f"while {' and '.join(who)}"
