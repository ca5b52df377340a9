import numpy as np
from hypothesis import example, given, strategies as st
from scipy.special import ndtr, ndtri

from dispatch.kernels.normal import normal_quantiles


def quantiles(levels):
    out_z = np.empty(len(levels))
    normal_quantiles(np.array(levels, np.float64), out_z)
    return out_z


@given(st.lists(st.floats(1e-300, 1 - 1e-16), min_size=1))
@example([0.075, np.nextafter(0.075, 0), 0.925, np.nextafter(0.925, 1)])  # where two pieces meet
@example([np.exp(-25.0), np.nextafter(np.exp(-25.0), 0)])
def test_equals_scipy(levels):
    np.testing.assert_allclose(quantiles(levels), ndtri(levels), rtol=2e-14, atol=1e-15)


def test_all_over_the_range():
    level = np.concatenate([10.0 ** -np.arange(1.0, 300), np.linspace(0.001, 0.999, 2001)])
    np.testing.assert_allclose(quantiles(level), ndtri(level), rtol=2e-14, atol=1e-15)


@given(st.floats(-8, 5))
def test_undoes_the_distribution_function(z):
    assert abs(quantiles([ndtr(z)])[0] - z) <= 1e-8


def test_the_ends_and_the_middle():
    assert quantiles([0.0, 1.0, 0.5]).tolist() == [-np.inf, np.inf, 0.0]
    assert quantiles([]).tolist() == []
