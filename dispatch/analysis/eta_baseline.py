"""What a model of ETAs must beat: free flow times one ratio, learnt on earlier trips."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.eta.tested_trips import EtaTest
from dispatch.eta.trip_set import trip_set
from dispatch.roads.city import City
from dispatch.roads.trips import RecordedTrips
from dispatch.units import MAX_TRAVEL_MS, MS_PER_S

FREE_FLOW: Final = "free flow"
ONE_RATIO: Final = "free flow × ratio"
MIN_TRIPS: Final = 500
"""Fewer earlier trips tell no ratio."""


def with_one_ratio(test: EtaTest, city: City, trips: RecordedTrips | None, before_ms: int) -> EtaTest:
    """Put beside a model what one number a level, learnt on earlier trips, would have predicted.

    Parameters
    ----------
    test : EtaTest
        With free-flow seconds among its other predictors.
    city : City
    trips : RecordedTrips, optional
        Recorded in that city.
    before_ms : int
        Only trips that were requested before it count; milliseconds since the epoch.

    Returns
    -------
    EtaTest
        With :data:`ONE_RATIO` among its other predictors of quantiles, if there are :data:`MIN_TRIPS`
        earlier trips and free-flow seconds: these times the quantile of actual over free-flow seconds,
        weighted by the latter, which of all constant ratios has the least pinball loss.
    """
    if trips is None or FREE_FLOW not in test.others:
        return test
    earlier, _ = trip_set(trips.select(trips.requested_at_ms < before_ms))
    free_ms = city.free_flow().pairs_ms(earlier.from_node, earlier.to_node).astype(np.int64)
    way = (free_ms > 0) & (free_ms <= MAX_TRAVEL_MS)
    free_s = free_ms[way] / MS_PER_S
    if len(free_s) < MIN_TRIPS:
        return test
    ratio = weighted_quantiles(earlier.duration_s[way] / free_s, free_s, test.levels)
    quantile_s = test.others[FREE_FLOW][:, None] * ratio
    return replace(test, others_quantile_s={**test.others_quantile_s, ONE_RATIO: quantile_s})


def weighted_quantiles(
    values: NDArray[np.float64], weight: NDArray[np.float64], levels: tuple[float, ...]
) -> NDArray[np.float64]:
    """Give the least value below or at which lies each level's share of all weight.

    Parameters
    ----------
    values : (n,) float64
    weight : (n,) float64
        Not negative; not all 0.
    levels : tuple of float

    Returns
    -------
    (levels,) float64
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order])
    place = np.searchsorted(reached, np.array(levels) * reached[-1])
    found: NDArray[np.float64] = values[order][np.minimum(place, len(values) - 1)]
    return found
