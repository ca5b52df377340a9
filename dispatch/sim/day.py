"""A day as the simulator's kernels hold it, made of a scenario."""

from __future__ import annotations

import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.events import EVENT_DTYPE
from dispatch.kernels import sim_state as kernels
from dispatch.kernels.agenda import Agenda, put_all
from dispatch.kernels.traffic import city_path
from dispatch.roads.metric import Metric
from dispatch.roads.trips import zone_info
from dispatch.sim.cruising import CruiseModel
from dispatch.sim.population import driver_rows, order_rows
from dispatch.sim.scenario import Scenario
from dispatch.sim.streets import DayStreets
from dispatch.units import DURATION_DTYPE, INDEX_DTYPE, MS_PER_DAY, MS_PER_S

_THURSDAY_MS: Final = 3 * MS_PER_DAY
"""1970-01-01 was a Thursday; weeks begin on Monday."""
_WIDTH: Final = 512
"""Nodes of a way that are kept, to tell where its driver is."""
_ROOM: Final = 1 << 14
"""Events between two tellings, at least; more of them are told in several goes."""
_AT_ONCE: Final = 4
"""Events that a driver may make at one instant, when all act on decisions, or go home."""
_HOURS_AHEAD: Final = 36
"""For so long the state of the city is drawn."""


def week_offset_ms(scenario: Scenario) -> int:
    """Give what must be added to an instant for the time since Monday 0:00, local at the start of the day."""
    zone = zone_info(scenario.timezone)
    local = datetime.datetime.fromtimestamp(scenario.start_at_ms // MS_PER_S, zone)
    offset = local.utcoffset() or datetime.timedelta()
    return round(offset.total_seconds()) * MS_PER_S + _THURSDAY_MS


def make_day(scenario: Scenario, streets: DayStreets) -> kernels.Day:
    """Put everybody at the start of the day; nothing has happened yet."""
    driver_id, drivers = driver_rows(scenario)
    orders = order_rows(scenario)
    at_start = streets.at(scenario.start_at_ms)
    num_drivers, num_nodes = len(drivers), scenario.city.graph.num_nodes
    params = _params(scenario, at_start)
    agenda = new_agenda(32 * num_drivers + 4 * len(orders) + 4 * _ROOM)
    keys = (kernels.DRIVER << kernels.KEY_BITS) | np.arange(num_drivers)
    put_all(agenda, np.ascontiguousarray(drivers["due_at_ms"]), keys)
    num_retries = len(orders) * int(params["max_retries"][0]) if params["retry_share"][0] > 0 else 0
    room = np.zeros(len(orders) + num_retries + 1, kernels.SIM_ORDER)
    room[: len(orders)] = orders
    width = min(_WIDTH, num_nodes + 1)
    num_events = max(_ROOM, _AT_ONCE * num_drivers)
    cruise = scenario.cruise or CruiseModel.parked(scenario.city.graph)
    return kernels.Day(
        drivers,
        room,
        params,
        driver_id,
        kernels.Shifts(scenario.shifts.start_at_ms, scenario.shifts.end_at_ms, scenario.shifts.node),
        at_start,
        _legs(num_drivers, width),
        _legs(1, num_nodes + 1),
        _weather(scenario),
        cruise.arrays,
        _stations(scenario),
        agenda,
        kernels.Out(
            np.zeros(num_events, EVENT_DTYPE),
            np.empty(num_events, INDEX_DTYPE),
            np.empty(num_events, INDEX_DTYPE),
            np.array([0, 0, len(orders), len(orders)]),
        ),
    )


def new_agenda(room: int) -> Agenda:
    """Give an empty agenda."""
    return Agenda(np.empty(room, np.int64), np.empty(room, np.int64), np.zeros(1, np.int64))


def grown_agenda(agenda: Agenda) -> Agenda:
    """Give the same agenda with twice the room."""
    room = 2 * len(agenda.key)
    grown = Agenda(np.empty(room, np.int64), np.empty(room, np.int64), agenda.size)
    for name in ("at_ms", "key"):
        getattr(grown, name)[: len(agenda.key)] = getattr(agenda, name)
    return grown


def _legs(num_rows: int, width: int) -> kernels.Legs:
    return kernels.Legs(np.zeros((num_rows, width), INDEX_DTYPE), np.zeros((num_rows, width), DURATION_DTYPE))


def _weather(scenario: Scenario) -> kernels.Weather:
    traffic = scenario.traffic
    num_slots = _HOURS_AHEAD * 60 // traffic.city_slot_min
    innovation = np.random.default_rng([scenario.seed, 0xC17]).standard_normal(num_slots)
    city = np.empty(num_slots)
    city_path(traffic.city_phi, innovation, city)
    return kernels.Weather(traffic.traffic, city)


def _stations(scenario: Scenario) -> kernels.Stations:
    """Spread charging stations where pickups are many, and find the nearest one of each node."""
    vehicles, num_nodes = scenario.behaviour.vehicles, scenario.city.graph.num_nodes
    if vehicles.electric_share == 0:
        nobody = np.zeros((1, 1), np.int64)
        return kernels.Stations(np.zeros(num_nodes, INDEX_DTYPE), np.zeros(1, INDEX_DTYPE), nobody)
    pickups = np.unique(scenario.orders.pickup_node)
    random = np.random.default_rng([scenario.seed, 0x57A7])
    node = random.choice(scenario.orders.pickup_node, min(vehicles.num_stations, len(pickups)), replace=False)
    node = np.unique(node).astype(INDEX_DTYPE)
    metric = scenario.travel_times_at(scenario.start_at_ms)
    assert isinstance(metric, Metric)  # DayStreets has refused anything else
    all_nodes = np.arange(num_nodes, dtype=INDEX_DTYPE)
    nearest = metric.table_ms(all_nodes, node).argmin(axis=1).astype(INDEX_DTYPE)
    free_at_ms = np.full((len(node), vehicles.slots_per_station), scenario.start_at_ms, np.int64)
    return kernels.Stations(nearest, node, free_at_ms)


def _params(scenario: Scenario, streets: kernels.Streets) -> NDArray[np.void]:
    """Give all numbers of all behaviours as one row."""
    customers, drivers = scenario.behaviour.customers, scenario.behaviour.drivers
    vehicles, fare, sim, traffic = scenario.behaviour.vehicles, scenario.fare, scenario.sim, scenario.traffic
    row = np.zeros(1, kernels.SIM_PARAMS)
    per_min = 60 * MS_PER_S
    values = {
        "seed": scenario.seed,
        "week_offset_ms": week_offset_ms(scenario),
        "start_at_ms": scenario.start_at_ms,
        "slot_ms": traffic.slot_min * per_min,
        "city_slot_ms": traffic.city_slot_min * per_min,
        "rho": traffic.rho,
        "boarding_ms": round(sim.boarding_s * MS_PER_S),
        "alighting_ms": round(sim.alighting_s * MS_PER_S),
        "cruising_told_ms": round(sim.cruising_told_s * MS_PER_S),
        "impatient_after_ms": round(customers.impatient_after_s * MS_PER_S),
        "impatient_share": customers.impatient_share,
        "hazard_per_ms": customers.patience_hazard_per_min / per_min,
        "far_eta_ms": round(customers.far_eta_s * MS_PER_S),
        "far_share": customers.far_eta_refusal_share,
        "late_after_ms": round(customers.late_after_s * MS_PER_S),
        "late_share": customers.late_cancel_share,
        "no_show_share": customers.no_show_share,
        "no_show_wait_ms": round(customers.no_show_wait_s * MS_PER_S),
        "retry_share": customers.retry_share,
        "retry_after_ms": customers.retry_after_s * MS_PER_S,
        "max_retries": customers.max_retries,
        "accept_bias": drivers.accept_bias,
        "accept_per_ms": drivers.accept_per_pickup_min / per_min,
        "accept_per_cent": drivers.accept_per_fare / 100,
        "answer_least_ms": drivers.answer_s[0] * MS_PER_S,
        "answer_most_ms": drivers.answer_s[1] * MS_PER_S,
        "offer_timeout_ms": round(scenario.params.offer_timeout_s * MS_PER_S),
        "give_up_share": drivers.cancel_share,
        "break_after_ms": round(drivers.break_after_h * 60 * per_min),
        "break_ms": round(drivers.break_min * per_min),
        "wind_down_ms": round(drivers.wind_down_min * per_min),
        "wind_down_share": drivers.wind_down_share,
        "home_share": drivers.home_share,
        "follow_share": drivers.follow_share,
        "cruises": int(scenario.cruise is not None),
        "range_m": vehicles.range_km * 1000,
        "reserve_m": vehicles.range_km * 1000 * vehicles.reserve_share,
        "charge_ms": vehicles.charge_min * per_min,
        "fare_base": fare.base_cents,
        "fare_per_km": fare.per_km_cents,
        "fare_per_minute": fare.per_minute_cents,
        "fare_minimum": fare.minimum_cents,
        "has_table": int(len(streets.table.to_ms) > 0),
        "height": max(len(streets.shortcuts.climb.depth) and int(streets.shortcuts.climb.depth.max()) + 1, 1),
    }
    for name, value in values.items():
        row[name] = value
    return row
