from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings, strategies as st

from cities import grid_city, line_city
from dispatch.analysis.player_ways import SHARES, ways_between
from dispatch.roads.city import City
from dispatch.roads.edge_shapes import EdgeShapes

CITY = grid_city(12, 12)
ROUNDING_M = 0.75


def plane_of(city):
    return np.column_stack(city.projection.to_plane(city.graph.node_lon, city.graph.node_lat))


def bent(city):
    """The same city, each arc with two more points to its side."""
    lon, lat, graph = city.graph.node_lon, city.graph.node_lat, city.graph
    dx, dy = lon[graph.head] - lon[graph.tail], lat[graph.head] - lat[graph.tail]
    steps = ((0.0, 0.0), (0.3, 0.2), (0.7, 0.2), (1.0, 0.0))
    points = [
        np.column_stack([axis[graph.tail] + along * d + side * s for along, side in steps])
        for axis, d, s in ((lon, dx, -dy), (lat, dy, dx))
    ]
    first = np.arange(0, 4 * graph.num_arcs + 1, 4)
    shapes = EdgeShapes.checked(first, points[0].ravel(), points[1].ravel(), graph.num_arcs)
    return City.from_graph("Bentville", replace(graph, shapes=shapes), "UTC")


BENT = bent(CITY)


def way(ways, row):
    points = slice(ways.first[row], ways.first[row + 1])
    return np.column_stack([ways.x_m[points], ways.y_m[points]]), ways.share[points]


def full_line(city, from_node, to_node):
    """The shortest path as a line, all points of all arcs."""
    paths, nodes_at = city.free_flow().paths([from_node], [to_node]), plane_of(city)
    points = [nodes_at[from_node]]
    for edge, node in zip(paths.edge[1:], paths.node[1:], strict=True):
        if city.graph.shapes is not None:
            begin, end = city.graph.shapes.first_point[edge : edge + 2]
            shapes = city.graph.shapes
            points += list(
                np.column_stack(city.projection.to_plane(shapes.lon[begin:end], shapes.lat[begin:end]))
            )
        points.append(nodes_at[node])
    return shapely.LineString(points), paths


@pytest.mark.parametrize("city", [CITY, BENT], ids=lambda city: city.name)
@given(pairs=st.lists(st.tuples(st.integers(0, 143), st.integers(0, 143)), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("tolerance_m", [1.0, 40.0])
def test_ways_lie_on_the_shortest_path(city, tolerance_m, pairs):
    nodes = np.array(pairs)
    at = plane_of(city)
    ways = ways_between(city, at[nodes[:, 0]], at[nodes[:, 1]], tolerance_m)
    for row, (from_node, to_node) in enumerate(pairs):
        points, share = way(ways, row)
        np.testing.assert_allclose(points[0], at[from_node], atol=ROUNDING_M)
        np.testing.assert_allclose(points[-1], at[to_node], atol=ROUNDING_M)
        if from_node == to_node:
            assert len(points) == 1
            continue
        assert (share[0], share[-1]) == (0, SHARES)
        assert (np.diff(share) >= 0).all()
        line, _ = full_line(city, from_node, to_node)
        assert shapely.hausdorff_distance(shapely.LineString(points), line) <= tolerance_m + ROUNDING_M


def test_shares_are_those_of_the_travel_time():
    at = plane_of(CITY)
    ways = ways_between(CITY, at[[0]], at[[143]], 0.0)
    points, share = way(ways, 0)
    _, paths = full_line(CITY, 0, 143)
    node_at = at[paths.node]
    for point, part in zip(points, share, strict=True):
        nearest = np.argmin(np.hypot(*(node_at - point).T))
        assert part / SHARES == pytest.approx(paths.at_ms[nearest] / paths.at_ms[-1], abs=1e-4)


def test_places_off_the_streets_are_reached_exactly():
    at = plane_of(CITY)
    start, stop = at[[5]] + [[40.0, 25.0]], at[[100]] - [[30.0, 45.0]]
    points, share = way(ways_between(CITY, start, stop, 5.0), 0)
    np.testing.assert_allclose(points[[0, -1]], np.concatenate([start, stop]), atol=ROUNDING_M)
    assert 0 < share[1] < share[-2] < SHARES


def test_where_no_way_is_known_it_is_straight():
    city = line_city(sink=True)
    at = plane_of(city)
    from_sink = ways_between(city, at[[19]], at[[2]], 5.0)
    assert way(from_sink, 0)[0].tolist() == np.rint(at[[19, 2]]).tolist()
    assert way(from_sink, 0)[1].tolist() == [0, SHARES]
    far = at[[0]] - [[50_000.0, 0.0]]
    assert len(way(ways_between(city, far, at[[2]], 5.0), 0)[0]) == 2
    beside = at[[0]] + [[10.0, 10.0]]
    assert len(way(ways_between(city, at[[0]], beside, 5.0), 0)[0]) == 2


def test_nobody_drives():
    ways = ways_between(CITY, np.empty((0, 2)), np.empty((0, 2)), 10.0)
    assert ways.first.tolist() == [0]
