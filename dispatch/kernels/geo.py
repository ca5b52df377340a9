"""Distances on the globe."""

from math import asin, cos, radians, sin, sqrt

from dispatch.kernels.jit import F64, kernel

EARTH_RADIUS_M = 6_371_008.8  # mean radius of WGS84


@kernel((F64, F64, F64, F64, F64))
def haversine_m(lon1, lat1, lon2, lat2, out_m):
    """Great-circle distance of each pair of points on a sphere, metres; degrees in, all arrays (n,).

    Within 0.6 % of the distance on the ellipsoid.
    """
    for i in range(len(lon1)):
        half_lat = sin(radians(lat2[i] - lat1[i]) / 2)
        half_lon = sin(radians(lon2[i] - lon1[i]) / 2)
        a = half_lat * half_lat + cos(radians(lat1[i])) * cos(radians(lat2[i])) * half_lon * half_lon
        out_m[i] = 2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(a)))


@kernel((F64, F64, F64, F64, F64, F64))
def polynomials(u, v, coefficients_x, coefficients_y, out_x, out_y):
    """Evaluate two polynomials of total degree ``side - 1`` at each ``(u, v)``, by Horner's rule in both.

    Coefficients are squares, row by row: the factor of ``u**i * v**j`` stands in row ``i * side + j``.
    """
    side = round(sqrt(len(coefficients_x)))
    for p in range(len(u)):
        x = 0.0
        y = 0.0
        for i in range(side - 1, -1, -1):
            inner_x = 0.0
            inner_y = 0.0
            for j in range(side - 1 - i, -1, -1):
                inner_x = inner_x * v[p] + coefficients_x[i * side + j]
                inner_y = inner_y * v[p] + coefficients_y[i * side + j]
            x = x * u[p] + inner_x
            y = y * u[p] + inner_y
        out_x[p] = x
        out_y[p] = y
