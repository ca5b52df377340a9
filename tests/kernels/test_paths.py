import numpy as np

from dispatch.kernels.csr import Arcs
from dispatch.kernels.paths import (
    PathNodes,
    TravelTable,
    count_path_nodes,
    gather_pairs,
    list_missing,
    trace_paths,
)

UNREACHABLE = 2**29


def ints(*values):
    return np.array(values, np.int32)


def table_of(row_of_node, *rows):
    return TravelTable(ints(*row_of_node), np.array(rows, np.int32))


def test_gather_reads_pairs_with_a_row_and_counts_the_others():
    table = table_of([1, -1, 0], [10, 11, 12], [20, 21, 22])
    out = ints(-1, -1, -1, -1)
    assert gather_pairs(ints(1, 2, 0, 0), ints(0, 2, 1, 1), table, out) == 2
    assert out.tolist() == [21, 12, -1, -1]


def test_gather_leaves_what_is_known_even_if_its_row_has_gone():
    out = ints(5, -1)
    assert gather_pairs(ints(0, 0), ints(1, 0), table_of([0, -1], [3, 4]), out) == 0
    assert out.tolist() == [5, 3]


def test_gather_reports_rows_that_name_no_node():
    table = table_of([0, -1], [3, 4])
    for bad in (-1, 2, 2**31 - 1, -(2**31)):
        assert gather_pairs(ints(0, bad), ints(0, 0), table, ints(-1, -1)) == -1
        assert gather_pairs(ints(0, 0), ints(0, bad), table, ints(-1, -1)) == -1


def test_missing_nodes_are_listed_once_in_order_and_nothing_is_left_marked():
    row_of_node, out = ints(-1, 0, -1, -1, 1), ints(0, 0, 0, 0, 0, 0)
    assert list_missing(ints(3, 1, 0, 3, 4, 0), row_of_node, out) == 2
    assert out[:2].tolist() == [3, 0]
    assert row_of_node.tolist() == [-1, 0, -1, -1, 1]


def test_paths_take_the_lowest_of_equal_arcs():
    # 0 -> 1 -> 3 and 0 -> 2 -> 3 take equally long; 0 -> 1 comes first.
    arcs = Arcs(ints(0, 2, 3, 4, 4), ints(1, 2, 3, 3), ints(2, 1, 2, 3))
    table = table_of([-1, -1, -1, 0], [4, 2, 3, 0])
    origins, targets = ints(0, 3, 2), ints(3, 3, 3)
    counts = ints(9, 9, 9)
    count_path_nodes(arcs, origins, targets, table, counts)
    assert counts.tolist() == [3, 1, 2]
    paths = PathNodes(ints(0, 3, 4, 6), ints(*[9] * 6), ints(*[9] * 6), np.full(6, 9.0), ints(*[9] * 6))
    trace_paths(arcs, np.array([1.5, 7.0, 2.0, 4.0]), origins, targets, table, paths)
    assert paths.node.tolist() == [0, 1, 3, 3, 2, 3]
    assert paths.at_ms.tolist() == [0, 2, 4, 0, 0, 3]
    assert paths.at_m.tolist() == [0, 1.5, 3.5, 0, 0, 4.0]


def test_no_path_has_no_nodes():
    arcs = Arcs(ints(0, 0, 0), ints(), ints())
    table = table_of([0, -1], [0, UNREACHABLE])
    counts = ints(9)
    count_path_nodes(arcs, ints(1), ints(0), table, counts)
    assert counts.tolist() == [0]
