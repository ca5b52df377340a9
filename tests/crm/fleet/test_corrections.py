"""Sums of drivers' days: what is added and taken out."""

import numpy as np
import pytest

from crm.conftest import MONDAY_MS
from crm.served import NOW_MS, TODAY, served_city, sums_of
from dispatch.crm.fleet.corrections import add_to_days_in, given_up_day_in, take_from_day_in, take_out_in
from dispatch.engine.events import EventKind as Kind, make_events
from dispatch.errors import InputError, StateError


def test_rows_of_one_day_are_added_up_and_nothing_falls_below_zero(crm, scope_id):
    with crm.context.database.writing() as connection:
        add_to_days_in(connection, [7, 8, 7], [5, 5, 5], ratings=[1, 1, 1], stars=[5, 2, 3])
        add_to_days_in(connection, [7], [5], ratings=[1], stars=[1])
        add_to_days_in(connection, [], [], ratings=[], stars=[])
    assert sums_of(crm, 7) == {"ratings": 3, "stars": 9, "complaints_upheld": 0, "unassigned": 0}
    with crm.context.database.writing() as connection:
        take_from_day_in(connection, 7, 5, ratings=1, stars=5)
        take_from_day_in(connection, 7, 5, ratings=1, stars=5)
        take_from_day_in(connection, 9, 5, ratings=1, stars=5)
    assert sums_of(crm, 7)["stars"] == 4
    assert sums_of(crm, 9)["ratings"] == 0


def test_a_rating_and_a_cancellation_are_taken_out_once(crm, scope_id):
    served_city(crm, scope_id, 2)
    made = crm.ratings.rate(1001, "driver", 1, at_ms=NOW_MS)
    crm.ratings.rate(1002, "driver", 5, at_ms=NOW_MS)
    told = {"order_id": 5, "driver_id": 101}
    events = np.concatenate(
        [
            make_events(Kind.ORDER_SUBMITTED, 1, at_ms=MONDAY_MS, order_id=5),
            make_events(Kind.ORDER_ASSIGNED, 1, at_ms=MONDAY_MS, **told),
            make_events(Kind.ORDER_UNASSIGNED, 1, at_ms=MONDAY_MS + 1, **told),
        ]
    )
    crm.events.apply(events, first_seq=0, scope_id=scope_id)
    assert sums_of(crm, 101) == {"ratings": 1, "stars": 1, "complaints_upheld": 0, "unassigned": 1}
    with crm.context.database.writing() as connection:
        assert given_up_day_in(connection, 5, 101) == MONDAY_MS // 86_400_000
        take_out_in(connection, "rating", made, 101, NOW_MS)
        take_out_in(connection, "cancel", 5, 101, NOW_MS)
    assert sums_of(crm, 101) == {"ratings": 0, "stars": 0, "complaints_upheld": 0, "unassigned": 0}
    assert crm.ratings.of_driver(101).num == 0
    bad = (
        (("rating", made, 101), StateError),
        (("cancel", 5, 101), StateError),
        (("cancel", 5, 102), InputError),
        (("cancel", 6, 101), InputError),
        (("rating", made, 102), InputError),
        (("smile", 1, 101), InputError),
    )
    for what, error in bad:
        with pytest.raises(error), crm.context.database.writing() as connection:
            take_out_in(connection, *what, NOW_MS)
    assert sums_of(crm, 102)["ratings"] == 1
    assert TODAY > 0
