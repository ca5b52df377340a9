"""Who may ride in a better car, and who is given one: windows against all pairs looked at one by one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment

from cities import T0, grid_city, new_orders, positions
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind, log_sha256
from dispatch.engine.inputs import NewDrivers
from dispatch.engine.params import DispatchParams
from dispatch.errors import InputError
from dispatch.roads.all_pairs import AllPairsTimes

CITY = grid_city(seed=4)
METRIC = CITY.free_flow()
TABLE = AllPairsTimes(METRIC)
NUM_NODES = CITY.graph.num_nodes
FAR_MS = 10**9
"""More than all pickups of a window together."""


class World:
    """Drivers in cars of up to three classes, and orders of which some may be upgraded."""

    def __init__(self, seed, upgrades):
        random = np.random.default_rng(seed)
        self.num_drivers, self.num_orders = (int(num) for num in random.integers(1, 9, 2))
        self.at = random.integers(0, NUM_NODES, self.num_drivers)
        self.car_class = random.integers(0, 3, self.num_drivers)
        self.seats = random.integers(1, 5, self.num_drivers)
        self.pickup = random.integers(0, NUM_NODES, self.num_orders)
        self.asked = random.integers(0, 3, self.num_orders)
        self.passengers = random.integers(1, 5, self.num_orders)
        self.may_upgrade = random.integers(0, 2, self.num_orders)
        self.upgrades = upgrades

    def may_serve(self, driver, order):
        """The rule in plain words."""
        if self.seats[driver] < self.passengers[order]:
            return False
        if self.upgrades or self.may_upgrade[order]:
            return bool(self.car_class[driver] >= self.asked[order])
        return bool(self.car_class[driver] == self.asked[order])

    def best(self):
        """Give how many orders can be served, and the least sum of pickup times for so many."""
        drivers, orders = np.divmod(np.arange(self.num_drivers * self.num_orders), self.num_orders)
        to_ms = METRIC.pairs_ms(self.at[drivers].astype(np.int32), self.pickup[orders].astype(np.int32))
        cost = to_ms.reshape(self.num_drivers, -1).astype(float)
        for driver in range(self.num_drivers):
            for order in range(self.num_orders):
                if not self.may_serve(driver, order):
                    cost[driver, order] = FAR_MS
        chosen = cost[linear_sum_assignment(cost)]
        return int((chosen < FAR_MS).sum()), int(chosen[chosen < FAR_MS].sum())

    def dispatcher(self, times, **params):
        """All drivers on duty, all orders submitted; what is not asked is not told."""
        params = DispatchParams(upgrades=self.upgrades, max_pickup_s=3600.0, **params)
        dispatcher = Dispatcher(CITY, times, params)
        dispatcher.register_drivers(NewDrivers(range(self.num_drivers), self.car_class, self.seats))
        dispatcher.drivers_online(positions(CITY, range(self.num_drivers), self.at))
        ids = np.arange(self.num_orders) + 100
        told = new_orders(CITY, ids, self.pickup, (self.pickup + 1) % NUM_NODES)
        may = {"may_upgrade": self.may_upgrade} if self.may_upgrade.any() else {}
        dispatcher.submit(replace(told, vehicle_class=self.asked, passengers=self.passengers, **may))
        return dispatcher


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.booleans(),
    st.sampled_from(["table", "metric", "road"]),
    st.sampled_from([1, 24]),
)
def test_as_many_are_served_as_can_be_each_by_a_car_that_it_may_have(seed, upgrades, by, num_candidates):
    """By every way through the engine; with one candidate, in several windows."""
    world = World(seed, upgrades)
    dispatcher = world.dispatcher(
        TABLE if by == "table" else METRIC,
        candidates_by="road" if by == "road" else "air",
        candidates_per_order=num_candidates,
    )
    num_served, least_ms = world.best()
    free, left, at_ms = set(range(world.num_drivers)), set(range(world.num_orders)), T0
    while True:
        events = dispatcher.step(at_ms)
        offers = events[events["kind"] == EventKind.ORDER_OFFERED]
        drivers, orders = offers["driver_id"].tolist(), (offers["order_id"] - 100).tolist()
        assert all(world.may_serve(driver, order) for driver, order in zip(drivers, orders, strict=True))
        if at_ms == T0:
            assert bool(drivers) == (num_served > 0)
            if num_candidates >= world.num_drivers:
                assert (len(drivers), int(offers["eta_ms"].sum())) == (num_served, least_ms)
        if not drivers:
            break
        dispatcher.accept(offers["order_id"].copy(), offers["driver_id"].copy(), at_ms + 1)
        free, left, at_ms = free - set(drivers), left - set(orders), at_ms + 1000
    assert not any(world.may_serve(driver, order) for driver in free for order in left)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_where_nobody_may_or_all_may_the_log_is_as_if_it_were_not_told(seed, upgrades):
    world = World(seed, upgrades)
    plain = World(seed, upgrades)
    plain.may_upgrade = np.zeros_like(plain.may_upgrade)
    if not upgrades:
        world.may_upgrade = np.zeros_like(world.may_upgrade)
    told, untold = world.dispatcher(TABLE), plain.dispatcher(TABLE)
    assert log_sha256(told.step(T0)) == log_sha256(untold.step(T0))


def test_who_stays_free_for_better_orders_is_the_matching_s_choice():
    """One better car: the order that asks for it and one that may have it; the nearer of both is served."""
    world = World(1, upgrades=False)
    world.num_drivers, world.num_orders = 1, 2
    world.at, world.car_class, world.seats = np.array([40]), np.array([1]), np.array([4])
    world.pickup, world.asked = np.array([40, 0]), np.array([0, 1])
    world.passengers, world.may_upgrade = np.array([1, 1]), np.array([1, 0])
    events = world.dispatcher(TABLE).step(T0)
    assert events["order_id"][events["kind"] == EventKind.ORDER_OFFERED].tolist() == [100]
    world.may_upgrade[0] = 0
    events = world.dispatcher(TABLE).step(T0)
    assert events["order_id"][events["kind"] == EventKind.ORDER_OFFERED].tolist() == [101]


def test_by_hand_an_order_is_given_to_any_car():
    """Whoever assigns by hand knows better: neither class nor entitlement binds it."""
    for may_upgrade in (0, 1):
        dispatcher = Dispatcher(CITY, METRIC, DispatchParams(upgrades=False))
        dispatcher.register_drivers(NewDrivers([1], [2]))
        dispatcher.drivers_online(positions(CITY, [1], [40]))
        dispatcher.submit(replace(new_orders(CITY, [7], [41], [50]), may_upgrade=[may_upgrade]))
        dispatcher.assign([7], [1], T0)
        assert dispatcher.take_events()["driver_id"][-1] == 1


@pytest.mark.parametrize("told", [[2], [-1], ["yes"], [1, 0], [0.5]])
def test_what_is_no_right_is_refused(told):
    dispatcher = Dispatcher(CITY, METRIC)
    with pytest.raises(InputError, match="may_upgrade"):
        dispatcher.submit(replace(new_orders(CITY, [7], [41], [50]), may_upgrade=told))
    assert dispatcher.count()["order_open"] == 0
