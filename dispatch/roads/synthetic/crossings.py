"""Where straight pieces cross, and streets as nodes strung on lines."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from dispatch.roads.synthetic.arterials import Line
from dispatch.roads.synthetic.terrain import Points

SHAPE_M: Final = 240.0
"""A line bends at least so often."""
CLEAR_M: Final = 70.0
"""No node that only bends a line lies so close to another one."""

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]


class Segments(NamedTuple):
    """Straight pieces of lines."""

    line: Integers
    """(segments,) which line it is of"""
    start: Points
    end: Points
    at_m: Numbers
    """(segments,) distance of its start from the beginning of its line"""

    def length_m(self) -> Numbers:
        """Length of each piece."""
        return np.asarray(np.hypot(*(self.end - self.start).T), np.float64)


class Stops(NamedTuple):
    """Places on lines."""

    line: Integers
    at_m: Numbers


def segments_of(lines: list[Line]) -> Segments:
    """Cut lines into their straight pieces."""
    return Segments(
        np.repeat(np.arange(len(lines)), [len(one.points) - 1 for one in lines]),
        np.vstack([one.points[:-1] for one in lines]),
        np.vstack([one.points[1:] for one in lines]),
        np.concatenate([one.at_m[:-1] for one in lines]),
    )


def cross(a: Segments, b: Segments) -> tuple[Integers, Numbers, Integers, Numbers]:
    """Find where pieces of `a` cross pieces of `b`.

    Returns
    -------
    row in `a`, fraction along it, row in `b`, fraction along it : (crossings,) each
    """
    tree = shapely.STRtree(shapely.linestrings(np.stack([b.start, b.end], axis=1)))
    ia, ib = tree.query(shapely.linestrings(np.stack([a.start, a.end], axis=1)))
    along_a, along_b, between = a.end[ia] - a.start[ia], b.end[ib] - b.start[ib], b.start[ib] - a.start[ia]
    area = _area(along_a, along_b)
    usable = np.abs(area) > 1e-9
    ia, ib, area = ia[usable], ib[usable], area[usable]
    ta = _area(between[usable], along_b[usable]) / area
    tb = _area(between[usable], along_a[usable]) / area
    hit = (ta >= 0) & (ta < 1) & (tb >= 0) & (tb < 1)
    order = np.lexsort((ib[hit], ia[hit]))
    return ia[hit][order], ta[hit][order], ib[hit][order], tb[hit][order]


def _area(a: Points, b: Points) -> Numbers:
    """Give the signed area between vectors (n, 2)."""
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], np.float64)


def line_crossings(a: list[Line], b: list[Line]) -> tuple[Stops, Stops]:
    """Find where lines of `a` cross lines of `b`, as places on both."""
    sa, sb = segments_of(a), segments_of(b)
    ia, ta, ib, tb = cross(sa, sb)
    return (
        Stops(sa.line[ia], sa.at_m[ia] + ta * sa.length_m()[ia]),
        Stops(sb.line[ib], sb.at_m[ib] + tb * sb.length_m()[ib]),
    )


def shape_stops(lines: list[Line], stops: Stops) -> Stops:
    """Give the ends of the lines, and places between `stops` so close that the lines keep their shape."""
    line, at_m = [], []
    for k, one in enumerate(lines):
        length = float(one.at_m[-1])
        pieces = max(int(np.ceil(length / SHAPE_M)), 12 if one.one_way else 1)
        inner = np.linspace(0, length, pieces + 1)[1:-1]
        taken = np.sort(stops.at_m[stops.line == k])
        near = np.searchsorted(taken, inner - CLEAR_M) < np.searchsorted(taken, inner + CLEAR_M)
        at_m += [np.array([0.0]), inner[~near], np.array([length])]
        line.append(np.full(2 + int((~near).sum()), k))
    return Stops(np.concatenate(line), np.concatenate(at_m))


def place(lines: list[Line], stops: Stops) -> Points:
    """Give the points (stops, 2) of the plan."""
    points = np.empty((len(stops.line), 2))
    for k, one in enumerate(lines):
        here = stops.line == k
        points[here] = one.point(stops.at_m[here])
    return points


def string(stops: Stops, node: Integers) -> tuple[Integers, Integers, Integers]:
    """Join the nodes (stops,) that lie next to each other on a line.

    Returns
    -------
    from node, to node, line : (pieces,) each, along the line
    """
    order = np.lexsort((node, stops.at_m, stops.line))
    line, node = stops.line[order], node[order]
    same = line[1:] == line[:-1]
    return node[:-1][same], node[1:][same], line[1:][same]
