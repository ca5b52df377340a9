from dataclasses import fields, replace

import pytest

from dispatch.errors import InputError
from dispatch.sim.behaviour import (
    Behaviour,
    CustomerParams,
    DriverParams,
    TrafficParams,
    VehicleParams,
    check_shares,
)

PARTS = {one.name: one.default_factory() for one in fields(Behaviour)}
SHARES = [
    (name, one.name) for name, part in PARTS.items() for one in fields(part) if one.name.endswith("_share")
]


@pytest.mark.parametrize(("part", "name"), SHARES)
@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), "half", None])
def test_a_share_is_from_0_to_1(part, name, value):
    for fine in (0.0, 0.3, 1.0):
        replace(PARTS[part], **{name: fine})
    with pytest.raises(InputError, match=rf"^{name} is .*: it must be"):
        replace(PARTS[part], **{name: value})


@pytest.mark.parametrize(
    ("part", "name", "low", "high"),
    [
        ("customers", "impatient_after_s", 1, 86_400),
        ("customers", "patience_hazard_per_min", 0, 60),
        ("customers", "far_eta_s", 0, 86_400),
        ("customers", "late_after_s", 0, 86_400),
        ("customers", "no_show_wait_s", 0, 7200),
        ("customers", "retry_after_s", 1, 86_400),
        ("customers", "max_retries", 0, 20),
        ("customers", "orders_per_customer", 1, 100),
        ("drivers", "accept_bias", -100, 100),
        ("drivers", "accept_per_pickup_min", -10, 10),
        ("drivers", "accept_per_fare", -10, 10),
        ("drivers", "break_after_h", 0, 24),
        ("drivers", "break_min", 0, 1440),
        ("drivers", "wind_down_min", 0, 1440),
        ("vehicles", "range_km", 1, 10_000),
        ("vehicles", "charge_min", 0, 1440),
        ("vehicles", "num_stations", 1, 10_000),
        ("vehicles", "slots_per_station", 1, 1000),
    ],
)
def test_numbers_have_their_range(part, name, low, high):
    for fine in (low, high):
        assert getattr(replace(PARTS[part], **{name: fine}), name) == fine
    for wrong in (low - 1, high + 1, float("nan"), float("inf"), "1"):
        with pytest.raises(InputError, match=rf"^{name} is .*: it must be"):
            replace(PARTS[part], **{name: wrong})


def test_every_number_is_covered_by_these_tests():
    """Beside them there are only lists, spans and names, tested below."""
    others = {
        "tier_shares", "class_shares", "prebooked_ahead_min", "answer_s", "cruising", "upgrades", "seats",
        "model", "eta",
    }  # fmt: skip
    marks = test_numbers_have_their_range.pytestmark
    covered = {(row[0], row[1]) for row in marks[0].args[1]} | set(SHARES)
    everything = {(name, one.name) for name, part in PARTS.items() for one in fields(part)}
    assert {name for _, name in everything - covered} == others


@pytest.mark.parametrize(
    "shares", [(), (0.5, 0.4), (0.5, 0.6), (1.5, -0.5), [1.0], 1.0, (0.125,) * 7 + (0.0625,) * 2]
)
def test_shares_are_a_few_that_sum_to_1(shares):
    check_shares("them", (0.125,) * 8, 8)
    with pytest.raises(InputError, match=r"^them"):
        check_shares("them", shares, 8)


@pytest.mark.parametrize(
    ("make", "name", "span"),
    [
        (CustomerParams, "prebooked_ahead_min", (240.0, 30.0)),
        (CustomerParams, "prebooked_ahead_min", (0.0, 1441.0)),
        (CustomerParams, "prebooked_ahead_min", 30.0),
        (DriverParams, "answer_s", (9.0, 2.0)),
        (DriverParams, "answer_s", (-1.0, 2.0)),
        (DriverParams, "answer_s", (1.0, 2.0, 3.0)),
        (DriverParams, "answer_s", [1.0, 2.0]),
    ],
)
def test_a_span_goes_upwards(make, name, span):
    with pytest.raises(InputError, match=f"^{name}"):
        make(**{name: span})


@pytest.mark.parametrize(
    ("make", "wrong", "message"),
    [
        (DriverParams, {"cruising": "fly"}, "cruising is 'fly': it must be one of park, random_walk, drift"),
        (TrafficParams, {"model": "slow"}, "model is 'slow': it must be one of exact, assumed, fitted"),
        (TrafficParams, {"eta": ""}, r"eta is '': it must be traffic \(as the model predicts\), free_flow"),
        (TrafficParams, {"eta": 3}, "eta is 3: it must be traffic"),
        (VehicleParams, {"seats": (4,)}, r"seats is \(4,\): .* 2 classes of class_shares"),
        (VehicleParams, {"seats": (4, 0)}, r"seats\[1\] is 0: it must be"),
        (VehicleParams, {"upgrades": 1}, "upgrades is 1: it must be true or false"),
    ],
)
def test_names_and_lists_are_checked(make, wrong, message):
    with pytest.raises(InputError, match=message):
        make(**wrong)


def test_machines_do_nothing_by_themselves():
    none = Behaviour.none()
    shares = {(part, name): getattr(getattr(none, part), name) for part, name in SHARES}
    # Who is asked nothing needs no share: advice is followed, and a reserve is no decision.
    assert {key for key, share in shares.items() if share} == {
        ("drivers", "follow_share"),
        ("vehicles", "reserve_share"),
    }
    assert none.customers.patience_hazard_per_min == none.drivers.break_after_h == 0
    assert none.drivers.cruising == "park"
    assert none.traffic.model == "exact"
    assert Behaviour() != none
