import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.driver_history import FORGET_MS, PRIOR, recent_residuals
from naive.driver_history import recent

HOUR_MS = 3_600_000
TRIPS = st.lists(
    st.tuples(
        st.integers(-1, 2),
        st.integers(0, 20).map(lambda quarter: quarter * HOUR_MS // 2),
        st.sampled_from([1, HOUR_MS // 2, 2 * HOUR_MS, 7 * HOUR_MS]),
        st.floats(-1, 1),
    ),
    max_size=14,
)


def told(trips, keep=0.8):
    driver, start_ms, lasts_ms = (np.array([trip[k] for trip in trips], np.int64) for k in range(3))
    residual = np.array([trip[3] for trip in trips], float)
    order = np.lexsort((start_ms, driver)).astype(np.int64)
    mean, num = np.full(len(trips), np.nan), np.full(len(trips), np.nan)
    recent_residuals(order, driver, start_ms, start_ms + lasts_ms, residual, keep, mean, num)
    return mean, num


@settings(max_examples=150)
@given(TRIPS, st.sampled_from([0.0, 0.5, 0.8, 1.0]))
def test_recent_trips_count_as_in_the_oracle(trips, keep):
    mean, num = told(trips, keep)
    ended = [(driver, start, start + lasts, residual) for driver, start, lasts, residual in trips]
    for i in range(len(trips)):
        expected = recent(ended, i, keep, PRIOR, FORGET_MS)
        np.testing.assert_allclose((mean[i], num[i]), expected, atol=1e-12)


@settings(max_examples=100)
@given(TRIPS, st.data())
def test_what_ends_after_a_start_is_not_told(trips, data):
    """Another residual of trips that end later changes nothing."""
    if not trips:
        return
    i = data.draw(st.integers(0, len(trips) - 1))
    start_ms = trips[i][1]
    other = [
        trip if trip[1] + trip[2] <= start_ms and k != i else (*trip[:3], 0.9) for k, trip in enumerate(trips)
    ]
    before, after = told(trips), told(other)
    assert (before[0][i], before[1][i]) == (after[0][i], after[1][i])
