"""Explanations of what a dispatcher did, against what it knew."""

from dataclasses import replace

import numpy as np
import pytest

from cities import T0, grid_city, new_orders, positions
from dispatch.engine.candidates import find_candidates
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import NewDrivers
from dispatch.engine.pair_terms import PairTerms
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.engine.terms import DriverTerms
from dispatch.errors import InputError, StateError
from dispatch.roads.spread_times import SpreadTimes
from dispatch.units import NO_INDEX, NO_VALUE
from engine.riding import LINE, line_dispatcher, offers

CITY = grid_city(seed=4)
METRIC = CITY.free_flow()
SPREAD = SpreadTimes(METRIC, (0.1, 0.5, 0.9), np.array([0.7, 1.0, 1.9]))


class Farthest(Policy):
    """Each order in turn takes the last of its candidates that is free."""

    def choose(self, window):
        chosen, taken = np.full(len(window.order_id), NO_INDEX, np.int32), set()
        for order in range(len(chosen)):
            for row in range(window.first_candidate[order], window.first_candidate[order + 1]):
                if window.candidate_driver[row] not in taken:
                    chosen[order] = row
            if chosen[order] != NO_INDEX:
                taken.add(window.candidate_driver[chosen[order]])
        return chosen


POLICIES = {
    "batch": Policy(),
    "nearest": Policy(matching="nearest"),
    "risk": Policy(risk_cost_s=300.0, promise_s=60.0),
    "weights": Policy(priority_weights=(1.0, 3.0), patience_weight=2.0, starvation_s=60.0),
    "nearer": Policy(priority_weights=(1.0, 3.0), pickup_weight=0.5),
    "own": Farthest("farthest"),
}


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("seed", range(4))
def test_the_terms_are_those_of_the_window_and_add_up(name, seed):
    random, policy = np.random.default_rng(seed), POLICIES[name]
    times = SPREAD if name == "risk" else METRIC
    dispatcher = Dispatcher(
        CITY, times, DispatchParams(policy, keep_explanations=100, candidates_per_order=5)
    )
    num_drivers, num_orders = 12, 9
    nodes, pickups = random.integers(0, 81, num_drivers), random.integers(0, 81, num_orders)
    dispatcher.drivers_online(positions(CITY, range(num_drivers), nodes))
    quality, income = random.integers(0, 50_000, (2, num_drivers))
    dispatcher.set_driver_terms(DriverTerms(range(num_drivers), quality, income))
    at_ms = T0 - 1000 * random.choice([0, 50, 70], num_orders)
    told = new_orders(CITY, range(num_orders), pickups, (pickups + 1) % 81, at_ms)
    tier = random.integers(0, 2, num_orders)
    dispatcher.submit(replace(told, tier=tier, patience_ms=[100_000] * num_orders))
    apart = random.integers(0, 50_000, (num_orders, num_drivers)) * random.integers(0, 2, num_drivers)
    orders, drivers = np.divmod(np.arange(apart.size), num_drivers)
    dispatcher.set_pair_terms(PairTerms(orders, drivers, apart.ravel()))
    found = find_candidates(dispatcher._state, dispatcher._world, T0)
    made = {order: (driver, eta_s) for order, driver, eta_s, _ in offers(dispatcher.step(T0))}
    order_of = {driver: order for order, (driver, _) in made.items()}
    for order in range(num_orders):
        why = dispatcher.explain(order)
        mine = slice(found.first_candidate[order], found.first_candidate[order + 1])
        costs = found.cost[mine]
        if name == "nearer":
            costs = costs * (1, 2)[tier[order]]  # 1 + half of what the weight is above 1
        expected = dict(zip(found.candidate_driver[mine].tolist(), costs.tolist(), strict=True))
        assert (why.order_id, why.at_ms) == (order, T0)
        assert why.driver_id == made.get(order, (NO_VALUE,))[0]
        looked_at = dict(zip(why.candidate_driver_id.tolist(), why.cost.tolist(), strict=True))
        assert expected.items() <= looked_at.items()  # more after a second look
        assert why.cost.tolist() == sorted(why.cost.tolist())
        drivers = why.candidate_driver_id
        assert why.quality_cost_ms.tolist() == quality[drivers].tolist()
        assert why.income_cost_ms.tolist() == income[drivers].tolist()
        assert why.pair_cost_ms.tolist() == apart[order, drivers].tolist()
        assert (
            why.eta_ms.tolist()
            == METRIC.pairs_ms(
                nodes[drivers].astype(np.int32), np.full(len(drivers), pickups[order], np.int32)
            ).tolist()
        )
        assert (why.risk_cost_ms > 0).any() == (name == "risk")
        assert not why.change_cost_ms.any()
        assert why.weight_cost_ms.any() == (name == "nearer" and tier[order] == 1)
        assert why.given_to.tolist() == [order_of.get(driver, NO_VALUE) for driver in drivers.tolist()]
        assert sum(why.shares().values()) == pytest.approx(1)
        waited_s = (T0 - at_ms[order]) / 1000
        is_weighed = name == "weights"
        assert why.is_starving == (is_weighed and waited_s > 60)
        assert why.base_weight == (1, 3)[tier[order]] ** (is_weighed or name == "nearer")
        assert why.patience_factor == pytest.approx(1 + 2 * waited_s / 100 * is_weighed)
        assert why.weight == pytest.approx(min(why.base_weight * why.patience_factor, 10))


def test_a_nearer_driver_went_elsewhere():
    """Driver 17 at node 4, driver 18 at node 8; order 88 at node 5 could have either, order 87 only 17."""
    dispatcher = line_dispatcher("batch", keep_explanations=10, max_pickup_s=45.0)
    dispatcher.drivers_online(positions(LINE, [17, 18], [4, 9]))
    dispatcher.submit(new_orders(LINE, [87, 88], [5, 0], [9, 9]))
    assert [(order, driver) for order, driver, *_ in offers(dispatcher.step(T0))] == [(87, 18), (88, 17)]
    assert str(dispatcher.explain(87)).splitlines() == [
        f"order 87 at {T0}: weight 1 (1 by its tier)",
        "driver 18 is 40 s away, costs 40 s (100% pickup); 2 considered",
        "driver 17 was 30 s nearer and went to order 88",
    ]


def test_a_change_of_drivers_is_explained_with_its_cost_and_no_change_says_nothing_new():
    dispatcher = line_dispatcher(Policy(reassign_gain_s=5.0), keep_explanations=10)
    dispatcher.drivers_online(positions(LINE, [1], [0]))
    dispatcher.submit(new_orders(LINE, [7], [5], [9]))
    dispatcher.step(T0)
    dispatcher.accept([7], [1], T0 + 1)
    dispatcher.step(T0 + 10)
    assert dispatcher.explain(7).at_ms == T0
    dispatcher.drivers_online(positions(LINE, [2], [6], T0 + 20))
    events = dispatcher.step(T0 + 20)
    assert K.ORDER_REASSIGNED in events["kind"]
    why = dispatcher.explain(7)
    assert (why.at_ms, why.driver_id, why.candidate_driver_id.tolist()) == (T0 + 20, 2, [2, 1])
    assert why.change_cost_ms.tolist() == [5000, 0]
    assert why.shares()["change"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("upgrades", [True, False])
def test_an_upgrade_is_explained(upgrades):
    """Order 7 may be upgraded, 8 is only where all are, 9 asks for the class that it gets."""
    dispatcher = line_dispatcher("batch", keep_explanations=10, upgrades=upgrades)
    dispatcher.register_drivers(NewDrivers([1, 2, 3], [1, 1, 1]))
    dispatcher.drivers_online(positions(LINE, [1, 2, 3], [3, 8, 15]))
    told = new_orders(LINE, [7, 8, 9], [3, 8, 15], [9, 9, 9])
    dispatcher.submit(replace(told, vehicle_class=[0, 0, 1], may_upgrade=[1, 0, 0]))
    dispatcher.step(T0)
    why = {order: dispatcher.explain(order) for order in (7, 8, 9)}
    assert [why[order].is_upgraded for order in (7, 8, 9)] == [True, upgrades, False]
    assert [why[order].may_upgrade for order in (7, 8, 9)] == [True, False, False]
    assert [why[order].vehicle_class for order in (7, 8, 9)] == [0, 0, 1]
    assert all((one.car_class == 1).all() for one in why.values())
    assert "to which it is entitled" in str(why[7])


def no_explanation(dispatcher, order_id, message, error=StateError):
    with pytest.raises(error) as raised:
        dispatcher.explain(order_id)
    assert str(raised.value).startswith(message)


def test_where_none_is_kept_it_says_why():
    dispatcher = line_dispatcher("batch")
    no_explanation(dispatcher, 7, "keep_explanations is 0: none are kept")
    dispatcher = line_dispatcher("batch", keep_explanations=2)
    no_explanation(dispatcher, 7, "order_id is 7: no such order is known", InputError)
    no_explanation(dispatcher, [7, 8], "order_id holds 2 ids: one is explained at a time", InputError)
    no_explanation(dispatcher, 1.5, "order_id is an array of float64", InputError)
    dispatcher.submit(new_orders(LINE, [7, 8, 9], [5, 5, 5], [9, 9, 9]))
    no_explanation(dispatcher, 7, "order 7 has no explanation yet: it is OPEN and was not matched")
    dispatcher.step(T0)
    no_explanation(dispatcher, 7, "order 7 has no explanation any more: 2 orders were matched since")
    assert dispatcher.explain(8).driver_id == NO_VALUE
    dispatcher.drivers_online(positions(LINE, [1], [5]))
    dispatcher.assign([8], [1], T0)
    no_explanation(dispatcher, 8, "order 8 has no explanation: driver 1 was chosen by hand")


def test_explanations_outlive_the_memory_of_orders_but_not_another_of_the_same_id():
    dispatcher = line_dispatcher("batch", keep_explanations=2)
    dispatcher.drivers_online(positions(LINE, [1], [5]))
    dispatcher.submit(new_orders(LINE, [7], [5], [9]))
    dispatcher.step(T0)
    dispatcher.cancel([7], T0 + 1)
    dispatcher.forget_finished()
    assert dispatcher.explain(7).driver_id == 1
    dispatcher.submit(new_orders(LINE, [7], [5], [9], T0 + 2))
    no_explanation(dispatcher, 7, "order 7 has no explanation yet")


def test_explaining_moves_no_event():
    logs = []
    for most in (0, 3):
        dispatcher = line_dispatcher("batch", keep_explanations=most, candidates_per_order=2)
        dispatcher.drivers_online(positions(LINE, range(6), [1, 4, 4, 8, 9, 17]))
        for turn in range(4):
            now_ms = T0 + 1000 * turn
            ids = [10 * turn, 10 * turn + 1]
            dispatcher.submit(new_orders(LINE, ids, [3 * turn, 5], [9, 19], now_ms))
            logs.append((most, dispatcher.step(now_ms).tobytes()))
    assert [log for most, log in logs if most] == [log for most, log in logs if not most]
