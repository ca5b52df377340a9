import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.nearest_by_time import nearest_items
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS
from naive.hierarchy import times_below
from roads.road_graphs import SHAPES, WEIGHTS, Contracted, contracted, ends_of, ints, places_of


def nearest_of(graph, items, others, k, max_ms, order=None, row_of_item=None):
    """By place: (time, row) of its nearest items, which are called by their rows in the list."""
    rows = range(len(items)) if row_of_item is None else row_of_item
    by_rank = sorted(range(len(items)), key=lambda i: items[i][0][0])
    item, ms = np.full(len(others) * k, -7, np.int32), np.full(len(others) * k, -7, np.int32)
    nearest_items(
        graph.climb(),
        ends_of([items[i] for i in by_rank]),
        ints([rows[i] for i in by_rank]),
        ends_of(others),
        ints(range(len(others)) if order is None else order),
        max_ms,
        item,
        ms,
    )
    item, ms = item.reshape(len(others), k), ms.reshape(len(others), k)
    # What is empty is so at the end of each row, of both columns alike.
    assert ((item == NO_INDEX) == (ms == UNREACHABLE_MS)).all()
    found = [list(zip(*both, strict=True)) for both in zip(ms.tolist(), item.tolist(), strict=True)]
    for one in found:
        num = sum(row != NO_INDEX for _, row in one)
        assert all(row == NO_INDEX for _, row in one[num:])
    return [[pair for pair in one if pair[1] != NO_INDEX] for one in found]


def expected_of(graph, items, others, k, max_ms, row_of_item=None):
    """All times, sorted."""
    rows = range(len(items)) if row_of_item is None else row_of_item
    _, _, times = times_below(len(graph.rank), graph.arcs)
    found = []
    for other in others:
        all_times = [
            (min(a + times[v][w] + b for v, a in item for w, b in other), row)
            for item, row in zip(items, rows, strict=True)
        ]
        found.append(sorted((ms, row) for ms, row in all_times if ms <= max_ms)[:k])
    return found


def check(graph, items, others, k, max_ms, **options):
    found = nearest_of(graph, items, others, k, max_ms, **options)
    options.pop("order", None)
    assert found == expected_of(graph, items, others, k, max_ms, **options)
    return found


@given(contracted(), st.data())
@settings(max_examples=150)
def test_as_all_times_sorted(graph, data):
    items = data.draw(places_of(graph, max_places=7, min_places=1))
    others = data.draw(places_of(graph, max_places=5, min_places=1))
    k = data.draw(st.integers(1, len(items) + 2))
    max_ms = min(data.draw(st.one_of(st.just(MAX_TRAVEL_MS), WEIGHTS)), MAX_TRAVEL_MS)
    check(
        graph,
        items,
        others,
        k,
        max_ms,
        order=data.draw(st.permutations(range(len(others)))),
        row_of_item=data.draw(st.permutations(range(len(items)))),
    )


@pytest.mark.parametrize("shape", ["path", "star", "grid", "many parts", "binary tree"])
@pytest.mark.parametrize("weight", [0, 1])
def test_hard_shapes_full_of_ties(shape, weight):
    num_nodes, links = SHAPES[shape]
    rng = np.random.default_rng(num_nodes)
    arcs = [(*end, weight) for a, b in links for end in ((a, b), (b, a))]
    graph = Contracted(num_nodes, arcs, rng.permutation(num_nodes).tolist())
    items = [[(int(v), 0)] for v in rng.integers(0, num_nodes, 20)]
    others = [[(v, 0)] for v in range(num_nodes)]
    for k in (1, 4, 25):
        check(graph, items, others, k, MAX_TRAVEL_MS)


@pytest.fixture
def line():
    """0 <-> 1 <-> 2 <-> 3 at 10 ms each, and 4, from which one comes to 3 but not back."""
    arcs = [(*end, 10) for v in range(3) for end in ((v, v + 1), (v + 1, v))]
    return Contracted(5, [*arcs, (4, 3, 10)], [0, 3, 1, 4, 2])


def at(graph, *nodes):
    return [[(graph.rank[node], 0)] for node in nodes]


def test_of_equal_times_the_lower_row_comes_first(line):
    """Items on both sides, whatever they are called."""
    sides, middle = at(line, 0, 2, 0, 2), at(line, 1)
    for rows in ([0, 1, 2, 3], [3, 2, 1, 0], [8, 0, 9, 5]):
        for k in (1, 2, 3, 4):
            (found,) = check(line, sides, middle, k, MAX_TRAVEL_MS, row_of_item=rows)
            assert found == [(10, row) for row in sorted(rows)[:k]]


def test_many_items_at_one_node(line):
    (found,) = check(line, at(line, *[3] * 9), at(line, 0), 4, MAX_TRAVEL_MS)
    assert found == [(30, row) for row in range(4)]


def test_more_asked_for_than_there_are(line):
    found = check(line, at(line, 2, 0), at(line, 0, 3), 6, MAX_TRAVEL_MS)
    assert found == [[(0, 1), (20, 0)], [(10, 0), (30, 1)]]


def test_the_limit_itself_is_not_too_far(line):
    for max_ms, num in ((0, 1), (9, 1), (10, 2), (29, 3), (30, 4)):
        (found,) = check(line, at(line, 0, 1, 2, 3), at(line, 3), 4, max_ms)
        assert len(found) == num


def test_times_lead_from_the_item_to_the_place(line):
    """One comes from 4 to all, and from nowhere to 4."""
    found = check(line, at(line, 4, 0), at(line, 3, 4), 2, MAX_TRAVEL_MS)
    assert found == [[(10, 0), (30, 1)], [(0, 0)]]


def test_items_and_places_that_lead_nowhere(line):
    nowhere = [[(0, UNREACHABLE_MS)]]
    assert check(line, nowhere + at(line, 1), nowhere + at(line, 1), 2, MAX_TRAVEL_MS) == [[], [(0, 1)]]


def test_no_items(line):
    assert check(line, [], at(line, 1, 2), 3, MAX_TRAVEL_MS) == [[], []]


def test_sums_beyond_what_is_a_time():
    graph = Contracted(3, [(0, 1, MAX_TRAVEL_MS), (1, 2, 1)], [1, 0, 2])
    found = check(graph, at(graph, 0), at(graph, 1, 2), 1, MAX_TRAVEL_MS)
    assert found == [[(MAX_TRAVEL_MS, 0)], []]
