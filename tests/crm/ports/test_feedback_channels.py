"""Channels of feedback: what comes in is kept once, what breaks a rule is told and stops nothing."""

import json

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS, actor
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.ports.feedback_channels import FeedbackIntake, MessageFile, is_overdue
from dispatch.crm.tables.service import feedback
from dispatch.errors import InputError


def write(path, *records: object) -> None:
    with path.open("a") as file:
        file.writelines(json.dumps(record) + "\n" for record in records)


def test_messages_of_all_channels_become_feedback(crm, scope_id, tmp_path):
    anna = crm.customers.register(CustomerDetails(name="Anna"), scope_id=scope_id, at_ms=MONDAY_MS)
    intake = FeedbackIntake(crm.context)
    for channel in ("web", "email", "hotline", "social_media"):
        path = tmp_path / channel
        write(
            path,
            {"key": "1", "topic": "praise", "stars": 5},
            {"key": "2", "topic": "idea", "customer_id": anna, "words": "more"},
        )
        file = MessageFile(path, channel)
        came = intake.take(file, scope_id, MONDAY_MS)
        assert (len(came.feedback_ids), came.refused) == (2, ())
        assert intake.take(file, scope_id, MONDAY_MS).feedback_ids == ()
        again = intake.take(MessageFile(path, channel), scope_id, MONDAY_MS)
        assert again.feedback_ids == came.feedback_ids, "what came before is that one again"
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(feedback)).all()
    assert len(rows) == 8
    assert sorted({row.channel for row in rows}) == ["email", "hotline", "social_media", "web"]
    assert {row.customer_id for row in rows} == {None, anna}


def test_broken_messages_are_told_and_passed(crm, scope_id, tmp_path):
    path = tmp_path / "mail"
    write(
        path,
        {"key": "1", "topic": "praise"},
        {"key": "2"},
        {"key": "3", "topic": "praise", "stars": 9},
        {"key": "4", "topic": "praise", "secret": "x"},
        {"key": "5", "topic": "praise", "customer_id": 999},
        {"key": "6", "topic": ["praise"]},
        {"key": "7", "topic": "idea", "words": "call me at +1 415 555 0100", "stars": "many"},
        {"key": "8", "topic": "idea"},
    )
    came = FeedbackIntake(crm.context).take(MessageFile(path, "email"), scope_id, MONDAY_MS)
    assert len(came.feedback_ids) == 2
    assert len(came.refused) == 6
    assert "415" not in str(came.refused)
    assert sorted(one.place for one in came.refused) == [one.place for one in came.refused]
    with pytest.raises(InputError, match="channel"):
        MessageFile(path, "pigeon")


def test_a_day_is_what_customers_are_promised(crm, scope_id, tmp_path):
    assert not is_overdue(MONDAY_MS, None, MONDAY_MS + DAY_MS)
    assert is_overdue(MONDAY_MS, None, MONDAY_MS + DAY_MS + 1)
    assert not is_overdue(MONDAY_MS, MONDAY_MS + 5, MONDAY_MS + 9 * DAY_MS)
    write(tmp_path / "web", {"key": "1", "topic": "praise"})
    nobody = FeedbackIntake(crm.acting_as(actor("driver", own=("driver", 1))).context)
    came = nobody.take(MessageFile(tmp_path / "web", "web"), scope_id, MONDAY_MS)
    assert [one.reason.split(":")[0] for one in came.refused] == ["AuthError"]
