from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import grid_city, small_scenario
from dispatch.engine.params import DispatchParams
from dispatch.kernels import sim_state as s
from dispatch.kernels.sim_legs import find_way, keep_way, lasts_ms, locate_all, stop_at
from dispatch.kernels.sim_state import SIM_DRIVER, Legs, Weather
from dispatch.roads import all_pairs
from dispatch.sim.traffic import LEVEL_Z, TrafficModel
from naive.shortest_paths import arcs_of, travel_times_from
from random_days import with_forbidden_turns
from simulated import LINE, day_of, line_scenario

GRID = grid_city(4, 5, seed=2)


def small_day(city):
    return day_of(small_scenario(3, 2, city=city, params=DispatchParams()))


# --- ways -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["table", "hierarchy"])
def test_ways_are_shortest_and_their_metres_are_those_of_their_arcs(by, monkeypatch):
    if by == "hierarchy":
        monkeypatch.setattr(all_pairs, "MAX_NODES", 0)
    day, graph = small_day(GRID), GRID.graph
    assert day.params[0]["has_table"] == (by == "table")
    travel_ms = graph.free_flow_ms()
    length_m = {}
    for a in range(graph.num_arcs):
        length_m[int(graph.tail[a]), int(graph.head[a])] = (int(travel_ms[a]), float(graph.length_m[a]))
    for start in range(0, graph.num_nodes, 3):
        best_ms = travel_times_from(arcs_of(graph, travel_ms), start)
        for to in range(graph.num_nodes):
            num, free_ms, metres = find_way(day.streets, day.params[0], start, to, day.scratch)
            nodes, at_ms = (column[0, :num].tolist() for column in day.scratch)
            assert (nodes[0], nodes[-1], at_ms[0], at_ms[-1]) == (start, to, 0, free_ms)
            assert free_ms == best_ms[to]
            steps = [length_m[pair] for pair in pairwise(nodes)]
            assert np.diff(at_ms).tolist() == [ms for ms, _ in steps]
            assert metres == pytest.approx(sum(m for _, m in steps))


def test_ways_keep_to_the_turns_that_may_be_driven():
    """On the hierarchy of a network with forbidden turns, as the metric itself finds them."""
    city = with_forbidden_turns(GRID)
    day, metric = small_day(city), city.free_flow()
    assert not day.params[0]["has_table"]
    num_longer = 0
    for start in range(0, 20, 4):
        for to in range(20):
            _, free_ms, metres = find_way(day.streets, day.params[0], start, to, day.scratch)
            ends = (np.array([start], np.int32), np.array([to], np.int32))
            assert free_ms == metric.pairs_ms(*ends)[0]
            paths = metric.paths(*ends)
            assert metres == pytest.approx(paths.at_m[-1])
            num_longer += free_ms > GRID.free_flow().pairs_ms(*ends)[0]
    assert num_longer > 0, "no way had to give way"


# --- what is kept of them ---------------------------------------------------------------------------


@settings(max_examples=100)
@given(st.integers(1, 60), st.integers(2, 12))
def test_a_long_way_is_thinned_evenly_its_ends_stay(num, width):
    scratch = Legs(np.arange(60, dtype=np.int32)[None] * 7, np.arange(60, dtype=np.int32)[None] * 10)
    legs = Legs(np.full((3, width), -1, np.int32), np.full((3, width), -1, np.int32))
    kept = keep_way(num, scratch, 1, legs)
    assert 1 <= kept <= width
    places = (legs.node[1, :kept] // 7).tolist()
    assert (legs.at_ms[1, :kept] == 10 * np.array(places)).all()
    assert (places[0], places[-1]) == (0, num - 1)
    if num <= width:
        assert places == list(range(num))
    steps = np.diff(places)
    assert len(set(steps[:-1].tolist())) <= 1
    assert (steps > 0).all()
    assert (legs.node[[0, 2]] == -1).all(), "others' ways stay"


def driver_on(path_ms, leg_ms, started_ms=1000):
    drivers = np.zeros(1, SIM_DRIVER)
    driver = drivers[0]
    driver["num_nodes"], driver["leg_ms"], driver["leg_start_ms"] = len(path_ms), leg_ms, started_ms
    driver["leg_m"], driver["phase"] = 100.0 * path_ms[-1], s.CRUISING
    legs = Legs(np.arange(len(path_ms), dtype=np.int32)[None] + 50, np.array([path_ms], np.int32))
    return driver, legs


@settings(max_examples=150)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(1, 400), st.integers(-50, 500))
def test_who_breaks_off_stands_at_the_nearer_end_of_its_arc(steps, leg_ms, elapsed_ms):
    path_ms = np.append(0, np.cumsum(steps)).tolist()
    driver, legs = driver_on(path_ms, leg_ms)
    node, metres = stop_at(driver, legs, 0, 1000 + elapsed_ms)
    along = min(max(elapsed_ms, 0), leg_ms) / leg_ms * path_ms[-1]
    k = int(node) - 50
    assert metres == pytest.approx(100.0 * path_ms[k])
    # No other node of the way is nearer in time, but for what rounding may turn.
    assert abs(path_ms[k] - along) <= min(abs(one - along) for one in path_ms) + 1e-6


def test_a_leg_of_no_time_is_at_its_end():
    driver, legs = driver_on([0, 10, 20], 0)
    assert stop_at(driver, legs, 0, 1000) == (52, 2000.0)
    driver, legs = driver_on([0], 0)
    driver["leg_m"] = 0.0
    assert stop_at(driver, legs, 0, 5000) == (50, 0.0)


# --- true times -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.5, 1.0])
def test_how_long_a_leg_takes_goes_by_slot_quarter_and_luck(rho):
    model = TrafficModel.assumed()
    weather = Weather(model.traffic, np.array([0.0, 1.0, -2.0]))
    params = np.zeros(1, s.SIM_PARAMS)
    row = params[0]
    row["slot_ms"], row["city_slot_ms"], row["rho"] = 3_600_000, 900_000, rho
    row["start_at_ms"], row["week_offset_ms"] = 1_000_000, 5 * 3_600_000
    for at_ms, quarter in ((1_000_000, 0), (1_899_999, 0), (1_900_000, 1), (2_800_000, 2), (9_000_000, 2)):
        for own in (-1.0, 0.0, 2.5):
            z = np.sqrt(rho) * weather.city[quarter] + np.sqrt(1 - rho) * own
            factor = model.factor[(at_ms + 5 * 3_600_000) // 3_600_000]
            expected = 60_000 * factor * np.exp(np.interp(z, LEVEL_Z, model.quantile[0]))
            assert lasts_ms(weather, row, at_ms, 60_000, own) == pytest.approx(expected, abs=1)
    assert lasts_ms(weather, row, 0, 60_000, 0.0) > 0, "before the day as in its first quarter"


# --- places -----------------------------------------------------------------------------------------


def test_everybody_on_duty_is_told_with_the_place_on_the_way():
    spells = [(driver, 0, 3600, 2) for driver in range(11)]
    day = day_of(line_scenario([(5, 4, 9)], spells))
    on_the_way = {s.CRUISING, s.REPOSITIONING, s.TO_PICKUP, s.ON_TRIP}
    for phase in range(11):
        driver = day.drivers[phase]
        driver["phase"], driver["node"] = phase, 6 if phase in on_the_way else 2
        day.legs.node[phase, :5] = np.arange(2, 7)
        day.legs.at_ms[phase, :5] = 10_000 * np.arange(5)
        driver["num_nodes"], driver["leg_ms"], driver["leg_start_ms"] = 5, 80_000, 1_000_000
    graph = LINE.graph
    ids, lon, lat, node = np.empty(11, np.int64), np.empty(11), np.empty(11), np.empty(11, np.int32)
    # 35 of 80 seconds: 17.5 of 40 along the way, three quarters of the second arc.
    num = locate_all(day, 1_035_000, graph.node_lon, graph.node_lat, ids, lon, lat, node)
    off_duty = {s.OFF, s.BREAK, s.TO_STATION, s.CHARGING}
    assert ids[:num].tolist() == [phase for phase in range(11) if phase not in off_duty]
    for i in range(num):
        if int(ids[i]) in on_the_way:
            assert node[i] == 4
            assert lon[i] == pytest.approx(0.25 * graph.node_lon[3] + 0.75 * graph.node_lon[4])
        else:
            assert node[i] == 2
            assert (lon[i], lat[i]) == (graph.node_lon[2], graph.node_lat[2])
