import re

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.errors import InputError
from dispatch.roads.edge_shapes import EdgeShapes

POINTS = st.lists(st.tuples(st.sampled_from([0.0, -0.0, 1.0, 2.5]), st.sampled_from([7.0, 8.0])), min_size=2)
LINES = st.lists(POINTS, max_size=8)


def shapes_of(lines):
    """Shapes of lists of (lon, lat)."""
    first = np.cumsum([0, *(len(line) for line in lines)])
    points = np.array([point for line in lines for point in line]).reshape(-1, 2)
    return EdgeShapes.checked(first, points[:, 0], points[:, 1], len(lines))


def lines_of(shapes):
    """Lists of (lon, lat) of shapes."""
    points = list(zip(shapes.lon.tolist(), shapes.lat.tolist(), strict=True))
    return [points[a:b] for a, b in zip(shapes.first_point[:-1], shapes.first_point[1:], strict=True)]


@given(LINES)
def test_points_go_in_and_out(lines):
    shapes = shapes_of(lines)
    assert (shapes.num_arcs, lines_of(shapes)) == (len(lines), lines)
    assert shapes.first_point.dtype == np.int32


@given(LINES, st.data())
@settings(max_examples=50)
def test_some_of_them_in_any_order(lines, choice):
    rows = choice.draw(st.lists(st.integers(0, len(lines) - 1), max_size=9)) if lines else []
    assert lines_of(shapes_of(lines).take(np.array(rows, np.int64))) == [lines[row] for row in rows]


@given(LINES)
def test_fingerprints_are_equal_where_points_are(lines):
    there, back = shapes_of(lines).fingerprints()
    for i, line in enumerate(lines):
        for j, other in enumerate(lines):
            assert (there[i] == there[j]) == (line == other)
            assert (there[i] == back[j]) == (line == other[::-1])


WRONG = [
    (([0, 2], [0, 1], [0, 1], 2), "first_point has shape (2,): 2 arcs need (3,)"),
    (([0, 2], [0, 1], [0], 1), "lon, lat have shapes (2,) and (1,)"),
    (([0, 3], [0, 1], [0, 1], 1), "first_point goes from 0 to 3: it must from 0 to 2"),
    (([1, 2], [0, 1], [0, 1], 1), "first_point goes from 1 to 2"),
    (([0, 1, 3], [0, 1, 2], [0, 1, 2], 2), "first_point gives arc 0 fewer than two points"),
    (([0, 3, 2, 4], [0, 1, 2, 3], [0, 1, 2, 3], 3), "first_point gives arc 1 fewer than two points"),
    (([0, 2], [0, 181], [0, 1], 1), "lon, lat at row 1 are 181.0, 1.0: not on the globe"),
    (([0, 2], [0, 1], [np.nan, 1], 1), "lon, lat at row 0 are 0.0, nan"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_shapes_that_cannot_be(arguments, message):
    with pytest.raises(InputError, match=re.escape(message)):
        EdgeShapes.checked(*arguments)
