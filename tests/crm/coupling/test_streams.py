"""Logs that are told again, that are another engine's, and that go no further."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, actor
from crm.coupling.test_apply import tables_of
from crm.coupling.test_consequences import FARE, held, order_of, together
from crm.engaged import add_customers
from crm.random_logs import random_log
from crm.waiting import wait_until_blocked
from dispatch.crm.audit_log import AuditFilter
from dispatch.crm.coupling.apply import ClosedStream
from dispatch.crm.coupling.streams import stream_in
from dispatch.crm.loyalty.coupons import grant_in
from dispatch.crm.loyalty.redemptions import Booking
from dispatch.crm.tables.orders import customer_day, driver_day, duty, offer, orders
from dispatch.engine.events import EventKind as Kind, make_events
from dispatch.engine.lifecycle import OrderStatus
from dispatch.errors import AuthError, InputError, StateError

NOW_MS = MONDAY_MS + DAY_MS


def column_of(crm, table, key, name):
    with crm.context.database.reading() as connection:
        return dict(connection.execute(sa.select(table.c[key], table.c[name])).all())


# --- told again ----------------------------------------------------------------------------------


def test_the_log_of_an_engine_that_was_started_anew_is_not_taken_for_the_known_one(crm):
    old, new = random_log(1, num_events=90), random_log(2, num_events=90)
    new["at_ms"] += old["at_ms"][-1] - new["at_ms"][0]
    crm.events.apply(old[:60], first_seq=0)
    crm.events.apply(old[60:], first_seq=60)
    before = tables_of(crm)
    for first, end in ((0, 15), (0, 60), (0, 75), (0, 90), (40, 90), (70, 80)):
        with pytest.raises(InputError, match="other events were applied at these places of stream 'engine'"):
            crm.events.apply(new[first:end], first_seq=first)
    with pytest.raises(InputError, match=r"order_id is \d+: an order of this id was served or has ended"):
        crm.events.apply(new, first_seq=0, stream="engine-2")
    assert tables_of(crm) == before
    new["order_id"][new["order_id"] > 0] += 1000
    assert crm.events.apply(new, first_seq=0, stream="engine-2").num_new == 90


@pytest.mark.parametrize("name", ["order_id", "driver_id", "kind"])
def test_of_batches_that_are_told_in_part_the_log_of_stages_is_compared(crm, name):
    log = random_log(3, num_events=80)
    for first in range(0, 60, 20):
        crm.events.apply(log[first : first + 20], first_seq=first)
    assert crm.events.apply(log[13:70], first_seq=13).num_known == 47
    for row in (15, 65):
        other = log.copy()
        other[name][row] += 1
        with pytest.raises(InputError, match=rf"events\[{row - 13}:{row - 12}\]: other events"):
            crm.events.apply(other[13:68], first_seq=13)
    other = log.copy()
    other["at_ms"] -= 1
    with pytest.raises(InputError, match=r"events\[0:1\]: other events"):
        crm.events.apply(other[13:19], first_seq=13)
    assert crm.events.next_seq() == 70


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_two_who_begin_a_stream_at_once_meet_in_it(crm):
    log = random_log(4, num_events=30)
    with ThreadPoolExecutor(1) as pool:
        with crm.context.database.writing() as connection:
            stream_in(connection, "new", None)
            second = pool.submit(crm.events.apply, log, first_seq=0, stream="new")
            wait_until_blocked(crm.context.database)
        assert second.result(30).num_new == 30


# --- closed --------------------------------------------------------------------------------------


def some_orders(*kinds_of):
    """A log of orders, each as far as its kinds go, and drivers on duty."""
    rows = [(Kind.DRIVER_ONLINE, -1, 100 + order, -1) for order in range(len(kinds_of))]
    for order, kinds in enumerate(kinds_of, 1):
        rows += [(kind, order, 99 + order, order) for kind in (Kind.ORDER_SUBMITTED, *kinds)]
    log = make_events(Kind.ORDER_SUBMITTED, len(rows))
    kind, order_id, driver_id, customer_id = np.array(rows, np.int64).T
    log["kind"], log["order_id"] = kind, order_id
    log["driver_id"] = np.where(kind == Kind.ORDER_SUBMITTED, -1, driver_id)
    log["customer_id"] = np.where(kind == Kind.ORDER_SUBMITTED, customer_id, -1)
    log["at_ms"] = NOW_MS + 60_000 * np.arange(len(log))
    log["fare_cents"][kind == Kind.DROPPED_OFF] = FARE
    return log


ON_THE_WAY = (Kind.ORDER_OFFERED, Kind.OFFER_ACCEPTED, Kind.ORDER_ASSIGNED)
SERVED = (*ON_THE_WAY, Kind.DRIVER_ARRIVED, Kind.PICKED_UP, Kind.DROPPED_OFF)


def test_what_a_dead_engine_left_open_is_ended_and_given_back(crm, scope_id):
    add_customers(crm, scope_id, range(1, 6))
    with crm.context.database.writing() as connection:
        grant_in(connection, crm.context, [1, 4], "gift", 300, MONDAY_MS)
    for who in (1, 4):
        (coupon,) = crm.coupons.of_customer(who, at_ms=NOW_MS)
        crm.coupons.reserve(who, coupon.code, Booking(who, FARE), at_ms=NOW_MS)
    crm.points.grant(3, 500, at_ms=MONDAY_MS, reason="gift", key="g")
    crm.points.redeem(3, 500, at_ms=MONDAY_MS, key="r", order_id=3)
    log = some_orders((), (Kind.ORDER_OFFERED,), ON_THE_WAY, SERVED, (*SERVED, Kind.ORDER_CLOSED))
    crm.events.apply(log, first_seq=0, scope_id=scope_id)
    last_ms, later_ms = int(log["at_ms"][-1]), int(log["at_ms"][-1]) + 9 * HOUR_MS
    begun = crm.context.vertical.credit.begin
    closed = crm.events.close_stream(at_ms=later_ms)
    assert closed == ClosedStream(num_lost=3, num_served=1, num_off_duty=5)
    stages = column_of(crm, orders, "order_id", "stage")
    assert [OrderStatus(stages[order]).name for order in range(1, 6)] == ["EXPIRED"] * 3 + ["CLOSED"] * 2
    assert set(column_of(crm, orders, "order_id", "ended_at_ms").values()) == {last_ms}
    assert column_of(crm, offer, "order_id", "outcome")[2] == Kind.ORDER_EXPIRED
    assert held(crm) == {1: "rolled_back", 4: "committed"}
    assert crm.points.balance(3, at_ms=later_ms).points == 500
    assert crm.points.balance(4, at_ms=later_ms).points == FARE // 100
    assert [crm.credit.standing(who) for who in (1, 2, 3)] == [begun] * 3
    assert column_of(crm, customer_day, "customer_id", "expired") == {1: 1, 2: 1, 3: 1, 4: 0, 5: 0}
    assert column_of(crm, duty, "driver_id", "online_at_ms") == {}
    on_duty_ms = column_of(crm, driver_day, "driver_id", "online_ms")
    assert on_duty_ms == {int(e["driver_id"]): last_ms - int(e["at_ms"]) for e in log[:5]}
    entries = crm.audit_log.entries(AuditFilter(action="events.close"), at_ms=later_ms)
    assert [entry.details for entry in entries.rows] == [
        {"stream": "engine", "num_lost": 3, "num_served": 1, "num_off_duty": 5}
    ]


def test_nothing_more_of_a_closed_stream_is_taken(crm):
    log = some_orders((), ON_THE_WAY)
    crm.events.apply(log[:5], first_seq=0)
    last_ms = int(log["at_ms"][4])
    with pytest.raises(InputError, match=r"at_ms is \d+: time goes backwards, the last event of stream"):
        crm.events.close_stream(at_ms=last_ms - 1)
    with pytest.raises(InputError, match="stream is 'other': nothing was applied"):
        crm.events.close_stream("other", at_ms=last_ms)
    with pytest.raises(InputError, match="stream is 'a b'"):
        crm.events.close_stream("a b", at_ms=last_ms)
    crm.events.close_stream(at_ms=last_ms)
    before = tables_of(crm)
    # Where its own log would go on, next to it, beyond it, or with what was there before changed.
    for rows, first in ((log[5:], 5), (log[4:], 4), (log[5:], crm.events.next_seq()), (log[:1], 999)):
        with pytest.raises(StateError, match=f"stream 'engine' was closed at {last_ms}, and these are not"):
            crm.events.apply(rows, first_seq=first)
    with pytest.raises(StateError, match="was closed"):
        crm.events.apply(log[1:3], first_seq=0)
    assert crm.events.apply(log[:5], first_seq=0).num_known == 5
    assert crm.events.close_stream(at_ms=last_ms + 1) == ClosedStream(0, 0, 0)
    assert tables_of(crm) == before


def test_what_another_stream_has_told_of_since_is_left(crm):
    log = some_orders((), (), ())
    crm.events.apply(log, first_seq=0)
    again = log[
        [0, 3]
    ].copy()  # driver 100 goes on duty, order 1 is submitted at the engine that is there now
    again["at_ms"] += HOUR_MS
    crm.events.apply(again, first_seq=0, stream="engine-2")
    assert crm.events.close_stream(at_ms=NOW_MS + DAY_MS) == ClosedStream(2, 0, 2)
    stages = column_of(crm, orders, "order_id", "stage")
    assert stages == {1: OrderStatus.OPEN, 2: OrderStatus.EXPIRED, 3: OrderStatus.EXPIRED}
    assert column_of(crm, duty, "driver_id", "online_at_ms") == {100: NOW_MS + HOUR_MS}
    assert crm.events.close_stream("engine-2", at_ms=NOW_MS + DAY_MS) == ClosedStream(1, 0, 1)


def test_drivers_with_whom_another_stream_goes_on_are_left_on_duty(crm):
    """They did not go on duty there: by what it told of them they are its own."""
    log = some_orders((), ())
    crm.events.apply(log, first_seq=0)
    taken = make_events(Kind.ORDER_ASSIGNED, 2, order_id=1, driver_id=100, at_ms=NOW_MS + HOUR_MS)
    taken["kind"][1] = Kind.DROPPED_OFF
    off = make_events(Kind.DRIVER_OFFLINE, 1, driver_id=100, at_ms=NOW_MS + 2 * HOUR_MS)
    crm.events.apply(taken, first_seq=0, stream="engine-2")
    crm.events.apply(off, first_seq=len(log))  # of a driver whom it has no more
    assert crm.events.close_stream(at_ms=NOW_MS + DAY_MS) == ClosedStream(1, 0, 1)
    assert column_of(crm, duty, "driver_id", "online_at_ms") == {100: NOW_MS}
    crm.events.apply(off, first_seq=2, stream="engine-2")
    assert column_of(crm, duty, "driver_id", "online_at_ms") == {}
    assert column_of(crm, driver_day, "driver_id", "online_ms")[100] == 2 * HOUR_MS


def test_of_two_streams_that_tell_of_a_driver_neither_ends_the_other_s_duty(crm):
    told = [("a", 1), ("b", 2000), ("a", 1500), ("b", 5000)]
    for place, (stream, at_s) in enumerate(told):
        kind = Kind.DRIVER_ONLINE if place < 2 else Kind.DRIVER_OFFLINE
        event = make_events(kind, 1, driver_id=7, at_ms=NOW_MS + 1000 * at_s)
        crm.events.apply(event, first_seq=place // 2, stream=stream)
    # What the first one tells of the time before is told too late to count.
    assert column_of(crm, driver_day, "driver_id", "online_ms") == {7: 3_000_000}
    assert column_of(crm, duty, "driver_id", "online_at_ms") == {}


@pytest.mark.parametrize("ends", [(0, 7), (0, 3, 7), (0, 1, 2, 3, 4, 7)])
@pytest.mark.parametrize("over", [Kind.ORDER_CANCELLED, Kind.ORDER_CLOSED])
def test_an_id_that_is_used_again_is_refused_wherever_the_log_is_cut(crm, over, ends):
    """An engine gives up the ids of what has ended; before anything of the batch is applied."""
    log = np.concatenate(
        [order_of(10, 1, over, NOW_MS)[[0, 1, -1]], order_of(10, 1, Kind.ORDER_CLOSED, NOW_MS + HOUR_MS)[:4]]
    )
    assert log["kind"][3] == Kind.ORDER_SUBMITTED
    parts = [log[begin:end] for begin, end in pairwise(ends)]
    bad = next(row for row, end in enumerate(ends[1:]) if end > 3)
    for row in range(bad):
        crm.events.apply(parts[row], first_seq=ends[row])
    before = tables_of(crm)
    with pytest.raises(InputError, match=rf"events\[{3 - ends[bad]}\].order_id is 10: .*give orders ids of"):
        crm.events.apply(parts[bad], first_seq=ends[bad])
    # Told together with what is known the row is that of what was told.
    with pytest.raises(InputError, match=r"events\[3\].order_id is 10"):
        crm.events.apply(log, first_seq=0)
    assert tables_of(crm) == before
    assert crm.events.next_seq() == ends[bad]
    log["order_id"][3:] = 11
    assert crm.events.apply(log, first_seq=0).next_seq == 7


def test_a_stream_of_nothing_closes_as_well(crm):
    crm.events.apply(make_events(Kind.DRIVER_ONLINE, 0), first_seq=0, stream="empty")
    assert crm.events.close_stream("empty", at_ms=NOW_MS) == ClosedStream(0, 0, 0)


def test_only_the_program_closes_streams(crm):
    crm.events.apply(order_of(1, 1, Kind.ORDER_CLOSED, NOW_MS), first_seq=0)
    with pytest.raises(AuthError):
        crm.acting_as(actor("manager")).events.close_stream(at_ms=NOW_MS + DAY_MS)


# --- on duty once more ---------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [("engine", "engine"), ("engine", "engine-2")])
@pytest.mark.parametrize("cut", [1, 2, 5])
def test_who_goes_on_duty_again_was_there_until_the_last_event(crm, streams, cut):
    first = together(order_of(1, -1, Kind.ORDER_CLOSED, NOW_MS))
    online = make_events(Kind.DRIVER_ONLINE, 1, driver_id=9, at_ms=NOW_MS)
    log = np.concatenate([online, first])
    log = log[log["kind"] != Kind.ORDER_CLOSED]
    last_ms = int(log["at_ms"][-1])
    again = make_events(
        Kind.DRIVER_ONLINE, 2, driver_id=9, at_ms=[NOW_MS + 9 * HOUR_MS, NOW_MS + 10 * HOUR_MS]
    )
    again["kind"][1] = Kind.DRIVER_OFFLINE
    crm.events.apply(log[:cut], first_seq=0, stream=streams[0])
    if streams[0] == streams[1]:
        rest = np.concatenate([log[cut:], again])
        crm.events.apply(rest, first_seq=cut)
    else:
        crm.events.apply(log[cut:], first_seq=cut)
        crm.events.apply(again, first_seq=0, stream=streams[1])
    assert column_of(crm, driver_day, "driver_id", "online_ms") == {9: last_ms - NOW_MS + HOUR_MS}
    assert column_of(crm, duty, "driver_id", "stream_id") == {}
