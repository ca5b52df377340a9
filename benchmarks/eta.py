"""ETAs: map matching, residuals of candidates, training, and how right they are on later days."""

import os
import time
from functools import partial
from typing import Any

import lightgbm
import numpy as np
from scipy.spatial import cKDTree

from benchmarks import eta_accuracy, eta_matching, eta_trees
from benchmarks.eta_accuracy import Experiment
from benchmarks.harness import Call, Case, Report, Work, WrongAnswerError
from benchmarks.peers import installed
from dispatch.eta.times import MEDIANS, EtaTimes
from dispatch.eta.training import grow

SUMMARY = "map matching, predictions of candidates, training, and errors on later days"
PACKAGES = ("lightgbm", "scikit-learn", *eta_matching.PACKAGES, *eta_trees.PACKAGES)
CANDIDATES, PER_ORDER = 10_000, 24
MOST_EXTRA_MS, MOST_SINGLE_US = 15.0, 50.0
AT_HOUR = 18
"""Of the first day of those tested on."""


def measure(report: Report) -> None:
    """Measure all of it; without the real data, only what needs none."""
    eta_matching.measure(report)
    eta_trees.measure(report)
    if not report.tiny and not os.environ.get("DISPATCH_DATA"):
        report.note("DISPATCH_DATA is not set: candidates, training and accuracy were not measured")
        return
    experiment = Experiment(report.tiny)
    report.tell("model: made")
    name = f"one forest, {len(experiment.learnt_from.row):,} trips"
    report.compare(Case(name, [partial(training, experiment)]))
    report.compare(
        Case(
            f"residual of {CANDIDATES:,} candidates",
            [partial(candidates, experiment)],
            floor=3.0,
            limits={"extra_ms": MOST_EXTRA_MS, "single_us": MOST_SINGLE_US},
        )
    )
    eta_accuracy.measure(report)


def training(experiment: Experiment) -> Work:
    """Grow one forest of the model, of all features, and read it; the peer grows as many trees as large."""
    learnt, params = experiment.prepared.learnt, experiment.params
    target, weight = learnt.duration_s / learnt.bases[0], learnt.bases[0]
    make = installed("sklearn.ensemble", "HistGradientBoostingRegressor")
    peer: Call | None = None
    if make is not None:
        learner = partial(
            make,
            loss="absolute_error",
            max_iter=params.median.trees,
            max_leaf_nodes=params.median.leaves,
            learning_rate=params.median.learning_rate,
            min_samples_leaf=params.median.min_leaf,
            max_features=params.median.feature_fraction,
            early_stopping=False,
            random_state=1,
        )

        def peer() -> Any:
            return learner().fit(learnt.features, target, sample_weight=weight)

    return Work(lambda: grow(learnt, 0.5, 0, params), {"scikit-learn, histograms": peer})


def candidates(experiment: Experiment) -> Work:
    """Predict candidates of orders at one instant; the peer sums as many trees, its features given."""
    model = experiment.model
    at = EtaTimes(model).at(experiment.before_ms + AT_HOUR * 3_600_000)
    from_node, to_node = near_pairs(experiment, 200 if experiment.tiny else CANDIDATES)
    table = model.ground.metric.all_pairs
    rows = experiment.features[0][np.arange(len(from_node)) % len(experiment.features[0])]
    boosters = [booster(experiment, base) for base in range(MEDIANS)]

    def by_lightgbm() -> list[np.ndarray]:
        return [one.predict(rows, raw_score=True, num_threads=1) for one in boosters]

    def check(name: str, answer: Any) -> None:
        if not (np.asarray(answer) >= 0).all():
            raise WrongAnswerError(f"{name} gives a negative time")

    ours = partial(at.pairs_ms, from_node, to_node)
    alone = partial(table.pairs_ms, from_node, to_node)
    one = from_node[:1].copy(), to_node[:1].copy()
    facts = {
        "extra_ms": median_ms(ours, 15) - median_ms(alone, 15),
        "single_us": 1e3 * median_ms(partial(at.pairs_ms, *one), 300),
        "quantiles_ms": median_ms(partial(at.quantiles_ms, from_node, to_node), 9),
    }
    return Work(ours, {"LightGBM, features given": by_lightgbm}, check, facts=facts, beside={"table": alone})


def booster(experiment: Experiment, base: int) -> lightgbm.Booster:
    """A forest of LightGBM's own as large as one of the model's, of the same trips."""
    learnt, params = experiment.prepared.learnt, experiment.params.median
    settings, weight = params.for_lightgbm("l1", 0.5), learnt.bases[base]
    sample = lightgbm.Dataset(learnt.features, learnt.duration_s / weight, weight=weight, params=settings)
    return lightgbm.train(settings, sample, params.trees)


def near_pairs(experiment: Experiment, num: int) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of orders: nodes in the neighbourhood of random ones, as engines ask for."""
    city = experiment.city
    rng, num_nodes = np.random.default_rng(1), city.graph.num_nodes
    orders = rng.integers(0, num_nodes, -(-num // PER_ORDER)).astype(np.int32)
    spots = np.stack(city.projection.to_plane(city.graph.node_lon, city.graph.node_lat), axis=1)
    near = cKDTree(spots).query(spots[orders], k=8 * PER_ORDER)[1][:, ::8]
    return near.ravel().astype(np.int32)[:num], np.repeat(orders, PER_ORDER)[:num]


def median_ms(call: Call, times: int) -> float:
    """Median of some calls after a first one, milliseconds."""
    call()
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        spent.append((time.perf_counter() - started) * 1e3)
    return float(np.median(spent))
