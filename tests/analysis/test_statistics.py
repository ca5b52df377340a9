import numpy as np
import pytest
from hypothesis import given, strategies as st

from dispatch.analysis.statistics import gini, kaplan_meier_quantile, mean, quantile, share

cases = st.lists(st.tuples(st.integers(0, 12), st.booleans()), max_size=25)


def kaplan_meier_by_hand(durations, observed, level):
    """Textbook product over distinct event times, in exact fractions."""
    from fractions import Fraction

    survival = Fraction(1)
    for time in sorted({d for d, seen in zip(durations, observed, strict=True) if seen}):
        at_risk = sum(d >= time for d in durations)
        events = sum(d == time and seen for d, seen in zip(durations, observed, strict=True))
        survival *= 1 - Fraction(events, at_risk)
        if survival <= 1 - Fraction(str(level)):
            return time
    return None


@given(cases, st.sampled_from([0.1, 0.5, 0.9, 0.99]))
def test_kaplan_meier_agrees_with_the_textbook(rows, level):
    durations, observed = [d for d, _ in rows], [seen for _, seen in rows]
    got = kaplan_meier_quantile(np.array(durations), np.array(observed, np.bool_), level)
    assert got == kaplan_meier_by_hand(durations, observed, level)


def test_kaplan_meier_without_censoring_is_the_empirical_quantile():
    durations = np.arange(1, 101)
    everyone = np.ones(100, np.bool_)
    assert [kaplan_meier_quantile(durations, everyone, q) for q in (0.5, 0.9, 0.99)] == [50, 90, 99]


def test_kaplan_meier_of_nobody_and_of_censored_only():
    assert kaplan_meier_quantile(np.empty(0), np.empty(0, np.bool_), 0.5) is None
    assert kaplan_meier_quantile(np.array([1.0, 2.0]), np.zeros(2, np.bool_), 0.5) is None


@given(st.lists(st.integers(0, 100), max_size=20))
def test_gini_is_half_the_relative_mean_difference(values):
    got = gini(np.array(values))
    if sum(values) == 0:
        assert got is None
    else:
        difference = sum(abs(a - b) for a in values for b in values) / len(values) ** 2
        assert got == pytest.approx(difference / (2 * sum(values) / len(values)))


def test_statistics_of_nothing_are_none():
    nothing = np.empty(0)
    assert (mean(nothing), quantile(nothing, 0.5), share(0, 0)) == (None, None, None)
