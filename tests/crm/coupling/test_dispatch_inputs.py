"""What the engine is told of people."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from cities import line_city, new_orders, positions
from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, actor
from crm.engaged import insert
from dispatch.crm.coupling.dispatch_inputs import LONGEST_PATIENCE_MS, PRIOR_GAVE_UP, DispatchInputs
from dispatch.crm.fleet.eligibility import EligibilityCheck
from dispatch.crm.rules import DutyRule
from dispatch.crm.service.complaints import NewComplaint
from dispatch.crm.shops.deliveries import PRIOR_DELIVERIES, Item
from dispatch.crm.shops.merchants import Merchant
from dispatch.crm.tables import orders as of_orders
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind
from dispatch.engine.params import DispatchParams
from dispatch.errors import AuthError, InputError, StateError
from dispatch.store import bulk

NOW_MS = MONDAY_MS + 10 * DAY_MS


@pytest.fixture
def customers(crm, scope_id):
    return crm.customers.register_many(
        {"name": ["Ada", "Bo", "Cy", "Di"]}, scope_id=scope_id, at_ms=MONDAY_MS
    )


def day_of(crm, customer_id, day, **sums):
    with crm.context.database.writing() as connection:
        told = {"customer_id": [customer_id], "day": [day]} | {k: [v] for k, v in sums.items()}
        bulk.upsert(connection, of_orders.customer_day, told, adds=list(sums))


def complain(crm, customer_id, order_id, verdict):
    made = crm.service_desk.file(NewComplaint(customer_id, "detour"), at_ms=NOW_MS - DAY_MS - order_id)
    crm.service_desk.resolve(made, verdict, reason="as_found", at_ms=NOW_MS - DAY_MS)


def test_priority_is_the_tier_s_with_bonuses_and_a_cap(crm, customers):
    ada, bo, cy, di = customers
    crm.memberships.set_tier(ada, "gold", at_ms=MONDAY_MS, reason="gift")
    crm.memberships.set_tier(bo, "silver", at_ms=MONDAY_MS, reason="gift")
    complain(crm, bo, 1, "upheld")
    complain(crm, di, 2, "rejected")
    told = crm.dispatch_inputs.of_orders(
        [ada, bo, cy, di, ada, -1], at_ms=NOW_MS, is_prebooked=[0, 0, 0, 0, 1, 1]
    )
    assert told.tier.tolist() == [2, 1, 0, 0, 2, 0]
    assert told.tier_permille.tolist() == [4000, 2000, 1000, 1000, 4000, 1000]
    assert told.complaint_permille.tolist() == [0, 500, 0, 0, 0, 0]
    assert told.prebooked_permille.tolist() == [0, 0, 0, 0, 500, 500]
    assert told.may_upgrade.tolist() == [1, 0, 0, 0, 1, 0]
    assert [crm.memberships.benefits(one, 0, at_ms=NOW_MS).free_upgrade for one in (ada, bo)] == [True, False]
    assert told.priority.tolist() == [4000, 2500, 1000, 1000, 4500, 1500]
    cap = round(crm.context.vertical.priority.cap * 1000)
    for order in range(10, 30):
        made = crm.service_desk.file(
            NewComplaint(ada, "detour"), at_ms=NOW_MS - 2 * DAY_MS + order * 3_600_000
        )
        crm.service_desk.resolve(made, "upheld", reason="as_found", at_ms=NOW_MS - 3_600_000)
        if order == 14:
            break
    assert crm.dispatch_inputs.of_orders([ada], at_ms=NOW_MS).priority.tolist() == [min(6500, cap)]
    long_ago = NOW_MS + 100 * DAY_MS
    assert crm.dispatch_inputs.of_orders([bo], at_ms=long_ago).complaint_permille.tolist() == [0]


def test_patience_is_shrunk_to_everybody_s(crm, customers):
    ada, bo, cy, di = customers
    day = NOW_MS // DAY_MS - 1
    day_of(crm, ada, day, gave_up=30, unanswered_ms=30 * 60_000)
    day_of(crm, bo, day, gave_up=0, unanswered_ms=60 * 60_000)
    day_of(crm, cy, day - 400, gave_up=1000, unanswered_ms=1)  # too long ago to count
    accepted = {"accepted_at_ms": NOW_MS - DAY_MS, "ended_at_ms": NOW_MS - DAY_MS + 9, "stage": 6}
    cancelled = {"accepted_at_ms": None, "ended_at_ms": NOW_MS - DAY_MS, "stage": 7}
    same = {"submitted_at_ms": NOW_MS - DAY_MS - 60_000, "wanted_at_ms": NOW_MS - DAY_MS - 60_000}
    later = {"submitted_at_ms": NOW_MS + 1, "wanted_at_ms": NOW_MS + 1}  # nobody knows of these yet
    ends = [*[cancelled | same] * 30, *[accepted | same] * 60, *[cancelled | later] * 9]
    insert(crm, of_orders.orders, [{"order_id": row, **one} for row, one in enumerate(ends)])
    told = crm.dispatch_inputs.of_orders([ada, bo, cy, di, -1], at_ms=NOW_MS).patience_ms.tolist()
    prior_ms = PRIOR_GAVE_UP * 600_000
    mean = (90 * 60_000 + prior_ms) / (30 + PRIOR_GAVE_UP)
    expected = [
        (30 * 60_000 + PRIOR_GAVE_UP * mean) / (30 + PRIOR_GAVE_UP),
        (60 * 60_000 + PRIOR_GAVE_UP * mean) / PRIOR_GAVE_UP,
        mean,
        mean,
        mean,
    ]
    assert told == [round(value) for value in expected]
    assert told[0] < told[2] < told[1]
    day_of(crm, bo, day, unanswered_ms=10**12)
    assert crm.dispatch_inputs.of_orders([bo], at_ms=NOW_MS).patience_ms.tolist() == [LONGEST_PATIENCE_MS]


def test_the_terms_of_orders_are_kept(crm, customers):
    crm.dispatch_inputs.of_orders(customers, at_ms=NOW_MS, order_id=[5, 6, 7, 8])
    again = crm.dispatch_inputs.of_orders(customers, at_ms=NOW_MS + 1, order_id=[5, 6, 7, 8])
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(of_orders.order_priority).order_by("order_id")).all()
    assert [row.order_id for row in rows] == [5, 6, 7, 8]
    assert {row.at_ms for row in rows} == {NOW_MS + 1}
    assert [row.priority for row in rows] == again.priority.tolist()


def test_drivers_without_papers_are_not_eligible(crm, scope_id):
    crm.drivers.register_many([1, 2], scope_id=scope_id, at_ms=MONDAY_MS)
    crm.qualifications.qualify_many([1], scope_id=scope_id, at_ms=MONDAY_MS, valid_until_ms=NOW_MS + DAY_MS)
    terms = crm.dispatch_inputs.of_drivers([1, 2, 3], at_ms=NOW_MS).checked()
    assert terms.driver_id.tolist() == [1, 2, 3]
    assert terms.eligible.tolist() == [1, 0, 0]
    assert terms.quality_cost_ms.tolist() == [0, 0, 0]
    expired = crm.dispatch_inputs.of_drivers([1], at_ms=NOW_MS + 2 * DAY_MS)
    assert expired.eligible.tolist() == [0]


def test_who_is_off_shift_gets_no_order_where_the_rules_ask(crm, scope_id):
    """The nearer driver has no shift: the other one is offered the order, and vice versa an hour later."""
    crm.drivers.register_many([1, 2], scope_id=scope_id, at_ms=MONDAY_MS)
    last_ms = NOW_MS + DAY_MS
    crm.qualifications.qualify_many([1, 2], scope_id=scope_id, at_ms=MONDAY_MS, valid_until_ms=last_ms)
    crm.rosters.plan(2, NOW_MS - HOUR_MS, NOW_MS + HOUR_MS, at_ms=MONDAY_MS)
    crm.rosters.plan(1, NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS, at_ms=MONDAY_MS)
    asking = replace(crm.context, vertical=replace(crm.context.vertical, duty=DutyRule(needs_shift=True)))
    inputs, line = DispatchInputs(asking), line_city()
    dispatcher = Dispatcher(line)
    for at_ms, order, driver in ((NOW_MS, 11, 2), (NOW_MS + HOUR_MS, 12, 1)):
        move = dispatcher.update_positions if order == 12 else dispatcher.drivers_online
        move(positions(line, [1, 2], [5, 9], at_ms))
        dispatcher.set_driver_terms(inputs.of_drivers([1, 2], at_ms=at_ms))
        dispatcher.submit(new_orders(line, [order], [5], [12], at_ms))
        events = dispatcher.step(at_ms)
        offered = events[events["kind"] == EventKind.ORDER_OFFERED]
        assert offered[["order_id", "driver_id"]].tolist() == [(order, driver)]
        assert EligibilityCheck(asking).of(3 - driver, at_ms=at_ms).why(0) == ("off_shift",)
        assert crm.dispatch_inputs.of_drivers([1, 2], at_ms=at_ms).eligible.tolist() == [1, 1]


def test_couriers_are_wanted_when_the_food_is_ready(crm, scope_id):
    """A kitchen that has been ten minutes late: the courier comes so much later, and does not wait."""
    luna = Merchant("restaurant", "Luna", 0, 0, preparation_ms=600_000)
    cafe = crm.merchants.add(luna, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.merchants.set_price(cafe, "soup", 700, from_ms=MONDAY_MS, at_ms=MONDAY_MS)
    for k in range(10):
        placed_ms = NOW_MS - DAY_MS + k * HOUR_MS
        crm.deliveries.place(k, cafe, [Item("soup")], at_ms=placed_ms)
        crm.deliveries.ready(k, at_ms=placed_ms + 1_200_000)
    usual_ms = 600_000 * 10 // (10 + PRIOR_DELIVERIES)
    crm.deliveries.place(50, cafe, [Item("soup")], at_ms=NOW_MS)
    told = crm.dispatch_inputs.of_deliveries([50, 77], at_ms=NOW_MS + 60_000)
    assert told.wanted_after_ms.tolist() == [600_000 + usual_ms - 60_000, 0]
    assert told.readiness.delay_ms.tolist() == [usual_ms, 0]
    line, lead_s = line_city(), 50.0  # the courier is 50 s away
    dispatcher = Dispatcher(line, params=DispatchParams(prebook_lead_s=lead_s, stale_position_s=9000.0))
    dispatcher.drivers_online(positions(line, [1], [10], NOW_MS))
    order = new_orders(line, [50], [5], [12], NOW_MS + 60_000)
    dispatcher.submit(replace(order, wanted_after_ms=told.wanted_after_ms[:1]))
    arrives_ms = None
    for at_ms in range(NOW_MS + 60_000, NOW_MS + 1_800_000, 10_000):
        events = dispatcher.step(at_ms)
        if EventKind.ORDER_OFFERED in events["kind"]:
            arrives_ms = at_ms + int(events["eta_ms"].max())
            break
    assert arrives_ms == NOW_MS + 600_000 + usual_ms == told.readiness.ready_at_ms[0]
    ready_ms = arrives_ms + 1000
    crm.deliveries.ready(50, at_ms=ready_ms)
    assert crm.dispatch_inputs.of_deliveries([50], at_ms=ready_ms).wanted_after_ms.tolist() == [0]
    crm.deliveries.place(51, cafe, [Item("soup")], at_ms=NOW_MS)
    crm.deliveries.cancel(51, at_ms=NOW_MS)
    with pytest.raises(StateError, match=r"order_id\[1\] is 51: its delivery is cancelled"):
        crm.dispatch_inputs.of_deliveries([50, 51], at_ms=ready_ms)


def test_bad_input_and_other_roles_are_refused(crm, customers):
    inputs = crm.dispatch_inputs
    with pytest.raises(InputError, match="is_prebooked"):
        inputs.of_orders(customers, at_ms=NOW_MS, is_prebooked=[0, 1])
    with pytest.raises(InputError, match=r"is_prebooked\[1\] is 2"):
        inputs.of_orders(customers, at_ms=NOW_MS, is_prebooked=[0, 2, 0, 0])
    with pytest.raises(InputError, match="order_id has 2 rows and customer_id 4"):
        inputs.of_orders(customers, at_ms=NOW_MS, order_id=[1, 2])
    with pytest.raises(InputError, match="more than once"):
        inputs.of_orders(customers, at_ms=NOW_MS, order_id=[1, 2, 2, 3])
    with pytest.raises(InputError, match="customer_id"):
        inputs.of_orders(["a"], at_ms=NOW_MS)
    with pytest.raises(InputError, match="at_ms"):
        inputs.of_orders(customers, at_ms=-1)
    with pytest.raises(InputError, match="driver_id"):
        inputs.of_drivers([-3], at_ms=NOW_MS)
    for wrong, name in (([-3], "order_id"), ([5, 5], "more than once"), ([0.5], "order_id")):
        with pytest.raises(InputError, match=name):
            inputs.of_deliveries(wrong, at_ms=NOW_MS)
    with pytest.raises(InputError, match="at_ms"):
        inputs.of_deliveries([5], at_ms=-1)
    for role in ("agent", "marketing", "driver", "customer"):
        with pytest.raises(AuthError):
            crm.acting_as(actor(role)).dispatch_inputs.of_orders(customers, at_ms=NOW_MS)
        with pytest.raises(AuthError):
            crm.acting_as(actor(role)).dispatch_inputs.of_deliveries([5], at_ms=NOW_MS)
    assert inputs.of_deliveries([], at_ms=NOW_MS).wanted_after_ms.tolist() == []
    nothing = inputs.of_orders(np.empty(0, np.int64), at_ms=NOW_MS)
    assert len(nothing.priority) == len(nothing.patience_ms) == 0


def test_a_name_from_before_a_merge_is_that_of_the_one_who_is_left(crm, customers):
    ada, bo, cy, _ = customers
    crm.memberships.set_tier(ada, "gold", at_ms=MONDAY_MS, reason="gift")
    complain(crm, bo, 1, "upheld")
    day_of(crm, bo, NOW_MS // DAY_MS, gave_up=2, unanswered_ms=10_000)
    apart = crm.dispatch_inputs.of_orders([bo, cy], at_ms=NOW_MS).patience_ms.tolist()
    crm.contacts.merge(bo, ada, at_ms=NOW_MS)
    told = crm.dispatch_inputs.of_orders([bo, ada, cy, ada], at_ms=NOW_MS)
    assert told.tier.tolist() == [2, 2, 0, 2]
    assert told.complaint_permille.tolist() == [500, 500, 0, 500]
    assert told.patience_ms.tolist() == [apart[0], apart[0], apart[1], apart[0]]
    assert told.customer_id.tolist() == [bo, ada, cy, ada]
