"""Textbook Dijkstra, in plain Python."""

import heapq

UNREACHABLE = 2**29


def travel_times_from(arcs, source):
    """Travel time from `source` to every node that it reaches below UNREACHABLE.

    `arcs` is a list of (tail, head, weight).
    """
    leaving = {}
    for tail, head, weight in arcs:
        leaving.setdefault(tail, []).append((head, weight))
    best, queue = {}, [(0, source)]
    while queue:
        at, node = heapq.heappop(queue)
        if node in best or at >= UNREACHABLE:
            continue
        best[node] = at
        for head, weight in leaving.get(node, ()):
            heapq.heappush(queue, (at + weight, head))
    return best


def travel_times_to(arcs, target, num_nodes):
    """List of the travel times from every node to `target`, UNREACHABLE where there is no path."""
    best = travel_times_from([(head, tail, weight) for tail, head, weight in arcs], target)
    return [best.get(node, UNREACHABLE) for node in range(num_nodes)]


def arcs_of(graph, travel_ms):
    """The arcs of a RoadGraph as (tail, head, weight)."""
    return list(zip(graph.tail.tolist(), graph.head.tolist(), travel_ms.tolist(), strict=True))
