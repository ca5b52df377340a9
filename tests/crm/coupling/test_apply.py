"""Events into the database: as one at a time would, each once, in whatever parts they come."""

import random

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import actor
from crm.random_logs import random_log
from dispatch.crm.coupling.apply import EventLog
from dispatch.crm.tables import orders as tables
from dispatch.errors import AuthError, InputError
from naive.crm_fold import Replay

LATE_AFTER_MS = 300_000


def rows_of(crm, table, *names):
    with crm.context.database.reading() as connection:
        return connection.execute(sa.select(*(table.c[name] for name in names))).all()


def tables_of(crm):
    """All that events fill, for comparing."""
    filled = [
        tables.orders,
        tables.offer,
        tables.trip,
        tables.customer_day,
        tables.driver_day,
        tables.duty,
    ]
    with crm.context.database.reading() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sa.select(table))), key=repr) for table in filled
        }


def apply_in_parts(log, events, luck, stream="engine"):
    at = 0
    while at < len(events):
        end = min(at + luck.choice((1, 3, 20, 150)), len(events))
        begin = max(0, at - luck.choice((0, 0, 0, 5)))  # some are told again
        done = log.apply(events[begin:end], first_seq=begin, stream=stream)
        assert (done.num_known, done.num_new, done.next_seq) == (at - begin, end - at, end)
        at = end


@pytest.mark.parametrize("seed", range(3))
def test_events_make_of_the_tables_what_one_at_a_time_would(crm, seed):
    log, replay = EventLog(crm.context), Replay(LATE_AFTER_MS)
    events = random_log(seed)
    apply_in_parts(log, events, random.Random(seed))
    for event in events:
        replay.tell(event)
    names = [c.name for c in tables.orders.c if c.name not in ("scope_id", "merchant_id", "channel")]
    names.remove("payment_state")
    for row in rows_of(crm, tables.orders, *names):
        told = dict(zip(names, row, strict=True))
        known = replay.orders.pop(told.pop("order_id"))
        assert told == {name: known.get(name) for name in told}
    assert not replay.orders
    offers = rows_of(crm, tables.offer, *(c.name for c in tables.offer.c))
    assert {tuple(row[:3]): list(row[3:]) for row in offers} == replay.offers
    trips = rows_of(crm, tables.trip, *(c.name for c in tables.trip.c))
    assert {row[0]: tuple(row[1:]) for row in trips} == replay.trips
    for table, sums, person in (
        (tables.customer_day, replay.customer_day, "customer_id"),
        (tables.driver_day, replay.driver_day, "driver_id"),
    ):
        names = [c.name for c in table.c if c.name not in (person, "day")]
        found = {
            tuple(row[:2]): {name: value for name, value in zip(names, row[2:], strict=True) if value}
            for row in rows_of(crm, table, person, "day", *names)
        }
        wanted = {key: {n: v for n, v in of.items() if v} for key, of in sums.items()}
        assert {k: v for k, v in found.items() if v} == {k: v for k, v in wanted.items() if v}
    assert dict(map(tuple, rows_of(crm, tables.duty, "driver_id", "online_at_ms"))) == replay.duty
    stages = rows_of(crm, tables.order_stage, "seq", "kind", "at_ms")
    assert sorted(map(tuple, stages)) == [(i, int(e["kind"]), int(e["at_ms"])) for i, e in enumerate(events)]


def test_events_count_once_however_often_they_are_told(crm):
    log, events = EventLog(crm.context), random_log(7, num_events=150)
    log.apply(events, first_seq=0)
    once = tables_of(crm)
    again = log.apply(events, first_seq=0)
    assert (again.num_new, again.num_known) == (0, 150)
    assert log.apply(events[40:], first_seq=40).num_new == 0
    assert tables_of(crm) == once
    assert log.next_seq() == 150
    assert log.next_seq("another") == 0


def test_what_would_lose_or_change_events_is_refused_and_changes_nothing(crm):
    log, events = EventLog(crm.context), random_log(8, num_events=100)
    log.apply(events[:50], first_seq=0)
    before = tables_of(crm)
    with pytest.raises(InputError, match="goes on at 50; events between are missing"):
        log.apply(events[60:], first_seq=60)
    other = events[:50].copy()
    other["eta_ms"][3] += 1
    with pytest.raises(InputError, match="other events were applied at these places"):
        log.apply(other, first_seq=0)
    late = events[50:].copy()
    late["at_ms"] -= 10**9
    with pytest.raises(InputError, match="time goes backwards, stream 'engine'"):
        log.apply(late, first_seq=50)
    late = events[50:].copy()
    late["at_ms"][5] = late["at_ms"][4] - 1
    with pytest.raises(InputError, match=r"events\[5\].at_ms .* time goes backwards"):
        log.apply(late, first_seq=50)
    with pytest.raises(InputError, match="EVENT_DTYPE"):
        log.apply(np.zeros(3), first_seq=50)
    with pytest.raises(InputError, match="first_seq is -1"):
        log.apply(events, first_seq=-1)
    with pytest.raises(InputError, match="stream is 'a b'"):
        log.apply(events, first_seq=0, stream="a b")
    assert tables_of(crm) == before
    log.apply(events[50:], first_seq=50)


def test_an_error_in_the_middle_leaves_nothing_behind(crm, monkeypatch):
    log, events = EventLog(crm.context), random_log(9, num_events=100)
    log.apply(events[:50], first_seq=0)
    before = tables_of(crm)

    def fails(*_):
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr("dispatch.crm.coupling.apply._changed_duties", fails)
        with pytest.raises(RuntimeError):
            log.apply(events[50:], first_seq=50)
    assert tables_of(crm) == before
    assert log.next_seq() == 50
    assert log.apply(events[50:], first_seq=50).num_new == 50


def test_a_stream_belongs_to_one_place_and_only_the_program_may_fill_it(crm, scope_id):
    log, events = EventLog(crm.context), random_log(10, num_events=60)
    log.apply(events[:30], first_seq=0, scope_id=scope_id)
    assert {row[0] for row in rows_of(crm, tables.orders, "scope_id")} == {scope_id}
    with pytest.raises(InputError, match="belongs to"):
        log.apply(events[30:], first_seq=30, scope_id=crm.scope("acme", "oakland"))
    for role in ("dispatcher", "agent", "driver", "customer", "auditor"):
        with pytest.raises(AuthError):
            EventLog(crm.context.of(actor(role))).apply(events[30:], first_seq=30, scope_id=scope_id)
    assert log.next_seq() == 30
