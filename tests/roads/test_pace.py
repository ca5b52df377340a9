import numpy as np
import pytest

from cities import grid_city
from dispatch.errors import InputError
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.pace import PacedTimes, PaceOfDay

CITY = grid_city(5, 5, seed=4)
METRIC = CITY.free_flow()
TABLE = AllPairsTimes(METRIC)
FROM, TO = (part.astype(np.int32) for part in np.divmod(np.arange(625), 25))
BASES = pytest.mark.parametrize("base", [METRIC, TABLE], ids=["metric", "table"])


@BASES
@pytest.mark.parametrize("permille", [1, 1000, 1649, 100_000])
def test_every_time_is_scaled_and_rounded(base, permille):
    paced = PacedTimes(base, permille)
    assert paced.num_nodes == 25
    expected_ms = (METRIC.pairs_ms(FROM, TO).astype(np.int64) * permille + 500) // 1000
    assert np.array_equal(paced.pairs_ms(FROM, TO), expected_ms)
    unpaced, paths = base.paths(FROM, TO), paced.paths(FROM, TO)
    assert np.array_equal(paths.at_ms, (unpaced.at_ms.astype(np.int64) * permille + 500) // 1000)
    for name in ("first", "node", "at_m", "edge"):
        assert np.array_equal(getattr(paths, name), getattr(unpaced, name))
    assert np.array_equal(paths.at_ms[paths.first[1:] - 1], expected_ms)


@BASES
def test_scaling_leaves_the_times_below_as_they_were(base):
    before_ms = base.pairs_ms(FROM, TO)
    PacedTimes(base, 2000).pairs_ms(FROM, TO)
    PacedTimes(base, 2000).paths(FROM, TO)
    assert np.array_equal(base.pairs_ms(FROM, TO), before_ms)


@BASES
@pytest.mark.parametrize("permille", [500, 1000, 1700])
def test_the_nearest_are_those_by_paced_time(base, permille):
    random = np.random.default_rng(1)
    drivers, orders = (random.integers(0, 25, num).astype(np.int32) for num in (12, 8))
    max_ms = 90_000
    found = PacedTimes(base, permille).nearest(drivers, orders, 3, max_ms)
    assert len(found.item)
    for i, order in enumerate(orders):
        rows = slice(found.first[i], found.first[i + 1])
        at = np.full(len(drivers), order, np.int32)
        ms = PacedTimes(base, permille).pairs_ms(drivers, at)
        assert found.ms[rows].tolist() == ms[found.item[rows]].tolist()
        assert found.ms[rows].tolist() == sorted(ms[ms <= max_ms].tolist())[:3]


@pytest.mark.parametrize("permille", [0, -1, 100_001, 999.5])
def test_paces_out_of_range_are_refused(permille):
    with pytest.raises(InputError, match=f"permille is {permille}: it must be a whole number from 1 to"):
        PacedTimes(METRIC, permille)


def test_the_pace_in_force_goes_by_slots_that_come_again():
    day = PaceOfDay(TABLE, np.array([1000, 1500, 800]), 60_000, -10_000)
    at_ms = [-10_000, 0, 49_999, 50_000, 109_999, 110_000, 169_999, 170_000, -10_001, 170_000 + 7 * 180_000]
    assert [day.at(one).permille for one in at_ms] == [
        1000,
        1000,
        1000,
        1500,
        1500,
        800,
        800,
        1000,
        800,
        1000,
    ]
    assert day.at(0) is day.at(20_000), (
        "times of one slot are the same, so that what is made of them can be kept"
    )
    assert day.at(0).base is TABLE
