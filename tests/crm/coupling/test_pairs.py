"""Who had better not meet again, by what both have said of each other."""

import random
from dataclasses import replace

import numpy as np
import pytest

from cities import line_city, new_orders, positions
from crm.conftest import DAY_MS, HOUR_MS, actor
from crm.engaged import add_customers, insert
from crm.served import NOW_MS, add_drivers, add_finished
from dispatch.crm.coupling.dispatch_inputs import DispatchInputs
from dispatch.crm.rules import PairRule
from dispatch.crm.service.complaints import NewComplaint
from dispatch.crm.tables import service
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind
from dispatch.engine.params import DispatchParams
from dispatch.errors import AuthError, InputError

LOW_MS, UPHELD_MS = 300_000, 900_000


def told(crm, order_id, customer_id, at_ms=NOW_MS + DAY_MS, **rule):
    vertical = replace(crm.context.vertical, pairs=PairRule(**rule))
    terms = DispatchInputs(replace(crm.context, vertical=vertical)).of_pairs(
        order_id, customer_id, at_ms=at_ms
    )
    columns = (terms.order_id, terms.driver_id, terms.cost_ms, terms.may_meet)
    return [tuple(row) for row in np.stack(columns, axis=1).tolist()]


def complain(crm, customer_id, order_id, verdict, code="rude_driver"):
    made = crm.service_desk.file(NewComplaint(customer_id, code, order_id), at_ms=NOW_MS)
    crm.service_desk.resolve(made, verdict, reason="as_found", at_ms=NOW_MS + 1)
    return made


@pytest.fixture
def city(crm, scope_id):
    """Customers 1 to 4, drivers 101 to 104; order 1000 + 10 c + d was c's with driver 100 + d."""
    add_customers(crm, scope_id, [1, 2, 3, 4])
    add_drivers(crm, scope_id, range(101, 105))
    pairs = [(c, d) for c in range(1, 5) for d in range(1, 5)]
    add_finished(crm, scope_id, [(1000 + 10 * c + d, c, 100 + d) for c, d in pairs])
    return crm


def test_low_ratings_and_upheld_complaints_keep_apart(city):
    rate = city.ratings.rate
    rate(1011, "driver", 2, at_ms=NOW_MS)  # by customer 1
    rate(1012, "driver", 3, at_ms=NOW_MS)
    rate(1022, "customer", 1, at_ms=NOW_MS)  # by driver 102
    complain(city, 1, 1011, "upheld")
    complain(city, 1, 1013, "rejected")
    complain(city, 3, 1034, "upheld")
    complain(city, 3, 1033, "upheld", code="no_car")  # the platform's fault
    expected = [(7, 101, UPHELD_MS, 1), (8, 102, LOW_MS, 1), (9, 104, UPHELD_MS, 1)]
    assert told(city, [7, 8, 9, 10, 11], [1, 2, 3, 4, -1]) == expected
    assert told(city, [20, 19], [2, 2]) == [(20, 102, LOW_MS, 1), (19, 102, LOW_MS, 1)]
    assert told(city, [9], [3], bars_upheld=True) == [(9, 104, UPHELD_MS, 0)]
    assert told(city, [9], [3], bars_upheld=True, upheld_cost_s=0.0) == [(9, 104, 0, 0)]
    assert told(city, [7, 8], [1, 2], upheld_cost_s=0.0) == [(7, 101, LOW_MS, 1), (8, 102, LOW_MS, 1)]
    assert told(city, [7], [1], low_rating_cost_s=0.0, upheld_cost_s=0.0) == []
    assert told(city, [7, 8], [1, 2], low_stars=1) == [(7, 101, UPHELD_MS, 1), (8, 102, LOW_MS, 1)]
    assert told(city, [7, 8], [1, 2], NOW_MS - 1) == [], "nobody had said so then"
    assert told(city, [7, 8], [1, 2], NOW_MS + 366 * DAY_MS) == [], "long ago"
    city.drivers.leave(101, at_ms=NOW_MS)
    assert told(city, [7, 8], [1, 2]) == [(8, 102, LOW_MS, 1)]
    assert told(city, [], []) == []


def test_the_latest_rating_counts_and_none_that_an_appeal_took_out(city, scope_id):
    add_finished(city, scope_id, [(2000, 1, 101), (2001, 1, 102)])
    for order, stars, at_ms in (
        (1011, 1, NOW_MS),
        (2000, 5, NOW_MS + 1),
        (1012, 5, NOW_MS),
        (2001, 1, NOW_MS),
    ):
        city.ratings.rate(order, "driver", stars, at_ms=at_ms)
    assert told(city, [7], [1]) == [(7, 102, LOW_MS, 1)]
    assert told(city, [7], [1], NOW_MS) == [(7, 101, LOW_MS, 1), (7, 102, LOW_MS, 1)]
    appeal = city.appeals.file(
        "rating", rating_of(city, 2001), by=("driver", 102), reason="unfair", at_ms=NOW_MS + 2
    )
    city.acting_as(actor("manager", "boss")).appeals.decide(appeal, True, reason="found_so", at_ms=NOW_MS + 3)
    assert told(city, [7], [1]) == []


def rating_of(crm, order_id):
    with crm.context.database.reading() as connection:
        table = service.rating
        return connection.execute(table.select().where(table.c.order_id == order_id)).one().rating_id


def test_who_was_merged_keeps_what_was_said(city):
    city.ratings.rate(1011, "driver", 1, at_ms=NOW_MS)
    complain(city, 1, 1012, "upheld")
    city.contacts.merge(1, 2, at_ms=NOW_MS + 2)
    both = [(101, LOW_MS, 1), (102, UPHELD_MS, 1)]
    assert told(city, [7, 8], [1, 2]) == [(order, *one) for order in (7, 8) for one in both]


def test_many_pairs_as_told_one_at_a_time(city, scope_id):
    luck, ratings, complaints, order = random.Random(2), [], [], 5000
    rows = []
    for _ in range(300):
        order += 1
        customer, driver = luck.randrange(1, 5), luck.randrange(101, 105)
        rows.append((order, customer, driver))
        for about in ("driver", "customer"):
            if luck.random() < 0.3:
                at_ms = NOW_MS + luck.randrange(-100, 100) * HOUR_MS
                removed_ms = luck.choice((None, None, None, at_ms + HOUR_MS))
                ratings.append((customer, driver, about, luck.randrange(1, 6), at_ms, removed_ms, order))
    add_finished(city, scope_id, rows)
    names = ("customer_id", "driver_id", "about", "stars", "at_ms", "removed_at_ms", "order_id")
    insert(city, service.rating, [dict(zip(names, row, strict=True)) | {"day": 0} for row in ratings])
    for order, customer, driver in luck.sample(rows, 6):
        verdict = luck.choice(("upheld", "rejected"))
        complain(city, customer, order, verdict)
        complaints += [(customer, driver)] * (verdict == "upheld")
    seen = 0
    for at_ms in range(NOW_MS - 50 * HOUR_MS, NOW_MS + 100 * HOUR_MS, 10 * HOUR_MS):
        expected = []
        for customer in range(1, 5):
            for driver in range(101, 105):
                is_low = False
                for about in ("driver", "customer"):
                    mine = [
                        (when, row[3])
                        for row in ratings
                        if row[:3] == (customer, driver, about)
                        and (when := row[4]) <= at_ms
                        and (row[5] is None or row[5] > at_ms)
                    ]
                    is_low |= bool(mine) and max(mine)[1] <= 2
                is_upheld = (customer, driver) in complaints and at_ms > NOW_MS
                if is_low or is_upheld:
                    expected.append((customer, driver, UPHELD_MS if is_upheld else LOW_MS, 1))
        assert told(city, [1, 2, 3, 4], [1, 2, 3, 4], at_ms) == expected
        seen += len(expected)
    assert seen > 50


def test_the_engine_keeps_them_apart(city):
    """The driver of whom customer 1 complained is the nearer one: it goes to customer 2 instead."""
    complain(city, 1, 1011, "upheld")
    line, at_ms = line_city(), NOW_MS + DAY_MS
    dispatcher = Dispatcher(line, params=DispatchParams(keep_explanations=10))
    dispatcher.drivers_online(positions(line, [101, 102], [4, 9], at_ms))
    dispatcher.submit(new_orders(line, [1, 2], [4, 5], [12, 12], at_ms))
    dispatcher.set_pair_terms(city.dispatch_inputs.of_pairs([1, 2], [1, 2], at_ms=at_ms))
    events = dispatcher.step(at_ms)
    offered = events[events["kind"] == EventKind.ORDER_OFFERED]
    assert sorted(offered[["order_id", "driver_id"]].tolist()) == [(1, 102), (2, 101)]
    assert "driver 101 was 50 s nearer, 900 s dearer by pair and went to order 2" in str(
        dispatcher.explain(1)
    )


def test_bad_input_and_other_roles_are_refused(city):
    of_pairs = city.dispatch_inputs.of_pairs
    for orders, customers, rule in (
        ([7, 7], [1, 2], "order_id holds 7 more than once"),
        ([7], [1, 2], "customer_id has 2 rows and order_id 1"),
        ([7], ["a"], "customer_id"),
        ([-7], [1], "order_id"),
    ):
        with pytest.raises(InputError, match=rule):
            of_pairs(orders, customers, at_ms=NOW_MS)
    with pytest.raises(InputError, match="at_ms"):
        of_pairs([7], [1], at_ms=-1)
    for role in ("agent", "marketing", "driver", "customer"):
        with pytest.raises(AuthError):
            city.acting_as(actor(role)).dispatch_inputs.of_pairs([7], [1], at_ms=NOW_MS)
