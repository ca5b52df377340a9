"""Licences, checks and training."""

import pytest

from crm.conftest import DAY_MS, MONDAY_MS, actor
from dispatch.crm.fleet.eligibility import eligibility_in
from dispatch.errors import AuthError, InputError, StateError

NEXT_YEAR_MS = MONDAY_MS + 365 * DAY_MS


def licence(crm, driver_id=1, kind="driving", **changes):
    told = {"valid_from_ms": MONDAY_MS, "valid_until_ms": NEXT_YEAR_MS, "at_ms": MONDAY_MS} | changes
    return crm.qualifications.add_licence(driver_id, kind, **told)


def test_licences_checks_and_training(crm, scope_id):
    crm.drivers.register_many([1, 2], scope_id=scope_id, at_ms=MONDAY_MS)
    made = licence(crm, number="D-12345")
    assert [one.number for one in crm.qualifications.licences(1, at_ms=MONDAY_MS)] == ["D-12345"]
    crm.qualifications.revoke_licence(made, at_ms=MONDAY_MS + 1)
    with pytest.raises(StateError, match="revoked already"):
        crm.qualifications.revoke_licence(made, at_ms=MONDAY_MS + 1)
    crm.qualifications.examine(1, "safety", passed=False, score=40, at_ms=MONDAY_MS)
    crm.qualifications.examine(1, "safety", passed=True, score=90, at_ms=MONDAY_MS + DAY_MS)
    told = crm.qualifications.examinations(1)
    assert [(one.passed, one.score) for one in told] == [(False, 40), (True, 90)]
    assert told[1].valid_until_ms == MONDAY_MS + 731 * DAY_MS
    crm.qualifications.check_background(1, passed=True, at_ms=MONDAY_MS)
    with pytest.raises(InputError, match="time goes backwards"):
        crm.qualifications.check_background(1, passed=True, at_ms=MONDAY_MS - 1)
    with pytest.raises(AuthError):
        crm.acting_as(actor("driver", own=("driver", 1))).qualifications.check_background(
            1, passed=True, at_ms=MONDAY_MS
        )
    bad = (
        (lambda: licence(crm, kind="flying"), "kind"),
        (lambda: licence(crm, valid_until_ms=MONDAY_MS), "must be after"),
        (lambda: licence(crm, valid_from_ms=0, valid_until_ms=MONDAY_MS), "expired"),
        (lambda: licence(crm, number=" "), "number"),
        (lambda: licence(crm, driver_id=9), "not known"),
        (lambda: crm.qualifications.examine(1, "dancing", passed=True, at_ms=MONDAY_MS), "course"),
        (lambda: crm.qualifications.examine(1, "safety", passed=True, score=59, at_ms=MONDAY_MS), "score"),
        (lambda: crm.qualifications.examine(1, "safety", passed=True, score=-1, at_ms=MONDAY_MS), "score"),
        (
            lambda: crm.qualifications.check_background(
                1, passed=True, at_ms=MONDAY_MS + 9, valid_until_ms=MONDAY_MS
            ),
            "over already",
        ),
    )
    for call, rule in bad:
        with pytest.raises(InputError, match=rule):
            call()
    assert len(crm.qualifications.licences(1, at_ms=MONDAY_MS)) == 1


def test_a_fleet_is_qualified_at_once_or_not_at_all(crm, scope_id):
    ids = list(range(100, 400))
    crm.drivers.register_many(ids, scope_id=scope_id, at_ms=MONDAY_MS)
    told = {"scope_id": scope_id, "at_ms": MONDAY_MS, "valid_until_ms": NEXT_YEAR_MS}
    with pytest.raises(InputError, match="1 are not drivers of scope"):
        crm.qualifications.qualify_many([*ids, 7], **told)
    crm.qualifications.qualify_many(ids, **told, courses=["wheelchair_transport"], vehicle_class="comfort")
    with crm.context.database.reading() as connection:
        for at_ms, fit in ((MONDAY_MS, 1), (NEXT_YEAR_MS - 1, 1), (NEXT_YEAR_MS, 0)):
            found = eligibility_in(connection, crm.context.vertical, ids, at_ms)
            assert found.eligible.tolist() == [fit] * 300
            assert set(found.skills.tolist()) == {1}, "the bit of wheelchair"
    assert crm.vehicles.of(100, at_ms=MONDAY_MS)[0].vehicle_class == "comfort"
    with pytest.raises(InputError, match="course"):
        crm.qualifications.qualify_many(ids, **told, courses=["dancing"])
    with pytest.raises(InputError, match="over already"):
        crm.qualifications.qualify_many(ids, **told | {"valid_until_ms": MONDAY_MS})
