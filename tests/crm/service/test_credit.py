"""Standing of customers."""

import itertools
import random
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings, strategies as st

from crm.conftest import HOUR_MS, actor
from crm.engaged import add_customers
from crm.served import BOSS, NOW_MS, add_finished, not_picked_up, served_city
from dispatch.crm.rules import CreditRule
from dispatch.crm.service.complaints import NewComplaint
from dispatch.crm.service.credit import OF_ORDERS, credit_orders_in, reverse_in, standings_in
from dispatch.crm.tables.service import credit, credit_event
from dispatch.errors import AuthError, InputError, StateError

IDS = itertools.count(10_000)
LATE = {"stage": 7, "dropped_off_at_ms": None}
"""Of an order that was given up once a driver had it."""
NOT_THERE = {**LATE, "driver_id": None}


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


# --- merged customers ----------------------------------------------------------------------------


def ended(crm, scope_id, who, reason, at_ms):
    """Let an order end, as the engine's events would tell of it."""
    order = next(IDS)
    more = {"completed": {}, "cancelled_late": LATE, "no_show": NOT_THERE}[reason]
    add_finished(crm, scope_id, [(order, who, 101)], **{"ended_at_ms": at_ms} | more)
    if reason == "no_show":
        crm.credit.no_show(order, at_ms=at_ms)
    else:
        orders(crm, [(who, order, reason)], at_ms)
    return order


def latest_event(crm, who):
    """The latest event of a customer's that can be reversed and was not, None if there is none."""
    gone = {one.reverses_id for one in crm.credit.events(who)}
    some = [one for one in crm.credit.events(who) if one.reason in OF_ORDERS and one.event_id not in gone]
    return some[-1] if some else None


class Single:
    """A customer to whom all happens, in plain numbers."""

    def __init__(self, rule):
        self.rule, self.standing, self.effects = rule, rule.begin, {}

    def change(self, order, delta):
        after = min(max(self.standing + delta, 0), 100)
        self.effects[order] = after - self.standing
        self.standing = after


def assert_sums_agree(crm, who, family, begin):
    told = crm.credit.events(who)
    assert {one.customer_id for one in told} <= set(family)
    assert crm.credit.standing(who) == begin + sum(one.delta for one in told)
    with crm.context.database.reading() as connection:
        rows = connection.execute(sa.select(credit).where(credit.c.customer_id.in_(family))).all()
    kept = {row.customer_id: row.standing for row in rows}
    for one in family:
        own = begin + sum(event.delta for event in told if event.customer_id == one)
        assert kept.get(one, begin) == own
    return kept


WHATS = st.sampled_from(["completed", "completed", "cancelled_late", "no_show", "reverse"])
UNCOUNTED = [(0, "completed")] * 3 + [(1, "no_show"), (0, "completed")]
CUT = [(0, "no_show")] * 2 + [(1, "completed"), (0, "completed"), (0, "cancelled_late")]
TAKEN_BACK = [(0, "completed"), (1, "completed"), (1, "reverse")]
STEPS = st.lists(st.tuples(st.integers(0, 2), WHATS), min_size=1, max_size=14)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # examples bring customers of their own
@given(steps=STEPS, first=st.integers(0, 14), second=st.integers(0, 14))
@example(UNCOUNTED, 14, 14)
@example(CUT, 14, 14)
@example(TAKEN_BACK, 14, 14)
def test_merged_customers_stand_as_one_to_whom_all_happened(crm, scope_id, steps, first, second):
    # Steps so large that 0 and 100 are met often, where effects are cut and orders leave no event.
    rule = CreditRule(begin=80, completed=15, cancelled_late=-30, no_show=-40)
    crm = type(crm)(replace(crm.context, vertical=replace(crm.context.vertical, credit=rule)))
    ids = [next(IDS) for _ in range(3)]
    add_customers(crm, scope_id, ids)
    single, merges = Single(rule), [(0, 1), (1, 2)]
    due = sorted((min(first, len(steps)), min(second, len(steps))))
    for place, (who, what) in enumerate([*steps, (0, "completed")]):
        at_ms = NOW_MS + 1000 * place
        while due and due[0] == place:
            old, new = merges.pop(0)
            crm.contacts.merge(ids[old], ids[new], at_ms=at_ms - 500)
            due.pop(0)
        if what != "reverse":
            single.change(ended(crm, scope_id, ids[who], what, at_ms), getattr(rule, what))
        elif len(merges) == 2 and (event := latest_event(crm, ids[who])) is not None:
            with crm.context.database.writing() as connection:
                reverse_in(connection, rule, event.event_id, at_ms, "boss")
            single.change(None, -single.effects[event.order_id])
        if not merges:
            assert crm.credit.standing(ids[2]) == single.standing
    assert_sums_agree(crm, ids[0], ids, rule.begin)


def test_a_merge_of_standings_can_be_followed(crm, scope_id):
    add_customers(crm, scope_id, [1, 2, 3, 4])
    for hour in range(25):  # 80, and up to 100: the last five leave no event
        ended(crm, scope_id, 1, "completed", NOW_MS + hour * HOUR_MS)
    for hour in (3, 30):
        ended(crm, scope_id, 2, "no_show", NOW_MS + hour * HOUR_MS)
    assert [crm.credit.standing(one) for one in (1, 2, 3)] == [100, 70, 80]
    now_ms = NOW_MS + 40 * HOUR_MS
    crm.acting_as(BOSS).contacts.merge(1, 2, at_ms=now_ms)
    # 80, three up, five down, 22 up, so that 100 is reached once more, five down.
    assert [crm.credit.standing(one) for one in (1, 2, 3)] == [95, 95, 80]
    told = crm.credit.events(2)
    assert told == crm.credit.events(1)
    merged = [(one.customer_id, one.delta, one.made_by) for one in told if one.reason == "merged"]
    assert merged == [(1, -20, "boss"), (2, 25, "boss")]
    assert assert_sums_agree(crm, 2, [1, 2], 80) == {2: 95}
    # What comes under the old name goes to the customer who is left, at no earlier instant.
    ended(crm, scope_id, 1, "completed", now_ms + 5)
    assert crm.credit.standing(2) == 96
    with pytest.raises(InputError, match="time goes backwards"):
        ended(crm, scope_id, 1, "no_show", now_ms - 1)
    # Of whom nothing is known to stand nothing is told.
    before = crm.credit.events(2)
    crm.contacts.merge(3, 2, at_ms=now_ms + 6)
    crm.contacts.merge(2, 4, at_ms=now_ms + 7)
    assert (crm.credit.standing(4), assert_sums_agree(crm, 4, [1, 2, 3, 4], 80)) == (96, {4: 96})
    assert crm.credit.events(4)[: len(before)] == before


def test_orders_from_before_a_customer_was_entered_count_for_nobody(crm, scope_id):
    add_customers(crm, scope_id, [1, 2], created_at_ms=[NOW_MS, 0])
    add_finished(crm, scope_id, [(51, 1, 101)], ended_at_ms=NOW_MS - 1)
    add_finished(crm, scope_id, [(52, 1, 101)], ended_at_ms=NOW_MS)
    add_finished(crm, scope_id, [(53, 2, 101)], **NOT_THERE)
    crm.contacts.merge(1, 2, at_ms=NOW_MS + 1)
    assert crm.credit.standing(2) == 81


def test_who_was_merged_appeals_and_is_judged_as_the_customer_who_is_left(crm, scope_id):
    served_city(crm, scope_id)
    boss, other = crm.acting_as(BOSS), crm.acting_as(replace(BOSS, name="other"))
    made = crm.service_desk.file(NewComplaint(1, "rude_driver", 1001), at_ms=NOW_MS)
    crm.service_desk.resolve(made, "rejected", reason="seen", at_ms=NOW_MS + 1)
    late = ended(crm, scope_id, 1, "no_show", NOW_MS + 2)
    crm.contacts.merge(1, 2, at_ms=NOW_MS + 3)
    assert boss.credit.malicious(made, "invented", at_ms=NOW_MS + 4) == crm.credit.standing(2)
    events = crm.credit.events(2)
    assert [(one.customer_id, one.delta) for one in events if one.reason == "malicious_complaint"] == [
        (2, -10)
    ]
    (wrong,) = (one for one in events if one.order_id == late)
    assert wrong.customer_id == 1
    (moved,) = (one for one in events if one.reason == "merged" and one.delta < 0)
    before = crm.credit.standing(2)
    with pytest.raises(InputError, match="went against"):
        crm.appeals.file("credit", moved.event_id, ("customer", 2), reason="x", at_ms=NOW_MS + 5)
    with crm.context.database.writing() as connection, pytest.raises(StateError, match="sums up others"):
        reverse_in(connection, crm.context.vertical.credit, moved.event_id, NOW_MS + 5, "boss")
    appeal = crm.appeals.file("credit", wrong.event_id, ("customer", 2), reason="there", at_ms=NOW_MS + 5)
    other.appeals.decide(appeal, True, reason="seen", at_ms=NOW_MS + 6)
    assert crm.credit.standing(2) == before + 5
    assert crm.credit.events(2)[-1].customer_id == 2
