import numpy as np
import pytest

from cities import grid_city
from dispatch.errors import InputError
from dispatch.roads.pace import PaceOfDay
from dispatch.roads.spread_times import SpreadByTime, SpreadTimes
from dispatch.roads.travel_times import MatrixTravelTimes, UncertainTimes
from dispatch.units import UNREACHABLE_MS

LEVELS = (0.1, 0.5, 0.9)
MATRIX = MatrixTravelTimes(np.array([[0, 100, UNREACHABLE_MS], [200, 0, 400], [50, 60, 0]], np.int32))
FROM, TO = np.array([0, 1, 0, 1], np.int32), np.array([1, 2, 2, 1], np.int32)
RATIO = np.array([[0.5, 1.0, 2.0], [0.9, 1.0, 1.1]])


def test_quantiles_are_ratios_of_the_travel_time_by_its_length():
    times = SpreadTimes(MATRIX, LEVELS, RATIO, [400])
    assert isinstance(times, UncertainTimes)
    assert (times.num_nodes, times.levels) == (3, LEVELS)
    assert np.array_equal(times.pairs_ms(FROM, TO), MATRIX.pairs_ms(FROM, TO))
    told = times.quantiles_ms(FROM, TO)
    assert told.dtype == np.int32
    assert told.tolist() == [[50, 100, 200], [360, 400, 440], [UNREACHABLE_MS] * 3, [0, 0, 0]]


def test_one_row_of_ratios_is_for_all_lengths():
    assert SpreadTimes(MATRIX, LEVELS, RATIO[0]).quantiles_ms(FROM[:1], TO[:1]).tolist() == [[50, 100, 200]]


@pytest.mark.parametrize(
    ("levels", "ratio", "edge_ms", "message"),
    [
        ((0.5,), [[1.0]], (), r"levels is \(0.5,\): it must hold at least two numbers that ascend"),
        ((0.5, 0.4), [1.0, 1.0], (), "levels is .*above 0 and below 1"),
        ((0.5, 1.0), [1.0, 1.0], (), "levels is .*above 0 and below 1"),
        (LEVELS, RATIO, (), r"ratio has the shape \(2, 3\): it must have \(1, 3\)"),
        (LEVELS, RATIO, (0,), r"edge_ms is \[0\]: it must ascend from above 0"),
        (LEVELS, [1.0, 0.9, 2.0], (), "ratio must hold numbers from 0 to 100 that fall from no level"),
        (LEVELS, [1.0, np.nan, 2.0], (), "ratio must hold numbers from 0 to 100"),
        (LEVELS, [1.0, 2.0, 101.0], (), "ratio must hold numbers from 0 to 100"),
    ],
)
def test_what_is_out_of_range_is_refused(levels, ratio, edge_ms, message):
    with pytest.raises(InputError, match=message):
        SpreadTimes(MATRIX, levels, ratio, edge_ms)


def test_by_time_there_is_one_for_each_of_what_is_in_force():
    pace = PaceOfDay(grid_city(3, 3).free_flow(), np.array([1000, 2000]), 60_000, 0)
    times = SpreadByTime(pace, lambda base: SpreadTimes(base, LEVELS, RATIO[0]))
    assert times.at(0) is times.at(59_999)
    assert times.at(60_000).base is pace.at(60_000)
    pair = np.array([0], np.int32), np.array([8], np.int32)
    assert times.at(60_000).pairs_ms(*pair)[0] == pytest.approx(2 * times.at(0).pairs_ms(*pair)[0], abs=2)
