"""Degrees to a plane in metres and back, around one point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import cos, radians
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pyproj import Proj

from dispatch.errors import InputError
from dispatch.kernels.geo import polynomials

MAX_CENTRE_LAT: Final = 80.0
"""Beyond it meridians run together and no road network of use lies there."""

NEAR_DEGREES: Final = 0.6
"""Half the height of the surroundings, about 67 km."""
SERIES_SIDE: Final = 8


@dataclass(frozen=True)
class LocalProjection:
    """Azimuthal equidistant projection on WGS84: true distances from its centre, no edge at the antimeridian.

    Distances between two points away from the centre are too long by about ``(r / 6371 km)² / 6`` (1e-5 at
    50 km from the centre).

    Within some 67 km of the centre polynomials of degree 7 stand for the projection, which is 10 times faster
    and differs by less than 10 nm; beyond, and on the way back, pyproj computes it.

    Parameters
    ----------
    lon0, lat0 : float
        Centre, degrees, WGS84; ``|lon0| <= 360``, ``|lat0| <= 80``.

    Raises
    ------
    InputError
        The centre is not finite or out of range.
    """

    lon0: float
    lat0: float

    def __post_init__(self) -> None:
        if not abs(self.lat0) <= MAX_CENTRE_LAT:
            raise InputError(
                f"lat0 is {self.lat0}: the centre of a projection must lie within {MAX_CENTRE_LAT:g} degrees "
                "of the equator; check that longitude and latitude are not swapped"
            )
        if not abs(self.lon0) <= 360:
            raise InputError(f"lon0 is {self.lon0}: it must be a longitude in degrees")

    @cached_property
    def _half_lon(self) -> float:
        return NEAR_DEGREES / cos(radians(self.lat0))

    @cached_property
    def _series(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coefficients of x and y as polynomials over the surroundings, scaled to -1 … 1 in both directions.

        Least squares at Chebyshev points, whose error is even over the whole.
        """
        points = np.cos(np.pi * (np.arange(2 * SERIES_SIDE) + 0.5) / (2 * SERIES_SIDE))
        u, v = (axis.ravel() for axis in np.meshgrid(points, points, indexing="ij"))
        powers = np.arange(SERIES_SIDE)
        i, j = np.nonzero(np.add.outer(powers, powers) < SERIES_SIDE)
        terms = u[:, None] ** i * v[:, None] ** j
        x, y = np.zeros((2, SERIES_SIDE * SERIES_SIDE))
        east_m, north_m = self._proj(self.lon0 + u * self._half_lon, self.lat0 + v * NEAR_DEGREES)
        x[i * SERIES_SIDE + j] = np.linalg.lstsq(terms, east_m)[0]
        y[i * SERIES_SIDE + j] = np.linalg.lstsq(terms, north_m)[0]
        return x, y

    @cached_property
    def _proj(self) -> Any:
        return Proj(proj="aeqd", lon_0=self.lon0, lat_0=self.lat0, ellps="WGS84", units="m")

    def to_plane(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Project degrees to metres east and north of the centre.

        Parameters
        ----------
        lon, lat : (n,) float64
            Degrees, WGS84.

        Returns
        -------
        x, y : (n,) float64
            Metres; infinite where a coordinate is not finite or no latitude.
        """
        lon, lat = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
        with np.errstate(invalid="ignore"):
            u = np.ascontiguousarray(((lon - self.lon0 + 180) % 360 - 180) / self._half_lon)
            v = np.ascontiguousarray((lat - self.lat0) / NEAR_DEGREES)
        x, y = np.empty(len(u)), np.empty(len(u))
        polynomials(u, v, *self._series, x, y)
        far = ~((np.abs(u) <= 1) & (np.abs(v) <= 1))
        if far.any():
            x[far], y[far] = self._exact(lon[far], lat[far])
        return x, y

    def to_degrees(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give the degrees of points of the plane; the inverse of :meth:`to_plane`.

        Parameters
        ----------
        x, y : (n,) float64
            Metres east and north of the centre.

        Returns
        -------
        lon, lat : (n,) float64
            Degrees, WGS84, ``-180 <= lon <= 180``.
        """
        x, y = np.atleast_1d(np.asarray(x, np.float64)), np.atleast_1d(np.asarray(y, np.float64))
        return self._exact(x, y, inverse=True)

    def _exact(
        self, first: NDArray[np.float64], second: NDArray[np.float64], inverse: bool = False
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # pyproj takes an array of one for a number, which numpy before 2.4 warns of: it gets the point twice.
        times = 2 if len(first) == 1 else 1
        moved = self._proj(np.repeat(first, times), np.repeat(second, times), inverse=inverse)
        one, other = (np.ascontiguousarray(values[: len(first)], np.float64) for values in moved)
        return one, other
