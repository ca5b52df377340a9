"""Places on the streets of a road network: the nearest one to a coordinate, and where one lies."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels import edge_grid
from dispatch.kernels.grid import FRAME_SIZE, Points
from dispatch.roads.graph import RoadGraph
from dispatch.roads.snapping import MAX_SNAP_M, as_lonlat
from dispatch.roads.travel_times import as_nodes
from dispatch.spatial.projection import LocalProjection
from dispatch.units import INDEX_DTYPE, NO_INDEX


@dataclass(frozen=True)
class Places:
    """Places on arcs of a road graph.

    A place lies on its street, not at a crossing: also at either end of the arc, who comes to it drives onto
    that arc (or the one of the other direction), and who leaves it drives on along it.
    """

    edge: NDArray[np.int32]
    """(n,) row of the arc, NO_INDEX where there is no place"""
    share: NDArray[np.float64]
    """(n,) of the way from the arc's tail to its head, by length, 0 … 1"""
    distance_m: NDArray[np.float64]
    """(n,) metres from the coordinate that was looked for, infinite where there is no place"""
    side: NDArray[np.int8]
    """(n,) where that coordinate lies, seen along the arc: -1 left, 1 right, 0 on it or straight ahead"""

    def __len__(self) -> int:
        return len(self.edge)

    def take(self, rows: NDArray[np.integer]) -> Places:
        """Give some of the places, in the order of `rows` (n,)."""
        return Places(self.edge[rows], self.share[rows], self.distance_m[rows], self.side[rows])

    @classmethod
    def on(cls, edge: ArrayLike, share: ArrayLike) -> Places:
        """Make places of arcs and shares.

        Parameters
        ----------
        edge : (n,) int32
            Rows of the graph's arcs, NO_INDEX for no place.
        share : (n,) float64
            0 … 1.

        Raises
        ------
        InputError
            A share is no share, or a row is negative.
        """
        rows = as_nodes("edge", np.atleast_1d(np.asarray(edge)))
        shares = np.atleast_1d(np.ascontiguousarray(share, np.float64))
        if rows.ndim != 1 or rows.shape != shares.shape:
            raise InputError(f"edge has shape {rows.shape} and share {shares.shape}: both must be (n,)")
        wrong = np.flatnonzero(~((rows >= NO_INDEX) & (shares >= 0) & (shares <= 1)))
        if len(wrong):
            row = wrong[0]
            raise InputError(
                f"edge, share at row {row} are {rows[row]}, {shares[row]}: an edge is a row of the graph's "
                f"arcs or {NO_INDEX}, a share lies between 0 and 1"
            )
        distance_m = np.where(rows == NO_INDEX, np.inf, 0.0)
        return cls(rows, shares, distance_m, np.zeros(len(rows), np.int8))


class EdgeSnapper:
    """Finds the nearest street of coordinates, exactly, in the plane of the city.

    Of two arcs that are the two directions of one street, the one with the lower row stands for both.

    Parameters
    ----------
    graph : RoadGraph
        Arcs without shapes are straight.
    projection : LocalProjection
        The plane in which distances are measured.
    """

    def __init__(self, graph: RoadGraph, projection: LocalProjection) -> None:
        self.projection = projection
        self._twin = graph.twin
        self.lines = _lines_of(graph, projection)
        """Segments of one direction of each street, as kernels read them"""
        first_slot = np.zeros(len(self.lines.x) + 2, INDEX_DTYPE)
        frame, segment, ends = np.zeros(FRAME_SIZE), np.empty(0, INDEX_DTYPE), np.empty(0)
        if len(self.lines.x):
            segment, ends = edge_grid.build(self.lines, frame, first_slot)
        self.grid = edge_grid.EdgeGrid(frame, first_slot, segment, ends)
        """Of these"""

    def snap(self, lon: ArrayLike, lat: ArrayLike, max_distance_m: float = MAX_SNAP_M) -> Places:
        """Find the nearest street of each coordinate; of equally near ones the arc with the lowest row.

        Parameters
        ----------
        lon, lat : (n,) float64
            Degrees, WGS84.
        max_distance_m : float
            Coordinates farther than this from every street have no place.

        Returns
        -------
        Places
            (n,)

        Raises
        ------
        InputError
            A coordinate is not finite or out of range, or the limit is no distance.
        """
        lons, lats = as_lonlat(lon, lat)
        if isnan(max_distance_m) or max_distance_m < 0:
            raise InputError(
                f"max_distance_m is {max_distance_m}: it must be a distance in metres, not negative"
            )
        num = len(lons)
        places = Places(np.empty(num, INDEX_DTYPE), np.empty(num), np.empty(num), np.empty(num, np.int8))
        points = Points(*self.projection.to_plane(lons, lats))
        edge_grid.snap(
            self.lines,
            self.grid,
            points,
            float(max_distance_m),
            places.edge,
            places.share,
            places.distance_m,
            places.side,
        )
        return places

    def lonlat(self, places: Places) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the coordinates of places, for drawing.

        Returns
        -------
        lon, lat : (n,) float64
            Degrees, WGS84; infinite where there is no place.

        Raises
        ------
        InputError
            An edge is no row of the graph's arcs.
        """
        check_edges(places, len(self._twin))
        lon, lat = np.full(len(places), np.inf), np.full(len(places), np.inf)
        there = np.flatnonzero(places.edge != NO_INDEX)
        edge, share = places.edge[there], places.share[there]
        twin = self._twin[edge]
        turned = (twin != NO_INDEX) & (twin < edge)
        edge, share = np.where(turned, twin, edge), np.where(turned, 1.0 - share, share)
        x, y, along, of = self.lines
        # The last point at or before the place that has another one of the edge behind it.
        k = np.searchsorted(2.0 * of + along, 2.0 * edge + share, side="right") - 1
        k = np.clip(k, np.searchsorted(of, edge), np.searchsorted(of, edge, side="right") - 2)
        length = along[k + 1] - along[k]
        part = np.clip((share - along[k]) / np.where(length > 0, length, 1.0), 0.0, 1.0)
        at_x, at_y = (axis[k] + part * (axis[k + 1] - axis[k]) for axis in (x, y))
        lon[there], lat[there] = self.projection.to_degrees(at_x, at_y)
        return lon, lat


def check_edges(places: Places, num_arcs: int) -> None:
    """Refuse places on arcs that a graph has not.

    Raises
    ------
    InputError
    """
    wrong = np.flatnonzero((places.edge >= num_arcs) | (places.edge < NO_INDEX))
    if len(wrong):
        raise InputError(
            f"edge at row {wrong[0]} is {places.edge[wrong[0]]}: the graph has {num_arcs} arcs; were the "
            "places found on another graph?"
        )


def _lines_of(graph: RoadGraph, projection: LocalProjection) -> edge_grid.Lines:
    """Lay out the points of one arc of each street in the plane."""
    row = np.arange(graph.num_arcs)
    streets = row[(graph.twin == NO_INDEX) | (row < graph.twin)]
    if graph.shapes is not None:
        shapes = graph.shapes.take(streets)
        size, lon, lat = np.diff(shapes.first_point), shapes.lon, shapes.lat
    else:
        ends = np.stack([graph.tail[streets], graph.head[streets]], axis=1).ravel()
        size, lon, lat = np.full(len(streets), 2), graph.node_lon[ends], graph.node_lat[ends]
    x, y = projection.to_plane(lon, lat)
    edge = np.repeat(streets, size).astype(INDEX_DTYPE)
    first, last = np.cumsum(size) - size, np.cumsum(size) - 1
    step = np.zeros(len(x))
    step[1:] = np.hypot(np.diff(x), np.diff(y))
    step[first] = 0.0
    way = np.cumsum(step)
    length = np.repeat(way[last] - way[first], size)
    share = (way - np.repeat(way[first], size)) / np.where(length > 0, length, 1.0)
    share[last] = 1.0
    # A point like the one before it bounds no segment; an edge without length keeps its ends.
    kept = step > 0
    kept[first] = True
    kept[last] |= length[last] == 0
    return edge_grid.Lines(x[kept], y[kept], share[kept], edge[kept])
