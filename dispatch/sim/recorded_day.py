"""A recorded day of a real city as a scenario."""

from __future__ import annotations

import datetime
from collections import Counter

import numpy as np

from dispatch.analysis.recorded import empty_km_share_recorded
from dispatch.engine.params import DispatchParams
from dispatch.errors import InputError
from dispatch.limits import check_seed
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import RecordedTrips, local_midnight_ms, zone_info
from dispatch.sim.scenario import PARKING_NOTE, Scenario, SimParams, drain_ms, spread_in_time
from dispatch.sim.shifts import made_up_shifts, recorded_shifts, why_no_shifts
from dispatch.units import MS_PER_DAY, MS_PER_S, NO_INDEX

_FIT_NODES = 1_000
"""Drop-off nodes whose trips the slowdown is fitted on: travel times are found once a node, not a trip."""


def recorded_day(
    city: City,
    date: datetime.date | None = None,
    num_drivers: int | None = None,
    shift_h: float = 24.0,
    seed: int = 1,
    params: DispatchParams | None = None,
    sim: SimParams | None = None,
) -> Scenario:
    """Make a scenario of one local day of a city's recorded trips.

    Orders are the real trips (a trip is requested when it was boarded: no request times exist),
    drivers are `num_drivers` made-up ones, or, if None, the real taxis of the city's pings.

    Parameters
    ----------
    city : City
        With recorded trips.
    date : datetime.date, optional
        By default the day with the most trips. Trips without a date are one day.
    num_drivers : int, optional
    shift_h : float
        Length of a made-up driver's shift, hours.
    seed : int
    params, sim : optional

    Raises
    ------
    InputError
        If the city has no trips (on that day), or no usable pings where drivers are to come
        from them.
    """
    params, sim = params or DispatchParams(), sim or SimParams()
    check_seed(seed)
    if city.trips is None or not len(city.trips):
        raise InputError(
            f"{city.name} has no recorded trips: put trips.parquet or trips.csv into {city.folder}"
        )
    trips, date = _trips_of_day(city, city.trips, date)
    day_ms = _day_ms(city, date)
    inside = (trips.pickup_node != NO_INDEX) & (trips.dropoff_node != NO_INDEX)
    if not inside.any():
        raise InputError(
            f"all {len(trips)} trips of that day have an end outside of {city.name}: choose another"
        )
    orders = spread_in_time(trips.select(inside), seed)
    slowdown, fitted_on = fit_slowdown(city, city.trips, day_ms[0]) if date else (1.0, 0)
    until_ms = day_ms[1] + drain_ms(params)
    pings, pings_notes = _pings_between(city, day_ms[0], until_ms, needed=num_drivers is None)
    if num_drivers is not None:
        shifts = made_up_shifts(num_drivers, orders, (day_ms[0], until_ms), shift_h, seed)
    elif pings is not None:
        shifts = recorded_shifts(pings, city.trips, city, (day_ms[0], until_ms))
        if not len(shifts):
            raise InputError(why_no_shifts(pings, city))
    else:
        raise InputError(
            f"{city.name} has no pings.parquet to take drivers from: give --drivers N for made-up drivers"
        )
    return Scenario(
        city,
        orders,
        shifts,
        city.free_flow(slowdown),
        day_ms[0],
        city.timezone if date else "UTC",
        date.isoformat() if date else None,
        orders_outside=len(trips) - len(orders),
        recorded=None if pings is None else empty_km_share_recorded(pings.between(*day_ms), city),
        slowdown=slowdown,
        seed=seed,
        params=params,
        sim=sim,
        notes=(*_notes(city.trips, num_drivers, slowdown, fitted_on), *pings_notes, PARKING_NOTE),
        drops=(*city.drops, *(() if pings is None else pings.drops)),
    )


def _pings_between(
    city: City, from_at_ms: int, to_at_ms: int, needed: bool
) -> tuple[RecordedPings | None, tuple[str, ...]]:
    """Read the city's pings, if it has any; where they are not `needed`, a broken file is a note."""
    if city.pings_path is None:
        return None, ()
    try:
        return RecordedPings.load(city.pings_path, from_at_ms, to_at_ms), ()
    except InputError as error:
        if needed:
            raise
        return None, (f"How real drivers drove is not told, their pings are unreadable: {error}.",)


def fit_slowdown(city: City, trips: RecordedTrips, before_ms: int) -> tuple[float, int]:
    """Fit how much slower recorded trips were than free flow, on trips requested before an instant.

    The factor minimises the sum of absolute errors of predicted durations: it is the median of
    recorded over free-flow time, weighted by free-flow time. All trips to 1,000 drop-off nodes drawn at
    random count, the same ones each time; every trip is equally likely to be among them.

    Returns
    -------
    slowdown : float
        1.0 where there is nothing to fit on.
    num_trips : int
        How many trips it was fitted on.
    """
    usable = (trips.requested_at_ms < before_ms) & (trips.duration_s > 0)
    usable &= (trips.pickup_node != NO_INDEX) & (trips.dropoff_node != NO_INDEX)
    usable &= trips.pickup_node != trips.dropoff_node
    rows = np.flatnonzero(usable)
    if not len(rows):
        return 1.0, 0
    random = np.random.default_rng(0x51CE)
    ends = np.unique(trips.dropoff_node[rows])
    chosen = random.choice(ends, min(_FIT_NODES, len(ends)), replace=False)
    sample = trips.select(rows[np.isin(trips.dropoff_node[rows], chosen)])
    free_ms = city.free_flow().pairs_ms(sample.pickup_node, sample.dropoff_node)
    ratio = sample.duration_s * float(MS_PER_S) / free_ms
    order = np.argsort(ratio, kind="stable")
    weight = np.cumsum(free_ms[order].astype(np.float64))
    median = ratio[order[np.searchsorted(weight, weight[-1] / 2)]]
    return round(float(median), 4), len(sample)


def _trips_of_day(
    city: City, trips: RecordedTrips, date: datetime.date | None
) -> tuple[RecordedTrips, datetime.date | None]:
    if not trips.dated:
        if date is not None:
            raise InputError(f"date is {date}: the trips of {city.name} name no date; leave it out")
        return trips, None
    days = trips.days(city.timezone)
    if date is None:
        date = busiest_day(city, trips)
    if date not in days:
        raise InputError(f"date is {date}: {city.name} has trips from {days[0]} to {days[-1]}")
    return trips.on_day(date, city.timezone), date


def busiest_day(city: City, trips: RecordedTrips) -> datetime.date:
    """Give the local date with the most trips, the earliest of several."""
    count = Counter({day: len(trips.on_day(day, city.timezone)) for day in trips.days(city.timezone)})
    return max(count, key=lambda day: (count[day], -day.toordinal()))


def _day_ms(city: City, date: datetime.date | None) -> tuple[int, int]:
    if date is None:
        return 0, MS_PER_DAY
    zone = zone_info(city.timezone)
    return local_midnight_ms(date, zone), local_midnight_ms(date + datetime.timedelta(days=1), zone)


def _notes(trips: RecordedTrips, num_drivers: int | None, slowdown: float, fitted_on: int) -> list[str]:
    notes = ["Orders are recorded trips; an order is submitted when the recorded passenger boarded."]
    if trips.resolution_ms > MS_PER_S:
        notes.append("The source tells the minute only: requests are spread evenly within it.")
    if fitted_on:
        notes.append(
            f"Legs without a recorded duration take {slowdown:g} × free flow, fitted on {fitted_on:,} trips "
            "of earlier days. Recorded trips last their recorded duration."
        )
    elif not (trips.duration_s > 0).any():
        notes.append("The source tells no durations: every leg takes its free-flow time.")
    else:
        notes.append(
            "There is no earlier day to fit travel times on: legs without a recorded duration take their "
            "free-flow time, which is less than they really take."
        )
    if num_drivers is None:
        notes.append("Drivers are the recorded taxis, on duty where and while their pings show it.")
    return notes
