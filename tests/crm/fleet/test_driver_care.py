"""What a company looks at that cares for its drivers."""

import pytest

from crm.conftest import HOUR_MS, actor
from crm.served import NOW_MS, add_driver_days, add_drivers
from dispatch.errors import AuthError


def test_facts_follow_from_days(crm, scope_id):
    add_drivers(crm, scope_id, [4, 1, 2, 3])
    day = {"online_ms": 10 * HOUR_MS, "income_cents": 100, "ratings": 2, "stars": 7}
    rows = [{"driver_id": 1, "ago": ago, **day} for ago in (0, 1, 2, 3, 5, 9)]
    rows += [{"driver_id": 2, "ago": ago, **day, "stars": 5, "complaints_upheld": 1} for ago in (1, 2, 29)]
    rows += [{"driver_id": 3, "ago": 30, **day}, {"driver_id": 4, "ago": 4}]
    add_driver_days(crm, rows)
    told = crm.acting_as(actor("dispatcher")).driver_care.of_all(scope_id=scope_id, at_ms=NOW_MS)
    assert told.driver_id.tolist() == [1, 2, 3, 4]
    assert told.days_since_worked.tolist() == [0, 1, -1, -1]
    assert told.days_in_a_row.tolist() == [4, 2, 0, 0]
    assert (told.week_online_ms // HOUR_MS).tolist() == [50, 20, 0, 0]
    assert (told.online_ms // HOUR_MS).tolist() == [60, 30, 0, 0]
    assert told.income_cents.tolist() == [600, 300, 0, 0]
    assert told.complaints_upheld.tolist() == [0, 3, 0, 0]
    assert told.low_ratings.tolist() == [0, 1, 0, 0]
    herself = crm.acting_as(actor("driver", own=("driver", 2)))
    assert herself.driver_care.of(2, at_ms=NOW_MS).days_in_a_row.tolist() == [2]
    with pytest.raises(AuthError):
        herself.driver_care.of(1, at_ms=NOW_MS)
    assert crm.driver_care.of_all(scope_id=crm.scope("acme", "empty"), at_ms=NOW_MS).driver_id.shape == (0,)
