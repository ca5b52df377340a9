from dataclasses import replace

import numpy as np
import pytest

from analysis.eta_tests import CITY, LEVELS, MONDAY_MS, eta_test
from cities import random_trips
from dispatch.analysis.eta_baseline import ONE_RATIO, weighted_quantiles, with_one_ratio
from dispatch.analysis.eta_measures import pinball_s

TEST = eta_test(200)
EARLIER = random_trips(CITY, 800, 1, MONDAY_MS - 86_400_000)
FREE_S = CITY.free_flow().pairs_ms(EARLIER.pickup_node, EARLIER.dropoff_node) / 1000


def trips(ratio):
    return replace(EARLIER, duration_s=np.maximum(np.rint(FREE_S * ratio), 1).astype(np.int32))


def test_the_ratio_of_earlier_trips_times_free_flow():
    found = with_one_ratio(TEST, CITY, trips(1.7), MONDAY_MS)
    expected = 1.7 * TEST.others["free flow"][:, None] * np.ones(4)
    assert found.others_quantile_s[ONE_RATIO] == pytest.approx(expected, rel=0.02)
    assert list(found.others_quantile_s) == ["one ratio", ONE_RATIO]
    assert found.others is TEST.others


def test_later_trips_and_few_trips_tell_nothing():
    assert with_one_ratio(TEST, CITY, trips(1.7), MONDAY_MS - 86_400_000) is TEST
    assert with_one_ratio(TEST, CITY, None, MONDAY_MS) is TEST
    without = replace(TEST, others={})
    assert with_one_ratio(without, CITY, trips(1.7), MONDAY_MS) is without


def test_no_constant_ratio_loses_less():
    random = np.random.default_rng(0)
    weight = random.uniform(50, 900, 500)
    ratio = np.exp(0.4 * random.standard_normal(500))
    best = weighted_quantiles(ratio, weight, LEVELS)

    def loss(factor):
        return pinball_s(weight[:, None] * factor, weight * ratio, LEVELS).mean(axis=0)

    for other in (0.98, 1.02):
        assert (loss(best) <= loss(best * other)).all()
    even = weighted_quantiles(np.arange(1.0, 11.0), np.ones(10), (0.1, 0.5, 0.95))
    assert even.tolist() == [1, 5, 10]
