"""The study of ETAs, on a small city."""

import datetime
import json
from dataclasses import replace

import numpy as np
import pytest

from cities import grid_city, random_trips
from dispatch.eta.model import EtaModel
from dispatch.units import MS_PER_DAY
from simulations.eta import make, page as pages

MONDAY_MS = 1_699_833_600_000
"""2023-11-13, 0:00 UTC."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two days to learn from, one to simulate; a model that knows no more than speed limits."""
    city = grid_city(6, 6)
    trips = random_trips(city, 1800, 4, MONDAY_MS, 3 * 3600)
    # An hour of each day.
    hour, within_ms = np.divmod(trips.requested_at_ms - MONDAY_MS, 3_600_000)
    trips = replace(trips, requested_at_ms=MONDAY_MS + hour * MS_PER_DAY + within_ms)
    free_ms = city.free_flow().pairs_ms(trips.pickup_node, trips.dropoff_node)
    lasted_s = free_ms / 1000 * np.random.default_rng(1).lognormal(0.4, 0.3, len(free_ms))
    city = replace(city, trips=replace(trips, duration_s=np.maximum(lasted_s, 5).astype(np.int32)))
    path = tmp_path_factory.mktemp("study") / "free.eta"
    EtaModel.free_flow(city).save(path)
    return make.Study(city, 1, path, datetime.date(2023, 11, 15), num_drivers=12)


def test_the_page_tells_every_engine_under_every_truth(study, tmp_path, monkeypatch):
    shown = ("by hour", "learnt", "learnt + streets", "by hour and length", "learnt, rescue")
    monkeypatch.setattr(make, "ENGINES", {name: make.ENGINES[name] for name in shown})
    monkeypatch.setattr(make, "wall_times", lambda study, of=make.wall_times: of(study, 1))
    monkeypatch.setattr(pages, "PAIRS", [pair for pair in pages.PAIRS if set(pair) <= set(shown)])
    kept, out = tmp_path / "runs.json", tmp_path / "result.md"
    make.make(study, 1, kept, out)
    text, known = out.read_text(), json.loads(kept.read_text())
    assert len(known) == len(make.TRUTHS) * len(make.ENGINES) + 2
    for truth in make.TRUTHS:
        (part,) = [part for part in text.split("\n## ") if part.startswith(f"Truth {truth}")]
        assert all(f"\n| {engine} | " in part for engine in make.ENGINES)
    assert "nan" not in text
    bias_s = {engine: known[f"by hour|2023-11-15|1|{engine}"]["bias_s"] for engine in shown}
    assert bias_s["learnt"] > bias_s["by hour"] + 1, "speed limits promise too much"
    kept_at = kept.stat().st_mtime_ns
    make.make(study, 1, kept, out)
    assert (out.read_text(), kept.stat().st_mtime_ns) == (text, kept_at), "runs are made once"


def test_intervals_come_with_seeds(study):
    figures = dict.fromkeys((*make.KPIS, "late2", "ten", "run_s"), 0.5)
    bands = {name: [1.0] * (len(make.LENGTHS_M) + 1) for name in ("num", "sum_s", "size_s", "took_s")}
    runs = {
        (truth, "2023-11-15", seed, engine): figures | bands | {"mae_s": seed + 10.0 * (engine == "learnt")}
        for truth in make.TRUTHS
        for seed in (1, 2)
        for engine in make.ENGINES
    }
    text = pages.page(runs, {"wall": {}, "trips": {"learnt": [[5, 2.0, -1.0]]}}, study)
    assert "learnt against by hour: worse: MAE, s; no difference seen" in text
    assert "| all | 5 | 2.0 / -1.0 |" in text


def test_short_drives_are_told_by_streets_alone(study):
    at_ms = MONDAY_MS + 2 * MS_PER_DAY
    learnt, short = study.learnt.at(at_ms), study.short.at(at_ms)
    assert study.short.at(at_ms + 1) is short
    pairs = np.indices((36, 36)).reshape(2, -1).astype(np.int32)
    told_ms, drawn_ms = learnt.pairs_ms(*pairs), short.pairs_ms(*pairs)
    # Of speed limits alone, streets and model say the same.
    assert np.abs(told_ms - drawn_ms).max() <= 1
    assert (drawn_ms[pairs[0] == pairs[1]] == 0).all()
