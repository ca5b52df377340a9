"""Whole days with steps at one go, against the same days without them."""

import pytest

from dispatch.engine import dispatcher as engine
from dispatch.engine.events import log_sha256
from dispatch.engine.params import DispatchParams
from dispatch.engine.plain_step import step_plainly
from dispatch.sim.runner import run
from simulated import busy_day


@pytest.mark.parametrize("policy", ["batch", "patient", "lookahead", "patient_lookahead", "preposition"])
def test_days_are_the_same_without_it(policy, monkeypatch):
    taken = []

    def count(*words):
        taken.append(step_plainly(*words))
        return taken[-1]

    scenario = busy_day(150, 8, params=DispatchParams(policy=policy, candidates_per_order=3))
    monkeypatch.setattr(engine, "step_plainly", count)
    short = run(scenario)
    assert 0.5 < sum(taken) / len(taken) < 1  # now and then something times out
    monkeypatch.setattr(engine, "step_plainly", lambda *_: False)
    assert log_sha256(run(scenario).events) == log_sha256(short.events)
