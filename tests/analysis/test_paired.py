import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from dispatch.analysis.paired import Interval, mean_interval, paired_interval
from dispatch.errors import InputError

numbers = st.floats(-1e6, 1e6, allow_nan=False)


def test_a_known_sample():
    # Student's own: hours of sleep gained by ten patients, 1.58 ± t(9, .975) · 1.2300 / √10.
    gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    found = mean_interval(gained)
    assert found.num == 10
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == pytest.approx((0.70011, 2.45989), abs=1e-5)
    assert found.excludes_zero


@given(st.lists(numbers, min_size=2, max_size=30), st.sampled_from([0.8, 0.95, 0.99]))
def test_it_is_scipy_s_own_test_turned_round(values, confidence):
    found = mean_interval(values, confidence)
    if np.ptp(values) < 1e-3:
        return
    told = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    scale = np.ptp(values) + abs(found.mean)
    assert found.low == pytest.approx(told.low, abs=1e-9 * scale)
    assert found.high == pytest.approx(told.high, abs=1e-9 * scale)


@given(st.lists(st.tuples(st.none() | numbers, st.none() | numbers), max_size=12))
def test_pairs_are_kept_together(pairs):
    values, baseline = [one for one, _ in pairs], [base for _, base in pairs]
    found = paired_interval(values, baseline)
    both = [one - base for one, base in pairs if one is not None and base is not None]
    assert found == mean_interval(both)
    assert found.num == len(both)


def test_few_values():
    assert mean_interval([]) == mean_interval([None, None]) == Interval(0, None, None, None)
    assert mean_interval([0.3]) == mean_interval([None, 0.3]) == Interval(1, 0.3, None, None)
    assert not mean_interval([0.3]).excludes_zero
    assert mean_interval([0.3]).half_width is None


@given(numbers, st.integers(2, 20))
def test_equal_values_leave_no_doubt(value, num):
    found = mean_interval([value] * num)
    assert (found.mean, found.low, found.high) == (value, value, value)
    assert found.excludes_zero == (value != 0)


def test_what_pairs_share_falls_out():
    shared = np.random.default_rng(3).normal(0, 100, 12)
    noise = np.random.default_rng(4).normal(0, 1, 12)
    paired = paired_interval((shared + noise + 5).tolist(), shared.tolist())
    assert paired.excludes_zero
    assert paired.half_width < 0.05 * mean_interval(shared.tolist()).half_width


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("num", [2, 3, 10])
def test_the_true_mean_is_inside_as_often_as_promised(num, confidence):
    random = np.random.default_rng([num, round(100 * confidence)])
    truth, trials = 7.0, 3000
    samples = random.normal(truth, 2.5, (trials, num)).tolist()
    found = [mean_interval(sample, confidence) for sample in samples]
    inside = sum(one.low <= truth <= one.high for one in found)
    # Three and a half standard deviations of a count of successes: once in two thousand seeds.
    spread = np.sqrt(trials * confidence * (1 - confidence))
    assert abs(inside - trials * confidence) < 3.5 * spread


def test_true_differences_are_inside_as_often_as_promised():
    random = np.random.default_rng(11)
    trials, inside = 3000, 0
    for _ in range(trials):
        shared = random.normal(50, 20, 6)
        values = shared + 2 + random.normal(0, 3, 6)
        found = paired_interval(values.tolist(), (shared + random.normal(0, 3, 6)).tolist())
        inside += found.low <= 2 <= found.high
    assert abs(inside - 0.95 * trials) < 3.5 * np.sqrt(trials * 0.95 * 0.05)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, float("nan")])
def test_a_confidence_out_of_range(confidence):
    with pytest.raises(InputError, match="confidence is"):
        mean_interval([1.0, 2.0], confidence)


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="shorter"):
        paired_interval([1.0, 2.0], [1.0])
