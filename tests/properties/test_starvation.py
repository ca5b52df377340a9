"""A hundred random little worlds: no driver goes past an order that has waited beyond the bound.

Judged from the event log by plain Python (:mod:`naive.starvation`), with tiers, told priorities, classes,
skills, drivers who lose their permits, pairs who had better not meet or must not, refusals, patience, chains,
changes of drivers, risk, and few candidates an order, by both matchings. Taken out, each part of what
enforces it is missed.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cities import T0, grid_city, new_orders, positions
from dispatch.engine import plan as planning, weights
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import NewDrivers
from dispatch.engine.pair_terms import PairTerms
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.engine.terms import DriverTerms
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.spread_times import SpreadTimes
from naive.shortest_paths import arcs_of, travel_times_to
from naive.starvation import Driver, Order, Watch

CITY = grid_city(6, 6, seed=2)
NUM_NODES = CITY.graph.num_nodes
METRIC = CITY.free_flow()
TABLE = AllPairsTimes(METRIC)
ARCS = arcs_of(CITY.graph, CITY.graph.free_flow_ms())
TO_NODE = [travel_times_to(ARCS, node, NUM_NODES) for node in range(NUM_NODES)]
STEP_MS, NUM_STEPS, BOUND_S = 10_000, 24, 60.0
SEEDS = range(100)


class World:
    """A dispatcher with drivers who answer and drive, and the watch that follows its log."""

    def __init__(self, seed, starvation_s):
        self.random = random = np.random.default_rng(seed)
        self.likes = np.random.default_rng([seed, 1])
        is_batch = bool(random.random() < 0.75)
        policy = Policy(
            matching="batch" if is_batch else "nearest",
            priority_weights=(1.0, 3.0, 9.0),
            patience_weight=float(random.choice([0, 2])),
            starvation_s=starvation_s,
            chain_before_dropoff_s=float(random.choice([0, 60])),
            patient_base_s=float(random.choice([0, 40])),
            patient_slope=0.5,
            reassign_gain_s=float(random.choice([0, 5])) if is_batch else 0.0,
            risk_cost_s=float(random.choice([0, 100])) if is_batch else 0.0,
        )
        params = DispatchParams(
            policy,
            candidates_per_order=int(random.integers(1, 4)),
            max_pickup_s=float(random.choice([70, 100, 1200])),
            candidates_by=str(random.choice(["air", "road"])),
            offer_timeout_s=15.0,
            max_wait_s=240.0,
            prebook_lead_s=30.0,
            stale_position_s=float(random.choice([15, 120])),
        )
        self.is_bursty = params.stale_position_s < 20
        times = TABLE if params.candidates_by == "air" and random.random() < 0.6 else METRIC
        times = SpreadTimes(times, (0.1, 0.5, 0.9), (0.8, 1.0, 1.5)) if policy.risk_cost_s else times
        self.dispatcher = Dispatcher(CITY, times, params)
        self.watch = Watch(
            TO_NODE,
            int(BOUND_S * 1000),
            int(params.max_pickup_s * 1000),
            int(policy.patient_base_s * 1000),
            policy.patient_slope,
            int(policy.chain_before_dropoff_s * 1000),
            int(params.stale_position_s * 1000),
            int(params.prebook_lead_s * 1000),
        )
        self.rides = {}
        self.num_drivers = int(random.integers(3, 11))
        self.drivers_come()

    def drivers_come(self):
        random, ids = self.random, list(range(self.num_drivers))
        vehicle_class, seats = random.integers(0, 2, len(ids)), random.choice([4, 6], len(ids))
        self.dispatcher.register_drivers(NewDrivers(ids, vehicle_class, seats))
        self.watch.drivers = {one: Driver(int(vehicle_class[one]), int(seats[one]), 3) for one in ids}
        self.dispatcher.drivers_online(self.placed(ids, T0))

    def placed(self, ids, at_ms):
        nodes = self.random.integers(0, NUM_NODES, len(ids))
        for one, node in zip(ids, nodes.tolist(), strict=True):
            driver = self.watch.drivers[one]
            driver.node, driver.heard_at = node, at_ms
        return positions(CITY, ids, nodes, at_ms)

    def people_change(self, at_ms):
        """Scores, incomes, permits and skills of two drivers; in some worlds all are heard of, or none."""
        random = self.random
        ids = random.permutation(self.num_drivers)[:2]
        terms = DriverTerms(
            ids,
            random.integers(0, 60_000, 2),
            random.integers(0, 60_000, 2),
            (random.random(2) < 0.8).astype(int),
            random.choice([0, 1, 3, 3], 2),
        )
        self.dispatcher.set_driver_terms(terms)
        for one, eligible, skills in zip(
            ids.tolist(), terms.eligible.tolist(), terms.skills.tolist(), strict=True
        ):
            self.watch.drivers[one].eligible, self.watch.drivers[one].skills = bool(eligible), skills
        share = 0.3 if not self.is_bursty else float(random.random() < 0.3)
        moved = [one for one in range(self.num_drivers) if random.random() < share]
        if moved:
            self.dispatcher.update_positions(self.placed(moved, at_ms))

    def customers_ask(self, at_ms):
        random, num = self.random, int(self.random.integers(0, 4))
        if not num:
            return
        first = len(self.watch.orders)
        ids = np.arange(first, first + num)
        pickups = random.integers(0, NUM_NODES, num)
        dropoffs = (pickups + random.integers(1, NUM_NODES, num)) % NUM_NODES
        told = {
            "tier": random.integers(0, 3, num),
            "priority": random.choice([500, 1000, 20_000], num),
            "patience_ms": random.choice([0, 100_000], num),
            "skills": random.choice([0, 0, 1, 2], num),
            "vehicle_class": random.choice([0, 0, 1], num),
            "passengers": random.choice([1, 5], num, p=[0.8, 0.2]),
            "wanted_after_ms": random.choice([0, 0, 45_000], num),
        }
        self.dispatcher.submit(replace(new_orders(CITY, ids, pickups, dropoffs, at_ms), **told))
        for i, order in enumerate(ids.tolist()):
            self.watch.orders[order] = Order(
                order,
                int(pickups[i]),
                int(dropoffs[i]),
                at_ms + int(told["wanted_after_ms"][i]),
                int(told["vehicle_class"][i]),
                int(told["passengers"][i]),
                int(told["skills"][i]),
            )

        self.some_are_kept_apart(ids)

    def some_are_kept_apart(self, order_ids):
        """One driver had better not serve each order, and sometimes must not."""
        likes, num = self.likes, len(order_ids)
        drivers, may_meet = likes.integers(0, self.num_drivers, num), (likes.random(num) < 0.8).astype(int)
        self.dispatcher.set_pair_terms(
            PairTerms(order_ids, drivers, likes.integers(0, 90_000, num), may_meet)
        )
        for order, driver in zip(
            order_ids[may_meet == 0].tolist(), drivers[may_meet == 0].tolist(), strict=True
        ):
            self.watch.orders[order].refused.add(driver)

    def drivers_answer(self, events, at_ms):
        for event in events[events["kind"] == K.ORDER_OFFERED]:
            order, driver, answer = int(event["order_id"]), int(event["driver_id"]), self.random.random()
            if answer < 0.15:
                self.dispatcher.decline([order], [driver], at_ms + 1)
            elif answer < 0.9:
                self.dispatcher.accept([order], [driver], at_ms + 1)

    def drivers_drive(self, at_ms):
        """Now and then who is on the way arrives and sets out, and who rides drops off."""
        riding = set()
        for order_id, order in self.watch.orders.items():
            if order.status == "on board" and self.random.random() < 0.4:
                self.dispatcher.drop_off([order_id], at_ms, [500])
                self.dispatcher.close([order_id], at_ms)
            elif order.status == "on board":
                riding.add(order.driver)
        for order_id, order in self.watch.orders.items():
            if order.status == "assigned" and order.driver not in riding and self.random.random() < 0.3:
                self.dispatcher.arrive([order_id], at_ms, [100])
                self.dispatcher.pick_up([order_id], at_ms)

    def run(self):
        for turn in range(NUM_STEPS):
            now_ms = T0 + STEP_MS * (turn + 1)
            self.drivers_drive(now_ms - 5000)
            self.customers_ask(now_ms - 4000)
            self.people_change(now_ms - 3000)
            events = self.dispatcher.step(now_ms)
            self.watch.step(events, now_ms)
            self.drivers_answer(events, now_ms)
            self.watch.step(self.dispatcher.take_events(), -1)
        return self.watch


@cache
def watched(starvation_s):
    return [World(seed, starvation_s).run() for seed in SEEDS]


def passed_over(watches):
    return [(seed, *one) for seed, watch in zip(SEEDS, watches, strict=True) for one in watch.passed_over]


def test_no_driver_goes_past_an_order_that_waited_beyond_the_bound():
    watches = watched(BOUND_S)
    assert passed_over(watches) == []
    assert sum(watch.num_starving for watch in watches) > 1000
    assert sum(watch.num_given for watch in watches) > 1000


def test_without_the_bound_many_do():
    assert len({seed for seed, *_ in passed_over(watched(0.0))}) > 50


@pytest.mark.parametrize("part", ["second looks", "changes of drivers", "turns among starving"])
def test_every_part_of_it_is_needed(part, monkeypatch):
    if part == "second looks":
        monkeypatch.setattr(planning, "_keep_turns", lambda found, chosen, *_: (found, chosen))
    elif part == "changes of drivers":
        monkeypatch.setattr(planning, "overtaking", lambda found, *_: np.zeros(len(found.order_idx), bool))
    else:
        serve = weights.serve_in_turn

        def serve_latest_first(first, driver, turn, num_drivers):
            return serve(first, driver, turn[::-1].copy(), num_drivers)

        monkeypatch.setattr(weights, "serve_in_turn", serve_latest_first)
    assert any(World(seed, BOUND_S).run().passed_over for seed in SEEDS)
