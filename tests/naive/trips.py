"""Trips between nodes and places on streets, in plain Python: places end partial edges of their own."""

import math

from naive.turns import travel_times

UNREACHABLE = 2**29
START, STOP = -1, -2
"""Nodes that stand for the places at both ends."""


def trip_time(arcs, twin, rules, start, stop):
    """Travel time from `start` to `stop`, each a node, a place (edge, share) or None; UNREACHABLE if none.

    `arcs` is a list of (tail, head, weight), `twin` the row of each arc's other direction or -1.
    """
    if start is None or stop is None:
        return UNREACHABLE
    if isinstance(stop, tuple):
        found = trip_times(arcs, twin, rules, start, stop).get(STOP, UNREACHABLE)
        return min(found, direct_time(arcs, twin, start, stop)) if isinstance(start, tuple) else found
    return trip_times(arcs, twin, rules, start).get(stop, UNREACHABLE)


def trip_times(arcs, twin, rules, start, stop=None):
    """Travel time from `start` to every node that it reaches, and STOP if it is a place."""
    longer, first_of, last_of = list(arcs), {}, {}
    if isinstance(start, tuple):
        for row, part in _ways(twin, start):
            _, head, weight = arcs[row]
            if weight < UNREACHABLE:
                first_of.setdefault(row, []).append(len(longer))
                longer.append((START, head, weight - math.floor(part * weight + 0.5)))
    if stop is not None:
        for row, part in _ways(twin, stop):
            tail, _, weight = arcs[row]
            if weight < UNREACHABLE:
                last_of.setdefault(row, []).append(len(longer))
                longer.append((tail, STOP, math.floor(part * weight + 0.5)))
    bans = [
        (first, *rule[1:-1], last)
        for rule in rules
        for first in [rule[0], *first_of.get(rule[0], [])]
        for last in [rule[-1], *last_of.get(rule[-1], [])]
    ]
    return travel_times(longer, bans, START if isinstance(start, tuple) else start)


def direct_time(arcs, twin, start, stop):
    """Travel time between two places along the street of both."""
    best = UNREACHABLE
    for row, part in _ways(twin, start):
        for other, end in _ways(twin, stop):
            if row == other and part == end:
                return 0
            weight = arcs[row][2]
            if row == other and part < end and weight < UNREACHABLE:
                best = min(best, math.floor(end * weight + 0.5) - math.floor(part * weight + 0.5))
    return best


def _ways(twin, place):
    """The arcs of a place's street, with the share of each at which it lies."""
    edge, share = place
    return [(edge, share)] + ([(twin[edge], 1 - share)] if twin[edge] != -1 else [])
