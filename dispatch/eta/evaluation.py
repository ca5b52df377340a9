"""What a model says of recorded trips, each told no more than was known before it set out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.eta.driven_ways import DrivenWays
from dispatch.eta.driver_history import recent_columns
from dispatch.eta.features import (
    COLUMNS,
    Routed,
    base_s,
    bases,
    hide_drivers,
    live_columns,
    moved_of,
    split_live,
    stacked,
    usual_of,
)
from dispatch.eta.ground import ends_of
from dispatch.eta.live_ways import ways_as_told
from dispatch.eta.model import EtaModel
from dispatch.eta.tested_trips import EtaTest
from dispatch.eta.trip_set import TripSet, trip_set
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import RecordedTrips
from dispatch.units import MS_PER_S

Numbers = NDArray[np.float64]


def predict_trips(model: EtaModel, trips: RecordedTrips, pings: RecordedPings | None = None) -> EtaTest:
    """Predict recorded trips in the order of time, as they would have been predicted live.

    Parameters
    ----------
    model : EtaModel
        Trained on earlier days.
    trips : RecordedTrips
        Their durations are told to trips of the same driver that set out after they ended.
    pings : RecordedPings, optional
        Of these days, and some hours before. A trip is told what lies strictly before it set out.

    Returns
    -------
    EtaTest
        Trips without a duration or with an end off the network, and pings that were not matched, are left
        out and counted.
    """
    usable, drops = trip_set(trips)
    ways = None
    if pings is not None and len(pings):
        ways, unmatched = ways_as_told(model.city, pings)
        drops = (*drops, *pings.drops, *unmatched)
    features, routed, both = trip_features(model, usable, ways, pings)
    predicted_s, quantile_s = seconds_of(model, features, both)
    return EtaTest(
        usable.at_ms,
        usable.from_lon,
        usable.from_lat,
        usable.to_lon,
        usable.to_lat,
        1000.0 * features[:, COLUMNS.index("route_km")].astype(np.float64),
        usable.duration_s,
        predicted_s,
        model.levels,
        quantile_s,
        others={"free flow": _free_flow(model, routed)},
        drops=drops,
    )


def trip_features(
    model: EtaModel, trips: TripSet, ways: DrivenWays | None, pings: RecordedPings | None
) -> tuple[NDArray[np.float32], Routed, tuple[Numbers, Numbers]]:
    """Give the features of trips (n, ``COLUMNS``), their ways, and the seconds by streets alone."""
    ground = model.ground
    routed = Routed.of(ground, trips)
    route = ground.route_columns(routed.drives, routed.first, routed.edge)
    both = bases(ground, routed, route)
    residual = np.log(trips.duration_s / both[0])
    usual = usual_of(model.city, ways, routed, ground.probes)
    live = live_columns(model.city, model.live, ways, trips, routed, usual)
    beyond = split_live(live, ground.live_range)
    features = stacked(
        route,
        model.effects.columns(ends_of(routed.drives)),
        live,
        model.drivers.columns(trips.driver_id),
        recent_columns(trips.driver_id, trips.at_ms, trips.end_ms, residual),
        moved_of(model.city, pings, trips),
    )
    hide_drivers(features, trips.driver_id < 0)
    return features, routed, (both[0] * beyond, both[1] * beyond)


def seconds_of(
    model: EtaModel, features: NDArray[np.float32], both: tuple[Numbers, Numbers]
) -> tuple[Numbers, Numbers]:
    """Give the medians (n,) and the calibrated quantiles (n, levels), seconds."""
    by_trips, by_probes, low, high, highest = (forest.predict(features) for forest in model.forests)
    predicted_s = np.maximum((by_trips * both[0] + by_probes * both[1]) / 2.0, 1.0)
    told_s = np.stack([low * both[0], predicted_s, high * both[0], highest * both[0]], axis=1)
    hour = features[:, COLUMNS.index("hour")]
    return predicted_s, model.calibration.applied(predicted_s, np.maximum(told_s, 1.0), hour)


def _free_flow(model: EtaModel, routed: Routed) -> Numbers:
    """Give the free-flow times of trips (n,), which is what a router says that knows nothing else."""
    drives = routed.drives
    travel_ms = model.city.free_flow().pairs_ms(drives.from_node, drives.to_node)
    air_m = np.hypot(drives.to_x - drives.from_x, drives.to_y - drives.from_y)
    return base_s(0.0, travel_ms / float(MS_PER_S), air_m, routed.has_way)
