"""Who asks on a day, told order by order."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.engine.events import EventKind
from dispatch.errors import InputError
from dispatch.sim.behaviour import Behaviour, VehicleParams
from dispatch.sim.people import People, luck
from dispatch.sim.runner import run
from dispatch.sim.scenario import synthetic_scenario


def people_of(num, **changes):
    names = ("customer_id", "tier", "is_first", "patience_ms", "may_upgrade")
    told = {name: np.zeros(num, np.int64) for name in names}
    return People(**told | {"priority": np.full(num, 1000)} | changes)


def test_the_log_names_the_customers_that_were_told():
    day = replace(synthetic_scenario(num_orders=60, num_drivers=10), behaviour=Behaviour.none())
    customers = np.arange(60) % 7 + 100
    told = people_of(60, customer_id=customers, tier=customers % 3, is_first=customers % 2)
    events = run(replace(day, people=told)).events
    submitted = events[events["kind"] == EventKind.ORDER_SUBMITTED]
    row = submitted["order_id"]
    assert (submitted["customer_id"] == customers[row]).all()
    assert (submitted["tier"] == customers[row] % 3).all()
    assert (submitted["is_first"] == customers[row] % 2).all()


def test_priority_reaches_the_engine():
    """With one driver and a policy that weighs people, the orders that weigh more are served."""
    day = synthetic_scenario(num_orders=60, num_drivers=1, shift_h=24)
    day = replace(day, orders=replace(day.orders, requested_at_ms=np.zeros(60, np.int64)))
    day = day.with_policy("priority")
    heavy = np.zeros(60, bool)
    heavy[[3, 30, 50]] = True
    told = people_of(60, priority=np.where(heavy, 5000, 1000))
    events = run(replace(day, people=told)).events
    served = events["order_id"][events["kind"] == EventKind.ORDER_ASSIGNED]
    assert heavy[served[0]]


def test_better_cars_serve_those_who_may_have_them():
    """All cars are of the better class, which upgrades nobody by itself: the others are served by nobody."""
    vehicles = VehicleParams(class_shares=(0.0, 1.0), upgrades=False)
    day = synthetic_scenario(num_orders=60, num_drivers=10, shift_h=24)
    day = replace(day, behaviour=replace(Behaviour.none(), vehicles=vehicles))
    may = np.arange(60) % 3 == 0
    events = run(replace(day, people=people_of(60, may_upgrade=may.astype(np.int64)))).events
    served = events["order_id"][events["kind"] == EventKind.ORDER_ASSIGNED]
    assert len(served) >= 15
    assert may[served].all()


def test_people_have_a_row_for_each_order():
    day = synthetic_scenario(num_orders=60, num_drivers=10)
    with pytest.raises(InputError, match=r"people.tier has 3 rows for 60 orders"):
        replace(day, people=people_of(60, tier=np.zeros(3, np.int64)))


def test_luck_is_the_person_s_own():
    everybody = np.arange(1, 1000)
    drawn = luck(5, 3, everybody)
    assert (luck(5, 3, everybody[::7]) == drawn[::7]).all()
    assert 0.45 < drawn.mean() < 0.55
    for other in (luck(6, 3, everybody), luck(5, 4, everybody), luck(5, 3, everybody, 1)):
        assert not (other == drawn).any()
