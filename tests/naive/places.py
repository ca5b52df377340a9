"""Nearest streets by looking at all, and streets that are really split where places lie; in plain Python."""

import math
from fractions import Fraction
from itertools import accumulate, pairwise

from naive.turns import travel_times


def nearest_edges(lines, x, y):
    """The exact squared distance of the nearest edges from a point, and all edges that are so near.

    `lines` maps edges to lists of points.
    """
    best, nearest = None, []
    for edge, points in lines.items():
        d2 = min(_squared(*one, *other, x, y) for one, other in pairwise(points))
        if best is None or d2 < best:
            best, nearest = d2, []
        if d2 == best:
            nearest.append(edge)
    return best, nearest


def _squared(x0, y0, x1, y1, x, y):
    """The exact squared distance of a point from a segment."""
    x0, y0, x1, y1, x, y = (Fraction(value) for value in (x0, y0, x1, y1, x, y))
    dx, dy = x1 - x0, y1 - y0
    length2 = dx * dx + dy * dy
    along = min(max(((x - x0) * dx + (y - y0) * dy) / length2, 0), 1) if length2 else 0
    return (x0 + along * dx - x) ** 2 + (y0 + along * dy - y) ** 2


def ways_along(points):
    """How far along a line each of its points lies."""
    return [0.0, *accumulate(math.dist(one, other) for one, other in pairwise(points))]


def point_at(points, share):
    """The point at a share of a line's length."""
    ways = ways_along(points)
    at = share * ways[-1]
    for (one, other), (start, stop) in zip(pairwise(points), pairwise(ways), strict=True):
        if at <= stop or other is points[-1]:
            part = min((at - start) / (stop - start), 1.0) if stop > start else 0.0
            return one[0] + part * (other[0] - one[0]), one[1] + part * (other[1] - one[1])
    raise AssertionError("a line has at least two points")


def side_at(points, share, x, y):
    """On which side of a line a point lies that is nearest to it at `share`: -1 left, 1 right, by angles.

    None where the line has no length or turns back, or a millionth of a radian would decide.
    """
    ways = ways_along(points)
    at_x, at_y = point_at(points, share)
    behind = [k for k, way in enumerate(ways) if way < share * ways[-1] - 1e-9]
    ahead = [k for k, way in enumerate(ways) if way > share * ways[-1] + 1e-9]
    if not behind and not ahead:
        return None
    towards = [points[rows[end]] if rows else None for rows, end in ((ahead, 0), (behind, -1))]
    # Beyond its ends a line goes straight on.
    for one, other in ((0, 1), (1, 0)):
        if towards[one] is None:
            towards[one] = (2 * at_x - towards[other][0], 2 * at_y - towards[other][1])
    angle = [math.atan2(py - at_y, px - at_x) for px, py in (*towards, (x, y))]
    opening, seen = (angle[1] - angle[0]) % math.tau, (angle[2] - angle[0]) % math.tau
    if min(abs(seen - bound) for bound in (0, opening, math.tau)) < 1e-6 or opening % math.tau < 1e-6:
        return None
    return -1 if seen < opening else 1


def travel_time(arcs, twin, rules, start, stop):
    """Travel time between two places, each (edge, share), on a graph whose edges are split there.

    `arcs` is a list of (tail, head, weight), `twin` the row of each arc's other direction or -1. Nobody turns
    round at a place, but who is there may leave either way. None if there is no way.
    """
    start, stop = _canonical(start, twin), _canonical(stop, twin)
    num_nodes = 1 + max(max(tail, head) for tail, head, _ in arcs)
    node_of_place = {place: num_nodes + number for number, place in enumerate(sorted({start, stop}))}
    split, parts, bends = [], {}, []
    for row, (tail, head, weight) in enumerate(arcs):
        turned = twin[row] != -1 and twin[row] < row
        street = twin[row] if turned else row
        cuts = sorted((1 - place[1] if turned else place[1], node_of_place[place])
                      for place in node_of_place if place[0] == street)  # fmt: skip
        times = [0, *(math.floor(share * weight + 0.5) for share, _ in cuts), weight]
        nodes = [tail, *(node for _, node in cuts), head]
        parts[row] = []
        for k in range(len(nodes) - 1):
            parts[row].append(len(split))
            split.append((nodes[k], nodes[k + 1], times[k + 1] - times[k] if weight < 2**29 else 2**29))
    for row in parts:
        for one in parts[row][:-1]:
            back = parts.get(twin[row], [])[1:]
            bends += [(one, other) for other in back if split[one][1] == split[other][0]]
    longer = [
        (parts[rule[0]][-1], *(part for row in rule[1:-1] for part in parts[row]), parts[rule[-1]][0])
        for rule in rules
    ]
    found = travel_times(split, longer + bends, node_of_place[start])
    return found.get(node_of_place[stop])


def _canonical(place, twin):
    """The same place on the arc with the lower row."""
    edge, share = place
    return (twin[edge], 1 - share) if twin[edge] != -1 and twin[edge] < edge else (edge, share)
