"""The streets that drivers most likely drove between positions with errors: a hidden Markov model.

The places on streets near a position are the states. A place is less likely the farther it is from the
position, and a way between two places the longer it takes; the likeliest sequence is found by dynamic
programming (Newson and Krumm, Hidden Markov Map Matching Through Noise and Sparseness, 2009; Viterbi 1967).
Costs are negative logarithms of likelihoods without their constants. Times are milliseconds, coordinates
metres.
"""

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from dispatch.kernels.all_pairs import ALL_PAIRS, AllPairs
from dispatch.kernels.jit import BOOL, F64, I8, I32, I64, f64, kernel, record
from dispatch.kernels.near_edges import NEARBY
from dispatch.units import NO_INDEX, UNREACHABLE_MS

MATCHED, STANDING, OFF_MAP, TELEPORTING, FROZEN, SAME_INSTANT = range(6)
"""What is said of a position; those of a standing car share one place."""


class Positions(NamedTuple):
    """Positions sorted by driver, then time."""

    driver: np.ndarray
    """(pings,) int64"""
    at_ms: np.ndarray
    """(pings,) int64"""
    x: np.ndarray
    """(pings,) float64"""
    y: np.ndarray
    """(pings,) float64"""


class Limits(NamedTuple):
    """What is possible from one position to the next."""

    max_m_per_ms: float
    """by air"""
    slack_m: float
    """that errors of positions may add"""
    max_gap_ms: float
    """after a longer time nothing is said of the way"""
    still_m: float
    """a car that moves less is standing"""


class Streets(NamedTuple):
    """The road network, and how long ways take where a table tells it."""

    tail: np.ndarray
    """(edges,) int32"""
    head: np.ndarray
    """(edges,) int32"""
    twin: np.ndarray
    """(edges,) int32"""
    travel_ms: np.ndarray
    """(edges,) int32"""
    length_m: np.ndarray
    """(edges,) float64"""
    table: AllPairs
    """Without rows where there is none"""


class Observed(NamedTuple):
    """Positions that are matched, with the places near each."""

    begins: np.ndarray
    """(positions,) bool, nothing is said of the way from the one before"""
    at_ms: np.ndarray
    """(positions,) int64"""
    left_ms: np.ndarray
    """(positions,) int64, when the car last stood there"""
    x: np.ndarray
    """(positions,) float64"""
    y: np.ndarray
    """(positions,) float64"""


class Transitions(NamedTuple):
    """Times from the ends of edges near a position to the starts of those near the next, without a table.

    From place ``i`` to place ``j``, rows of all places, it takes ``ms[start[i] + offset[j]]``.
    """

    start: np.ndarray
    """(places,) int64"""
    offset: np.ndarray
    """(places,) int32"""
    ms: np.ndarray
    """(pairs,) int32"""


class Gates(NamedTuple):
    """Where one stands at the end of an edge, and from where one may enter it, numbered by edge.

    Edges that end, or begin, at one place share a number.
    """

    exit: np.ndarray
    """(edges,) int32"""
    entry: np.ndarray
    """(edges,) int32"""


class Weights(NamedTuple):
    """What makes places and ways unlikely."""

    per_squared_m: float
    """for the distance of a place from its position"""
    per_ms: float
    """for the time of a way"""
    per_late_ms: float
    """for the time of a way beyond the time that there was"""
    per_turn: float
    """for turning back at a crossing"""
    back_m: float
    """who seems to roll back by less is standing"""
    max_haste: float
    """ways that must be driven so many times faster than they take are none"""
    spare_ms: float
    """added to the time that there was, before that is asked"""
    max_gap_ms: float
    """no way is sought between positions so far apart"""


class Trellis(NamedTuple):
    """Room for the likeliest way to each place, aligned to the places."""

    cost: np.ndarray
    """(places,) float64"""
    before: np.ndarray
    """(places,) int32, row of the place before, NO_INDEX where a way begins"""


POSITIONS = record(Positions, I64, I64, F64, F64)
LIMITS = record(Limits, f64, f64, f64, f64)
STREETS = record(Streets, I32, I32, I32, I32, F64, ALL_PAIRS)
OBSERVED = record(Observed, BOOL, I64, I64, F64, F64)
TRANSITIONS = record(Transitions, I64, I32, I32)
GATES = record(Gates, I32, I32)
WEIGHTS = record(Weights, f64, f64, f64, f64, f64, f64, f64, f64)
TRELLIS = record(Trellis, F64, I32)


@kernel()
def air_m(x, y, one, other):
    """Give the distance of two positions."""
    dx, dy = x[one] - x[other], y[one] - y[other]
    return sqrt(dx * dx + dy * dy)


@kernel()
def is_possible(pings, limits, one, other):
    """Tell whether a car can come from one position to a later one."""
    reach_m = limits.max_m_per_ms * (pings.at_ms[other] - pings.at_ms[one]) + limits.slack_m
    return air_m(pings.x, pings.y, one, other) <= reach_m


@kernel()
def is_next(pings, limits, one, other):
    """Tell whether a ping is of the same driver, later, and not much."""
    if other >= len(pings.at_ms) or pings.driver[one] != pings.driver[other]:
        return False
    return 0 < pings.at_ms[other] - pings.at_ms[one] <= limits.max_gap_ms


@kernel()
def mark_frozen(pings, last, anchor, state):
    """Mark the pings after `anchor` up to `last` that repeat its very position."""
    for p in range(anchor + 1, last + 1):
        if state[p] == STANDING and pings.x[p] == pings.x[anchor] and pings.y[p] == pings.y[anchor]:
            state[p] = FROZEN


@kernel((POSITIONS, LIMITS, I8, BOOL))
def screen(pings, limits, out_state, out_begins):
    """Find what positions cannot be, which cars stand, and between which pings nothing is said of the way.

    Parameters
    ----------
    pings : Positions
        (n,)
    limits : Limits
    out_state : (n,) int8
        MATCHED: to be matched; STANDING: a car that has not moved since; TELEPORTING: too far from the one
        before, and the one after is not; FROZEN: a repeated position, then a jump that the
        next ping confirms; SAME_INSTANT: no later than one before.
    out_begins : (n,) bool
        A first position, or one after a long time or a confirmed jump.
    """
    last, anchor = NO_INDEX, NO_INDEX
    for p in range(len(pings.at_ms)):
        out_state[p], out_begins[p] = MATCHED, False
        if last == NO_INDEX or pings.driver[p] != pings.driver[last]:
            out_begins[p] = True
        elif pings.at_ms[p] <= pings.at_ms[last]:
            out_state[p] = SAME_INSTANT
            continue
        elif pings.at_ms[p] - pings.at_ms[last] > limits.max_gap_ms:
            out_begins[p] = True
        elif not is_possible(pings, limits, last, p):
            confirmed = is_next(pings, limits, p, p + 1) and is_possible(pings, limits, p, p + 1)
            if not confirmed or is_possible(pings, limits, last, p + 1):
                out_state[p] = TELEPORTING
                continue
            mark_frozen(pings, last, anchor, out_state)
            out_begins[p] = True
        elif air_m(pings.x, pings.y, anchor, p) <= limits.still_m:
            out_state[p] = STANDING
        last = p
        if out_state[p] == MATCHED:
            anchor = p


@kernel()
def number_gates(gate_of_edge, nearby, u, out_offset, out_gate):
    """Number the different gates of a position's places; give how many."""
    begin, num = nearby.first[u], 0
    for row in range(begin, nearby.first[u + 1]):
        gate, at = gate_of_edge[nearby.edge[row]], 0
        while at < num and out_gate[at] != gate:
            at += 1
        out_gate[at] = gate
        out_offset[row] = at
        num = max(num, at + 1)
    return num


@kernel((BOOL, NEARBY, GATES, I64, TRANSITIONS), makes_arrays=True)
def list_pairs(begins, nearby, gates, out_first, out_transitions):
    """List the pairs of gates between the places of positions that follow each other, by exit.

    Parameters
    ----------
    begins : (n,) bool
        Between this position and the one before no times are needed.
    nearby : Nearby
    gates : Gates
    out_first : (exits + 1,) int64
        Where the pairs of each exit begin.
    out_transitions : Transitions
        Without its times, which are aligned to the answer.

    Returns
    -------
    (pairs,) int32
        The entry of each pair.
    """
    start, offset, _ = out_transitions
    num_rows, most = len(nearby.edge), 1
    for u in range(len(begins)):
        most = max(most, nearby.first[u + 1] - nearby.first[u])
    exits, entries, ignored = np.empty(most, np.int32), np.empty(most, np.int32), np.empty(num_rows, np.int32)
    entry, total = np.empty(0, np.int32), np.int64(0)
    for is_counting in (True, False):
        if is_counting:
            out_first[:] = 0
        else:
            for k in range(len(out_first)):
                total += out_first[k]
                out_first[k] = total  # the end; moved to the start as pairs are written
            entry = np.empty(total, np.int32)
        previous = NO_INDEX
        for u in range(len(begins)):
            if begins[u]:
                previous = NO_INDEX
            if nearby.first[u] == nearby.first[u + 1]:
                continue
            num_entries = number_gates(gates.entry, nearby, u, offset, entries)
            if previous != NO_INDEX:
                num_exits = number_gates(gates.exit, nearby, previous, ignored, exits)
                for k in range(num_exits):
                    if is_counting:
                        out_first[exits[k]] += num_entries
                        continue
                    out_first[exits[k]] -= num_entries
                    for j in range(num_entries):
                        entry[out_first[exits[k]] + j] = entries[j]
                for row in range(nearby.first[previous], nearby.first[previous + 1]):
                    start[row] = out_first[exits[ignored[row]]]
            previous = u
    return entry


@kernel()
def fill_times(streets, transitions, nearby, previous, u, out_ms):
    """Write the times from the ends of one position's edges to the starts of another's."""
    begin, num_before = nearby.first[previous], nearby.first[previous + 1] - nearby.first[previous]
    num, table = nearby.first[u + 1] - nearby.first[u], streets.table
    has_table = len(table.to_ms) > 0
    for j in range(num):
        row = nearby.first[u] + j
        to = streets.tail[nearby.edge[row]]
        for i in range(num_before):
            if has_table:
                ms = table.to_ms[to, table.place[streets.head[nearby.edge[begin + i]]]]
            else:
                ms = transitions.ms[transitions.start[begin + i] + transitions.offset[row]]
            out_ms[j * num_before + i] = ms


@kernel()
def partner(twin, nearby, row, end):
    """Give the row of the same street driven the other way, NO_INDEX if there is none."""
    other = twin[nearby.edge[row]]
    if other == NO_INDEX:
        return NO_INDEX
    if row + 1 < end and nearby.edge[row + 1] == other:
        return row + 1
    return row - 1


@kernel()
def turns_back(streets, nearby, ms, rows, spans):
    """Count how often the way between the places of two rows turns back at its first or last crossing."""
    (i, j), (begin_i, end_i, begin_j, end_j) = rows, spans
    width, num = end_i - begin_i, 0
    way_ms = ms[(j - begin_j) * width + i - begin_i]
    other = partner(streets.twin, nearby, i, end_i)
    if other != NO_INDEX:
        other_ms = streets.travel_ms[nearby.edge[other]]
        num += ms[(j - begin_j) * width + other - begin_i] + other_ms == way_ms
    other = partner(streets.twin, nearby, j, end_j)
    if other != NO_INDEX:
        other_ms = streets.travel_ms[nearby.edge[other]]
        num += ms[(other - begin_j) * width + i - begin_i] + other_ms == way_ms
    return num


@kernel()
def along_edge(streets, nearby, weights, i, j):
    """Give the times that the way along one edge counts for and takes; infinite if it must leave the edge.

    Who seems to roll back a little stands.
    """
    edge = nearby.edge[i]
    ahead_ms = (nearby.share[j] - nearby.share[i]) * streets.travel_ms[edge]
    if ahead_ms >= 0.0:
        return ahead_ms, ahead_ms
    if (nearby.share[i] - nearby.share[j]) * streets.length_m[edge] <= weights.back_m:
        return -ahead_ms, 0.0
    return inf, inf


@kernel()
def advance(streets, nearby, weights, elapsed_ms, ms, spans, trellis):
    """Find the likeliest way to each place of a position from the one before; tell if there is any.

    Whether a way turns back is asked last, and only of those that are likelier than what is found.
    """
    begin_i, end_i, begin_j, end_j = spans
    longest_ms = weights.max_haste * (elapsed_ms + weights.spare_ms)
    cost, edge, share, is_joined = trellis.cost, nearby.edge, nearby.share, False
    for j in range(begin_j, end_j):
        best, before = inf, NO_INDEX
        start_ms = share[j] * streets.travel_ms[edge[j]]
        row = (j - begin_j) * (end_i - begin_i) - begin_i
        for i in range(begin_i, end_i):
            if cost[i] >= best:
                continue
            counted_ms, way_ms, leaves = inf, inf, False
            if edge[i] == edge[j]:
                counted_ms, way_ms = along_edge(streets, nearby, weights, i, j)
            if counted_ms == inf and ms[row + i] < UNREACHABLE_MS:
                way_ms = ms[row + i] + (1.0 - share[i]) * streets.travel_ms[edge[i]] + start_ms
                counted_ms, leaves = way_ms, True
            total = cost[i] + weights.per_ms * counted_ms
            total += weights.per_late_ms * max(way_ms - elapsed_ms, 0.0)
            if total >= best or way_ms > longest_ms:
                continue
            if leaves:
                total += weights.per_turn * turns_back(streets, nearby, ms, (i, j), spans)
            if total < best:
                best, before = total, i
        distance_m = nearby.distance_m[j]
        cost[j] = best + weights.per_squared_m * distance_m * distance_m
        trellis.before[j] = before
        is_joined |= before != NO_INDEX
    return is_joined


@kernel()
def begin_chain(nearby, weights, u, trellis):
    """Let ways begin at any place of a position."""
    for j in range(nearby.first[u], nearby.first[u + 1]):
        trellis.cost[j] = weights.per_squared_m * nearby.distance_m[j] * nearby.distance_m[j]
        trellis.before[j] = NO_INDEX


@kernel()
def trace_back(nearby, trellis, last, out_place, out_joined):
    """Write the places of the likeliest sequence that ends at a position; give its cost."""
    best = nearby.first[last]
    for j in range(nearby.first[last], nearby.first[last + 1]):
        if trellis.cost[j] < trellis.cost[best]:
            best = j
    cost, row, u = trellis.cost[best], best, last
    while row != NO_INDEX:
        while row < nearby.first[u]:
            u -= 1
        out_place[u], out_joined[u] = row, trellis.before[row] != NO_INDEX
        row = trellis.before[row]
    return cost


@kernel(
    (STREETS, OBSERVED, NEARBY, TRANSITIONS, WEIGHTS, TRELLIS, I32, BOOL),
    makes_arrays=True,
)
def match(streets, observed, nearby, transitions, weights, trellis, out_place, out_joined):
    """Find the likeliest places of positions, chain by chain.

    Positions without a street nearby are passed over; where no way leads on, a new chain begins.

    Parameters
    ----------
    streets : Streets
    observed : Observed
        (n,)
    nearby : Nearby
        Of the positions.
    transitions : Transitions
        Empty where `streets` has a table.
    weights : Weights
    trellis : Trellis
    out_place : (n,) int32
        Row of `nearby`, NO_INDEX where there is no street.
    out_joined : (n,) bool
        Whether a way leads from the last position before that has a place.

    Returns
    -------
    float
        Cost of all chains.
    """
    most = 1
    for u in range(len(observed.x)):
        most = max(most, nearby.first[u + 1] - nearby.first[u])
    ms = np.empty(most * most, np.int32)
    total, previous = 0.0, NO_INDEX
    for u in range(len(observed.x)):
        out_place[u], out_joined[u] = NO_INDEX, False
        if observed.begins[u] and previous != NO_INDEX:
            total += trace_back(nearby, trellis, previous, out_place, out_joined)
            previous = NO_INDEX
        if nearby.first[u] == nearby.first[u + 1]:
            continue
        is_joined = False
        if previous != NO_INDEX:
            elapsed_ms = float(observed.at_ms[u] - observed.left_ms[previous])
            if elapsed_ms <= weights.max_gap_ms:
                fill_times(streets, transitions, nearby, previous, u, ms)
                first = nearby.first
                spans = (first[previous], first[previous + 1], first[u], first[u + 1])
                is_joined = advance(streets, nearby, weights, elapsed_ms, ms, spans, trellis)
            if not is_joined:
                total += trace_back(nearby, trellis, previous, out_place, out_joined)
        if not is_joined:
            begin_chain(nearby, weights, u, trellis)
        previous = u
    if previous != NO_INDEX:
        total += trace_back(nearby, trellis, previous, out_place, out_joined)
    return total
