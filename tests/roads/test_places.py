import math
from dataclasses import replace

import numpy as np
import pytest
import shapely

from dispatch.errors import InputError
from dispatch.roads.city import City
from dispatch.roads.edge_shapes import EdgeShapes
from dispatch.roads.graph import RoadGraph
from dispatch.roads.network_file import load_network
from dispatch.roads.places import EdgeSnapper, Places
from dispatch.spatial.projection import LocalProjection
from dispatch.units import NO_INDEX
from naive.places import nearest_edges, point_at, side_at

CENTRE = (8.5, 49.4)


def graph_of(points_of_edges, projection, shaped=True):
    """A graph of edges that run through points of the plane; equal ends are one node."""
    ends = sorted({points[end] for points in points_of_edges for end in (0, -1)})
    from_node, to_node = (
        np.array([ends.index(points[end]) for points in points_of_edges], np.int32) for end in (0, -1)
    )
    first = np.cumsum([0] + [len(points) for points in points_of_edges]).astype(np.int32)
    x, y = np.array([point for points in points_of_edges for point in points], float).T
    return RoadGraph.from_edges(
        projection.to_degrees(*np.array(ends, float).T),
        from_node,
        to_node,
        np.array([max(shapely.LineString(points).length, 0.1) for points in points_of_edges]),
        np.full(len(points_of_edges), 30.0),
        np.zeros(len(points_of_edges), np.int8),
        EdgeShapes(first, *projection.to_degrees(x, y)) if shaped else None,
    )


def lines_of(graph, projection):
    """The points of each arc in the plane, by row."""
    if graph.shapes is None:
        x, y = projection.to_plane(graph.node_lon, graph.node_lat)
        nodes = [(int(a), int(b)) for a, b in zip(graph.tail, graph.head, strict=True)]
        return {row: [(x[a], y[a]), (x[b], y[b])] for row, (a, b) in enumerate(nodes)}
    x, y = projection.to_plane(graph.shapes.lon, graph.shapes.lat)
    first = graph.shapes.first_point.tolist()
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    return {row: points[first[row] : first[row + 1]] for row in range(graph.num_arcs)}


def assert_right(graph, projection, lon, lat, limit_m):
    """All places are the nearest; side and share fit; and their coordinates lie where they should."""
    snapper = EdgeSnapper(graph, projection)
    places = snapper.snap(lon, lat, limit_m)
    lines = lines_of(graph, projection)
    x, y = projection.to_plane(lon, lat)
    at_x, at_y = projection.to_plane(*snapper.lonlat(places))
    for i in range(len(lon)):
        expected_m = math.sqrt(nearest_edges(lines, x[i], y[i])[0])
        if expected_m > limit_m:
            assert (places.edge[i], places.distance_m[i], places.side[i]) == (NO_INDEX, math.inf, 0)
            continue
        edge, share = int(places.edge[i]), float(places.share[i])
        assert graph.twin[edge] == NO_INDEX or edge < graph.twin[edge]
        assert places.distance_m[i] == pytest.approx(expected_m, rel=1e-12, abs=1e-9)
        expected = point_at(lines[edge], share)
        assert (at_x[i], at_y[i]) == pytest.approx(expected, abs=1e-6)
        assert math.dist(expected, (x[i], y[i])) == pytest.approx(expected_m, abs=1e-6)
        side = side_at(lines[edge], share, x[i], y[i]) if expected_m > 1e-3 else None
        assert side is None or places.side[i] == side


BENT = [
    [(0, 0), (100, 0), (100, 50)],
    [(100, 50), (100, 0), (0, 0)],  # its other direction
    [(100, 50), (0, 0)],
    [(100, 50), (140, 50), (140, 90), (100, 90), (100, 50)],  # a loop
    [(0, 0), (0, 0), (-80, 30), (-80, 30), (-60, 90)],  # points twice
    [(-60, 90), (-60, 90)],  # no length
    [(100, 50), (100, 50.5)],
]


@pytest.fixture(scope="module")
def bent():
    projection = LocalProjection(*CENTRE)
    graph = graph_of(BENT, projection)
    return graph, EdgeSnapper(graph, projection)


@pytest.mark.parametrize("shaped", [True, False])
@pytest.mark.parametrize("limit_m", [25.0, math.inf])
def test_agrees_with_looking_at_all_streets(limit_m, shaped):
    projection = LocalProjection(*CENTRE)
    graph = graph_of(BENT, projection, shaped)
    rng = np.random.default_rng(4)
    lon, lat = projection.to_degrees(rng.uniform(-200, 250, 120), rng.uniform(-100, 200, 120))
    corners = projection.to_degrees(*np.array([point for points in BENT for point in points], float).T)
    lon, lat = np.concatenate([lon, corners[0], [-122.4]]), np.concatenate([lat, corners[1], [37.8]])
    assert_right(graph, projection, lon, lat, limit_m)


def test_streets_across_the_antimeridian():
    projection = LocalProjection(180.0, -17.0)
    graph = graph_of([[(-500, 0), (500, 10)], [(500, 10), (500, 800)]], projection)
    assert np.ptp(graph.node_lon) > 359
    assert_right(graph, projection, np.array([179.999, -179.999, 181.0]), np.full(3, -17.0), math.inf)


def place_at(snapper, x, y):
    places = snapper.snap(*snapper.projection.to_degrees([x], [y]))
    return int(places.edge[0]), float(places.share[0]), float(places.distance_m[0]), int(places.side[0])


def test_edge_share_distance_and_side(bent):
    graph, snapper = bent
    there = min(int(np.flatnonzero((graph.length_m == 150) & (graph.tail != graph.head))[0]), 99)
    edge, share, distance_m, side = place_at(snapper, 60, -7)
    tail_first = lines_of(graph, snapper.projection)[there][0] == pytest.approx((0, 0), abs=1e-6)
    assert edge == there
    assert graph.twin[there] > there
    assert share == pytest.approx(0.4 if tail_first else 0.6)
    assert distance_m == pytest.approx(7)
    assert side == (1 if tail_first else -1)
    # Outside of the bend it lies on the same side, though beyond the ends of both of its parts.
    assert place_at(snapper, 103, -4)[3] == side
    assert place_at(snapper, 60, 0)[2:] == (pytest.approx(0, abs=1e-8), 0)


def test_the_usual_limit_is_200_m(bent):
    assert place_at(bent[1], 60, -199)[0] != NO_INDEX
    assert place_at(bent[1], 60, -201) == (NO_INDEX, 0.0, math.inf, 0)


def test_types_and_lengths(bent):
    places = bent[1].snap(8.5, 49.4)
    assert len(places) == 1
    assert (places.edge.dtype, places.share.dtype) == (np.int32, np.float64)
    assert (places.distance_m.dtype, places.side.dtype) == (np.float64, np.int8)
    assert len(bent[1].snap([], [])) == 0
    assert [len(values) for values in bent[1].lonlat(bent[1].snap([], []))] == [0, 0]


def test_a_graph_without_streets_has_no_places():
    nothing, none = np.empty(0), np.empty(0, np.int32)
    graph = RoadGraph.from_edges(
        (np.array([8.5]), np.array([49.4])), none, none, nothing, nothing, np.empty(0, np.int8)
    )
    places = EdgeSnapper(graph, LocalProjection(*CENTRE)).snap([8.5], [49.4], math.inf)
    assert (places.edge.tolist(), places.distance_m.tolist()) == ([NO_INDEX], [math.inf])


@pytest.mark.parametrize(
    ("lon", "lat", "limit_m", "message"),
    [
        ([8.5, math.nan], [49.4, 49.4], 10, r"lon, lat at row 1 are nan, 49.4 \(1 such rows\)"),
        ([8.5], [91.0], 10, "must be finite degrees"),
        ([8.5], [49.4, 49.4], 10, r"lon has shape \(1,\) and lat \(2,\)"),
        ([8.5], [49.4], -1.0, "max_distance_m is -1.0"),
        ([8.5], [49.4], math.nan, "max_distance_m is nan"),
    ],
)
def test_bad_coordinates_are_named(bent, lon, lat, limit_m, message):
    with pytest.raises(InputError, match=message):
        bent[1].snap(lon, lat, limit_m)


def test_coordinates_of_places_on_either_direction(bent):
    graph, snapper = bent
    edge = int(np.flatnonzero(graph.twin != NO_INDEX)[0])
    one = snapper.lonlat(Places.on([edge, NO_INDEX], [0.25, 0.0]))
    other = snapper.lonlat(Places.on([graph.twin[edge]], [0.75]))
    assert (one[0][0], one[1][0]) == pytest.approx((other[0][0], other[1][0]), abs=1e-12)
    assert (one[0][1], one[1][1]) == (math.inf, math.inf)
    again = snapper.snap(one[0][:1], one[1][:1])
    assert (again.edge[0], again.share[0], again.side[0]) == (edge, pytest.approx(0.25), 0)


def test_places_of_some_rows(bent):
    places = bent[1].snap(*bent[1].projection.to_degrees([60, 0, 9e5], [-7, 0, 0]))
    taken = places.take([2, 0, 0])
    assert len(taken) == 3
    for field in ("edge", "share", "distance_m", "side"):
        assert getattr(taken, field).tolist() == getattr(places, field)[[2, 0, 0]].tolist()


@pytest.mark.parametrize(
    ("edge", "share", "message"),
    [
        ([0, 1], [0.5], r"edge has shape \(2,\) and share \(1,\)"),
        ([0, 1], [0.5, 1.5], "row 1 are 1, 1.5"),
        ([0, 1], [math.nan, 0.5], "row 0 are 0, nan"),
        ([-2], [0.5], "row 0 are -2, 0.5"),
    ],
)
def test_bad_places_are_named(edge, share, message):
    with pytest.raises(InputError, match=message):
        Places.on(edge, share)


def test_places_of_another_graph_are_refused(bent):
    with pytest.raises(InputError, match="edge at row 0 is 99: the graph has 7 arcs"):
        bent[1].lonlat(Places.on([99], [0.5]))
    wrong = replace(Places.on([0], [0.5]), edge=np.array([-7], np.int32))
    with pytest.raises(InputError, match="edge at row 0 is -7"):
        bent[1].lonlat(wrong)


def test_a_real_city_agrees_with_an_r_tree(data):
    city = City.from_graph("san_francisco", load_network(data / "san_francisco").graph)
    snapper = EdgeSnapper(city.graph, city.projection)
    rng = np.random.default_rng(6)
    lon = rng.uniform(city.graph.node_lon.min(), city.graph.node_lon.max(), 5000)
    lat = rng.uniform(city.graph.node_lat.min(), city.graph.node_lat.max(), 5000)
    node_x, node_y = city.projection.to_plane(city.graph.node_lon, city.graph.node_lat)
    nodes = np.stack([city.graph.tail, city.graph.head], axis=1)
    tree = shapely.STRtree(shapely.linestrings(np.stack([node_x[nodes], node_y[nodes]], axis=2)))
    points = shapely.points(*city.projection.to_plane(lon, lat))
    _, expected_m = tree.query_nearest(points, return_distance=True, all_matches=False)
    places = snapper.snap(lon, lat, math.inf)
    assert places.distance_m == pytest.approx(expected_m, rel=1e-12, abs=1e-9)
