"""Steps at one go, against the same steps taken the long way."""

from dataclasses import replace

import numpy as np
import pytest

from cities import T0, assert_same_tables, grid_city, places, tables_of
from dispatch.engine import dispatcher as engine
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.engine.params import DispatchParams
from dispatch.engine.plain_step import step_plainly
from dispatch.engine.terms import DriverTerms

CITY = grid_city(4, 4, seed=3)
TIMES = CITY.free_flow().all_pairs
RANKS = np.where(np.arange(CITY.graph.num_nodes) < 3, 0, -1).astype(np.int32)


def steps(seed, policy, node_rank, monkeypatch, plainly):
    """Take some steps between orders and answers; give all tables, and how often it was plain."""
    random, taken = np.random.default_rng(seed), []
    params = DispatchParams(
        policy=policy, candidates_per_order=2, offer_timeout_s=15.0, max_wait_s=40.0, max_pickup_s=120.0
    )
    dispatcher = Dispatcher(CITY, TIMES, params, node_rank=node_rank)

    def step(*words):
        taken.append(plainly and step_plainly(*words))
        return taken[-1]

    monkeypatch.setattr(engine, "step_plainly", step)
    node = random.integers(0, CITY.graph.num_nodes, 6)
    dispatcher.drivers_online(Positions(np.arange(6), *places(CITY, node), T0))
    quality, income = random.integers(0, 60_000, (2, 6))
    dispatcher.set_driver_terms(
        DriverTerms(np.arange(6), quality, income, random.choice([0, 1, 1, 1], 6), random.choice([1, 3], 6))
    )
    copies = []
    for turn in range(5):
        now_ms, num = T0 + 10_000 * (turn + 1), int(random.integers(0, 4))
        pickup, dropoff = random.integers(0, CITY.graph.num_nodes, (2, num))
        ids = 10 * turn + np.arange(num)
        asked = NewOrders(ids, *places(CITY, pickup), *places(CITY, dropoff), now_ms)
        dispatcher.submit(replace(asked, skills=random.choice([0, 0, 2], num)))
        events = dispatcher.step(now_ms)
        copies.append((events.tobytes(), tables_of(dispatcher)))
        offers = events[events["kind"] == 4]
        for answer in (dispatcher.accept, dispatcher.decline):
            chosen = offers[: len(offers) // 2]
            answer(chosen["order_id"].copy(), chosen["driver_id"].copy(), now_ms + 1)
            offers = offers[len(offers) // 2 :][1:]
    return copies, sum(taken)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("node_rank", [None, RANKS], ids=["no ranks", "ranks"])
@pytest.mark.parametrize("policy", ["batch", "patient", "nearest", "priority", "reassign"])
def test_both_ways_offer_the_same(seed, policy, node_rank):
    with pytest.MonkeyPatch.context() as monkeypatch:
        short, num_plain = steps(seed, policy, node_rank, monkeypatch, plainly=True)
        long, none = steps(seed, policy, node_rank, monkeypatch, plainly=False)
    assert none == 0
    assert num_plain > 0 if policy in ("batch", "patient") else num_plain == 0
    for one, other in zip(short, long, strict=True):
        assert one[0] == other[0]
        assert_same_tables(one[1], other[1])
