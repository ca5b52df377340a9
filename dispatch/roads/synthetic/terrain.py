"""Sea, river, parks and the bend of the land.

The city is designed on a *plan*: a flat sheet on which the coast is the line ``v = 0`` (sea below) and the
river the line ``u = 0``. :meth:`Terrain.to_ground` bends the sheet, so that streets laid out in straight
lines follow the shore, the meanders and the hills, and no street that keeps to its bank on the plan can end
up in the water.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import shapely
import shapely.affinity
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(points, 2) metres"""

SHORE_ROAD_V: Final = 140.0
"""The shore road runs so far from the sea, metres."""
BANK_M: Final = 55.0
"""No street but bridges comes closer to water, metres."""
RIVER_REACH_M: Final = 3600.0
"""Across this distance the meanders of the river fade away."""
COAST_REACH_M: Final = 5200.0


@dataclass(frozen=True)
class Waves:
    """A smooth random curve: a sum of sines of one variable; arrays are (waves,)."""

    amplitude: NDArray[np.float64]
    length_m: NDArray[np.float64]
    phase: NDArray[np.float64]

    def __call__(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Height of the curve at (n,) positions."""
        angle = 2 * np.pi * at[:, None] / self.length_m + self.phase
        return np.asarray((self.amplitude * np.sin(angle)).sum(axis=1), np.float64)


def waves(rng: np.random.Generator, amplitude_m: float, length_m: tuple[float, float], num: int = 3) -> Waves:
    """Draw a random smooth curve whose waves are of the given range of lengths, the longest the highest."""
    length = np.sort(rng.uniform(*length_m, num))[::-1]
    return Waves(amplitude_m * length / length.sum(), length, rng.uniform(0, 2 * np.pi, num))


@dataclass(frozen=True)
class Terrain:
    """The plan of the land, and how it bends."""

    radius_m: float
    """From the centre to where the city ends"""
    centre: Points
    """(1, 2) on the plan"""
    meander: Waves
    coast: Waves
    hills: tuple[Waves, Waves]
    turn: Points
    """(2, 2) rotation, perhaps with a reflection"""
    water: Any
    """shapely geometry on the plan"""
    parks: Any
    """shapely geometry on the plan"""
    lakes: tuple[Any, ...]
    """Lakes that the parks have room for; not yet part of the water"""

    def landscaped(self, roads: Any, motorways: Any) -> Terrain:
        """Take out parks that a motorway runs by, and fill the lakes that no road comes close to.

        `roads` and `motorways` are shapely geometries on the plan.
        """
        parks = [park for park in shapely.get_parts(self.parks) if park.distance(motorways) > 2 * BANK_M]
        green = shapely.union_all(parks)
        lakes = [lake for lake in self.lakes if lake.within(green) and lake.distance(roads) > BANK_M]
        water = shapely.union_all([self.water, *lakes])
        return replace(self, water=water, parks=shapely.difference(green, water), lakes=())

    def river_half_width(self, v: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half the width of the river at `v` (n,) on the plan: it widens towards its mouth."""
        return 85.0 + 130.0 * np.exp(-np.maximum(v, 0) / 900.0)

    def to_ground(self, plan: Points) -> Points:
        """Bend points of the plan; metres east and north of the city's centre."""
        return (self._bend(plan) - self._bend(self.centre)) @ self.turn

    def _bend(self, plan: Points) -> Points:
        u, v = plan[:, 0], plan[:, 1]
        fade_u = np.exp(-((u / RIVER_REACH_M) ** 2))
        fade_v = np.exp(-((np.maximum(v, 0) / COAST_REACH_M) ** 2))
        x = u + self.meander(v) * fade_u + self.hills[0](v + 0.5 * u) * (1 - fade_u)
        y = v + self.coast(u) * fade_v + self.hills[1](u - 0.4 * v) * (1 - fade_v)
        return np.column_stack([x, y])

    def geometry_to_ground(self, geometry: Any) -> Any:
        """Bend a shapely geometry, its edges cut fine enough to follow the curve."""
        return shapely.transform(shapely.segmentize(geometry, 60.0), self.to_ground)

    def from_centre(self, plan: Points) -> NDArray[np.float64]:
        """Distance from the city's centre on the plan, metres."""
        return np.asarray(np.hypot(*(plan - self.centre).T), np.float64)

    def at(self, bearing: float, distance_m: float) -> Points:
        """Give the point (2,) of the plan at a bearing (radians) and distance from the centre."""
        direction = np.array([np.cos(bearing), np.sin(bearing)])
        return np.asarray(self.centre[0] + distance_m * direction, np.float64)


def make_terrain(rng: np.random.Generator, radius_m: float) -> Terrain:
    """Draw the land of a city that reaches `radius_m` from its centre."""
    centre = np.array([[rng.uniform(-150, 150), rng.uniform(1900, 2500)]])
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if rng.random() < 0.5:
        turn = np.diag([-1.0, 1.0]) @ turn
    land = Terrain(
        radius_m=radius_m,
        centre=centre,
        meander=waves(rng, rng.uniform(550, 950), (4500, 9000)),
        coast=waves(rng, rng.uniform(1400, 2300), (7000, 16000)),
        hills=(waves(rng, 320.0, (4000, 8000)), waves(rng, 320.0, (4000, 8000))),
        turn=turn,
        water=None,
        parks=None,
        lakes=(),
    )
    sea = shapely.difference(_sea(rng, radius_m), _harbour(rng))
    water = shapely.union_all([sea, _river(rng, land)])
    parks, lakes = _parks(rng, land)
    return replace(land, water=water, parks=shapely.difference(parks, water.buffer(40.0)), lakes=lakes)


def _sea(rng: np.random.Generator, radius_m: float) -> Any:
    """Everything below a slightly ragged ``v = 0``."""
    u = np.arange(-2.2 * radius_m, 2.2 * radius_m, 60.0)
    shore = np.minimum(waves(rng, 55.0, (400, 2600), 6)(u), 70.0)
    deep = [[u[-1], -2.2 * radius_m], [u[0], -2.2 * radius_m]]
    return shapely.Polygon(np.vstack([np.column_stack([u, shore]), deep]))


def _river(rng: np.random.Generator, land: Terrain) -> Any:
    v = np.arange(-300.0, 2.4 * land.radius_m, 60.0)
    half = land.river_half_width(v)
    left = -half + np.clip(waves(rng, 14.0, (500, 2000), 4)(v), -14, 14)
    right = half + np.clip(waves(rng, 14.0, (500, 2000), 4)(v), -14, 14)
    return shapely.Polygon(np.vstack([np.column_stack([left, v]), np.column_stack([right, v])[::-1]]))


def _harbour(rng: np.random.Generator) -> Any:
    """Piers and a breakwater, built out into the sea beside the mouth of the river."""
    side = rng.choice([-1.0, 1.0])
    piers = []
    for k in range(int(rng.integers(3, 6))):
        u, reach = side * (520 + 330 * k), rng.uniform(380, 620)
        piers.append(shapely.box(u - 75, -reach, u + 75, 60))
    end = side * (620 + 330 * len(piers))
    mole = shapely.LineString(
        [[end, 40], [end + side * 90, -560], [end - side * 250, -960], [side * 900, -1080]]
    )
    return shapely.union_all([*piers, mole.buffer(28.0)])


def _parks(rng: np.random.Generator, land: Terrain) -> tuple[Any, tuple[Any, ...]]:
    """Give parks and the lakes in some of them."""
    shapes, lakes = [], []
    bearings = rng.permutation(np.linspace(0.25, np.pi - 0.25, 8))
    reach = land.radius_m / 11_500
    for k, distance in enumerate(
        (2300, 2700, 4500 * reach, 5000 * reach, 7600 * reach, 8000 * reach, 8300 * reach)
    ):
        middle = land.at(float(bearings[k]), float(distance * rng.uniform(0.93, 1.07)))
        if abs(middle[0]) < 700:  # keep off the river
            middle[0] = np.copysign(700.0, middle[0])
        size = (rng.uniform(480, 640), rng.uniform(300, 420)) if k < 2 else rng.uniform(500, 1000, 2)
        shape = shapely.box(-size[0], -size[1], size[0], size[1]) if k < 2 else _blob(rng, size)
        turned = shapely.affinity.rotate(
            shape, np.degrees(bearings[k]) if k < 2 else rng.uniform(0, 180), (0, 0)
        )
        shapes.append(shapely.affinity.translate(turned, *middle))
        if k in (1, 4):
            lake = shapely.affinity.scale(_blob(rng, size), 0.42, 0.38, origin=(0, 0))
            lakes.append(shapely.affinity.translate(lake, *middle))
    return shapely.union_all(shapes), tuple(lakes)


def _blob(rng: np.random.Generator, size: Any) -> Any:
    """Give a rounded shape of about the half axes `size`."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    r = 1 + 0.16 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(3 * angle + rng.uniform(0, 6))
    return shapely.Polygon(np.column_stack([size[0] * r * np.cos(angle), size[1] * r * np.sin(angle)]))
