"""Orders of a report where little is known of them."""

from crm.conftest import HOUR_MS, MONDAY_MS
from crm.engaged import add_customers
from crm.random_logs import random_log
from crm.report_places import source_of
from dispatch.analysis.kpis import kpis
from dispatch.crm.reports import report_orders
from dispatch.crm.tables.orders import orders
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import OrderStatus
from dispatch.store import bulk


def enter(crm, rows):
    names = ("order_id", "customer_id", "vehicle_class", "stage", "submitted_at_ms", "fare_cents", "scope_id")
    with crm.context.database.writing() as connection:
        bulk.insert(connection, orders, dict(zip(names, zip(*rows, strict=True), strict=True)))


def test_orders_of_unknown_classes_customers_and_fares(crm, scope_id):
    closed, expired = int(OrderStatus.CLOSED), int(OrderStatus.EXPIRED)
    rows = [
        (1, None, 0, closed, MONDAY_MS, 500, scope_id),
        (2, 7, None, closed, MONDAY_MS + HOUR_MS, None, scope_id),
        (3, 7, 9, int(OrderStatus.OPEN), MONDAY_MS, None, None),
        (4, 8, 1, expired, MONDAY_MS, None, scope_id),
        (5, 7, 1, closed, MONDAY_MS - 1, 900, scope_id),
    ]
    enter(crm, rows)
    with source_of(crm) as source:
        told = report_orders.tables(source)
    (day,) = told["orders"].to_pylist()
    assert (day["submitted"], day["completed"], day["expired"], day["revenue_cents"]) == (4, 2, 1, 500)
    assert day["completed_share"] == 2 / 3, "the open one is not judged"
    assert (day["mean_wait_ms"], day["mean_processing_ms"]) == (None, None)
    classes = {row["class"]: row["submitted"] for row in told["classes"].to_pylist()}
    assert classes == {"ordinary": 1, "comfort": 1, "unknown": 2}
    assert told["channels"].to_pylist()[0]["channel"] == "unknown"
    (people,) = told["customers"].to_pylist()
    assert (people["active"], people["new"], people["repeat"]) == (1, 0, 1), "the day before counts"
    assert told["concentration"].num_rows == 0
    with source_of(crm, [scope_id]) as source:
        assert report_orders.tables(source)["orders"]["submitted"].to_pylist() == [3]


def test_one_customer_brings_all(crm, scope_id):
    enter(crm, [(1, 7, 0, int(OrderStatus.CLOSED), MONDAY_MS, 500, scope_id)])
    with source_of(crm) as source:
        (row,) = report_orders.tables(source)["concentration"].to_pylist()
    assert row == {
        "customers": 1, "customers_share": 1.0, "revenue_cents": 500, "revenue_share": 1.0,
        "reaches_80": True,
    }  # fmt: skip


def test_two_who_turned_out_to_be_one_are_one(crm, scope_id):
    add_customers(
        crm, scope_id, [7, 8, 9], status=["merged", "active", "active"], merged_into=[8, None, None]
    )
    closed = int(OrderStatus.CLOSED)
    rows = [(row, who, 0, closed, MONDAY_MS + row, 500, scope_id) for row, who in enumerate((7, 8, 9))]
    enter(crm, [*rows, (5, 7, 0, closed, MONDAY_MS - 1, 500, scope_id)])
    with source_of(crm) as source:
        told = report_orders.tables(source)
    (people,) = told["customers"].to_pylist()
    assert (people["active"], people["new"], people["repeat"]) == (2, 1, 1)
    assert told["concentration"].to_pylist()[-1]["customers"] == 2


def test_the_wait_is_that_of_the_kpi_also_of_orders_booked_ahead(crm, scope_id):
    log = random_log(5, num_orders=60, num_events=600)
    submitted = log["kind"] == EventKind.ORDER_SUBMITTED
    assert {0, 1_800_000} <= set(log["wanted_after_ms"][submitted].tolist())
    log["at_ms"] = MONDAY_MS + (log["at_ms"] - log["at_ms"][0]) // 4  # all of it on one day
    crm.events.apply(log, first_seq=0, scope_id=scope_id)
    with source_of(crm) as source:
        (day,) = report_orders.tables(source)["orders"].to_pylist()
    wait_s = kpis(log)["wait_mean_s"]
    assert wait_s > 0
    assert day["mean_wait_ms"] == round(1000 * wait_s)
