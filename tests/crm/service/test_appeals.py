"""Appeals: what is granted is undone, once, by somebody who did not decide it."""

import numpy as np
import pytest

from crm.conftest import MONDAY_MS, OTHER_CITY, actor
from crm.engaged import insert
from crm.fleet.test_blocks import BAD
from crm.served import NOW_MS, add_driver_days, not_picked_up, served_city, sums_of
from dispatch.crm.service.complaints import Compensation, NewComplaint
from dispatch.crm.tables.service import appeal
from dispatch.engine.events import EventKind as Kind, make_events
from dispatch.errors import AuthError, InputError, StateError

LATER = NOW_MS + 1000


@pytest.fixture
def city(crm, scope_id):
    served_city(crm, scope_id)
    return crm


def staff(crm, name, role="manager"):
    return crm.acting_as(actor(role, name))


def driver(crm, driver_id):
    return crm.acting_as(actor("driver", f"driver-{driver_id}", own=("driver", driver_id)))


def customer(crm, customer_id):
    return crm.acting_as(actor("customer", f"customer-{customer_id}", own=("customer", customer_id)))


def test_a_driver_wins_against_a_verdict(city):
    made = customer(city, 1).service_desk.file(NewComplaint(1, "rude_driver", 1001), at_ms=NOW_MS)
    gift = Compensation(points=100)
    staff(city, "ann").service_desk.resolve(made, "upheld", reason="x", at_ms=NOW_MS, compensation=gift)
    assert sums_of(city, 101)["complaints_upheld"] == 1
    by = ("driver", 101)
    filed = driver(city, 101).appeals.file(
        "complaint", made, by, reason="not_there", at_ms=LATER, words="I was at home, Jo"
    )
    for other in (driver(city, 102), customer(city, 1)):
        with pytest.raises(AuthError):
            other.appeals.file("complaint", made, by, reason="x", at_ms=LATER)
    with pytest.raises(InputError, match="none that went against"):
        driver(city, 102).appeals.file("complaint", made, ("driver", 102), reason="x", at_ms=LATER)
    with pytest.raises(StateError):
        driver(city, 101).appeals.file("complaint", made, by, reason="x", at_ms=LATER)
    assert [one.appeal_id for one in staff(city, "bob").appeals.queue()] == [filed]
    assert driver(city, 101).appeals.of(by, at_ms=LATER)[0].words == "I was at home, Jo"
    with pytest.raises(StateError, match="somebody else than 'ann'"):
        staff(city, "ann").appeals.decide(filed, True, reason="x", at_ms=LATER)
    for who in (actor("agent"), actor("manager", tenant="zenith"), actor("driver", own=by)):
        with pytest.raises(AuthError):
            city.acting_as(who).appeals.decide(filed, True, reason="x", at_ms=LATER)
    with pytest.raises(InputError, match="time goes backwards"):
        staff(city, "bob").appeals.decide(filed, True, reason="x", at_ms=LATER - 1)
    staff(city, "bob").appeals.decide(filed, True, reason="proof", at_ms=LATER)
    assert sums_of(city, 101)["complaints_upheld"] == 0
    seen = city.service_desk.read(made, at_ms=LATER)
    assert (seen.verdict, seen.decided_by) == ("rejected", "bob")
    assert city.points.balance(1, at_ms=LATER).points == 100, "what was given stays given"
    assert city.credit.standing(1) == 80
    with pytest.raises(StateError, match="granted already"):
        staff(city, "bob").appeals.decide(filed, False, reason="x", at_ms=LATER)
    assert staff(city, "bob").appeals.queue() == []
    assert [one.type for one in city.outbox.messages()][-1] == "appeal.decided"


def test_a_customer_wins_against_a_verdict_and_its_malice(city):
    made = customer(city, 1).service_desk.file(NewComplaint(1, "rude_driver", 1001), at_ms=NOW_MS)
    staff(city, "ann").service_desk.resolve(made, "rejected", reason="x", at_ms=NOW_MS)
    staff(city, "ann").credit.malicious(made, "invented", at_ms=NOW_MS)
    assert city.credit.standing(1) == 70
    me = customer(city, 1)
    filed = me.appeals.file("complaint", made, ("customer", 1), reason="video", at_ms=LATER)
    staff(city, "bob").appeals.decide(filed, True, reason="video", at_ms=LATER)
    assert city.service_desk.read(made, at_ms=LATER).verdict == "upheld"
    assert sums_of(city, 101)["complaints_upheld"] == 1
    assert city.credit.standing(1) == 80
    assert [one.delta for one in city.credit.events(1)] == [-10, 10]
    with pytest.raises(InputError, match="none that went against"):
        me.appeals.file("credit", city.credit.events(1)[1].event_id, ("customer", 1), reason="x", at_ms=LATER)
    # The driver, against whom it is now, may appeal as well.
    again = driver(city, 101).appeals.file("complaint", made, ("driver", 101), reason="x", at_ms=LATER)
    staff(city, "cleo").appeals.decide(again, False, reason="seen_enough", at_ms=LATER)
    assert city.service_desk.read(made, at_ms=LATER).verdict == "upheld"


def test_a_block_ends_and_what_it_was_based_on_counts_no_more(city, scope_id):
    add_driver_days(city, [{"driver_id": 101, "ago": 1, **BAD}])
    bad_rating = city.ratings.rate(1001, "driver", 1, at_ms=NOW_MS)
    wrong = city.service_desk.file(NewComplaint(1, "rude_driver", 1001), at_ms=NOW_MS)
    staff(city, "ann").service_desk.resolve(wrong, "upheld", reason="x", at_ms=NOW_MS)
    told = {"order_id": 5, "driver_id": 101}
    events = [
        make_events(Kind.ORDER_SUBMITTED, 1, at_ms=MONDAY_MS, order_id=5),
        make_events(Kind.ORDER_ASSIGNED, 1, at_ms=MONDAY_MS, **told),
        make_events(Kind.ORDER_UNASSIGNED, 1, at_ms=MONDAY_MS, **told),
    ]
    city.events.apply(np.concatenate(events), first_seq=0, scope_id=scope_id)
    before = sums_of(city, 101)
    assert city.blocks.review(scope_id=scope_id, at_ms=NOW_MS) == [101]
    (block,) = city.blocks.of(101)
    filed = driver(city, 101).appeals.file("block", block.block_id, ("driver", 101), reason="x", at_ms=LATER)
    bases = [("rating", bad_rating), ("complaint", wrong), ("cancel", 5)]
    decide = staff(city, "bob").appeals.decide
    with pytest.raises(InputError, match="that is granted"):
        decide(filed, False, reason="x", at_ms=LATER, take_out=bases)
    with pytest.raises(InputError, match="take_out"):
        decide(filed, True, reason="x", at_ms=LATER, take_out=[("weather", 1)])
    with pytest.raises(InputError, match="did not give up"):
        decide(filed, True, reason="x", at_ms=LATER, take_out=[*bases, ("cancel", 6)])
    assert sums_of(city, 101) == before, "nothing is half done"
    assert city.blocks.of(101)[0].lifted_at_ms is None
    decide(filed, True, reason="wrong_data", at_ms=LATER, take_out=bases)
    assert city.eligibility.of(101, at_ms=LATER).eligible[0] == 1
    after = sums_of(city, 101)
    assert {name: before[name] - after[name] for name in before} == {
        "ratings": 1,
        "stars": 1,
        "complaints_upheld": 1,
        "unassigned": 1,
    }
    assert city.scores.explain(101, at_ms=LATER).trips == 40, "a lifted block resets nothing"


def test_ratings_cancellations_and_standings(city, scope_id):
    of_driver = city.ratings.rate(1001, "driver", 1, at_ms=NOW_MS)
    of_customer = city.ratings.rate(1001, "customer", 1, at_ms=NOW_MS)
    not_picked_up(city, 1002)
    city.credit.no_show(1002, at_ms=NOW_MS)
    (event,) = city.credit.events(2)
    cases = (
        ("rating", of_driver, ("driver", 101)),
        ("rating", of_customer, ("customer", 1)),
        ("credit", event.event_id, ("customer", 2)),
    )
    for kind, object_id, by in cases:
        for wrong in (("driver", 104), ("customer", 4)):
            with pytest.raises(InputError, match="none that went against"):
                city.appeals.file(kind, object_id, wrong, reason="x", at_ms=LATER)
        filed = city.appeals.file(kind, object_id, by, reason="x", at_ms=LATER)
        staff(city, "bob").appeals.decide(filed, True, reason="x", at_ms=LATER)
    assert city.ratings.of_driver(101).num == city.ratings.of_customer(1).num == 0
    assert sums_of(city, 101)["stars"] == 0
    assert city.credit.standing(2) == 80
    assert city.credit.events(2)[1].reverses_id == event.event_id
    for kind in ("cancel", "block", "complaint"):
        with pytest.raises(InputError):
            city.appeals.file(kind, 77, ("driver", 101), reason="x", at_ms=LATER)
    with pytest.raises(InputError, match="none that went against"):
        city.appeals.file("cancel", 77, ("customer", 1), reason="x", at_ms=LATER)
    with pytest.raises(InputError, match="against"):
        city.appeals.file("weather", 1, ("driver", 101), reason="x", at_ms=LATER)


def test_appeals_of_other_places_are_out_of_reach(city):
    row = {
        "against": "block",
        "object_id": 1,
        "kind": "driver",
        "person_id": 1,
        "reason": "x",
        "filed_by": "x",
    }
    insert(city, appeal, [{**row, "scope_id": city.scope("acme", OTHER_CITY), "filed_at_ms": 1}])
    assert len(staff(city, "boss").appeals.queue()) == 1
    assert city.acting_as(actor("agent")).appeals.queue() == []
