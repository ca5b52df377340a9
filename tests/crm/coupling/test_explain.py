"""An order's driver explained, from the engine's numbers to the tier behind them."""

import json

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, OTHER_CITY, actor
from dispatch.crm.tables.orders import orders
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import NewOrders, Positions
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
    params = DispatchParams(policy_named("priority"), keep_explanations=10)
    dispatcher = Dispatcher(city, params=params)
    dispatcher.set_driver_terms(crm.dispatch_inputs.of_drivers([1, 2], at_ms=NOW_MS))
    dispatcher.drivers_online(Positions([1, 2], lon[[38, 51]], lat[[38, 51]], NOW_MS))
    order = NewOrders([7], lon[[50]], lat[[50]], lon[[400]], lat[[400]], NOW_MS, priority=told.priority)
    dispatcher.submit(order)
    dispatcher.step(NOW_MS + 1000)
    with crm.context.database.writing() as connection:
        bulk.upsert(connection, orders, {"order_id": [7], "scope_id": [scope_id], "customer_id": [customer]})
    explained = crm.explain(dispatcher.explain(7), at_ms=NOW_MS + 2000)
    assert explained.priority.tier == "gold"
    assert (explained.priority.tier_weight, explained.priority.prebooked_bonus) == (4.0, 0.5)
    assert explained.priority.weight == explained.engine.weight == 4.5
    assert not explained.priority.is_capped
    assert explained.score.driver_id == explained.engine.driver_id
    assert sum(explained.engine.shares().values()) == pytest.approx(1)
    text = str(explained)
    for words in (
        "order 7",
        "priority 4.5: 4 by the tier gold + 0.5 because it was booked ahead",
        "not judged",
    ):
        assert words in text
    told = json.loads(json.dumps(explained.to_dict()))
    assert told["priority"]["weight"] == 4.5
    assert len(told["engine"]["candidate_driver_id"]) == 2
    seen = crm.acting_as(actor("dispatcher")).explain(dispatcher.explain(7), at_ms=NOW_MS)
    assert seen.priority == explained.priority
    elsewhere = crm.acting_as(actor("dispatcher", cities=frozenset({OTHER_CITY})))
    with pytest.raises(AuthError):
        elsewhere.explain(dispatcher.explain(7), at_ms=NOW_MS)
