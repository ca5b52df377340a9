import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.sim.gravity import MAX_SQUARES, Gravity, TripLengths, draw_nodes


def exact_shares(plane, weights, lengths, origin):
    """Probability of each destination, summed in plain Python."""
    pull = []
    for there in range(len(plane)):
        distance_m = max(1.0, math.dist(plane[there], plane[origin]))
        log_ratio = (math.log(distance_m) - math.log(lengths.median_m)) / lengths.spread
        pull.append(weights[there] * math.exp(-0.5 * log_ratio**2) / distance_m**1.4)
    pull[origin] = 0.0
    return np.array(pull) / sum(pull)


def wide_region(num=400, width_m=60_000, seed=0):
    rng = np.random.default_rng(seed)
    plane = rng.uniform(0, width_m, (num, 2))
    weights = rng.uniform(0.1, 3.0, num) * (rng.random(num) < 0.7)
    return plane, weights / weights.sum()


@pytest.mark.parametrize("origin", [0, 1, 2])
def test_a_wide_region_follows_the_gravity_model(origin):
    """Most of what is anywhere in the region is far out of reach: candidates must come from nearby."""
    plane, weights = wide_region()
    lengths = TripLengths(4000.0, 0.6)
    drawn = Gravity(plane, weights, lengths).draw(np.random.default_rng(1), np.full(60_000, origin, np.int64))
    found = np.bincount(drawn, minlength=len(plane)) / len(drawn)
    expected = exact_shares(plane, weights, lengths, origin)
    assert np.abs(found - expected).sum() / 2 < 0.12
    distance_m = np.hypot(*(plane - plane[origin]).T)
    assert found @ distance_m == pytest.approx(expected @ distance_m, rel=0.1)
    assert not found[weights == 0].any()


def test_without_squares_the_same_region_has_trips_far_too_long(monkeypatch):
    plane, weights = wide_region()
    lengths, rng = TripLengths(4000.0, 0.6), np.random.default_rng(1)
    origin = draw_nodes(rng, np.cumsum(weights), 20_000)

    def median_m(gravity):
        return np.median(np.hypot(*(plane[gravity.draw(rng, origin)] - plane[origin]).T))

    near = median_m(Gravity(plane, weights, lengths))
    monkeypatch.setattr("dispatch.sim.gravity.NARROW", math.inf)
    far = median_m(Gravity(plane, weights, lengths))
    assert 3500 < near < 5500 < far


def test_a_house_far_from_all_others_has_destinations():
    plane = np.array([[0.0, 0.0], [1e6, 0.0], [1e6, 500.0]])
    gravity = Gravity(plane, np.array([0.4, 0.3, 0.3]), TripLengths(1000.0, 0.5))
    drawn = gravity.draw(np.random.default_rng(0), np.zeros(2000, np.int64))
    assert (drawn != 0).mean() > 0.7  # 1 - 0.94 ** 24, by the share of candidates from anywhere
    assert set(drawn[drawn != 0].tolist()) == {1, 2}


@given(
    seed=st.integers(0, 2**32 - 1),
    num=st.integers(2, 80),
    width_m=st.sampled_from([0.0, 100.0, 1e5, 1e7]),
    thin=st.booleans(),
    median_m=st.sampled_from([100.0, 4000.0, 1e6]),
    spread=st.sampled_from([0.05, 0.65, 3.0]),
)
@settings(max_examples=60, deadline=None)
def test_any_region_gives_nodes_with_a_weight(seed, num, width_m, thin, median_m, spread):
    rng = np.random.default_rng(seed)
    plane = rng.uniform(0, width_m, (num, 2)) * [1, 0 if thin else 1]
    weights = rng.choice([0.0, 1e-300, 1e-9, 1.0], num)
    weights[rng.integers(num)] = 1.0
    weights /= weights.sum()
    origin = rng.integers(0, num, 50)
    drawn = Gravity(plane, weights, TripLengths(median_m, spread)).draw(rng, origin)
    assert drawn.shape == (50,)
    assert (weights[drawn] > 0).all()


def test_squares_are_few_however_wide_the_region():
    rng = np.random.default_rng(0)
    for plane in (rng.uniform(0, 2e6, (20_000, 2)), rng.uniform(0, 2e6, (20_000, 2)) * [1, 0]):
        gravity = Gravity(plane, np.full(20_000, 1 / 20_000), TripLengths(100.0, 0.65))
        assert gravity._squares._num <= 1.1 * MAX_SQUARES


def test_nodes_are_drawn_by_their_weights_and_never_without_one():
    weights = np.array([0.0, 0.2, 0.0, 0.5, 0.3, 0.0])
    drawn = draw_nodes(np.random.default_rng(0), np.cumsum(weights), 100_000)
    np.testing.assert_allclose(np.bincount(drawn, minlength=6) / 1e5, weights, atol=0.01)
    assert not np.isin(drawn, [0, 2, 5]).any()

    class Last:
        def random(self, num):
            return np.full(num, np.nextafter(1.0, 0.0))

    assert draw_nodes(Last(), np.cumsum(weights), 1).tolist() == [4]
