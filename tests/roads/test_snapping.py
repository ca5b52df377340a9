import math

import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.roads.graph import RoadGraph
from dispatch.roads.snapping import Snapper
from dispatch.spatial.projection import LocalProjection
from dispatch.units import NO_INDEX
from naive.neighbours import neighbours


def graph_of(lon, lat):
    none, nothing = np.empty(0, np.int32), np.empty(0)
    return RoadGraph.from_edges(
        (np.array(lon, float), np.array(lat, float)), none, none, nothing, nothing, np.empty(0, np.int8)
    )


@pytest.fixture(scope="module")
def town():
    rng = np.random.default_rng(7)
    graph = graph_of(8.5 + rng.uniform(-0.02, 0.02, 150), 49.4 + rng.uniform(-0.02, 0.02, 150))
    return graph, Snapper(graph, LocalProjection(8.5, 49.4))


@pytest.mark.parametrize("limit_m", [0.0, 50.0, 200.0, 1e7])
def test_agrees_with_brute_force(town, limit_m):
    graph, snapper = town
    rng = np.random.default_rng(8)
    lon = np.concatenate([8.5 + rng.uniform(-0.03, 0.03, 40), graph.node_lon[:5], [-122.4]])
    lat = np.concatenate([49.4 + rng.uniform(-0.03, 0.03, 40), graph.node_lat[:5], [37.8]])
    node, distance_m = snapper.snap(lon, lat, limit_m)
    assert (node.dtype, distance_m.dtype) == (np.int32, np.float64)
    node_x, node_y = snapper.projection.to_plane(graph.node_lon, graph.node_lat)
    x, y = snapper.projection.to_plane(lon, lat)
    for i in range(len(lon)):
        nearest = neighbours(node_x, node_y, x[i], y[i], 1, limit_m)
        assert (distance_m[i], node[i]) == (nearest[0] if nearest else (math.inf, NO_INDEX))


def test_the_usual_limit_is_200_m():
    snapper = Snapper(graph_of([8.5], [49.4]), LocalProjection(8.5, 49.4))
    degree_m = 72_590.0  # along this parallel
    node, distance_m = snapper.snap(8.5 + np.array([0.0, 199.0, 201.0]) / degree_m, np.full(3, 49.4))
    assert node.tolist() == [0, 0, NO_INDEX]
    assert distance_m == pytest.approx([0.0, 199.0, math.inf], abs=0.5)


def test_no_coordinates(town):
    node, distance_m = town[1].snap([], [])
    assert (len(node), len(distance_m)) == (0, 0)


@pytest.mark.parametrize(
    ("lon", "lat", "message"),
    [
        ([8.5, math.nan], [49.4, 49.4], r"lon, lat at row 1 are nan, 49.4 \(1 such rows\)"),
        ([8.5], [math.inf], "row 0 are 8.5, inf"),
        ([8.5], [91.0], "must be finite degrees"),
        ([8.5], [49.4, 49.4], r"lon has shape \(1,\) and lat \(2,\)"),
    ],
)
def test_bad_coordinates_are_named(town, lon, lat, message):
    with pytest.raises(InputError, match=message):
        town[1].snap(lon, lat)


def test_covers_a_little_more_than_the_bounds(town):
    covered = town[1].covers(
        np.array([8.5, 8.535, 8.6, 8.5, math.nan]), np.array([49.4, 49.4, 49.4, 49.5, 49.4])
    )
    assert covered.tolist() == [True, True, False, False, False]
