"""Random legal logs of an engine, by a walk through its table of transitions; no kernel runs."""

import random

from dispatch.engine.events import EventKind as Kind, Events, make_events
from dispatch.engine.lifecycle import TRANSITIONS, DriverStatus, OrderStatus

START_MS = 1_700_438_400_000
_LEGS = (Kind.CRUISING_LEG, Kind.REPOSITIONING_LEG, Kind.ABANDONED_LEG)
_SKIPPED = {
    **dict.fromkeys((*_LEGS, Kind.REPOSITION_ADVISED, Kind.DRIVER_OFFLINE), 0.97),
    **dict.fromkeys((Kind.ORDER_CANCELLED, Kind.ORDER_EXPIRED, Kind.ORDER_UNASSIGNED), 0.93),
    **dict.fromkeys((Kind.CARS_SHOWN, Kind.ORDER_RELEASED, Kind.PICKUP_MISS_PREDICTED), 0.9),
}
"""How often what may happen does not, so that most orders come to an end."""


_FROM = {
    status: [step for step in TRANSITIONS if step.order_from == status] for status in (None, *OrderStatus)
}


def random_log(seed: int, num_orders: int = 30, num_drivers: int = 8, num_events: int = 400) -> Events:
    """A log in which anything happens that may; instants sometimes repeat, and cross midnight."""
    luck = random.Random(seed)
    orders: dict[int, OrderStatus] = {}
    drivers = dict.fromkeys(range(100, 100 + num_drivers), DriverStatus.OFFLINE)
    holder: dict[int, int] = {}
    at_ms, rows, next_order = START_MS, [], 1
    while len(rows) < num_events:
        at_ms += luck.choice((0, 0, 1_000, 37_000, 240_000, 900_000))
        if next_order <= num_orders and luck.random() < 0.12:
            orders[next_order] = OrderStatus.OPEN
            rows.append(_submitted(luck, next_order, at_ms))
            next_order += 1
            continue
        order = luck.choice([None, *orders, *orders])
        driver = holder.get(order) if order in holder else luck.choice(list(drivers))
        options = [
            step
            for step in _FROM[None if order is None else orders[order]]
            if _fits(step, order, driver, orders, drivers, holder)
        ]
        if not options:
            continue
        step = luck.choice(options)
        if luck.random() < _SKIPPED.get(step.event, 0.1):
            continue
        _move(step, order, driver, orders, drivers, holder)
        rows.append(_event(luck, step, order, driver, at_ms))
    log = make_events(Kind.ORDER_SUBMITTED, len(rows))
    for row, told in enumerate(rows):
        for name, value in told.items():
            log[name][row] = value
    return log


def _fits(step, order, driver, orders, drivers, holder) -> bool:
    if step.driver_from is None:
        return order is not None
    if driver is None or drivers[driver] != step.driver_from:
        return False
    # Who is offered or serves an order is its holder; others may only be given an open one.
    return order is None or order not in holder or holder[order] == driver


def _move(step, order, driver, orders, drivers, holder) -> None:
    if order is not None:
        orders[order] = step.order_to
    if step.driver_from is not None:
        drivers[driver] = step.driver_to
        if order is not None:
            holder[order] = driver
    if order is not None and step.order_to in (OrderStatus.OPEN, OrderStatus.CLOSED, OrderStatus.EXPIRED):
        holder.pop(order, None)
    if order is not None and step.order_to == OrderStatus.DROPPED_OFF:
        holder.pop(order, None)


def _submitted(luck: random.Random, order: int, at_ms: int) -> dict[str, int]:
    return {
        "kind": Kind.ORDER_SUBMITTED,
        "at_ms": at_ms,
        "order_id": order,
        "customer_id": luck.choice((-1, 1, 2, 3)),
        "lon_e6": luck.randrange(10**6),
        "lat_e6": luck.randrange(10**6),
        "wanted_after_ms": luck.choice((0, 0, 1_800_000)),
        "tier": luck.randrange(3),
        "is_first": luck.randrange(2),
        "passengers": 1,
        "vehicle_class": 0,
    }


def _event(luck: random.Random, step, order, driver, at_ms: int) -> dict[str, int]:
    told = {"kind": step.event, "at_ms": at_ms}
    if order is not None:
        told["order_id"] = order
    if step.driver_from is not None:
        told["driver_id"] = driver
    if step.event in (Kind.ORDER_OFFERED, Kind.ORDER_ASSIGNED, Kind.ORDER_REASSIGNED):
        told["eta_ms"] = luck.randrange(1_200_000)
    if step.event in (Kind.DRIVER_ARRIVED, Kind.DROPPED_OFF, *_LEGS):
        told["leg_m"] = luck.randrange(20_000)
    if step.event == Kind.DROPPED_OFF:
        told |= {"fare_cents": luck.randrange(5_000), "lon_e6": 5, "lat_e6": 6}
    return told
