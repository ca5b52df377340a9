import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.logs import event, log_of, random_log
from dispatch.analysis.driver_table import driver_spans, driver_table, drivers_in_state
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.engine.lifecycle import DriverStatus
from naive.replay import drivers_in_plain_python

K = EventKind
ONLINE = (1, 2, 3, 4, 5)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), num_drivers=st.integers(0, 8), complete=st.booleans())
def test_table_agrees_with_the_oracle(seed, num_drivers, complete):
    events = random_log(seed, num_drivers=num_drivers, complete=complete)
    table = driver_table(events)
    expected = drivers_in_plain_python(events)
    assert table.driver_id.tolist() == sorted(expected)
    for name in next(iter(expected.values()), {}):
        assert getattr(table, name).tolist() == [expected[one][name] for one in sorted(expected)], name


def test_no_events_make_no_rows():
    events = np.empty(0, EVENT_DTYPE)
    assert len(driver_table(events)) == 0
    assert len(driver_spans(events).driver_id) == 0


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), num_bins=st.integers(1, 20))
def test_drivers_over_time_add_up_to_their_totals(seed, num_bins):
    events = random_log(seed)
    spans = driver_spans(events)
    first, last = int(events["at_ms"][0]), int(events["at_ms"][-1]) + 1
    edges = np.unique(np.linspace(first, last, num_bins + 1).astype(np.int64))
    mean_drivers = drivers_in_state(spans, edges, ONLINE)
    assert mean_drivers @ np.diff(edges) == pytest.approx(driver_table(events).online_ms.sum())
    assert (mean_drivers >= -1e-9).all()


def test_drivers_over_time_by_hand():
    events = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=1),
        event(K.DRIVER_ONLINE, 500, driver_id=2),
        event(K.DRIVER_OFFLINE, 1500, driver_id=2),
        event(K.DRIVER_OFFLINE, 2000, driver_id=1),
    )
    idle = drivers_in_state(driver_spans(events), np.array([0, 1000, 2000, 3000]), (DriverStatus.IDLE,))
    assert idle.tolist() == [1.5, 1.5, 0.0]
