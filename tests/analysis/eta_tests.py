"""Tests of ETAs for tests of reports: made-up trips whose true quantiles are known."""

import numpy as np
from scipy.special import ndtri

from cities import grid_city
from dispatch.eta.tested_trips import EtaTest
from dispatch.roads.tables import Dropped

CITY = grid_city(12, 12)
MONDAY_MS = 1_709_510_400_000
"""2024-03-04, a midnight in UTC, which is the city's time."""
LEVELS = (0.1, 0.5, 0.8, 0.9)
DAY_MS = 86_400_000
SPREAD = 0.3


def eta_test(num_trips=4000, seed=0, num_days=4, exact=True):
    """Trips with log-normal durations; quantiles are the true ones, or too narrow by a half."""
    random = np.random.default_rng(seed)
    at_ms = np.sort(MONDAY_MS + random.integers(0, num_days * DAY_MS, num_trips))
    pair = random.integers(0, CITY.graph.num_nodes, (2, num_trips))
    lon, lat = CITY.graph.node_lon[pair], CITY.graph.node_lat[pair]
    (from_x, from_y), (to_x, to_y) = (CITY.projection.to_plane(lon[end], lat[end]) for end in (0, 1))
    distance_m = np.abs(to_x - from_x) + np.abs(to_y - from_y) + 200.0
    median_s = distance_m / 6.0
    actual_s = median_s * np.exp(SPREAD * random.standard_normal(num_trips))
    score = ndtri(np.array(LEVELS)) * SPREAD * (1.0 if exact else 0.5)
    return EtaTest(
        requested_at_ms=at_ms,
        from_lon=lon[0],
        from_lat=lat[0],
        to_lon=lon[1],
        to_lat=lat[1],
        distance_m=distance_m,
        actual_s=actual_s,
        predicted_s=median_s,
        levels=LEVELS,
        quantile_s=median_s[:, None] * np.exp(score),
        others={"free flow": 0.6 * median_s, "linear in distance": 30.0 + distance_m / 6.5},
        others_quantile_s={"one ratio": 0.7 * median_s[:, None] * np.exp(score)},
        drops=(Dropped("trips with an end off the network", 12, "trips.csv"),),
    )


TRAINING = {
    "kind": "learnt",
    "city": "Gridville",
    "version": 1,
    "trips": {"used": 12_345, "left_out": {"trips without a duration": 17, "<script>": 2}},
    "gain": {"all of streets": 0.7, "street seconds": 0.7, "hour": 0.2, "<b>bold": 0.1},
}
