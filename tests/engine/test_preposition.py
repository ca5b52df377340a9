"""Where idle drivers are advised to wait: the transport problem against scipy, the rest through the face."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import linear_sum_assignment

from cities import T0, dispatcher_on, grid_city, new_orders, places, positions
from dispatch.engine.events import EventKind as K
from dispatch.engine.lifecycle import DriverStatus as D
from dispatch.engine.policy import Policy
from dispatch.engine.preposition import (
    LONGEST_MOVE_S,
    LOOK_BACK_S,
    NEAREST_AREAS,
    _busiest_nodes,
    _moves,
    _spare_drivers,
)

CITY = grid_city(12, 12, seed=5)
"""3.3 km wide: sixteen areas."""
NUM_NODES = CITY.graph.num_nodes
ADVISES = Policy("preposition", preposition_every_s=300.0, preposition_horizon_min=30.0)
"""As many orders are expected as there were in the last half hour."""
SLOW = grid_city(12, 12, seed=5, block_m=900.0)


def dispatcher_of(city=CITY, **params):
    return dispatcher_on(city, policy=ADVISES, stale_position_s=9000.0, **params)


FAR = 78
"""Another area than that of node 0, seven minutes away."""


def advice(events):
    return events[events["kind"] == K.REPOSITION_ADVISED]


def least_total_ms(travel_ms, short):
    """Each driver goes to a place that is short, as many as are wanted there, or stays at LONGEST_MOVE_S."""
    seats = np.repeat(travel_ms, short, axis=1)
    stays = np.full((len(travel_ms), len(travel_ms)), 1000 * LONGEST_MOVE_S)
    matrix = np.hstack([seats, stays])
    return int(matrix[linear_sum_assignment(matrix)].sum())


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, NEAREST_AREAS))
def test_moves_are_those_of_the_transport_problem(seed, num_drivers, num_short):
    random = np.random.default_rng(seed)
    city = SLOW if seed % 2 else CITY
    world = dispatcher_of(city)._world
    driver = random.permutation(50)[:num_drivers].astype(np.int32)
    node = random.integers(0, NUM_NODES, num_drivers).astype(np.int32)
    target = random.permutation(NUM_NODES)[: num_short + 2].astype(np.int32)
    short = np.zeros(num_short + 2, np.int32)
    short[random.permutation(num_short + 2)[:num_short]] = random.integers(1, 3, num_short)
    table_ms = world.travel_times.table_ms(node, target)
    goes, to_node, eta_ms = _moves(driver, node, target, short, world)
    assert len(set(goes.tolist())) == len(goes)
    row_of, column_of = {d: i for i, d in enumerate(driver)}, {n: i for i, n in enumerate(target)}
    told = [table_ms[row_of[d], column_of[n]] for d, n in zip(goes, to_node, strict=True)]
    assert eta_ms.tolist() == told
    assert max(told, default=0) <= 1000 * LONGEST_MOVE_S
    sent = np.bincount([column_of[n] for n in to_node], minlength=len(short))
    assert (sent <= short).all()
    staying_ms = 1000 * LONGEST_MOVE_S * (num_drivers - len(goes))
    assert sum(told) + staying_ms == least_total_ms(table_ms[:, short > 0], short[short > 0])


@given(st.lists(st.integers(0, NUM_NODES - 1), max_size=20))
def test_the_busiest_node_of_an_area_is_its_first_of_most_pickups(pickups):
    areas = dispatcher_of()._world.areas
    busiest = _busiest_nodes(np.array(pickups, np.int32), areas)
    for area in range(areas.num):
        of_area = [node for node in pickups if areas.of_node[node] == area]
        expected = min(of_area, key=lambda node: (-of_area.count(node), node)) if of_area else -1
        assert busiest[area] == expected


@given(st.lists(st.integers(0, NUM_NODES - 1), max_size=20), st.integers(0, 2**32 - 1))
def test_areas_spare_as_many_drivers_as_they_can_do_without(nodes, seed):
    areas = dispatcher_of()._world.areas
    can_spare = np.random.default_rng(seed).integers(-2, 4, areas.num).astype(float)
    node = np.array(nodes, np.int32)
    driver = 100 + np.arange(len(node), dtype=np.int32)
    spare = _spare_drivers(driver, node, areas, can_spare)
    for area in range(areas.num):
        of_area = [d for d, n in zip(driver.tolist(), nodes, strict=True) if areas.of_node[n] == area]
        kept = [d for d in spare.tolist() if d in of_area]
        assert kept == of_area[: max(int(can_spare[area]), 0)]


# --- through the face ------------------------------------------------------------------------------


def busy_corner(num_drivers=5, city=CITY, num_orders=3):
    """Drivers in one corner; orders in the opposite one, which were all given up again."""
    dispatcher = dispatcher_of(city)
    dispatcher.submit(new_orders(city, range(num_orders), [FAR] * num_orders, [0] * num_orders))
    dispatcher.cancel(list(range(num_orders)), T0)
    dispatcher.drivers_online(positions(city, range(num_drivers), [0] * num_drivers))
    return dispatcher


def test_idle_drivers_are_sent_to_where_orders_were():
    dispatcher = busy_corner()
    told = advice(dispatcher.step(T0))
    assert len(told) == 3
    assert len(set(told["driver_id"].tolist())) == 3
    lon, lat = places(CITY, FAR)
    assert set(told["lon_e6"].tolist()) == {round(float(lon[0]) * 1e6)}
    assert set(told["lat_e6"].tolist()) == {round(float(lat[0]) * 1e6)}
    way_ms = CITY.free_flow().pairs_ms(np.zeros(1, np.int32), np.array([FAR], np.int32))
    assert set(told["eta_ms"].tolist()) == set(way_ms.tolist())
    assert dispatcher.driver_status(range(5)) == [D.IDLE] * 5


def test_those_on_their_way_count_as_there_until_they_should_be():
    dispatcher = busy_corner()
    first = advice(dispatcher.step(T0))
    assert len(advice(dispatcher.step(T0 + 299_999))) == 0  # not due
    again = advice(dispatcher.step(T0 + 300_000))
    late = first["eta_ms"][0] <= 300_000
    assert len(again) == (3 if late else 0)  # they never moved: by then they are where they say


def test_advice_is_for_idle_drivers_only():
    dispatcher = busy_corner(num_drivers=6)
    dispatcher.submit(new_orders(CITY, [50, 51], [0, 0], [60, 60]))
    dispatcher.assign([50], [1], T0)
    events = dispatcher.step(T0)
    offered = events["driver_id"][events["kind"] == K.ORDER_OFFERED].tolist()
    assert len(offered) == 1
    told = set(advice(events)["driver_id"].tolist())
    assert len(told) == 2  # two orders were here, and four drivers are idle
    assert not told & {1, *offered}


def test_nobody_is_sent_farther_than_the_longest_move():
    assert len(advice(busy_corner(city=SLOW).step(T0))) == 0


def test_orders_of_more_than_half_an_hour_ago_are_forgotten():
    for age_s, num_advised in ((LOOK_BACK_S - 1, 3), (LOOK_BACK_S, 0)):
        dispatcher = busy_corner()
        assert len(advice(dispatcher.step(T0 + 1000 * age_s))) == num_advised


def test_who_drops_off_there_soon_counts():
    dispatcher = busy_corner()
    dispatcher.drivers_online(positions(CITY, [9], [FAR - 1]))
    dispatcher.submit(new_orders(CITY, [50], [FAR - 1], [FAR]))
    dispatcher.assign([50], [9], T0)
    dispatcher.arrive([50], T0, [0])
    dispatcher.pick_up([50], T0)
    # Four orders were there, and one car comes free there.
    assert len(advice(dispatcher.step(T0))) == 3


@pytest.mark.parametrize(("num_drivers", "num_orders"), [(0, 3), (3, 0)])
def test_without_drivers_or_orders_nobody_is_advised(num_drivers, num_orders):
    dispatcher = dispatcher_of()
    if num_orders:
        dispatcher.submit(new_orders(CITY, range(num_orders), [5] * num_orders, [9] * num_orders))
    if num_drivers:
        dispatcher.drivers_online(positions(CITY, range(num_drivers), range(num_drivers)))
    assert len(advice(dispatcher.step(T0))) == 0
