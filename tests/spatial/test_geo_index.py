import math

import numpy as np
import pytest
from pyproj import Geod

from dispatch.errors import InputError
from dispatch.spatial.geo_index import GeoIndex
from dispatch.spatial.projection import LocalProjection

GEOD = Geod(ellps="WGS84")
CITIES = {
    "a city": (-122.42, 37.77),
    "across the antimeridian": (179.99, -16.5),
    "at the equator": (0.0, 0.0),
    "far north": (25.0, 79.5),
    "far south, lon beyond 180": (300.0, -70.0),
}


def crowd(lon0, lat0, num, seed, reach_m=20_000):
    """Points around a place, by azimuth and distance."""
    random = np.random.default_rng(seed)
    lon, lat, _ = GEOD.fwd(
        np.full(num, lon0), np.full(num, lat0), random.uniform(0, 360, num), random.uniform(0, reach_m, num)
    )
    return lon, lat


def true_m(lon, lat, place):
    return GEOD.inv(lon, lat, np.full(len(lon), place[0]), np.full(len(lon), place[1]))[2]


@pytest.mark.parametrize("name", CITIES)
def test_neighbours_are_those_on_the_ellipsoid(name):
    lon0, lat0 = CITIES[name]
    lon, lat = crowd(lon0, lat0, 300, 1)
    places = np.column_stack(crowd(lon0, lat0, 10, 2))
    index = GeoIndex(lon, lat)
    near, inside = index.nearest(*places.T, 7), index.within(*places.T, 3_000.0)
    for q, place in enumerate(places):
        expected = true_m(lon, lat, place)
        items = near.item[near.first[q] : near.first[q + 1]]
        distance_m = near.distance_m[near.first[q] : near.first[q + 1]]
        assert distance_m == pytest.approx(expected[items], rel=1e-5)
        assert distance_m == pytest.approx(np.sort(expected)[:7], rel=1e-5)
        found = set(inside.item[inside.first[q] : inside.first[q + 1]].tolist())
        assert found >= set(np.flatnonzero(expected < 3_000 * (1 - 1e-5)).tolist())
        assert found <= set(np.flatnonzero(expected < 3_000 * (1 + 1e-5)).tolist())


def test_the_error_at_the_far_edge_is_what_is_stated():
    lon, lat, _ = GEOD.fwd([10.0] * 40, [50.0] * 40, np.linspace(0, 351, 40), [199_000.0] * 40)
    index = GeoIndex(lon, lat, projection=LocalProjection(10.0, 50.0))
    near = index.nearest(lon, lat, 3)
    told = near.distance_m.reshape(40, 3)[:, 1:]
    items = near.item.reshape(40, 3)[:, 1:]
    assert (items != np.arange(40)[:, None]).all()
    real = np.array(
        [[GEOD.inv(lon[q], lat[q], lon[i], lat[i])[2] for i in row] for q, row in enumerate(items)]
    )
    assert (np.abs(told / real - 1) < 1.7e-4).all()
    assert (told / real - 1).max() > 1e-4


def test_items_move_come_and_go_in_degrees():
    index = GeoIndex([179.9, -179.9], [1.0, 1.0], [1, 2])
    (row,) = index.add([180.0], [1.0], [4])
    assert (row, len(index), index.num_rows) == (2, 3, 3)
    assert index.nearest([-180.0], [1.0], 1).item.tolist() == [2]
    index.move([0], [-179.999], [1.0])
    assert index.nearest([-180.0], [1.0], 3, available=np.array([True, True, False])).item.tolist() == [0, 1]
    assert index.nearest([-180.0], [1.0], 3, classes=6).item.tolist() == [2, 1]
    index.remove([0])
    assert index.within([-180.0], [1.0], 20_000.0).item.tolist() == [2, 1]


def test_a_projection_may_be_given_and_is_told():
    projection = LocalProjection(8.0, 47.0)
    index = GeoIndex([], [], projection=projection)
    assert index.projection is projection
    index.add(8.01, 47.0)
    distance_m = index.nearest(8.0, 47.0, 1).distance_m
    assert distance_m == pytest.approx([GEOD.inv(8.0, 47.0, 8.01, 47.0)[2]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GeoIndex([], []), "give a projection"),
        (lambda: GeoIndex([0.0, 3.0, 3.1], [81.0, 81.0, 81.1]), "lat0 is 81"),
        (lambda: GeoIndex([8.0, 8.0, 8.0, 13.0], [47.0, 47.0, 47.0, 52.0]), "row 3 .* km from the centre"),
        (lambda: GeoIndex([8.0, math.nan], [47.0, 47.0]), "row 1 are nan"),
        (lambda: GeoIndex([8.0], [91.0]), "row 0 are 8.0, 91.0"),
        (lambda: GeoIndex([8.0], [47.0, 48.0]), "lon has shape"),
        (
            lambda: GeoIndex([8.0], [47.0]).nearest([8.0, 20.0], [47.0, 47.0], 1),
            "row 1 .* km from the centre",
        ),
        (lambda: GeoIndex([8.0], [47.0]).within([8.0], [math.inf], 1.0), "row 0 are 8.0, inf"),
        (lambda: GeoIndex([8.0], [47.0]).add([8.0], [60.0]), "km from the centre"),
        (lambda: GeoIndex([8.0], [47.0]).move([1], [8.0], [47.0]), "item at row 0 is 1"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(InputError, match=message):
        make()
