"""Travel times as predicted and as they come true."""

from math import exp, sqrt
from typing import Final, NamedTuple

import numpy as np

from dispatch.kernels.jit import F64, F64_2D, I64, f64, kernel, record
from dispatch.units import MAX_TRAVEL_MS

MAX_Z: Final = 4.0
"""Normal scores beyond it count as it: one leg in 16,000."""
LEVELS_PER_Z: Final = 4
NUM_LEVELS: Final = round(2 * MAX_Z) * LEVELS_PER_Z + 1
"""Levels on which quantiles are told: those of the normal scores -4, -3.75 … 4."""


class Traffic(NamedTuple):
    """How much longer than free flow legs take."""

    factor: np.ndarray
    """(slots,) float64, predicted over free-flow time by slot of the week of local time"""
    length_edge_ms: np.ndarray
    """(bins - 1,) int64 ascending, free-flow times at which a longer bin begins"""
    quantile: np.ndarray
    """(bins, NUM_LEVELS) float64, of the logarithm of true over predicted time, on the levels of above"""


TRAFFIC = record(Traffic, F64, I64, F64_2D)


@kernel()
def log_ratio(traffic, free_ms, z):
    """Give the logarithm of true over predicted time of a leg whose luck is the normal score `z`.

    Linear in `z` between two levels, so that log-normal noise is exact up to ``MAX_Z``.
    """
    low, high = 0, len(traffic.length_edge_ms)
    while low < high:
        middle = (low + high) // 2
        if traffic.length_edge_ms[middle] <= free_ms:
            low = middle + 1
        else:
            high = middle
    along = (min(max(z, -MAX_Z), MAX_Z) + MAX_Z) * LEVELS_PER_Z
    level = min(int(along), NUM_LEVELS - 2)
    share = along - level
    return traffic.quantile[low, level] * (1.0 - share) + traffic.quantile[low, level + 1] * share


@kernel()
def predicted_ms(traffic, slot, free_ms):
    """Give how long a leg of free-flow time `free_ms` that begins in `slot` is expected to take, int64."""
    return np.int64(min(np.rint(free_ms * traffic.factor[slot]), MAX_TRAVEL_MS))


@kernel()
def true_ms(traffic, slot, free_ms, z):
    """Give how long the leg really takes, int64: 0 for a leg of no length, else 1 to ``MAX_TRAVEL_MS``."""
    if free_ms <= 0:
        return np.int64(0)
    lasts_ms = free_ms * traffic.factor[slot] * exp(log_ratio(traffic, free_ms, z))
    return np.int64(min(max(np.rint(lasts_ms), 1.0), MAX_TRAVEL_MS))


@kernel()
def leg_score(rho, city, own):
    """Give the normal score of a leg: the city's state is a share `rho` of its variance."""
    return sqrt(rho) * city + sqrt(1.0 - rho) * own


@kernel((TRAFFIC, I64, I64, I64))
def predict(traffic, slot, free_ms, out_ms):
    """Write :func:`predicted_ms` of each leg (n,)."""
    for i in range(len(slot)):
        out_ms[i] = predicted_ms(traffic, slot[i], free_ms[i])


@kernel((TRAFFIC, I64, I64, F64, I64))
def come_true(traffic, slot, free_ms, z, out_ms):
    """Write :func:`true_ms` of each leg (n,)."""
    for i in range(len(slot)):
        out_ms[i] = true_ms(traffic, slot[i], free_ms[i], z[i])


@kernel((f64, F64, F64))
def city_path(phi, innovation, out_city):
    """Write a stationary AR(1) of coefficient `phi` (n,), made of independent normal `innovation` (n,).

    Each value is standard normal, the correlation of two that are k slots apart is ``phi**k``.
    """
    fresh = sqrt(1.0 - phi * phi)
    state = 0.0
    for t in range(len(innovation)):
        state = innovation[t] if t == 0 else phi * state + fresh * innovation[t]
        out_city[t] = state
