"""An order's driver explained, from the engine's numbers to the tier behind them."""

import json

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from dispatch.crm.shops.deliveries import PRIOR_DELIVERIES, Item
from dispatch.crm.shops.merchants import Merchant
from dispatch.crm.tables.orders import orders
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import NewDrivers, NewOrders, Positions
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import policy_named
from dispatch.errors import AuthError
from dispatch.roads.city import City
from dispatch.store import bulk

NOW_MS = MONDAY_MS + 10 * DAY_MS


def test_an_assignment_is_explained_by_tier_and_score(crm, scope_id):
    customer = crm.customers.register_many({"name": ["Ada"]}, scope_id=scope_id, at_ms=MONDAY_MS)[0]
    crm.memberships.set_tier(customer, "gold", at_ms=MONDAY_MS, reason="gift")
    crm.drivers.register_many([1, 2], scope_id=scope_id, at_ms=MONDAY_MS)
    crm.qualifications.qualify_many(
        [1, 2], scope_id=scope_id, at_ms=MONDAY_MS, valid_until_ms=NOW_MS + DAY_MS
    )
    told = crm.dispatch_inputs.of_orders([customer], at_ms=NOW_MS, is_prebooked=[1], order_id=[7])
    city = City.synthetic(seed=1)
    lon, lat = city.graph.node_lon, city.graph.node_lat
    params = DispatchParams(policy_named("priority"), keep_explanations=10, upgrades=False)
    dispatcher = Dispatcher(city, params=params)
    dispatcher.register_drivers(NewDrivers([1, 2], [1, 1]))
    dispatcher.set_driver_terms(crm.dispatch_inputs.of_drivers([1, 2], at_ms=NOW_MS))
    dispatcher.drivers_online(Positions([1, 2], lon[[38, 51]], lat[[38, 51]], NOW_MS))
    people = {"priority": told.priority, "may_upgrade": told.may_upgrade}
    dispatcher.submit(NewOrders([7], lon[[50]], lat[[50]], lon[[400]], lat[[400]], NOW_MS, **people))
    dispatcher.step(NOW_MS + 1000)
    with crm.context.database.writing() as connection:
        bulk.upsert(connection, orders, {"order_id": [7], "scope_id": [scope_id], "customer_id": [customer]})
    explained = crm.explain(dispatcher.explain(7), at_ms=NOW_MS + 2000)
    assert explained.priority.tier == "gold"
    assert (explained.priority.tier_weight, explained.priority.prebooked_bonus) == (4.0, 0.5)
    assert explained.priority.weight == explained.engine.weight == 4.5
    assert not explained.priority.is_capped
    assert explained.priority.free_upgrade
    assert explained.engine.is_upgraded
    assert explained.score.driver_id == explained.engine.driver_id
    assert sum(explained.engine.shares().values()) == pytest.approx(1)
    text = str(explained)
    for words in (
        "order 7",
        "priority 4.5: 4 by the tier gold + 0.5 because it was booked ahead; a better class of car",
        "the car is of class 1, the order asks for 0: an upgrade, to which it is entitled",
        "not judged",
    ):
        assert words in text
    told = json.loads(json.dumps(explained.to_dict()))
    assert told["priority"]["weight"] == 4.5
    assert told["priority"]["free_upgrade"] is told["engine"]["is_upgraded"] is True
    assert len(told["engine"]["candidate_driver_id"]) == 2
    assert told["readiness"] is None
    seen = crm.acting_as(actor("dispatcher")).explain(dispatcher.explain(7), at_ms=NOW_MS)
    assert seen.priority == explained.priority
    elsewhere = crm.acting_as(actor("dispatcher", cities=frozenset({OTHER_CITY})))
    with pytest.raises(AuthError):
        elsewhere.explain(dispatcher.explain(7), at_ms=NOW_MS)


def test_when_an_order_is_ready_is_explained(crm, scope_id):
    luna = Merchant("restaurant", "Luna", 0, 0, preparation_ms=600_000)
    cafe = crm.merchants.add(luna, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.merchants.set_price(cafe, "soup", 700, from_ms=MONDAY_MS, at_ms=MONDAY_MS)
    for order in range(PRIOR_DELIVERIES):
        crm.deliveries.place(100 + order, cafe, [Item("soup")], at_ms=NOW_MS - DAY_MS)
        crm.deliveries.ready(100 + order, at_ms=NOW_MS - DAY_MS + 400_000)
    crm.deliveries.place(7, cafe, [Item("soup")], at_ms=NOW_MS)
    dispatcher = Dispatcher(City.synthetic(seed=1), params=DispatchParams(keep_explanations=10))
    lon, lat = dispatcher.city.graph.node_lon, dispatcher.city.graph.node_lat
    wanted = crm.dispatch_inputs.of_deliveries([7], at_ms=NOW_MS).wanted_after_ms
    ends = lon[[50]], lat[[50]], lon[[400]], lat[[400]]
    dispatcher.submit(NewOrders([7], *ends, NOW_MS, wanted_after_ms=wanted))
    dispatcher.step(NOW_MS)
    explained = crm.explain(dispatcher.explain(7), at_ms=NOW_MS)
    expected = {"ready_at_ms": NOW_MS + 500_000, "preparation_ms": 600_000, "delay_ms": -100_000}
    assert explained.to_dict()["readiness"] == expected
    words = f"ready at {NOW_MS + 500_000}: estimated to take 600 s, the merchant is usually 100 s sooner"
    assert str(explained).splitlines()[-1] == words
    crm.deliveries.cancel(7, at_ms=NOW_MS)
    assert crm.explain(dispatcher.explain(7), at_ms=NOW_MS).readiness is None
