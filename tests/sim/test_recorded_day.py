"""Recorded days of small cities in folders of CSV files, as a user would have them."""

import datetime
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cities import grid_city, random_trips, write_city, write_csv
from dispatch.analysis.invariants import check_invariants
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.sim.recorded_day import busiest_day, fit_slowdown, recorded_day
from dispatch.sim.runner import run
from dispatch.sim.scenario import SimParams

GRID = grid_city()
FIRST = datetime.date(2024, 3, 4)
FIRST_MS = 1_709_510_400_000
"""Its midnight in UTC."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
FAR_AWAY = (10.5, 50.5)


def trips_on(day, num_trips=40, slowdown=1.5, seed=0):
    """Trips in the night of a day; they take `slowdown` times the free flow, to the second."""
    trips = random_trips(GRID, num_trips, [seed, day], FIRST_MS + day * DAY_MS + HOUR_MS, 1800)
    free_ms = GRID.free_flow().pairs_ms(trips.pickup_node, trips.dropoff_node)
    return replace(trips, duration_s=np.rint(free_ms * slowdown / 1000).astype(np.int32))


def columns_of(*days):
    """Days of trips as the columns of a file; drivers are 0 … 4 in turn."""
    joined = {
        name: np.concatenate([getattr(trips, name) for trips in days]).tolist()
        for name in (
            "requested_at_ms",
            "pickup_lon",
            "pickup_lat",
            "dropoff_lon",
            "dropoff_lat",
            "duration_s",
        )
    }
    at = [datetime.datetime.fromtimestamp(ms / 1000, datetime.UTC) for ms in joined.pop("requested_at_ms")]
    return {
        "requested_at": [one.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for one in at],
        **joined,
        "driver_id": [row % 5 for row in range(len(at))],
    }


def city_in(folder, columns=None, pings=None):
    """A city's folder, loaded."""
    write_city(folder / "gridville", GRID)
    if columns is not None:
        write_csv(folder / "gridville" / "trips.csv", columns)
    if pings is not None:
        pq.write_table(pa.table(pings), folder / "gridville" / "pings.parquet")
    return City.load(folder / "gridville", timezone="UTC")


def pings_of(num_drivers=5, minutes=range(30, 240, 2), occupied=False):
    """Drivers that go to and fro between three nodes, half an hour after midnight and on."""
    node = (16 * np.arange(num_drivers)[:, None] + np.arange(len(minutes)) % 3).ravel()
    at_s = FIRST_MS // 1000 + 60 * np.tile(np.array(minutes), num_drivers)
    return {
        "driver_id": np.repeat(np.arange(num_drivers), len(minutes)),
        "at": at_s,
        "lon": GRID.graph.node_lon[node],
        "lat": GRID.graph.node_lat[node],
        "occupied": np.full(len(node), occupied),
    }


def test_a_day_with_made_up_drivers(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0), trips_on(1, 50)))
    day = recorded_day(city, FIRST, num_drivers=6, seed=3, sim=SimParams(window_s=15.0))
    assert (day.date, day.start_at_ms, day.timezone, day.seed) == ("2024-03-04", FIRST_MS, "UTC", 3)
    assert (len(day.orders), day.orders_outside, day.shifts.num_drivers) == (40, 0, 6)
    assert set(day.shifts.start_at_ms.tolist()) == {FIRST_MS}
    assert day.shifts.end_at_ms.min() > FIRST_MS + DAY_MS
    assert day.recorded is None
    assert day.orders.requested_at_ms.tolist() == sorted(trips_on(0).requested_at_ms.tolist())
    report = check_invariants(run(day).events)
    assert report.num_orders == 40


def test_the_busiest_day_is_taken_where_none_is_given(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0), trips_on(1, 50), trips_on(2, 50)))
    assert busiest_day(city, city.trips) == FIRST + datetime.timedelta(days=1)
    assert recorded_day(city, num_drivers=3).date == "2024-03-05"


def test_earlier_days_tell_how_slow_the_roads_are(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0, 300, 1.7), trips_on(1, 40, 9.0)))
    free = city.graph.free_flow_ms()
    day = recorded_day(city, FIRST + datetime.timedelta(days=1), num_drivers=3)
    assert day.slowdown == pytest.approx(1.7, abs=0.01)
    assert np.array_equal(day.travel_times.travel_ms, city.graph.free_flow_ms(day.slowdown))
    assert any(f"{day.slowdown:g} × free flow, fitted on 300 trips" in note for note in day.notes)
    first = recorded_day(city, FIRST, num_drivers=3)
    assert first.slowdown == 1.0
    assert np.array_equal(first.travel_times.travel_ms, free)
    assert not any("fitted" in note for note in first.notes)
    assert any("no earlier day to fit travel times on" in note for note in first.notes)


def test_the_fit_is_the_median_weighted_by_time_of_usable_trips(monkeypatch):
    trips = trips_on(0, 400, 2.0)
    trips.duration_s[:130] *= 3  # a third is three times as slow: the median does not mind
    slowdown, num_trips = fit_slowdown(GRID, trips, FIRST_MS + DAY_MS)
    assert slowdown == pytest.approx(2.0, abs=0.01)
    assert num_trips == 400
    assert fit_slowdown(GRID, trips, FIRST_MS) == (1.0, 0)
    useless = trips_on(0, 12)
    useless.duration_s[:4] = [0, -1, -1, 0]
    useless.pickup_node[4:6] = useless.dropoff_node[6:8] = -1
    useless.pickup_node[8:] = useless.dropoff_node[8:]
    assert fit_slowdown(GRID, useless, FIRST_MS + DAY_MS) == (1.0, 0)
    monkeypatch.setattr("dispatch.sim.recorded_day._FIT_NODES", 3)
    slowdown, num_trips = fit_slowdown(GRID, trips_on(0, 400, 2.0), FIRST_MS + DAY_MS)
    assert slowdown == pytest.approx(2.0, abs=0.1)
    assert 0 < num_trips < 400


def test_trips_that_leave_the_network_are_counted(tmp_path):
    columns = columns_of(trips_on(0))
    for row, end in ((3, "pickup"), (8, "dropoff"), (9, "dropoff")):
        columns[f"{end}_lon"][row], columns[f"{end}_lat"][row] = FAR_AWAY
    day = recorded_day(city_in(tmp_path, columns), FIRST, num_drivers=3)
    assert (len(day.orders), day.orders_outside) == (37, 3)


def test_trips_by_the_minute_of_no_date_are_one_day(tmp_path):
    nodes = np.random.default_rng(0).integers(0, GRID.graph.num_nodes, (2, 200))
    city = city_in(
        tmp_path,
        {
            "minute_of_day": [row % 90 for row in range(200)],
            "pickup_node": nodes[0],
            "dropoff_node": nodes[1],
        },
    )
    day = recorded_day(city, num_drivers=5)
    assert (day.date, day.start_at_ms, day.timezone, day.slowdown) == (None, 0, "UTC", 1.0)
    assert np.bincount(day.orders.requested_at_ms // 60_000, minlength=90).tolist() == [3] * 20 + [2] * 70
    assert len(np.unique(day.orders.requested_at_ms)) > 190
    assert sum("The source tells" in note for note in day.notes) == 2
    assert check_invariants(run(day).events).num_orders == 200
    with pytest.raises(InputError, match="date is 2024-03-04: the trips of gridville name no date; leave it"):
        recorded_day(city, FIRST, num_drivers=5)


def test_drivers_from_pings(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0, 12)), pings_of())
    day = recorded_day(city, FIRST)
    assert day.shifts.driver_id.tolist() == [0, 1, 2, 3, 4]
    assert set(day.shifts.start_at_ms.tolist()) == {FIRST_MS + 30 * 60_000}
    assert set(day.shifts.end_at_ms.tolist()) == {FIRST_MS + 238 * 60_000}
    assert day.shifts.node.tolist() == [0, 16, 32, 48, 64]
    assert day.recorded.num_pairs == 5 * 104
    assert any("recorded taxis" in note for note in day.notes)
    events = run(day).events
    assert check_invariants(events).num_drivers == 5
    lasted = dict(zip(range(12), day.orders.duration_s.tolist(), strict=True))
    for order in events["order_id"][events["kind"] == 13]:
        at_ms = [
            events["at_ms"][(events["order_id"] == order) & (events["kind"] == kind)][0] for kind in (11, 12)
        ]
        assert at_ms[1] - at_ms[0] == 1000 * lasted[order]


def test_made_up_drivers_beside_recorded_ones_keep_what_really_happened(tmp_path):
    day = recorded_day(city_in(tmp_path, columns_of(trips_on(0, 12)), pings_of()), FIRST, num_drivers=3)
    assert day.shifts.num_drivers == 3
    assert day.recorded is not None


WRONG_FOLDERS = [
    (None, None, None, "gridville has no recorded trips: put trips.parquet or trips.csv into"),
    (
        columns_of(trips_on(0)),
        None,
        None,
        "gridville has no pings.parquet to take drivers from: give --drivers",
    ),
    (columns_of(trips_on(0)), None, 0, "drivers is 0: it must be a number"),
    (
        columns_of(trips_on(1)),
        None,
        3,
        "date is 2024-03-04: gridville has trips from 2024-03-05 to 2024-03-05",
    ),
    (columns_of(trips_on(0)), pings_of(occupied=True), None, "the fleet is empty: no driver is on duty"),
    (columns_of(trips_on(0)), pings_of(minutes=[5000]), None, "the fleet is empty: no driver is on duty"),
]


@pytest.mark.parametrize(("columns", "pings", "num_drivers", "message"), WRONG_FOLDERS)
def test_a_day_that_cannot_be(tmp_path, columns, pings, num_drivers, message):
    city = city_in(tmp_path, columns, pings)
    with pytest.raises(InputError) as raised:
        recorded_day(city, FIRST, num_drivers)
    assert str(raised.value).startswith(message)


def test_a_day_whose_trips_all_leave_the_network(tmp_path):
    columns = columns_of(trips_on(0), trips_on(1))
    columns["dropoff_lon"][:40], columns["dropoff_lat"][:40] = [FAR_AWAY[0]] * 40, [FAR_AWAY[1]] * 40
    city = city_in(tmp_path, columns, pings_of())
    for num_drivers in (3, None):
        with pytest.raises(InputError, match="all 40 trips of that day have an end outside of gridville"):
            recorded_day(city, FIRST, num_drivers)


def test_a_city_whose_trips_are_an_empty_table(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0)))
    none = replace(city, trips=city.trips.select(np.arange(0)))
    with pytest.raises(InputError, match="gridville has no recorded trips"):
        recorded_day(none, FIRST, 3)


@pytest.mark.parametrize("seed", [-1, 2.5, True])
def test_a_seed_that_is_none(tmp_path, seed):
    with pytest.raises(InputError, match=f"seed is {seed}: it must be a"):
        recorded_day(city_in(tmp_path, columns_of(trips_on(0))), FIRST, 3, seed=seed)


def test_a_truncated_file_of_pings(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0)), pings_of())
    path = tmp_path / "gridville" / "pings.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"pings.parquet: no readable Parquet file, perhaps truncated"):
        recorded_day(city, FIRST)


def test_made_up_drivers_do_not_need_readable_pings(tmp_path):
    city = city_in(tmp_path, columns_of(trips_on(0)), pings_of())
    path = tmp_path / "gridville" / "pings.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    day = recorded_day(city, FIRST, num_drivers=3)
    assert day.recorded is None
    assert any("pings are unreadable: " in note and "perhaps truncated" in note for note in day.notes)
    with pytest.raises(InputError, match="perhaps truncated"):
        recorded_day(city, FIRST)


def test_what_was_left_out_is_passed_on(tmp_path):
    trips, pings = columns_of(trips_on(0)), pings_of()
    trips["duration_s"][3] = -5
    pings["lon"][:7] = np.nan
    day = recorded_day(city_in(tmp_path, trips, pings), FIRST)
    assert [(drop.what, drop.count, drop.where) for drop in day.drops] == [
        ("trips that end before they begin", 1, "trips.csv"),
        ("pings without a possible position", 7, "pings.parquet"),
    ]


@pytest.mark.parametrize("wrong", ["swapped", "milliseconds"])
def test_why_pings_give_no_drivers(tmp_path, wrong):
    pings = pings_of()
    if wrong == "swapped":
        pings["lon"], pings["lat"] = pings["lat"], pings["lon"]
    else:
        pings["at"] *= 1000
    city = city_in(tmp_path, columns_of(trips_on(0)), pings)
    message = {
        "swapped": "525 pings were read on it, 0 lie within 200 m of the network: 525 would with longitude",
        "milliseconds": "it must hold whole seconds since the epoch, not milliseconds",
    }[wrong]
    with pytest.raises(InputError, match=message):
        recorded_day(city, FIRST)


@pytest.mark.parametrize(
    ("date", "hours"),
    [(datetime.date(2024, 3, 10), 23), (datetime.date(2024, 11, 3), 25), (datetime.date(2024, 6, 1), 24)],
)
def test_local_days_have_23_to_25_hours(tmp_path, date, hours):
    start = datetime.datetime(date.year, date.month, date.day, 12, tzinfo=datetime.UTC)
    columns = columns_of(trips_on(0, 5))
    columns["requested_at"] = [(start + datetime.timedelta(hours=k)).isoformat() for k in range(5)]
    write_city(tmp_path / "g", GRID)
    write_csv(tmp_path / "g" / "trips.csv", columns)
    city = City.load(tmp_path / "g", timezone="America/New_York")
    day = recorded_day(city, date, num_drivers=2)
    assert day.timezone == "America/New_York"
    length_ms = day.shifts.end_at_ms[0] - day.shifts.start_at_ms[0] - 5400_000
    assert length_ms == hours * HOUR_MS
