"""Dijkstra over the last arcs driven, straight from the forbidden sequences, in plain Python."""

import heapq

UNREACHABLE = 2**29


def breaks_a_rule(driven, rules):
    """Whether some rule occurs in a sequence of arcs."""
    return any(
        tuple(driven[start : start + len(rule)]) == tuple(rule)
        for rule in rules
        for start in range(len(driven) - len(rule) + 1)
    )


def travel_times(arcs, rules, source):
    """Travel time from the node `source` to every node that it reaches below UNREACHABLE.

    `arcs` is a list of (tail, head, weight), `rules` a list of sequences of rows of it.
    """
    memory = max((len(rule) for rule in rules), default=1) - 1
    ending = {}
    for rule in rules:
        ending.setdefault(rule[-1], []).append(tuple(rule))
    leaving = {}
    for row, (tail, _, weight) in enumerate(arcs):
        if weight < UNREACHABLE:
            leaving.setdefault(tail, []).append(row)
    best, done, queue = {}, set(), [(0, source, ())]
    while queue:
        at, node, driven = heapq.heappop(queue)
        if (node, driven) in done or at >= UNREACHABLE:
            continue
        done.add((node, driven))
        best.setdefault(node, at)
        for row in leaving.get(node, ()):
            longer = (*driven, row)
            # What was driven before breaks no rule: one that is broken now ends with this arc.
            if not any(longer[-len(rule) :] == rule for rule in ending.get(row, ())):
                kept = longer[-memory:] if memory else ()
                heapq.heappush(queue, (at + arcs[row][2], arcs[row][1], kept))
    return best
