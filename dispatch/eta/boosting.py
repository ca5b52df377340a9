"""Gradient-boosted trees: LightGBM trains them, arrays keep them, our own kernel predicts.

Predictions are LightGBM's own: it compares float64 thresholds with features, and each is lowered to the next
float32, which sorts every float32 in the same way. Using a forest needs no LightGBM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels import boosted_trees as kernels
from dispatch.kernels.jit import direct
from dispatch.limits import check_range, check_whole
from dispatch.units import NO_INDEX

OBJECTIVES: Final = {"l1": "regression_l1", "l2": "regression", "quantile": "quantile"}
"""What may be made small, and LightGBM's name for it."""
ARRAYS: Final = {
    "names": np.str_,
    "first_node": np.int32,
    "feature": np.int32,
    "threshold": np.float32,
    "left": np.int32,
    "right": np.int32,
    "value": np.float64,
}
"""The arrays of a forest in a file, and the kind of each."""

_FEW = direct("boosted_trees.predict_few")
_ROWS = direct("boosted_trees.predict_rows")


@dataclass(frozen=True)
class BoostingParams:
    """How trees are grown.

    Parameters
    ----------
    trees : int
        How many at most; 1 to 10,000.
    leaves : int
        Of one tree, at most; 2 to 256.
    learning_rate : float
        Share of a tree's own best values that is added; above 0, at most 1.
    min_leaf : int
        Rows of a leaf, at least.
    feature_fraction : float
        Share of the features that a tree may ask, drawn anew for each; above 0, at most 1.
    bagging_fraction : float
        Share of the rows that a tree is grown on, drawn anew for each; above 0, at most 1.
    max_depth : int
        Questions from the root to a leaf, at most; 0 for no limit.
    l2 : float
        Penalty on the square of a leaf's value.
    max_bins : int
        Bins of a feature, between which trees split; 2 to 255.
    patience : int
        Growing ends when so many trees in a row did not improve the prediction of the validation rows.
    seed : int
        Of all that is drawn.
    threads : int
        Trees are the same for any number of them.
    """

    trees: int = 200
    leaves: int = 31
    learning_rate: float = 0.1
    min_leaf: int = 50
    feature_fraction: float = 1.0
    bagging_fraction: float = 1.0
    max_depth: int = 0
    l2: float = 0.0
    max_bins: int = 255
    patience: int = 20
    seed: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, low, high in (
            ("trees", 1, 10_000),
            ("leaves", 2, kernels.MAX_LEAVES),
            ("min_leaf", 1, 2**31 - 1),
            ("max_depth", 0, 255),
            ("max_bins", 2, kernels.MAX_EDGES),
            ("patience", 1, 10_000),
            ("seed", 0, 2**31 - 1),
            ("threads", 1, 1024),
        ):
            check_whole(name, getattr(self, name), low, high)
        for name in ("learning_rate", "feature_fraction", "bagging_fraction"):
            check_range(name, getattr(self, name), 1e-6, 1)
        check_range("l2", self.l2, 0, 1e12)

    def for_lightgbm(self, objective: str, alpha: float) -> dict[str, Any]:
        """Give them by LightGBM's names, with what makes its trees the same in each run."""
        return {
            "objective": OBJECTIVES[objective],
            "alpha": alpha,
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_leaf,
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": int(self.bagging_fraction < 1),
            "max_depth": self.max_depth or -1,
            "lambda_l2": self.l2,
            "max_bin": self.max_bins,
            "seed": self.seed,
            "num_threads": self.threads,
            "deterministic": True,
            "force_row_wise": True,
            "use_missing": False,
            "verbosity": -1,
        }


@dataclass(frozen=True)
class Sample:
    """Rows to learn from, or to judge by."""

    features: NDArray[np.float32]
    """(n, features) C-contiguous, within 1e30"""
    target: NDArray[np.float64]
    """(n,) what is to be predicted"""
    weight: NDArray[np.float64] | None = None
    """(n,) how much each row counts, above 0; None: all the same"""
    start: NDArray[np.float64] | None = None
    """(n,) what the forest's prediction will be added to; None: nothing, the forest learns the level too"""

    def __post_init__(self) -> None:
        """Refuse rows that do not fit each other, and numbers that are none."""
        _check_features(self.features)
        num_rows = len(self.features)
        if self.features.size == 0:
            raise InputError("features have no row or no column: there is nothing to learn from")
        most = kernels.MAX_FEATURE
        if not (-most <= self.features.min() and self.features.max() <= most):
            is_good = (np.abs(self.features) <= most).all(axis=1)
            raise _bad_feature(self.features, int(np.argmin(is_good)))
        for name, low in (("target", -inf), ("weight", 0), ("start", -inf)):
            values = getattr(self, name)
            if values is None and name != "target":
                continue
            if np.shape(values) != (num_rows,):
                raise InputError(f"{name} has the shape {np.shape(values)}: it must be ({num_rows},)")
            if not (np.isfinite(values) & (np.asarray(values) > low)).all():
                raise InputError(f"{name} must hold finite numbers{' above 0' if low == 0 else ''}")


@dataclass(frozen=True)
class Forest:
    """Trees whose values are summed; arrays only, checked when it is made.

    A tree's nodes and leaves are numbered from 0, its root first, a node before its children. A child is a
    node, or ``~leaf``. A tree has a leaf more than nodes; leaves lie tree by tree.
    """

    names: tuple[str, ...]
    """of the features, in the order of their columns"""
    first_node: NDArray[np.int32]
    """(trees + 1,) where the nodes of a tree begin"""
    feature: NDArray[np.int32]
    """(nodes,) which feature is asked"""
    threshold: NDArray[np.float32]
    """(nodes,) a row goes left where its feature is at most this"""
    left: NDArray[np.int32]
    """(nodes,)"""
    right: NDArray[np.int32]
    """(nodes,)"""
    value: NDArray[np.float64]
    """(nodes + trees,) of the leaves"""

    def __post_init__(self) -> None:
        """Refuse arrays that are no trees: a kernel would read beyond their ends."""
        _check_arrays(self)
        _check_nodes(self)

    @property
    def num_trees(self) -> int:
        """Number of trees."""
        return len(self.first_node) - 1

    @cached_property
    def trees(self) -> kernels.Trees:
        """The same as the kernels read it."""
        nodes = (self.first_node, self.feature, self.threshold, self.left, self.right, self.value)
        return kernels.lay_out(kernels.Nodes(len(self.names), *nodes))

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict rows.

        Parameters
        ----------
        features : (n, features) float32, C-contiguous
            In the order of :attr:`names`, finite and within 1e30.

        Returns
        -------
        (n,) float64
            In the unit of the target that was learnt; what is to be added where learning had a start.

        Raises
        ------
        InputError
            Wrong type, shape or order in memory, or a feature that is not finite.

        Complexity: rows · nodes byte operations, 64 at once; up to ten rows: rows · trees · depth.
        """
        trees = self.trees
        _check_features(features)
        if features.shape[1] != len(self.names):
            raise InputError(
                f"features have the shape {features.shape}: it must be (n, {len(self.names)}), a column each "
                f"for {', '.join(self.names)}"
            )
        prediction = np.empty(len(features), np.float64)
        if len(features) <= kernels.FEW_ROWS:
            bad = _FEW.call(trees, features, prediction)
        else:
            bad = _ROWS.call(trees, features, kernels.workspace_for(trees), prediction)
        if bad != NO_INDEX:
            raise _bad_feature(features, bad)
        return prediction

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give all of it as arrays, to be written with ``np.savez``; none needs a pickle."""
        return {name: np.asarray(getattr(self, name), kind) for name, kind in ARRAYS.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Forest:
        """Make one of what :meth:`arrays` gave; the mapping may hold more than that.

        Raises
        ------
        InputError
            An array is missing or of another kind, or they are no trees.
        """
        missing = [name for name in ARRAYS if name not in arrays]
        if missing:
            raise InputError(f"the model has no {', '.join(missing)}: it must hold {', '.join(ARRAYS)}")
        given = {name: np.asarray(arrays[name]) for name in ARRAYS}
        names = given.pop("names")
        if names.ndim != 1 or names.dtype.kind != "U":
            raise InputError(f"names are {names.dtype}{names.shape}: they must be texts, one a feature")
        return cls(tuple(names.tolist()), **given)


def train_forest(
    train: Sample,
    *,
    names: Sequence[str],
    objective: str = "l2",
    alpha: float = 0.5,
    params: BoostingParams | None = None,
    valid: Sample | None = None,
) -> Forest:
    """Grow a forest with LightGBM; the same rows and parameters give the same forest.

    Parameters
    ----------
    train : Sample
        Rows to learn from.
    names : sequence of str
        Of the features; all are numbers to the trees.
    objective : 'l1', 'l2' or 'quantile'
        What is made small: absolute errors, their squares, or what is least at a quantile.
    alpha : float
        Which quantile, between 0 and 1; for that objective only.
    params : BoostingParams, optional
        How trees are grown.
    valid : Sample, optional
        Rows by which the number of trees is chosen: that with the least loss on them. They have a start if
        and only if the rows to learn from have one.

    Raises
    ------
    InputError
        LightGBM is not installed or cannot be loaded, or the input breaks a rule.
    """
    params = BoostingParams() if params is None else params
    if objective not in OBJECTIVES:
        raise InputError(f"objective is {objective!r}: it must be one of {', '.join(OBJECTIVES)}")
    check_range("alpha", alpha, 1e-6, 1 - 1e-6)
    for name, sample in (("train", train), ("valid", valid)):
        if sample is not None and sample.features.shape[1] != len(names):
            raise InputError(
                f"{name} has {sample.features.shape[1]} features: names tell {len(names)}, it must be as many"
            )
    if valid is not None and (valid.start is None) != (train.start is None):
        raise InputError("only one of train and valid has a start: both must have one, or none")
    lightgbm = _lightgbm()
    settings = params.for_lightgbm(objective, alpha)
    level = _level(train, objective, alpha)

    def dataset(sample: Sample, reference: Any = None) -> Any:
        return lightgbm.Dataset(
            sample.features,
            sample.target,
            weight=sample.weight,
            init_score=None if sample.start is None or level is None else sample.start + level,
            reference=reference,
            params=settings,
            categorical_feature=[],
        )

    rows = dataset(train)
    judged: dict[str, Any] = {}
    if valid is not None:
        stop = lightgbm.early_stopping(params.patience, verbose=False)
        judged = {"valid_sets": [dataset(valid, rows)], "callbacks": [stop]}
    booster = lightgbm.train(settings, rows, params.trees, **judged)
    return forest_of_text(booster.model_to_string(num_iteration=booster.best_iteration), names, level)


def _level(sample: Sample, objective: str, alpha: float) -> float | None:
    """Give the best constant to add to a start; None without one, where LightGBM finds it itself.

    It adds none to a start, and then learns nothing of absolute errors that are all on one side of it.
    """
    if sample.start is None:
        return None
    rest = np.asarray(sample.target, np.float64) - sample.start
    weight = np.ones(len(rest)) if sample.weight is None else np.asarray(sample.weight, np.float64)
    if objective == "l2":
        return float(np.average(rest, weights=weight))
    order = np.argsort(rest)
    up_to = np.cumsum(weight[order])
    place = np.searchsorted(up_to, (alpha if objective == "quantile" else 0.5) * up_to[-1])
    return float(rest[order][place])


def forest_of_text(text: str, names: Sequence[str], level: float | None = None) -> Forest:
    """Read a forest from LightGBM's own text, as ``Booster.model_to_string`` gives it.

    A `level` is added to its predictions, by a further tree of a single leaf.

    Raises
    ------
    InputError
        A tree splits categories or lets missing values decide: ours know numbers only.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("feature", "threshold", "left", "right", "value")}
    first_node = [0]
    if level is not None:
        first_node.append(0)
        columns["value"].append(level)
    for part in text.split("\nTree=")[1:]:
        lines = part.partition("\n\n")[0].splitlines()[1:]
        tree = {key: words.split() for key, _, words in (line.partition("=") for line in lines)}
        num_nodes = int(tree["num_leaves"][0]) - 1
        if int(tree["num_cat"][0]) or any(int(kind) & 0b1101 for kind in tree.get("decision_type", ())):
            raise InputError(
                "the model has splits by category or of missing values: train it with numbers only"
            )
        for name, key in (
            ("feature", "split_feature"),
            ("threshold", "threshold"),
            ("left", "left_child"),
            ("right", "right_child"),
        ):
            columns[name] += map(float if name == "threshold" else int, tree[key] if num_nodes else ())
        columns["value"] += map(float, tree["leaf_value"])
        first_node.append(first_node[-1] + num_nodes)
    return Forest(
        tuple(names),
        np.array(first_node, np.int32),
        np.array(columns["feature"], np.int32),
        lowered(np.array(columns["threshold"], np.float64)),
        np.array(columns["left"], np.int32),
        np.array(columns["right"], np.int32),
        np.array(columns["value"], np.float64),
    )


def lowered(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Give the largest float32 (n,) that are not above float64 thresholds (n,).

    ``x <= threshold`` is the same for both, whatever the float32 ``x``.
    """
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-inf)), single)


# --- checks ---------------------------------------------------------------------------------------


def _check_features(features: NDArray[np.float32]) -> None:
    """Refuse what kernels do not read: they are told nothing of types."""
    if not (isinstance(features, np.ndarray) and features.dtype == np.float32 and features.ndim == 2):
        what = f"{getattr(features, 'dtype', type(features).__name__)}{np.shape(features)}"
        raise InputError(f"features are {what}: they must be an array (n, features) of float32")
    if not features.flags.c_contiguous or not features.flags.aligned:
        raise InputError("features are not C-contiguous: make them so with np.ascontiguousarray")


def _bad_feature(features: NDArray[np.float32], row: int) -> InputError:
    column = int(np.argmax(~(np.abs(features[row]) <= kernels.MAX_FEATURE)))
    return InputError(
        f"feature {column} at row {row} is {features[row, column]}: features must be finite and within "
        f"{kernels.MAX_FEATURE:g}"
    )


def _check_arrays(forest: Forest) -> None:
    """Kinds, shapes, and numbers that are numbers."""
    if not (forest.names and all(isinstance(name, str) for name in forest.names)):
        raise InputError("names must be texts, one a feature, at least one")
    for field in fields(forest)[1:]:
        array, kind = getattr(forest, field.name), ARRAYS[field.name]
        if not (isinstance(array, np.ndarray) and array.dtype == kind and array.ndim == 1):
            what = f"{getattr(array, 'dtype', type(array).__name__)}{np.shape(array)}"
            raise InputError(f"{field.name} is {what}: it must be an array (n,) of {np.dtype(kind)}")
    first = forest.first_node
    if len(first) == 0 or first[0] != 0 or (np.diff(first) < 0).any():
        raise InputError("first_node must begin with 0 and never fall")
    num_nodes = int(first[-1])
    for name in ("feature", "threshold", "left", "right"):
        if len(getattr(forest, name)) != num_nodes:
            raise InputError(
                f"{name} has {len(getattr(forest, name))} rows: it must have {num_nodes}, one a node"
            )
    if len(forest.value) != num_nodes + forest.num_trees:
        raise InputError(
            f"value has {len(forest.value)} rows: it must have {num_nodes + forest.num_trees}, one a leaf"
        )
    if not np.isfinite(forest.value).all():
        raise InputError("value must hold finite numbers")
    if not (np.abs(forest.threshold) <= kernels.MAX_FEATURE).all():
        raise InputError(f"threshold must hold numbers within {kernels.MAX_FEATURE:g}")


def _check_nodes(forest: Forest) -> None:
    """Each tree is one: children come later than their node, and each has one parent."""
    if not ((forest.feature >= 0) & (forest.feature < len(forest.names))).all():
        raise InputError(f"feature must be from 0 to {len(forest.names) - 1}, the columns that names tell")
    for tree in range(forest.num_trees):
        begin, end = forest.first_node[tree], forest.first_node[tree + 1]
        num_nodes = int(end - begin)
        if num_nodes >= kernels.MAX_LEAVES:
            raise InputError(
                f"tree {tree} has {num_nodes + 1} leaves: it must have at most {kernels.MAX_LEAVES}"
            )
        own = np.arange(num_nodes)
        children = np.stack((forest.left[begin:end], forest.right[begin:end])).astype(np.int64)
        is_later = (children < 0) | (children > own)
        # All leaves and all nodes but the root, each once: with later children, that is a tree.
        if not (is_later.all() and np.array_equal(np.sort(children, None), _all_but_root(num_nodes))):
            raise InputError(
                f"tree {tree}: left and right must name each of its leaves and nodes but the root once, "
                "children behind their parents"
            )
    for feature in range(len(forest.names)):
        num_edges = len(np.unique(forest.threshold[forest.feature == feature]))
        if num_edges > kernels.MAX_EDGES:
            raise InputError(
                f"{forest.names[feature]} has {num_edges} thresholds: it may have at most {kernels.MAX_EDGES}"
            )


def _all_but_root(num_nodes: int) -> NDArray[np.int64]:
    """Give the children of a tree, ascending: all leaves as ``~leaf``, then the nodes."""
    if num_nodes == 0:
        return np.empty(0, np.int64)
    return np.concatenate((np.arange(-num_nodes - 1, 0), np.arange(1, num_nodes)))


def _lightgbm() -> Any:
    """Import LightGBM, which nothing else needs."""
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        raise InputError(
            f'training needs LightGBM, which cannot be loaded ({error}): pip install "dispatch-engine[eta]"'
        ) from error
    return lightgbm
