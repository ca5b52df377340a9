"""The area that is imported: a box, a polygon, or all of the file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.errors import InputError


def area_of(bbox: Sequence[float] | None, polygon: Any) -> Any:
    """Give the area as a shapely geometry in degrees, None for all of the file.

    Raises
    ------
    InputError
        Both are given, or one is no area on the globe.
    """
    if bbox is not None and polygon is not None:
        raise InputError("bbox and polygon are both given: name the area once")
    if bbox is not None:
        return _box(bbox)
    if polygon is None:
        return None
    if not isinstance(polygon, shapely.Polygon | shapely.MultiPolygon) or polygon.is_empty:
        raise InputError(
            f"polygon is {str(polygon)[:60]}: it must be a shapely polygon with an area, in degrees"
        )
    if not polygon.is_valid:
        raise InputError(f"polygon is not valid ({shapely.is_valid_reason(polygon)}): mend it, then import")
    _check_globe("polygon", polygon.bounds)
    return polygon


def inside(area: Any, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which points (n,) lie in an area or on its border; all of them if it is None."""
    if area is None:
        return np.ones(len(lon), np.bool_)
    shapely.prepare(area)
    return np.asarray(shapely.intersects_xy(area, lon, lat), np.bool_)


def _box(bbox: Sequence[float]) -> Any:
    if len(bbox) != 4:
        told = ", ".join(map(str, bbox))
        raise InputError(f"bbox is {told}: it must be west, south, east, north in degrees")
    west, south, east, north = (float(side) for side in bbox)
    _check_globe("bbox", (west, south, east, north))
    if west >= east or south >= north:
        raise InputError(
            f"bbox is {west}, {south}, {east}, {north}: west must be less than east and south less than north"
        )
    return shapely.box(west, south, east, north)


def _check_globe(field: str, bounds: tuple[float, float, float, float]) -> None:
    west, south, east, north = bounds
    possible = all(math.isfinite(side) for side in bounds)
    if not possible or max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
        raise InputError(
            f"{field} reaches from {west}, {south} to {east}, {north}: it must be WGS84 degrees, "
            "longitude before latitude"
        )
