"""Wrong input by way of the commands: the message names field, row and value, and nothing is applied."""

import numpy as np
import pytest

from cities import (
    T0,
    assert_same_tables,
    dispatcher_on,
    line_city,
    new_orders,
    places,
    tables_of,
)
from dispatch.engine.inputs import NewOrders, Positions, as_rows
from dispatch.errors import InputError
from dispatch.kernels.jit import load_all
from engine.stages import CITY, NOW, Stages

LON, LAT = places(CITY, [3, 4])
FAR = 2**53 + 1

WRONG_IDS = [
    ([9001, 9002.5], "{} is an array of float64 with shape (2,): it must be one-dimensional and of whole"),
    ([True, False], "{} is an array of bool"),
    (["9001", "9002"], "{} is an array of <U4"),
    ([[9001, 9002]], "{} is an array of int64 with shape (1, 2)"),
    ([9001, None], "{} is an array of object"),
    ([[9001], [9002, 9003]], "{} is no array: its rows differ in length"),
    (np.array([1, 2**63], np.uint64), "{}[1] is 9223372036854775808: it must fit in int64"),
    ([9001, -2], "{}[1] is -2: ids must not be negative"),
    ([9001, 9001], "{} holds 9001 more than once: one row an id in each call"),
]
WRONG_TIMES = [
    ([NOW, NOW + 0.5], "{} is an array of float64"),
    ([True, True], "{} is an array of bool"),
    ("now", "{} is an array of <U3"),
    ([NOW, FAR], "{}[1] is 9007199254740993: it must be milliseconds since 1970 and before 2200"),
    ([NOW, -FAR], "{}[1] is -9007199254740993: it must be milliseconds"),
    ([NOW, NOW, NOW], "{} has 3 rows where 2 were expected: one row each"),
    ([NOW, T0 - 1], f"{{}}[1] is {T0 - 1}: time goes backwards"),
]
WRONG_DEGREES = [
    ("lon", [10.0, np.nan], "{}lon[1] is nan: it must be a number from -180 to 180"),
    ("lon", [10.0, np.inf], "{}lon[1] is inf: it must be a number from -180 to 180"),
    ("lon", [181.0, 10.0], "{}lon[0] is 181.0: it must be a number from -180 to 180"),
    ("lon", [10.0], "{}lon has the shape (1,): 2 rows were expected"),
    ("lon", [[10.0, 10.0]], "{}lon has the shape (1, 2): 2 rows were expected"),
    ("lon", ["ten", "eleven"], "{}lon is not an array of numbers (could not convert"),
    ("lon", None, "{}lon has the shape (1,): 2 rows were expected"),
    ("lat", [50.0, np.nan], "{}lat[1] is nan: it must be a number from -90 to 90"),
    (
        "lat",
        [50.0, 122.4],
        "{}lat[1] is 122.4: it must be a number from -90 to 90; longitude and latitude look",
    ),
    ("lat", [50.0, 300.0], "{}lat[1] is 300.0: it must be a number from -90 to 90"),
    ("lat", [50.0, 51.0, 52.0], "{}lat has the shape (3,): 2 rows were expected"),
]
WRONG_NODES = [
    ([1, 20], "{}[1] is 20: the network's nodes are 0 … 19"),
    ([-1, 1], "{}[0] is -1: the network's nodes are 0 … 19"),
    ([1.0, 2.0], "{} is an array of float64"),
    ([1, 2, 3], "{} has 3 rows where 2 were expected"),
]


def refused(command, message, stages=None):
    stages = stages or Stages()
    before = tables_of(stages.dispatcher)
    with pytest.raises(InputError) as raised:
        command(stages.dispatcher)
    assert str(raised.value).startswith(message)
    assert_same_tables(before, tables_of(stages.dispatcher))


def positions_with(**wrong):
    given = {"driver_id": [9001, 9002], "lon": LON, "lat": LAT, "at_ms": NOW} | wrong
    return lambda dispatcher: dispatcher.drivers_online(Positions(**given))


def orders_with(**wrong):
    ends = {"pickup_lon": LON, "pickup_lat": LAT, "dropoff_lon": LON[::-1], "dropoff_lat": LAT[::-1]}
    given = {"order_id": [9001, 9002], **ends, "submitted_at_ms": NOW} | wrong
    return lambda dispatcher: dispatcher.submit(NewOrders(**given))


@pytest.mark.parametrize(("ids", "message"), WRONG_IDS)
def test_ids(ids, message):
    refused(positions_with(driver_id=ids), message.format("driver_id"))
    refused(orders_with(order_id=ids), message.format("order_id"))


@pytest.mark.parametrize(("at_ms", "message"), WRONG_TIMES)
def test_times(at_ms, message):
    refused(positions_with(at_ms=at_ms), message.format("at_ms"))
    refused(orders_with(submitted_at_ms=at_ms), message.format("submitted_at_ms"))
    stages = Stages()
    refused(lambda dispatcher: dispatcher.cancel(stages.orders[0], at_ms), message.format("at_ms"), stages)


@pytest.mark.parametrize(("axis", "degrees", "message"), WRONG_DEGREES)
def test_degrees(axis, degrees, message):
    refused(positions_with(**{axis: degrees}), message.format(""))
    for prefix in ("pickup_", "dropoff_"):
        refused(orders_with(**{prefix + axis: degrees}), message.format(prefix))


@pytest.mark.parametrize(("nodes", "message"), WRONG_NODES)
def test_nodes(nodes, message):
    refused(positions_with(node=nodes), message.format("node"))
    for field in ("pickup_node", "dropoff_node"):
        refused(orders_with(**{field: nodes}), message.format(field))


@pytest.mark.parametrize("prefix", ["pickup_", "dropoff_"])
def test_an_end_off_the_network(prefix):
    off = {f"{prefix}lon": np.array([LON[0], 10.9])}
    message = (
        f"{prefix}lon[1], {prefix}lat[1] is 10.900000, {LAT[1] if prefix == 'pickup_' else LAT[0]:.6f}: "
    )
    refused(orders_with(**off), message + "no node of Testville lies within 200 m")


@pytest.mark.parametrize("prefix", ["pickup_", "dropoff_", ""])
def test_swapped_though_each_is_a_possible_degree(prefix):
    swapped = {f"{prefix}lon": [LON[0], LAT[1]], f"{prefix}lat": [LAT[0], LON[1]]}
    command = orders_with(**swapped) if prefix else positions_with(**swapped)
    message = (
        f"{prefix}lon[1], {prefix}lat[1] is {LAT[1]:.6f}, {LON[1]:.6f}: longitude and latitude look swapped"
    )
    refused(command, message)


def test_an_order_whose_end_cannot_be_reached():
    city = line_city(sink=True)
    dispatcher = dispatcher_on(city)
    told = new_orders(city, [5, 6], [2, 19], [8, 8])
    with pytest.raises(
        InputError, match=r"order_id\[1\] is 6: no road leads from its pickup to its drop-off"
    ):
        dispatcher.submit(told)
    with pytest.raises(InputError, match=r"order_id\[1\] is 6: no road leads"):
        dispatcher.quote(told, T0)
    assert_same_tables(tables_of(dispatcher_on(city)), tables_of(dispatcher))


WRONG_METRES = [
    ([100.0, np.nan], "leg_m[1] is nan: it must be a number from 0 to 1e+07"),
    ([-1, 5], "leg_m[0] is -1.0: it must be a number from 0 to 1e+07"),
    ([100, 2e7], "leg_m[1] is 20000000.0: it must be"),
    ([100], "leg_m has the shape (1,): 2 rows were expected"),
    ("far", "leg_m is not an array of numbers"),
]


@pytest.mark.parametrize(("leg_m", "message"), WRONG_METRES)
def test_metres(leg_m, message):
    stages = Stages()
    assigned, on_board = (stages.orders[status] for status in (2, 4))
    refused(lambda dispatcher: dispatcher.arrive(assigned, NOW, leg_m), message, stages)
    refused(lambda dispatcher: dispatcher.drop_off(on_board, NOW, leg_m), message, stages)


WRONG_NOW = [True, NOW + 0.5, np.float64(NOW), str(NOW), None, [NOW], np.array(NOW + 0.5), FAR, 2**70]


@pytest.mark.parametrize("now_ms", WRONG_NOW)
def test_now(now_ms):
    message = f"now_ms is {now_ms!r}: it must be a whole number of milliseconds since 1970"
    refused(lambda dispatcher: dispatcher.step(now_ms), message)
    refused(lambda dispatcher: dispatcher.nearby(LON[0], LAT[0], now_ms), message)
    refused(lambda dispatcher: dispatcher.quote(new_orders(CITY, [1], [2], [3]), now_ms), message)


def test_a_step_before_the_latest_step_or_command():
    stages = Stages()
    message = f"now_ms is {T0 - 1}: time goes backwards, the latest step or command was at {T0}"
    refused(lambda dispatcher: dispatcher.step(T0 - 1), message, stages)
    stages.dispatcher.cancel(stages.orders[0][:1], NOW)
    message = f"now_ms is {NOW - 1}: time goes backwards, the latest step or command was at {NOW}"
    refused(lambda dispatcher: dispatcher.step(NOW - 1), message, stages)
    stages.dispatcher.step(NOW)
    stages.dispatcher.step(np.int64(NOW))


WRONG_PLACES = [
    ({"lon": np.nan}, "lon[0] is nan"),
    (
        {"lat": 95.0},
        "lat[0] is 95.0: it must be a number from -90 to 90; longitude and latitude look swapped",
    ),
    ({"lon": 11.5}, "lon[0], lat[0] is 11.500000, "),
    ({"lon": [10.0, 10.1]}, "lon has the shape (2,)"),
    ({"num_cars": 0}, "num_cars is 0: it must be a number from 1 to 100000"),
    ({"num_cars": 2.5}, "num_cars is 2.5: it must be a whole number"),
    ({"num_cars": True}, "num_cars is True: it must be a number"),
    ({"radius_m": -1}, "radius_m is -1: it must be a number from 0 to 1e+07 metres"),
    ({"radius_m": np.nan}, "radius_m is nan: it must be a number"),
    ({"radius_m": "near"}, "radius_m is 'near': it must be a number"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG_PLACES)
def test_nearby(wrong, message):
    given = {"lon": LON[0], "lat": LAT[0], "now_ms": NOW} | wrong
    refused(lambda dispatcher: dispatcher.nearby(**given), message)


def test_a_single_number_is_one_row_and_one_instant_serves_all():
    assert as_rows("at_ms", 7, 3).tolist() == [7, 7, 7]
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(Positions(4, LON[0], LAT[0], T0))
    dispatcher.submit(NewOrders(5, LON[0], LAT[0], LON[1], LAT[1], T0))
    dispatcher.assign(5, 4, T0)
    dispatcher.arrive(5, T0, 0)
    assert dispatcher.order_status(5) == [3]


def odd(values, dtype=None):
    """The same numbers strided, read-only and perhaps of another type."""
    strided = np.repeat(np.asarray(values, dtype), 2)[::2]
    strided.flags.writeable = False
    return strided


def read_only(values, dtype):
    array = np.array(values, dtype)
    array.flags.writeable = False
    return array


def num_compiled():
    """Versions of each kernel that exists for callers; none where nothing is compiled at all."""
    return {
        name: max(len(getattr(kernel.function, "signatures", ())), len(kernel.signatures))
        for name, kernel in load_all().items()
        if kernel.signatures
    }


@pytest.mark.parametrize("odd", [odd, read_only])
def test_odd_arrays_compile_no_kernel_anew(odd):
    compiled = num_compiled()
    dispatcher = dispatcher_on(CITY)
    lon, lat = places(CITY, np.arange(6))
    lon, lat, ids = odd(lon, np.float64), odd(lat, np.float64), odd(np.arange(6), np.int64)
    dispatcher.drivers_online(Positions(ids[:3], lon[:3], lat[:3], odd([T0] * 3, np.int64)))
    nodes = odd(np.arange(6), np.int32)
    dispatcher.update_positions(Positions(ids[:3], lon[:3], lat[:3], T0, nodes[:3]))
    told = NewOrders(ids, lon, lat, lon[::-1], lat[::-1], odd([T0] * 6, np.int64), nodes, nodes[::-1])
    dispatcher.quote(told, T0)
    dispatcher.submit(told)
    offered = dispatcher.step(T0)
    offered = offered[offered["driver_id"] >= 0]
    offered = offered[offered["order_id"] >= 0]
    orders, drivers = (odd(offered[name], np.int64) for name in ("order_id", "driver_id"))
    dispatcher.decline(orders[:1], drivers[:1], odd([T0], np.int64))
    dispatcher.accept(orders[1:], drivers[1:], odd([T0] * 2, np.int64))
    dispatcher.unassign(orders[1:2], odd([T0], np.int64))
    dispatcher.arrive(orders[2:], odd([T0], np.int64), odd([5.5], np.float64))
    dispatcher.cancel(orders[1:], odd([T0, T0], np.int64))
    dispatcher.drivers_offline(drivers[1:], odd([T0, T0], np.int64))
    dispatcher.nearby(lon[0], lat[0], T0)
    assert num_compiled() == compiled


def test_what_the_caller_does_to_its_arrays_afterwards_changes_nothing():
    dispatcher = dispatcher_on(CITY)
    ids, (lon, lat), at_ms = np.arange(3), places(CITY, np.arange(3)), np.full(3, T0)
    dispatcher.drivers_online(Positions(ids, lon, lat, at_ms))
    dispatcher.submit(NewOrders(ids, lon, lat, lon[::-1], lat[::-1], at_ms))
    before = tables_of(dispatcher)
    for array in (ids, lon, lat, at_ms):
        array[:] = 1
    assert_same_tables(before, tables_of(dispatcher))
