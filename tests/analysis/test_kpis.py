import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.histories import random_history
from analysis.logs import event, log_of, random_log
from dispatch.analysis import KPI, KPIS, kpis
from dispatch.engine.events import EVENT_DTYPE, EventKind
from naive.replay import drivers_in_plain_python, orders_in_plain_python

K = EventKind
S = 1000


def served(order_id, driver_id, at_s, *, accept_s, eta_s=120, arrive_s=100, board_s=30, trip_s=600, cars=1):
    """A driver comes online and serves one order; times are durations, one after the other."""
    accepted = (at_s + accept_s) * S
    arrived = accepted + arrive_s * S
    dropped = arrived + (board_s + trip_s) * S
    etas = {"eta_ms": eta_s * S, "nearest_eta_ms": 60 * S}
    return [
        event(K.DRIVER_ONLINE, at_s * S, driver_id=driver_id),
        event(K.ORDER_SUBMITTED, at_s * S, order_id),
        event(K.CARS_SHOWN, at_s * S, order_id, num_cars=cars),
        event(K.ORDER_OFFERED, at_s * S, order_id, driver_id, **etas),
        event(K.OFFER_ACCEPTED, accepted, order_id, driver_id),
        event(K.ORDER_ASSIGNED, accepted, order_id, driver_id, **etas),
        event(K.DRIVER_ARRIVED, arrived, order_id, driver_id, leg_m=1000),
        event(K.PICKED_UP, arrived + board_s * S, order_id, driver_id),
        event(K.DROPPED_OFF, dropped, order_id, driver_id, leg_m=3000, fare_cents=900),
        event(K.ORDER_CLOSED, dropped, order_id),
    ]


def in_time(*events):
    joined = log_of(*events)
    return joined[np.argsort(joined["at_ms"], kind="stable")]


def test_one_order_by_hand():
    got = kpis(in_time(*served(1, 9, 0, accept_s=10)))
    assert got["completion_share"] == 1.0
    assert got["response_p50_s"] == got["response_p90_s"] == got["response_p99_s"] == 10.0
    assert (got["golden5_share"], got["golden10_share"]) == (1.0, 1.0)
    assert (got["five_minute_arrival_share"], got["arrival_after_accept_mean_s"]) == (1.0, 100.0)
    assert got["wait_mean_s"] == got["wait_p50_s"] == got["wait_p90_s"] == 140.0
    assert (got["pickup_eta_bias_s"], got["pickup_eta_mae_s"]) == (-20.0, 20.0)
    assert (got["far_pickup_share"], got["eta_regret_mean_s"]) == (0.0, 60.0)
    assert (got["empty_km_share"], got["pickup_km_per_order"]) == (0.25, 1.0)
    assert (got["empty_km_pickup_share"], got["empty_km_idle_share"]) == (0.25, 0.0)
    assert got["empty_km_repositioning_share"] == 0.0
    assert got["five_minute_arrival_driver_p10_share"] is None, "one acceptance tells little of a driver"
    assert got["utilisation_share"] == pytest.approx(600 / 740)
    assert got["busy_share"] == pytest.approx(730 / 740)
    assert got["processing_mean_s"] == 740.0
    assert got["driver_income_mean_cents_per_h"] == pytest.approx(900 / 740 * 3600)
    assert got["driver_income_gini"] == 0.0
    assert got["offers_per_order"] == 1.0


def test_limits_are_inclusive_and_denominators_keep_cancelled_orders():
    got = kpis(
        in_time(
            *served(1, 1, 0, accept_s=300, eta_s=600, arrive_s=300),
            *served(2, 2, 0, accept_s=301, eta_s=601, arrive_s=301),
            event(K.ORDER_SUBMITTED, 0, 3),
            event(K.CARS_SHOWN, 0, 3, num_cars=0),
            event(K.ORDER_CANCELLED, 60 * S, 3),
            event(K.ORDER_SUBMITTED, 0, 4),
            event(K.ORDER_EXPIRED, 900 * S, 4),
        )
    )
    assert (got["golden5_share"], got["golden10_share"], got["golden10_of_submitted_share"]) == (
        0.25,
        0.5,
        0.25,
    )
    assert (got["five_minute_arrival_share"], got["completion_share"]) == (0.5, 0.5)
    assert got["phantom_cars_share"] == 0.5, "orders 1 and 2 saw cars, 2 was not accepted in time"
    assert (got["customer_cancel_share"], got["expired_share"]) == (0.25, 0.25)
    assert got["customer_cancel_before_acceptance_share"] == 0.25
    assert got["customer_cancel_after_acceptance_share"] == 0.0
    assert got["far_pickup_share"] == 1.0


def test_late_pickups_have_strict_limits():
    got = kpis(
        in_time(
            *served(1, 1, 0, accept_s=1, eta_s=60, arrive_s=360),
            *served(2, 2, 0, accept_s=1, eta_s=60, arrive_s=361),
            *served(3, 3, 0, accept_s=1, eta_s=60, arrive_s=661),
        )
    )
    assert got["pickup_late5_share"] == pytest.approx(2 / 3)
    assert got["pickup_late10_share"] == pytest.approx(1 / 3)


def test_predicted_travel_measures_no_eta_error_and_changes_nothing_else():
    events = in_time(*served(1, 1, 0, accept_s=1))
    driven, predicted = kpis(events), kpis(events, travel_is_predicted=True)
    differing = {name for name in driven if driven[name] != predicted[name]}
    assert differing == {"pickup_eta_mae_s", "pickup_eta_bias_s", "pickup_late5_share", "pickup_late10_share"}
    assert all(predicted[name] is None for name in differing)


def test_where_nobody_cancels_shares_of_cancels_are_no_measurement():
    events = in_time(*served(1, 1, 0, accept_s=1))
    free, bound = kpis(events), kpis(events, nobody_cancels=True)
    differing = {name for name in free if free[name] != bound[name]}
    assert differing == {
        "customer_cancel_share",
        "customer_cancel_before_acceptance_share",
        "customer_cancel_after_acceptance_share",
        "customer_cancel_after_arrival_share",
        "driver_cancel_share",
    }
    assert all((free[name], bound[name]) == (0.0, None) for name in differing)


def test_empty_log_and_log_without_acceptance():
    assert set(kpis(np.empty(0, EVENT_DTYPE)).values()) == {None}
    nobody = kpis(in_time(event(K.ORDER_SUBMITTED, 0, 1), event(K.ORDER_EXPIRED, 9 * S, 1)))
    assert (nobody["completion_share"], nobody["golden5_share"], nobody["expired_share"]) == (0.0, 0.0, 1.0)
    assert (nobody["response_p50_s"], nobody["golden10_share"], nobody["wait_mean_s"]) == (None, None, None)
    assert (nobody["utilisation_share"], nobody["empty_km_share"]) == (None, None)


def test_undone_assignments():
    first = served(1, 1, 0, accept_s=1)[:6]
    got = kpis(in_time(*first, event(K.ORDER_UNASSIGNED, 5 * S, 1, 1), event(K.ORDER_CANCELLED, 6 * S, 1)))
    assert got["driver_cancel_share"] == 1.0
    assert got["customer_cancel_after_acceptance_share"] == 1.0


def test_what_is_given_to_another_driver_at_once_is_not_undone():
    first = served(1, 1, 0, accept_s=1)[:6]
    quote = {"eta_ms": 60 * S, "nearest_eta_ms": 60 * S}
    got = kpis(
        in_time(
            event(K.DRIVER_ONLINE, 0, driver_id=2),
            *first,
            event(K.ORDER_RELEASED, 5 * S, 1, 1),
            event(K.ORDER_REASSIGNED, 5 * S, 1, 2, **quote),
            event(K.DRIVER_ARRIVED, 306 * S, 1, 2, leg_m=10),
            event(K.ORDER_CANCELLED, 400 * S, 1, 2),
        )
    )
    assert got["driver_cancel_share"] == 0.0
    assert (got["response_p50_s"], got["pickup_eta_bias_s"]) == (1.0, 241.0)
    assert got["five_minute_arrival_share"] == 0.0, "301 s after it was given to the driver who came"
    assert got["customer_cancel_after_arrival_share"] == 1.0
    assert got["customer_cancel_after_acceptance_share"] == 0.0


def test_arrivals_within_five_minutes_of_the_slowest_drivers():
    def day(driver_id, num_orders, num_short):
        arrive_s = [300] * num_short + [301] * (num_orders - num_short)
        orders = [
            served(100 * driver_id + n, driver_id, 2000 * n, accept_s=1, arrive_s=one)[n > 0 :]
            for n, one in enumerate(arrive_s)
        ]
        return [one for order in orders for one in order]

    got = kpis(in_time(*day(1, 5, 1), *day(2, 10, 9), *day(3, 4, 0)))
    assert got["five_minute_arrival_driver_p10_share"] == pytest.approx(0.2 + 0.1 * 0.7)


@settings(max_examples=80, deadline=None)
@given(
    make_log=st.sampled_from([random_log, random_history]), seed=st.integers(0, 10**6), complete=st.booleans()
)
def test_random_logs_agree_with_plain_python(make_log, seed, complete):
    events = make_log(seed, complete=complete)
    got = kpis(events)
    orders, drivers = orders_in_plain_python(events), drivers_in_plain_python(events).values()
    accepted = [o for o in orders if "first_accepted_at_ms" in o]
    in_five = [o for o in accepted if o["first_accepted_at_ms"] - o["wanted_at_ms"] <= 300 * S]
    waits = [(max(o["picked_up_at_ms"] - o["wanted_at_ms"], 0)) / S for o in orders if "picked_up_at_ms" in o]
    errors = [
        (o["arrived_at_ms"] - o["accepted_at_ms"] - o["quoted_eta_ms"]) / S
        for o in orders
        if "arrived_at_ms" in o
    ]
    shown = [o for o in orders if o.get("num_cars_shown", 0) >= 1]
    driven_m, trip_m = sum(d["driven_m"] for d in drivers), sum(d["trip_m"] for d in drivers)
    pickup_m = sum(d["pickup_m"] + d["abandoned_m"] for d in drivers)
    given = sum(d["num_accepted"] for d in drivers)
    at_door = [o for o in orders if "cancelled_at_ms" in o and "arrived_at_ms" in o]
    short = sorted(d["num_short_arrivals"] / d["num_accepted"] for d in drivers if d["num_accepted"] >= 5)
    online, occupied = sum(d["online_ms"] for d in drivers), sum(d["occupied_ms"] for d in drivers)

    def ratio(part, whole):
        return part / whole if whole else None

    expected = {
        "completion_share": ratio(sum("dropped_off_at_ms" in o for o in orders), len(orders)),
        "golden5_share": ratio(len(in_five), len(orders)),
        "golden10_share": ratio(sum(o["quoted_eta_ms"] <= 600 * S for o in accepted), len(accepted)),
        "wait_mean_s": ratio(sum(waits), len(waits)),
        "pickup_eta_mae_s": ratio(sum(map(abs, errors)), len(errors)),
        "pickup_late5_share": ratio(sum(e > 300 for e in errors), len(errors)),
        "phantom_cars_share": ratio(sum(o not in in_five for o in shown), len(shown)),
        "empty_km_share": ratio(driven_m - trip_m, driven_m),
        "empty_km_pickup_share": ratio(pickup_m, driven_m),
        "empty_km_idle_share": ratio(sum(d["cruising_m"] for d in drivers), driven_m),
        "driver_cancel_share": ratio(sum(d["num_cancelled"] for d in drivers), given),
        "customer_cancel_after_arrival_share": ratio(len(at_door), len(orders)),
        "five_minute_arrival_driver_p10_share": np.quantile(short, 0.1) if short else None,
        "utilisation_share": ratio(occupied, online),
        "offers_per_order": ratio(sum(o["num_offers"] for o in orders), len(orders)),
    }
    assert {name: got[name] for name in expected} == pytest.approx(expected)
    assert all(value is None or math.isfinite(value) for value in got.values())


def test_values_are_frozen_named_and_in_the_order_of_the_list():
    got = kpis(in_time(*served(1, 1, 0, accept_s=10)))
    assert list(got) == [one.name for one in KPIS] == list(KPI)
    assert got.golden5_share == got["golden5_share"]
    assert pickle.loads(pickle.dumps(got)) == got
    with pytest.raises(AttributeError):
        got.golden5_share = 0.0
    with pytest.raises(AttributeError, match="no KPI 'golden6_share'"):
        _ = got.golden6_share
