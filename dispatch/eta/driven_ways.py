"""Ways driven between pings, edge by edge, and how long each took: what travel times are learnt from."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.eta.map_matching import MatchedPings
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.tables import Dropped
from dispatch.units import INDEX_DTYPE, MS_PER_S

LEAST_M: Final = 50.0
"""Who moves less stands, as far as noise lets one see"""
LEAST_S: Final = 20.0
MOST_S: Final = 200.0
LEAST_RATIO: Final = 0.4
"""Of the time taken over free flow"""
MOST_RATIO: Final = 8.0


class DrivenWays(NamedTuple):
    """Ways driven, sorted by their ends, and how long each took."""

    first: NDArray[np.int64]
    """(ways + 1,) the edges of way ``i`` are entries ``first[i] … first[i + 1] - 1``, at least one"""
    edge: NDArray[np.int32]
    """(entries,) row of the graph's arc"""
    share: NDArray[np.float64]
    """(entries,) of the edge that was driven, above 0, at most 1"""
    duration_s: NDArray[np.float64]
    """(ways,)"""
    ended_at_ms: NDArray[np.int64]
    """(ways,) ascending"""
    driver_id: NDArray[np.int64]
    """(ways,)"""

    @property
    def num_ways(self) -> int:
        """Number of ways."""
        return len(self.duration_s)

    def take(self, begin: int, end: int) -> DrivenWays:
        """Give the ways from one row to before another."""
        low, high = self.first[begin], self.first[end]
        return DrivenWays(
            self.first[begin : end + 1] - low,
            self.edge[low:high].copy(),
            self.share[low:high].copy(),
            self.duration_s[begin:end].copy(),
            self.ended_at_ms[begin:end].copy(),
            self.driver_id[begin:end].copy(),
        )

    def select(self, rows: NDArray[np.int64]) -> DrivenWays:
        """Give the ways of some rows (n,), sorted by their ends, then driver."""
        rows = rows[np.lexsort((self.driver_id[rows], self.ended_at_ms[rows]))]
        num = np.diff(self.first)[rows]
        first, edge, share = _entries(self.first[rows], num, self.edge, self.share)
        return DrivenWays(
            first, edge, share, self.duration_s[rows], self.ended_at_ms[rows], self.driver_id[rows]
        )

    def between(self, from_at_ms: int, to_at_ms: int) -> DrivenWays:
        """Give the ways that ended from one instant to before another."""
        begin, end = np.searchsorted(self.ended_at_ms, [from_at_ms, to_at_ms]).tolist()
        return self.take(begin, max(begin, end))

    def usual_s(self, edge_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give what the driven parts (entries,) take where whole edges take `edge_s` (arcs,)."""
        taken: NDArray[np.float64] = self.share * edge_s[self.edge]
        return taken


def driven_ways(
    city: City, pings: RecordedPings, matched: MatchedPings, *, only_occupied: bool = True
) -> tuple[DrivenWays, tuple[Dropped, ...]]:
    """Give the steps between matched pings that tell how fast streets are.

    These are steps of 20 to 200 s over 50 m or more that took 0.4 to 8 times the time of free flow.

    Parameters
    ----------
    city : City
    pings : RecordedPings
    matched : MatchedPings
        Of these pings.
    only_occupied : bool
        Leave out steps without a passenger at both ends: an empty cab loiters.

    Returns
    -------
    DrivenWays
    tuple of Dropped
        Steps left out, by the first reason that holds.
    """
    begin, num = matched.first[:-1], np.diff(matched.first)
    share = matched.path_to - matched.path_from
    length_m, free_s = (
        _sums(share * per_edge[matched.path_edge], begin)
        for per_edge in (city.graph.length_m, city.graph.free_flow_ms() / MS_PER_S)
    )
    duration_s = (pings.at_ms[matched.step_to] - pings.at_ms[matched.step_from]) / MS_PER_S
    keep, drops = np.ones(len(num), np.bool_), []
    occupied = pings.occupied[matched.step_from] & pings.occupied[matched.step_to]
    for why, wrong in (
        ("steps without a passenger", ~occupied & only_occupied),
        ("steps of cars that stand", length_m < LEAST_M),
        ("steps too short in time", duration_s < LEAST_S),
        ("steps too long in time", duration_s > MOST_S),
        ("steps too fast to be true", duration_s < LEAST_RATIO * free_s),
        ("steps too slow for a drive", duration_s > MOST_RATIO * free_s),
    ):
        count = int(np.count_nonzero(keep & wrong))
        if count:
            drops.append(Dropped(why, count, "steps"))
        keep &= ~wrong
    rows = np.flatnonzero(keep)
    ended_at_ms = pings.at_ms[matched.step_to[rows]]
    driver_id = pings.driver_id[matched.step_to[rows]]
    order = np.lexsort((driver_id, ended_at_ms))
    rows = rows[order]
    first, edge, share = _entries(begin[rows], num[rows], matched.path_edge, share)
    ways = DrivenWays(first, edge, share, duration_s[rows], ended_at_ms[order], driver_id[order])
    return ways, tuple(drops)


def _sums(values: NDArray[np.float64], begin: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give the sums of rows that follow each other, none of them empty."""
    sums: NDArray[np.float64] = np.add.reduceat(values, begin) if len(begin) else np.zeros(0)
    return sums


def _entries(
    begin: NDArray[np.int64], num: NDArray[np.int64], edge: NDArray[np.int32], share: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Give row starts, edges and shares of some steps, without the edges that were only touched."""
    first = np.zeros(len(begin) + 1, np.int64)
    np.cumsum(num, out=first[1:])
    entry = np.arange(first[-1]) + np.repeat(begin - first[:-1], num)
    driven = share[entry]
    is_driven = driven > 0.0
    if not is_driven.all():
        before = np.zeros(len(entry) + 1, np.int64)
        np.cumsum(is_driven, out=before[1:])
        first, entry, driven = before[first], entry[is_driven], driven[is_driven]
    return first, edge[entry].astype(INDEX_DTYPE, copy=False), driven
