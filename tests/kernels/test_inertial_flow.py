import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.inertial_flow import (
    FAR,
    MIDDLE,
    NEAR,
    SEPARATOR,
    SINK,
    SOURCE,
    Part,
    choose_ends,
    cut,
    separate,
)
from naive.hierarchy import smallest_cuts
from roads.road_graphs import link_lists, links_of

SPARE = 3
"""Arrays may be longer than the graph."""


def part_of(num_nodes, pairs):
    links = links_of(num_nodes, pairs)
    n, m = num_nodes + SPARE, len(links.to) + SPARE
    rows = [np.full(SPARE, 99, np.int32)]
    return Part(
        np.concatenate([links.first, *rows]),
        np.concatenate([links.to, *rows]),
        np.concatenate([links.twin, *rows]),
        np.full(m, 9, np.int8),
        np.full(n, 9, np.int8),
        *(np.full(n, 99, np.int32) for _ in range(4)),
        np.full(n, 9, np.int8),
        np.full(n, 9.0),
        np.full(n, 9.0),
    )


def sides(values, n):
    return [{v for v in range(n) if values[v] == side} for side in (NEAR, FAR, SEPARATOR)]


@st.composite
def parts(draw, max_nodes=8):
    """A graph of two nodes or more, and where flow begins and ends."""
    num_nodes, pairs = draw(link_lists(max_nodes, 20).filter(lambda graph: graph[0] > 1))
    nodes = draw(st.permutations(range(num_nodes)))
    num = draw(st.integers(1, num_nodes // 2))
    return num_nodes, pairs, set(nodes[:num]), set(nodes[num : 2 * num])


def check_cut(num_nodes, pairs, sources, sinks, most=None):
    part = part_of(num_nodes, pairs)
    links = {tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1]}
    part.kind[:num_nodes] = [
        SOURCE if v in sources else SINK if v in sinks else MIDDLE for v in range(num_nodes)
    ]
    best, near_sides = smallest_cuts(num_nodes, links, sources, sinks)
    size, smaller = cut(part, num_nodes, 2 * len(links) if most is None else most)
    if most is not None and best > most:
        assert (size, smaller) == (most + 1, 0)
        return part
    near, far, _ = sides(part.next_link, num_nodes)
    assert size == best
    assert near in near_sides
    assert far == set(range(num_nodes)) - near
    extremes = [set.intersection(*near_sides), set.union(*near_sides)]
    assert near in extremes
    assert smaller == max(min(len(one), num_nodes - len(one)) for one in extremes) == min(len(near), len(far))
    return part


@given(parts())
@settings(max_examples=60)
def test_no_cut_is_smaller_and_of_the_extreme_ones_it_is_the_more_even(graph):
    check_cut(*graph)


@given(parts(), st.integers(0, 5))
@settings(max_examples=60)
def test_it_gives_up_beyond_a_size(graph, most):
    check_cut(*graph, most)


def test_nothing_to_cut():
    check_cut(2, [], {0}, {1})
    check_cut(2, [(0, 1)], {1}, {0})
    check_cut(6, [(0, 1), (1, 2), (3, 4), (4, 5)], {0}, {5})


@given(link_lists(max_nodes=10), st.data())
@settings(max_examples=60)
def test_a_separator_is_all_ends_of_cut_links_on_the_side_with_fewer(graph, data):
    n, pairs = graph
    part = part_of(n, pairs)
    side = data.draw(st.lists(st.sampled_from([NEAR, FAR]), min_size=n, max_size=n))
    part.side[:n] = side
    separate(part, n)
    ends = {v for a, b in pairs if side[a] != side[b] for v in (a, b)}
    by_side = [{v for v in ends if side[v] == one} for one in (NEAR, FAR)]
    separator = by_side[0] if len(by_side[0]) <= len(by_side[1]) else by_side[1]
    expected = [SEPARATOR if v in separator else side[v] for v in range(n)]
    assert part.side[:n].tolist() == expected
    assert (part.side[n:] == 9).all()


@given(st.lists(st.integers(0, 6), min_size=2, max_size=20), st.sampled_from([0.05, 0.25, 0.5]))
@settings(max_examples=60)
def test_ends_are_the_lowest_and_the_highest(along, share):
    n, num = len(along), max(1, int(len(along) * share))
    part = part_of(n, [])
    part.along[:n] = along
    choose_ends(part, n, share)
    lowest, highest = sorted(along)[num - 1], sorted(along)[n - num]
    if lowest < highest:
        expected = [SOURCE if at <= lowest else SINK if at >= highest else MIDDLE for at in along]
    else:
        expected = [SOURCE] * num + [MIDDLE] * (n - 2 * num) + [SINK] * num
    assert part.kind[:n].tolist() == expected
    assert part.along[:n].tolist() == along


@pytest.mark.parametrize("along", [[np.nan] * 5, [np.nan, 1, 2, 3, 4], [0, np.inf, -np.inf, np.inf, 1]])
def test_ends_exist_whatever_the_coordinates(along):
    part = part_of(5, [])
    part.along[:5] = along
    choose_ends(part, 5, 0.25)
    assert {SOURCE, SINK} <= set(part.kind[:5].tolist())
