"""A recorded day on travel times that change with the hour."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K
from dispatch.roads.city import City
from dispatch.roads.time_of_day import MetricsByTime, load_time_of_day
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.runner import run
from dispatch.units import MS_PER_DAY


@pytest.mark.compiled
def test_trips_through_manhattan_are_slower_by_day(data):
    """Every eightieth of the trips of Manhattan's day, on the network that knows the hours."""
    recorded = City.load(data / "manhattan").trips
    city = City.load(data / "manhattan_hourly")
    pickup, _ = city.snap(recorded.pickup_lon, recorded.pickup_lat)
    dropoff, _ = city.snap(recorded.dropoff_lon, recorded.dropoff_lat)
    rows = np.flatnonzero((pickup >= 0) & (dropoff >= 0) & (pickup != dropoff))[::80]
    trips = replace(recorded, pickup_node=pickup, dropoff_node=dropoff).select(rows)
    times = load_time_of_day(city.folder, day_starts_h=5, step_min=60)
    day = recorded_day(replace(city, trips=trips), num_drivers=100)
    by_time = MetricsByTime(times, "UTC", city.network.customize)
    day = replace(day, travel_times=by_time)
    events = run(day).events
    assert check_invariants(events).num_closed > 0.95 * len(trips)

    def of_order(kind, column):
        chosen = events[events["kind"] == kind]
        values = np.zeros(len(trips), np.int64)
        values[chosen["order_id"]] = chosen[column]
        return values

    ended_at_ms = of_order(K.DROPPED_OFF, "at_ms")
    done = ended_at_ms > 0
    began_at_ms = of_order(K.PICKED_UP, "at_ms")
    took_ms, trip_m = ended_at_ms - began_at_ms, of_order(K.DROPPED_OFF, "leg_m")
    hour = began_at_ms % MS_PER_DAY // 3_600_000

    def kph(*hours):
        chosen = done & np.isin(hour, hours)
        return 3600 * trip_m[chosen].sum() / took_ms[chosen].sum()

    assert kph(1, 2, 3, 4) > 22
    assert kph(9, 10, 11, 12, 13, 14, 15, 16, 17) < 18
    # Told when the order came in, driven some minutes later: the snapshot is nearly right.
    promised_ms = of_order(K.PICKED_UP, "eta_ms")
    alighting_ms = round(1000 * day.sim.alighting_s)
    error = (took_ms - alighting_ms - promised_ms)[done] / promised_ms[done]
    assert np.abs(np.median(error)) < 0.01
    assert np.quantile(np.abs(error), 0.9) < 0.15
