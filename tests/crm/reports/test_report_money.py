"""Points, coupons and passes of a report, one by one."""

from crm.conftest import MONDAY_MS
from crm.report_places import source_of
from dispatch.crm.reports import report_money
from dispatch.crm.tables.loyalty import points_entry, redemption
from dispatch.crm.tables.people import customer
from dispatch.store import bulk


def test_single_points_and_rides_on_a_pass(crm, scope_id):
    at = {"at_ms": [MONDAY_MS] * 3}
    with crm.context.database.writing() as connection:
        same = {"created_at_ms": [0], "changed_at_ms": [0]}
        bulk.insert(connection, customer, {"customer_id": [7], "scope_id": [scope_id], **same})
        entries = {"customer_id": [7, 7, 99], "kind": ["earn", "redeem", "earn"], "points": [5, -1, 40]}
        bulk.insert(connection, points_entry, entries | at)
        rides = {
            "pass_id": [1, 1], "customer_id": [7, 99], "order_id": [1, 2], "state": ["committed"] * 2,
            "fare_cents": [900, 900], "discount_cents": [300, 200], "reserved_at_ms": [MONDAY_MS] * 2,
            "until_ms": [MONDAY_MS + 1] * 2,
        }  # fmt: skip
        bulk.insert(connection, redemption, rides)
    for scope_ids, earned, used in ((None, 45, 2), ([scope_id], 5, 1)):
        with source_of(crm, scope_ids) as source:
            told = report_money.tables(source)
        (points,) = told["points"].to_pylist()
        assert (points["earn"], points["redeem"], points["net"]) == (earned, -1, earned - 1)
        (coupons,) = told["coupons"].to_pylist()
        assert (coupons["committed"], coupons["pass_rides"]) == (0, used)
        assert coupons["pass_discount_cents"] == (500 if used == 2 else 300)
        assert told["coupon_names"].num_rows == told["energy"].num_rows == 0
