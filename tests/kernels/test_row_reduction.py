import numpy as np

from assignments import all_free, check_prices, edges_of, no_work
from dispatch.kernels.row_reduction import reduce_rows


def reduced(edges, num_columns, max_steps):
    num_rows = len(edges.first) - 1
    penalty, work = np.full(num_rows, 1_000), no_work()
    matching, waiting = all_free(num_rows, num_columns), np.empty(num_rows, np.int32)
    num_waiting = reduce_rows(edges, penalty, max_steps, work, waiting, matching)
    left = waiting[:num_waiting].tolist()
    check_prices(edges, penalty, matching, left)
    return matching, left, work


def test_reduction_leaves_fitting_prices_however_early_it_stops():
    rows = [[(0, 1), (1, 5)], [(0, 2), (1, 3), (2, 9)], [(0, 1), (2, 2)], [], [(1, 0)]]
    for max_steps in range(12):
        _, left, _ = reduced(edges_of(rows), 3, max_steps)
        assert len(set(left)) == len(left)


def test_a_row_that_only_ties_waits_rather_than_fights():
    matching, left, _ = reduced(edges_of([[(0, 3), (1, 3)], [(0, 3)], [(0, 3), (1, 3)]]), 2, 100)
    assert len(left) + (matching.edge_of_row != -1).sum() <= 3
