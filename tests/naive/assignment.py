"""Assignment by trying everything, by scipy on a dense matrix, and first come first served."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def rows_of(problem):
    """For each order a dict: driver -> least cost."""
    rows = []
    for begin, end in zip(problem.first_candidate[:-1], problem.first_candidate[1:], strict=True):
        row = {}
        for driver, cost in zip(problem.candidate_driver[begin:end], problem.cost[begin:end], strict=True):
            row[int(driver)] = min(int(cost), row.get(int(driver), int(cost)))
        rows.append(row)
    return rows


def best_by_trying(problem):
    """(orders served, total cost) of the best assignment; for a handful of orders."""
    rows = rows_of(problem)

    def better(order, taken):
        if order == len(rows):
            return 0, 0
        best = better(order + 1, taken)
        for driver, cost in rows[order].items():
            if driver not in taken:
                unserved, total = better(order + 1, taken | {driver})
                best = min(best, (unserved - 1, total + cost))
        return best

    unserved, total = better(0, frozenset())
    return -unserved, total


def best_by_scipy(problem):
    """(orders served, total cost) by a dense matrix in which a missing pair costs more than all others."""
    if problem.num_orders == 0 or problem.num_drivers == 0:
        return 0, 0
    penalty = float(int(problem.cost.max(initial=0)) * problem.num_orders + 1)
    dense = np.full((problem.num_orders, problem.num_drivers), penalty)
    for order, row in enumerate(rows_of(problem)):
        for driver, cost in row.items():
            dense[order, driver] = cost
    chosen = dense[linear_sum_assignment(dense)]
    served = chosen < penalty
    return int(served.sum()), int(chosen[served].sum())


def first_come_first_served(problem):
    """Candidate of each order, -1 if unserved."""
    taken, chosen = set(), []
    for begin, end in zip(problem.first_candidate[:-1], problem.first_candidate[1:], strict=True):
        free = [(problem.cost[c], c) for c in range(begin, end) if problem.candidate_driver[c] not in taken]
        chosen.append(min(free)[1] if free else -1)
        if free:
            taken.add(problem.candidate_driver[chosen[-1]])
    return chosen
