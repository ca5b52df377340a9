import numpy as np
import pytest

from dispatch.kernels import matched_ways
from dispatch.kernels.all_pairs import AllPairs, find_next_arcs

# A line of nodes 0 … 4: edges 0 … 3 lead up, 100 m each.
LENGTH_M = np.full(4, 100.0)


def steps_of(edge, share, joined):
    placed = matched_ways.Placed(np.array(edge, np.int32), np.array(share, float), np.array(joined, np.bool_))
    num = len(edge)
    room = matched_ways.Steps(np.empty(num, np.int32), np.empty(num, np.int32), np.empty(num, np.bool_))
    num = matched_ways.find_steps(placed, LENGTH_M, 30.0, room)
    return placed, matched_ways.Steps(*(column[:num] for column in room))


def test_steps_join_places_and_pass_over_others():
    _, steps = steps_of([0, -1, 0, 2, 3, 3], [0.2, 0, 0.5, 0.1, 0.9, 0.5], [False, 0, 1, 1, 0, 1])
    assert steps.from_ping.tolist() == [0, 2, 4]
    assert steps.to_ping.tolist() == [2, 3, 5]
    assert steps.stays.tolist() == [True, False, False]  # rolled back by 40 m: it drove around


def laid(placed, steps, first, edge):
    size = len(steps.stays) + int((~steps.stays).sum()) + len(edge)
    ways = matched_ways.Ways(
        np.empty(len(steps.stays) + 1, np.int64), np.empty(size, np.int32), np.empty(size), np.empty(size)
    )
    routes = matched_ways.Routes(np.array(first, np.int32), np.array(edge, np.int32))
    assert matched_ways.lay_ways(placed, steps, routes, ways) == size
    entries = list(zip(ways.edge.tolist(), ways.from_share.tolist(), ways.to_share.tolist(), strict=True))
    return [entries[a:b] for a, b in zip(ways.first[:-1], ways.first[1:], strict=True)]


def test_ways_go_on_where_they_ended():
    placed, steps = steps_of([0, 0, 0, 3, 3], [0.2, 0.6, 0.5, 0.3, 0.3], [False, True, True, True, True])
    assert laid(placed, steps, [0, 2], [1, 2]) == [
        [(0, 0.2, 0.6)],
        [(0, 0.6, 0.6)],  # seems to roll back: it stands
        [(0, 0.6, 1.0), (1, 0.0, 1.0), (2, 0.0, 1.0), (3, 0.0, 0.3)],
        [(3, 0.3, 0.3)],
    ]


def test_a_way_that_begins_anew_begins_at_its_place():
    placed, steps = steps_of([0, 1, 2, 2], [0.2, 0.6, 0.5, 0.7], [False, True, False, True])
    assert laid(placed, steps, [0, 0], []) == [[(0, 0.2, 1.0), (1, 0.0, 0.6)], [(2, 0.5, 0.7)]]


def test_no_steps_at_all():
    placed, steps = steps_of([-1, 0], [0, 0.5], [False, False])
    assert laid(placed, steps, [0], []) == []


@pytest.mark.parametrize("pair", [(0, 4), (2, 2), (1, 3)])
def test_ways_of_the_table(pair):
    nodes = np.arange(5, dtype=np.int32)
    to_ms = np.where(nodes[:, None] >= nodes, (nodes[:, None] - nodes) * 10, 2**29).astype(np.int32)
    table = AllPairs(
        to_ms,
        np.empty((5, 5), np.uint8),
        nodes,
        np.array([0, 1, 2, 3, 4, 4], np.int32),
        np.array([1, 2, 3, 4], np.int32),
        np.full(4, 10, np.int32),
        LENGTH_M,
    )
    find_next_arcs(table, 0, 5)
    ends = [np.array([node], np.int32) for node in pair]
    first = np.empty(2, np.int32)
    matched_ways.count_edges(table, *ends, first)
    routes = matched_ways.Routes(first, np.empty(first[1], np.int32))
    matched_ways.walk(table, *ends, routes)
    assert routes.edge.tolist() == list(range(*pair))
