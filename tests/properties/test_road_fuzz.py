"""Random road networks by the thousand: every answer of their metrics is compared with plain searches.

A case is a network with its rules, and metrics of several kinds of weights. Each case has a generator of its
own, seeded with the seed of the run and the number of the case, which a failure tells.
"""

import time

import numpy as np
import pytest

from dispatch.roads.road_network import RoadNetwork
from roads.metric_checks import Truth, check_metric
from roads.road_graphs import random_network, random_weights

NUM_CASES, LARGEST = 25, 9
LONG_SEED, NUM_LONG_CASES, CASES_A_LINE, LARGEST_LONG = 1_000, 4_000, 200, 24


def check_case(seed, case, largest):
    rng = np.random.default_rng([seed, case])
    num_nodes = int(rng.integers(1, largest + 1))
    num_rules = int(rng.integers(0, 4)) if case % 2 else 0
    graph, rules = random_network(rng, num_nodes, int(rng.integers(1, 3 * num_nodes + 1)), num_rules)
    network = RoadNetwork(graph)
    metric = network.customize(random_weights(rng, graph.num_arcs), num_threads=1 + case % 2)
    check_metric(metric, Truth(graph, rules, metric.travel_ms), rng)
    for _ in range(3):
        travel_ms = random_weights(rng, graph.num_arcs)
        changed = rng.permutation(graph.num_arcs)[: rng.integers(0, graph.num_arcs + 1)]
        metric = metric.update(changed, travel_ms[changed])
        anew = network.customize(metric.travel_ms)
        nodes = np.arange(num_nodes)
        assert metric.table_ms(nodes, nodes).tolist() == anew.table_ms(nodes, nodes).tolist()
    check_metric(metric, Truth(graph, rules, metric.travel_ms), rng)


def check_cases(seed, cases, largest):
    for case in cases:
        try:
            check_case(seed, case, largest)
        except Exception as error:
            error.add_note(f"seed {seed}, case {case}, largest {largest}")
            raise


def test_small_networks():
    check_cases(0, range(NUM_CASES), LARGEST)


@pytest.mark.long
def test_thousands_of_networks():
    began = time.perf_counter()
    for start in range(0, NUM_LONG_CASES, CASES_A_LINE):
        check_cases(LONG_SEED, range(start, start + CASES_A_LINE), LARGEST_LONG)
        print(f"{start + CASES_A_LINE:,} networks, {time.perf_counter() - began:.0f} s", flush=True)
