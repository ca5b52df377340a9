"""Learn from GPS pings how drivers without a passenger move.

What counts as idle is the time between two pings of an empty taxi: also that in which it drives to a
passenger who called, because pings do not tell. A taxi *stays* where it hardly moves for two minutes or more;
shorter halts, as at traffic lights, belong to driving. The driving in between is cut into *legs* of about
three minutes: a leg's last cell is what the model draws, the slowness is all their time over the free-flow
time between their ends.
"""

from __future__ import annotations

import datetime
import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.recorded import MAX_GAP_MS, MAX_NODE_DISTANCE_M
from dispatch.errors import InputError
from dispatch.kernels.cruising import next_moves
from dispatch.kernels.geo import haversine_m
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.trips import zone_info
from dispatch.sim.cells import Cells, cut_into_cells
from dispatch.sim.cruising import HOURS, CruiseHabits, CruiseModel, assemble, gravity
from dispatch.units import MS_PER_S, NO_INDEX, UNREACHABLE_MS

STANDING_M_PER_S: Final = 0.5
"""Slower is standing: 30 m from one ping to the next, which is what GPS wanders."""
MAX_M_PER_S: Final = 35.0
"""Faster is no car in a city but a broken ping."""
MIN_STAY_MS: Final = 120 * MS_PER_S
LEG_MS: Final = 180 * MS_PER_S
FEW_LEGS: Final = 100.0
"""As many legs from a cell count as much as what is known without them. On two days of San Francisco that
were not fitted on, the mean logarithm of a leg's probability is -1.969 so; with 10, 30 and 300 it is -1.987,
-1.974 and -1.978, by pickups nearby alone -2.351."""
FEW_STAYS: Final = 20.0
"""Likewise the stays of an hour, and its idle hours, against those of all hours."""
MAX_STAY_SHARE: Final = 0.95
SLOWNESS_LIMITS: Final = (0.5, 10.0)
_MAX_ROUTED: Final = 30_000
_RUNS: Final = 1000
_MS_PER_MINUTE: Final = 60 * MS_PER_S
_MS_PER_QUARTER: Final = 15 * _MS_PER_MINUTE


@dataclass(frozen=True)
class IdlePairs:
    """Consecutive pings of one driver of which the first is empty, at most 300 s apart, inside the city."""

    at_ms: NDArray[np.int64]
    """(pairs,) instant of the first ping"""
    gap_ms: NDArray[np.int64]
    """(pairs,)"""
    from_node: NDArray[np.int32]
    """(pairs,)"""
    to_node: NDArray[np.int32]
    """(pairs,)"""
    step_m: NDArray[np.float64]
    """(pairs,) as the crow flies"""
    starts_run: NDArray[np.bool_]
    """(pairs,) the pair does not go on from the one before"""
    picked_up: NDArray[np.bool_]
    """(pairs,) a passenger is aboard at the second ping"""

    @property
    def stays(self) -> NDArray[np.bool_]:
        """(pairs,) the taxi stays: it stands for at least two minutes."""
        stands = self.step_m * MS_PER_S < STANDING_M_PER_S * self.gap_ms
        spell, _ = spells(stands, self.starts_run)
        long: NDArray[np.bool_] = np.bincount(spell, self.gap_ms) >= MIN_STAY_MS
        return stands & long[spell]


def spells(
    state: NDArray[np.bool_], starts_run: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the spells (pairs,) of one state in which pairs go on from each other; and their first rows."""
    begins = starts_run.copy()
    begins[1:] |= state[1:] != state[:-1]
    return np.cumsum(begins) - 1, np.flatnonzero(begins)


def idle_pairs(city: City, pings: RecordedPings) -> IdlePairs:
    """Find the pairs of pings between which a taxi was idle."""
    gap_ms = np.diff(pings.at_ms)
    rows = np.flatnonzero(
        (pings.driver_id[1:] == pings.driver_id[:-1])
        & (gap_ms > 0)
        & (gap_ms <= MAX_GAP_MS)
        & ~pings.occupied[:-1]
    )
    node = np.full(len(pings), NO_INDEX, np.int32)
    needed = np.unique(np.append(rows, rows + 1))
    node[needed], _ = city.snap(pings.lon[needed], pings.lat[needed], MAX_NODE_DISTANCE_M)
    rows = rows[(node[rows] != NO_INDEX) & (node[rows + 1] != NO_INDEX)]
    step_m = np.empty(len(rows))
    haversine_m(pings.lon[rows], pings.lat[rows], pings.lon[rows + 1], pings.lat[rows + 1], step_m)
    possible = step_m * MS_PER_S <= MAX_M_PER_S * gap_ms[rows]
    rows, step_m = rows[possible], step_m[possible]
    return IdlePairs(
        pings.at_ms[rows],
        gap_ms[rows],
        node[rows],
        node[rows + 1],
        step_m,
        np.diff(rows, prepend=-2) != 1,
        pings.occupied[rows + 1],
    )


def local_hours(at_ms: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Give the local hour (n,), 0 to 23, of instants (n,), milliseconds since the epoch."""
    zone = zone_info(timezone)
    quarters, place = np.unique(at_ms // _MS_PER_QUARTER, return_inverse=True)
    starts_s = quarters * (_MS_PER_QUARTER // MS_PER_S)
    hours = [datetime.datetime.fromtimestamp(int(start_s), zone).hour for start_s in starts_s]
    return np.array(hours, np.int64)[place]


@dataclass(frozen=True)
class _Legs:
    """Pieces of driving."""

    from_node: NDArray[np.int32]
    """(legs,)"""
    to_node: NDArray[np.int32]
    """(legs,)"""
    hour: NDArray[np.int64]
    """(legs,) local hour of the start"""
    duration_ms: NDArray[np.float64]
    """(legs,)"""
    driven_m: NDArray[np.float64]
    """(legs,) as the crow flies from ping to ping"""


def learn(city: City, pings: RecordedPings, timezone: str, before_ms: int | None = None) -> CruiseModel:
    """Learn stays, next cells, nodes and slowness from the pings of empty taxis.

    Rows of an hour and cell shrink towards those of all hours, and these towards pickups nearby; an hour's
    stays shrink towards those of all hours. The share of stays among decisions is chosen so that a driver of
    the model stands for the recorded share of its time.

    Parameters
    ----------
    city : City
    pings : RecordedPings
        Sorted by driver, then time. A week is plenty.
    timezone : str
        IANA name.
    before_ms : int, optional
        Pings from this instant on are not looked at; milliseconds since the epoch.

    Raises
    ------
    InputError
        No taxi drove empty inside the city, or the time zone is unknown.
    """
    if before_ms is not None:
        pings = pings.between(np.iinfo(np.int64).min, before_ms)
    pairs = idle_pairs(city, pings)
    hour = local_hours(pairs.at_ms, timezone)
    stays = pairs.stays
    legs = _cut_into_legs(pairs, hour, stays)
    if not len(legs.hour):
        raise InputError(
            f"no taxi drove empty in {city.name}: {len(pings)} pings were read, {len(pairs.at_ms)} pairs of "
            "them are of an empty taxi inside the city; without any, use CruiseModel.parked or random_walk"
        )
    cells, rng = cut_into_cells(city), np.random.default_rng(0xC12)
    slowness = _slowness(city, legs, rng)
    pickups = pairs.to_node[pairs.picked_up], hour[pairs.picked_up]
    targets = _shrunk_targets(cells, legs, gravity(cells, *pickups, CruiseHabits().decay_m))
    node_weight = np.bincount(legs.to_node, minlength=city.graph.num_nodes) + np.float64(1)
    always_driving = np.zeros(HOURS), np.full(HOURS, MIN_STAY_MS)
    driving = assemble(cells.of_node, node_weight, targets, always_driving, slowness)
    leg_ms = _mean_leg_ms(city, driving, legs, rng)
    return assemble(
        cells.of_node, node_weight, targets, _shares_of_stays(pairs, hour, stays, leg_ms), slowness
    )


def _cut_into_legs(pairs: IdlePairs, hour: NDArray[np.int64], stays: NDArray[np.bool_]) -> _Legs:
    """Cut each spell of driving evenly into legs of about :data:`LEG_MS`; too short spells are left out."""
    spell, first = spells(stays, pairs.starts_run)
    lasts_ms = np.bincount(spell, pairs.gap_ms)
    num_legs = np.rint(lasts_ms / LEG_MS)
    num_legs[stays[first]] = 0
    since_ms = pairs.at_ms - pairs.at_ms[first[spell]]
    leg = np.floor(since_ms * num_legs[spell] / lasts_ms[spell]).astype(np.int64)
    begins = np.ones(len(spell), np.bool_)
    begins[1:] = (spell[1:] != spell[:-1]) | (leg[1:] != leg[:-1])
    begin = np.flatnonzero(begins)
    end = np.append(begin[1:], len(spell)) - 1
    used = num_legs[spell[begin]] > 0
    driven_m = np.add.reduceat(pairs.step_m, begin)[used] if len(begin) else np.empty(0)
    begin, end = begin[used], end[used]
    duration_ms = pairs.at_ms[end] + pairs.gap_ms[end] - pairs.at_ms[begin]
    return _Legs(
        pairs.from_node[begin], pairs.to_node[end], hour[begin], duration_ms.astype(np.float64), driven_m
    )


def _slowness(city: City, legs: _Legs, rng: np.random.Generator) -> float:
    """Estimate the slowness with which a driver on quickest ways makes as many kilometres as the recorded.

    It is the time of legs over the free-flow time between their ends, less by how much more than these ways
    the recorded wound about; of both the metres are those from minute to minute, as the crow flies.
    """
    some = rng.permutation(len(legs.hour))[:_MAX_ROUTED]
    duration_ms = legs.duration_ms[some]
    paths = city.free_flow().paths(legs.from_node[some], legs.to_node[some])
    way = np.repeat(np.arange(len(some)), np.diff(paths.first))
    free_ms = np.zeros(len(some))
    np.maximum.at(free_ms, way, paths.at_ms)
    joined = np.flatnonzero((np.diff(paths.first) > 0) & (free_ms > 0))
    # One ascending axis for all ways, so that one interpolation finds all places: way i is at 2 i … 2 i + 1.
    along = 2.0 * way + paths.at_ms / np.maximum(free_ms[way], 1.0)
    minutes = np.arange(math.ceil(duration_ms.max() / _MS_PER_MINUTE) + 1)
    passed = np.minimum(minutes * _MS_PER_MINUTE / duration_ms[joined, None], 1.0)
    asked = 2.0 * joined[:, None] + passed
    ends = []
    for axis in (city.graph.node_lon, city.graph.node_lat):
        places = np.interp(asked, along, axis[paths.node])
        ends.append((places[:, :-1].ravel(), places[:, 1:].ravel()))
    step_m = np.empty(len(ends[0][0]))
    haversine_m(ends[0][0], ends[1][0], ends[0][1], ends[1][1], step_m)
    straight_m, driven_m = step_m.sum(), legs.driven_m[some][joined].sum()
    if not (straight_m and driven_m):
        return CruiseHabits().slowness
    slowness = duration_ms[joined].sum() / free_ms[joined].sum() * straight_m / driven_m
    return float(np.clip(slowness, *SLOWNESS_LIMITS))


def _shrunk_targets(cells: Cells, legs: _Legs, pull: NDArray[np.float64]) -> NDArray[np.float64]:
    """Estimate how likely each next cell is (24, cells, cells); `pull` is what to expect without any leg."""
    num, shape = len(cells), (HOURS, len(cells), len(cells))
    row = (legs.hour * num + cells.of_node[legs.from_node]) * num + cells.of_node[legs.to_node]
    counts = np.bincount(row, minlength=HOURS * num * num).reshape(shape).astype(np.float64)
    pooled = counts.sum(axis=0) + FEW_LEGS * pull.mean(axis=0)
    pooled /= pooled.sum(axis=1, keepdims=True)
    counts += FEW_LEGS * pooled
    return counts


def _mean_leg_ms(
    city: City, driving: CruiseModel, legs: _Legs, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Estimate how long the model's own legs take in each hour (24,), from where recorded ones begin."""
    some = rng.permutation(len(legs.hour))[:_MAX_ROUTED]
    hour, start = legs.hour[some], legs.from_node[some]
    target, stay_ms = np.empty(len(some), np.int32), np.empty(len(some), np.int64)
    next_moves(driving.arrays, hour, start, rng.random((len(some), 4)), target, stay_ms)
    moves = target != NO_INDEX
    hour, start, target = hour[moves], start[moves], target[moves]
    if not len(hour):
        return np.full(HOURS, float(LEG_MS))
    free_ms = city.free_flow().pairs_ms(start, target)
    joined = free_ms < UNREACHABLE_MS
    sums = np.bincount(hour[joined], free_ms[joined], HOURS)
    num = np.bincount(hour[joined], minlength=HOURS)
    overall = sums.sum() / max(num.sum(), 1)
    return np.asarray(driving.slowness * (sums + FEW_STAYS * overall) / (num + FEW_STAYS), np.float64)


def _shares_of_stays(
    pairs: IdlePairs, hour: NDArray[np.int64], stays: NDArray[np.bool_], leg_ms: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Estimate how often a decision is to stay, and for how long on average.

    How long a taxi stands beyond the two minutes that make a stay is exponential as the whole: the mean is
    all that time over the times that it drove off (stays that end with a passenger, or out of sight, are
    known to have been longer). Standing goes on with the probability of one more stay, so it lasts
    stay / (1 - probability) on average.
    """
    idle_ms = np.bincount(hour, pairs.gap_ms, HOURS)
    stood_ms = np.bincount(hour[stays], pairs.gap_ms[stays], HOURS)
    drove_off = np.zeros(len(stays), np.bool_)
    drove_off[:-1] = stays[:-1] & ~stays[1:] & ~pairs.starts_run[1:]
    num_ends = np.bincount(hour[drove_off], minlength=HOURS)
    begins = stays & pairs.starts_run
    begins[1:] |= stays[1:] & ~stays[:-1]
    beyond_ms = np.maximum(stood_ms - MIN_STAY_MS * np.bincount(hour[begins], minlength=HOURS), 0)
    few_ms = FEW_STAYS * 60 * 60 * MS_PER_S
    stood_share = (stood_ms + few_ms * stood_ms.sum() / idle_ms.sum()) / (idle_ms + few_ms)
    overall_ms = max(beyond_ms.sum() / max(num_ends.sum(), 1), MIN_STAY_MS)
    spell_ms = (beyond_ms + FEW_STAYS * overall_ms) / (num_ends + FEW_STAYS)
    run_ms = np.bincount(np.cumsum(pairs.starts_run) - 1, pairs.gap_ms).astype(np.float64)
    stay = _solve_for_stays(stood_share, spell_ms, leg_ms, run_ms)
    stay_ms = np.maximum(np.rint(spell_ms * (1 - stay)), MS_PER_S)
    return stay, stay_ms.astype(np.int64)


def _solve_for_stays(
    stood_share: NDArray[np.float64],
    spell_ms: NDArray[np.float64],
    leg_ms: NDArray[np.float64],
    run_ms: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Find the probability of a stay (24,) with which drivers stand for a share of their idle time.

    Idle times are short: most end before driving and standing balance. A driver begins to stand with the
    probability p at its first decision, and at the rate p / leg while it drives; it drives off at the rate
    1 / spell. Of an idle time T it stands πT + (p − π)(1 − exp(−kT)) / k, with k the sum of both rates and
    π the share of the first in it.
    """
    lasts_ms = np.quantile(run_ms, (np.arange(_RUNS) + 0.5) / _RUNS)
    low, high = np.zeros(HOURS), np.full(HOURS, MAX_STAY_SHARE)
    for _ in range(40):
        stay = (low + high) / 2
        begins, ends = stay / leg_ms, 1 / spell_ms
        both = begins + ends
        balance = begins / both
        since_start_ms = -np.expm1(-both[:, None] * lasts_ms).sum(axis=1) / both
        stood_ms = balance * lasts_ms.sum() + (stay - balance) * since_start_ms
        too_much = stood_ms > stood_share * lasts_ms.sum()
        low, high = np.where(too_much, low, stay), np.where(too_much, stay, high)
    return low
