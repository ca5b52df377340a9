import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels import grid


def built(x, y, frame):
    x, y = np.array(x, np.float64), np.array(y, np.float64)
    scratch, item = np.empty(len(x), np.int32), np.empty(len(x), np.int32)
    first_item = np.full(frame.num_cols * frame.num_rows + 1, 99, np.int32)
    sorted_x, sorted_y = np.empty(len(x)), np.empty(len(x))
    grid.build(frame, x, y, scratch, first_item, item, sorted_x, sorted_y)
    return grid.Grid(first_item, item, sorted_x, sorted_y, frame)


def frame_of(num_cols, num_rows, cell_m=10.0):
    return grid.Frame(0.0, 0.0, cell_m, num_cols, num_rows, -1e6, 1e6, -1e6, 1e6)


def test_build_numbers_cells_row_by_row_and_keeps_items_ascending():
    one = built([25.0, 5.0, 5.0, 15.0, 5.0], [5.0, 15.0, 5.0, 5.0, 15.0], frame_of(3, 2))
    assert one.first_item.tolist() == [0, 1, 2, 3, 5, 5, 5]
    assert one.item.tolist() == [2, 3, 0, 1, 4]
    assert one.x.tolist() == [5.0, 15.0, 25.0, 5.0, 5.0]
    assert one.y.tolist() == [5.0, 5.0, 5.0, 15.0, 15.0]


def test_build_puts_what_lies_beyond_the_grid_into_border_cells():
    one = built([-500.0, 1e6, 5.0, 30.0], [-7.0, 1e6, 1e5, 0.0], frame_of(3, 2))
    assert np.diff(one.first_item).tolist() == [1, 0, 1, 1, 0, 1]
    assert one.item.tolist() == [0, 3, 2, 1]


def test_build_of_nothing():
    assert built([], [], frame_of(2, 2)).first_item.tolist() == [0, 0, 0, 0, 0]


@given(
    st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), max_size=40),
    st.integers(1, 7),
    st.integers(1, 7),
)
@settings(max_examples=60, deadline=None)
def test_build_is_a_permutation_with_every_item_in_its_cell(points, num_cols, num_rows):
    x, y = [p[0] for p in points], [p[1] for p in points]
    one = built(x, y, frame_of(num_cols, num_rows))
    assert sorted(one.item.tolist()) == list(range(len(points)))
    for cell in range(num_cols * num_rows):
        for i in range(one.first_item[cell], one.first_item[cell + 1]):
            col = min(max(int(one.x[i] // 10.0), 0), num_cols - 1)
            row = min(max(int(one.y[i] // 10.0), 0), num_rows - 1)
            assert (row, col) == divmod(cell, num_cols)
            assert (one.x[i], one.y[i]) == (x[one.item[i]], y[one.item[i]])


def test_nearest_leaves_rows_beyond_the_found_untouched():
    one = built([5.0, 6.0], [5.0, 5.0], frame_of(3, 2))
    first, item, distance_m = np.empty(3, np.int32), np.full(4, -7, np.int32), np.full(4, -7.0)
    queries = grid.Points(np.array([5.0, 100.0]), np.array([5.0, 5.0]))
    grid.nearest(one, queries, 2, 3.0, np.empty(0, np.bool_), first, item, distance_m)
    assert first.tolist() == [0, 2, 2]
    assert item.tolist() == [0, 1, -7, -7]
    assert distance_m.tolist() == [0.0, 1.0, -7.0, -7.0]


@pytest.mark.parametrize("radius_m", [0.0, 1.0, 50.0])
def test_within_counts_what_it_fills(radius_m):
    rng = np.random.default_rng(3)
    one = built(rng.integers(0, 30, 50), rng.integers(0, 20, 50), frame_of(3, 2))
    queries = grid.Points(rng.uniform(0, 30, 9), rng.uniform(0, 20, 9))
    available = rng.random(50) < 0.5
    first = np.empty(10, np.int32)
    num_found = grid.within_count(one, queries, radius_m, available, first)
    assert num_found == first[-1]
    item, distance_m = np.full(num_found, -7, np.int32), np.full(num_found, -7.0)
    grid.within_fill(one, queries, radius_m, available, first, item, distance_m)
    assert available[item].all()
    assert ((distance_m >= 0) & (distance_m <= radius_m)).all()
