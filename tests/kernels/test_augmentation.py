import numpy as np

from assignments import all_free, check_prices, edges_of, no_work, search_for
from dispatch.kernels.augmentation import FAR, augment


def test_a_path_runs_through_the_whole_chain_and_the_scratch_is_clean_afterwards():
    # Row i has column i, may turn to column i + 1; a last row wants column 0.
    length = 50
    edges = edges_of([[(i, 0), (i + 1, 1)] for i in range(length)] + [[(0, 0)]])
    penalty, matching = np.full(length + 1, 1_000), all_free(length + 1, length + 1)
    matching.edge_of_row[:length] = np.arange(0, 2 * length, 2)
    matching.row_of_column[:length] = np.arange(length)
    search, work = search_for(length + 1, 2 * length + 1), no_work()
    assert augment(edges, penalty, np.array([length], np.int32), search, work, matching)
    assert matching.row_of_column.tolist() == [length, *range(length)]
    assert (search.distance == FAR).all()
    check_prices(edges, penalty, matching)


def test_the_row_that_costs_least_to_leave_goes_unmatched():
    edges, penalty, matching = edges_of([[(0, 10)], [(0, 3)]]), np.full(2, 1_000), all_free(2, 1)
    matching.edge_of_row[0], matching.row_of_column[0] = 0, 0
    assert augment(edges, penalty, np.array([1], np.int32), search_for(1, 2), no_work(), matching)
    assert matching.edge_of_row.tolist() == [-1, 1]
    assert matching.row_of_column.tolist() == [1]
    check_prices(edges, penalty, matching)
