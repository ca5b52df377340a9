"""Shifts planned and worked."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, actor
from dispatch.engine.events import EventKind, make_events
from dispatch.errors import AuthError, InputError, StateError

WEEK_MS = 7 * DAY_MS


def at(hour, day=0):
    return MONDAY_MS + day * DAY_MS + hour * HOUR_MS


def test_shifts_do_not_overlap(crm, scope_id):
    crm.drivers.register_many([1, 2, 3], scope_id=scope_id, at_ms=0)
    first = crm.rosters.plan(1, at(8), at(12), at_ms=0)
    crm.rosters.plan(1, at(12), at(16), at_ms=0)
    crm.rosters.plan(2, at(9), at(11), at_ms=0)
    for begin, end in ((7, 9), (9, 10), (8, 12), (15, 20), (7, 20)):
        with pytest.raises(StateError, match="overlaps"):
            crm.rosters.plan(1, at(begin), at(end), at_ms=0)
    crm.rosters.cancel(first, at_ms=at(9))
    crm.rosters.plan(1, at(7), at(9), at_ms=0)
    with pytest.raises(StateError, match="cancelled already"):
        crm.rosters.cancel(first, at_ms=at(9))
    for begin, end, now, rule in (
        (9, 9, 0, "a shift lasts"),
        (9, 60, 0, "a shift lasts"),
        (7, 9, at(9), "over already"),
    ):
        with pytest.raises(InputError, match=rule):
            crm.rosters.plan(3, at(begin), at(end), at_ms=now)
    told = crm.rosters.planned(at(0), at(24), scope_id=scope_id)
    assert told.driver_id.tolist() == [1, 2, 1]
    assert told.begin_at_ms.tolist() == [at(7), at(9), at(12)]
    assert len(crm.rosters.planned(at(16), at(24), scope_id=scope_id).driver_id) == 0
    herself = crm.acting_as(actor("driver", own=("driver", 2)))
    assert herself.rosters.of(2, at(0), at(24)).end_at_ms.tolist() == [at(11)]
    for call in (
        lambda: herself.rosters.of(1, at(0), at(24)),
        lambda: herself.rosters.plan(2, at(20), at(22), at_ms=0),
    ):
        with pytest.raises(AuthError):
            call()
    crm.drivers.leave(3, at_ms=1)
    with pytest.raises(StateError, match="is left"):
        crm.rosters.plan(3, at(8), at(9), at_ms=2)


def test_many_shifts_or_none(crm, scope_id):
    ids = list(range(1, 101))
    crm.drivers.register_many(ids, scope_id=scope_id, at_ms=0)
    told = {"scope_id": scope_id, "at_ms": 0}
    days = np.repeat(np.arange(5), 100)
    begin = MONDAY_MS + days * DAY_MS + 8 * HOUR_MS
    assert crm.rosters.plan_many(ids * 5, begin, begin + 8 * HOUR_MS, **told) == 500
    assert crm.rosters.plan_many([], [], [], **told) == 0
    for who, begins, rule, error in (
        ([1, 2], [at(20), at(9)], "overlaps", StateError),
        ([1, 1], [at(20), at(21)], "overlaps", StateError),
        ([1, 999], [at(20), at(20)], "not active", InputError),
        ([1], [at(20), at(20)], "as many", InputError),
    ):
        with pytest.raises(error, match=rule):
            crm.rosters.plan_many(who, begins, [one + 2 * HOUR_MS for one in begins], **told)
    assert len(crm.rosters.planned(MONDAY_MS, MONDAY_MS + WEEK_MS, scope_id=scope_id).shift_id) == 500


def test_attendance_follows_from_the_engine_s_events(crm, scope_id):
    crm.drivers.register_many([1, 2, 3, 4], scope_id=scope_id, at_ms=0)
    for driver in (1, 2, 3, 4):
        crm.rosters.plan(driver, at(8), at(12), at_ms=0)
    on, off = EventKind.DRIVER_ONLINE, EventKind.DRIVER_OFFLINE
    told = [
        (at(6), 1, on),  # before its shift, and pauses in it
        (at(8.5), 2, on),  # half an hour late, still on duty
        (at(9), 1, off),
        (at(10), 1, on),
        (at(11), 1, off),
        (at(13), 3, on),  # missed its shift
        (at(14), 3, off),
    ]
    events = np.concatenate(
        [make_events(kind, 1, at_ms=int(instant), driver_id=driver) for instant, driver, kind in told]
    )
    crm.events.apply(events, first_seq=0, scope_id=scope_id)
    found = crm.rosters.attendance(at(8), at(12), scope_id=scope_id, at_ms=at(20))
    assert found.shifts.driver_id.tolist() == [1, 2, 3, 4]
    assert found.online_ms.tolist() == [2 * HOUR_MS, 3.5 * HOUR_MS, 0, 0]
    assert found.begun_late_ms.tolist() == [0, HOUR_MS // 2, -1, -1]
    early = crm.rosters.attendance(at(8), at(12), scope_id=scope_id, at_ms=at(9))
    assert early.online_ms.tolist() == [HOUR_MS, HOUR_MS // 2, 0, 0]
    assert len(crm.rosters.attendance(at(13), at(14), scope_id=scope_id, at_ms=at(20)).online_ms) == 0
    with pytest.raises(InputError, match="until_ms"):
        crm.rosters.attendance(at(8), at(8), scope_id=scope_id, at_ms=at(9))


def test_planners_at_the_same_time_do_not_overlap(crm, scope_id):
    crm.drivers.register_many([1], scope_id=scope_id, at_ms=0)

    def plan(hour):
        try:
            return crm.rosters.plan(1, at(hour), at(hour + 4), at_ms=0)
        except StateError:
            return None

    with ThreadPoolExecutor(8) as pool:
        made = [one for one in pool.map(plan, range(8)) if one is not None]
    told = crm.rosters.of(1, at(0), at(24))
    assert sorted(told.shift_id.tolist()) == sorted(made)
    assert (told.begin_at_ms[1:] >= told.end_at_ms[:-1]).all()
    assert 1 <= len(made) <= 2


def test_who_was_on_duty_before_and_after_a_shift_worked_all_of_it(crm, scope_id):
    crm.drivers.register_many([1, 2], scope_id=scope_id, at_ms=0)
    for driver in (1, 2):
        crm.rosters.plan(driver, at(8), at(12), at_ms=0)
    on, off = EventKind.DRIVER_ONLINE, EventKind.DRIVER_OFFLINE
    told = [(at(6), 2, on), (at(7), 2, off), (at(7.5), 1, on), (at(12.5), 1, off)]
    events = np.concatenate(
        [make_events(kind, 1, at_ms=int(instant), driver_id=driver) for instant, driver, kind in told]
    )
    crm.events.apply(events, first_seq=0, scope_id=scope_id)
    found = crm.rosters.attendance(at(8), at(12), scope_id=scope_id, at_ms=at(20))
    assert found.online_ms.tolist() == [4 * HOUR_MS, 0]
    assert found.begun_late_ms.tolist() == [0, -1]
