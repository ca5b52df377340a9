import builtins
import io
from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.eta.boosting import BoostingParams, Forest, Sample, forest_of_text, lowered, train_forest
from naive.boosted_trees import predicted, random_forest

NAMES = ("a", "b", "c", "d", "e")
FEW_TREES = BoostingParams(trees=15, leaves=12, min_leaf=5)


def rows(number=2000, seed=0):
    """Features of many kinds: normal, heavy-tailed, whole numbers, flags, and one of large magnitude."""
    rng = np.random.default_rng(seed)
    columns = (
        rng.normal(size=number),
        rng.lognormal(5, 2, number),
        rng.integers(0, 24, number),
        rng.integers(0, 2, number),
        rng.normal(size=number) * 1e12,
    )
    features = np.stack(columns, axis=1).astype(np.float32)
    level = 300 + 50 * features[:, 0] + np.sqrt(features[:, 1]) + 9 * features[:, 2] * features[:, 3]
    return features, level + rng.normal(size=number) * 20


def lightgbm_of(sample, objective, params=FEW_TREES, alpha=0.5):
    """The same forest, kept by LightGBM."""
    settings = params.for_lightgbm(objective, alpha)
    rows = lightgbm.Dataset(sample.features, sample.target, weight=sample.weight, init_score=sample.start)
    rows.params = settings
    return lightgbm.train(settings, rows, params.trees)


@pytest.fixture(scope="module")
def forest():
    return train_forest(Sample(*rows()), names=NAMES, params=FEW_TREES)


# --- the same as LightGBM -------------------------------------------------------------------------


@pytest.mark.parametrize(("objective", "alpha"), [("l1", 0.5), ("l2", 0.5), ("quantile", 0.9)])
@pytest.mark.parametrize("has_start", [False, True])
def test_predictions_are_lightgbm_s_own(objective, alpha, has_start):
    features, target = rows()
    weight = np.random.default_rng(1).uniform(0.5, 2, len(target))
    sample = Sample(features, target, weight, np.sqrt(np.abs(target)) if has_start else None)
    forest = train_forest(sample, names=NAMES, objective=objective, alpha=alpha, params=FEW_TREES)
    level = float(forest.value[0]) if has_start else 0.0
    if has_start:
        sample = replace(sample, start=sample.start + level)
    booster = lightgbm_of(sample, objective, alpha=alpha)
    for asked in (features, rows(300, seed=5)[0], features[:3]):
        np.testing.assert_allclose(
            forest.predict(asked), level + booster.predict(asked, raw_score=True), rtol=1e-12, atol=1e-9
        )
    assert forest.num_trees == FEW_TREES.trees + has_start


def test_a_feature_that_is_a_threshold_goes_the_way_it_goes_in_lightgbm(forest):
    """Rows whose every value is a threshold, as float32 rounds it down, or the next one up."""
    booster = lightgbm_of(Sample(*rows()), "l2")
    rng = np.random.default_rng(2)
    asked = np.zeros((500, len(NAMES)), np.float32)
    for column in range(len(NAMES)):
        edges = np.append(forest.threshold[forest.feature == column], np.float32(0))
        edges = np.concatenate((edges, np.nextafter(edges, np.float32(np.inf))))
        asked[:, column] = rng.choice(edges, len(asked))
    np.testing.assert_allclose(forest.predict(asked), booster.predict(asked, raw_score=True), rtol=1e-12)
    np.testing.assert_allclose(forest.predict(asked), predicted(forest, asked), rtol=1e-12)


@pytest.mark.parametrize("weight", [None, np.array([1.0, 1, 1, 9] * 100)])
@pytest.mark.parametrize(
    ("objective", "alpha", "unweighted", "weighted"),
    [("l1", 0.5, 50, 70), ("l2", 0.5, 47.5, 62.5), ("quantile", 0.1, 20, 40), ("quantile", 0.9, 70, 70)],
)
def test_a_level_is_added_to_a_start(weight, objective, alpha, unweighted, weighted):
    """LightGBM alone learns nothing of absolute errors where a start is too low everywhere."""
    features, start = np.zeros((400, 1), np.float32), np.arange(400) ** 2.0
    target = start + np.tile([20.0, 40, 60, 70], 100)
    if weight is None and objective == "l1":
        unweighted = 40
    sample = Sample(features, target, weight, start)
    forest = train_forest(sample, names=["a"], objective=objective, alpha=alpha, params=FEW_TREES)
    expected = unweighted if weight is None else weighted
    np.testing.assert_allclose(forest.predict(features), expected, rtol=1e-6)


@given(st.floats(-1e30, 1e30), st.integers(-2, 2))
def test_a_lowered_threshold_sorts_every_float32_as_before(threshold, steps):
    single = lowered(np.array([threshold]))
    assert single.dtype == np.float32
    near = np.float32(threshold)
    for _ in range(abs(steps)):
        near = np.nextafter(near, np.float32(np.sign(steps) * np.inf))
    assert (float(near) <= threshold) == (near <= single[0])


def test_the_number_of_trees_is_the_best_for_the_validation_rows():
    features, target = rows(300)
    params = BoostingParams(trees=200, leaves=31, learning_rate=0.5, min_leaf=2, patience=5)
    valid = Sample(*rows(300, seed=8))
    forest = train_forest(Sample(features, target), names=NAMES, params=params, valid=valid)
    assert 1 <= forest.num_trees < 50

    def loss(found):
        return np.mean((found.predict(valid.features) - valid.target) ** 2)

    longer = train_forest(
        Sample(features, target), names=NAMES, params=BoostingParams(**vars(params) | {"trees": 60})
    )
    assert longer.num_trees == 60
    assert loss(forest) < loss(longer)


def test_validation_rows_have_a_start_of_their_own():
    features, target = rows(400)
    start = target - 5
    params = BoostingParams(trees=100, min_leaf=20, patience=10)
    train, valid = Sample(features[:300], target[:300], start=start[:300]), slice(300, None)
    forest = train_forest(
        train,
        names=NAMES,
        params=params,
        valid=Sample(features[valid], target[valid], start=start[valid]),
    )
    np.testing.assert_allclose(forest.predict(features[valid]), 5, atol=0.1)


def test_the_same_rows_and_seed_give_the_same_forest_for_any_number_of_threads():
    sample = Sample(*rows(300))
    found = [
        train_forest(
            sample,
            names=NAMES,
            params=BoostingParams(
                trees=3, leaves=4, feature_fraction=0.6, bagging_fraction=0.5, seed=seed, threads=threads
            ),
        ).arrays()
        for seed, threads in ((1, 1), (1, 1), (1, 2), (2, 1))
    ]
    for other in found[1:3]:
        assert all(np.array_equal(found[0][name], other[name]) for name in other)
    assert not np.array_equal(found[0]["value"], found[3]["value"])


def test_where_nothing_can_be_split_the_forest_is_one_number():
    features, _ = rows(50)
    forest = train_forest(Sample(features, np.full(50, 7.0)), names=NAMES, params=FEW_TREES)
    np.testing.assert_allclose(forest.predict(features), 7.0)


# --- files ----------------------------------------------------------------------------------------


def test_a_forest_from_a_file_is_the_same(forest):
    file = io.BytesIO()
    np.savez(file, **forest.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        found = Forest.from_arrays(arrays)
    assert found.names == NAMES
    features, _ = rows(50, seed=3)
    assert np.array_equal(found.predict(features), forest.predict(features))


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("names", lambda old: old[:1], "feature must be from 0 to 0"),
        ("names", lambda old: old[:0], "names must be texts"),
        ("names", lambda old: np.arange(5), "names are int64"),
        ("names", lambda old: old.reshape(1, -1), "names are"),
        ("first_node", lambda old: old[:0], "first_node must begin"),
        ("first_node", lambda old: old + 1, "first_node must begin"),
        ("first_node", lambda old: old[[0, 2, 1, 3]], "first_node must begin"),
        ("first_node", lambda old: old.astype(np.int64), "first_node is int64"),
        ("first_node", lambda old: old[:-1], "feature has 9 rows"),
        ("feature", lambda old: np.where(old == old[0], -1, old).astype(np.int32), "feature must be from 0"),
        ("feature", lambda old: old + np.int32(5), "feature must be from 0 to 4"),
        ("feature", lambda old: old.reshape(1, -1), "it must be an array"),
        ("threshold", lambda old: old[1:], "threshold has 8 rows"),
        ("threshold", lambda old: old * np.float32(np.nan), "threshold must hold numbers"),
        ("threshold", lambda old: np.where(old == old[0], np.float32(-np.inf), old), "threshold must hold"),
        ("left", lambda old: old * 0, "left and right must name"),
        ("left", lambda old: old - 1000, "left and right must name"),
        ("right", lambda old: old + 1000, "left and right must name"),
        ("right", lambda old: np.roll(old, 1), "left and right must name"),
        ("right", lambda old: np.full_like(old, np.iinfo(np.int32).min), "left and right must name"),
        ("value", lambda old: old[:-1], "value has 11 rows"),
        ("value", lambda old: old * np.inf, "value must hold finite"),
    ],
)
def test_arrays_that_are_no_forest_are_refused(name, spoil, message):
    levels = np.linspace(-1, 1, 45, dtype=np.float32).reshape(5, 9)
    arrays = random_forest(np.random.default_rng(0), (4, 3, 2), levels).arrays()
    with pytest.raises(InputError, match=message):
        Forest.from_arrays(arrays | {name: spoil(arrays[name])})


def test_a_cycle_is_refused():
    """Each node and leaf has one parent, and still no walk from the root ends in all of them."""
    with pytest.raises(InputError, match="children behind their parents"):
        Forest(
            ("a",),
            np.array([0, 3], np.int32),
            np.zeros(3, np.int32),
            np.zeros(3, np.float32),
            np.array([~0, 2, 1], np.int32),
            np.array([~1, ~2, ~3], np.int32),
            np.zeros(4),
        )


def test_a_missing_array_a_tree_too_large_and_too_many_thresholds_are_refused(forest):
    arrays = forest.arrays()
    del arrays["left"]
    with pytest.raises(InputError, match="no left"):
        Forest.from_arrays(arrays)
    rng, few = np.random.default_rng(0), np.zeros((1, 1), np.float32)
    with pytest.raises(InputError, match="257 leaves"):
        random_forest(rng, (256,), few)
    with pytest.raises(InputError, match=r"feature 0 has \d+ thresholds"):
        random_forest(rng, (200, 200), np.arange(1000, dtype=np.float32).reshape(1, -1))


@settings(max_examples=200)
@given(st.data())
def test_a_corrupt_number_is_refused_or_harmless(data):
    levels = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    arrays = random_forest(np.random.default_rng(0), (3, 2), levels).arrays()
    name = data.draw(st.sampled_from(["first_node", "feature", "left", "right"]))
    place = data.draw(st.integers(0, len(arrays[name]) - 1))
    arrays[name][place] = data.draw(st.one_of(st.integers(-7, 7), st.integers(-(2**31), 2**31 - 1)))
    try:
        forest = Forest.from_arrays(arrays)
    except InputError:
        return
    features = np.linspace(-2, 2, 20, dtype=np.float32).reshape(10, 2)
    np.testing.assert_allclose(forest.predict(features), predicted(forest, features), atol=1e-12)


def test_splits_by_category_and_of_missing_values_are_refused():
    features, target = rows(500)
    options = {"objective": "l2", "verbosity": -1, "num_threads": 1, "min_data_per_group": 5}
    by_category = lightgbm.train(options, lightgbm.Dataset(features, target, categorical_feature=[2]), 3)
    features[::3, 0] = np.nan
    with_missing = lightgbm.train(options, lightgbm.Dataset(features, target), 3)
    for booster in (by_category, with_missing):
        with pytest.raises(InputError, match="train it with numbers only"):
            forest_of_text(booster.model_to_string(), NAMES)


# --- what callers may get wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((3, 5)), r"features are float64\(3, 5\)"),
        (np.zeros(5, np.float32), "of float32"),
        ([[0.0] * 5], "features are list"),
        (np.zeros((3, 4), np.float32), r"\(n, 5\), a column each for a, b, c, d, e"),
        (np.zeros((3, 10), np.float32)[:, ::2], "np.ascontiguousarray"),
        (np.array([[0, 0, 0, 0, 0], [0, 0, np.nan, 0, 0]], np.float32), "feature 2 at row 1 is nan"),
        (np.full((400, 5), np.inf, np.float32), "feature 0 at row 0 is inf"),
    ],
)
def test_features_that_are_none_are_refused(forest, features, message):
    with pytest.raises(InputError, match=message):
        forest.predict(features)


def test_read_only_rows_and_no_rows_are_predicted(forest):
    features, _ = rows(9)
    expected = forest.predict(features)
    features.flags.writeable = False
    assert np.array_equal(forest.predict(features), expected)
    assert forest.predict(features[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((4, 2))}, "of float32"),
        ({"features": np.zeros((0, 2), np.float32)}, "no row"),
        ({"features": np.full((4, 2), np.nan, np.float32)}, "feature 0 at row 0"),
        ({"target": np.zeros(3)}, r"target has the shape \(3,\): it must be \(4,\)"),
        ({"target": np.full(4, np.nan)}, "target must hold finite numbers$"),
        ({"weight": np.zeros(4)}, "weight must hold finite numbers above 0"),
        ({"start": np.full(4, np.inf)}, "start must hold finite"),
    ],
)
def test_rows_to_learn_from_are_checked(change, message):
    good = {"features": np.zeros((4, 2), np.float32), "target": np.zeros(4)}
    with pytest.raises(InputError, match=message):
        Sample(**good | change)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trees", 0),
        ("trees", 2.5),
        ("leaves", 257),
        ("leaves", True),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("min_leaf", 0),
        ("feature_fraction", 1.1),
        ("bagging_fraction", "1"),
        ("max_depth", -1),
        ("l2", -1),
        ("max_bins", 256),
        ("patience", 0),
        ("seed", -1),
        ("threads", 0),
    ],
)
def test_parameters_have_ranges(name, value):
    with pytest.raises(InputError, match=f"{name} is"):
        BoostingParams(**{name: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objective": "mape"}, "objective is 'mape': it must be one of l1, l2, quantile"),
        ({"alpha": 1}, "alpha is 1"),
        ({"names": ("a",)}, "train has 5 features: names tell 1"),
        ({"valid": Sample(np.zeros((2, 4), np.float32), np.zeros(2))}, "valid has 4 features"),
        (
            {"valid": Sample(np.zeros((2, 5), np.float32), np.zeros(2), start=np.zeros(2))},
            "only one of train and valid has a start",
        ),
    ],
)
def test_training_refuses_what_does_not_fit(change, message):
    with pytest.raises(InputError, match=message):
        train_forest(Sample(*rows(20)), **{"names": NAMES} | change)


@pytest.mark.parametrize("error", [ModuleNotFoundError("none"), OSError("libgomp.so.1")])
def test_without_lightgbm_the_message_says_what_to_install(monkeypatch, error):
    original = builtins.__import__

    def refuse(name, *words):
        if name == "lightgbm":
            raise error
        return original(name, *words)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"pip install .*dispatch-engine\[eta\]"):
        train_forest(Sample(*rows(20)), names=NAMES)
