import math

import numpy as np
import pytest

from dispatch.kernels import grid, grid_search
from naive.neighbours import neighbours

NO_FILTER = grid_search.Filter(np.empty(0, np.bool_), np.empty(0, np.int64))


def built(x, y):
    num = len(x)
    one = grid.Grid(
        np.empty(grid.FRAME_SIZE), np.empty(2 * num + 2, np.int32), np.empty(2 * num), np.empty(num, np.int32)
    )
    assert grid.build(x, y, np.empty(0, np.int32), np.empty(num, np.int32), *one)
    return one


def queries_at(x, y, class_bits=-1):
    bits = np.atleast_1d(np.array(class_bits, np.int64))
    return grid_search.Queries(np.array(x, np.float64), np.array(y, np.float64), bits)


def test_nearest_leaves_rows_beyond_the_found_untouched():
    one = built(np.array([5.0, 6.0]), np.array([5.0, 5.0]))
    first, item, distance_m = np.empty(3, np.int32), np.full(4, -7, np.int32), np.full(4, -7.0)
    grid_search.nearest(one, NO_FILTER, queries_at([5.0, 100.0], [5.0, 5.0]), 2, 3.0, first, item, distance_m)
    assert first.tolist() == [0, 2, 2]
    assert item.tolist() == [0, 1, -7, -7]
    assert distance_m.tolist() == [0.0, 1.0, -7.0, -7.0]


@pytest.mark.parametrize("radius_m", [0.0, 1.0, 50.0])
def test_a_radius_never_finds_more_than_its_bound(radius_m):
    random = np.random.default_rng(3)
    one = built(*random.integers(0, 30, (2, 50)).astype(float))
    queries = queries_at(*random.uniform(0, 30, (2, 9)))
    keep = grid_search.Filter(random.random(50) < 0.5, np.empty(0, np.int64))
    room, most = grid_search.most_within(one, queries, radius_m)
    first, item, distance_m = np.empty(10, np.int32), np.full(room, -7, np.int32), np.full(room, -7.0)
    grid_search.within(one, keep, queries, radius_m, most, first, item, distance_m)
    found = first[-1]
    assert np.diff(first).max() <= most
    assert found <= room
    assert keep.available[item[:found]].all()
    assert ((distance_m[:found] >= 0) & (distance_m[:found] <= radius_m)).all()
    assert (item[found:] == -7).all()


def test_too_many_for_the_room_are_narrowed_down():
    random = np.random.default_rng(4)
    x, y = random.normal(0, 1, (2, 3_000))
    x[:10] += 1e8  # the cells cover the bulk, and a query far away reads all of it
    one = built(x, y)
    keep = grid_search.Filter(random.random(3_000) < 0.5, random.integers(0, 4, 3_000))
    for place in ((0.0, 0.0), (3e3, -4e3), (1e9, -1e9)):
        for k in (1, 3, 200):
            out_item, out_m = np.empty(k, np.int32), np.empty(k)
            num = grid_search.nearest_kept(one, keep, *place, 2, math.inf, out_item, out_m)
            passing = keep.available & (keep.class_bits & 2 != 0)
            expected = neighbours(x, y, *place, k, math.inf, passing)
            assert list(zip(out_m[:num].tolist(), out_item[:num].tolist(), strict=True)) == expected


def test_the_share_that_passes_is_estimated_and_never_nothing():
    available = np.arange(6_400) % 2 == 0
    assert grid_search.share_passing(*NO_FILTER, 0) == 1.0
    assert (
        grid_search.share_passing(np.zeros(100, np.bool_), NO_FILTER.class_bits, 0) == grid_search.LESS_SHARE
    )
    by_class = grid_search.share_passing(NO_FILTER.available, np.arange(101) % 2 + 1, 1)
    assert by_class == pytest.approx(0.5, abs=0.02)
    both = grid_search.share_passing(available[:101], np.full(200, 4), 4)
    assert both == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "bad", [(math.nan, 0.0, 1.0), (0.0, -math.inf, 1.0), (0.0, 0.0, math.nan), (0.0, 0.0, -1.0)]
)
def test_single_queries_out_of_order_are_told(bad):
    one = built(np.zeros(3), np.zeros(3))
    x, y, limit_m = bad
    out = np.empty(2, np.int32), np.empty(2)
    assert grid_search.nearest_one(one, x, y, limit_m, *out) == grid_search.BAD_INPUT
    assert grid_search.nearest_kept(one, NO_FILTER, x, y, 0, limit_m, *out) == grid_search.BAD_INPUT
    assert grid_search.within_one(one, NO_FILTER, x, y, 0, limit_m, *out) == grid_search.BAD_INPUT


def test_a_single_radius_asks_for_more_room():
    one = built(np.zeros(3), np.zeros(3))
    out = np.empty(2, np.int32), np.empty(2)
    assert grid_search.within_one(one, NO_FILTER, 0.0, 0.0, 0, 1.0, *out) == grid_search.TOO_LITTLE_ROOM
    out = np.empty(3, np.int32), np.empty(3)
    assert grid_search.within_one(one, NO_FILTER, 0.0, 0.0, 0, 1.0, *out) == 3
