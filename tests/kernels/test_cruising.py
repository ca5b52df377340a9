from itertools import pairwise

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.cruising import Cruise, next_move, next_moves
from dispatch.units import NO_INDEX
from naive.cruising import next_move as naive_move

ALMOST_ONE = float(np.nextafter(1.0, 0.0))
UNIFORM = st.one_of(st.floats(0, ALMOST_ONE), st.sampled_from([0.0, 0.25, 0.5, 0.75, ALMOST_ONE]))


def shares(random, *shape):
    """Running sums to exactly 1 of weights of which many are 0."""
    weight = random.choice([0.0, 0.0, 1.0, 3.0], shape)
    weight[..., random.integers(shape[-1])] += 4.0
    total = np.cumsum(weight, axis=-1)
    return total / total[..., -1:]


def random_cruise(seed, num_cells, num_nodes):
    random = np.random.default_rng(seed)
    num_nodes = max(num_cells, num_nodes)
    cell_of_node = random.permutation(
        np.append(np.arange(num_cells), random.integers(0, num_cells, num_nodes - num_cells))
    )
    first = np.append(0, np.cumsum(np.bincount(cell_of_node, minlength=num_cells)))
    return Cruise(
        cell_of_node.astype(np.int32),
        first.astype(np.int32),
        np.argsort(cell_of_node, kind="stable").astype(np.int32),
        np.concatenate([shares(random, end - begin) for begin, end in pairwise(first)]),
        random.choice([0.0, 0.3, 1.0], 24),
        random.integers(1, 10**7, 24),
        shares(random, 24, num_cells, num_cells),
        1.5,
    )


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.integers(1, 40),
    st.integers(0, 23),
    st.tuples(UNIFORM, UNIFORM, UNIFORM, UNIFORM),
)
def test_a_decision_is_that_of_plain_python(seed, num_cells, num_nodes, hour, uniform):
    cruise = random_cruise(seed, num_cells, num_nodes)
    node = seed % len(cruise.cell_of_node)
    target, stay_ms = next_move(cruise, hour, node, *uniform)
    assert (target, stay_ms) == naive_move(cruise, hour, node, *uniform)
    assert (target == NO_INDEX) == (stay_ms > 0)
    assert target != node


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_many_decide_as_each_would(seed, num_drivers):
    cruise, random = random_cruise(seed, 5, 30), np.random.default_rng(seed)
    hour, node = random.integers(0, 24, num_drivers), random.integers(0, 30, num_drivers).astype(np.int32)
    uniform = random.random((num_drivers, 4))
    target, stay_ms = np.empty(num_drivers, np.int32), np.empty(num_drivers, np.int64)
    next_moves(cruise, hour, node, uniform, target, stay_ms)
    expected = [
        naive_move(cruise, int(h), int(n), *u) for h, n, u in zip(hour, node, uniform.tolist(), strict=True)
    ]
    assert list(zip(target.tolist(), stay_ms.tolist(), strict=True)) == expected


def test_never_a_cell_or_node_of_no_weight():
    cruise = Cruise(
        np.array([0, 1, 1, 1, 2], np.int32),
        np.array([0, 1, 4, 5], np.int32),
        np.arange(5, dtype=np.int32),
        np.array([1.0, 0.0, 1.0, 1.0, 1.0]),
        np.zeros(24),
        np.full(24, 1000),
        np.tile([0.0, 1.0, 1.0], (24, 3, 1)),
        1.0,
    )
    for u_cell in (0.0, 0.5, ALMOST_ONE):
        for u_node in (0.0, 0.5, ALMOST_ONE):
            assert next_move(cruise, 0, 4, 0.9, u_cell, u_node, 0.0) == (2, 0)
    assert next_move(cruise, 0, 2, 0.9, 0.5, 0.5, 0.0) == (NO_INDEX, 1)  # it is there already


def test_stays_are_exponential():
    cruise = random_cruise(3, 2, 4)._replace(stay_share=np.ones(24), stay_ms=np.full(24, 60_000))
    random = np.random.default_rng(0)
    target, stay_ms = np.empty(20_000, np.int32), np.empty(20_000, np.int64)
    next_moves(
        cruise,
        np.zeros(20_000, np.int64),
        np.zeros(20_000, np.int32),
        random.random((20_000, 4)),
        target,
        stay_ms,
    )
    assert (target == NO_INDEX).all()
    assert abs(stay_ms.mean() / 60_000 - 1) < 0.03
    assert abs((stay_ms > 120_000).mean() - np.exp(-2)) < 0.01
