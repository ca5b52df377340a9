from dataclasses import replace

import numpy as np
import pytest

from cities import T0, shifts_of, small_scenario
from dispatch.kernels import sim_state as s
from dispatch.kernels.random_streams import uniform
from dispatch.sim.population import booked_ahead, car_classes, draws, driver_rows, order_rows
from dispatch.units import NO_INDEX, NO_VALUE
from simulated import assert_drawn_from, assert_share, behaving

MINUTE = 60_000


def big(**parts):
    return small_scenario(3000, 400, seed=4, **parts)


def test_a_draw_goes_by_seed_stream_and_row():
    drawn = draws(9, s.TIER, 50)
    assert drawn.tolist() == [uniform(9, s.TIER, row, 0) for row in range(50)]
    assert draws(9, s.TIER, 20).tolist() == drawn[:20].tolist()
    assert not set(draws(10, s.TIER, 50)) & set(drawn)


# --- orders -----------------------------------------------------------------------------------------


def test_orders_are_rows_of_the_scenario():
    day = small_scenario(30, 4)
    orders, rows = day.orders, order_rows(day)
    for name in ("requested_at_ms", "pickup_node", "dropoff_node"):
        assert np.array_equal(rows[name], getattr(orders, name))
    assert np.array_equal(rows["wanted_at_ms"], orders.requested_at_ms)
    assert rows["origin"].tolist() == list(range(30))
    as_told = {
        "driver": NO_INDEX, "stage": s.FUTURE, "due": s.NOTHING, "trip_ms": NO_VALUE, "trip_m": NO_VALUE,
        "noted_ms": s.NEVER, "attempt": 0, "num_accepted": 0, "tier": 0, "vehicle_class": 0, "is_first": 0,
        "passengers": 1,
    }  # fmt: skip
    for name, value in as_told.items():
        assert (rows[name] == value).all(), name


def test_recorded_durations_are_kept_or_not():
    day = small_scenario(3, 1)
    day = replace(day, orders=replace(day.orders, duration_s=np.array([-1, 0, 95], np.int32)))
    assert order_rows(day)["trip_ms"].tolist() == [NO_VALUE, NO_VALUE, 95_000]
    assert order_rows(replace(day, recorded_durations=False))["trip_ms"].tolist() == [NO_VALUE] * 3


def test_nobody_asks_for_more_seats_than_any_car_has():
    day = small_scenario(4, 1, behaviour=behaving(vehicles={"class_shares": (0.5, 0.5), "seats": (4, 6)}))
    day = replace(day, orders=replace(day.orders, passengers=np.array([0, 3, 6, 9], np.int32)))
    assert order_rows(day)["passengers"].tolist() == [1, 3, 6, 6]


def test_customers_come_in_their_shares():
    customers = {
        "tier_shares": (0.5, 0.0, 0.5), "class_shares": (0.9, 0.1), "first_time_share": 0.25,
        "orders_per_customer": 3.0,
    }  # fmt: skip
    rows = order_rows(big(behaviour=behaving(customers=customers)))
    for tier, share in enumerate((0.5, 0.0, 0.5)):
        assert_share((rows["tier"] == tier).sum(), 3000, share)
    assert_share((rows["vehicle_class"] == 1).sum(), 3000, 0.1)
    new = rows["is_first"] == 1
    assert_share(new.sum(), 3000, 0.25)
    num_known = round((~new).sum() / 3)
    assert len(np.unique(rows["customer_id"][new])) == new.sum()
    assert rows["customer_id"][new].min() >= num_known
    known = rows["customer_id"][~new]
    assert (known.min(), known.max()) == (0, num_known - 1)
    assert_drawn_from((known + 0.5) / num_known, "uniform")
    # Neither tier nor class tells who is new.
    table = np.column_stack([rows["tier"], rows["vehicle_class"], rows["is_first"]])
    assert np.abs(np.corrcoef(table.T)[~np.eye(3, dtype=bool)]).max() < 0.06


def test_where_everybody_is_new_there_are_no_known_customers():
    rows = order_rows(small_scenario(40, 2, behaviour=behaving(customers={"first_time_share": 1.0})))
    assert len(np.unique(rows["customer_id"])) == 40


# --- booking ahead ----------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_rows_stay_and_so_does_what_is_wanted(share):
    behaviour = behaving(customers={"prebooked_share": share, "prebooked_ahead_min": (10.0, 50.0)})
    day = big(behaviour=behaviour, start_at_ms=T0 - 60 * MINUTE)
    booked = booked_ahead(day)
    assert np.array_equal(booked.wanted_at_ms, day.orders.requested_at_ms)
    for name in ("pickup_node", "dropoff_node", "duration_s"):
        assert np.array_equal(getattr(booked.orders, name), getattr(day.orders, name))
    ahead_ms = booked.wanted_at_ms - booked.orders.requested_at_ms
    early = ahead_ms[ahead_ms > 0]
    assert_share(len(early), 3000, share)
    if share:
        assert_drawn_from(early, "uniform", 10 * MINUTE, 40 * MINUTE)
    rows = order_rows(booked)
    assert np.array_equal(rows["wanted_at_ms"], booked.wanted_at_ms)
    for name in ("tier", "customer_id", "is_first", "vehicle_class"):
        assert np.array_equal(rows[name], order_rows(day)[name])


def test_no_order_comes_before_the_day():
    behaviour = behaving(customers={"prebooked_share": 1.0, "prebooked_ahead_min": (30.0, 90.0)})
    booked = booked_ahead(big(behaviour=behaviour))
    assert booked.orders.requested_at_ms.min() == T0
    assert (booked.orders.requested_at_ms <= booked.wanted_at_ms).all()


# --- drivers ----------------------------------------------------------------------------------------


def test_drivers_wait_for_their_first_shift():
    shifts = shifts_of([(3, T0 + 5, T0 + 9, 7), (3, T0 + 20, T0 + 30, 8), (9, T0 + 1, T0 + 2, 4)])
    driver_id, rows = driver_rows(small_scenario(3, 1, shifts=shifts))
    assert driver_id.tolist() == [3, 9]
    assert rows["due_at_ms"].tolist() == rows["noted_ms"].tolist() == [T0 + 5, T0 + 1]
    assert rows["node"].tolist() == rows["home_node"].tolist() == [7, 4]
    assert (rows["shift"].tolist(), rows["end_shift"].tolist()) == ([0, 2], [2, 3])
    assert (rows["phase"] == s.OFF).all()
    for name in ("order", "next_order", "offered"):
        assert (rows[name] == NO_INDEX).all()


def test_so_many_are_electric_and_begin_with_some_charge():
    vehicles = {"electric_share": 0.4, "range_km": 100.0}
    _, rows = driver_rows(big(behaviour=behaving(vehicles=vehicles)))
    assert_share(rows["is_electric"].sum(), 400, 0.4)
    assert_drawn_from(rows["battery_m"] / 1000, "uniform", 40, 60)


def test_cars_come_in_their_classes():
    vehicles = {"class_shares": (0.5, 0.2, 0.3), "seats": (4, 4, 6)}
    classes = car_classes(big(behaviour=behaving(vehicles=vehicles)), 4000)
    for one, share in enumerate((0.5, 0.2, 0.3)):
        assert_share((classes == one).sum(), 4000, share)
