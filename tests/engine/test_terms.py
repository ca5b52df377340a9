"""What is known of drivers, in numbers: who gets orders at all, for which, and at what cost."""

from dataclasses import replace

import numpy as np
import pytest

from cities import T0, assert_same_tables, new_orders, positions, tables_of
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K
from dispatch.engine.inputs import NewDrivers
from dispatch.engine.lifecycle import DriverStatus as D, OrderStatus as S
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import Policy
from dispatch.engine.terms import MAX_COST_MS, DriverTerms
from dispatch.engine.vehicles import ALL_SKILLS
from dispatch.errors import InputError, StateError
from dispatch.roads.all_pairs import AllPairsTimes
from engine.riding import LINE, line_dispatcher, offers, ride

METRIC = LINE.free_flow()
TABLE = AllPairsTimes(METRIC)
WAYS = {
    "plain": (TABLE, {}),
    "the long way": (TABLE, {"keep_explanations": 1}),
    "no table": (METRIC, {}),
    "by road": (METRIC, {"candidates_by": "road"}),
    "nearest": (TABLE, {"policy": "nearest"}),
}


def waiting(way, nodes=(0, 9), **params):
    """Drivers 1, 2, … at nodes."""
    times, more = WAYS[way]
    dispatcher = Dispatcher(LINE, times, DispatchParams(**more | params))
    dispatcher.drivers_online(positions(LINE, range(1, len(nodes) + 1), list(nodes)))
    return dispatcher


# --- costs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("column", ["quality_cost_ms", "income_cost_ms"])
@pytest.mark.parametrize(("cost_ms", "driver", "eta_s"), [(49_999, 1, 20), (50_001, 2, 70)])
def test_a_driver_who_costs_more_than_the_way_is_passed_over_and_etas_stay_etas(
    way, column, cost_ms, driver, eta_s
):
    dispatcher = waiting(way)
    dispatcher.set_driver_terms(DriverTerms([1], **{column: cost_ms}))
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    assert offers(dispatcher.step(T0)) == [(7, driver, eta_s, 20)]


def test_both_costs_add_up_and_hold_until_told_anew():
    dispatcher = waiting("plain")
    dispatcher.set_driver_terms(DriverTerms([1, 2], [30_000, 0], [30_000, 0]))
    dispatcher.submit(new_orders(LINE, [7, 8], [2, 3], [5, 5]))
    assert offers(dispatcher.step(T0)) == [(7, 1, 20, 20), (8, 2, 60, 30)]  # both are needed: least in sum
    dispatcher.decline([7, 8], [1, 2], T0 + 1)
    dispatcher.cancel([8], T0 + 2)
    dispatcher.submit(new_orders(LINE, [9], [2], [5], T0 + 3))
    dispatcher.cancel([7], T0 + 4)
    assert offers(dispatcher.step(T0 + 5)) == [(9, 2, 70, 20)]
    dispatcher.decline([9], [2], T0 + 6)
    dispatcher.set_driver_terms(DriverTerms([1]))
    dispatcher.cancel([9], T0 + 6)
    dispatcher.submit(new_orders(LINE, [10], [2], [5], T0 + 7))
    assert offers(dispatcher.step(T0 + 8)) == [(10, 1, 20, 20)]


# --- eligibility -----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_who_is_not_eligible_gets_nothing_until_it_is(way):
    dispatcher = waiting(way)
    dispatcher.set_driver_terms(DriverTerms([1, 2], eligible=[0, 1]))
    dispatcher.submit(new_orders(LINE, [7, 8], [2, 3], [5, 5]))
    assert [(order, driver) for order, driver, *_ in offers(dispatcher.step(T0))] in ([(7, 2)], [(8, 2)])
    dispatcher.set_driver_terms(DriverTerms([1]))
    assert [driver for _, driver, *_ in offers(dispatcher.step(T0 + 1))] == [1]


def test_not_even_an_order_that_looks_at_all_drivers_finds_one():
    dispatcher = waiting("plain", (3, 0, 9), candidates_per_order=1)
    dispatcher.set_driver_terms(DriverTerms([2], eligible=0))
    dispatcher.submit(new_orders(LINE, [7, 8, 9], [3, 3, 3], [5, 5, 5]))
    assert sorted(driver for _, driver, *_ in offers(dispatcher.step(T0))) == [1, 3]


def test_nor_one_who_is_about_to_drop_off():
    for eligible, expected in ((1, [(7, 1)]), (0, [])):
        dispatcher = line_dispatcher(Policy(chain_before_dropoff_s=100.0))
        ride(dispatcher, 1, 1, 0, 5)
        dispatcher.set_driver_terms(DriverTerms([1], eligible=eligible))
        dispatcher.submit(new_orders(LINE, [7], [6], [9]))
        assert [(order, driver) for order, driver, *_ in offers(dispatcher.step(T0))] == expected


def on_the_way(eligible):
    """Driver 1 is on the way from node 0 to order 1 at node 5; driver 2 comes to node 6."""
    dispatcher = line_dispatcher(Policy(reassign_gain_s=5.0))
    dispatcher.drivers_online(positions(LINE, [1], [0]))
    dispatcher.submit(new_orders(LINE, [1], [5], [9]))
    dispatcher.assign([1], [1], T0)
    dispatcher.set_driver_terms(DriverTerms([1, 2], eligible=[eligible, 1]))
    return dispatcher


def test_one_on_the_way_gets_no_other_order_but_keeps_its_own():
    for eligible, expected in ((1, 1), (0, None)):
        dispatcher = on_the_way(eligible)
        dispatcher.drivers_online(positions(LINE, [2], [6]))
        dispatcher.submit(new_orders(LINE, [7], [0], [9]))
        made = {order: driver for order, driver, *_ in offers(dispatcher.step(T0))}
        assert made.get(7) == (expected or 2)
        if not eligible:
            assert dispatcher.order_status([1]) == [S.ASSIGNED]


def test_its_order_may_go_to_somebody_nearer():
    dispatcher = on_the_way(0)
    dispatcher.drivers_online(positions(LINE, [2], [6]))
    events = dispatcher.step(T0)
    moved = events[events["kind"] == K.ORDER_REASSIGNED]
    assert list(zip(moved["order_id"], moved["driver_id"], strict=True)) == [(1, 2)]


def test_one_at_a_rank_is_passed_over_and_keeps_its_place():
    rank = np.where(np.arange(20) == 4, 0, -1).astype(np.int32)
    dispatcher = line_dispatcher("batch", node_rank=rank)
    for at_s, driver in ((0, 1), (1, 2)):
        dispatcher.drivers_online(positions(LINE, [driver], [4], T0 + 1000 * at_s))
        dispatcher.step(T0 + 1000 * at_s)
    dispatcher.set_driver_terms(DriverTerms([1], eligible=0))
    dispatcher.submit(new_orders(LINE, [7], [4], [9], T0 + 2000))
    assert offers(dispatcher.step(T0 + 2000)) == [(7, 2, 0, 0)]
    dispatcher.decline([7], [2], T0 + 2001)
    dispatcher.set_driver_terms(DriverTerms([1]))
    dispatcher.submit(new_orders(LINE, [8], [4], [9], T0 + 2002))
    assert offers(dispatcher.step(T0 + 2003)) == [(7, 1, 0, 0), (8, 2, 0, 0)]


def test_what_it_has_it_finishes():
    dispatcher = waiting("plain", (0,))
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    dispatcher.step(T0)
    dispatcher.set_driver_terms(DriverTerms([1], eligible=0))
    dispatcher.accept([7], [1], T0 + 1)
    dispatcher.arrive([7], T0 + 2, [10])
    dispatcher.pick_up([7], T0 + 3)
    dispatcher.drop_off([7], T0 + 4, [10])
    dispatcher.close([7], T0 + 5)
    assert (dispatcher.order_status([7]), dispatcher.driver_status([1])) == ([S.CLOSED], [D.IDLE])


def test_the_desk_neither_shows_nor_counts_nor_sends_it():
    dispatcher = waiting("plain")
    dispatcher.set_driver_terms(DriverTerms([1], eligible=0))
    asked = new_orders(LINE, [7], [2], [5])
    lon, lat = LINE.graph.node_lon[2], LINE.graph.node_lat[2]
    assert dispatcher.nearby(lon, lat, T0).driver_id.tolist() == [2]
    (quote,) = dispatcher.quote(asked, T0)
    assert (quote.num_cars, quote.pickup_eta_ms) == (1, 70_000)
    dispatcher.submit(asked)
    before = tables_of(dispatcher)
    with pytest.raises(
        StateError, match=r"driver_id\[0\] is 1: not eligible for orders, by set_driver_terms"
    ):
        dispatcher.assign([7], [1], T0)
    assert_same_tables(before, tables_of(dispatcher))
    dispatcher.assign([7], [2], T0)


def test_nor_is_it_advised_where_to_wait():
    """Five orders of the last half hour at one end, and idle drivers at the other."""
    for eligible, num in ((1, 2), (0, 0)):
        dispatcher = line_dispatcher(Policy(preposition_every_s=60.0), max_pickup_s=1.0)
        dispatcher.drivers_online(positions(LINE, [1, 2], [0, 0]))
        dispatcher.set_driver_terms(DriverTerms([1, 2], eligible=eligible))
        dispatcher.submit(new_orders(LINE, range(20), [19] * 20, [0] * 20))
        events = dispatcher.step(T0)
        assert (events["kind"] == K.REPOSITION_ADVISED).sum() == num


@pytest.mark.parametrize("first", ["car", "terms"])
def test_a_car_told_anew_makes_nobody_eligible(first):
    dispatcher = waiting("plain", (0,))
    car, terms = NewDrivers([1], 0, 7), DriverTerms([1], eligible=0)
    for one in (car, terms) if first == "car" else (terms, car):
        (dispatcher.register_drivers if one is car else dispatcher.set_driver_terms)(one)
    dispatcher.submit(replace(new_orders(LINE, [7], [2], [5]), passengers=[7]))
    assert offers(dispatcher.step(T0)) == []
    dispatcher.set_driver_terms(DriverTerms([1]))
    assert offers(dispatcher.step(T0 + 1)) == [(7, 1, 20, 20)]


# --- skills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_a_driver_holds_all_skills_that_are_asked_for(way):
    dispatcher = waiting(way, (2, 3, 4, 9))
    dispatcher.set_driver_terms(DriverTerms([1, 2, 3], skills=[0, 1, 2]))
    dispatcher.submit(replace(new_orders(LINE, [7, 8, 9], [2, 2, 2], [5] * 3), skills=[3, 1, 0]))
    assert offers(dispatcher.step(T0)) == [(7, 4, 70, 70), (8, 2, 10, 10), (9, 1, 0, 0)]


def test_the_nearest_are_the_nearest_of_those_who_hold_them():
    dispatcher = waiting("plain", range(19), candidates_per_order=2)
    dispatcher.set_driver_terms(DriverTerms(range(1, 20), skills=[0] * 16 + [4, 4, 4]))
    dispatcher.submit(replace(new_orders(LINE, [7, 8], [0, 0], [5, 5]), skills=[4, 0]))
    events = dispatcher.step(T0)
    assert offers(events) == [(7, 17, 160, 160), (8, 1, 0, 0)]
    assert events["num_cars"][events["kind"] == K.CARS_SHOWN].tolist() == [2, 2]


# --- bad input -------------------------------------------------------------------------------------

WRONG = [
    ({"driver_id": [1, 1]}, "driver_id holds 1 more than once"),
    ({"driver_id": [1, -2]}, "driver_id[1] is -2: ids must not be negative"),
    ({"driver_id": [1.5, 2]}, "driver_id is an array of float64"),
    ({"quality_cost_ms": [0, -1]}, "quality_cost_ms[1] is -1: it must be a whole number from 0 to 3600000"),
    ({"income_cost_ms": [MAX_COST_MS + 1, 0]}, "income_cost_ms[0] is 3600001: it must be a whole number"),
    ({"income_cost_ms": [0.5, 0]}, "income_cost_ms is an array of float64"),
    ({"eligible": [1, 2]}, "eligible[1] is 2: it must be a whole number from 0 to 1"),
    ({"eligible": [True, False]}, "eligible is an array of bool"),
    ({"skills": [ALL_SKILLS + 1, 0]}, "skills[0] is 65536: it must be a whole number from 0 to 65535"),
    ({"skills": [1, 2, 3]}, "skills has 3 rows where 2 were expected"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG)
def test_wrong_terms_are_refused_as_a_whole(wrong, message):
    dispatcher = waiting("plain")
    before = tables_of(dispatcher)
    with pytest.raises(InputError) as raised:
        dispatcher.set_driver_terms(DriverTerms(**{"driver_id": [1, 99]} | wrong))
    assert str(raised.value).startswith(message)
    assert_same_tables(before, tables_of(dispatcher))


def test_new_drivers_are_known_by_their_terms_and_none_is_no_mistake():
    dispatcher = waiting("plain", ())
    dispatcher.set_driver_terms(DriverTerms([], [], [], [], []))
    dispatcher.set_driver_terms(DriverTerms([3], eligible=0))
    assert dispatcher.driver_status([3]) == [D.OFFLINE]
    dispatcher.drivers_online(positions(LINE, [3], [0]))
    dispatcher.submit(new_orders(LINE, [7], [2], [5]))
    assert offers(dispatcher.step(T0)) == []
