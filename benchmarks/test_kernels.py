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
from dispatch.roads.travel_times import RoadTravelTimes  # noqa: E402 - caches first
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


def test_dijkstra_rows(benchmark, city):
    """All nodes to each of 50 destinations."""
    destinations = np.arange(50, dtype=np.int32)

    def rows():
        travel_times = RoadTravelTimes(city.graph, city.graph.free_flow_ms(1.0))
        travel_times.prepare(destinations, num_threads=1)

    benchmark(rows)
