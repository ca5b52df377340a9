"""Motorways on the ground: two one-way carriageways each, joined to the streets by ramps only."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import shapely

from dispatch.roads.synthetic.arterials import PRIMARY, Frame, Line
from dispatch.roads.synthetic.crossings import Numbers, Stops, line_crossings, place
from dispatch.roads.synthetic.terrain import Points, Terrain

CARRIAGEWAY_M: Final = 16.0
"""Half the distance between the carriageways."""
RAMP_M: Final = 290.0
"""Ramps leave and join so far from the street that they serve."""
JUNCTION_M: Final = 360.0
"""Ramps between motorways leave and join so far from their crossing."""
FOOT_M: Final = 65.0
"""Ramps meet the street so far from the motorway."""
BETWEEN_M: Final = 950.0
"""Interchanges keep this distance."""
BEND_M: Final = 260.0
MOTORWAY_KPH: Final = 100.0
RAMP_KPH: Final = 50.0


@dataclass(frozen=True)
class Interchange:
    """A motorway crossing a street, or ending at one."""

    motorway: int
    at_m: float
    feet: tuple[int, ...]
    """Rows in :attr:`Interchanges.feet`: two where it crosses, one where it ends"""


@dataclass(frozen=True)
class Interchanges:
    """All interchanges, and the places on streets where their ramps end."""

    places: list[Interchange]
    junctions: list[tuple[int, float, int, float]]
    """Crossings of two motorways: motorway, distance along it, other one, distance along that"""
    feet: Stops


@dataclass
class Carriageways:
    """Nodes and directed edges; a node -1 - k is the foot k of a ramp."""

    points: list[Points] = field(default_factory=list)
    tail: list[int] = field(default_factory=list)
    head: list[int] = field(default_factory=list)
    speed_kph: list[float] = field(default_factory=list)

    def add_point(self, point: Points) -> int:
        """Add a node (2,) and give its number."""
        self.points.append(point)
        return len(self.points) - 1

    def join(self, nodes: list[int], speed_kph: float) -> None:
        """Add one-way edges from node to node."""
        self.tail += nodes[:-1]
        self.head += nodes[1:]
        self.speed_kph += [speed_kph] * (len(nodes) - 1)


def find_interchanges(frame: Frame) -> Interchanges:
    """Choose where streets get on: main streets that cross, and where a motorway ends."""
    junctions = []
    for k in range(1, len(frame.motorways)):
        on_ring, on_spur = line_crossings(frame.motorways[:1], [frame.motorways[k]])
        junctions += [(0, float(a), k, float(b)) for a, b in zip(on_ring.at_m, on_spur.at_m, strict=True)]
    places: list[Interchange] = []
    line: list[int] = []
    at_m: list[float] = []
    taken: list[list[float]] = [[] for _ in frame.motorways]
    for a, at_a, b, at_b in junctions:
        taken[a].append(at_a)
        taken[b].append(at_b)
    for k, one in enumerate(frame.motorways):
        for end in (0.0, float(one.at_m[-1])):
            if all(abs(end - at) > 100 for at in taken[k]):
                street, along = _nearest(frame.streets, one.point(np.array([end]))[0])
                places.append(Interchange(k, end, (len(line),)))
                line.append(street)
                at_m.append(along)
                taken[k].append(end)
    on_motorway, on_street = line_crossings(frame.motorways, frame.streets)
    for k, s, street, along in zip(*on_motorway, *on_street, strict=True):
        if frame.streets[street].road_class == PRIMARY and all(abs(s - at) > BETWEEN_M for at in taken[k]):
            taken[k].append(float(s))
            places.append(Interchange(int(k), float(s), (len(line), len(line) + 1)))
            line += [int(street)] * 2
            at_m += [float(along) - FOOT_M, float(along) + FOOT_M]
    return Interchanges(places, junctions, Stops(np.array(line, np.int64), np.array(at_m)))


def _nearest(streets: list[Line], point: Points) -> tuple[int, float]:
    """Give the street nearest to a point (2,), and how far along it the nearest place is."""
    shapes = [shapely.linestrings(one.points) for one in streets]
    here = shapely.Point(point)
    k = int(np.argmin(shapely.distance(shapes, here)))
    return k, float(shapely.line_locate_point(shapes[k], here))


def build_carriageways(land: Terrain, frame: Frame, found: Interchanges) -> Carriageways:
    """Draw carriageways and ramps on the ground."""
    out = Carriageways()
    feet = land.to_ground(place(frame.streets, found.feet))
    tracks = [_Track(land, out, one, k, found) for k, one in enumerate(frame.motorways)]
    for one in found.places:
        if len(one.feet) == 1:
            tracks[one.motorway].end_at(one)
        else:
            tracks[one.motorway].serve(one, feet)
    for a, at_a, b, at_b in found.junctions:
        middle = tracks[a].ground(at_a)
        for first, at_1, second, at_2 in (
            (tracks[a], at_a, tracks[b], at_b),
            (tracks[b], at_b, tracks[a], at_a),
        ):
            for before in (-1, 1):
                for after in (-1, 1):
                    _ramp(
                        out,
                        first.node(at_1 + before * JUNCTION_M, -before),
                        second.node(at_2 + after * JUNCTION_M, after),
                        middle,
                    )
    return out


def _ramp(out: Carriageways, start: int | None, end: int | None, bend: Points, pull: float = 0.5) -> None:
    """Add a curved ramp between two nodes, drawn towards `bend` (2,); nothing if a node is missing."""
    if start is None or end is None:
        return
    a, b = out.points[start], out.points[end]
    out.join([start, out.add_point((1 - pull) * (a + b) / 2 + pull * bend), end], RAMP_KPH)


class _Track:
    """One motorway: its stations, with a node on each carriageway."""

    def __init__(self, land: Terrain, out: Carriageways, line: Line, k: int, found: Interchanges) -> None:
        self.land, self.out, self.line = land, out, line
        stations = self._stations(k, found)
        tangent = self.ground(stations + 5.0) - self.ground(stations - 5.0)
        tangent /= np.hypot(*tangent.T)[:, None]
        middle, right = self.ground(stations), np.column_stack([tangent[:, 1], -tangent[:, 0]])
        self.stations, self.middle, self.right = stations, middle, right
        self.nodes = {
            way: [out.add_point(p) for p in middle + way * CARRIAGEWAY_M * right] for way in (1, -1)
        }
        out.join(self.nodes[1], MOTORWAY_KPH)
        out.join(self.nodes[-1][::-1], MOTORWAY_KPH)

    def _stations(self, k: int, found: Interchanges) -> Numbers:
        """Where the nodes are: at ramps, and between them as the bends need."""
        low, high = 0.0, float(self.line.at_m[-1])
        wanted = []
        for a, at_a, b, at_b in found.junctions:
            if k in (a, b):
                at = at_a if k == a else at_b
                wanted += [at - JUNCTION_M, at + JUNCTION_M]
                low = at + JUNCTION_M if at - low < 100 else low
                high = at - JUNCTION_M if high - at < 100 else high
        for one in found.places:
            if one.motorway == k and len(one.feet) == 2:
                wanted += [one.at_m - RAMP_M, one.at_m + RAMP_M]
        fixed = np.unique(np.clip([low, high, *wanted], low, high))
        self.low, self.high = low, high
        pieces = [
            np.linspace(a, b, int((b - a) / BEND_M) + 1, endpoint=False) for a, b in itertools.pairwise(fixed)
        ]
        stations = np.concatenate([*pieces, fixed[-1:]])
        wet = shapely.contains_xy(self.land.water.buffer(2 * CARRIAGEWAY_M), self.line.point(stations))
        return np.asarray(stations[~wet], np.float64)

    def ground(self, at_m: Numbers | float) -> Points:
        """Give points of the axis on the ground; beyond its ends it runs straight on."""
        at = np.atleast_1d(np.asarray(at_m, np.float64))
        inner = np.clip(at, 6.0, self.line.at_m[-1] - 6.0)
        points, ahead = (
            self.land.to_ground(self.line.point(inner)),
            self.land.to_ground(self.line.point(inner + 5.0)),
        )
        points = points + (ahead - points) / 5.0 * (at - inner)[:, None]
        return points if np.ndim(at_m) else points[0]

    def node(self, at_m: float, way: int) -> int | None:
        """Give the node at a station on the carriageway of a direction, None beyond the ends."""
        if not self.low - 1 <= at_m <= self.high + 1:
            return None
        return self.nodes[way][int(np.argmin(np.abs(self.stations - at_m)))]

    def end_at(self, one: Interchange) -> None:
        """Join both carriageways to the street where the motorway ends."""
        foot = -1 - one.feet[0]
        k, way = (0, -1) if one.at_m <= self.low else (-1, 1)
        self.out.join([self.nodes[way][k], foot, self.nodes[-way][k]], RAMP_KPH)

    def serve(self, one: Interchange, feet: Points) -> None:
        """Add the four ramps of an interchange."""
        k = int(np.argmin(np.abs(self.stations - one.at_m)))
        side = [float((feet[f] - self.ground(one.at_m)) @ self.right[k]) for f in one.feet]
        for way in (1, -1):
            f = one.feet[int(np.argmax(way * np.array(side)))]
            for before in (True, False):
                sign = -way if before else way
                far = self.node(one.at_m + sign * RAMP_M, way)
                if far is None:
                    continue
                aside = self.ground(one.at_m + sign * 0.42 * RAMP_M) + way * 52.0 * self.right[k]
                bend, foot = self.out.add_point(aside), -1 - f
                self.out.join([far, bend, foot] if before else [foot, bend, far], RAMP_KPH)
