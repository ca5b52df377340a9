"""Road graphs for tests of the hierarchy: random ones, hard shapes, and contracted ones by the book."""

from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from dispatch.kernels.contraction import Tree
from dispatch.kernels.csr import Links
from dispatch.kernels.customization import Inputs
from dispatch.kernels.labels import Climb, Ends
from dispatch.kernels.unpacking import Lower
from dispatch.roads.forbidden_turns import ForbiddenTurns
from dispatch.roads.graph import RoadGraph
from dispatch.units import MAX_TRAVEL_MS, UNREACHABLE_MS
from naive import hierarchy as naive

WEIGHTS = st.one_of(
    st.integers(0, 9),
    st.integers(1, 5_000),
    st.sampled_from([0, 2**28, MAX_TRAVEL_MS, UNREACHABLE_MS, 2**31 - 1]),
)
"""Ties, usual times, and what counts as closed or makes a way so."""
SHARES = st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0])


def ints(values):
    return np.array(values, np.int32)


def links_of(num_nodes, pairs):
    """Undirected links without loops and parallels, each in the rows of both ends."""
    pairs = {(one, other) for a, b in pairs for one, other in ((a, b), (b, a)) if a != b}
    rows = sorted(pairs)
    place = {pair: k for k, pair in enumerate(rows)}
    first = np.searchsorted([one for one, _ in rows], np.arange(num_nodes + 1))
    return Links(
        ints(first), ints([other for _, other in rows]), ints([place[other, one] for one, other in rows])
    )


def road_graph(num_nodes, ends, lonlat=None, length_m=None, rules=()):
    """A road graph of edges (tail, head); rules name rows of the sorted graph."""
    tail, head = (ints([end[side] for end in ends]) for side in (0, 1))
    node, ones = np.arange(num_nodes, dtype=float), np.ones(len(ends))
    graph = RoadGraph.from_edges(
        (node / 100, node % 3 / 100) if lonlat is None else lonlat,
        tail,
        head,
        ones if length_m is None else np.asarray(length_m, float),
        ones,
        np.zeros(len(ends), np.int8),
    )
    return with_rules(graph, rules)


def with_rules(graph, rules):
    """The same graph with other rules, which name its rows."""
    fields = {name: getattr(graph, name) for name in graph.__dataclass_fields__}
    return RoadGraph(**fields | {"forbidden": ForbiddenTurns.of(list(rules)) if rules else None})


def arcs_of(graph, travel_ms):
    """The arcs as (tail, head, weight), closed ones left in."""
    return list(zip(graph.tail.tolist(), graph.head.tolist(), travel_ms.tolist(), strict=True))


# --- shapes that are hard ----------------------------------------------------------------------------


def grid(width, height):
    return [
        (y * width + x, y * width + x + step)
        for y in range(height)
        for x in range(width)
        for step, inside in ((1, x + 1 < width), (width, y + 1 < height))
        if inside
    ]


SHAPES = {
    "no node": (0, []),
    "one node": (1, []),
    "one loop": (1, [(0, 0), (0, 0)]),
    "nodes without arcs": (5, []),
    "two nodes": (2, [(0, 1)]),
    "path": (40, [(v, v + 1) for v in range(39)]),
    "cycle": (41, [(v, (v + 1) % 41) for v in range(41)]),
    "star": (30, [(0, v) for v in range(1, 30)]),
    "two stars joined": (24, [(v % 2, v) for v in range(2, 24)] + [(0, 1)]),
    "wheel": (20, [(0, v) for v in range(1, 20)] + [(v, v % 19 + 1) for v in range(1, 20)]),
    "grid": (48, grid(8, 6)),
    "complete": (12, list(combinations(range(12), 2))),
    "complete halves": (14, [(a, b) for a in range(7) for b in range(7, 14)]),
    "two complete joined by one": (
        13,
        [(a, b) for part in (range(6), range(7, 13)) for a, b in combinations(part, 2)] + [(0, 6), (6, 7)],
    ),
    "many parts": (36, [(v, w) for k in range(0, 36, 6) for v, w in combinations(range(k, k + 6), 2)]),
    "binary tree": (31, [((v - 1) // 2, v) for v in range(1, 31)]),
}
"""Nodes and undirected links."""

SPOTS = {
    "a line": lambda n: (np.arange(n, dtype=float), np.zeros(n)),
    "one spot": lambda n: (np.full(n, 7.5), np.full(n, -3.25)),
    "two spots": lambda n: (np.arange(n) % 2 * 1e-9, np.zeros(n)),
    "the plane": lambda n: tuple(np.random.default_rng(n).random((2, n))),
    "huge numbers": lambda n: (np.arange(n) * 1e300, -np.arange(n) * 1e300),
    "no number": lambda n: (np.full(n, np.nan), np.arange(n, dtype=float)),
}
"""Where nodes may lie."""


# --- random ones ---------------------------------------------------------------------------------------


@st.composite
def link_lists(draw, max_nodes=9, max_links=24):
    """A number of nodes and pairs of them, with loops and parallels."""
    num_nodes = draw(st.integers(1, max_nodes))
    node = st.integers(0, num_nodes - 1)
    return num_nodes, draw(st.lists(st.tuples(node, node), max_size=max_links))


@st.composite
def networks(draw, max_nodes=7, max_streets=12, max_rules=3):
    """A road graph with one-way and two-way streets, loops, parallels and rules; its rules; and weights."""
    num_nodes = draw(st.integers(1, max_nodes))
    node = st.integers(0, num_nodes - 1)
    street = st.tuples(node, node, st.integers(1, 3), st.booleans())
    streets = draw(st.lists(street, min_size=1, max_size=max_streets))
    ends = [(a, b) for a, b, _, _ in streets] + [(b, a) for a, b, _, both in streets if both]
    length_m = [length for _, _, length, _ in streets] + [length for _, _, length, both in streets if both]
    graph = road_graph(num_nodes, ends, length_m=length_m)
    steps = st.lists(st.integers(0, 99), min_size=2, max_size=4)
    rules = [walk(graph, choices) for choices in draw(st.lists(steps, max_size=max_rules))]
    rules = [rule for rule in rules if len(rule) > 1]
    weights = draw(st.lists(WEIGHTS, min_size=len(ends), max_size=len(ends)))
    return with_rules(graph, rules), rules, ints(weights)


def walk(graph, choices):
    """Arcs that follow each other, one a choice; shorter at a dead end."""
    driven = [choices[0] % graph.num_arcs]
    for choice in choices[1:]:
        begin, end = graph.first_arc[graph.head[driven[-1]] :][:2].tolist()
        if begin == end:
            break
        driven.append(begin + choice % (end - begin))
    return tuple(driven)


def random_network(rng, num_nodes, num_streets, num_rules=0):
    """The same from a generator of random numbers."""
    a, b = rng.integers(0, num_nodes, (2, num_streets))
    near = rng.random(num_streets) < 0.7
    b = np.where(near, np.clip(a + rng.integers(-3, 4, num_streets), 0, num_nodes - 1), b)
    both = rng.random(num_streets) < 0.6
    ends = np.concatenate([np.stack([a, b], 1), np.stack([b, a], 1)[both]]).tolist()
    length_m = np.concatenate([length := rng.integers(1, 4, num_streets), length[both]])
    graph = road_graph(num_nodes, ends, tuple(rng.random((2, num_nodes))), length_m)
    rules = [walk(graph, rng.integers(0, 99, rng.integers(2, 5)).tolist()) for _ in range(num_rules)]
    rules = [rule for rule in rules if len(rule) > 1]
    return with_rules(graph, rules), rules


def random_weights(rng, num_arcs):
    """Weights of one of several kinds: ties and zeros, usual ones, near the longest; some arcs closed."""
    kind = rng.integers(4)
    highest = (3, 3_000, 200_000, 2**28)[kind]
    travel_ms = rng.integers(0 if kind < 2 else 1, highest, num_arcs)
    travel_ms[rng.random(num_arcs) < rng.choice([0, 0.1, 0.5])] = UNREACHABLE_MS
    return ints(travel_ms)


# --- contracted by the book ------------------------------------------------------------------------------


class Contracted:
    """A small graph contracted in plain Python, in the form that kernels read."""

    def __init__(self, num_nodes, arcs, order):
        upper = naive.elimination_game(num_nodes, [arc[:2] for arc in arcs], order)
        new_rank = {r: v for v, r in enumerate(naive.postorder(naive.parents(upper)))}
        self.rank = [0] * num_nodes
        for r, node in enumerate(order):
            self.rank[node] = new_rank[r]
        self.upper = [[] for _ in range(num_nodes)]
        for r, row in enumerate(upper):
            self.upper[new_rank[r]] = sorted((new_rank[w] for w in row), reverse=True)
        parent = naive.parents(self.upper)
        self.above = [naive.ancestors(parent, v) for v in range(num_nodes)]
        self.depth = [len(chain) - 1 for chain in self.above]
        lowest = list(range(num_nodes))
        for u in range(num_nodes - 1, -1, -1):
            for v in self.above[u]:
                lowest[v] = u
        first_depth = [
            self.depth[row[0]] if row else own for row, own in zip(self.upper, self.depth, strict=True)
        ]
        starts = np.cumsum([0] + [d - f for d, f in zip(self.depth, first_depth, strict=True)])
        self.num_cells = int(starts[-1])
        self.arcs = [(self.rank[tail], self.rank[head], weight) for tail, head, weight in arcs]
        self.tree = Tree(
            ints(parent),
            ints(self.depth),
            ints(lowest),
            ints(first_depth),
            ints(starts[:-1]) - ints(first_depth),
            ints(np.cumsum([0] + [len(row) for row in self.upper])),
            ints([w for row in self.upper for w in row]),
        )
        below = [[] for _ in range(num_nodes)]
        for v, row in enumerate(self.upper):
            for w in row:
                below[w].append(v)
        first_lower = ints(np.cumsum([0] + [len(row) for row in below]))
        self.lower = Lower(first_lower, ints([u for row in below for u in row]))
        self.travel_ms = ints([min(weight, UNREACHABLE_MS) for _, _, weight in arcs])

    def inputs(self, num_cells=None):
        """The edges by their lower ends, for rows of `num_cells` cells."""
        half = self.num_cells if num_cells is None else num_cells
        rows = sorted(
            (min(tail, head), self.depth[max(tail, head)] + (half if tail > head else 0), row)
            for row, (tail, head, _) in enumerate(self.arcs)
            if tail != head
        )
        first = np.searchsorted([row[0] for row in rows], np.arange(len(self.rank) + 1))
        return Inputs(ints(first), ints([row[1] for row in rows]), ints([row[2] for row in rows]))

    def cells(self):
        """Each cell's node, its ancestor and the row of its time upwards."""
        for v, chain in enumerate(self.above):
            for d in range(int(self.tree.first_depth[v]), self.depth[v]):
                yield v, chain[d], int(self.tree.base[v]) + d

    def climb(self):
        """The graph with the travel times of its cells, by the book."""
        below_both, _, _ = naive.times_below(len(self.rank), self.arcs)
        ms = np.full(2 * self.num_cells, UNREACHABLE_MS, np.int32)
        for v, w, cell in self.cells():
            ms[cell], ms[self.num_cells + cell] = below_both[v][w], below_both[w][v]
        return Climb(*self.tree, ms)


@st.composite
def contracted(draw, max_nodes=8, max_arcs=20):
    """A small graph of random arcs, contracted in a random order."""
    num_nodes = draw(st.integers(1, max_nodes))
    node = st.integers(0, num_nodes - 1)
    arcs = draw(st.lists(st.tuples(node, node, WEIGHTS), max_size=max_arcs))
    return Contracted(num_nodes, arcs, draw(st.permutations(range(num_nodes))))


@st.composite
def places_of(draw, graph, max_places=5, min_places=0):
    """Places as searches see them: lists of (node, time), each node an ancestor of the one before it."""
    found = []
    for _ in range(draw(st.integers(min_places, max_places))):
        deepest = draw(st.integers(0, len(graph.rank) - 1))
        others = draw(st.lists(st.sampled_from(graph.above[deepest]), max_size=3))
        times = [draw(st.one_of(st.just(0), WEIGHTS)) for _ in range(len(others) + 1)]
        nodes = [deepest, *sorted(others)]
        found.append([(v, min(ms, UNREACHABLE_MS)) for v, ms in zip(nodes, times, strict=True)])
    return found


def ends_of(places):
    """Places (lists of entries) as kernels read them."""
    entries = [entry for place in places for entry in place]
    first = np.cumsum([0] + [len(place) for place in places])
    return Ends(ints(first), ints([v for v, _ in entries]), ints([ms for _, ms in entries]))
