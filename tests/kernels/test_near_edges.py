import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels import edge_grid
from dispatch.kernels.grid import FRAME_SIZE, Points
from dispatch.kernels.near_edges import Nearby, find_nearby
from naive.map_matching import places_near

COORDINATE = st.integers(-60, 60)
POINT = st.tuples(COORDINATE, COORDINATE)


def lines_of(streets):
    """Lines of edges with straight or bent shapes, and their grid; points are lists of (x, y)."""
    x, y, share, edge = [], [], [], []
    for number, points in streets.items():
        steps = [math.dist(one, other) for one, other in pairwise(points)]
        way = np.cumsum([0.0, *steps])
        x += [point[0] for point in points]
        y += [point[1] for point in points]
        share += (way / (way[-1] or 1.0)).tolist()
        share[-1] = 1.0
        edge += [number] * len(points)
    columns = (np.array(column, float) for column in (x, y, share))
    lines = edge_grid.Lines(*columns, np.array(edge, np.int32))
    frame, first_slot = np.zeros(FRAME_SIZE), np.zeros(len(x) + 2, np.int32)
    return lines, edge_grid.EdgeGrid(frame, first_slot, *edge_grid.build(lines, frame, first_slot))


def nearby(streets, twin, points, radius_m, most):
    lines, grid = lines_of(streets)
    room = 2 * len(points) * most
    found = Nearby(
        np.empty(len(points) + 1, np.int32), np.empty(room, np.int32), np.empty(room), np.empty(room)
    )
    x, y = (np.array([point[axis] for point in points], float) for axis in (0, 1))
    find_nearby(lines, grid, np.array(twin, np.int32), Points(x, y), radius_m, most, found)
    spans = zip(found.first[:-1], found.first[1:], strict=True)
    return [
        list(
            zip(
                found.distance_m[a:b].tolist(),
                found.edge[a:b].tolist(),
                found.share[a:b].tolist(),
                strict=True,
            )
        )
        for a, b in spans
    ]


@given(
    st.lists(st.tuples(POINT, POINT, st.booleans()), min_size=1, max_size=14),
    st.lists(POINT, min_size=1, max_size=6),
    st.sampled_from([5.0, 25.0, 500.0]),
    st.sampled_from([1, 3, 20]),
)
@settings(max_examples=120)
def test_finds_the_nearest_streets_in_both_directions(given_streets, points, radius_m, most):
    streets, twin = {}, []
    for one, other, is_two_way in given_streets:
        streets[len(twin)] = [one, other]
        twin += [len(twin) + 1, len(twin)] if is_two_way else [-1]
    for point, found in zip(points, nearby(streets, twin, points, radius_m, most), strict=True):
        expected = places_near(streets, twin, point, radius_m, most)
        assert [one[0] for one in found] == pytest.approx([one[0] for one in expected])
        everything = places_near(streets, twin, point, radius_m, len(streets))
        shares = {edge: (distance_m, share) for distance_m, edge, share in everything}
        assert len({edge for _, edge, _ in found}) == len(found)
        for distance_m, edge, share in found:
            assert (distance_m, share) == pytest.approx(shares[edge])


def test_a_bent_street_counts_once_where_it_is_nearest():
    streets = {0: [(0, 0), (100, 0), (100, 100)], 1: [(0, 60), (40, 60)]}
    (found,) = nearby(streets, [-1, -1], [(90, 50)], 80.0, 4)
    assert found == [(10.0, 0, pytest.approx(0.75)), (pytest.approx(math.hypot(50, 10)), 1, 1.0)]
    (found,) = nearby(streets, [-1, -1], [(98, 3)], 80.0, 1)
    assert found == [(2.0, 0, pytest.approx(103 / 200))]


def test_nothing_is_near():
    assert nearby({0: [(0, 0), (9, 0)]}, [-1], [(500, 500)], 20.0, 3) == [[]]
