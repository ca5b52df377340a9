"""Predicted misses, and whether they came true."""

import numpy as np
import pytest

from analysis.logs import event, log_of, random_log
from dispatch.analysis.invariants import check_invariants
from dispatch.analysis.kpis import kpis
from dispatch.analysis.measured import measured
from dispatch.analysis.promises import MISS_MS, miss_predicted_share, miss_recall_share, miss_true_share
from dispatch.engine.events import EventKind as K, read_log, write_log
from dispatch.errors import InvariantError

ETA_MS = 60_000


def pickup(order, late_ms, *, predicted):
    """An order promised in a minute, whose driver comes so much later."""
    driver, at_ms = 100 + order, 1000
    told = [event(K.PICKUP_MISS_PREDICTED, at_ms + 1, order, driver, eta_ms=ETA_MS)] * predicted
    return [
        event(K.DRIVER_ONLINE, at_ms, driver_id=driver),
        event(K.ORDER_SUBMITTED, at_ms, order),
        event(K.ORDER_ASSIGNED, at_ms, order, driver, eta_ms=ETA_MS),
        *told,
        event(K.DRIVER_ARRIVED, at_ms + ETA_MS + late_ms, order, driver, leg_m=1),
    ]


def of(*pickups):
    events = log_of(*(one for each in pickups for one in each))
    return measured(events[np.argsort(events["at_ms"], kind="stable")])


def test_some_come_true_and_some_misses_were_predicted():
    tables = of(
        pickup(1, MISS_MS + 1, predicted=True),
        pickup(2, MISS_MS, predicted=True),
        pickup(3, MISS_MS + 1, predicted=False),
        pickup(4, 0, predicted=False),
        pickup(5, MISS_MS + 1, predicted=False),
    )
    assert miss_predicted_share(tables) == 2 / 5
    assert miss_true_share(tables) == 1 / 2
    assert miss_recall_share(tables) == pytest.approx(1 / 3)


def test_nothing_is_told_where_nobody_looked():
    tables = of(pickup(1, MISS_MS + 1, predicted=False))
    measures = (miss_predicted_share, miss_true_share, miss_recall_share)
    assert [measure(tables) for measure in measures] == [None] * 3


def test_a_prediction_belongs_to_its_assignment():
    first = pickup(1, 0, predicted=True)[:-1]
    again = [
        event(K.ORDER_UNASSIGNED, 1002, 1, 101),
        event(K.ORDER_ASSIGNED, 1003, 1, 101, eta_ms=ETA_MS),
    ]
    assert measured(log_of(*first)).orders.miss_predicted_at_ms.tolist() == [1001]
    assert measured(log_of(*first, *again)).orders.miss_predicted_at_ms.tolist() == [-1]
    told = event(K.PICKUP_MISS_PREDICTED, 1004, 1, 101, eta_ms=0)
    check_invariants(log_of(*first, *again, told), complete=False)
    with pytest.raises(InvariantError, match=r"event 4, pickup_miss_predicted, .*: it was predicted before"):
        check_invariants(log_of(*first, told, told), complete=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"eta_ms": -1}, "it has no pickup ETA"), ({"driver_id": 7}, "its order is with another driver")],
)
def test_what_no_prediction_may_be(changes, message):
    events = log_of(*pickup(1, 0, predicted=True))
    for name, value in changes.items():
        events[name][3] = value
    with pytest.raises(InvariantError, match=message):
        check_invariants(events, complete=False)


def test_a_log_with_predictions_is_kept_in_files(tmp_path):
    events = random_log(3)
    assert (events["kind"] == K.PICKUP_MISS_PREDICTED).any()
    write_log(events, tmp_path / "log.parquet")
    read = read_log(tmp_path / "log.parquet")
    assert read.tobytes() == events.tobytes()
    assert kpis(read).miss_predicted_share == kpis(events).miss_predicted_share > 0
