import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from dispatch.kernels.csr import Arcs
from dispatch.kernels.dijkstra import BucketQueue, rows_to_nodes
from naive.shortest_paths import travel_times_to

NUM_NODES = 9
NODES = st.integers(0, NUM_NODES - 1)
WEIGHTS = st.one_of(st.integers(1, 4), st.integers(1, 5_000), st.sampled_from([2**28, 2**29 - 1]))
ARC_LISTS = st.lists(st.tuples(NODES, NODES, WEIGHTS), max_size=40)


def reverse_of(arcs, num_nodes):
    by_head = sorted(arcs, key=lambda arc: arc[1])
    first = np.searchsorted([arc[1] for arc in by_head], np.arange(num_nodes + 1))
    return Arcs(
        first.astype(np.int32),
        np.array([arc[0] for arc in by_head], np.int32),
        np.array([arc[2] for arc in by_head], np.int32),
    )


def queue_of(arcs, num_nodes, shift):
    longest = max((weight for _, _, weight in arcs), default=1)
    num_buckets = 1 << ((longest >> shift) + 1).bit_length()
    return BucketQueue(
        np.full(num_buckets, -1, np.int32),
        np.zeros(num_nodes, np.int32),
        np.zeros(num_nodes, np.int32),
        shift,
    )


def check(arcs, num_nodes, shift):
    nodes = np.arange(num_nodes, dtype=np.int32)
    rows = nodes[::-1].copy()
    queue = queue_of(arcs, num_nodes, shift)
    table = np.full((num_nodes, num_nodes), -7, np.int32)
    rows_to_nodes(reverse_of(arcs, num_nodes), nodes, rows, queue, table)
    for node in range(num_nodes):
        assert table[rows[node]].tolist() == travel_times_to(arcs, node, num_nodes)
    assert (queue.first == -1).all()


@settings(deadline=None)
@given(ARC_LISTS, st.integers(13, 20))
@example([], 13)
@example([(0, 1, 2**29 - 1), (1, 2, 1)], 13)  # one hop is a travel time, two are none
@example([(0, 0, 1), (0, 1, 5), (0, 1, 3), (0, 1, 4)], 13)  # loop, parallel arcs
def test_rows_equal_textbook_dijkstra(arcs, shift):
    check(arcs, NUM_NODES, shift)


@settings(deadline=None)
@given(st.lists(st.tuples(NODES, NODES, st.integers(1, 300)), max_size=40), st.integers(0, 9))
def test_the_width_of_buckets_does_not_matter(arcs, shift):
    check(arcs, NUM_NODES, shift)


def test_nodes_that_improve_within_one_bucket_are_searched_again():
    chain = [(i, i + 1, 1) for i in range(30)] + [(i, 30, 60 - i) for i in range(30)]
    check(chain, 31, 10)


@pytest.mark.parametrize("shift", [0, 3, 8])
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_larger_random_graphs(shift, seed):
    rng = np.random.default_rng(seed)
    tails, heads, weights = rng.integers(0, 90, 400), rng.integers(0, 90, 400), rng.integers(1, 900, 400)
    arcs = list(zip(tails.tolist(), heads.tolist(), weights.tolist(), strict=True))
    check(arcs, 90, shift)
