from dataclasses import replace

import numpy as np
import pytest

from cities import grid_city
from dispatch.roads import all_pairs
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.pace import PaceOfDay
from dispatch.roads.travel_times import MatrixTravelTimes
from dispatch.sim.streets import DayStreets
from dispatch.sim.traffic import TrafficModel
from random_days import with_forbidden_turns

CITY = grid_city(5, 5)
METRIC = CITY.free_flow()
EXACT = TrafficModel.exact()
HOUR_MS = 3_600_000


class ByHour:
    """Every other hour is slower."""

    def __init__(self):
        self.metrics = CITY.free_flow(), CITY.free_flow(2.0)

    def at(self, at_ms):
        return self.metrics[at_ms // HOUR_MS % 2]


def test_a_small_network_is_looked_up_in_a_table_made_once():
    streets = DayStreets(METRIC, EXACT, 0)
    assert isinstance(streets.base, AllPairsTimes)
    assert streets.engine_times is streets.base
    assert not streets.changes
    assert np.array_equal(streets.at(0).table.to_ms, streets.base.table.to_ms)
    assert streets.at(0) is streets.at(10**9)
    assert DayStreets(METRIC, EXACT, 0).base is streets.base
    assert DayStreets(CITY.free_flow(1.5), EXACT, 0).base is not streets.base


@pytest.mark.parametrize("why", ["large", "forbidden turns"])
def test_other_networks_are_asked_by_their_hierarchy(why, monkeypatch):
    metric = METRIC
    if why == "large":
        monkeypatch.setattr(all_pairs, "MAX_NODES", 24)
    else:
        metric = with_forbidden_turns(CITY).free_flow()
    streets = DayStreets(metric, EXACT, 0)
    assert streets.base is streets.engine_times is metric
    at = streets.at(0)
    assert not len(at.table.to_ms)
    assert np.array_equal(at.shortcuts.travel_ms, metric.shortcuts.travel_ms)
    assert len(at.sources.first) == len(at.targets.first) == metric.num_nodes + 1


def test_what_the_engine_predicts_goes_by_the_slot_of_the_week():
    model = TrafficModel.assumed()
    streets = DayStreets(METRIC, model, 5 * HOUR_MS)
    assert isinstance(streets.engine_times, PaceOfDay)
    from_node, to_node = (part.astype(np.int32) for part in np.divmod(np.arange(625), 25))
    free_ms = METRIC.pairs_ms(from_node, to_node)
    for hour in (0, 3, 100, 163, 170):
        ms = streets.engine_times.at(hour * HOUR_MS + 77).pairs_ms(from_node, to_node)
        assert ms == pytest.approx(free_ms * model.factor[(hour + 5) % 168], rel=1e-3, abs=1)
    # Drivers themselves drive on free flow: the traffic makes it longer.
    assert np.array_equal(streets.at(0).table.to_ms, DayStreets(METRIC, EXACT, 0).at(0).table.to_ms)


def test_streets_that_change_are_those_of_the_instant():
    by_hour = ByHour()
    streets = DayStreets(by_hour, EXACT, 0)
    assert streets.changes
    assert streets.engine_times is by_hour
    first, second = streets.at(5), streets.at(HOUR_MS + 5)
    assert np.array_equal(first.shortcuts.travel_ms, by_hour.metrics[0].shortcuts.travel_ms)
    assert np.array_equal(second.shortcuts.travel_ms, by_hour.metrics[1].shortcuts.travel_ms)
    assert streets.at(HOUR_MS + 9) is second


def test_traffic_without_factors_leaves_the_times_as_they_are():
    noisy = replace(EXACT, quantile=TrafficModel.assumed().quantile, kind="assumed")
    streets = DayStreets(METRIC, noisy, 0)
    assert streets.engine_times is streets.base


def test_a_matrix_does_not_know_the_way():
    matrix = MatrixTravelTimes(np.zeros((25, 25), np.int32))
    with pytest.raises(TypeError, match="drivers need a Metric to find their ways, not a MatrixTravelTimes"):
        DayStreets(matrix, EXACT, 0).at(0)
