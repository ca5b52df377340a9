"""The area that can be reached in a time: streets, and a strip beside them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from dispatch.errors import InputError
from dispatch.roads.graph import RoadGraph
from dispatch.roads.places import Places
from dispatch.spatial.projection import LocalProjection
from dispatch.units import MAX_TRAVEL_MS, NO_INDEX, UNREACHABLE_MS

BESIDE_M: Final = 60.0
"""How far from a street one can walk: blocks between streets that are reached close up."""
_SIMPLER_M: Final = 5.0
_SEGMENTS: Final = 3
"""Corners of a quarter of a circle."""


class Pieces(NamedTuple):
    """Parts of arcs."""

    arc: NDArray[np.intp]
    """(n,) row of the graph"""
    begin: NDArray[np.float64]
    """(n,) share of the way from the arc's tail"""
    end: NDArray[np.float64]
    """(n,) share of the way"""


def own_pieces(graph: RoadGraph, place: Places, travel_ms: NDArray[np.int32], max_ms: int) -> Pieces:
    """Give what is driven, at `travel_ms` (arcs,), of the street of one place before any crossing."""
    edge = place.edge[place.edge != NO_INDEX]
    twin = graph.twin[edge]
    has_twin = twin != NO_INDEX
    arc = np.concatenate([edge, twin[has_twin]]).astype(np.intp)
    share = place.share[place.edge != NO_INDEX]
    begin = np.concatenate([share, 1.0 - share[has_twin]])
    driven_ms = np.where(travel_ms[arc] < UNREACHABLE_MS, max_ms, 0)
    return Pieces(arc, begin, np.minimum(begin + driven_ms / np.maximum(travel_ms[arc], 1), 1.0))


def reachable_area(
    graph: RoadGraph,
    from_ms: NDArray[np.int32],
    travel_ms: NDArray[np.int32],
    max_ms: int,
    start_ms: NDArray[np.int32] | None = None,
    own: Pieces | None = None,
) -> Any:
    """Draw the streets that are reached within `max_ms`, the last ones as far as one gets, as an area.

    Parameters
    ----------
    graph : RoadGraph
    from_ms : (nodes,) int32
        Travel time to each node.
    travel_ms : (arcs,) int32
    max_ms : int
        0 to ``MAX_TRAVEL_MS``.
    start_ms : (arcs,) int32, optional
        Travel time until each arc may be driven; by default as soon as one is at its tail.
    own : Pieces, optional
        What is driven before any node is reached.

    Returns
    -------
    shapely Polygon or MultiPolygon
        In degrees, with the places up to 60 m beside a street; empty where nothing is reached.

    Raises
    ------
    InputError
        `max_ms` is out of range.
    """
    if not 0 <= max_ms <= MAX_TRAVEL_MS:
        raise InputError(f"max_ms is {max_ms}: it must be from 0 to {MAX_TRAVEL_MS}")
    reached = np.flatnonzero(from_ms <= max_ms)
    pieces = _driven(graph, from_ms[graph.tail] if start_ms is None else start_ms, travel_ms, max_ms)
    if own is not None:
        pieces = Pieces(*(np.concatenate(both) for both in zip(pieces, own, strict=True)))
    middle = np.concatenate([reached, graph.tail[pieces.arc]])[:1]
    if not len(middle):
        return shapely.Polygon()
    plane = LocalProjection(float(graph.node_lon[middle[0]]), float(graph.node_lat[middle[0]]))
    nodes = shapely.points(np.stack(plane.to_plane(graph.node_lon[reached], graph.node_lat[reached]), axis=1))
    streets = _lines(graph, plane, pieces.arc)
    for row in np.flatnonzero((pieces.begin > 0) | (pieces.end < 1)):
        streets[row] = substring(streets[row], pieces.begin[row], pieces.end[row], normalized=True)
    # One buffer a street, then their union: five times as fast as a buffer of all streets.
    area = shapely.union_all(shapely.buffer(np.concatenate([nodes, streets]), BESIDE_M, quad_segs=_SEGMENTS))
    return shapely.transform(area.simplify(_SIMPLER_M), lambda xy: np.stack(plane.to_degrees(*xy.T), axis=1))


def _driven(
    graph: RoadGraph, start_ms: NDArray[np.int32], travel_ms: NDArray[np.int32], max_ms: int
) -> Pieces:
    """Give what is driven of each arc from its tail; of streets driven whole both ways, one of the arcs."""
    left_ms = max_ms - start_ms.astype(np.int64)
    share = np.where(travel_ms == 0, 1.0, left_ms / np.maximum(travel_ms, 1))
    is_driven = (left_ms >= 0) & (travel_ms < UNREACHABLE_MS)
    is_whole = is_driven & (share >= 1)
    twin = graph.twin
    is_again = is_whole & (twin != NO_INDEX) & (twin < np.arange(graph.num_arcs)) & is_whole[twin]
    arc = np.flatnonzero(is_driven & ~is_again)
    return Pieces(arc, np.zeros(len(arc)), np.minimum(share[arc], 1.0))


def _lines(graph: RoadGraph, plane: LocalProjection, arcs: NDArray[np.intp]) -> NDArray[Any]:
    """Give arcs (n,) as lines in the plane."""
    shapes = graph.shapes
    if shapes is None:
        ends = np.stack([graph.tail[arcs], graph.head[arcs]], axis=1).ravel()
        x, y = plane.to_plane(graph.node_lon[ends], graph.node_lat[ends])
        return np.asarray(shapely.linestrings(x, y, indices=np.repeat(np.arange(len(arcs)), 2)))
    num = np.diff(shapes.first_point)[arcs]
    line = np.repeat(np.arange(len(arcs)), num)
    point = np.arange(len(line)) - np.repeat(np.cumsum(num) - num, num) + shapes.first_point[arcs][line]
    x, y = plane.to_plane(shapes.lon[point], shapes.lat[point])
    return np.asarray(shapely.linestrings(x, y, indices=line))
