"""New orders as plain arrays take the short way, others a longer one: to the same tables, the same errors."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, assert_same_tables, dispatcher_on, grid_city, places, tables_of
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.inputs import NewOrders
from dispatch.engine.params import DispatchParams
from dispatch.engine.submission import _as_arrays, _is_in_order
from dispatch.errors import InputError

CITY = grid_city(5, 5, seed=2)
NUM_NODES = CITY.graph.num_nodes


def some_orders(seed, first_id=0):
    """Plain arrays, some columns not told."""
    random = np.random.default_rng(seed)
    num = int(random.integers(0, 7))
    pickup, dropoff = random.integers(0, NUM_NODES, (2, num)).astype(np.int32)
    optional = {
        "customer_id": random.integers(-1, 99, num),
        "wanted_after_ms": random.integers(0, 999, num),
        "tier": random.integers(0, 8, num),
        "is_first": random.integers(0, 2, num),
        "passengers": random.integers(1, 9, num),
        "vehicle_class": random.integers(0, 8, num),
    }
    told = {name: column for name, column in optional.items() if random.random() < 0.6}
    return NewOrders(
        first_id + np.arange(num),
        *places(CITY, pickup),
        *places(CITY, dropoff),
        T0 + random.integers(0, 9, num),
        np.ascontiguousarray(pickup),
        np.ascontiguousarray(dropoff),
        **told,
    )


def as_lists(orders):
    columns = {one.name: getattr(orders, one.name) for one in fields(orders)}
    return NewOrders(
        **{name: None if column is None else column.tolist() for name, column in columns.items()}
    )


def takes_the_short_way(dispatcher, orders):
    told = _as_arrays(orders)
    return told is not None and _is_in_order(dispatcher._state, dispatcher._world, told)


def dispatcher_with_table(**params):
    return Dispatcher(CITY, CITY.free_flow().all_pairs, DispatchParams(**params))


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1))
def test_both_ways_lead_to_the_same_tables(seed):
    short, long, snapped = (dispatcher_on(CITY, max_wait_s=77.0) for _ in range(3))
    shortest = dispatcher_with_table(max_wait_s=77.0)
    for batch in range(3):
        orders = some_orders([seed, batch], 100 * batch)
        assert takes_the_short_way(short, orders)
        assert not takes_the_short_way(long, as_lists(orders)) or not len(orders)
        short.submit(orders)
        shortest.submit(orders)
        long.submit(as_lists(orders))
        snapped.submit(replace(orders, pickup_node=None, dropoff_node=None))
        for other in (long, snapped, shortest):
            assert_same_tables(tables_of(short), tables_of(other))
    assert len({one.take_events().tobytes() for one in (short, long, snapped, shortest)}) == 1


FLAWS = {
    "order_id": [
        (-1, "ids must not be negative"),
        (5, "of that id is known already"),
        (101, "more than once"),
    ],
    "pickup_lon": [(np.nan, "it must be a number"), (181.0, "it must be a number from -180 to 180")],
    "pickup_lat": [(-91.0, "it must be a number from -90 to 90")],
    "dropoff_lon": [(np.inf, "it must be a number")],
    "dropoff_lat": [(91.0, "it must be a number from -90 to 90")],
    "submitted_at_ms": [(T0 - 1, "time goes backwards"), (2**60, "it must be milliseconds since 1970")],
    "pickup_node": [(-1, "the network's nodes are 0 … 24")],
    "dropoff_node": [(25, "the network's nodes are 0 … 24")],
    "customer_id": [(-2, "it must be a whole number from -1")],
    "wanted_after_ms": [(-1, "from 0 to 604800000"), (604_800_001, "from 0 to 604800000")],
    "tier": [(8, "from 0 to 7")],
    "is_first": [(2, "from 0 to 1")],
    "passengers": [(0, "from 1 to 100")],
    "vehicle_class": [(8, "from 0 to 7")],
}


@pytest.mark.parametrize(
    ("name", "value", "message"), [(name, *one) for name, flaws in FLAWS.items() for one in flaws]
)
@pytest.mark.parametrize("dispatcher_of_city", [lambda: dispatcher_on(CITY), dispatcher_with_table])
def test_both_ways_find_the_same_fault_and_take_nothing_in(name, value, message, dispatcher_of_city):
    dispatcher = dispatcher_of_city()
    dispatcher.submit(NewOrders([5], *places(CITY, [3]), *places(CITY, [4]), T0))
    dispatcher.step(T0)
    num = np.arange(3)
    nodes = num.astype(np.int32)
    zeros = np.zeros(3, np.int64)
    optional = {"customer_id": zeros, "wanted_after_ms": zeros.copy(), "tier": zeros.copy()}
    optional |= {"is_first": zeros.copy(), "passengers": zeros + 1, "vehicle_class": zeros.copy()}
    fine = NewOrders(
        100 + num, *places(CITY, nodes), *places(CITY, nodes + 1), T0 + num, nodes, nodes + 1, **optional
    )
    column = getattr(fine, name).copy()
    column[2] = value
    wrong, before = replace(fine, **{name: column}), tables_of(dispatcher)
    errors = []
    for orders in (wrong, as_lists(wrong)):
        with pytest.raises(InputError) as raised:
            dispatcher.submit(orders)
        errors.append(str(raised.value))
        assert_same_tables(before, tables_of(dispatcher))
    assert errors[0] == errors[1]
    assert message in errors[0]
    dispatcher.submit(fine)


def test_ids_in_any_sequence_are_taken():
    dispatcher = dispatcher_on(CITY)
    orders = NewOrders(
        np.array([9, 3, 7]), *places(CITY, [1, 2, 3]), *places(CITY, [4, 5, 6]), np.full(3, T0)
    )
    dispatcher.submit(orders)
    assert dispatcher.take_events()["order_id"].tolist() == [9, 3, 7]


def test_the_caller_s_arrays_are_not_kept():
    dispatcher = dispatcher_on(CITY)
    orders = some_orders(3)
    assert len(orders)
    dispatcher.submit(orders)
    before = tables_of(dispatcher)
    for one in fields(orders):
        if getattr(orders, one.name) is not None:
            getattr(orders, one.name)[:] = 0
    assert_same_tables(before, tables_of(dispatcher))


@pytest.mark.parametrize("as_told", [lambda orders: orders, as_lists])
@pytest.mark.parametrize("dispatcher_of_city", [lambda: dispatcher_on(CITY), dispatcher_with_table])
def test_a_day_s_orders_may_be_submitted_in_parts(as_told, dispatcher_of_city):
    orders = next(orders for seed in range(99) if len(orders := some_orders(seed)) == 6)
    whole, parts = dispatcher_of_city(), dispatcher_of_city()
    whole.submit(as_told(orders))
    for rows in (slice(0, 2), slice(2, 2), slice(4, 2), slice(2, 5), slice(-1, None)):
        parts.submit(as_told(orders), rows)
    assert_same_tables(tables_of(whole), tables_of(parts))


@pytest.mark.parametrize("dispatcher_of_city", [lambda: dispatcher_on(CITY), dispatcher_with_table])
def test_of_a_part_the_right_rows_are_judged(dispatcher_of_city):
    dispatcher, orders = dispatcher_of_city(), some_orders(3)
    orders.pickup_lat[-1] = 91.0
    num = len(orders)
    assert num > 2
    dispatcher.submit(orders, slice(0, num - 1))
    before = tables_of(dispatcher)
    with pytest.raises(InputError, match=r"pickup_lat\[0\] is 91.0"):
        dispatcher.submit(orders, slice(num - 1, num))
    with pytest.raises(InputError, match=r"order_id\[0\] is 1: an order of that id is known"):
        dispatcher.submit(orders, slice(1, 2))
    with pytest.raises(InputError, match="rows that follow each other"):
        dispatcher.submit(orders, slice(None, None, -1))
    assert_same_tables(before, tables_of(dispatcher))


def test_parts_of_orders_with_one_instant_share_it():
    dispatcher = dispatcher_on(CITY)
    orders = NewOrders([1, 2, 3], *places(CITY, [1, 2, 3]), *places(CITY, [4, 5, 6]), T0)
    dispatcher.submit(orders, slice(1, 3))
    assert dispatcher.take_events()["at_ms"].tolist() == [T0, T0]


@pytest.mark.parametrize("shape", [(2, 3), (1, 6), (3, 2, 1)])
@pytest.mark.parametrize("dispatcher_of_city", [lambda: dispatcher_on(CITY), dispatcher_with_table])
def test_columns_of_other_dimensions_are_refused(dispatcher_of_city, shape):
    orders = next(orders for seed in range(99) if len(orders := some_orders(seed)) == 6)
    columns = {one.name: getattr(orders, one.name) for one in fields(orders)}
    told = {
        name: None if column is None else np.ascontiguousarray(column).reshape(shape)
        for name, column in columns.items()
    }
    dispatcher = dispatcher_of_city()
    before = tables_of(dispatcher)
    with pytest.raises(InputError):
        dispatcher.submit(NewOrders(**told))
    assert_same_tables(before, tables_of(dispatcher))


def ten_orders(**told):
    node = np.arange(10, dtype=np.int32)
    return NewOrders(node.astype(np.int64), *places(CITY, node), *places(CITY, node + 1), T0, **told)


@pytest.mark.parametrize(
    ("told", "rows", "message"),
    [
        ({"tier": np.array([0, 1, 2, 3, 7])}, slice(4, 10), "tier has 5 rows where 10 were expected"),
        ({"pickup_lon": [10.0]}, slice(3, 4), "pickup_lon has 1 rows where 10 were expected"),
        ({"tier": [[1], [2, 3]] * 5}, slice(2, 4), "tier is no array"),
        ({}, 3, "rows is 3: it must be a slice"),
        ({}, slice(0.0, 2.0), "it must be a slice"),
        ({"order_id": [[1], [2, 3]]}, slice(0, 1), "order_id is no array"),
    ],
)
def test_parts_of_columns_that_do_not_fit_are_refused(told, rows, message):
    dispatcher = dispatcher_on(CITY)
    before = tables_of(dispatcher)
    with pytest.raises(InputError, match=message):
        dispatcher.submit(replace(ten_orders(), **told), rows)
    assert_same_tables(before, tables_of(dispatcher))


@pytest.mark.parametrize("told", [{"tier": 3}, {"tier": [3], "submitted_at_ms": [T0]}])
def test_what_is_told_once_serves_every_part(told):
    dispatcher = dispatcher_on(CITY)
    dispatcher.submit(replace(ten_orders(), **told), slice(2, 4))
    events = dispatcher.take_events()
    assert (events["tier"].tolist(), events["order_id"].tolist()) == ([3, 3], [2, 3])


@pytest.mark.parametrize("as_told", [lambda orders: orders, as_lists])
@pytest.mark.parametrize("dispatcher_of_city", [lambda: dispatcher_on(CITY), dispatcher_with_table])
def test_instants_before_all_calendars_are_refused(dispatcher_of_city, as_told):
    orders = next(orders for seed in range(99) if len(orders := some_orders(seed)) == 6)
    orders.submitted_at_ms[0] = -(10**18)
    with pytest.raises(InputError, match="milliseconds since 1970"):
        dispatcher_of_city().submit(as_told(orders))
