"""What an operator's screen asks for: cars nearby, quotes, assignment by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.commit import EngineState, Happening, commit
from dispatch.engine.inputs import NewOrders, as_lonlat
from dispatch.engine.params import FareRule
from dispatch.engine.vehicles import asked_bits_of
from dispatch.engine.world import World
from dispatch.errors import InputError, StateError
from dispatch.limits import check_range, check_whole
from dispatch.roads.travel_times import PathFinder
from dispatch.spatial.grid_index import GridIndex
from dispatch.units import MS_PER_S, NO_INDEX, NO_VALUE, UNREACHABLE_MS


@dataclass(frozen=True)
class NearbyCars:
    """Idle drivers around a place, nearest by air first."""

    driver_id: NDArray[np.int64]
    """(cars,)"""
    distance_m: NDArray[np.float64]
    """(cars,) by air"""
    eta_ms: NDArray[np.int32]
    """(cars,) pickup ETA, ``UNREACHABLE_MS`` where no road leads there"""
    age_ms: NDArray[np.int64]
    """(cars,) how old the position is"""


@dataclass(frozen=True)
class Quote:
    """What an order would mean right now."""

    num_cars: int
    """free drivers within ``max_pickup_s``, at most ``candidates_per_order``"""
    pickup_eta_ms: int | None
    """of the nearest free driver; None when there is none within ``max_pickup_s``"""
    trip_ms: int
    trip_m: float | None
    """None where the travel times know no distances"""
    fare_cents: int | None
    """by the declared fare rule; None without a distance"""
    pickup_eta_range_ms: tuple[int, int] | None = None
    """quantiles of 10 and 90 %, or those of the outermost levels where these are not told: None where travel
    times do not say how sure they are, or without a driver"""
    trip_range_ms: tuple[int, int] | None = None
    """the same of the trip"""


def nearby(
    state: EngineState, world: World, place: tuple[float, float], now_ms: int, num_cars: int, radius_m: float
) -> NearbyCars:
    """Find idle drivers with a fresh position within `radius_m` metres of `place` (lon, lat)."""
    lon, lat = as_lonlat("", place[0], place[1], 1)
    check_whole("num_cars", num_cars, 1, 100_000)
    check_range("radius_m", radius_m, 0, 1e7, "metres")
    node = world.snap(lon, lat, "")
    x, y = world.city.projection.to_plane(lon, lat)
    driver_idx = world.free_drivers(state.fleet, now_ms)
    fleet = state.fleet
    near = GridIndex(fleet.x[driver_idx], fleet.y[driver_idx]).nearest(
        np.atleast_1d(x), np.atleast_1d(y), num_cars, max_distance_m=radius_m
    )
    found = driver_idx[near.item]
    eta_ms = world.pairs_ms(fleet.node[found], np.full(len(found), node[0], np.int32))
    age_ms = np.maximum(now_ms - fleet.position_at_ms[found], 0)
    return NearbyCars(fleet.driver_id[found], near.distance_m, eta_ms, age_ms)


def quote(state: EngineState, world: World, fare: FareRule, asked: NewOrders, now_ms: int) -> list[Quote]:
    """Quote each of the orders asked for, by the drivers who may serve it."""
    pickup, dropoff, trip_ms = trip_of(world, asked)
    trip_m = _trip_metres(world, pickup, dropoff)
    fare_cents = fare.fare_cents(trip_m, trip_ms.astype(np.int64))
    driver_idx = world.free_drivers(state.fleet, now_ms)
    near = _nearest(state, world, driver_idx, pickup, asked)
    num_near = [len(of_row) for of_row in near]
    first = np.cumsum([0, *num_near])
    from_node = state.fleet.node[driver_idx[np.concatenate([np.empty(0, np.int32), *near])]]
    eta_ms = world.pairs_ms(from_node, np.repeat(pickup, num_near))
    limit_ms = world.params.max_pickup_s * MS_PER_S
    quotes, first_there = [], np.full(len(pickup), NO_INDEX, np.int32)
    for row in range(len(pickup)):
        of_row = eta_ms[first[row] : first[row + 1]]
        if len(of_row) and of_row.min() <= limit_ms:
            first_there[row] = from_node[first[row] + of_row.argmin()]
        of_row = of_row[of_row <= limit_ms]
        quotes.append(
            Quote(
                len(of_row),
                int(of_row.min()) if len(of_row) else None,
                int(trip_ms[row]),
                float(trip_m[row]) if trip_m[row] >= 0 else None,
                int(fare_cents[row]) if fare_cents[row] != NO_VALUE else None,
            )
        )
    return _with_ranges(quotes, world, first_there, pickup, dropoff) if world.uncertain else quotes


def _nearest(
    state: EngineState,
    world: World,
    driver_idx: NDArray[np.int32],
    pickup: NDArray[np.int32],
    asked: NewOrders,
) -> list[NDArray[np.int32]]:
    """Give, for each order (n,), the nearest of the drivers who suit it by class, seats and skills."""
    (vehicle_class, passengers, may_upgrade, skills) = (
        np.zeros(len(pickup), np.int64) if column is None else column
        for column in (asked.vehicle_class, asked.passengers, asked.may_upgrade, asked.skills)
    )
    bits = asked_bits_of(vehicle_class, passengers, may_upgrade)
    near = [np.empty(0, np.int32)] * len(pickup)
    for one in np.unique(skills).tolist():
        rows = np.flatnonzero(skills == one)
        found = world.nearest_drivers(state.fleet, driver_idx, pickup[rows], bits[rows], one)
        for row, items in zip(rows.tolist(), np.split(found.item, found.first[1:-1]), strict=True):
            near[row] = items
    return near


def _with_ranges(
    quotes: list[Quote],
    world: World,
    first_there: NDArray[np.int32],
    pickup: NDArray[np.int32],
    dropoff: NDArray[np.int32],
) -> list[Quote]:
    """Add how sure quotes are; `first_there` (n,) is where the nearest driver is, ``NO_INDEX`` for none."""
    has_car = np.flatnonzero(first_there != NO_INDEX)
    pickup_ms = iter(world.ranges_ms(first_there[has_car], pickup[has_car]).tolist())
    trip_ms = world.ranges_ms(pickup, dropoff).tolist()
    return [
        replace(
            told,
            pickup_eta_range_ms=None if told.pickup_eta_ms is None else (*next(pickup_ms),),
            trip_range_ms=(*trip_ms[row],),
        )
        for row, told in enumerate(quotes)
    ]


def _trip_metres(world: World, pickup: NDArray[np.int32], dropoff: NDArray[np.int32]) -> NDArray[np.float64]:
    """Give the metres of each trip (n,), ``NO_VALUE`` where the travel times know no paths."""
    if not isinstance(world.travel_times, PathFinder):
        return np.full(len(pickup), float(NO_VALUE))
    paths = world.travel_times.paths(pickup, dropoff)
    return paths.at_m[paths.first[1:] - 1]


def assign(state: EngineState, world: World, by_hand: Happening) -> None:
    """Assign open orders to idle drivers by hand, with the pickup ETA of the driver chosen."""
    barred = np.flatnonzero(~state.fleet.eligible[by_hand.driver_idx])
    if len(barred):
        driver_id = state.fleet.driver_id[by_hand.driver_idx[barred[0]]]
        raise StateError(
            f"driver_id[{barred[0]}] is {driver_id}: not eligible for orders, by set_driver_terms"
        )
    pickup = state.orders.pickup_node[by_hand.order_idx]
    off_network = np.flatnonzero(state.fleet.node[by_hand.driver_idx] == NO_INDEX)
    if len(off_network):
        raise InputError(f"driver_id[{off_network[0]}] is off the network: send a position on it first")
    eta_ms = world.pairs_ms(state.fleet.node[by_hand.driver_idx], pickup)
    unreachable = np.flatnonzero(eta_ms >= UNREACHABLE_MS)
    if len(unreachable):
        raise InputError(f"row {unreachable[0]}: no road leads from the driver to the pickup")
    commit(state, by_hand, eta_ms=eta_ms)
    state.orders.promise(by_hand.order_idx, by_hand.at_ms, eta_ms)


def ends_of(world: World, asked: NewOrders) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Find the pickup node and the drop-off node of checked orders (n,).

    Raises
    ------
    InputError
        If an end is off the network.
    """
    pickup, dropoff = asked.pickup_node, asked.dropoff_node
    if pickup is None:
        pickup = world.snap(asked.pickup_lon, asked.pickup_lat, "pickup_")
    if dropoff is None:
        dropoff = world.snap(asked.dropoff_lon, asked.dropoff_lat, "dropoff_")
    return pickup, dropoff


def trip_of(world: World, asked: NewOrders) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Find the pickup node, the drop-off node and the trip time of checked orders.

    Raises
    ------
    InputError
        If an end is off the network, or no road leads from one to the other.
    """
    pickup, dropoff = ends_of(world, asked)
    trip_ms = world.pairs_ms(pickup, dropoff)
    wrong = np.flatnonzero(trip_ms >= UNREACHABLE_MS)
    if len(wrong):
        raise unreachable(asked.order_id, int(wrong[0]))
    return pickup, dropoff, trip_ms


def unreachable(order_id: NDArray[np.int64], row: int) -> InputError:
    """Say that the trip of one of the orders (n,) cannot be driven."""
    return InputError(
        f"order_id[{row}] is {order_id[row]}: no road leads from its pickup to its drop-off; "
        "leave it out or mend the network"
    )
