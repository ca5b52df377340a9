"""Checking and applying events against plain Python, on made-up rules."""

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.kernels.event_log import EVENT_DTYPE
from dispatch.kernels.transition import (
    ALL_LEGAL,
    ILLEGAL,
    ILLEGAL_STATUS,
    OPEN,
    TIME_BACKWARDS,
    TWICE,
    Parties,
    Rows,
    Rules,
    commit_rows,
)
from dispatch.units import NO_COORDINATE, NO_INDEX

NOBODY = 4
"""Statuses are 0 … 3, this stands for no party."""
KIND = 9


def random_rules(random):
    """What becomes of each pair; a party that takes no part stays nobody."""
    order_to = random.integers(0, NOBODY, (NOBODY + 1, NOBODY + 1)).astype(np.int8)
    driver_to = random.integers(0, NOBODY, (NOBODY + 1, NOBODY + 1)).astype(np.int8)
    order_to[NOBODY, :] = driver_to[:, NOBODY] = NOBODY
    illegal = random.random(order_to.shape) < random.choice([0.0, 0.1, 0.5])
    order_to[illegal] = driver_to[illegal] = ILLEGAL
    return Rules(order_to, driver_to)


def random_parties(random, num_orders, num_drivers):
    return Parties(
        100 + np.arange(num_orders),
        random.integers(0, NOBODY, num_orders).astype(np.int8),
        random.integers(0, 20, num_orders),
        random.integers(-1, num_drivers, num_orders).astype(np.int32),
        500 + np.arange(num_drivers),
        random.integers(0, NOBODY, num_drivers).astype(np.int8),
        random.integers(0, 20, num_drivers),
    )


def random_rows(random, num_orders, num_drivers):
    """Mostly different parties, some absent, now and then one twice."""
    num_rows = random.integers(0, min(num_orders, num_drivers) + 1)
    orders, drivers = (random.permutation(n)[:num_rows] for n in (num_orders, num_drivers))
    for column in (orders, drivers):
        column[random.random(num_rows) < random.choice([0.0, 0.3])] = NO_INDEX
        if num_rows > 1 and random.random() < 0.4:
            column[random.integers(num_rows)] = column[random.integers(num_rows)]
    at_ms = random.integers(random.choice([0, 19]), 40, num_rows)
    return Rows(at_ms, orders.astype(np.int32), drivers.astype(np.int32))


def status(statuses, row):
    return NOBODY if row == NO_INDEX else int(statuses[row])


def check_in_plain_python(rows, rules, parties, clock_ms):
    seen = set()
    for i, (at_ms, order, driver) in enumerate(zip(*(column.tolist() for column in rows), strict=True)):
        named = {("order", order), ("driver", driver)} - {("order", NO_INDEX), ("driver", NO_INDEX)}
        if named & seen:
            return TWICE, i
        seen |= named
        pair = status(parties.order_status, order), status(parties.driver_status, driver)
        if rules.order_to[pair] == ILLEGAL:
            return ILLEGAL_STATUS, i
        earliest = [clock_ms]
        earliest += [parties.order_changed_at_ms[order]] if order != NO_INDEX else []
        earliest += [parties.driver_changed_at_ms[driver]] if driver != NO_INDEX else []
        if at_ms < max(earliest):
            return TIME_BACKWARDS, i
    return ALL_LEGAL, len(rows.at_ms)


def apply_in_plain_python(rows, rules, parties):
    """The tables and the log afterwards."""
    after = Parties(*(column.copy() for column in parties))
    log = []
    for at_ms, order, driver in zip(*(column.tolist() for column in rows), strict=True):
        pair = status(parties.order_status, order), status(parties.driver_status, driver)
        log.append(
            (at_ms, 100 + order if order != NO_INDEX else -1, 500 + driver if driver != NO_INDEX else -1)
        )
        if order != NO_INDEX:
            after.order_status[order] = rules.order_to[pair]
            after.order_changed_at_ms[order] = at_ms
            if rules.order_to[pair] == OPEN:
                after.order_driver[order] = NO_INDEX
            elif driver != NO_INDEX:
                after.order_driver[order] = driver
        if driver != NO_INDEX:
            after.driver_status[driver] = rules.driver_to[pair]
            after.driver_changed_at_ms[driver] = at_ms
    return after, log


def assert_equal(some, others):
    for name, one, other in zip(some._fields, some, others, strict=True):
        assert one.tolist() == other.tolist(), name


@settings(deadline=None, max_examples=400)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 8))
def test_rows_are_judged_and_applied_as_in_plain_python(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    rules, parties = random_rules(random), random_parties(random, num_orders, num_drivers)
    rows, clock_ms = random_rows(random, num_orders, num_drivers), int(random.integers(0, 25))
    before = Parties(*(column.copy() for column in parties))
    log = np.zeros(len(rows.at_ms), EVENT_DTYPE)
    verdict = commit_rows(rows, rules, KIND, clock_ms, parties, log)
    assert verdict == check_in_plain_python(rows, rules, before, clock_ms)
    if verdict[0] != ALL_LEGAL:
        assert_equal(parties, before)
        return
    after, events = apply_in_plain_python(rows, rules, before)
    assert_equal(parties, after)
    assert log[["at_ms", "order_id", "driver_id"]].tolist() == events
    assert (log["kind"] == KIND).all()
    assert (log["lon_e6"] == NO_COORDINATE).all()
    assert all((log[name] == -1).all() for name in ("eta_ms", "nearest_eta_ms", "leg_m", "fare_cents"))
    assert (log["num_cars"] == -1).all()


def test_all_verdicts_come_up():
    seen = set()
    for seed in range(300):
        random = np.random.default_rng(seed)
        rules, parties = random_rules(random), random_parties(random, 5, 5)
        rows = random_rows(random, 5, 5)
        log = np.zeros(len(rows.at_ms), EVENT_DTYPE)
        seen.add(commit_rows(rows, rules, KIND, 10, parties, log)[0])
    assert seen == {ALL_LEGAL, ILLEGAL_STATUS, TIME_BACKWARDS, TWICE}
