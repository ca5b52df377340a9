import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.logs import event, log_of, random_log
from analysis.runs import record
from dispatch.analysis import kpis
from dispatch.analysis.charts import STATE_LABELS, run_tables
from dispatch.analysis.driver_table import driver_spans
from dispatch.analysis.run_record import RunRecord
from dispatch.analysis.series import DRIVER_STATES
from dispatch.analysis.timelines import (
    BREAK_LABEL,
    MAX_DRIVERS,
    STEP_MINUTES,
    sample_drivers,
    states_at,
    timeline,
)
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.engine.lifecycle import DriverStatus
from dispatch.units import NO_INDEX

K = EventKind
MIN = 60_000
STATES = list(DRIVER_STATES)


def tables_of(*logs):
    values = kpis(log_of())
    return run_tables([RunRecord(f"run {n}", {}, log, values) for n, log in enumerate(logs)], "UTC")


def day_of(driver_id, start_min):
    """Online, idle, a trip, idle, a break of 20 minutes, idle again."""
    order = 100 + driver_id
    steps = [
        event(K.DRIVER_ONLINE, 0, driver_id=driver_id),
        event(K.ORDER_SUBMITTED, 10 * MIN, order),
        event(K.ORDER_ASSIGNED, 10 * MIN, order, driver_id, eta_ms=1, nearest_eta_ms=1),
        event(K.DRIVER_ARRIVED, 20 * MIN, order, driver_id, leg_m=1),
        event(K.PICKED_UP, 30 * MIN, order, driver_id),
        event(K.DROPPED_OFF, 50 * MIN, order, driver_id, leg_m=1),
        event(K.DRIVER_OFFLINE, 60 * MIN, driver_id=driver_id),
        event(K.DRIVER_ONLINE, 80 * MIN, driver_id=driver_id),
        event(K.DRIVER_OFFLINE, 90 * MIN, driver_id=driver_id),
    ]
    log = log_of(*steps)
    log["at_ms"] += start_min * MIN
    return log


def merged(*logs):
    joined = log_of(*logs)
    return joined[np.argsort(joined["at_ms"], kind="stable")]


def test_a_day_is_drawn_as_it_was():
    (one,) = tables_of(merged(day_of(1, 30), day_of(2, 0)))
    figure = timeline(one, np.array([1, 2]), [one])
    (trace,) = figure["data"]
    assert figure["names"] == ["2", "1"], "who started first stands on top"
    label_of = {None: None, **dict(enumerate(figure["labels"]))}
    drawn = [label_of[at] for at in trace["z"][1]]
    stretches = [
        (0, 30, None),
        (30, 40, "idle"),
        (40, 50, "to_pickup"),
        (50, 60, "at_pickup"),
        (60, 80, "occupied"),
        (80, 90, "idle"),
        (90, 110, BREAK_LABEL),
        (110, 120, "idle"),
    ]
    expected = [
        STATE_LABELS.get(name, name)
        for begin, end, name in stretches
        for _ in range(begin // STEP_MINUTES, end // STEP_MINUTES)
    ]
    # The chart begins with the first order, which was submitted at 00:10.
    start = round(trace["x"][0] % 86_400_000 / MIN - STEP_MINUTES / 2) // STEP_MINUTES
    assert drawn[: len(expected) - start] == expected[start:]
    assert set(drawn[len(expected) - start :]) <= {None}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_states_agree_with_a_search_among_all_spans(seed):
    (one,) = tables_of(random_log(seed))
    ids = sample_drivers([one])[0]
    spans = driver_spans(one.run.events)
    at_ms = np.sort(np.random.default_rng(seed).choice(one.run.events["at_ms"], 20)) + 5
    state, started = states_at(one, ids, at_ms)
    number = {int(s): n for n, statuses in enumerate(DRIVER_STATES.values()) for s in statuses}
    for row, driver in enumerate(ids.tolist()):
        own = [
            (int(a), int(b), number[int(s)])
            for who, s, a, b in zip(*(getattr(spans, n).tolist() for n in vars(spans)), strict=True)
            if who == driver
        ]
        assert started[row] == own[0][0]
        for column, at in enumerate(at_ms.tolist()):
            inside = [s for a, b, s in own if a <= at < b]
            between = own[0][0] <= at < own[-1][1]
            expected = inside[0] if inside else len(STATES) if between else NO_INDEX
            assert state[row, column] == expected


def test_every_status_online_has_its_colour():
    drawn = {status for statuses in DRIVER_STATES.values() for status in statuses}
    assert drawn == set(DriverStatus) - {DriverStatus.OFFLINE}
    assert list(STATE_LABELS) == STATES


def test_a_sample_is_the_same_in_all_runs_and_each_time():
    many = [merged(*(day_of(n, n) for n in range(first, 60 + first))) for first in (0, 5)]
    one, other = sample_drivers(tables_of(*many))
    assert len(one) == MAX_DRIVERS
    assert one.tolist() == other.tolist() == sample_drivers(tables_of(*many))[0].tolist()
    apart = sample_drivers(tables_of(day_of(1, 0), day_of(2, 0)))
    assert [ids.tolist() for ids in apart] == [[1], [2]]


@pytest.mark.parametrize("length", [0, 1, 2])
def test_hardly_any_events(length):
    events = record(1, "x").events[:length] if length else np.empty(0, EVENT_DTYPE)
    (one,) = tables_of(events)
    figure = timeline(one, sample_drivers([one])[0], [one])
    assert len(figure["names"]) == len(figure["data"][0]["z"]) <= 1
