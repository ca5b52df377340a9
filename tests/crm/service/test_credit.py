"""Standing of customers."""

import random

import pytest
import sqlalchemy as sa

from crm.conftest import actor
from crm.engaged import add_customers
from crm.served import NOW_MS, not_picked_up, served_city
from dispatch.crm.service.complaints import NewComplaint
from dispatch.crm.service.credit import OF_ORDERS, credit_orders_in, standings_in
from dispatch.crm.tables.service import credit_event
from dispatch.errors import AuthError, InputError, StateError


def orders(crm, rows, at_ms=NOW_MS):
    """Let (customer, order, reason) change standings."""
    who, order, reason = zip(*rows, strict=True)
    with crm.context.database.writing() as connection:
        credit_orders_in(connection, crm.context.vertical.credit, who, order, reason, [at_ms] * len(rows))


def test_a_standing_is_the_sum_of_its_events_whatever_happens(crm, scope_id):
    add_customers(crm, scope_id, range(1, 9))
    luck, order, plain = random.Random(3), 0, dict.fromkeys(range(1, 9), 80)
    rule = crm.context.vertical.credit
    rows = []
    for _ in range(6):
        batch = []
        for _ in range(40):
            order += 1
            who = luck.randrange(1, 9)
            reason = luck.choices(OF_ORDERS, (5 * who, 3, 2))[0]
            batch.append((who, order, reason))
            plain[who] = min(max(plain[who] + getattr(rule, reason), 0), 100)
        orders(crm, batch)
        rows += batch
        orders(crm, luck.sample(rows, 20))  # told again: nothing happens
    with crm.context.database.reading() as connection:
        assert standings_in(connection, rule, [*plain, 999]) == [*plain.values(), 80]
        sums = connection.execute(
            sa.select(credit_event.c.customer_id, sa.func.sum(credit_event.c.delta)).group_by(
                credit_event.c.customer_id
            )
        )
        assert {who: 80 + total for who, total in sums} == plain
        zero = sa.select(sa.func.count()).where(credit_event.c.delta == 0)
        assert connection.execute(zero).scalar_one() == 0
    assert min(plain.values()) < 30
    assert max(plain.values()) > 90
    with pytest.raises(InputError, match="reasons"):
        orders(crm, [(1, 1, "bad_mood")])


def test_a_complaint_lowers_nothing_unless_a_person_decides_so(crm, scope_id):
    served_city(crm, scope_id)
    desk, boss = crm.service_desk, crm.acting_as(actor("manager", "boss"))
    for customer in (1, 2, 3):
        made = desk.file(NewComplaint(customer, "rude_driver", 1000 + customer), at_ms=NOW_MS)
        assert crm.credit.standing(customer) == 80
        if customer < 3:
            desk.resolve(made, "rejected" if customer == 1 else "upheld", reason="seen", at_ms=NOW_MS + 1)
        assert crm.credit.standing(customer) == 80, "not by its filing, not by any verdict"
        assert crm.credit.events(customer) == []
    for complaint in (2, 3):
        with pytest.raises(StateError, match="only a rejected one"):
            boss.credit.malicious(complaint, "invented", at_ms=NOW_MS + 2)
    with pytest.raises(AuthError):
        crm.acting_as(actor("agent")).credit.malicious(1, "invented", at_ms=NOW_MS + 2)
    assert boss.credit.malicious(1, "invented", at_ms=NOW_MS + 2) == 70
    with pytest.raises(StateError):
        boss.credit.malicious(1, "invented", at_ms=NOW_MS + 3)
    (event,) = crm.credit.events(1)
    assert (event.reason, event.delta, event.made_by) == ("malicious_complaint", -10, "boss")
    not_picked_up(crm, 1001)
    assert crm.credit.no_show(1001, at_ms=NOW_MS + 3) == 65
    with pytest.raises(StateError):
        crm.credit.no_show(1001, at_ms=NOW_MS + 4)
    with pytest.raises(InputError, match="time goes backwards"):
        crm.credit.no_show(1001, at_ms=NOW_MS)
    assert crm.acting_as(actor("customer", own=("customer", 1))).credit.standing(1) == 65
    with pytest.raises(AuthError):
        crm.acting_as(actor("customer", own=("customer", 2))).credit.standing(1)


def test_a_fact_that_comes_late_does_not_set_the_clock_back(crm, scope_id):
    served_city(crm, scope_id)
    orders(crm, [(1, 5001, "completed")], NOW_MS)
    orders(crm, [(1, 5002, "cancelled_late")], NOW_MS - 9_000_000)
    not_picked_up(crm, 1001)
    with pytest.raises(InputError, match="time goes backwards"):
        crm.credit.no_show(1001, at_ms=NOW_MS - 1)


def test_who_was_picked_up_was_there(crm, scope_id):
    served_city(crm, scope_id)
    with pytest.raises(StateError, match="was picked up"):
        crm.credit.no_show(1001, at_ms=NOW_MS)
    assert crm.credit.standing(1) == 80
