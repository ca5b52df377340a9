import numpy as np
import pytest

from dispatch.eta.boosting import Forest
from dispatch.kernels import boosted_trees as kernels
from dispatch.kernels.boosted_trees import BLOCK_ROWS, FEW_ROWS, MAX_FEATURE, NARROW_ROWS
from dispatch.units import NO_INDEX
from naive.boosted_trees import predicted, random_forest

LEVELS = np.linspace(-2, 2, 9).astype(np.float32)
AS_PLAIN_PYTHON = pytest.mark.filterwarnings("ignore:invalid value|overflow:RuntimeWarning")
"""numpy warns of what compiled code does without a word."""
SMALL = 3
"""Features of the forests here."""


def forest_of(*num_nodes, seed=0, thresholds=None):
    thresholds = np.tile(LEVELS, (SMALL, 1)) if thresholds is None else thresholds
    return random_forest(np.random.default_rng(seed), num_nodes, thresholds)


def rows_of(number, seed=0, num_features=SMALL):
    """Half of the values are thresholds themselves."""
    rng = np.random.default_rng(seed)
    anywhere = rng.normal(size=(number, num_features)).astype(np.float32)
    return np.where(rng.random(anywhere.shape) < 0.5, rng.choice(LEVELS, anywhere.shape), anywhere)


def predict(forest, features):
    out = np.full(len(features), np.nan)
    bad = kernels.predict_rows(forest.trees, features, kernels.workspace_for(forest.trees), out)
    return out, bad


@pytest.mark.parametrize(
    "number",
    [0, 1, FEW_ROWS, FEW_ROWS + 1, NARROW_ROWS, NARROW_ROWS + 1, BLOCK_ROWS, BLOCK_ROWS + 1, BLOCK_ROWS + 70],
)
def test_blocks_and_walks_give_what_a_walk_in_python_does(number):
    forest, features = forest_of(4, 1, 7, 3, 2), rows_of(number)
    out, bad = predict(forest, features)
    assert bad == NO_INDEX
    np.testing.assert_allclose(out, predicted(forest, features), atol=1e-12)


@pytest.mark.parametrize("num_nodes", [(), (0,), (0, 0, 0), (1,), (0, 3, 0, 2, 1, 0, 5, 2, 0), (3,) * 8])
@pytest.mark.parametrize("number", [2, 20])
def test_any_number_of_trees_and_trees_of_a_single_leaf(num_nodes, number):
    forest, features = forest_of(*num_nodes), rows_of(number)
    np.testing.assert_allclose(predict(forest, features)[0], predicted(forest, features), atol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_trees_of_all_forms(seed):
    rng = np.random.default_rng(seed)
    forest, features = forest_of(*rng.integers(0, 25, 3), seed=seed), rows_of(6, seed)
    np.testing.assert_allclose(predict(forest, features)[0], predicted(forest, features), atol=1e-12)


def chain(num_nodes, grows_left):
    """A tree as deep as it has nodes, each with a threshold of its own."""
    inner = np.append(np.arange(1, num_nodes), ~num_nodes).astype(np.int32)
    leaf = ~np.arange(num_nodes, dtype=np.int32)
    threshold = np.arange(num_nodes, dtype=np.float32)
    return Forest(
        ("a",),
        np.array([0, num_nodes], np.int32),
        np.zeros(num_nodes, np.int32),
        threshold[::-1].copy() if grows_left else threshold,
        inner if grows_left else leaf,
        leaf if grows_left else inner,
        np.arange(num_nodes + 1) ** 2.0,
    )


@pytest.mark.parametrize("grows_left", [False, True])
def test_the_most_leaves_and_the_most_thresholds(grows_left):
    forest = chain(kernels.MAX_LEAVES - 1, grows_left)
    features = np.linspace(-1, kernels.MAX_LEAVES, 9).astype(np.float32)[:, np.newaxis].copy()
    assert forest.trees.num_steps.tolist() == [1]
    assert predict(forest, features)[0].tolist() == predicted(forest, features).tolist()


def test_a_whole_tree_of_256_leaves():
    """Eight levels need the most scratch rows: one each, and one that is written beside the last two."""
    num_nodes = kernels.MAX_LEAVES - 1
    child = np.arange(1, 2 * num_nodes + 1)
    child = np.where(child < num_nodes, child, ~(child - num_nodes)).astype(np.int32)
    rng = np.random.default_rng(0)
    forest = Forest(
        ("a", "b"),
        np.array([0, num_nodes], np.int32),
        rng.integers(0, 2, num_nodes).astype(np.int32),
        rng.choice(LEVELS, num_nodes),
        child[::2].copy(),
        child[1::2].copy(),
        rng.normal(size=num_nodes + 1),
    )
    features = rows_of(7, num_features=2)
    assert predict(forest, features)[0].tolist() == predicted(forest, features).tolist()
    assert forest.trees.num_scratch == kernels.MAX_LEAVES + kernels.NUM_ROOTS + 9


# --- bins -----------------------------------------------------------------------------------------

TINY = np.finfo(np.float32).tiny
EDGES = {
    "one": [3.0],
    "zeros of both signs": [-0.0, 1.0],
    "neighbours": [1.0, np.nextafter(np.float32(1), np.float32(2))],
    "subnormal": [0.0, TINY / 4, TINY / 2],
    "the widest": [-MAX_FEATURE, 0.0, MAX_FEATURE],
    "a crowd and an outlier": [*np.linspace(0, 1, 254), 1e30],
    "heavy tails": np.exp(np.linspace(-30, 60, 255)),
}


@AS_PLAIN_PYTHON
@pytest.mark.parametrize("edges", EDGES.values(), ids=EDGES)
def test_a_bin_is_the_number_of_lesser_thresholds(edges):
    edges = np.unique(np.array(edges, np.float32))
    near = np.concatenate(
        (edges, np.nextafter(edges, np.float32(-9e30)), np.nextafter(edges, np.float32(9e30)))
    )
    values = np.concatenate((near, np.array([-1e30, 0, 1e30, 0.3], np.float32)))
    values = values[np.abs(values) <= np.float32(MAX_FEATURE)]
    tree = np.arange(len(edges), dtype=np.int32)
    forest = Forest(
        ("a",),
        np.arange(len(edges) + 1, dtype=np.int32),
        np.zeros(len(edges), np.int32),
        edges,
        np.full(len(tree), ~0, np.int32),
        np.full(len(tree), ~1, np.int32),
        np.tile([0.0, 1.0], len(edges)),
    )
    expected = np.searchsorted(edges, values, side="left")
    for begin in range(0, len(values), BLOCK_ROWS):
        column = values[begin : begin + BLOCK_ROWS].copy()
        work = kernels.workspace_for(forest.trees)
        kernels.bin_column(forest.trees, 0, column, len(column), work)
        assert work.bins[: len(column)].tolist() == expected[begin : begin + BLOCK_ROWS].tolist()


# --- blocks that other kernels make ---------------------------------------------------------------


@pytest.mark.parametrize("number", [1, NARROW_ROWS, BLOCK_ROWS])
def test_a_block_of_columns_gives_the_same_and_nothing_beyond_it_is_read(number):
    forest, features = forest_of(4, 2, 6), rows_of(number)
    columns = np.full((SMALL, BLOCK_ROWS), np.nan, np.float32)
    columns[:, :number] = features.T
    out = np.full(number + 1, 7.0)
    kernels.predict_block(forest.trees, columns, number, kernels.workspace_for(forest.trees), out)
    np.testing.assert_allclose(out[:number], predicted(forest, features), atol=1e-12)
    assert out[number] == 7


@AS_PLAIN_PYTHON
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
def test_no_value_makes_a_block_read_beyond_its_memory(value):
    """The rerun with checked bounds is what sees it."""
    forest = forest_of(4, 2, 6)
    columns, out = np.full((SMALL, BLOCK_ROWS), value, np.float32), np.zeros(4)
    kernels.predict_block(forest.trees, columns, 4, kernels.workspace_for(forest.trees), out)
    assert np.isfinite(out).all()


def test_memory_begins_with_a_line_of_the_cache():
    for seed in range(5):
        work = kernels.workspace_for(forest_of(3, seed=seed).trees)
        assert all(array.ctypes.data % kernels.LINE_BYTES == 0 and array.flags.carray for array in work)


# --- features that are none -----------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1.1e30])
@pytest.mark.parametrize(("number", "row"), [(3, 2), (20, 0), (20, 19), (BLOCK_ROWS + 3, BLOCK_ROWS + 1)])
@AS_PLAIN_PYTHON
def test_the_first_row_with_a_bad_feature_is_told(value, number, row):
    features = rows_of(number)
    features[row:, 1] = value
    assert predict(forest_of(2), features)[1] == row


def test_the_limit_itself_is_a_feature():
    features = rows_of(20)
    features[3], features[4] = MAX_FEATURE, -MAX_FEATURE
    out, bad = predict(forest_of(3), features)
    assert bad == NO_INDEX
    np.testing.assert_allclose(out, predicted(forest_of(3), features), atol=1e-12)
