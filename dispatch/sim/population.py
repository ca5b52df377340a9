"""Who asks and who drives: the rows of a simulated day, drawn by name so that no draw moves another."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.kernels import sim_state as kernels
from dispatch.kernels.random_streams import draw
from dispatch.kernels.sim_state import SIM_DRIVER, SIM_ORDER
from dispatch.sim.behaviour import CustomerParams
from dispatch.sim.scenario import Scenario
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE

_MS_PER_MIN: Final = 60 * MS_PER_S
_LEAST_CHARGE: Final = 0.4
"""Share of a full battery with which an electric car's day begins, at least. An assumption."""


def draws(seed: int, stream: int, num: int) -> NDArray[np.float64]:
    """Draw a number in (0, 1) for each of `num` people, (num,)."""
    drawn = np.empty(num)
    draw(seed, stream, np.arange(num), 0, drawn)
    return drawn


def _by_shares(shares: tuple[float, ...], drawn: NDArray[np.float64]) -> NDArray[np.int64]:
    """Turn draws (n,) into rows of `shares`."""
    row: NDArray[np.int64] = np.searchsorted(np.cumsum(shares), drawn, side="right")
    return np.minimum(row, len(shares) - 1)


def booked_ahead(scenario: Scenario) -> Scenario:
    """Let some customers book ahead: their orders are made earlier, and no longer stand in the order of time.

    The recorded request then is the wanted pickup, kept in ``wanted_at_ms``. Rows stay as they are: who books
    ahead changes nobody's number, and with it nobody's draws. Where it is told already, it stays.
    """
    if scenario.wanted_at_ms is not None:
        return scenario
    params, orders = scenario.behaviour.customers, scenario.orders
    wanted_at_ms = orders.requested_at_ms
    is_booked = draws(scenario.seed, kernels.PREBOOKED, len(orders)) < params.prebooked_share
    least, most = params.prebooked_ahead_min
    ahead_min = least + (most - least) * draws(scenario.seed, kernels.AHEAD, len(orders))
    ahead_ms = np.where(is_booked, np.rint(ahead_min * _MS_PER_MIN), 0).astype(np.int64)
    requested_at_ms = np.where(
        is_booked, np.maximum(wanted_at_ms - ahead_ms, scenario.start_at_ms), wanted_at_ms
    )
    return replace(
        scenario, orders=replace(orders, requested_at_ms=requested_at_ms), wanted_at_ms=wanted_at_ms
    )


def order_rows(scenario: Scenario) -> NDArray[np.void]:
    """Give the orders of a day as rows, (orders,) SIM_ORDER; they are not submitted yet."""
    orders, params, seed = scenario.orders, scenario.behaviour.customers, scenario.seed
    num = len(orders)
    rows = np.zeros(num, SIM_ORDER)
    rows["requested_at_ms"] = orders.requested_at_ms
    rows["wanted_at_ms"] = orders.requested_at_ms if scenario.wanted_at_ms is None else scenario.wanted_at_ms
    rows["noted_ms"] = kernels.NEVER
    rows["trip_ms"] = np.where(orders.duration_s > 0, orders.duration_s.astype(np.int64) * MS_PER_S, NO_VALUE)
    if not scenario.recorded_durations:
        rows["trip_ms"] = NO_VALUE
    rows["trip_m"] = NO_VALUE
    rows["pickup_node"], rows["dropoff_node"] = orders.pickup_node, orders.dropoff_node
    rows["origin"], rows["driver"] = np.arange(num), NO_INDEX
    rows["tier"] = _by_shares(params.tier_shares, draws(seed, kernels.TIER, num))
    rows["vehicle_class"] = _by_shares(params.class_shares, draws(seed, kernels.CLASS, num))
    rows["passengers"] = np.clip(orders.passengers, 1, max(scenario.behaviour.vehicles.seats))
    rows["is_first"], rows["customer_id"] = _customers(params, seed, num)
    if scenario.people is not None:
        for name in ("customer_id", "tier", "is_first"):
            rows[name] = getattr(scenario.people, name)
    return rows


def _customers(params: CustomerParams, seed: int, num: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Tell of each order (num,) whether its customer is new, and name the customer."""
    is_first = draws(seed, kernels.FIRST_ORDER, num) < params.first_time_share
    num_known = max(1, round((num - np.count_nonzero(is_first)) / params.orders_per_customer))
    known = (draws(seed, kernels.CUSTOMER_OF_ORDER, num) * num_known).astype(np.int64)
    return is_first, np.where(is_first, num_known + np.arange(num), known)


def driver_rows(scenario: Scenario) -> tuple[NDArray[np.int64], NDArray[np.void]]:
    """Give the drivers of a day: their ids, ascending, and their rows, (drivers,) SIM_DRIVER, off duty."""
    shifts, vehicles = scenario.shifts, scenario.behaviour.vehicles
    driver_id, first = np.unique(shifts.driver_id, return_index=True)
    rows = np.zeros(len(driver_id), SIM_DRIVER)
    rows["due_at_ms"] = rows["noted_ms"] = shifts.start_at_ms[first]
    rows["answer_at_ms"] = rows["gives_up_at_ms"] = kernels.NEVER
    rows["shift"], rows["end_shift"] = first, np.append(first[1:], len(shifts))
    rows["node"] = rows["home_node"] = shifts.node[first]
    for name in ("order", "next_order", "offered"):
        rows[name] = NO_INDEX
    rows["is_electric"] = draws(scenario.seed, kernels.ELECTRIC, len(rows)) < vehicles.electric_share
    charge = _LEAST_CHARGE + (1 - _LEAST_CHARGE) * draws(scenario.seed, kernels.BATTERY, len(rows))
    rows["battery_m"] = charge * vehicles.range_km * 1000
    return driver_id, rows


def car_classes(scenario: Scenario, num_drivers: int) -> NDArray[np.int64]:
    """Give the class of each driver's car, (drivers,)."""
    return _by_shares(
        scenario.behaviour.vehicles.class_shares, draws(scenario.seed, kernels.CAR_CLASS, num_drivers)
    )
