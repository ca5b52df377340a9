"""Travel times at another pace: all of a city faster or slower by one factor, as it changes over the day."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.all_pairs import scale
from dispatch.roads.all_pairs import AllPairsTimes
from dispatch.roads.metric import Metric
from dispatch.roads.travel_times import NearestByTime, Paths
from dispatch.units import MAX_TRAVEL_MS

WHOLE = 1000
"""Paces are thousandths of travel times."""


@dataclass(frozen=True)
class PacedTimes:
    """Travel times of a metric, or of a table of all pairs, times ``permille / 1000``."""

    base: Metric | AllPairsTimes
    permille: int = WHOLE

    def __post_init__(self) -> None:
        """Refuse paces out of range."""
        is_whole = isinstance(self.permille, int | np.integer)
        if not is_whole or not 1 <= self.permille <= 100_000:
            raise InputError(f"permille is {self.permille}: it must be a whole number from 1 to 100000")

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return self.base.num_nodes

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair of nodes (n,)."""
        if isinstance(self.base, AllPairsTimes):
            return self.base.scaled_pairs_ms(from_node, to_node, self.permille)
        return self._paced(self.base.pairs_ms(from_node, to_node))

    def paths(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> Paths:
        """Give the way of each pair of nodes (n,)."""
        paths = self.base.paths(from_node, to_node)
        return replace(paths, at_ms=self._paced(paths.at_ms))

    def nearest(self, drivers: ArrayLike, orders: ArrayLike, k: int, max_ms: int) -> NearestByTime:
        """Find the `k` of drivers (m,) who are first at each order (n,); see :meth:`Metric.nearest`."""
        metric = self.base.metric if isinstance(self.base, AllPairsTimes) else self.base
        # The longest travel time that is rounded to no more than max_ms.
        unpaced_ms = min((max_ms * WHOLE + WHOLE // 2 - 1) // self.permille, MAX_TRAVEL_MS)
        found = metric.nearest(drivers, orders, k, unpaced_ms)
        return found._replace(ms=self._paced(found.ms))

    def _paced(self, ms: NDArray[np.int32]) -> NDArray[np.int32]:
        if self.permille != WHOLE:
            scale(ms, self.permille)
        return ms


class PaceOfDay:
    """Travel times whose pace changes with time: those in force at an instant, for whole trips.

    Parameters
    ----------
    base : Metric or AllPairsTimes
    permille : (slots,) int64
        Pace of each slot, from the first one's start on, again and again.
    slot_ms : int
        Length of a slot.
    start_at_ms : int
        When the first slot starts.
    """

    def __init__(
        self, base: Metric | AllPairsTimes, permille: NDArray[np.int64], slot_ms: int, start_at_ms: int
    ) -> None:
        self.base, self.slot_ms, self.start_at_ms = base, slot_ms, start_at_ms
        self.permille = np.asarray(permille, np.int64)
        paced = {pace: PacedTimes(base, pace) for pace in np.unique(self.permille).tolist()}
        self._of_slot = [paced[pace] for pace in self.permille.tolist()]

    def at(self, at_ms: int) -> PacedTimes:
        """Give what is in force at an instant, milliseconds since the epoch."""
        return self._of_slot[(at_ms - self.start_at_ms) // self.slot_ms % len(self._of_slot)]
