"""Who rides, how often, and who stays."""

from dataclasses import fields, replace

import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.sim.community import Community, CommunityParams

PARAMS = CommunityParams(customers=5_000)


@pytest.fixture
def community():
    return Community.begin(PARAMS, 50, seed=4)


def test_rates_are_unequal_with_a_mean_of_one(community):
    assert community.num_customers == 5_000
    assert abs(community.rate.mean() - 1) < 0.05
    # A gamma distribution of shape k has a variance of 1/k at a mean of 1.
    assert abs(community.rate.var() - 1 / PARAMS.rate_shape) < 0.15


def test_who_rides_often_asks_often_and_who_left_never(community):
    community.leave(np.array([1, 2, 3]))
    asked = np.concatenate([community.who_asks(day, 4_000) for day in range(10)])
    count = np.bincount(asked, minlength=5_001)[1:]
    assert count[:3].sum() == 0
    assert np.corrcoef(count, community.rate)[0, 1] > 0.9
    assert (community.who_asks(3, 4_000) == asked[12_000:16_000]).all()


def test_orders_follow_those_who_are_there(community):
    usual = [community.num_orders(day, 1_000) for day in range(40)]
    assert abs(np.mean(usual) - 1_000) < 25
    community.leave(np.arange(1, 2_501))
    share = community.rate[2_500:].sum() / community.rate.sum()
    assert abs(np.mean([community.num_orders(day, 1_000) for day in range(40)]) - 1_000 * share) < 25


def test_only_the_very_first_order_is_a_first_order(community):
    assert community.first_orders(np.array([7, 8, 7, 9])).tolist() == [1, 1, 0, 1]
    assert community.first_orders(np.array([9, 10])).tolist() == [0, 1]


def test_new_people_are_the_same_whenever_they_come(community):
    at_once, one_by_one = community, Community.begin(PARAMS, 50, seed=4)
    assert at_once.join(3).tolist() == [5_001, 5_002, 5_003]
    for _ in range(3):
        one_by_one.join(1)
    assert (at_once.rate == one_by_one.rate).all()
    assert at_once.is_there[-3:].all()


def test_drivers_are_replaced_and_ids_never_used_again(community):
    assert community.replace_drivers(np.array([3, 50])).tolist() == [51, 52]
    assert len(community.driver_id) == 50
    assert community.replace_drivers(np.array([51])).tolist() == [53]
    assert (np.diff(community.driver_id) > 0).all()
    quality = community.quality(np.arange(1, 2_000))
    assert PARAMS.quality_low <= quality.min() < quality.max() <= PARAMS.quality_high


@pytest.mark.parametrize("name", [one.name for one in fields(CommunityParams)])
def test_values_out_of_range_are_refused(name):
    with pytest.raises(InputError, match=name):
        replace(PARAMS, **{name: -1})


def test_quality_has_its_low_end_below_its_high_one():
    with pytest.raises(InputError, match="quality_high"):
        CommunityParams(quality_low=0.9, quality_high=0.5)
