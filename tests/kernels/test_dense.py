import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.dense import append_columns, cheaper_than_priced, costs_in_units, least_of_rows


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 12), st.integers(1, 12))
def test_least_of_rows_equals_sorting(seed, num_rows, num_columns, k):
    k = min(k, num_columns)
    matrix = np.random.default_rng(seed).integers(0, 8, (num_rows, num_columns)).astype(float)
    column = np.empty(num_rows * k, np.int32)
    least_of_rows(matrix, k, column)
    for row, chosen in enumerate(column.reshape(num_rows, k)):
        assert len(set(chosen.tolist())) == k
        assert matrix[row, chosen].tolist() == sorted(matrix[row])[:k]


def test_costs_are_rounded_to_units_above_the_least():
    matrix = np.array([[0.25, 1.0], [-2.0, 3.1]])
    first, column, cost = np.array([0, 1, 3], np.int32), np.array([1, 0, 1], np.int32), np.empty(3, np.int64)
    costs_in_units(matrix, first, column, 4.0, -2.0, cost)
    assert cost.tolist() == [12, 0, 20]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 20]), st.sampled_from([1, 2**30]))
def test_finds_the_worst_offenders_exactly(seed, k, size):
    rng = np.random.default_rng(seed)
    matrix = (rng.integers(0, 50, (5, 9)) * size).astype(float)
    matrix[rng.random((5, 9)) < 0.2] = np.inf
    row_price, column_price = rng.integers(0, 30, 5) * size, -rng.integers(0, 20, 9) * size
    column = np.empty(5 * k, np.int32)
    found = cheaper_than_priced(matrix, 1.0, 0.0, row_price, column_price, column)
    slack = matrix - row_price[:, None] - column_price
    assert found == sum(min(k, int((row < 0).sum())) for row in slack)
    for row, chosen in enumerate(column.reshape(5, k)):
        chosen = chosen[chosen != -1]
        offenders = sorted(slack[row][slack[row] < 0])
        assert sorted(slack[row, chosen]) == offenders[: len(chosen)]


def test_one_unit_too_cheap_is_found_where_floats_cannot_tell():
    huge = 2**56
    matrix = np.array([[float(huge)]])
    column = np.empty(1, np.int32)
    for row_price, expected in ((huge, 0), (huge + 1, 1), (huge - 1, 0)):
        assert (
            cheaper_than_priced(matrix, 1.0, 0.0, np.array([row_price + 5]), np.array([-5]), column)
            == expected
        )


@pytest.mark.parametrize("k", [1, 2])
def test_appended_edges_follow_those_of_their_row(k):
    first, column = np.array([0, 2, 2, 3], np.int32), np.array([4, 5, 6], np.int32)
    more = np.full((3, k), -1, np.int32)
    more[0, 0], more[1, 0] = 7, 8
    edge_of_row = np.array([1, -1, 2], np.int32)
    out_first, out_column = np.empty(4, np.int32), np.empty(5, np.int32)
    append_columns(first, column, more.ravel(), edge_of_row, out_first, out_column)
    assert out_first.tolist() == [0, 3, 4, 5]
    assert out_column.tolist() == [4, 5, 7, 8, 6]
    assert edge_of_row.tolist() == [1, -1, 4]
