"""How pickup ETAs were kept: errors, regrets, misses that were predicted. What KPIs of them measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.measured import Measured
from dispatch.analysis.statistics import mean, quantile, share
from dispatch.units import MS_PER_S, NO_VALUE

FAR_PICKUP_MS: Final = 180 * MS_PER_S
MISS_MS: Final = 300 * MS_PER_S
"""Later than this after what was promised is a miss, whatever the engine warned of."""


def late_share(limit_s: float) -> Callable[[Measured], float | None]:
    """Give the share of arrivals that were later than quoted by more than `limit_s`."""

    def measure(m: Measured) -> float | None:
        error_s = m.eta_error_s()
        return share(np.count_nonzero(error_s > limit_s), len(error_s))

    return measure


def pickup_eta_mae_s(m: Measured) -> float | None:
    """Give the mean size of the error of pickup ETAs."""
    return mean(np.abs(m.eta_error_s()))


def eta_regret_mean_s(m: Measured) -> float | None:
    """Give how much farther drivers were than the nearest ones, on average."""
    return mean(m.eta_regret_ms() / MS_PER_S)


def eta_regret_s(level: float) -> Callable[[Measured], float | None]:
    """Give a quantile of how much farther drivers were than the nearest ones."""
    return lambda m: quantile(m.eta_regret_ms() / MS_PER_S, level)


def far_pickup_share(m: Measured) -> float | None:
    """Give the share of orders whose driver was far from the nearest one."""
    return share(np.count_nonzero(m.eta_regret_ms() > FAR_PICKUP_MS), m.num_accepted)


def miss_predicted_share(m: Measured) -> float | None:
    """Give the share of accepted orders with a predicted miss."""
    predicted = _is_predicted(m)
    return share(np.count_nonzero(predicted), m.num_accepted) if predicted.any() else None


def miss_true_share(m: Measured) -> float | None:
    """Give the share of predicted misses that came true, of drivers who arrived."""
    predicted, arrived, missed = _is_predicted(m), _is_arrived(m), _is_missed(m)
    return share(np.count_nonzero(predicted & missed), np.count_nonzero(predicted & arrived))


def miss_recall_share(m: Measured) -> float | None:
    """Give the share of misses that were predicted."""
    predicted, missed = _is_predicted(m), _is_missed(m)
    return share(np.count_nonzero(predicted & missed), np.count_nonzero(missed)) if predicted.any() else None


def _is_predicted(m: Measured) -> NDArray[np.bool_]:
    return np.not_equal(m.orders.miss_predicted_at_ms, NO_VALUE)


def _is_arrived(m: Measured) -> NDArray[np.bool_]:
    orders = m.orders
    return np.not_equal(orders.arrived_at_ms, NO_VALUE) & np.not_equal(orders.quoted_eta_ms, NO_VALUE)


def _is_missed(m: Measured) -> NDArray[np.bool_]:
    orders = m.orders
    late_ms = orders.arrived_at_ms - orders.accepted_at_ms - orders.quoted_eta_ms
    return np.logical_and(_is_arrived(m), late_ms > MISS_MS)
