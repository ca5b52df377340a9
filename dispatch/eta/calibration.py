"""Quantiles that hold what they say: forests' own, moved by what they missed on days that they had not seen.

One-sided split conformal prediction (Romano, Patterson, Candès 2019), on logarithms, by four-hour bands and
bands of length; a band with few trips is drawn towards all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError

LEVELS: Final = (0.1, 0.5, 0.8, 0.9)
BANDS: Final = 6
"""Of four hours each"""
_LENGTHS: Final = 4
_PRIOR: Final = 300.0
_MAX_SHIFT: Final = 5.0

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What is added to the logarithms of quantiles."""

    length_edge_s: Numbers
    """(lengths - 1,) seconds predicted at which the next band of length begins, ascending"""
    shift: Numbers
    """(``BANDS``, lengths, levels)"""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit."""
        if self.length_edge_s.ndim != 1 or {self.length_edge_s.dtype, self.shift.dtype} != {np.dtype(float)}:
            raise InputError("calibration: edges of lengths and shifts must be rows of numbers")
        shape = (BANDS, len(self.length_edge_s) + 1, len(LEVELS))
        if self.shift.shape != shape or not (np.abs(self.shift) <= _MAX_SHIFT).all():
            raise InputError(f"calibration: shifts must be small numbers of the shape {shape}")
        if not (np.isfinite(self.length_edge_s).all() and (np.diff(self.length_edge_s) > 0).all()):
            raise InputError("calibration: edges of lengths must ascend")

    @classmethod
    def none(cls) -> Calibration:
        """Give the one that changes nothing."""
        return cls(np.empty(0), np.zeros((BANDS, 1, len(LEVELS))))

    def applied(self, predicted_s: Numbers, quantile_s: Numbers, hour: NDArray[np.floating]) -> Numbers:
        """Give quantiles (n, levels) that hold and do not cross; the median is `predicted_s` (n,)."""
        length = np.searchsorted(self.length_edge_s, predicted_s, side="right")
        moved = quantile_s * np.exp(self.shift[band_of(hour), length])
        return in_order(predicted_s, moved)


def band_of(hour: NDArray[np.floating]) -> NDArray[np.int64]:
    """Give the four-hour band (n,) of hours of the day (n,)."""
    return (np.asarray(hour) * BANDS // 24).astype(np.int64)


def in_order(predicted_s: Numbers, quantile_s: Numbers) -> Numbers:
    """Give quantiles (n, levels) of which none is on the wrong side of the median."""
    low, _, high, highest = quantile_s.T
    high = np.maximum(high, predicted_s)
    columns = [np.minimum(low, predicted_s), predicted_s, high, np.maximum(highest, high)]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def fit_calibration(
    actual_s: Numbers, predicted_s: Numbers, quantile_s: Numbers, hour: NDArray[np.floating]
) -> Calibration:
    """Find what quantiles missed.

    Parameters
    ----------
    actual_s, predicted_s : (n,) float64
    quantile_s : (n, levels) float64
        Of models that had not seen these trips.
    hour : (n,) float
        Of the day, 0 … below 24.
    """
    edge_s = np.unique(np.quantile(predicted_s, np.arange(1, _LENGTHS) / _LENGTHS))
    band, length = band_of(hour), np.searchsorted(edge_s, predicted_s, side="right")
    missed = np.log(actual_s)[:, None] - np.log(quantile_s)
    shift = np.zeros((BANDS, len(edge_s) + 1, len(LEVELS)))
    for column, level in enumerate(LEVELS):
        of_all = np.quantile(missed[:, column], level)
        for one in range(BANDS):
            of_band = _drawn(missed[band == one, column], level, of_all)
            for part in range(len(edge_s) + 1):
                rows = (band == one) & (length == part)
                shift[one, part, column] = _drawn(missed[rows, column], level, of_band)
    return Calibration(edge_s, np.clip(shift, -_MAX_SHIFT, _MAX_SHIFT))


def _drawn(missed: Numbers, level: float, prior: float) -> float:
    """Give the quantile of what was missed (n,), drawn towards that of a wider group."""
    if not len(missed):
        return prior
    trust = len(missed) / (len(missed) + _PRIOR)
    return trust * float(np.quantile(missed, level)) + (1.0 - trust) * prior
