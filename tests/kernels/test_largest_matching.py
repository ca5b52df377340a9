import numpy as np
from hypothesis import example, given, settings, strategies as st

from assignments import all_free, both_views, no_work
from dispatch.kernels.largest_matching import UNREACHED, match_most
from naive.largest_matching import cut_off, largest_matching

NUM_COLUMNS = 8
ROWS = st.lists(st.lists(st.integers(0, NUM_COLUMNS - 1), max_size=4), max_size=10)


def matched_most(rows, matching=None, allowed=2**62, num_columns=NUM_COLUMNS):
    there, back = both_views([[(column, 0) for column in row] for row in rows], num_columns)
    matching = matching or all_free(len(rows), num_columns)
    work, level = no_work(allowed), np.empty(len(rows), np.int32)
    done = match_most(there, back, work, matching, level)
    matched = np.flatnonzero(matching.edge_of_row != -1)
    columns = there.column[matching.edge_of_row[matched]]
    assert matching.row_of_column[columns].tolist() == matched.tolist()
    assert (matching.row_of_column != -1).sum() == len(matched)
    return done, matching, level, work


@settings(deadline=None, max_examples=300)
@given(ROWS)
@example([])
@example([[], []])
@example([[0], [0], [0, 1], [1, 2], [2, 2]])
def test_it_is_largest_and_tells_which_rows_are_cut_off(rows):
    done, matching, level, _ = matched_most(rows)
    assert done
    assert (matching.edge_of_row != -1).sum() == len(largest_matching(rows))
    assert set(np.flatnonzero(level == UNREACHED).tolist()) == cut_off(rows, NUM_COLUMNS)


@settings(deadline=None)
@given(rows=ROWS, data=st.data())
def test_any_matching_is_enlarged_and_no_column_of_it_is_given_up(rows, data):
    matching, edge = all_free(len(rows), NUM_COLUMNS), 0
    for row, columns in enumerate(rows):
        free = [k for k, column in enumerate(columns) if matching.row_of_column[column] == -1]
        if free and data.draw(st.booleans()):
            chosen = data.draw(st.sampled_from(free))
            matching.edge_of_row[row], matching.row_of_column[columns[chosen]] = edge + chosen, row
        edge += len(columns)
    held = matching.row_of_column != -1
    _, larger, _, _ = matched_most(rows, matching)
    assert (larger.edge_of_row != -1).sum() == len(largest_matching(rows))
    assert (larger.row_of_column[held] != -1).all()


def test_one_row_more_shifts_a_whole_chain():
    length = 300
    rows = [[i, i + 1] for i in range(length)] + [[0]]
    _, matching, level, _ = matched_most(rows, num_columns=length + 1)
    assert (matching.edge_of_row != -1).all()
    assert (level == UNREACHED).all()


def test_work_that_is_not_allowed_is_not_done():
    rows = [[0, 1], [0], [1, 2], [2, 3], [0]]
    needed = matched_most(rows)[3][0]
    for allowed in range(needed + 1):
        done, _, _, work = matched_most(rows, allowed=allowed)
        assert done == (work[0] == needed)
    assert not matched_most(rows, allowed=0)[0]
    assert done
