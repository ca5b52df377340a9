import numpy as np

from dispatch.kernels.augmentation import FAR, Candidates, Matching, Search, augment, reduce_rows

PENALTY = 1_000


def candidates_of(rows):
    first = np.cumsum([0, *map(len, rows)]).astype(np.int32)
    pairs = [pair for row in rows for pair in row]
    return Candidates(
        first, np.array([d for d, _ in pairs], np.int32), np.array([cost for _, cost in pairs], np.int64)
    )


def empty_matching(num_orders, num_drivers):
    return Matching(
        np.full(num_orders, -1, np.int32), np.full(num_drivers, -1, np.int32), np.zeros(num_drivers, np.int64)
    )


def search_for(num_drivers, num_candidates):
    rows = [np.empty(num_drivers, np.int32) for _ in range(3)]
    return Search(np.full(num_drivers, FAR), *rows, np.empty(num_candidates + 1, np.int64))


def check_prices(candidates, matching, waiting):
    """Prices are never positive and 0 for free drivers; who is served takes the cheapest at these prices."""
    assert (matching.driver_price <= 0).all()
    assert (matching.driver_price[matching.order_of_driver == -1] == 0).all()
    reduced = candidates.cost - matching.driver_price[candidates.driver]
    for order, candidate in enumerate(matching.candidate_of_order):
        row = reduced[candidates.first[order] : candidates.first[order + 1]]
        if candidate != -1:
            assert matching.order_of_driver[candidates.driver[candidate]] == order
            assert reduced[candidate] == row.min() <= PENALTY
        elif order not in waiting:
            assert row.min(initial=PENALTY) >= PENALTY


def test_reduction_leaves_fitting_prices_however_early_it_stops():
    rows = [[(0, 1), (1, 5)], [(0, 2), (1, 3), (2, 9)], [(0, 1), (2, 2)], [], [(1, 0)]]
    candidates = candidates_of(rows)
    for max_steps in range(12):
        matching, waiting = empty_matching(5, 3), np.empty(5, np.int32)
        num_waiting = reduce_rows(candidates, PENALTY, max_steps, waiting, matching)
        left = waiting[:num_waiting].tolist()
        assert len(set(left)) == len(left)
        check_prices(candidates, matching, left)


def test_an_order_that_only_ties_waits_rather_than_fights():
    candidates = candidates_of([[(0, 3), (1, 3)], [(0, 3)], [(0, 3), (1, 3)]])
    matching, waiting = empty_matching(3, 2), np.empty(3, np.int32)
    num_waiting = reduce_rows(candidates, PENALTY, 100, waiting, matching)
    check_prices(candidates, matching, waiting[:num_waiting].tolist())
    assert num_waiting + (matching.candidate_of_order != -1).sum() <= 3


def test_a_path_runs_through_the_whole_chain_and_the_scratch_is_clean_afterwards():
    # Order i is served by driver i, may turn to driver i + 1; a last order wants driver 0.
    length = 50
    rows = [[(i, 0), (i + 1, 1)] for i in range(length)] + [[(0, 0)]]
    candidates = candidates_of(rows)
    matching = empty_matching(length + 1, length + 1)
    matching.candidate_of_order[:length] = np.arange(0, 2 * length, 2)
    matching.order_of_driver[:length] = np.arange(length)
    search = search_for(length + 1, 2 * length + 1)
    augment(candidates, PENALTY, np.array([length], np.int32), search, matching)
    assert matching.order_of_driver.tolist() == [length, *range(length)]
    assert (search.distance == FAR).all()
    check_prices(candidates, matching, [])


def test_the_order_that_costs_least_to_leave_goes_unserved():
    candidates = candidates_of([[(0, 10)], [(0, 3)]])
    matching = empty_matching(2, 1)
    matching.candidate_of_order[0], matching.order_of_driver[0] = 0, 0
    augment(candidates, PENALTY, np.array([1], np.int32), search_for(1, 2), matching)
    assert matching.candidate_of_order.tolist() == [-1, 1]
    assert matching.order_of_driver.tolist() == [1]
    check_prices(candidates, matching, [])
