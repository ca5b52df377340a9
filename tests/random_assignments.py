"""Random assignment problems of many shapes, several of them made to be hard."""

from dataclasses import replace

import numpy as np

from dispatch.matching import AssignmentProblem
from dispatch.matching.capacity import in_places

COST_LEVELS = (0, 1, 3, 50, 10**7)


def anywhere(rng, num_orders, num_drivers):
    """Each order knows a few drivers, or none; pairs may come twice."""
    order = np.repeat(np.arange(num_orders), rng.integers(0, rng.integers(2, 9), num_orders))
    return order, rng.integers(0, num_drivers, len(order))


def popular(rng, num_orders, num_drivers):
    """Some drivers are wanted by many, others by nobody."""
    order, _ = anywhere(rng, num_orders, num_drivers)
    return order, (num_drivers * rng.random(len(order)) ** 3).astype(int)


def along_a_street(rng, num_orders, num_drivers):
    """Orders know the drivers around them: what happens at one end reaches the other."""
    order, _ = anywhere(rng, num_orders, num_drivers)
    driver = order * num_drivers // num_orders + rng.integers(-2, 3, len(order))
    return order, np.clip(driver, 0, num_drivers - 1)


def chain(rng, num_orders, num_drivers):
    """Order i knows drivers i and i + 1; some more pairs at random."""
    order = np.arange(num_orders)
    more = rng.integers(0, 3)
    return (
        np.concatenate([order, order, rng.integers(0, num_orders, more)]),
        np.concatenate([order, order + 1, rng.integers(0, num_drivers, more)]) % num_drivers,
    )


def stars(rng, num_orders, num_drivers):
    """All orders know one or two drivers, a few know another one."""
    order = np.repeat(np.arange(num_orders), 2)
    centre = np.concatenate([rng.integers(0, min(2, num_drivers), num_orders * 2)])
    ray = rng.random(len(order)) < 0.15
    return order, np.where(ray, rng.integers(0, num_drivers, len(order)), centre)


def complete(rng, num_orders, num_drivers):
    """Everybody knows everybody."""
    return np.repeat(np.arange(num_orders), num_drivers), np.tile(np.arange(num_drivers), num_orders)


def nearly_tight(rng, num_orders, num_drivers):
    """A hidden matching of as many as there can be, one driver too few, and little else."""
    most = min(num_orders, num_drivers)
    hidden = rng.permutation(num_drivers)[:most]
    order = np.concatenate([np.arange(most), rng.integers(0, num_orders, num_orders)])
    driver = np.concatenate([hidden, rng.integers(0, max(num_drivers - 1, 1), num_orders)])
    return order, driver


def islands(rng, num_orders, num_drivers):
    """Several cities: some short of drivers, some of orders."""
    num_islands = int(rng.integers(2, 5))
    home_of_order = np.sort(rng.integers(0, num_islands, num_orders))
    home_of_driver = np.sort(rng.integers(0, num_islands, num_drivers))
    order, driver = np.nonzero(home_of_order[:, np.newaxis] == home_of_driver)
    kept = rng.random(len(order)) < rng.choice([0.3, 0.7, 1.0])
    return order[kept], driver[kept]


FAMILIES = (anywhere, popular, along_a_street, chain, stars, complete, nearly_tight, islands)


def costs_for(rng, order, driver):
    """Costs that are alike, tied, structured or spread; integers of either width, or floats."""
    highest, kind = int(rng.choice(COST_LEVELS)), rng.integers(8)
    cost = rng.integers(0, highest + 1, len(order))
    if kind == 0:
        cost = np.full(len(order), highest)
    elif kind == 1:
        cost = np.abs(3 * order - 2 * driver)
    elif kind == 2:
        cost = (order + 1) * (driver + 1)  # every exchange of two drivers changes the sum
    elif kind == 3:
        cost = 10**6 + cost % 3
    cast = rng.integers(10)
    if cast < 6:
        return cost.astype(np.int64)
    return cost.astype(np.int32) if cast < 8 else cost * float(rng.choice([1, 0.25, 0.1, 1e-9, 1e9]))


def random_problem(rng, family, num_orders, num_drivers):
    """A problem of a family; rows sorted by cost or not, drivers with capacities or without."""
    order, driver = family(rng, num_orders, num_drivers)
    cost = costs_for(rng, order, driver)
    if rng.random() < 0.5:
        sequence = np.lexsort([cost, order])
    else:
        sequence = np.lexsort([rng.random(len(order)), order])
    capacity = None
    if rng.random() < 0.3:
        capacity = rng.choice([0, 1, 1, 2, 3, 2**31 - 1], num_drivers)
    first = np.concatenate([[0], np.cumsum(np.bincount(order, minlength=num_orders))])
    return AssignmentProblem.checked(first, driver[sequence], cost[sequence], num_drivers, capacity)


def in_whole_costs(problem):
    """The problem with int64 costs."""
    return replace(problem, cost=np.rint(problem.cost).astype(np.int64))


def in_unit_costs(problem):
    """The problem with int64 costs and a driver for each place, as the kernels take it."""
    whole = in_whole_costs(problem)
    return whole if problem.capacity is None else in_places(whole).problem


def random_penalty(rng, problem):
    """None, one number, or one for each order; around the costs, far above them, or 0."""
    if rng.random() < 0.5:
        return None
    highest = problem.cost.max(initial=0)
    scale = rng.choice([0, 0.3, 1, 1.5, 20])
    size = None if rng.random() < 0.3 else problem.num_orders
    drawn = rng.random(size) * highest * scale
    if rng.random() < 0.2:
        drawn = np.where(rng.random(size) < 0.5, highest, drawn)
    return drawn if problem.cost.dtype == np.float64 else np.rint(drawn).astype(np.int64)
