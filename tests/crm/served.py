"""Drivers, customers and finished orders to rate and to complain of."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from sqlalchemy import func, select, update

from crm.conftest import DAY_MS, HOUR_MS, MONDAY_MS
from crm.engaged import add_customers, insert
from dispatch.crm.crm import Crm
from dispatch.crm.permissions import Actor
from dispatch.crm.tables.orders import driver_day, orders

NOW_MS = MONDAY_MS + 10 * DAY_MS
TODAY = NOW_MS // DAY_MS
YEAR_MS = 365 * DAY_MS
BOSS = Actor("manager", "boss", "acme")


def add_drivers(crm: Crm, scope_id: int, ids: Iterable[int]) -> None:
    """Drivers who may get orders: all that the vertical asks for, for a year."""
    ids = list(ids)
    crm.drivers.register_many(ids, scope_id=scope_id, at_ms=MONDAY_MS)
    crm.qualifications.qualify_many(
        ids, scope_id=scope_id, at_ms=MONDAY_MS, valid_until_ms=MONDAY_MS + YEAR_MS
    )


def add_finished(crm: Crm, scope_id: int, rows: Iterable[tuple[int, int, int]], **more: Any) -> None:
    """Orders (order, customer, driver) that ended two hours before now."""
    told = [
        {
            "order_id": order_id,
            "scope_id": scope_id,
            "customer_id": customer_id,
            "driver_id": driver_id,
            "stage": 6,
            "submitted_at_ms": NOW_MS - 3 * HOUR_MS,
            "dropped_off_at_ms": NOW_MS - 2 * HOUR_MS,
            "ended_at_ms": NOW_MS - 2 * HOUR_MS,
            **more,
        }
        for order_id, customer_id, driver_id in rows
    ]
    insert(crm, orders, told)


def add_driver_days(crm: Crm, rows: Iterable[dict[str, int]]) -> None:
    """Sums of drivers' days; ``ago`` counts days before now, what is not told is 0."""
    names = [column.name for column in driver_day.columns]
    told = []
    for row in rows:
        values = dict.fromkeys(names, 0) | row | {"day": TODAY - row.get("ago", 0)}
        told.append({name: values[name] for name in names})
    insert(crm, driver_day, told)


def sums_of(crm: Crm, driver_id: int) -> dict[str, int]:
    """All days of a driver, added up."""
    names = ("ratings", "stars", "complaints_upheld", "unassigned")
    with crm.context.database.reading() as connection:
        row = connection.execute(
            select(*(func.coalesce(func.sum(driver_day.c[name]), 0) for name in names)).where(
                driver_day.c.driver_id == driver_id
            )
        ).one()
    return dict(zip(names, map(int, row), strict=True))


def served_city(crm: Crm, scope_id: int, num: int = 4) -> None:
    """Customers 1 …, drivers 101 …, and an order 1001 … of each pair."""
    customers, drivers = np.arange(1, num + 1).tolist(), np.arange(101, 101 + num).tolist()
    add_customers(crm, scope_id, customers)
    add_drivers(crm, scope_id, drivers)
    add_finished(crm, scope_id, zip(range(1001, 1001 + num), customers, drivers, strict=True))


def not_picked_up(crm: Crm, order_id: int) -> None:
    """Let the customer of a finished order not have been there."""
    with crm.context.database.writing() as connection:
        mine = update(orders).where(orders.c.order_id == order_id)
        connection.execute(mine.values(dropped_off_at_ms=None, stage=7))
