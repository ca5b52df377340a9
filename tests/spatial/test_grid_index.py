import math

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from scipy.spatial import KDTree

from dispatch.errors import InputError
from dispatch.spatial import grid_index
from dispatch.spatial.grid_index import GridIndex
from naive.neighbours import MovingItems, neighbours

ANYWHERE = st.floats(-1e8, 1e8)
LATTICE = st.integers(-3, 3).map(float)  # ties and equal points abound
CITY = st.floats(-5_000, 5_000)
POINTS = st.one_of(
    *(st.lists(st.tuples(value, value), max_size=60) for value in (ANYWHERE, LATTICE, CITY)),
    st.lists(st.tuples(CITY, st.just(7.0)), max_size=60),
    st.lists(st.tuples(st.one_of(LATTICE, ANYWHERE), st.one_of(LATTICE, ANYWHERE)), max_size=60),
)


def rows(found):
    return [
        list(zip(found.distance_m[a:b].tolist(), found.item[a:b].tolist(), strict=True))
        for a, b in zip(found.first[:-1], found.first[1:], strict=True)
    ]


def pairs(item, distance_m):
    return list(zip(distance_m.tolist(), item.tolist(), strict=True))


def check(points, queries, k, limit_m, available=None):
    """Batches and single queries agree with brute force, to the last bit."""
    x, y = np.array(points, np.float64).reshape(-1, 2).T
    qx, qy = np.array(queries, np.float64).reshape(-1, 2).T
    index = GridIndex(x, y)
    places = list(zip(qx.tolist(), qy.tolist(), strict=True))
    expected = [neighbours(x, y, a, b, k, limit_m, available) for a, b in places]
    assert rows(index.nearest(qx, qy, k, limit_m, available)) == expected
    assert [pairs(*index.nearest_one(a, b, k, limit_m, available)) for a, b in places] == expected
    expected = [neighbours(x, y, a, b, None, limit_m, available) for a, b in places]
    assert rows(index.within(qx, qy, limit_m, available)) == expected
    assert [pairs(*index.within_one(a, b, limit_m, available)) for a, b in places] == expected


@given(
    POINTS,
    POINTS.map(lambda queries: queries[:8]),
    st.integers(1, 70),
    st.one_of(st.just(math.inf), st.just(0.0), st.floats(0, 10), st.floats(0, 1e8)),
    st.integers(0, 2**32),
    st.sampled_from([None, 0.0, 0.1, 0.9]),
)
@settings(max_examples=250, deadline=None)
@example([(0.0, 0.0)] * 60, [(0.0, 0.0), (1.0, 0.0)], 5, math.inf, 0, None)
@example([(1e-200, 0.0), (0.0, 0.0), (1e-160, 0.0)], [(0.0, 0.0)], 2, math.inf, 0, None)
def test_agrees_with_brute_force(points, queries, k, limit_m, seed, share):
    available = None if share is None else np.random.default_rng(seed).random(len(points)) < share
    check(points, queries, k, limit_m, available)


def crowd(num_items, seed=0):
    return np.random.default_rng(seed).normal(0, 3_000, (num_items, 2))


ADVERSARIAL = {
    "one point 5000 km away": np.vstack([crowd(300), [(5e6, 5e6)]]),
    "outliers on all sides": np.vstack([crowd(300), [(5e6, 0), (-5e6, 0), (0, 5e6), (0, -5e6)]]),
    "a diagonal": np.column_stack([np.arange(300.0), np.arange(300.0)]),
    "a thin strip": np.column_stack([np.linspace(0, 1e6, 300), np.tile([0, 1e-3], 150)]),
    "a line north": np.column_stack([np.full(300, 5.0), np.linspace(-1e4, 1e4, 300)]),
    "all at one spot": np.full((300, 2), 12.5),
    "all at one spot but one": np.vstack([np.full((300, 2), 12.5), [(1e4, -1e4)]]),
    "two crowds far apart": np.vstack([crowd(150), crowd(150, 1) + 1e6]),
    "edges of cells": np.array([(c * 0.1, r * 0.1) for c in range(18) for r in range(18)]),
    "large coordinates": crowd(300) + 9e8,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(
    ("k", "limit_m"),
    [(1, math.inf), (7, 500.0), pytest.param(400, math.inf, marks=pytest.mark.compiled), (400, 1e4)],
)
def test_adversarial_sets(name, k, limit_m):
    points = ADVERSARIAL[name]
    low, high = points.min(axis=0), points.max(axis=0)
    rng = np.random.default_rng(5)
    queries = np.vstack(
        [
            rng.uniform(low - 10, high + 10, (8, 2)),
            points[rng.integers(0, len(points), 6)],
            [(8e8, -8e8), (low[0] - 2e4, low[1]), (high[0], high[1] + 2e6)],
        ]
    )
    check(points, queries, k, limit_m)
    check(points, queries, k, limit_m, rng.random(len(points)) < 0.2)


def test_ties_go_to_the_lower_row_also_at_the_cut():
    ring = [(math.cos(a), math.sin(a)) for a in (0, math.pi)] * 5
    found = GridIndex(*np.array(ring).T).nearest([0.0], [0.0], 3)
    assert found.item.tolist() == [0, 1, 2]
    assert found.distance_m.tolist() == [1.0, 1.0, 1.0]


def test_limits_include_their_edge():
    index = GridIndex([0.0, 3.0, 5.0], [0.0, 4.0, 0.0])
    assert index.nearest([0.0], [0.0], 9, 5.0).item.tolist() == [0, 1, 2]
    assert index.within([0.0], [0.0], 5.0).item.tolist() == [0, 1, 2]
    below = np.nextafter(5.0, 0)
    assert index.nearest([0.0], [0.0], 9, below).item.tolist() == [0]
    assert index.within([0.0], [0.0], below).item.tolist() == [0]


def test_no_items_and_no_queries():
    empty = GridIndex([], [])
    assert len(empty) == 0
    assert rows(empty.nearest([1.0, 2.0], [1.0, 2.0], 3)) == [[], []]
    assert rows(empty.within([1.0], [1.0], 3.0, np.empty(0, np.bool_))) == [[]]
    assert rows(GridIndex([1.0], [2.0]).nearest([], [], 3)) == []


def test_dtypes_and_copies():
    x = np.array([1.0, 2.0])
    index = GridIndex(x, x)
    x[0] = 1e6
    found = index.nearest(np.float32([0]), [0], 5)
    assert [a.dtype for a in found] == [np.int32, np.int32, np.float64]
    assert found.item.tolist() == [0, 1]


def test_strided_and_read_only_input_is_read_right():
    points = np.random.default_rng(4).uniform(0, 100, (50, 2))
    points.flags.writeable = False
    found = GridIndex(points[:, 0], points[:, 1]).nearest(points[::5, 0], points[::5, 1], 1)
    assert found.item.tolist() == list(range(0, 50, 5))


ROUND = st.tuples(
    st.sampled_from(["move", "move", "add", "remove"]), st.integers(0, 30), st.integers(0, 2**32)
)
SPREADS = {"lattice": 3, "city": 5_000, "anywhere": 1e8}


def places(random, num, spread):
    points = random.uniform(-spread, spread, (2, num))
    return np.round(points) if spread == SPREADS["lattice"] else points


def change(index, model, random, what, num, spread):
    """The same change to the index and to the model."""
    present = np.array(sorted(model.items), np.int64)
    if what == "add":
        x, y = places(random, num, spread)
        bits = random.integers(0, 8, num)
        assert index.add(x, y, bits).tolist() == model.add(x, y, bits)
    elif what == "move" and len(present):
        chosen, (x, y) = random.choice(present, num), places(random, num, spread)
        index.move(chosen, x, y)
        model.move(chosen, x, y)
    elif what == "remove":
        chosen = random.permutation(present)[:num]
        index.remove(chosen)
        model.remove(chosen)


@given(
    st.integers(0, 80),
    st.lists(ROUND, max_size=12),
    st.sampled_from(sorted(SPREADS)),
    st.booleans(),
    st.integers(0, 2**32),
)
@settings(max_examples=120, deadline=None)
def test_after_any_changes_it_agrees_with_brute_force_and_with_a_new_index(
    num, rounds, spread, one_by_one, seed
):
    spread = SPREADS[spread]
    random = np.random.default_rng(seed)
    x, y = places(random, num, spread)
    bits = random.integers(0, 8, num)
    index, model = GridIndex(x, y, bits), MovingItems(x, y, bits)
    with pytest.MonkeyPatch.context() as patch:
        if not one_by_one:
            patch.setattr(grid_index, "ALWAYS_MOVED", 0)
        for what, num_changed, seed_of_round in rounds:
            change(index, model, np.random.default_rng(seed_of_round), what, num_changed, spread)
            agree(index, model, random, spread)


def agree(index, model, random, spread):
    assert (len(index), index.num_rows) == (len(model.items), model.num_rows)
    qx, qy = places(random, 4, 1.5 * spread)
    available, accepted = random.random(index.num_rows) < 0.6, random.integers(0, 8, 4)
    k, limit_m = int(random.integers(1, 40)), random.choice([spread / 4, spread, math.inf])
    queries = list(zip(qx.tolist(), qy.tolist(), accepted.tolist(), strict=True))
    expected = [model.neighbours(a, b, k, limit_m, available, bits) for a, b, bits in queries]
    assert rows(index.nearest(qx, qy, k, limit_m, available, accepted)) == expected
    assert [pairs(*index.nearest_one(a, b, k, limit_m, available, c)) for a, b, c in queries] == expected
    expected = [model.neighbours(a, b, None, limit_m, None, 5) for a, b, _ in queries]
    assert rows(index.within(qx, qy, limit_m, classes=5)) == expected
    assert [pairs(*index.within_one(a, b, limit_m, classes=5)) for a, b, _ in queries] == expected
    present = np.array(sorted(model.items), np.int64)
    x, y, bits = np.array([model.items[row] for row in present]).reshape(-1, 3).T
    anew = GridIndex(x, y, bits.astype(np.int64)).nearest(qx, qy, k, classes=accepted)
    found = index.nearest(qx, qy, k, classes=accepted)
    assert rows(found) == rows(anew._replace(item=present[anew.item]))


@pytest.mark.compiled
@pytest.mark.parametrize("share", [0.001, 0.05, 1.0])
def test_a_city_on_the_move_stays_exact(share):
    random = np.random.default_rng(8)
    x, y = random.normal(0, 3_000, (2, 50_000))
    index, rows_of_all = GridIndex(x, y), np.arange(50_000)
    for _ in range(12):
        moved = random.permutation(rows_of_all)[: int(share * 50_000)]
        x[moved] += random.normal(40, 60, len(moved))  # all drift east, out of the cells
        y[moved] += random.normal(0, 60, len(moved))
        index.move(moved, x[moved], y[moved])
    queries = random.normal(0, 3_000, (2, 300))
    found, anew = index.nearest(*queries, 10), GridIndex(x, y).nearest(*queries, 10)
    assert all(np.array_equal(a, b) for a, b in zip(found, anew, strict=True))


def test_many_added_at_one_spot_are_found():
    index = GridIndex(*crowd(2_000).T)
    for _ in range(5):
        index.add(np.full(300, 7.0), np.full(300, 8.0))
    assert index.within([7.0], [8.0], 0.0).item.tolist() == list(range(2_000, 3_500))
    index.remove(np.arange(2_000, 3_500))
    assert index.within([7.0], [8.0], 0.0).item.tolist() == []
    assert index.add([7.0], [8.0]).tolist() == [3_499]


def test_a_change_that_is_refused_changes_nothing():
    x, y = crowd(20).T
    index = GridIndex(x, y, np.ones(20, np.int64))
    before = rows(index.nearest(x, y, 20))
    for call in (
        lambda: index.move([0, 20], [0.0, 0.0], [0.0, 0.0]),
        lambda: index.move([0, 1], [0.0, math.nan], [0.0, 0.0]),
        lambda: index.move([0, 1], [0.0], [0.0]),
        lambda: index.move([0.0], [0.0], [0.0]),
        lambda: index.move([2**40], [0.0], [0.0]),
        lambda: index.remove([3, 4, 3]),
        lambda: index.remove([-1]),
        lambda: index.add([1.0], [math.inf], [1]),
        lambda: index.add([1.0], [1.0]),
        lambda: index.add([1.0], [1.0], [1, 2]),
    ):
        with pytest.raises(InputError):
            call()
        assert rows(index.nearest(x, y, 20)) == before
        assert (len(index), index.num_rows) == (20, 20)


@pytest.mark.compiled
def test_outliers_and_queries_far_outside():
    points = np.vstack([np.random.default_rng(0).uniform(0, 2e4, (20_000, 2)), [(5e6, 5e6)]])
    queries = np.random.default_rng(1).uniform(0, 2e4, (5_000, 2))
    outside = queries + np.array([1e5, -2e5])
    index = GridIndex(*points.T)
    for asked in (queries, outside):
        found = index.nearest(*asked.T, 5)
        expected, _ = KDTree(points).query(asked, 5)
        np.testing.assert_allclose(found.distance_m.reshape(-1, 5), expected, rtol=1e-12)


@pytest.mark.compiled
@pytest.mark.parametrize("num_available", [0, 1, 5])
def test_few_available_items_among_many(num_available):
    x, y = np.random.default_rng(0).uniform(0, 2e4, (2, 50_000))
    index, available = GridIndex(x, y), np.zeros(50_000, np.bool_)
    available[:num_available] = True
    found = index.nearest(x[:200], y[:200], 10, available=available)
    for row in range(20):
        item, distance_m = index.nearest_one(x[row], y[row], 10, available=available)
        assert pairs(item, distance_m) == neighbours(x[:num_available], y[:num_available], x[row], y[row], 10)
    assert np.diff(found.first).tolist() == [num_available] * 200


@pytest.mark.compiled
def test_thousands_of_neighbours():
    x, y = np.random.default_rng(0).uniform(0, 2e4, (2, 50_000))
    index = GridIndex(x, y)
    found = index.nearest(x[:100], y[:100], 5_000)
    expected, _ = KDTree(np.column_stack([x, y])).query(np.column_stack([x[:100], y[:100]]), 5_000)
    np.testing.assert_allclose(found.distance_m.reshape(100, 5_000), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: i.nearest([0.0], [0.0], 0), "k is 0"),
        (lambda i: i.nearest([0.0], [0.0], 1, -1.0), "max_distance_m is -1.0"),
        (lambda i: i.nearest([0.0], [0.0], 1, math.nan), "max_distance_m is nan"),
        (lambda i: i.within([0.0], [0.0], -1.0), "radius_m is -1.0"),
        (lambda i: i.nearest([0.0, math.nan], [0.0, 0.0], 1), "query_x at row 1 is nan"),
        (lambda i: i.within([0.0], [math.inf], 1.0), "query_y at row 0 is inf"),
        (lambda i: i.nearest([0.0], [0.0, 1.0], 1), "query_x has shape"),
        (lambda i: i.nearest([0.0], [0.0], 1, available=np.ones(2, np.bool_)), "available is bool of shape"),
        (lambda i: i.nearest([0.0], [0.0], 1, available=np.ones(3, np.int8)), "available is int8"),
        (lambda i: i.nearest([0.0], [0.0], 1, classes=1), "the index has none"),
        (
            lambda i: GridIndex([0.0], [0.0], [1]).nearest([0.0], [0.0], 1, classes=[1, 2]),
            "classes have shape",
        ),
        (lambda i: GridIndex([0.0], [0.0], [1, 2]), "classes have shape"),
        (lambda i: i.nearest_one(math.nan, 0.0, 1), "x is nan"),
        (lambda i: i.nearest_one(0.0, math.inf, 1), "y is inf"),
        (lambda i: i.nearest_one(0.0, 0.0, 0), "k is 0"),
        (lambda i: i.nearest_one(0.0, 0.0, 1, math.nan), "max_distance_m is nan"),
        (lambda i: i.nearest_one(0.0, 0.0, 1, available=np.ones(2, np.bool_)), "available is bool of shape"),
        (lambda i: i.nearest_one(0.0, 0.0, 1, classes=1), "the index has none"),
        (lambda i: i.within_one(0.0, -2e9, 1.0), "y is -2000000000.0"),
        (lambda i: i.within_one(0.0, 0.0, -1.0), "radius_m is -1.0"),
        (lambda i: i.add([0.0], [0.0], [1]), "classes are given"),
        (lambda i: i.move([3], [0.0], [0.0]), "item at row 0 is 3"),
        (lambda i: i.remove([1, 1]), "item at row 1 is 1: .* named twice"),
        (lambda i: GridIndex([0.0, math.nan], [0.0, 0.0]), "x at row 1 is nan"),
        (lambda i: GridIndex([0.0], [2e9]), "y at row 0 is 2000000000.0"),
        (lambda i: GridIndex([[0.0]], [[0.0]]), "x has shape"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call(GridIndex([0.0, 1.0, 2.0], [0.0, 1.0, 2.0]))


def test_more_rows_than_int32_counts_are_refused():
    everywhere = GridIndex(np.zeros(50_000), np.zeros(50_000))
    queries = np.zeros(50_000)
    with pytest.raises(InputError, match="2500000000 rows, more than 2147483647: ask in smaller batches"):
        everywhere.nearest(queries, queries, 50_000)
