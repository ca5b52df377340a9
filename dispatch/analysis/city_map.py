"""The quiet map behind the pickups: streets as few, long lines in the city's plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.roads.city import City
from dispatch.roads.graph import ROAD_CLASSES

TIERS: Final = (
    ("motorway", "trunk"),
    ("primary", "secondary"),
    ("tertiary", "residential", "service", "other"),
)
"""Classes drawn alike, the widest first."""
MAX_COORDINATES: Final = 60_000
"""More than this no browser moves smoothly; the least streets are left out first."""
TOLERANCE_SHARE: Final = 1 / 2000
"""Lines are simplified to this share of the map's width: less than a pixel."""

Line = list[int | None]


@dataclass(frozen=True)
class Frame:
    """What part of the plane is shown, metres."""

    min_x: float
    min_y: float
    max_x: float
    max_y: float

    @property
    def width_m(self) -> float:
        """From west to east."""
        return self.max_x - self.min_x

    @property
    def height_m(self) -> float:
        """From south to north."""
        return self.max_y - self.min_y


@dataclass(frozen=True)
class MapLines:
    """One class of streets as a line with gaps; metres, whole."""

    x: Line
    """``None`` between two lines"""
    y: Line


def frame_of(x: NDArray[np.float64], y: NDArray[np.float64], city: City) -> Frame:
    """Frame that holds all but the outermost points, with a margin; the city's where there are none."""
    if len(x) == 0:
        x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    # A few pickups far out must not shrink the city to a spot.
    west, east = np.quantile(x, [0.002, 0.998])
    south, north = np.quantile(y, [0.002, 0.998])
    margin = 0.06 * max(east - west, north - south, 500.0)
    return Frame(west - margin, south - margin, east + margin, north + margin)


def street_lines(city: City, frame: Frame) -> list[MapLines]:
    """Draw the streets within the frame, one entry for each of :data:`TIERS`.

    Both directions of a street are one, chains of streets are joined and simplified to less than a
    pixel.
    """
    graph = city.graph
    x, y = city.projection.to_plane(graph.node_lon, graph.node_lat)
    low, high = np.minimum(graph.tail, graph.head), np.maximum(graph.tail, graph.head)
    tier_of_class = np.array([next(i for i, tier in enumerate(TIERS) if one in tier) for one in ROAD_CLASSES])
    tier = tier_of_class[graph.road_class]
    inside = (x >= frame.min_x) & (x <= frame.max_x) & (y >= frame.min_y) & (y <= frame.max_y)
    visible = (inside[low] | inside[high]) & (low != high)
    # Of parallel streets the widest is drawn: rows are unique by their ends, in order of tier.
    rows = np.flatnonzero(visible)
    rows = rows[np.argsort(tier[rows], kind="stable")]
    _, first = np.unique(low[rows].astype(np.int64) * graph.num_nodes + high[rows], return_index=True)
    rows = rows[first]
    drawn, num_coordinates = [], 0
    for number in range(len(TIERS)):
        chosen = rows[tier[rows] == number]
        ends = np.stack([low[chosen], high[chosen]], axis=1)
        lines = _merged(np.stack([x[ends], y[ends]], axis=2), frame)
        num_coordinates += len(lines.x)
        drawn.append(lines if num_coordinates <= MAX_COORDINATES else MapLines([], []))
    return drawn


def _merged(segments: NDArray[np.float64], frame: Frame) -> MapLines:
    """Join segments (n, 2, 2) to chains and simplify them."""
    if len(segments) == 0:
        return MapLines([], [])
    chains = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(shapely.linestrings(segments))))
    return _with_gaps(shapely.simplify(chains, frame.width_m * TOLERANCE_SHARE))


def water_path(city: City, frame: Frame) -> str:
    """Draw the water within the frame as an SVG path with holes for islands; empty where there is none."""
    if city.water is None or city.water.is_empty:
        return ""
    plane = shapely.transform(
        city.water, lambda lonlat: np.column_stack(city.projection.to_plane(lonlat[:, 0], lonlat[:, 1]))
    )
    box = shapely.box(frame.min_x, frame.min_y, frame.max_x, frame.max_y)
    cut = shapely.intersection(shapely.make_valid(plane), box)
    areas = [part for part in shapely.get_parts(cut) if part.geom_type == "Polygon"]
    rings = shapely.get_rings(shapely.simplify(np.array(areas, object), frame.width_m * TOLERANCE_SHARE))
    corners = [np.rint(shapely.get_coordinates(ring)).astype(np.int64).tolist() for ring in rings]
    return "".join("M" + "L".join(f"{x},{y}" for x, y in ring) + "Z" for ring in corners)


def _with_gaps(lines: NDArray[Any]) -> MapLines:
    coordinates, line = shapely.get_coordinates(lines, return_index=True)
    whole = np.rint(coordinates).astype(np.int64)
    breaks = np.flatnonzero(np.diff(line)) + 1
    x: Line = []
    y: Line = []
    for piece in np.split(whole, breaks):
        x += [*piece[:, 0].tolist(), None]
        y += [*piece[:, 1].tolist(), None]
    return MapLines(x, y)
