"""Ways driven as a live service learns of them: from pings until then alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.eta.driven_ways import DrivenWays, driven_ways
from dispatch.eta.features import ways_usual_s
from dispatch.eta.live import LiveTraffic
from dispatch.eta.map_matching import WHY_NOT, Matcher
from dispatch.eta.model import EtaModel
from dispatch.roads.city import City
from dispatch.roads.pings import RecordedPings
from dispatch.roads.tables import Dropped

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


def ways_as_told(city: City, pings: RecordedPings) -> tuple[DrivenWays, tuple[Dropped, ...]]:
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
    tuple of Dropped
        Pings that were not matched, by reason.
    """
    matcher, parts, state = Matcher(city), [], np.zeros(len(WHY_NOT) + 2, np.int64)
    for rounds in _rounds(pings):
        num_rounds = int(rounds.round_of.max()) + 1
        ids, driver = np.unique(pings.driver_id[rounds.ping], return_inverse=True)
        at_ms = pings.at_ms[rounds.ping]
        repeated = RecordedPings(
            driver * num_rounds + rounds.round_of,  # each round of a driver stands for itself
            at_ms,
            pings.lon[rounds.ping],
            pings.lat[rounds.ping],
            pings.occupied[rounds.ping],
        )
        matched = matcher.match(repeated)
        state += np.bincount(matched.state[at_ms // EVERY_MS == rounds.round_of], minlength=len(state))
        ways, _ = driven_ways(city, repeated, matched)
        minute = ways.ended_at_ms // EVERY_MS
        told = ways._replace(
            driver_id=ids[ways.driver_id // num_rounds], ended_at_ms=(minute + 1) * EVERY_MS - 1
        )
        parts.append(told.select(np.flatnonzero(minute == ways.driver_id % num_rounds)))
    drops = tuple(Dropped(why, int(state[one]), "pings") for one, why in WHY_NOT.items() if state[one])
    return _joined(parts), drops


class LivePings:
    """Live traffic fed with pings as they come: give them, and ETAs follow.

    Parameters
    ----------
    model : EtaModel

    Examples
    --------
    ``pings = LivePings(model)``, ``EtaTimes(model, pings.live)``, then ``pings.tell(…)`` every some seconds.
    """

    def __init__(self, model: EtaModel) -> None:
        self.live = LiveTraffic(model.city, model.live)
        """What was learnt"""
        self._model, self._matcher = model, Matcher(model.city)
        self._held: RecordedPings | None = None
        self._told_ms = 0
        """What ended before it was told"""

    def tell(self, pings: RecordedPings, now_ms: int) -> int:
        """Learn from pings that came in; give how many new ways they told.

        A car's step counts once the next ping is there: at once, for streets do not wait for a minute's end.

        Parameters
        ----------
        pings : RecordedPings
            Of any drivers, in any order; what is older than ``BACK`` minutes counts no more.
        now_ms : int
            Milliseconds since the epoch.
        """
        since_ms = now_ms - (BACK + 1) * EVERY_MS
        held = pings if self._held is None else _together(self._held, pings)
        self._held = held = held.between(since_ms, now_ms + 1)
        if not len(held):
            return 0
        ways, _ = driven_ways(self._model.city, held, self._matcher.match(held))
        new = ways.between(self._told_ms, now_ms + 1)
        self._told_ms = now_ms + 1
        self.live.observe(new, ways_usual_s(self._model.city, new, self._model.ground.probes))
        return new.num_ways


def _together(one: RecordedPings, other: RecordedPings) -> RecordedPings:
    """Put pings into one, sorted; what is told again counts once."""
    names = ("driver_id", "at_ms", "lon", "lat", "occupied")
    driver_id, at_ms, lon, lat, occupied = (
        np.concatenate([getattr(one, name), getattr(other, name)]) for name in names
    )
    order = np.lexsort((at_ms, driver_id))
    again = (np.diff(driver_id[order]) == 0) & (np.diff(at_ms[order]) == 0)
    order = order[np.concatenate([[True], ~again])] if len(order) else order
    return RecordedPings(driver_id[order], at_ms[order], lon[order], lat[order], occupied[order])


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
