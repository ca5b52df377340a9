from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.histories import random_history
from analysis.logs import event, log_of, random_log
from dispatch.analysis.order_table import OrderTable, order_table, rows_of
from dispatch.engine.events import EVENT_DTYPE, EventKind, make_events
from dispatch.errors import InputError
from dispatch.units import NO_INDEX, NO_VALUE
from naive.replay import orders_in_plain_python

K = EventKind


@settings(max_examples=60, deadline=None)
@given(
    make_log=st.sampled_from([random_log, random_history]),
    seed=st.integers(0, 10**6),
    num_drivers=st.integers(0, 8),
    complete=st.booleans(),
)
def test_table_agrees_with_the_oracle(make_log, seed, num_drivers, complete):
    events = make_log(seed, num_drivers=num_drivers, complete=complete)
    table = order_table(events)
    expected = orders_in_plain_python(events)
    assert len(table) == len(expected)
    for field in fields(OrderTable):
        column = getattr(table, field.name)
        assert column.tolist() == [row.get(field.name, NO_VALUE) for row in expected], field.name
        assert column.flags.c_contiguous


def test_no_events_make_no_rows():
    table = order_table(np.empty(0, EVENT_DTYPE))
    assert all(len(getattr(table, field.name)) == 0 for field in fields(OrderTable))


def test_a_log_without_orders_makes_no_rows():
    assert len(order_table(event(K.DRIVER_ONLINE, 5, driver_id=1))) == 0


def test_an_order_taken_from_one_driver_and_given_to_another():
    events = log_of(
        event(K.ORDER_SUBMITTED, 10, 5),
        event(K.OFFER_ACCEPTED, 20, 5, 1),
        event(K.ORDER_ASSIGNED, 20, 5, 1, eta_ms=7, nearest_eta_ms=7),
        event(K.DRIVER_ARRIVED, 30, 5, 1, leg_m=100),
        event(K.ORDER_UNASSIGNED, 40, 5, 1),
        event(K.ORDER_ASSIGNED, 50, 5, 2, eta_ms=9, nearest_eta_ms=8),
    )
    table = order_table(events)
    assert (table.first_accepted_at_ms[0], table.accepted_at_ms[0], table.driver_id[0]) == (20, 50, 2)
    assert (table.quoted_eta_ms[0], table.nearest_eta_ms[0]) == (9, 8)
    assert (table.arrived_at_ms[0], table.pickup_m[0]) == (NO_VALUE, NO_VALUE), "the first driver's arrival"


def test_an_order_that_was_never_submitted_is_named():
    events = log_of(event(K.ORDER_SUBMITTED, 10, 5), event(K.OFFER_ACCEPTED, 20, 6, 1))
    with pytest.raises(InputError, match=r"order_id 6 in row 1 \(offer_accepted\)"):
        order_table(events)


@pytest.mark.parametrize("stride", [1, 10**12])
def test_an_id_that_is_submitted_twice_is_named(stride):
    ids = np.array([5, 6, 7, 6, 5]) * stride
    events = make_events(K.ORDER_SUBMITTED, 5, at_ms=np.arange(5), order_id=ids)
    with pytest.raises(
        InputError, match=rf"order_id ({ids[0]} .* row 0 .* row 4|{ids[1]} .* row 1 .* row 3)"
    ):
        order_table(events)
    assert len(order_table(events[:3])) == 3


@given(
    ids=st.lists(st.integers(0, 50) | st.integers(-(2**62), 2**62), unique=True, max_size=30),
    wanted=st.lists(st.integers(-2, 60) | st.integers(-(2**62), 2**62), max_size=30),
)
def test_rows_of_dense_and_scattered_ids(ids, wanted):
    found = rows_of(np.array(ids, np.int64), np.array(wanted + ids, np.int64))
    assert found.tolist() == [ids.index(one) if one in ids else NO_INDEX for one in wanted + ids]


def big_log(num_orders):
    """Nine events an order, in order of time."""
    order_id = np.arange(num_orders)
    kinds = (K.ORDER_SUBMITTED, K.CARS_SHOWN, K.ORDER_OFFERED, K.OFFER_ACCEPTED, K.ORDER_ASSIGNED)
    kinds += (K.DRIVER_ARRIVED, K.PICKED_UP, K.DROPPED_OFF, K.ORDER_CLOSED)
    parts = [
        make_events(
            kind,
            num_orders,
            at_ms=order_id * 200 + 60_000 * step,
            order_id=order_id,
            driver_id=order_id % 500,
        )
        for step, kind in enumerate(kinds)
    ]
    events = np.concatenate(parts)
    return events[np.argsort(events["at_ms"], kind="stable")]


def test_400_000_orders_are_all_there():
    events = big_log(400_000)
    table = order_table(events)
    assert np.array_equal(table.closed_at_ms - table.submitted_at_ms, np.full(400_000, 480_000))


def test_to_be_given_to_another_driver_is_an_assignment_and_the_first_acceptance_stays():
    events = log_of(
        event(K.ORDER_SUBMITTED, 10, 5),
        event(K.OFFER_ACCEPTED, 20, 5, 1),
        event(K.ORDER_ASSIGNED, 20, 5, 1, eta_ms=70, nearest_eta_ms=60),
        event(K.ORDER_RELEASED, 40, 5, 1),
        event(K.ORDER_REASSIGNED, 40, 5, 2, eta_ms=9, nearest_eta_ms=8),
        event(K.DRIVER_ARRIVED, 50, 5, 2, leg_m=100),
    )
    table = order_table(events)
    assert (table.first_accepted_at_ms[0], table.accepted_at_ms[0], table.driver_id[0]) == (20, 40, 2)
    assert (table.quoted_eta_ms[0], table.nearest_eta_ms[0]) == (9, 8)
    assert (table.arrived_at_ms[0], table.pickup_m[0]) == (50, 100)


def test_who_asked_for_what():
    told = {"customer_id": 9, "tier": 2, "is_first": 1, "passengers": 3, "vehicle_class": 1}
    table = order_table(log_of(event(K.ORDER_SUBMITTED, 10, 5, **told), event(K.ORDER_SUBMITTED, 10, 6)))
    for name, value in told.items():
        assert getattr(table, name).tolist() == [value, NO_VALUE], name


def test_a_wait_counts_from_the_wanted_pickup_and_is_never_negative():
    wanted_after_ms = (NO_VALUE, 0, 30, 100, 100)
    boarded_at_ms = (50, 50, 50, 50, None)
    events = log_of(
        *(event(K.ORDER_SUBMITTED, 10, n, wanted_after_ms=after) for n, after in enumerate(wanted_after_ms)),
        *(event(K.PICKED_UP, at, n, 1) for n, at in enumerate(boarded_at_ms) if at is not None),
    )
    table = order_table(events)
    assert table.wanted_at_ms.tolist() == [10, 10, 40, 110, 110]
    assert table.wait_ms.tolist() == [40, 40, 10, 0, NO_VALUE]


def test_some_rows_make_a_table_of_their_own():
    table = order_table(random_log(3))
    some, first = table.take(np.array([4, 1])), table.take(slice(0, 2))
    assert some.order_id.tolist() == [table.order_id[4], table.order_id[1]]
    assert np.array_equal(some.wait_ms, table.wait_ms[[4, 1]])
    assert np.shares_memory(first.order_id, table.order_id)
