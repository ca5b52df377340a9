"""Kernels, one by one, for pytest-benchmark: save a run, change a kernel, compare.

Row reduction and augmentation are timed through the solver, on problems that spend their time in one of them:
where drivers abound reduction settles nearly every order, where they are scarce augmentation takes over.
"""

import numpy as np
import pytest

from benchmarks.process import set_up_process

set_up_process()

from benchmarks.instances import FAMILIES, city_points, shuffled, sparse_problem  # noqa: E402 - caches first
from dispatch.matching import solve, solve_nearest  # noqa: E402 - caches first
from dispatch.roads.city import City  # noqa: E402 - caches first
from dispatch.roads.road_network import RoadNetwork  # noqa: E402 - caches first
from dispatch.spatial.grid_index import GridIndex  # noqa: E402 - caches first

NUM_DRIVERS, NUM_QUERIES = 100_000, 10_000
RADIUS_M = 300.0


@pytest.fixture(scope="module")
def points():
    """Drivers and queries of a clustered city, contiguous columns."""
    queries, drivers = city_points(NUM_QUERIES, NUM_DRIVERS, seed=1)
    return tuple(np.ascontiguousarray(side) for side in (*drivers.T, *queries.T))


@pytest.fixture(scope="module")
def index(points):
    return GridIndex(*points[:2])


@pytest.fixture(scope="module")
def city():
    return City.synthetic(seed=1)


def test_row_reduction(benchmark):
    """20,000 orders, 60,000 drivers."""
    problem = sparse_problem(FAMILIES["e k20"], seed=1)
    assert benchmark(solve, problem).num_served == problem.num_orders


def test_row_reduction_of_rows_in_any_order(benchmark):
    problem = shuffled(sparse_problem(FAMILIES["e k20"], seed=1), seed=1)
    assert benchmark(solve, problem).num_served == problem.num_orders


def test_augmentation(benchmark):
    """10,000 orders, 10,000 drivers: scarce."""
    problem = sparse_problem(FAMILIES["d k20"], seed=1)
    assert benchmark(solve, problem).num_served < problem.num_orders


def test_small_window(benchmark):
    """100 orders: what a call costs."""
    assert benchmark(solve, sparse_problem(FAMILIES["a k20"], seed=1)).num_served > 0


def test_greedy(benchmark):
    assert benchmark(solve_nearest, sparse_problem(FAMILIES["c k20"], seed=1)).num_served > 0


def test_grid_build(benchmark, points):
    assert len(benchmark(GridIndex, *points[:2])) == NUM_DRIVERS


def test_grid_nearest(benchmark, index, points):
    assert len(benchmark(index.nearest, *points[2:], 10).item) == 10 * NUM_QUERIES


def test_grid_nearest_single(benchmark, index, points):
    x, y = points[2][:1], points[3][:1]
    assert len(benchmark(index.nearest, x, y, 10).item) == 10


def test_grid_within(benchmark, index, points):
    assert len(benchmark(index.within, *points[2:], RADIUS_M).item) > 0


@pytest.fixture(scope="module")
def pairs(city):
    """24 candidates of each of 500 orders, the pickup second."""
    random = np.random.default_rng(1)
    drivers = random.integers(0, city.graph.num_nodes, 12_000).astype(np.int32)
    return drivers, np.repeat(random.integers(0, city.graph.num_nodes, 500).astype(np.int32), 24)


def test_making_a_hierarchy(benchmark, city):
    """Order and contraction of the built-in city."""
    assert benchmark(RoadNetwork, city.graph).hierarchy.num_arcs > city.graph.num_nodes


def test_customization(benchmark, city):
    network, travel_ms = city.network, city.graph.free_flow_ms()
    assert benchmark(network.customize, travel_ms).num_nodes == city.graph.num_nodes


def test_travel_times_of_candidates(benchmark, city, pairs):
    assert len(benchmark(city.free_flow().pairs_ms, *pairs)) == 12_000


def test_repair(benchmark, city):
    """20 arcs take twice their time."""
    metric, edge = city.free_flow(), np.arange(0, 2_000, 100)
    assert benchmark(metric.update, edge, 2 * metric.travel_ms[edge]).version > metric.version


def test_nearest_by_time(benchmark, city, pairs):
    """The 10 first of 12,000 drivers for each of 500 orders."""
    assert len(benchmark(city.free_flow().nearest, pairs[0], pairs[1][::24], 10).item) == 5_000


def test_paths(benchmark, city, pairs):
    assert len(benchmark(city.free_flow().paths, pairs[0][::24], pairs[1][::24]).first) == 501
