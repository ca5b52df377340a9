from dataclasses import FrozenInstanceError, fields

import pytest

from analysis.communities import community_day
from dispatch.analysis.community_day import CommunityDay


def test_a_day_is_told_whole_and_stays_as_it_is():
    with pytest.raises(TypeError, match="num_active"):
        CommunityDay(**{one.name: 0 for one in fields(CommunityDay) if one.name != "num_active"})
    with pytest.raises(FrozenInstanceError):
        community_day().num_orders = 3
