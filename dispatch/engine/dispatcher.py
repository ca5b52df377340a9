"""The face of the engine: bulk commands in, events out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.engine import desk, offers, positions as positions_of
from dispatch.engine.candidates import columns_of_cars
from dispatch.engine.commit import NEVER, EngineState, Happening, commit
from dispatch.engine.desk import NearbyCars, Quote
from dispatch.engine.events import EVENT_DTYPE, EventKind, Events
from dispatch.engine.explain import explained
from dispatch.engine.explanations import Explanation
from dispatch.engine.inputs import (
    NODES,
    NewDrivers,
    NewOrders,
    Positions,
    as_ids,
    as_instant,
    as_instants,
    as_lonlat,
    as_numbers,
    check_as_many,
    is_plain,
)
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.engine.pair_terms import PairTerms
from dispatch.engine.params import DispatchParams, FareRule
from dispatch.engine.pickups import PickupEtas, pickup_etas, reestimate
from dispatch.engine.plain_step import step_plainly
from dispatch.engine.plan import plan
from dispatch.engine.preposition import advise
from dispatch.engine.submission import submit
from dispatch.engine.tell import tell
from dispatch.engine.terms import DriverTerms
from dispatch.engine.vehicles import served_bits
from dispatch.engine.world import World
from dispatch.errors import InputError, StateError
from dispatch.kernels.candidates import queue_up
from dispatch.roads.city import City
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import TravelTimes, as_nodes
from dispatch.units import LATEST_MS, MS_PER_S, NO_COORDINATE, NO_INDEX

_MAX_AHEAD_MS: Final = 3600 * MS_PER_S
"""A position from later than this after the latest step is from a wrong clock."""


_PLACED: Final = (
    EventKind.DRIVER_ONLINE,
    EventKind.CRUISING_LEG,
    EventKind.REPOSITIONING_LEG,
    EventKind.ABANDONED_LEG,
)
"""What callers tell with a place."""


class Dispatcher:
    """Match orders with drivers, offer by offer; embedded, without files, threads or globals.

    Feed positions and orders, call :meth:`step` every few seconds, hand the offers among its events
    to your drivers and their answers back. Every command takes arrays (n,), is checked as a whole, and
    is applied as a whole or not at all: ``order_id`` and ``driver_id`` are int64, instants (``at_ms``)
    int64 milliseconds since the epoch; a single instant serves every row.

    Parameters
    ----------
    city : City
        The network on which positions are matched.
    travel_times : TravelTimes or ByTime[TravelTimes], optional
        Travel times between its nodes; by default along its roads at free-flow speed. Where they change with
        time, every command uses those of its own instant, for whole trips.
    params : DispatchParams, optional
    fare : FareRule, optional
        Prices quotes and finished trips.
    node_rank : (nodes,) int32, optional
        Taxi rank that each node belongs to, ``NO_INDEX`` for none. Idle drivers at a rank's nodes queue: its
        orders go to the first in the queue whose car suits, and the others get no orders from elsewhere.

    Examples
    --------
    See the embedding example of the README, which the tests execute.
    """

    def __init__(
        self,
        city: City,
        travel_times: TravelTimes | ByTime[TravelTimes] | None = None,
        params: DispatchParams | None = None,
        fare: FareRule | None = None,
        node_rank: NDArray[np.int32] | None = None,
    ) -> None:
        if travel_times is None:
            travel_times = city.free_flow()
        self.fare = fare or FareRule()
        self._world = World.of(city, travel_times, params or DispatchParams(), node_rank)
        self._state = EngineState()

    @property
    def city(self) -> City:
        """The network."""
        return self._world.city

    @property
    def params(self) -> DispatchParams:
        """What steers the matching."""
        return self._world.params

    @property
    def travel_times(self) -> TravelTimes | ByTime[TravelTimes]:
        """Travel times between nodes, as given."""
        world = self._world
        return world.by_time or world.uncertain or world.travel_times

    # --- anything, in bulk ---------------------------------------------------------------------

    def apply(self, events: Events, node: NDArray[np.int32] | None = None) -> None:
        """Tell what happened outside: events of many kinds, of many orders and drivers, in one call.

        The same as the commands one by one, in the sequence of the rows, but for one crossing into compiled
        code: for those to whom 20 µs a command matter, and for replaying a log.

        Parameters
        ----------
        events : (n,) EVENT_DTYPE
            As :func:`dispatch.make_events` gives them. Of each row, ``kind``, ``at_ms`` and ids count:
            ``driver_id`` for drivers coming on or off duty, answers and legs; ``order_id`` for all on orders;
            ``leg_m`` for arrivals, drop-offs and legs. Drivers must be known: new ones by
            :meth:`register_drivers`. The rest is filled in by the engine. An accepted offer
            is assigned at once. Legs (``CRUISING_LEG``, ``REPOSITIONING_LEG``, ``ABANDONED_LEG``) only log
            metres driven without a passenger, and where they ended.
        node : (n,) int32, optional
            Node at which a driver comes on duty or a leg ends, ``NO_INDEX`` on other rows; else places are
            taken from ``lon_e6`` and ``lat_e6`` and snapped.

        Raises
        ------
        StateError, InputError
            As of the commands; nothing was applied.
        """
        if len(events):
            tell(self._state, self._world, self.fare, *self._as_told(events, node))

    def _as_told(self, events: Events, node: NDArray[np.int32] | None) -> tuple[Events, NDArray[np.int32]]:
        if getattr(events, "dtype", None) != EVENT_DTYPE or events.ndim != 1:
            raise InputError("events must be a one-dimensional array of EVENT_DTYPE: use make_events")
        if not events.flags.carray:
            events = np.require(events, requirements=["C", "W"]).copy()
        if node is not None:
            checked = node if is_plain(node, NODES) else as_nodes("node", node)
            if len(checked) != len(events):
                raise InputError(
                    f"node has {len(checked)} rows for {len(events)} events: it must hold one a row"
                )
            return events, checked
        found = np.full(len(events), NO_INDEX, np.int32)
        placed = np.flatnonzero(np.isin(events["kind"], _PLACED) & (events["lon_e6"] != NO_COORDINATE))
        if len(placed):
            lon, lat = events["lon_e6"][placed] / 1e6, events["lat_e6"][placed] / 1e6
            found[placed] = self._world.snap(*as_lonlat("", lon, lat, len(placed)), "")
        return events, found

    # --- drivers -------------------------------------------------------------------------------

    def register_drivers(self, new_drivers: NewDrivers) -> None:
        """Make drivers and their cars known, off duty; of known ones, the car changes.

        Drivers who come on duty without that may serve every order.
        """
        told = new_drivers.checked()
        fleet = self._state.fleet
        rows = fleet.register(told.driver_id)
        fleet.vehicle_class[rows] = told.vehicle_class
        fleet.set_cars(rows, served_bits(told.vehicle_class, told.seats, self.params.upgrades))

    def set_driver_terms(self, terms: DriverTerms) -> None:
        """Say in numbers what is known of drivers as people, from the next step on; new ids are new drivers.

        A driver who is not eligible finishes what it has and may accept the offer that it has, but gets no
        others.
        """
        told = terms.checked()
        self._state.fleet.set_terms(self._state.fleet.register(told.driver_id), told)

    def drivers_online(self, positions: Positions) -> None:
        """Take drivers on duty where they are; new ids are new drivers.

        Raises
        ------
        StateError
            If one of them is on duty already.
        """
        told, node = self._located(positions)
        known = self._state.fleet.ids.rows(told.driver_id)
        on_duty = np.flatnonzero(
            (known != NO_INDEX) & (self._state.fleet.status[known] != DriverStatus.OFFLINE)
        )
        if len(on_duty):
            row = on_duty[0]
            raise StateError(
                f"driver_id[{row}] is {told.driver_id[row]}: already on duty; update_positions moves a driver"
            )
        self._check_clock(told.at_ms, "at_ms", known)
        rows = self._state.fleet.register(told.driver_id)
        columns = _at(told.lon, told.lat) | {"vehicle_class": self._state.fleet.vehicle_class[rows]}
        commit(self._state, _of_drivers(EventKind.DRIVER_ONLINE, told.at_ms, rows), **columns)
        self._place(rows, told, node)

    def drivers_offline(self, driver_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Take idle drivers off duty; a busy one finishes or gives up its order first (StateError)."""
        rows, at = self._known_drivers(driver_id, at_ms)
        fleet = self._state.fleet
        where = _at(fleet.lon[rows], fleet.lat[rows])
        commit(self._state, _of_drivers(EventKind.DRIVER_OFFLINE, at, rows), **where)

    def update_positions(self, positions: Positions) -> tuple[int, int]:
        """Move drivers.

        A position older than the one known is ignored, not an error: GPS comes late. So is one that lies
        more than an hour after the latest step: a phone with a wrong clock would else seem fresh for ever.

        Returns
        -------
        num_ignored, num_off_network : int
            How many were ignored, and how many of the others lie farther than ``snap_limit_m`` from any
            street: those drivers are no candidates until they are back.
        """
        latest_ms = LATEST_MS if self._state.clock_ms == NEVER else self._state.clock_ms + _MAX_AHEAD_MS
        num_ignored = positions_of.move_plainly(self._state, self._world, self.fare, positions, latest_ms)
        if num_ignored is not None:
            return num_ignored, 0
        told, node = self._located(positions)
        rows = self._state.fleet.ids.known_rows(told.driver_id, "driver_id")
        used = (told.at_ms >= self._state.fleet.position_at_ms[rows]) & (told.at_ms <= latest_ms)
        self._place(rows, told, node, used)
        return int((~used).sum()), int((node[used] == NO_INDEX).sum())

    # --- orders --------------------------------------------------------------------------------

    def submit(self, new_orders: NewOrders, rows: slice | None = None) -> None:
        """Take orders in.

        Parameters
        ----------
        new_orders : NewOrders
        rows : slice, optional
            Only these rows: for callers who hold the orders of a day, and submit each in its time. The
            columns must not change meanwhile. Errors count rows from the first of them.

        Raises
        ------
        InputError
            For a known id, an end off the network, a drop-off that cannot be reached, or a time
            before the latest step.
        """
        submit(self._state, self._world, new_orders, rows)

    def set_pair_terms(self, terms: PairTerms) -> None:
        """Say which drivers had better not serve certain orders, or must not, from the next step on.

        New ids of drivers are new drivers. A live offer stays, and so does an order's driver, unless the
        policy reassigns. While a pair of an order that is not finished costs something, steps take longer.
        """
        told = terms.checked()
        orders = self._state.orders
        order_idx = orders.ids.known_rows(told.order_id, "order_id")
        ids, row = np.unique(told.driver_id, return_inverse=True)
        driver_idx = self._state.fleet.register(ids)[row]
        orders.pair_costs.set(order_idx, driver_idx, told.cost_ms)
        barred = np.flatnonzero((told.may_meet == 0) & ~orders.refused(order_idx, driver_idx))
        orders.refuse(order_idx[barred], driver_idx[barred])

    def cancel(self, order_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Cancel orders whose passenger is not on board; their drivers are idle again."""
        rows, at = self._known_orders(order_id, at_ms)
        commit(self._state, self._of_orders(EventKind.ORDER_CANCELLED, at, rows))

    # --- answers to offers ---------------------------------------------------------------------

    def accept(self, order_id: ArrayLike, driver_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Accept live offers: each driver is on the way to its order."""
        offers.accept(self._state, self._answered(order_id, driver_id, at_ms))

    def decline(self, order_id: ArrayLike, driver_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Decline live offers: the orders are open again, and never offered to the same driver."""
        offers.refuse(self._state, self._answered(order_id, driver_id, at_ms))

    # --- by hand -------------------------------------------------------------------------------

    def assign(self, order_id: ArrayLike, driver_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Give open orders to idle drivers by hand, without an offer."""
        order_idx, at = self._known_orders(order_id, at_ms)
        driver_idx = self._drivers_of(order_idx, driver_id)
        by_hand = Happening(EventKind.ORDER_ASSIGNED, at, order_idx, driver_idx)
        desk.assign(self._state, self._world_at(at), by_hand)

    def unassign(self, order_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Take orders from drivers before the pickup; they are open, and not offered to them again."""
        rows, at = self._known_orders(order_id, at_ms)
        offers.refuse(self._state, self._of_orders(EventKind.ORDER_UNASSIGNED, at, rows))

    # --- the ride ------------------------------------------------------------------------------

    def arrive(self, order_id: ArrayLike, at_ms: ArrayLike, leg_m: ArrayLike) -> None:
        """Tell that drivers stand at the pickup after driving `leg_m` metres (n,) for it."""
        rows, at = self._known_orders(order_id, at_ms)
        orders = self._state.orders
        columns = _at(orders.pickup_lon[rows], orders.pickup_lat[rows])
        happening = self._of_orders(EventKind.DRIVER_ARRIVED, at, rows)
        commit(self._state, happening, leg_m=_metres(leg_m, len(rows)), **columns)

    def pick_up(self, order_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Tell that the passengers are on board."""
        rows, at = self._known_orders(order_id, at_ms)
        orders = self._state.orders
        commit(self._state, self._of_orders(EventKind.PICKED_UP, at, rows), eta_ms=orders.trip_ms[rows])
        orders.picked_up_at_ms[rows] = at

    def drop_off(self, order_id: ArrayLike, at_ms: ArrayLike, leg_m: ArrayLike) -> None:
        """Tell that trips ended at the drop-off after `leg_m` metres (n,); the drivers are idle there."""
        rows, at = self._known_orders(order_id, at_ms)
        orders = self._state.orders
        driven_m = _metres(leg_m, len(rows))
        happening = self._of_orders(EventKind.DROPPED_OFF, at, rows)
        columns = _at(orders.dropoff_lon[rows], orders.dropoff_lat[rows])
        fare = self.fare.fare_cents(driven_m.astype(np.float64), at - orders.picked_up_at_ms[rows])
        commit(self._state, happening, leg_m=driven_m, fare_cents=fare, **columns)
        node = orders.dropoff_node[rows]
        here = Positions(None, orders.dropoff_lon[rows], orders.dropoff_lat[rows], at)
        late = at < self._state.fleet.position_at_ms[happening.driver_idx]
        self._place(happening.driver_idx, here, node, ~late)

    def close(self, order_id: ArrayLike, at_ms: ArrayLike) -> None:
        """Close orders that are dropped off and paid."""
        rows, at = self._known_orders(order_id, at_ms)
        nobody = np.full(len(rows), NO_INDEX, np.int32)
        commit(self._state, Happening(EventKind.ORDER_CLOSED, at, rows, nobody))

    # --- time ----------------------------------------------------------------------------------

    def step(self, now_ms: int) -> Events:
        """Let time pass: time out offers and orders, match, offer.

        Parameters
        ----------
        now_ms : int
            Milliseconds since the epoch, not before the latest step or command.

        Returns
        -------
        Events
            Everything that happened since the last call, ordered by time; the ``ORDER_OFFERED`` among
            them await :meth:`accept` or :meth:`decline`.

        Notes
        -----
        If the caller's own travel times raise, what had timed out stays timed out, nothing is offered,
        and the step can be tried again.
        """
        state, now_ms = self._state, as_instant("now_ms", now_ms)
        if now_ms < max(state.clock_ms, state.latest_ms):
            raise InputError(
                f"now_ms is {now_ms}: time goes backwards, the latest step or command was at "
                f"{max(state.clock_ms, state.latest_ms)}"
            )
        world = self._world.at(now_ms)
        if world.reestimate_every_ms and now_ms >= state.reestimate_at_ms:
            reestimate(state, world, now_ms)
            state.reestimate_at_ms = now_ms + world.reestimate_every_ms
        if not step_plainly(state, world, self.fare, now_ms):
            offers.time_out(state, now_ms)
            if world.node_rank is not None:
                queue_up(now_ms, world.places, columns_of_cars(state.fleet))
            planned = plan(state, world, now_ms)
            offers.make(state, world, self.fare, planned, now_ms)
            if planned.reasons is not None:
                state.explanations.keep(planned.reasons, world.params.keep_explanations)
        if world.advise_every_ms and now_ms >= state.advise_at_ms:
            advise(state, world, now_ms)
            state.advise_at_ms = now_ms + world.advise_every_ms
        state.clock_ms = now_ms
        return state.log.take()

    def take_events(self) -> Events:
        """Hand out what happened since the last call of this or :meth:`step`.

        Nothing may happen before the latest of these events any more, as after a step.
        """
        self._state.clock_ms = max(self._state.clock_ms, self._state.latest_ms)
        return self._state.log.take()

    def forget_finished(self) -> int:
        """Give up the memory of closed, cancelled and expired orders; their ids are free again.

        Returns
        -------
        int
            How many were forgotten.
        """
        return self._state.orders.forget_finished()

    # --- looking -------------------------------------------------------------------------------

    def nearby(
        self, lon: float, lat: float, now_ms: int, *, num_cars: int = 10, radius_m: float = 3000.0
    ) -> NearbyCars:
        """Find the idle drivers around a place, nearest by air first; a stale position is no car."""
        now_ms = as_instant("now_ms", now_ms)
        return desk.nearby(self._state, self._world.at(now_ms), (lon, lat), now_ms, num_cars, radius_m)

    def quote(self, order: NewOrders, now_ms: int) -> Sequence[Quote]:
        """Quote orders without submitting them: pickup ETA, trip time and fare, one quote a row.

        By the free drivers who suit the order: class, seats, skills, and whether it may be upgraded.
        """
        asked, now_ms = order.checked(self.city.graph.num_nodes), as_instant("now_ms", now_ms)
        return desk.quote(self._state, self._world.at(now_ms), self.fare, asked, now_ms)

    def pickup_etas(self, order_id: ArrayLike) -> PickupEtas:
        """Tell when the drivers of orders will arrive, from where they were last: for a service to show."""
        rows = self._state.orders.ids.known_rows(as_ids("order_id", order_id), "order_id")
        world = self._world.at(max(self._state.clock_ms, 0))
        return pickup_etas(self._state, world, rows)

    def explain(self, order_id: int) -> Explanation:
        """Tell why an order has its driver: what each candidate would have cost at its latest matching.

        Parameters
        ----------
        order_id : int

        Raises
        ------
        StateError
            There is no explanation: none are kept, it was not matched yet, its driver was chosen by hand, or
            ``DispatchParams.keep_explanations`` orders were matched since.
        InputError
            No such order is known.
        """
        return explained(self._state, self._world, order_id)

    def order_status(self, order_id: ArrayLike) -> list[OrderStatus]:
        """Tell where orders stand."""
        rows = self._state.orders.ids.known_rows(as_ids("order_id", order_id), "order_id")
        return [OrderStatus(status) for status in self._state.orders.status[rows]]

    def driver_status(self, driver_id: ArrayLike) -> list[DriverStatus]:
        """Tell what drivers are doing."""
        rows = self._state.fleet.ids.known_rows(as_ids("driver_id", driver_id), "driver_id")
        return [DriverStatus(status) for status in self._state.fleet.status[rows]]

    def count(self) -> dict[str, int]:
        """Count drivers and remembered orders by status: ``{'driver_idle': 3, 'order_open': 1, …}``."""
        fleet, orders = self._state.fleet, self._state.orders
        drivers = np.bincount(fleet.status[: fleet.num_rows], minlength=len(DriverStatus))
        of_orders = np.bincount(orders.status[: orders.num_rows], minlength=len(OrderStatus))
        counts = {f"driver_{status.name.lower()}": int(drivers[status]) for status in DriverStatus}
        return counts | {f"order_{status.name.lower()}": int(of_orders[status]) for status in OrderStatus}

    # --- helpers -------------------------------------------------------------------------------

    def _world_at(self, at_ms: NDArray[np.int64]) -> World:
        """Give the world of the latest of the instants (n,) of a command."""
        return self._world.at(int(at_ms.max(initial=0)))

    def _known_orders(
        self, order_id: ArrayLike, at_ms: ArrayLike
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        ids = as_ids("order_id", order_id)
        return self._state.orders.ids.known_rows(ids, "order_id"), as_instants("at_ms", at_ms, len(ids))

    def _known_drivers(
        self, driver_id: ArrayLike, at_ms: ArrayLike
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        ids = as_ids("driver_id", driver_id)
        return self._state.fleet.ids.known_rows(ids, "driver_id"), as_instants("at_ms", at_ms, len(ids))

    def _drivers_of(self, order_idx: NDArray[np.int32], driver_id: ArrayLike) -> NDArray[np.int32]:
        """Read one driver for each order."""
        ids = as_ids("driver_id", driver_id)
        check_as_many("driver_id", ids, "order_id", order_idx)
        return self._state.fleet.ids.known_rows(ids, "driver_id")

    def _answered(self, order_id: ArrayLike, driver_id: ArrayLike, at_ms: ArrayLike) -> Happening:
        order_idx, at = self._known_orders(order_id, at_ms)
        driver_idx = self._drivers_of(order_idx, driver_id)
        return offers.answered(self._state, at, order_idx, driver_idx)

    def _of_orders(self, kind: EventKind, at_ms: NDArray[np.int64], rows: NDArray[np.int32]) -> Happening:
        return Happening(kind, at_ms, rows, self._state.orders.driver_idx[rows])

    def _located(self, positions: Positions) -> tuple[Positions, NDArray[np.int32]]:
        told = positions.checked(self.city.graph.num_nodes)
        node = told.node
        if node is None:
            node = self._world.node_of(told.lon, told.lat)
            self._world.check_not_swapped(told.lon, told.lat, node)
        return told, node

    def _place(
        self, rows: NDArray[np.int32], told: Positions, node: NDArray[np.int32], which: Any = slice(None)
    ) -> None:
        """Write positions; planning takes a driver to stand at its node."""
        fleet, world, kept = self._state.fleet, self._world, rows[which]
        fleet.lon[kept], fleet.lat[kept] = told.lon[which], told.lat[which]
        fleet.position_at_ms[kept], fleet.node[kept] = told.at_ms[which], node[which]
        fleet.x[kept], fleet.y[kept] = world.node_x[node[which]], world.node_y[node[which]]

    def _check_clock(
        self, at_ms: NDArray[np.int64], field: str, driver_idx: NDArray[np.int32] | None = None
    ) -> None:
        """Refuse instants before the latest step or, where drivers are known, before their latest event."""
        earliest = np.full(len(at_ms), self._state.clock_ms)
        if driver_idx is not None:
            changed_at_ms = self._state.fleet.changed_at_ms[driver_idx]
            earliest = np.where(driver_idx == NO_INDEX, earliest, np.maximum(earliest, changed_at_ms))
        early = np.flatnonzero(at_ms < earliest)
        if len(early):
            raise InputError(
                f"{field}[{early[0]}] is {at_ms[early[0]]}: time goes backwards, the latest step or event "
                f"was at {earliest[early[0]]}"
            )


def _of_drivers(kind: EventKind, at_ms: NDArray[np.int64], rows: NDArray[np.int32]) -> Happening:
    return Happening(kind, at_ms, np.full(len(rows), NO_INDEX, np.int32), rows)


def _at(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> dict[str, NDArray[np.int32]]:
    """Coordinates as the log keeps them."""
    return {"lon_e6": np.rint(lon * 1e6).astype(np.int32), "lat_e6": np.rint(lat * 1e6).astype(np.int32)}


def _metres(leg_m: ArrayLike, num_rows: int) -> NDArray[np.int32]:
    return np.rint(as_numbers("leg_m", leg_m, num_rows, 0, 10_000_000)).astype(np.int32)
