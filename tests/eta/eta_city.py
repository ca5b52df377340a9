"""A small city whose true travel times are known, and the trips and pings of its taxis."""

from functools import cache
from typing import NamedTuple

import numpy as np

from cities import grid_city
from dispatch.eta.boosting import BoostingParams
from dispatch.eta.edge_times import Ways
from dispatch.eta.training import EtaParams, train_eta
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import RecordedTrips

MONDAY_MS = 1_709_510_400_000
"""2024-03-04, a midnight in UTC, which is the city's time."""
DAY_MS = 86_400_000
START_S = 30.0
EVERY_S = 40.0
RUSH = 1.6
SLOW_DRIVER = 1.3
"""Every second driver takes so many times as long."""
SPREAD = 0.12
FEW = BoostingParams(trees=15, leaves=7, learning_rate=0.2, min_leaf=20)
PARAMS = EtaParams(median=FEW, quantiles=FEW)


class Days(NamedTuple):
    """What was recorded on some days."""

    trips: RecordedTrips
    pings: RecordedPings


@cache
def eta_city():
    """Streets around 64 blocks."""
    return grid_city(9, 9)


@cache
def true_edge_s():
    """What edges take off the rush hour, (arcs,) seconds: not what their speed limits say."""
    free_s = eta_city().graph.free_flow_ms() / 1000
    return free_s * np.random.default_rng(5).choice([1.1, 1.4, 1.9], len(free_s))


def hour_factor(hour):
    """How much longer a drive takes at an hour of the day."""
    return np.where((hour >= 7) & (hour < 10), RUSH, 1.0)


def ways_between(city, from_node, to_node):
    """The quickest ways at free flow, as sparse rows."""
    paths = city.free_flow().paths(np.asarray(from_node, np.int32), np.asarray(to_node, np.int32))
    is_edge = paths.edge >= 0
    first = np.concatenate([[0], np.cumsum(is_edge)])[paths.first].astype(np.int64)
    edge = np.ascontiguousarray(paths.edge[is_edge])
    return Ways(first, edge, np.ones(len(edge)))


def recorded(num_days=8, num_drivers=16, trips_a_day=14, seed=0, first_day=0):
    """Trips and pings of drivers who drive from 6:00 on, from each drop-off to the next."""
    rng, city = np.random.default_rng([seed, first_day]), eta_city()
    rows, pings = [], []
    for driver in range(num_drivers):
        for day in range(first_day, first_day + num_days):
            nodes = rng.permutation(city.graph.num_nodes)[: trips_a_day + 1]
            ways = ways_between(city, nodes[:-1], nodes[1:])
            at_s = day * 86_400.0 + 6 * 3600 + rng.uniform(0, 3600)
            for k in range(trips_a_day):
                edges = ways.edge[ways.first[k] : ways.first[k + 1]]
                factor = hour_factor(at_s % 86_400 / 3600) * (SLOW_DRIVER if driver % 2 else 1.0)
                factor = factor * rng.lognormal(0, SPREAD)
                ends_s = START_S + np.cumsum(np.append(0.0, true_edge_s()[edges] * factor))
                lasts_s = round(ends_s[-1])
                rows.append((MONDAY_MS + round(at_s) * 1000, nodes[k], nodes[k + 1], lasts_s, driver))
                idle_s = rng.uniform(300, 2400)
                pings += positions(round(at_s), edges, ends_s, idle_s, driver)
                at_s += lasts_s + idle_s
    return Days(trips_of(city, rows), pings_of(city, pings, rng))


def positions(at_s, edges, ends_s, idle_s, driver):
    """Where a driver is seen on a trip and after it: (driver, second, x, y, occupied)."""
    graph = eta_city().graph
    x, y = eta_city().projection.to_plane(graph.node_lon, graph.node_lat)
    nodes = [graph.tail[edges[0]], *graph.head[edges]]
    seen_s = np.arange(at_s % EVERY_S, ends_s[-1] + idle_s, EVERY_S)
    along = np.minimum(seen_s, ends_s[-1])
    place_x, place_y = (np.interp(along, ends_s, axis[nodes]) for axis in (x, y))
    occupied = (seen_s > 0) & (seen_s <= ends_s[-1])
    return [(driver, at_s + s, *rest) for s, *rest in zip(seen_s, place_x, place_y, occupied, strict=True)]


def trips_of(city, rows):
    """Recorded trips as (at_ms, from, to, seconds, driver)."""
    at_ms, from_node, to_node, lasts_s, driver = (
        np.array(column) for column in zip(*sorted(rows), strict=True)
    )
    lon, lat = city.graph.node_lon, city.graph.node_lat
    return RecordedTrips(
        at_ms.astype(np.int64),
        from_node.astype(np.int32),
        to_node.astype(np.int32),
        *(lon[from_node], lat[from_node], lon[to_node], lat[to_node]),
        lasts_s.astype(np.int32),
        driver.astype(np.int64),
        np.ones(len(at_ms), np.int32),
    )


def pings_of(city, rows, rng):
    """Recorded pings as (driver, second, x, y, occupied), with a little noise."""
    driver, at_s, x, y, occupied = (np.array(column) for column in zip(*sorted(rows), strict=True))
    noise = rng.normal(0, 4.0, (2, len(x)))
    lon, lat = city.projection.to_degrees(x + noise[0], y + noise[1])
    at_ms = MONDAY_MS + np.rint(at_s * 1000).astype(np.int64)
    return RecordedPings(driver.astype(np.int64), at_ms, lon, lat, occupied.astype(np.bool_))


@cache
def week():
    """Eight days to learn from."""
    return recorded()


@cache
def next_day():
    """The day after, to be predicted."""
    return recorded(num_days=1, first_day=8)


@cache
def trained():
    """The model of that week."""
    return train_eta(eta_city(), *week(), params=PARAMS)
