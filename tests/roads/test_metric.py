import time

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.network_file import load_network
from dispatch.roads.places import Places
from dispatch.roads.road_network import RoadNetwork
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS
from roads.metric_checks import (
    Streets,
    Truth,
    check_metric,
    check_nearest,
    new_york,
    some_slower_and_closed,
)
from roads.road_graphs import ints, networks, random_network, random_weights, road_graph

BIG = MAX_TRAVEL_MS


def metric_of(num_nodes, arcs, rules=()):
    """A metric of arcs (tail, head, weight), which are sorted."""
    assert [arc[:2] for arc in arcs] == sorted(arc[:2] for arc in arcs)
    graph = road_graph(num_nodes, [arc[:2] for arc in arcs], rules=rules)
    return RoadNetwork(graph).customize([arc[2] for arc in arcs])


# --- all answers ---------------------------------------------------------------------------------


# Searches that remember the arcs driven take seconds where many streets are parallel.
@given(networks(max_streets=8), st.integers(0, 2**32 - 1))
@settings(max_examples=35)
def test_every_answer_equals_a_plain_search(network, seed):
    graph, rules, travel_ms = network
    metric = RoadNetwork(graph).customize(travel_ms, num_threads=1 + seed % 2)
    check_metric(metric, Truth(graph, rules, travel_ms), np.random.default_rng(seed))


@given(networks(max_nodes=9, max_streets=20, max_rules=0), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_every_answer_without_rules(network, seed):
    graph, _, travel_ms = network
    check_metric(
        RoadNetwork(graph).customize(travel_ms), Truth(graph, [], travel_ms), np.random.default_rng(seed)
    )


def test_longest_times_and_sums_beyond():
    metric = metric_of(5, [(0, 1, BIG), (1, 2, 0), (2, 3, 1), (3, 4, BIG), (4, 0, 1)])
    every = np.arange(5)
    u = UNREACHABLE_MS
    assert metric.table_ms(every, every).tolist() == [
        [0, BIG, BIG, u, u],
        [u, 0, 0, 1, u],
        [u, u, 0, 1, u],
        [u, u, u, 0, BIG],
        [1, u, u, u, 0],
    ]
    check_metric(metric, Truth(metric.network.graph, [], metric.travel_ms), np.random.default_rng(0))


def test_without_a_way():
    metric = metric_of(4, [(0, 1, 5), (1, 0, UNREACHABLE_MS), (2, 2, 1), (3, 2, 7)])
    every = np.arange(4)
    paths = metric.paths([0, 1, 2, 3, 1, NO_INDEX, 0], [2, 0, 3, 0, 1, 0, NO_INDEX])
    assert paths.first.tolist() == [0, 0, 0, 0, 0, 1, 1, 1]
    assert (paths.node.tolist(), paths.edge.tolist()) == ([1], [NO_INDEX])
    assert (metric.table_ms(every, every) < UNREACHABLE_MS).sum() == 6
    assert metric.nearest(every, every, 4).first.tolist() == [0, 1, 3, 5, 6]


def test_forbidden_turns_are_not_driven_and_a_loop_round_the_block_is():
    #  0 -> 1 -> 2, and round the block 1 -> 3 -> 1; straight on at 1 is forbidden to who comes from 0
    arcs = [(0, 1, 10), (1, 2, 10), (1, 3, 5), (3, 1, 5)]
    metric = metric_of(4, arcs, [(0, 1)])
    assert metric.pairs_ms([0, 1, 3], [2, 2, 2]).tolist() == [30, 10, 15]
    assert metric.time_ms(0, 2) == 30
    paths = metric.paths([0], [2])
    assert paths.node.tolist() == [0, 1, 3, 1, 2]
    assert paths.at_ms.tolist() == [0, 10, 15, 20, 30]
    assert metric.from_ms([0]).tolist() == [0, 10, 30, 15]
    assert metric.to_ms([2]).tolist() == [30, 10, 0, 15]
    closed = metric.update([2], [UNREACHABLE_MS])
    assert closed.pairs_ms([0, 1], [2, 2]).tolist() == [UNREACHABLE_MS, 10]


def test_trips_within_a_street():
    # 0 - 1 both ways, 1 -> 2 one-way, and a way back from 2 to 1 over 3
    arcs = [(0, 1, 80), (1, 0, 40), (1, 2, 100), (2, 3, 7), (3, 1, 3)]
    metric = metric_of(4, arcs)
    assert metric.network.graph.twin.tolist() == [1, 0, NO_INDEX, NO_INDEX, NO_INDEX]
    start, stop = (
        Places.on([0, 0, 2, 2], [0.25, 0.75, 0.25, 0.75]),
        Places.on([0, 0, 2, 2], [0.75, 0.25, 0.75, 0.25]),
    )
    expected = [40, 20, 50, 25 + 7 + 3 + 25]
    assert metric.pairs_ms(start, stop).tolist() == expected
    assert np.diag(metric.table_ms(start, stop)).tolist() == expected
    assert metric.candidates_ms(start, stop, ints(range(5)), ints(range(4))).tolist() == expected
    assert metric.pairs_ms(start, start).tolist() == [0] * 4
    turned = Places.on([1, 1], [0.25, 0.75])
    assert metric.pairs_ms(start.take(np.array([0, 1])), turned).tolist() == [40, 20]


def test_places_that_are_nowhere():
    metric = metric_of(2, [(0, 1, 10), (1, 0, UNREACHABLE_MS)])
    nowhere, on = Places.on([NO_INDEX], [0.5]), Places.on([0], [0.5])
    for starts, stops in ((nowhere, on), (on, nowhere), (nowhere, nowhere), (nowhere, [1]), ([NO_INDEX], on)):
        assert metric.pairs_ms(starts, stops).tolist() == [UNREACHABLE_MS]
        assert metric.table_ms(starts, stops).tolist() == [[UNREACHABLE_MS]]
    assert metric.from_ms(nowhere).tolist() == metric.to_ms(nowhere).tolist() == [UNREACHABLE_MS] * 2
    assert metric.from_ms([NO_INDEX]).tolist() == [UNREACHABLE_MS] * 2
    closed = Places.on([1], [0.5])  # one direction of a street whose other one is open
    assert metric.from_ms(closed).tolist() == [UNREACHABLE_MS, 5]
    assert metric.to_ms(closed).tolist() == [5, UNREACHABLE_MS]


@pytest.mark.parametrize("num_targets", [0, 1, 511, 512, 513, 1200])
def test_tables_of_many_columns(num_targets):
    rng = np.random.default_rng(num_targets)
    graph, _ = random_network(rng, 30, 60)
    metric = RoadNetwork(graph).customize(random_weights(rng, graph.num_arcs))
    every = np.arange(30)
    expected = metric.table_ms(every, every)
    assert expected.tolist() == Truth(graph, [], metric.travel_ms).table
    sources, targets = rng.integers(0, 30, 3), rng.integers(0, 30, num_targets)
    assert (metric.table_ms(sources, targets) == expected[np.ix_(sources, targets)]).all()
    assert (metric.table_ms(targets, sources) == expected[np.ix_(targets, sources)]).all()
    assert metric.table_ms(sources[:0], targets).shape == (0, num_targets)
    assert metric.table_ms(targets, sources[:0]).shape == (num_targets, 0)
    assert metric.table_ms(targets, targets[:1]).flags.c_contiguous


def test_nobody_asks():
    metric = metric_of(2, [(0, 1, 5)])
    nobody, places = np.empty(0, np.int32), Places.on([], [])
    for none in (nobody, places, []):
        for other in (nobody, places, []):
            assert metric.pairs_ms(none, other).shape == (0,)
            assert metric.table_ms(none, other).shape == (0, 0)
            assert metric.candidates_ms(none, other, ints([0]), nobody).shape == (0,)
        assert metric.table_ms(none, [0, 1]).shape == (0, 2)
        assert metric.table_ms([0, 1], none).shape == (2, 0)
        assert metric.candidates_ms(none, [0, 1], ints([0, 0, 0]), nobody).shape == (0,)
    assert [len(values) for values in vars(metric.paths([], [])).values()] == [1, 0, 0, 0, 0]
    assert [len(values) for values in metric.nearest([], [0, 1], 3)] == [3, 0, 0]
    assert [len(values) for values in metric.nearest([0, 1], [], 3)] == [1, 0, 0]


def test_nobody_drives_to_stay_where_he_is():
    # Not even where it takes no time.
    metric = metric_of(4, [(0, 1, 0), (1, 0, 0), (1, 2, 0), (2, 1, 0), (2, 3, 0), (3, 0, 0), (3, 3, 0)])
    every = np.arange(4)
    paths = metric.paths(every, every)
    assert (paths.node.tolist(), paths.at_m.tolist()) == ([0, 1, 2, 3], [0.0] * 4)


def test_parallel_edges_and_loops():
    arcs = [(0, 0, 0), (0, 1, 9), (0, 1, 4), (0, 1, 4), (1, 1, 3)]
    metric = metric_of(2, arcs)
    assert metric.table_ms([0, 1], [0, 1]).tolist() == [[0, 4], [UNREACHABLE_MS, 0]]
    paths = metric.paths([0, 0, 1], [0, 1, 1])
    assert paths.node.tolist() == [0, 0, 1, 1]
    assert paths.edge[2] in (2, 3)
    assert metric.update([2, 3], [99, UNREACHABLE_MS]).paths([0], [1]).edge.tolist() == [NO_INDEX, 1]


# --- the nearest ---------------------------------------------------------------------------------


@given(networks(max_nodes=8, max_streets=16), st.data())
@settings(max_examples=80)
def test_the_nearest_are_the_first_of_all_times(network, data):
    graph, rules, travel_ms = network
    metric = RoadNetwork(graph).customize(travel_ms)
    stop = st.one_of(st.none(), st.integers(0, graph.num_nodes - 1))
    drivers = data.draw(st.lists(stop, max_size=9))
    orders = data.draw(st.lists(stop, max_size=4))
    expected = np.array(Truth(graph, rules, travel_ms).trips(drivers, orders)).reshape(
        len(drivers), len(orders)
    )
    named = [ints([NO_INDEX if node is None else node for node in nodes]) for nodes in (drivers, orders)]
    max_ms = data.draw(st.sampled_from([MAX_TRAVEL_MS, 0, *expected.ravel().tolist()]))
    check_nearest(metric, *named, expected, data.draw(st.integers(1, 10)), min(max_ms, MAX_TRAVEL_MS))


def test_the_nearest_of_many_in_ties():
    rng = np.random.default_rng(2)
    graph, _ = random_network(rng, 50, 120)
    metric = RoadNetwork(graph).customize(rng.integers(0, 3, graph.num_arcs))
    drivers, orders = ints(rng.integers(0, 50, 300)), ints(rng.integers(0, 50, 40))
    expected = metric.table_ms(drivers, orders)
    for k in (1, 2, 7, 50, 299, 300, 1000):
        check_nearest(metric, drivers, orders, expected, k, MAX_TRAVEL_MS)
    check_nearest(metric, drivers, orders, expected, 20, 2)


@pytest.mark.parametrize(
    ("k", "max_ms", "message"),
    [
        (0, 9, "k is 0"),
        (-1, 9, "k is -1"),
        (2.0, 9, "k is 2.0"),
        (True, 9, "k is True"),
        (1, -1, "max_ms is -1"),
        (1, UNREACHABLE_MS, "max_ms is 536870912"),
        (1, float("nan"), "max_ms is nan"),
    ],
)
def test_bad_limits_are_named(k, max_ms, message):
    with pytest.raises(InputError, match=message):
        metric_of(2, [(0, 1, 5)]).nearest([0], [1], k, max_ms)


def test_the_nearest_of_places_are_right_or_refused():
    metric = metric_of(3, [(0, 1, 40), (1, 2, 30), (2, 0, 30)])
    try:
        found = metric.nearest(Places.on([0], [0.25]), Places.on([0], [0.75]), 1)
    except InputError:
        return
    assert found.ms.tolist() == [20]


# --- bad input -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def three():
    return metric_of(3, [(0, 1, 5), (1, 2, 6), (2, 0, 7)])


def asked(metric):
    """Every question that takes nodes, as a function of some of them."""
    one = ints([0])
    return {
        "pairs_ms from": lambda nodes: metric.pairs_ms(nodes, np.zeros(len(nodes), np.int32)),
        "pairs_ms to": lambda nodes: metric.pairs_ms(np.zeros(len(nodes), np.int32), nodes),
        "table_ms from": lambda nodes: metric.table_ms(nodes, one),
        "table_ms to": lambda nodes: metric.table_ms(one, nodes),
        "from_ms": lambda nodes: metric.from_ms(nodes),
        "to_ms": lambda nodes: metric.to_ms(nodes),
        "paths from": lambda nodes: metric.paths(nodes, np.zeros(len(nodes), np.int32)),
        "paths to": lambda nodes: metric.paths(np.zeros(len(nodes), np.int32), nodes),
        "nearest drivers": lambda nodes: metric.nearest(nodes, one, 1),
        "nearest orders": lambda nodes: metric.nearest(one, nodes, 1),
        "candidates drivers": lambda nodes: metric.candidates_ms(nodes, one, ints([0, 0]), ints([])),
        "candidates orders": lambda nodes: metric.candidates_ms(
            one, nodes, ints([0] * (len(nodes) + 1)), ints([])
        ),
        "time_ms from": lambda nodes: metric.time_ms(nodes[0], 0),
        "time_ms to": lambda nodes: metric.time_ms(0, nodes[0]),
    }


QUESTIONS = list(asked(None))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("node", [3, -2, 2**31 - 1, -(2**31), 2**32, -(2**33)])
def test_rows_that_name_no_node_are_named(three, question, node):
    with pytest.raises(InputError, match=str(node)):
        asked(three)[question](np.array([node]))


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("nodes", [[0.5], [np.nan], [[1]], ["a"], [None]], ids=str)
def test_what_are_no_nodes_is_refused(three, question, nodes):
    with pytest.raises(InputError):
        asked(three)[question](nodes)


@pytest.mark.parametrize("question", QUESTIONS)
def test_nodes_of_any_whole_type_and_layout(three, question):
    ask = asked(three)[question]
    strided = np.array([1, 9, 9])[::3]
    read_only = ints([1])
    read_only.flags.writeable = False
    answers = [ask(nodes) for nodes in ([1], ints([1]), np.array([1], np.uint8), strided, read_only)]
    assert len({repr(answer) for answer in answers}) == 1


def test_the_row_is_the_caller_s(three):
    with pytest.raises(InputError, match=r"(row |\[)3(\]| is)"):
        three.pairs_ms([0, 0, 0, 5], [1, 1, 2, 2])
    with pytest.raises(InputError, match=r"(row |\[)2(\]| is)"):
        three.pairs_ms([0, 0, 0, 0], [1, 2, 5, 0])
    with pytest.raises(InputError, match=r"(row |\[)1(\]| is)"):
        three.table_ms([0, 5], [1])


def test_sides_must_pair_up(three):
    places = Places.on([0, 1], [0.5, 0.5])
    for ask in (three.pairs_ms, three.paths):
        with pytest.raises(InputError, match=r"must pair up"):
            ask([0, 1], [0])
    for sides in ((places, [0]), ([0], places), (places, places.take(np.array([0])))):
        with pytest.raises(InputError, match="must pair up"):
            three.pairs_ms(*sides)
    for ask in (three.from_ms, three.to_ms):
        with pytest.raises(InputError, match="must be one node or place"):
            ask([0, 1])
        with pytest.raises(InputError, match="must be one node or place"):
            ask([])


def test_places_of_another_graph_are_refused(three):
    wrong = Places.on([0, 3], [0.5, 0.5])
    for ask in (three.pairs_ms, three.table_ms):
        for sides in ((wrong, [0, 1]), ([0, 1], wrong), (wrong, wrong)):
            with pytest.raises(InputError, match="edge at row 1 is 3: the graph has 3 arcs"):
                ask(*sides)


@pytest.mark.parametrize(
    ("first", "candidate"),
    [
        ([0, 1], [0]),
        ([0, 1, 3], [0, 1]),
        ([0, 2, 1], [0, 1]),
        ([1, 1, 2], [0, 1]),
        ([0, 1, 2], [0, 2]),
        ([0, 1, 2], [0, -1]),
        ([0, 1, 2], [0.0, 1.0]),
    ],
    ids=str,
)
def test_candidates_that_do_not_fit_are_refused(three, first, candidate):
    with pytest.raises(InputError):
        three.candidates_ms([0, 1], [1, 2], np.array(first), np.array(candidate))


def test_candidates_of_any_layout(three):
    from dispatch.kernels.labels import pair_times

    before = len(getattr(pair_times, "signatures", ()))
    found = three.candidates_ms([0, 1], [1, 2], np.array([0, 2, 3]), np.array([0, 9, 1, 9, 1, 9])[::2])
    assert found.tolist() == [5, 0, 6]
    assert len(getattr(pair_times, "signatures", ())) == before


# --- real streets --------------------------------------------------------------------------------


def check_real(metric, rng, num_sources, num_targets, num_paths):
    """Everything asked of some random sources; give counts."""
    graph = metric.network.graph
    streets = Streets(graph, metric.travel_ms)
    sources, targets = (ints(rng.permutation(graph.num_nodes)[:num]) for num in (num_sources, num_targets))
    counts = dict.fromkeys(("cells", "from one", "to one", "pairs", "ways", "unreachable"), 0)
    for begin in range(0, num_sources, 25):
        block = sources[begin : begin + 25]
        expected = streets.from_ms(block)
        table = metric.table_ms(block, targets)
        assert (table == expected[:, targets]).all()
        counts["cells"] += table.size
        counts["unreachable"] += int((table == UNREACHABLE_MS).sum())
        for node, row in zip(block[:4], expected, strict=False):
            assert (metric.from_ms([node]) == row).all()
            counts["from one"] += len(row)
        row, to_node = rng.integers(0, len(block), 2500), ints(rng.integers(0, graph.num_nodes, 2500))
        assert (metric.pairs_ms(block[row], to_node) == expected[row, to_node]).all()
        single = [metric.time_ms(int(a), int(b)) for a, b in zip(block[row[:99]], to_node[:99], strict=True)]
        assert single == expected[row[:99], to_node[:99]].tolist()
        counts["pairs"] += len(row) + len(single)
        row, to_node = row[:num_paths], to_node[:num_paths]
        counts["ways"] += streets.check_paths(metric, block[row], to_node, expected[row, to_node])
    for node, row in zip(targets[:20], streets.to_ms(targets[:20]), strict=True):
        assert (metric.to_ms([node]) == row).all()
        counts["to one"] += len(row)
    return counts


def test_real_streets(data):
    network = RoadNetwork(load_network(data / "san_francisco").graph)
    rng = np.random.default_rng(1)
    usual = network.graph.free_flow_ms()
    for travel_ms in (usual, some_slower_and_closed(rng, usual)):
        counts = check_real(network.customize(travel_ms), rng, 25, 400, 100)
        assert counts["cells"] == 10_000


@pytest.mark.long
def test_new_york(data):
    """A quarter of a million nodes: more than ten million cells a metric, every one right."""
    graph, usual = new_york(data)
    rng, network = np.random.default_rng(2), RoadNetwork(graph)
    for travel_ms in (usual, some_slower_and_closed(rng, usual)):
        began = time.perf_counter()
        counts = check_real(network.customize(travel_ms), rng, 200, 52_000, 330)
        assert counts["cells"] >= 10_000_000
        assert counts["from one"] + counts["to one"] >= 5_000_000
        assert counts["pairs"] >= 20_000
        assert counts["ways"] >= 2_000
        print(f"{counts}, 0 wrong, {time.perf_counter() - began:.0f} s", flush=True)
