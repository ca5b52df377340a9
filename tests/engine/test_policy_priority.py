"""Who is served where not all can be, and from when on: tiers, starvation, patience, booking ahead."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, dispatcher_on, grid_city, new_orders, positions
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import OrderStatus as S
from dispatch.engine.policy import POLICIES, Policy, largest_pickup_s
from engine.riding import LINE, line_dispatcher, named, offers
from naive.shortest_paths import arcs_of, travel_times_to

CITY = grid_city(5, 5, seed=2)
NUM_NODES = CITY.graph.num_nodes
ARCS = arcs_of(CITY.graph, CITY.graph.free_flow_ms())
TO_NODE = [travel_times_to(ARCS, node, NUM_NODES) for node in range(NUM_NODES)]


def best_by_trying(drivers, pickups, weights):
    """The least (weight of the unserved, pickup times)."""
    best = []
    for seats in itertools.permutations([*drivers, *[None] * len(pickups)], len(pickups)):
        left = sum(weight for weight, node in zip(weights, seats, strict=True) if node is None)
        times = [
            TO_NODE[pickup][node] for pickup, node in zip(pickups, seats, strict=True) if node is not None
        ]
        best.append((left, sum(times)))
    return min(best)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 4))
def test_the_least_weight_goes_unserved_then_pickups_are_short(seed, num_drivers, num_orders):
    """Whoever waited longer than 600 s comes first of all, whatever the tier, and of these the first row."""
    random = np.random.default_rng(seed)
    dispatcher = dispatcher_on(CITY, policy="priority")
    drivers = random.permutation(NUM_NODES)[:num_drivers].tolist()
    pickups = random.integers(0, NUM_NODES, num_orders).tolist()
    tiers, waited_s = random.integers(0, 5, num_orders), random.choice([0, 600, 601], num_orders)
    ends = [(node + 1) % NUM_NODES for node in pickups]
    if num_orders:
        asked = new_orders(CITY, range(num_orders), pickups, ends, T0 - 1000 * waited_s)
        dispatcher.submit(replace(asked, tier=tiers))
    dispatcher.drivers_online(positions(CITY, range(num_drivers), drivers))
    weights = [
        1000 * 2 ** (num_orders - row) if s > 600 else (1, 2, 4, 4, 4)[tier]
        for row, (tier, s) in enumerate(zip(tiers, waited_s, strict=True))
    ]
    made = offers(dispatcher.step(T0))
    left = sum(weights) - sum(weights[order] for order, *_ in made)
    total_ms = sum(round(1000 * eta_s) for _, _, eta_s, _ in made)
    assert (left, total_ms) == best_by_trying(drivers, pickups, weights)


def test_one_high_tier_is_not_outweighed_by_many_low_ones():
    dispatcher = line_dispatcher("priority")
    dispatcher.drivers_online(positions(LINE, [1], [0]))
    dispatcher.submit(replace(new_orders(LINE, range(6), [1, 2, 3, 4, 5, 19], [9] * 6), tier=[0] * 5 + [1]))
    assert offers(dispatcher.step(T0)) == [(5, 1, 190, 190)]


def test_weights_need_not_begin_at_one():
    policy = Policy(priority_weights=(0.25, 0.5))
    dispatcher = line_dispatcher(policy)
    dispatcher.drivers_online(positions(LINE, [1], [0]))
    dispatcher.submit(replace(new_orders(LINE, [7, 8, 9], [0, 19, 18], [9] * 3), tier=[0, 1, 7]))
    assert offers(dispatcher.step(T0)) == [(9, 1, 180, 180)]  # tiers beyond the last weight have that


def test_starvation_alone_leaves_all_others_equal():
    dispatcher = line_dispatcher(Policy(starvation_s=100.0))
    dispatcher.drivers_online(positions(LINE, [1], [0]))
    for order, node, waited_s in ((7, 19, 101), (8, 1, 100), (9, 0, 0)):
        dispatcher.submit(new_orders(LINE, [order], [node], [9], T0 - 1000 * waited_s))
    assert offers(dispatcher.step(T0)) == [(7, 1, 190, 190)]


def test_thousands_of_starving_orders_on_their_way_still_add_up():
    """What keeps orders with a driver apart from others must fit in the solver's integers."""
    num = 1500
    random = np.random.default_rng(0)
    policy = replace(POLICIES["priority"], reassign_gain_s=30.0)
    dispatcher = dispatcher_on(CITY, policy=policy, candidates_per_order=150)
    nodes, pickups = random.integers(0, NUM_NODES, 2 * num), random.integers(0, NUM_NODES, num)
    at_ms = T0 - 700_000
    asked = new_orders(CITY, range(num), pickups, (pickups + 1) % NUM_NODES, at_ms)
    dispatcher.submit(replace(asked, tier=random.integers(0, 3, num)))
    dispatcher.drivers_online(positions(CITY, range(2 * num), nodes))
    half = list(range(0, num, 2))
    dispatcher.assign(half, half, T0)
    events = dispatcher.step(T0)
    assert len(offers(events)) == num // 2
    assert (events["kind"] == K.ORDER_REASSIGNED).sum() > 0


# --- patience --------------------------------------------------------------------------------------


@given(
    st.integers(0, 19),
    st.integers(0, 300_000),
    st.sampled_from([0.0, 20.0, 60.0]),
    st.sampled_from([0.0, 0.5, 3.0]),
)
def test_the_largest_pickup_grows_with_the_wait(node, waited_ms, base_s, slope):
    policy = Policy(patient_base_s=base_s, patient_slope=slope)
    dispatcher = line_dispatcher(policy, max_pickup_s=150.0)
    dispatcher.submit(new_orders(LINE, [7], [0], [9], T0 - waited_ms))
    dispatcher.drivers_online(positions(LINE, [1], [node]))
    is_offered = 10 * node <= largest_pickup_s(policy, 150.0, waited_ms / 1000)
    assert offers(dispatcher.step(T0)) == ([(7, 1, 10 * node, 10 * node)] if is_offered else [])


def test_patience_counts_from_the_wanted_pickup():
    policy = Policy(patient_base_s=50.0, patient_slope=1.0)
    dispatcher = line_dispatcher(policy)
    dispatcher.submit(replace(new_orders(LINE, [7], [0], [9]), wanted_after_ms=[60_000]))
    dispatcher.drivers_online(positions(LINE, [1], [8]))
    for at_s, is_offered in ((0, False), (60, False), (89, False), (90, True)):
        assert bool(offers(dispatcher.step(T0 + 1000 * at_s))) == is_offered


# --- booked ahead ----------------------------------------------------------------------------------


def test_a_booked_order_looks_for_a_driver_from_its_lead_on():
    dispatcher = line_dispatcher("batch", prebook_lead_s=900.0)
    dispatcher.submit(replace(new_orders(LINE, [7], [5], [9]), wanted_after_ms=[2_000_000]))
    dispatcher.drivers_online(positions(LINE, [1], [3]))
    assert named(dispatcher.step(T0 + 1)) == ["order_submitted", "driver_online"]
    before, since = T0 + 1_099_999, T0 + 1_100_000
    dispatcher.update_positions(positions(LINE, [1], [3], before))
    assert named(dispatcher.step(before)) == []
    assert named(dispatcher.step(since)) == ["cars_shown", "order_offered"]


@pytest.mark.parametrize("wanted_after_ms", [0, 500_000])
def test_it_expires_so_long_after_its_wanted_pickup(wanted_after_ms):
    dispatcher = line_dispatcher("batch", max_wait_s=100.0)
    dispatcher.submit(replace(new_orders(LINE, [7], [5], [9]), wanted_after_ms=[wanted_after_ms]))
    ends_ms = T0 + wanted_after_ms + 100_000
    dispatcher.step(ends_ms - 1)
    assert dispatcher.order_status([7]) == [S.OPEN]
    events = dispatcher.step(ends_ms + 30_000)
    assert (named(events), events["at_ms"].tolist()) == (["order_expired"], [ends_ms])


def test_what_is_told_of_a_new_order_is_in_the_log():
    dispatcher = line_dispatcher("batch")
    told = {
        "customer_id": [77],
        "wanted_after_ms": [5],
        "tier": [3],
        "is_first": [1],
        "passengers": [4],
        "vehicle_class": [2],
    }
    dispatcher.submit(replace(new_orders(LINE, [7], [5], [9]), **told))
    dispatcher.submit(new_orders(LINE, [8], [5], [9]))
    events = dispatcher.take_events()
    for name, values in told.items():
        assert events[name].tolist() == [*values, -1]
