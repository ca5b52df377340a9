"""Feedback of all channels, and call-backs."""

import pytest
import sqlalchemy as sa

from crm.conftest import DAY_MS, HOUR_MS, OTHER_CITY, actor
from crm.served import NOW_MS, served_city
from dispatch.crm.service.feedback import Message
from dispatch.crm.tables.service import feedback
from dispatch.errors import AuthError, InputError, StateError


def test_messages_come_in_once_and_are_handled_or_become_complaints(crm, scope_id):
    served_city(crm, scope_id)
    words = "Jo Doe drove well"
    told = Message("email", "msg-1@mail", "praise", customer_id=1, stars=5, words=words)
    made = crm.feedback.take(told, at_ms=NOW_MS)
    assert crm.feedback.take(told, at_ms=NOW_MS + 9) == made
    assert (
        crm.feedback.take(Message("hotline", "msg-1@mail", "praise"), at_ms=NOW_MS, scope_id=scope_id) != made
    )
    seen = crm.acting_as(actor("agent")).feedback.read(made, at_ms=NOW_MS)
    assert (seen.words, seen.stars, seen.received_at_ms) == (words, 5, NOW_MS)
    with crm.context.database.reading() as connection:
        for row in connection.execute(sa.select(feedback)):
            assert "Jo" not in repr(tuple(row))
            assert "@mail" not in repr(tuple(row)), "a channel's name of a message may be somebody's"
    angry = Message("social_media", "x9", "anger", customer_id=2, order_id=1002, stars=1, words="rude Jo!")
    other = crm.acting_as(actor("customer", own=("customer", 2))).feedback.take(angry, at_ms=NOW_MS + 1)
    assert crm.feedback.waiting()[0].feedback_id == made
    crm.feedback.handle(made, "thanked", at_ms=NOW_MS + 2)
    with pytest.raises(StateError, match="handled already"):
        crm.feedback.handle(made, "again", at_ms=NOW_MS + 3)
    complaint = crm.feedback.complain(other, "rude_driver", at_ms=NOW_MS + HOUR_MS)
    filed = crm.service_desk.read(complaint, at_ms=NOW_MS + HOUR_MS)
    assert (filed.words, filed.channel, filed.order_id) == ("rude Jo!", "social_media", 1002)
    assert crm.feedback.read(other, at_ms=NOW_MS).complaint_id == complaint
    (nobody,) = crm.feedback.waiting()
    with pytest.raises(InputError, match="nobody known"):
        crm.feedback.complain(nobody.feedback_id, "detour", at_ms=NOW_MS + HOUR_MS)
    assert len(crm.feedback.waiting()) == 1, "nothing is half done"
    sums = crm.feedback.satisfaction(NOW_MS, NOW_MS + DAY_MS, scope_id=scope_id)
    assert (sums.num, sums.mean) == ({"email": 1, "social_media": 1}, {"email": 5, "social_media": 1})
    assert sums.satisfied == 0.5
    assert crm.feedback.satisfaction(0, 1, scope_id=scope_id).satisfied is None
    for who in (actor("customer", own=("customer", 1)), actor("agent", cities=frozenset({OTHER_CITY}))):
        with pytest.raises(AuthError):
            crm.acting_as(who).feedback.read(other, at_ms=NOW_MS)
    with pytest.raises(AuthError):
        crm.acting_as(actor("customer", own=("customer", 1))).feedback.take(angry, at_ms=NOW_MS)


def test_call_backs(crm, scope_id):
    served_city(crm, scope_id)
    late = crm.feedback.ask_call_back(1, "angry", due_at_ms=NOW_MS + DAY_MS, at_ms=NOW_MS)
    soon = crm.feedback.ask_call_back(2, "survey", due_at_ms=NOW_MS + HOUR_MS, at_ms=NOW_MS)
    agent = crm.acting_as(actor("agent"))
    assert [one.call_id for one in agent.feedback.call_backs()] == [soon, late]
    agent.feedback.called_back(soon, "reached", at_ms=NOW_MS + 5, stars=4, note="Jo is content")
    with pytest.raises(StateError, match="done already"):
        agent.feedback.called_back(soon, "reached", at_ms=NOW_MS + 5)
    assert [one.call_id for one in agent.feedback.call_backs()] == [late]
    assert crm.feedback.satisfaction(NOW_MS, NOW_MS + 9, scope_id=scope_id).num == {"call_back": 1}
    (message, _) = [one for one in crm.outbox.messages() if one.type == "call_back.due"]
    assert message.subject == "customer/1"
    for call in (
        lambda: crm.feedback.ask_call_back(1, "x", due_at_ms=NOW_MS - 1, at_ms=NOW_MS),
        lambda: crm.feedback.ask_call_back(1, "x", due_at_ms=NOW_MS, at_ms=NOW_MS, complaint_id=5),
        lambda: crm.feedback.ask_call_back(99, "x", due_at_ms=NOW_MS, at_ms=NOW_MS),
        lambda: crm.feedback.called_back(late, "reached", at_ms=NOW_MS, stars=6),
        lambda: crm.feedback.called_back(late, "reached", at_ms=NOW_MS - 1),
        lambda: crm.feedback.called_back(late, "reached at home", at_ms=NOW_MS),
    ):
        with pytest.raises(InputError):
            call()


@pytest.mark.parametrize(
    "changes",
    [
        {"channel": "telepathy"},
        {"key": ""},
        {"topic": "a b"},
        {"stars": 0},
        {"customer_id": -1},
        {"words": "whose?", "customer_id": None},
        {"words": " "},
    ],
)
def test_bad_messages_are_refused(changes):
    with pytest.raises(InputError):
        Message(**{"channel": "app", "key": "k", "topic": "idea", "customer_id": 1} | changes)


def test_a_message_of_nobody_needs_a_place(crm):
    with pytest.raises(InputError, match="scope_id"):
        crm.feedback.take(Message("app", "k", "idea"), at_ms=NOW_MS)
