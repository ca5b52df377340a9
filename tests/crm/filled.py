"""A CRM with some weeks of business in it: orders, customers, coupons, points, complaints, energy sold."""

from __future__ import annotations

import numpy as np

from dispatch.crm.crm import Crm
from dispatch.crm.tables import fleet, loyalty, orders, people, service
from dispatch.store import bulk

MONDAY_MS = 1_700_438_400_000
"""2023-11-20, midnight UTC."""
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
CHANNELS = ("app", "phone", "partner", None)
CODES = ("driver_late", "detour", "wrong_fare")
BUSY = np.array([2, 1, 1, 1, 1, 3, 6, 12, 14, 9, 7, 7, 8, 7, 7, 8, 10, 14, 15, 11, 8, 7, 6, 4], float)


def fill(crm: Crm, scope_id, *, num_orders=400, num_customers=60, num_days=14, seed=3, from_ms=MONDAY_MS):
    """Enter the business of some days in one place."""
    random = np.random.default_rng(seed)
    first_id = 1 + seed * 1_000_000
    ids = first_id + np.arange(num_customers)
    with crm.context.database.writing() as connection:
        born = from_ms - 3 * DAY_MS + random.integers(0, num_days * DAY_MS, num_customers)
        same = {"scope_id": [scope_id] * num_customers, "created_at_ms": born, "changed_at_ms": born}
        bulk.insert(connection, people.customer, {"customer_id": ids, **same})
        made = _orders(random, first_id, ids, num_orders, num_days, from_ms)
        bulk.insert(connection, orders.orders, {"scope_id": [scope_id] * num_orders, **made})
        _coupons(connection, random, scope_id, first_id, made)
        _points(connection, random, first_id, ids, num_days, from_ms)
        _complaints(connection, random, scope_id, first_id, made)
        _energy(connection, random, scope_id, first_id, num_days, from_ms)


def _orders(random, first_id, ids, num, num_days, from_ms):
    # Few order much: shares fall with the rank.
    share = 1 / np.arange(1, len(ids) + 1)
    hour = random.choice(24, num, p=BUSY / BUSY.sum())
    day = random.integers(0, num_days, num)
    submitted = from_ms + day * DAY_MS + hour * HOUR_MS + random.integers(0, HOUR_MS, num)
    stage = random.choice([6, 6, 6, 6, 6, 6, 6, 5, 7, 8], num)
    wait = random.integers(60_000, 900_000, num)
    picked = [int(s + w) if one in (5, 6) else None for s, w, one in zip(submitted, wait, stage, strict=True)]
    ended = submitted + wait + random.integers(300_000, 1_800_000, num)
    return {
        "order_id": first_id + np.arange(num),
        "customer_id": random.choice(ids, num, p=share / share.sum()),
        "channel": [CHANNELS[row] for row in random.choice(4, num, p=[0.6, 0.2, 0.15, 0.05])],
        "vehicle_class": random.integers(0, 2, num),
        "stage": stage,
        "submitted_at_ms": submitted,
        "picked_up_at_ms": picked,
        "ended_at_ms": ended,
        "fare_cents": random.integers(500, 6000, num),
    }


def _coupons(connection, random, scope_id, first_id, made):
    coupon_id = first_id
    bulk.insert(
        connection,
        loyalty.coupon,
        {"coupon_id": [coupon_id, coupon_id + 1], "scope_id": [scope_id] * 2, "name": ["autumn", "welcome"],
         "cents": [300, 500], "from_ms": [0, 0], "until_ms": [2 * MONDAY_MS] * 2, "created_at_ms": [0, 0]},
    )  # fmt: skip
    some = np.flatnonzero(random.random(len(made["order_id"])) < 0.2)
    state = ["committed" if made["stage"][row] in (5, 6) else "rolled_back" for row in some]
    bulk.insert(
        connection,
        loyalty.redemption,
        {"redemption_id": first_id + some, "coupon_id": [coupon_id + int(row) % 2 for row in some],
         "customer_id": made["customer_id"][some], "order_id": made["order_id"][some], "state": state,
         "fare_cents": made["fare_cents"][some],
         "discount_cents": [300 + 200 * (int(row) % 2) for row in some],
         "reserved_at_ms": made["submitted_at_ms"][some], "until_ms": made["ended_at_ms"][some]},
    )  # fmt: skip


def _points(connection, random, first_id, ids, num_days, from_ms):
    num = 3 * len(ids)
    kind = [("earn", "earn", "redeem", "expire")[row] for row in random.integers(0, 4, num)]
    size = random.integers(1, 200, num)
    points = [int(one) if name == "earn" else -int(one) for name, one in zip(kind, size, strict=True)]
    bulk.insert(
        connection,
        loyalty.points_entry,
        {"entry_id": first_id + np.arange(num), "customer_id": random.choice(ids, num), "kind": kind,
         "points": points, "at_ms": from_ms + random.integers(0, num_days * DAY_MS, num)},
    )  # fmt: skip


def _complaints(connection, random, scope_id, first_id, made):
    some = np.flatnonzero(random.random(len(made["order_id"])) < 0.06)
    num = len(some)
    filed = made["ended_at_ms"][some]
    answer = random.integers(1, 30, num) * HOUR_MS
    resolved = random.random(num) < 0.8
    bulk.insert(
        connection,
        service.complaint,
        {
            "complaint_id": first_id + some, "scope_id": [scope_id] * num, "incident_id": first_id + some,
            "customer_id": made["customer_id"][some], "order_id": made["order_id"][some],
            "code": [CODES[row] for row in random.integers(0, 3, num)], "severity": [2] * num,
            "channel": ["app"] * num, "day": filed // DAY_MS, "filed_at_ms": filed,
            "respond_by_ms": filed + 24 * HOUR_MS, "resolve_by_ms": filed + 72 * HOUR_MS, "last_at_ms": filed,
            "responded_at_ms": filed + answer,
            "state": ["resolved" if one else "responded" for one in resolved],
            "verdict": ["upheld" if one else None for one in resolved],
            "resolved_at_ms": [
                int(at) if one else None for at, one in zip(filed + 2 * answer, resolved, strict=True)
            ],
            "cents": [400 if one else 0 for one in resolved],
        },
    )  # fmt: skip


def _energy(connection, random, scope_id, first_id, num_days, from_ms):
    num = 80
    is_fuel = random.random(num) < 0.6
    size = random.integers(5_000, 60_000, num)
    bulk.insert(
        connection,
        fleet.energy_purchase,
        {
            "purchase_id": first_id + np.arange(num), "scope_id": [scope_id] * num, "station_id": [1] * num,
            "driver_id": [7] * num, "product": ["petrol_95" if one else "charge_dc" for one in is_fuel],
            "millilitres": [int(s) if one else None for s, one in zip(size, is_fuel, strict=True)],
            "watt_hours": [None if one else int(s) for s, one in zip(size, is_fuel, strict=True)],
            "cents": random.integers(500, 9000, num),
            "at_ms": from_ms + random.integers(0, num_days * DAY_MS, num),
            "key": [f"p{first_id + row}" for row in range(num)],
        },
    )  # fmt: skip
