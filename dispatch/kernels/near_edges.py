"""The streets around points of a plane, the nearest ones first, each in both directions if it has two.

On the grid of :mod:`dispatch.kernels.edge_grid`, which holds one direction of each street.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.edge_grid import EDGE_GRID, LINES, along_of, slack_m, squared_m
from dispatch.kernels.grid import POINTS, frame_of
from dispatch.kernels.grid_search import block_of
from dispatch.kernels.jit import F64, I32, f64, i64, kernel, record
from dispatch.units import NO_INDEX


class Nearby(NamedTuple):
    """Places on edges near points, in compressed sparse rows, those on one street side by side.

    Those of point ``i`` are rows ``first[i] … first[i + 1] - 1``.
    """

    first: np.ndarray
    """(points + 1,) int32"""
    edge: np.ndarray
    """(rows,) int32"""
    share: np.ndarray
    """(rows,) float64, 0 … 1 of the way along the edge"""
    distance_m: np.ndarray
    """(rows,) float64"""


class Nearest(NamedTuple):
    """The nearest segments found so far, one of each edge, ascending."""

    squared_m: np.ndarray
    """(most,) float64"""
    segment: np.ndarray
    """(most,) int32"""
    edge: np.ndarray
    """(most,) int32"""


NEARBY = record(Nearby, I32, I32, F64, F64)


@kernel()
def is_nearer(nearest, at, d2, edge):
    """Tell whether a segment comes before what stands at a place; of equally near ones the lower edge."""
    return d2 < nearest.squared_m[at] or (d2 == nearest.squared_m[at] and edge < nearest.edge[at])


@kernel()
def insert(nearest, num, d2, segment, edge):
    """Put a segment in its place if its edge has no nearer one; give the number of edges."""
    at = 0
    while at < num and nearest.edge[at] != edge:
        at += 1
    if at < num:
        if d2 >= nearest.squared_m[at]:
            return num
    elif num < len(nearest.edge):
        num += 1
    elif is_nearer(nearest, num - 1, d2, edge):
        at = num - 1
    else:
        return num
    while at > 0 and is_nearer(nearest, at - 1, d2, edge):
        nearest.squared_m[at] = nearest.squared_m[at - 1]
        nearest.segment[at], nearest.edge[at] = nearest.segment[at - 1], nearest.edge[at - 1]
        at -= 1
    nearest.squared_m[at], nearest.segment[at], nearest.edge[at] = d2, segment, edge
    return num


@kernel()
def find_nearest(lines, grid, frame, x, y, radius_m, nearest):
    """Find the edges nearest to a point, as many as there is room for; give their number."""
    block = block_of(frame, x, y, radius_m + slack_m(frame, x, y, 0.0, 0.0))
    num_cols, most = int(frame.last_col) + 1, len(nearest.edge)
    limit, num = radius_m * radius_m, 0
    for row in range(block[2], block[3] + 1):
        start = grid.first_slot[np.uint64(row * num_cols + block[0])]
        stop = grid.first_slot[np.uint64(row * num_cols + block[1] + 1)]
        for slot in range(start, stop):
            d2 = squared_m(grid.ends, slot, x, y)
            if d2 <= limit:
                segment = grid.segment[slot]
                num = insert(nearest, num, d2, segment, lines.edge[segment])
                if num == most:
                    limit = min(limit, nearest.squared_m[num - 1])
    return num


@kernel((LINES, EDGE_GRID, I32, POINTS, f64, i64, NEARBY), makes_arrays=True)
def find_nearby(lines, grid, twin, points, radius_m, max_streets, out_nearby):
    """Find the streets within a radius of each point, the nearest ones if there are many.

    Parameters
    ----------
    lines : Lines
        One direction of each street.
    grid : EdgeGrid
        Of `lines`.
    twin : (edges,) int32
        The other direction of each edge's street, NO_INDEX where there is none.
    points : Points
        (n,)
    radius_m : float
    max_streets : int
    out_nearby : Nearby
        Room for ``2 * n * max_streets`` rows. Streets ascend by distance.
    """
    frame = frame_of(grid.frame)
    nearest = Nearest(
        np.full(max_streets, inf), np.empty(max_streets, np.int32), np.empty(max_streets, np.int32)
    )
    num = 0
    out_nearby.first[0] = 0
    for q in range(len(points.x)):
        x, y = points.x[q], points.y[q]
        for k in range(find_nearest(lines, grid, frame, x, y, radius_m, nearest)):
            segment, edge = nearest.segment[k], nearest.edge[k]
            along = along_of(lines, segment, x, y)
            share = lines.share[segment] + along * (lines.share[segment + 1] - lines.share[segment])
            share = lines.share[segment + 1] if along == 1.0 else share
            out_nearby.edge[num], out_nearby.share[num] = edge, share
            out_nearby.distance_m[num] = sqrt(nearest.squared_m[k])
            num += 1
            if twin[edge] != NO_INDEX:
                out_nearby.edge[num], out_nearby.share[num] = twin[edge], 1.0 - share
                out_nearby.distance_m[num] = out_nearby.distance_m[num - 1]
                num += 1
        out_nearby.first[q + 1] = num
