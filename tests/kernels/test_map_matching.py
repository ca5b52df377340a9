import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels import map_matching as kernels
from dispatch.kernels.all_pairs import AllPairs
from dispatch.kernels.map_matching import FROZEN, MATCHED, SAME_INSTANT, STANDING, TELEPORTING
from dispatch.kernels.near_edges import Nearby
from dispatch.units import NO_INDEX, UNREACHABLE_MS
from naive.map_matching import Roads, least_cost, places_near, way_cost

LIMITS = kernels.Limits(40.0 / 1000, 50.0, 300_000.0, 10.0)


def screened(*pings):
    """States and first pings of (driver, seconds, x)."""
    driver, at_s, x = (list(column) for column in zip(*pings, strict=True))
    positions = kernels.Positions(
        np.array(driver, np.int64), np.array(at_s, np.int64) * 1000, np.array(x, float), np.zeros(len(x))
    )
    state, begins = np.full(len(x), 9, np.int8), np.full(len(x), True)
    kernels.screen(positions, LIMITS, state, begins)
    return state.tolist(), np.flatnonzero(begins).tolist()


def test_a_car_that_moves_less_than_the_noise_stands():
    pings = [(1, 0, 0.0), (1, 60, 6.0), (1, 120, -6.0), (1, 180, 14.0), (1, 240, 15.0)]
    assert screened(*pings) == ([MATCHED, STANDING, STANDING, MATCHED, STANDING], [0])


def test_drivers_and_long_gaps_begin_anew():
    pings = [(1, 0, 0.0), (1, 400, 50.0), (2, 410, 50.0), (2, 420, 90.0)]
    assert screened(*pings) == ([MATCHED] * 4, [0, 1, 2])


def test_one_ping_far_away_is_a_mistake():
    pings = [(1, 0, 0.0), (1, 60, 100.0), (1, 120, 90_000.0), (1, 180, 300.0)]
    assert screened(*pings) == ([MATCHED, MATCHED, TELEPORTING, MATCHED], [0])
    assert screened(*pings[:3]) == ([MATCHED, MATCHED, TELEPORTING], [0])
    # The ping after it is another driver's, or too late to say anything.
    assert screened(*pings[:3], (2, 130, 90_000.0))[0] == [MATCHED, MATCHED, TELEPORTING, MATCHED]
    assert screened(*pings[:3], (1, 500, 90_000.0)) == ([MATCHED, MATCHED, TELEPORTING, MATCHED], [0, 3])


def test_who_is_far_away_twice_is_there():
    pings = [(1, 0, 0.0), (1, 60, 100.0), (1, 120, 90_000.0), (1, 180, 90_300.0)]
    assert screened(*pings) == ([MATCHED] * 4, [0, 2])


def test_a_position_that_froze_before_a_jump_says_nothing():
    pings = [(1, 0, 0.0), (1, 60, 900.0), (1, 120, 900.0), (1, 180, 900.0), (1, 240, 9_000.0)]
    state, begins = screened(*pings, (1, 300, 9_500.0))
    assert (state, begins) == ([MATCHED, MATCHED, FROZEN, FROZEN, MATCHED, MATCHED], [0, 4])
    # Who stands and drives on stood.
    assert screened(*pings[:4], (1, 240, 1_500.0))[0] == [MATCHED, MATCHED, STANDING, STANDING, MATCHED]


def test_two_pings_of_one_instant():
    pings = [(1, 0, 0.0), (1, 60, 100.0), (1, 60, 200.0), (1, 30, 50.0), (1, 120, 300.0)]
    assert screened(*pings) == ([MATCHED, MATCHED, SAME_INSTANT, SAME_INSTANT, MATCHED], [0])


# --- the likeliest sequence ----------------------------------------------------------------------


def table_of(roads, num_nodes):
    """All travel times by textbook Dijkstra; arcs are sorted by tail."""
    to_ms = np.full((num_nodes, num_nodes), UNREACHABLE_MS, np.int32)
    for node in range(num_nodes):
        for to, ms in roads.times_from(node).items():
            to_ms[to, node] = ms
    tail, head, travel_ms, _ = (np.array(column) for column in zip(*roads.edges, strict=True))
    first_arc = np.searchsorted(tail, np.arange(num_nodes + 1)).astype(np.int32)
    return AllPairs(
        to_ms,
        np.zeros((num_nodes, num_nodes), np.uint8),
        np.arange(num_nodes, dtype=np.int32),
        first_arc,
        head.astype(np.int32),
        travel_ms.astype(np.int32),
        np.ones(len(head)),
    )


NO_TABLE = AllPairs(
    np.empty((0, 0), np.int32),
    np.empty((0, 0), np.uint8),
    *(np.empty(0, np.int32) for _ in range(4)),
    np.empty(0),
)


def streets_of(roads, table):
    columns = [np.array(column, np.int32) for column in list(zip(*roads.edges, strict=True))[:3]]
    length_m = np.array([edge[3] for edge in roads.edges], float)
    tail, head, travel_ms = columns
    return kernels.Streets(tail, head, np.array(roads.twin, np.int32), travel_ms, length_m, table)


def transitions_of(roads, begins, nearby):
    """Times between edges as the hierarchy tells them: by gates, which are nodes here."""
    tail, head = (np.array([edge[k] for edge in roads.edges], np.int32) for k in (0, 1))
    num_nodes = int(max(tail.max(), head.max())) + 1
    room = len(nearby.edge)
    found = kernels.Transitions(np.zeros(room, np.int64), np.zeros(room, np.int32), np.empty(0, np.int32))
    first = np.full(num_nodes + 1, 9, np.int64)
    entry = kernels.list_pairs(begins, nearby, kernels.Gates(head, tail), first, found)
    assert (first[0], first[-1]) == (0, len(entry))
    source = np.repeat(np.arange(num_nodes), np.diff(first)).tolist()
    ms = [roads.times_from(s).get(t, UNREACHABLE_MS) for s, t in zip(source, entry.tolist(), strict=True)]
    return found._replace(ms=np.array(ms, np.int32))


def matched(roads, weights, positions, num_nodes, with_table):
    """Cost, place of each position and whether it is joined."""
    first = np.cumsum([0] + [len(places) for *_, places in positions]).astype(np.int32)
    rows = [place for *_, places in positions for place in places]
    distance_m, edge, share = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [])
    nearby = Nearby(first, np.array(edge, np.int32), np.array(share, float), np.array(distance_m, float))
    begins, at_ms, left_ms, _ = zip(*positions, strict=True)
    num = len(positions)
    observed = kernels.Observed(
        np.array(begins), np.array(at_ms, np.int64), np.array(left_ms, np.int64), np.zeros(num), np.zeros(num)
    )
    none = kernels.Transitions(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.int32))
    transitions = none if with_table else transitions_of(roads, observed.begins, nearby)
    streets = streets_of(roads, table_of(roads, num_nodes) if with_table else NO_TABLE)
    trellis = kernels.Trellis(np.empty(len(rows)), np.empty(len(rows), np.int32))
    place, joined = np.full(num, 9, np.int32), np.full(num, True)
    cost = kernels.match(streets, observed, nearby, transitions, weights, trellis, place, joined)
    return cost, place.tolist(), joined.tolist(), first.tolist()


@st.composite
def networks(draw):
    """Points, edges sorted by tail, twins, and the streets of one direction each."""
    num = draw(st.integers(2, 7))
    points = draw(
        st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=num, max_size=num, unique=True)
    )
    points = [(40.0 * x, 40.0 * y) for x, y in points]
    pairs = st.tuples(st.integers(0, num - 1), st.integers(0, num - 1)).filter(
        lambda pair: pair[0] != pair[1]
    )
    ways = draw(st.lists(st.tuples(pairs, st.booleans(), st.integers(1, 9)), min_size=1, max_size=10))
    arcs = []
    for k, ((one, other), is_two_way, s) in enumerate(ways):
        length_m = math.dist(points[one], points[other])
        arcs.append((one, other, 1000 * s, length_m, k))
        if is_two_way:
            arcs.append((other, one, 1000 * s, length_m, k))
    arcs.sort()
    twin = [
        next((j for j, other in enumerate(arcs) if other[4] == arc[4] and j != i), -1)
        for i, arc in enumerate(arcs)
    ]
    streets = {i: (points[arc[0]], points[arc[1]]) for i, arc in enumerate(arcs) if not 0 <= twin[i] < i}
    return num, Roads([arc[:4] for arc in arcs], twin), streets


@given(
    networks(),
    st.lists(
        st.tuples(st.integers(0, 340), st.integers(0, 340), st.integers(1, 60), st.integers(0, 9)),
        min_size=1,
        max_size=7,
    ),
    st.sampled_from([30.0, 90.0]),
)
@settings(max_examples=150)
def test_finds_the_likelihood_of_the_likeliest_sequence(network, seen, radius_m):
    num_nodes, roads, streets = network
    weights = kernels.Weights(0.5 / 20.0**2, 1 / 6000, 1 / 10_000, 5.0, 60.0, 3.0, 2_000.0, 55_000.0)
    positions, at_ms = [], 0
    for x, y, after_s, kind in seen:
        at_ms += 1000 * after_s
        places = places_near(streets, roads.twin, (x, y), radius_m, 5)
        positions.append((kind == 0, at_ms, at_ms + 500 * (kind == 1), places))
    expected, starts = least_cost(roads, weights, positions)
    for with_table in (True, False):
        cost, place, joined, first = matched(roads, weights, positions, num_nodes, with_table)
        assert cost == pytest.approx(expected)
        assert [place[u] == NO_INDEX for u in range(len(seen))] == [not one[3] for one in positions]
        there = [u for u in range(len(seen)) if place[u] != NO_INDEX]
        assert [u for u in there if not joined[u]] == starts
        # What is written costs what is said.
        total, before = 0.0, None
        for u in there:
            one = positions[u][3][place[u] - first[u]]
            total += weights.per_squared_m * one[0] ** 2
            if joined[u]:
                left_ms, places = positions[before][2:]
                other = places[place[before] - first[before]]
                elapsed_ms = positions[u][1] - left_ms
                total += way_cost(roads, weights, elapsed_ms, other, one, places, positions[u][3])
            before = u
        assert total == pytest.approx(expected)
