import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.pair_effects import (
    EMPTY,
    FROM,
    LEVEL_SHIFT,
    TIME,
    TO,
    EffectTable,
    Ends,
    Levels,
    fill_table,
    find_keys,
    read_effects,
)
from naive.pair_effects import effects_of, likeness

LEVELS = Levels(
    np.array([4000.0, 1000.0, 1000.0, 200.0, 1000.0, 100.0, 300.0]),
    np.array([FROM | TO, FROM | TO, FROM | TO | TIME, FROM | TO, FROM, FROM, TO], np.int32),
    np.array([0, 0, 0, 0, 1, 1, 2], np.int32),
    np.array([8.0, 8.0, 8.0, 4.0, 15.0, 15.0, 15.0]),
    np.array([2, 2, 1, 2, 0, 1, 1], np.int32),
)
NUM_COLUMNS = int(LEVELS.tells.sum())


def ends_of(rng, num, reach_m=900.0):
    x = rng.uniform(-reach_m, reach_m, (4, num))
    return Ends(*(row.copy() for row in x), rng.integers(0, 16, num).astype(np.int32))


def keys_of(ends, levels=LEVELS):
    key = np.full((len(levels.size_m), len(ends.from_x)), -7, np.int64)
    find_keys(ends, levels, key)
    return key


def table_of(key, residual, size=None):
    found, row = np.unique(key.ravel(), return_inverse=True)
    total = np.bincount(row, np.tile(residual, len(key)), len(found)).astype(np.float32)
    num = np.bincount(row, minlength=len(found)).astype(np.float32)
    size = size or 1 << int(len(found) + 1).bit_length()
    table = EffectTable(
        np.full(size, EMPTY, np.int64), np.zeros(size, np.float32), np.zeros(size, np.float32)
    )
    fill_table(found, total, num, table)
    return table, dict(zip(found.tolist(), zip(total.tolist(), num.tolist(), strict=True), strict=True))


def read(ends, table):
    out = np.full((NUM_COLUMNS, len(ends.from_x) + 1), 55.0, np.float32)
    read_effects(ends, LEVELS, table, np.empty((2, len(LEVELS.size_m)), np.int64), out)
    assert (out[:, -1] == 55).all()
    return out[:, :-1]


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(0, 20), st.integers(0, 6))
def test_effects_are_those_of_a_comparison_of_all_with_all(seed, num_past, num):
    rng = np.random.default_rng(seed)
    past, asked = ends_of(rng, num_past), ends_of(rng, num)
    if num_past and num:
        asked = Ends(*(np.concatenate([a[1:], b[:1]]) for a, b in zip(asked, past, strict=True)))
    residual = rng.normal(0, 0.3, num_past)
    table, _ = table_of(keys_of(past), residual)
    out = read(asked, table)
    for i in range(num):
        expected = effects_of(asked, i, past, residual, (-1, np.zeros(num_past)), LEVELS)
        np.testing.assert_allclose(out[:, i], expected, atol=1e-5)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([300.0, 5e4, 1e6]))
def test_keys_are_the_same_if_and_only_if_what_they_tell_apart_is(seed, reach_m):
    rng = np.random.default_rng(seed)
    ends = ends_of(rng, 12, reach_m)
    key, by_key = keys_of(ends), {}
    for level, (size_m, asks) in enumerate(zip(LEVELS.size_m, LEVELS.asks, strict=True)):
        for i in range(12):
            like = (level, *likeness(ends, i, size_m, asks))
            assert by_key.setdefault(int(key[level, i]), like) == like
    assert len(set(by_key.values())) == len(by_key)
    assert (key >> LEVEL_SHIFT == np.arange(len(key))[:, None]).all()


def test_twelve_levels_of_far_corners_never_share_a_key():
    """All squares at their greatest, and at their least: nothing runs over into the level."""
    levels = Levels(
        np.full(12, 100.0),
        np.full(12, FROM | TO | TIME, np.int32),
        np.zeros(12, np.int32),
        np.ones(12),
        np.ones(12, np.int32),
    )
    far = np.array([-1e9, 1e9])
    ends = Ends(far, far.copy(), far.copy(), far.copy(), np.array([0, 15], np.int32))
    key = keys_of(ends, levels)
    assert len(np.unique(key)) == key.size
    assert key.min() >= 0
    assert (key >> LEVEL_SHIFT == np.arange(12)[:, None]).all()


@pytest.mark.parametrize("far_m", [2e5, 1e7, 1e12])
def test_places_far_outside_are_read_like_others(far_m):
    rng = np.random.default_rng(0)
    past = ends_of(rng, 5)
    table, _ = table_of(keys_of(past), np.full(5, 0.5))
    far = Ends(*(np.array([-far_m, far_m]) for _ in range(4)), np.zeros(2, np.int32))
    out = read(far, table)
    assert (out == 0).all()


def test_a_full_table_finds_each_key_and_no_other():
    rng = np.random.default_rng(1)
    key = np.unique(rng.integers(0, 1 << 56, 127))[None]
    table, told = table_of(key, rng.normal(size=key.shape[1]), size=128)
    held = {k: (t, n) for k, t, n in zip(*(part.tolist() for part in table), strict=True) if k != EMPTY}
    assert held == told


def test_an_empty_table_tells_nothing():
    table, _ = table_of(np.empty((0, 0), np.int64), np.empty(0))
    assert (read(ends_of(np.random.default_rng(0), 3), table) == 0).all()
