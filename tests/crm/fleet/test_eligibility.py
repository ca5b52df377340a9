"""Who may get orders: one question for all, against one asked a driver at a time in plain Python."""

import random

import numpy as np
import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS, actor
from crm.engaged import insert
from crm.served import add_drivers
from dispatch.crm.fleet.eligibility import REASONS, eligibility_in
from dispatch.crm.fleet.vehicles import Vehicle
from dispatch.crm.tables import fleet
from dispatch.errors import AuthError

LATER_MS = MONDAY_MS + 5 * DAY_MS


def ask(crm, ids, at_ms=LATER_MS):
    with crm.context.database.reading() as connection:
        return eligibility_in(connection, crm.context.vertical, ids, at_ms)


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
    assert {reason for one in why for reason in one} == set(REASONS)
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


def _insert(crm, table, names, rows):
    insert(crm, table, [dict(zip(names, row, strict=True)) for row in rows])
