import hashlib
import math
import subprocess
import sys
from dataclasses import fields, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.roads.land_use import LandUse
from dispatch.roads.land_use_of_roads import land_use_of_roads
from dispatch.sim.demand import WEIGHTS, DemandProfile, ordinary_day, synthetic_orders
from dispatch.units import MS_PER_DAY, NO_VALUE

HOUR_MS = MS_PER_DAY // 24
NUM = 50_000
NOTHING = dict.fromkeys(WEIGHTS, 0.0)


@cache
def port():
    return City.synthetic(1)


@cache
def day(seed=1):
    return synthetic_orders(port(), NUM, seed)


def only(purpose, **options):
    return DemandProfile(**{**NOTHING, purpose: 1.0, **options})


def village(lon, lat, **uses):
    """A city whose nodes lie on a ring road."""
    num = len(lon)
    here, there = np.arange(num, dtype=np.int32), np.roll(np.arange(num, dtype=np.int32), -1)
    graph = RoadGraph.from_edges(
        (np.array(lon, float), np.array(lat, float)),
        np.r_[here, there],
        np.r_[there, here],
        np.full(2 * num, 500.0),
        np.full(2 * num, 30.0),
        np.zeros(2 * num, np.int8),
    )
    weights = {name: uses.get(name, np.ones(num)) for name in ("homes", "jobs", "leisure", "airport")}
    return City.from_graph("Village", graph, "UTC", land_use=LandUse(**weights))


def crow_m(city, trips):
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    return np.hypot(
        x[trips.pickup_node] - x[trips.dropoff_node], y[trips.pickup_node] - y[trips.dropoff_node]
    )


def expected_share(profile, from_hour, to_hour):
    """Share of orders between two hours, by plain arithmetic on the densities that the profile promises."""
    share = 0.0
    for purpose in profile.purposes():
        whole = sum(weight for _, _, weight in purpose.peaks)
        for hour, spread, weight in purpose.peaks:
            for turn in (-24, 0, 24):
                low, high = ((h + turn - hour) / spread / math.sqrt(2) for h in (from_hour, to_hour))
                share += purpose.share * weight / whole * (math.erf(high) - math.erf(low)) / 2
    return share


def within(count, num, share, sigmas=5.0):
    """Tell if a count is what a binomial distribution of that share would give."""
    return abs(count - num * share) <= sigmas * math.sqrt(num * share * (1 - share)) + 1


def between(trips, from_hour, to_hour):
    hour = trips.requested_at_ms / HOUR_MS
    return (hour >= from_hour) & (hour < to_hour)


def digest(trips):
    columns = [getattr(trips, f.name) for f in fields(trips) if f.name not in ("dated", "resolution_ms")]
    return hashlib.sha256(b"".join(c.tobytes() for c in columns)).hexdigest()


def check_valid(city, trips, num):
    assert len(trips) == num
    at_ms, pickup, dropoff = trips.requested_at_ms, trips.pickup_node, trips.dropoff_node
    assert at_ms.dtype == np.int64
    assert pickup.dtype == dropoff.dtype == np.int32
    assert (np.diff(at_ms) >= 0).all()
    assert ((at_ms >= 0) & (at_ms < MS_PER_DAY)).all()
    assert (pickup != dropoff).all()
    for node, lon, lat in (
        (pickup, trips.pickup_lon, trips.pickup_lat),
        (dropoff, trips.dropoff_lon, trips.dropoff_lat),
    ):
        np.testing.assert_array_equal(lon, city.graph.node_lon[node])
        np.testing.assert_array_equal(lat, city.graph.node_lat[node])
    assert (trips.duration_s == NO_VALUE).all()
    assert (trips.driver_id == NO_VALUE).all()
    assert np.isin(trips.passengers, (1, 2, 3, 4)).all()
    assert not trips.dated
    assert trips.resolution_ms == 1
    for f in fields(trips):
        column = getattr(trips, f.name)
        if isinstance(column, np.ndarray):
            assert column.flags.c_contiguous
            assert column.flags.writeable
            assert len(column) == num


@pytest.mark.parametrize("num", [0, 1, 2, 997, NUM])
def test_orders_are_whole(num):
    check_valid(port(), synthetic_orders(port(), num, 3), num)


def test_more_orders_than_are_drawn_at_once():
    trips = synthetic_orders(port(), 80_000, 5, profile=only("other"))
    check_valid(port(), trips, 80_000)


@pytest.mark.parametrize("seed", [1, 2])
def test_each_hour_holds_what_the_profile_promises(seed):
    for hour in range(24):
        share = expected_share(DemandProfile(), hour, hour + 1)
        assert within(int(between(day(seed), hour, hour + 1).sum()), NUM, share), hour
    assert expected_share(DemandProfile(), 0, 24) == pytest.approx(1, abs=1e-6)


def test_the_day_has_two_peaks_and_a_quiet_night():
    per_hour = np.bincount(day().requested_at_ms // HOUR_MS, minlength=24)
    assert np.argmax(per_hour[:12]) == 8
    assert 12 + np.argmax(per_hour[12:]) in (17, 18)
    assert per_hour[8] > 1.5 * per_hour[11]
    assert per_hour[18] > 1.5 * per_hour[14]
    assert np.argmin(per_hour) in (3, 4)
    assert per_hour.min() < per_hour.max() / 10


def test_times_are_smooth_down_to_the_millisecond():
    at_ms = day().requested_at_ms
    per_minute = np.bincount(at_ms // 60_000, minlength=1440)
    near = np.convolve(np.r_[per_minute[-15:], per_minute, per_minute[:15]], np.ones(31) / 31, "valid")
    assert (np.abs(per_minute - near) < 6 * np.sqrt(near) + 4).all()
    for part, num in ((at_ms // 1000 % 60, 60), (at_ms % 1000 // 20, 50), (at_ms % 20, 20)):
        counts = np.bincount(part, minlength=num)
        assert (np.abs(counts - counts.mean()) < 6 * np.sqrt(counts.mean())).all()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_airport_has_its_share_both_ways(seed):
    trips, airport = day(seed), port().land_use.airport > 0
    to, away = airport[trips.dropoff_node], airport[trips.pickup_node]
    assert not (to & away).any()
    share = DemandProfile().airport  # the weights of the default add up to 1
    assert sum(getattr(DemandProfile(), name) for name in WEIGHTS) == pytest.approx(1)
    assert within(int(to.sum()), NUM, share / 2)
    assert within(int(away.sum()), NUM, share / 2)
    early = between(trips, 4, 7)
    assert to[early].mean() > 3 * away[early].mean()
    late = between(trips, 20, 23)
    assert away[late].mean() > 3 * to[late].mean()


def test_nights_belong_to_people_going_home_from_a_night_out():
    trips, use = day(), port().land_use
    night = between(trips, 0, 3)
    assert within(int(night.sum()), NUM, expected_share(DemandProfile(), 0, 3))
    assert night.mean() > 0.04
    lively = np.zeros(len(use), bool)
    order = np.argsort(-use.leisure)
    lively[order[: np.searchsorted(np.cumsum(use.leisure[order]), 0.5)]] = True
    assert lively[trips.pickup_node[night]].mean() > 0.4
    assert lively[trips.pickup_node[between(trips, 7, 9)]].mean() < 0.25
    leisure = synthetic_orders(port(), 20_000, 1, profile=only("leisure"))
    out = between(leisure, 18, 24) | between(leisure, 0, 3)
    assert within(
        int(out.sum()),
        20_000,
        expected_share(only("leisure"), 18, 24) + expected_share(only("leisure"), 0, 3),
    )
    assert out.mean() > 0.7


@pytest.mark.parametrize(
    ("purpose", "origin", "hour"), [("commute_out", "homes", 8.4), ("commute_home", "jobs", 18.3)]
)
def test_trips_begin_where_their_purpose_begins(purpose, origin, hour):
    trips = synthetic_orders(port(), 40_000, 9, profile=only(purpose))
    assert np.median(trips.requested_at_ms) / HOUR_MS == pytest.approx(hour, abs=0.4)
    weights = getattr(port().land_use, origin)
    x, y = port().projection.to_plane(port().graph.node_lon, port().graph.node_lat)
    box = (np.floor(x / 2500).astype(int) + 50) * 100 + np.floor(y / 2500).astype(int) + 50
    for one in np.unique(box):
        share = float(weights[box == one].sum())
        assert within(int((box[trips.pickup_node] == one).sum()), 40_000, share)


def test_commuters_go_back_where_they_came_from():
    out, back = (
        synthetic_orders(port(), 20_000, 1, profile=only(p)) for p in ("commute_out", "commute_home")
    )
    jobs = port().land_use.jobs
    assert jobs[out.dropoff_node].mean() > 1.5 * jobs[out.pickup_node].mean()
    assert jobs[back.pickup_node].mean() > 1.5 * jobs[back.dropoff_node].mean()


@pytest.mark.parametrize("seed", [1, 4, 8])
def test_trips_are_as_long_as_in_a_city(seed):
    city = City.synthetic(seed)
    trips = synthetic_orders(city, 20_000, 1)
    airport = city.land_use.airport > 0
    flying = airport[trips.pickup_node] | airport[trips.dropoff_node]
    length_m = crow_m(city, trips)
    assert 3000 <= np.median(length_m[~flying]) <= 4000
    assert 0.4 <= np.std(np.log(length_m[~flying])) <= 0.75
    assert np.median(length_m[flying]) > 7000


def test_the_median_length_follows_the_profile():
    short, long = (
        np.median(crow_m(port(), synthetic_orders(port(), 10_000, 1, profile=only("other", median_trip_m=m))))
        for m in (1500.0, 6000.0)
    )
    assert short < 2300
    assert long > 4500


def test_destinations_follow_the_gravity_model():
    """Against the exact probabilities, summed in plain Python over all pairs of a small town."""
    rng = np.random.default_rng(0)
    homes = rng.uniform(0.5, 3.0, 40)
    city = village(rng.uniform(-0.04, 0.04, 40), rng.uniform(3.96, 4.04, 40), homes=homes)
    profile = only("other", median_trip_m=3000.0, trip_spread=0.5)
    trips = synthetic_orders(city, 60_000, 1, profile=profile)
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    expected = np.zeros(8)
    for i in range(40):
        pull = [0.0] * 40
        for j in range(40):
            if i != j:
                d = math.hypot(x[i] - x[j], y[i] - y[j])
                pull[j] = homes[j] * math.exp(-0.5 * (math.log(d / 3000) / 0.5) ** 2) / d**1.4
        for j in range(40):
            d = math.hypot(x[i] - x[j], y[i] - y[j])
            expected[min(7, int(d / 1000))] += homes[i] / homes.sum() * pull[j] / sum(pull)
    found = np.bincount(np.minimum(7, crow_m(city, trips) // 1000).astype(int), minlength=8) / len(trips)
    # A choice among few candidates leans a little towards the destination weights alone.
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_the_same_seed_gives_the_same_bytes_in_another_process():
    code = "import test_demand as t; print(t.digest(t.synthetic_orders(t.port(), 20_000, 11)))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parent,
        timeout=120,
    )
    assert run.stdout.strip() == digest(synthetic_orders(port(), 20_000, 11))
    assert run.stdout.strip() != digest(synthetic_orders(port(), 20_000, 12))


@given(
    weights=st.lists(
        st.sampled_from([0.0, 1e-9, 0.3, 1.0, 1e6]), min_size=len(WEIGHTS), max_size=len(WEIGHTS)
    ),
    median_m=st.floats(100, 1e6),
    spread=st.floats(0.05, 3.0),
    num=st.integers(0, 200),
    seed=st.integers(0, 2**63 - 1),
)
@settings(max_examples=30, deadline=None)
def test_any_profile_gives_whole_orders(weights, median_m, spread, num, seed):
    city = village([0.0, 0.0, 0.01, 0.0], [4.0, 4.0, 4.0, 4.2], jobs=[0, 0, 1, 1], airport=[1, 0, 0, 0])
    options = {**dict(zip(WEIGHTS, weights, strict=True)), "median_trip_m": median_m, "trip_spread": spread}
    if not any(weights):
        with pytest.raises(InputError, match="all 0"):
            DemandProfile(**options)
        return
    check_valid(city, synthetic_orders(city, num, seed, profile=DemandProfile(**options)), num)


def test_two_nodes_are_enough_and_one_is_not():
    pair = village([0.0, 0.01], [4.0, 4.0])
    check_valid(pair, synthetic_orders(pair, 500, 1), 500)
    lonely = village([0.0, 0.01], [4.0, 4.0], homes=[1, 0])
    with pytest.raises(InputError, match="no two different nodes found from homes to homes"):
        synthetic_orders(lonely, 500, 1, profile=only("other"))


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, "0.1", True, None])
def test_bad_weights_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        DemandProfile(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("median_trip_m", 0.0), ("median_trip_m", math.nan), ("trip_spread", 0.0), ("trip_spread", 10.0)],
)
def test_bad_lengths_are_refused(name, value):
    with pytest.raises(InputError, match=f"{name} is {value!r}"):
        DemandProfile(**{name: value})


@pytest.mark.parametrize(
    ("num", "seed", "said"),
    [
        (-1, 1, "num_orders is -1"),
        (10**9, 1, "num_orders is 1000000000"),
        (10.0, 1, "num_orders is 10.0"),
        (True, 1, "num_orders is True"),
        (10, -1, "seed is -1"),
        (10, None, "seed is None"),
    ],
)
def test_bad_numbers_are_refused(num, seed, said):
    with pytest.raises(InputError, match=said):
        synthetic_orders(port(), num, seed)


def test_a_city_without_fitting_land_use_is_refused():
    with pytest.raises(InputError, match="land_use of the city 'Port Meridian' is None"):
        synthetic_orders(replace(port(), land_use=None), 10, 1)
    with pytest.raises(InputError, match="land_use holds 4 nodes"):
        synthetic_orders(replace(port(), land_use=LandUse(*np.ones((4, 4)))), 10, 1)


def without_airport(city):
    use = city.land_use
    return replace(city, land_use=LandUse(use.homes, use.jobs, use.leisure))


def test_without_an_airport_the_other_purposes_take_its_share():
    city, num = without_airport(port()), 20_000
    trips = synthetic_orders(city, num, 1)
    check_valid(city, trips, num)
    flying = port().land_use.airport > 0  # nobody lives or works there
    assert not (flying[trips.pickup_node] | flying[trips.dropoff_node]).any()
    left = DemandProfile(airport=0.0)  # scales the others to a sum of 1
    for hour in (5, 8, 13, 18, 22):
        share = expected_share(left, hour, hour + 1)
        assert within(int(between(trips, hour, hour + 1).sum()), num, share), hour
    with pytest.raises(InputError, match="airport is the only purpose with a weight"):
        synthetic_orders(city, 10, 1, profile=only("airport"))


def test_trips_suit_the_size_of_the_city():
    num, step = 30, 2 * math.pi / 30
    medians = []
    for radius_deg in (0.001, 0.01, 0.03, 1.0):
        city = village(
            [10 + radius_deg * math.cos(i * step) for i in range(num)],
            [radius_deg * math.sin(i * step) for i in range(num)],
        )
        medians.append(ordinary_day(city).median_trip_m)
    # Two points of a circle are √2 of its radius apart, at the median; a degree is 111 km.
    apart_m = [math.sqrt(2) * 111_000 * r for r in (0.001, 0.01, 0.03)]
    assert medians[0] == pytest.approx(0.8 * apart_m[0], rel=0.1)
    assert medians[1] == 1000.0
    assert medians[2] == pytest.approx(0.4 * apart_m[2], rel=0.1)
    assert medians[3] == 4000.0
    assert ordinary_day(port()) == replace(DemandProfile(), median_trip_m=ordinary_day(port()).median_trip_m)
    assert ordinary_day(port()).median_trip_m == pytest.approx(3000, abs=1000)
    with pytest.raises(InputError, match="is None"):
        ordinary_day(replace(port(), land_use=None))


def test_recorded_taxis_drive_as_far_as_the_rule_says(data):
    for name in ("san_francisco", "manhattan"):
        city = City.load(data / name)
        city = replace(city, land_use=land_use_of_roads(city.graph, city.projection))
        inside = (city.trips.pickup_node >= 0) & (city.trips.dropoff_node >= 0)
        recorded = np.median(crow_m(city, city.trips.select(inside)))
        profile = ordinary_day(city)
        assert profile.median_trip_m == pytest.approx(recorded, rel=0.25)
        drawn = np.median(crow_m(city, synthetic_orders(city, 10_000, 1, profile=profile)))
        assert drawn == pytest.approx(profile.median_trip_m, rel=0.25)


def test_a_wide_region_has_trips_within_its_towns(data):
    city = City.load(data / "rhein_neckar")
    city = replace(city, land_use=land_use_of_roads(city.graph, city.projection))
    profile = ordinary_day(city)
    trips = synthetic_orders(city, 10_000, 1, profile=profile)
    check_valid(city, trips, 10_000)
    assert profile.median_trip_m == 4000.0
    length_m = crow_m(city, trips)
    assert 3500 < np.median(length_m) < 5000
    assert np.std(np.log(length_m)) == pytest.approx(profile.trip_spread, abs=0.1)
    motorway = np.flatnonzero(city.graph.road_class == 0)
    on_it = np.r_[city.graph.tail[motorway], city.graph.head[motorway]]
    assert not np.isin(np.r_[trips.pickup_node, trips.dropoff_node], on_it).any()
    # In the morning people go into Mannheim and Heidelberg, at night they come from there.
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    centres = np.column_stack(city.projection.to_plane(np.array([8.466, 8.693]), np.array([49.488, 49.409])))
    central = (np.hypot(x[:, None] - centres[:, 0], y[:, None] - centres[:, 1]) < 1500).any(axis=1)
    morning, night = between(trips, 7, 9), between(trips, 0, 3)
    assert central[trips.dropoff_node[morning]].mean() > 2 * central[trips.pickup_node[morning]].mean()
    assert central[trips.pickup_node[night]].mean() > 2 * central[trips.dropoff_node[night]].mean()
