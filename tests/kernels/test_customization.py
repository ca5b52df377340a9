import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.customization import customize, merge_rows, start_rows
from dispatch.units import MAX_TRAVEL_MS, UNREACHABLE_MS
from naive.hierarchy import times_below
from roads.road_graphs import Contracted, contracted, ints

JUNK = -5


def assert_cells(graph, ms, half):
    expected, _, _ = times_below(len(graph.rank), graph.arcs)
    for v, w, cell in graph.cells():
        assert (v, w, ms[cell], ms[half + cell]) == (v, w, expected[v][w], expected[w][v])


def whole(graph):
    """Every node in one range."""
    ms = np.full(2 * graph.num_cells, JUNK, np.int32)
    customize(
        graph.tree, graph.tree.base, graph.inputs(), graph.travel_ms, ints([0]), ints([len(graph.rank)]), ms
    )
    return ms


def in_parts(graph, above, thread_of_part):
    """As two threads do it: subtrees dealt out, rows of their own for the nodes above."""
    n, tree = len(graph.rank), graph.tree
    base, num_cells = tree.base.copy(), graph.num_cells
    for v in above:
        base[v] = num_cells - tree.first_depth[v]
        num_cells += int(tree.depth[v] - tree.first_depth[v])
    inputs = graph.inputs(num_cells)
    ms = np.full(2 * num_cells, JUNK, np.int32)
    tops = [v for v in range(n) if v not in above and tree.parent[v] in (-1, *above)]
    bases = (tree.base, base)
    for one in bases:
        start_rows(tree, one, inputs, graph.travel_ms, ints(above), ms)
    for thread, one in enumerate(bases):
        mine = [v for i, v in enumerate(tops) if thread_of_part[i % len(thread_of_part)] == thread]
        end = [v + 1 for v in mine]
        customize(tree, one, inputs, graph.travel_ms, tree.lowest[mine].astype(np.int32), ints(end), ms)
    merge_rows(tree, base, ints(above), ms)
    customize(tree, tree.base, inputs, graph.travel_ms, ints(above), ints(above) + np.int32(1), ms)
    return ms, num_cells


@given(contracted())
@settings(max_examples=100)
def test_every_cell_has_the_time_of_the_best_way_through_lower_nodes(graph):
    assert_cells(graph, whole(graph), graph.num_cells)


@given(contracted(), st.data())
@settings(max_examples=100)
def test_in_parts_it_is_the_same(graph, data):
    lowest_above = data.draw(st.sets(st.integers(0, len(graph.rank) - 1)))
    above = sorted({w for v in lowest_above for w in graph.above[v]})
    threads = data.draw(st.lists(st.integers(0, 1), min_size=1, max_size=8))
    assert_cells(graph, *in_parts(graph, above, threads))


def test_sums_beyond_what_is_a_time_do_not_wrap_round():
    # 1 and 2 are reached over 0 alone: just a time, and one millisecond too much.
    for last_ms, expected in ((MAX_TRAVEL_MS - 2**28, MAX_TRAVEL_MS), (2**29 - 2**28, UNREACHABLE_MS)):
        arcs = [(1, 0, 2**28), (0, 2, last_ms), (0, 1, MAX_TRAVEL_MS)]
        graph = Contracted(3, arcs, [0, 1, 2])
        ms = whole(graph)
        (cell,) = [cell for v, w, cell in graph.cells() if (v, w) == (1, 2)]
        assert ms[cell] == expected
        assert ms[graph.num_cells + cell] == UNREACHABLE_MS


def test_rows_with_gaps():
    # A cycle contracted from one end: rows reach up to the far node, and miss those between.
    num = 12
    arcs = [(v, (v + 1) % num, 1 + v) for v in range(num)]
    graph = Contracted(num, arcs, [0, 2, 4, 6, 8, 10, 1, 5, 9, 3, 7, 11])
    assert graph.num_cells > sum(map(len, graph.upper))
    assert_cells(graph, whole(graph), graph.num_cells)
    assert_cells(graph, *in_parts(graph, [num - 2, num - 1], [0, 1]))
