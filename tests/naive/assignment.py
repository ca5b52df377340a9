"""Assignment by trying everything, by scipy on a dense matrix, and first come first served."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def rows_of(problem):
    """For each order a dict: driver -> least cost."""
    rows = []
    for begin, end in zip(problem.first_candidate[:-1], problem.first_candidate[1:], strict=True):
        row = {}
        for candidate in range(begin, end):
            driver, cost = int(problem.candidate_driver[candidate]), problem.cost[candidate].item()
            row[driver] = min(cost, row.get(driver, cost))
        rows.append(row)
    return rows


def capacity_of(problem):
    return np.ones(problem.num_drivers, int) if problem.capacity is None else problem.capacity


def best_by_trying(problem):
    """(orders served, total cost) of the best assignment; for a handful of orders."""
    unserved, total = _least_by_trying(problem, [(1, 0)] * problem.num_orders)
    return problem.num_orders - unserved, total


def least_by_trying(problem, penalty):
    """The least sum of costs and penalties, one for each order; for a handful of orders."""
    return _least_by_trying(problem, [(0, one) for one in np.asarray(penalty).tolist()])[1]


def _least_by_trying(problem, leaving):
    """The least (orders unserved that count, sum), where leaving an order adds what `leaving` says."""
    rows, left = rows_of(problem), capacity_of(problem).tolist()

    def best_from(order):
        if order == len(rows):
            return 0, 0
        unserved, total = best_from(order + 1)
        best = (unserved + leaving[order][0], total + leaving[order][1])
        for driver, cost in rows[order].items():
            if left[driver] > 0:
                left[driver] -= 1
                unserved, total = best_from(order + 1)
                best = min(best, (unserved, total + cost))
                left[driver] += 1
        return best

    return best_from(0)


def best_by_scipy(problem):
    """(orders served, total cost) by a dense matrix in which a missing pair costs more than all others."""
    penalty = float(problem.cost.max(initial=0) * problem.num_orders + 1)
    chosen = _chosen_by_scipy(problem, np.full(problem.num_orders, penalty))
    served = chosen[chosen < penalty]
    return len(served), served.sum()


def least_by_scipy(problem, penalty):
    """The least sum of costs and penalties, one for each order."""
    return _chosen_by_scipy(problem, np.asarray(penalty, float)).sum()


def _chosen_by_scipy(problem, penalty):
    """What each order costs; a driver is a column for each order it can serve, and going unserved is one."""
    dense = np.tile(penalty[:, np.newaxis], problem.num_drivers)
    order = np.repeat(np.arange(problem.num_orders), np.diff(problem.first_candidate))
    np.minimum.at(dense, (order, problem.candidate_driver), problem.cost)
    places = np.minimum(capacity_of(problem), problem.num_orders)
    unserved = np.tile(penalty[:, np.newaxis], problem.num_orders)
    matrix = np.hstack([dense[:, np.repeat(np.arange(problem.num_drivers), places)], unserved])
    return matrix[linear_sum_assignment(matrix)]


def first_come_first_served(problem):
    """Candidate of each order, -1 if unserved."""
    taken, chosen = set(), []
    for begin, end in zip(problem.first_candidate[:-1], problem.first_candidate[1:], strict=True):
        free = [(problem.cost[c], c) for c in range(begin, end) if problem.candidate_driver[c] not in taken]
        chosen.append(min(free)[1] if free else -1)
        if free:
            taken.add(problem.candidate_driver[chosen[-1]])
    return chosen
