import numpy as np

from dispatch.kernels.paths import Edges, PathNodes, lay_out_paths

JUNK = 77


def ints(*values):
    return np.array(values, np.int32)


# 0 -> 1, 1 -> 2, 2 -> 0, 1 -> 1
EDGES = Edges(ints(1, 2, 0, 1), ints(10, 20, 40, 0), np.array([1.5, 2.5, 4.0, 0.25]))


def laid_out(from_node, ways):
    """Ways as (whether there is one, its edges)."""
    first = np.cumsum([0] + [len(edges) + there for there, edges in ways])
    first_edge = np.cumsum([0] + [len(edges) for _, edges in ways])
    edge = [one for _, edges in ways for one in edges]
    size = int(first[-1])
    paths = PathNodes(
        ints(*first), *(np.full(size, JUNK, dtype) for dtype in (np.int32, np.int32, np.float64, np.int32))
    )
    lay_out_paths(EDGES, ints(*from_node), ints(*first_edge), ints(*edge), paths)
    return [values.tolist() for values in paths[1:]]


def test_nodes_times_metres_and_edges_follow_from_the_edges():
    node, at_ms, at_m, edge = laid_out([0, 1], [(True, [0, 1, 2]), (True, [1])])
    assert node == [0, 1, 2, 0, 1, 2]
    assert at_ms == [0, 10, 30, 70, 0, 20]
    assert at_m == [0, 1.5, 4.0, 8.0, 0, 2.5]
    assert edge == [-1, 0, 1, 2, -1, 1]


def test_a_way_of_one_node_and_none_at_all():
    """Between others, so that both shift what comes after them."""
    node, at_ms, at_m, edge = laid_out(
        [2, 0, 1, 1, 0], [(False, []), (True, []), (True, [3, 1]), (False, []), (True, [0])]
    )
    assert node == [0, 1, 1, 2, 0, 1]
    assert at_ms == [0, 0, 0, 20, 0, 10]
    assert at_m == [0, 0, 0.25, 2.75, 0, 1.5]
    assert edge == [-1, -1, 3, 1, -1, 0]


def test_no_ways():
    assert laid_out([], []) == [[], [], [], []]
    assert laid_out([1, 2], [(False, []), (False, [])]) == [[], [], [], []]
