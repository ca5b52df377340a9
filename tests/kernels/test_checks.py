"""Range checks against plain Python."""

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.checks import first_outside

NUMBERS = st.one_of(st.floats(-10, 10), st.sampled_from([np.nan, np.inf, -np.inf]))


def first_in_plain_python(values, low, high):
    return next((i for i, value in enumerate(values) if not low <= value <= high), -1)


@settings(deadline=None)
@given(st.lists(NUMBERS, max_size=6), st.integers(-5, 0), st.integers(0, 5))
def test_numbers(values, low, high):
    array = np.array(values, np.float64)
    assert first_outside(array, float(low), float(high)) == first_in_plain_python(values, low, high)


@settings(deadline=None)
@given(st.lists(st.integers(-9, 9), max_size=6), st.sampled_from([np.int32, np.int64]))
def test_whole_numbers(values, dtype):
    assert first_outside(np.array(values, dtype), -3, 5) == first_in_plain_python(values, -3, 5)
