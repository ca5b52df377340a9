"""Whether complaints were answered in time, at the very instants that divide."""

import pytest

from crm.conftest import HOUR_MS, MONDAY_MS
from crm.report_places import source_of
from dispatch.crm.reports import report_service
from dispatch.crm.tables.service import complaint
from dispatch.store import bulk

DUE_MS = MONDAY_MS + HOUR_MS


@pytest.mark.parametrize(
    ("responded_at_ms", "now_ms", "in_time"),
    [
        (DUE_MS, DUE_MS, 1.0),
        (DUE_MS + 1, DUE_MS + 1, 0.0),
        (None, DUE_MS, None),
        (None, DUE_MS + 1, 0.0),
    ],
)
def test_who_is_not_due_yet_is_not_judged(tmp_path, responded_at_ms, now_ms, in_time):
    from dispatch.crm.crm import Crm

    with Crm.create(tmp_path / "crm.db") as crm:
        row = {
            "scope_id": crm.scope("a", "b"), "incident_id": 1, "customer_id": 1, "code": "detour",
            "severity": 2, "channel": "app", "day": 0, "filed_at_ms": MONDAY_MS, "respond_by_ms": DUE_MS,
            "resolve_by_ms": DUE_MS + HOUR_MS, "responded_at_ms": responded_at_ms, "last_at_ms": MONDAY_MS,
        }  # fmt: skip
        with crm.context.database.writing() as connection:
            bulk.insert(connection, complaint, {name: [value] for name, value in row.items()})
        with source_of(crm, at_ms=now_ms) as source:
            (told,) = report_service.tables(source)["complaints"].to_pylist()
    assert (told["filed"], told["open"], told["answered_in_time"]) == (1, 1, in_time)
    assert (told["resolved_in_time"], told["mean_resolution_ms"]) == (None, None)


@pytest.mark.parametrize(("asked_at_ms", "in_time"), [(DUE_MS, None), (DUE_MS + HOUR_MS + 1, 0.0)])
def test_the_second_clock_rests_while_the_customer_is_waited_for(crm, scope_id, asked_at_ms, in_time):
    row = {
        "scope_id": scope_id, "incident_id": 1, "customer_id": 1, "code": "detour", "severity": 2,
        "channel": "app", "day": 0, "filed_at_ms": MONDAY_MS, "respond_by_ms": DUE_MS, "state": "waiting",
        "resolve_by_ms": DUE_MS + HOUR_MS, "responded_at_ms": DUE_MS, "last_at_ms": MONDAY_MS,
        "waiting_since_ms": asked_at_ms,
    }  # fmt: skip
    with crm.context.database.writing() as connection:
        bulk.insert(connection, complaint, {name: [value] for name, value in row.items()})
    with source_of(crm, at_ms=DUE_MS + 90 * HOUR_MS) as source:
        (told,) = report_service.tables(source)["complaints"].to_pylist()
    assert told["resolved_in_time"] == in_time
