"""Ways driven as a live service learns of them: matched anew every minute, from pings until then alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.eta.driven_ways import DrivenWays, driven_ways
from dispatch.eta.map_matching import Matcher
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings

EVERY_MS: Final = 60_000
"""Pings are matched so often."""
BACK: Final = 4
"""From so many times that span on: where a car is now hangs little on where it was before."""
_PINGS_AT_A_TIME: Final = 2_000_000


class _Rounds(NamedTuple):
    """Pings of some rounds; a ping is in as many rounds as look back at it."""

    ping: NDArray[np.int64]
    """(rows,) row of the ping, sorted by driver, round, time"""
    round_of: NDArray[np.int64]
    """(rows,) the round ends before instant ``(round_of + 1) * EVERY_MS``"""


def ways_as_told(city: City, pings: RecordedPings) -> DrivenWays:
    """Give the ways driven, each as it was matched in the minute in which it ended.

    Matching of all pings at one go looks ahead: where a car was is told by where it went. Here no way hangs
    on any ping at or after the instant from which on it counts.

    Parameters
    ----------
    city : City
    pings : RecordedPings

    Returns
    -------
    DrivenWays
        ``ended_at_ms`` is the last millisecond of the minute in which each ended: it counts for whoever sets
        out later. See :func:`dispatch.eta.driven_ways.driven_ways` for which ways are left out.
    """
    matcher, parts = Matcher(city), []
    for rounds in _rounds(pings):
        num_rounds = int(rounds.round_of.max()) + 1
        _, driver = np.unique(pings.driver_id[rounds.ping], return_inverse=True)
        repeated = RecordedPings(
            driver * num_rounds + rounds.round_of,  # each round of a driver stands for itself
            pings.at_ms[rounds.ping],
            pings.lon[rounds.ping],
            pings.lat[rounds.ping],
            pings.occupied[rounds.ping],
        )
        ways, _ = driven_ways(city, repeated, matcher.match(repeated))
        told_in, driver_row = ways.driver_id % num_rounds, ways.driver_id // num_rounds
        is_new = ways.ended_at_ms // EVERY_MS == told_in
        ids = np.unique(pings.driver_id[rounds.ping])
        told = ways._replace(
            driver_id=ids[driver_row], ended_at_ms=(ways.ended_at_ms // EVERY_MS + 1) * EVERY_MS - 1
        )
        parts.append(told.select(np.flatnonzero(is_new)))
    return _joined(parts)


def _rounds(pings: RecordedPings) -> Iterator[_Rounds]:
    """Give the rounds of matching, some hours at a time."""
    own = pings.at_ms // EVERY_MS
    order = np.argsort(own, kind="stable")
    begin = 0
    while begin < len(order):
        end = min(begin + _PINGS_AT_A_TIME // (BACK + 1), len(order))
        last = own[order[end - 1]]
        end = int(np.searchsorted(own[order], last, side="right"))  # rounds are matched as a whole
        first = int(np.searchsorted(own[order], own[order[begin]] - BACK))
        some = order[first:end]
        ping = np.repeat(some, BACK + 1)
        round_of = own[ping] + np.tile(np.arange(BACK + 1), len(some))
        used = (round_of >= own[order[begin]]) & (round_of <= last)
        ping, round_of = ping[used], round_of[used]
        sorted_ = np.lexsort((pings.at_ms[ping], round_of, pings.driver_id[ping]))
        yield _Rounds(ping[sorted_], round_of[sorted_])
        begin = end


def _joined(parts: list[DrivenWays]) -> DrivenWays:
    """Put parts that follow each other in time into one."""
    if not parts:
        none = np.empty(0, np.int64)
        return DrivenWays(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0), np.empty(0), none, none)
    before = np.cumsum([0, *(len(part.edge) for part in parts)])
    first = [part.first[:-1] + skipped for part, skipped in zip(parts, before, strict=False)]
    return DrivenWays(
        np.concatenate([*first, before[-1:]]).astype(np.int64),
        *(np.concatenate([part[column] for part in parts]) for column in range(1, 6)),
    )
