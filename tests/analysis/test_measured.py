import numpy as np
import pytest

from analysis.histories import random_history
from analysis.logs import event, log_of
from dispatch.analysis.measured import between_s, measured
from dispatch.engine.events import EVENT_DTYPE, EventKind
from dispatch.units import NO_VALUE

K = EventKind


def test_a_response_ends_with_the_first_acceptance_or_when_the_order_is_lost():
    events = log_of(
        event(K.ORDER_SUBMITTED, 0, 1),
        event(K.ORDER_SUBMITTED, 0, 2),
        event(K.ORDER_SUBMITTED, 0, 3),
        event(K.ORDER_SUBMITTED, 0, 4),
        event(K.ORDER_ASSIGNED, 1000, 1, 7, eta_ms=1, nearest_eta_ms=1),
        event(K.ORDER_CANCELLED, 2000, 2),
        event(K.ORDER_EXPIRED, 3000, 3),
        event(K.ORDER_CANCELLED, 4000, 1, 7),
        event(K.DRIVER_ONLINE, 5000, driver_id=8),
    )
    duration_s, accepted = measured(events).response_s
    assert duration_s.tolist() == [1.0, 2.0, 3.0, 5.0], "the last is open when the log ends"
    assert accepted.tolist() == [True, False, False, False]


def test_only_known_instants_make_a_duration():
    begin, end = np.array([1000, NO_VALUE, 3000]), np.array([1500, 4000, NO_VALUE])
    assert between_s(begin, end).tolist() == [0.5]


def test_an_empty_log():
    tables = measured(np.empty(0, EVENT_DTYPE))
    assert (tables.end_at_ms, tables.num_accepted, len(tables.income_per_h())) == (NO_VALUE, 0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_counts_are_the_logs(seed):
    events = random_history(seed)
    tables = measured(events)
    given = (K.ORDER_ASSIGNED, K.ORDER_REASSIGNED)
    assert (
        tables.num_assigned
        == sum(kind in given for kind in events["kind"])
        == tables.drivers.num_accepted.sum()
    )
    assert tables.driven_m == tables.drivers.driven_m.sum()
    assert tables.num_unassigned == sum(kind == K.ORDER_UNASSIGNED for kind in events["kind"])
