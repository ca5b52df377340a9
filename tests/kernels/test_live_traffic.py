import numpy as np
import pytest

from dispatch.kernels.live_traffic import (
    LARGEST,
    MOST_HALF_LIVES,
    NEVER_MS,
    NUM_COLUMNS,
    NUM_LEVELS,
    Queries,
    Rates,
    State,
    Ways,
    cut_stretches,
    log_factors,
    replay,
)
from dispatch.units import NO_INDEX
from naive.live_traffic import NaiveTraffic

T0 = 1_700_000_000_000
STRETCH_OF = np.array([0, 0, 1, 1, 1, 2, 3, 3, 4, 4], np.int32)
CELL_OF = np.array([0, 0, 0, 0, 1, 1, 1, 2, 2, 2], np.int32)
NUM_DRIVERS = 4


def rates_of(**changes):
    half_s = np.array([420, 300, 600, 3_600, 500, 1_000])
    prior = np.array([2.0, 1.5, 5.0, 8.0, 10.0, 3.0])
    rates = Rates(half_s * 1000, prior, 2.0, 0.5, 0.8, 1.5, 0.2, 4.0)
    return rates._replace(**changes)


def unknown():
    """A state before the first observation."""
    seen = [np.full((num, 3), NO_INDEX, np.int32) for num in (len(STRETCH_OF), STRETCH_OF.max() + 1)]
    for one in seen:
        one[:, 2] = 0
    return State(
        np.zeros(NUM_LEVELS, np.int64),
        np.full(1, NEVER_MS, np.int64),
        np.zeros((len(STRETCH_OF), 4)),
        seen[0],
        np.zeros((len(seen[1]), 4)),
        seen[1],
        np.zeros((CELL_OF.max() + 1, 4)),
        np.zeros((1, 2)),
        np.zeros((NUM_DRIVERS, 2)),
        STRETCH_OF.copy(),
        CELL_OF.copy(),
    )


def random_routes(rng, num):
    first = np.zeros(num + 1, np.int64)
    np.cumsum(rng.integers(0, 5, num), out=first[1:])
    edge = rng.integers(0, len(STRETCH_OF), first[-1]).astype(np.int32)
    return first, edge, rng.uniform(0, 30, first[-1]) * (rng.random(first[-1]) < 0.9)


def random_ways(rng, num, span_s=3_600):
    """Ways of a city in which one stretch slows and recovers."""
    first, edge, usual_s = random_routes(rng, num)
    ended_at_ms = T0 + np.sort(rng.integers(0, span_s * 1000, num))
    ended_at_ms[1::7] = ended_at_ms[:-1:7][: len(ended_at_ms[1::7])]  # some end at one instant
    ended_at_ms = np.sort(ended_at_ms)
    duration_s = np.empty(num)
    for w in range(num):
        some = slice(first[w], first[w + 1])
        is_jam = (ended_at_ms[w] - T0) // 600_000 % 2 == 1
        taken_s = usual_s[some] * np.where(is_jam & (STRETCH_OF[edge[some]] < 2), 6.0, 1.0)
        duration_s[w] = taken_s.sum() * rng.lognormal(0, 0.4) + 1e-3
    return Ways(first, edge, usual_s, duration_s, ended_at_ms, rng.integers(0, 4, num).astype(np.int32))


def random_queries(rng, num, span_s=4_000):
    first, edge, usual_s = random_routes(rng, num)
    at_ms = T0 + rng.integers(-100_000, span_s * 1000, num)
    order = np.argsort(at_ms, kind="stable").astype(np.int32)
    driver = rng.integers(-1, NUM_DRIVERS, num).astype(np.int32)
    return Queries(order, at_ms, first, edge, usual_s, driver)


def run(state, rates, ways, queries):
    known = np.full((len(queries.at_ms), NUM_COLUMNS), np.nan)
    replay(state, rates, ways, queries, np.empty(5), known)
    return known


def entries(routes, row):
    some = slice(routes.first[row], routes.first[row + 1])
    return list(zip(routes.edge[some].tolist(), routes.usual_s[some].tolist(), strict=True))


def take(ways, begin, end):
    low, high = ways.first[begin], ways.first[end]
    inner = (ways.first[begin : end + 1] - low, ways.edge[low:high].copy(), ways.usual_s[low:high].copy())
    return Ways(*inner, *(column[begin:end].copy() for column in ways[3:]))


def ask(queries, rows):
    """Some of the queries, in their order."""
    sizes = np.diff(queries.first)[rows]
    first = np.concatenate([[0], np.cumsum(sizes)])
    at = np.concatenate([np.arange(queries.first[q], queries.first[q + 1]) for q in rows] or [[]])
    at = at.astype(np.int64)
    order = np.argsort(queries.at_ms[rows], kind="stable").astype(np.int32)
    return Queries(
        order, queries.at_ms[rows], first, queries.edge[at], queries.usual_s[at], queries.driver[rows]
    )


NOBODY = ask(random_queries(np.random.default_rng(0), 3), np.empty(0, np.int64))


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_naive_one(seed):
    rng = np.random.default_rng(seed)
    ways, queries, rates = random_ways(rng, 250), random_queries(rng, 60), rates_of()
    state, naive = unknown(), NaiveTraffic(rates_of(), STRETCH_OF.tolist(), CELL_OF.tolist())
    known, expected = run(state, rates, ways, queries), np.empty((60, NUM_COLUMNS))
    done = 0
    for q in queries.order:
        while done < 250 and ways.ended_at_ms[done] < queries.at_ms[q]:
            naive.observe(*_way(ways, done))
            done += 1
        driver = int(queries.driver[q])
        expected[q] = naive.known(
            int(queries.at_ms[q]), None if driver == NO_INDEX else driver, entries(queries, q)
        )
    np.testing.assert_allclose(known, expected, rtol=1e-9, atol=1e-11)
    for w in range(done, 250):
        naive.observe(*_way(ways, w))
    at_ms, found = int(ways.ended_at_ms[-1]) + 60_000, np.empty(len(STRETCH_OF))
    log_factors(state, rates, at_ms, found)
    expected = [naive.beliefs(at_ms, edge)[0] for edge in range(len(STRETCH_OF))]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    assert state.stretch_seen[:, 2].max() > 0  # jams were believed and forgotten


def _way(ways, w):
    return int(ways.ended_at_ms[w]), int(ways.driver[w]), float(ways.duration_s[w]), entries(ways, w)


def test_replay_is_what_one_knows_step_by_step():
    rng = np.random.default_rng(9)
    ways, queries, rates = random_ways(rng, 200), random_queries(rng, 50), rates_of()
    at_once, state = run(unknown(), rates, ways, queries), unknown()
    done = 0
    for q in queries.order:
        upto = int(np.searchsorted(ways.ended_at_ms, queries.at_ms[q]))
        run(state, rates, take(ways, done, upto), NOBODY)
        known = run(state, rates, take(ways, 0, 0), ask(queries, np.array([q])))
        assert (known[0] == at_once[q]).all()
        done = upto


def test_a_way_counts_only_after_its_end():
    rng = np.random.default_rng(2)
    ways = random_ways(rng, 1)._replace(
        first=np.array([0, 1]),
        edge=np.array([3], np.int32),
        usual_s=np.array([20.0]),
        duration_s=np.array([30.0]),
    )
    end = int(ways.ended_at_ms[0])
    queries = Queries(
        np.arange(3, dtype=np.int32),
        np.array([end - 1, end, end + 1]),
        np.arange(4),
        np.full(3, 3, np.int32),
        np.full(3, 10.0),
        np.full(3, ways.driver[0], np.int32),
    )
    known = run(unknown(), rates_of(), ways, queries)
    assert (known[:2] == 0).all()
    assert (known[2] > 0).all()


def test_bases_move_without_a_trace():
    rates, rng = rates_of(), np.random.default_rng(3)
    ways = random_ways(rng, 150, span_s=420 * (MOST_HALF_LIVES + 9))
    state, naive = unknown(), NaiveTraffic(rates, STRETCH_OF.tolist(), CELL_OF.tolist())
    run(state, rates, ways, NOBODY)
    for w in range(150):
        naive.observe(*_way(ways, w))
    assert state.base_ms.min() < state.base_ms.max()
    found, at_ms = np.empty(len(STRETCH_OF)), int(ways.ended_at_ms[-1])
    log_factors(state, rates, at_ms, found)
    expected = [naive.beliefs(at_ms, edge)[0] for edge in range(len(STRETCH_OF))]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10)
    for days in (400, 40_000):  # all is forgotten, and learnt anew
        late = take(ways, 0, 1)
        late = late._replace(ended_at_ms=late.ended_at_ms + days * 86_400_000)
        run(state, rates, late, NOBODY)
        assert np.isfinite(np.concatenate([one.ravel() for one in state[2:9]])).all()
        assert state.city[0, 0] <= 1.0


def test_all_is_forgotten_in_the_end():
    rates, rng = rates_of(), np.random.default_rng(4)
    state, found = unknown(), np.empty(len(STRETCH_OF))
    log_factors(state, rates, T0, found)
    assert (found == 0).all()
    run(state, rates, random_ways(rng, 100), NOBODY)
    for half_lives in (200.0, 2 * LARGEST):
        log_factors(state, rates, T0 + round(half_lives * 3_600_000), found)
        np.testing.assert_allclose(found, 0, atol=1e-9)


# --- stretches -----------------------------------------------------------------------------------


def stretches(next_arc, has_choice, length_m, most_m):
    stretch = np.empty(len(next_arc), np.int32)
    num = cut_stretches(
        np.array(next_arc, np.int32),
        np.array(has_choice, np.bool_),
        np.array(length_m, np.float64),
        float(most_m),
        stretch,
    )
    assert set(stretch.tolist()) == set(range(num))
    return stretch.tolist()


def test_streets_are_cut_where_they_grow_too_long():
    line = [1, 2, 3, 4, -1]
    assert stretches(line, [True] * 5, [100] * 5, 250) == [0, 0, 1, 1, 2]
    assert stretches(line, [True] * 5, [100] * 5, 0) == [0, 1, 2, 3, 4]
    assert stretches([-1, 0, 1], [True] * 3, [100] * 3, 250) == [1, 0, 0]
    assert stretches([-1, -1], [True] * 2, [1, 1], 9) == [0, 1]


def test_what_nobody_can_leave_stays_together():
    assert stretches([1, 2, 3, 4, -1], [True, False, False, True, True], [100] * 5, 250) == [0, 1, 1, 1, 2]
    assert stretches([1, 2, 3, 4, -1], [False] * 5, [100] * 5, 250) == [0] * 5


@pytest.mark.parametrize("has_choice", [True, False])
def test_rings_have_no_end(has_choice):
    cut = [0, 0, 1, 1] if has_choice else [0] * 4
    assert stretches([1, 2, 3, 0], [has_choice] * 4, [100] * 4, 250) == cut
    assert stretches([0], [has_choice], [100], 250) == [0]
