"""When recorded taxis were on shift, by their pings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import RecordedTrips
from dispatch.units import MS_PER_S, NO_INDEX

MAX_SILENCE_MS: Final = 15 * 60 * MS_PER_S
"""A taxi is on shift while its pings run on without a longer gap."""


@dataclass(frozen=True)
class OnShift:
    """Spells on shift, sorted by driver, then start; those of one driver do not overlap."""

    first_ping: NDArray[np.int64]
    """(spells,) row of the pings"""
    last_ping: NDArray[np.int64]
    """(spells,) row of the pings, later than the first"""
    node: NDArray[np.int32]
    """(spells,) where the first ping is"""


def on_shift(pings: RecordedPings, trips: RecordedTrips, city: City) -> OnShift:
    """Find the spells in which taxis were on shift.

    A taxi is on shift during each run of pings without a gap of more than 15 minutes, less the time
    off the network and on trips that leave it (those in `trips` with an end outside). It comes on shift
    at the first ping of a run without a passenger.

    Parameters
    ----------
    pings : RecordedPings
        Sorted by driver, then time.
    trips : RecordedTrips
        All recorded trips around that time, with their drivers and durations.
    city : City
    """
    node, _ = city.snap(pings.lon, pings.lat)
    usable = (node != NO_INDEX) & ~_on_trips_outside(pings.driver_id, pings.at_ms, trips)
    follows = np.zeros(len(pings), np.bool_)
    follows[1:] = (
        (pings.driver_id[1:] == pings.driver_id[:-1])
        & (np.diff(pings.at_ms) <= MAX_SILENCE_MS)
        & usable[1:]
        & usable[:-1]
    )
    run = np.cumsum(~follows)
    first_empty = np.flatnonzero(usable & ~pings.occupied)
    _, which = np.unique(run[first_empty], return_index=True)
    first = first_empty[which]
    last_of_run = np.append(np.flatnonzero(~follows)[1:], len(run)) - 1
    last = last_of_run[run[first] - 1]
    lasting = pings.at_ms[last] > pings.at_ms[first]
    first, last = first[lasting], last[lasting]
    return OnShift(first, last, node[first])


def latest_before(
    driver_id: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    asked_driver_id: NDArray[np.int64],
    asked_at_ms: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Find for each driver and instant asked (m,) the latest of its rows at or before it, NO_INDEX: none.

    Parameters
    ----------
    driver_id, at_ms : (n,) int64
        In any order.
    asked_driver_id, asked_at_ms : (m,) int64
    """
    if not len(driver_id) or not len(asked_driver_id):
        return np.full(len(asked_driver_id), NO_INDEX, np.int64)
    # One sortable number a (driver, instant): drivers by rank, instants as offsets within the span of the
    # data, so that no id is too large.
    known = np.unique(np.concatenate([driver_id, asked_driver_id]))
    base = min(int(at_ms.min()), int(asked_at_ms.min()))
    span = max(int(at_ms.max()), int(asked_at_ms.max())) - base + 1
    key = np.searchsorted(known, driver_id) * span + (at_ms - base)
    order = np.argsort(key, kind="stable")
    asked = np.searchsorted(known, asked_driver_id) * span + (asked_at_ms - base)
    place = np.searchsorted(key[order], asked, side="right") - 1
    row = order[np.maximum(place, 0)]
    return np.where((place >= 0) & (driver_id[row] == asked_driver_id), row, NO_INDEX)


def _on_trips_outside(
    driver_id: NDArray[np.int64], at_ms: NDArray[np.int64], trips: RecordedTrips
) -> NDArray[np.bool_]:
    """Tell which pings were sent on a trip that leaves the network."""
    outside = (trips.pickup_node == NO_INDEX) | (trips.dropoff_node == NO_INDEX)
    out = trips.select(outside & (trips.duration_s > 0) & (trips.driver_id >= 0))
    if not len(out):
        return np.zeros(len(driver_id), np.bool_)
    trip = latest_before(out.driver_id, out.requested_at_ms, driver_id, at_ms)
    end_at_ms = out.requested_at_ms[trip] + out.duration_s[trip].astype(np.int64) * MS_PER_S
    on_trip: NDArray[np.bool_] = (trip != NO_INDEX) & (at_ms <= end_at_ms)
    return on_trip
