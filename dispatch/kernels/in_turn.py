"""Who can be served where orders come strictly in turn: none gives way to one behind it."""

import numpy as np

from dispatch.kernels.jit import I32, I64, i64, kernel
from dispatch.units import NO_INDEX


@kernel()
def _give_along(row, driver, came_from, order_of_driver, driver_of_order):
    """Give a free driver to the order that it was reached from, its driver to the one before, and so on."""
    while True:
        order = came_from[driver]
        before = driver_of_order[order]
        order_of_driver[driver], driver_of_order[order] = order, driver
        if order == row:
            return
        driver = before


@kernel((I32, I32, I64, i64), makes_arrays=True)
def serve_in_turn(first, candidate_driver, turn, num_drivers):
    """Serve each order in its turn if that is possible without leaving out one served before.

    Parameters
    ----------
    first : (orders + 1,) int32
    candidate_driver : (candidates,) int32
        Who may serve each order.
    turn : (n,) int64
        Rows of orders, in their sequence; others are left alone.
    num_drivers : int

    Returns
    -------
    (orders,) bool
        Which are served: they all can be at once, and whoever is left out could only be in the place of
        others before it, whichever way these are served.

    Notes
    -----
    Sets of orders that can be served at once are the independent sets of a matroid, for which this greedy way
    is the right one (Edmonds 1971, "Matroids and the greedy algorithm", Mathematical Programming 1). Each
    order looks for an augmenting path, breadth first. Drivers that a search without success has reached lead
    to none ever after, and are not looked at again: such searches take the time of one in all.
    """
    num_orders = len(first) - 1
    order_of_driver = np.full(num_drivers, NO_INDEX, np.int32)
    driver_of_order = np.full(num_orders, NO_INDEX, np.int32)
    came_from, seen_by = np.empty(num_drivers, np.int32), np.full(num_drivers, NO_INDEX, np.int64)
    queue = np.empty(num_orders, np.int32)
    is_used_up = np.zeros(num_drivers, np.bool_)
    for search in range(len(turn)):
        row = turn[search]
        queue[0], num_queued, at, free = row, 1, 0, NO_INDEX
        while at < num_queued and free == NO_INDEX:
            order = queue[at]
            at += 1
            for k in range(first[order], first[order + 1]):
                driver = candidate_driver[k]
                if is_used_up[driver] or seen_by[driver] == search:
                    continue
                seen_by[driver], came_from[driver] = search, order
                if order_of_driver[driver] == NO_INDEX:
                    free = driver
                    break
                queue[num_queued] = order_of_driver[driver]
                num_queued += 1
        if free != NO_INDEX:
            _give_along(row, free, came_from, order_of_driver, driver_of_order)
            continue
        for i in range(num_queued):
            for k in range(first[queue[i]], first[queue[i] + 1]):
                is_used_up[candidate_driver[k]] = True
    return driver_of_order != NO_INDEX
