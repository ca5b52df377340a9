"""Means over seeds with their confidence intervals, and differences seed by seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from dispatch.limits import check_range


@dataclass(frozen=True)
class Interval:
    """A mean and where the true one lies, by Student's t.

    Of one value there is no interval: `low` and `high` are None. Of none there is no mean either.
    """

    num: int
    """values, or pairs of values"""
    mean: float | None
    low: float | None
    high: float | None

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval is known and lies wholly on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def half_width(self) -> float | None:
        """From the mean to either end."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


def mean_interval(values: Sequence[float | None], confidence: float = 0.95) -> Interval:
    """Give the mean of independent values, and its two-sided interval.

    Parameters
    ----------
    values : sequence of float or None
        One of each seed; ``None``, not measurable, is left out.
    confidence : float
        How often such an interval holds the true mean, where values are about normal.

    Returns
    -------
    Interval
        mean ± t·s/√n, with s the standard deviation of the n values and t the quantile of Student's
        distribution with n − 1 degrees of freedom.

    Raises
    ------
    InputError
        If `confidence` is not from 0.5 to 0.9999.

    Source
    ------
    Student, The probable error of a mean, Biometrika 6 (1908).
    """
    check_range("confidence", confidence, 0.5, 0.9999)
    measured = [value for value in values if value is not None]
    num = len(measured)
    if not num:
        return Interval(0, None, None, None)
    # Exact fractions inside: equal values have just themselves as their mean, and no spread.
    mean = statistics.mean(measured)
    if num == 1:
        return Interval(1, mean, None, None)
    spread = statistics.stdev(measured)
    half = float(stats.t.ppf((1 + confidence) / 2, num - 1)) * spread / math.sqrt(num)
    return Interval(num, mean, mean - half, mean + half)


def paired_interval(
    values: Sequence[float | None], baseline: Sequence[float | None], confidence: float = 0.95
) -> Interval:
    """Give the mean of the differences ``values[i] - baseline[i]``, and its interval.

    Both of a pair share their seed, and with it demand and shifts: what these do to both falls out of the
    difference, which is why its interval is narrower than that of either mean.

    Parameters
    ----------
    values, baseline : sequence of float or None
        As many of each, in the same sequence of seeds; a pair with ``None`` is left out.
    confidence : float
        As in :func:`mean_interval`.

    Raises
    ------
    ValueError
        If there are not as many of each.
    """
    pairs = zip(values, baseline, strict=True)
    differences = [one - base for one, base in pairs if one is not None and base is not None]
    return mean_interval(differences, confidence)
