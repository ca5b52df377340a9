"""Step latency: 500 open orders and 5,000 idle drivers, the whole step and each of its stages.

San Francisco where the environment variable DISPATCH_DATA names the folder of the data sets, else the
built-in city. Each round moves all drivers and submits 500 new orders; only the step is timed. The same
stages are timed one by one on an equal state. Peers do the same work in the same round, in turn:
scipy's cKDTree for candidates, scipy's sparse assignment for matching (both objectives are compared).
Every round has a state of its own, so this suite keeps its own rounds and reports percentiles beside medians.
"""

import gc
import os
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from benchmarks.harness import OURS, Case, Table, Timing, WrongAnswerError, number, row_of
from dispatch import City, Dispatcher, NewOrders, Positions
from dispatch.engine import offers
from dispatch.engine.candidates import find_candidates
from dispatch.engine.plan import match, propose
from dispatch.units import NO_INDEX

SUMMARY = "latency of a dispatcher's step, whole and by stage"
PACKAGES = ()
NUM_ORDERS, NUM_DRIVERS = 500, 5_000
STAGES = ("candidates and ETA", "matching", "commit")
PEERS = {"candidates and ETA": "scipy cKDTree, no ETA", "matching": "scipy sparse"}


def load_city(tiny):
    folder = os.environ.get("DISPATCH_DATA")
    if not tiny and folder and (Path(folder) / "san_francisco").is_dir():
        return City.load(Path(folder) / "san_francisco")
    return City.synthetic(seed=1)


class Rounds:
    """A dispatcher that is brought into the same kind of state again and again."""

    def __init__(self, city, seed):
        self.city, self.random = city, np.random.default_rng(seed)
        trips = city.trips
        inside = None if trips is None else trips.pickup_node[trips.pickup_node >= 0]
        self.pickups = np.arange(city.graph.num_nodes) if inside is None else inside
        self.dispatcher = Dispatcher(city)
        self.driver_id = np.arange(NUM_DRIVERS)
        self.now_ms, self.next_order = 0, 0
        self.dispatcher.drivers_online(self._positions())

    def _positions(self):
        node = self.random.choice(self.pickups, NUM_DRIVERS).astype(np.int32)
        graph = self.city.graph
        return Positions(self.driver_id, graph.node_lon[node], graph.node_lat[node], self.now_ms, node)

    def prepare(self):
        """Cancel what is open or offered, move everybody, submit new orders."""
        self.now_ms += 10_000
        if self.next_order:
            last = np.arange(self.next_order - NUM_ORDERS, self.next_order)
            self.dispatcher.cancel(last, self.now_ms)
            self.dispatcher.forget_finished()
        self.dispatcher.update_positions(self._positions())
        graph = self.city.graph
        pickup = self.random.choice(self.pickups, NUM_ORDERS).astype(np.int32)
        dropoff = self.random.integers(0, graph.num_nodes, NUM_ORDERS).astype(np.int32)
        self.dispatcher.submit(
            NewOrders(
                np.arange(self.next_order, self.next_order + NUM_ORDERS),
                graph.node_lon[pickup],
                graph.node_lat[pickup],
                graph.node_lon[dropoff],
                graph.node_lat[dropoff],
                self.now_ms,
                pickup,
                dropoff,
            )
        )
        self.next_order += NUM_ORDERS

    def step(self):
        return self.dispatcher.step(self.now_ms)

    def stages(self, spent_ms):
        """Do what a step does, stage by stage, and return what peers need."""
        state, world, now_ms = self.dispatcher._state, self.dispatcher._world, self.now_ms
        marks = [time.perf_counter()]

        def mark():
            marks.append(time.perf_counter())

        found = find_candidates(state, world, now_ms)
        mark()
        chosen = match(found, state, world, now_ms)
        mark()
        offers.make(state, world, self.dispatcher.fare, propose(found, chosen, state), now_ms)
        self.dispatcher.take_events()
        mark()
        for name, begin, end in zip(STAGES, marks[:-1], marks[1:], strict=True):
            spent_ms[name].append((end - begin) * 1e3)
        return found, int(found.cost[chosen[chosen != NO_INDEX]].sum())


def peer_candidates(rounds, found, spent_ms):
    state, world = rounds.dispatcher._state, rounds.dispatcher._world
    pickup = state.orders.pickup_node[found.order_idx]
    drivers = np.column_stack((state.fleet.x[found.driver_idx], state.fleet.y[found.driver_idx]))
    places = np.column_stack((world.node_x[pickup], world.node_y[pickup]))
    started = time.perf_counter()
    cKDTree(drivers).query(places, k=world.params.candidates_per_order)
    spent_ms["scipy cKDTree, no ETA"].append((time.perf_counter() - started) * 1e3)


def peer_matching(found, total_cost, spent_ms):
    shape = (len(found.order_idx), len(found.driver_idx))
    started = time.perf_counter()
    matrix = csr_matrix((found.cost.astype(float) + 1, found.candidate_driver, found.first_candidate), shape)
    try:
        rows, columns = min_weight_full_bipartite_matching(matrix)
    except ValueError:  # scipy refuses a window in which not every order can be served
        return False
    spent_ms["scipy sparse"].append((time.perf_counter() - started) * 1e3)
    best = round(matrix[rows, columns].sum()) - len(rows)
    if best != total_cost:
        raise WrongAnswerError(f"objectives differ: ours {total_cost}, scipy {best}")
    return True


def measure(report):
    rounds = Rounds(load_city(report.tiny), seed=1)
    num_rounds = 2 if report.tiny else 30 if report.quick else 300
    spent_ms = defaultdict(list)
    refused = 0
    for number_ in range(2 * num_rounds):
        rounds.prepare()
        gc.collect(0)
        if number_ % 2 == 0:
            started = time.perf_counter()
            rounds.step()
            spent_ms["step"].append((time.perf_counter() - started) * 1e3)
        else:
            found, total_cost = rounds.stages(spent_ms)
            peer_candidates(rounds, found, spent_ms)
            refused += not peer_matching(found, total_cost, spent_ms)
    publish(report, rounds, spent_ms, refused)


def publish(report, rounds, spent_ms, refused):
    offered = rounds.dispatcher.count()["order_offered"]
    if offered == 0:
        raise WrongAnswerError("nothing was offered: the benchmark measured nothing")
    report.note(f"{rounds.city.name}: {NUM_ORDERS} open orders, {NUM_DRIVERS:,} idle drivers; p50")
    percentiles = {name: np.percentile(values, [50, 99]) for name, values in spent_ms.items()}
    for name, (p50, p99) in percentiles.items():
        if name in PEERS.values():
            continue
        ms = {OURS: p50}
        if PEERS.get(name) in percentiles:
            ms[PEERS[name]] = percentiles[PEERS[name]][0]
        row = row_of(Case(name, ()), [Timing(ms, {})], ())
        report.add(row | {"ours_p99_ms": round(p99, 4), "rounds": len(spent_ms[name])})
    lines = [(name, number(p50), number(p99)) for name, (p50, p99) in percentiles.items()]
    report.table(Table("Percentiles, ms", ("", "p50", "p99"), lines))
    if refused:
        report.note(f"scipy refused {refused} windows in which not every order can be served")
