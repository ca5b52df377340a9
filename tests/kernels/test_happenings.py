"""Telling many events at once against plain Python, on made-up tables; kinds against those of the engine."""

from collections import Counter

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.engine.events import EventKind, make_events
from dispatch.engine.lifecycle import DriverStatus, OrderStatus
from dispatch.engine.params import FareRule
from dispatch.engine.tell import _DRIVER_TO, _ORDER_TO, TOLD
from dispatch.kernels import happenings as kernels
from dispatch.kernels.event_log import EVENT_DTYPE
from dispatch.kernels.id_map import put_rows
from dispatch.kernels.refusals import Refusals
from dispatch.kernels.transition import ALL_LEGAL, ILLEGAL_STATUS, TIME_BACKWARDS, Parties
from dispatch.units import LATEST_MS, NO_INDEX
from naive.happenings import tell

NUM_ORDERS, NUM_DRIVERS, NUM_NODES, CLOCK_MS = 4, 3, 5, 100
FARE = FareRule()
NUMBERS = {
    "ONLINE": "DRIVER_ONLINE",
    "OFFLINE": "DRIVER_OFFLINE",
    "ACCEPTED": "OFFER_ACCEPTED",
    "DECLINED": "OFFER_DECLINED",
    "ASSIGNED": "ORDER_ASSIGNED",
    "UNASSIGNED": "ORDER_UNASSIGNED",
    "ARRIVED": "DRIVER_ARRIVED",
    "CLOSED": "ORDER_CLOSED",
    "CANCELLED": "ORDER_CANCELLED",
}
"""Where kernels call a kind otherwise."""
VERDICTS = {
    "status": ILLEGAL_STATUS,
    "time": TIME_BACKWARDS,
    "order": kernels.UNKNOWN_ORDER,
    "driver": kernels.UNKNOWN_DRIVER,
    "dead": kernels.DEAD_OFFER,
    "kind": kernels.NO_SUCH_KIND,
    "other": kernels.OTHER_DRIVER,
    "place": kernels.NO_PLACE,
    "metres": kernels.NO_METRES,
    "instant": kernels.NO_INSTANT,
    "node": kernels.NO_NODE,
}


def test_kinds_are_those_of_the_engine():
    for name in [*NUMBERS, "PICKED_UP", "DROPPED_OFF", "CRUISING_LEG", "REPOSITIONING_LEG", "ABANDONED_LEG"]:
        assert getattr(kernels, name) == EventKind[NUMBERS.get(name, name)]


def ids_of(ids):
    slot_id, slot_row = np.zeros(32, np.int64), np.full(32, NO_INDEX, np.int32)
    put_rows(slot_id, slot_row, ids, 0)
    return slot_id, slot_row


def some_tables(random):
    """Parties in legal pairs of statuses, and what else is known of them."""
    of_driver = random.integers(0, 2, NUM_DRIVERS).astype(np.int8)
    status, driver = np.zeros(NUM_ORDERS, np.int8), np.full(NUM_ORDERS, NO_INDEX, np.int32)
    pairs = {
        OrderStatus.OFFERED: DriverStatus.OFFERED,
        OrderStatus.ASSIGNED: DriverStatus.TO_PICKUP,
        OrderStatus.ARRIVED: DriverStatus.AT_PICKUP,
        OrderStatus.ON_BOARD: DriverStatus.OCCUPIED,
    }
    for order, one in enumerate(random.permutation(NUM_DRIVERS)[: random.integers(0, NUM_DRIVERS + 1)]):
        status[order] = random.choice(list(pairs))
        driver[order], of_driver[one] = one, pairs[status[order]]
    rest = driver == NO_INDEX
    status[rest] = random.choice([0, 0, 5, 6, 7], rest.sum())
    parties = Parties(
        100 + np.arange(NUM_ORDERS),
        status,
        random.choice([50, 90, 110], NUM_ORDERS),
        driver,
        200 + np.arange(NUM_DRIVERS),
        of_driver,
        random.choice([50, 90, 110], NUM_DRIVERS),
    )
    degrees, whole = random.uniform(-9, 9, (4, NUM_ORDERS)), random.integers(0, 999, (3, NUM_ORDERS))
    tables = kernels.Tables(
        *(np.ascontiguousarray(column) for column in degrees),
        random.integers(0, NUM_NODES, NUM_ORDERS).astype(np.int32),
        *(np.ascontiguousarray(column, np.int32) for column in whole),
        random.choice([105, 115, 1000], NUM_ORDERS),
        random.choice([60, 80], NUM_ORDERS),
        random.choice([70, 90], NUM_ORDERS),
        random.random(NUM_ORDERS) < 0.5,
        random.integers(0, 3, NUM_DRIVERS).astype(np.int32),
        *(np.ascontiguousarray(column) for column in random.uniform(-9, 9, (4, NUM_DRIVERS))),
        random.integers(-1, NUM_NODES, NUM_DRIVERS).astype(np.int32),
        random.choice([95, 112, 500], NUM_DRIVERS),
    )
    return parties, tables


def some_known(random, parties):
    nodes = (np.ascontiguousarray(column) for column in random.uniform(-9, 9, (4, NUM_NODES)))
    ids = (*ids_of(parties.order_id), *ids_of(parties.driver_id))
    return kernels.Known(*ids, _ORDER_TO, _DRIVER_TO, *nodes, FARE.numbers)


NEXT = {
    OrderStatus.OPEN: ["ORDER_CANCELLED"],
    OrderStatus.OFFERED: ["OFFER_ACCEPTED", "OFFER_ACCEPTED", "OFFER_DECLINED", "ORDER_CANCELLED"],
    OrderStatus.ASSIGNED: ["DRIVER_ARRIVED", "DRIVER_ARRIVED", "ORDER_UNASSIGNED"],
    OrderStatus.ARRIVED: ["PICKED_UP"],
    OrderStatus.ON_BOARD: ["DROPPED_OFF"],
    OrderStatus.DROPPED_OFF: ["ORDER_CLOSED"],
}
"""Kinds that may follow, by the status of an order."""


def some_events(random, parties, num_events):
    """Events one after another, most of them legal were those before them applied; some with a flaw."""
    status, driver = parties.order_status.tolist(), parties.order_driver.tolist()
    told, nodes = [], []
    for i in range(num_events):
        event, node = make_events(EventKind.CRUISING_LEG, 1, at_ms=110 + i, leg_m=7)[0], NO_INDEX
        order = int(random.integers(0, NUM_ORDERS))
        if random.random() < 0.8 and status[order] in NEXT:
            kind = EventKind[random.choice(NEXT[status[order]])]
            event["order_id"], event["kind"] = 100 + order, kind
            if kind in (EventKind.OFFER_ACCEPTED, EventKind.OFFER_DECLINED) or random.random() < 0.3:
                event["driver_id"] = 200 + driver[order] if driver[order] >= 0 else -1
            after = {"OFFER_ACCEPTED": 2, "OFFER_DECLINED": 0, "ORDER_UNASSIGNED": 0, "ORDER_CANCELLED": 7}
            status[order] = after.get(kind.name, status[order] + 1)
        else:
            event["driver_id"], node = 200 + random.integers(0, NUM_DRIVERS), random.integers(0, NUM_NODES)
            event["kind"] = random.choice([19, 19, 20, 21, 0, 1])
        flaw = random.random()
        if flaw < 0.03:
            event["order_id"] = random.choice([-1, 55])
        elif flaw < 0.06:
            event["driver_id"] = random.choice([-1, 55, 200, 201, 202])
        elif flaw < 0.08:
            event["kind"] = random.choice([-1, 2, 3, 4, 7, 8, 15, 16, 17, 18, 22, 127])
        elif flaw < 0.1:
            event["at_ms"] = random.choice([60, 99, 100])
        elif flaw < 0.12:
            node, event["leg_m"] = NO_INDEX, -1
        elif flaw < 0.14:
            event["leg_m"] = -1
        elif flaw < 0.15:
            node = random.choice([-2, NUM_NODES])
        elif flaw < 0.16:
            event["at_ms"] = random.choice([LATEST_MS + 1, -LATEST_MS - 1, -(2**63)])
        told.append(event)
        nodes.append(node)
    events = np.array(told, EVENT_DTYPE) if told else np.empty(0, EVENT_DTYPE)
    return events, np.array(nodes, np.int32)


def copies(columns):
    return type(columns)(*(column.copy() for column in columns))


def assert_same(some, others):
    for name, one, other in zip(some._fields, some, others, strict=True):
        assert one.tolist() == other.tolist(), name


def tell_both(seed, num_events):
    """Tell the kernel and plain Python the same; compare all that is left, and give the verdict."""
    random = np.random.default_rng(seed)
    parties, tables = some_tables(random)
    known = some_known(random, parties)
    events, node = some_events(random, parties, num_events)
    before = copies(parties), copies(tables)
    expected = copies(parties), copies(tables)
    nothing = np.full(NUM_ORDERS, NO_INDEX, np.int32)
    refusals = Refusals(nothing, np.empty(num_events, np.int32), np.empty(num_events, np.int32))
    log = np.zeros(2 * num_events, EVENT_DTYPE)
    told = kernels.apply_told(events, node, known, CLOCK_MS, 0, kernels.State(parties, tables, refusals), log)
    logged, refused, why = tell(events, node, known, CLOCK_MS, *expected, FARE)
    if why is not None:
        expected = before
    verdict = (ALL_LEGAL, NO_INDEX) if why is None else (VERDICTS[why[0]], why[1])
    latest_ms = max([CLOCK_MS, *(event["at_ms"] for event in logged)])
    assert told == (*verdict, len(logged), len(refused), latest_ms)
    assert_same(parties, expected[0])
    assert_same(tables, expected[1])
    assert list(zip(refusals.driver[: len(refused)].tolist(), strict=True)) == [(d,) for _, d in refused]
    for event, wanted in zip(log, logged, strict=False):
        told_fields = {name: int(event[name]) for name in EVENT_DTYPE.names}
        assert told_fields == wanted
    return told[0]


@settings(max_examples=400)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_events_are_judged_and_applied_as_in_plain_python(seed, num_events):
    tell_both(seed, num_events)


def test_all_verdicts_come_up_and_many_calls_are_legal():
    verdicts = Counter(tell_both(seed, 4) for seed in range(1500))
    assert verdicts.keys() == {ALL_LEGAL, *VERDICTS.values()}
    assert verdicts[ALL_LEGAL] > 300


def test_what_callers_may_tell_is_said_once():
    assert [kind for kind in range(-1, 30) if kernels._is_told(kind)] == sorted(TOLD)
