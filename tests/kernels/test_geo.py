import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pyproj import Geod

from dispatch.kernels.geo import EARTH_RADIUS_M, haversine_m, polynomials

DEGREES = st.tuples(st.floats(-180, 180), st.floats(-90, 90))


def distance_m(lon1, lat1, lon2, lat2):
    arrays = [np.array([v], np.float64) for v in (lon1, lat1, lon2, lat2)]
    out_m = np.empty(1)
    haversine_m(*arrays, out_m)
    return out_m[0]


@given(DEGREES, DEGREES)
@settings(max_examples=200, deadline=None)
def test_within_a_share_of_the_ellipsoid(a, b):
    true_m = Geod(ellps="WGS84").inv(*a, *b)[2]
    assert distance_m(*a, *b) == pytest.approx(true_m, rel=0.006, abs=1e-3)


@given(DEGREES, DEGREES)
@settings(max_examples=100, deadline=None)
def test_equals_the_angle_between_unit_vectors(a, b):
    def unit(lon, lat):
        lon, lat = math.radians(lon), math.radians(lat)
        return np.array([math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)])

    u, v = unit(*a), unit(*b)
    angle = math.atan2(np.linalg.norm(np.cross(u, v)), u @ v)
    # asin near antipodes loses half of the digits
    assert distance_m(*a, *b) == pytest.approx(EARTH_RADIUS_M * angle, rel=1e-7, abs=0.5)


def test_known_distances():
    assert distance_m(0, 0, 0, 1) == pytest.approx(111_195.08, abs=0.01)
    assert distance_m(179.9, 0, -179.9, 0) == pytest.approx(22_239.02, abs=0.01)
    assert distance_m(0, 90, 120, 90) == pytest.approx(0, abs=1e-6)
    assert distance_m(0, 0, 180, 0) == pytest.approx(math.pi * EARTH_RADIUS_M)
    assert distance_m(7.5, 48.1, 7.5, 48.1) == 0


def test_short_steps_keep_their_digits():
    step_m = 2 * math.pi * EARTH_RADIUS_M / 360 * 1e-7
    assert distance_m(-122.4, 0.0, -122.4 + 1e-7, 0.0) == pytest.approx(step_m, rel=1e-6)


def test_a_batch_row_by_row():
    rng = np.random.default_rng(1)
    lon1, lon2 = rng.uniform(-180, 180, (2, 20))
    lat1, lat2 = rng.uniform(-90, 90, (2, 20))
    out_m = np.empty(20)
    haversine_m(lon1, lat1, lon2, lat2, out_m)
    assert out_m.tolist() == [distance_m(*row) for row in zip(lon1, lat1, lon2, lat2, strict=True)]


def test_polynomials_leave_out_terms_beyond_the_triangle():
    x, y = np.arange(1.0, 10.0), -np.arange(1.0, 10.0)
    u, v = np.array([2.0, 0.0, -1.0]), np.array([3.0, 0.0, 0.5])
    out_x, out_y = np.empty(3), np.empty(3)
    polynomials(u, v, x, y, out_x, out_y)
    # 1 + 2 v + 3 v² + 4 u + 5 u v + 7 u²
    assert out_x.tolist() == [100.0, 1.0, 3.25]
    assert out_y.tolist() == [-100.0, -1.0, -3.25]
