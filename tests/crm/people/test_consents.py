"""Consents: the latest word counts, none at all is no."""

import pytest

from crm.conftest import MONDAY_MS, actor
from crm.made_people import dump
from dispatch.crm.people.consents import agreeing_in, latest_in
from dispatch.crm.people.customer_details import CustomerDetails
from dispatch.errors import AuthError, InputError, StateError


def test_the_latest_word_counts(crm, scope_id):
    ids = crm.customers.register_many({"name": [f"N{row}" for row in range(5)]}, scope_id=scope_id, at_ms=1)
    consents = crm.consents

    def say(customer_id, purpose, granted, at_ms):
        consents.record(customer_id, purpose, granted, at_ms=at_ms, source="app", terms_version="2023-11")

    for at_ms, granted in ((10, True), (20, False), (20, True)):
        say(ids[0], "marketing", granted, at_ms)
    say(ids[1], "marketing", True, 10)
    say(ids[1], "marketing", False, 11)
    say(ids[2], "survey", True, 10)
    say(ids[3], "marketing", True, 10)
    crm.privacy.hold("customer", ids[3], "court_17", at_ms=11)
    crm.privacy.erase("customer", ids[3], at_ms=11)
    assert consents.of(ids[0]) == {"marketing": True}
    assert consents.of(ids[4]) == {}
    assert [(row.granted, row.at_ms, row.terms_version) for row in consents.history(ids[0])] == [
        (True, 10, "2023-11"),
        (False, 20, "2023-11"),
        (True, 20, "2023-11"),
    ]
    with crm.context.database.reading() as connection:
        assert latest_in(connection, ids)[ids[1]] == {"marketing": False}
        assert agreeing_in(connection, "marketing", ids) == {ids[0]}  # one is restricted, one refused
        assert agreeing_in(connection, "survey", ids) == {ids[2]}
        assert agreeing_in(connection, "survey", []) == set()

    before = dump(crm)
    for changes, error in (
        ({"at_ms": 19}, "time goes backwards"),
        ({"granted": 1}, "granted is 1"),
        ({"purpose": "a b"}, "purpose is"),
        ({"source": ""}, "source is"),
        ({"terms_version": "x" * 65}, "terms_version"),
        ({"customer_id": 99}, "not known"),
    ):
        told = {"customer_id": ids[0], "purpose": "marketing", "granted": True, "at_ms": 30, "source": "app"}
        with pytest.raises(InputError, match=error):
            consents.record(**told | changes)
    with pytest.raises(StateError, match="nothing can be agreed"):
        say(ids[3], "marketing", True, 30)
    assert dump(crm) == before
    say(ids[3], "marketing", False, 30)


def test_who_may(crm, scope_id):
    made = crm.customers.register(CustomerDetails(name="N"), scope_id=scope_id, at_ms=MONDAY_MS)
    own = crm.acting_as(actor("customer", own=("customer", made))).consents
    own.record(made, "marketing", True, at_ms=MONDAY_MS, source="app")
    assert own.of(made) == crm.acting_as(actor("marketing")).consents.of(made) == {"marketing": True}
    with pytest.raises(AuthError):
        crm.acting_as(actor("marketing")).consents.record(made, "m", True, at_ms=MONDAY_MS, source="app")
    with pytest.raises(AuthError):
        crm.acting_as(actor("customer", own=("customer", made + 1))).consents.of(made)
