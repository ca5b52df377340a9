"""Taxis that drive about while one street slows down, as their pings show it and live traffic learns it."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from cities import T0, city_of
from dispatch.eta.driven_ways import driven_ways
from dispatch.eta.live import LiveTraffic, _stretches
from dispatch.eta.map_matching import Matcher
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.places import Places

SLOWER = 5.0
"""To 20 % of the speed."""
EVERY_S = 60.0
NOISE_M = 20.0
LOOK_BACK_MS = 240_000


class Incident(NamedTuple):
    """Where, from when to when (seconds after T0), and by which factor it slows."""

    edges: np.ndarray
    begin_s: float
    end_s: float
    slower: float = SLOWER


class Stop(NamedTuple):
    """Where one taxi stops with the meter on: half way along such an edge, the first time after `from_s`."""

    taxi: int
    edges: np.ndarray
    from_s: float
    lasts_s: float


def usual_ms(city):
    """What streets usually take, (arcs,)."""
    return city.graph.free_flow_ms(1.4)


def drives(city, ends, until_s, seed=0, incident=None, stop=None):
    """Pings of taxis 0 … n - 1; taxi `i` drives between random nodes of two groups `ends[i]`, in turn."""
    rng = np.random.default_rng(seed)
    legs = _legs(city, ends, until_s, rng)
    columns = [[] for _ in range(7)]
    for taxi, (way, is_last) in enumerate(legs):
        luck = np.random.default_rng([seed, 2, taxi])  # the same with an incident as without
        seen = _positions(city, (taxi, way, is_last), luck, incident, stop, until_s)
        for column, part in zip(columns, (np.full(len(seen[0]), taxi), *seen), strict=True):
            column.append(part)
    driver, at_s, edge, share, occupied, *noise = (np.concatenate(column) for column in columns)
    x, y = city.projection.to_plane(*city.edge_snapper.lonlat(Places.on(edge.astype(np.int32), share)))
    lon, lat = city.projection.to_degrees(x + noise[0], y + noise[1])
    at_ms = T0 + np.rint(at_s * 1000).astype(np.int64)
    return RecordedPings(driver.astype(np.int64), at_ms, lon, lat, occupied)


def _legs(city, ends, until_s, rng):
    """Edges that each taxi drives one after the other, long enough, and where passengers get out."""
    usual = usual_ms(city)
    metric = city.network.customize(usual)
    ways = [[] for _ in ends]
    at = [int(rng.choice(group[0])) for group in ends]
    side, left_s = [1] * len(ends), [until_s] * len(ends)
    while max(left_s) > 0:
        to = [int(rng.choice(group[side[i] % 2])) for i, group in enumerate(ends)]
        paths = metric.paths(np.array(at, np.int32), np.array(to, np.int32))
        for i in range(len(ends)):
            edges = paths.edge[paths.first[i] : paths.first[i + 1]]
            edges = edges[edges >= 0]
            ways[i].append(edges)
            left_s[i] -= usual[edges].sum() / 1000
            side[i] += 1
        at = to
    last = [np.concatenate([np.arange(len(leg)) == len(leg) - 1 for leg in way]) for way in ways]
    return [(np.concatenate(way), is_last) for way, is_last in zip(ways, last, strict=True)]


def _positions(city, drive, rng, incident, stop, until_s):
    """When, on which edge and at which share of it a taxi is seen, and whether with a passenger."""
    taxi, way, is_last = drive
    usual_s = usual_ms(city)[way] / 1000 * rng.lognormal(-0.03, 0.25, len(way))
    slow = np.isin(way, incident.edges) if incident else np.zeros(len(way), bool)
    phase, at_s, points, stands, has_stopped = rng.uniform(0, EVERY_S), 0.0, [(0.0, 0.0)], [], False
    for i, lasts_s in enumerate(usual_s):
        at_s = _after(at_s, lasts_s / 2, incident if slow[i] else None)
        points.append((at_s, i + 0.5))
        may_stop = stop is not None and taxi == stop.taxi and at_s >= stop.from_s and not has_stopped
        if may_stop and way[i] in stop.edges:
            has_stopped = True
            at_s += stop.lasts_s
            points.append((at_s, i + 0.5))
        at_s = _after(at_s, lasts_s / 2, incident if slow[i] else None)
        points.append((at_s, i + 1 - 1e-9))
        if is_last[i]:  # the next passenger gets in
            stands.append(at_s)
            at_s += rng.uniform(EVERY_S, 2 * EVERY_S)
            stands.append(at_s)
            points.append((at_s, i + 1 - 1e-9))
        if at_s > until_s:
            break
    times, along = (np.array(column) for column in zip(*points, strict=True))
    seen_s = np.arange(phase, min(until_s, times[-1]), EVERY_S)
    place = np.interp(seen_s, times, along)
    row = np.minimum(place.astype(int), len(way) - 1)
    occupied = np.searchsorted(stands, seen_s) % 2 == 0
    noise = np.random.default_rng([1, taxi]).normal(0, NOISE_M, (2, len(seen_s)))
    return seen_s, way[row], np.clip(place - row, 0.0, 1.0), occupied, *noise


def _after(at_s, lasts_s, incident):
    """When something ends that usually lasts so long."""
    if incident is None:
        return at_s + lasts_s
    for until_s, slower in ((incident.begin_s, 1.0), (incident.end_s, incident.slower), (np.inf, 1.0)):
        room = max(until_s - at_s, 0.0)
        if lasts_s * slower <= room:
            return at_s + lasts_s * slower
        lasts_s -= room / slower
        at_s += room
    raise AssertionError("time never ends")


class Watch:
    """Live traffic that is told pings as they come."""

    def __init__(self, city: City, pings: RecordedPings, params=None) -> None:
        self.city, self.pings, self.live = city, pings, LiveTraffic(city, params)
        self.matcher = Matcher(city, with_table=False)  # few pings at a time: a table would not pay
        self.usual_ms, self.told_s = usual_ms(city), 0.0

    def until(self, at_s: float, step_s: float = 30.0) -> "Watch":
        """Tell it all pings until an instant, in steps."""
        while self.told_s < at_s:
            self.told_s = min(self.told_s + step_s, at_s)
            self._tell(T0 + round(self.told_s * 1000))
        return self

    def _tell(self, to_ms: int) -> None:
        since_ms = self.live.clock_ms or T0
        recent = self.pings.between(max(since_ms, to_ms - LOOK_BACK_MS) - LOOK_BACK_MS, to_ms)
        ways, _ = driven_ways(self.city, recent, self.matcher.match(recent))
        new = ways.between(since_ms + 1, to_ms)
        if new.num_ways:
            self.live.observe(new, new.usual_s(self.usual_ms / 1000))

    def metric(self, at_s: float):
        """Travel times as believed."""
        return self.city.network.customize(self.live.travel_ms(self.usual_ms, T0 + round(at_s * 1000)))


def slowed(city, incident):
    """The true travel times while it lasts."""
    travel = usual_ms(city).copy()
    travel[incident.edges] = np.rint(travel[incident.edges] * incident.slower).astype(np.int32)
    return city.network.customize(travel)


class Place(NamedTuple):
    """A city with a street that may slow, the taxis of both, and trips that are driven there."""

    city: City
    edges: np.ndarray
    """of the street"""
    ends: list
    """of each taxi, see :func:`drives`"""
    over: tuple
    """from and to nodes of trips whose usual way leads over the street"""
    elsewhere: tuple
    """of trips that take as long whether it is slow or not"""


def two_banks(num=9, block_m=200.0, river_m=1_000.0, num_parts=5):
    """Two grids on both sides of a river, joined by three bridges; the middle one may slow, both ways."""
    rng = np.random.default_rng(3)
    x, y, streets, node = [], [], [], {}
    for bank in (0, 1):
        for i, j in np.ndindex(num, num):
            node[bank, i, j] = len(x)
            x.append(bank * ((num - 1) * block_m + river_m) + i * block_m + rng.uniform(-20, 20))
            y.append(j * block_m + rng.uniform(-20, 20))
    for (bank, i, j), one in node.items():
        ahead = ((bank, i + 1, j), (bank, i, j + 1))
        streets += [(one, node[other]) for other in ahead if other in node]
    bridges = []
    for j in (0, num // 2, num - 1):
        one, last = node[0, num - 1, j], node[1, 0, j]
        piers = list(range(len(x), len(x) + num_parts - 1))
        shares = np.arange(1, num_parts) / num_parts
        x += (x[one] + shares * (x[last] - x[one])).tolist()
        y += (y[one] + shares * (y[last] - y[one])).tolist()
        way = [one, *piers, last]
        bridges.append(list(pairwise(way)))
        streets += bridges[-1]
    city = city_of(x, y, streets + [(b, a) for a, b in streets], "Banks", speed_kph=50.0)
    slow = {*bridges[1], *((b, a) for a, b in bridges[1])}
    ends = zip(city.graph.tail.tolist(), city.graph.head.tolist(), strict=True)
    edges = np.array([e for e, pair in enumerate(ends) if pair in slow])
    banks = [np.array([n for (side, *_), n in node.items() if side == bank]) for bank in (0, 1)]
    near = [np.array([n for (side, _, j), n in node.items() if side == b and 3 <= j <= 5]) for b in (0, 1)]
    rng = np.random.default_rng(1)
    over = np.stack([rng.choice(nodes, 100) for nodes in near]).astype(np.int32)
    over = np.concatenate([over, over[::-1]], axis=1)
    pairs = np.concatenate([rng.choice(nodes, (2, 150)) for nodes in banks], axis=1).astype(np.int32)
    taxis = [tuple(near)] * 36 + [(banks[0], banks[0])] * 30 + [(banks[1], banks[1])] * 30
    return _place(city, edges, taxis, over, pairs)


def busy_street(city):
    """A stretch of a motorway of a real city, in one direction, that many quickest ways share."""
    graph, rng = city.graph, np.random.default_rng(0)
    metric = city.network.customize(usual_ms(city))
    paths = metric.paths(*rng.integers(0, graph.num_nodes, (2, 3_000)).astype(np.int32))
    uses = np.bincount(paths.edge[paths.edge >= 0], minlength=graph.num_arcs)
    stretch, _ = _stretches(city, 600.0)
    length_m = np.bincount(stretch, graph.length_m)
    used = np.bincount(stretch, uses * graph.length_m) / length_m
    edges = np.flatnonzero(stretch == np.argmax(np.where(length_m > 1_000, used, 0)))
    x, y = city.projection.to_plane(graph.node_lon, graph.node_lat)
    begin = np.setdiff1d(graph.tail[edges], graph.head[edges])[0]
    end = np.setdiff1d(graph.head[edges], graph.tail[edges])[0]
    around = [np.flatnonzero(np.hypot(x - x[n], y - y[n]) < 2_000) for n in (begin, end)]
    pairs = np.stack([rng.choice(nodes, 800) for nodes in around]).astype(np.int32)
    paths = metric.paths(*pairs)
    leads = np.isin(paths.edge, edges)
    over = [i for i in range(800) if leads[paths.first[i] : paths.first[i + 1]].any()]
    pairs, town = pairs[:, over], np.flatnonzero(np.hypot(x - x[begin], y - y[begin]) < 4_000)
    taxis = [(pairs[0, [i]], pairs[1, [i]]) for i in range(36)] + [(town, town)] * 80
    return _place(city, edges, taxis, pairs[:, :100], rng.choice(town, (2, 600)).astype(np.int32))


def _place(city, edges, taxis, over, pairs):
    """Keep the trips that a slow street lengthens by a minute, and of others those that it leaves alone."""
    usual = city.network.customize(usual_ms(city))
    slow = slowed(city, Incident(edges, 0, 1))
    over = over[:, slow.pairs_ms(*over) - usual.pairs_ms(*over) > 60_000]
    same = (slow.pairs_ms(*pairs) == usual.pairs_ms(*pairs)) & (pairs[0] != pairs[1])
    return Place(city, edges, taxis, tuple(over), tuple(pairs[:, same]))
