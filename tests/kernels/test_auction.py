import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from assignments import NO_LIMIT, all_free, check_matching, edges_of, no_work
from dispatch.kernels.auction import bid, keep_best

ROWS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=5), min_size=1, max_size=8
)


def everybody(num_rows):
    return np.arange(num_rows, dtype=np.int32)


@settings(deadline=None)
@given(rows=ROWS, penalty=st.integers(0, 60), epsilon=st.sampled_from([1, 2, 7, 100]))
def test_in_the_end_everybody_has_nearly_the_best(rows, penalty, epsilon):
    edges, matching, work = edges_of(rows), all_free(len(rows), 6), no_work()
    penalties = np.full(len(rows), penalty)
    bid(edges, penalties, everybody(len(rows)), epsilon, NO_LIMIT, work, matching)
    reduced = edges.cost - matching.column_price[edges.column]
    for row, edge in enumerate(matching.edge_of_row):
        best = min([penalty, *reduced[edges.first[row] : edges.first[row + 1]]])
        assert (penalty if edge == -1 else reduced[edge]) <= best + epsilon
        assert edge == -1 or matching.row_of_column[edges.column[edge]] == row
    held = matching.row_of_column != -1
    assert held.sum() == (matching.edge_of_row != -1).sum()
    assert (matching.column_price[held] <= 0).all()
    assert (matching.column_price[~held] == 0).all()
    assert work[0] >= len(edges.cost)


def test_only_the_bidders_bid_and_those_that_they_displace():
    edges, matching = edges_of([[(0, 5), (1, 9)], [(0, 1)], [(2, 1)]]), all_free(3, 3)
    matching.edge_of_row[0], matching.row_of_column[0] = 0, 0
    bid(edges, np.full(3, 100), np.array([0, 1], np.int32), 1, NO_LIMIT, no_work(), matching)
    assert matching.row_of_column.tolist() == [1, 0, -1]


def test_a_price_never_falls_below_what_a_bidder_would_pay():
    edges, matching = edges_of([[(0, 5)], [(0, 5)]]), all_free(2, 1)
    bid(edges, np.array([8, 20]), everybody(2), 1_000, NO_LIMIT, no_work(), matching)
    assert matching.column_price.tolist() == [-15]
    assert matching.edge_of_row.tolist() == [-1, 1]


@pytest.mark.parametrize("max_scans", range(0, 60, 3))
def test_an_auction_that_ends_early_leaves_a_matching(max_scans):
    edges, matching, work = edges_of([[(0, 1), (1, 1)]] * 3), all_free(3, 2), no_work()
    bid(edges, np.full(3, 1_000), everybody(3), 1, max_scans, work, matching)
    assert work[0] <= max_scans + 2 * 3
    taken = edges.column[matching.edge_of_row[matching.edge_of_row != -1]]
    assert sorted(taken) == np.flatnonzero(matching.row_of_column != -1).tolist()


@settings(deadline=None)
@given(data=st.data(), rows=ROWS, penalty=st.integers(0, 60))
def test_what_is_kept_is_best_at_these_prices_and_who_waits_finds_nothing_free(data, rows, penalty):
    edges, matching = edges_of(rows), all_free(len(rows), 6)
    penalties = np.full(len(rows), penalty)
    bid(edges, penalties, everybody(len(rows)), data.draw(st.integers(1, 9)), NO_LIMIT, no_work(), matching)
    changes = data.draw(st.lists(st.integers(-9, 9), min_size=6, max_size=6))
    matching.column_price[:] = np.minimum(matching.column_price + changes, 0)
    waiting = np.empty(len(rows), np.int32)
    num_waiting = keep_best(edges, penalties, everybody(len(rows)), no_work(), waiting, matching)
    left = waiting[:num_waiting].tolist()
    check_matching(edges, penalties, matching, left)
    reduced = edges.cost - matching.column_price[edges.column]
    for row in left:
        assert matching.edge_of_row[row] == -1
        own = slice(edges.first[row], edges.first[row + 1])
        best = reduced[own].min()
        assert best < penalty
        assert (matching.row_of_column[edges.column[own][reduced[own] == best]] != -1).all()
