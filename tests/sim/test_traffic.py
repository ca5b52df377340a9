from dataclasses import replace

import numpy as np
import pytest

from cities import T0
from dispatch.errors import InputError
from dispatch.kernels.traffic import NUM_LEVELS
from dispatch.roads.week_slots import slots_of
from dispatch.sim.traffic import LEVEL_Z, TrafficModel
from dispatch.units import MAX_TRAVEL_MS
from naive.traffic import true

EDGE_MS = [60_000, 300_000]
HOUR_MS = 3_600_000
MONDAY_MS = 1_709_510_400_000
"""2024-03-04T00:00Z"""


def model_of(rho=0.0, phi=0.0, spread=0.3, seed=0):
    rng = np.random.default_rng(seed)
    quantile = np.sort(rng.normal(0, spread, (3, NUM_LEVELS)), axis=1)
    return TrafficModel(rng.uniform(1, 2, 168), np.array(EDGE_MS), quantile, rho, phi)


def log_normal(rho=0.0, phi=0.0, spread=0.3):
    return TrafficModel(np.ones(168), np.empty(0, np.int64), spread * LEVEL_Z[None], rho, phi)


def test_predicted_is_free_flow_times_the_factor_of_the_slot():
    model = model_of()
    free_ms, at_ms = [0, 1000, 90_000, 700_000], MONDAY_MS + HOUR_MS * np.array([0, 2, 30, 167])
    expected = np.rint(np.array(free_ms) * model.factor[[0, 2, 30, 167]])
    assert model.predicted_ms(free_ms, at_ms, "UTC").tolist() == expected.tolist()
    later = model.predicted_ms(free_ms, at_ms, "Etc/GMT-1")  # an hour ahead of UTC, in spite of its name
    assert later.tolist() == np.rint(np.array(free_ms) * model.factor[[1, 3, 31, 0]]).tolist()


def test_exact_traffic_takes_its_free_flow_time():
    free_ms, at_ms = np.arange(0, 900_000, 777), T0 + 60_000 * np.arange(1159)
    model = TrafficModel.exact()
    assert np.array_equal(model.predicted_ms(free_ms, at_ms, "UTC"), free_ms)
    assert np.array_equal(model.sample_ms(free_ms, at_ms, "UTC", np.random.default_rng(1)), free_ms)
    assert "exact" in model.describe()


def test_assumed_traffic_says_so_and_is_slow_in_the_rush_hours():
    model = TrafficModel.assumed()
    assert model.kind == "assumed"
    assert model.num_trips == 0
    assert "are assumed: predicted are 1.10 … 1." in model.describe()
    assert "all legs 0.73 … 1.00 … 1.38; rho 0.020" in model.describe()
    week = model.factor.reshape(7, 24)
    assert np.array_equal(week[0], week[4])
    assert week[0, 17] == week.max() > 1.55 > week[5:].max()
    assert week.min() > 1.05


def test_a_sample_is_what_plain_python_says_of_its_draws():
    model = model_of(rho=0.0)
    rng = np.random.default_rng(9)
    free_ms, at_ms = rng.integers(0, 900_000, 300), MONDAY_MS + rng.integers(0, 7 * 24 * HOUR_MS, 300)
    sampled = model.sample_ms(free_ms, at_ms, "UTC", np.random.default_rng(4))
    again = np.random.default_rng(4)
    quarter = at_ms // 900_000
    again.standard_normal(quarter.max() - quarter.min() + 1)
    legs = zip(slots_of(at_ms, "UTC"), free_ms, again.standard_normal(300), strict=True)
    expected = [true(model.factor, EDGE_MS, model.quantile.tolist(), leg) for leg in legs]
    np.testing.assert_allclose(sampled, expected, rtol=1e-12, atol=1)


@pytest.mark.parametrize(("rho", "phi"), [(0.0, 0.0), (0.3, 0.9), (1.0, 0.0)])
def test_single_legs_are_distributed_alike_whatever_the_correlation(rho, phi):
    """One leg a quarter of an hour, so that little is shared: quantiles must be those of the model."""
    model = log_normal(rho, phi)
    at_ms = MONDAY_MS + 900_000 * np.arange(200_000)
    ratio = model.sample_ms(np.full(200_000, 10**6), at_ms, "UTC", np.random.default_rng(1)) / 1e6
    for level, z in ((0.1, -1.2816), (0.5, 0.0), (0.9, 1.2816)):
        assert np.quantile(ratio, level) == pytest.approx(np.exp(0.3 * z), rel=0.01)


def test_legs_of_the_same_quarter_share_rho_and_those_of_the_next_phi_of_it():
    model = log_normal(0.4, 0.7, spread=0.1)
    num_quarters, per_quarter = 20_000, 4
    at_ms = MONDAY_MS + np.repeat(900_000 * np.arange(num_quarters), per_quarter) + 5
    sampled = model.sample_ms(np.full(len(at_ms), 10**8), at_ms, "UTC", np.random.default_rng(2))
    score = (np.log(sampled / 1e8) / 0.1).reshape(num_quarters, per_quarter)
    assert np.mean(score[:, 0] * score[:, 1]) == pytest.approx(0.4, abs=0.03)
    assert np.mean(score[1:, 2] * score[:-1, 3]) == pytest.approx(0.28, abs=0.03)


def test_the_same_seed_draws_the_same_and_no_legs_draw_nothing():
    model = model_of(0.2, 0.5)
    draws = [
        model.sample_ms([5000] * 9, [MONDAY_MS] * 9, "UTC", np.random.default_rng(s)).tolist()
        for s in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert model.sample_ms([], [], "UTC", np.random.default_rng(0)).tolist() == []
    assert model.predicted_ms([], [], "UTC").tolist() == []


def test_it_describes_its_figures():
    model = replace(model_of(0.123, 0.45), num_trips=4321)
    told = model.describe()
    low, high = (f"{value:.2f}" for value in (model.factor.min(), model.factor.max()))
    assert f"fitted on 4,321 trips: predicted are {low} … {high} × free flow" in told
    assert "legs below 60 s of free flow" in told
    assert "from 300 s" in told
    assert told.endswith("rho 0.123, phi 0.45.")


def test_it_keeps_copies():
    factor = np.full(168, 1.5)
    model = TrafficModel(factor, np.empty(0, np.int64), np.zeros((1, NUM_LEVELS)))
    factor[:] = 7
    assert model.factor.max() == 1.5


FALLING = np.zeros((3, NUM_LEVELS))
FALLING[1, 7] = 0.1
WRONG = [
    ({"kind": "guessed"}, "kind is 'guessed': it must be one of exact, assumed, fitted"),
    ({"slot_min": 61}, "slot_min is 61: it must divide the 1440 minutes"),
    ({"slot_min": 30}, "factor has the shape (168,): it must have (336,)"),
    ({"city_slot_min": 0}, "city_slot_min is 0: it must be a number from 1"),
    ({"rho": 1.1}, "rho is 1.1: it must be a number from 0 to 1"),
    ({"city_phi": 1.0}, "city_phi is 1.0"),
    ({"num_trips": -1}, "num_trips is -1"),
    ({"length_edge_ms": np.array([5, 5])}, "length_edge_ms is [5, 5]: it must ascend"),
    ({"length_edge_ms": np.array([0, 5])}, "length_edge_ms is [0, 5]: it must ascend"),
    ({"length_edge_ms": np.array([0.5, 5])}, "length_edge_ms is float64 of shape (2,): it must hold whole"),
    ({"length_edge_ms": np.array([5])}, "quantile has the shape (3, 33): it must have (2, 33)"),
    ({"factor": np.zeros(168)}, "factor holds 0: it must be a number from 0.1 to 100"),
    ({"factor": np.full(168, np.nan)}, "factor holds nan"),
    ({"quantile": np.full((3, NUM_LEVELS), 11.0)}, "quantile holds 11"),
    ({"quantile": FALLING}, "quantile must not fall"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_a_model_that_cannot_be(changes, message):
    with pytest.raises(InputError) as raised:
        replace(model_of(), **changes)
    assert str(raised.value).startswith(message)


WRONG_LEGS = [
    ([1, -1], [0, 0], r"free_ms\[1\] is -1: it must be from 0 to"),
    ([MAX_TRAVEL_MS + 1], [0], r"free_ms\[0\] is 536870912"),
    ([1, 2], [0], "free_ms has 2 legs and at_ms 1"),
    ([0.5], [0], r"free_ms is float64 of shape \(1,\)"),
    ([1], [[0]], r"at_ms is int64 of shape \(1, 1\)"),
]


@pytest.mark.parametrize(("free_ms", "at_ms", "message"), WRONG_LEGS)
def test_legs_that_cannot_be(free_ms, at_ms, message):
    with pytest.raises(InputError, match=message):
        model_of().predicted_ms(free_ms, at_ms, "UTC")
    with pytest.raises(InputError, match=message):
        model_of().sample_ms(free_ms, at_ms, "UTC", np.random.default_rng(0))
