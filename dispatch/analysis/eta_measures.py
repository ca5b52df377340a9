"""What predictions of durations are measured by; samples are (n,), ``None`` where nothing can be measured.

An error is the actual minus the predicted duration: positive where a trip took longer than promised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.statistics import mean, quantile, share

LATE_S: Final = 300
"""A trip that takes so much longer than predicted is late, seconds."""
NUM_RESAMPLES: Final = 2000

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorFigures:
    """How far a predictor is off; all in seconds but for the shares."""

    num: int
    mae_s: float | None
    """mean of absolute errors"""
    median_s: float | None
    """median of absolute errors"""
    mape: float | None
    """mean of absolute errors as shares of the actual duration, of trips that took any time"""
    bias_s: float | None
    """mean error: positive where trips take longer than predicted"""
    late5_share: float | None
    """trips that took more than five minutes longer than predicted"""
    p90_s: float | None
    """90th percentile of absolute errors"""

    @classmethod
    def of(cls, predicted_s: Numbers, actual_s: Numbers) -> ErrorFigures:
        """Measure predictions (n,) of durations (n,)."""
        error_s = actual_s - predicted_s
        size_s, took = np.abs(error_s), actual_s > 0
        return cls(
            num=len(error_s),
            mae_s=mean(size_s),
            median_s=quantile(size_s, 0.5),
            mape=mean(size_s[took] / actual_s[took]),
            bias_s=mean(error_s),
            late5_share=share(np.count_nonzero(error_s > LATE_S), len(error_s)),
            p90_s=quantile(size_s, 0.9),
        )


@dataclass(frozen=True)
class QuantileFigures:
    """How well quantiles keep what they promise, and how narrow they are."""

    num: int
    coverage: tuple[float | None, ...]
    """(levels,) share of trips that took no longer than the quantile"""
    pinball_s: tuple[float | None, ...]
    """(levels,) mean pinball loss, seconds"""
    mean_pinball_s: float | None
    """its mean over levels"""
    width_s: float | None
    """sharpness: mean width from the lowest to the highest quantile, seconds"""
    relative_width: float | None
    """mean of the width as a share of the quantile in the middle"""
    inside_share: float | None
    """trips whose duration lies in that interval"""
    interval_score_s: float | None
    """mean of the width and of what durations outside cost, seconds: less is better"""

    @classmethod
    def of(cls, quantile_s: Numbers, actual_s: Numbers, levels: tuple[float, ...]) -> QuantileFigures:
        """Measure quantiles (n, levels) of durations (n,).

        Source
        ------
        Gneiting & Raftery, Strictly proper scoring rules, prediction, and estimation, JASA 102 (2007).
        """
        low_s, high_s = quantile_s[:, 0], quantile_s[:, -1]
        middle_s = quantile_s[:, int(np.argmin(np.abs(np.array(levels) - 0.5)))]
        width_s, known = high_s - low_s, middle_s > 0
        outside_s = np.maximum(low_s - actual_s, 0) / levels[0]
        outside_s += np.maximum(actual_s - high_s, 0) / (1 - levels[-1])
        pinball = pinball_s(quantile_s, actual_s, levels)
        columns = [mean(pinball[:, one]) for one in range(len(levels))]
        return cls(
            num=len(actual_s),
            coverage=tuple(mean(actual_s <= quantile_s[:, one]) for one in range(len(levels))),
            pinball_s=tuple(columns),
            mean_pinball_s=mean(pinball.ravel()),
            width_s=mean(width_s),
            relative_width=mean(width_s[known] / middle_s[known]),
            inside_share=mean((actual_s >= low_s) & (actual_s <= high_s)),
            interval_score_s=mean(width_s + outside_s),
        )


def pinball_s(quantile_s: Numbers, actual_s: Numbers, levels: tuple[float, ...]) -> Numbers:
    """Give the pinball loss of each trip at each level: its share of what the quantile is short.

    Where the quantile is too long, the rest of 1 as a share of that.

    Parameters
    ----------
    quantile_s : (n, levels) float64
    actual_s : (n,) float64
    levels : tuple of float

    Returns
    -------
    (n, levels) float64
        Seconds; at the level 0.5, half the absolute error.

    Source
    ------
    Koenker & Bassett, Regression quantiles, Econometrica 46 (1978).
    """
    level, short_s = np.array(levels), actual_s[:, None] - quantile_s
    return np.maximum(level * short_s, (level - 1) * short_s)


def shares_between(quantile_s: Numbers, actual_s: Numbers) -> Numbers:
    """Give the share of durations (n,) below the first, between each two, and above the last quantile.

    Returns
    -------
    (levels + 1,) float64
        A histogram of the probability integral transform, as fine as the levels allow; 0 of no trips.
    """
    place = (actual_s[:, None] > quantile_s).sum(axis=1)
    return np.bincount(place, minlength=quantile_s.shape[1] + 1) / max(len(actual_s), 1)


class Between(NamedTuple):
    """A mean, and between what it would lie if other hours had been drawn."""

    mean: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly on one side of 0."""
        return self.low > 0 or self.high < 0


class BlockBootstrap:
    """Intervals of means over trips of which those of one block share their traffic.

    Parameters
    ----------
    block : (n,) int64
        Any number that names the block of each trip.
    confidence : float
    num_resamples : int
    seed : int

    Notes
    -----
    Whole blocks are drawn with replacement, as many as there are; the interval is the percentile one. What
    moves several blocks at once, like the weather of a day, is not in it.

    Source
    ------
    Davison & Hinkley, Bootstrap Methods and their Application (1997), section 3.8.
    """

    def __init__(
        self,
        block: NDArray[np.int64],
        confidence: float = 0.95,
        num_resamples: int = NUM_RESAMPLES,
        seed: int = 1,
    ) -> None:
        _, self._block = np.unique(block, return_inverse=True)
        self.num_blocks = int(self._block.max()) + 1 if len(block) else 0
        self.confidence = confidence
        draw = np.random.default_rng(seed)
        even = np.full(self.num_blocks, 1 / max(self.num_blocks, 1))
        self._times = draw.multinomial(self.num_blocks, even, num_resamples) if self.num_blocks else None
        self._size = np.bincount(self._block, minlength=self.num_blocks)

    def mean(self, values: NDArray[np.float64] | NDArray[np.bool_]) -> Between | None:
        """Give the mean of values (n,) and its interval, ``None`` of fewer than two blocks."""
        if self._times is None or self.num_blocks < 2:
            return None
        total = np.bincount(self._block, weights=values, minlength=self.num_blocks)
        means = (self._times @ total) / (self._times @ self._size)
        low, high = np.quantile(means, [(1 - self.confidence) / 2, (1 + self.confidence) / 2])
        return Between(float(np.mean(values)), float(low), float(high))
