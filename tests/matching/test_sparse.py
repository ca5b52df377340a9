import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csc_array, csr_array, csr_matrix, lil_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching as by_scipy

from dispatch.errors import InputError
from dispatch.matching import min_weight_full_bipartite_matching


def random_matrix(seed, shape, density, weights):
    rng = np.random.default_rng(seed)
    present = rng.random(shape) < density
    return np.where(present, rng.choice(weights, shape), 0), present


def best_by_dense(weight, present):
    """(matched, weight) of the best largest matching."""
    missing = (1.0 + np.abs(weight).sum()) * 4
    cost = np.where(present, weight, missing)
    rows, columns = linear_sum_assignment(cost)
    kept = present[rows, columns]
    return kept.sum(), weight[rows[kept], columns[kept]].sum()


def stored(weight, present):
    """All present entries, zeros too."""
    row, column = np.nonzero(present)
    return coo_array((weight[row, column], (row, column)), shape=weight.shape)


@settings(deadline=None, max_examples=300)
@given(
    st.integers(0, 10**6),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from([0.1, 0.3, 0.7, 1.0]),
    st.booleans(),
)
def test_largest_then_least_weight_also_where_scipy_refuses(seed, shape, density, maximize):
    weight, present = random_matrix(seed, shape, density, [-3, 0, 1, 2, 50])
    row, column = min_weight_full_bipartite_matching(stored(weight, present).tocsr(), maximize)
    assert present[row, column].all()
    assert row.tolist() == sorted(set(row.tolist()))
    assert len(set(column.tolist())) == len(column)
    sign = -1 if maximize else 1
    matched, best = best_by_dense(sign * weight, present)
    assert (len(row), sign * weight[row, column].sum()) == (matched, best)


@pytest.mark.parametrize("make", [csr_array, csc_array, coo_array, lil_array, csr_matrix])
@pytest.mark.parametrize("shape", [(40, 40), (30, 60), (60, 30)])
@pytest.mark.parametrize("maximize", [False, True])
def test_equals_scipy_where_it_answers(make, shape, maximize):
    weight, _ = random_matrix(1, shape, 1.0, np.arange(1, 30))
    matrix = make(weight.astype(float))
    row, column = min_weight_full_bipartite_matching(matrix, maximize)
    expected = by_scipy(csr_array(weight.astype(float)), maximize)
    assert weight[row, column].sum() == weight[expected].sum()
    assert len(set(row.tolist())) == len(set(column.tolist())) == len(expected[0])


def test_of_equal_places_the_least_weight_counts():
    matrix = coo_array(([5, 2, 9], ([0, 0, 0], [1, 1, 0])), shape=(1, 2))
    row, column = min_weight_full_bipartite_matching(matrix)
    assert (row.tolist(), column.tolist()) == ([0], [1])


def test_nothing_stored():
    row, column = min_weight_full_bipartite_matching(csr_array((3, 4)))
    assert len(row) == len(column) == 0


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 2)), "must be sparse"),
        (csr_array([[1.0, np.nan]]), "holds nan"),
        (csr_array([[1.0, np.inf]]), "holds inf"),
        (csr_array([[1j]]), "real numbers"),
        (csr_array([[-(2**62), 2**62]]), "too far apart"),
        (csr_array(np.array([[2**63]], np.uint64)), "beyond 2\\*\\*63"),
    ],
)
def test_bad_matrices_are_refused(matrix, message):
    with pytest.raises(InputError, match=message):
        min_weight_full_bipartite_matching(matrix)


def test_weights_too_far_apart_to_be_counted_are_refused():
    weight = np.random.default_rng(0).random((50, 50))
    weight[3, 4] = 1e18
    with pytest.raises(InputError, match="leave out forbidden pairs"):
        min_weight_full_bipartite_matching(csr_array(weight))
