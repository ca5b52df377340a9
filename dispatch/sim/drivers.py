"""Simulated drivers: what each is doing, and when its next thing is due."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import Positions
from dispatch.sim.movement import Movement
from dispatch.sim.scenario import Scenario
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE

NEVER: Final = np.iinfo(np.int64).max


class Phase(IntEnum):
    """What a simulated driver is doing; what is due ends it."""

    OFF = 0
    PARKED = 1
    TO_PICKUP = 2
    BOARDING = 3
    ON_TRIP = 4


class SimDrivers:
    """All drivers of a scenario, one row each; they speak to the dispatcher through its public calls.

    A driver accepts every offer at once, drives shortest paths, parks where a trip ended, and goes off
    duty when a shift is over, after the trip under way. If its next shift has begun by then it stays on.
    """

    def __init__(self, scenario: Scenario, dispatcher: Dispatcher) -> None:
        self._scenario, self._dispatcher = scenario, dispatcher
        shifts = scenario.shifts
        self.driver_id, first = np.unique(shifts.driver_id, return_index=True)
        num_drivers = len(self.driver_id)
        self._shift = first.astype(np.int64)
        self._after_last_shift = np.append(first[1:], len(shifts))
        self.phase = np.full(num_drivers, Phase.OFF, np.int8)
        self.due_at_ms = shifts.start_at_ms[first].copy()
        self.node = shifts.node[first].astype(np.int32)
        self._order = np.full(num_drivers, NO_INDEX, np.int32)
        self._leg_m = np.zeros(num_drivers, np.float64)
        self.driven_m = np.zeros(num_drivers, np.int64)
        """(drivers,) odometers: whole metres of the legs driven so far"""
        self._movement = Movement(num_drivers, scenario.city.graph)
        orders = scenario.orders
        self._trip_ms = np.where(
            orders.duration_s > 0, orders.duration_s.astype(np.int64) * MS_PER_S, NO_VALUE
        )

        self._ends = (
            (Phase.TO_PICKUP, self._arrive),
            (Phase.BOARDING, self._board),
            (Phase.ON_TRIP, self._drop_off),
            (Phase.PARKED, self._go_off_duty),
            (Phase.OFF, self._come_on_duty),
        )

    def advance(self, now_ms: int) -> None:
        """Let everything happen that is due by `now_ms`.

        Phases end in the sequence in which a driver lives through them: one round does nearly all.
        """
        while len(due := np.flatnonzero(self.due_at_ms <= now_ms).astype(np.int32)):
            for phase, end in self._ends:
                rows = due[(self.phase[due] == phase) & (self.due_at_ms[due] <= now_ms)]
                if len(rows):
                    end(rows, self.due_at_ms[rows])

    def accept(self, order_id: NDArray[np.int64], driver_id: NDArray[np.int64], now_ms: int) -> None:
        """Accept offers (n,) and set out for the pickups."""
        self._dispatcher.accept(order_id, driver_id, now_ms)
        rows = np.searchsorted(self.driver_id, driver_id).astype(np.int32)
        orders = order_id.astype(np.int32)
        self._order[rows] = orders
        start_at_ms = np.full(len(rows), now_ms)
        self._set_out(
            rows, self._scenario.orders.pickup_node[orders], start_at_ms, np.full(len(rows), NO_VALUE)
        )
        self.phase[rows] = Phase.TO_PICKUP

    def send_positions(self, now_ms: int) -> None:
        """Tell the dispatcher where every driver on duty is."""
        on_duty = np.flatnonzero(self.phase != Phase.OFF).astype(np.int32)
        if not len(on_duty):
            return
        graph = self._scenario.city.graph
        node = self.node[on_duty]
        lon, lat = graph.node_lon[node], graph.node_lat[node]
        phase = self.phase[on_duty]
        under_way = np.flatnonzero((phase == Phase.TO_PICKUP) | (phase == Phase.ON_TRIP))
        places = self._movement.places(on_duty[under_way], now_ms)
        lon[under_way], lat[under_way], node[under_way] = places
        self._dispatcher.update_positions(Positions(self.driver_id[on_duty], lon, lat, now_ms, node))

    def go_home(self, now_ms: int) -> None:
        """Take every parked driver off duty: the day is over."""
        parked = np.flatnonzero(self.phase == Phase.PARKED)
        if len(parked):
            self._dispatcher.drivers_offline(self.driver_id[parked], now_ms)
        self.phase[parked], self.due_at_ms[parked] = Phase.OFF, NEVER

    # --- what ends a phase ---------------------------------------------------------------------

    def _come_on_duty(self, rows: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
        shifts, graph = self._scenario.shifts, self._scenario.city.graph
        node = shifts.node[self._shift[rows]]
        self.node[rows] = node
        here = Positions(self.driver_id[rows], graph.node_lon[node], graph.node_lat[node], at_ms, node)
        self._dispatcher.drivers_online(here)
        self.phase[rows], self.due_at_ms[rows] = Phase.PARKED, shifts.end_at_ms[self._shift[rows]]

    def _arrive(self, rows: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
        orders = self._order[rows]
        self._dispatcher.arrive(orders, at_ms, self._leg_m[rows])
        self.driven_m[rows] += np.rint(self._leg_m[rows]).astype(np.int64)
        self.node[rows] = self._scenario.orders.pickup_node[orders]
        self.phase[rows] = Phase.BOARDING
        self.due_at_ms[rows] = at_ms + round(self._scenario.sim.boarding_s * MS_PER_S)

    def _board(self, rows: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
        orders = self._order[rows]
        self._dispatcher.pick_up(orders, at_ms)
        self._set_out(rows, self._scenario.orders.dropoff_node[orders], at_ms, self._trip_ms[orders])
        self.phase[rows] = Phase.ON_TRIP
        unrecorded = rows[self._trip_ms[orders] == NO_VALUE]
        self.due_at_ms[unrecorded] += round(self._scenario.sim.alighting_s * MS_PER_S)

    def _drop_off(self, rows: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
        orders = self._order[rows]
        self._dispatcher.drop_off(orders, at_ms, self._leg_m[rows])
        self.driven_m[rows] += np.rint(self._leg_m[rows]).astype(np.int64)
        self._dispatcher.close(orders, at_ms)
        self.node[rows] = self._scenario.orders.dropoff_node[orders]
        self.phase[rows], self._order[rows] = Phase.PARKED, NO_INDEX
        shifts = self._scenario.shifts
        behind = rows
        while len(behind := behind[self._next_has_begun(behind, at_ms.max())]):
            begun = shifts.start_at_ms[self._shift[behind] + 1] <= at_ms[np.searchsorted(rows, behind)]
            behind = behind[begun]
            self._shift[behind] += 1
        self.due_at_ms[rows] = np.maximum(shifts.end_at_ms[self._shift[rows]], at_ms)

    def _go_off_duty(self, rows: NDArray[np.int32], at_ms: NDArray[np.int64]) -> None:
        self._dispatcher.drivers_offline(self.driver_id[rows], at_ms)
        self.phase[rows], self.due_at_ms[rows] = Phase.OFF, NEVER
        self._shift[rows] += 1
        more = rows[self._shift[rows] < self._after_last_shift[rows]]
        self.due_at_ms[more] = self._scenario.shifts.start_at_ms[self._shift[more]]

    # --- helpers -------------------------------------------------------------------------------

    def _next_has_begun(self, rows: NDArray[np.int32], at_ms: int) -> NDArray[np.bool_]:
        following = self._shift[rows] + 1
        there = following < self._after_last_shift[rows]
        start = self._scenario.shifts.start_at_ms[np.where(there, following, 0)]
        return there & (start <= at_ms)

    def _set_out(
        self,
        rows: NDArray[np.int32],
        to_node: NDArray[np.int32],
        start_at_ms: NDArray[np.int64],
        duration_ms: NDArray[np.int64],
    ) -> None:
        """Drive from where the drivers stand to `to_node`, in the path's time where no duration is given.

        Travel times are those of the latest start: all starts lie within one window.
        """
        travel_times = self._scenario.travel_times_at(int(start_at_ms.max()))
        paths = travel_times.paths(self.node[rows], to_node)
        last = paths.first[1:] - 1
        taken_ms = np.where(duration_ms == NO_VALUE, paths.at_ms[last], duration_ms).astype(np.int64)
        self._movement.depart(rows, paths, start_at_ms, taken_ms)
        self._leg_m[rows] = paths.at_m[last]
        self.due_at_ms[rows] = start_at_ms + taken_ms
