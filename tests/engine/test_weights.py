"""Who is left unserved: told priorities, patience and its cap; and orders that starve, strictly in turn."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, assert_same_tables, dispatcher_on, grid_city, new_orders, positions, tables_of
from dispatch.engine.events import EventKind as K
from dispatch.engine.policy import POLICIES, Policy
from dispatch.engine.terms import DriverTerms
from dispatch.engine.weights import weights_of
from dispatch.errors import InputError
from dispatch.units import NO_INDEX
from engine.riding import LINE, line_dispatcher, offers

TIERS = (1.0, 2.0, 4.0)
CITY = grid_city(20, 20, seed=2)


def asked(dispatcher, waited_s, at_ms=T0, **told):
    """Orders 0, 1, … of one place that have waited so long."""
    num = len(waited_s)
    orders = new_orders(LINE, range(num), [5] * num, [9] * num, at_ms - 1000 * np.array(waited_s))
    dispatcher.submit(replace(orders, **told))


def weights(policy, waited_s, **told):
    dispatcher = line_dispatcher(policy)
    asked(dispatcher, waited_s, **told)
    found = weights_of(dispatcher._state.orders, np.arange(len(waited_s), dtype=np.int32), policy, T0)
    return {name: column.tolist() for name, column in found._asdict().items()}


# --- weights ---------------------------------------------------------------------------------------


def test_a_told_priority_takes_the_place_of_the_tiers_weight():
    told = weights(Policy(priority_weights=TIERS), [0, 0, 0], tier=[0, 1, 7], priority=[500, 1000, 3000])
    assert told["weight"] == [0.5, 1, 3]
    assert told["is_told"] == [True] * 3
    of_tier = weights(Policy(priority_weights=TIERS), [0, 0, 0], tier=[0, 1, 7])
    assert (of_tier["weight"], of_tier["is_told"]) == ([1, 2, 4], [False] * 3)


def test_where_the_policy_weighs_nobody_all_are_equal():
    assert not Policy(starvation_s=5.0).weighs_people
    told = weights(Policy(starvation_s=5.0), [0, 9], tier=[0, 2], priority=[1, 9000], patience_ms=[1, 1])
    assert told["weight"] == [1, 1]
    assert (told["factor"], told["is_capped"]) == ([1, 1], [False, False])


def test_patience_alone_weighs_told_priorities_too():
    policy = Policy(patience_weight=1.0)
    assert policy.weighs_people
    told = weights(policy, [0, 0], tier=[0, 2], priority=[2000, 1000])
    assert told["weight"] == [2, 1]
    assert weights(policy, [0, 0], tier=[0, 2])["weight"] == [1, 1]


def test_weight_grows_with_the_share_of_patience_that_is_used_up():
    policy = Policy(priority_weights=TIERS, patience_weight=3.0)
    told = weights(policy, [0, 50, 100, 900, 900], tier=[1] * 5, patience_ms=[100_000] * 4 + [0])
    assert told["factor"] == [1, 2.5, 4, 4, 1]
    assert told["weight"] == [2, 5, 8, 8, 2]


def test_nobody_waits_for_a_pickup_booked_ahead_before_its_time():
    policy = Policy(patience_weight=1.0)
    told = weights(policy, [60, 60], patience_ms=[100_000] * 2, wanted_after_ms=[40_000, 90_000])
    assert told["factor"] == [1.2, 1]


@pytest.mark.parametrize("cap", [1.0, 2.0, 10.0, 1000.0])
def test_no_weight_is_larger_than_the_cap(cap):
    policy = Policy(priority_weights=(1.0, 50.0), patience_weight=4.0, priority_cap=cap)
    told = weights(
        policy,
        [0, 0, 100, 0],
        tier=[0, 1, 0, 0],
        priority=[1000, 1000, 1000, 100_000],
        patience_ms=[100_000] * 4,
    )
    assert told["weight"] == [min(one, cap) for one in (1, 1, 5, 100)]
    assert told["is_capped"] == [one > cap for one in (1, 1, 5, 100)]
    assert weights(policy, [0], tier=[1])["weight"] == [min(50, cap)]


def served_of(policy, waited_s, num_drivers=1, **told):
    """Which of some orders of one place a step serves."""
    dispatcher = line_dispatcher(policy)
    asked(dispatcher, waited_s, **told)
    dispatcher.drivers_online(positions(LINE, range(num_drivers), [5] * num_drivers))
    return sorted(order for order, *_ in offers(dispatcher.step(T0)))


def test_the_heavier_one_is_served_told_by_priority_or_grown_by_its_wait():
    tiers = Policy(priority_weights=TIERS)
    assert served_of(tiers, [0, 0, 0], tier=[2, 1, 0], priority=[1000, 2000, 5000]) == [2]
    assert served_of(replace(tiers, priority_cap=1.5), [0, 0, 0], 2, priority=[1000, 9000, 1400]) == [1, 2]
    hurried = Policy(patience_weight=2.0)
    assert served_of(hurried, [90, 60, 0], patience_ms=[300_000, 80_000, 10_000]) == [1]


@pytest.mark.parametrize(("pickup_weight", "expected"), [(0.0, 3), (0.2, 3), (1.0, 1)])
def test_of_two_that_are_served_the_heavier_one_may_get_the_nearer_driver(pickup_weight, expected):
    """Order 1 is at 6, order 0 at 3, drivers at 5 and 9: by pickup times alone 1 waits for the far one."""
    dispatcher = line_dispatcher(Policy(priority_weights=TIERS, pickup_weight=pickup_weight))
    dispatcher.submit(replace(new_orders(LINE, [0, 1], [3, 6], [9, 9], T0), tier=[0, 2]))
    dispatcher.drivers_online(positions(LINE, [1, 3], [5, 9]))
    driver_of = {order: driver for order, driver, *_ in offers(dispatcher.step(T0))}
    assert driver_of == {1: expected, 0: 4 - expected}


def test_a_weight_beyond_measure_leaves_costs_that_can_be_told():
    policy = Policy(priority_cap=1000, patience_weight=1.0, pickup_weight=1.0)
    dispatcher = line_dispatcher(policy, keep_explanations=5)
    dispatcher.submit(replace(new_orders(LINE, [0], [3], [9], T0), priority=[100_000]))
    dispatcher.drivers_online(positions(LINE, [1], [9]))
    dispatcher.set_driver_terms(DriverTerms([1], 3_600_000, 3_600_000))
    assert [driver for _, driver, *_ in offers(dispatcher.step(T0))] == [1]
    (cost,) = dispatcher.explain(0).cost
    assert 100 * 7_200_000 < cost < 2**31


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([0.0, 0.3, 1.0]))
def test_weighted_pickups_are_least_among_all_ways_to_serve_the_heaviest(seed, pickup_weight):
    """Against all permutations: most weight served first, then the least weighted pickup time."""
    random = np.random.default_rng(seed)
    num_orders, num_drivers = random.integers(1, 5, 2).tolist()
    at, tier = random.integers(0, 20, num_orders), random.integers(0, 3, num_orders)
    cars = random.permutation(20)[:num_drivers]
    policy = Policy(priority_weights=TIERS, pickup_weight=pickup_weight)
    dispatcher = line_dispatcher(policy)
    dispatcher.submit(replace(new_orders(LINE, range(num_orders), at, [9] * num_orders, T0), tier=tier))
    dispatcher.drivers_online(positions(LINE, range(num_drivers), cars))
    found = [(order, driver) for order, driver, *_ in offers(dispatcher.step(T0))]
    weight = np.array(TIERS)[tier]

    def cost(pairs):
        served = sorted((weight[order] for order, _ in pairs), reverse=True)
        factor = 1 + pickup_weight * (weight - 1)
        pickup = sum(abs(at[order] - cars[driver]) * factor[order] for order, driver in pairs)
        return [-one for one in served], round(pickup, 6)

    most = min(num_orders, num_drivers)
    ways = (
        list(zip(orders, drivers, strict=True))
        for orders in itertools.combinations(range(num_orders), most)
        for drivers in itertools.permutations(range(num_drivers), most)
    )
    assert cost(found) == min(cost(way) for way in ways)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"priority": [0, 1]}, "priority[0] is 0: it must be a whole number from 1 to 100000"),
        ({"priority": [1, 100_001]}, "priority[1] is 100001: it must be a whole number from 1 to 100000"),
        ({"priority": [1.0, 2.0]}, "priority is an array of float64"),
        ({"patience_ms": [0, -1]}, "patience_ms[1] is -1: it must be a whole number from 0 to 604800000"),
        ({"skills": [65_536, 0]}, "skills[0] is 65536: it must be a whole number from 0 to 65535"),
        ({"skills": [1, 2, 3]}, "skills has 3 rows where 2 were expected"),
    ],
)
def test_wrong_numbers_of_an_order_are_refused(wrong, message):
    dispatcher = line_dispatcher("priority")
    before = tables_of(dispatcher)
    with pytest.raises(InputError) as raised:
        asked(dispatcher, [0, 0], **wrong)
    assert str(raised.value).startswith(message)
    assert_same_tables(before, tables_of(dispatcher))


class Heaviest(Policy):
    """The heaviest order takes its first candidate; nobody else gets any."""

    def choose(self, window):
        chosen = np.full(len(window.order_id), NO_INDEX, np.int32)
        chosen[window.weight.argmax()] = window.first_candidate[window.weight.argmax()]
        return chosen


def test_a_choice_of_ones_own_is_told_the_weights_and_not_bound_by_starvation():
    policy = Heaviest("own", priority_weights=TIERS, starvation_s=60.0)
    assert served_of(policy, [90, 0, 0], priority=[1000, 3000, 2000]) == [1]


# --- starvation ------------------------------------------------------------------------------------

STARVING = Policy("priority", priority_weights=TIERS, starvation_s=60.0)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(1, 6), st.sampled_from(["batch", "nearest"]))
def test_of_starving_orders_the_first_to_ask_are_served(seed, num_drivers, num_orders, matching):
    """All of one place, wanted at times that are not the sequence of their rows."""
    random = np.random.default_rng(seed)
    waited_s, tier = random.choice([0, 60, 61, 90, 95], num_orders), random.integers(0, 3, num_orders)
    policy = replace(STARVING, matching=matching)
    served = served_of(policy, waited_s, num_drivers, tier=tier)
    starving = sorted(np.flatnonzero(waited_s > 60).tolist(), key=lambda row: (-waited_s[row], row))
    first = starving[: min(num_drivers, num_orders)]
    assert set(first) <= set(served)
    assert len(served) == min(num_drivers, num_orders)


def test_a_starving_order_far_away_is_not_given_up_for_two_near_ones():
    """The one driver whom it can have would serve the second; the first could have the other two."""
    for matching in ("batch", "nearest"):
        dispatcher = line_dispatcher(replace(STARVING, matching=matching), max_pickup_s=60.0)
        dispatcher.drivers_online(positions(LINE, [1], [6]))
        dispatcher.submit(new_orders(LINE, [7, 8], [5, 12], [9, 9], [T0 - 70_000, T0 - 80_000]))
        dispatcher.submit(replace(new_orders(LINE, [9], [6], [9]), tier=[2]))
        assert offers(dispatcher.step(T0)) == [(8, 1, 60, 60)]


def test_five_thousand_starving_orders_come_in_turn():
    """Of every weight, with drivers who may have all of them; a rank each would not fit in the solver."""
    num, num_drivers, num_nodes = 5000, 1500, CITY.graph.num_nodes
    random = np.random.default_rng(0)
    policy = replace(POLICIES["priority"], priority_cap=1000.0)
    dispatcher = dispatcher_on(CITY, policy=policy, max_wait_s=3600.0)
    pickups = random.integers(0, num_nodes, num)
    at_ms = T0 - 700_000 - random.permutation(num)
    told = new_orders(CITY, range(num), pickups, (pickups + 1) % num_nodes, at_ms)
    dispatcher.submit(replace(told, priority=random.choice([1, 1000, 100_000], num)))
    nodes = random.integers(0, num_nodes, num_drivers)
    dispatcher.drivers_online(positions(CITY, range(num_drivers), nodes))
    served = [order for order, *_ in offers(dispatcher.step(T0))]
    assert sorted(served) == sorted(np.argsort(at_ms)[:num_drivers].tolist())


def overtaken(policy, **params):
    """Order 1 wants node 0, where driver 1 comes from; order 2 wants node 9 and driver 2 is on the way there.

    Driver 3 stands where order 2 is, and may have order 3, too, which has waited longer than order 2. Order 1
    has waited longest and may have driver 2 only, who is not free unless order 2 takes driver 3.
    """
    dispatcher = line_dispatcher(policy, max_pickup_s=60.0, **params)
    dispatcher.drivers_online(positions(LINE, [2], [5]))
    dispatcher.submit(new_orders(LINE, [1, 3], [0, 12], [4, 4], [T0 - 90_000, T0 - 80_000]))
    dispatcher.submit(new_orders(LINE, [2], [9], [4], T0 - 70_000))
    dispatcher.assign([2], [2], T0)
    dispatcher.drivers_online(positions(LINE, [3], [9]))
    return dispatcher.step(T0)


def test_an_order_with_a_driver_does_not_overtake_a_starving_one_for_the_sake_of_another():
    policy = Policy(reassign_gain_s=1.0)
    served = offers(overtaken(policy))
    assert served == [(1, 2, 50, 50)]  # one of the two is served either way: the shorter way in sum
    events = overtaken(replace(policy, starvation_s=60.0))
    assert offers(events) == [(3, 3, 30, 30)]
    assert (events["kind"] == K.ORDER_REASSIGNED).sum() == 0


def test_at_a_rank_the_starving_one_has_the_first_turn():
    rank = np.where(np.arange(20) == 4, 0, -1).astype(np.int32)
    for bound_s, expected in ((0.0, 7), (60.0, 8)):
        dispatcher = line_dispatcher(Policy(starvation_s=bound_s), node_rank=rank)
        dispatcher.drivers_online(positions(LINE, [1], [4]))
        asked_at = T0 - 90_000
        booked = replace(new_orders(LINE, [7], [4], [9], asked_at), wanted_after_ms=[80_000])
        dispatcher.submit(booked)
        dispatcher.submit(new_orders(LINE, [8], [4], [9], asked_at))
        assert [order for order, *_ in offers(dispatcher.step(T0))] == [expected]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"priority_cap": 0.5}, "priority_cap is 0.5: it must be a number from 1 to 1000"),
        ({"priority_cap": float("nan")}, "priority_cap is nan"),
        ({"patience_weight": -1.0}, "patience_weight is -1.0: it must be a number from 0 to 10"),
        ({"patience_weight": True}, "patience_weight is True"),
        ({"pickup_weight": 1.5}, "pickup_weight is 1.5: it must be a number from 0 to 1"),
        ({"pickup_weight": 0.5, "matching": "nearest"}, "pickup_weight is 0.5 and matching 'nearest'"),
    ],
)
def test_wrong_parameters_are_refused(wrong, message):
    with pytest.raises(InputError) as raised:
        Policy(**wrong)
    assert str(raised.value).startswith(message)
