"""From parameters of behaviour to what a day needs of them: traffic, cruising, ranks and geofences."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import TravelTimes
from dispatch.roads.trips import RecordedTrips
from dispatch.sim.behaviour import ETAS_OF_TRAFFIC
from dispatch.sim.cruising import CruiseModel
from dispatch.sim.day import week_offset_ms
from dispatch.sim.etas import EtaSource, file_blake2b, free_flow_etas, learnt_etas, names_file
from dispatch.sim.scenario import PARKING_NOTE, Scenario
from dispatch.sim.traffic import TrafficModel
from dispatch.sim.traffic_fit import fit_traffic, usable_trips
from dispatch.spatial.grid_index import GridIndex
from dispatch.units import MS_PER_DAY, NO_INDEX

_FITTED_ON_DAYS: Final = 7
"""Days of pings that cruising is learnt from: as good as more, see ARCHITECTURE."""
_LEAST_TRIPS: Final = 500
_LEAST_SPAN_MS: Final = 2 * MS_PER_DAY
_MS_PER_HOUR: Final = MS_PER_DAY // 24


def with_behaviour(scenario: Scenario) -> Scenario:
    """Give the same day with the traffic and the cruising that its behaviour names.

    Raises
    ------
    InputError
        Drivers are to cruise as recorded ones did, and the city has no pings.
    """
    traffic, base, traffic_note = _traffic_of(scenario)
    cruise, cruise_note = _cruise_of(scenario)
    notes = [note for note in scenario.notes if cruise is None or note != PARKING_NOTE]
    etas, eta_source, eta_note = _etas_of(scenario)
    orders, fence_note = _outside_geofences(scenario)
    return replace(
        scenario,
        orders=orders,
        node_rank=_ranks(scenario),
        travel_times=base,
        traffic=traffic,
        slowdown=scenario.slowdown if traffic.kind == "exact" else 1.0,
        cruise=cruise,
        notes=(*notes, *(note for note in (traffic_note, eta_note, cruise_note, fence_note) if note)),
        etas=etas,
        eta_source=eta_source,
    )


def _ranks(scenario: Scenario) -> NDArray[np.int32] | None:
    """Give the taxi rank of each node, None where the zones hold no rank."""
    ranks = None if scenario.zones is None else scenario.zones.of_kind("rank")
    return None if ranks is None else ranks.of_nodes(scenario.city.graph)


def _outside_geofences(scenario: Scenario) -> tuple[RecordedTrips, str]:
    """Let customers inside of geofences walk to the nearest node outside; say how many."""
    orders, city = scenario.orders, scenario.city
    fences = None if scenario.zones is None else scenario.zones.of_kind("no_pickup")
    if fences is None:
        return orders, ""
    inside = fences.of_nodes(city.graph) != NO_INDEX
    outside = np.flatnonzero(~inside)
    if not len(outside):
        raise InputError("zones of the kind no_pickup hold the whole city: nobody could be picked up")
    walking = np.flatnonzero(inside[orders.pickup_node])
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    at = orders.pickup_node[walking]
    near = GridIndex(x[outside], y[outside]).nearest(x[at], y[at], 1)
    pickup_node, lon, lat = orders.pickup_node.copy(), orders.pickup_lon.copy(), orders.pickup_lat.copy()
    pickup_node[walking] = outside[near.item]
    lon[walking] = city.graph.node_lon[pickup_node[walking]]
    lat[walking] = city.graph.node_lat[pickup_node[walking]]
    moved = replace(orders, pickup_node=pickup_node, pickup_lon=lon, pickup_lat=lat)
    return moved, f"{len(walking):,} customers walk out of a geofence to be picked up."


T = TypeVar("T")


def _kept(city: City, name: Hashable, make: Callable[[], T]) -> T:
    """Give what was made of a city before, or make it: many scenarios share one city."""
    if name not in city.kept:
        city.kept[name] = make()
    found: T = city.kept[name]
    return found


def _fit_traffic(city: City, before_ms: int) -> TrafficModel | None:
    """Fit the traffic on all trips requested before an instant, None if they are too few."""
    if city.trips is None:
        return None
    earlier = city.trips.select(np.flatnonzero(city.trips.requested_at_ms < before_ms))
    if len(earlier) < _LEAST_TRIPS or len(usable_trips(city, earlier).rows) < _LEAST_TRIPS:
        return None
    return fit_traffic(city, earlier, before_ms)


def _learn_cruising(city: City, start_ms: int) -> tuple[CruiseModel, str]:
    """Learn cruising from the pings of the days before, or after where there are none before."""
    path, span_ms = city.pings_path, _FITTED_ON_DAYS * MS_PER_DAY
    if path is None:
        raise InputError(
            f"drivers.cruising is 'hot_spots' and {city.name} has no pings.parquet to learn it from: use "
            "park, random_walk or drift"
        )
    pings, when = RecordedPings.load(path, start_ms - span_ms, start_ms), "before"
    if not len(pings) or int(np.ptp(pings.at_ms)) < _LEAST_SPAN_MS:
        after_ms = start_ms + MS_PER_DAY
        pings, when = RecordedPings.load(path, after_ms, after_ms + span_ms), "after"
    return CruiseModel.learnt(city, pings, city.timezone), when


def _traffic_of(scenario: Scenario) -> tuple[TrafficModel, Any, str]:
    """Give the traffic of a day, the free-flow times it counts from, and what to say of it."""
    city, model = scenario.city, scenario.behaviour.traffic.model
    if model == "exact":
        return TrafficModel.exact(), scenario.travel_times, ""
    base = _kept(city, "free flow", city.free_flow)
    if model == "fitted" and scenario.date is not None:
        fitted = _kept(
            city, ("traffic", scenario.start_at_ms), lambda: _fit_traffic(city, scenario.start_at_ms)
        )
        if fitted is not None:
            return fitted, base, f"Traffic: {fitted.describe()}"
    assumed = TrafficModel.assumed()
    return assumed, base, f"Traffic is an assumption: {assumed.describe()}"


def _etas_of(
    scenario: Scenario,
) -> tuple[TravelTimes | ByTime[TravelTimes] | None, EtaSource | None, str]:
    """Give what the engine predicts with, where that is from, and what to say of it."""
    city, told = scenario.city, scenario.behaviour.traffic.eta
    if told == ETAS_OF_TRAFFIC:
        return scenario.etas, scenario.eta_source, ""
    if not names_file(told):
        free_flow = _kept(city, "free flow", city.free_flow)
        note = "The engine predicts free flow, whatever the traffic."
        return _kept(city, "free flow ETAs", lambda: free_flow_etas(free_flow)), EtaSource(told), note
    path = Path(told)
    source = EtaSource(told, file_blake2b(path))
    learnt = _kept(city, ("ETAs", source.blake2b), lambda: learnt_etas(path, city))
    note = f"The engine predicts with the model {path.name} ({learnt.model.kind}, blake2b {source.blake2b})."
    return learnt, source, note


def _cruise_of(scenario: Scenario) -> tuple[CruiseModel | None, str]:
    """Give how idle drivers of a day move, None where they park, and what to say of it."""
    city, habit = scenario.city, scenario.behaviour.drivers.cruising
    if habit == "park":
        return None, ""
    if habit == "random_walk":
        return _kept(
            city, "random walk", lambda: CruiseModel.random_walk(city)
        ), "Idle drivers drive to one of the squares around theirs, whichever."
    if habit == "drift":
        orders = scenario.orders
        hour = (orders.requested_at_ms + week_offset_ms(scenario)) // _MS_PER_HOUR % 24
        return CruiseModel.drift(city, orders.pickup_node, hour), (
            "Idle drivers drift to where orders are many at that hour: they know the day's demand by hour."
        )
    learnt, when = _kept(
        city, ("cruising", scenario.start_at_ms), lambda: _learn_cruising(city, scenario.start_at_ms)
    )
    return learnt, f"Idle drivers cruise as recorded ones did in up to {_FITTED_ON_DAYS} days {when}."
