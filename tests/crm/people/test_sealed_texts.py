"""Texts of rows, sealed under the key of their person."""

import json

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS
from crm.engaged import add_customers
from crm.served import NOW_MS, served_city
from dispatch.crm.people.sealed_texts import check_text, keep_text, key_in, open_text
from dispatch.crm.service.complaints import NewComplaint
from dispatch.crm.service.feedback import Message
from dispatch.crm.service.incidents import Problem
from dispatch.crm.service.surveys import Question
from dispatch.crm.tables.people import customer
from dispatch.crm.tables.service import feedback
from dispatch.errors import InputError, StateError, StoreError

MINE = ("customer", 1)


def test_a_text_opens_in_its_row_alone_and_not_after_the_key_is_gone(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    vault, column = crm.context.vault, feedback.c.words
    with crm.context.database.writing() as connection:
        for row in (1, 2):
            told = {"scope_id": scope_id, "channel": "app", "topic": "x", "key": str(row)}
            connection.execute(sa.insert(feedback).values(feedback_id=row, received_at_ms=MONDAY_MS, **told))
            keep_text(connection, vault, MINE, column, row, f"secret {row}")
        keep_text(connection, vault, MINE, column, 1, None)
        sealed = dict(map(tuple, connection.execute(sa.select(feedback.c.feedback_id, column))))
        assert b"secret" not in sealed[1]
        assert open_text(connection, vault, MINE, column, 1, sealed[1]) == "secret 1"
        assert open_text(connection, vault, MINE, column, 1, None) is None
        with pytest.raises(StoreError, match="cannot be opened"):
            open_text(connection, vault, MINE, column, 1, sealed[2])
        assert key_in(connection, vault, *MINE) == key_in(connection, vault, *MINE)
        vault.destroy(connection, *MINE)
        connection.execute(sa.update(customer).where(customer.c.customer_id == 1).values(status="erased"))
        assert open_text(connection, vault, MINE, column, 1, sealed[1]) is None
        with pytest.raises(StateError, match="erased"):
            keep_text(connection, vault, MINE, column, 1, "again")
        with pytest.raises(InputError, match="not known"):
            key_in(connection, vault, "driver", 9)


@pytest.mark.parametrize("value", ["", "  ", 5, None, "secret" * 2, "secr\udcff", "s\x1b"])
def test_texts_are_checked_and_not_repeated(value):
    with pytest.raises(InputError) as caught:
        check_text("words", value, 10)
    assert "secret" not in str(caught.value)


def test_texts_of_all_parts_are_told_to_their_person_and_erased_with_it(crm, scope_id):
    served_city(crm, scope_id, 2)
    desk, words = crm.service_desk, "words of Jo Doe"
    crm.ratings.rate(1001, "driver", 1, at_ms=NOW_MS, comment=f"{words} 1")
    complaint = desk.file(NewComplaint(1, "detour", 1001, words=f"{words} 2"), at_ms=NOW_MS)
    desk.resolve(complaint, "rejected", reason="x", at_ms=NOW_MS, note=f"{words} 3")
    crm.incidents.report(Problem("no_car", 1001, note=f"{words} 4"), at_ms=NOW_MS)
    crm.appeals.file("complaint", complaint, MINE, reason="x", at_ms=NOW_MS, words=f"{words} 5")
    crm.feedback.take(Message("app", "k", "idea", customer_id=1, words=f"{words} 6"), at_ms=NOW_MS)
    call = crm.feedback.ask_call_back(1, "x", due_at_ms=NOW_MS, at_ms=NOW_MS)
    crm.feedback.called_back(call, "reached", at_ms=NOW_MS, note=f"{words} 7")
    survey = crm.surveys.create("s", [Question("q")], scope_id=scope_id, at_ms=NOW_MS)
    crm.surveys.send(survey, [1, 2], at_ms=NOW_MS)
    crm.surveys.answer(survey, 1, {"q": 1}, at_ms=NOW_MS, words=f"{words} 8")
    told = json.dumps(crm.privacy.export_person("customer", 1, at_ms=NOW_MS))
    assert [number for number in range(1, 9) if f"{words} {number}" in told] == list(range(1, 9))
    assert words not in json.dumps(crm.privacy.export_person("customer", 2, at_ms=NOW_MS))
    assert words not in json.dumps(crm.privacy.export_person("driver", 101, at_ms=NOW_MS))
    crm.privacy.erase("customer", 1, at_ms=NOW_MS)
    assert desk.read(complaint, at_ms=NOW_MS).words is None
    assert {one.note for one in desk.steps(complaint, at_ms=NOW_MS)} == {None}
    assert crm.surveys.result(survey).num_answered == 1, "what can be counted still is"
    assert crm.ratings.of_driver(101).num == 1
