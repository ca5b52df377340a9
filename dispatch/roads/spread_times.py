"""Travel times with a fixed spread around them: how sure they are, without anything learnt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.kernels.quantiles import spread
from dispatch.roads.time_of_day import ByTime
from dispatch.roads.travel_times import TravelTimes, check_levels
from dispatch.units import DURATION_DTYPE


@dataclass(frozen=True)
class SpreadTimes:
    """Travel times whose quantiles are fixed ratios of them, by how long the drive is.

    An :class:`~dispatch.roads.travel_times.UncertainTimes`. The times themselves are those of `base`, taken
    for the medians.

    Parameters
    ----------
    base : TravelTimes
    levels : tuple of float
        At least two, ascending, each above 0 and below 1.
    ratio : (bins, levels) float64
        Quantiles over the travel time, 0 … 100, ascending in each row; (levels,) where there is one bin.
    edge_ms : (bins - 1,) int64
        Ascending, travel times at which the next bin begins.

    Raises
    ------
    InputError
        A shape is wrong, or a value out of range.
    """

    base: TravelTimes
    levels: tuple[float, ...]
    ratio: NDArray[np.float64]
    edge_ms: ArrayLike = ()

    def __post_init__(self) -> None:
        """Refuse values out of range, and keep copies of the arrays."""
        check_levels(self.levels)
        edge_ms = np.array(self.edge_ms, np.int64)
        if edge_ms.ndim != 1 or (np.diff(edge_ms, prepend=0) <= 0).any():
            raise InputError(f"edge_ms is {edge_ms.tolist()}: it must ascend from above 0")
        ratio = np.atleast_2d(np.array(self.ratio, np.float64, order="C"))
        shape = (len(edge_ms) + 1, len(self.levels))
        if ratio.shape != shape:
            raise InputError(f"ratio has the shape {ratio.shape}: it must have {shape}, bins and levels")
        if not ((ratio >= 0) & (ratio <= 100)).all() or (np.diff(ratio, axis=1) < 0).any():
            raise InputError("ratio must hold numbers from 0 to 100 that fall from no level to the next")
        object.__setattr__(self, "ratio", ratio)
        object.__setattr__(self, "edge_ms", edge_ms)

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return self.base.num_nodes

    def pairs_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the travel time of each pair of nodes (n,)."""
        return self.base.pairs_ms(from_node, to_node)

    def quantiles_ms(self, from_node: NDArray[np.int32], to_node: NDArray[np.int32]) -> NDArray[np.int32]:
        """Give the quantiles (n, levels) of each pair of nodes (n,)."""
        travel_ms = np.require(self.base.pairs_ms(from_node, to_node), DURATION_DTYPE, ["C", "W"])
        out_ms = np.empty((len(travel_ms), len(self.levels)), DURATION_DTYPE)
        spread(travel_ms, self.edge_ms, self.ratio, out_ms)
        return out_ms


class SpreadByTime:
    """The same for travel times that change with time.

    Parameters
    ----------
    by_time : ByTime[TravelTimes]
    make : callable
        Gives the spread around the travel times of an instant.
    """

    def __init__(self, by_time: ByTime[TravelTimes], make: Callable[[TravelTimes], SpreadTimes]) -> None:
        self._by_time, self._make = by_time, make
        self._latest: SpreadTimes | None = None

    def at(self, at_ms: int) -> SpreadTimes:
        """Give what is in force at an instant, milliseconds since the epoch."""
        base, latest = self._by_time.at(at_ms), self._latest
        if latest is None or latest.base is not base:
            self._latest = latest = self._make(base)
        return latest
