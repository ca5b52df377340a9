import numpy as np
from hypothesis import given, strategies as st

from cities import T0, line_city, places, random_trips
from dispatch.analysis.on_shift import latest_before, on_shift
from dispatch.roads.pings import RecordedPings
from dispatch.units import NO_INDEX

CITY = line_city()
ROWS = st.lists(st.tuples(st.sampled_from([-1, 0, 7, 2**62]), st.integers(-5, 20)), max_size=12)


def columns(rows):
    return np.array([row[0] for row in rows], np.int64), np.array([row[1] for row in rows], np.int64)


@given(ROWS, ROWS)
def test_the_latest_row_of_a_driver_is_that_of_plain_python(rows, asked):
    got = latest_before(*columns(rows), *columns(asked))
    for found, (driver, at_ms) in zip(got.tolist(), asked, strict=True):
        earlier = [(row[1], i) for i, row in enumerate(rows) if row[0] == driver and row[1] <= at_ms]
        assert (found == NO_INDEX) == (not earlier)
        if earlier:
            assert rows[found] == (driver, max(earlier)[0])


def test_spells_name_their_first_and_last_pings():
    """The rules are held by tests/sim/test_shifts.py, where drivers come on duty by them."""
    minutes = [0, 5, 10, 40, 50, 60, 0, 4]
    driver = np.array([3] * 6 + [8] * 2, np.int64)
    occupied = np.array([1, 0, 0, 0, 1, 1, 1, 1], bool)
    lon, lat = places(CITY, range(8))
    pings = RecordedPings(driver, T0 + 60_000 * np.array(minutes, np.int64), lon, lat, occupied)
    spells = on_shift(pings, random_trips(CITY, 0), CITY)
    assert spells.first_ping.tolist() == [1, 3]
    assert spells.last_ping.tolist() == [2, 5]
    assert spells.node.tolist() == [1, 3]
