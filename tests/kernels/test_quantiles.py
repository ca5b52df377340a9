"""Quantiles of travel times, and the risk of missing a promise, against plain Python."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dispatch.kernels.quantiles import add_risk, first_unsound, spread
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS

LEVELS = (0.1, 0.5, 0.8, 0.9)
ROWS = st.lists(st.integers(0, 50), min_size=4, max_size=4).map(sorted)


def late(row, slack_ms, levels=LEVELS, rest_ms=0, risk_ms=10**9):
    """How likely a drive is late, as one order and one driver have it."""
    cost = np.zeros(1, np.int64)
    first, driver = np.array([0, 1], np.int32), np.zeros(1, np.int32)
    rest, slack = np.array([rest_ms], np.int32), np.array([slack_ms])
    add_risk(first, driver, rest, slack, np.array([row], np.int32), np.array(levels), risk_ms, cost)
    return cost[0] / risk_ms


def late_in_plain_python(row, slack_ms):
    if slack_ms < 0:
        return 1.0
    if slack_ms >= row[-1]:
        slope = (LEVELS[-1] - LEVELS[-2]) / (row[-1] - row[-2]) if row[-1] > row[-2] else math.inf
        rest = 1 - LEVELS[-1]
        return rest * math.exp(-slope / rest * (slack_ms - row[-1])) if slope < math.inf else 0.0
    if slack_ms < row[0]:
        slope = (LEVELS[1] - LEVELS[0]) / (row[1] - row[0]) if row[1] > row[0] else math.inf
        share = math.exp(-slope / LEVELS[0] * (row[0] - slack_ms)) if slope < math.inf else 0.0
        return 1 - LEVELS[0] * share
    k = max(k for k in range(4) if row[k] <= slack_ms)
    share = (slack_ms - row[k]) / (row[k + 1] - row[k])
    return 1 - (LEVELS[k] + share * (LEVELS[k + 1] - LEVELS[k]))


@given(ROWS, st.integers(-2, 80))
def test_the_risk_is_that_of_plain_python(row, slack_ms):
    assert late(row, slack_ms) == pytest.approx(late_in_plain_python(row, slack_ms), abs=1e-8)


@given(ROWS)
def test_more_time_is_never_more_risk(row):
    risks = [late(row, slack_ms) for slack_ms in range(-2, 90)]
    assert all(before >= after for before, after in itertools.pairwise(risks))
    assert (risks[0], min(risks) >= 0) == (1.0, True)


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4, unique=True).map(sorted))
def test_quantiles_are_met(row):
    for level, ms in zip(LEVELS, row, strict=True):
        assert late(row, ms) == pytest.approx(1 - level, abs=1e-8)


def test_a_drive_that_is_certain_is_late_or_not():
    assert [late([20] * 4, slack_ms) for slack_ms in (0, 19, 20, 21)] == [1.0, 1.0, 0.0, 0.0]
    assert late([UNREACHABLE_MS] * 4, 10**9 // 4) == 1.0


def test_a_busy_driver_has_less_time_and_costs_add_up():
    """The median is 20, of which a driver free in 5 has only 15 left to be within."""
    row = [10, 20, 30, 40]
    assert late(row, 25, rest_ms=5) == late(row, 20) == 0.5
    cost, slack_ms = np.array([100, 7, 1]), np.array([20, -1])
    first, driver, rest_ms = np.array([0, 2, 3], np.int32), np.zeros(3, np.int32), np.zeros(1, np.int32)
    rows = np.array([row, [20, 30, 40, 50], row], np.int32)
    add_risk(first, driver, rest_ms, slack_ms, rows, np.array(LEVELS), 1000, cost)
    assert cost.tolist() == [600, 907, 1001]


def test_ratios_hang_on_how_long_the_drive_is():
    ratio = np.array([[0.5, 1.0, 3.0], [0.9, 1.0, 1.26]])
    travel_ms = np.array([0, 99, 100, UNREACHABLE_MS, MAX_TRAVEL_MS], np.int32)
    out_ms = np.empty((5, 3), np.int32)
    spread(travel_ms, np.array([100]), ratio, out_ms)
    assert out_ms[:3].tolist() == [[0, 0, 0], [50, 99, 297], [90, 100, 126]]
    assert out_ms[3].tolist() == [UNREACHABLE_MS] * 3
    assert out_ms[4, 1:].tolist() == [MAX_TRAVEL_MS] * 2


@pytest.mark.parametrize(
    ("row", "is_sound"),
    [([0, 0, 5], True), ([1, 0, 5], False), ([-1, 0, 5], False), ([1, 2, UNREACHABLE_MS + 1], False)],
)
def test_rows_that_fall_or_are_out_of_range_are_found(row, is_sound):
    rows = np.array([[1, 2, 3], row], np.int32)
    assert first_unsound(rows) == (NO_INDEX if is_sound else 1)
