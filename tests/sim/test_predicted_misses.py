"""Days with noisy traffic: predicted misses, and what policies make of them."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpis import kpis
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.engine.params import DispatchParams
from dispatch.roads.city import City
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.runner import run
from dispatch.sim.scenario import made_up_day
from dispatch.sim.traffic import LEVEL_Z

CITY = City.synthetic(seed=1)
WATCHED = {"reestimate_every_s": 60.0}


@pytest.fixture(scope="module")
def day():
    """4,000 orders, 160 drivers; a third of legs last less than 0.6 or more than 1.65 of the prediction."""
    day = with_behaviour(replace(made_up_day(CITY, 4000, 160, 8.0, 1), behaviour=Behaviour()))
    return replace(day, traffic=replace(day.traffic, quantile=0.5 * LEVEL_Z[None]))


def events_of(day, policy, **params):
    events = run(replace(day, params=DispatchParams(policy, **params))).events
    check_invariants(events)
    return events


def test_misses_are_predicted_and_come_true(day):
    """Of 257 predictions all that arrived came true, of 258 misses 0.94 were predicted.

    Simulated legs are slow all along, so that a delay that is there never goes away: a real precision is
    lower. With ``miss_after_s`` of 120 s precision is 0.38, recall 1: drivers are told of earlier.
    """
    watched, plain = events_of(day, "batch", **WATCHED), events_of(day, "batch")
    figures = kpis(watched)
    assert figures.miss_true_share > 0.95
    assert figures.miss_recall_share > 0.85
    assert 0.04 < figures.miss_predicted_share < 0.1
    rest = watched[watched["kind"] != K.PICKUP_MISS_PREDICTED]
    assert log_sha256(rest) == log_sha256(plain)  # to look changes nothing
    early = kpis(events_of(day, "batch", **WATCHED, miss_after_s=120.0))
    assert early.miss_recall_share >= figures.miss_recall_share
    assert early.miss_true_share < figures.miss_true_share


def late_of_first_promise(events):
    """The share of pickups over five minutes later than promised at the first assignment."""
    given, arrived = (events[events["kind"] == kind] for kind in (K.ORDER_ASSIGNED, K.DRIVER_ARRIVED))
    order, first = np.unique(given["order_id"], return_index=True)
    promised_at_ms = given["at_ms"][first] + given["eta_ms"][first]
    late_ms = arrived["at_ms"] - promised_at_ms[np.searchsorted(order, arrived["order_id"])]
    return (late_ms > 300_000).mean()


@pytest.mark.long
def test_rescue_makes_fewer_pickups_late(day):
    """Later by 5 min than first promised: 6.9 % of pickups in batches, 6.4 with rescue, 4.9 from 120 s on."""
    batch, rescue, early = (
        events_of(day, *words, **params)
        for words, params in ((["batch"], {}), (["rescue"], {}), (["rescue"], {"miss_after_s": 120.0}))
    )
    assert (rescue["kind"] == K.ORDER_REASSIGNED).sum() > 10
    shares = [late_of_first_promise(events) for events in (batch, rescue, early)]
    assert shares == sorted(shares, reverse=True)
    assert kpis(early).pickup_late5_share < kpis(batch).pickup_late5_share


def test_promise_weighs_the_traffic_s_own_noise(day):
    events = events_of(day, "promise")
    assert kpis(events).wait_p90_s < kpis(events_of(day, "batch")).wait_p90_s
