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
    (("motorway", "trunk"), "#c3cad2", 2.2),
    (("primary", "secondary"), "#d3d9df", 1.3),
    (("tertiary", "residential", "service", "other"), "#e6eaee", 0.8),
)
"""Classes drawn alike, the widest first, with their colour and width in pixels."""
WATER_COLOUR: Final = "#e9f2fa"
MAX_COORDINATES: Final = 120_000
"""More than this no browser moves smoothly; the least streets are left out first."""
WIDE: Final = 1.55
"""Width over height of a map that fills a wide page."""
TOLERANCE_SHARE: Final = 1 / 2000
"""Lines are simplified to this share of the map's width: less than a pixel."""


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

    def widened(self, city: City) -> Frame:
        """Give the frame for a wide screen: as much more to the west and east as `city` has to show."""
        missing = max(0.0, WIDE * self.height_m - self.width_m) / 2
        x, _ = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
        west = min(self.min_x, max(self.min_x - missing, float(x.min())))
        east = max(self.max_x, min(self.max_x + missing, float(x.max())))
        return Frame(west, self.min_y, east, self.max_y)


def frame_of(x: NDArray[np.float64], y: NDArray[np.float64], city: City) -> Frame:
    """Frame that holds all but the outermost points (n,), with a margin; the city's where there are none."""
    if len(x) == 0:
        x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    # A few pickups far out must not shrink the city to a spot.
    west, east = np.quantile(x, [0.002, 0.998])
    south, north = np.quantile(y, [0.002, 0.998])
    margin = 0.06 * max(east - west, north - south, 500.0)
    return Frame(west - margin, south - margin, east + margin, north + margin)


def map_svg(city: City, frame: Frame) -> str:
    """Draw water and streets within the frame as one SVG picture, which a browser moves as a whole.

    One path for each of :data:`TIERS`: both directions of a street are one line, chains of streets are
    joined and simplified to less than a pixel. Drawn as lines of a chart the same streets took 20 times
    as long to show.
    """
    paths = [f'<path d="{path}"/>' for path in street_paths(city, frame)]
    streets = "".join(
        f'<g stroke="{colour}" stroke-width="{width}">{path}</g>'
        for path, (_, colour, width) in reversed(list(zip(paths, TIERS, strict=True)))
    ).replace("<path ", '<path vector-effect="non-scaling-stroke" ')
    size = f"{frame.width_m:.0f} {frame.height_m:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" preserveAspectRatio="none">'
        f'<path d="{water_path(city, frame)}" fill="{WATER_COLOUR}" fill-rule="evenodd"/>'
        f'<g fill="none" stroke-linecap="round" stroke-linejoin="round">{streets}</g></svg>'
    )


def street_paths(city: City, frame: Frame, tolerance_m: float | None = None) -> list[str]:
    """Draw the streets as SVG paths in whole metres from the frame's upper left, one path a tier.

    Parameters
    ----------
    city : City
    frame : Frame
    tolerance_m : float, optional
        Of the simplification; by default :data:`TOLERANCE_SHARE` of the frame's width.

    Returns
    -------
    list of str
        In the order of :data:`TIERS`; empty where there would be more than :data:`MAX_COORDINATES`.
    """
    if tolerance_m is None:
        tolerance_m = frame.width_m * TOLERANCE_SHARE
    graph = city.graph
    x, y = city.projection.to_plane(graph.node_lon, graph.node_lat)
    low, high = np.minimum(graph.tail, graph.head), np.maximum(graph.tail, graph.head)
    tier_of_class = [next(i for i, tier in enumerate(TIERS) if one in tier[0]) for one in ROAD_CLASSES]
    tier = np.array(tier_of_class)[graph.road_class]
    inside = (x >= frame.min_x) & (x <= frame.max_x) & (y >= frame.min_y) & (y <= frame.max_y)
    rows = np.flatnonzero((inside[low] | inside[high]) & (low != high))
    # Of parallel streets the widest is drawn: the first of each pair of ends, in order of tier.
    rows = rows[np.argsort(tier[rows], kind="stable")]
    _, first = np.unique(low[rows].astype(np.int64) * graph.num_nodes + high[rows], return_index=True)
    rows = rows[first]
    paths, num_coordinates = [], 0
    for number in range(len(TIERS)):
        chosen = rows[tier[rows] == number]
        ends = np.stack([low[chosen], high[chosen]], axis=1)
        chains = _chains(np.stack([x[ends], y[ends]], axis=2), tolerance_m)
        num_coordinates += int(shapely.get_num_coordinates(chains).sum())
        paths.append(_path(chains, frame) if num_coordinates <= MAX_COORDINATES else "")
    return paths


def _chains(segments: NDArray[np.float64], tolerance_m: float) -> NDArray[Any]:
    """Join segments (n, 2, 2) that meet end to end, and simplify the lines they make."""
    if len(segments) == 0:
        return np.empty(0, object)
    lines = shapely.line_merge(shapely.multilinestrings(shapely.linestrings(segments)))
    return np.asarray(shapely.simplify(shapely.get_parts(lines), tolerance_m))


def water_path(city: City, frame: Frame) -> str:
    """Draw the water as such a path, with holes for islands; empty where the city knows none."""
    if city.water is None or city.water.is_empty:
        return ""
    plane = shapely.transform(
        city.water, lambda lonlat: np.column_stack(city.projection.to_plane(lonlat[:, 0], lonlat[:, 1]))
    )
    plane = _drawn_on(plane, 2 * max(frame.width_m, frame.height_m))
    box = shapely.box(frame.min_x, frame.min_y, frame.max_x, frame.max_y)
    cut = shapely.intersection(shapely.make_valid(plane), box)
    areas = [part for part in shapely.get_parts(cut) if part.geom_type == "Polygon"]
    rings = shapely.get_rings(shapely.simplify(np.array(areas, object), frame.width_m * TOLERANCE_SHARE))
    return _path(rings, frame)


def _drawn_on(area: Any, by_m: float) -> Any:
    """Let an area that ends at the edge of its own bounds go on: there the data end, not the sea."""
    low, high = np.array(area.bounds).reshape(2, 2)
    # The edges of a box in degrees are slightly bent on the plane.
    near = 0.005 * (high - low)

    def pushed(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(at < low + near, at - by_m, np.where(at > high - near, at + by_m, at))

    return shapely.transform(area, pushed)


def _path(lines: NDArray[Any], frame: Frame) -> str:
    """Lines as one SVG path in whole metres from the frame's upper left, downwards."""
    coordinates, line = shapely.get_coordinates(lines, return_index=True)
    right = np.rint(coordinates[:, 0] - frame.min_x).astype(np.int64).tolist()
    down = np.rint(frame.max_y - coordinates[:, 1]).astype(np.int64).tolist()
    begins = np.diff(line, prepend=-1) != 0
    return "".join(
        f"{'M' if begin else 'L'}{x} {y}" for begin, x, y in zip(begins.tolist(), right, down, strict=True)
    )
