"""All about a customer on one page, as far as who looks may see it."""

import pytest

from crm.conftest import MONDAY_MS, actor
from crm.made_people import ADDRESS, NAME, PHONE, enter, insert, last_audit
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.errors import AuthError, InputError


def test_one_page(crm, scope_id):
    made = enter(crm, scope_id, custom=None)
    crm.consents.record(made, "survey", False, at_ms=MONDAY_MS, source="app")
    rows = [{"order_id": row, "customer_id": made, "submitted_at_ms": MONDAY_MS + row} for row in range(30)]
    insert(crm, orders, *rows)
    insert(crm, customer_day, {"customer_id": made, "day": 1, "submitted": 30, "spend_cents": 2**40})
    view = crm.customer_views.view(made, at_ms=MONDAY_MS + 29, limit=10)
    assert (view.customer.name, view.customer.phone) == (NAME, PHONE)
    assert [row.text for row in view.addresses] == [ADDRESS]
    assert view.consents == {"survey": False}
    assert view.sums["spend_cents"] == 2**40
    assert view.counts["orders"] == 30
    assert [entry.at_ms for entry in view.timeline] == [MONDAY_MS + row for row in range(29, 19, -1)]
    assert view.timeline[0].what == "order submitted: order 29"
    assert view.timeline[0].facts["order_id"] == 29
    assert last_audit(crm).action == "customer.view"

    seen = crm.acting_as(actor("agent")).customer_views.view(made, at_ms=MONDAY_MS)
    assert seen.customer.birthday_mmdd is None
    nobody = crm.customers.register_many({"name": ["N"]}, scope_id=scope_id, at_ms=MONDAY_MS)[0]
    empty = crm.customer_views.view(nobody, at_ms=MONDAY_MS)
    assert [entry.what for entry in empty.timeline] == ["entered as a customer"]
    assert (empty.counts, empty.sums["completed"], empty.merged_ids) == ({}, 0, ())
    for role in ("dispatcher", "marketing", "customer"):
        with pytest.raises(AuthError):
            crm.acting_as(actor(role)).customer_views.view(made, at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="limit"):
        crm.customer_views.view(made, at_ms=MONDAY_MS, limit=0)


def test_places_of_a_restricted_customer_are_for_who_keeps_it(crm, scope_id):
    made = enter(crm, scope_id, custom=None)
    insert(crm, orders, {"order_id": 1, "customer_id": made, "submitted_at_ms": 1, "pickup_lon_e6": 5})
    crm.privacy.hold("customer", made, "court", at_ms=MONDAY_MS)
    agent = crm.acting_as(actor("agent"))

    def places(as_):
        timeline = as_.customer_views.view(made, at_ms=MONDAY_MS).timeline
        return [entry.facts.get("pickup_lon_e6") for entry in timeline if entry.table == "orders"]

    assert places(agent) == [5]
    crm.privacy.erase("customer", made, at_ms=MONDAY_MS)
    assert places(agent) == [None]
    assert places(crm) == [5]
