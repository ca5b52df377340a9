from dataclasses import replace

import numpy as np
import pytest

from benchmarks.eta_traces import TraceParams, draw_traces, driven, scores
from cities import PLANE, T0, city_of, grid_city, line_city
from dispatch.errors import InputError
from dispatch.eta.map_matching import (
    FROZEN,
    MATCHED,
    OFF_MAP,
    SAME_INSTANT,
    STANDING,
    TELEPORTING,
    Matcher,
    MatchingParams,
    match_pings,
)
from dispatch.roads.city import City
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.pings import RecordedPings
from dispatch.units import NO_INDEX

EVERY_S = 20.0


def pings_at(city, *seen):
    """Pings of (driver, seconds, x, y)."""
    driver, at_s, x, y = (np.array(column) for column in zip(*seen, strict=True))
    lon, lat = city.projection.to_degrees(x.astype(float), y.astype(float))
    at_ms = T0 + (at_s * 1000).astype(np.int64)
    return RecordedPings(driver.astype(np.int64), at_ms, lon, lat, np.ones(len(x), np.bool_))


def plane_of(city, x, y):
    """Metres of the city's own plane for metres of the plane that its nodes were drawn in."""
    return city.projection.to_plane(*PLANE.to_degrees(np.asarray(x, float), np.asarray(y, float)))


def along(city, *seen):
    """Pings of (driver, seconds, x, y), metres as the nodes were drawn."""
    driver, at_s, x, y = zip(*seen, strict=True)
    return pings_at(city, *zip(driver, at_s, *plane_of(city, x, y), strict=True))


def edge_between(city, tail, head):
    graph = city.graph
    return int(np.flatnonzero((graph.tail == tail) & (graph.head == head))[0])


def check_sound(city, found):
    """What holds of any answer: ways are connected, begin and end at their places, and go on."""
    graph, first = city.graph, found.first
    assert first[0] == 0
    assert first[-1] == len(found.path_edge) == len(found.path_from) == len(found.path_to)
    assert (np.diff(first) >= 1).all()
    assert ((found.edge == NO_INDEX) == ~np.isin(found.state, (MATCHED, STANDING))).all()
    assert (np.isinf(found.distance_m) == ~found.is_matched).all()
    assert (found.path_from <= found.path_to).all()
    assert sum(drop.count for drop in found.drops) == int((~found.is_matched).sum())
    inside = np.ones(len(found.path_edge), np.bool_)
    inside[first[:-1]] = False
    at = np.flatnonzero(inside)
    assert (graph.head[found.path_edge[at - 1]] == graph.tail[found.path_edge[at]]).all()
    assert (found.path_from[at] == 0.0).all()
    assert (found.path_to[at - 1] == 1.0).all()
    assert (found.path_edge[first[:-1]] == found.edge[found.step_from]).all()
    assert (found.path_edge[first[1:] - 1] == found.edge[found.step_to]).all()
    goes_on = np.flatnonzero(found.step_from[1:] == found.step_to[:-1])
    assert (found.path_from[first[1:-1]][goes_on] == found.path_to[first[1:-1] - 1][goes_on]).all()


def metres(city, found):
    """Driven in each step."""
    entry_m = (found.path_to - found.path_from) * city.graph.length_m[found.path_edge]
    return np.add.reduceat(entry_m, found.first[:-1]) if len(found.step_from) else np.zeros(0)


# --- what is driven ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def town():
    return grid_city(12, 12, seed=3, block_m=150.0)


@pytest.fixture(scope="module")
def traces(town):
    return draw_traces(town, 60, TraceParams(every_s=EVERY_S, noise_m=12.0, leg_m=1_000.0), seed=5)


@pytest.mark.parametrize("with_table", [True, False])
def test_finds_what_drivers_drove_who_do_not_know_its_times(town, traces, with_table):
    found = Matcher(town, MatchingParams(noise_m=12.0), with_table).match(traces.pings)
    check_sound(town, found)
    assert scores(traces, *driven(traces, found))["f1"] > 0.9
    assert found.is_matched.mean() > 0.99


def test_the_hierarchy_tells_what_the_table_tells(town, traces):
    one, other = (Matcher(town, with_table=with_table).match(traces.pings) for with_table in (True, False))
    assert (one.edge == other.edge).mean() > 0.99
    np.testing.assert_allclose(metres(town, one).sum(), metres(town, other).sum(), rtol=0.01)


def test_a_drive_along_a_line():
    city = line_city()
    seen = [(7, 0, 50, 3), (7, 30, 350, -4), (7, 60, 520, 5)]
    found = match_pings(city, along(city, *seen))
    check_sound(city, found)
    assert found.edge.tolist() == [edge_between(city, n, n + 1) for n in (0, 3, 5)]
    assert found.share == pytest.approx([0.5, 0.5, 0.2], abs=1e-3)
    assert found.distance_m == pytest.approx([3, 4, 5], abs=0.01)
    assert found.step_from.tolist() == [0, 1]
    assert found.step_to.tolist() == [1, 2]
    ends = [(0, 1), (1, 2), (2, 3), (3, 4), (3, 4), (4, 5), (5, 6)]
    assert found.path_edge.tolist() == [edge_between(city, *pair) for pair in ends]
    assert found.path_from == pytest.approx([0.5, 0, 0, 0, 0.5, 0, 0], abs=1e-3)
    assert found.path_to == pytest.approx([1, 1, 1, 0.5, 1, 1, 0.2], abs=1e-3)


def test_a_parked_car_stays_where_it_is():
    city = line_city()
    jitter = [0, 4, -6, 3, -20, 8]
    found = match_pings(
        city, along(city, (1, 0, 420, 2), *((1, 60 * k + 60, 730 + dx, 4) for k, dx in enumerate(jitter)))
    )
    check_sound(city, found)
    assert found.is_matched.all()
    assert STANDING in found.state
    assert len(np.unique(found.edge[1:])) == 1
    assert metres(city, found)[1:].sum() < 10
    assert (np.diff(found.first)[1:] == 1).all()


def test_turns_around_where_it_must():
    city = line_city()
    found = match_pings(city, along(city, (1, 0, 250, 0), (1, 60, 620, 0), (1, 120, 330, 0), (1, 180, 50, 0)))
    check_sound(city, found)
    assert found.edge[[0, 3]].tolist() == [edge_between(city, 2, 3), edge_between(city, 1, 0)]
    assert metres(city, found).sum() == pytest.approx(350 + 550, abs=2)  # at the crossing that is nearest


@pytest.mark.parametrize("with_table", [True, False])
def test_one_way_streets_are_driven_one_way(with_table):
    arcs = [(0, 1), (1, 2), (2, 3), (3, 0)]
    city = city_of([0, 300, 300, 0], [0, 0, 300, 300], arcs)
    found = Matcher(city, with_table=with_table).match(along(city, (1, 0, 200, 2), (1, 120, 60, -2)))
    check_sound(city, found)
    assert found.path_edge.tolist() == [0, 1, 2, 3, 0]


def test_forbidden_turns_are_not_driven():
    arcs = [(0, 1), (1, 2), (1, 3), (3, 2), (2, 4), (2, 1), (1, 0), (2, 3), (3, 1), (4, 2)]
    city = city_of([0, 300, 600, 450, 900], [0, 0, 0, 200, 0], arcs)
    graph = city.graph
    rule = [edge_between(city, 0, 1), edge_between(city, 1, 2)]
    forbidden = ForbiddenTurns(np.array([0, 2], np.int32), np.array(rule, np.int32))
    barred = City.from_graph("Barred", replace(graph, forbidden=forbidden), "UTC")
    seen = [(1, 0, 150, 0), (1, 60, 750, 0)]
    assert edge_between(city, 1, 2) in match_pings(city, along(city, *seen)).path_edge
    found = match_pings(barred, along(barred, *seen))
    check_sound(barred, found)
    ways = [(0, 1), (1, 3), (3, 2), (2, 4)]
    assert found.path_edge.tolist() == [edge_between(city, *pair) for pair in ways]


# --- what is left out ----------------------------------------------------------------------------


def reasons(found):
    return {drop.what: drop.count for drop in found.drops}


def test_off_the_map_is_passed_over():
    city = line_city()
    found = match_pings(
        city, along(city, (1, 0, 150, 0), (1, 30, 300, 900), (1, 60, 550, 0), (2, 0, 0, 5_000))
    )
    check_sound(city, found)
    assert found.state.tolist() == [MATCHED, OFF_MAP, MATCHED, OFF_MAP]
    assert (found.step_from.tolist(), found.step_to.tolist()) == ([0], [2])
    assert reasons(found) == {"pings with no street nearby": 2}


def test_who_was_off_the_map_for_long_begins_anew():
    city = line_city()
    away = [(1, 200 * k, 300, 900) for k in (1, 2, 3)]
    found = match_pings(city, along(city, (1, 0, 150, 0), *away, (1, 800, 550, 0)))
    assert found.state.tolist() == [MATCHED, OFF_MAP, OFF_MAP, OFF_MAP, MATCHED]
    assert len(found.step_from) == 0
    check_sound(city, found)


def test_teleporting_freezing_and_one_instant_are_told():
    city = line_city(300)
    found = match_pings(
        city,
        along(
            city,
            *((1, 0, 150, 0), (1, 60, 550, 0), (1, 120, 25_000, 0), (1, 180, 950, 0)),  # one far away
            *((2, 0, 150, 0), (2, 60, 150, 0), (2, 120, 150, 0), (2, 180, 9_000, 0), (2, 240, 9_300, 0)),
            *((3, 0, 150, 0), (3, 0, 350, 0), (3, 60, 350, 0)),
        ),
    )
    check_sound(city, found)
    assert found.state[:4].tolist() == [MATCHED, MATCHED, TELEPORTING, MATCHED]
    assert found.state[4:9].tolist() == [MATCHED, FROZEN, FROZEN, MATCHED, MATCHED]
    assert found.state[9:].tolist() == [MATCHED, SAME_INSTANT, MATCHED]
    assert found.step_from.tolist() == [0, 1, 7, 9]
    assert found.step_to.tolist() == [1, 3, 8, 11]
    assert list(reasons(found).values()) == [1, 2, 1]


def test_ways_that_nobody_can_drive_are_none():
    # Two lines that no street joins.
    x, y = [0, 100, 200, 0, 100, 200], [0, 0, 0, 150, 150, 150]
    city = city_of(x, y, [(0, 1), (1, 2), (2, 1), (1, 0), (3, 4), (4, 5), (5, 4), (4, 3)])
    found = match_pings(city, along(city, (1, 0, 50, 0), (1, 60, 150, 150)))
    check_sound(city, found)
    assert found.is_matched.all()
    assert len(found.step_from) == 0


def test_pings_in_any_order(town, traces):
    pings = traces.pings
    order = np.random.default_rng(1).permutation(len(pings))
    columns = ("driver_id", "at_ms", "lon", "lat", "occupied")
    mixed = replace(pings, **{name: getattr(pings, name)[order] for name in columns})
    expected, found = match_pings(town, pings), match_pings(town, mixed)
    check_sound(town, found)
    assert (found.edge == expected.edge[order]).all()
    assert (found.share == expected.share[order]).all()
    assert (order[found.step_from] == expected.step_from).all()
    assert (order[found.step_to] == expected.step_to).all()
    assert (found.path_edge == expected.path_edge).all()


def test_swapped_coordinates_are_refused():
    city = line_city()
    pings = along(city, (1, 0, 150, 0), (1, 60, 550, 0))
    with pytest.raises(InputError, match="swap"):
        match_pings(city, replace(pings, lon=pings.lat, lat=pings.lon))
    far = replace(pings, lon=pings.lon + 3, lat=pings.lat + 3)
    assert match_pings(city, far).state.tolist() == [OFF_MAP, OFF_MAP]
    with pytest.raises(InputError, match="finite"):
        match_pings(city, replace(pings, lon=np.full(2, np.nan)))
    with pytest.raises(InputError, match="must be"):
        match_pings(city, replace(pings, lon=np.full(2, 37.5), lat=np.full(2, -122.0)))


def test_times_in_another_unit_are_refused():
    city = line_city()
    pings = along(city, (1, 0, 150, 0), (1, 60, 550, 0))
    with pytest.raises(InputError, match=r"at_ms\[0\] is .*: times must be milliseconds"):
        match_pings(city, replace(pings, at_ms=(pings.at_ms + 1_700_000_000_000) * 1000))


def test_no_pings_at_all():
    city = line_city()
    pings = along(city, (1, 0, 150, 0))
    empty = pings.between(0, 1)
    for with_table in (True, False):
        found = Matcher(city, with_table=with_table).match(empty)
        assert len(found.edge) == len(found.step_from) == len(found.path_edge) == 0
        assert found.first.tolist() == [0]
        check_sound(city, found)
    one = match_pings(city, pings)
    assert (one.state.tolist(), one.first.tolist()) == ([MATCHED], [0])


def test_progress_is_told_and_parts_make_no_difference(town, traces, monkeypatch):
    expected, told = match_pings(town, traces.pings), []
    monkeypatch.setattr("dispatch.eta.map_matching._PINGS_AT_A_TIME", 100)
    found = match_pings(town, traces.pings, on_progress=lambda *done: told.append(done))
    assert len(told) > 3
    assert told[-1] == (len(traces.pings), len(traces.pings))
    for name in ("edge", "share", "step_from", "step_to", "first", "path_edge", "path_from", "path_to"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_m", 0.0),
        ("radius_m", float("nan")),
        ("max_candidates", 2.5),
        ("max_kph", "fast"),
        ("time_share", 1.1),
    ],
)
def test_parameters_have_ranges(name, value):
    with pytest.raises(InputError, match=name):
        MatchingParams(**{name: value})


@pytest.mark.long
def test_san_francisco_is_matched_well(data):
    city = City.load(data / "san_francisco")
    traces = draw_traces(city, 200, seed=11)
    found = match_pings(city, traces.pings)
    check_sound(city, found)
    assert scores(traces, *driven(traces, found))["f1"] >= 0.85
