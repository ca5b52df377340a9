"""Map matching in plain Python: all places, all ways by textbook Dijkstra, likelihoods as told."""

import math
from functools import cache

from naive.shortest_paths import UNREACHABLE, travel_times_from


def places_near(streets, twin, point, radius_m, most):
    """Places within a radius as (distance, edge, share), both directions of the nearest `most` streets.

    `streets` maps an edge to its two ends.
    """
    found = []
    for edge, (one, other) in streets.items():
        dx, dy = other[0] - one[0], other[1] - one[1]
        length2 = dx * dx + dy * dy
        along = (point[0] - one[0]) * dx + (point[1] - one[1]) * dy
        share = min(max(along / length2, 0.0), 1.0) if length2 else 0.0
        distance_m = math.dist(point, (one[0] + share * dx, one[1] + share * dy))
        if distance_m <= radius_m:
            found.append((distance_m, edge, share))
    places = []
    for distance_m, edge, share in sorted(found)[:most]:
        places.append((distance_m, edge, share))
        if twin[edge] >= 0:
            places.append((distance_m, twin[edge], 1.0 - share))
    return places


class Roads:
    """Edges as (tail, head, ms, metres), the other direction of each, and travel times."""

    def __init__(self, edges, twin):
        self.edges, self.twin = edges, twin
        arcs = [edge[:3] for edge in edges]
        self.times_from = cache(lambda node: travel_times_from(arcs, node))

    def between_ms(self, one, other):
        """From the end of an edge to the start of another, None if there is no way."""
        ms = self.times_from(self.edges[one][1]).get(self.edges[other][0], UNREACHABLE)
        return None if ms >= UNREACHABLE else ms

    def turns_back(self, one, other, places_before, places_after):
        """How often the way may turn back at once, at its start and at its end."""
        ms, num = self.between_ms(one, other), 0
        back, ahead = self.twin[one], self.twin[other]
        if back >= 0 and any(edge == back for _, edge, _ in places_before):
            beyond_ms = self.between_ms(back, other)
            num += beyond_ms is not None and self.edges[back][2] + beyond_ms == ms
        if ahead >= 0 and any(edge == ahead for _, edge, _ in places_after):
            before_ms = self.between_ms(one, ahead)
            num += before_ms is not None and before_ms + self.edges[ahead][2] == ms
        return num


def way_cost(roads, weights, elapsed_ms, one, other, places_before, places_after):
    """Negative logarithm of a way's likelihood, infinite if it is none."""
    (_, edge, share), (_, to_edge, to_share) = one, other
    _, _, travel_ms, length_m = roads.edges[edge]
    turns = 0
    if edge == to_edge and share <= to_share:
        driven_ms = counted_ms = (to_share - share) * travel_ms
    elif edge == to_edge and (share - to_share) * length_m <= weights.back_m:
        driven_ms, counted_ms = 0.0, (share - to_share) * travel_ms
    else:
        between_ms = roads.between_ms(edge, to_edge)
        if between_ms is None:
            return math.inf
        driven_ms = counted_ms = (1 - share) * travel_ms + between_ms + to_share * roads.edges[to_edge][2]
        turns = roads.turns_back(edge, to_edge, places_before, places_after)
    if driven_ms > weights.max_haste * (elapsed_ms + weights.spare_ms):
        return math.inf
    late_ms = max(driven_ms - elapsed_ms, 0.0)
    return weights.per_ms * counted_ms + weights.per_late_ms * late_ms + weights.per_turn * turns


def least_cost(roads, weights, positions):
    """Cost of the likeliest sequences of places, and the positions that begin one.

    `positions` are (begins, at_ms, left_ms, places).
    """
    total, starts, previous, costs = 0.0, [], None, {}
    for u, (begins, at_ms, _, places) in enumerate(positions):
        if begins:
            total += min(costs.values(), default=0.0)
            previous, costs = None, {}
        if not places:
            continue
        reached = {}
        if previous is not None:
            _, _, left_ms, before = positions[previous]
            elapsed_ms = at_ms - left_ms
            for k, place in enumerate(places):
                ways = [
                    costs[i] + way_cost(roads, weights, elapsed_ms, one, place, before, places)
                    for i, one in enumerate(before)
                ]
                reached[k] = min(ways) if elapsed_ms <= weights.max_gap_ms else math.inf
        if not any(cost < math.inf for cost in reached.values()):
            total += min(costs.values(), default=0.0)
            starts.append(u)
            reached = dict.fromkeys(range(len(places)), 0.0)
        costs = {k: cost + weights.per_squared_m * places[k][0] ** 2 for k, cost in reached.items()}
        previous = u
    return total + min(costs.values(), default=0.0), starts
