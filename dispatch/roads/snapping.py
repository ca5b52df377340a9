"""Coordinates to the nearest node of a road network."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.roads.graph import RoadGraph
from dispatch.spatial.grid_index import GridIndex
from dispatch.spatial.projection import LocalProjection
from dispatch.units import INDEX_DTYPE, NO_INDEX

MAX_SNAP_M: Final = 200.0
"""How far a coordinate may lie from its node, unless told otherwise."""

MARGIN_DEGREES: Final = 0.02
"""How far outside of the network's bounds a coordinate still counts as in the city."""


class Snapper:
    """Finds the nearest node of coordinates.

    Parameters
    ----------
    graph : RoadGraph
    projection : LocalProjection
        The plane in which distances are measured.
    """

    def __init__(self, graph: RoadGraph, projection: LocalProjection) -> None:
        self.projection = projection
        self._half_width = float(np.abs(self._east(graph.node_lon)).max()) + MARGIN_DEGREES
        self._half_height = float(np.abs(graph.node_lat - projection.lat0).max()) + MARGIN_DEGREES
        self.index = GridIndex(*projection.to_plane(graph.node_lon, graph.node_lat))

    def covers(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Tell which coordinates (n,) lie within the network's bounds, widened a little; False for NaN."""
        with np.errstate(invalid="ignore"):
            covered: NDArray[np.bool_] = (np.abs(self._east(lon)) <= self._half_width) & (
                np.abs(lat - self.projection.lat0) <= self._half_height
            )
        return covered

    def _east(self, lon: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give degrees east of the centre, -180 … 180."""
        east: NDArray[np.float64] = (lon - self.projection.lon0 + 180) % 360 - 180
        return east

    def snap(
        self, lon: ArrayLike, lat: ArrayLike, max_distance_m: float = MAX_SNAP_M
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Find the nearest node of each coordinate.

        Parameters
        ----------
        lon, lat : (n,) float64
            Degrees, WGS84.
        max_distance_m : float
            Coordinates farther than this from every node have none.

        Returns
        -------
        node : (n,) int32
            NO_INDEX beyond the limit.
        distance_m : (n,) float64
            Metres to the node, infinite beyond the limit.

        Raises
        ------
        InputError
            A coordinate is not finite or out of range.
        """
        lons, lats = as_lonlat(lon, lat)
        found = self.index.nearest(*self.projection.to_plane(lons, lats), 1, max_distance_m)
        node = np.full(len(lons), NO_INDEX, INDEX_DTYPE)
        distance_m = np.full(len(lons), np.inf)
        has_node = np.diff(found.first) > 0
        node[has_node], distance_m[has_node] = found.item, found.distance_m
        return node, distance_m


def as_lonlat(lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give a caller's coordinates (n,) as float64.

    Raises
    ------
    InputError
        A coordinate is not finite or out of range.
    """
    lons, lats = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
    if lons.shape != lats.shape or lons.ndim != 1:
        raise InputError(f"lon has shape {lons.shape} and lat {lats.shape}: both must be (n,)")
    wrong = np.flatnonzero(~((np.abs(lons) <= 360) & (np.abs(lats) <= 90)))
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"lon, lat at row {row} are {lons[row]}, {lats[row]} ({len(wrong)} such rows): coordinates "
            "must be finite degrees; leave out rows without a position"
        )
    return lons, lats
