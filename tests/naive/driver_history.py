"""What is known of drivers before each of their trips, one trip and one ping at a time."""

from itertools import pairwise
from math import hypot


def recent(trips, i, keep, prior, forget_ms):
    """Mean and weight of what trips before trip `i` left; `trips` are (driver, start, end, residual)."""
    driver = trips[i][0]
    mine = [k for k in range(len(trips)) if trips[k][0] == driver]
    mine = sorted(mine, key=lambda k: (trips[k][1], k))
    mine = mine[: mine.index(i) + 1]
    shift = max(
        (k for k, (a, b) in enumerate(pairwise(mine)) if trips[b][1] - trips[a][2] > forget_ms), default=-1
    )
    heard = [trips[a][3] for a, b in pairwise(mine[shift + 1 :]) if trips[a][2] <= trips[b][1]]
    weights = [keep**age for age in range(len(heard), 0, -1)]
    total = sum(weight * value for weight, value in zip(weights, heard, strict=True))
    return total / (sum(weights) + prior), sum(weights)


def moved(pings, asked, most_step_m):
    """Ten columns; `pings` are (at_ms, x, y) of the driver, ascending, `asked` (at_ms, x, y, to_x, to_y)."""
    at_ms, x, y, to_x, to_y = asked
    before = [ping for ping in pings if ping[0] < at_ms]
    since = {m: [ping for ping in before if ping[0] >= at_ms - m * 60_000] for m in (5, 15, 60)}
    if not since[60]:
        return [0.0] * 10
    last_ms, last_x, last_y = before[-1]
    moved_x, moved_y, ahead_x, ahead_y = x - last_x, y - last_y, to_x - x, to_y - y
    moved_m = hypot(moved_x, moved_y)
    scale = max(moved_m * hypot(ahead_x, ahead_y), 1.0)
    driven = [
        sum(min(hypot(b[1] - a[1], b[2] - a[2]), most_step_m) for a, b in pairwise(since[m])) for m in (5, 15)
    ]
    return [
        (at_ms - last_ms) / 1000,
        moved_m,
        (moved_x * ahead_x + moved_y * ahead_y) / scale,
        (moved_x * ahead_y - moved_y * ahead_x) / scale,
        moved_x,
        moved_y,
        *driven,
        len(since[15]),
        len(since[60]),
    ]


def others_mean(observed, driver, day, prior, clip):
    """Mean residual on other days, drawn to 0, and of how many; `observed` are (driver, day, residual)."""
    heard = [max(-clip, min(clip, r)) for who, when, r in observed if who == driver and when != day]
    return sum(heard) / (len(heard) + prior), len(heard)
