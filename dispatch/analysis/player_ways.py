"""Drives as short lines with times: along shortest paths, simplified, in whole metres of the map."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.roads.city import City
from dispatch.roads.metric import Metric
from dispatch.units import MS_PER_S, NO_INDEX

Points = NDArray[np.float64]
"""(n, 2) metres on the city's plane"""

SHARES: Final = 65_535
"""A share of a drive's time is counted in so many parts: 10 ms of a drive of ten minutes."""
MAX_NODE_M: Final = 2000.0
"""A place farther from every node is driven to in a straight line."""
_OFF_ROAD_KPH: Final = 20.0
"""Between a place and its node"""
_CHUNK: Final = 20_000
"""Drives at once: their full paths need some 100 MB in a large city."""


class Ways(NamedTuple):
    """Lines of drives, one after another."""

    first: NDArray[np.int32]
    """(drives + 1,) points of drive ``i`` are ``first[i] … first[i + 1] - 1``, at least one"""
    x_m: NDArray[np.int32]
    """(points,) metres to the east of the city's centre"""
    y_m: NDArray[np.int32]
    """(points,) metres to the north of it"""
    share: NDArray[np.int32]
    """(points,) part of the drive's time when the car is there, 0 … :data:`SHARES`"""


class _Lines(NamedTuple):
    line: NDArray[np.int64]
    """(points,)"""
    x: NDArray[np.float64]
    """(points,) metres"""
    y: NDArray[np.float64]
    """(points,) metres"""
    share: NDArray[np.float64]
    """(points,) 0 … 1"""


def ways_between(city: City, start: Points, stop: Points, tolerance_m: float) -> Ways:
    """Draw the drive from each place to another along the fastest way at free-flow speeds.

    Lines begin and end exactly at the places; between them they are off by `tolerance_m` at most. Where no
    way is known they are straight. A drive from a place to itself is one point.

    Parameters
    ----------
    city : City
    start, stop : (drives, 2) float64
        Metres on the city's plane.
    tolerance_m : float
        Of Douglas and Peucker's simplification.
    """
    x, y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    nodes_at = np.column_stack([x, y])
    metric = city.free_flow()
    moves = np.flatnonzero((np.rint(start) != np.rint(stop)).any(axis=1))
    pieces = [np.empty((0, 4))]
    for begin in range(0, len(moves), _CHUNK):
        rows = moves[begin : begin + _CHUNK]
        lines = _lines(city, metric, nodes_at, start[rows], stop[rows])
        piece = _simplified(lines, len(rows), tolerance_m)
        piece[:, 0] = rows[piece[:, 0].astype(np.int64)]
        pieces.append(piece)
    stays = np.flatnonzero((np.rint(start) == np.rint(stop)).all(axis=1))
    pieces.append(np.column_stack([stays, start[stays], np.zeros(len(stays))]))
    points = np.concatenate(pieces)
    points = points[np.argsort(points[:, 0], kind="stable")]
    first = np.searchsorted(points[:, 0], np.arange(len(start) + 1)).astype(np.int32)
    x_m, y_m, share = (np.rint(points[:, column]).astype(np.int32) for column in (1, 2, 3))
    return Ways(first, x_m, y_m, share)


def _nearest_nodes(city: City, at: Points) -> NDArray[np.int32]:
    """Give the nearest node of each place, ``NO_INDEX`` where there is none near."""
    found = city.snapper.index.nearest(at[:, 0], at[:, 1], 1, MAX_NODE_M)
    node = np.full(len(at), NO_INDEX, np.int32)
    node[np.diff(found.first) > 0] = found.item
    return node


def _lines(city: City, metric: Metric, nodes_at: Points, start: Points, stop: Points) -> _Lines:
    """Lay out each drive in full: its place, the points of its path, its other place."""
    num = len(start)
    from_node, to_node = _nearest_nodes(city, start), _nearest_nodes(city, stop)
    known = np.flatnonzero((from_node != NO_INDEX) & (to_node != NO_INDEX) & (from_node != to_node))
    paths = metric.paths(from_node[known], to_node[known])
    way = _path_points(city, nodes_at, paths.edge, paths.node)
    num_points = np.zeros(num, np.int64)
    of_entry = np.repeat(known, np.diff(paths.first))
    np.add.at(num_points, of_entry[way.entry], 1)
    end = np.cumsum(num_points + 2)
    begin = end - num_points - 2
    line = np.repeat(np.arange(num), num_points + 2)
    x, y, at_ms = np.empty((3, len(line)))
    inner = np.ones(len(line), np.bool_)
    inner[begin], inner[end - 1] = False, False
    x[inner], y[inner] = way.x, way.y
    for place, rows in ((start, begin), (stop, end - 1)):
        x[rows], y[rows] = place[:, 0], place[:, 1]
    # Between a path's nodes time passes as the arc takes it, between a place and its node by distance.
    entry_ms = paths.at_ms.astype(np.float64)
    before = np.maximum(way.entry - 1, 0)
    step_ms = np.where(way.part < 1, entry_ms[way.entry] - entry_ms[before], 0.0)
    at_ms[inner] = entry_ms[way.entry] - (1 - way.part) * step_ms
    off_road = _OFF_ROAD_KPH / 3.6 / MS_PER_S
    lead_ms = np.hypot(x[begin + 1] - x[begin], y[begin + 1] - y[begin]) / off_road
    tail_ms = np.hypot(x[end - 1] - x[end - 2], y[end - 1] - y[end - 2]) / off_road
    at_ms[begin], at_ms[inner] = 0.0, at_ms[inner] + lead_ms[line[inner]]
    at_ms[end - 1] = np.where(num_points > 0, at_ms[end - 2] + tail_ms, 1.0)
    return _Lines(line, x, y, at_ms / np.maximum(at_ms[end - 1], 1e-9)[line])


class _PathPoints(NamedTuple):
    entry: NDArray[np.int64]
    """(points,) entry of the path that the point leads to"""
    part: NDArray[np.float64]
    """(points,) how much of the entry's arc is driven there, 1: the node itself"""
    x: NDArray[np.float64]
    """(points,) metres"""
    y: NDArray[np.float64]
    """(points,) metres"""


def _path_points(
    city: City, nodes_at: Points, edge: NDArray[np.int32], node: NDArray[np.int32]
) -> _PathPoints:
    """Give the points of path entries (n,): their nodes, and where arcs are bent the points before them."""
    shapes = city.graph.shapes
    if shapes is None:
        return _PathPoints(np.arange(len(node)), np.ones(len(node)), *nodes_at[node].T)
    size = np.diff(shapes.first_point)
    x, y = city.projection.to_plane(shapes.lon, shapes.lat)
    piece_m = np.hypot(np.diff(x, prepend=x[:1]), np.diff(y, prepend=y[:1]))
    from_m = np.cumsum(piece_m)
    begin = shapes.first_point[:-1].astype(np.int64)
    length_m = from_m[begin + size - 1] - from_m[begin]
    part = (from_m - np.repeat(from_m[begin], size)) / np.repeat(np.maximum(length_m, 1e-9), size)
    inner = np.where(edge == NO_INDEX, 0, size[edge] - 2)
    end = np.cumsum(inner + 1)
    entry = np.repeat(np.arange(len(edge)), inner + 1)
    number = np.arange(len(entry)) - np.repeat(end - inner - 1, inner + 1)
    is_node = number == inner[entry]
    point = np.where(is_node, 0, begin[edge[entry]] + 1 + number)
    at_node = nodes_at[node[entry]]
    return _PathPoints(
        entry,
        np.where(is_node, 1.0, np.clip(part[point], 0.0, 1.0)),
        np.where(is_node, at_node[:, 0], x[point]),
        np.where(is_node, at_node[:, 1], y[point]),
    )


def _simplified(lines: _Lines, num_lines: int, tolerance_m: float) -> NDArray[np.float64]:
    """Leave out points near a straight line: (points, 4) line, x, y, share of :data:`SHARES`."""
    if num_lines == 0:
        return np.empty((0, 4))
    # The share of time rides along as a third coordinate, which the simplification keeps but does not weigh.
    coordinates = np.column_stack([lines.x, lines.y, lines.share * SHARES])
    drawn = shapely.simplify(
        shapely.linestrings(coordinates, indices=lines.line), tolerance_m, preserve_topology=False
    )
    kept, line = shapely.get_coordinates(drawn, include_z=True, return_index=True)
    return np.column_stack([line, kept])
