import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.special import ndtri

from dispatch.errors import InputError
from dispatch.eta.calibration import BANDS, LEVELS, Calibration, band_of, fit_calibration, in_order

SCORES = ndtri(np.array(LEVELS))
TAILS = [0, 2, 3]


def trips(num, seed, spread=0.3, told=0.3):
    """Log-normal trips, and quantiles of a spread that is told, wider or narrower than the true one."""
    rng = np.random.default_rng(seed)
    predicted_s, hour = rng.uniform(120, 2400, num), rng.uniform(0, 24, num).astype(np.float32)
    actual_s = predicted_s * np.exp(spread * rng.standard_normal(num))
    return actual_s, predicted_s, predicted_s[:, None] * np.exp(told * SCORES), hour


def covered(actual_s, quantile_s):
    return (actual_s[:, None] <= quantile_s).mean(axis=0)


@pytest.mark.parametrize("told", [0.1, 0.3, 0.6])
def test_quantiles_hold_what_they_say_on_trips_like_those_seen(told):
    found = fit_calibration(*trips(20_000, 0, told=told))
    actual_s, predicted_s, quantile_s, hour = trips(20_000, 1, told=told)
    applied = found.applied(predicted_s, quantile_s, hour)
    assert np.abs(covered(actual_s, applied) - LEVELS).max() < 0.015
    if told != 0.3:
        assert np.abs(covered(actual_s, quantile_s) - LEVELS).max() > 0.05


def test_hours_and_lengths_are_calibrated_apart():
    """At night and on long trips spreads are twice as wide; each group holds for itself."""

    def world(seed):
        actual_s, predicted_s, quantile_s, hour = trips(60_000, seed)
        wide = (hour < 4) | (predicted_s > 1900)
        return np.where(wide, actual_s**2 / predicted_s, actual_s), predicted_s, quantile_s, hour, wide

    found = fit_calibration(*world(0)[:4])
    actual_s, predicted_s, quantile_s, hour, wide = world(1)
    applied = found.applied(predicted_s, quantile_s, hour)
    for group in (wide, ~wide):
        assert np.abs(covered(actual_s, applied)[TAILS] - np.array(LEVELS)[TAILS]).max() < 0.03
        assert np.abs(covered(actual_s[group], applied[group])[TAILS] - np.array(LEVELS)[TAILS]).max() < 0.03


def test_groups_of_few_trips_are_drawn_to_all():
    actual_s, predicted_s, quantile_s, hour = trips(20_000, 2)
    hour = np.where(np.arange(len(hour)) < 5, 2.0, 8 + hour / 2).astype(np.float32)
    actual_s[:5] *= 20
    found = fit_calibration(actual_s, predicted_s, quantile_s, hour)
    assert np.abs(found.shift[0]).max() < 0.15
    assert np.abs(found.shift[1]).max() < 0.05  # nobody drove then: as all


@given(st.integers(0, 10**6), st.floats(0, 5))
def test_quantiles_never_cross(seed, size):
    rng = np.random.default_rng(seed)
    edge_s = np.sort(rng.uniform(1, 3000, 3))
    found = Calibration(edge_s, rng.uniform(-size, size, (BANDS, 4, len(LEVELS))))
    predicted_s, hour = rng.uniform(1, 3000, 50), rng.uniform(0, 24, 50)
    quantile_s = found.applied(predicted_s, rng.uniform(1, 3000, (50, len(LEVELS))), hour)
    assert (np.diff(quantile_s, axis=1) >= 0).all()
    assert np.array_equal(quantile_s[:, 1], predicted_s)
    assert quantile_s.flags.c_contiguous


def test_none_changes_only_what_crosses():
    predicted_s = np.array([100.0, 100.0])
    told = np.array([[80.0, 1.0, 120.0, 140.0], [110.0, 1.0, 130.0, 120.0]])
    expected = [[80, 100, 120, 140], [100, 100, 130, 130]]
    assert Calibration.none().applied(predicted_s, told, np.array([0.0, 23.9])).tolist() == expected
    assert in_order(predicted_s, told).tolist() == expected


def test_bands_are_of_four_hours():
    hour = np.array([0, 3.99, 4, 12, 23.983334], np.float32)
    assert band_of(hour).tolist() == [0, 0, 1, 3, 5]


def test_trips_that_are_all_alike():
    """One length only: bands of length fall together."""
    num = 600
    found = fit_calibration(
        np.full(num, 300.0), np.full(num, 250.0), np.full((num, 4), 250.0), np.full(num, 9.0)
    )
    applied = found.applied(np.array([250.0]), np.full((1, 4), 250.0), np.array([9.0]))
    np.testing.assert_allclose(applied[0, [2, 3]], 300.0)


def test_shifts_are_bounded():
    found = fit_calibration(np.full(9, 1e9), np.full(9, 1.0), np.full((9, 4), 1.0), np.zeros(9))
    assert np.abs(found.shift).max() == 5.0


@pytest.mark.parametrize(
    ("edge_s", "shape", "value"),
    [
        (np.array([100.0]), (BANDS, 1, 4), 0.0),
        (np.array([100.0, 100.0]), (BANDS, 3, 4), 0.0),
        (np.array([np.nan]), (BANDS, 2, 4), 0.0),
        (np.array([1.0, np.inf]), (BANDS, 3, 4), 0.0),
        (np.array([[100.0]]), (BANDS, 2, 4), 0.0),
        (np.array(["a"]), (BANDS, 2, 4), 0.0),
        (np.empty(0), (BANDS, 1, 4), np.nan),
        (np.empty(0), (BANDS, 1, 4), 5.1),
        (np.empty(0), (BANDS, 1, 5), 0.0),
    ],
)
def test_arrays_that_do_not_fit_are_refused(edge_s, shape, value):
    with pytest.raises(InputError, match="calibration"):
        Calibration(edge_s, np.full(shape, value))
