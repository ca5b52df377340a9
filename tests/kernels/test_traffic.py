import numpy as np
import pytest
from hypothesis import given, strategies as st

from dispatch.kernels.traffic import NUM_LEVELS, Traffic, city_path, come_true, leg_score, predict
from dispatch.units import MAX_TRAVEL_MS
from naive.traffic import autoregressive, predicted, true

NUM_SLOTS = 5


def traffic_of(seed, edges):
    rng = np.random.default_rng(seed)
    quantile = np.sort(rng.normal(0, 0.7, (len(edges) + 1, NUM_LEVELS)), axis=1)
    return Traffic(rng.uniform(0.5, 4, NUM_SLOTS), np.array(edges, np.int64), quantile)


def columns(legs):
    slot, free_ms, z = zip(*legs, strict=True) if legs else ((), (), ())
    return np.array(slot, np.int64), np.array(free_ms, np.int64), np.array(z, np.float64)


def true_of(traffic, legs):
    slot, free_ms, z = columns(legs)
    out_ms = np.full(len(legs), -7, np.int64)
    come_true(traffic, slot, free_ms, z, out_ms)
    return out_ms.tolist()


def predicted_of(traffic, legs):
    slot, free_ms, _ = columns(legs)
    out_ms = np.full(len(legs), -7, np.int64)
    predict(traffic, slot, free_ms, out_ms)
    return out_ms.tolist()


LEG = st.tuples(st.integers(0, NUM_SLOTS - 1), st.integers(0, 3_000_000), st.floats(-9, 9))


@given(
    st.integers(0, 1000),
    st.lists(st.integers(1, 3_000_000), max_size=6, unique=True).map(sorted),
    st.lists(LEG, max_size=20),
)
def test_legs_take_what_plain_python_says(seed, edges, legs):
    traffic = traffic_of(seed, edges)
    legs = legs + [(0, edge + by, 0.3) for edge in edges for by in (-1, 0, 1)]
    expected = [true(traffic.factor, edges, traffic.quantile.tolist(), leg) for leg in legs]
    # The order of operations may differ in the last digit, and so which way a half is rounded.
    np.testing.assert_allclose(true_of(traffic, legs), expected, rtol=1e-12, atol=1)
    assert predicted_of(traffic, legs) == [predicted(traffic.factor, slot, free) for slot, free, _ in legs]


def test_scores_on_a_level_give_just_its_quantile():
    traffic = traffic_of(3, [1000])
    traffic.factor[:] = 1.0
    for level in range(NUM_LEVELS):
        z = -4 + level / 4
        expected = np.rint(10_000_000 * np.exp(traffic.quantile[1, level]))
        assert true_of(traffic, [(0, 10_000_000, z)]) == [expected]


def test_short_legs_take_a_millisecond_legs_of_no_length_none_and_no_leg_for_ever():
    quantile = np.full((1, NUM_LEVELS), -12.0)
    traffic = Traffic(np.ones(NUM_SLOTS), np.empty(0, np.int64), quantile)
    assert true_of(traffic, [(0, 0, 0.0), (0, 1, 0.0), (1, 9000, 3.0)]) == [0, 1, 1]
    quantile[:] = 12.0
    assert true_of(traffic, [(0, 0, 9.0), (0, MAX_TRAVEL_MS, 0.0)]) == [0, MAX_TRAVEL_MS]
    traffic.factor[:] = 2.0
    assert predicted_of(traffic, [(0, 0, 0.0), (0, 7, 0.0), (0, MAX_TRAVEL_MS, 0.0)]) == [
        0,
        14,
        MAX_TRAVEL_MS,
    ]


def test_a_luckier_leg_is_never_slower():
    traffic = traffic_of(5, [500, 90_000])
    legs = [(2, 91_234, z) for z in np.linspace(-5, 5, 400)]
    assert (np.diff(true_of(traffic, legs)) >= 0).all()


@given(st.floats(0, 0.999), st.lists(st.floats(-5, 5), max_size=30))
def test_the_city_s_path_is_the_sum_of_its_past(phi, innovation):
    out_city = np.empty(len(innovation))
    city_path(phi, np.array(innovation, np.float64), out_city)
    np.testing.assert_allclose(out_city, autoregressive(phi, innovation), rtol=1e-9, atol=1e-9)


def test_the_city_s_path_is_standard_normal_and_forgets_as_told():
    out_city = np.empty(400_000)
    city_path(0.8, np.random.default_rng(2).normal(size=len(out_city)), out_city)
    assert out_city.mean() == pytest.approx(0, abs=0.02)
    assert out_city.std() == pytest.approx(1, abs=0.01)
    for lag in (1, 3):
        assert np.corrcoef(out_city[lag:], out_city[:-lag])[0, 1] == pytest.approx(0.8**lag, abs=0.02)


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_scores_of_legs_have_variance_1_and_share_rho(rho):
    city, own, other = np.random.default_rng(1).normal(size=(3, 100_000))
    one = np.array([leg_score(rho, c, e) for c, e in zip(city, own, strict=True)])
    two = np.array([leg_score(rho, c, e) for c, e in zip(city, other, strict=True)])
    assert one.std() == pytest.approx(1, abs=0.01)
    assert np.mean(one * two) == pytest.approx(rho, abs=0.015)
