"""Every answer of a metric compared with plain searches."""

import numpy as np
import pyarrow.parquet as pq
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from dispatch.roads.places import Places
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS
from naive.trips import trip_time, trip_times
from naive.turns import breaks_a_rule
from roads.road_graphs import arcs_of, ints, road_graph

SHARES = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0)
"""Those of both directions of a street are exact."""


class Truth:
    """A road graph with its rules and weights, as plain Python sees them."""

    def __init__(self, graph, rules, travel_ms):
        self.graph, self.rules = graph, rules
        self.travel_ms = np.minimum(travel_ms, UNREACHABLE_MS)
        self.arcs, self.twin = arcs_of(graph, self.travel_ms), graph.twin.tolist()
        self.nodes = np.arange(graph.num_nodes)
        self.table = [self.from_all(node) for node in range(graph.num_nodes)]

    def from_all(self, start):
        found = trip_times(self.arcs, self.twin, self.rules, start)
        return [found.get(node, UNREACHABLE_MS) for node in range(self.graph.num_nodes)]

    def trip(self, start, stop):
        if isinstance(start, tuple) or isinstance(stop, tuple):
            return trip_time(self.arcs, self.twin, self.rules, start, stop)
        return UNREACHABLE_MS if start is None or stop is None else self.table[start][stop]

    def trips(self, starts, stops):
        return [[self.trip(start, stop) for stop in stops] for start in starts]


def nodes_of(stops):
    """Nodes as callers name them, None as NO_INDEX."""
    return ints([NO_INDEX if stop is None else stop for stop in stops])


def places_of(stops):
    """Places (edge, share) as callers name them, None as NO_INDEX."""
    found = [(NO_INDEX, 0.0) if stop is None else stop for stop in stops]
    return Places.on([edge for edge, _ in found], [share for _, share in found])


def random_stops(rng, graph, num):
    """Nodes and places, a few of them nowhere."""
    nodes = [int(v) if v >= 0 else None for v in rng.integers(-1, graph.num_nodes, num)]
    if not graph.num_arcs:
        return nodes, [None] * num
    edges = rng.integers(-1, graph.num_arcs, num)
    places = [(int(e), float(rng.choice(SHARES))) if e >= 0 else None for e in edges]
    return nodes, places


def check_metric(metric, truth, rng):
    """All questions, between nodes, between places, and between both."""
    graph = truth.graph
    check_from_and_to(metric, truth)
    assert metric.table_ms(truth.nodes, truth.nodes).tolist() == truth.table
    check_paths(metric, truth, *np.indices((graph.num_nodes, graph.num_nodes)).reshape(2, -1))
    if not graph.num_nodes:
        return
    for starts, as_starts in zip(random_stops(rng, graph, 4), (nodes_of, places_of), strict=True):
        for stops, as_stops in zip(random_stops(rng, graph, 5), (nodes_of, places_of), strict=True):
            expected = np.array(truth.trips(starts, stops))
            check_between(metric, rng, as_starts(starts), as_stops(stops), expected)
            if as_starts is nodes_of and as_stops is nodes_of:
                limit_ms = min(int(rng.choice(expected.ravel())), MAX_TRAVEL_MS)
                for k, max_ms in ((1, MAX_TRAVEL_MS), (3, limit_ms), (9, MAX_TRAVEL_MS)):
                    check_nearest(metric, as_starts(starts), as_stops(stops), expected, k, max_ms)
    for stop in random_stops(rng, graph, 1)[1]:
        if stop is not None:
            place = places_of([stop])
            assert metric.from_ms(place).tolist() == truth.from_all(stop)
            assert metric.to_ms(place).tolist() == [truth.trip(node, stop) for node in range(graph.num_nodes)]


def check_nearest(metric, starts, stops, expected, k, max_ms):
    """The `k` first of the times (from, to), of equal ones the lower row."""
    found = metric.nearest(starts, stops, k, max_ms)
    assert [values.dtype for values in found] == [np.int32] * 3
    for i, times in enumerate(expected.T.tolist()):
        at = slice(int(found.first[i]), int(found.first[i + 1]))
        nearest = sorted((ms, row) for row, ms in enumerate(times) if ms <= max_ms)[:k]
        assert list(zip(found.ms[at].tolist(), found.item[at].tolist(), strict=True)) == nearest


def check_from_and_to(metric, truth):
    nodes = range(truth.graph.num_nodes)
    assert [metric.from_ms([node]).tolist() for node in nodes] == truth.table
    assert [metric.to_ms([node]).tolist() for node in nodes] == np.transpose(truth.table).tolist()
    assert [[metric.time_ms(start, stop) for stop in nodes] for start in nodes] == truth.table


def check_between(metric, rng, starts, stops, expected):
    """Tables, pairs in runs or shuffled, and candidates."""
    table = metric.table_ms(starts, stops)
    assert table.dtype == np.int32
    assert table.tolist() == expected.tolist()
    row, column = np.indices(expected.shape).reshape(2, -1)
    for order in (np.arange(len(row)), np.argsort(column, kind="stable"), rng.permutation(len(row))):
        found = metric.pairs_ms(starts.take(row[order]), stops.take(column[order]))
        assert found.dtype == np.int32
        assert found.tolist() == expected[row[order], column[order]].tolist()
    some, others = rng.integers(0, len(starts), 20), rng.integers(0, len(stops), 24)
    found = metric.table_ms(starts.take(some), stops.take(others))
    assert found.tolist() == expected[np.ix_(some, others)].tolist()
    num = rng.integers(0, len(starts) + 1, len(stops))
    candidate = np.concatenate([rng.permutation(len(starts))[:k] for k in num]).astype(np.int32)
    first = ints(np.concatenate([[0], np.cumsum(num)]))
    found = metric.candidates_ms(starts, stops, first, candidate)
    assert found.tolist() == expected[candidate, np.repeat(np.arange(len(stops)), num)].tolist()


def check_paths(metric, truth, from_node, to_node):
    """Each way leads from one node to the other, obeys the rules, adds up and is as short as can be."""
    graph, paths = truth.graph, metric.paths(from_node, to_node)
    assert [getattr(paths, name).dtype for name in ("first", "node", "at_ms", "edge")] == [np.int32] * 4
    assert len(paths.first) == len(from_node) + 1
    for i, (start, stop) in enumerate(zip(from_node.tolist(), to_node.tolist(), strict=True)):
        at = slice(int(paths.first[i]), int(paths.first[i + 1]))
        node, edge = paths.node[at], paths.edge[at]
        expected = truth.table[start][stop]
        assert (len(node) > 0) == (expected < UNREACHABLE_MS)
        if not len(node):
            continue
        assert (node[0], node[-1], edge[0]) == (start, stop, NO_INDEX)
        assert graph.tail[edge[1:]].tolist() == node[:-1].tolist()
        assert graph.head[edge[1:]].tolist() == node[1:].tolist()
        assert paths.at_ms[at].tolist() == [0, *np.cumsum(truth.travel_ms[edge[1:]]).tolist()]
        assert paths.at_ms[at][-1] == expected
        assert np.allclose(paths.at_m[at], np.cumsum([0, *graph.length_m[edge[1:]]]), rtol=0, atol=1e-6)
        assert not breaks_a_rule(edge[1:].tolist(), truth.rules)
        if not truth.rules and (truth.travel_ms[edge[1:]] > 0).all():
            assert len(set(node.tolist())) == len(node)


# --- networks too large for plain Python -------------------------------------------------------------


class Streets:
    """A road graph without rules as scipy sees it; weights are 1 ms or more, as zeros are no arcs there."""

    def __init__(self, graph, travel_ms):
        self.graph, self.travel_ms = graph, travel_ms
        row = np.flatnonzero((travel_ms < UNREACHABLE_MS) & (graph.tail != graph.head))
        row = row[np.lexsort((travel_ms[row], graph.head[row], graph.tail[row]))]
        tail, head = graph.tail[row], graph.head[row]
        is_first = np.ones(len(row), bool)
        is_first[1:] = (tail[1:] != tail[:-1]) | (head[1:] != head[:-1])
        shape = (graph.num_nodes, graph.num_nodes)
        row = row[is_first]
        self.ahead = csr_matrix((travel_ms[row], (graph.tail[row], graph.head[row])), shape)
        self.back = csr_matrix((travel_ms[row], (graph.head[row], graph.tail[row])), shape)

    def from_ms(self, nodes):
        """(sources, nodes) int32"""
        return _as_ms(dijkstra(self.ahead, indices=nodes))

    def to_ms(self, nodes):
        """(targets, nodes) int32"""
        return _as_ms(dijkstra(self.back, indices=nodes))

    def check_paths(self, metric, from_node, to_node, expected_ms):
        """The checks of :func:`check_paths`, without a loop over nodes; give how many ways there were."""
        graph, paths = self.graph, metric.paths(from_node, to_node)
        num = np.diff(paths.first)
        has_way = num > 0
        assert ((expected_ms < UNREACHABLE_MS) == has_way).all()
        begin, last = paths.first[:-1][has_way], paths.first[1:][has_way] - 1
        assert (paths.node[begin] == from_node[has_way]).all()
        assert (paths.node[last] == to_node[has_way]).all()
        assert (paths.at_ms[begin] == 0).all()
        assert (paths.edge[begin] == NO_INDEX).all()
        assert (paths.at_ms[last] == expected_ms[has_way]).all()
        is_step = np.ones(len(paths.node), bool)
        is_step[begin] = False
        step = np.flatnonzero(is_step)
        assert (graph.tail[paths.edge[step]] == paths.node[step - 1]).all()
        assert (graph.head[paths.edge[step]] == paths.node[step]).all()
        assert (paths.at_ms[step] - paths.at_ms[step - 1] == self.travel_ms[paths.edge[step]]).all()
        assert np.allclose(
            paths.at_m[step] - paths.at_m[step - 1], graph.length_m[paths.edge[step]], atol=1e-4
        )
        return int(has_way.sum())


def _as_ms(times):
    return np.where(times < UNREACHABLE_MS, times, UNREACHABLE_MS).astype(np.int32)


def new_york(data):
    """The DIMACS graph and its weights."""
    nodes, edges = (pq.read_table(data / "dimacs_ny" / f"{name}.parquet") for name in ("nodes", "edges"))
    lonlat = nodes["lon"].to_numpy(), nodes["lat"].to_numpy()
    ends = np.stack([edges["from_node"].to_numpy(), edges["to_node"].to_numpy()], 1)
    # Lengths are sorted along with the arcs.
    graph = road_graph(len(nodes), ends, lonlat, edges["travel_time"].to_numpy())
    return graph, graph.length_m.astype(np.int32)


def some_slower_and_closed(rng, travel_ms):
    """Each arc × 0.7 to 2.5, a tenth of them closed."""
    weights = np.maximum(np.rint(travel_ms * rng.uniform(0.7, 2.5, len(travel_ms))), 1).astype(np.int32)
    weights[rng.random(len(weights)) < 0.1] = UNREACHABLE_MS
    return weights
