import datetime
from dataclasses import replace

import numpy as np
import pytest

from cities import T0, grid_city, random_trips, small_scenario
from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.sim.behaving import with_behaviour
from dispatch.sim.behaviour import Behaviour
from dispatch.sim.scenario import PARKING_NOTE
from dispatch.sim.traffic import TrafficModel
from dispatch.units import MS_PER_DAY
from simulated import behaving


def same_model(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("factor", "quantile"))


def test_machines_leave_a_day_as_it_is():
    day = small_scenario(slowdown=1.7)
    same = with_behaviour(day)
    assert same.traffic.kind == "exact"
    assert same.travel_times is day.travel_times
    assert same.cruise is None
    assert (same.notes, same.slowdown) == (day.notes, 1.7)


def test_traffic_counts_from_free_flow_and_is_told():
    day = small_scenario(travel_times=grid_city().free_flow(2.0), slowdown=2.0)
    for model in ("assumed", "fitted"):  # with no recorded trips there is nothing to fit on
        made = with_behaviour(replace(day, behaviour=behaving(traffic={"model": model})))
        assert same_model(made.traffic, TrafficModel.assumed())
        assert np.array_equal(made.travel_times.travel_ms, day.city.graph.free_flow_ms())
        assert made.slowdown == 1.0, "it is in the traffic"
        assert made.notes[-1].startswith("Traffic is an assumption: ")


@pytest.mark.parametrize(("num_days", "kind"), [(3, "fitted"), (1, "assumed")])
def test_traffic_is_fitted_on_the_trips_of_earlier_days(num_days, kind):
    """Two thousand a day, half of them on the day itself or later: what is simulated is not learnt from."""
    city = grid_city()
    trips = random_trips(city, 2000, 4, T0 - 2 * MS_PER_DAY, 4 * 86_400)
    free_ms = city.free_flow().pairs_ms(trips.pickup_node, trips.dropoff_node)
    lasted_s = np.maximum(free_ms * 1.5 / 1000, 30).astype(np.int32)
    trips = replace(trips, duration_s=lasted_s)
    if num_days == 1:
        trips = trips.select(np.flatnonzero(trips.requested_at_ms > T0 - 300_000))
    city = City(
        **{name: getattr(city, name) for name in ("name", "graph", "projection", "timezone")}
        | {"trips": trips}
    )
    day = small_scenario(city=city, date=datetime.date(2023, 11, 14).isoformat())
    made = with_behaviour(replace(day, behaviour=behaving(traffic={"model": "fitted"})))
    assert made.traffic.kind == kind
    if kind == "fitted":
        assert made.traffic.num_trips <= np.count_nonzero(trips.requested_at_ms < T0)
        assert with_behaviour(replace(day, behaviour=Behaviour())).traffic is made.traffic, "made once"


@pytest.mark.parametrize(("cruising", "note"), [("random_walk", "whichever"), ("drift", "orders are many")])
def test_who_cruises_says_so_and_no_longer_that_it_parks(cruising, note):
    day = small_scenario(behaviour=behaving(drivers={"cruising": cruising}))
    assert PARKING_NOTE in day.notes
    made = with_behaviour(day)
    assert made.cruise is not None
    assert PARKING_NOTE not in made.notes
    assert any(note in one for one in made.notes)


def test_drifting_follows_the_day_s_own_local_hours():
    city = replace(grid_city(12, 12), timezone="America/New_York")
    day = small_scenario(400, 5, city=city, timezone="America/New_York")
    made = with_behaviour(replace(day, behaviour=behaving(drivers={"cruising": "drift"})))
    same = np.array([np.allclose(made.cruise.target_cum[h], made.cruise.target_cum[0]) for h in range(24)])
    # T0 is 22:13 in London, 17:13 in New York: the orders of one hour are of two.
    assert np.flatnonzero(~same).tolist() == [17, 18]


def test_without_pings_nothing_can_be_learnt():
    day = small_scenario(behaviour=behaving(drivers={"cruising": "hot_spots"}))
    with pytest.raises(
        InputError, match=r"'hot_spots' and Gridville has no pings.parquet .* random_walk or drift"
    ):
        with_behaviour(day)
