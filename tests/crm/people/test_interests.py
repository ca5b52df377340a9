"""Topics: asked for and dropped by the customer alone, told to those who asked and agree."""

import pytest
import sqlalchemy as sa

from crm.conftest import MONDAY_MS, OTHER_CITY, actor
from crm.engaged import add_customers, say
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.crm.tables.engagement import interest
from dispatch.errors import AuthError, InputError


def test_those_who_asked_and_agree_are_told(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3])
    add_customers(crm, crm.scope("acme", OTHER_CITY), [4])
    say(crm, [1, 2, 4], "marketing")
    for customer_id in (1, 3, 4):
        assert crm.interests.ask(customer_id, "new-chargers", MONDAY_MS)
    assert not crm.interests.ask(1, "new-chargers", MONDAY_MS + 1)
    crm.interests.ask(1, "airport", MONDAY_MS)
    assert crm.interests.of(1) == ["airport", "new-chargers"]
    assert crm.interests.tell(scope_id, "new-chargers", "charger_open", MONDAY_MS, {"station_id": 7}) == 1
    (message,) = crm.outbox.messages()
    assert (message.type, message.subject) == ("topic.new_chargers", "customer/1")
    assert message.data == {"station_id": 7, "template": "charger_open"}
    assert crm.interests.drop(1, "new-chargers", MONDAY_MS)
    assert not crm.interests.drop(1, "new-chargers", MONDAY_MS)
    assert crm.interests.tell(scope_id, "new-chargers", "charger_open", MONDAY_MS, {}) == 0


def test_topics_are_a_customer_s_own(crm, scope_id):
    add_customers(crm, scope_id, [1, 2])
    own = crm.acting_as(actor("customer", own=("customer", 1))).interests
    own.ask(1, "airport", MONDAY_MS)
    for refused in (
        lambda: own.ask(2, "airport", MONDAY_MS),
        lambda: own.of(2),
        lambda: own.tell(scope_id, "airport", "news", MONDAY_MS, {}),
        lambda: crm.acting_as(actor("analyst")).interests.of(1),
    ):
        with pytest.raises(AuthError):
            refused()
    for broken in (
        lambda: own.ask(1, "two words", MONDAY_MS),
        lambda: crm.interests.tell(scope_id, "airport", "two words", MONDAY_MS, {}),
        lambda: crm.interests.ask(99, "airport", MONDAY_MS),
    ):
        with pytest.raises(InputError):
            broken()


def test_topics_and_wishes_follow_a_merge_and_go_with_an_erasure(crm, scope_id):
    old, new = (
        crm.customers.register(CustomerDetails(birthday_mmdd=1120), scope_id=scope_id, at_ms=MONDAY_MS)
        for _ in range(2)
    )
    crm.interests.ask(old, "airport", MONDAY_MS)
    crm.interests.ask(old, "chargers", MONDAY_MS)
    crm.interests.ask(new, "airport", MONDAY_MS)
    say(crm, [old], "marketing")
    assert crm.care.run(MONDAY_MS)["birthday"] == 1
    crm.contacts.merge(old, new, at_ms=MONDAY_MS + 1)
    assert crm.interests.of(new) == ["airport", "chargers"]
    assert crm.interests.of(old) == []
    say(crm, [new], "marketing", at_ms=MONDAY_MS + 2)
    assert crm.care.run(MONDAY_MS + 3)["birthday"] == 0, "that person was wished well already"
    crm.privacy.erase("customer", new, at_ms=MONDAY_MS + 4)
    with crm.context.database.reading() as connection:
        assert connection.execute(sa.select(interest)).all() == []
