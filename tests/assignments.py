"""Assignment problems for tests: written by hand, solved and checked, and as the kernels see them."""

import numpy as np

from dispatch.kernels.assignment import Outcome, _match_least, _match_most, _write_outcome
from dispatch.kernels.augmentation import FAR, Search, augment
from dispatch.kernels.bipartite import Edges, Matching, mirrored, survey
from dispatch.kernels.row_reduction import reduce_rows
from dispatch.matching import Assignment, AssignmentProblem, Status, certificate, solve
from naive.assignment import best_by_scipy, least_by_scipy

NO_LIMIT = 2**62
NO_MIRROR = np.empty(0, np.int32)


def problem_of(rows, num_drivers, capacity=None, dtype=int):
    """A problem from a list of ``(driver, cost)`` for each order."""
    pairs = [pair for row in rows for pair in row]
    return AssignmentProblem.checked(
        np.cumsum([0, *map(len, rows)]),
        np.array([driver for driver, _ in pairs], int),
        np.array([cost for _, cost in pairs], dtype),
        num_drivers,
        capacity,
    )


def check(problem, penalty=None, **options):
    """The answer, certified; or what it is worth if it was cut short, certified as well."""
    answer = solve(problem, penalty, **options)
    proof = certificate(problem, answer, penalty)
    assert proof.violations == "", proof
    if answer.status == Status.OPTIMAL:
        assert proof.optimal
        assert proof.gap == answer.gap == 0
    else:
        assert answer.status == Status.CUT_SHORT
        assert 0 <= proof.gap <= answer.gap
        assert answer.gap > 0
    return answer


def objective(problem, answer, penalty):
    """The sum of costs and penalties, without limit where they are integers."""
    left = np.broadcast_to(penalty, problem.num_orders)[answer.driver_of_order == -1]
    taken = answer.candidate_of_order[answer.candidate_of_order != -1]
    return sum(problem.cost[taken].tolist()) + sum(left.tolist())


def check_best(problem, penalty=None, **options):
    """The answer, certified and compared with scipy's."""
    answer = check(problem, penalty, **options)
    assert answer.status == Status.OPTIMAL
    rounding = certificate(problem, answer, penalty).rounding
    if penalty is None:
        num_served, best = best_by_scipy(problem)
        assert answer.num_served == num_served
        found = answer.total_cost
    else:
        best = least_by_scipy(problem, np.broadcast_to(penalty, problem.num_orders))
        found = objective(problem, answer, penalty)
    assert abs(found - best) <= rounding + 1e-12 * best
    return answer


def graph_of(problem):
    """The graph of a problem with integers and one order a driver, without its mirror."""
    cost = problem.cost.astype(np.int64)
    is_sorted = survey(problem.first_candidate, cost)[2]
    return Edges(problem.first_candidate, problem.candidate_driver, cost, NO_MIRROR, is_sorted)


def edges_of(rows):
    """The graph of a list of ``(column, cost)`` for each row, without its mirror."""
    return graph_of(problem_of(rows, 1 + max((column for row in rows for column, _ in row), default=0)))


def both_views(rows, num_columns):
    """The graph with its mirror, and the mirror."""
    return mirrored(edges_of(rows), num_columns)


def all_free(num_rows, num_columns):
    return Matching(
        np.full(num_rows, -1, np.int32), np.full(num_columns, -1, np.int32), np.zeros(num_columns, np.int64)
    )


def no_work(allowed=NO_LIMIT):
    return np.array([0, 0, allowed])


def search_for(num_columns, num_edges):
    return Search(
        np.full(num_columns, FAR),
        *(np.empty(num_columns, np.int32) for _ in range(3)),
        np.empty(num_edges + 1, np.int64),
        np.empty(num_edges + 1, np.int32),
    )


def check_matching(edges, penalty, matching, waiting=()):
    """Both sides agree; who is matched has the best of all choices at these prices, and so has who is not."""
    first, columns, cost = edges.first, edges.column, edges.cost
    reduced = cost - matching.column_price[columns]
    held = np.flatnonzero(matching.row_of_column != -1)
    assert len(held) == (matching.edge_of_row != -1).sum()
    for row, edge in enumerate(matching.edge_of_row):
        choices = reduced[first[row] : first[row + 1]]
        if edge != -1:
            assert first[row] <= edge < first[row + 1]
            assert matching.row_of_column[columns[edge]] == row
            assert reduced[edge] == choices.min() <= penalty[row]
        elif row not in waiting:
            assert choices.min(initial=penalty[row]) >= penalty[row]


def check_prices(edges, penalty, matching, waiting=()):
    """As :func:`check_matching`; besides, no price is positive and what is free has the price 0."""
    check_matching(edges, penalty, matching, waiting)
    assert (matching.column_price <= 0).all()
    assert (matching.column_price[matching.row_of_column == -1] == 0).all()


def by_paths(edges, most_first, penalty, earlier, work, matching):
    """Match rows as where columns abound, however scarce they are."""
    waiting = np.empty(len(penalty), np.int32)
    num_waiting = reduce_rows(edges, penalty, 3 * len(penalty), work, waiting, matching)
    search = search_for(len(matching.row_of_column), len(edges.cost))
    return augment(edges, penalty, waiting[:num_waiting], search, work, matching)


def by_bids(edges, most_first, penalty, earlier, work, matching):
    """Match rows as where columns are scarce, however many there are, from prices of an earlier matching."""
    reduce_rows(edges, penalty, len(penalty), work, np.empty(len(penalty), np.int32), matching)
    earlier_penalty, matching.column_price[:] = earlier
    if not most_first:
        return _match_least(edges, penalty, earlier_penalty, work, matching)
    done, penalty[:] = _match_most(edges, penalty, earlier_penalty, work, matching)
    return done


def solved(way, problem, penalty=None, earlier=(0, 0), max_scans=NO_LIMIT):
    """Solve in one of these ways a problem with integers and one order a driver; None if it was cut short."""
    num_orders, most_first, edges = problem.num_orders, penalty is None, graph_of(problem)
    if most_first:
        penalty = min(num_orders, problem.num_drivers) * int(edges.cost.max(initial=0)) + 1
    penalties = np.broadcast_to(penalty, num_orders).astype(np.int64)
    work, matching = no_work(max_scans), all_free(num_orders, problem.num_drivers)
    if not way(edges, most_first, penalties, earlier, work, matching):
        return None
    outcome = Outcome(penalties, np.empty(num_orders, np.int32), np.empty(num_orders, np.int64))
    num_matched, total_cost = _write_outcome(edges, True, matching, outcome)
    return Assignment(
        outcome.column,
        matching.edge_of_row,
        num_matched,
        total_cost,
        outcome.price,
        matching.column_price,
        penalties,
        1.0,
        Status.OPTIMAL,
        0,
        int(work[0]),
        int(work[1]),
    )
