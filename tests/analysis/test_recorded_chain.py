import datetime

import numpy as np
import pytest

from cities import T0, city_of, grid_city, line_city, random_trips
from dispatch.analysis.recorded_chain import MAX_BREAK_MS, by_metres, path_metres, real_chain
from dispatch.roads.city import City
from dispatch.roads.trips import RecordedTrips

CITY = line_city(20)
HOUR_MS = 3_600_000


def trips_of(rows):
    """Rows are (driver, minutes after T0, duration in minutes, pickup node, drop-off node)."""
    driver, minute, lasts, pickup, dropoff = (list(column) for column in zip(*rows, strict=True))
    return RecordedTrips(
        np.array([round(T0 + 60_000 * m) for m in minute], np.int64),
        np.array(pickup, np.int32),
        np.array(dropoff, np.int32),
        *(np.zeros(len(rows)) for _ in range(4)),
        np.array([round(60 * m) for m in lasts], np.int32),
        np.array(driver, np.int64),
        np.ones(len(rows), np.int32),
    )


def chain(rows):
    return real_chain(trips_of(rows), by_metres(CITY))


def test_a_taxi_drives_from_each_drop_off_to_its_next_pickup():
    got = chain([(1, 0, 5, 0, 5), (2, 1, 5, 10, 11), (1, 10, 5, 7, 2), (1, 20, 5, 4, 3)])
    assert (got.num_trips, got.num_links, got.num_breaks) == (4, 2, 0)
    assert got.empty_km == pytest.approx(0.2 + 0.2)
    assert got.total_km == pytest.approx(0.4 + 0.5 + 0.1 + 0.5 + 0.1)
    assert got.share == pytest.approx(0.25)


def test_more_than_two_hours_are_a_break():
    assert MAX_BREAK_MS == 2 * HOUR_MS
    assert chain([(1, 0, 5, 0, 5), (1, 125, 5, 9, 8)]).num_links == 1
    got = chain([(1, 0, 5, 0, 5), (1, 125.1, 5, 9, 8)])
    assert (got.num_links, got.num_breaks, got.empty_km) == (0, 1, 0.0)


def test_trips_out_of_the_city_and_of_nobody_are_left_out_and_their_neighbours_joined():
    got = chain([(1, 0, 5, 0, 5), (1, 10, 5, 5, -1), (-1, 11, 5, 0, 19), (1, 20, 5, 8, 9), (1, 30, 5, -1, 9)])
    assert (got.num_trips, got.num_links) == (2, 1)
    assert got.empty_km == pytest.approx(0.3)


def test_nobody_drove():
    got = real_chain(random_trips(CITY, 0), by_metres(CITY))
    assert (got.share, got.total_km, got.num_trips) == (None, 0.0, 0)


def test_the_shortest_path_is_not_the_quickest():
    """Straight on at 10 km/h, or around the block at 100."""
    city = city_of(
        [0, 100, 0, 100],
        [0, 0, 100, 100],
        [(0, 1), (0, 2), (2, 3), (3, 1)],
        speed_kph=[10, 100, 100, 100],
    )
    ends = np.zeros(1, np.int32), np.ones(1, np.int32)
    assert path_metres(by_metres(city), *ends).tolist() == [100]
    assert path_metres(city.free_flow(), *ends).tolist() == [300]


def test_where_there_is_no_path_there_are_no_metres():
    ends = np.array([0, 19, 4], np.int32), np.array([2, 0, 4], np.int32)
    assert path_metres(by_metres(line_city(20, sink=True)), *ends).tolist() == [200, 0, 0]


def test_metres_are_never_more_than_by_the_quickest_path():
    city, random = grid_city(), np.random.default_rng(0)
    ends = random.integers(0, 81, (2, 400)).astype(np.int32)
    by_length, by_time = (path_metres(travel, *ends) for travel in (by_metres(city), city.free_flow()))
    assert (by_length <= by_time + 0.1 * 20).all()
    assert (by_length < by_time - 10).mean() > 0.1


def test_san_francisco_s_real_chain(data):
    city = City.load(data / "san_francisco")
    got = real_chain(city.trips.on_day(datetime.date(2008, 5, 31), city.timezone), by_metres(city))
    assert got.share == pytest.approx(0.297, abs=0.001)
    assert got.num_trips == 21_352
