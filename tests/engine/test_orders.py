import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from cities import T0, dispatcher_on, enter_orders, line_city, new_orders, positions
from dispatch.engine.events import EventKind
from dispatch.engine.lifecycle import FINAL_STATUSES, DriverStatus, OrderStatus
from dispatch.engine.orders import Orders
from dispatch.errors import InputError

CITY = line_city()


def rows(*values):
    return np.array(values, np.int32)


def test_refused_pairs_are_told_apart():
    orders = Orders()
    enter_orders(orders, np.array([4, 5, 6]))
    assert not orders.refused(rows(0, 1), rows(0, 1)).any()
    orders.refuse(rows(1, 2), rows(0, 7))
    asked = orders.refused(rows(0, 1, 2, 2, 1), rows(1, 0, 7, 0, 7))
    assert asked.tolist() == [False, True, True, False, False]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from(OrderStatus), max_size=12), st.data())
def test_forgetting_keeps_what_is_not_finished_and_what_it_refused(statuses, data):
    orders = Orders()
    ids = 1000 + 3 * np.arange(len(statuses))
    orders.status[enter_orders(orders, ids)] = statuses
    pairs = st.tuples(st.integers(0, max(len(statuses) - 1, 0)), st.integers(0, 5))
    refused = data.draw(st.lists(pairs, max_size=15)) if statuses else []
    for order, driver in refused:
        orders.refuse(rows(order), rows(driver))
    kept = [row for row, status in enumerate(statuses) if status not in FINAL_STATUSES]
    assert orders.forget_finished() == len(statuses) - len(kept)
    assert orders.order_id[: orders.num_rows].tolist() == ids[kept].tolist()
    assert orders.status[: orders.num_rows].tolist() == [statuses[row] for row in kept]
    assert orders.ids.rows(ids[kept]).tolist() == list(range(len(kept)))
    assert orders.num_refusals == sum(order in kept for order, _ in refused)
    assert orders.live[: orders.num_live].tolist() == list(range(len(kept)))
    for new, old in enumerate(kept):
        told = orders.refused(np.full(6, new, np.int32), np.arange(6, dtype=np.int32))
        assert told.tolist() == [(old, driver) in refused for driver in range(6)]


def busy_dispatcher():
    """Order 1 is cancelled, order 2 on the way with driver 8, order 3 was refused by driver 9."""
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(positions(CITY, [8, 9], [2, 10]))
    dispatcher.submit(new_orders(CITY, [1, 2, 3], [18, 2, 10], [0, 5, 19]))
    dispatcher.cancel([1], T0)
    dispatcher.step(T0)
    dispatcher.accept([2], [8], T0)
    dispatcher.decline([3], [9], T0)
    return dispatcher


def test_a_busy_driver_finishes_its_order_after_finished_ones_are_forgotten():
    dispatcher = busy_dispatcher()
    assert dispatcher.forget_finished() == 1
    dispatcher.arrive([2], T0 + 1000, [300])
    dispatcher.pick_up([2], T0 + 2000)
    dispatcher.drop_off([2], T0 + 3000, [300])
    dispatcher.close([2], T0 + 3000)
    assert dispatcher.order_status([2, 3]) == [OrderStatus.CLOSED, OrderStatus.OPEN]
    assert dispatcher.driver_status([8]) == [DriverStatus.IDLE]
    assert dispatcher.forget_finished() == 1
    with pytest.raises(InputError, match=r"order_id\[0\] is 2: no such order"):
        dispatcher.order_status([2])


def test_a_forgotten_id_is_free_again_and_carries_no_refusal():
    dispatcher = busy_dispatcher()
    with pytest.raises(InputError, match=r"order_id\[0\] is 1: an order of that id is known already"):
        dispatcher.submit(new_orders(CITY, [1], [3], [9]))
    dispatcher.forget_finished()
    dispatcher.submit(new_orders(CITY, [1], [9], [3]))
    dispatcher.update_positions(positions(CITY, [9], [10], T0 + 1000))
    offered = dispatcher.step(T0 + 1000)
    offered = offered[offered["kind"] == EventKind.ORDER_OFFERED]
    # driver 9 stands at the pickup of order 3 but refused it
    assert offered[["order_id", "driver_id"]].tolist() == [(1, 9)]


def test_a_thousand_orders_in_batches_keep_their_columns():
    dispatcher = dispatcher_on(CITY)
    random = np.random.default_rng(0)
    pickups = random.integers(0, 20, 1000)
    for begin in range(0, 1000, 70):
        part = np.arange(begin, min(begin + 70, 1000))
        dispatcher.submit(new_orders(CITY, 5 * part, pickups[part], (pickups[part] + 3) % 20, T0 + begin))
    orders = dispatcher._state.orders
    assert orders.order_id[:1000].tolist() == list(range(0, 5000, 5))
    assert orders.pickup_node[:1000].tolist() == pickups.tolist()
    assert orders.trip_ms[:1000].tolist() == (10_000 * abs((pickups + 3) % 20 - pickups)).tolist()
    assert orders.submitted_at_ms[:1000].tolist() == [T0 + i // 70 * 70 for i in range(1000)]
