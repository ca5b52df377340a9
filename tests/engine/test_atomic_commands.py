"""A command with one wrong row, wherever it stands, changes nothing; with right rows only it is applied."""

import numpy as np
import pytest

from cities import T0, assert_same_tables, new_orders, positions, tables_of
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.errors import InputError, StateError
from engine.stages import CITY, LEGAL, NOW, Stages

S, D = OrderStatus, DriverStatus
WRONG = [(command, status) for command, legal in LEGAL.items() for status in S if status not in legal]
RIGHT = [(command, status) for command, legal in LEGAL.items() for status in legal]


def refused(stages, error, pattern, command):
    before = tables_of(stages.dispatcher)
    with pytest.raises(error, match=pattern):
        command()
    assert_same_tables(before, tables_of(stages.dispatcher))


def test_the_stages_are_what_they_say():
    stages = Stages()
    for status, orders in stages.orders.items():
        assert stages.dispatcher.order_status(orders) == [status] * 2
    for status, drivers in stages.drivers.items():
        assert set(stages.dispatcher.driver_status(drivers)) == {status}
    assert stages.dispatcher.order_status(stages.next_orders[D.OCCUPIED_OFFERED]) == [S.OFFERED] * 2
    assert stages.dispatcher.order_status(stages.next_orders[D.OCCUPIED_ASSIGNED]) == [S.ASSIGNED] * 2
    assert set(stages.orders) == set(OrderStatus)
    assert set(stages.drivers) == set(DriverStatus)


@pytest.mark.parametrize(("command", "status"), WRONG)
def test_an_order_in_the_wrong_status_stops_the_whole_call(command, status):
    stages = Stages()
    good, bad = stages.orders[LEGAL[command][0]], stages.orders[status][0]
    stages.driver_of_order.setdefault(bad, 72)
    refused(stages, StateError, "row 1: ", lambda: stages.call(command, [good[0], bad, good[1]]))
    refused(stages, StateError, "row 0: ", lambda: stages.call(command, [bad]))


@pytest.mark.parametrize(("command", "status"), RIGHT)
def test_in_the_right_status_it_is_applied(command, status):
    stages = Stages()
    stages.call(command, stages.orders[status])
    assert stages.dispatcher.order_status(stages.orders[status]) != [status] * 2
    assert len(stages.dispatcher.take_events()) >= 2


@pytest.mark.parametrize("command", LEGAL)
def test_unknown_twice_or_too_early_stops_the_whole_call(command):
    stages = Stages()
    first, second = stages.orders[LEGAL[command][0]]
    stages.driver_of_order |= {7_000: 71, -1: 71}
    unknown = r"order_id\[1\] is 7000: no such order is known"
    refused(stages, InputError, unknown, lambda: stages.call(command, [first, 7000, second]))
    negative = r"order_id\[1\] is -1: ids must not be negative"
    refused(stages, InputError, negative, lambda: stages.call(command, [first, -1, second]))
    early = r"at_ms\[1\] is \d+: time goes backwards.*the time at which you learnt of it"
    at_ms = np.array([NOW, T0 - 1])
    refused(stages, InputError, early, lambda: stages.call(command, [first, second], at_ms))


@pytest.mark.parametrize("command", sorted(LEGAL.keys() - {"assign"}))
def test_an_order_stands_once_in_a_call(command):
    stages = Stages()
    first, second = stages.orders[LEGAL[command][0]]
    twice = f"row 2: order {first} stands in an earlier row too"
    refused(stages, InputError, twice, lambda: stages.call(command, [first, second, first]))


def test_nobody_is_assigned_twice_in_a_call():
    stages = Stages()
    (first, second), (idle, other) = stages.orders[S.OPEN], stages.drivers[D.IDLE]
    assign = stages.dispatcher.assign
    twice = f"row 1: order {first} stands"
    refused(stages, InputError, twice, lambda: assign([first, first], [idle, other], NOW))
    twice = f"row 1: driver {idle} stands"
    refused(stages, InputError, twice, lambda: assign([first, second], [idle, idle], NOW))


@pytest.mark.parametrize("command", ["assign", "accept", "decline"])
def test_one_driver_an_order(command):
    stages = Stages()
    status = LEGAL[command][0]
    orders = stages.orders[status]
    drivers = stages.drivers[D.IDLE if command == "assign" else D.OFFERED]
    call = getattr(stages.dispatcher, command)
    for wrong in (drivers[:1], [*drivers, 71], []):
        rows = f"driver_id has {len(wrong)} rows and order_id 2: one row each"
        refused(stages, InputError, rows, lambda wrong=wrong: call(orders, wrong, NOW))
    unknown = r"driver_id\[1\] is 9999: no such driver is known"
    refused(stages, InputError, unknown, lambda: call(orders, [drivers[0], 9999], NOW))


WITH_NEXT = [D.OFFERED, D.TO_PICKUP, D.AT_PICKUP, D.OCCUPIED_OFFERED, D.OCCUPIED_ASSIGNED]


@pytest.mark.parametrize("status", [D.OFFLINE, *WITH_NEXT])
def test_a_driver_off_duty_or_with_a_next_order_gets_none_by_hand(status):
    stages = Stages()
    drivers = [stages.drivers[D.IDLE][0], stages.drivers[status][0]]
    refused(
        stages,
        StateError,
        f"row 1: ORDER_ASSIGNED is not legal while .* is {status.name}",
        lambda: stages.dispatcher.assign(stages.orders[S.OPEN], drivers, NOW),
    )


def test_a_driver_with_a_passenger_gets_the_next_order_by_hand():
    stages = Stages()
    occupied, following = stages.drivers[D.OCCUPIED], stages.orders[S.OPEN]
    stages.dispatcher.assign(following, occupied, NOW)
    assert stages.dispatcher.driver_status(occupied) == [D.OCCUPIED_ASSIGNED] * 2
    assert stages.dispatcher.order_status(following) == [S.ASSIGNED] * 2


CHAINED = [
    ("accept", D.OCCUPIED_OFFERED, S.ASSIGNED, D.OCCUPIED_ASSIGNED),
    ("decline", D.OCCUPIED_OFFERED, S.OPEN, D.OCCUPIED),
    ("cancel", D.OCCUPIED_OFFERED, S.CANCELLED, D.OCCUPIED),
    ("cancel", D.OCCUPIED_ASSIGNED, S.CANCELLED, D.OCCUPIED),
    ("unassign", D.OCCUPIED_ASSIGNED, S.OPEN, D.OCCUPIED),
]


@pytest.mark.parametrize(("command", "status", "order_to", "driver_to"), CHAINED)
def test_commands_on_the_next_order_leave_the_passenger_on_board(command, status, order_to, driver_to):
    stages = Stages()
    following, drivers = stages.next_orders[status], stages.drivers[status]
    stages.call(command, following)
    assert stages.dispatcher.order_status(following) == [order_to] * 2
    assert stages.dispatcher.driver_status(drivers) == [driver_to] * 2


@pytest.mark.parametrize(
    ("status", "driver_to"), [(D.OCCUPIED_OFFERED, D.OFFERED), (D.OCCUPIED_ASSIGNED, D.TO_PICKUP)]
)
def test_after_the_drop_off_comes_the_next_order(status, driver_to):
    stages = Stages()
    following, drivers = stages.next_orders[status], stages.drivers[status]
    aboard = [
        order
        for order, driver in stages.driver_of_order.items()
        if driver in drivers and order not in following
    ]
    stages.call("drop_off", aboard)
    assert stages.dispatcher.driver_status(drivers) == [driver_to] * 2
    refused(stages, StateError, "ORDER_CLOSED is not legal", lambda: stages.call("close", following))


@pytest.mark.parametrize("status", [D.OCCUPIED_OFFERED, D.OCCUPIED_ASSIGNED])
@pytest.mark.parametrize("command", ["arrive", "pick_up"])
def test_nobody_comes_to_the_next_pickup_with_a_passenger_on_board(command, status):
    stages = Stages()
    refused(stages, StateError, "row 0: ", lambda: stages.call(command, stages.next_orders[status]))


@pytest.mark.parametrize("status", [D.OFFLINE, D.OCCUPIED, *WITH_NEXT])
def test_a_driver_who_is_not_idle_does_not_go_offline(status):
    stages = Stages()
    idle, busy = stages.drivers[D.IDLE], stages.drivers[status][0]
    offline = stages.dispatcher.drivers_offline
    illegal = f"row 1: DRIVER_OFFLINE is not legal while driver {busy} is {status.name}"
    refused(stages, StateError, illegal, lambda: offline([idle[0], busy, idle[1]], NOW))
    unknown = r"driver_id\[1\] is 4: no such driver is known"
    refused(stages, InputError, unknown, lambda: offline([idle[0], 4], NOW))
    refused(stages, InputError, "stands in an earlier row", lambda: offline([idle[0], idle[0]], NOW))
    refused(stages, InputError, "time goes backwards", lambda: offline(idle, [NOW, T0 - 1]))


@pytest.mark.parametrize("status", [D.IDLE, D.OCCUPIED, *WITH_NEXT])
def test_a_driver_on_duty_does_not_come_online_and_takes_nobody_along(status):
    stages = Stages()
    busy = stages.drivers[status][0]
    told = positions(CITY, [9000, busy, stages.drivers[D.OFFLINE][0]], [1, 2, 3], NOW)
    already = rf"driver_id\[1\] is {busy}: already on duty"
    refused(stages, StateError, already, lambda: stages.dispatcher.drivers_online(told))


def test_coming_online_before_going_offline_adds_no_driver():
    stages = Stages()
    offline = stages.drivers[D.OFFLINE]
    stages.dispatcher.drivers_online(positions(CITY, offline, [1, 2], NOW))
    stages.dispatcher.drivers_offline(offline, NOW + 500)
    told = positions(CITY, [9000, offline[1]], [1, 2], [NOW + 500, NOW + 499])
    early = rf"at_ms\[1\] is {NOW + 499}: time goes backwards.* {NOW + 500}"
    refused(stages, InputError, early, lambda: stages.dispatcher.drivers_online(told))
    with pytest.raises(InputError, match="no such driver"):
        stages.dispatcher.driver_status([9000])


def test_positions_of_an_unknown_driver_move_nobody():
    stages = Stages()
    told = positions(CITY, [stages.drivers[D.IDLE][0], 4], [8, 9], NOW)
    unknown = r"driver_id\[1\] is 4: no such driver is known"
    refused(stages, InputError, unknown, lambda: stages.dispatcher.update_positions(told))


def test_orders_with_one_wrong_row_are_not_taken_in():
    stages = Stages()
    submit, known = stages.dispatcher.submit, stages.orders[S.OPEN][0]
    told = new_orders(CITY, [8001, known, 8002], [1, 2, 3], [4, 5, 6], NOW)
    taken = rf"order_id\[1\] is {known}: an order of that id is known already"
    refused(stages, InputError, taken, lambda: submit(told))
    told = new_orders(CITY, [8001, 8002, 8001], [1, 2, 3], [4, 5, 6], NOW)
    refused(stages, InputError, "order_id holds 8001 more than once", lambda: submit(told))
    told = new_orders(CITY, [8001, 8002], [1, 2], [4, 5], [NOW, T0 - 1])
    early = rf"submitted_at_ms\[1\] is {T0 - 1}: time goes backwards, .* {T0}"
    refused(stages, InputError, early, lambda: submit(told))


def test_the_commands_of_nobody_do_nothing():
    stages = Stages()
    before, dispatcher = tables_of(stages.dispatcher), stages.dispatcher
    for command in LEGAL:
        stages.call(command, [])
    nowhere = np.empty(0)
    dispatcher.drivers_online(Positions([], nowhere, nowhere, NOW))
    assert dispatcher.update_positions(Positions([], nowhere, nowhere, [])) == (0, 0)
    dispatcher.drivers_offline([], NOW)
    dispatcher.submit(NewOrders([], nowhere, nowhere, nowhere, nowhere, NOW))
    assert dispatcher.quote(NewOrders([], nowhere, nowhere, nowhere, nowhere, NOW), NOW) == []
    assert dispatcher.order_status([]) == []
    assert_same_tables(before, tables_of(dispatcher))
