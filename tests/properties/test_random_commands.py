"""Random commands, legal and not, thrown at a dispatcher and at a model of it in plain Python.

Held after each: every order and driver stands where the model says, no driver has two orders, and a
refused command changed nothing. Held of each step: what times out, who is offered what, as many offers
as possible at the least total pickup time. Held at the end: the log tells one consistent story.
"""

from collections import Counter

import numpy as np
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cities import T0, assert_same_tables, dispatcher_on, grid_city, new_orders, places, tables_of
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import Positions
from dispatch.errors import InputError, StateError
from dispatch.matching.problem import AssignmentProblem
from naive.assignment import best_by_scipy
from naive.engine_model import ACTIVE, FINAL, MOVES, EngineModel
from naive.replay import replay
from naive.shortest_paths import arcs_of, travel_times_to

CITY = grid_city(5, 5, seed=2)
NUM_NODES = CITY.graph.num_nodes
ARCS = arcs_of(CITY.graph, CITY.graph.free_flow_ms())
TRAVEL_MS = [travel_times_to(ARCS, node, NUM_NODES) for node in range(NUM_NODES)]
"""TRAVEL_MS[to][from]."""

NODES = st.integers(0, NUM_NODES - 1)
DRIVERS = st.lists(st.tuples(st.integers(0, 5), st.none() | NODES | NODES), min_size=1, max_size=3)
"""Drivers and their nodes, none: off the network."""
LATER = st.sampled_from([*[0] * 9, 1, 1000, 10_000, 29_999, 30_000, 70_000, -1, -5000])
SOON = st.sampled_from([0, 1, 1000])


def problem_of(candidates):
    """The model's candidates as an assignment problem, and its drivers."""
    drivers = sorted({driver for etas in candidates.values() for driver in etas})
    rows = [(drivers.index(driver), eta) for etas in candidates.values() for driver, eta in etas.items()]
    first = np.cumsum([0, *(len(etas) for etas in candidates.values())])
    columns = [np.array([row[k] for row in rows], int) for k in (0, 1)]
    return AssignmentProblem.checked(first, *columns, len(drivers))


ENGAGED = {
    "offered": "accept",
    "assigned": "arrive",
    "arrived": "pick_up",
    "on_board": "drop_off",
    "dropped_off": "close",
}
"""Status of an order → the command by which it comes nearer to its end."""
WAYS_OUT = ["close", "close", "decline", "unassign", "cancel"]


class Commands(RuleBasedStateMachine):
    @initialize(max_pickup_s=st.sampled_from([60.0, 1200.0]), nodes=st.lists(NODES, min_size=1, max_size=4))
    def start(self, max_pickup_s, nodes):
        self.dispatcher = dispatcher_on(CITY, max_wait_s=100.0, max_pickup_s=max_pickup_s)
        self.model = EngineModel(
            TRAVEL_MS,
            offer_timeout=30_000,
            max_wait=100_000,
            stale=120_000,
            max_pickup=max_pickup_s * 1000,
        )
        self.log, self.num_orders = [], 0
        self.online(list(enumerate(nodes)), 0)

    def instant(self, later):
        return max(self.model.latest, self.model.clock, T0) + later

    def told(self, legal, command, *args):
        """Give a command, which must do what the model did, or be refused and change nothing."""
        if legal:
            return command(*args)
        before = tables_of(self.dispatcher)
        try:
            command(*args)
        except (InputError, StateError):
            assert_same_tables(before, tables_of(self.dispatcher))
            return None
        raise AssertionError("an illegal command was applied")

    def positions(self, drivers, at):
        lon, lat = places(CITY, [node or 0 for _, node in drivers])
        off_network = np.array([node is None for _, node in drivers])
        return Positions([one for one, _ in drivers], lon, lat + 0.1 * off_network, at)

    @rule(drivers=DRIVERS, later=LATER)
    def online(self, drivers, later):
        at = self.instant(later)
        legal = self.model.online(*zip(*drivers, strict=True), at)
        self.told(legal, self.dispatcher.drivers_online, self.positions(drivers, at))

    @rule(drivers=DRIVERS, later=LATER)
    def move(self, drivers, later):
        at = self.instant(later)
        legal = self.model.positions(*zip(*drivers, strict=True), at)
        self.told(legal, self.dispatcher.update_positions, self.positions(drivers, at))

    @rule(drivers=DRIVERS, later=LATER)
    def offline(self, drivers, later):
        at, ids = self.instant(later), [one for one, _ in drivers[:2]]
        self.told(self.model.offline(ids, at), self.dispatcher.drivers_offline, ids, at)

    @rule(
        ends=st.lists(st.tuples(NODES, NODES), min_size=1, max_size=3),
        later=LATER,
        again=st.none() | st.integers(0, 12),
    )
    def submit(self, ends, later, again):
        ids, at = list(range(self.num_orders, self.num_orders + len(ends))), self.instant(later)
        if again in self.model.orders:
            ids[-1] = again
        legal = self.model.submit(ids, ends, at)
        self.told(legal, self.dispatcher.submit, new_orders(CITY, ids, *zip(*ends, strict=True), at))
        self.num_orders += len(ends) * legal

    @precondition(lambda self: any(order.status in ENGAGED for order in self.model.orders.values()))
    @rule(data=st.data(), soon=SOON, num_commands=st.integers(0, 5), last=st.sampled_from(WAYS_OUT))
    def help_along(self, data, soon, num_commands, last):
        """Commands on one order, most of them legal: rides would hardly ever be finished by chance."""
        engaged = [one for one, order in self.model.orders.items() if order.status in ENGAGED]
        order = data.draw(st.sampled_from(engaged))
        driver, at = self.model.orders[order].driver, self.instant(soon)
        for k in range(num_commands + 1):
            command = ENGAGED.get(self.model.orders[order].status, "close") if k < num_commands else last
            legal = self.model.on_orders(command, [order], [driver], at)
            self.command(command, [order], [driver if driver is not None else 0], at, legal=legal)

    @precondition(lambda self: self.num_orders)
    @rule(command=st.sampled_from(sorted(MOVES)), data=st.data(), later=LATER)
    def on_orders(self, command, data, later):
        likely = [one for one, order in self.model.orders.items() if order.status in MOVES[command]]
        any_order = st.integers(0, self.num_orders)
        wanted = st.sampled_from(likely) | st.sampled_from(likely) | any_order if likely else any_order
        ids = data.draw(st.lists(wanted, min_size=1, max_size=3))
        drivers = [self.driver_for(command, one, data) for one in ids]
        at = self.instant(later)
        self.command(command, ids, drivers, at, legal=self.model.on_orders(command, ids, drivers, at))

    def command(self, command, ids, drivers, at, *, legal):
        more = {"accept": (drivers, at), "decline": (drivers, at), "assign": (drivers, at)}
        more |= dict.fromkeys(("arrive", "drop_off"), (at, np.full(len(ids), 50)))
        self.told(legal, getattr(self.dispatcher, command), ids, *more.get(command, (at,)))

    def driver_for(self, command, order_id, data):
        """Most often the right one."""
        order = self.model.orders.get(order_id)
        idle = [one for one, driver in self.model.drivers.items() if driver.status == "idle"]
        if command == "assign" and idle:
            return data.draw(st.sampled_from(idle) | st.integers(0, 6))
        if order is not None and order.driver is not None and data.draw(st.integers(0, 5)):
            return order.driver
        return data.draw(st.integers(0, 6))

    @rule(later=LATER)
    def step(self, later):
        now = self.instant(later)
        if now < max(self.model.clock, self.model.latest):
            self.told(False, self.dispatcher.step, now)
            return
        ended = self.model.time_out(now)
        events = self.dispatcher.step(now)
        self.log.append(events)
        expired = events[np.isin(events["kind"], [K.OFFER_EXPIRED, K.ORDER_EXPIRED])]
        named = [K(kind).name.lower() for kind in expired["kind"]]
        columns = (expired[name].tolist() for name in ("order_id", "driver_id", "at_ms"))
        assert set(zip(named, *columns, strict=True)) == ended
        self.check_offers(events, now)
        self.model.clock = now

    def check_offers(self, events, now):
        candidates = self.model.candidates(now)
        offered = events[events["kind"] == K.ORDER_OFFERED]
        shown = events[events["kind"] == K.CARS_SHOWN]
        new = {one for one in candidates if not self.model.orders[one].shown}
        told = dict(zip(shown["order_id"].tolist(), shown["num_cars"].tolist(), strict=True))
        assert told == {one: len(candidates[one]) for one in new}
        for one in new:
            self.model.orders[one].shown = True
        for event in offered:
            order, driver = int(event["order_id"]), int(event["driver_id"])
            assert event["eta_ms"] == candidates[order][driver]
            assert event["nearest_eta_ms"] == min(candidates[order].values())
            assert event["at_ms"] == now
            self.model.offer(order, driver, now)
        best = best_by_scipy(problem_of(candidates))
        assert (len(offered), int(offered["eta_ms"].sum())) == best

    @rule()
    def take(self):
        self.log.append(self.dispatcher.take_events())
        self.model.clock = max(self.model.clock, self.model.latest)

    @rule()
    def forget(self):
        assert self.dispatcher.forget_finished() == self.model.forget()

    @invariant()
    def everybody_stands_where_the_model_says(self):
        if not hasattr(self, "model"):
            return
        orders, drivers = list(self.model.orders), list(self.model.drivers)
        told = [status.name.lower() for status in self.dispatcher.order_status(orders)]
        assert told == [self.model.orders[one].status for one in orders]
        told = [status.name.lower() for status in self.dispatcher.driver_status(drivers)]
        assert told == [self.model.drivers[one].status for one in drivers]

    @invariant()
    def no_driver_has_two_orders(self):
        if not hasattr(self, "model"):
            return
        orders = self.dispatcher._state.orders
        engaged = np.isin(orders.status[: orders.num_rows], range(1, 1 + len(ACTIVE)))
        of_driver = Counter(orders.driver_idx[: orders.num_rows][engaged].tolist())
        assert max(of_driver.values(), default=0) <= 1
        fleet = self.dispatcher._state.fleet
        busy = np.flatnonzero(fleet.status[: fleet.num_rows] >= 2)
        assert sorted(of_driver) == busy.tolist()

    def teardown(self):
        if not hasattr(self, "model"):
            return
        events = np.concatenate([*self.log, self.dispatcher.take_events()])
        assert (np.diff(events["at_ms"]) >= 0).all()
        state, illegal = replay(events)
        assert illegal is None
        report = check_invariants(events, complete=False)
        assert report.num_orders == self.num_orders
        ends = events[np.isin(events["kind"], [K.ORDER_CLOSED, K.ORDER_CANCELLED, K.ORDER_EXPIRED])]
        assert len(np.unique(ends["order_id"])) == len(ends)
        for one, order in self.model.orders.items():
            assert (state.order_state[one] in FINAL) == (order.status in FINAL)


Commands.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRandomCommands = Commands.TestCase
