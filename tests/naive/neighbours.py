"""Brute-force neighbour search, in plain Python."""

import math


def distance_m(ax, ay, bx, by):
    """Same order of operations as the kernels, so that equal means equal."""
    dx, dy = ax - bx, ay - by
    return math.sqrt(dx * dx + dy * dy)


def neighbours(x, y, qx, qy, k=None, max_distance_m=math.inf, available=None):
    """All (distance, item) within a distance of one query, sorted; the first `k` of them."""
    found = [(distance_m(x[i], y[i], qx, qy), i) for i in range(len(x)) if available is None or available[i]]
    return sorted(entry for entry in found if entry[0] <= max_distance_m)[:k]
