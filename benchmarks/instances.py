"""Assignment problems of a clustered city, made from a seed: the families that the suites solve.

Orders and drivers crowd around the same hot spots, where there are up to half more or half fewer drivers
than would be fair. In the *uneven* families the drivers' shares have nothing to do with the orders': many
quarters are short of drivers even where the city has plenty. The candidates of an order are its `k` nearest
drivers by air within ten minutes; the cost is the pickup time in whole seconds, with a detour of its own for
each pair.
"""

from typing import NamedTuple

import numpy as np

from dispatch.matching import AssignmentProblem
from dispatch.spatial.grid_index import GridIndex

CITY_M = 40_000.0
NUM_HOT_SPOTS = 25
SHARE_ELSEWHERE = 0.2
SPEED_M_S = 8.0
LEAST_DETOUR, MOST_DETOUR = 1.1, 1.6
MAX_PICKUP_S = 600
LEAST_SUPPLY, MOST_SUPPLY = 0.45, 1.55
"""Drivers at a hot spot, as a multiple of what its orders would make fair"""


class Family(NamedTuple):
    """Size of the instances of one family."""

    num_orders: int
    num_drivers: int
    k: int
    is_uneven: bool = False
    """The drivers' shares of the hot spots have nothing to do with the orders'"""


FAMILIES = {
    "a k20": Family(100, 1_000, 20),
    "b k20": Family(1_000, 3_000, 20),
    "b k50": Family(1_000, 3_000, 50),
    "c k20": Family(5_000, 10_000, 20),
    "c k50": Family(5_000, 10_000, 50),
    "d k20": Family(10_000, 10_000, 20),
    "d k50": Family(10_000, 10_000, 50),
    "e k20": Family(20_000, 60_000, 20),
    "uneven c k20": Family(5_000, 10_000, 20, is_uneven=True),
    "uneven d k20": Family(10_000, 10_000, 20, is_uneven=True),
    "uneven d k50": Family(10_000, 10_000, 50, is_uneven=True),
    "uneven e k20": Family(20_000, 60_000, 20, is_uneven=True),
}


def positions(random, num_points, spots, spread_m, share):
    """Metres east and north (num_points, 2), of which `share` (spots,) crowd around each hot spot."""
    spot = random.choice(len(spots), num_points, p=share)
    points = random.normal(spots[spot], spread_m[spot, None])
    elsewhere = random.random(num_points) < SHARE_ELSEWHERE
    points[elsewhere] = random.uniform(0, CITY_M, (elsewhere.sum(), 2))
    return np.clip(points, 0, CITY_M)


def city_points(num_orders, num_drivers, seed, is_uneven=False):
    """Places of orders and of drivers around common hot spots."""
    random = np.random.default_rng(seed)
    spots = random.uniform(0.15 * CITY_M, 0.85 * CITY_M, (NUM_HOT_SPOTS, 2))
    spread_m = random.uniform(500, 3_000, NUM_HOT_SPOTS)
    of_orders, other = random.dirichlet(np.full(NUM_HOT_SPOTS, 4.0), 2)
    near = of_orders * random.uniform(LEAST_SUPPLY, MOST_SUPPLY, NUM_HOT_SPOTS)
    orders = positions(random, num_orders, spots, spread_m, of_orders)
    of_drivers = other if is_uneven else near / near.sum()
    return orders, positions(random, num_drivers, spots, spread_m, of_drivers)


def sparse_problem(family, seed):
    """One instance of a family, its rows sorted by cost."""
    orders, drivers = city_points(family.num_orders, family.num_drivers, seed, family.is_uneven)
    random = np.random.default_rng([seed, 1])
    reach_m = MAX_PICKUP_S * SPEED_M_S / LEAST_DETOUR
    near = GridIndex(*drivers.T).nearest(*orders.T, family.k, reach_m)
    detour = random.uniform(LEAST_DETOUR, MOST_DETOUR, len(near.item))
    cost = np.round(near.distance_m * detour / SPEED_M_S).astype(np.int64)
    order = np.repeat(np.arange(family.num_orders), np.diff(near.first))
    near_enough = cost <= MAX_PICKUP_S
    order, driver, cost = order[near_enough], near.item[near_enough], cost[near_enough]
    by_cost = np.lexsort((driver, cost, order))
    first = np.concatenate([[0], np.cumsum(np.bincount(order, minlength=family.num_orders))])
    return AssignmentProblem.checked(first, driver[by_cost], cost[by_cost], family.num_drivers)


def shuffled(problem, seed):
    """The same problem with the candidates of each order in a random sequence."""
    random = np.random.default_rng(seed)
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.first_candidate))
    mixed = np.lexsort((random.random(len(order)), order))
    return AssignmentProblem(
        problem.first_candidate, problem.candidate_driver[mixed], problem.cost[mixed], problem.num_drivers
    )


def dense_costs(num_rows, seed):
    """Whole seconds between as many orders and drivers of the clustered city, (n, n) float64."""
    orders, drivers = city_points(num_rows, num_rows, seed)
    distance_m = np.hypot(*(orders[:, None] - drivers[None]).transpose(2, 0, 1))
    detour = np.random.default_rng([seed, 2]).uniform(LEAST_DETOUR, MOST_DETOUR, distance_m.shape)
    return np.round(distance_m * detour / SPEED_M_S)
