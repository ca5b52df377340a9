from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.customization import customize
from dispatch.kernels.repair import Marks, repair
from dispatch.units import MAX_TRAVEL_MS, UNREACHABLE_MS
from roads.road_graphs import SHAPES, WEIGHTS, Contracted, contracted, ints


class Repaired:
    """A customized graph that is changed again and again, always with the same scratch."""

    def __init__(self, graph):
        self.graph, self.inputs, self.travel_ms = graph, graph.inputs(), graph.travel_ms.copy()
        num_nodes, num_cells = len(graph.rank), 2 * graph.num_cells
        self.ms = self.customized()
        # Rows have gaps, cells of no arc, whose marks nobody reads.
        upwards = [cell for v, w, cell in graph.cells() if w in graph.upper[v]]
        self.cells_of_arcs = upwards + [cell + graph.num_cells for cell in upwards]
        # Whatever stands in `better_ms` beside clean marks means nothing.
        self.marks = Marks(
            np.zeros(num_nodes, np.int8), np.zeros(num_cells, np.int8), np.full(num_cells, -9, np.int32)
        )

    def customized(self):
        """All cells anew."""
        tree, ms = self.graph.tree, np.empty(2 * self.graph.num_cells, np.int32)
        end = ints([len(self.graph.rank)])
        customize(tree, tree.base, self.inputs, self.travel_ms, ints([0]), end, ms)
        return ms

    def start(self, edges):
        """(2, n) nodes and cells of some edges; loops have none."""
        first = self.inputs.first.tolist()
        node = [v for v, (begin, end) in enumerate(pairwise(first)) for _ in range(begin, end)]
        cell = [int(self.graph.tree.base[v] + cell) for v, cell in zip(node, self.inputs.cell, strict=True)]
        rows = [row for row, edge in enumerate(self.inputs.edge) if edge in edges]
        return np.array([[node[row] for row in rows], [cell[row] for row in rows]], np.int32).reshape(2, -1)

    def change(self, weights):
        """Change edges and repair; give how many cells changed."""
        before = self.ms.copy()
        for edge, weight in weights.items():
            self.travel_ms[edge] = min(weight, UNREACHABLE_MS)
        height = max(self.graph.depth, default=0) + 1
        cells = repair(
            self.graph.tree,
            self.inputs,
            self.graph.lower,
            self.travel_ms,
            self.start(weights),
            height,
            self.marks,
            self.ms,
        )
        assert cells.dtype == np.int32
        assert self.ms.tolist() == self.customized().tolist()
        assert sorted(cells.tolist()) == np.flatnonzero(self.ms != before).tolist()
        assert not self.marks.is_due.any()
        assert not self.marks.mark[self.cells_of_arcs].any()
        return len(cells)


@given(contracted(), st.data())
@settings(max_examples=150)
def test_after_any_changes_every_cell_is_as_customized_anew(graph, data):
    repaired = Repaired(graph)
    if not graph.arcs:
        assert repaired.change({}) == 0
        return
    edge = st.integers(0, len(graph.arcs) - 1)
    for changes in data.draw(st.lists(st.dictionaries(edge, WEIGHTS, max_size=5), min_size=1, max_size=4)):
        repaired.change(changes)


@pytest.mark.parametrize("shape", ["path", "cycle", "star", "wheel", "grid", "complete", "binary tree"])
def test_hard_shapes_slower_faster_closed_and_opened(shape):
    num_nodes, links = SHAPES[shape]
    rng = np.random.default_rng(num_nodes)
    arcs = [(*end, int(rng.integers(1, 9))) for a, b in links for end in ((a, b), (b, a))]
    repaired = Repaired(Contracted(num_nodes, arcs, rng.permutation(num_nodes).tolist()))
    usual_ms = repaired.travel_ms.tolist()
    changed = 0
    for factor in (3, 0, 1, 10**9, 1):
        some = rng.permutation(len(arcs))[: max(len(arcs) // 10, 1)].tolist()
        changed += repaired.change({edge: usual_ms[edge] * factor for edge in some})
    assert changed > 0
    everything = range(len(arcs))
    assert repaired.change(dict.fromkeys(everything, UNREACHABLE_MS)) > 0
    assert (repaired.ms == UNREACHABLE_MS).all()
    assert repaired.change(dict(enumerate(usual_ms))) > 0
    assert repaired.change(dict(enumerate(usual_ms))) == 0


# 0 and 1 are joined by an arc and over 2, contracted first; 3 lies beyond 0.
TRIANGLE = [(0, 1, 10), (0, 2, 5), (2, 1, 5), (3, 0, 1), (0, 1, 30)]


@pytest.mark.parametrize(
    ("changes", "num_changed"),
    [
        ({0: 20}, [0]),  # the way over 2 takes as long as the arc did
        ({0: 20, 1: 6}, [2]),  # both get worse: 0 -> 2, and 0 -> 1 by a millisecond
        ({1: 9}, [1]),  # the arc takes as long as the way over 2 did
        ({0: UNREACHABLE_MS, 2: UNREACHABLE_MS}, [2]),  # the parallel arc is left
        ({4: 3}, [1]),  # which may become the better one
        ({4: 29}, [0]),
        ({1: UNREACHABLE_MS, 2: 0}, [2]),  # worse and better within one way
        ({1: MAX_TRAVEL_MS, 2: MAX_TRAVEL_MS}, [2]),  # sums beyond what is a time
    ],
)
def test_ties_parallel_arcs_and_sums_out_of_range(changes, num_changed):
    graph = Contracted(4, TRIANGLE, [2, 3, 0, 1])
    repaired = Repaired(graph)
    assert [repaired.change(changes)] == num_changed
    assert [repaired.change({edge: TRIANGLE[edge][2] for edge in changes})] == num_changed


def test_a_change_far_below_is_felt_at_the_top():
    # A path whose middle was contracted first: arcs between its ends go through all other nodes.
    num = 14
    arcs = [(v, (v + 1) % num, 1) for v in range(num)]
    repaired = Repaired(Contracted(num, arcs, [*range(1, num - 1), 0, num - 1]))
    assert repaired.change({5: 8}) == num - 5
    assert repaired.change({5: 1}) == num - 5


def test_more_changed_cells_than_there_is_room_for_at_first():
    # 4,096 cells are made room for: every arc of a complete graph of 70 nodes changes.
    num = 70
    arcs = [(a, b, 100 + (7 * a + 13 * b) % 50) for a in range(num) for b in range(num) if a != b]
    repaired = Repaired(Contracted(num, arcs, list(range(num))))
    assert repaired.change({edge: 2 * arc[2] for edge, arc in enumerate(arcs)}) == num * (num - 1) > 4096
