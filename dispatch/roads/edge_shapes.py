"""How streets run between their ends, for drawing and for snapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.units import INDEX_DTYPE

_MIX: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


@dataclass(frozen=True)
class EdgeShapes:
    """The points of each arc from its tail to its head, both ends included.

    Points of arc ``a`` are rows ``first_point[a] … first_point[a + 1] - 1``, at least two.
    """

    first_point: NDArray[np.int32]
    """(arcs + 1,)"""
    lon: NDArray[np.float64]
    """(points,) degrees, WGS84"""
    lat: NDArray[np.float64]
    """(points,) degrees, WGS84"""

    @property
    def num_arcs(self) -> int:
        """Number of arcs."""
        return len(self.first_point) - 1

    @classmethod
    def checked(cls, first_point: ArrayLike, lon: ArrayLike, lat: ArrayLike, num_arcs: int) -> EdgeShapes:
        """Make shapes of a caller's arrays.

        Parameters
        ----------
        first_point : (num_arcs + 1,) whole numbers
            Where the points of each arc begin; the last one is the number of points.
        lon, lat : (points,) degrees
        num_arcs : int

        Raises
        ------
        InputError
            A length or a coordinate is not possible, or an arc has fewer than two points.
        """
        first = np.ascontiguousarray(first_point, INDEX_DTYPE)
        lons, lats = np.ascontiguousarray(lon, np.float64), np.ascontiguousarray(lat, np.float64)
        if first.shape != (num_arcs + 1,):
            raise InputError(f"first_point has shape {first.shape}: {num_arcs} arcs need ({num_arcs + 1},)")
        if lons.ndim != 1 or lons.shape != lats.shape:
            raise InputError(
                f"lon, lat have shapes {lons.shape} and {lats.shape}: each point needs one of both"
            )
        if first[0] != 0 or first[-1] != len(lons):
            raise InputError(
                f"first_point goes from {first[0]} to {first[-1]}: it must from 0 to {len(lons)}"
            )
        short = np.flatnonzero(np.diff(first) < 2)
        if len(short):
            raise InputError(f"first_point gives arc {short[0]} fewer than two points: both ends are needed")
        off = np.flatnonzero(~((np.abs(lons) <= 180) & (np.abs(lats) <= 90)))
        if len(off):
            raise InputError(f"lon, lat at row {off[0]} are {lons[off[0]]}, {lats[off[0]]}: not on the globe")
        return cls(first, lons, lats)

    def take(self, rows: NDArray[np.int64]) -> EdgeShapes:
        """Give the shapes of some arcs (n,), in that order."""
        begin = self.first_point[rows].astype(np.int64)
        size = self.first_point[rows + 1] - begin
        first = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(size, out=first[1:])
        point = np.arange(first[-1]) + np.repeat(begin - first[:-1], size)
        return EdgeShapes(first.astype(INDEX_DTYPE), self.lon[point], self.lat[point])

    def fingerprints(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Give a number for how each arc runs and one for how it runs backwards, (arcs,) each.

        Arcs with the same points in the same order have the same number, others almost surely not.
        """
        size = np.diff(self.first_point)
        from_start = np.arange(len(self.lon)) - np.repeat(self.first_point[:-1], size)
        from_end = np.repeat(size, size) - 1 - from_start
        # Adding zero makes -0.0 and 0.0 one number.
        bits = (self.lon + 0.0).view(np.uint64) * _MIX[0] + _mixed((self.lat + 0.0).view(np.uint64))
        forward, backward = (
            np.add.reduceat(_mixed(bits + place.astype(np.uint64) * _MIX[2]), self.first_point[:-1])
            if len(size)
            else np.zeros(0, np.uint64)
            for place in (from_start, from_end)
        )
        return forward, backward


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter the bits of each number (n,): the finaliser of splitmix64 (Steele, Lea and Flood 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[1]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[2]
    return bits ^ (bits >> np.uint64(31))
