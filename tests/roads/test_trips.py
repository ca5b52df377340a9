import datetime
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.trips import RecordedTrips, local_midnight_ms, local_to_utc_ms, zone_info

NEW_YORK, UTC = "America/New_York", datetime.UTC
EPOCH = datetime.datetime(1970, 1, 1)


def trips_at(instants, **options):
    at_ms = np.array([round(at.timestamp() * 1000) for at in instants], np.int64)
    num = len(at_ms)
    return RecordedTrips(
        at_ms,
        *(np.arange(num, dtype=np.int32) for _ in range(2)),
        *(np.arange(num, dtype=np.float64) for _ in range(4)),
        np.full(num, 60, np.int32),
        np.arange(num, dtype=np.int64),
        np.ones(num, np.int32),
        **options,
    )


def hourly(day, days, zone):
    """One trip each hour of UTC around some local days."""
    start = datetime.datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return trips_at([start + datetime.timedelta(hours=h) for h in range(-24, 24 * (days + 1))])


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, datetime.date(2016, 6, 1), 24),
        (NEW_YORK, datetime.date(2016, 3, 13), 23),
        (NEW_YORK, datetime.date(2016, 11, 6), 25),
        ("America/Sao_Paulo", datetime.date(2018, 11, 4), 23),  # the day begins at one
        ("America/Havana", datetime.date(2023, 11, 5), 25),  # midnight comes twice
        ("Asia/Kolkata", datetime.date(2016, 6, 1), 24),
    ],
)
def test_a_local_day_has_its_own_length(zone, day, hours):
    trips = hourly(day, 2, zone)
    chosen = trips.on_day(day, zone)
    assert len(chosen) == hours
    local = {
        datetime.datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).date()
        for at in chosen.requested_at_ms.tolist()
    }
    assert local == {day}
    assert len(trips.on_day(day - datetime.timedelta(days=1), zone)) == 24


@pytest.mark.parametrize("zone", ["UTC", NEW_YORK, "Pacific/Apia", "Pacific/Kiritimati", "Asia/Kolkata"])
def test_days_are_the_local_dates_present(zone):
    rng = np.random.default_rng(1)
    start = datetime.datetime(2011, 12, 20, tzinfo=UTC)  # Apia left out 2011-12-30
    instants = [start + datetime.timedelta(minutes=int(m)) for m in rng.integers(0, 20 * 1440, 40)]
    trips = trips_at(instants)
    assert trips.days(zone) == sorted({at.astimezone(ZoneInfo(zone)).date() for at in instants})
    assert sum(len(trips.on_day(day, zone)) for day in trips.days(zone)) == 40


def test_select_by_mask_and_by_rows():
    trips = trips_at([datetime.datetime(2020, 1, 1, h, tzinfo=UTC) for h in range(5)], resolution_ms=60_000)
    for chosen in (trips.select(np.array([False, True, False, True, False])), trips.select(np.array([1, 3]))):
        assert len(chosen) == 2
        assert chosen.driver_id.tolist() == [1, 3]
        assert chosen.dropoff_lat.tolist() == [1.0, 3.0]
        assert chosen.resolution_ms == 60_000


def test_trips_without_a_date_have_no_days():
    trips = trips_at([datetime.datetime(1970, 1, 1, 5, tzinfo=UTC)], dated=False)
    assert trips.days(NEW_YORK) == []
    with pytest.raises(InputError, match="date is 2016-06-01: these trips give the minute of the day only"):
        trips.on_day(datetime.date(2016, 6, 1), NEW_YORK)


def test_no_trips_have_no_days():
    assert trips_at([]).days(NEW_YORK) == []
    assert len(trips_at([]).on_day(datetime.date(2016, 6, 1), NEW_YORK)) == 0


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "America"])
def test_unknown_time_zones_are_named(name):
    with pytest.raises(InputError, match="no such IANA time zone"):
        zone_info(name)


def test_midnight():
    expected = datetime.datetime(2016, 6, 1, 4, tzinfo=UTC)
    assert local_midnight_ms(datetime.date(2016, 6, 1), ZoneInfo(NEW_YORK)) == expected.timestamp() * 1000


@given(
    st.lists(st.datetimes(datetime.datetime(2015, 1, 1), datetime.datetime(2017, 12, 31)), max_size=30),
    st.sampled_from([NEW_YORK, "Europe/Berlin", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]),
)
@settings(max_examples=80, deadline=None)
def test_local_times_become_instants(times, zone):
    # hours around changes of clocks, which random times would miss
    times += [
        datetime.datetime(2016, month, day, h, 59)
        for month, day in ((3, 13), (11, 6), (4, 3))
        for h in range(4)
    ]
    times = [time.replace(microsecond=0) for time in times]
    local_ms = np.array([(time - EPOCH) // datetime.timedelta(milliseconds=1) for time in times], np.int64)
    expected = [time.replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000 for time in times]
    assert local_to_utc_ms(local_ms, ZoneInfo(zone)).tolist() == expected


def test_of_a_repeated_hour_the_first_is_taken():
    local_ms = np.array(
        [(datetime.datetime(2016, 11, 6, 1, 30) - EPOCH) // datetime.timedelta(milliseconds=1)]
    )
    assert (
        local_to_utc_ms(local_ms, ZoneInfo(NEW_YORK))[0]
        == datetime.datetime(2016, 11, 6, 5, 30, tzinfo=UTC).timestamp() * 1000
    )


def test_columns_of_different_lengths_are_refused():
    trips = trips_at([EPOCH + datetime.timedelta(days=400 + k) for k in range(3)])
    with pytest.raises(InputError, match=r"duration_s has the shape \(2,\): there are 3 trips"):
        replace(trips, duration_s=trips.duration_s[:2])
