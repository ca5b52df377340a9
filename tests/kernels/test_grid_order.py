import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from dispatch.kernels import grid_order

DISTANCES = st.one_of(
    st.lists(st.integers(0, 3).map(float), min_size=1, max_size=150),
    st.lists(st.floats(0, 4e9), min_size=1, max_size=150),
    st.lists(st.one_of(st.just(0.0), st.floats(1e8, 1e8 + 1e-6)), min_size=1, max_size=150),
)


def entries(distance_m, seed):
    """Entries as a search leaves them, with room to sort; and the same as pairs, sorted."""
    size = len(distance_m)
    room = max(size, grid_order.MOST_TO_RANK)
    all_m, item = np.full(2 * room, 7e9), np.full(2 * room, 99, np.int64)
    all_m[:size], item[:size] = distance_m, np.random.default_rng(seed).permutation(size)
    order = np.full(grid_order.BUCKETS_PER_ENTRY * room + 1, 99, np.int64)
    return all_m, item, order, sorted(zip(distance_m, item[:size].tolist(), strict=True))


@given(DISTANCES, st.integers(1, 160), st.sampled_from([1.0, 1.5, 1e9]), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
@example([5.0] * 150, 150, 1.0, 0)
@example([5.0] * 60 + [1e9] * 60, 100, 1.0, 1)
@example([1e8 + i / 100 for i in range(150)], 150, 1.0, 2)
def test_many_are_spread_out_and_sorted(distance_m, k, widening, seed):
    all_m, item, order, expected = entries(distance_m, seed)
    size = grid_order.sort_many(all_m, item, order, len(distance_m), k, max(distance_m) * widening)
    assert size == min(k, len(distance_m))
    assert (
        list(zip(all_m[size : 2 * size].tolist(), item[size : 2 * size].tolist(), strict=True))
        == expected[:k]
    )


@given(DISTANCES.map(lambda distance_m: distance_m[: grid_order.MOST_TO_RANK]), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_few_are_sorted_by_rank(distance_m, seed):
    all_m, item, order, expected = entries(distance_m, seed)
    size = len(distance_m)
    grid_order.rank(all_m, item, order, size)
    grid_order.place_by_rank(all_m, item, order, size)
    assert list(zip(all_m[size : 2 * size].tolist(), item[size : 2 * size].tolist(), strict=True)) == expected


def test_rows_are_copied_out_and_no_others():
    out_item, out_m = np.full(5, -7, np.int32), np.full(5, -7.0)
    grid_order.copy_out(np.arange(9.0), np.arange(9), 4, 3, out_item, out_m, 1)
    assert out_item.tolist() == [-7, 4, 5, 6, -7]
    assert out_m.tolist() == [-7.0, 4.0, 5.0, 6.0, -7.0]


@given(DISTANCES, st.integers(1, 160), st.integers(0, 99))
@settings(max_examples=100, deadline=None)
def test_the_least_are_selected(distance_m, k, seed):
    all_m, item, _, expected = entries(distance_m, seed)
    k, size = min(k, len(distance_m)), len(distance_m)
    grid_order.select_least(all_m, item, size, k)
    pairs = list(zip(all_m[:size].tolist(), item[:size].tolist(), strict=True))
    assert sorted(pairs[:k]) == expected[:k]
    assert sorted(pairs) == expected


@pytest.mark.parametrize("size", [0, 1, 2, 3, 25])
def test_a_heap_sorts_part_of_an_array(size):
    random = np.random.default_rng(size)
    distance_m, item = random.integers(0, 4, size + 2).astype(float), random.permutation(size + 2)
    expected = sorted(zip(distance_m[1:-1].tolist(), item[1:-1].tolist(), strict=True))
    edges = (distance_m[0], distance_m[-1])
    grid_order.heap_sort(distance_m, item, 1, size)
    assert list(zip(distance_m[1:-1].tolist(), item[1:-1].tolist(), strict=True)) == expected
    assert (distance_m[0], distance_m[-1]) == edges
