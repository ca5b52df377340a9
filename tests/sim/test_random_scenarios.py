"""Days at random, extremes included: whatever people do, no invariant breaks, and a day is its seed's."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.sim.runner import run
from dispatch.sim.summary import _check_books
from naive.replay import replay
from random_days import random_scenario

SEEDS = [range(first, first + 25) for first in range(0, 300, 25)]
HERE = Path(__file__).resolve()
MOST_WINDOWS = 20_000


def whole_run(seed):
    """Run a day to its end, and give up on one that has none."""
    windows = []
    finished = run(random_scenario(seed), windows.append, lambda: len(windows) > MOST_WINDOWS)
    assert not finished.partial, f"seed {seed}: a day without an end"
    return finished


@cache
def checked(seeds):
    """Hold days against all rules; give how often each kind of event came up, (kinds,)."""
    num_of_kind = np.zeros(len(K), np.int64)
    for seed in seeds:
        finished = whole_run(seed)
        report = check_invariants(finished.events)
        _check_books(finished)
        assert report.num_orders == finished.num_orders, f"seed {seed}"
        assert report.num_online == 0, f"seed {seed}: somebody did not go home"
        if seed % 25 == 0:
            _, illegal = replay(finished.events)
            assert illegal is None, f"seed {seed}"
        num_of_kind += np.bincount(finished.events["kind"], minlength=len(K))
    return num_of_kind


@pytest.mark.compiled
@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_no_day_breaks_an_invariant(seeds):
    checked(seeds)


@pytest.mark.compiled
def test_these_days_show_everything_that_can_happen():
    """Else it would say little that none of them breaks a rule."""
    num_of_kind = sum(checked(seeds) for seeds in SEEDS)
    assert {K(kind).name: int(num) for kind, num in enumerate(num_of_kind) if num < 10} == {}


@pytest.mark.compiled
@pytest.mark.parametrize("seeds", [range(1000, 1020), range(1020, 1040)], ids=["1000-1019", "1020-1039"])
def test_nor_does_a_day_on_the_hierarchy(seeds, monkeypatch):
    """As large cities and forbidden turns have it, instead of a table of all pairs."""
    monkeypatch.setattr("dispatch.roads.all_pairs.MAX_NODES", 0)
    for seed in seeds:
        scenario = random_scenario(seed)
        assert not AllPairsTimes.suits(scenario.city.graph)
        finished = whole_run(seed)
        check_invariants(finished.events)
        _check_books(finished)


@pytest.mark.compiled
def test_table_and_hierarchy_give_the_same_day(monkeypatch):
    """In a city where no two ways take the same time, or metres would differ."""
    seeds = [seed for seed in range(40) if random_scenario(seed).city.name == "Gridville"][:8]
    by_table = [whole_run(seed).events for seed in seeds]
    monkeypatch.setattr("dispatch.roads.all_pairs.MAX_NODES", 0)
    for seed, events in zip(seeds, by_table, strict=True):
        other = whole_run(seed).events
        assert len(other) == len(events), f"seed {seed}"
        for name in events.dtype.names:
            assert np.array_equal(events[name], other[name]), f"seed {seed}, {name}"


# --- the seed decides ------------------------------------------------------------------------------


def digests(seeds):
    return [log_sha256(run(random_scenario(seed)).events) for seed in seeds]


def test_the_same_seed_gives_the_same_log_and_others_others():
    seeds = [3, 8, 21, 40]
    first = digests(seeds)
    assert digests(seeds[::-1])[::-1] == first
    assert len(set(first)) == len(seeds)


@pytest.mark.compiled
def test_another_process_gives_the_same_log():
    """Also with other hash seeds: no set or dictionary decides anything."""
    seeds = [3, 8, 21, 40]
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "from sim.test_random_scenarios import digests\n"
        f"print(digests({seeds}))"
    )
    folders = [str(HERE.parent.parent), str(HERE.parent.parent.parent)]
    expected = digests(seeds)
    for hash_seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code, *folders],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout.strip() == str(expected)
