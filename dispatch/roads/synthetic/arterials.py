"""The main lines on the plan: rings, radials, avenues, shore road, embankments, bridges and motorways."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray

from dispatch.roads.graph import ROAD_CLASSES
from dispatch.roads.synthetic.terrain import BANK_M, SHORE_ROAD_V, Points, Terrain

MOTORWAY, PRIMARY, SECONDARY, TERTIARY, RESIDENTIAL, SERVICE = (
    ROAD_CLASSES.index(c) for c in ("motorway", "primary", "secondary", "tertiary", "residential", "service")
)
STEP_M: Final = 120.0
"""Main lines are drawn on the plan in pieces of about this length."""
OLD_TOWN_M: Final = 620.0
"""Radius of the ring around the old town."""
OVERSHOOT_M: Final = 6.0
"""Lines run so far beyond the line that they end on, so that they surely cross it."""
LOOP_M: Final = 190.0
"""Radius of the loop before the airport's terminals."""


@dataclass(frozen=True)
class Line:
    """One main street or motorway axis as drawn on the plan."""

    points: Points
    road_class: int
    one_way: bool = False

    @cached_property
    def at_m(self) -> NDArray[np.float64]:
        """(points,) distance of each point from the beginning."""
        return np.asarray(np.r_[0.0, np.cumsum(np.hypot(*np.diff(self.points, axis=0).T))], np.float64)

    def point(self, at_m: NDArray[np.float64]) -> Points:
        """Give the points at distances (n,) from the beginning."""
        return np.column_stack([np.interp(at_m, self.at_m, self.points[:, k]) for k in (0, 1)])


@dataclass(frozen=True)
class Web:
    """Polar coordinates of the plan, slightly warped: rings swell and shrink, radials swing."""

    land: Terrain
    phase: NDArray[np.float64]
    """(3,)"""

    def __call__(self, bearing: Any, distance_m: Any) -> Points:
        """Give the points (n, 2) at bearings (radians from the u axis) and distances from the centre."""
        bearing, distance_m = np.broadcast_arrays(np.atleast_1d(bearing), np.atleast_1d(distance_m))
        swell = 0.03 * np.sin(2 * bearing + self.phase[0]) + 0.025 * np.sin(3 * bearing + self.phase[1])
        swing = (
            0.045 * np.sin(distance_m / 1300.0 + self.phase[2]) * np.clip(distance_m / 2500.0 - 0.25, 0, 1)
        )
        angle, r = bearing + swing, distance_m * (1 + swell)
        around = np.column_stack([r * np.cos(angle), r * np.sin(angle)])
        return np.asarray(self.land.centre[0] + around, np.float64)

    def ring(self, distance_m: float, road_class: int, margin_m: float = -OVERSHOOT_M) -> Line:
        """Draw a ring, whole or cut off `margin_m` before the shore road."""
        bearings = np.linspace(0, 2 * np.pi, max(24, int(2 * np.pi * distance_m / STEP_M)))
        if self(bearings, distance_m)[:, 1].min() < SHORE_ROAD_V:
            bearings -= np.pi / 2  # begins and ends in the sea, so that what is left is one piece
        return Line(_ashore(self(bearings, distance_m), margin_m), road_class)

    def radial(self, bearing: float, start_m: float, end_m: float, road_class: int) -> Line:
        """Draw a radial, cut off at the shore road."""
        points = self(bearing, np.linspace(start_m, end_m, max(2, int((end_m - start_m) / STEP_M) + 1)))
        return Line(_ashore(points, -OVERSHOOT_M), road_class)


def _ashore(points: Points, margin_m: float) -> Points:
    """Cut off the ends of a line that lie less than `margin_m` inland of the shore road."""
    height = points[:, 1] - SHORE_ROAD_V - margin_m
    inland = np.flatnonzero(height > 0)
    first, last = int(inland[0]), int(inland[-1])

    def cut(inner: int, outer: int) -> list[Points]:
        if not 0 <= outer < len(points):
            return []
        share = height[inner] / (height[inner] - height[outer])
        return [points[inner] + share * (points[outer] - points[inner])]

    return np.vstack([*cut(first, first - 1), points[first : last + 1], *cut(last, last + 1)])


@dataclass(frozen=True)
class Frame:
    """Main lines of a city, before the streets between them."""

    web: Web
    streets: list[Line]
    """The loop at the airport first"""
    motorways: list[Line]
    airport_area: Any
    """shapely polygon on the plan that smaller streets keep out of"""
    inner_m: float
    """Radius of the inner city"""


def straight(start: Points, end: Points, road_class: int, overshoot_m: float = OVERSHOOT_M) -> Line:
    """Draw a straight line from `start` (2,) to `end` (2,), a little beyond both."""
    length = float(np.hypot(*(end - start)))
    beyond = overshoot_m / length
    fractions = np.linspace(-beyond, 1 + beyond, max(2, int(length / STEP_M) + 1))
    return Line(start + fractions[:, None] * (end - start), road_class)


def make_frame(rng: np.random.Generator, land: Terrain) -> Frame:
    """Lay out main streets and motorways."""
    web = Web(land, rng.uniform(0, 2 * np.pi, 3))
    radius = land.radius_m
    motor_m = 0.6 * radius
    rings = _ring_radii(land, motor_m)
    inner_m = rings[2] if len(rings) > 2 else 0.35 * radius
    bearings, gaps = _bearings(rng)
    to_airport = gaps[0]
    away = float(gaps[-2]) if max(rings) > motor_m + 900 else None
    airport_m = max(*rings, motor_m) + 950.0
    motorways = [
        web.ring(motor_m, MOTORWAY, 130.0),
        web.radial(to_airport, motor_m - 25, airport_m - LOOP_M - 130, MOTORWAY),
    ]
    if away is not None:
        motorways.append(web.radial(away, inner_m + 130, max(rings) - 130, MOTORWAY))
    streets = [_airport_loop(web, to_airport, airport_m)]
    streets += [web.ring(r, PRIMARY) for r in rings]
    streets += [web.radial(b, OLD_TOWN_M - OVERSHOOT_M, radius, PRIMARY) for b in bearings]
    streets += [
        web.radial(
            b,
            (inner_m if abs(b - np.pi / 2) > 0.3 else inner_m + 2000) - OVERSHOOT_M,
            0.97 * radius,
            SECONDARY,
        )
        for b in gaps
        if b not in (to_airport, away)
    ]
    streets += [_shore_road(land), *_river_roads(rng, land, rings), *_avenues(rng, web, bearings, rings)]
    terminal, village = web(to_airport, airport_m)[0], web(bearings[0], airport_m)[0]
    aside = LOOP_M * (village - terminal) / np.hypot(*(village - terminal))
    streets.append(straight(terminal + aside, village, SECONDARY))
    box = shapely.box(-330, -1500, 1600, 1500)
    area = shapely.affinity.rotate(box, np.degrees(to_airport), origin=(0, 0))
    return Frame(web, streets, motorways, shapely.affinity.translate(area, *terminal), inner_m)


def _ring_radii(land: Terrain, motor_m: float) -> list[float]:
    """Radii of the ring streets; none runs along the shore or beside the motorway ring."""
    centre_v = land.centre[0, 1]
    radii = [OLD_TOWN_M, min(1500.0, centre_v - 600.0)]
    r, step = max(3150.0, centre_v + 800.0), 1900.0
    while r < 0.83 * land.radius_m:
        if abs(r - motor_m) > 900:
            radii.append(r)
        r, step = r + step, step * 1.05
    return radii


def _bearings(rng: np.random.Generator) -> tuple[list[float], list[float]]:
    """Bearings of the radials on both banks, the east bank first, and of the gaps between them."""
    radials: list[float] = []
    gaps: list[float] = []
    for east in (True, False):
        ups = np.radians(np.linspace(rng.uniform(3, 7), rng.uniform(66, 71), 3 + int(rng.integers(0, 2))))
        ups[1:-1] += rng.uniform(-0.07, 0.07, len(ups) - 2)
        between = (ups[1:] + ups[:-1]) / 2
        down = -np.radians(rng.uniform(36, 50))
        for out, values in ((radials, [*ups, down]), (gaps, [*between, np.radians(81.0)])):
            out += [float(b) if east else float(np.pi - b) for b in values]
    return radials, gaps


def _airport_loop(web: Web, bearing: float, distance_m: float) -> Line:
    """Draw the one-way loop before the terminals."""
    angle = np.linspace(0, 2 * np.pi, 25)
    around = LOOP_M * np.column_stack([np.cos(angle), np.sin(angle)])
    return Line(web(bearing, distance_m) + around, SERVICE, one_way=True)


def _shore_road(land: Terrain) -> Line:
    reach = 0.97 * np.sqrt(land.radius_m**2 - land.centre[0, 1] ** 2)
    west, east = np.array([-reach, SHORE_ROAD_V]), np.array([reach, SHORE_ROAD_V])
    return straight(west, east, PRIMARY)


def _river_roads(rng: np.random.Generator, land: Terrain, rings: list[float]) -> list[Line]:
    """Draw the embankments on both sides, and bridges between those of the rings."""
    centre_v = land.centre[0, 1]
    v = np.arange(SHORE_ROAD_V - OVERSHOOT_M, centre_v + min(5600.0, 0.55 * land.radius_m), STEP_M)
    u = land.river_half_width(v) + BANK_M + 25.0
    lines = [Line(np.column_stack([side * u, v]), SECONDARY) for side in (-1, 1)]
    for offset in (rng.uniform(-120, 120), (rings[1] + 2900) / 2, -(OLD_TOWN_M + rings[1]) / 2):
        at_v = np.array([centre_v + offset])
        reach = float(land.river_half_width(at_v)[0] + BANK_M + 25.0)
        lines.append(straight(np.array([-reach, at_v[0]]), np.array([reach, at_v[0]]), SECONDARY))
    return lines


def _avenues(rng: np.random.Generator, web: Web, bearings: list[float], rings: list[float]) -> list[Line]:
    """Draw diagonal avenues: each from where one radial meets a ring to where the next one meets another."""
    ups = sorted(b for b in bearings if 0 < b < np.pi)
    pairs = [(a, b) for a, b in itertools.pairwise(ups) if not a < np.pi / 2 < b]
    chosen = rng.permutation(len(pairs))[:3]
    lines = []
    for k in sorted(chosen):
        first, second = pairs[k] if rng.random() < 0.5 else pairs[k][::-1]
        low = int(rng.integers(0, max(1, min(2, len(rings) - 1))))
        start, end = web(first, rings[low])[0], web(second, rings[low + 1])[0]
        lines.append(straight(start, end, SECONDARY))
    return lines
