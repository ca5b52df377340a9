import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from pyproj import Geod, Proj

from dispatch.errors import InputError
from dispatch.spatial.projection import LocalProjection

GEOD = Geod(ellps="WGS84")


def apart(lon1, lon2):
    return abs((lon1 - lon2 + 180) % 360 - 180)


@given(st.floats(-180, 180), st.floats(-80, 80), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
@settings(max_examples=100, deadline=None)
def test_true_distances_from_the_centre_and_back_again(lon0, lat0, d_lon, d_lat):
    projection = LocalProjection(lon0, lat0)
    lon, lat = lon0 + d_lon, lat0 + d_lat
    x, y = projection.to_plane([lon], [lat])
    assert math.hypot(x[0], y[0]) == pytest.approx(GEOD.inv(lon0, lat0, lon, lat)[2], abs=1e-4)
    back_lon, back_lat = projection.to_degrees(x, y)
    assert apart(back_lon[0], lon) < 1e-9
    assert back_lat[0] == pytest.approx(lat, abs=1e-9)


def test_east_is_x_and_north_is_y():
    x, y = LocalProjection(-122.4, 37.8).to_plane([-122.3, -122.4], [37.8, 37.9])
    assert x[0] > 8000
    assert abs(y[0]) < 10
    assert y[1] > 11000
    assert abs(x[1]) < 1e-6


def test_distances_between_points_of_a_city_are_true_to_1e_5():
    projection = LocalProjection(8.5, 49.4)
    rng = np.random.default_rng(2)
    lon, lat = 8.5 + rng.uniform(-0.4, 0.4, 50), 49.4 + rng.uniform(-0.3, 0.3, 50)
    x, y = projection.to_plane(lon, lat)
    true_m = GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])[2]
    assert np.hypot(np.diff(x), np.diff(y)) == pytest.approx(true_m, rel=1e-5)


def test_the_antimeridian_is_no_edge():
    projection = LocalProjection(180.0, -16.8)
    lon, lat = np.array([179.95, -179.95]), np.array([-16.8, -16.8])
    x, y = projection.to_plane(lon, lat)
    assert x[1] - x[0] == pytest.approx(GEOD.inv(179.95, -16.8, -179.95, -16.8)[2], rel=1e-6)
    assert abs(y).max() < 2
    back, _ = projection.to_degrees(x, y)
    assert [apart(a, b) < 1e-9 for a, b in zip(back, lon, strict=True)] == [True, True]


@pytest.mark.parametrize("lat0", [-80.0, -33.9, 0.0, 37.76, 60.0, 80.0])
def test_near_points_equal_what_pyproj_computes(lat0):
    rng = np.random.default_rng(3)
    half_lon = 0.6 / math.cos(math.radians(lat0))
    # reaches beyond the surroundings, where pyproj itself is asked
    lon, lat = 170.0 + rng.uniform(-1.2, 1.2, 2000) * half_lon, lat0 + rng.uniform(-0.7, 0.7, 2000)
    x, y = LocalProjection(170.0, lat0).to_plane(lon, lat)
    true_x, true_y = Proj(proj="aeqd", lon_0=170.0, lat_0=lat0, ellps="WGS84")(lon, lat)
    assert np.abs(x - true_x).max() < 1e-8
    assert np.abs(y - true_y).max() < 1e-8


def test_far_points_are_projected_and_what_is_no_place_is_infinite():
    projection = LocalProjection(-122.4, 37.8)
    x, y = projection.to_plane([-122.4, 10.0, math.nan, -122.4], [37.8, -89.0, 37.8, 95.0])
    assert math.hypot(x[0], y[0]) < 1e-8
    assert math.hypot(x[1], y[1]) == pytest.approx(GEOD.inv(-122.4, 37.8, 10.0, -89.0)[2])
    assert not np.isfinite(x[2:]).any()


def test_a_scalar_is_one_point_and_no_points_are_none():
    projection = LocalProjection(0.0, 0.0)
    assert projection.to_plane(0.0, 0.0)[0] == pytest.approx([0.0], abs=1e-8)
    assert projection.to_plane([], [])[0].shape == (0,)


@pytest.mark.parametrize("lat0", [80.1, -89.0, 120.0, math.nan, math.inf])
def test_a_centre_near_a_pole_is_refused(lat0):
    with pytest.raises(InputError, match=r"lat0 is .* within 80 degrees of the equator"):
        LocalProjection(0.0, lat0)


def test_a_centre_without_longitude_is_refused():
    with pytest.raises(InputError, match="lon0 is nan"):
        LocalProjection(math.nan, 0.0)
