"""The few statistics that KPIs are made of; samples are (n,), ``None`` where there is nothing to measure."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_ROUNDING: Final = 1e-12
"""Survival is a product of up to a million factors: equal within this is equal."""


def mean(values: NDArray[Any]) -> float | None:
    """Arithmetic mean, ``None`` of nothing."""
    return float(np.mean(values)) if len(values) else None


def quantile(values: NDArray[Any], level: float) -> float | None:
    """Quantile by linear interpolation, ``None`` of nothing."""
    return float(np.quantile(values, level)) if len(values) else None


def share(part: float | np.number[Any], whole: float | np.number[Any]) -> float | None:
    """Part of a whole, ``None`` where the whole is empty."""
    return float(part / whole) if whole else None


def kaplan_meier_quantile(
    duration: NDArray[Any], is_observed: NDArray[np.bool_], level: float
) -> float | None:
    """Quantile of a waiting time of which some are only known to exceed a value.

    Parameters
    ----------
    duration : (n,) number
        Time until the event, or until the case was lost from sight.
    is_observed : (n,) bool
        True where `duration` ended with the event, False where it is censored.
    level : float
        From 0 to 1.

    Returns
    -------
    float or None
        Least duration at which the estimated share of events reaches `level`; ``None`` where the
        curve does not get there.

    Source
    ------
    Kaplan & Meier, Nonparametric estimation from incomplete observations, JASA 53 (1958).
    """
    # At equal durations the events come before the censored, who were then still at risk.
    order = np.lexsort((~is_observed, duration))
    at_risk = np.arange(len(duration), 0, -1)
    survival = np.cumprod(np.where(is_observed[order], 1.0 - 1.0 / at_risk, 1.0))
    reached = np.flatnonzero((survival <= 1.0 - level + _ROUNDING) & is_observed[order])
    return float(duration[order][reached[0]]) if len(reached) else None


def gini(values: NDArray[Any]) -> float | None:
    """Gini coefficient, 0 where all are equal; ``None`` of nothing or where all are 0.

    Σ(2i − n − 1)·xᵢ / (n·Σxᵢ) with x ascending and i from 1.
    """
    total = float(np.sum(values))
    if total <= 0:
        return None
    num = len(values)
    weight = 2 * np.arange(1, num + 1) - num - 1
    return float(np.sum(weight * np.sort(values)) / (num * total))
