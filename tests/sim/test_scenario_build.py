"""From values to days; files of scenarios are in test_scenario_file.py."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cities import grid_city, write_city, write_csv
from dispatch.engine.params import FareRule
from dispatch.engine.policy import POLICIES
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import Behaviour, TrafficParams
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.scenario import made_up_day, synthetic_scenario
from dispatch.sim.scenario_build import behaviour_of, build_scenario, expanded, problems_of_places
from dispatch.sim.scenario_file import ScenarioFile
from sim.test_recorded_day import columns_of, pings_of, trips_on


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three cities: one with trips and pings, one with trips alone, one with neither."""
    folder = tmp_path_factory.mktemp("cities")
    for name in ("taxis", "trips", "quiet"):
        write_city(folder / name, grid_city())
    for name in ("taxis", "trips"):
        write_csv(folder / name / "trips.csv", columns_of(trips_on(0), trips_on(1, 30)))
    pq.write_table(pa.table(pings_of()), folder / "taxis" / "pings.parquet")
    (folder / "notes.txt").write_text("no city")
    square = [[10.0, 50.0], [10.01, 50.0], [10.01, 50.01], [10.0, 50.01], [10.0, 50.0]]
    shape = {"type": "Polygon", "coordinates": [square]}
    zone = {"type": "Feature", "properties": {"name": "middle"}, "geometry": shape}
    text = json.dumps({"type": "FeatureCollection", "features": [zone]})
    (folder / "zones.geojson").write_text(text)
    return folder


def values_of(**tables):
    return ScenarioFile(tables).values


def same_day(one, other):
    """Whether two scenarios have the same orders and shifts."""
    columns = (
        (one.orders.requested_at_ms, other.orders.requested_at_ms),
        (one.orders.pickup_node, other.orders.pickup_node),
        (one.orders.dropoff_node, other.orders.dropoff_node),
        (one.shifts.driver_id, other.shifts.driver_id),
        (one.shifts.start_at_ms, other.shifts.start_at_ms),
        (one.shifts.node, other.shifts.node),
    )
    return all(np.array_equal(*pair) for pair in columns)


def test_the_built_in_day_is_that_of_the_library():
    """In one city of one seed, the day of another is made up, too."""
    day = {"orders": 200, "drivers": 12}
    built = build_scenario(values_of(day=day), Path())
    known = with_behaviour(replace(synthetic_scenario(1, 200, 12), behaviour=Behaviour()))
    assert same_day(built, known)
    assert (built.notes, built.city.name, built.seed) == (known.notes, known.city.name, 1)
    cache = {}
    other = build_scenario(values_of(day=day, scenario={"seed": 5}), Path(), city_cache=cache)
    again = build_scenario(values_of(day=day), Path(), seed=5, city_cache=cache)
    assert same_day(other, again)
    assert not same_day(built, other)
    assert other.city is again.city
    assert "seed 5, the city's 1" in other.notes[0]


@pytest.mark.parametrize(
    ("name", "day", "drivers", "shift_h"),
    [
        ("taxis", {}, None, 24.0),
        ("taxis", {"drivers": "from-data", "date": "2024-03-04"}, None, 24.0),
        ("taxis", {"drivers": 7}, 7, 24.0),
        ("taxis", {"shift_h": 3}, 2000, 3.0),
        ("trips", {}, 2000, 24.0),
        ("trips", {"drivers": 3, "shift_h": 2}, 3, 2.0),
    ],
)
def test_recorded_days(folder, name, day, drivers, shift_h):
    source = {"source": str(folder / name)}
    built = build_scenario(values_of(city=source, day=day), folder)
    assert same_day(built, recorded_day(City.load(folder / name), None, drivers, shift_h))
    assert built.date == "2024-03-04"


@pytest.mark.parametrize(
    ("day", "orders", "drivers"), [({}, None, None), ({"orders": 40, "drivers": 3}, 40, 3)]
)
def test_made_up_days(folder, day, orders, drivers):
    built = build_scenario(values_of(city={"source": "quiet"}, day=day), folder)
    assert same_day(built, made_up_day(City.load(folder / "quiet"), orders, drivers))


def test_every_table_reaches_the_scenario(folder):
    values = values_of(
        city={"source": "taxis"},
        day={"drivers": 4},
        engine={"max_wait_s": 600, "candidates_by": "road"},
        policy={"name": "priority", "priority_weights": [1, 5]},
        sim={"window_s": 7},
        fare={"base_cents": 1},
        customers={"retry_share": 0.25, "tier_shares": [0.5, 0.5]},
        drivers={"answer_s": [1, 2]},
        traffic={"model": "exact"},
        zones={"file": "zones.geojson"},
        scenario={"name": "all", "description": "Of everything a little"},
    )
    built = build_scenario(values, folder)
    assert built.params.rules == replace(POLICIES["priority"], priority_weights=(1.0, 5.0))
    assert (built.params.max_wait_s, built.params.candidates_by) == (600.0, "road")
    assert built.sim.window_s == 7.0
    assert built.fare == FareRule(base_cents=1)
    assert built.behaviour == behaviour_of(values)
    assert built.behaviour.customers == replace(
        Behaviour().customers, retry_share=0.25, tier_shares=(0.5, 0.5)
    )
    assert built.behaviour.drivers == replace(Behaviour().drivers, answer_s=(1.0, 2.0))
    assert built.behaviour.traffic == TrafficParams("exact")
    assert built.notes[0] == "Scenario all: Of everything a little."
    assert built.zones.name == ("middle",)
    assert values_of(behaviour={"preset": "none"})["vehicles"]["seats"] == [100]
    assert behaviour_of(values_of(behaviour={"preset": "none"})) == Behaviour.none()


def test_variants_share_what_they_can(folder, monkeypatch):
    cache = {}
    loaded = []
    load = City.load
    monkeypatch.setattr(City, "load", lambda path: loaded.append(path) or load(path))

    def build(**tables):
        return build_scenario(values_of(city={"source": "quiet"}, **tables), folder, city_cache=cache)

    first, nearest = build(), build(policy={"name": "nearest"}, customers={"retry_share": 0.1})
    assert nearest.orders is first.orders
    assert nearest.travel_times is first.travel_times
    assert (first.params.rules.name, nearest.params.rules.name) == ("batch", "nearest")
    assert nearest.behaviour.customers.retry_share == 0.1
    fewer, shorter = build(day={"drivers": 4}), build(engine={"max_wait_s": 60})
    assert fewer.shifts.num_drivers == 4
    assert shorter.shifts is not first.shifts
    assert fewer.city.network is first.city.network is shorter.city.network
    assert same_day(build(), first)
    assert loaded == [folder / "quiet"]


def test_scaled_days(folder):
    def build(scale):
        day = {"demand_scale": scale, "drivers": 9}
        return build_scenario(values_of(city={"source": "taxis"}, day=day), folder)

    plain, double, half = build(1), build(2), build(0.5)
    assert len(double.orders) == 2 * len(plain.orders) == 80
    assert 0 < len(half.orders) < 40
    assert np.array_equal(double.shifts.node, plain.shifts.node)
    assert double.notes[0] == (
        "Demand is scaled by 2: 80 orders, with copies moved by up to 10 minutes, of 40; drivers stay."
    )
    assert "drawn from 40" in half.notes[0]
    day_ms = 24 * 3_600_000
    assert double.start_at_ms <= double.orders.requested_at_ms.min()
    assert double.orders.requested_at_ms.max() < double.start_at_ms + day_ms


IMPOSSIBLE = [
    ({"vehicles": {"class_shares": [1.0], "seats": [4]}, "behaviour": {"preset": "none"}}, []),
    (
        {"vehicles": {"class_shares": [1.0], "seats": [4]}},
        ["customers.class_shares is [0.92, 0.08]: of vehicles.class_shares there are 1, so that no car"],
    ),
    ({"city": {"source": "taxis"}}, []),
    ({"city": {"source": "quiet"}, "drivers": {"cruising": "drift"}}, []),
    (
        {"day": {"date": "2024-03-04"}},
        ["day.date is 2024-03-04: the built-in city has one day without a date"],
    ),
    (
        {"day": {"drivers": "from-data"}},
        ["day.drivers is from-data: the built-in city has no recorded taxis"],
    ),
    (
        {"drivers": {"cruising": "hot_spots"}},
        ["drivers.cruising is hot_spots: the built-in city has no pings"],
    ),
    (
        {"city": {"source": "taxis"}, "day": {"orders": 9}},
        ["day.orders is 9: the orders of taxis are recorded"],
    ),
    (
        {"city": {"source": "trips"}, "day": {"drivers": "from-data"}},
        ["day.drivers is from-data: trips has no pings.parquet, give a number"],
    ),
    (
        {"city": {"source": "quiet"}, "day": {"drivers": "from-data", "date": "2024-03-04"}},
        ["day.date is 2024-03-04: quiet has no trips", "day.drivers is from-data: quiet has no trips"],
    ),
    (
        {"city": {"source": "trips"}, "drivers": {"cruising": "hot_spots"}},
        ["drivers.cruising is hot_spots: trips has no pings.parquet to learn from"],
    ),
    (
        {"city": {"source": "taxis"}, "day": {"drivers": "from-data", "shift_h": 8}},
        ["day.shift_h goes with made-up drivers, not with drivers from-data"],
    ),
    (
        {"sim": {"ping_s": 200}},
        ["sim.ping_s is 200: it must be at most engine.stale_position_s, 120 seconds"],
    ),
    (
        {"city": {"source": "nowhere"}},
        ["city.source is nowhere: there is no {folder}/nowhere; it must be built-in"],
    ),
    (
        {"city": {"source": "notes.txt"}},
        ["city.source is notes.txt: a file must be of OpenStreetMap, .osm.pbf"],
    ),
    (
        {"city": {"source": "${NO_SUCH_PLACE}/x"}},
        ["city.source is ${{NO_SUCH_PLACE}}/x needs the environment variable NO_SUCH_PLACE, which is"],
    ),
    (
        {"zones": {"file": "zone.csv"}, "sim": {"ping_s": 200}, "city": {"source": "nowhere"}},
        [
            "city.source is nowhere",
            "zones.file is zone.csv: there is no file {folder}/zone.csv",
            "sim.ping_s is",
        ],
    ),
    (
        {"zones": {"file": "${NO_SUCH_PLACE}"}},
        ["zones.file is ${{NO_SUCH_PLACE}} needs the environment variable"],
    ),
]


@pytest.mark.parametrize(("tables", "problems"), IMPOSSIBLE)
def test_what_does_not_go_together_is_told(folder, tables, problems):
    told = problems_of_places(values_of(**tables), folder)
    assert len(told) == len(problems)
    for line, expected in zip(told, problems, strict=True):
        assert line.startswith(expected.format(folder=folder))


def test_paths_of_files(tmp_path, monkeypatch):
    monkeypatch.setenv("CITIES", str(tmp_path / "c"))
    assert expanded("${CITIES}/sf", tmp_path / "other") == tmp_path / "c" / "sf"
    assert expanded("../sf", tmp_path / "days") == tmp_path / "days" / ".." / "sf"
    assert expanded("a$b", tmp_path) == tmp_path / "a$b"
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(InputError, match="needs the environment variable EMPTY, which is not set"):
        expanded("${EMPTY}/sf", tmp_path)
