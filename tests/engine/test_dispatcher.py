"""The face as a whole: the log of a ride, looking without touching, two dispatchers side by side."""

import copy

import numpy as np
import pytest

from cities import (
    T0,
    assert_same_tables,
    city_of,
    dispatcher_on,
    grid_city,
    line_city,
    new_orders,
    positions,
    tables_of,
)
from dispatch.analysis.invariants import check_invariants
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import NewOrders, Positions
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import POLICIES
from dispatch.errors import InputError
from dispatch.units import NO_COORDINATE
from engine.stages import CITY, Stages
from naive.shortest_paths import arcs_of, travel_times_to

ABSENT = (-1, -1, -1, -1, NO_COORDINATE, NO_COORDINATE, -1)


def ride(dispatcher, order=7, driver=4):
    """One order from the first call to the last."""
    dispatcher.drivers_online(positions(CITY, [driver], [2]))
    dispatcher.submit(new_orders(CITY, [order], [5], [9], T0 + 1))
    events = [dispatcher.step(T0 + 10)]
    dispatcher.accept([order], [driver], T0 + 20)
    dispatcher.arrive([order], T0 + 30_020, [300])
    dispatcher.pick_up([order], T0 + 60_020)
    dispatcher.drop_off([order], T0 + 120_020, [400.4])
    dispatcher.close([order], T0 + 120_030)
    dispatcher.drivers_offline([driver], T0 + 120_040)
    return np.concatenate([*events, dispatcher.take_events()])


def test_the_log_of_a_ride():
    events = ride(dispatcher_on(CITY))
    at = [0, 1, 10, 10, 20, 20, 30_020, 60_020, 120_020, 120_030, 120_040]
    assert (events["at_ms"] - T0).tolist() == at
    assert [K(kind).name.lower() for kind in events["kind"]] == [
        "driver_online",
        "order_submitted",
        "cars_shown",
        "order_offered",
        "offer_accepted",
        "order_assigned",
        "driver_arrived",
        "picked_up",
        "dropped_off",
        "order_closed",
        "driver_offline",
    ]
    lon_e6 = np.rint(CITY.graph.node_lon * 1e6).astype(int)
    column = events["lon_e6"].tolist()
    assert [column[row] for row in (0, 1, 6, 8, 10)] == [lon_e6[node] for node in (2, 5, 5, 9, 9)]
    assert events["eta_ms"].tolist() == [-1, -1, -1, 30_000, -1, 30_000, -1, 40_000, -1, -1, -1]
    assert events["leg_m"].tolist() == [-1] * 6 + [300, -1, 400, -1, -1]
    assert events["fare_cents"][8] == max(500, round(350 + 170 * 0.4 + 30 * 1.0))
    assert events["driver_id"].tolist() == [4, -1, -1, 4, 4, 4, 4, 4, 4, -1, 4]
    report = check_invariants(events)
    assert (report.num_closed, report.pickup_m, report.trip_m, report.num_offline) == (1, 300, 400, 1)


def test_two_dispatchers_in_one_process_do_not_disturb_each_other():
    alone = ride(dispatcher_on(CITY))
    first, second = dispatcher_on(CITY), dispatcher_on(CITY)
    assert np.array_equal(ride(first), alone)
    before = tables_of(first)
    assert np.array_equal(ride(second), alone)
    assert_same_tables(before, tables_of(first))


def test_looking_changes_nothing():
    stages = Stages()
    dispatcher = stages.dispatcher
    before = tables_of(dispatcher)
    dispatcher.nearby(*(float(degrees[0]) for degrees in (CITY.graph.node_lon, CITY.graph.node_lat)), T0)
    dispatcher.quote(new_orders(CITY, [1], [2], [3]), T0)
    dispatcher.order_status(stages.orders[OrderStatus.ARRIVED])
    dispatcher.driver_status(stages.drivers[DriverStatus.IDLE])
    counted = dispatcher.count()
    assert_same_tables(before, tables_of(dispatcher))
    assert {name: number for name, number in counted.items() if name.startswith("order")} == {
        f"order_{status.name.lower()}": 2 + stages.num_chained[status] for status in OrderStatus
    }
    assert counted["driver_occupied"] == counted["driver_offline"] == 2
    num_drivers = sum(number for name, number in counted.items() if name.startswith("driver"))
    assert num_drivers == dispatcher._state.fleet.num_rows


def test_unknown_ids_are_named():
    dispatcher = Stages().dispatcher
    with pytest.raises(InputError, match=r"order_id\[0\] is 3: no such order is known"):
        dispatcher.order_status([3])
    with pytest.raises(InputError, match=r"driver_id\[0\] is 3: no such driver is known"):
        dispatcher.driver_status([3])


def test_what_it_was_made_with_can_be_asked():
    dispatcher = Dispatcher(CITY, params=DispatchParams("nearest"))
    assert dispatcher.city is CITY
    assert dispatcher.params.policy == POLICIES["nearest"]
    assert dispatcher.travel_times.num_nodes == 20


def test_events_handed_out_stay_in_order_of_time():
    dispatcher = dispatcher_on(CITY, offer_timeout_s=30.0)
    dispatcher.drivers_online(positions(CITY, [1], [2]))
    dispatcher.submit(new_orders(CITY, [5], [3], [9]))
    taken = [dispatcher.step(T0)]
    dispatcher.drivers_online(positions(CITY, [2], [8], T0 + 50_000))
    taken.append(dispatcher.take_events())
    with pytest.raises(InputError, match=f"time goes backwards, .* {T0 + 50_000}"):
        dispatcher.drivers_online(positions(CITY, [3], [8], T0 + 40_000))
    taken.append(dispatcher.step(T0 + 60_000))  # the offer timed out at 30 s
    assert len(dispatcher.take_events()) == 0
    events = np.concatenate(taken)
    assert (np.diff(events["at_ms"]) >= 0).all()
    check_invariants(events, complete=False)


def test_a_driver_comes_back_where_it_says():
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(positions(CITY, [1], [2]))
    dispatcher.drivers_offline([1], T0 + 1000)
    dispatcher.drivers_online(positions(CITY, [1], [12], T0 + 2000))
    dispatcher.submit(new_orders(CITY, [5], [13], [9], T0 + 2000))
    assert dispatcher.step(T0 + 2000)[-1][["driver_id", "eta_ms"]].tolist() == (1, 10_000)


def test_nodes_told_by_the_caller_are_not_snapped_again():
    dispatcher = dispatcher_on(CITY)
    nowhere = np.array([0.0])
    dispatcher.drivers_online(Positions([1], nowhere, nowhere, T0, [6]))
    dispatcher.submit(NewOrders([5], nowhere, nowhere, nowhere, nowhere, T0, [8], [1]))
    assert dispatcher.step(T0)[-1]["eta_ms"] == 20_000


def test_a_city_of_one_way_streets():
    circle = city_of([0, 100, 100, 0], [0, 0, 100, 100], [(0, 1), (1, 2), (2, 3), (3, 0)])
    dispatcher = dispatcher_on(circle)
    dispatcher.drivers_online(positions(circle, [1], [1]))
    dispatcher.submit(new_orders(circle, [5], [0], [3]))
    events = dispatcher.step(T0)
    assert events["eta_ms"][-1] == 30_000
    assert dispatcher._state.orders.trip_ms[0] == 30_000


@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_etas_in_events_equal_plain_dijkstra(policy):
    city, random = grid_city(seed=8), np.random.default_rng(8)
    num_nodes = city.graph.num_nodes
    dispatcher = dispatcher_on(city, policy=policy)
    at_node, pickups = random.integers(0, num_nodes, 40), random.integers(0, num_nodes, 60)
    dropoffs = random.integers(0, num_nodes, 60)
    dispatcher.drivers_online(positions(city, np.arange(40), at_node))
    dispatcher.submit(new_orders(city, np.arange(60), pickups, dropoffs))
    arcs = arcs_of(city.graph, city.graph.free_flow_ms())
    events = dispatcher.step(T0)
    offered = events[events["kind"] == K.ORDER_OFFERED]
    assert len(offered) == 40
    for event in offered:
        to_pickup = travel_times_to(arcs, pickups[event["order_id"]], num_nodes)
        assert event["eta_ms"] == to_pickup[at_node[event["driver_id"]]]
        assert event["nearest_eta_ms"] <= event["eta_ms"]
    dispatcher.accept(offered["order_id"], offered["driver_id"], T0)
    dispatcher.arrive(offered["order_id"], T0, np.zeros(40))
    dispatcher.pick_up(offered["order_id"], T0)
    for event in dispatcher.take_events():
        if event["kind"] == K.PICKED_UP:
            order = event["order_id"]
            assert event["eta_ms"] == travel_times_to(arcs, dropoffs[order], num_nodes)[pickups[order]]


def test_the_engine_needs_no_roads_that_join_all_nodes():
    city = line_city(sink=True)
    dispatcher = dispatcher_on(city)
    dispatcher.drivers_online(positions(city, [1, 2], [19, 0]))
    dispatcher.submit(new_orders(city, [5], [18], [3]))
    assert dispatcher.step(T0)[-1]["driver_id"] == 2


def test_a_position_from_a_wrong_clock_is_ignored_and_counted():
    dispatcher = dispatcher_on(CITY)
    dispatcher.drivers_online(positions(CITY, [1, 2], [3, 4]))
    dispatcher.step(T0)
    hour_ms = 3_600_000
    ahead = positions(CITY, [1, 2], [8, 9], at_ms=[T0 + hour_ms, T0 + hour_ms + 1])
    assert dispatcher.update_positions(ahead) == (1, 0)
    assert dispatcher._state.fleet.node[:2].tolist() == [8, 4]


class Foreign:
    """Travel times of the caller's own that say whatever a test wants."""

    num_nodes = CITY.graph.num_nodes

    def __init__(self, answer):
        self.answer = answer

    def pairs_ms(self, from_node, to_node):
        return self.answer(len(from_node))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: np.full(n, -5), "gave -5 ms from node"),
        (lambda n: np.full(n, 2**40), f"gave {2**40} ms"),
        (lambda n: np.full(n, np.nan), "gave float64 of shape"),
        (lambda n: np.ones(n + 1, np.int32), "gave int32 of shape"),
    ],
)
def test_the_callers_travel_times_are_checked(answer, message):
    dispatcher = Dispatcher(CITY, Foreign(answer))
    with pytest.raises(InputError, match=message):
        dispatcher.submit(new_orders(CITY, [7], [1], [5]))
    assert dispatcher.count()["order_open"] == 0


def test_the_callers_travel_times_are_used():
    dispatcher = Dispatcher(CITY, Foreign(lambda n: np.full(n, 4_000)))
    dispatcher.drivers_online(positions(CITY, [1], [19]))
    dispatcher.submit(new_orders(CITY, [7], [1], [5]))
    events = dispatcher.step(T0)
    assert events["eta_ms"][events["kind"] == K.ORDER_OFFERED].tolist() == [4_000]


def test_travel_times_without_their_methods_are_refused():
    with pytest.raises(InputError, match="travel_times is a dict: it must have num_nodes and pairs_ms"):
        Dispatcher(CITY, {})


def test_a_copy_goes_its_own_way():
    line = line_city()
    dispatcher = dispatcher_on(line)
    dispatcher.drivers_online(positions(line, [1, 2], [3, 4]))
    dispatcher.submit(new_orders(line, [1], [5], [9]))
    dispatcher.step(T0)
    other = copy.deepcopy(dispatcher)
    before = tables_of(dispatcher)
    offered = other.driver_status([1, 2]).index(DriverStatus.OFFERED) + 1
    other.drivers_offline([3 - offered], T0 + 1)
    other.submit(new_orders(line, [2], [6], [9], T0 + 2))
    assert not (other.step(T0 + 3)["kind"] == K.ORDER_OFFERED).any(), "nobody is free"
    assert_same_tables(before, tables_of(dispatcher))
