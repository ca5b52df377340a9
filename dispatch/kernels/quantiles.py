"""Travel times that are not certain: their quantiles, and how likely a promise is missed."""

from math import exp

import numpy as np

from dispatch.kernels.jit import F64, F64_2D, I32, I32_2D, I64, i64, kernel
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS


@kernel((I32, I64, F64_2D, I32_2D))
def spread(travel_ms, edge_ms, ratio, out_ms):
    """Write the quantiles of drives: their travel time, times ratios that hang on how long it is.

    Parameters
    ----------
    travel_ms : (n,) int32
        ``UNREACHABLE_MS`` where no way leads: all quantiles are, too.
    edge_ms : (bins - 1,) int64
        Ascending, travel times at which the next bin begins.
    ratio : (bins, levels) float64
        Ascending in each row.
    out_ms : (n, levels) int32
        Rounded, at most ``MAX_TRAVEL_MS``.
    """
    for i in range(len(travel_ms)):
        if travel_ms[i] >= UNREACHABLE_MS:
            for level in range(ratio.shape[1]):
                out_ms[i, level] = UNREACHABLE_MS
            continue
        row = 0
        while row < len(edge_ms) and edge_ms[row] <= travel_ms[i]:
            row += 1
        for level in range(ratio.shape[1]):
            out_ms[i, level] = np.int32(min(np.rint(travel_ms[i] * ratio[row, level]), MAX_TRAVEL_MS))


@kernel((I32_2D,))
def first_unsound(quantile_ms):
    """Find the first row of quantiles (n, levels) that falls, or is not from 0 to ``UNREACHABLE_MS``.

    Returns
    -------
    int
        ``NO_INDEX`` if there is none.
    """
    for i in range(quantile_ms.shape[0]):
        before = 0
        for level in range(quantile_ms.shape[1]):
            if not before <= quantile_ms[i, level] <= UNREACHABLE_MS:
                return i
            before = quantile_ms[i, level]
    return NO_INDEX


@kernel()
def _late_share(quantile_ms, row, levels, slack_ms):
    """Give how likely a drive takes longer than `slack_ms`, by a row of quantiles; see :func:`add_risk`."""
    if slack_ms < 0:
        return 1.0
    last, within = len(levels) - 1, 0
    while within <= last and quantile_ms[row, within] <= slack_ms:
        within += 1
    if within > last:
        gap_ms, beyond = quantile_ms[row, last] - quantile_ms[row, last - 1], 1.0 - levels[last]
        if gap_ms == 0:
            return 0.0
        rate = (levels[last] - levels[last - 1]) / (gap_ms * beyond)
        return beyond * exp(-rate * (slack_ms - quantile_ms[row, last]))
    if within == 0:
        gap_ms = quantile_ms[row, 1] - quantile_ms[row, 0]
        if gap_ms == 0:
            return 1.0
        rate = (levels[1] - levels[0]) / (gap_ms * levels[0])
        return 1.0 - levels[0] * exp(-rate * (quantile_ms[row, 0] - slack_ms))
    low_ms, high_ms = quantile_ms[row, within - 1], quantile_ms[row, within]
    share = (slack_ms - low_ms) / (high_ms - low_ms)
    return 1.0 - levels[within - 1] - share * (levels[within] - levels[within - 1])


@kernel((I32, I32, I32, I64, I32_2D, F64, i64, I64))
def add_risk(first_candidate, candidate_driver, rest_ms, slack_ms, quantile_ms, levels, risk_ms, out_cost):
    """Add to costs what it would cost to miss a promise with certainty, times how likely that is.

    The distribution of a drive is linear between two of its quantiles. Beyond the outermost ones its density
    falls off exponentially from what it is in the outermost gap, so that it has no jump there: all of it
    stays between 0 and 1 and never falls. A gap of no width has no tail: quantiles that are all the same are
    a drive that is certain. Nobody arrives in less than no time.

    Parameters
    ----------
    first_candidate : (orders + 1,) int32
    candidate_driver : (candidates,) int32
        Rows of `rest_ms`.
    rest_ms : (drivers,) int32
        Time until the driver is free, taken as certain.
    slack_ms : (orders,) int64
        From now until the promised arrival; negative: missed whoever comes.
    quantile_ms : (candidates, levels) int32
        Of the drive to the pickup, ascending in each row; at least two levels.
    levels : (levels,) float64
        Ascending, each above 0 and below 1.
    risk_ms : int
        What a miss costs.
    out_cost : (candidates,) int64
        Before: all other costs.
    """
    for i in range(len(slack_ms)):
        for k in range(first_candidate[i], first_candidate[i + 1]):
            late = _late_share(quantile_ms, k, levels, slack_ms[i] - rest_ms[candidate_driver[k]])
            out_cost[k] += np.int64(np.rint(risk_ms * late))
