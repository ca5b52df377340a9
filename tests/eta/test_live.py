import threading
from typing import NamedTuple

import numpy as np
import pytest

from cities import T0, city_of, grid_city, line_city
from dispatch.errors import InputError
from dispatch.eta.driven_ways import DrivenWays
from dispatch.eta.live import (
    LIVE_COLUMNS,
    LiveParams,
    LiveQueries,
    LiveTimes,
    LiveTraffic,
    _stretches,
)
from dispatch.roads.city import City
from dispatch.roads.time_of_day import ByTime, TimeOfDay
from dispatch.units import MAX_TRAVEL_MS, UNREACHABLE_MS
from eta.incidents import Incident, Stop, Watch, busy_street, drives, slowed, two_banks, usual_ms


def ways_of(*driven):
    """Ways of (edges, seconds, instant in seconds, driver), whole edges."""
    edges, duration_s, ended_s, driver = zip(*driven, strict=True)
    edge = np.array([e for some in edges for e in some], np.int32)
    first = np.concatenate([[0], np.cumsum([len(some) for some in edges])])
    ended_at_ms = T0 + np.array(ended_s, np.int64) * 1000
    return DrivenWays(
        first, edge, np.ones(len(edge)), np.array(duration_s, float), ended_at_ms, np.array(driver)
    )


def told(city, *driven, params=None):
    """Live traffic that was told of ways."""
    live = LiveTraffic(city, params)
    ways = ways_of(*driven)
    live.observe(ways, ways.usual_s(usual_ms(city) / 1000))
    return live


def random_ways(city, num, seed=0):
    rng = np.random.default_rng(seed)
    return ways_of(
        *(
            (rng.integers(0, city.graph.num_arcs, 3), rng.uniform(20, 300), at_s, rng.integers(-3, 6))
            for at_s in np.sort(rng.integers(0, 3_600, num))
        )
    )


# --- an incident ---------------------------------------------------------------------------------

BEGIN_S, END_S, UNTIL_S = 1_200, 2_400, 3_100


class Seen(NamedTuple):
    """What is believed at an instant."""

    street: float
    """Share of the true extra time on the street"""
    over: float
    """Share of the true extra time of trips over it"""
    elsewhere: np.ndarray
    """Times of trips elsewhere, over what is believed where no incident happens"""


def look(place, live, other, at_s):
    usual, incident = usual_ms(place.city), Incident(place.edges, BEGIN_S, END_S)
    base, true = place.city.network.customize(usual), slowed(place.city, incident)
    travel_ms, without_ms = (one.travel_ms(usual, T0 + at_s * 1000) for one in (live, other))
    metric, without = (place.city.network.customize(ms) for ms in (travel_ms, without_ms))
    usual_over, true_over = (one.pairs_ms(*place.over) for one in (base, true))
    extra = (metric.pairs_ms(*place.over) - usual_over).sum() / (true_over - usual_over).sum()
    e = place.edges
    street = (travel_ms[e] - usual[e]).sum() / ((incident.slower - 1) * usual[e].sum())
    return Seen(street, extra, metric.pairs_ms(*place.elsewhere) / without.pairs_ms(*place.elsewhere) - 1)


@pytest.fixture(scope="module", params=["built-in", pytest.param("San Francisco", marks=pytest.mark.long)])
def place(request):
    if request.param == "built-in":
        return two_banks()
    return busy_street(City.load(request.getfixturevalue("data") / "san_francisco"))


@pytest.fixture(scope="module")
def quiet(place):
    """The same taxis where nothing happens, told minute by minute."""
    watch, live = Watch(place.city, drives(place.city, place.ends, UNTIL_S)), {}
    for at_s in range(BEGIN_S - 300, UNTIL_S + 1, 60):
        live[at_s] = watch.until(at_s).live.copy()
    return live


@pytest.fixture(scope="module")
def story(place, quiet):
    """What is seen so many seconds after an incident began and after it ended, with pings and without."""
    incident = Incident(place.edges, BEGIN_S, END_S)
    watch, seen = Watch(place.city, drives(place.city, place.ends, UNTIL_S, incident=incident)), {}
    for name, start_s, waits_s in (("begun", BEGIN_S, (0, 120, 1_200)), ("over", END_S, (120, 300, 600))):
        for wait_s in waits_s:
            live = watch.until(start_s + wait_s).live
            seen[name, wait_s] = look(place, live, quiet[start_s + wait_s], start_s + wait_s)
            if (name, wait_s) == ("begun", 1_200):
                at_end = live.copy()
    for wait_s in (600, 1_800, 3_600):
        seen["silent", wait_s] = look(place, at_end, quiet[END_S], END_S + wait_s)
    return seen


def test_an_incident_is_seen_within_two_minutes(story):
    """Half of what it truly costs trips that lead over the street, and nearly half of its own time."""
    assert abs(story["begun", 0].street) < 0.1
    for wait_s in (120, 1_200):
        assert 0.45 < story["begun", wait_s].street < 1.2
        assert 0.5 < story["begun", wait_s].over < 1.3


def test_traffic_elsewhere_is_not_disturbed(story):
    for (name, wait_s), seen in story.items():
        if name != "silent":
            assert np.abs(seen.elsewhere).mean() < 0.05, (name, wait_s)
    assert np.quantile(np.abs(story["begun", 120].elsewhere), 0.95) < 0.05


def test_an_incident_is_forgotten_as_cars_drive_freely_again(story):
    assert story["over", 120].street < 0.5
    assert story["over", 300].street < 0.25
    assert story["over", 600].street < 0.1


def test_an_incident_is_forgotten_without_any_ping(story):
    assert story["silent", 600].street > 0.2
    assert story["silent", 1_800].street < 0.35
    assert story["silent", 3_600].street < 0.15


@pytest.mark.parametrize("taxi", [0, 1, 2])
def test_one_taxi_that_stops_for_three_minutes_is_no_incident(place, quiet, taxi):
    stop = Stop(taxi, place.edges, BEGIN_S - 300, 180.0)
    pings = drives(place.city, place.ends, UNTIL_S, stop=stop)
    calm = drives(place.city, place.ends, UNTIL_S)
    assert len(pings) != len(calm) or (pings.lon != calm.lon).any()
    watch, usual, longer = Watch(place.city, pings), usual_ms(place.city), []
    for at_s in range(BEGIN_S - 300, END_S, 60):
        both = watch.until(at_s).live, quiet[at_s]
        here, there = (one.travel_ms(usual, T0 + at_s * 1000)[place.edges] for one in both)
        longer.append((here / there).max() - 1)
    assert max(longer) < 0.3


# --- what is learnt ------------------------------------------------------------------------------


def test_knows_nothing_at_first():
    city = line_city()
    live = LiveTraffic(city)
    assert live.clock_ms is None
    assert live.num_arcs == city.graph.num_arcs
    assert live.log_factor(T0).dtype == np.float32
    assert (live.log_factor(T0) == 0).all()
    assert (live.travel_ms(usual_ms(city), T0) == usual_ms(city)).all()
    value, weight = live.driver_log_factor([1, 2], T0)
    assert value.tolist() == weight.tolist() == [0, 0]


def test_closed_arcs_stay_closed_and_others_open():
    city = line_city()
    live = told(city, *(([e], 3_000.0, at_s, at_s) for at_s in range(9) for e in range(38)))
    usual = usual_ms(city)
    usual[0], usual[1], usual[2], usual[3] = UNREACHABLE_MS, MAX_TRAVEL_MS, 0, 1
    found = live.travel_ms(usual, live.clock_ms)
    assert found.dtype == np.int32
    assert found[:3].tolist() == [UNREACHABLE_MS, MAX_TRAVEL_MS, 0]
    assert (found[3:] > usual[3:]).all()
    quick = told(city, *(([e], 1.0, at_s, at_s) for at_s in range(9) for e in range(38)))
    assert quick.travel_ms(usual, live.clock_ms)[3] == 1
    with pytest.raises(InputError, match="arcs"):
        live.travel_ms(usual[:-1], T0)


def test_slow_drivers_are_told_from_slow_streets():
    city, rng = grid_city(6, 6), np.random.default_rng(0)
    driven, usual_s = [], usual_ms(city) / 1000
    for at_s in range(0, 3_600, 5):
        edges, driver = rng.integers(0, city.graph.num_arcs, 3), int(rng.integers(0, 10))
        driven.append((edges, usual_s[edges].sum() * 1.2 * (1.3 if driver == 7 else 1.0), at_s, driver))
    live = told(city, *driven)
    value, weight = live.driver_log_factor([7, 3, 99], live.clock_ms)
    assert value[0] == pytest.approx(np.log(1.3), abs=0.08)
    assert abs(value[1]) < 0.06
    assert (value[2], weight[2]) == (0, 0)
    assert (weight[:2] > 20).all()
    later = live.driver_log_factor([7], live.clock_ms + 3_600_000)[1]
    assert later == pytest.approx(weight[:1] / 2, rel=1e-3)
    assert live.log_factor(live.clock_ms).mean() == pytest.approx(np.log(1.2), abs=0.05)


def queries_of(city, num, seed=1):
    rng = np.random.default_rng(seed)
    first = np.concatenate([[0], np.cumsum(rng.integers(0, 6, num))])
    edge = rng.integers(0, city.graph.num_arcs, first[-1]).astype(np.int32)
    at_ms = T0 + rng.integers(0, 4_000_000, num)
    return LiveQueries(at_ms, first, edge, rng.uniform(0, 50, len(edge)), rng.integers(-4, 8, num))


def test_a_replay_tells_what_was_known_at_the_instant():
    city = grid_city(5, 5)
    ways, queries = random_ways(city, 300), queries_of(city, 40)
    usual_s = ways.usual_s(usual_ms(city) / 1000)
    known = LiveTraffic(city).replay(ways, usual_s, queries)
    assert known.shape == (40, len(LIVE_COLUMNS))
    assert known.dtype == np.float32
    live, done = LiveTraffic(city), 0
    for q in np.argsort(queries.at_ms, kind="stable"):
        upto = int(np.searchsorted(ways.ended_at_ms, queries.at_ms[q]))
        live.observe(ways.take(done, upto), usual_s[ways.first[done] : ways.first[upto]])
        done = upto
        some = slice(queries.first[q], queries.first[q + 1])
        one = LiveQueries(
            queries.at_ms[[q]],
            np.array([0, some.stop - some.start]),
            queries.edge[some],
            queries.usual_s[some],
            queries.driver_id[[q]],
        )
        assert (live.known(one)[0] == known[q]).all()
        value, weight = live.driver_log_factor(queries.driver_id[[q]], queries.at_ms[q])
        assert (value[0], weight[0]) == (known[q, 6], known[q, 7])


def test_late_ways_are_counted_and_left_out():
    city = line_city()
    live = told(city, ([0], 30.0, 100, 1))
    before = live.log_factor(T0 + 200_000)
    late = ways_of(([0, 1], 200.0, 40, 2), ([1], 200.0, 99, 2), ([3], 60.0, 100, 3))
    live.observe(late, late.usual_s(usual_ms(city) / 1000))
    assert live.num_late == 2
    expected = told(city, ([0], 30.0, 100, 1), ([3], 60.0, 100, 3)).log_factor(T0 + 200_000)
    assert (live.log_factor(T0 + 200_000) == expected).all()
    assert (before != expected).any()


def test_a_copy_and_what_was_saved_go_on_alike(tmp_path):
    city = grid_city(5, 5)
    ways, usual = random_ways(city, 200), usual_ms(city) / 1000
    begun, rest = ways.take(0, 100), ways.take(100, 200)
    live = LiveTraffic(city)
    live.observe(begun, begun.usual_s(usual))
    np.savez(tmp_path / "live.npz", **live.arrays())
    loaded, copied = LiveTraffic(city), live.copy()
    loaded.restore(np.load(tmp_path / "live.npz"))
    for one in (live, loaded, copied):
        one.observe(rest, rest.usual_s(usual))
    at_ms = T0 + 4_000_000
    for one in (loaded, copied):
        assert (one.log_factor(at_ms) == live.log_factor(at_ms)).all()
        for left, right in zip(
            one.driver_log_factor(range(9), at_ms), live.driver_log_factor(range(9), at_ms), strict=True
        ):
            assert (left == right).all()


def test_what_another_city_knew_is_refused():
    live = told(grid_city(5, 5), ([0], 30.0, 100, 1))
    kept = live.arrays()
    for changed in (
        {name: kept[name] for name in kept if name != "edge"},
        kept | {"edge": kept["edge"].astype(np.float32)},
        kept | {"edge": kept["edge"][:-1]},
        kept | {"cell_of_edge": kept["cell_of_edge"][::-1].copy()},
        kept | {"driver_id": np.arange(5)},
        kept | {"row_of_driver": kept["row_of_driver"] + np.int32(5_000)},
    ):
        with pytest.raises(InputError, match=r"edge|driver"):
            live.restore(changed)
    with pytest.raises(InputError, match="city"):
        LiveTraffic(grid_city(5, 6)).restore(kept)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"first": np.array([0, 2, 1])}, "ascend"),
        ({"first": np.array([0, 1])}, "shape"),
        ({"edge": np.array([0, 99], np.int32)}, "arcs"),
        ({"duration_s": np.array([30.0, 0.0])}, "positive"),
        ({"duration_s": np.array([30.0, np.nan])}, "finite"),
        ({"ended_at_ms": np.array([T0 + 1, T0])}, "sort"),
        ({"driver_id": np.array([1])}, "length"),
        ({"usual_s": np.array([1.0, -1.0])}, "negative"),
        ({"usual_s": np.array([1.0, np.nan])}, "finite"),
        ({"usual_s": np.array([1.0])}, "shape"),
    ],
)
def test_wrong_ways_are_refused_whole(changes, what):
    live = LiveTraffic(line_city())
    ways, usual_s = ways_of(([0], 30.0, 1, 1), ([1], 40.0, 2, 2)), changes.pop("usual_s", np.ones(2))
    with pytest.raises(InputError, match=what):
        live.observe(ways._replace(**changes), usual_s)
    assert live.clock_ms is None


def test_drivers_of_queries_are_one_a_query():
    live = told(line_city(), ([0], 30.0, 100, 1))
    nothing = np.zeros(3, np.int64), np.empty(0, np.int32), np.empty(0)
    with pytest.raises(InputError, match="queries differ in length"):
        live.known(LiveQueries(np.zeros(2, np.int64), *nothing, np.array([1])))


def test_wrong_parameters_are_refused():
    for wrong in (
        {"edge_half_life_s": 0},
        {"cell_m": np.nan},
        {"repeat": 1.1},
        {"most": True},
        {"clip": "2"},
    ):
        with pytest.raises(InputError, match=next(iter(wrong))):
            LiveParams(**wrong)


def test_stretches_end_where_streets_do():
    place = two_banks()
    stretch, num = _stretches(place.city, 600.0)
    graph = place.city.graph
    assert sorted(np.bincount(stretch[place.edges])[np.unique(stretch[place.edges])]) == [5, 5]
    assert not np.isin(stretch, stretch[place.edges])[
        np.setdiff1d(np.arange(graph.num_arcs), place.edges)
    ].any()
    assert num == stretch.max() + 1
    others = np.setdiff1d(np.arange(num), stretch[np.isin(stretch, stretch[place.edges])])
    assert 300 < np.median(np.bincount(stretch, graph.length_m)[others]) <= 600
    corner = city_of([0, 300, 300, 600], [0, 0, 300, 0], [(0, 1), (1, 2), (1, 3)])
    stretch, _ = _stretches(corner, 1_000.0)
    assert stretch[0] == stretch[2] != stretch[1]  # straight on, not around the corner
    assert _stretches(city_of([0, 9], [0, 9], []), 9.0)[1] == 0


# --- travel times --------------------------------------------------------------------------------


def test_travel_times_are_remade_when_they_are_old():
    city = line_city()
    live = told(city, ([0], 100.0, 0, 1))
    times = LiveTimes(city, usual_ms(city), live)
    assert isinstance(times, ByTime)
    metric = times.at(T0)
    assert (metric.travel_ms == live.travel_ms(usual_ms(city), T0)).all()
    ways = ways_of(([0], 100.0, 10, 2))
    live.observe(ways, ways.usual_s(usual_ms(city) / 1000))
    assert times.at(T0 + 29_999) is times.at(T0 - 29_999) is metric
    for at_ms in (T0 + 30_000, T0 - 60_000):
        other = times.at(at_ms)
        assert other is not metric
        assert (other.travel_ms == live.travel_ms(usual_ms(city), at_ms)).all()
    always = LiveTimes(city, usual_ms(city), live, remake_every_s=0)
    assert always.at(T0) is always.at(T0) is not always.at(T0 + 1)


def test_usual_times_follow_the_time_of_day():
    city = line_city()
    one = usual_ms(city)
    kinds, starts = np.repeat(np.arange(3), 2), np.tile([0, 720], 3)
    day = TimeOfDay(kinds, starts, np.stack([one, 2 * one] * 3), 15)
    times = LiveTimes(city, day, LiveTraffic(city))
    for hour in (6, 18):
        at_ms = T0 // 86_400_000 * 86_400_000 + hour * 3_600_000
        assert (times.at(at_ms).travel_ms == day.travel_ms_at(at_ms, city.timezone)).all()
        assert (times.usual_ms(at_ms) == day.travel_ms_at(at_ms, city.timezone)).all()
    for wrong in (one[:-1], TimeOfDay(kinds, starts, np.stack([one[:-1]] * 6), 15)):
        with pytest.raises(InputError, match="arcs"):
            LiveTimes(city, wrong, LiveTraffic(city))
    with pytest.raises(InputError, match="remake_every_s"):
        LiveTimes(city, one, LiveTraffic(city), remake_every_s=-1.0)


def test_who_asks_while_the_next_is_made_gets_the_last_one(monkeypatch):
    city = line_city()
    live = LiveTraffic(city)
    times = LiveTimes(city, usual_ms(city), live)
    old, begun, go_on, plain = times.at(T0), threading.Event(), threading.Event(), live.travel_ms

    def slowly(usual, at_ms):
        begun.set()
        assert go_on.wait(10)
        return plain(usual, at_ms)

    monkeypatch.setattr(live, "travel_ms", slowly)
    made = []
    thread = threading.Thread(target=lambda: made.append(times.at(T0 + 60_000)))
    thread.start()
    assert begun.wait(10)
    assert times.at(T0 + 60_000) is old
    go_on.set()
    thread.join()
    assert times.at(T0 + 60_000) is made[0] is not old


def test_many_threads_ask_while_one_tells():
    city = grid_city(5, 5)
    live, ways, usual = LiveTraffic(city), random_ways(city, 300), usual_ms(city)
    times, wrong, stopped = LiveTimes(city, usual, live, remake_every_s=0), [], threading.Event()

    def ask():
        while not stopped.is_set():
            found = times.at(live.clock_ms or T0).travel_ms
            if not ((found > 0) & (found < UNREACHABLE_MS)).all():
                wrong.append(found)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for begin in range(0, 300, 10):
        some = ways.take(begin, begin + 10)
        live.observe(some, some.usual_s(usual / 1000))
    stopped.set()
    for thread in threads:
        thread.join()
    alone = LiveTraffic(city)
    alone.observe(ways, ways.usual_s(usual / 1000))
    assert wrong == []
    assert (live.log_factor(T0) == alone.log_factor(T0)).all()
