import numpy as np
import pytest

from assignments import NO_LIMIT, all_free, check_prices, edges_of, graph_of, no_work
from dispatch.kernels.bipartite import EXCLUDED, Edges, mirrored
from dispatch.kernels.two_sided import auction_steps, match_members
from naive.assignment import least_by_scipy
from random_assignments import FAMILIES, in_unit_costs, random_problem


def everybody(number):
    return np.arange(number).astype(np.int32)


def matched(edges, num_columns, penalty, epsilons=(3,), prices=0, allowed=NO_LIMIT):
    """Match all rows with all columns: what rows see, what columns see, whether all of the work was done."""
    rows, columns = mirrored(edges, num_columns)
    matching, back = all_free(len(penalty), num_columns), all_free(num_columns, len(penalty))
    matching.column_price[:] = prices
    chosen = (everybody(len(penalty)), everybody(num_columns))
    penalties = (penalty, np.zeros(num_columns, np.int64))
    steps, work = np.array(epsilons, np.int64), no_work(allowed)
    done = match_members(rows, columns, chosen, penalties, steps, work, matching, back)
    return matching, back, done


def check_both_sides(edges, penalty, matching, back):
    """The prices prove the matching, and the columns' view of it says the same."""
    check_prices(edges, penalty, matching)
    assert back.edge_of_row.tolist() == [
        -1 if row == -1 else mirrored(edges, len(back.edge_of_row))[0].mirror[matching.edge_of_row[row]]
        for row in matching.row_of_column
    ]
    for row, edge in enumerate(matching.edge_of_row):
        column = -1 if edge == -1 else edges.column[edge]
        assert back.row_of_column[row] == column
        price = penalty[row] if edge == -1 else edges.cost[edge] - matching.column_price[column]
        assert back.column_price[row] == price


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("epsilons", [(), (1,), (10**9,), (64, 3)])
def test_the_prices_prove_it_whatever_the_increments(family, epsilons):
    for seed in range(12):
        rng = np.random.default_rng(seed)
        problem = in_unit_costs(random_problem(rng, family, *rng.integers(1, 10, 2)))
        penalty = rng.integers(0, 2 * problem.cost.max(initial=1) + 1, problem.num_orders)
        edges = graph_of(problem)
        matching, back, done = matched(edges, problem.num_drivers, penalty, epsilons)
        assert done
        check_both_sides(edges, penalty, matching, back)
        taken = matching.edge_of_row[matching.edge_of_row != -1]
        paid = edges.cost[taken].sum() + penalty[matching.edge_of_row == -1].sum()
        assert paid == least_by_scipy(problem, penalty)


@pytest.mark.parametrize("scale", [1, 100, 2**59])
def test_any_prices_are_a_start(scale):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        problem = in_unit_costs(random_problem(rng, FAMILIES[seed % len(FAMILIES)], 8, 7))
        penalty = rng.integers(0, problem.cost.max(initial=1) + 1, problem.num_orders)
        edges, prices = graph_of(problem), -rng.integers(0, scale, problem.num_drivers, endpoint=True)
        matching, back, done = matched(edges, problem.num_drivers, penalty, (2,), prices)
        assert done
        check_both_sides(edges, penalty, matching, back)


def test_an_auction_that_is_given_up_is_mended_by_paths():
    """A war of 30 rows for 2 columns in steps of 1: far more scans than an auction is allowed."""
    edges, penalty = edges_of([[(0, 0), (1, 0)] for _ in range(30)]), np.arange(30) + 10**6
    matching, back, done = matched(edges, 2, penalty, (1,))
    assert done
    check_both_sides(edges, penalty, matching, back)
    assert np.flatnonzero(matching.edge_of_row != -1).tolist() == [28, 29]


def test_excluded_columns_and_rows_that_are_not_named_stay_as_they_are():
    edges, penalty = edges_of([[(0, 9), (1, 1)], [(1, 2), (0, 3)]]), np.array([100, 100])
    rows, columns = mirrored(edges, 2)
    matching, back = all_free(2, 2), all_free(2, 2)
    matching.column_price[1] = EXCLUDED
    matching.edge_of_row[1], matching.row_of_column[1] = 2, 1
    first, nothing = everybody(1), np.zeros(2, np.int64)
    steps = np.array([1])
    assert match_members(rows, columns, (first, first), (penalty, nothing), steps, no_work(), matching, back)
    assert matching.edge_of_row.tolist() == [0, 2]
    assert matching.row_of_column.tolist() == [0, 1]
    assert matching.column_price[1] == EXCLUDED
    assert 9 - 100 <= matching.column_price[0] <= 0


def test_work_is_cut_short_wherever_it_stands_and_leaves_a_matching():
    rng = np.random.default_rng(3)
    edges = edges_of(
        [list(zip(rng.integers(6, size=4), rng.integers(50, size=4), strict=True)) for _ in range(9)]
    )
    penalty, verdicts = np.full(9, 100), []
    for allowed in range(0, 2_000, 20):
        matching, _, done = matched(edges, 6, penalty, (4, 1), allowed=allowed)
        verdicts.append(done)
        assert (matching.column_price <= 0).all()
        taken = edges.column[matching.edge_of_row[matching.edge_of_row != -1]]
        assert len(set(taken)) == len(taken)
        if done:
            check_prices(edges, penalty, matching)
    assert not verdicts[0]
    assert verdicts[-1]
    assert verdicts == sorted(verdicts)


def test_increments_fall_and_grow_with_the_spread_of_the_rows_not_with_the_costs():
    rows = [[(0, 0), (1, 640)], [(1, 7)], [], [(0, 330), (1, 10)]]
    steps = auction_steps(edges_of(rows), False)
    assert (np.diff(steps) < 0).all()
    assert steps[-1:].tolist() == auction_steps(edges_of(rows), True).tolist()
    dearer = [[(column, cost + 5_000) for column, cost in row] for row in rows]
    assert auction_steps(edges_of(dearer), False).tolist() == steps.tolist()
    wider = [[(column, cost * 1_000) for column, cost in row] for row in rows]
    assert (auction_steps(edges_of(wider), False) > 100 * steps).all()


@pytest.mark.parametrize("rows", [[[(0, 4), (1, 5)]], [[(0, 4)]], [[], []]])
@pytest.mark.parametrize("only_fine", [False, True])
def test_increments_are_never_nothing(rows, only_fine):
    steps = auction_steps(edges_of(rows), only_fine)
    assert len(steps) > 0
    assert (steps >= 1).all()


def test_early_ends_of_scans_change_nothing():
    """Rows that are sorted by cost, told so or not."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rows = [
            sorted(((int(c), int(w)) for c, w in rng.integers(0, 7, (4, 2))), key=lambda e: e[1])
            for _ in range(8)
        ]
        edges, penalty = edges_of(rows), np.full(8, 30)
        assert edges.is_sorted
        untold = Edges(edges.first, edges.column, edges.cost, edges.mirror, False)
        totals = []
        for one in (edges, untold):
            matching, back, _ = matched(one, 7, penalty)
            check_both_sides(one, penalty, matching, back)
            taken = matching.edge_of_row[matching.edge_of_row != -1]
            totals.append(one.cost[taken].sum() + 30 * (8 - len(taken)))
        assert totals[0] == totals[1]
