"""What is known of a drive and its way, by name, in plain Python."""

from cmath import phase, rect
from itertools import pairwise
from math import hypot, log, pi

from dispatch.kernels.eta_predict import NO_WAY_M_PER_S
from dispatch.kernels.route_features import NUM_CLASSES


def way_s(seconds, slot, way):
    """Seconds of a way in a slot."""
    return sum(seconds.edge_s[e] * seconds.slot_factor[slot][seconds.cell[e]] for e in way)


def turns(bearing, way):
    """How often a way turns left and right by more than 45 degrees."""
    bends = [phase(rect(1, float(bearing[b])) / rect(1, float(bearing[a]))) for a, b in pairwise(way)]
    return sum(bend > pi / 4 for bend in bends), sum(bend < -pi / 4 for bend in bends)


def columns_of(drives, i, way, streets, probes, trips):
    """All columns of a drive, in order."""
    left, right = turns(streets.bearing, way)
    x, y = drives.from_x[i], drives.from_y[i]
    to_x, to_y = drives.to_x[i], drives.to_y[i]
    begin, end = drives.from_node[i], drives.to_node[i]
    length_m = [streets.length_m[e] for e in way]
    of_class = [
        sum(m for m, e in zip(length_m, way, strict=True) if streets.road_class[e] == one)
        for one in range(NUM_CLASSES)
    ]
    day, minute = divmod(int(drives.minute[i]), 1440)
    return [
        *(x, y, to_x, to_y, hypot(to_x - x, to_y - y), minute / 60, day),
        *(sum(streets.free_s[e] for e in way), sum(length_m) / 1000),
        *(metres / 1000 for metres in of_class),
        *(left, right, len(way)),
        hypot(x - streets.node_x[begin], y - streets.node_y[begin]),
        hypot(to_x - streets.node_x[end], to_y - streets.node_y[end]),
        *(way_s(seconds, drives.slot[i], way) for seconds in (probes, trips)),
    ]


def base_s(start_s, way_s, air_m, has_way):
    """Seconds by streets alone."""
    return max(1.0, start_s + (way_s if has_way else air_m / NO_WAY_M_PER_S))


def live_of(probes, slot, way, now):
    """Six columns of live traffic of a way."""
    usual_s = {e: probes.edge_s[e] * probes.slot_factor[slot][probes.cell[e]] for e in way}
    total_s = sum(usual_s[e] for e in way)
    if total_s == 0:
        return [now.city] * 4 + [0.0, 0.0]
    mean = [sum(usual_s[e] * float(now.edge[e][k]) for e in way) / total_s for k in range(5)]
    return [now.city, log(mean[0]), *mean[1:]]
