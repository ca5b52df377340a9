from dataclasses import replace

import numpy as np

from cities import grid_city, random_trips
from dispatch.eta.trip_set import MAX_DURATION_S, trip_set
from dispatch.units import NO_INDEX, NO_VALUE

TRIPS = random_trips(grid_city(5, 5), 40, recorded=True)


def changed(**rows):
    """The trips with some values changed: (row, value) by column."""
    columns = {}
    for name, pairs in rows.items():
        column = getattr(TRIPS, name).copy()
        for row, value in pairs:
            column[row] = value
        columns[name] = column
    return replace(TRIPS, **columns)


def test_all_columns_are_those_of_the_trips():
    found, drops = trip_set(TRIPS)
    assert drops == ()
    assert found.row.tolist() == list(range(40))
    for mine, theirs in (
        ("at_ms", "requested_at_ms"),
        ("duration_s", "duration_s"),
        ("from_lon", "pickup_lon"),
        ("from_lat", "pickup_lat"),
        ("to_lon", "dropoff_lon"),
        ("to_lat", "dropoff_lat"),
        ("from_node", "pickup_node"),
        ("to_node", "dropoff_node"),
        ("driver_id", "driver_id"),
    ):
        assert np.array_equal(getattr(found, mine), getattr(TRIPS, theirs)), mine
    assert np.array_equal(found.end_ms, TRIPS.requested_at_ms + 1000 * TRIPS.duration_s.astype(np.int64))
    assert found.ends == (found.from_lon, found.from_lat, found.to_lon, found.to_lat)


def test_others_are_counted_by_the_first_reason():
    trips = changed(
        duration_s=[(0, NO_VALUE), (1, 0), (2, MAX_DURATION_S + 1), (3, MAX_DURATION_S)],
        pickup_node=[(1, NO_INDEX), (5, NO_INDEX)],
        dropoff_node=[(2, NO_INDEX), (6, NO_INDEX), (5, NO_INDEX)],
    )
    found, drops = trip_set(trips)
    assert [(one.what, one.count) for one in drops] == [
        ("trips without a duration", 2),
        ("trips longer than 3 hours", 1),
        ("trips with an end off the network", 2),
    ]
    assert found.row.tolist() == [3, 4, *range(7, 40)]
    assert len(found.row) + sum(one.count for one in drops) == len(trips)


def test_some_of_them_in_another_order():
    found, _ = trip_set(TRIPS)
    some = found.take(np.array([7, 3]))
    assert some.row.tolist() == [7, 3]
    assert some.duration_s.tolist() == TRIPS.duration_s[[7, 3]].tolist()


def test_durations_in_milliseconds_are_no_trips():
    found, drops = trip_set(replace(TRIPS, duration_s=TRIPS.duration_s * 1000))
    assert len(found.row) == np.count_nonzero(TRIPS.duration_s * 1000 <= MAX_DURATION_S)
    assert [one.what for one in drops] == ["trips longer than 3 hours"]


def test_no_trips_at_all():
    found, drops = trip_set(TRIPS.select(np.zeros(40, np.bool_)))
    assert len(found.end_ms) == 0
    assert drops == ()
