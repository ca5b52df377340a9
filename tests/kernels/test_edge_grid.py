import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from dispatch.kernels import edge_grid
from dispatch.kernels.grid import FRAME_SIZE, Points, axis_cell, frame_of, num_cells_of
from naive.places import nearest_edges, point_at, side_at


def lines_of(edges):
    """Lines of lists of points, numbered 0, 10, 20 …: kernels need no consecutive rows."""
    x, y, share, edge = [], [], [], []
    for number, given_points in enumerate(edges):
        points = [one for one, other in pairwise([*given_points, None]) if one != other]
        points = points if len(points) > 1 else [given_points[0]] * 2
        steps = [math.dist(one, other) for one, other in pairwise(points)]
        way = np.concatenate([[0.0], np.cumsum(steps)])
        x += [point[0] for point in points]
        y += [point[1] for point in points]
        share += (way / (way[-1] or 1.0)).tolist()
        share[-1] = 1.0
        edge += [10 * number] * len(points)
    return edge_grid.Lines(*(np.array(column, float) for column in (x, y, share)), np.array(edge, np.int32))


def grid_of(lines):
    frame, first_slot = np.full(FRAME_SIZE, 99.0), np.full(len(lines.x) + 2, 99, np.int32)
    return edge_grid.EdgeGrid(frame, first_slot, *edge_grid.build(lines, frame, first_slot))


def snapped(lines, grid, points, limit_m=math.inf):
    num = len(points)
    out = (np.full(num, 9, np.int32), np.full(num, 9.0), np.full(num, 9.0), np.full(num, 9, np.int8))
    x, y = (np.array([point[axis] for point in points], float) for axis in (0, 1))
    edge_grid.snap(lines, grid, Points(x, y), limit_m, *out)
    return [column.tolist() for column in out]


def by_edge(lines):
    rows = {}
    for x, y, edge in zip(lines.x.tolist(), lines.y.tolist(), lines.edge.tolist(), strict=True):
        rows.setdefault(edge, []).append((x, y))
    return rows


def assert_exact(edges, points, limit_m=math.inf, tolerance_m=0.0):
    """Compare with looking at all segments: the same edge, where coordinates are small whole numbers."""
    lines = lines_of(edges)
    given_lines = by_edge(lines)
    found = snapped(lines, grid_of(lines), points, limit_m)
    for (x, y), edge, share, distance_m, side in zip(points, *found, strict=True):
        d2, nearest = nearest_edges(given_lines, x, y)
        expected_m = math.sqrt(d2)
        if expected_m > limit_m:
            assert (edge, distance_m, side) == (-1, math.inf, 0)
            continue
        assert distance_m == pytest.approx(expected_m, rel=1e-12, abs=tolerance_m)
        assert 0.0 <= share <= 1.0
        if tolerance_m == 0.0:
            assert edge == min(nearest)
            at = point_at(given_lines[edge], share)
            assert math.dist(at, (x, y)) == pytest.approx(distance_m, rel=1e-9, abs=1e-9)
            expected = side_at(given_lines[edge], share, x, y) if distance_m > 1e-6 else 0
            assert expected is None or side == expected


def polylines(coordinate):
    point = st.tuples(coordinate, coordinate)
    return st.lists(st.lists(point, min_size=2, max_size=5), min_size=1, max_size=15)


SMALL = st.integers(-12, 12)
SQUARE = [(0, 0), (8, 0), (8, 8), (0, 8), (0, 0)]


@given(
    polylines(SMALL),
    st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=15),
    st.sampled_from([math.inf, 3.0]),
)
@example([[(0, 0), (4, 0)], [(0, 2), (4, 2)]], [(2, 1), (0, 1), (9, 1)], math.inf)  # parallel, a tie
@example(
    [[(0, 0), (4, 0)], [(4, 0), (0, 0)], [(0, 0), (4, 0)]], [(1, 1), (-1, 0), (6, 0)], math.inf
)  # one above another
@example([[(3, 3), (3, 3)], [(3, 3), (3, 3), (3, 3)]], [(3, 3), (0, 0)], math.inf)  # without length
@example([SQUARE], [(4, 4), (-1, -1), (9, 9), (4, 1), (0, 0)], math.inf)  # a loop
@example(
    [[(0, 0), (4, 0), (4, 4)]], [(5, -1), (3, 1), (4, 5), (-1, 0)], math.inf
)  # outside and inside of a bend
@example([[(0, 0), (4, 0), (0, 0)]], [(5, 0), (2, 1), (2, -1)], math.inf)  # there and back
@settings(max_examples=150)
def test_finds_what_looking_at_all_finds(edges, points, limit_m):
    assert_exact(edges, points, limit_m)


@given(
    polylines(st.floats(-1e9, 1e9)),
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=8),
)
@settings(max_examples=60)
def test_huge_coordinates(edges, points):
    # Where millions of kilometres meet, rounding is all that is left of the last micrometre.
    assert_exact(edges, points + edges[0], tolerance_m=3e-6)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e4])
def test_crowds_outliers_and_long_edges(scale):
    rng = np.random.default_rng(3)
    crowd = [[tuple(rng.integers(0, 40, 2).tolist()) for _ in range(2)] for _ in range(60)]
    wide = [[(-900_000, 13), (900_000, 13)], [(17, -900_000), (17, 900_000)], [(800_000, 1), (800_001, 1)]]
    edges = [[(x * scale, y * scale) for x, y in points] for points in crowd + wide]
    points = [tuple(point) for point in (rng.uniform(-10, 50, (60, 2)) * scale).tolist()]
    far = [(7e5 * scale, 6e5 * scale), (-2e6 * scale, 0.0), (799_990 * scale, 2 * scale)]
    assert_exact(edges, points + far, tolerance_m=1e-9 * max(scale, 1.0))


@given(polylines(st.integers(0, 400)))
@settings(max_examples=60)
def test_a_segment_lies_in_all_cells_that_it_touches(edges):
    lines = lines_of(edges)
    grid = grid_of(lines)
    frame = frame_of(grid.frame)
    first = grid.first_slot[: num_cells_of(frame) + 1]
    assert (first[0], first[-1]) == (0, len(grid.segment))
    assert len(grid.segment) <= max(edge_grid.MOST_ENTRIES * len(lines.x), len(lines.x))
    for k in range(len(lines.x) - 1):
        if lines.edge[k] != lines.edge[k + 1]:
            continue
        for part in np.linspace(0, 1, 50):
            x = lines.x[k] + part * (lines.x[k + 1] - lines.x[k])
            y = lines.y[k] + part * (lines.y[k + 1] - lines.y[k])
            col = axis_cell(x, frame.x0, frame.cells_per_m, frame.last_col)
            row = axis_cell(y, frame.y0, frame.cells_per_m, frame.last_row)
            cell = row * (int(frame.last_col) + 1) + col
            assert k in grid.segment[first[cell] : first[cell + 1]]
    ends = np.stack([lines.x[:-1], lines.y[:-1], lines.x[1:], lines.y[1:]], axis=1)
    assert (grid.ends.reshape(-1, 4) == ends[grid.segment]).all()


def test_many_edges_fill_many_cells():
    rng = np.random.default_rng(5)
    start = rng.integers(0, 1000, (300, 2))
    stop = start + rng.integers(-40, 40, (300, 2))
    edges = [[tuple(a), tuple(b)] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
    assert num_cells_of(frame_of(grid_of(lines_of(edges)).frame)) > 100
    assert_exact(edges, [tuple(point) for point in rng.integers(-50, 1050, (40, 2)).tolist()])


def test_long_edges_make_larger_cells_not_many_entries():
    edges = [[(0, 10 * k), (1000, 1000 - 10 * k)] for k in range(100)]
    lines = lines_of(edges)
    grid = grid_of(lines)
    assert len(grid.segment) <= edge_grid.MOST_ENTRIES * 200
    assert_exact(edges, [(k * 37 % 1000, k * 91 % 1000) for k in range(30)])
