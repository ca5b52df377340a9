import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from dispatch.kernels.random_streams import draw, normal, uniform

NUMBERS = st.integers(0, 40) | st.integers(0, 2**62)
NAMES = st.tuples(NUMBERS, st.integers(0, 60), NUMBERS, NUMBERS)
MASK = 2**64 - 1
STREAMS = 29


def mixed(state):
    """The finalizer of SplitMix64, on Python's integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB & MASK
    return state ^ (state >> 31)


def naive_uniform(seed, *name):
    golden = 0x9E3779B97F4A7C15
    state = mixed((seed + golden) & MASK)
    for part in name:
        state = mixed((state + golden * (part + 1)) & MASK)
    return ((state >> 11) + 0.5) / 2**53


def drawn(seed, stream, num, occasion=0):
    out = np.empty(num)
    draw(seed, stream, np.arange(num), occasion, out)
    return out


@settings(max_examples=300)
@given(NAMES)
def test_a_draw_is_that_of_plain_python(name):
    u = uniform(*name)
    assert u == pytest.approx(naive_uniform(*name), rel=1e-15)
    assert 0 < u < 1
    assert normal(*name) == pytest.approx(stats.norm.ppf(u), abs=1e-6)


@settings(max_examples=30)
@given(st.lists(NAMES, min_size=2, max_size=12, unique=True))
def test_a_draw_depends_on_its_name_alone(names):
    """Not on what was drawn before; other names, other draws."""
    forwards = {name: uniform(*name) for name in names}
    backwards = {name: uniform(*name) for name in reversed(names)}
    assert forwards == backwards
    assert len(set(forwards.values())) == len(names)


def test_many_are_drawn_as_one_by_one():
    assert drawn(3, 5, 50, 7).tolist() == [uniform(3, 5, who, 7) for who in range(50)]


@pytest.mark.compiled
@pytest.mark.parametrize("stream", range(STREAMS))
def test_draws_of_a_stream_are_uniform_and_independent_of_each_other(stream):
    u = drawn(1, stream, 100_000)
    assert stats.chisquare(np.bincount((u * 100).astype(int), minlength=100)).pvalue > 1e-4
    one_after_another = np.histogram2d(u[:-1], u[1:], bins=10, range=[[0, 1], [0, 1]])[0]
    assert stats.chisquare(one_after_another.ravel()).pvalue > 1e-4


@pytest.mark.compiled
def test_streams_know_nothing_of_each_other():
    num = 20_000
    table = np.array([drawn(1, stream, num) for stream in range(STREAMS)])
    correlation = np.corrcoef(table)
    others = correlation[~np.eye(STREAMS, dtype=bool)]
    assert np.abs(others).max() < 5 / math.sqrt(num)
    assert len(np.unique(table)) == table.size, "two draws of different names are equal"
    # Nor are they one stream, shifted: the people of one are not the next ones of another.
    for one, other in combinations(range(6), 2):
        for shift in (1, 2, 3):
            r = np.corrcoef(table[one][shift:], table[other][:-shift])[0, 1]
            assert abs(r) < 5 / math.sqrt(num)


@pytest.mark.compiled
@pytest.mark.parametrize(
    "names",
    [
        [(seed, 3, 4, 5) for seed in range(20_000)],
        [(1, 3, 4, occasion) for occasion in range(20_000)],
        [(1, 3, 4, attempt << 32 | row) for attempt in range(4) for row in range(5000)],
        [(1, 3, who, 4 << 32 | who) for who in range(20_000)],
    ],
    ids=["seeds", "occasions", "attempts of many drivers", "people and occasions together"],
)
def test_whatever_part_of_the_name_counts_up_draws_are_uniform(names):
    u = np.array([uniform(*name) for name in names])
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    assert len(np.unique(u)) == len(u)


@pytest.mark.compiled
def test_normal_draws_are_standard_normal():
    z = np.array([normal(9, 16, who, 0) for who in range(50_000)])
    assert stats.kstest(z, "norm").pvalue > 1e-4
