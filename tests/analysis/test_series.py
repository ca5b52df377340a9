import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.logs import event, log_of, random_log
from dispatch.analysis import driver_table, order_table
from dispatch.analysis.series import MIN_ORDERS, kpis_by_hour
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.errors import InputError
from dispatch.units import NO_VALUE

K = EventKind
HOUR_MS = 3_600_000
NOON_UTC = 1_212_235_200_000  # 2008-05-31T12:00Z, 05:00 in San Francisco


def accepted(order_id, at_ms, after_ms):
    return [
        event(K.ORDER_SUBMITTED, at_ms, order_id),
        event(K.ORDER_ASSIGNED, at_ms + after_ms, order_id, 1, eta_ms=1, nearest_eta_ms=1),
    ]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), bin_minutes=st.sampled_from([15, 60, 1440]))
def test_bins_hold_all_orders_and_no_more_than_the_drivers_time(seed, bin_minutes):
    events = random_log(seed, complete=False)
    table = order_table(events)
    series = kpis_by_hour(events, "America/Los_Angeles", bin_minutes=bin_minutes)
    assert series.num_submitted.sum() == len(table)
    assert series.num_completed.sum() == np.count_nonzero(table.dropped_off_at_ms != NO_VALUE)
    assert (series.local_minute % bin_minutes == 0).all()
    if len(table):
        driven_ms = sum(one.sum() for one in series.drivers.values()) * bin_minutes * 60_000
        assert driven_ms <= driver_table(events).online_ms.sum() + 1


def test_hours_are_local_and_quantiles_need_enough_orders():
    few = [part for n in range(MIN_ORDERS - 1) for part in accepted(n, NOON_UTC, 1000)]
    many = [part for n in range(10, 10 + MIN_ORDERS) for part in accepted(n, NOON_UTC + HOUR_MS, 2000)]
    events = log_of(*few, *many)
    series = kpis_by_hour(events[np.argsort(events["at_ms"], kind="stable")], "America/Los_Angeles")
    assert series.local_minute.tolist() == [5 * 60, 6 * 60]
    assert series.from_at_ms.tolist() == [NOON_UTC, NOON_UTC + HOUR_MS]
    assert series.response_p50_s == (None, 2.0)
    assert series.wait_p90_s == (None, None)


def test_hours_where_the_zone_is_not_a_whole_hour_from_utc():
    series = kpis_by_hour(log_of(*accepted(1, NOON_UTC, 1)), "Asia/Kolkata")
    assert series.local_minute.tolist() == [17 * 60]
    assert series.from_at_ms.tolist() == [NOON_UTC - HOUR_MS // 2]


def test_an_empty_log_has_no_bins():
    series = kpis_by_hour(np.empty(0, EVENT_DTYPE), "UTC")
    assert len(series.from_at_ms) == len(series.num_submitted) == len(series.drivers["idle"]) == 0


def test_a_bin_that_divides_no_day_is_refused():
    with pytest.raises(InputError, match="bin_minutes is 7"):
        kpis_by_hour(np.empty(0, EVENT_DTYPE), "UTC", bin_minutes=7)
