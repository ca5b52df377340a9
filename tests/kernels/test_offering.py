"""From a matching to offers, against plain Python."""

import numpy as np
from hypothesis import given, settings, strategies as st

from dispatch.engine.events import EventKind
from dispatch.engine.tell import _DRIVER_TO, _ORDER_TO
from dispatch.kernels import offering
from dispatch.kernels.event_log import EVENT_DTYPE
from dispatch.kernels.happenings import Known
from dispatch.kernels.transition import Parties
from dispatch.units import NO_COORDINATE, NO_INDEX

NOW_MS, EXPIRES_MS = 500, 900
OPEN, OFFERED, IDLE, HAS_OFFER, OCCUPIED, OCCUPIED_OFFERED = 0, 1, 1, 2, 5, 6


def test_kinds_are_those_of_the_engine():
    assert (offering.CARS_SHOWN, offering.ORDER_OFFERED) == (EventKind.CARS_SHOWN, EventKind.ORDER_OFFERED)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(1, 8))
def test_chosen_candidates_become_rows_of_the_tables(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    order_idx = random.permutation(num_orders + 4)[:num_orders].astype(np.int32)
    driver_idx = random.permutation(num_drivers + 4)[:num_drivers].astype(np.int32)
    num_open = int(random.integers(0, num_orders + 1))
    first = np.cumsum([0, *random.integers(0, num_drivers + 1, num_orders)]).astype(np.int32)
    candidate = random.integers(0, num_drivers, first[-1]).astype(np.int32)
    eta_ms = random.integers(0, 900, first[-1]).astype(np.int32)
    driver_of_order = random.integers(-1, num_drivers + 4, num_orders + 4).astype(np.int32)
    chosen = np.full(num_orders, NO_INDEX, np.int32)
    expected, num_moved = [], 0
    for i in range(num_orders):
        if first[i] < first[i + 1] and random.random() < 0.8:
            chosen[i] = random.integers(first[i], first[i + 1])
            driver = driver_idx[candidate[chosen[i]]]
            if i < num_open or driver != driver_of_order[order_idx[i]]:
                expected.append((order_idx[i], driver, eta_ms[chosen[i]], eta_ms[first[i]]))
                num_moved += i >= num_open
    columns, told_moved = offering.propose(
        order_idx, num_open, driver_idx, first, candidate, eta_ms, chosen, driver_of_order
    )
    assert list(zip(*columns, strict=True)) == expected
    assert told_moved == num_moved


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(0, 6), st.integers(0, 6))
def test_offers_are_written_into_tables_and_log(seed, num_orders, num_drivers):
    random = np.random.default_rng(seed)
    num_offers = int(random.integers(0, min(num_orders, num_drivers) + 1))
    of_driver = random.choice(np.array([IDLE, OCCUPIED], np.int8), num_drivers)
    parties = Parties(
        100 + np.arange(num_orders),
        np.zeros(num_orders, np.int8),
        np.full(num_orders, 7),
        np.full(num_orders, NO_INDEX, np.int32),
        200 + np.arange(num_drivers),
        of_driver.copy(),
        np.full(num_drivers, 8),
    )
    nothing, none = np.zeros(2, np.int64), np.zeros(2, np.int32)
    places = (np.zeros(1) for _ in range(4))
    known = Known(nothing, none, nothing, none, _ORDER_TO, _DRIVER_TO, *places, np.zeros(4))
    shown = random.random(num_orders) < 0.5
    columns = offering.OfferColumns(
        shown.copy(),
        np.zeros(num_orders, np.int64),
        np.zeros(num_orders, np.int32),
        np.zeros(num_orders, np.int32),
    )
    looked_at = random.permutation(num_orders).astype(np.int32)
    num_cars = random.choice([0, 5, 40_000], num_orders).astype(np.int32)
    drivers = random.permutation(num_drivers)[:num_offers].astype(np.int32)
    etas = random.integers(0, 900, (2, num_offers)).astype(np.int32)
    proposed = offering.Proposed(
        looked_at[:num_offers].copy(), drivers, etas[0].copy(), etas[1].copy(), looked_at, num_cars
    )
    log = np.zeros(num_offers + num_orders, EVENT_DTYPE)
    num = offering.offer(proposed, NOW_MS, EXPIRES_MS, known, parties, columns, log)
    blank = {name: NO_COORDINATE if name.endswith("_e6") else -1 for name in EVENT_DTYPE.names}
    expected = [
        blank | {"kind": 3, "at_ms": NOW_MS, "order_id": 100 + order, "num_cars": min(cars, 32767)}
        for order, cars in zip(looked_at.tolist(), num_cars.tolist(), strict=True)
        if not shown[order]
    ]
    quotes = zip(looked_at[:num_offers].tolist(), drivers.tolist(), *etas.tolist(), strict=True)
    for order, driver, eta_ms, nearest_ms in quotes:
        told = {"order_id": 100 + order, "driver_id": 200 + driver, "eta_ms": eta_ms}
        expected.append(blank | told | {"kind": 4, "at_ms": NOW_MS, "nearest_eta_ms": nearest_ms})
        assert (parties.order_status[order], parties.order_driver[order]) == (OFFERED, driver)
        is_busy = of_driver[driver] == OCCUPIED
        assert parties.driver_status[driver] == (OCCUPIED_OFFERED if is_busy else HAS_OFFER)
        assert parties.driver_changed_at_ms[driver] == NOW_MS
        assert columns.offer_expires_at_ms[order] == EXPIRES_MS
        assert (columns.eta_ms[order], columns.nearest_eta_ms[order]) == (eta_ms, nearest_ms)
    assert [{name: int(event[name]) for name in EVENT_DTYPE.names} for event in log[:num]] == expected
    assert columns.cars_shown.all()
    rest = sorted(set(range(num_orders)) - set(looked_at[:num_offers].tolist()))
    assert set(parties.order_status[rest].tolist()) <= {OPEN}
    assert all(parties.order_changed_at_ms[one] == (7 if shown[one] else NOW_MS) for one in rest)
