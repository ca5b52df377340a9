"""Which days a report is of where none are told, against the rows themselves."""

import datetime

import pytest

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, OTHER_CITY, TENANT, actor
from crm.made_people import insert
from dispatch.crm.reports.latest_span import latest_span
from dispatch.crm.tables.fleet import energy_purchase
from dispatch.crm.tables.loyalty import points_entry
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import customer
from dispatch.errors import AuthError, InputError

DAY = datetime.date
MONDAY = DAY(2023, 11, 20)


def order(crm, order_id, scope_id, at_ms):
    insert(crm, orders, {"order_id": order_id, "scope_id": scope_id, "submitted_at_ms": at_ms})


def test_the_latest_periods_that_have_data(crm, scope_id):
    context = crm.context
    assert latest_span(context, "day") is None
    insert(crm, customer, {"customer_id": 1, "scope_id": scope_id, "created_at_ms": MONDAY_MS + 99 * DAY_MS,
                           "changed_at_ms": 0})  # fmt: skip
    assert latest_span(context, "day") == (DAY(2024, 2, 27), DAY(2024, 2, 27))
    insert(crm, points_entry, {"customer_id": 1, "kind": "earn", "points": 1, "at_ms": MONDAY_MS})
    assert latest_span(context, "week") == (MONDAY, DAY(2024, 2, 27))
    order(crm, 1, scope_id, MONDAY_MS - 3 * DAY_MS)
    assert latest_span(context, "day") == (DAY(2023, 11, 17),) * 2, "who was entered since hides no order"
    order(crm, 2, None, MONDAY_MS)
    assert latest_span(context, "day") == (DAY(2023, 11, 17), MONDAY)
    order(crm, 3, scope_id, MONDAY_MS - 1000 * DAY_MS)
    assert latest_span(context, "day") == (DAY(2023, 10, 22), MONDAY)
    assert latest_span(context, "week") == (DAY(2023, 5, 1), MONDAY)
    assert latest_span(context, "month") == (DAY(2021, 6, 1), MONDAY)
    assert latest_span(context, "day", until=DAY(2023, 11, 18)) == (DAY(2023, 10, 20), DAY(2023, 11, 18))
    assert latest_span(context, "day", until=DAY(2020, 1, 1)) is None
    bought = {"station_id": 1, "product": "diesel", "millilitres": 1, "cents": 1, "key": "k"}
    insert(crm, energy_purchase, {"scope_id": scope_id, "at_ms": MONDAY_MS + 23 * HOUR_MS, **bought})
    assert latest_span(context, "day", timezone="Asia/Tokyo")[1] == DAY(2023, 11, 21)


def test_cities_within_reach_alone(crm, scope_id):
    other = crm.scope(TENANT, OTHER_CITY)
    order(crm, 1, other, MONDAY_MS + 5 * DAY_MS)
    insert(crm, customer, {"customer_id": 1, "scope_id": scope_id, "created_at_ms": 0, "changed_at_ms": 0})
    insert(crm, points_entry, {"customer_id": 1, "kind": "earn", "points": 1, "at_ms": MONDAY_MS})
    insert(crm, points_entry, {"customer_id": 9, "kind": "earn", "points": 1, "at_ms": MONDAY_MS + DAY_MS})
    analyst = crm.acting_as(actor("analyst")).context
    assert latest_span(analyst, "day") == (DAY(2023, 10, 22), MONDAY)
    assert latest_span(crm.context, "day", places=[(TENANT, OTHER_CITY)]) == (DAY(2023, 11, 25),) * 2
    with pytest.raises(InputError, match="place is 'acme/oakland': there is none such within reach"):
        latest_span(analyst, "day", places=[(TENANT, OTHER_CITY)])
    with pytest.raises(AuthError):
        latest_span(crm.acting_as(actor("agent")).context, "day")
    with pytest.raises(InputError, match="period is 'year'"):
        latest_span(crm.context, "year")
