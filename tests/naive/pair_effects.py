"""What past trips say of others, by comparing each with each."""

from math import floor

from dispatch.kernels.pair_effects import FROM, MAX_SQUARE, MIDDLE, TIME, TO


def square(at_m, size_m):
    """The strip in which a coordinate lies; those far away are one."""
    return min(max(floor(at_m * (1.0 / size_m)) + MIDDLE, 0), MAX_SQUARE)


def likeness(ends, i, size_m, asks):
    """What must be the same of two trips for one to tell of the other."""
    told = []
    if asks & FROM:
        told += [square(ends.from_x[i], size_m), square(ends.from_y[i], size_m)]
    if asks & TO:
        told += [square(ends.to_x[i], size_m), square(ends.to_y[i], size_m)]
    return (*told, int(ends.time[i])) if asks & TIME else tuple(told)


def effects_of(ends, i, past, residual, days, levels):
    """Columns of trip `i`, by trips `past` of other days than its own; `days` is (of it, of those)."""
    columns, mean, chain = [], 0.0, None
    own_day, past_day = days
    for size_m, asks, own_chain, prior, tells in zip(*(part.tolist() for part in levels), strict=True):
        mean, chain = (0.0, own_chain) if own_chain != chain else (mean, chain)
        mine = likeness(ends, i, size_m, asks)
        heard = [
            residual[k]
            for k in range(len(residual))
            if past_day[k] != own_day and likeness(past, k, size_m, asks) == mine
        ]
        if heard:
            mean = (sum(heard) + prior * mean) / (len(heard) + prior)
        columns += [mean, len(heard)][:tells]
    return columns
