import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels import grid

ALL_ROWS = np.empty(0, np.int32)


def built(x, y, row=ALL_ROWS):
    """A grid over these points, and whether they were in order."""
    points = grid.Points(np.array(x, np.float64), np.array(y, np.float64))
    num = len(points.x)
    one = grid.Grid(
        np.empty(grid.FRAME_SIZE),
        np.full(2 * num + 2, 99, np.int32),
        np.full(2 * num, 99.0),
        np.full(num, 99, np.int32),
    )
    return one, grid.build(*points, row, np.empty(num, np.int32), *one)


def slots_by_cell(one):
    frame = grid.frame_of(one.frame)
    first = one.first_slot[: grid.num_cells_of(frame) + 1].tolist()
    return frame, [range(a, b) for a, b in pairwise(first)]


@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-100, 100)), max_size=60),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_build_is_a_permutation_with_every_item_in_its_cell(points, crowded):
    x = np.array([p[0] / (1e7 if crowded else 1) for p in points])
    y = np.array([p[1] for p in points])
    one, right = built(x, y)
    assert right
    assert sorted(one.item.tolist()) == list(range(len(points)))
    frame, cells = slots_by_cell(one)
    assert [slot for cell in cells for slot in cell] == list(range(len(points)))
    for number, cell in enumerate(cells):
        items = one.item[cell.start : cell.stop].tolist()
        assert items == sorted(items)
        for slot, item in zip(cell, items, strict=True):
            assert (one.xy[2 * slot], one.xy[2 * slot + 1]) == (x[item], y[item])
            assert grid.cell_of(frame, x[item], y[item]) == number


def test_cells_are_numbered_row_by_row_and_those_at_the_border_reach_to_infinity():
    frame = grid.Frame(0.0, 0.0, 10.0, 0.1, 2.0, 1.0)
    assert [grid.cell_of(frame, x, 5.0) for x in (-1e9, 0.0, 9.9, 10.0, 29.0, 30.0, 1e9)] == [
        0,
        0,
        0,
        1,
        2,
        2,
        2,
    ]
    assert [grid.cell_of(frame, 15.0, y) for y in (-1e9, 9.0, 10.0, 1e9)] == [1, 1, 4, 4]


def test_the_cells_lie_where_the_bulk_is():
    random = np.random.default_rng(1)
    x, y = random.uniform(-500, 500, (2, 5_000))
    x[:5], y[:5] = 1e8, -1e9
    frame, cells = slots_by_cell(built(x, y)[0])
    assert 1_000 < len(cells) < 10_002
    assert 10 < frame.cell_m < 60
    assert max(map(len, cells)) < 40


@pytest.mark.parametrize("spread_m", [0.0, 1e-9, 1e-3, 1e3, 1e9])
@pytest.mark.parametrize("flat", [False, True])
def test_there_are_never_more_cells_than_there_is_room_for(spread_m, flat):
    random = np.random.default_rng(2)
    for num in (1, 2, 3, 7, 500):
        x = random.uniform(-spread_m, spread_m, num)
        y = np.zeros(num) if flat else random.uniform(-1, 1, num)
        one, right = built(x, y)
        assert right
        assert len(slots_by_cell(one)[1]) <= 2 * num + 1


def test_rows_are_named_as_told():
    one, _ = built([3.0, 1.0, 2.0], [0.0, 0.0, 0.0], np.array([7, 5, 9], np.int32))
    assert sorted(one.item.tolist()) == [5, 7, 9]


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1.1e9])
def test_what_is_out_of_range_is_told(wrong):
    assert not built([0.0, wrong], [0.0, 0.0])[1]
    assert not built([0.0, 0.0], [0.0, wrong])[1]
    assert grid.first_bad(np.array([0.0, wrong, wrong])) == 1
    assert grid.first_bad(np.array([-1e9, 1e9])) == 2


def test_build_of_nothing():
    one, right = built([], [])
    assert right
    assert slots_by_cell(one)[1] == [range(0)]
