import numpy as np
from hypothesis import given, strategies as st

from dispatch.analysis.dense_rows import by_row, dense_rows


@given(st.lists(st.integers(-1, 40) | st.integers(-(2**62), 2**62), max_size=60))
def test_rows_are_those_of_the_sorted_ids(ids):
    distinct, row = dense_rows(np.array(ids, np.int64))
    expected = sorted(set(ids) - {-1})
    assert distinct.tolist() == expected
    assert row.tolist() == [expected.index(one) if one != -1 else -1 for one in ids]
    assert (distinct.dtype, row.dtype) == (np.int64, np.int32)


@given(st.lists(st.integers(0, 5), max_size=30), st.sampled_from([6, 70_000]))
def test_positions_of_equal_rows_stand_together_in_their_sequence(rows, num_rows):
    positions = by_row(np.array(rows, np.int32), num_rows)
    assert positions.tolist() == sorted(range(len(rows)), key=lambda at: rows[at])


def test_more_rows_than_16_bits_number():
    row = np.array([65_536, 0, 65_537, 1], np.int32)
    assert by_row(row, 65_538).tolist() == [1, 3, 0, 2]
