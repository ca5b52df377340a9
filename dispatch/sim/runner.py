"""Run a scenario: one loop over batch windows, the engine stepped once in each."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EVENT_DTYPE, EventBuffer, EventKind, Events
from dispatch.engine.inputs import NewDrivers, NewOrders, Positions
from dispatch.kernels import sim_state as kernels, simulate
from dispatch.kernels.jit import direct
from dispatch.sim.day import grown_agenda, make_day, week_offset_ms
from dispatch.sim.population import booked_ahead, car_classes
from dispatch.sim.scenario import Scenario
from dispatch.sim.streets import DayStreets
from dispatch.units import MS_PER_S, NO_INDEX

_BEGIN, _LOCATE_ALL = direct("simulate.begin"), direct("sim_legs.locate_all")
_NO_NODES = np.empty(0, np.int32)
_EVENTS_PER_ORDER = 16
"""For so many there is room; it grows."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come."""

    now_ms: int
    num_finished: int
    num_orders: int


@dataclass(frozen=True)
class Run:
    """What a run left behind."""

    scenario: Scenario
    events: Events
    partial: bool
    """stopped before every order was in a final state"""
    wall_s: float
    """the day itself"""
    setup_s: float
    """before it: streets, everybody at their places"""
    num_orders: int
    """submitted; with those of customers who asked again"""
    driver_id: NDArray[np.int64]
    """(drivers,) in the sequence of ``driven_m``"""
    driven_m: NDArray[np.int64]
    """(drivers,) odometers, kept apart from the log"""


def run(
    scenario: Scenario,
    on_progress: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Simulate until every order is in a final state.

    Parameters
    ----------
    scenario : Scenario
    on_progress : callable, optional
        Called with a :class:`Progress` after every window.
    should_stop : callable, optional
        Asked after every window; true ends the run, which is then partial.
    """
    started = time.perf_counter()
    simulation = Simulation(scenario)
    setup_s = time.perf_counter() - started
    started = time.perf_counter()
    events = simulation.run(on_progress, should_stop)
    wall_s = time.perf_counter() - started
    drivers = simulation.day.drivers
    return Run(
        scenario,
        events,
        simulation.num_unfinished > 0,
        wall_s,
        setup_s,
        simulation.num_known,
        simulation.day.driver_id,
        drivers["driven_m"] - drivers["untold_m"],
    )


class Simulation:
    """A day under way: windows in which people act, and the dispatcher decides through its public calls."""

    def __init__(self, scenario: Scenario) -> None:
        scenario = booked_ahead(scenario)
        self._scenario = scenario
        self._streets = DayStreets(scenario.travel_times, scenario.traffic, week_offset_ms(scenario))
        self.day = make_day(scenario, self._streets)
        upgrades = scenario.params.upgrades and scenario.behaviour.vehicles.upgrades
        params = replace(scenario.params, upgrades=upgrades)
        weighs_risk = params.rules.risk_cost_s > 0
        own = self._streets.uncertain_times() if weighs_risk else self._streets.engine_times
        etas = own if scenario.etas is None else scenario.etas
        self._dispatcher = Dispatcher(scenario.city, etas, params, scenario.fare, scenario.node_rank)
        self._register()
        self._window_ms = round(scenario.sim.window_s * MS_PER_S)
        self._ping_ms = round(scenario.sim.ping_s * MS_PER_S)
        self._now_ms = self._next_ping_ms = scenario.start_at_ms
        self._submitted = 0
        self._advises = scenario.params.rules.preposition_every_s > 0
        self._told = self._told_in_time()
        requested_at_ms = self._told.submitted_at_ms
        num_windows = -(-int(requested_at_ms[-1] - self._now_ms) // self._window_ms) + 1
        ends_ms = self._now_ms + self._window_ms * np.arange(1, num_windows + 1)
        self._num_due = iter(np.searchsorted(requested_at_ms, ends_ms, side="right").tolist())
        """of the orders of the day, by the end of each window"""
        self._log = EventBuffer(_EVENTS_PER_ORDER * len(scenario.orders))
        self._decided, self._advised = np.empty(0, EVENT_DTYPE), _NO_NODES
        num_drivers = len(self.day.drivers)
        graph = scenario.city.graph
        self._node_lonlat = np.ascontiguousarray(graph.node_lon), np.ascontiguousarray(graph.node_lat)
        self._located = (
            np.empty(num_drivers, np.int64),
            np.empty(num_drivers),
            np.empty(num_drivers),
            np.empty(num_drivers, np.int32),
        )

    @property
    def dispatcher(self) -> Dispatcher:
        """The engine: for those who tell it terms of drivers while the day goes on."""
        return self._dispatcher

    @property
    def now_ms(self) -> int:
        """End of the latest window."""
        return self._now_ms

    @property
    def events(self) -> Events:
        """The log so far; a view."""
        return self._log.events

    @property
    def num_unfinished(self) -> int:
        """Number of orders, also future ones, in no final state."""
        return int(self.day.out.num[kernels.UNFINISHED])

    @property
    def num_known(self) -> int:
        """Number of orders so far, with all of the day."""
        return int(self.day.out.num[kernels.ORDERS_KNOWN])

    def progress(self) -> Progress:
        """Tell how far it has come."""
        return Progress(self._now_ms, self.num_known - self.num_unfinished, self.num_known)

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Events:
        """Let the day pass, and give its log; the arguments are those of :func:`run`."""
        stopped = False
        while self.num_unfinished and not stopped:
            self.window()
            if on_progress is not None:
                on_progress(self.progress())
            stopped = should_stop()
        return self.end(stopped)

    def window(self) -> None:
        """Let the next window pass: submit, let people act, tell the dispatcher, let it decide."""
        latest_ms, self._now_ms = self._now_ms, self._now_ms + self._window_ms
        now_ms, first = self._now_ms, self._submitted
        self._submitted = next(self._num_due, first)
        if self._submitted > first:
            self._dispatcher.submit(self._told, slice(first, self._submitted))
        if self._streets.changes:
            self.day = self.day._replace(streets=self._streets.at(now_ms))
        rows = self._row[first : self._submitted]
        self._make_room()
        is_over = _BEGIN.call(self.day, self._decided, latest_ms, self._advised, rows, now_ms)
        # Who asks again may lose patience within the same window.
        while self._tell() or not is_over:
            self._make_room()
            is_over = simulate.advance(self.day, now_ms)
        if now_ms >= self._next_ping_ms:
            self._send_positions(now_ms)
            self._next_ping_ms = now_ms + self._ping_ms
        self._decided = self._dispatcher.step(now_ms)
        self._log.append(self._decided)
        self._advised = self._where_advised()

    def end(self, stopped: bool) -> Events:
        """Send everybody home, unless the day was stopped, and give the whole log."""
        if not stopped:
            simulate.react(self.day, self._now_ms, self._decided, self._advised)
            simulate.go_home(self.day, self._now_ms)
        self._tell()
        self._log.append(self._dispatcher.take_events())
        return self._log.events

    # --- what a window consists of ---------------------------------------------------------------

    def _tell(self) -> bool:
        """Tell the dispatcher what has happened, and submit the orders of those who ask again, if any do."""
        out = self.day.out
        num_events, num_retries, *_ = out.num.tolist()
        if num_events:
            self._dispatcher.apply(out.events[:num_events], out.node[:num_events])
        if num_retries:
            self._submit_again(out.retries[:num_retries].copy())
        out.num[kernels.EVENTS_MADE] = out.num[kernels.RETRIES_MADE] = 0
        return bool(num_retries)

    def _make_room(self) -> None:
        agenda = self.day.agenda
        if 2 * int(agenda.size[0]) > len(agenda.key):
            self.day = self.day._replace(agenda=grown_agenda(agenda))
        if self.num_known == len(self.day.orders):
            more = np.zeros(len(self.day.orders), kernels.SIM_ORDER)
            self.day = self.day._replace(orders=np.append(self.day.orders, more))

    def _told_in_time(self) -> NewOrders:
        """Give the orders of the day as the dispatcher takes them, in the order of time; row = order id."""
        orders = self._scenario.orders
        self._row = np.argsort(orders.requested_at_ms, kind="stable").astype(np.int32)
        rows = self._row
        return NewOrders(
            rows.astype(np.int64),
            orders.pickup_lon[rows],
            orders.pickup_lat[rows],
            orders.dropoff_lon[rows],
            orders.dropoff_lat[rows],
            orders.requested_at_ms[rows],
            orders.pickup_node[rows],
            orders.dropoff_node[rows],
            *self._read(rows),
            **self._told_of_people(rows),
        )

    def _submit_again(self, rows: NDArray[np.int32]) -> None:
        """Submit the orders of customers who ask again, (n,) rows."""
        of_day, orders = self.day.orders[rows], self._scenario.orders
        origin = of_day["origin"]
        told = NewOrders(
            rows.astype(np.int64),
            orders.pickup_lon[origin],
            orders.pickup_lat[origin],
            orders.dropoff_lon[origin],
            orders.dropoff_lat[origin],
            of_day["requested_at_ms"].copy(),
            orders.pickup_node[origin],
            orders.dropoff_node[origin],
            *self._read(rows),
            **self._told_of_people(origin),
        )
        self._dispatcher.submit(told)
        simulate.ask(self.day, rows)

    def _read(self, rows: NDArray[np.int32]) -> tuple[NDArray[np.int64], ...]:
        """Give what customers say of their orders (n,), as the last columns of :class:`NewOrders`."""
        columns = tuple(np.empty(len(rows), np.int64) for _ in range(6))
        simulate.read_orders(self.day, rows, *columns)
        return columns

    def _told_of_people(self, rows: NDArray[np.int32]) -> dict[str, NDArray[np.int64]]:
        """Give what the dispatcher is told of the customers of orders (n,), where the scenario knows them."""
        people = self._scenario.people
        if people is None:
            return {}
        return {name: getattr(people, name)[rows] for name in ("priority", "patience_ms", "may_upgrade")}

    def _send_positions(self, now_ms: int) -> None:
        """Tell the dispatcher where every driver on duty is."""
        num = _LOCATE_ALL.call(self.day, now_ms, *self._node_lonlat, *self._located)
        if num:
            driver_id, lon, lat, node = self._located
            told = Positions(driver_id[:num], lon[:num], lat[:num], now_ms, node[:num])
            self._dispatcher.update_positions(told)

    def _where_advised(self) -> NDArray[np.int32]:
        """Give the node (n,) that each advice to reposition leads to; none at all without advice."""
        if not self._advises:
            return _NO_NODES
        rows = np.flatnonzero(self._decided["kind"] == EventKind.REPOSITION_ADVISED)
        if not len(rows):
            return _NO_NODES
        node = np.full(len(self._decided), NO_INDEX, np.int32)
        at = self._decided[rows]
        node[rows], _ = self._scenario.city.snap(at["lon_e6"] / 1e6, at["lat_e6"] / 1e6, np.inf)
        return node

    def _register(self) -> None:
        vehicles = self._scenario.behaviour.vehicles
        classes = car_classes(self._scenario, len(self.day.drivers))
        seats = np.array(vehicles.seats, np.int64)[classes]
        self._dispatcher.register_drivers(NewDrivers(self.day.driver_id, classes, seats))
