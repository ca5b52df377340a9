import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment as by_scipy

from dispatch.errors import InputError
from dispatch.matching import linear_sum_assignment

WHOLE = st.integers(-5, 5)
LARGE = st.integers(-(2**40), 2**40)
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14)


def check_equals_scipy(cost, maximize=False):
    rows, columns = linear_sum_assignment(cost, maximize)
    expected = by_scipy(cost, maximize)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(columns.tolist())) == len(columns) == len(expected[0])
    assert np.asarray(cost)[rows, columns].sum() == pytest.approx(np.asarray(cost)[expected].sum(), rel=1e-12)
    return rows, columns


@settings(deadline=None, max_examples=400)
@given(hnp.arrays(np.int64, SHAPES, elements=WHOLE | LARGE), st.booleans())
def test_equals_scipy_on_integers(cost, maximize):
    check_equals_scipy(cost, maximize)


@settings(deadline=None, max_examples=300)
@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-1e6, 1e6, width=32)), st.booleans())
def test_equals_scipy_on_floats(cost, maximize):
    rows, columns = linear_sum_assignment(cost, maximize)
    expected = by_scipy(cost, maximize)
    assert cost[rows, columns].sum() == pytest.approx(cost[expected].sum(), rel=1e-9, abs=1e-9)


@settings(deadline=None, max_examples=300)
@given(hnp.arrays(np.float64, SHAPES, elements=st.sampled_from([0.0, 1.0, 2.5, np.inf])))
def test_forbidden_pairs_as_scipy(cost):
    try:
        expected = cost[by_scipy(cost)].sum()
    except ValueError:
        with pytest.raises(InputError, match="forbids"):
            linear_sum_assignment(cost)
        return
    assert cost[linear_sum_assignment(cost)].sum() == expected


@pytest.mark.parametrize("num_rows", [60, 150])
@pytest.mark.parametrize("num_columns", [60, 150, 400])
@pytest.mark.parametrize("kind", ["uniform", "few values", "places", "far columns only"])
def test_larger_ones_equal_scipy(num_rows, num_columns, kind):
    rng = np.random.default_rng([num_rows, num_columns])
    shape = (num_rows, num_columns)
    if kind == "uniform":
        cost = rng.random(shape)
    elif kind == "few values":
        cost = rng.integers(0, 4, shape)
    elif kind == "places":
        x, y = rng.normal(0, 1, num_rows), rng.normal(0, 1, num_columns) ** 3
        cost = np.round(1000 * np.abs(x[:, None] - y))
    else:  # every row likes the same few columns: the first look at each row is of little use
        cost = rng.integers(100, 200, shape)
        cost[:, :15] = rng.integers(0, 5, (num_rows, 15))
    check_equals_scipy(cost)


def test_one_forbidden_row_is_told():
    cost = np.ones((40, 50))
    cost[7] = np.inf
    with pytest.raises(InputError, match="only 39 of 40 rows can be matched, for one not row 7"):
        linear_sum_assignment(cost)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_match(shape):
    rows, columns = linear_sum_assignment(np.empty(shape))
    assert len(rows) == len(columns) == 0


def test_takes_what_scipy_takes():
    check_equals_scipy([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
    check_equals_scipy(np.array([[True, False], [False, True]]))
    check_equals_scipy(np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::-1])
    check_equals_scipy(np.full((5, 5), 1e300))
    check_equals_scipy(np.full((5, 5), 0.0))


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        ([1.0, 2.0], "shape"),
        ([["a", "b"]], "must hold real numbers"),
        ([[1j]], "must hold real numbers"),
        ([[1.0, np.nan], [0.0, 1.0]], r"cost_matrix\[0, 1\] is nan"),
        ([[1.0, 2.0], [-np.inf, 1.0]], r"cost_matrix\[1, 0\] is -inf"),
        ([[np.inf, np.inf]], "forbids every pair"),
        ([[2**53 + 1, 0]], "beyond 2\\*\\*53"),
    ],
)
def test_bad_matrices_are_refused(cost, message):
    with pytest.raises(InputError, match=message):
        linear_sum_assignment(cost)


@pytest.mark.parametrize("rest", [5.0, 1e-9])
def test_cheapest_columns_that_cost_nothing_are_not_all_there_is(rest):
    cost = np.full((20, 20), rest)
    cost[:, :16] = 0
    rows, columns = linear_sum_assignment(cost)
    assert cost[rows, columns].sum() == pytest.approx(4 * rest)


@pytest.mark.parametrize("huge", [1e12, 1e15, 1e20, 1e300])
@pytest.mark.parametrize("share", [0.0, 0.7])
def test_who_forbids_by_a_huge_cost_gets_the_same_answer(huge, share):
    rng = np.random.default_rng(5)
    cost = rng.random((200, 220))
    forbidden = rng.random(cost.shape) < share
    forbidden[3, 4] = True
    expected = cost[linear_sum_assignment(np.where(forbidden, np.inf, cost))].sum()
    cost[forbidden] = huge
    assert cost[linear_sum_assignment(cost)].sum() == pytest.approx(expected, rel=1e-9)


def test_a_huge_cost_is_paid_where_it_must_be():
    cost = np.random.default_rng(6).random((40, 40))
    cost[7] = 1e15
    assert cost[linear_sum_assignment(cost)].sum() == pytest.approx(cost[by_scipy(cost)].sum(), rel=1e-12)


@pytest.mark.parametrize("offset", [2**52, -(2**52)])
def test_an_offset_takes_nothing_from_integers(offset):
    above = np.random.default_rng(7).integers(0, 40, (300, 300))
    assert above[linear_sum_assignment(above + offset)].sum() == above[by_scipy(above)].sum()


def test_errors_name_the_place_as_it_was_given():
    cost = np.zeros((4, 2))
    cost[3, 0] = np.nan
    with pytest.raises(InputError, match=r"cost_matrix\[3, 0\] is nan"):
        linear_sum_assignment(cost)
    with pytest.raises(InputError, match=r"cost_matrix\[0, 1\] is inf"):
        linear_sum_assignment([[1.0, np.inf]], maximize=True)
    with pytest.raises(InputError, match="only 1 of 2 columns can be matched, for one not column 1"):
        linear_sum_assignment([[1.0, np.inf], [2.0, np.inf], [0.0, np.inf]])
    with pytest.raises(InputError, match="too far apart"):
        linear_sum_assignment([[1e308, -1e308], [-1e308, 1e308]])


def test_the_matrix_is_not_written_to():
    cost = np.random.default_rng(0).random((30, 40))
    before = cost.copy()
    linear_sum_assignment(cost)
    linear_sum_assignment(cost, maximize=True)
    assert (cost == before).all()
