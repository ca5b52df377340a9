"""Problems, and how many a hundred customers have."""

import pytest

from crm.conftest import DAY_MS, HOUR_MS, actor
from crm.engaged import add_customers
from crm.served import NOW_MS, add_drivers, add_finished, served_city
from dispatch.crm.service.complaints import NewComplaint
from dispatch.crm.service.incidents import Problem
from dispatch.errors import AuthError, InputError


def test_a_problem_takes_its_persons_from_the_order(crm, scope_id):
    served_city(crm, scope_id)
    driver = crm.acting_as(actor("driver", own=("driver", 101)))
    made = driver.incidents.report(
        Problem("customer_no_show", 1001, source="driver", note="Mr Doe was not there"), at_ms=NOW_MS
    )
    told = crm.incidents.read(made, at_ms=NOW_MS)
    assert (told.stage, told.severity, told.source) == ("boarding", 1, "driver")
    assert (told.customer_id, told.driver_id, told.note) == (1, 101, "Mr Doe was not there")
    free = crm.incidents.report(Problem("no_car", customer_id=2), at_ms=NOW_MS, scope_id=scope_id)
    assert crm.incidents.read(free, at_ms=NOW_MS).order_id is None
    for call, error in (
        (lambda: driver.incidents.report(Problem("detour", 1002), at_ms=NOW_MS), AuthError),
        (lambda: driver.incidents.read(made, at_ms=NOW_MS), AuthError),
        (lambda: crm.incidents.report(Problem("earthquake", 1001), at_ms=NOW_MS), InputError),
        (lambda: crm.incidents.report(Problem("detour"), at_ms=NOW_MS), InputError),
        (lambda: crm.incidents.report(Problem("detour", 1001, 2), at_ms=NOW_MS), InputError),
        (lambda: crm.incidents.report(Problem("detour", 1001), at_ms=NOW_MS - DAY_MS), InputError),
        (
            lambda: crm.incidents.report(Problem("no_car", note="x"), at_ms=NOW_MS, scope_id=scope_id),
            InputError,
        ),
        (lambda: Problem("detour", source="ghost"), InputError),
    ):
        with pytest.raises(error):
            call()


def test_pp100_counts_problems_over_customers(crm, scope_id):
    add_customers(crm, scope_id, range(1, 21))
    add_drivers(crm, scope_id, [101])
    today, yesterday = {"submitted_at_ms": NOW_MS - HOUR_MS}, {"submitted_at_ms": NOW_MS - DAY_MS}
    add_finished(crm, scope_id, [(one, one, 101) for one in range(1, 11)], **today)
    add_finished(crm, scope_id, [(100 + one, one, 101) for one in range(1, 11)], **today)
    add_finished(crm, scope_id, [(200 + one, one, 101) for one in range(1, 6)], **yesterday)
    other = crm.scope("acme", "oakland")
    add_finished(crm, other, [(999, 20, 101)], **today)
    for order, code in ((1, "no_car"), (2, "no_car"), (2, "detour"), (101, "detour")):
        crm.incidents.report(Problem(code, order), at_ms=NOW_MS)
    crm.incidents.report(Problem("detour", 201), at_ms=NOW_MS - DAY_MS)
    crm.incidents.report(Problem("wrong_place", driver_id=101), at_ms=NOW_MS, scope_id=scope_id)
    kept = crm.service_desk.file(NewComplaint(3, "wrong_fare", 3), at_ms=NOW_MS)
    gone = crm.service_desk.file(NewComplaint(4, "wrong_fare", 4), at_ms=NOW_MS)
    crm.service_desk.resolve(kept, "rejected", reason="checked", at_ms=NOW_MS)
    crm.service_desk.withdraw(gone, at_ms=NOW_MS)
    window = (NOW_MS - HOUR_MS, NOW_MS + HOUR_MS)
    told = crm.incidents.pp100(*window, scope_id=scope_id)
    assert (told.num_customers, told.num_orders, told.num_problems) == (10, 20, 5)
    assert told.total == 50
    assert told.by_stage == {"hailing": 20, "boarding": 0, "riding": 20, "leaving": 0, "paying": 10}
    assert told.by_code == {"detour": 20, "no_car": 20, "wrong_fare": 10}
    assert list(told.by_code) == ["detour", "no_car", "wrong_fare"]
    assert told.complaints_per_10000_orders == 1000
    nobody = crm.incidents.pp100(1, 2, scope_id=scope_id)
    assert (nobody.total, nobody.by_stage, nobody.complaints_per_10000_orders) == (None, {}, None)
    begin = NOW_MS - DAY_MS
    trend = crm.incidents.trend(begin, NOW_MS + HOUR_MS, DAY_MS // 2, scope_id=scope_id)
    assert trend.begin_at_ms.tolist() == [begin, begin + DAY_MS // 2, begin + DAY_MS]
    assert trend.pp100[2].tolist() == [20.0, 0.0, -1.0], "riding: problems come after their orders"
    assert crm.acting_as(actor("analyst")).incidents.pp100(*window, scope_id=scope_id) == told
    with pytest.raises(AuthError):
        crm.acting_as(actor("analyst")).incidents.pp100(*window, scope_id=other)
    for call in (
        lambda: crm.incidents.pp100(5, 5, scope_id=scope_id),
        lambda: crm.incidents.trend(0, NOW_MS, 1, scope_id=scope_id),
        lambda: crm.incidents.trend(0, 10, 0, scope_id=scope_id),
    ):
        with pytest.raises(InputError):
            call()
