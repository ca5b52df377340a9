"""Surveys: asked once, answered once, summed up."""

import pytest
import sqlalchemy as sa

from crm.conftest import actor
from crm.engaged import add_customers
from crm.served import NOW_MS
from dispatch.crm.service.surveys import Question, Surveys
from dispatch.crm.tables.service import survey_sent
from dispatch.errors import AuthError, InputError, StateError

QUESTIONS = (Question("driver"), Question("recommend", 0, 10))


def test_the_way_of_a_survey(crm, scope_id):
    add_customers(crm, scope_id, range(1, 6), status=["active"] * 4 + ["erased"])
    add_customers(crm, crm.scope("acme", "oakland"), [7])
    made = crm.surveys.create("autumn", QUESTIONS, scope_id=scope_id, at_ms=NOW_MS)
    marketing = crm.acting_as(actor("marketing"))
    assert marketing.surveys.send(made, [3, 1, 2, 5, 7, 99, 1], at_ms=NOW_MS + 1) == 3
    assert marketing.surveys.send(made, [1, 4], at_ms=NOW_MS + 2) == 1, "nobody is asked twice"
    asked = [one for one in crm.outbox.messages() if one.type == "survey.sent"]
    assert [one.object_id for one in asked] == [1, 2, 3, 4]
    assert asked[0].data["questions"] == ["driver", "recommend"]
    words = "Jo Doe was late"
    first = crm.acting_as(actor("customer", own=("customer", 1)))
    first.surveys.answer(made, 1, {"driver": 5, "recommend": 9}, at_ms=NOW_MS + 5, words=words)
    crm.surveys.answer(made, 2, {"driver": 3}, at_ms=NOW_MS + 5)
    with pytest.raises(AuthError):
        first.surveys.answer(made, 3, {"driver": 1}, at_ms=NOW_MS + 5)
    for customer, answers, at_ms, error in (
        (1, {"driver": 5}, NOW_MS + 6, StateError),
        (5, {"driver": 5}, NOW_MS + 6, StateError),
        (3, {"driver": 6}, NOW_MS + 6, InputError),
        (3, {"driver": 2.5}, NOW_MS + 6, InputError),
        (3, {"food": 1}, NOW_MS + 6, InputError),
        (3, {}, NOW_MS + 6, InputError),
        (3, {"driver": 1}, NOW_MS, InputError),
    ):
        with pytest.raises(error):
            crm.surveys.answer(made, customer, answers, at_ms=at_ms)
    told = marketing.surveys.result(made)
    assert (told.num_sent, told.num_answered) == (4, 2)
    assert (told.mean, told.satisfied) == ({"driver": 4, "recommend": 9}, {"driver": 0.5, "recommend": 1})
    assert told.counts == {"driver": {5: 1, 3: 1}, "recommend": {9: 1}}
    agent = crm.acting_as(actor("agent"))
    assert agent.surveys.words(made, 1, at_ms=NOW_MS) == words
    assert agent.surveys.words(made, 2, at_ms=NOW_MS) is None
    with crm.context.database.reading() as connection:
        (sealed,) = connection.execute(
            sa.select(survey_sent.c.words).where(survey_sent.c.words.is_not(None))
        ).scalars()
    assert b"Jo" not in sealed
    with pytest.raises(StateError):
        crm.surveys.create("autumn", QUESTIONS, scope_id=scope_id, at_ms=NOW_MS)


def test_bad_surveys_are_refused(crm, scope_id):
    assert isinstance(crm.surveys, Surveys)
    for questions in ((), QUESTIONS * 2, [Question(f"q{one}") for one in range(51)]):
        with pytest.raises(InputError, match="questions"):
            crm.surveys.create("x", questions, scope_id=scope_id, at_ms=NOW_MS)
    for name, lowest, highest in (("a b", 1, 5), ("a", 5, 5), ("a", -1, 5), ("a", 1, 101)):
        with pytest.raises(InputError):
            Question(name, lowest, highest)
