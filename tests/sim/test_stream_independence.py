"""What is drawn for one behaviour is drawn whatever the others are: seen in the logs of whole days."""

from dataclasses import replace

import numpy as np
import pytest

from cities import random_trips, shifts_of
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.engine.params import DispatchParams
from dispatch.engine.policy import policy_named
from dispatch.sim.behaviour import Behaviour, CustomerParams, DriverParams, TrafficParams, VehicleParams
from dispatch.sim.runner import run
from dispatch.sim.traffic import TrafficModel
from dispatch.units import MS_PER_S
from simulated import GRID, GRID_TIMES, NOBODY_AROUND, T0, at_of, busy_day, of_kind

BUSY = Behaviour(
    CustomerParams(
        impatient_share=0.3, impatient_after_s=120.0, patience_hazard_per_min=0.05, far_eta_s=60.0,
        late_after_s=30.0, no_show_share=0.1, no_show_wait_s=60.0, retry_after_s=60.0, first_time_share=0.2,
        prebooked_share=0.2, prebooked_ahead_min=(5.0, 30.0),
    ),
    DriverParams(
        accept_bias=0.8, accept_per_pickup_min=0.3, cancel_share=0.1, break_after_h=0.5, break_min=5.0,
        wind_down_share=0.5, cruising="random_walk", home_share=0.2,
    ),
    VehicleParams(electric_share=0.5, range_km=15.0, charge_min=5.0, num_stations=3),
    TrafficParams("assumed"),
)  # fmt: skip
"""Everything happens, and often."""
OFF = {
    "patience": ("customers", {"impatient_share": 0.0, "patience_hazard_per_min": 0.0}),
    "far ETAs": ("customers", {"far_eta_refusal_share": 0.0}),
    "lateness": ("customers", {"late_cancel_share": 0.0}),
    "no-shows": ("customers", {"no_show_share": 0.0}),
    "retries": ("customers", {"retry_share": 0.0}),
    "newcomers": ("customers", {"first_time_share": 0.0}),
    "tiers": ("customers", {"tier_shares": (1.0,)}),
    "classes": ("customers", {"class_shares": (1.0,)}),
    "booking ahead": ("customers", {"prebooked_share": 0.0}),
    "acceptance": ("drivers", {"accept_bias": 100.0}),
    "time to answer": ("drivers", {"answer_s": (0.0, 0.0)}),
    "giving up": ("drivers", {"cancel_share": 0.0}),
    "breaks": ("drivers", {"break_after_h": 0.0}),
    "winding down": ("drivers", {"wind_down_share": 0.0}),
    "cruising": ("drivers", {"cruising": "park"}),
    "home": ("drivers", {"home_share": 0.0}),
    "following": ("drivers", {"follow_share": 0.0}),
    "classes of cars": ("vehicles", {"class_shares": (1.0, 0.0)}),
    "energy": ("vehicles", {"electric_share": 0.0}),
    "traffic": ("traffic", {"model": "exact"}),
}
SAID = {
    "newcomers": {"is_first", "customer_id"},
    "tiers": {"tier"},
    "classes": {"vehicle_class"},
    "booking ahead": {"wanted_after_ms"},
}
"""What of an order may change with a behaviour."""
NUM_ORDERS = 400


def day_with(behaviour, **parts):
    random = np.random.default_rng(8)
    spells = [
        (3 * i, T0, T0 + int(random.integers(60, 140)) * 60_000, int(random.integers(81))) for i in range(60)
    ]
    policy = policy_named("preposition", preposition_every_s=60.0)
    params = DispatchParams(policy=policy)
    day = busy_day(
        NUM_ORDERS, 0, begin_h=0.6, shifts=shifts_of(spells), behaviour=behaviour, params=params, **parts
    )
    # Without the city's shared state a leg's luck can be read from its time alone.
    return replace(day, traffic=replace(day.traffic, rho=0.0))


def without(name):
    part, changes = OFF[name]
    return replace(BUSY, **{part: replace(getattr(BUSY, part), **changes)})


def first_tries(events, *kinds):
    chosen = of_kind(events, *kinds)
    return chosen[chosen["order_id"] < NUM_ORDERS]


def said(events):
    """What customers said of their orders, by order."""
    submitted = first_tries(events, K.ORDER_SUBMITTED)
    submitted = submitted[np.argsort(submitted["order_id"])]
    names = ("customer_id", "tier", "is_first", "passengers", "vehicle_class", "wanted_after_ms", "lon_e6")
    return {name: submitted[name].tolist() for name in names}


def ride_luck(day, events):
    """Logarithm of true over predicted time of each order's ride."""
    began, ended = at_of(first_tries(events, K.PICKED_UP), K.PICKED_UP), at_of(events, K.DROPPED_OFF)
    rows = np.array([order for order in began if order in ended])
    free_ms = GRID_TIMES.pairs_ms(day.orders.pickup_node[rows], day.orders.dropoff_node[rows])
    began_ms = np.array([began[row] for row in rows.tolist()])
    took_ms = np.array([ended[row] for row in rows.tolist()]) - began_ms - day.sim.alighting_s * MS_PER_S
    factor = day.traffic.factor[day.traffic.slots_of(began_ms, "UTC")]
    ratio = np.log(took_ms / (free_ms * factor))
    is_long = free_ms > 20_000
    return dict(zip(rows[is_long].tolist(), ratio[is_long].tolist(), strict=True))


def answers(events):
    """How long a driver thought about an order, and what it said, by the pair of both."""
    offered, found = {}, {}
    for event in first_tries(events, K.ORDER_OFFERED, K.OFFER_ACCEPTED, K.OFFER_DECLINED):
        pair = int(event["order_id"]), int(event["driver_id"])
        if event["kind"] == K.ORDER_OFFERED:
            offered[pair] = int(event["at_ms"])
        else:
            found[pair] = int(event["at_ms"]) - offered[pair]
    return found


def no_shows(events):
    """Orders at whose door a driver came, and whether the customer was there."""
    arrived, picked_up = (at_of(first_tries(events, kind), kind) for kind in (K.DRIVER_ARRIVED, K.PICKED_UP))
    return {order: int(order in picked_up) for order in arrived}


def assert_same_where_both_know(one, other, least, tolerance=0.0):
    both = one.keys() & other.keys()
    assert len(both) >= least
    wrong = {key for key in both if abs(one[key] - other[key]) > tolerance}
    assert not wrong


@pytest.fixture(scope="module")
def whole():
    day = day_with(BUSY)
    return day, run(day).events


@pytest.mark.parametrize("name", OFF)
def test_switching_a_behaviour_off_leaves_all_other_draws_as_they_were(whole, name):
    day, events = whole
    other_day = day_with(without(name))
    other = run(other_day).events
    assert log_sha256(other) != log_sha256(events), "it did nothing"
    before, after = said(events), said(other)
    changed = {column for column in before if before[column] != after[column]}
    assert changed == SAID.get(name, set())
    if name != "traffic":
        assert_same_where_both_know(ride_luck(day, events), ride_luck(other_day, other), 30, 1e-3)
    if name != "time to answer":
        assert_same_where_both_know(answers(events), answers(other), 15)
    if name != "no-shows":
        assert_same_where_both_know(no_shows(events), no_shows(other), 30)
    if name not in ("classes of cars",):
        cars = [
            dict(zip(online["driver_id"].tolist(), online["vehicle_class"].tolist(), strict=True))
            for online in (of_kind(one, K.DRIVER_ONLINE) for one in (events, other))
        ]
        assert cars[0] == cars[1]


@pytest.mark.parametrize("name", [name for name, (part, _) in OFF.items() if part != "customers"])
def test_customers_without_drivers_do_the_same_whatever_drivers_would_do(name):
    """No driver is there to tell the difference: byte by byte the same log."""
    nobody = {"shifts": NOBODY_AROUND, "params": DispatchParams()}
    logs = [
        log_sha256(run(busy_day(NUM_ORDERS, 0, behaviour=behaviour, **nobody)).events)
        for behaviour in (BUSY, without(name))
    ]
    assert logs[0] == logs[1]


@pytest.mark.parametrize(
    "name", ["retries", "newcomers", "tiers", "no-shows", "booking ahead", "classes", "far ETAs"]
)
def test_patience_is_the_same_whatever_else_customers_do(name):
    waits = []
    for behaviour in (BUSY, without(name)):
        events = run(busy_day(NUM_ORDERS, 0, shifts=NOBODY_AROUND, begin_h=0.6, behaviour=behaviour)).events
        submitted = first_tries(events, K.ORDER_SUBMITTED)
        wanted = dict(
            zip(
                submitted["order_id"].tolist(),
                (submitted["at_ms"] + submitted["wanted_after_ms"]).tolist(),
                strict=True,
            )
        )
        cancelled = at_of(first_tries(events, K.ORDER_CANCELLED), K.ORDER_CANCELLED)
        waits.append({order: at - wanted[order] for order, at in cancelled.items()})
    assert len(waits[0]) > 150
    assert waits[0] == waits[1]


def test_another_driver_more_leaves_everybody_else_s_draws():
    """A driver whose id comes last takes nobody's number."""
    day = day_with(BUSY)
    shifts = day.shifts
    more = replace(
        shifts,
        driver_id=np.append(shifts.driver_id, 10**6),
        start_at_ms=np.append(shifts.start_at_ms, T0),
        end_at_ms=np.append(shifts.end_at_ms, T0 + 9_000_000),
        node=np.append(shifts.node, np.int32(0)),
    )
    one, other = run(day).events, run(replace(day, shifts=more)).events
    assert said(one) == said(other)
    assert_same_where_both_know(answers(one), answers(other), 15)
    assert_same_where_both_know(ride_luck(day, one), ride_luck(day, other), 30, 1e-3)


def test_another_seed_draws_everything_anew():
    orders = random_trips(GRID, NUM_ORDERS, 1, T0 + 2_160_000, 3600)
    days = [replace(day_with(BUSY, orders=orders), seed=seed) for seed in (1, 2)]
    one, other = (run(day).events for day in days)
    before, after = said(one), said(other)
    assert {name for name in before if before[name] != after[name]} >= {"tier", "is_first", "vehicle_class"}
    luck = [ride_luck(days[0], one), ride_luck(days[1], other)]
    both = luck[0].keys() & luck[1].keys()
    assert np.corrcoef([[part[key] for key in both] for part in luck])[0, 1] < 0.5
    assert TrafficModel.assumed().rho > 0, "which these days go without"
