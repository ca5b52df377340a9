"""The service desk: clocks, sequence, verdicts, what they bring; nothing personal in the clear."""

import pytest
import sqlalchemy as sa

from crm.conftest import HOUR_MS, OTHER_CITY, actor
from crm.engaged import add_customers
from crm.served import NOW_MS, YEAR_MS, served_city, sums_of
from dispatch.crm.service.complaints import Compensation, NewComplaint
from dispatch.crm.tables.people import audit, customer
from dispatch.crm.tables.service import complaint, complaint_log
from dispatch.errors import AuthError, InputError, StateError

MINUTE_MS = 60_000


def test_the_way_of_an_upheld_complaint(crm, scope_id):
    served_city(crm, scope_id)
    agent = crm.acting_as(actor("agent", "agent-7"))
    customer_1 = crm.acting_as(actor("customer", "c", own=("customer", 1)))
    told = NewComplaint(1, "rude_driver", 1001, words="He called me Jo Doe")
    made = customer_1.service_desk.file(told, at_ms=NOW_MS)
    seen = agent.service_desk.read(made, at_ms=NOW_MS)
    assert (seen.words, seen.customer_id, seen.driver_id) == ("He called me Jo Doe", 1, 101)
    assert (seen.severity, seen.respond_by_ms - NOW_MS) == (3, 2 * HOUR_MS)
    assert sums_of(crm, 101)["complaints_upheld"] == 0, "filed is not upheld"
    agent.service_desk.ask_customer(made, at_ms=NOW_MS + MINUTE_MS, note="Which car, Jo?")
    with pytest.raises(StateError, match="is waiting"):
        agent.service_desk.respond(made, at_ms=NOW_MS + 2 * MINUTE_MS)
    assert agent.service_desk.queue() == [], "who waits for the customer is not in the queue"
    due_ms = seen.resolve_by_ms
    with pytest.raises(InputError, match="time goes backwards"):
        customer_1.service_desk.reply(made, at_ms=NOW_MS)
    customer_1.service_desk.reply(made, at_ms=NOW_MS + 11 * MINUTE_MS)
    seen = agent.service_desk.read(made, at_ms=NOW_MS)
    assert (seen.waited_ms, seen.resolve_by_ms) == (10 * MINUTE_MS, due_ms + 10 * MINUTE_MS)
    assert seen.responded_at_ms == NOW_MS + MINUTE_MS
    gift = Compensation(points=500, coupon_cents=300, cents=250)
    at_ms = NOW_MS + HOUR_MS
    agent.service_desk.resolve(
        made, "upheld", reason="video", at_ms=at_ms, compensation=gift, note="Sorry Jo"
    )
    assert sums_of(crm, 101)["complaints_upheld"] == 1
    assert crm.points.balance(1, at_ms=at_ms).points == 500
    assert len(crm.coupons.of_customer(1, at_ms=at_ms)) == 1
    messages = {one.type: one.data for one in crm.outbox.messages()}
    assert messages["complaint.refund"]["cents"] == 250
    assert messages["complaint.resolved"]["verdict"] == "upheld"
    for call in (
        lambda: agent.service_desk.resolve(made, "rejected", reason="x", at_ms=at_ms),
        lambda: agent.service_desk.withdraw(made, at_ms=at_ms),
        lambda: agent.service_desk.respond(made, at_ms=at_ms),
    ):
        with pytest.raises(StateError, match="is resolved"):
            call()
    steps = agent.service_desk.steps(made, at_ms=at_ms)
    assert [one.state for one in steps] == ["filed", "waiting", "responded", "resolved"]
    assert [one.note for one in steps] == [None, "Which car, Jo?", None, "Sorry Jo"]
    assert crm.credit.standing(1) == 80
    with crm.context.database.reading() as connection:
        for table in (complaint, complaint_log, audit):
            for row in connection.execute(sa.select(table)):
                assert "Jo" not in repr(tuple(row))
    # The driver sees what it is blamed for, not by whom nor in which words.
    driver = crm.acting_as(actor("driver", "d", own=("driver", 101)))
    blamed = driver.service_desk.read(made, at_ms=at_ms)
    assert (blamed.code, blamed.customer_id, blamed.words) == ("rude_driver", None, None)
    assert {one.note for one in driver.service_desk.steps(made, at_ms=at_ms)} == {None}
    _assert_kept_out(crm, made)


def _assert_kept_out(crm, made):
    for who in (
        actor("customer", own=("customer", 2)),
        actor("driver", own=("driver", 102)),
        actor("agent", cities=frozenset({OTHER_CITY})),
        actor("dispatcher"),
        actor("marketing"),
    ):
        desk = crm.acting_as(who).service_desk
        for call in (
            lambda desk=desk: desk.read(made, at_ms=NOW_MS),
            lambda desk=desk: desk.respond(made, at_ms=NOW_MS + 9 * HOUR_MS),
            lambda desk=desk: desk.file(NewComplaint(3, "no_car"), at_ms=NOW_MS),
        ):
            with pytest.raises(AuthError):
                call()


def test_rejected_and_withdrawn_ones_take_nothing(crm, scope_id):
    served_city(crm, scope_id)
    desk = crm.service_desk
    first = desk.file(NewComplaint(1, "detour", 1001), at_ms=NOW_MS)
    desk.respond(first, at_ms=NOW_MS + 1)
    desk.respond(first, at_ms=NOW_MS + 2)
    with pytest.raises(InputError, match="must be upheld"):
        desk.resolve(first, "rejected", reason="map", at_ms=NOW_MS + 3, compensation=Compensation(points=1))
    with pytest.raises(InputError, match="verdict"):
        desk.resolve(first, "withdrawn", reason="map", at_ms=NOW_MS + 3)
    desk.resolve(first, "rejected", reason="map", at_ms=NOW_MS + 3)
    assert desk.read(first, at_ms=NOW_MS).responded_at_ms == NOW_MS + 1
    with pytest.raises(StateError, match="already"):
        desk.file(NewComplaint(1, "detour", 1001), at_ms=NOW_MS + 4)
    second = desk.file(NewComplaint(2, "detour", 1002), at_ms=NOW_MS)
    desk.withdraw(second, at_ms=NOW_MS + 1)
    third = desk.file(NewComplaint(2, "detour", 1002), at_ms=NOW_MS + 2)
    assert [one.complaint_id for one in desk.of_customer(2)] == [third, second]
    assert sums_of(crm, 101)["complaints_upheld"] == sums_of(crm, 102)["complaints_upheld"] == 0
    # A fault of the platform counts against no driver.
    fourth = desk.file(NewComplaint(3, "wrong_fare", 1003), at_ms=NOW_MS)
    desk.resolve(fourth, "upheld", reason="bill", at_ms=NOW_MS + 1)
    assert desk.read(fourth, at_ms=NOW_MS).driver_id is None
    assert sums_of(crm, 103)["complaints_upheld"] == 0


def test_the_queue_goes_by_tier_severity_and_clock(crm, scope_id):
    served_city(crm, scope_id, 6)
    with crm.context.database.writing() as connection:
        for who, tier in ((4, "gold"), (5, "silver"), (6, "gold")):
            connection.execute(sa.update(customer).where(customer.c.customer_id == who).values(tier=tier))
    filed = [
        (1, "detour", 0),
        (2, "unsafe_driving", 1),
        (3, "detour", -5),
        (4, "detour", 2),
        (5, "dirty_car", 3),
        (6, "unsafe_driving", 4),
    ]
    ids = {
        who: crm.service_desk.file(NewComplaint(who, code, 1000 + who), at_ms=NOW_MS + minute * MINUTE_MS)
        for who, code, minute in filed
    }
    queue = crm.service_desk.queue()
    assert [one.customer_id for one in queue] == [6, 4, 5, 2, 3, 1]
    assert [one.customer_id for one in crm.service_desk.queue(limit=2)] == [6, 4]
    assert queue[1].respond_by_ms - queue[1].filed_at_ms == HOUR_MS, "gold is answered within the hour"
    crm.service_desk.resolve(ids[6], "rejected", reason="x", at_ms=NOW_MS + HOUR_MS)
    assert len(crm.acting_as(actor("agent")).service_desk.queue()) == 5
    assert crm.acting_as(actor("agent", cities=frozenset({OTHER_CITY}))).service_desk.queue() == []
    with pytest.raises(AuthError):
        crm.acting_as(actor("customer", own=("customer", 1))).service_desk.queue()


def test_clocks_kept_and_missed(crm, scope_id):
    served_city(crm, scope_id)
    desk, end = crm.service_desk, NOW_MS + YEAR_MS
    ids = [desk.file(NewComplaint(one, "detour", 1000 + one), at_ms=NOW_MS) for one in (1, 2, 3, 4)]
    desk.respond(ids[0], at_ms=NOW_MS + HOUR_MS)
    desk.resolve(ids[0], "upheld", reason="x", at_ms=NOW_MS + 2 * HOUR_MS)
    desk.respond(ids[1], at_ms=NOW_MS + 3 * HOUR_MS)
    desk.ask_customer(ids[2], at_ms=NOW_MS + HOUR_MS)
    now = NOW_MS + 4 * HOUR_MS
    told = desk.sla(NOW_MS, end, scope_id=scope_id, at_ms=now)
    assert (told.num_filed, told.num_open, told.num_upheld) == (4, 3, 1)
    assert told.respond_kept == 0.5, "two in time, one late, one overdue"
    assert told.resolve_kept == 1.0, "the others are not due yet"
    assert (told.respond_p50_ms, told.resolve_p50_ms) == (HOUR_MS, 2 * HOUR_MS)
    assert told.respond_p90_ms == HOUR_MS, "an answer that was really given"
    late = desk.breaches(NOW_MS, end, scope_id=scope_id, at_ms=now)
    assert [(one.complaint_id, one.clock, one.overdue_ms, one.is_open) for one in late] == [
        (ids[3], "respond", 2 * HOUR_MS, True),
        (ids[1], "respond", HOUR_MS, False),
    ]
    nothing = desk.sla(0, 1, scope_id=scope_id, at_ms=now)
    assert (nothing.num_filed, nothing.respond_kept, nothing.respond_p50_ms) == (0, None, None)
    much_later = desk.sla(NOW_MS, end, scope_id=scope_id, at_ms=NOW_MS + 90 * HOUR_MS)
    assert much_later.resolve_kept == pytest.approx(1 / 3), "the clock of the third one rests"
    with pytest.raises(AuthError):
        crm.acting_as(actor("agent")).service_desk.sla(0, 1, scope_id=crm.scope("zenith", "x"), at_ms=1)


def test_many_complaints_or_none(crm, scope_id):
    served_city(crm, scope_id, 200)
    desk = crm.service_desk
    told = [NewComplaint(one, "driver_late", 1000 + one) for one in range(1, 201)]
    at_ms = [NOW_MS] * 200
    for bad, error in (
        (NewComplaint(1, "driver_late", 1002), InputError),
        (NewComplaint(999, "driver_late"), InputError),
        (NewComplaint(1, "driver_late", 1001), StateError),
        (NewComplaint(1, "earthquake", 1001), InputError),
        (NewComplaint(200, "driver_late", 1200, words="late!"), InputError),
    ):
        with pytest.raises(error):
            desk.file_many([*told[:-1], bad], at_ms=at_ms)
    with pytest.raises(InputError, match="entries"):
        desk.file_many(told, at_ms=at_ms[1:])
    assert desk.queue() == []
    ids = desk.file_many(told, at_ms=at_ms)
    assert len(set(ids)) == 200
    assert desk.file_many([], at_ms=[]) == []
    assert desk.read(ids[7], at_ms=NOW_MS).driver_id == 108
    desk.resolve(ids[7], "upheld", reason="x", at_ms=NOW_MS + 1)
    assert sums_of(crm, 108)["complaints_upheld"] == 1
    single = desk.file(NewComplaint(1, "dirty_car", 1001), at_ms=NOW_MS)
    assert single > max(ids), "ids go on behind those of a bulk call"


def test_bad_complaints_are_refused(crm, scope_id):
    served_city(crm, scope_id, 2)
    for told in (
        NewComplaint(1, "earthquake", 1001),
        NewComplaint(1, "detour", 1002),
        NewComplaint(1, "detour", 77),
        NewComplaint(1, "detour", 1001, incident_id=9),
    ):
        with pytest.raises(InputError):
            crm.service_desk.file(told, at_ms=NOW_MS)
    with pytest.raises(InputError, match="time goes backwards"):
        crm.service_desk.file(NewComplaint(1, "detour", 1001), at_ms=NOW_MS - 4 * HOUR_MS)
    for changes in ({"customer_id": -1}, {"code": "a b"}, {"channel": ""}, {"order_id": 1.5}, {"words": ""}):
        with pytest.raises(InputError):
            NewComplaint(**{"customer_id": 1, "code": "detour"} | changes)
    for changes in ({"points": -1}, {"coupon_cents": -1}, {"cents": -1}, {"cents": 0.5}):
        with pytest.raises(InputError):
            Compensation(**changes)
    add_customers(crm, scope_id, [9], status="erased")
    with pytest.raises(InputError, match="not known"):
        crm.service_desk.file(NewComplaint(9, "no_car"), at_ms=NOW_MS)
    assert crm.service_desk.queue() == []


def test_the_second_clock_rests_while_the_customer_is_waited_for(crm, scope_id):
    served_city(crm, scope_id)
    desk, due_ms = crm.service_desk, NOW_MS + 24 * HOUR_MS
    ids = [desk.file(NewComplaint(one, "detour", 1000 + one), at_ms=NOW_MS) for one in (1, 2)]
    desk.ask_customer(ids[0], at_ms=NOW_MS + 5 * HOUR_MS)  # a late answer, which is a breach still
    desk.respond(ids[1], at_ms=NOW_MS)
    desk.ask_customer(ids[1], at_ms=due_ms + 3 * HOUR_MS)  # the second clock had run out before
    later_ms = NOW_MS + 90 * HOUR_MS
    told = desk.sla(NOW_MS, NOW_MS + 1, scope_id=scope_id, at_ms=later_ms)
    assert told.resolve_kept == 0.0, "of the one that was missed before the customer was asked"
    late = desk.breaches(NOW_MS, later_ms, scope_id=scope_id, at_ms=later_ms)
    assert [(one.complaint_id, one.clock, one.overdue_ms) for one in late] == [
        (ids[0], "respond", 3 * HOUR_MS),
        (ids[1], "resolve", 3 * HOUR_MS),
    ]
