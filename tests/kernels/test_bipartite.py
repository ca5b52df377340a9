import numpy as np
from hypothesis import given, settings, strategies as st

from assignments import all_free, both_views, edges_of
from dispatch.kernels.bipartite import empty_matching, survey, turn

ROWS = st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=5), max_size=6)


def triples(edges, *, turned=False):
    row = np.repeat(np.arange(len(edges.first) - 1), np.diff(edges.first))
    ends = (edges.column, row) if turned else (row, edges.column)
    return list(zip(*(end.tolist() for end in ends), edges.cost.tolist(), strict=True))


@settings(deadline=None)
@given(ROWS)
def test_the_mirror_holds_the_same_edges_and_each_knows_its_place_there(rows):
    there, back = both_views(rows, 6)
    assert len(back.first) == 7
    assert sorted(triples(there)) == sorted(triples(back, turned=True))
    assert not back.is_sorted
    for edge, triple in enumerate(triples(there)):
        assert triples(back, turned=True)[there.mirror[edge]] == triple
        assert back.mirror[there.mirror[edge]] == edge


def test_an_empty_matching_is_free_at_price_nothing():
    for given_, expected in zip(empty_matching(2, 3), all_free(2, 3), strict=True):
        assert given_.dtype == expected.dtype
        assert given_.tolist() == expected.tolist()


def test_turning_says_the_same_of_the_other_side_and_back():
    # Row 0 has column 1 at cost 4 and price -2, so that its own price is 6; row 1 is unmatched.
    there, back = both_views([[(0, 3), (1, 4)], [(1, 9)]], 2)
    matching, penalty = all_free(2, 2), np.array([50, 60])
    matching.edge_of_row[0], matching.row_of_column[1], matching.column_price[1] = 1, 0, -2
    everybody = np.arange(2, dtype=np.int32)
    other = all_free(2, 2)
    other.edge_of_row[:], other.row_of_column[:] = 0, 0  # of before, to be overwritten
    turn(there, penalty, everybody, everybody, matching, other)
    assert triples(back, turned=True)[other.edge_of_row[1]] == (0, 1, 4)
    assert other.edge_of_row[0] == -1
    assert other.row_of_column.tolist() == [1, -1]
    assert other.column_price.tolist() == [6, 60]
    again = all_free(2, 2)
    turn(back, np.zeros(2, np.int64), everybody, everybody, other, again)
    assert [part.tolist() for part in again] == [part.tolist() for part in matching]


def test_turning_leaves_those_alone_that_are_not_named():
    there, _ = both_views([[(0, 3)], [(1, 9)]], 2)
    matching, other = all_free(2, 2), all_free(2, 2)
    other.edge_of_row[1], other.row_of_column[1], other.column_price[1] = 1, 1, -7
    first = np.zeros(1, np.int32)
    turn(there, np.array([50, 60]), first, first, matching, other)
    assert other.column_price.tolist() == [50, -7]
    assert (other.edge_of_row[1], other.row_of_column[1]) == (1, 1)


def test_survey_tells_the_range_of_the_costs_and_whether_rows_are_sorted():
    def surveyed(rows):
        edges = edges_of(rows)
        return survey(edges.first, edges.cost)

    assert surveyed([]) == (0, 0, True)
    assert surveyed([[], []]) == (0, 0, True)
    assert surveyed([[(0, 5), (1, 5), (0, 7)], [], [(1, 2), (0, 3)]]) == (2, 7, True)
    assert surveyed([[(0, 5), (1, 9)], [(1, 4), (0, 3)]]) == (3, 9, False)
    assert surveyed([[(0, 5), (1, 4)], [(0, 5)]]) == (4, 5, False)
