"""Candidates of random windows, made through the public face, against plain Python: first and second look."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, grid_city, new_orders, positions
from dispatch.engine.candidates import columns_of_cars, find_candidates, look_everywhere
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import NewDrivers
from dispatch.engine.lifecycle import DriverStatus as D
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.engine.terms import DriverTerms
from dispatch.kernels.candidates import queue_up
from dispatch.roads.all_pairs import AllPairsTimes
from naive import window as naive
from naive.shortest_paths import arcs_of, travel_times_to

CITY = grid_city(6, 6, seed=2)
NUM_NODES = CITY.graph.num_nodes
METRIC = CITY.free_flow()
TABLE = AllPairsTimes(METRIC)
ARCS = arcs_of(CITY.graph, CITY.graph.free_flow_ms())
TO_NODE = [travel_times_to(ARCS, node, NUM_NODES) for node in range(NUM_NODES)]
STEP_MS = 20_000


def some_policy(random):
    return Policy(
        chain_before_dropoff_s=float(random.choice([0, 200])),
        reassign_gain_s=float(random.choice([0, 30])),
        patient_base_s=float(random.choice([0, 60])),
    )


def some_history(seed, by):
    """A dispatcher after a few windows; the instant of the next one."""
    random = np.random.default_rng(seed)
    node_rank = np.full(NUM_NODES, -1, np.int32)
    if random.random() < 0.5:
        node_rank[random.permutation(NUM_NODES)[:12]] = random.integers(0, 2, 12)
    params = DispatchParams(
        some_policy(random),
        candidates_per_order=int(random.integers(1, 6)),
        max_pickup_s=float(random.choice([80.0, 1200.0])),
        candidates_by="road" if by == "road" else "air",
        prebook_lead_s=60.0,
        offer_timeout_s=30.0,
    )
    times = TABLE if by == "table" else METRIC
    dispatcher = Dispatcher(CITY, times, params, node_rank=node_rank)
    num_drivers, at_ms = int(random.integers(1, 14)), T0
    ids = list(range(num_drivers))
    dispatcher.register_drivers(NewDrivers(ids, random.integers(0, 3, num_drivers), [4] * num_drivers))
    dispatcher.drivers_online(positions(CITY, ids, random.integers(0, NUM_NODES, num_drivers)))
    costs, eligible = random.integers(0, 9000, (2, num_drivers)), random.choice([0, 1, 1, 1, 1], num_drivers)
    dispatcher.set_driver_terms(DriverTerms(ids, *costs, eligible, random.choice([1, 3, 3], num_drivers)))
    for window in range(4):
        at_ms = T0 + STEP_MS * window
        submit_some(dispatcher, random, 10 * window, at_ms)
        moved = random.permutation(num_drivers)[: num_drivers // 3 + 1]
        dispatcher.update_positions(positions(CITY, moved, random.integers(0, NUM_NODES, len(moved)), at_ms))
        if window < 3:
            answer_some(dispatcher, random, dispatcher.step(at_ms), at_ms)
    queue_up(
        at_ms, dispatcher._world.places, columns_of_cars(dispatcher._state.fleet)
    )  # as a step does first
    return dispatcher, at_ms


def submit_some(dispatcher, random, first_id, at_ms):
    num = int(random.integers(0, 6))
    if num:
        pickups = random.integers(0, NUM_NODES, num)
        asked = new_orders(CITY, range(first_id, first_id + num), pickups, (pickups + 9) % NUM_NODES, at_ms)
        told = {
            "vehicle_class": random.choice([0, 0, 1], num),
            "wanted_after_ms": random.choice([0, 0, 60_001, 90_000], num),
            "skills": random.choice([0, 0, 1, 2], num),
        }
        dispatcher.submit(replace(asked, **told))


def answer_some(dispatcher, random, events, at_ms):
    for event in events[events["kind"] == K.ORDER_OFFERED]:
        order, driver = int(event["order_id"]), int(event["driver_id"])
        answer = random.random()
        if answer < 0.3:
            dispatcher.decline([order], [driver], at_ms + 1)
        elif answer < 0.9:
            dispatcher.accept([order], [driver], at_ms + 1)
            if answer > 0.5 and dispatcher.driver_status([driver])[0] == D.TO_PICKUP:
                dispatcher.arrive([order], at_ms + 2, [100])
                dispatcher.pick_up([order], at_ms + 3)


class Expected:
    """The window as plain Python sees it."""

    def __init__(self, dispatcher, now_ms):
        state, self.world = dispatcher._state, dispatcher._world
        self.orders, self.rules, self.now_ms = state.orders, self.world.rules, now_ms
        self.cars = columns_of_cars(state.fleet)
        self.live = self.orders.live[: self.orders.num_live].tolist()
        rows = [(o, d) for o in self.live for d in range(len(self.cars.status))]
        pairs = (np.array(column, np.int32) for column in zip(*rows, strict=True)) if rows else ((), ())
        refused = self.orders.refused(*(np.array(column, np.int32) for column in pairs))
        self.refused = {pair for pair, was in zip(rows, refused, strict=True) if was}
        self.is_open, self.on_their_way, self.free, self.found, self.cut = naive.candidates(
            self.live, now_ms, self.orders, self.rules, self.world.places, self.refused, self.cars
        )
        self.turn = naive.heads(
            self.is_open, self.free, self.orders, self.cars, self.world.places, self.refused
        )
        self.where = {driver: (node, rest_ms) for driver, node, rest_ms in self.free}

    def eta_ms(self, order, driver):
        node, rest_ms = self.where[driver]
        return rest_ms + TO_NODE[self.orders.pickup_node[order]][node]

    def own(self, order):
        return int(self.orders.driver_idx[order]) if order in self.on_their_way else None

    def in_time(self, order, drivers):
        largest_ms = self.rules.max_pickup_ms
        if order in self.is_open:
            largest_ms = naive.limit_ms(order, self.now_ms, self.orders, self.rules)
        return naive.in_time(drivers, self.own(order), largest_ms, lambda one: self.eta_ms(order, one))

    def usable(self, order):
        """All who are free and queue nowhere, whose car suits, and who did not refuse."""
        return [
            driver
            for driver, _, _ in self.free
            if self.cars.rank[driver] == naive.NOWHERE
            and naive.may_meet(order, driver, self.orders, self.cars, self.refused)
        ]

    def nearest_by_road(self, order):
        """Of the nearest who queue nowhere, as many as are asked for, those who may come."""
        if order in self.turn:
            return [self.turn[order]]
        free = [one for one, _, _ in self.free if self.cars.rank[one] == naive.NOWHERE]
        pickup, own = self.orders.pickup_node[order], self.own(order)
        by_road = sorted((TO_NODE[pickup][self.where[one][0]], place) for place, one in enumerate(free))
        near = [free[place] for ms, place in by_road if ms <= self.rules.max_pickup_ms][
            : self.rules.num_nearest
        ]
        usable = self.usable(order)
        return [one for one in near if one in usable and one != own] + ([] if own is None else [own])


def told(found, i):
    mine = slice(found.first_candidate[i], found.first_candidate[i + 1])
    drivers = found.driver_idx[found.candidate_driver[mine]].tolist()
    return list(zip(found.eta_ms[mine].tolist(), drivers, strict=True))


@pytest.mark.parametrize("by", ["air", "table", "road"])
@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_both_looks_find_whom_plain_python_finds(by, seed):
    dispatcher, now_ms = some_history(seed, by)
    state, world = dispatcher._state, dispatcher._world
    expected = Expected(dispatcher, now_ms)
    found = find_candidates(state, world, now_ms)
    assert found.order_idx.tolist() == expected.is_open + expected.on_their_way
    assert found.driver_idx.tolist() == [driver for driver, _, _ in expected.free]
    for i, order in enumerate(found.order_idx.tolist()):
        drivers = expected.nearest_by_road(order) if by == "road" else expected.found[order]
        assert sorted(told(found, i)) == sorted(expected.in_time(order, drivers))
    if by != "road" and len(found.driver_idx):
        assert set(found.order_idx[found.is_cut].tolist()) == expected.cut
    which = np.random.default_rng(seed).random(len(found.order_idx)) < 0.5
    which[found.num_open :] = False
    everywhere = look_everywhere(found, which, state, world, now_ms)
    for i, order in enumerate(found.order_idx.tolist()):
        if which[i]:
            assert told(everywhere, i) == expected.in_time(order, expected.usable(order))
        else:
            assert told(everywhere, i) == told(found, i)
    assert not everywhere.is_cut[which].any()
    for one in (found, everywhere):
        of_driver = state.fleet.quality_cost_ms + state.fleet.income_cost_ms
        assert (one.cost - one.eta_ms).tolist() == of_driver[one.driver_idx[one.candidate_driver]].tolist()


def test_in_these_windows_everything_comes_up():
    seen = set()
    for seed in range(60):
        dispatcher, now_ms = some_history(seed, "air")
        one = Expected(dispatcher, now_ms)
        told_of = {
            "turn": one.turn,
            "cut": one.cut,
            "on their way": one.on_their_way,
            "chained": [driver for driver, _, rest_ms in one.free if rest_ms],
            "refused": one.refused,
            "later": [o for o in one.live if o not in one.is_open and one.orders.status[o] == naive.OPEN],
        }
        seen |= {name for name, value in told_of.items() if value}
    assert len(seen) == 6
