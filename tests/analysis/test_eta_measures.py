import numpy as np
import pytest

from analysis.eta_tests import LEVELS, eta_test
from dispatch.analysis.eta_measures import (
    Between,
    BlockBootstrap,
    ErrorFigures,
    QuantileFigures,
    pinball_s,
    shares_between,
)

PREDICTED = np.array([100.0, 200.0, 300.0, 50.0])
ACTUAL = np.array([110.0, 180.0, 700.0, 0.0])


def test_errors_by_hand():
    found = ErrorFigures.of(PREDICTED, ACTUAL)
    assert found.num == 4
    assert found.mae_s == (10 + 20 + 400 + 50) / 4
    assert found.median_s == 35
    assert found.mape == pytest.approx(
        (10 / 110 + 20 / 180 + 400 / 700) / 3
    )  # the trip of no time is left out
    assert found.bias_s == (10 - 20 + 400 - 50) / 4
    assert found.late5_share == 0.25
    assert found.p90_s == pytest.approx(np.quantile([10, 20, 50, 400], 0.9))


def test_late_is_more_than_five_minutes():
    found = ErrorFigures.of(np.zeros(3), np.array([299.0, 300.0, 301.0]))
    assert found.late5_share == pytest.approx(1 / 3)


def test_of_nothing_nothing_is_told():
    none = np.empty(0)
    found = ErrorFigures.of(none, none)
    assert (found.num, found.mae_s, found.mape, found.late5_share) == (0, None, None, None)
    quantiles = QuantileFigures.of(np.empty((0, 4)), none, LEVELS)
    assert quantiles.coverage == (None,) * 4
    assert (quantiles.mean_pinball_s, quantiles.interval_score_s) == (None, None)
    assert BlockBootstrap(np.empty(0, np.int64)).mean(none) is None
    assert shares_between(np.empty((0, 2)), none).tolist() == [0, 0, 0]


def test_pinball_by_hand():
    loss = pinball_s(np.array([[80.0, 120.0]]), np.array([100.0]), (0.1, 0.9))
    assert loss == pytest.approx(np.array([[0.1 * 20, 0.1 * 20]]))
    loss = pinball_s(np.array([[130.0, 140.0]]), np.array([100.0]), (0.1, 0.9))
    assert loss == pytest.approx(np.array([[0.9 * 30, 0.1 * 40]]))


def test_pinball_of_the_median_is_half_the_absolute_error():
    test = eta_test(300)
    middle = pinball_s(test.quantile_s, test.actual_s, LEVELS)[:, 1]
    assert middle == pytest.approx(np.abs(test.actual_s - test.predicted_s) / 2)


def test_quantiles_by_hand():
    quantile_s = np.array([[50.0, 100.0, 150.0, 200.0]] * 4)
    found = QuantileFigures.of(quantile_s, np.array([40.0, 100.0, 160.0, 260.0]), LEVELS)
    assert found.coverage == (0.25, 0.5, 0.5, 0.75)
    assert found.width_s == 150
    assert found.relative_width == 1.5
    assert found.inside_share == 0.5
    assert found.interval_score_s == pytest.approx(150 + (10 / 0.1 + 60 / (1 - 0.9)) / 4)
    assert found.mean_pinball_s == pytest.approx(np.mean(found.pinball_s))
    assert shares_between(quantile_s, np.array([40.0, 100.0, 160.0, 260.0])).tolist() == [
        0.25, 0.25, 0, 0.25, 0.25,
    ]  # fmt: skip


def test_true_quantiles_cover_and_cost_least():
    test = eta_test(20_000)
    right = QuantileFigures.of(test.quantile_s, test.actual_s, LEVELS)
    assert right.coverage == pytest.approx(LEVELS, abs=0.01)
    for factor in (0.9, 1.1):
        wrong = QuantileFigures.of(factor * test.quantile_s, test.actual_s, LEVELS)
        assert all(a < b for a, b in zip(right.pinball_s, wrong.pinball_s, strict=True))


def test_intervals_hold_the_mean_as_often_as_they_say():
    random = np.random.default_rng(3)
    block = np.repeat(np.arange(40), 25)
    held = 0
    for _ in range(200):
        common = random.standard_normal(40)[block]
        found = BlockBootstrap(block, num_resamples=400).mean(common + random.standard_normal(1000))
        held += found.low <= 0 <= found.high
    assert 180 <= held <= 199


def test_trips_of_a_block_move_together():
    block = np.repeat(np.arange(20), 50)
    common = np.random.default_rng(1).standard_normal(20)[block]
    by_block, by_trip = BlockBootstrap(block).mean(common), BlockBootstrap(np.arange(1000)).mean(common)
    assert by_block.mean == by_trip.mean == pytest.approx(common.mean())
    assert by_block.high - by_block.low > 4 * (by_trip.high - by_trip.low)
    assert BlockBootstrap(block).mean(common) == by_block  # the same draw each time
    assert BlockBootstrap(np.zeros(9, np.int64)).mean(np.ones(9)) is None


def test_zero_lies_inside_or_outside():
    assert Between(1.0, 0.5, 2.0).excludes_zero
    assert Between(-1.0, -2.0, -0.5).excludes_zero
    assert not Between(0.1, -0.5, 0.7).excludes_zero
