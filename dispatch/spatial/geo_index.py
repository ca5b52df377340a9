"""Nearest points and points within a radius, in degrees: a plane laid around their middle."""

from __future__ import annotations

from math import atan2, degrees, hypot, inf
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
from dispatch.spatial.grid_index import GridIndex, Neighbours
from dispatch.spatial.projection import LocalProjection

MAX_FROM_CENTRE_M: Final = 200_000.0
"""Farther from the centre distances would be wrong by more than 1.7e-4, 17 cm a kilometre."""

Plane = tuple[NDArray[np.float64], NDArray[np.float64]]


class GeoIndex:
    """A :class:`GridIndex` over longitudes and latitudes of one region, at most 200 km from its centre.

    Distances are metres in an azimuthal equidistant plane. They are true from the centre; between two points
    ``r`` metres from it they are too long by at most ``(r / 6371 km)² / 6`` of themselves: 1e-5 at 50 km,
    4e-5 at 100 km, 1.7e-4 at 200 km. What lies farther away is refused. The antimeridian is no edge.

    Parameters
    ----------
    lon, lat : (n,) float64
        Degrees, WGS84, ``|lon| <= 360``, ``|lat| <= 90``.
    classes : (n,) int64, optional
        As for :class:`GridIndex`.
    projection : LocalProjection, optional
        The plane; one around the middle of the points by default.

    Raises
    ------
    InputError
        A coordinate is out of range or too far from the centre; there are no points and no projection; or
        the centre is more than 80 degrees from the equator.
    """

    def __init__(
        self,
        lon: ArrayLike,
        lat: ArrayLike,
        classes: ArrayLike | None = None,
        projection: LocalProjection | None = None,
    ) -> None:
        lon, lat = _degrees(lon, lat)
        self._projection = projection or _around(lon, lat)
        self._index = GridIndex(*self._plane(lon, lat), classes)

    def __len__(self) -> int:
        """Give the number of items, without those removed."""
        return len(self._index)

    @property
    def num_rows(self) -> int:
        """One more than the largest row ever given: the length of an availability mask."""
        return self._index.num_rows

    @property
    def projection(self) -> LocalProjection:
        """The plane in which distances are measured."""
        return self._projection

    def nearest(
        self,
        lon: ArrayLike,
        lat: ArrayLike,
        k: int,
        max_distance_m: float = inf,
        available: NDArray[np.bool_] | None = None,
        classes: ArrayLike | None = None,
    ) -> Neighbours:
        """Find the `k` nearest items of each place (queries,); see :meth:`GridIndex.nearest`.

        Raises
        ------
        InputError
            As there, or a place is out of range or too far from the centre.
        """
        return self._index.nearest(*self._plane(lon, lat), k, max_distance_m, available, classes)

    def within(
        self,
        lon: ArrayLike,
        lat: ArrayLike,
        radius_m: float,
        available: NDArray[np.bool_] | None = None,
        classes: ArrayLike | None = None,
    ) -> Neighbours:
        """Find all items within `radius_m` of each place (queries,); see :meth:`GridIndex.within`.

        Raises
        ------
        InputError
            As there, or a place is out of range or too far from the centre.
        """
        return self._index.within(*self._plane(lon, lat), radius_m, available, classes)

    def add(self, lon: ArrayLike, lat: ArrayLike, classes: ArrayLike | None = None) -> NDArray[np.int32]:
        """Add items at these places (items,), and give their rows; see :meth:`GridIndex.add`.

        Raises
        ------
        InputError
            As there, or a place is out of range or too far from the centre; then nothing is added.
        """
        return self._index.add(*self._plane(lon, lat), classes)

    def move(self, item: ArrayLike, lon: ArrayLike, lat: ArrayLike) -> None:
        """Move items to these places (moved,); see :meth:`GridIndex.move`.

        Raises
        ------
        InputError
            As there, or a place is out of range or too far from the centre; then nothing is moved.
        """
        self._index.move(item, *self._plane(lon, lat))

    def remove(self, item: ArrayLike) -> None:
        """Take items (removed,) out; see :meth:`GridIndex.remove`."""
        self._index.remove(item)

    def _plane(self, lon: ArrayLike, lat: ArrayLike) -> Plane:
        """Give metres in the plane, checked."""
        lon, lat = _degrees(lon, lat)
        x, y = self._projection.to_plane(lon, lat)
        too_far = np.flatnonzero(~(x * x + y * y <= MAX_FROM_CENTRE_M**2))
        if len(too_far):
            row, centre = too_far[0], self._projection
            away_m = hypot(x[row], y[row])
            raise InputError(
                f"lon, lat at row {row} are {lon[row]}, {lat[row]}: {away_m / 1e3:.0f} km from "
                f"the centre {centre.lon0:.4f}, {centre.lat0:.4f}; an index covers "
                f"{MAX_FROM_CENTRE_M / 1e3:.0f} km around, where distances are true: make one for each region"
            )
        return x, y


def _degrees(lon: ArrayLike, lat: ArrayLike) -> Plane:
    """Give both as arrays (n,) of degrees, checked."""
    lons, lats = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
    if lons.shape != lats.shape or lons.ndim != 1:
        raise InputError(f"lon has shape {lons.shape} and lat {lats.shape}: both must be (n,)")
    wrong = np.flatnonzero(~((np.abs(lons) <= 360) & (np.abs(lats) <= 90)))
    if len(wrong):
        row = wrong[0]
        raise InputError(
            f"lon, lat at row {row} are {lons[row]}, {lats[row]}: coordinates must be finite degrees; "
            "leave out rows without a position"
        )
    return lons, lats


def _around(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> LocalProjection:
    """Lay a plane around the mean direction of some points, to which no meridian is an edge."""
    if not len(lon):
        raise InputError("there are no points to lay a plane around: give a projection")
    east, north = np.radians(lon), np.radians(lat)
    x, y, z = (
        float(np.mean(part))
        for part in (np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north))
    )
    return LocalProjection(degrees(atan2(y, x)), degrees(atan2(z, hypot(x, y))))
