"""Named areas of a city: for reports, as geofences, as ranks of waiting taxis."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.graph import RoadGraph
from dispatch.roads.snapping import as_lonlat
from dispatch.units import INDEX_DTYPE, NO_INDEX

ZONE_KINDS: Final = ("report", "no_pickup", "rank")
"""What a zone is for: reports only, no pickups inside (a geofence), or a first-in-first-out rank of taxis."""
NEAR_CITY_DEGREES: Final = 0.5
"""Zones of which none comes this near to a city's streets are not its zones."""


@dataclass(frozen=True)
class Zones:
    """Named polygons, in the order in which they win where they overlap.

    Raises
    ------
    InputError
        There is none, names are not unique, a kind is unknown, or a polygon has no area or leaves the range
        of degrees.
    """

    name: tuple[str, ...]
    """(zones,) unique"""
    kind: tuple[str, ...]
    """(zones,) each one of :data:`ZONE_KINDS`"""
    polygon: tuple[Any, ...]
    """(zones,) shapely Polygon or MultiPolygon; degrees, WGS84, longitude first"""

    def __post_init__(self) -> None:
        if not self.polygon or not len(self.name) == len(self.kind) == len(self.polygon):
            raise InputError(
                f"there are {len(self.name)} names, {len(self.kind)} kinds and {len(self.polygon)} polygons: "
                "give one of each per zone, and at least one zone"
            )
        row_of: dict[str, int] = {}
        for row, (name, kind, polygon) in enumerate(zip(self.name, self.kind, self.polygon, strict=True)):
            if row_of.setdefault(name, row) != row:
                raise InputError(
                    f"zones {row_of[name]} and {row} are both named {name!r}: names must be unique; join "
                    "their polygons to one MultiPolygon or rename one"
                )
            if kind not in ZONE_KINDS:
                raise InputError(
                    f"kind of zone {name!r} is {kind!r}: it must be one of {', '.join(ZONE_KINDS)}"
                )
            _check_polygon(name, polygon)

    def __len__(self) -> int:
        """Number of zones."""
        return len(self.name)

    @classmethod
    def load(cls, path: str | Path, city: City | None = None) -> Zones:
        """Read zones from a GeoJSON file.

        Parameters
        ----------
        path : path
            A FeatureCollection of Polygons and MultiPolygons in WGS84, longitude first, each with the
            property ``name`` and perhaps ``kind`` (by default ``report``). Features of other geometries,
            like the points of labels, are passed over. Rings that cross themselves are mended.
        city : City, optional
            The zones must lie in or near it.

        Raises
        ------
        InputError
            The file is missing or no GeoJSON, holds no polygon, a polygon has no name, a name stands twice,
            a kind is unknown, or no zone lies in the city; where longitude and latitude look swapped, it
            says so.
        """
        path = Path(path)
        try:
            names, kinds, polygons = _features_of(path)
            zones = cls(tuple(names), tuple(kinds), tuple(polygons))
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        if city is not None:
            _check_near(zones, city, path)
        return zones

    def of_kind(self, *kinds: str) -> Zones | None:
        """Give the zones of these kinds, None where there is none."""
        rows = [row for row, kind in enumerate(self.kind) if kind in kinds]
        if not rows:
            return None
        chosen = (tuple(values[row] for row in rows) for values in (self.name, self.kind, self.polygon))
        return Zones(*chosen)

    def zone_of(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.int32]:
        """Find the zone of each coordinate; where zones overlap, the first one. Borders belong to zones.

        Parameters
        ----------
        lon, lat : (n,) float64
            Degrees, WGS84.

        Returns
        -------
        (n,) int32
            Row of the zone, ``NO_INDEX`` outside of all.

        Raises
        ------
        InputError
            A coordinate is not finite or out of range.

        Complexity
        ----------
        A tree over the coordinates, which each polygon asks once: 0.5 s for 400,000 coordinates in 100
        zones.
        """
        lons, lats = as_lonlat(lon, lat)
        zone = np.full(len(lons), NO_INDEX, INDEX_DTYPE)
        west, _, east, _ = shapely.total_bounds(self._geometries)
        away = lons - (west + east) / 2
        # The same meridian goes by several numbers: the one nearest to the zones counts.
        lons = np.where(np.abs(away) > 180, lons - 360 * np.rint(away / 360), lons)
        points = shapely.STRtree(shapely.points(lons, lats))
        # A tree over the points, so that each polygon is prepared once and not asked afresh by every point.
        row, point = points.query(self._geometries, predicate="intersects")
        latest_first = np.argsort(row, kind="stable")[::-1]
        # numpy assigns repeated indices in their order, so that the first zone stays.
        zone[point[latest_first]] = row[latest_first]
        return zone

    def of_nodes(self, graph: RoadGraph) -> NDArray[np.int32]:
        """Find the zone of each node of a road network; see :meth:`zone_of`.

        Returns
        -------
        (nodes,) int32
        """
        return self.zone_of(graph.node_lon, graph.node_lat)

    @cached_property
    def _geometries(self) -> NDArray[np.object_]:
        return np.array(self.polygon, np.object_)


def grid_zones(city: City, cell_m: float = 2000.0) -> Zones:
    """Cut a city into squares, where no better zones are known.

    Parameters
    ----------
    city : City
    cell_m : float
        Side of a square, metres, 100 … 100,000.

    Returns
    -------
    Zones
        The squares that hold at least one node, from the north-west to the south-east, in the city's plane.
        The ``centre`` is the square around the middle of the network's bounds; ``N2 E4`` is the one whose
        middle lies 2 km north and 4 km east of it.

    Raises
    ------
    InputError
        `cell_m` is out of range.
    """
    if not 100 <= cell_m <= 100_000:
        raise InputError(f"cell_m is {cell_m}: the side of a square must be 100 to 100,000 metres")
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    cells = np.unique(np.stack([-np.rint(y / cell_m), np.rint(x / cell_m)], axis=1).astype(np.int64), axis=0)
    north, east = -cells[:, 0], cells[:, 1]
    # Points along the sides: what is straight in the plane is bent in degrees.
    side = np.linspace(-0.5, 0.5, 9)
    ring = np.concatenate(
        [
            np.stack([side[:-1], np.full(8, -0.5)], 1),
            np.stack([np.full(8, 0.5), side[:-1]], 1),
            np.stack([-side[:-1], np.full(8, 0.5)], 1),
            np.stack([np.full(8, -0.5), -side[:-1]], 1),
        ]
    )
    corner_x, corner_y = (
        ((middle[:, None] + part) * cell_m).ravel()
        for middle, part in ((east, ring[:, 0]), (north, ring[:, 1]))
    )
    lon, lat = city.projection.to_degrees(corner_x, corner_y)
    # Squares on the antimeridian run on beyond 180 degrees rather than around the Earth.
    lon -= 360 * np.rint((lon - city.projection.lon0) / 360)
    rings = np.stack([lon, lat], axis=1).reshape(len(cells), len(ring), 2)
    polygons = shapely.polygons(rings)
    names = tuple(
        _square_name(a, b) for a, b in zip(north * cell_m / 1000, east * cell_m / 1000, strict=True)
    )
    return Zones(names, ("report",) * len(names), tuple(polygons))


def _square_name(north_thousands: float, east_thousands: float) -> str:
    """Name a square by its thousands of metres from the middle."""
    ways = ((north_thousands, "N", "S"), (east_thousands, "E", "W"))
    parts = [f"{more if value > 0 else less}{abs(value):g}" for value, more, less in ways if value]
    return " ".join(parts) or "centre"


def _features_of(path: Path) -> tuple[list[str], list[str], list[Any]]:
    """Names, kinds and mended polygons of a GeoJSON file."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"not GeoJSON, not even JSON ({error})") from error
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, list) or data.get("type") != "FeatureCollection":
        raise InputError('not GeoJSON with zones: it must be an object of "type": "FeatureCollection"')
    names, kinds, polygons = [], [], []
    for row, feature in enumerate(features):
        geometry = feature.get("geometry") if isinstance(feature, dict) else None
        if not isinstance(geometry, dict) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
            continue
        properties = feature.get("properties") or {}
        name = properties.get("name") if isinstance(properties, dict) else None
        if name is None or not str(name).strip():
            raise InputError(f'feature {row} has no "name" among its properties: every zone needs one')
        names.append(str(name).strip())
        kinds.append(str(properties.get("kind") or "report"))
        polygons.append(_polygon_of(names[-1], geometry))
    if not polygons:
        raise InputError(f"holds {len(features)} features and no Polygon or MultiPolygon among them")
    return names, kinds, polygons


def _polygon_of(name: str, geometry: dict[str, Any]) -> Any:
    try:
        polygon = shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.GEOSException, ValueError) as error:
        raise InputError(f"the polygon of zone {name!r} cannot be read ({error})") from error
    if polygon.is_valid:
        return polygon
    areas: Iterable[Any] = shapely.get_parts(shapely.make_valid(polygon))
    return shapely.union_all([part for part in areas if part.area > 0])


def _check_polygon(name: str, polygon: Any) -> None:
    if shapely.get_type_id(polygon) not in (3, 6) or polygon.area == 0:
        raise InputError(f"zone {name!r} has no area: draw it as a Polygon or MultiPolygon")
    west, south, east, north = polygon.bounds
    if not (south >= -90 and north <= 90):
        swapped = "; longitude and latitude look swapped" if west >= -90 and east <= 90 else ""
        raise InputError(
            f"zone {name!r} reaches from latitude {south:g} to {north:g}: coordinates must be degrees "
            f"(WGS84), longitude first{swapped}"
        )
    if not (west >= -360 and east <= 360):
        raise InputError(
            f"zone {name!r} reaches from longitude {west:g} to {east:g}: coordinates must be degrees (WGS84)"
        )


def _check_near(zones: Zones, city: City, path: Path) -> None:
    """Refuse zones of which none lies in the city or near to it."""
    lon, lat = city.graph.node_lon, city.graph.node_lat
    frame = (lon.min(), lat.min(), lon.max(), lat.max())
    grown = np.array(frame) + NEAR_CITY_DEGREES * np.array([-1, -1, 1, 1])
    if shapely.intersects(zones._geometries, shapely.box(*grown)).any():
        return
    swapped = shapely.box(grown[1], grown[0], grown[3], grown[2])
    hint = "they lie elsewhere"
    if shapely.intersects(zones._geometries, swapped).any():
        hint = "longitude and latitude are swapped: GeoJSON has longitude first"
    west, south, east, north = shapely.total_bounds(zones._geometries)
    raise InputError(
        f"{path}: no zone lies in {city.name}: zones span longitudes {west:.2f} to {east:.2f} and latitudes "
        f"{south:.2f} to {north:.2f}, its streets {frame[0]:.2f} to {frame[2]:.2f} and {frame[1]:.2f} to "
        f"{frame[3]:.2f}; {hint}"
    )
