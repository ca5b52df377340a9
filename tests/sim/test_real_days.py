"""Whole days of real cities, where the data is there."""

import datetime
from functools import cache

import numpy as np
import pytest

from dispatch.analysis.invariants import check_invariants
from dispatch.engine.events import EventKind as K, log_sha256
from dispatch.roads.city import City
from dispatch.sim.recorded_day import recorded_day
from dispatch.sim.runner import run
from dispatch.sim.summary import run_record

DAY = datetime.date(2008, 5, 31)
NUM_TRIPS = 22_846


@cache
def san_francisco(folder):
    return recorded_day(City.load(folder / "san_francisco"), DAY)


@cache
def record_of(folder, policy):
    """A run of the day under a policy, checked and measured."""
    return run_record(run(san_francisco(folder).with_policy(policy)), 0.0, 0.0)


@pytest.fixture(params=["batch", "nearest"])
def record(request, data):
    return record_of(data, request.param)


def test_the_orders_of_the_day_are_the_trips_of_the_day(data):
    scenario = san_francisco(data)
    assert len(scenario.orders) + scenario.orders_outside == NUM_TRIPS
    assert len(scenario.orders) >= 21_000
    assert (scenario.date, scenario.timezone) == ("2008-05-31", "America/Los_Angeles")
    assert 400 < scenario.shifts.num_drivers <= 525


def test_the_fleet_is_on_duty_where_and_while_it_was(data):
    shifts = san_francisco(data).shifts
    same = shifts.driver_id[1:] == shifts.driver_id[:-1]
    assert (shifts.start_at_ms[1:][same] > shifts.end_at_ms[:-1][same]).all()
    assert (shifts.end_at_ms > shifts.start_at_ms).all()
    hours = (shifts.end_at_ms - shifts.start_at_ms).sum() / 3.6e6
    assert 4000 < hours < 525 * 26


def test_recorded_trips_were_slower_than_free_flow(data):
    assert 1.3 < san_francisco(data).slowdown < 2.2


def test_what_really_happened(data):
    assert san_francisco(data).recorded.share == pytest.approx(0.40, abs=0.04)


def test_every_invariant_holds_and_nearly_all_orders_are_served(record):
    report = check_invariants(record.events)
    assert report.num_orders == len(record.events[record.events["kind"] == K.ORDER_SUBMITTED])
    assert report.num_closed + report.num_expired == report.num_orders
    assert record.kpis["completion_share"] > 0.95
    assert report.num_online == 0


def test_trips_last_their_recorded_duration(data, record):
    events = record.events
    picked_up, dropped_off = (events[events["kind"] == kind] for kind in (K.PICKED_UP, K.DROPPED_OFF))
    order = [np.argsort(part["order_id"]) for part in (picked_up, dropped_off)]
    lasted_ms = dropped_off["at_ms"][order[1]] - picked_up["at_ms"][order[0]]
    duration_s = san_francisco(data).orders.duration_s[picked_up["order_id"][order[0]]]
    known = duration_s > 0
    assert known.mean() > 0.99
    assert (lasted_ms[known] == 1000 * duration_s[known].astype(np.int64)).all()


def test_batch_serves_no_fewer_and_waits_less(data):
    batch, nearest = (record_of(data, policy) for policy in ("batch", "nearest"))
    assert batch.kpis["completion_share"] >= nearest.kpis["completion_share"]
    assert batch.kpis["wait_mean_s"] < nearest.kpis["wait_mean_s"]
    assert batch.kpis["pickup_km_per_order"] < nearest.kpis["pickup_km_per_order"]


def test_the_same_seed_gives_the_same_log(data):
    again = run(san_francisco(data))
    assert log_sha256(again.events) == record_of(data, "batch").meta["event_log_sha256"]


@pytest.mark.long
@pytest.mark.parametrize("policy", ["batch", "nearest"])
def test_the_same_seed_gives_the_same_log_from_the_files_on(data, policy):
    scenario = recorded_day(City.load(data / "san_francisco"), DAY).with_policy(policy)
    assert log_sha256(run(scenario).events) == record_of(data, policy).meta["event_log_sha256"]


def test_a_manhattan_day_with_2000_drivers(data):
    scenario = recorded_day(City.load(data / "manhattan"), num_drivers=2000)
    assert len(scenario.orders) == 79_692 - scenario.orders_outside
    assert scenario.orders_outside <= 74
    record = run_record(run(scenario), 0.0, 0.0)
    assert check_invariants(record.events).num_drivers == 2000
    assert record.kpis["completion_share"] > 0.99
