"""Boosted trees: forests that LightGBM grew, read by our kernel, against LightGBM and compilers of it.

All get the same text of a model and the same rows, in the type that suits them best, made beforehand; what
compiling the model takes is told beside it. Answers must equal LightGBM's own to 1e-9.
"""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np

from benchmarks.harness import Call, Case, Report, Work, WrongAnswerError
from dispatch.eta.boosting import BoostingParams, Forest, forest_of_text

SUMMARY = "predictions of gradient-boosted trees, in batches and row by row, against LightGBM and compilers"
PACKAGES = ("lightgbm", "tl2cgen", "treelite", "lleaves")
NUM_FEATURES = 40
TRAINING_ROWS = 100_000
FORESTS = {"200 trees of 31": (200, 31), "200 trees of 63": (200, 63), "500 trees of 31": (500, 31)}
BATCHES = (1, 16, 256, 10_000)
FLOORS: dict[tuple[str, int], float] = {
    ("200 trees of 31", 1): 2.0,
    ("200 trees of 31", 256): 3.0,
    ("200 trees of 31", 10_000): 4.0,
}


class Model(NamedTuple):
    """A forest in everybody's form."""

    forest: Forest
    booster: lightgbm.Booster
    peers: dict[str, Callable[[np.ndarray], Call] | None]
    """from rows to a call, by name"""
    form_ms: dict[str, float]


def measure(report: Report) -> None:
    """Predict batches of each size with each forest."""
    for name, (trees, leaves) in list(FORESTS.items())[: 1 if report.quick else None]:
        model = grown(3, 5, 500) if report.tiny else grown(trees, leaves, TRAINING_ROWS)
        for rows in BATCHES[: 3 if report.tiny else None]:
            make = partial(work, model, rows)
            report.compare(Case(f"{name}, {rows:,} rows", [make], FLOORS.get((name, rows))))
    report.note(
        f"{NUM_FEATURES} features, of which a fifth each are normal, log-normal, hours, flags, uniform; "
        "float32 for us and LightGBM, float64 for compiled models, as they split; compiling is not counted"
    )


def work(model: Model, rows: int) -> Work:
    """One batch, for everybody."""
    features, _ = sample(rows, seed=1)
    expected = model.booster.predict(features, raw_score=True, num_threads=1)

    def check(_name: str, answer: Any) -> None:
        if not np.allclose(np.ravel(answer), expected, rtol=1e-12, atol=1e-9):
            raise WrongAnswerError("predictions differ from LightGBM's")

    model.forest.predict(
        features
    )  # lays the forest out for the kernels; the harness takes a first call's time
    calls = {name: None if make is None else make(features) for name, make in model.peers.items()}
    return Work(lambda: model.forest.predict(features), calls, check, model.form_ms)


def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of a trip's kind and its time in seconds."""
    rng = np.random.default_rng(seed)
    kinds = (
        lambda: rng.normal(size=rows),
        lambda: rng.lognormal(5, 1, rows),
        lambda: rng.integers(0, 24, rows),
        lambda: rng.integers(0, 2, rows),
        lambda: rng.uniform(size=rows),
    )
    features = np.stack([kinds[column % 5]() for column in range(NUM_FEATURES)], axis=1).astype(np.float32)
    x = features.T.astype(np.float64)
    time_s = 200 * np.exp(0.3 * x[0]) + 10 * np.sqrt(x[1]) + 20 * np.sin(x[2] / 3) * x[3] + 30 * x[4] * x[9]
    time_s += 10 * x[5] * x[10] + 5 * x[14] ** 2 + 0.05 * x[6]
    return features, time_s + 20 * rng.normal(size=rows)


def grown(trees: int, leaves: int, rows: int) -> Model:
    """Let LightGBM grow a forest, and give it to everybody."""
    params = BoostingParams(trees=trees, leaves=leaves)
    settings = params.for_lightgbm("l1", 0.5)
    grower = lightgbm.train(settings, lightgbm.Dataset(*sample(rows, seed=0), params=settings), trees)
    text = grower.model_to_string()
    booster = lightgbm.Booster(model_str=text)
    peers: dict[str, Callable[[np.ndarray], Call] | None] = {
        "LightGBM": lambda features: partial(booster.predict, features, raw_score=True, num_threads=1)
    }
    form_ms: dict[str, float] = {}
    for name, compile_model in (("tl2cgen", by_tl2cgen), ("lleaves", by_lleaves)):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.txt"
            path.write_text(text, encoding="utf-8")
            peers[name] = compile_model(path)
        if peers[name] is not None:
            form_ms[name] = (time.perf_counter() - started) * 1e3
    names = [f"feature {column}" for column in range(NUM_FEATURES)]
    return Model(forest_of_text(text, names), booster, peers, form_ms)


def by_tl2cgen(path: Path) -> Callable[[np.ndarray], Call] | None:
    """C code for all trees, compiled with gcc; None where it is not installed."""
    try:
        treelite, tl2cgen = import_module("treelite"), import_module("tl2cgen")
    except ImportError:
        return None
    library = path.with_suffix(".so")
    model = treelite.frontend.load_lightgbm_model(str(path))
    tl2cgen.export_lib(model, toolchain="gcc", libpath=str(library), params={"parallel_comp": 8})
    predictor = tl2cgen.Predictor(str(library), nthread=1)

    def call(features: np.ndarray) -> Call:
        return partial(predictor.predict, tl2cgen.DMatrix(features.astype(np.float64)), pred_margin=True)

    return call


def by_lleaves(path: Path) -> Callable[[np.ndarray], Call] | None:
    """Machine code by LLVM; None where it is not installed, or too old for the llvmlite that numba needs."""
    try:
        model = import_module("lleaves").Model(model_file=str(path))
        model.compile(raw_score=True)
    except (ImportError, AttributeError):
        return None

    def call(features: np.ndarray) -> Call:
        return partial(model.predict, features.astype(np.float64), n_jobs=1)

    return call
