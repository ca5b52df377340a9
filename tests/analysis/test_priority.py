import numpy as np
import pytest

from analysis.logs import event, log_of, random_log
from dispatch.analysis.kpi_list import KPI
from dispatch.analysis.measured import measured
from dispatch.analysis.priority import longest_priority_wait_s
from dispatch.engine.events import EventKind

K = EventKind
PLACE = {"lon_e6": 10_000_000, "lat_e6": 50_000_000, "vehicle_class": 0}
NORTH = {**PLACE, "lat_e6": 50_000_000 + 18_000}  # about 2 km


def order(order_id, at_s, accepted_at_s, **told):
    events = [event(K.ORDER_SUBMITTED, at_s * 1000, order_id, **told)]
    if accepted_at_s is not None:
        events.append(event(K.ORDER_ASSIGNED, accepted_at_s * 1000, order_id, 1, eta_ms=1, nearest_eta_ms=1))
    return events


def tables_of(*orders):
    events = log_of(*(one for parts in orders for one in parts))
    return measured(events[np.argsort(events["at_ms"], kind="stable")])


def test_the_rest_of_the_wait_after_the_first_overtaking():
    low = order(1, 0, 100, tier=0, **PLACE)
    assert longest_priority_wait_s(tables_of(low, order(2, 20, 30, tier=1, **PLACE))) == 70.0
    assert longest_priority_wait_s(tables_of(low, order(2, 20, 30, tier=1, **NORTH))) == 0.0
    in_advance = order(1, 0, 100, tier=0, wanted_after_ms=60_000, **PLACE)
    assert longest_priority_wait_s(tables_of(in_advance, order(2, 20, 30, tier=1, **PLACE))) == 0.0


def test_an_order_that_nobody_accepted_waited_until_it_was_lost():
    lost = [*order(1, 0, None, tier=0, **PLACE), event(K.ORDER_CANCELLED, 90_000, 1)]
    late = order(3, 0, 95, tier=0, **NORTH)
    assert longest_priority_wait_s(tables_of(lost, order(2, 20, 30, tier=1, **PLACE), late)) == 60.0


def test_orders_without_a_place_are_overtaken_by_nobody():
    bare = {"vehicle_class": 0}
    tables = tables_of(order(1, 0, 100, tier=0, **bare), order(2, 20, 30, tier=1, **bare))
    assert longest_priority_wait_s(tables) == 0.0


def test_gaps_are_those_between_the_highest_and_the_lowest_tier():
    tables = tables_of(
        *(order(n, 10 * n, 10 * n + 60, tier=0) for n in range(3)),
        order(3, 31, None, tier=0),
        order(4, 50, 58, tier=1),
        order(5, 60, 65, tier=3),
        order(6, 70, 71),
    )
    assert KPI["response_p50_tier_gap_s"].measure(tables) == 5.0 - 60.0
    assert KPI["completion_tier_gap"].measure(tables) == 0.0
    assert KPI["completion_tier_gap"].format(-0.0123) == "−1.2 points"


@pytest.mark.parametrize("tables", [measured(random_log(4)), tables_of(order(1, 0, 5, tier=2))])
def test_there_is_no_gap_without_two_tiers(tables):
    for name in ("response_p50_tier_gap_s", "completion_tier_gap", "priority_wait_max_s"):
        assert KPI[name].measure(tables) is None
