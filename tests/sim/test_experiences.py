"""What orders leave their customers with."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch.analysis.order_table import order_table
from dispatch.engine.events import EventKind as Kind, make_events
from dispatch.sim.community import CAUSES, Community, CommunityParams
from dispatch.sim.experiences import CODE_OF_CAUSE, experiences
from dispatch.units import NO_VALUE

MINUTE_MS = 60_000
CALM = CommunityParams(
    customers=100,
    unhappy_unserved=0.0,
    unhappy_late=0.0,
    unhappy_long_wait=0.0,
    unhappy_driver=0.0,
    unhappy_any=0.0,
)


def orders_of(num, arrives_after_ms=4 * MINUTE_MS, ends=Kind.DROPPED_OFF, quoted_ms=4 * MINUTE_MS):
    """`num` orders, an hour apart, each of its own customer and driver."""
    parts = []
    steps = [(Kind.ORDER_SUBMITTED, 0)]
    if ends == Kind.DROPPED_OFF:
        steps += [
            (Kind.ORDER_ASSIGNED, 0),
            (Kind.DRIVER_ARRIVED, arrives_after_ms),
            (Kind.PICKED_UP, arrives_after_ms),
            (Kind.DROPPED_OFF, arrives_after_ms + MINUTE_MS),
        ]
    else:
        steps += [(ends, 20 * MINUTE_MS)]
    for order in range(num):
        for kind, after_ms in steps:
            event = make_events(kind, 1, at_ms=order * 60 * MINUTE_MS + after_ms, order_id=order)
            if kind == Kind.ORDER_SUBMITTED:
                event["customer_id"], event["tier"], event["wanted_after_ms"] = order + 1, order % 2, 0
            elif ends == Kind.DROPPED_OFF:
                event["driver_id"], event["eta_ms"] = order + 1, quoted_ms
            parts.append(event)
    return order_table(np.concatenate(parts))


def felt(params, orders):
    return experiences(Community.begin(params, 10, seed=2), orders)


def test_with_nothing_to_complain_of_all_are_content():
    found = felt(CALM, orders_of(80))
    assert not found.is_bad.any()
    assert not found.complains.any()
    assert set(found.stars.tolist()) == {0, 4, 5}
    assert abs((found.stars > 0).mean() - CALM.rating_share) < 0.15
    assert found.tier.tolist() == [0, 1] * 40


@pytest.mark.parametrize(
    ("changes", "orders", "cause"),
    [
        ({"unhappy_unserved": 1.0}, {"ends": Kind.ORDER_EXPIRED}, "no_car"),
        ({"unhappy_unserved": 1.0}, {"ends": Kind.ORDER_CANCELLED}, "no_car"),
        ({"unhappy_late": 1.0}, {"arrives_after_ms": 10 * MINUTE_MS}, "driver_late"),
        (
            {"unhappy_long_wait": 1.0},
            {"arrives_after_ms": 11 * MINUTE_MS, "quoted_ms": 11 * MINUTE_MS},
            "long_wait",
        ),
        ({"unhappy_any": 1.0}, {}, "wrong_fare"),
    ],
)
def test_each_cause_strikes_where_it_is_there_and_nowhere_else(changes, orders, cause):
    found = felt(replace(CALM, complain_share=1.0, **changes), orders_of(10, **orders))
    assert [CAUSES[one] for one in found.cause] == [cause] * 10
    assert found.complains.all()
    assert (found.stars <= 3).all()
    assert CODE_OF_CAUSE[cause] in ("no_car", "driver_late", "wrong_fare")
    if cause not in ("no_car", "wrong_fare"):
        assert not felt(replace(CALM, **changes), orders_of(10)).is_bad.any()


def test_a_poor_driver_makes_more_of_them_unhappy():
    params = replace(CALM, unhappy_driver=1.0, quality_low=0.0, quality_high=1.0)
    orders, community = orders_of(400), Community.begin(params, 10, seed=2)
    found = experiences(community, orders)
    quality = community.quality(found.driver_id)
    assert abs(found.is_bad[quality < 0.3].mean() - 0.85) < 0.1
    assert abs(found.is_bad[quality > 0.7].mean() - 0.15) < 0.1


def test_one_in_ten_of_the_dissatisfied_complains():
    found = felt(replace(CALM, unhappy_any=1.0), orders_of(1_500))
    assert abs(found.complains.mean() - 0.1) < 0.03
    assert abs(found.upheld.mean() - CALM.upheld_share) < 0.05
    assert found.answered_ms.min() > 0


def test_of_tries_that_follow_each_other_the_last_one_counts():
    log = make_events(Kind.ORDER_SUBMITTED, 4, order_id=[0, 0, 1, 1], customer_id=5, tier=0)
    log["kind"] = [Kind.ORDER_SUBMITTED, Kind.ORDER_CANCELLED, Kind.ORDER_SUBMITTED, Kind.ORDER_EXPIRED]
    log["at_ms"] = [0, 5 * MINUTE_MS, 6 * MINUTE_MS, 16 * MINUTE_MS]
    found = felt(replace(CALM, unhappy_unserved=1.0), order_table(log))
    assert found.order_id.tolist() == [1]
    assert found.driver_id.tolist() == [NO_VALUE]
    log["at_ms"][2:] += 24 * 60 * MINUTE_MS
    assert felt(CALM, order_table(log)).order_id.tolist() == [0, 1]
