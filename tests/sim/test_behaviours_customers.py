"""What customers do, measured from the log: shares within binomial intervals, times by their distribution."""

from dataclasses import replace

import numpy as np
import pytest

from cities import T0
from dispatch.engine.events import EventKind as K
from dispatch.engine.params import DispatchParams
from dispatch.sim.runner import run
from dispatch.sim.scenario import SimParams
from dispatch.sim.traffic import TrafficModel
from simulated import (
    NOBODY_AROUND,
    assert_drawn_from,
    assert_share,
    at_of,
    behaving,
    busy_day,
    of_kind,
)

MINUTE = 60_000
LONG = DispatchParams(max_wait_s=86_400.0)


def waits_of_cancelled(events):
    """Milliseconds from the order to its cancellation."""
    submitted, cancelled = at_of(events, K.ORDER_SUBMITTED), at_of(events, K.ORDER_CANCELLED)
    return np.array([at - submitted[order] for order, at in cancelled.items()])


# --- patience ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.41, 1.0])
def test_so_many_cancel_at_five_minutes_and_nobody_else_does(share):
    behaviour = behaving(customers={"impatient_share": share, "impatient_after_s": 300.0})
    events = run(busy_day(2000, 0, shifts=NOBODY_AROUND, behaviour=behaviour)).events
    waits_ms = waits_of_cancelled(events)
    assert set(waits_ms.tolist()) <= {300_000}
    assert_share(len(waits_ms), 2000, share)
    assert len(of_kind(events, K.ORDER_EXPIRED)) == 2000 - len(waits_ms)


def test_patience_ends_at_a_constant_rate():
    behaviour = behaving(customers={"patience_hazard_per_min": 0.2})
    events = run(busy_day(1500, 0, shifts=NOBODY_AROUND, behaviour=behaviour, params=LONG)).events
    waits_ms = waits_of_cancelled(events)
    assert len(waits_ms) == 1500
    assert_drawn_from(waits_ms, "expon", 0, 5 * MINUTE)


def test_rate_and_atom_go_together():
    """Of those whom the rate has left at five minutes, so large a share goes then."""
    behaviour = behaving(customers={"impatient_share": 0.41, "patience_hazard_per_min": 0.1})
    events = run(busy_day(3000, 0, shifts=NOBODY_AROUND, behaviour=behaviour, params=LONG)).events
    waits_ms = waits_of_cancelled(events)
    assert_share((waits_ms < 300_000).sum(), 3000, 1 - np.exp(-0.5))
    assert_share((waits_ms == 300_000).sum(), (waits_ms >= 300_000).sum(), 0.41)


def test_who_has_a_driver_does_not_lose_patience():
    behaviour = behaving(customers={"impatient_share": 1.0, "impatient_after_s": 120.0})
    events = run(busy_day(600, 12, behaviour=behaviour)).events
    assigned = at_of(events, K.ORDER_ASSIGNED)
    cancelled = of_kind(events, K.ORDER_CANCELLED)["order_id"].tolist()
    assert len(assigned) > 100
    assert len(cancelled) > 100
    assert not set(cancelled) & set(assigned)
    submitted = at_of(events, K.ORDER_SUBMITTED)
    assert all(at - submitted[order] <= 120_000 for order, at in assigned.items())


# --- the quoted ETA ---------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_so_many_go_on_hearing_a_far_eta(share):
    behaviour = behaving(customers={"far_eta_s": 45.0, "far_eta_refusal_share": share, "retry_share": 1.0})
    finished = run(busy_day(1200, 60, behaviour=behaviour))
    events = finished.events
    assigned, cancelled = of_kind(events, K.ORDER_ASSIGNED), at_of(events, K.ORDER_CANCELLED)
    far = assigned[assigned["eta_ms"] > 45_000]
    near = assigned[assigned["eta_ms"] <= 45_000]
    assert len(near) > 100
    assert not set(near["order_id"].tolist()) & cancelled.keys()
    gone = [(int(e["at_ms"]), cancelled[int(e["order_id"])]) for e in far if int(e["order_id"]) in cancelled]
    assert_share(len(gone), len(far), share)
    assert all(at == assigned_at + 5000 for assigned_at, at in gone), "they look at it for five seconds"
    # Whoever had an acceptance does not ask again; expired orders do.
    again = of_kind(events, K.ORDER_SUBMITTED)
    assert (again["order_id"] >= 1200).sum() == finished.num_orders - 1200


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_so_many_go_when_the_car_is_late(share):
    thrice = replace(TrafficModel.exact(), quantile=np.full((1, 33), np.log(3.0)))
    behaviour = behaving(customers={"late_after_s": 40.0, "late_cancel_share": share})
    day = replace(busy_day(1200, 120, behaviour=behaviour), traffic=thrice)
    events = run(day).events
    assigned, cancelled = of_kind(events, K.ORDER_ASSIGNED), at_of(events, K.ORDER_CANCELLED)
    # The car comes twice its ETA late.
    late = assigned[2 * assigned["eta_ms"] > 41_000]
    in_time = assigned[2 * assigned["eta_ms"] < 39_000]
    assert len(in_time) > 30
    assert not set(in_time["order_id"].tolist()) & cancelled.keys()
    gone = [
        (int(e["at_ms"] + e["eta_ms"]), cancelled[int(e["order_id"])])
        for e in late
        if int(e["order_id"]) in cancelled
    ]
    assert_share(len(gone), len(late), share)
    assert all(at == promised + 40_000 for promised, at in gone)


# --- at the door ------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.15, 1.0])
def test_so_many_are_not_there_and_the_driver_waits_for_them(share):
    behaviour = behaving(customers={"no_show_share": share, "no_show_wait_s": 200.0})
    events = run(busy_day(700, 60, behaviour=behaviour)).events
    arrived, cancelled = at_of(events, K.DRIVER_ARRIVED), of_kind(events, K.ORDER_CANCELLED)
    assert_share(len(cancelled), len(arrived), share)
    picked_up = at_of(events, K.PICKED_UP)
    for event in cancelled:
        order = int(event["order_id"])
        assert event["at_ms"] == arrived[order] + 200_000
        assert order not in picked_up
    assert all(at == arrived[order] + 30_000 for order, at in picked_up.items())


# --- again ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_so_many_ask_again_and_not_too_often(share):
    behaviour = behaving(
        customers={"retry_share": share, "retry_after_s": 120.0, "max_retries": 2, "first_time_share": 1.0}
    )
    day = busy_day(800, 0, shifts=NOBODY_AROUND, behaviour=behaviour, params=DispatchParams(max_wait_s=45.0))
    # Customers hear at the end of a window that their order has expired.
    events = run(replace(day, sim=SimParams(window_s=2.0))).events
    submitted, ended = of_kind(events, K.ORDER_SUBMITTED), at_of(events, K.ORDER_EXPIRED)
    tries, delays_ms = {}, []
    for event in submitted:  # of one customer each, so that its id tells them apart
        mine = tries.setdefault(int(event["customer_id"]), [])
        if mine:
            delays_ms.append(int(event["at_ms"]) - ended[int(mine[-1]["order_id"])])
            for name in ("lon_e6", "lat_e6", "tier", "passengers", "vehicle_class"):
                assert event[name] == mine[0][name]
        assert event["is_first"] == (not mine)
        mine.append(event)
    num_tries = np.array([len(mine) for mine in tries.values()])
    assert len(num_tries) == 800
    assert num_tries.max() <= 3
    assert_share((num_tries >= 2).sum(), 800, share)
    if share:
        assert_share((num_tries == 3).sum(), (num_tries >= 2).sum(), share)
        assert_drawn_from(delays_ms, "expon", 0, 120_000)


def test_who_asks_again_may_be_impatient_within_the_same_window():
    """Windows of ten minutes, patience of seconds: everything comes in the order of time."""
    behaviour = behaving(
        customers={
            "impatient_share": 1.0, "impatient_after_s": 1.0, "retry_share": 1.0, "retry_after_s": 1.0,
            "max_retries": 3, "first_time_share": 1.0,
        }
    )  # fmt: skip
    sim = SimParams(window_s=600.0)
    events = run(busy_day(50, 0, shifts=NOBODY_AROUND, behaviour=behaviour, sim=sim)).events
    waits_ms = waits_of_cancelled(events)
    assert waits_ms.tolist() == [1000] * 200
    assert (np.diff(events["at_ms"]) >= 0).all()


# --- who they are -----------------------------------------------------------------------------------


def test_tiers_classes_and_newcomers_come_in_their_shares():
    customers = {
        "tier_shares": (0.6, 0.3, 0.1), "class_shares": (0.7, 0.0, 0.3), "first_time_share": 0.2,
        "orders_per_customer": 2.0,
    }  # fmt: skip
    behaviour = behaving(customers=customers, vehicles={"class_shares": (1.0, 0.0, 0.0), "seats": (4, 4, 4)})
    params = DispatchParams(max_wait_s=30.0)
    events = run(busy_day(4000, 0, shifts=NOBODY_AROUND, behaviour=behaviour, params=params)).events
    submitted = of_kind(events, K.ORDER_SUBMITTED)
    for name in ("tier", "class"):
        column = submitted["tier" if name == "tier" else "vehicle_class"]
        for value, share in enumerate(customers[f"{name}_shares"]):
            assert_share((column == value).sum(), 4000, share)
    is_new = submitted["is_first"] == 1
    assert_share(is_new.sum(), 4000, 0.2)
    new, known = set(submitted["customer_id"][is_new]), submitted["customer_id"][~is_new]
    assert len(new) == is_new.sum()
    assert not new & set(known)
    # Drawn among half as many customers as there are orders: each has Poisson(2) of them.
    orders_of = np.bincount(np.unique(known, return_inverse=True)[1])
    num_customers = (~is_new).sum() / 2
    for num, share in ((1, 2 * np.exp(-2)), (2, 2 * np.exp(-2)), (3, 4 / 3 * np.exp(-2))):
        assert (orders_of == num).sum() == pytest.approx(share * num_customers, rel=0.15)


# --- booked ahead -----------------------------------------------------------------------------------


def booked(share, ahead_min=(30.0, 240.0), begin_h=5.0, **parts):
    behaviour = behaving(customers={"prebooked_share": share, "prebooked_ahead_min": ahead_min})
    day = busy_day(800, 200, begin_h=begin_h, behaviour=behaviour, **parts)
    return day, run(day).events


def test_so_many_book_ahead_and_by_so_much():
    day, events = booked(0.3)
    submitted = of_kind(events, K.ORDER_SUBMITTED)
    ahead_ms = submitted["wanted_after_ms"]
    is_booked = ahead_ms > 0
    assert_share(is_booked.sum(), 800, 0.3)
    assert (ahead_ms[is_booked] >= 30 * MINUTE).all()
    assert (ahead_ms[is_booked] <= 240 * MINUTE).all()
    assert_drawn_from(ahead_ms[is_booked], "uniform", 30 * MINUTE, 210 * MINUTE)
    # What is wanted is wanted when it was, whoever books; ids are rows of the scenario.
    wanted_at_ms = submitted["at_ms"] + ahead_ms
    assert np.array_equal(wanted_at_ms, day.orders.requested_at_ms[submitted["order_id"]])


def test_nobody_books_before_the_day_begins():
    _, events = booked(1.0, begin_h=0.0)
    submitted = of_kind(events, K.ORDER_SUBMITTED)
    assert submitted["at_ms"].min() == T0
    assert (submitted["at_ms"] == T0).mean() > 0.5


def test_drivers_are_looked_for_from_the_lead_on_and_nobody_boards_too_early():
    lead_s, window_ms = 600.0, 15_000
    day, events = booked(0.5, params=DispatchParams(prebook_lead_s=lead_s))
    submitted, picked_up = of_kind(events, K.ORDER_SUBMITTED), at_of(events, K.PICKED_UP)
    is_booked = submitted["wanted_after_ms"] > 0
    wanted = dict(
        zip(
            submitted["order_id"][is_booked].tolist(),
            (submitted["at_ms"] + submitted["wanted_after_ms"])[is_booked].tolist(),
            strict=True,
        )
    )
    offered = at_of(events, K.ORDER_OFFERED)
    before_ms = np.array([wanted[order] - offered[order] for order in wanted if order in offered])
    assert len(before_ms) > 300
    assert before_ms.max() <= 1000 * lead_s
    assert np.median(before_ms) > 1000 * lead_s - window_ms
    early = [picked_up[order] - at for order, at in wanted.items() if order in picked_up]
    assert min(early) == 1000 * day.sim.boarding_s, "drivers who wait for them are there in time"


# --- passengers and classes -------------------------------------------------------------------------


@pytest.mark.parametrize("upgrades", [True, False])
def test_every_car_suits_its_order(upgrades):
    vehicles = {"class_shares": (0.6, 0.2, 0.2), "seats": (2, 6, 4), "upgrades": upgrades}
    behaviour = behaving(customers={"class_shares": (0.5, 0.3, 0.2)}, vehicles=vehicles)
    day = busy_day(600, 50, behaviour=behaviour)
    asked = np.random.default_rng(3).integers(1, 8, 600).astype(np.int32)
    events = run(replace(day, orders=replace(day.orders, passengers=asked))).events
    submitted, online = of_kind(events, K.ORDER_SUBMITTED), of_kind(events, K.DRIVER_ONLINE)
    assert submitted["passengers"].max() == 6, "no car has more seats, and nobody asks for more"
    of_order = {int(e["order_id"]): (int(e["vehicle_class"]), int(e["passengers"])) for e in submitted}
    car_class = dict(zip(online["driver_id"].tolist(), online["vehicle_class"].tolist(), strict=True))
    num_upgraded = 0
    given = of_kind(events, K.ORDER_OFFERED, K.ORDER_ASSIGNED)
    for event in given:
        wanted_class, passengers = of_order[int(event["order_id"])]
        has_class = car_class[int(event["driver_id"])]
        assert passengers <= vehicles["seats"][has_class]
        assert has_class == wanted_class or (upgrades and has_class > wanted_class)
        num_upgraded += has_class > wanted_class
    assert len(given) > 200
    assert (num_upgraded > 20) == upgrades
    # Nobody goes without whom an idle car would have suited: six in an ordinary one is what fails.
    expired = set(of_kind(events, K.ORDER_EXPIRED)["order_id"].tolist())
    impossible = {order for order, (its, num) in of_order.items() if its == 0 and num > 2 and not upgrades}
    assert impossible <= expired
