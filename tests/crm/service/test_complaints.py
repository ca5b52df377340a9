"""Complaints on connections of others: whose they are, and what they are about."""

from concurrent.futures import ThreadPoolExecutor

from crm.conftest import DAY_MS
from crm.engaged import add_customers
from crm.served import NOW_MS, TODAY, add_drivers, add_finished, served_city, sums_of
from dispatch.crm.service.complaints import NewComplaint, file_in
from dispatch.crm.service.incidents import Problem
from dispatch.errors import StateError


def test_a_merged_customer_s_orders_can_still_be_complained_of(crm, scope_id):
    add_customers(crm, scope_id, [1, 2], status=["merged", "active"], merged_into=[2, None])
    add_drivers(crm, scope_id, [101])
    add_finished(crm, scope_id, [(1001, 1, 101), (1002, 2, 101)], merchant_id=5)
    told = [
        NewComplaint(1, "detour", 1001),
        NewComplaint(2, "dirty_car", 1001),
        NewComplaint(1, "detour", 1002),
        NewComplaint(2, "no_car"),
    ]
    with crm.context.database.writing() as connection:
        ids = file_in(connection, crm.context, told, [NOW_MS] * 4)
    seen = [crm.service_desk.read(one, at_ms=NOW_MS) for one in ids]
    assert [one.customer_id for one in seen] == [2] * 4
    assert [one.driver_id for one in seen] == [101, 101, 101, None]
    assert [one.merchant_id for one in seen] == [None] * 4, "it is no fault of the merchant's"


def test_a_problem_that_is_entered_already_is_not_counted_twice(crm, scope_id):
    add_customers(crm, scope_id, [1])
    add_drivers(crm, scope_id, [101])
    add_finished(crm, scope_id, [(1001, 1, 101)])
    entered = crm.incidents.report(Problem("detour", 1001), at_ms=NOW_MS)
    made = crm.service_desk.file(NewComplaint(1, "detour", 1001, incident_id=entered), at_ms=NOW_MS)
    assert crm.service_desk.read(made, at_ms=NOW_MS).incident_id == entered
    window = (NOW_MS - DAY_MS, NOW_MS + DAY_MS)
    assert crm.incidents.pp100(*window, scope_id=scope_id).num_problems == 1


def test_an_upheld_complaint_counts_on_the_day_of_the_trip(crm, scope_id):
    add_customers(crm, scope_id, [1])
    add_drivers(crm, scope_id, [101])
    ended = NOW_MS - 3 * DAY_MS
    add_finished(crm, scope_id, [(1001, 1, 101)], submitted_at_ms=ended - 5, dropped_off_at_ms=ended)
    made = crm.service_desk.file(NewComplaint(1, "detour", 1001), at_ms=NOW_MS)
    crm.service_desk.resolve(made, "upheld", reason="x", at_ms=NOW_MS)
    assert sums_of(crm, 101)["complaints_upheld"] == 1
    with crm.context.database.reading() as connection:
        (day,) = connection.exec_driver_sql("SELECT day FROM driver_day").scalars()
    assert day == TODAY - 3


def test_the_same_problem_told_twice_at_once_is_one_complaint(crm, scope_id):
    served_city(crm, scope_id)

    def tell(_):
        try:
            return crm.service_desk.file(NewComplaint(1, "detour", 1001), at_ms=NOW_MS)
        except StateError:
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [one for one in pool.map(tell, range(8)) if one is not None]
    assert len(made) == len(crm.service_desk.of_customer(1)) == 1
