"""Intervals of shares against published figures, and against what they promise."""

import math

import numpy as np
import pytest

from dispatch.crm.engagement.proportions import difference, share
from dispatch.errors import InputError


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        # Newcombe (1998), Table II, method 10.
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_differences_are_those_of_the_paper(counts, low, high):
    found = difference(*counts)
    assert found.low == pytest.approx(low, abs=6e-5)
    assert found.high == pytest.approx(high, abs=6e-5)


def test_shares_are_those_of_wilson():
    found = share(81, 263)
    assert (found.low, found.high) == (pytest.approx(0.2553, abs=5e-5), pytest.approx(0.3662, abs=5e-5))
    assert share(0, 20).low == 0
    assert share(20, 20).high == 1
    assert math.isnan(share(0, 0).value)
    assert (share(0, 0).low, share(0, 0).high) == (0, 1)
    assert math.isnan(difference(0, 0, 1, 2).value)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(2000):
        found = difference(int(rng.binomial(300, 0.25)), 300, int(rng.binomial(60, 0.2)), 60)
        held += found.low <= 0.05 <= found.high
    assert 0.935 <= held / 2000 <= 0.97


@pytest.mark.parametrize("told", [(3, 2), (-1, 2), (1, -2), (0.5, 2)])
def test_impossible_counts_are_refused(told):
    with pytest.raises(InputError):
        share(*told)
