import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.nested_dissection import SMALLEST_PART, dissect
from naive.hierarchy import elimination_game
from roads.road_graphs import SHAPES, SPOTS, grid, link_lists, links_of


def ordered(num_nodes, pairs, x, y):
    order = np.full(num_nodes, -7, np.int32)
    dissect(links_of(num_nodes, pairs), np.ascontiguousarray(x), np.ascontiguousarray(y), order)
    return order.tolist()


def num_arcs(num_nodes, pairs, order):
    return sum(map(len, elimination_game(num_nodes, pairs, order)))


@given(link_lists(max_nodes=14, max_links=40), st.data())
@settings(max_examples=60)
def test_every_node_has_one_place(graph, data):
    num_nodes, pairs = graph
    at = st.lists(st.floats(-3, 3), min_size=num_nodes, max_size=num_nodes)
    order = ordered(num_nodes, pairs, data.draw(at), data.draw(at))
    assert sorted(order) == list(range(num_nodes))


@pytest.mark.parametrize("spots", SPOTS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_shapes_wherever_they_lie(shape, spots):
    num_nodes, pairs = SHAPES[shape]
    order = ordered(num_nodes, pairs, *SPOTS[spots](num_nodes))
    assert sorted(order) == list(range(num_nodes))
    assert order == ordered(num_nodes, pairs, *SPOTS[spots](num_nodes))


def test_parts_that_no_link_joins_stay_in_one_piece():
    num_nodes, pairs = SHAPES["many parts"]
    order = ordered(num_nodes, pairs, *SPOTS["one spot"](num_nodes))
    for k in range(0, num_nodes, 6):
        places = sorted(order.index(v) for v in range(k, k + 6))
        assert places == list(range(places[0], places[0] + 6))


def test_what_cuts_a_graph_comes_last():
    num_nodes, pairs = SHAPES["two complete joined by one"]
    x = np.arange(num_nodes, dtype=float)
    *parts, last = ordered(num_nodes, pairs, x, 0 * x)
    assert last in (0, 6, 7)
    assert len(parts) > 2 * SMALLEST_PART


def by_middle_lines(nodes):
    """Cut nodes (x, y) along the middle of the longer side, again and again."""
    if len(nodes) <= SMALLEST_PART:
        return nodes
    widths = [len({node[axis] for node in nodes}) for axis in (0, 1)]
    axis = int(widths[1] > widths[0])
    middle = sorted({node[axis] for node in nodes})[widths[axis] // 2]
    low, high = (
        [node for node in nodes if node[axis] < middle],
        [node for node in nodes if node[axis] > middle],
    )
    return by_middle_lines(low) + by_middle_lines(high) + [node for node in nodes if node[axis] == middle]


def test_grids_need_about_as_few_arcs_as_cuts_along_middle_lines():
    side = 12
    nodes = [(x, y) for y in range(side) for x in range(side)]
    x, y = (np.array([node[axis] for node in nodes], float) for axis in (0, 1))
    pairs = grid(side, side)
    middle = num_arcs(side * side, pairs, [side * y + x for x, y in by_middle_lines(nodes)])
    assert num_arcs(side * side, pairs, ordered(side * side, pairs, x, y)) < 1.12 * middle


def test_a_turned_grid_is_cut_as_well():
    side = 12
    x, y = (axis.astype(float).ravel() for axis in np.meshgrid(np.arange(side), np.arange(side)))
    pairs = grid(side, side)
    straight = num_arcs(side * side, pairs, ordered(side * side, pairs, x, y))
    turned = num_arcs(side * side, pairs, ordered(side * side, pairs, y, -x))
    assert turned < 1.15 * straight
