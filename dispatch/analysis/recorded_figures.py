"""What a day of real taxis comes to, in the same terms as a simulated one."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

import numpy as np

from dispatch.analysis.on_shift import latest_before, on_shift
from dispatch.analysis.recorded import EmptyDriving, empty_km_share_recorded
from dispatch.analysis.recorded_chain import RealChain, by_metres, path_metres, real_chain
from dispatch.analysis.statistics import gini, share
from dispatch.engine.params import FareRule
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import local_midnight_ms, zone_info
from dispatch.units import MS_PER_S, NO_INDEX

MIN_SHIFT_MS: Final = 3600 * MS_PER_S
"""Taxis on shift for less in a day have no hourly income worth comparing."""
_MS_PER_HOUR: Final = 3600 * MS_PER_S


@dataclass(frozen=True)
class RecordedDay:
    """Recorded figures of one local day; None where there is nothing to measure."""

    date: datetime.date
    num_taxis: int
    """Taxis that were on shift at all"""
    on_shift_h: float
    """Hours of all taxis together"""
    num_trips: int
    """Trips inside the city that began on shift"""
    empty: EmptyDriving
    """By pings, as the crow flies: with cruising"""
    chain: RealChain
    """Real order of trips, shortest paths: without cruising"""
    utilisation: float | None
    """Time with a passenger / time on shift"""
    trips_per_on_shift_h: float | None
    income_gini: float | None
    """Of fares per hour on shift, over taxis with at least an hour"""
    num_incomes: int
    """Taxis that it rests on"""


def recorded_figures(city: City, date: datetime.date, fare: FareRule | None = None) -> RecordedDay:
    """Measure one local day of a city's recorded taxis.

    On shift is as in :func:`dispatch.analysis.on_shift.on_shift`, cut at both midnights. A trip counts where
    both ends lie in the city and it began on shift. Its fare follows from the shortest path between its ends
    and its recorded duration: what was really paid is not known.

    Parameters
    ----------
    city : City
        With recorded trips and pings.
    date : datetime.date
    fare : FareRule, optional

    Raises
    ------
    InputError
        The city has no pings or no trips, trips have no date, or a file is unreadable.
    """
    if city.pings_path is None or city.trips is None:
        raise InputError(f"{city.name} has no pings.parquet or no trips: recorded figures need both")
    trips = city.trips.on_day(date, city.timezone)
    zone = zone_info(city.timezone)
    day_ms = [local_midnight_ms(date + datetime.timedelta(days=ahead), zone) for ahead in (0, 1)]
    pings = RecordedPings.load(city.pings_path, *day_ms)
    spells = on_shift(pings, city.trips, city)
    begin_ms, end_ms = pings.at_ms[spells.first_ping], pings.at_ms[spells.last_ping]
    taxi_of_spell = pings.driver_id[spells.first_ping]
    gap_ms = np.diff(pings.at_ms, append=pings.at_ms[-1:])
    occupied_ms = np.append(0, np.cumsum(np.where(pings.occupied, gap_ms, 0)))
    with_passenger_ms = occupied_ms[spells.last_ping] - occupied_ms[spells.first_ping]

    travel = by_metres(city)
    chain = real_chain(trips, travel)
    trips = trips.select((trips.pickup_node != NO_INDEX) & (trips.dropoff_node != NO_INDEX))
    spell = latest_before(taxi_of_spell, begin_ms, trips.driver_id, trips.requested_at_ms)
    begun = np.flatnonzero(spell != NO_INDEX)
    trips = trips.select(begun[trips.requested_at_ms[begun] <= end_ms[spell[begun]]])

    taxis, of_spell = np.unique(taxi_of_spell, return_inverse=True)
    on_shift_ms = np.bincount(of_spell, end_ms - begin_ms, len(taxis))
    fare_cents = (fare or FareRule()).fare_cents(
        path_metres(travel, trips.pickup_node, trips.dropoff_node),
        np.maximum(trips.duration_s, 0).astype(np.int64) * MS_PER_S,
    )
    income_cents = np.bincount(np.searchsorted(taxis, trips.driver_id), fare_cents, len(taxis))
    long = on_shift_ms >= MIN_SHIFT_MS
    on_shift_h = float(on_shift_ms.sum()) / _MS_PER_HOUR
    return RecordedDay(
        date,
        len(taxis),
        on_shift_h,
        len(trips),
        empty_km_share_recorded(pings, city),
        chain,
        share(float(with_passenger_ms.sum()), float(on_shift_ms.sum())),
        share(float(len(trips)), on_shift_h),
        gini(income_cents[long] / on_shift_ms[long]),
        int(np.count_nonzero(long)),
    )
