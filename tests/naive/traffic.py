"""True and predicted travel times, in plain Python."""

import math


def quantile(levels, z):
    """Linear between levels told at -4, -3.75 … 4; flat outside."""
    points = [-4 + 0.25 * k for k in range(33)]
    if z <= points[0]:
        return levels[0]
    for k in range(32):
        if z <= points[k + 1]:
            share = (z - points[k]) / 0.25
            return levels[k] + (levels[k + 1] - levels[k]) * share
    return levels[32]


def predicted(factor, slot, free_ms):
    return round(free_ms * factor[slot])


def true(factor, edges, quantiles, leg):
    """`leg`: slot, free-flow time, normal score."""
    slot, free_ms, z = leg
    if free_ms == 0:
        return 0
    row = sum(edge <= free_ms for edge in edges)
    return max(1, round(free_ms * factor[slot] * math.exp(quantile(quantiles[row], z))))


def autoregressive(phi, innovation):
    """Weighted sums over all of the past."""
    path = []
    for t in range(len(innovation)):
        fresh = sum(phi ** (t - k) * math.sqrt(1 - phi**2) * innovation[k] for k in range(1, t + 1))
        path.append(phi**t * innovation[0] + fresh)
    return path
