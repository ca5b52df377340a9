"""What operations cost, and how much of them needed no dispatcher."""

from dataclasses import fields

import numpy as np
import pytest

from analysis.logs import event, log_of
from dispatch.analysis.operations import CostRule, auto_dispatch_share, operating_cost
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EVENT_DTYPE, EventKind as K
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.errors import InputError
from dispatch.roads.city import City

HOUR_MS = 3_600_000
RULE = CostRule(per_hour_cents=1200, per_km_cents=50, per_order_cents=10)


def test_hours_kilometres_and_orders_are_priced():
    log = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=9),
        event(K.ORDER_SUBMITTED, 0, 1),
        event(K.ORDER_SUBMITTED, 0, 2),
        event(K.ORDER_ASSIGNED, 1000, 1, 9, eta_ms=1000),
        event(K.DRIVER_ARRIVED, 2000, 1, 9, leg_m=2000),
        event(K.PICKED_UP, 3000, 1, 9),
        event(K.DROPPED_OFF, HOUR_MS, 1, 9, leg_m=6000, fare_cents=2500),
        event(K.ORDER_CANCELLED, HOUR_MS, 2),
        event(K.CRUISING_LEG, HOUR_MS + 9, driver_id=9, leg_m=1000),
        event(K.DRIVER_OFFLINE, HOUR_MS * 3 // 2, driver_id=9),
    )
    cost = operating_cost(log, RULE)
    assert (cost.drivers_cents, cost.driving_cents, cost.orders_cents) == (1800, 450, 20)
    assert (cost.total_cents, cost.num_completed, cost.fares_cents) == (2270, 1, 2500)
    assert cost.per_completed_cents == 2270
    nothing = operating_cost(np.empty(0, EVENT_DTYPE), RULE)
    assert (nothing.total_cents, nothing.per_completed_cents) == (0, None)


@pytest.mark.parametrize("name", [one.name for one in fields(CostRule)])
def test_costs_out_of_range_are_refused(name):
    for value in (-1, float("nan"), 1e9):
        with pytest.raises(InputError, match=name):
            CostRule(**{name: value})


def test_orders_that_a_dispatcher_assigned_are_told_from_the_engine_s():
    city = City.synthetic(seed=1)
    lon, lat = city.graph.node_lon, city.graph.node_lat
    dispatcher = Dispatcher(city)
    drivers, ends = [38, 51, 60, 70], (lon[[50, 52, 61]], lat[[50, 52, 61]], lon[[400] * 3], lat[[400] * 3])
    dispatcher.drivers_online(Positions([1, 2, 3, 4], lon[drivers], lat[drivers], 0))
    dispatcher.submit(NewOrders([1, 2, 3], *ends, 1000))
    dispatcher.assign([3], [4], 2000)
    log = [dispatcher.step(10_000)]
    offers = log[0][log[0]["kind"] == K.ORDER_OFFERED]
    dispatcher.accept(offers["order_id"], offers["driver_id"], 11_000)
    log.append(dispatcher.take_events())
    assert auto_dispatch_share(np.concatenate(log)) == pytest.approx(2 / 3)
    # Taken back from a driver and given to another one by hand: a dispatcher had to help.
    gone, free = int(offers["order_id"][0]), ({1, 2, 3} - set(offers["driver_id"].tolist())).pop()
    dispatcher.unassign([gone], 12_000)
    dispatcher.assign([gone], [free], 13_000)
    log.append(dispatcher.take_events())
    assert auto_dispatch_share(np.concatenate(log)) == pytest.approx(1 / 3)
    assert auto_dispatch_share(np.empty(0, EVENT_DTYPE)) is None
