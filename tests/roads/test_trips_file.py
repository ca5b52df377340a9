import datetime
import math

import pyarrow as pa
import pytest

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.tables import Dropped
from dispatch.units import NO_INDEX, NO_VALUE
from roads.small_city import BOTH, LAT0, LON0, STEP, city_of, square, write


def four_trips():
    middle = LON0 + STEP, LAT0 + STEP
    return {
        "requested_at": pa.array(
            [datetime.datetime(2024, 3, 30, 12, minute, tzinfo=datetime.UTC) for minute in (3, 1, 2, 4)],
            pa.timestamp("s", "UTC"),
        ),
        "pickup_lon": [LON0, LON0, LON0, LON0 + 0.5],
        "pickup_lat": [LAT0] * 4,
        "dropoff_lon": [middle[0]] * 4,
        "dropoff_lat": [middle[1]] * 4,
        "duration_s": [60, 61, None, 0],
        "driver_id": [7, None, 9, 7],
        "passengers": [2, 0, None, 1],
    }


@BOTH
def test_trips_by_coordinates(tmp_path, suffix):
    write(tmp_path / "city", "trips", four_trips(), suffix)
    city = city_of(tmp_path / "city", *square(), suffix)
    trips = city.trips
    assert city.drops == ()
    noon_ms = 1_711_800_000_000
    assert trips.requested_at_ms.tolist() == [noon_ms + minute * 60_000 for minute in (1, 2, 3, 4)]
    assert trips.pickup_node.tolist() == [0, 0, 0, NO_INDEX]
    assert trips.dropoff_node.tolist() == [2, 2, 2, 2]
    assert trips.duration_s.tolist() == [61, NO_VALUE, 60, 0]
    assert trips.driver_id.tolist() == [NO_VALUE, 9, 7, 7]
    assert trips.passengers.tolist() == [1, 1, 2, 1]
    assert trips.pickup_lon.tolist() == [LON0, LON0, LON0, LON0 + 0.5]
    assert (trips.dated, trips.resolution_ms) == (True, 1_000)


@BOTH
def test_trips_by_node_and_minute(tmp_path, suffix):
    nodes, edges = square()
    nodes = {"node_id": [*nodes["node_id"], 3], "lon": [*nodes["lon"], LON0], "lat": [*nodes["lat"], LAT0]}
    columns = {
        "minute_of_day": [5, 1439, 1440, -1, 0, 7, None],
        "pickup_node": [70, 900, 70, 70, 3, 70, 70],
        "dropoff_node": [5, 70, 5, 5, 12, 4, 5],
    }
    write(tmp_path / "city", "trips", columns, suffix)
    city = city_of(tmp_path / "city", nodes, edges, suffix)
    trips = city.trips
    assert trips.requested_at_ms.tolist() == [0, 5 * 60_000, 1439 * 60_000]
    assert trips.pickup_node.tolist() == [NO_INDEX, 0, 2]  # node 3 has no edges
    assert trips.dropoff_node.tolist() == [3, 1, 0]
    assert trips.dropoff_lat.tolist() == [LAT0 + STEP, LAT0, LAT0]
    assert (trips.dated, trips.resolution_ms) == (False, 60_000)
    assert city.drops[1:] == (
        Dropped("trips whose minute_of_day is not in 0…1439", 3, f"trips.{suffix}"),
        Dropped("trips whose dropoff_node is unknown", 1, f"trips.{suffix}"),
    )


@BOTH
@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("requested_at", None, "trips without a request time"),
        ("pickup_lon", math.nan, "trips without a pickup position"),
        ("pickup_lat", None, "trips without a pickup position"),
        ("dropoff_lat", math.inf, "trips without a drop-off position"),
        ("dropoff_lat", 91.0, "trips with an impossible drop-off position"),
        ("pickup_lon", -500.0, "trips with an impossible pickup position"),
        ("duration_s", -5, "trips that end before they begin"),
    ],
)
def test_broken_trips_are_left_out_and_counted(tmp_path, suffix, column, value, what):
    trips = four_trips()
    kept = trips[column].to_pylist() if column == "requested_at" else trips[column]
    kept[0] = value
    trips[column] = pa.array(kept, pa.timestamp("s", "UTC")) if column == "requested_at" else kept
    write(tmp_path / "city", "trips", trips, suffix)
    city = city_of(tmp_path / "city", *square(), suffix)
    assert city.drops == (Dropped(what, 1, f"trips.{suffix}"),)
    assert len(city.trips) == 3


@BOTH
@pytest.mark.parametrize("timezone", ["UTC", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("zone", ["UTC", None])
@pytest.mark.parametrize("unit", ["s", "us"])
@pytest.mark.parametrize("name", ["requested_at", "dropoff_at"])
def test_trips_at_absurd_times_are_left_out_and_counted(tmp_path, suffix, timezone, zone, unit, name):
    trips = four_trips()
    del trips["duration_s"]
    times = [time.replace(tzinfo=None) for time in trips["requested_at"].to_pylist()]
    absurd = [datetime.datetime(9999, 12, 31, 23, 59), datetime.datetime(1, 1, 1), times[2], None]
    given = {"requested_at": times, "dropoff_at": times, name: absurd}
    trips |= {column: pa.array(values, pa.timestamp(unit, zone)) for column, values in given.items()}
    write(tmp_path / "city", "trips", trips, suffix)
    city = city_of(tmp_path / "city", *square(), suffix, timezone=timezone)
    assert Dropped(f"trips whose {name} is outside of 1970…2199", 2, f"trips.{suffix}") in city.drops
    kept = [2, 3] if name == "dropoff_at" else [2]
    assert len(city.trips) == len(kept)
    assert city.trips.duration_s.tolist() == [0, NO_VALUE][: len(kept)]
    assert city.trips.days("UTC") == [datetime.date(2024, 3, 30)]


def test_trips_all_outside_are_kept(tmp_path):
    trips = four_trips()
    trips["pickup_lon"] = trips["dropoff_lon"] = [20.0] * 4
    write(tmp_path / "city", "trips", trips)
    city = city_of(tmp_path / "city", *square())
    assert city.drops == ()
    assert city.trips.pickup_node.tolist() == [NO_INDEX] * 4


@pytest.mark.parametrize("end", ["pickup", "dropoff"])
def test_swapped_coordinates_of_trips_are_told(tmp_path, end):
    trips = four_trips()
    trips[f"{end}_lon"], trips[f"{end}_lat"] = trips[f"{end}_lat"], trips[f"{end}_lon"]
    write(tmp_path / "city", "trips", trips)
    with pytest.raises(InputError, match=r"trips.parquet: the .* look swapped: .* [34] of 4 would"):
        city_of(tmp_path / "city", *square())


def test_trips_that_say_no_time_or_place(tmp_path):
    trips = four_trips()
    folder = tmp_path / "city"
    write(folder, "trips", {name: values for name, values in trips.items() if name != "requested_at"})
    with pytest.raises(InputError, match=r"looked for requested_at, .*, the file has pickup_lon"):
        city_of(folder, *square())
    write(folder, "trips", {name: values for name, values in trips.items() if name != "dropoff_lat"})
    with pytest.raises(InputError, match=r"no column for dropoff_lat .nor pickup_node"):
        City.load(folder)
    write(folder, "trips", {**trips, "requested_at": [1, 2, 3, 4]})
    with pytest.raises(InputError, match=r"column 'requested_at' .* holds int64; it must hold times"):
        City.load(folder)
    write(folder, "trips", {**trips, "requested_at": ["1/6/2016 8:30", "", "", ""]})
    with pytest.raises(InputError, match=r"it must hold times such as 2016-06-01"):
        City.load(folder)


def test_trips_of_another_file(tmp_path):
    city_of(tmp_path / "city", *square())
    path = write(tmp_path, "elsewhere", four_trips(), "csv")
    assert len(City.load(tmp_path / "city", trips=path).trips) == 4
    with pytest.raises(InputError, match=r"nowhere.csv: no such file"):
        City.load(tmp_path / "city", trips=tmp_path / "nowhere.csv")


TLC = {
    "yellow 2009": "vendor_name,Trip_Pickup_DateTime,Trip_Dropoff_DateTime,Passenger_Count,Trip_Distance,"
    "Start_Lon,Start_Lat,Rate_Code,End_Lon,End_Lat",
    "yellow 2010": "vendor_id,pickup_datetime,dropoff_datetime,passenger_count,trip_distance,"
    "pickup_longitude,pickup_latitude,rate_code,dropoff_longitude,dropoff_latitude",
    "yellow 2014": "vendor_id, pickup_datetime, dropoff_datetime, passenger_count, trip_distance,"
    " pickup_longitude, pickup_latitude, rate_code, dropoff_longitude, dropoff_latitude",
    "yellow 2015": "VendorID,tpep_pickup_datetime,tpep_dropoff_datetime,passenger_count,trip_distance,"
    "pickup_longitude,pickup_latitude,RatecodeID,dropoff_longitude,dropoff_latitude",
    "green 2014": "VendorID,lpep_pickup_datetime,Lpep_dropoff_datetime,Passenger_count,Trip_distance,"
    "Pickup_longitude,Pickup_latitude,RateCodeID,Dropoff_longitude,Dropoff_latitude",
}


@pytest.mark.parametrize("edition", TLC)
def test_files_of_new_yorks_taxis(tmp_path, edition):
    blank, tail = ("\r\n" if edition == "yellow 2014" else ""), (",," if edition == "green 2014" else "")
    inside, outside = f"{LON0},{LAT0}", f"{LON0 + STEP},{LAT0}"
    rows = [
        f"2,2014-01-08 10:02:00,2014-01-08 10:12:30,3,1.2,{inside},1,{outside}",
        f"1,2014-01-08 10:01:00,2014-01-08 10:00:00,1,1.2,{inside},1,{outside}",
        f"1,2014-01-08 10:00:00,2014-01-08 10:00:00,1,1.2,0,0,1,{outside}",
        f"1,2014-07-08 10:00:00,2014-07-08 10:30:00,1,1.2,{inside},1,0.5,0.5",
        "1,2014-01-08 10:00:00,2014-01-08",
    ]
    if edition == "green 2014":
        del rows[-1]
    path = tmp_path / "trips.csv"
    path.write_text(f"{TLC[edition]}\r\n{blank}" + "".join(f"{row}{tail}\r\n" for row in rows))
    city_of(tmp_path / "city", *square())
    city = City.load(tmp_path / "city", trips=path, timezone="America/New_York")
    utc = [
        datetime.datetime.fromtimestamp(at / 1000, datetime.UTC) for at in city.trips.requested_at_ms.tolist()
    ]
    assert [at.hour for at in utc] == [15, 14]  # winter and summer
    assert city.trips.duration_s.tolist() == [630, 1800]
    assert city.trips.passengers.tolist() == [3, 1]
    assert city.trips.pickup_node.tolist() == [0, 0]
    assert city.trips.dropoff_node.tolist() == [1, NO_INDEX]
    counted = {drop.what: drop.count for drop in city.drops}
    assert counted.pop("lines with a wrong number of fields", 1) == 1
    assert counted == {"trips that end before they begin": 1, "trips without a pickup position": 1}
