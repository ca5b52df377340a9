"""Customers and their orders, written into the tables as the engine's events would fill them."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import sqlalchemy as sa

from crm.conftest import DAY_MS, MONDAY_MS
from dispatch.crm.crm import Crm
from dispatch.crm.loyalty.climbing import Trips
from dispatch.crm.loyalty.closing import Ended, follow_in
from dispatch.crm.loyalty.standing import standing_in
from dispatch.crm.tables.orders import customer_day, orders
from dispatch.crm.tables.people import consent, customer
from dispatch.store import bulk

MONDAY = MONDAY_MS // DAY_MS
"""Day since 1970."""


def insert(crm: Crm, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows, all with the same columns."""
    told = list(rows)
    with crm.context.database.writing() as connection:
        bulk.insert(connection, table, {name: [row[name] for row in told] for name in told[0]})


def add_customers(crm: Crm, scope_id: int, ids: Iterable[int], **told: Any) -> None:
    """Enter customers without anything personal; a list tells a value each, else all have the same."""
    ids = list(ids)
    columns: dict[str, Any] = {"created_at_ms": MONDAY_MS - 100 * DAY_MS, "changed_at_ms": MONDAY_MS} | told
    rows = []
    for place, customer_id in enumerate(ids):
        values = {k: v[place] if isinstance(v, list) else v for k, v in columns.items()}
        rows.append({"customer_id": customer_id, "scope_id": scope_id, **values})
    insert(crm, customer, rows)


def add_days(crm: Crm, rows: Iterable[tuple[int, int, int, int]]) -> None:
    """Enter sums of days: (customer, days before Monday, completed orders, cents)."""
    columns = ("customer_id", "day", "submitted", "completed", "spend_cents", "trip_m")
    insert(
        crm,
        customer_day,
        [
            dict(zip(columns, (who, MONDAY - ago, num, num, cents, 1000 * num), strict=True))
            for who, ago, num, cents in rows
        ],
    )


def add_orders(crm: Crm, scope_id: int, rows: Iterable[dict[str, Any]]) -> None:
    """Enter completed orders: customer_id and at_ms; places by lon_e6, lat_e6, to_lon_e6, to_lat_e6."""
    told = []
    for order_id, row in enumerate(rows, 1):
        at_ms = row["at_ms"]
        told.append(
            {
                "order_id": row.get("order_id", order_id),
                "scope_id": scope_id,
                "customer_id": row["customer_id"],
                "channel": row.get("channel"),
                "stage": row.get("stage", 6),
                "submitted_at_ms": at_ms,
                "first_offered_at_ms": at_ms,
                "accepted_at_ms": at_ms,
                "picked_up_at_ms": at_ms,
                "dropped_off_at_ms": at_ms if row.get("completed", True) else None,
                "fare_cents": row.get("fare_cents", 1000),
                "pickup_lon_e6": row.get("lon_e6"),
                "pickup_lat_e6": row.get("lat_e6"),
                "dropoff_lon_e6": row.get("to_lon_e6"),
                "dropoff_lat_e6": row.get("to_lat_e6"),
            }
        )
    insert(crm, orders, told)


def say(crm: Crm, ids: Iterable[int], purpose: str, granted: bool = True, at_ms: int = MONDAY_MS) -> None:
    """Enter what customers said on a purpose."""
    insert(
        crm,
        consent,
        [
            {"customer_id": one, "purpose": purpose, "granted": granted, "at_ms": at_ms, "source": "app"}
            for one in ids
        ],
    )


def close_orders(crm: Crm, rows: Iterable[tuple[int, int, int, int]]) -> None:
    """Let follow what does from closed orders: (customer, order, cents, instant)."""
    customers, orders, cents, instants = map(list, zip(*rows, strict=True))
    ended = Ended(customers, orders, cents, instants, list(range(len(orders))), [True] * len(orders))
    none = np.zeros(0, np.int64)
    with crm.context.database.writing() as connection:
        standing = standing_in(connection, crm.context.vertical, customers)
        follow_in(connection, crm.context, ended, Trips(none, none, none, none), standing)
