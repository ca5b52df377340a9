import datetime
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.test_recorded_chain import trips_of
from cities import T0, line_city, places
from dispatch.analysis.recorded_figures import recorded_figures
from dispatch.engine.params import FareRule
from dispatch.errors import InputError
from dispatch.roads.city import City

DATE = datetime.date(2023, 11, 14)
"""The day of T0, 22:13 UTC, of which 106 minutes are left."""


def city_with(folder, trips, pings):
    """A line of 20 nodes; pings are (driver, minutes after T0, node, occupied)."""
    city = line_city(20)
    driver, minute, node, occupied = zip(*pings, strict=True)
    lon, lat = places(city, node)
    columns = {
        "driver_id": driver,
        "at": [T0 // 1000 + 60 * m for m in minute],
        "lon": lon,
        "lat": lat,
        "occupied": occupied,
    }
    pq.write_table(
        pa.table({name: list(column) for name, column in columns.items()}), folder / "pings.parquet"
    )
    return replace(city, folder=folder, trips=trips_of(trips))


def on_shift(driver, minutes, busy):
    return [(driver, m, 3, any(begin <= m < end for begin, end in busy)) for m in minutes]


def test_a_day_of_three_taxis(tmp_path):
    pings = [
        *on_shift(1, range(0, 101, 5), [(10, 30), (40, 50)]),  # 100 minutes, 30 of them with somebody
        *on_shift(2, range(0, 81, 5), [(20, 30)]),
        *on_shift(3, range(0, 31, 5), [(5, 15)]),  # too short for an hourly income
        *on_shift(3, range(110, 131, 5), []),  # on the next day
    ]
    trips = [
        (1, 10, 20, 0, 10),
        (1, 40, 10, 12, 10),
        (2, 20, 10, 3, 8),
        (2, 90, 10, 3, 8),  # after its last ping
        (3, 5, 10, 5, 6),
        (3, 20, 10, 5, -1),
    ]
    fare = FareRule(base_cents=100, per_km_cents=100, per_minute_cents=10, minimum_cents=0)
    got = recorded_figures(city_with(tmp_path, trips, pings), DATE, fare)
    assert (got.date, got.num_taxis, got.num_trips, got.num_incomes) == (DATE, 3, 4, 2)
    # Taxi 3 left the city at minute 20: it is back on shift from 35 on, of which no ping tells.
    assert got.on_shift_h == pytest.approx((100 + 80 + 15) / 60)
    assert got.utilisation == pytest.approx((30 + 10 + 10) / 195)
    assert got.trips_per_on_shift_h == pytest.approx(4 / (195 / 60))
    assert got.chain.num_trips == 5
    assert got.empty.num_pairs > 0
    first, second = (400 + 220) / 100, 250 / 80  # cents a minute
    assert got.income_gini == pytest.approx((first - second) / (2 * (first + second)))


def test_a_day_on_which_nothing_happened(tmp_path):
    got = recorded_figures(
        city_with(tmp_path, [(1, 0, 5, 0, 1)], [(1, 0, 3, False)]), datetime.date(2020, 1, 1)
    )
    assert (got.num_taxis, got.on_shift_h, got.num_trips, got.num_incomes) == (0, 0.0, 0, 0)
    assert (got.utilisation, got.trips_per_on_shift_h, got.income_gini) == (None, None, None)
    assert (got.empty.share, got.chain.share) == (None, None)


def test_pings_and_trips_are_needed():
    with pytest.raises(InputError, match=r"Testville has no pings.parquet or no trips"):
        recorded_figures(line_city(), DATE)


def test_a_day_of_san_francisco_s_taxis(data):
    got = recorded_figures(City.load(data / "san_francisco"), datetime.date(2008, 5, 31))
    assert got.num_taxis == 487
    assert got.empty.share == pytest.approx(0.399, abs=0.003)
    assert got.chain.share == pytest.approx(0.297, abs=0.001)
    assert got.utilisation == pytest.approx(0.463, abs=0.003)
    assert got.trips_per_on_shift_h == pytest.approx(2.94, abs=0.02)
    assert got.income_gini == pytest.approx(0.108, abs=0.003)
    assert 0.98 < got.num_trips / got.chain.num_trips < 1
