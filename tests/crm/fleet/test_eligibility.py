"""Who may get orders: one question for all, against one asked a driver at a time in plain Python."""

import random
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS, actor
from crm.engaged import insert
from crm.served import add_drivers
from dispatch.crm.fleet.eligibility import REASONS, eligibility_in
from dispatch.crm.fleet.vehicles import Vehicle
from dispatch.crm.rules import DutyRule
from dispatch.crm.tables import fleet
from dispatch.engine.events import EventKind, make_events
from dispatch.errors import AuthError

LATER_MS = MONDAY_MS + 5 * DAY_MS
BY_ROSTER = {"off_shift", "over_hours"}


def ask(crm, ids, at_ms=LATER_MS, **duty):
    vertical = replace(crm.context.vertical, duty=DutyRule(**duty))
    with crm.context.database.reading() as connection:
        return eligibility_in(connection, vertical, ids, at_ms)


def test_each_reason(crm, scope_id):
    add_drivers(crm, scope_id, range(1, 13))
    last = MONDAY_MS + 365 * DAY_MS
    (licence, _) = crm.qualifications.licences(2, at_ms=MONDAY_MS)
    crm.qualifications.revoke_licence(licence.licence_id, at_ms=LATER_MS)
    (car,) = crm.vehicles.of(3, at_ms=MONDAY_MS)
    crm.vehicles.retire(car.vehicle_id, at_ms=LATER_MS)
    (car,) = crm.vehicles.of(4, at_ms=MONDAY_MS)
    crm.vehicles.renew(car.vehicle_id, at_ms=MONDAY_MS, insured_until_ms=LATER_MS)
    (car,) = crm.vehicles.of(5, at_ms=MONDAY_MS)
    crm.vehicles.renew(car.vehicle_id, at_ms=MONDAY_MS, inspected_until_ms=LATER_MS)
    crm.qualifications.check_background(6, passed=False, at_ms=MONDAY_MS + 1)
    crm.qualifications.check_background(7, passed=True, at_ms=MONDAY_MS + 1, valid_until_ms=LATER_MS)
    crm.blocks.block(8, "drunk", at_ms=MONDAY_MS, until_ms=LATER_MS + 1)
    crm.drivers.leave(9, at_ms=LATER_MS)
    (car,) = crm.vehicles.of(10, at_ms=MONDAY_MS)
    crm.vehicles.renew(car.vehicle_id, at_ms=MONDAY_MS, insured_until_ms=LATER_MS)
    crm.vehicles.add(
        10, Vehicle("ordinary", insured_until_ms=last, inspected_until_ms=LATER_MS), at_ms=MONDAY_MS
    )
    crm.drivers.register_many([13], scope_id=scope_id, at_ms=MONDAY_MS)
    with crm.context.database.writing() as connection:
        connection.execute(sa.delete(fleet.training).where(fleet.training.c.driver_id == 11))
    found = ask(crm, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99])
    why = [found.why(row) for row in range(14)]
    assert why == [
        (),
        ("licence_expired",),
        ("no_vehicle",),
        ("insurance_expired",),
        ("inspection_expired",),
        ("unverified",),
        ("unverified",),
        ("blocked",),
        ("left",),
        ("inspection_expired",),
        ("training_missing",),
        (),
        ("unverified", "licence_expired", "no_vehicle", "training_missing"),
        ("unknown_driver",),
    ]
    assert found.eligible.tolist() == [1] + [0] * 10 + [1, 0, 0]
    assert {reason for one in why for reason in one} | BY_ROSTER == set(REASONS)
    before = ask(crm, range(1, 11), LATER_MS - 1)
    assert before.eligible.tolist() == [1, 1, 1, 1, 1, 0, 1, 0, 1, 1], "the last instant counts"
    assert ask(crm, [8], LATER_MS + 1).eligible.tolist() == [1]
    assert ask(crm, []).eligible.tolist() == []
    herself = crm.acting_as(actor("driver", own=("driver", 2))).eligibility
    assert herself.of(2, at_ms=LATER_MS).why(0) == ("licence_expired",)
    with pytest.raises(AuthError):
        herself.of(1, at_ms=LATER_MS)
    of_all = crm.acting_as(actor("dispatcher")).eligibility.of_all(scope_id=scope_id, at_ms=LATER_MS)
    assert of_all.driver_id.tolist() == list(range(1, 14))


def test_as_asked_one_at_a_time(crm, scope_id):
    luck, ids = random.Random(5), list(range(1, 41))
    crm.drivers.register_many(ids, scope_id=scope_id, at_ms=0)
    licences, cars, courses = [], [], []
    for driver in ids:
        for kind in luck.choices(("driving", "passenger_transport"), k=luck.randrange(2, 6)):
            begin, end = luck.randrange(40), luck.randrange(40, 100)
            licences.append((driver, kind, begin, end, luck.choice((None, None, luck.randrange(100)))))
        for _ in range(luck.randrange(1, 4)):
            added, gone = luck.randrange(40), luck.randrange(40, 100)
            cars.append((driver, luck.randrange(100), luck.randrange(100), added, luck.choice((None, gone))))
        for course in luck.choices(("safety", "wheelchair_transport"), k=luck.randrange(1, 5)):
            begin, end = luck.randrange(40), luck.randrange(40, 100)
            courses.append((driver, course, luck.randrange(2), begin, end))
    _insert(
        crm,
        fleet.licence,
        ("driver_id", "kind", "valid_from_ms", "valid_until_ms", "revoked_at_ms"),
        licences,
    )
    names = ("driver_id", "insured_until_ms", "inspected_until_ms", "added_at_ms", "retired_at_ms")
    same = {"scope_id": scope_id, "vehicle_class": 0, "seats": 4, "energy": "petrol"}
    insert(crm, fleet.vehicle, [dict(zip(names, row, strict=True)) | same for row in cars])
    _insert(crm, fleet.training, ("driver_id", "course", "passed", "at_ms", "valid_until_ms"), courses)
    _insert(
        crm, fleet.background_check, ("driver_id", "passed", "checked_at_ms"), [(one, 1, 0) for one in ids]
    )
    seen = set()
    for at_ms in range(0, 100, 9):
        found = ask(crm, ids, at_ms)
        for row, driver in enumerate(ids):
            held = {
                k for d, k, b, e, r in licences if d == driver and b <= at_ms < e and (r is None or r > at_ms)
            }
            mine = [
                (i > at_ms, p > at_ms)
                for d, i, p, a, g in cars
                if d == driver and a <= at_ms and (g is None or g > at_ms)
            ]
            passed = {c for d, c, p, b, e in courses if d == driver and p and b <= at_ms < e}
            fit = len(held) == 2 and (True, True) in mine and "safety" in passed
            assert found.eligible[row] == fit, (driver, at_ms, found.why(row))
            assert found.skills[row] == ("wheelchair_transport" in passed)
            seen.add(fit)
    assert seen == {True, False}
    shuffled = np.array(ids * 2)
    luck.shuffle(ids)
    again = ask(crm, shuffled, 45)
    assert np.array_equal(again.reasons[:40], again.reasons[40:])


def go_on_duty(crm, scope_id, spells):
    """Let drivers be on duty: (driver, from, until), until None for who still is."""
    told = [(begin, driver, EventKind.DRIVER_ONLINE) for driver, begin, _ in spells]
    told += [(end, driver, EventKind.DRIVER_OFFLINE) for driver, _, end in spells if end is not None]
    events = [make_events(kind, 1, at_ms=at_ms, driver_id=driver) for at_ms, driver, kind in sorted(told)]
    crm.events.apply(np.concatenate(events), first_seq=0, scope_id=scope_id)


def test_who_is_not_on_the_roster_or_has_worked_too_long(crm, scope_id):
    add_drivers(crm, scope_id, range(1, 6))
    plan = crm.rosters.plan
    plan(1, LATER_MS, LATER_MS + 8 * HOUR_MS, at_ms=MONDAY_MS)
    plan(2, LATER_MS - 8 * HOUR_MS, LATER_MS, at_ms=MONDAY_MS)
    leave = plan(3, LATER_MS - HOUR_MS, LATER_MS + HOUR_MS, at_ms=MONDAY_MS)
    crm.rosters.cancel(leave, at_ms=LATER_MS)
    plan(5, LATER_MS - HOUR_MS, LATER_MS + HOUR_MS, at_ms=MONDAY_MS)
    go_on_duty(crm, scope_id, [(1, LATER_MS - 5 * HOUR_MS, None), (5, LATER_MS - 11 * HOUR_MS, None)])
    ids = [1, 2, 3, 4, 5]
    assert ask(crm, ids).reasons.tolist() == [0] * 5, "nothing is asked for"
    found = ask(crm, ids, needs_shift=True)
    assert [found.why(row) for row in range(5)] == [(), ("off_shift",), ("off_shift",), ("off_shift",), ()]
    assert ask(crm, ids, LATER_MS - 1, needs_shift=True).eligible.tolist() == [0, 1, 1, 0, 1]
    assert ask(crm, ids, needs_shift=True, grace_s=1).eligible.tolist() == [1, 1, 0, 0, 1]
    assert ask(crm, ids, LATER_MS - 1, needs_shift=True, grace_s=1).eligible.tolist() == [1, 1, 1, 0, 1]
    found = ask(crm, ids, needs_shift=True, most_h=10.0)
    assert [found.why(row) for row in (0, 1, 4)] == [(), ("off_shift",), ("over_hours",)]
    assert ask(crm, ids, most_h=11.0).eligible.tolist() == [1, 1, 1, 1, 0], "the limit itself is too long"
    assert ask(crm, ids, LATER_MS - 1, most_h=11.0).eligible.tolist() == [1] * 5
    assert ask(crm, [9], needs_shift=True, most_h=1.0).why(0) == ("unknown_driver",)
    crm.blocks.block(5, "drunk", at_ms=MONDAY_MS, until_ms=LATER_MS + 1)
    assert ask(crm, [5], most_h=10.0).why(0) == ("blocked", "over_hours")


def test_roster_and_hours_as_told_one_at_a_time(crm, scope_id):
    luck, ids = random.Random(11), list(range(1, 21))
    add_drivers(crm, scope_id, ids)
    begin_ms, spells, shifts = MONDAY_MS, [], []
    for driver in ids:
        for kept, num in ((spells, 5), (shifts, 4)):
            ends = sorted(luck.sample(range(0, 120), 2 * num))  # hours
            kept += [(driver, ends[2 * k], ends[2 * k + 1]) for k in range(num)]
    still = [(driver, begin_ms - 4 * DAY_MS, None) for driver in (21, 22)]
    crm.drivers.register_many([21, 22], scope_id=scope_id, at_ms=0)
    told = [(driver, begin_ms + a * HOUR_MS, begin_ms + b * HOUR_MS) for driver, a, b in spells]
    go_on_duty(crm, scope_id, told + still)
    crm.rosters.plan_many(
        [driver for driver, _, _ in shifts],
        [begin_ms + a * HOUR_MS for _, a, _ in shifts],
        [min(begin_ms + b * HOUR_MS, begin_ms + (a + 48) * HOUR_MS) for _, a, b in shifts],
        scope_id=scope_id,
        at_ms=begin_ms,
    )
    seen = set()
    for hour in range(1, 121, 7):
        rule = {
            "needs_shift": True,
            "most_h": float(luck.randrange(3, 9)),
            "within_h": luck.choice([9.0, 24.0]),
        }
        found = ask(crm, [*ids, 21, 22], begin_ms + hour * HOUR_MS, **rule)
        for row, driver in enumerate(ids):
            since = hour - rule["within_h"]
            worked = sum(max(0, min(b, hour) - max(a, since)) for who, a, b in spells if who == driver)
            is_on = any(a <= hour < min(b, a + 48) for who, a, b in shifts if who == driver)
            expected = ("off_shift",) * (not is_on) + ("over_hours",) * (worked >= rule["most_h"])
            assert found.why(row) == expected, (driver, hour, rule)
            seen.add(expected)
        assert all("over_hours" in found.why(row) for row in (20, 21))
    assert len(seen) == 4


def _insert(crm, table, names, rows):
    insert(crm, table, [dict(zip(names, row, strict=True)) for row in rows])
