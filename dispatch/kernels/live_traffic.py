"""How much slower than usual streets are right now, learnt way by way, each way forgotten as time passes.

Logarithms of true over usual time are learnt on five levels: edges, stretches of streets in one direction,
squares of the city (quickly and slowly forgetting), the city. Each level is a mean of observations whose
weights halve with its half-life, drawn to the next wider one by as much as it lacks evidence, the widest to
zero. A stretch tells wider levels only what it does not know for itself, so that one jammed street does not
slow its neighbourhood.

A way tells one time for many edges. What is believed of them says what the way should have taken; by what
factor it took longer is seen on all of its edges, in proportion to the time believed there: what is known of
one edge is not blamed on its neighbours.

One observation moves a mean by no more than a margin. On edges and stretches, one far off is doubted too:
once more than one driver has seen the like, with little to the contrary between, these observations replace
all older ones, those of a stretch also the ones of its edges. A jam is thus known at the second driver, and
forgotten as fast, while one taxi that stops stays one taxi.

Weights are kept as of a base instant of each level: they grow instead of all others decaying, and a base
moves by whole half-lives, which is exact.
"""

from math import exp, ldexp, log
from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import BOOL, F64, F64_2D, I32, I32_2D, I64, f64, i64, kernel, record
from dispatch.units import NO_INDEX

EDGE, STRETCH, CELL, SLOW, CITY, DRIVER = 0, 1, 2, 3, 4, 5
NUM_LEVELS = 6
NEVER_MS = -(2**62)
"""The clock before the first observation."""
MOST_HALF_LIVES = 64
"""After which a base moves."""
LN_2 = log(2.0)
LARGEST = 900.0
"""Half-lives after which nothing is left."""

WEIGHT, TOTAL, DOUBTED, DOUBTED_TOTAL = 0, 1, 2, 3
LAST, DOUBTER, EPOCH = 0, 1, 2
NUM_COLUMNS = 8
"""Of what a query is told: see :func:`replay`."""


class Rates(NamedTuple):
    """How fast is forgotten, and how much believed."""

    half_ms: np.ndarray
    """(NUM_LEVELS,) int64, half-lives"""
    prior: np.ndarray
    """(NUM_LEVELS,) float64, positive: weight of what a level is drawn to"""
    clip: float
    """Largest logarithm of an edge's factor that is believed of one observation"""
    margin: float
    """By so much may one observation differ from the belief; beyond, it counts as so far off"""
    doubt: float
    """So far from the belief, an observation is doubted, and kept for when another confirms it"""
    confirm: float
    """Weight of doubted observations that replace older ones"""
    repeat: float
    """Weight of an observation by the same driver as the one before"""
    most: float
    """Largest weight of an edge or a stretch"""


class State(NamedTuple):
    """All that is known. A mean is a weight and a total, weights of a level as of its base."""

    base_ms: np.ndarray
    """(NUM_LEVELS,) int64"""
    clock_ms: np.ndarray
    """(1,) int64, the end of the last way, ``NEVER_MS`` before the first"""
    edge: np.ndarray
    """(edges, 4) float64: mean, then that of doubted observations"""
    edge_seen: np.ndarray
    """(edges, 3) int32: row of the last driver, and of the last that was doubted, NO_INDEX: none; epoch of
    its stretch that the edge's mean belongs to"""
    stretch: np.ndarray
    """(stretches, 4) float64, as of edges"""
    stretch_seen: np.ndarray
    """(stretches, 3) int32, as of edges; its epoch, a new one whenever older observations are replaced"""
    cell: np.ndarray
    """(cells, 4) float64: mean that forgets quickly, mean that forgets slowly"""
    city: np.ndarray
    """(1, 2) float64"""
    driver: np.ndarray
    """(drivers, 2) float64, of time taken over time believed"""
    stretch_of_edge: np.ndarray
    """(edges,) int32"""
    cell_of_edge: np.ndarray
    """(edges,) int32"""


class Ways(NamedTuple):
    """Ways driven, sorted by their ends."""

    first: np.ndarray
    """(ways + 1,) int64"""
    edge: np.ndarray
    """(entries,) int32"""
    usual_s: np.ndarray
    """(entries,) float64, what the driven part of the edge usually takes"""
    duration_s: np.ndarray
    """(ways,) float64, positive"""
    ended_at_ms: np.ndarray
    """(ways,) int64, ascending"""
    driver: np.ndarray
    """(ways,) int32, row of the driver"""


class Queries(NamedTuple):
    """Instants at which what is known is asked, for routes to be driven."""

    order: np.ndarray
    """(queries,) int32, rows by instant"""
    at_ms: np.ndarray
    """(queries,) int64"""
    first: np.ndarray
    """(queries + 1,) int64"""
    edge: np.ndarray
    """(entries,) int32"""
    usual_s: np.ndarray
    """(entries,) float64, not negative"""
    driver: np.ndarray
    """(queries,) int32, row of the driver, NO_INDEX if nothing is known of him"""


RATES = record(Rates, I64, F64, *[f64] * 6)
STATE = record(State, I64, I64, F64_2D, I32_2D, F64_2D, I32_2D, *[F64_2D] * 3, I32, I32)
WAYS = record(Ways, I64, I32, F64, F64, I64, I32)
QUERIES = record(Queries, I32, I64, I64, I32, F64, I32)


@kernel()
def unit_at(state, rates, level, at_ms):
    """Give what a weight of 1 at an instant is as of the level's base."""
    if state.clock_ms[0] == NEVER_MS:
        return 1.0
    return exp(LN_2 * min((at_ms - state.base_ms[level]) / rates.half_ms[level], LARGEST))


@kernel()
def units_at(state, rates, at_ms):
    """Give :func:`unit_at` of all levels."""
    return (
        unit_at(state, rates, EDGE, at_ms),
        unit_at(state, rates, STRETCH, at_ms),
        unit_at(state, rates, CELL, at_ms),
        unit_at(state, rates, SLOW, at_ms),
        unit_at(state, rates, CITY, at_ms),
        unit_at(state, rates, DRIVER, at_ms),
    )


@kernel()
def halve(values, begin, end, times):
    """Halve some columns of (n, m) so many times."""
    factor = ldexp(1.0, -int(min(times, 1000)))
    for i in range(values.shape[0]):
        for j in range(begin, end):
            values[i, j] *= factor


@kernel()
def move_clock(state, rates, at_ms):
    """Set the clock to an instant that is not before it, and move the bases of levels that lie far back."""
    if state.clock_ms[0] == NEVER_MS:
        state.base_ms[:] = at_ms
    state.clock_ms[0] = at_ms
    for level in range(NUM_LEVELS):
        times = (at_ms - state.base_ms[level]) // rates.half_ms[level]
        if times < MOST_HALF_LIVES:
            continue
        state.base_ms[level] += times * rates.half_ms[level]
        if level == EDGE:
            halve(state.edge, 0, 4, times)
        elif level == STRETCH:
            halve(state.stretch, 0, 4, times)
        elif level == CELL:
            halve(state.cell, 0, 2, times)
        elif level == SLOW:
            halve(state.cell, 2, 4, times)
        elif level == CITY:
            halve(state.city, 0, 2, times)
        else:
            halve(state.driver, 0, 2, times)


@kernel()
def drawn(values, row, column, prior, to):
    """Give the mean of a row that is drawn to a value of the weight `prior`."""
    return (values[row, column + 1] + prior * to) / (values[row, column] + prior)


@kernel()
def city_belief(state, rates, units):
    """Give the logarithm of the factor of all the city."""
    return drawn(state.city, 0, 0, rates.prior[CITY] * units[CITY], 0.0)


@kernel()
def slow_belief(state, rates, units, c, city):
    """Give that of a cell, slowly forgotten."""
    return drawn(state.cell, c, 2, rates.prior[SLOW] * units[SLOW], city)


@kernel()
def cell_belief(state, rates, units, c, slow):
    """Give that of a cell, quickly forgotten."""
    return drawn(state.cell, c, 0, rates.prior[CELL] * units[CELL], slow)


@kernel()
def stretch_belief(state, rates, units, s, cell):
    """Give that of a stretch."""
    return drawn(state.stretch, s, 0, rates.prior[STRETCH] * units[STRETCH], cell)


@kernel()
def edge_belief(state, rates, units, e, stretch):
    """Give that of an edge; what was known before its stretch changed counts no longer."""
    if state.edge_seen[e, EPOCH] != state.stretch_seen[state.stretch_of_edge[e], EPOCH]:
        return stretch
    return drawn(state.edge, e, 0, rates.prior[EDGE] * units[EDGE], stretch)


@kernel()
def within(value, middle, reach):
    """Give the value, or what is next to it within `reach` of a middle."""
    return min(max(value, middle - reach), middle + reach)


@kernel()
def learn(state, rates, ways, w, scratch):
    """Learn from a way.

    Parameters
    ----------
    state : State
    rates : Rates
    ways : Ways
    w : int
        Row of the way.
    scratch : (entries of the longest way,) float64
    """
    first, last = ways.first[w], ways.first[w + 1]
    move_clock(state, rates, ways.ended_at_ms[w])
    units = units_at(state, rates, state.clock_ms[0])
    city, believed_s = city_belief(state, rates, units), 0.0
    for i in range(first, last):
        e = ways.edge[i]
        c = state.cell_of_edge[e]
        quick = cell_belief(state, rates, units, c, slow_belief(state, rates, units, c, city))
        stretch = stretch_belief(state, rates, units, state.stretch_of_edge[e], quick)
        belief = edge_belief(state, rates, units, e, stretch)
        scratch[i - first] = belief
        believed_s += ways.usual_s[i] * exp(belief)
    if not believed_s > 0.0:
        return
    driver, off = ways.driver[w], log(ways.duration_s[w] / believed_s)
    begin = first
    while begin < last:
        s = state.stretch_of_edge[ways.edge[begin]]
        end = begin + 1
        while end < last and state.stretch_of_edge[ways.edge[end]] == s:
            end += 1
        share, total = 0.0, 0.0
        for i in range(begin, end):
            belief = scratch[i - first]
            part = ways.usual_s[i] * exp(belief) / believed_s
            seen = within(belief + off, 0.0, rates.clip)
            share += part
            total += part * seen
            learn_edge(state, rates, units, ways.edge[i], driver, seen, belief, part)
        if share > 0.0:
            learn_stretch(state, rates, units, ways.edge[begin], driver, total / share, share)
        begin = end
    learn_mean(state.driver, driver, 0, units[DRIVER], within(off, 0.0, rates.margin))


@kernel()
def learn_edge(state, rates, units, e, driver, seen, belief, share):
    """Learn that an edge was seen at a factor where `belief` was believed, for a share of a way."""
    s = state.stretch_of_edge[e]
    epoch = state.stretch_seen[s, EPOCH]
    if state.edge_seen[e, EPOCH] != epoch:
        state.edge[e, :] = 0.0
        state.edge_seen[e, DOUBTER] = NO_INDEX
        state.edge_seen[e, EPOCH] = epoch
    # What the edge was drawn to, found from its mean and from what was believed.
    prior = rates.prior[EDGE] * units[EDGE]
    around = belief + (belief * state.edge[e, WEIGHT] - state.edge[e, TOTAL]) / prior
    logs = (seen, belief, around)
    learn_or_doubt(state.edge[e], state.edge_seen[e], rates, units[EDGE], driver, logs, share)


@kernel()
def learn_stretch(state, rates, units, e, driver, seen, share):
    """Learn that the stretch of an edge was seen at a factor, and tell its cell and the city."""
    s, c = state.stretch_of_edge[e], state.cell_of_edge[e]
    city = city_belief(state, rates, units)
    slow = slow_belief(state, rates, units, c, city)
    quick = cell_belief(state, rates, units, c, slow)
    belief = stretch_belief(state, rates, units, s, quick)
    prior = rates.prior[STRETCH] * units[STRETCH]
    news = share * prior / (state.stretch[s, WEIGHT] + prior)
    prior = rates.prior[SLOW] * units[SLOW]
    wide = news * prior / (state.cell[c, 2] + prior)
    mean, seen_by = state.stretch[s], state.stretch_seen[s]
    if learn_or_doubt(mean, seen_by, rates, units[STRETCH], driver, (seen, belief, quick), share):
        seen_by[EPOCH] += 1
    learn_mean(state.cell, c, 0, news * units[CELL], within(seen, quick, rates.margin))
    learn_mean(state.cell, c, 2, news * units[SLOW], within(seen, slow, rates.margin))
    learn_mean(state.city, 0, 0, wide * units[CITY], within(seen, city, rates.margin))


@kernel()
def learn_or_doubt(mean, seen_by, rates, unit, driver, logs, share):
    """Learn an observation of an edge or a stretch; tell whether it replaced older ones.

    Parameters
    ----------
    mean : (4,) float64
    seen_by : (3,) int32
    rates : Rates
    unit : float
        A weight of 1 as of now.
    driver : int
    logs : (3,) float
        Logarithms of factors: seen now, believed before, and believed of the streets around.
    share : float
        Of the way's time, 0 … 1.

    Notes
    -----
    A bridge that slows to a fifth, 36 taxis that cross it now and then: two minutes later it is believed to
    take 3.3 times as long. With 12 taxis, and doubts of edges alone, 1.5 times after five minutes, with
    stretches 3.1. Two minutes after a jam 2.2 are left of 3.9 times, 1.8 where what is nearer to the streets
    around is doubted. Not learning at all from what is doubted is no faster, and worse on ordinary days: mean
    absolute error of logarithms of ways of San Francisco .3303 instead of .3281. Doubting nothing would be
    .0006 better there.
    """
    seen, belief, around = logs
    off = seen - belief
    weight = share * unit * (rates.repeat if seen_by[LAST] == driver else 1.0)
    seen_by[LAST] = driver
    is_doubted = abs(off) > rates.doubt
    if abs(belief - around) > rates.margin:  # out of the ordinary: is it over?
        is_doubted = is_doubted or abs(seen - around) < abs(off)
    if mean[DOUBTED] > 0.0:
        apart = mean[DOUBTED_TOTAL] / mean[DOUBTED] - belief
        if is_doubted and apart * off < 0.0:  # off to the other side
            mean[DOUBTED], mean[DOUBTED_TOTAL] = 0.0, 0.0
        is_doubted = is_doubted or abs(off - apart) < abs(off)
    if is_doubted:
        doubted = share * unit * (rates.repeat if seen_by[DOUBTER] == driver else 1.0)
        seen_by[DOUBTER] = driver
        mean[DOUBTED] += doubted
        mean[DOUBTED_TOTAL] += doubted * seen
        if mean[DOUBTED] >= rates.confirm * unit:
            mean[WEIGHT] = rates.most * unit
            mean[TOTAL] = mean[WEIGHT] * mean[DOUBTED_TOTAL] / mean[DOUBTED]
            mean[DOUBTED], mean[DOUBTED_TOTAL] = 0.0, 0.0
            seen_by[DOUBTER] = NO_INDEX
            return True
    else:
        mean[DOUBTED] *= 1.0 - share
        mean[DOUBTED_TOTAL] *= 1.0 - share
    mean[WEIGHT] += weight
    mean[TOTAL] += weight * within(seen, belief, rates.margin)
    if mean[WEIGHT] > rates.most * unit:
        mean[TOTAL] *= rates.most * unit / mean[WEIGHT]
        mean[WEIGHT] = rates.most * unit
    return False


@kernel()
def learn_mean(values, row, column, weight, value):
    """Add an observation to a mean."""
    values[row, column] += weight
    values[row, column + 1] += weight * value


@kernel()
def tell(state, rates, queries, q, out_row):
    """Write what is known at a query's instant; an instant before the clock counts as the clock."""
    units = units_at(state, rates, max(queries.at_ms[q], state.clock_ms[0]))
    city = city_belief(state, rates, units)
    usual_s, believed_s, quick_s, slow_s, near, around = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(queries.first[q], queries.first[q + 1]):
        e, time_s = queries.edge[i], queries.usual_s[i]
        c, s = state.cell_of_edge[e], state.stretch_of_edge[e]
        slow = slow_belief(state, rates, units, c, city)
        quick = cell_belief(state, rates, units, c, slow)
        stretch = stretch_belief(state, rates, units, s, quick)
        usual_s += time_s
        believed_s += time_s * exp(edge_belief(state, rates, units, e, stretch))
        quick_s += time_s * quick
        slow_s += time_s * slow
        near += time_s * state.stretch[s, WEIGHT]
        around += time_s * state.cell[c, 2]
    out_row[0] = city
    out_row[1], out_row[2], out_row[3], out_row[4], out_row[5] = city, city, city, 0.0, 0.0
    if usual_s > 0.0:
        out_row[1] = log(believed_s / usual_s)
        out_row[2] = quick_s / usual_s
        out_row[3] = slow_s / usual_s
        out_row[4] = near / usual_s / units[STRETCH]
        out_row[5] = around / usual_s / units[SLOW]
    out_row[6], out_row[7] = 0.0, 0.0
    driver = queries.driver[q]
    if driver != NO_INDEX:
        out_row[6] = drawn(state.driver, driver, 0, rates.prior[DRIVER] * units[DRIVER], 0.0)
        out_row[7] = state.driver[driver, WEIGHT] / units[DRIVER]


@kernel((STATE, RATES, WAYS, QUERIES, F64, F64_2D))
def replay(state, rates, ways, queries, scratch, out_known):
    """Learn from ways in the order of their ends, and tell each query what was known before its instant.

    Parameters
    ----------
    state : State
        Written.
    rates : Rates
    ways : Ways
        None ends before the clock.
    queries : Queries
        A way counts if it ended strictly before the query's instant.
    scratch : (entries of the longest way,) float64
    out_known : (queries, NUM_COLUMNS) float64
        Logarithms of factors: of the city; of the route, edge by edge (believed over usual time of the
        whole); mean over the route's usual time of cells that forget quickly, and slowly. Mean weights of
        what was observed on the stretches, and in the slow cells. The driver's own factor, and its weight.
    """
    q, order = 0, queries.order
    for w in range(len(ways.duration_s)):
        while q < len(order) and queries.at_ms[order[q]] <= ways.ended_at_ms[w]:
            tell(state, rates, queries, order[q], out_known[order[q]])
            q += 1
        learn(state, rates, ways, w, scratch)
    while q < len(order):
        tell(state, rates, queries, order[q], out_known[order[q]])
        q += 1


@kernel((STATE, RATES, i64, F64))
def log_factors(state, rates, at_ms, out_log):
    """Write the logarithm of each edge's factor (edges,); an instant before the clock counts as the clock."""
    units = units_at(state, rates, max(at_ms, state.clock_ms[0]))
    city = city_belief(state, rates, units)
    for e in range(len(out_log)):
        c = state.cell_of_edge[e]
        quick = cell_belief(state, rates, units, c, slow_belief(state, rates, units, c, city))
        stretch = stretch_belief(state, rates, units, state.stretch_of_edge[e], quick)
        out_log[e] = edge_belief(state, rates, units, e, stretch)


@kernel((I32, BOOL, F64, f64, I32))
def cut_stretches(next_arc, has_choice, length_m, most_m, out_stretch):
    """Cut streets into stretches, and give how many.

    Arcs between which nobody can turn off stay together, however long; others as long as the stretch is not
    longer than `most_m`.

    Parameters
    ----------
    next_arc : (arcs,) int32
        As which arc the street goes on, NO_INDEX at its end; no arc follows two.
    has_choice : (arcs,) bool
        Whether one can turn off where the arc ends.
    length_m : (arcs,) float64
    most_m : float
    out_stretch : (arcs,) int32
    """
    num = 0
    out_stretch[:] = -2
    for arc in next_arc:
        if arc != NO_INDEX:
            out_stretch[arc] = NO_INDEX  # another one leads here
    for looks_for in (-2, NO_INDEX):  # streets from their starts, then rings
        for start in range(len(next_arc)):
            arc, driven_m = start, 0.0
            if out_stretch[arc] != looks_for:
                continue
            while arc != NO_INDEX and out_stretch[arc] < 0:
                chain_m, end = length_m[arc], arc
                while not has_choice[end] and next_arc[end] != NO_INDEX and next_arc[end] != arc:
                    end = next_arc[end]
                    chain_m += length_m[end]
                if driven_m > 0.0 and driven_m + chain_m > most_m:
                    num += 1
                    driven_m = 0.0
                driven_m += chain_m
                while out_stretch[arc] < 0:
                    out_stretch[arc] = num
                    if arc == end:
                        break
                    arc = next_arc[arc]
                arc = next_arc[end]
            num += 1
    return num
