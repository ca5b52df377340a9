import copy
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.network_file import load_network
from dispatch.roads.road_network import RoadNetwork
from dispatch.units import UNREACHABLE_MS
from roads.metric_checks import Truth, check_metric, new_york, some_slower_and_closed
from roads.road_graphs import (
    SHAPES,
    SPOTS,
    WEIGHTS,
    networks,
    random_network,
    random_weights,
    road_graph,
)


def cells_of(metric):
    """The times of all arcs of the hierarchy, both directions; rows of threads are left out."""
    num, tree = len(metric.cells_ms) // 2, metric.network.hierarchy.tree
    num_cells = int(tree.base[-1] + tree.depth[-1]) if len(tree.base) else 0
    return np.concatenate([metric.cells_ms[:num_cells], metric.cells_ms[num : num + num_cells]])


def both_ways(pairs):
    return [*pairs, *((b, a) for a, b in pairs)]


@pytest.mark.parametrize("spots", ["a line", "one spot", "huge numbers"])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_shapes(shape, spots):
    num_nodes, pairs = SHAPES[shape]
    num_nodes, pairs = min(num_nodes, 13), [pair for pair in pairs if max(pair) < 13]
    graph = road_graph(num_nodes, both_ways(pairs), SPOTS[spots](num_nodes))
    rng = np.random.default_rng(num_nodes)
    for num_threads in (1, 2):
        metric = RoadNetwork(graph).customize(random_weights(rng, graph.num_arcs), num_threads)
        check_metric(metric, Truth(graph, [], metric.travel_ms), rng)


@given(networks(), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_two_threads_find_what_one_does(network, seed):
    graph, _, travel_ms = network
    one = RoadNetwork(graph)
    alone = one.customize(travel_ms)
    together = one.customize(travel_ms, num_threads=2)
    assert (cells_of(alone) == cells_of(together)).all()
    assert (alone.travel_ms == together.travel_ms).all()


# --- input ---------------------------------------------------------------------------------------

TRIANGLE = [(0, 1), (1, 2), (2, 0)]


@pytest.fixture(scope="module")
def triangle():
    return RoadNetwork(road_graph(3, TRIANGLE))


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64])
def test_weights_of_any_whole_type(triangle, dtype):
    weights = np.array([1, 2, 300], dtype)
    metric = triangle.customize(weights)
    assert metric.travel_ms.tolist() == [1, 2, 300]
    assert metric.travel_ms.dtype == np.int32
    assert metric.from_ms([0]).tolist() == [0, 1, 3]


def test_weights_of_any_layout(triangle):
    for weights in ([1, 2, 300], np.array([1, 0, 2, 0, 300, 0])[::2], np.array([300, 2, 1])[::-1]):
        assert triangle.customize(weights).from_ms([0]).tolist() == [0, 1, 3]
    weights = np.array([1, 2, 300], np.int32)
    weights.flags.writeable = False
    assert triangle.customize(weights, 2).from_ms([0]).tolist() == [0, 1, 3]


def test_closed_is_unreachable_or_more(triangle):
    for closed in (UNREACHABLE_MS, UNREACHABLE_MS + 1, 2**31 - 1, 2**62, np.uint64(2**63)):
        weights = np.array([1, closed, 3], np.uint64)
        metric = triangle.customize(weights)
        assert metric.travel_ms.tolist() == [1, UNREACHABLE_MS, 3]
        assert metric.from_ms([0]).tolist() == [0, 1, UNREACHABLE_MS]
        assert metric.from_ms([2]).tolist() == [3, 4, 0]


@pytest.mark.parametrize(
    ("travel_ms", "num_threads", "message"),
    [
        ([1, 2], 1, r"travel_ms has the shape \(2,\): the graph has 3 arcs"),
        ([[1, 2, 3]], 1, r"travel_ms has the shape \(1, 3\)"),
        (7, 1, r"travel_ms has the shape \(\)"),
        ([], 1, r"travel_ms has the shape \(0,\)"),
        ([1.0, 2.0, 3.0], 1, "travel_ms holds float64: it must hold integers"),
        ([True, False, True], 1, "travel_ms holds bool"),
        ([1, 2, 2**80], 1, "travel_ms holds object"),
        ([1, -2, -3], 1, r"travel_ms\[1\] is -2: a travel time is 0 ms or more"),
        ([1, 2, 3], 0, "num_threads is 0: it must be 1 or 2"),
        ([1, 2, 3], 3, "num_threads is 3"),
    ],
)
def test_bad_weights_are_named(triangle, travel_ms, num_threads, message):
    with pytest.raises(InputError, match=message):
        triangle.customize(travel_ms, num_threads)


def test_no_arcs_need_no_weights():
    network = RoadNetwork(road_graph(2, []))
    for nothing in ([], np.empty(0, np.int32), np.empty(0)):
        assert network.customize(nothing).from_ms([0]).tolist() == [0, UNREACHABLE_MS]


def test_a_graph_without_nodes():
    network = RoadNetwork(road_graph(0, []))
    for num_threads in (1, 2):
        metric = network.customize(np.empty(0, np.int32), num_threads)
        nobody = np.empty(0, np.int32)
        assert metric.table_ms(nobody, nobody).shape == (0, 0)
        assert metric.pairs_ms(nobody, nobody).shape == (0,)
        assert metric.paths(nobody, nobody).first.tolist() == [0]
        with pytest.raises(InputError, match="nodes"):
            metric.from_ms([0])


def test_the_caller_s_weights_stay_his(triangle):
    weights = np.array([1, 2, 3], np.int32)
    metric = triangle.customize(weights)
    weights[:] = 100
    assert metric.from_ms([0]).tolist() == [0, 1, 3]
    assert metric.update([0], weights[:1]).from_ms([0]).tolist() == [0, 100, 102]
    assert weights.tolist() == [100] * 3


# --- kept in a folder --------------------------------------------------------------------------------


def test_the_second_network_of_a_graph_is_loaded(tmp_path):
    rng = np.random.default_rng(4)
    graph, rules = random_network(rng, 12, 24, 3)
    folder = tmp_path / "new" / "folder"
    built = RoadNetwork(graph, folder)
    assert not isinstance(built.hierarchy.rank.base, np.memmap)
    assert not folder.exists()
    assert built.save(str(folder)).parent == folder
    loaded = RoadNetwork(graph, str(folder))
    assert isinstance(loaded.hierarchy.rank.base, np.memmap)
    for num_threads in (1, 2):
        metric = loaded.customize(random_weights(rng, graph.num_arcs), num_threads)
        check_metric(metric, Truth(graph, rules, metric.travel_ms), rng)


def test_graphs_share_a_folder(tmp_path):
    rng = np.random.default_rng(5)
    graphs = [random_network(rng, 6, 12)[0] for _ in range(3)]
    folders = {RoadNetwork(graph).save(tmp_path) for graph in graphs}
    assert folders == set(tmp_path.iterdir())
    assert len(folders) == 3
    for graph in graphs:
        metric = RoadNetwork(graph, tmp_path).customize(graph.free_flow_ms())
        check_metric(metric, Truth(graph, [], metric.travel_ms), rng)


# --- changed in part -----------------------------------------------------------------------------


@given(networks(max_nodes=8, max_streets=16), st.data())
@settings(max_examples=60)
def test_updates_one_after_another_equal_a_full_customization(network, data):
    graph, _, travel_ms = network
    road_network = RoadNetwork(graph)
    metrics = [road_network.customize(travel_ms)]
    for _ in range(data.draw(st.integers(1, 5))):
        edges = data.draw(st.lists(st.integers(0, graph.num_arcs - 1), unique=True))
        weights = data.draw(st.lists(WEIGHTS, min_size=len(edges), max_size=len(edges)))
        before = data.draw(st.sampled_from(metrics))
        metrics.append(before.update(edges, np.array(weights, np.int64)))
        expected = before.travel_ms.copy()
        expected[edges] = np.minimum(weights, UNREACHABLE_MS)
        assert metrics[-1].travel_ms.tolist() == expected.tolist()
        if data.draw(st.booleans()):
            del before
            metrics.pop(data.draw(st.integers(0, len(metrics) - 2)))
    for metric in metrics:  # also those from which others came
        assert (cells_of(metric) == cells_of(road_network.customize(metric.travel_ms))).all()


@pytest.mark.parametrize(
    ("edge", "travel_ms", "message"),
    [
        ([3], [1], r"edge\[0\] is 3: the graph has 3 arcs"),
        ([0, -1], [1, 1], r"edge\[1\] is -1"),
        ([0, 0], [1, 2], "edge names an arc twice"),
        ([[0]], [1], "edge is int64 of shape"),
        ([0.0], [1], "edge is float64"),
        ([0, 1], [1], r"travel_ms has the shape \(1,\)"),
        ([0, 1], [1, -1], r"travel_ms\[1\] is -1"),
        ([0], [1.5], "travel_ms holds float64"),
        ([2**32], [1], "edge.0. is 4294967296"),
    ],
)
def test_bad_updates_are_named_and_change_nothing(triangle, edge, travel_ms, message):
    metric = triangle.customize([1, 2, 3])
    with pytest.raises(InputError, match=message):
        metric.update(edge, travel_ms)
    assert metric.travel_ms.tolist() == [1, 2, 3]
    assert metric.from_ms([0]).tolist() == [0, 1, 3]


def test_an_update_of_nothing(triangle):
    metric = triangle.customize([1, 2, 3])
    for nothing in (metric.update([], []), metric.update([1, 2], [2, 3])):
        assert nothing is not metric
        assert (cells_of(nothing) == cells_of(metric)).all()


# --- several threads ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def streets():
    rng = np.random.default_rng(11)
    graph, _ = random_network(rng, 400, 900)
    return RoadNetwork(graph), [random_weights(rng, graph.num_arcs) for _ in range(6)]


def test_a_metric_stays_as_it_is_while_others_are_made_and_dropped(streets):
    network, weights = streets
    kept = [network.customize(travel_ms) for travel_ms in weights]
    cells = [metric.cells_ms.copy() for metric in kept]
    rng = np.random.default_rng(0)
    for turn in range(60):
        metric = network.customize(weights[turn % 6], 1 + turn % 2)
        for _ in range(turn % 4):
            edges = rng.permutation(network.graph.num_arcs)[:50]
            metric = metric.update(edges, rng.integers(0, 999, 50))
        if turn % 7 == 0:
            kept.append(metric)
            cells.append(metric.cells_ms.copy())
    for metric, before in zip(kept, cells, strict=True):
        assert (metric.cells_ms == before).all()
        assert (cells_of(metric) == cells_of(network.customize(metric.travel_ms))).all()


def test_a_copy_stays_as_it_is(streets):
    network, weights = streets
    every = np.arange(0, 400, 7)
    metric = network.customize(weights[0])
    same, expected = copy.copy(metric), metric.table_ms(every, every)
    del metric
    others = [network.customize(travel_ms) for travel_ms in weights[1:]]
    assert (same.table_ms(every, every) == expected).all(), len(others)


def test_many_threads_ask_and_update_at_once(streets):
    network, weights = streets
    every = np.arange(0, 400, 7)
    expected = [network.customize(travel_ms).table_ms(every, every) for travel_ms in weights]
    until = time.perf_counter() + 1.0
    shared = [network.customize(weights[0])]

    def ask(seed):
        rng, num = np.random.default_rng(seed), 0
        while time.perf_counter() < until:
            k = int(rng.integers(6))
            # The metric lives for the one call only: its memory is the next one's.
            assert (network.customize(weights[k], 1 + seed % 2).table_ms(every, every) == expected[k]).all()
            changed = np.flatnonzero(shared[0].travel_ms != weights[k])
            metric = shared[0].update(changed, weights[k][changed])
            anew = network.customize(metric.travel_ms)
            assert (metric.table_ms(every, every) == anew.table_ms(every, every)).all()
            shared[0] = metric  # others may be updating the one before
            num += 1
        return num

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(ask, range(6))) > 12


# --- real streets --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def san_francisco(data):
    return RoadNetwork(load_network(data / "san_francisco").graph)


def test_real_streets_on_one_thread_and_on_two(san_francisco):
    rng = np.random.default_rng(3)
    for _ in range(3):
        travel_ms = some_slower_and_closed(rng, san_francisco.graph.free_flow_ms())
        alone, together = (san_francisco.customize(travel_ms, num_threads) for num_threads in (1, 2))
        assert (cells_of(alone) == cells_of(together)).all()


def test_real_streets_updated(san_francisco):
    rng = np.random.default_rng(6)
    check_updates(san_francisco, san_francisco.customize(san_francisco.graph.free_flow_ms()), rng, 25)


@pytest.mark.long
def test_new_york_updated_200_times(data):
    graph, usual = new_york(data)
    network = RoadNetwork(graph)
    alone, together = (network.customize(usual, num_threads) for num_threads in (1, 2))
    assert (cells_of(alone) == cells_of(together)).all()
    num_changed = check_updates(network, alone, np.random.default_rng(7), 200)
    print(f"200 updates, {num_changed:,} arcs, {len(cells_of(alone)):,} cells each, 0 wrong", flush=True)


def check_updates(network, metric, rng, num_updates):
    """Each equals a customization from nothing: jams, streets closed and opened, all back to normal."""
    usual, num_changed = metric.travel_ms, 0
    for turn in range(num_updates):
        edges = rng.permutation(network.graph.num_arcs)[: int(10 ** rng.uniform(0, 3.5))]
        travel_ms = some_slower_and_closed(rng, usual[edges]) if turn % 3 else usual[edges]
        metric = metric.update(edges, travel_ms)
        num_changed += len(edges)
        assert (metric.travel_ms[edges] == travel_ms).all()
        assert (cells_of(metric) == cells_of(network.customize(metric.travel_ms))).all(), f"update {turn}"
    return num_changed
