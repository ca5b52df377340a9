"""Fits on trips that a known model made."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.stats import ks_2samp

from cities import grid_city, random_trips
from dispatch.errors import InputError
from dispatch.roads.week_slots import slots_of
from dispatch.sim.traffic import LEVEL_Z, TrafficModel
from dispatch.sim.traffic_fit import MIN_TRIPS, duration_ks, fit_traffic, ks_distance, usable_trips

CITY = grid_city(16, 16, block_m=400.0)
MONDAY_MS = 1_709_510_400_000
DAY_MS = 86_400_000
WEEKS = 4
END_MS = MONDAY_MS + WEEKS * 7 * DAY_MS


def truth(rho=0.2, phi=0.8, friday=0.2):
    """Slow by day, slower on Fridays; long legs are faster than short ones."""
    hour = np.arange(168)
    factor = 1.6 - 0.4 * np.cos(2 * np.pi * (hour % 24 - 3) / 24) + friday * (hour // 24 == 4)
    middle = np.array([[0.15], [-0.1]])
    return TrafficModel(factor, np.array([240_000]), middle + 0.25 * LEVEL_Z, rho, phi)


def trips_of(model, num_trips, seed=0, weeks=WEEKS):
    trips = random_trips(CITY, num_trips, seed, MONDAY_MS, weeks * 7 * 86_400)
    free_ms = CITY.free_flow().pairs_ms(trips.pickup_node, trips.dropoff_node)
    rng = np.random.default_rng(seed)
    lasted_ms = model.sample_ms(free_ms, trips.requested_at_ms, CITY.timezone, rng)
    return replace(trips, duration_s=np.maximum(np.rint(lasted_ms / 1000), 1).astype(np.int32))


@pytest.fixture(scope="module")
def made():
    return trips_of(truth(), 150_000)


@pytest.fixture(scope="module")
def fitted(made):
    return fit_traffic(CITY, made, END_MS)


def test_the_fit_finds_the_factors(made, fitted):
    # Medians are weighted by time, so that long legs count more: what is fitted lies a little below.
    ratio = fitted.factor / truth().factor
    assert ratio.mean() == pytest.approx(np.exp(-0.06), abs=0.04)
    assert ratio.std() < 0.05
    assert fitted.num_trips > 149_000


def test_the_fit_finds_the_noise_of_short_and_of_long_legs(fitted):
    z = np.array([-1.0, 0.0, 1.0])
    levels = np.array([np.interp(z, LEVEL_Z, row) for row in fitted.quantile])
    np.testing.assert_allclose(levels[:, 2] - levels[:, 0], 2 * 0.25, rtol=0.15)
    assert levels[0, 1] - levels[-1, 1] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(("rho", "phi", "seed"), [(0.2, 0.8, 0), (0.05, 0.9, 1), (0.3, 0.3, 2)])
def test_the_fit_finds_the_correlation(rho, phi, seed):
    model = fit_traffic(CITY, trips_of(truth(rho, phi, friday=0.0), 60_000, seed), END_MS)
    assert model.rho == pytest.approx(rho, rel=0.12)
    assert model.city_phi == pytest.approx(phi, abs=0.1)


def test_noise_of_nothing_in_common_has_no_correlation():
    assert fit_traffic(CITY, trips_of(truth(0.0, 0.0, friday=0.0), 150_000, 3), END_MS).rho < 0.002


def test_what_was_fitted_repeats_other_trips_and_a_single_factor_does_not(fitted):
    others = trips_of(truth(), 60_000, 5)
    distances = duration_ks(CITY, others, fitted, MONDAY_MS, END_MS, 1)
    assert list(distances) == ["00-03", "03-06", "06-09", "09-12", "12-15", "15-18", "18-21", "21-24"]
    assert max(distances.values()) < 0.045
    single = replace(TrafficModel.exact(), factor=np.full(168, 1.6))
    assert max(duration_ks(CITY, others, single, MONDAY_MS, END_MS, 1).values()) > 0.1
    night = duration_ks(CITY, others, fitted, MONDAY_MS, MONDAY_MS + DAY_MS // 12, 1)
    assert list(night) == ["00-03"]
    assert duration_ks(CITY, others, fitted, 0, 1, 1) == {}


def test_only_trips_before_the_instant_count(made):
    before_ms = MONDAY_MS + 2 * 7 * DAY_MS
    later = made.requested_at_ms >= before_ms
    spoilt = replace(made, duration_s=np.where(later, 9 * made.duration_s, made.duration_s).astype(np.int32))
    one, other = (fit_traffic(CITY, trips, before_ms) for trips in (made, spoilt))
    assert np.array_equal(one.factor, other.factor)
    assert np.array_equal(one.quantile, other.quantile)
    assert (one.rho, one.city_phi) == (other.rho, other.city_phi)


def test_slots_with_few_trips_are_drawn_to_those_beside_them_and_like_days():
    trips = trips_of(truth(0.0, 0.0), 40_000)
    slot = slots_of(trips.requested_at_ms, "UTC")
    tuesday_at_9 = slot == 33
    rows = np.flatnonzero(tuesday_at_9)
    duration_s = trips.duration_s.copy()
    duration_s[rows[:5]] *= 2
    few = replace(trips, duration_s=duration_s).select(
        ~tuesday_at_9 | np.isin(np.arange(len(slot)), rows[:5])
    )
    model = fit_traffic(CITY, few, END_MS)
    assert model.factor[33] == pytest.approx(model.factor[[9, 57, 81]].mean(), rel=0.05)
    none = fit_traffic(CITY, trips.select(~tuesday_at_9), END_MS)
    assert none.factor[33] == pytest.approx(none.factor[[9, 57, 81]].mean(), rel=0.05)


def test_a_week_of_one_day_a_few_trips_and_equal_lengths():
    """What can be fitted of little: a factor everywhere, one bin, no correlation."""
    trips = trips_of(truth(0.0, 0.0), 20_000)
    few = trips.select(np.arange(0, 20_000, 20_000 // MIN_TRIPS)[:MIN_TRIPS])
    ends = (few.pickup_node[0], few.dropoff_node[0])
    same = replace(
        few,
        pickup_node=np.full(MIN_TRIPS, ends[0]),
        dropoff_node=np.full(MIN_TRIPS, ends[1]),
        duration_s=np.full(
            MIN_TRIPS, np.rint(2 * CITY.free_flow().pairs_ms(*([end] for end in ends))[0] / 1000), np.int32
        ),
    )
    model = fit_traffic(CITY, same, END_MS)
    assert len(model.quantile) == 1
    np.testing.assert_allclose(model.factor, 2.0, rtol=0.02)
    np.testing.assert_allclose(model.quantile, 0.0, atol=1e-12)


def test_trips_that_tell_nothing_are_counted():
    trips = trips_of(truth(), 40)
    unit = CITY.free_flow().pairs_ms(trips.pickup_node, trips.dropoff_node)
    trips.duration_s[:] = np.maximum(unit // 500, 1)
    trips.duration_s[:3] = [0, -1, 0]
    trips.pickup_node[3:5] = -1
    trips.dropoff_node[5] = -1
    trips.dropoff_node[6] = trips.pickup_node[6]
    trips.duration_s[7] = unit[7] // 2500
    trips.duration_s[8] = unit[8] // 90
    usable = usable_trips(CITY, trips)
    assert usable.rows.tolist() == list(range(9, 40))
    assert usable.free_ms.tolist() == unit[9:].tolist()
    assert (usable.num_unknown, usable.num_outside, usable.num_outliers) == (3, 4, 2)
    with pytest.raises(InputError, match="trips holds 31 before that instant that tell how long a way took"):
        fit_traffic(CITY, trips, END_MS)
    with pytest.raises(InputError, match="trips holds 0 before"):
        fit_traffic(CITY, trips, MONDAY_MS)


SAMPLE = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@given(SAMPLE, SAMPLE)
def test_the_distance_is_that_of_shares_counted_one_by_one(one, other):
    def share(sample, at):
        return sum(value <= at for value in sample) / len(sample)

    expected = max(abs(share(one, at) - share(other, at)) for at in {*one, *other})
    assert ks_distance(np.array(one, float), np.array(other, float)) == pytest.approx(expected, abs=1e-12)


def test_the_distance_is_scipy_s():
    one, other = np.random.default_rng(1).normal(size=(2, 300)) + np.array([[0.0], [0.3]])
    assert ks_distance(one, other) == pytest.approx(ks_2samp(one, other).statistic, abs=1e-12)
