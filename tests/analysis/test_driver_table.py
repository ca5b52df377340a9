import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from analysis.histories import make_history, random_history
from analysis.logs import event, log_of, random_log
from dispatch.analysis.driver_table import driver_spans, driver_table, drivers_in_state
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.engine.lifecycle import DriverStatus
from naive.replay import drivers_in_plain_python

K = EventKind
ONLINE = tuple(one for one in DriverStatus if one != DriverStatus.OFFLINE)
GENERATORS = st.sampled_from([random_log, random_history])


@settings(max_examples=60, deadline=None)
@given(
    make_log=GENERATORS,
    seed=st.integers(0, 10**6),
    num_drivers=st.integers(0, 8),
    complete=st.booleans(),
)
def test_table_agrees_with_the_oracle(make_log, seed, num_drivers, complete):
    events = make_log(seed, num_drivers=num_drivers, complete=complete)
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
@given(make_log=GENERATORS, seed=st.integers(0, 10**6), num_bins=st.integers(1, 20))
def test_drivers_over_time_add_up_to_their_totals(make_log, seed, num_bins):
    events = make_log(seed)
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


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_states_over_time_sum_to_the_drivers_on_duty_and_follow_the_engines_table(seed):
    history = make_history(seed, complete=False)
    events = history.events()
    spans = driver_spans(events)
    assert (spans.to_at_ms > spans.from_at_ms).all()
    same = spans.driver_id[1:] == spans.driver_id[:-1]
    assert (spans.from_at_ms[1:] >= spans.to_at_ms[:-1])[same].all()
    last = np.append(~same, True)[: len(spans.driver_id)]
    ends = {
        one: (int(s), int(t))
        for one, s, t in zip(*(c[last] for c in (spans.driver_id, spans.state, spans.to_at_ms)), strict=True)
    }
    later = events["at_ms"][-1] if len(events) else 0
    for driver, status in history.drivers.items():
        changed = events["at_ms"][(events["driver_id"] == driver)]
        if len(changed) and changed[-1] < later and status != DriverStatus.OFFLINE:
            assert ends[driver] == (status, later)


def test_a_chained_day_by_hand():
    quote = {"eta_ms": 100, "nearest_eta_ms": 100}
    events = log_of(
        event(K.DRIVER_ONLINE, 0, driver_id=7),
        event(K.DRIVER_ONLINE, 0, driver_id=8),
        event(K.ORDER_SUBMITTED, 0, 1),
        event(K.ORDER_SUBMITTED, 0, 2),
        event(K.ORDER_ASSIGNED, 0, 1, 7, **quote),
        event(K.DRIVER_ARRIVED, 300_000, 1, 7, leg_m=1000),
        event(K.PICKED_UP, 310_000, 1, 7),
        event(K.ORDER_OFFERED, 320_000, 2, 7, **quote),
        event(K.OFFER_EXPIRED, 330_000, 2, 7),
        event(K.ORDER_OFFERED, 330_000, 2, 7, **quote),
        event(K.OFFER_ACCEPTED, 340_000, 2, 7),
        event(K.ORDER_ASSIGNED, 340_000, 2, 7, **quote),
        event(K.CRUISING_LEG, 350_000, driver_id=8, leg_m=70),
        event(K.DROPPED_OFF, 400_000, 1, 7, leg_m=2000),
        event(K.ORDER_RELEASED, 500_000, 2, 7),
        event(K.ORDER_REASSIGNED, 500_000, 2, 8, **quote),
        event(K.ABANDONED_LEG, 500_000, driver_id=7, leg_m=300),
        event(K.DRIVER_OFFLINE, 500_000, driver_id=7),
        event(K.DRIVER_ONLINE, 600_000, driver_id=7),
        event(K.REPOSITIONING_LEG, 700_000, driver_id=7, leg_m=9),
        event(K.DRIVER_ARRIVED, 800_001, 2, 8, leg_m=500),
    )
    S = DriverStatus
    spans = driver_spans(events)
    assert spans.state.tolist() == [
        *(S.TO_PICKUP, S.AT_PICKUP, S.OCCUPIED, S.OCCUPIED_OFFERED, S.OCCUPIED_OFFERED),
        *(S.OCCUPIED_ASSIGNED, S.TO_PICKUP, S.IDLE, S.IDLE, S.TO_PICKUP),
    ]
    table = driver_table(events)
    assert table.online_ms.tolist() == [500_000 + 200_001, 800_001]
    assert table.occupied_ms.tolist() == [90_000, 0]
    assert table.to_pickup_ms.tolist() == [300_000 + 100_000, 300_001]
    assert table.break_ms.tolist() == [100_000, 0]
    assert table.driven_m.tolist() == [1000 + 2000 + 300 + 9, 70 + 500]
    assert (table.num_accepted.tolist(), table.num_declined.tolist()) == ([2, 1], [1, 0])
    assert table.num_short_arrivals.tolist() == [1, 0], "300 s are short, 300.001 s are not"
    assert table.num_cancelled.tolist() == [0, 0], "to be released is not to cancel"
