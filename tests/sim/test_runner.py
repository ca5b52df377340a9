"""Runs as a whole: invariants, determinism, partial runs, positions on the way."""

import bisect
import itertools
from dataclasses import replace

import numpy as np
import pytest

from cities import T0, grid_city, places, random_trips, shifts_of, small_scenario
from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpis import kpis
from dispatch.engine.dispatcher import Dispatcher
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.engine.params import DispatchParams
from dispatch.roads.city import City
from dispatch.sim.runner import run
from dispatch.sim.scenario import SimParams, made_up_day
from naive.replay import replay


@pytest.mark.parametrize("policy", ["batch", "nearest"])
@pytest.mark.parametrize(("num_orders", "num_drivers"), [(80, 12), (150, 3), (5, 30)])
def test_every_run_holds_its_invariants(policy, num_orders, num_drivers):
    scenario = small_scenario(num_orders, num_drivers, seed=num_orders).with_policy(policy)
    finished = run(scenario)
    assert not finished.partial
    assert finished.scenario is scenario
    report = check_invariants(finished.events)
    assert report.num_orders == num_orders
    assert report.num_drivers == report.num_offline == num_drivers
    assert report.num_closed + report.num_expired == num_orders
    state, illegal = replay(finished.events)
    assert illegal is None
    assert set(state.order_state.values()) <= {"closed", "expired"}
    assert (np.diff(finished.events["at_ms"]) >= 0).all()
    assert set(finished.events["driver_id"].tolist()) - {-1} == set(scenario.shifts.driver_id.tolist())


def test_a_fleet_too_small_lets_orders_expire_after_their_patience():
    scenario = small_scenario(150, 3, params=DispatchParams(max_wait_s=300.0))
    events = run(scenario).events
    expired = events[events["kind"] == K.ORDER_EXPIRED]
    assert len(expired) > 20
    asked_at_ms = scenario.orders.requested_at_ms[expired["order_id"]]
    assert (expired["at_ms"] - asked_at_ms == 300_000).all()


def test_matching_in_batches_drives_less_empty_and_reaches_customers_sooner_than_the_nearest_driver():
    city = City.synthetic(seed=1, num_nodes_about=2000)
    for seed in (1, 2):
        day = made_up_day(city, 800, 24, seed=seed)
        nearest, batch = (kpis(run(day.with_policy(policy)).events) for policy in ("nearest", "batch"))
        assert batch["empty_km_share"] < nearest["empty_km_share"]
        assert batch["wait_mean_s"] < nearest["wait_mean_s"]


@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_the_same_seed_gives_the_same_log_and_another_one_another(policy):
    hashes = [log_sha256(run(small_scenario(seed=seed).with_policy(policy)).events) for seed in (5, 5, 6)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_day_watched_or_not_is_the_same():
    scenario, told = small_scenario(seed=7), []
    events = run(scenario).events
    assert log_sha256(run(small_scenario(seed=7), told.append).events) == log_sha256(events)
    assert [progress.now_ms for progress in told] == [T0 + 15_000 * (i + 1) for i in range(len(told))]
    finished = [progress.num_finished for progress in told]
    assert finished == sorted(finished)
    assert (finished[-1], told[-1].num_orders) == (60, 60)
    assert max(finished[:-1]) < 60


def test_policies_see_the_same_orders_and_drivers():
    runs = {
        policy: run(small_scenario(100, 10).with_policy(policy)).events for policy in ("batch", "nearest")
    }
    given = []
    for events in runs.values():
        kinds = events["kind"] == K.ORDER_SUBMITTED
        given.append(events[kinds][["order_id", "at_ms", "lon_e6", "lat_e6"]].tolist())
    assert given[0] == given[1]
    assert log_sha256(runs["batch"]) != log_sha256(runs["nearest"])


@pytest.mark.parametrize("num_windows", [1, 2, 40, 120])
def test_stopped_early_it_leaves_a_log_that_holds_as_far_as_it_goes(num_windows):
    asked = itertools.count(1)
    whole = run(small_scenario()).events
    part = run(small_scenario(), should_stop=lambda: next(asked) >= num_windows)
    assert part.partial
    assert next(asked) == num_windows + 1
    report = check_invariants(part.events, complete=False)
    assert report.num_open > 0 or num_windows < 3
    end_ms = T0 + 15_000 * num_windows
    assert part.events["at_ms"].max() <= end_ms
    # up to then, it is the whole run
    assert np.array_equal(part.events, whole[: len(part.events)])
    assert (whole["at_ms"][len(part.events) :] >= end_ms).all()


def test_stopped_at_the_very_end_it_is_whole():
    windows = []
    run(small_scenario(), windows.append)
    asked = itertools.count(1)
    finished = run(small_scenario(), should_stop=lambda: next(asked) >= len(windows))
    assert not finished.partial


PHASES = {
    K.DRIVER_ONLINE: "parked",
    K.DROPPED_OFF: "parked",
    K.ORDER_ASSIGNED: "to pickup",
    K.DRIVER_ARRIVED: "boarding",
    K.PICKED_UP: "on trip",
    K.DRIVER_OFFLINE: "off",
}
"""What an event makes of its driver, where nobody cancels."""


class Watched(Dispatcher):
    """Keeps the positions that it is told, (at_ms, driver_id, lon, lat, node)."""

    told: list

    def update_positions(self, positions):
        super().update_positions(positions)
        at_ms = np.broadcast_to(positions.at_ms, len(positions.driver_id))
        columns = (at_ms, positions.driver_id, positions.lon, positions.lat, positions.node)
        self.told += zip(*(column.tolist() for column in columns), strict=True)


def watched_run(monkeypatch, scenario):
    """The log, and positions as (at_ms, driver_id, phase, order_id, lon, lat, node), phases by the log."""
    Watched.told = []
    monkeypatch.setattr("dispatch.sim.runner.Dispatcher", Watched)
    events = run(scenario).events
    history = {}
    for event in events[np.isin(events["kind"], list(PHASES))]:
        one = (int(event["at_ms"]), PHASES[K(event["kind"])], int(event["order_id"]))
        history.setdefault(int(event["driver_id"]), []).append(one)
    seen = []
    for at_ms, driver_id, *where in Watched.told:
        mine = history[driver_id]
        _, phase, order_id = mine[bisect.bisect_right(mine, at_ms, key=lambda one: one[0]) - 1]
        seen.append((at_ms, driver_id, phase, order_id, *where))
    return events, seen


def test_moving_drivers_are_on_the_path_between_its_nodes(monkeypatch):
    scenario = small_scenario(40, 6, seed=2)
    graph, times = scenario.city.graph, scenario.travel_times
    events, seen = watched_run(monkeypatch, scenario)
    picked_up = events[events["kind"] == K.PICKED_UP]
    boarded_at_ms = dict(zip(picked_up["order_id"].tolist(), picked_up["at_ms"].tolist(), strict=True))
    moving = [one for one in seen if one[2] == "on trip"]
    assert len(moving) > 100
    alighting_ms, num_between = 1000 * scenario.sim.alighting_s, 0
    for now_ms, _, _, order, lon, lat, node in moving:
        ends = (scenario.orders.pickup_node[[order]], scenario.orders.dropoff_node[[order]])
        path = times.paths(*ends)
        # The leg takes its way's time and the alighting; it is driven evenly.
        lasts_ms = path.at_ms[-1] + alighting_ms
        along_ms = (now_ms - boarded_at_ms[order]) / lasts_ms * path.at_ms[-1]
        expected = [
            np.interp(along_ms, path.at_ms, degrees[path.node])
            for degrees in (graph.node_lon, graph.node_lat)
        ]
        assert (lon, lat) == pytest.approx(expected, abs=1e-9)
        assert node in path.node
        num_between += along_ms < path.at_ms[-1] and along_ms not in path.at_ms
    assert num_between > 50


def test_drivers_on_their_way_to_a_pickup_come_nearer(monkeypatch):
    """Each position is as far from the pickup as is left of the quoted ETA, but for the arc it is on."""
    scenario = small_scenario(60, 4, seed=9)
    events, seen = watched_run(monkeypatch, scenario)
    assigned, arrived = (events[events["kind"] == kind] for kind in (K.ORDER_ASSIGNED, K.DRIVER_ARRIVED))
    arrives_at_ms = dict(zip(arrived["order_id"].tolist(), arrived["at_ms"].tolist(), strict=True))
    assert len(assigned) == len(arrived)
    under_way = [one for one in seen if one[2] == "to pickup"]
    assert len(under_way) > 20
    longest_arc_ms = int(scenario.city.graph.free_flow_ms().max())
    for at_ms, _, _, order, _, _, node in under_way:
        left_ms = scenario.travel_times.pairs_ms(
            np.array([node], np.int32), scenario.orders.pickup_node[[order]]
        )[0]
        assert abs(left_ms - (arrives_at_ms[order] - at_ms)) <= longest_arc_ms


def test_parked_and_boarding_drivers_stand_at_their_node(monkeypatch):
    scenario = small_scenario(40, 6, seed=2)
    _, seen = watched_run(monkeypatch, scenario)
    phases = {one[2] for one in seen}
    assert {"parked", "boarding", "on trip"} <= phases
    assert "off" not in phases
    for _, _, phase, order, lon, lat, node in seen:
        if phase in ("parked", "boarding"):
            assert (lon, lat) == places(scenario.city, node)
        if phase == "boarding":
            assert node == scenario.orders.pickup_node[order]


def test_offers_go_to_drivers_where_they_stand(monkeypatch):
    """The pickup ETA of every offer is the travel time from the place the driver told last."""
    scenario = small_scenario(60, 8, seed=9, sim=SimParams(window_s=30.0, ping_s=30.0))
    events, seen = watched_run(monkeypatch, scenario)
    node_of = {(one[0], one[1]): one[6] for one in seen}
    offered = events[events["kind"] == K.ORDER_OFFERED]
    assert len(offered) > 50
    for event in offered:
        node = node_of[int(event["at_ms"]), int(event["driver_id"])]
        ends = (np.array([node], np.int32), scenario.orders.pickup_node[[int(event["order_id"])]])
        assert event["eta_ms"] == scenario.travel_times.pairs_ms(*ends)[0]


def test_orders_and_shifts_before_the_first_window_count_too():
    scenario = small_scenario(
        1,
        1,
        orders=random_trips(grid_city(), 1, span_s=1),
        shifts=shifts_of([(4, T0 - 60_000, T0 + 600_000, 3)]),
    )
    assert check_invariants(run(scenario).events).num_closed == 1


def test_two_runs_at_once_do_not_disturb_each_other():
    one, other = small_scenario(seed=1), small_scenario(seed=2)
    alone = [log_sha256(run(scenario).events) for scenario in (one, other)]
    hashes = {}

    def also_run_the_other(progress):
        if "other" not in hashes and progress.num_finished > 20:
            hashes["other"] = log_sha256(run(other).events)

    hashes["one"] = log_sha256(run(one, also_run_the_other).events)
    assert [hashes["one"], hashes["other"]] == alone


def test_the_simulator_speaks_to_the_public_face_only(monkeypatch):
    """It calls commands of the dispatcher, and reads nothing of its insides."""
    called = set()

    class Face:
        def __init__(self, *args):
            self._real = Dispatcher(*args)

        def __getattr__(self, name):
            assert not name.startswith("_")
            called.add(name)
            return getattr(self._real, name)

    monkeypatch.setattr("dispatch.sim.runner.Dispatcher", Face)
    run(small_scenario())
    assert called == {"register_drivers", "apply", "update_positions", "submit", "step", "take_events"}


def test_slower_roads_take_longer():
    scenario = small_scenario(30, 10, seed=4)
    slow = replace(scenario, travel_times=scenario.city.free_flow(2.0), slowdown=2.0)
    rides = []
    for one in (scenario, slow):
        events = run(one).events
        rides.append(events["eta_ms"][events["kind"] == K.PICKED_UP].astype(float).mean())
    assert rides[1] == pytest.approx(2 * rides[0], rel=0.01)
