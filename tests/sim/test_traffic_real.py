"""Traffic fitted on two weeks of San Francisco, measured on the four days after."""

import datetime
from dataclasses import replace

import numpy as np
import pytest

from dispatch.roads.city import City
from dispatch.roads.trips import local_midnight_ms, zone_info
from dispatch.sim.recorded_day import fit_slowdown
from dispatch.sim.traffic import TrafficModel
from dispatch.sim.traffic_fit import duration_ks, fit_traffic, usable_trips

FROM, TO = datetime.date(2008, 5, 31), datetime.date(2008, 6, 4)
MAX_KS = 0.06
NUM_BANDS = 8


@pytest.fixture(scope="module")
def city(data):
    return City.load(data / "san_francisco")


@pytest.fixture(scope="module")
def days_ms(city):
    return tuple(local_midnight_ms(date, zone_info(city.timezone)) for date in (FROM, TO))


@pytest.fixture(scope="module")
def model(city, days_ms):
    return fit_traffic(city, city.trips, days_ms[0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_durations_are_distributed_as_recorded_in_every_band_of_the_day(city, days_ms, model, seed):
    distances = duration_ks(city, city.trips, model, *days_ms, seed)
    assert len(distances) == NUM_BANDS
    assert max(distances.values()) <= MAX_KS, distances


def test_one_slowdown_for_all_is_not_enough(city, days_ms):
    slowdown, _ = fit_slowdown(city, city.trips, days_ms[0])
    single = replace(TrafficModel.exact(), factor=np.full(168, slowdown))
    distances = duration_ks(city, city.trips, single, *days_ms, 1)
    assert max(distances.values()) > 0.12, distances
    assert sum(distance > MAX_KS for distance in distances.values()) >= 4, distances


def test_the_prediction_is_nearer_than_that_of_one_slowdown(city, days_ms, model):
    inside = (city.trips.requested_at_ms >= days_ms[0]) & (city.trips.requested_at_ms < days_ms[1])
    trips = city.trips.select(inside)
    usable = usable_trips(city, trips)
    recorded_ms = trips.duration_s[usable.rows] * 1000.0
    at_ms = trips.requested_at_ms[usable.rows]
    slowdown, _ = fit_slowdown(city, city.trips, days_ms[0])
    predicted_ms = model.predicted_ms(usable.free_ms, at_ms, city.timezone)
    errors_ms = [np.abs(ms - recorded_ms).mean() for ms in (predicted_ms, slowdown * usable.free_ms)]
    assert errors_ms[0] < 0.95 * errors_ms[1]
    assert errors_ms[0] < 130_000


def test_what_was_fitted(city, model):
    assert model.num_trips > 220_000
    assert 1.2 < model.factor.min() < 1.5
    assert 1.9 < model.factor.max() < 2.4
    assert 0.005 < model.rho < 0.03
    assert 0.7 < model.city_phi < 0.95
    usable = usable_trips(city, city.trips)
    assert usable.num_outliers < 0.01 * len(usable.rows)
    assert usable.num_outside < 0.12 * len(city.trips)
