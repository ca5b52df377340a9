import numpy as np

from dispatch import units
from dispatch.units import (
    DURATION_DTYPE,
    ID_DTYPE,
    INDEX_DTYPE,
    MAX_TRAVEL_MS,
    MS_PER_DAY,
    NO_COORDINATE,
    NO_INDEX,
    NO_VALUE,
    TIME_DTYPE,
    UNREACHABLE_MS,
)


def test_two_unreachable_times_still_add_up():
    with np.errstate(over="raise"):
        both = np.add(DURATION_DTYPE(UNREACHABLE_MS), DURATION_DTYPE(UNREACHABLE_MS))
    assert both.dtype == DURATION_DTYPE
    assert both == 2 * UNREACHABLE_MS > UNREACHABLE_MS > MAX_TRAVEL_MS


def test_the_longest_travel_time_is_longer_than_any_trip():
    assert 6 * MS_PER_DAY < MAX_TRAVEL_MS


def test_sentinels_fit_their_columns_and_are_no_values():
    for dtype in (INDEX_DTYPE, ID_DTYPE, TIME_DTYPE, DURATION_DTYPE):
        assert dtype(NO_INDEX) == NO_INDEX < 0
        assert dtype(NO_VALUE) == NO_VALUE < 0
    assert np.int32(NO_COORDINATE) == NO_COORDINATE
    assert NO_COORDINATE > 360 * 1_000_000


def test_every_number_is_said_to_mean_something():
    constants = [name for name in dir(units) if name.isupper()]
    assert len(constants) >= 11
    assert all(isinstance(getattr(units, name), int | type) for name in constants)
