import numpy as np
import pytest

from cities import line_city
from dispatch.errors import InputError
from dispatch.roads.travel_times import MatrixTravelTimes, PathFinder, TravelTimes, as_nodes
from dispatch.units import MAX_TRAVEL_MS, UNREACHABLE_MS

ZEROS = MatrixTravelTimes(np.zeros((30, 30), np.int32))


def all_pairs(num_nodes):
    return tuple(np.ascontiguousarray(side) for side in np.indices((num_nodes, num_nodes)).reshape(2, -1))


# --- what can say how long a drive takes -----------------------------------------------------------


def test_a_matrix_knows_times_and_a_metric_knows_the_way_too():
    metric = line_city(3).free_flow()
    assert isinstance(metric, PathFinder)
    assert isinstance(ZEROS, TravelTimes)
    assert not isinstance(ZEROS, PathFinder)
    assert not isinstance(np.zeros((3, 3), np.int32), TravelTimes)


def test_a_metric_and_the_matrix_of_its_times_say_the_same():
    metric, (from_node, to_node) = line_city(6, sink=True).free_flow(), all_pairs(6)
    matrix = MatrixTravelTimes(metric.table_ms(np.arange(6), np.arange(6)))
    told = metric.pairs_ms(from_node, to_node)
    assert matrix.pairs_ms(from_node, to_node).tolist() == told.tolist()
    assert told.reshape(6, 6)[5].tolist() == [UNREACHABLE_MS] * 5 + [0]


# --- the caller's own matrix -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32])
def test_matrix_gives_its_own_numbers(dtype):
    matrix = np.array([[0, 5, UNREACHABLE_MS], [6, 0, MAX_TRAVEL_MS], [1, 2, 0]], dtype)
    times = MatrixTravelTimes(matrix)
    pairs_ms = times.pairs_ms(*all_pairs(3))
    assert pairs_ms.dtype == np.int32
    assert pairs_ms.tolist() == matrix.ravel().tolist()
    assert times.num_nodes == 3


def test_nothing_asked_nothing_answered():
    none = np.empty(0, np.int32)
    assert MatrixTravelTimes(np.zeros((0, 0), np.int32)).pairs_ms(none, none).shape == (0,)
    assert ZEROS.pairs_ms([], []).shape == (0,)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((2, 3), int), r"matrix has the shape \(2, 3\): it must be square"),
        (np.zeros(4, int), r"matrix has the shape \(4,\)"),
        (np.zeros((2, 2)), "matrix holds float64"),
        (np.array([[0, 1], [-1, 0]]), r"matrix\[1, 0\] is -1: travel times are 0 to 536870911"),
        (np.array([[0, 2**29 + 1], [0, 0]]), r"matrix\[0, 1\] is 536870913"),
    ],
)
def test_matrix_is_checked(matrix, message):
    with pytest.raises(InputError, match=message):
        MatrixTravelTimes(matrix)


@pytest.mark.parametrize(
    ("from_node", "to_node", "message"),
    [
        ([0, 30], [0, 0], r"from_node\[1\] is 30: nodes are 0 to 29"),
        ([0, 1, 2], [0, 0, -1], r"to_node\[2\] is -1: nodes are 0 to 29"),
        ([2**32], [0], r"from_node\[0\] is 4294967296: it does not fit in int32"),
        ([0], [-(2**31) - 1], r"to_node\[0\] is -2147483649: it does not fit"),
        ([0, 1], [0], "from_node has 2 rows and to_node 1: they must pair up"),
        ([0], [0.0], "to_node holds float64: nodes are integers"),
        ([[0]], [0], r"from_node has the shape \(1, 1\): it must have one dimension"),
        (0, [0], r"from_node has the shape \(\)"),
    ],
)
def test_nodes_are_checked(from_node, to_node, message):
    with pytest.raises(InputError, match=message):
        ZEROS.pairs_ms(np.array(from_node), np.array(to_node))


# --- nodes as kernels read them --------------------------------------------------------------------


def test_nodes_that_kernels_can_read_are_not_copied():
    nodes = np.array([3, 4], np.int32)
    assert as_nodes("nodes", nodes) is nodes


def test_any_integers_will_do_for_nodes():
    frozen = np.array([3, 4], np.int32)
    frozen.flags.writeable = False
    for given in ([3, 4], (3, 4), np.array([3, 9, 4])[::2], np.array([3, 4], np.uint8), frozen):
        nodes = as_nodes("nodes", given)
        assert (nodes.dtype, nodes.tolist()) == (np.int32, [3, 4])
        assert nodes.flags.c_contiguous
        assert nodes.flags.writeable
        assert nodes is not given
    assert as_nodes("nodes", []).dtype == np.int32
