import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.roads.travel_times import MatrixTravelTimes, PathFinder, RoadTravelTimes
from naive.shortest_paths import UNREACHABLE, arcs_of, travel_times_to


def graph_of(arcs, num_nodes):
    """Arcs as (tail, head, metres)."""
    tails, heads, metres = (np.array([arc[i] for arc in arcs]) for i in range(3))
    zeros = np.zeros(num_nodes)
    return RoadGraph.from_edges(
        (zeros, zeros),
        tails.astype(np.int32),
        heads.astype(np.int32),
        metres.astype(float),
        np.full(len(arcs), 36.0),
        np.zeros(len(arcs), np.int8),
    )


def random_graph(seed, num_nodes=30, num_arcs=70):
    """Loops, parallel arcs and parts that cannot be reached are all likely."""
    rng = np.random.default_rng(seed)
    ends = rng.integers(0, num_nodes, (2, num_arcs)).tolist()
    graph = graph_of(list(zip(*ends, rng.integers(1, 5, num_arcs).tolist(), strict=True)), num_nodes)
    return graph, rng.integers(1, 4, num_arcs).astype(np.int32)


def all_pairs(num_nodes):
    grid = np.indices((num_nodes, num_nodes), np.int32).reshape(2, -1)
    return grid[0].copy(), grid[1].copy()


def oracle(graph, travel_ms):
    """(to, from) travel times."""
    arcs = arcs_of(graph, travel_ms)
    return np.array([travel_times_to(arcs, node, graph.num_nodes) for node in range(graph.num_nodes)])


def check_paths(graph, travel_ms, times, from_node, to_node):
    paths, pairs_ms = times.paths(from_node, to_node), times.pairs_ms(from_node, to_node)
    assert paths.first.tolist()[0] == 0
    assert paths.first[-1] == len(paths.node) == len(paths.at_ms) == len(paths.at_m)
    for i, (begin, end) in enumerate(zip(paths.first[:-1], paths.first[1:], strict=True)):
        nodes, at_ms, at_m = paths.node[begin:end], paths.at_ms[begin:end], paths.at_m[begin:end]
        if pairs_ms[i] == UNREACHABLE:
            assert begin == end
            continue
        assert (nodes[0], nodes[-1]) == (from_node[i], to_node[i])
        assert (at_ms[0], at_ms[-1], at_m[0]) == (0, pairs_ms[i], 0)
        for step in range(len(nodes) - 1):
            arcs = range(graph.first_arc[nodes[step]], graph.first_arc[nodes[step] + 1])
            legs = [(travel_ms[a], graph.length_m[a]) for a in arcs if graph.head[a] == nodes[step + 1]]
            leg_ms, leg_m = at_ms[step + 1] - at_ms[step], at_m[step + 1] - at_m[step]
            assert any(leg_ms == ms and leg_m == pytest.approx(m) for ms, m in legs)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 2 * 30 * 4, 7 * 30 * 4, 1 << 30]))
def test_pairs_and_paths_are_exact_however_few_rows_there_is_room_for(seed, max_bytes):
    graph, travel_ms = random_graph(seed)
    times = RoadTravelTimes(graph, travel_ms, max_bytes)
    expected = oracle(graph, travel_ms)
    from_node, to_node = all_pairs(30)
    mixed = np.random.default_rng(seed).permutation(900)
    assert times.pairs_ms(from_node[mixed], to_node[mixed]).tolist() == (
        expected[to_node[mixed], from_node[mixed]].tolist()
    )
    for few in (mixed[:3], mixed[3:8], mixed[8:150]):  # some known, some not
        assert (times.pairs_ms(from_node[few], to_node[few]) == expected[to_node[few], from_node[few]]).all()
    check_paths(graph, travel_ms, times, from_node[mixed[:200]], to_node[mixed[:200]])


def test_two_rows_are_thrown_out_first_in_first_out_and_all_answers_stay_right():
    graph, travel_ms = random_graph(3)
    expected = oracle(graph, travel_ms)
    times = RoadTravelTimes(graph, travel_ms, max_bytes=2 * 30 * 4)
    assert times._table.to_row_ms.shape == (2, 30)
    origin = np.arange(30, dtype=np.int32)
    for target in (1, 2, 1, 3, 1, 2, 2, 4):
        targets = np.full(30, target, np.int32)
        assert (times.pairs_ms(origin, targets) == expected[target]).all()
    assert sorted(times._node_of_row.tolist()) == [2, 4]
    known = [node for node in range(30) if times._table.row_of_node[node] >= 0]
    assert known == [2, 4]
    # A path to 2 and one to 5: making room for 5 throws 2 out, which must come back.
    check_paths(graph, travel_ms, times, origin[:2], np.array([2, 5], np.int32))
    check_paths(graph, travel_ms, times, origin[:2], np.array([5, 2], np.int32))


def test_long_arcs_among_short_ones():
    graph = graph_of([(0, 1, 1), (1, 2, 1), (2, 3, 1), (3, 0, 1), (0, 2, 1)], 4)
    for weights in ([1, 2**29 - 1, 1, 1, 1], [2**29 - 1, 1, 1, 2**29 - 1, 2**28], [1, 1, 1, 1, 1]):
        travel_ms = np.array(weights, np.int32)[[0, 4, 1, 2, 3]]
        times = RoadTravelTimes(graph, travel_ms)
        from_node, to_node = all_pairs(4)
        assert times.pairs_ms(from_node, to_node).tolist() == oracle(graph, travel_ms).T.ravel().tolist()


def test_prepare_fills_what_is_missing_with_any_number_of_threads():
    graph, travel_ms = random_graph(4, num_nodes=300, num_arcs=900)
    from_node, to_node = all_pairs(300)
    plain = RoadTravelTimes(graph, travel_ms).pairs_ms(from_node, to_node)
    for num_threads in (1, 3):
        times, heard = RoadTravelTimes(graph, travel_ms), []
        times.prepare(np.array([5, 5, 7], np.int32))
        times.prepare(
            np.arange(300), num_threads, lambda done, total, heard=heard: heard.append((done, total))
        )
        assert heard[0] == (0, 298)
        assert heard[-1] == (298, 298)
        assert heard == sorted(heard)
        assert len(heard) > 3
        assert (times._table.row_of_node >= 0).all()
        assert (times.pairs_ms(from_node, to_node) == plain).all()
        times.prepare(
            np.arange(300), num_threads, lambda done, total, heard=heard: heard.append((done, total))
        )
        assert heard[-1] == (0, 0)


def test_prepare_stops_at_what_there_is_room_for():
    graph, travel_ms = random_graph(5)
    times, heard = RoadTravelTimes(graph, travel_ms, max_bytes=3 * 30 * 4), []
    times.prepare(np.arange(30), on_progress=lambda done, total: heard.append((done, total)))
    assert heard[-1] == (3, 3)
    from_node, to_node = all_pairs(30)
    assert times.pairs_ms(from_node, to_node).tolist() == oracle(graph, travel_ms).T.ravel().tolist()


def test_an_interrupted_prepare_leaves_right_answers():
    graph, travel_ms = random_graph(6, num_nodes=400, num_arcs=1200)
    times = RoadTravelTimes(graph, travel_ms, max_bytes=250 * 400 * 4)

    def interrupt(done, total):
        if done > 0:
            raise KeyboardInterrupt

    times.prepare(np.arange(100, 200))
    with pytest.raises(KeyboardInterrupt):
        times.prepare(np.arange(400), 2, interrupt)
    from_node, to_node = all_pairs(400)
    plain = RoadTravelTimes(graph, travel_ms).pairs_ms(from_node, to_node)
    assert (times.pairs_ms(from_node, to_node) == plain).all()


def test_nothing_asked_nothing_answered():
    graph, travel_ms = random_graph(7)
    times, none = RoadTravelTimes(graph, travel_ms), np.empty(0, np.int32)
    assert times.pairs_ms(none, none).shape == (0,)
    assert times.paths(none, none).first.tolist() == [0]
    times.prepare(none)
    assert isinstance(times, PathFinder)
    assert MatrixTravelTimes(np.zeros((0, 0), np.int32)).pairs_ms(none, none).shape == (0,)
    assert not isinstance(MatrixTravelTimes(np.zeros((1, 1), np.int32)), PathFinder)


def test_any_integers_will_do_for_nodes():
    graph, travel_ms = random_graph(8)
    times = RoadTravelTimes(graph, travel_ms)
    frozen = np.array([3, 4], np.int32)
    frozen.flags.writeable = False
    plain = times.pairs_ms(np.array([3, 4], np.int32), np.array([5, 6], np.int32)).tolist()
    assert times.pairs_ms([3, 4], np.array([5, 9, 6])[::2]).tolist() == plain
    assert times.pairs_ms(frozen, np.array([5, 6], np.uint8)).tolist() == plain


def test_weights_are_checked():
    graph, travel_ms = random_graph(9)
    for value in (0, -1, 2**29):
        wrong = travel_ms.copy()
        wrong[4] = value
        with pytest.raises(InputError, match=rf"travel_ms\[4\] is {value}: an arc takes 1 to 536870911 ms"):
            RoadTravelTimes(graph, wrong)
    with pytest.raises(InputError, match=r"travel_ms has the shape \(69,\): the graph has 70 arcs"):
        RoadTravelTimes(graph, travel_ms[1:])
    with pytest.raises(InputError, match="travel_ms holds float64"):
        RoadTravelTimes(graph, travel_ms.astype(float))
    with pytest.raises(InputError, match="max_bytes is -1"):
        RoadTravelTimes(graph, travel_ms, -1)


def test_the_callers_weights_may_change_afterwards():
    graph, travel_ms = random_graph(10)
    times = RoadTravelTimes(graph, travel_ms)
    expected = oracle(graph, travel_ms)
    travel_ms[:] = 1
    assert times.pairs_ms(*all_pairs(30)).tolist() == expected.T.ravel().tolist()


@pytest.mark.parametrize("kind", ["road", "matrix"])
def test_nodes_are_checked(kind):
    graph, travel_ms = random_graph(11)
    times = RoadTravelTimes(graph, travel_ms)
    asks = [times.pairs_ms, times.paths]
    if kind == "matrix":
        asks = [MatrixTravelTimes(np.zeros((30, 30), np.int32)).pairs_ms]
    for ask in asks:
        with pytest.raises(InputError, match=r"from_node\[1\] is 30: nodes are 0 to 29"):
            ask(np.array([0, 30]), np.array([0, 0]))
        with pytest.raises(InputError, match=r"to_node\[2\] is -1: nodes are 0 to 29"):
            ask(np.array([0, 1, 2]), np.array([0, 0, -1]))
        with pytest.raises(InputError, match=r"from_node\[0\] is 4294967296: it does not fit"):
            ask(np.array([2**32]), np.array([0]))
        with pytest.raises(InputError, match="from_node has 2 rows and to_node 1"):
            ask(np.array([0, 1]), np.array([0]))
        with pytest.raises(InputError, match="to_node holds float64"):
            ask(np.array([0]), np.array([0.0]))
        with pytest.raises(InputError, match=r"from_node has the shape \(1, 1\)"):
            ask(np.array([[0]]), np.array([0]))
    with pytest.raises(InputError, match=r"to_nodes\[1\] is 30"):
        times.prepare(np.array([0, 30]))
    with pytest.raises(InputError, match="num_threads is 0"):
        times.prepare(np.array([0]), num_threads=0)


def test_matrix_gives_its_own_numbers():
    matrix = np.array([[0, 5, UNREACHABLE], [6, 0, 2**29 - 1], [1, 2, 0]])
    times = MatrixTravelTimes(matrix)
    from_node, to_node = all_pairs(3)
    pairs_ms = times.pairs_ms(from_node, to_node)
    assert pairs_ms.dtype == np.int32
    assert pairs_ms.tolist() == matrix.ravel().tolist()
    assert times.num_nodes == 3


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


def test_san_francisco_equals_textbook_dijkstra(data):
    graph = City.load(data / "san_francisco").graph
    travel_ms = graph.free_flow_ms()
    times = RoadTravelTimes(graph, travel_ms)
    rng = np.random.default_rng(2)
    arcs, everywhere = arcs_of(graph, travel_ms), np.arange(graph.num_nodes, dtype=np.int32)
    for target in rng.integers(0, graph.num_nodes, 3):
        expected = travel_times_to(arcs, int(target), graph.num_nodes)
        assert times.pairs_ms(everywhere, np.full_like(everywhere, target)).tolist() == expected
    from_node, to_node = rng.integers(0, graph.num_nodes, (2, 100)).astype(np.int32)
    check_paths(graph, travel_ms, times, from_node.copy(), to_node.copy())
