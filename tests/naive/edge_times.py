"""What ways say of the times of edges, one way and one edge at a time."""

from math import log


def way_s(ways, seconds, i):
    """The seconds that a way is thought to take on each of its edges."""
    factor = seconds.slot_factor[ways.slot[i]]
    return {
        k: ways.share[k] * seconds.edge_s[edge] * factor[seconds.cell[edge]]
        for k, edge in enumerate(ways.edge[: ways.first[i + 1]])
        if k >= ways.first[i]
    }


def pulls_of(ways, seconds, start_s, clip):
    """Residuals, and by edge and by (slot, cell): sums of weights times clipped residuals, and of weights."""
    residuals, edges, slots = [], {}, {}
    for i, duration_s in enumerate(ways.duration_s):
        parts = way_s(ways, seconds, i)
        total_s = start_s + sum(parts.values())
        residuals.append(log(duration_s / total_s) if total_s > 0 else 0.0)
        heard = max(-clip, min(clip, residuals[-1]))
        for k, part_s in parts.items():
            weight = ways.weight[i] * part_s / total_s if total_s > 0 else 0.0
            edge = int(ways.edge[k])
            for sums, key in ((edges, edge), (slots, (int(ways.slot[i]), int(seconds.cell[edge])))):
                pull, trust = sums.get(key, (0.0, 0.0))
                sums[key] = (pull + weight * heard, trust + weight)
    return residuals, edges, slots
