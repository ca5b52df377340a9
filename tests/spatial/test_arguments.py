import math

import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.spatial import arguments


def test_what_is_ready_is_not_copied_and_the_rest_is_made_ready():
    ready = np.arange(6.0)
    assert arguments.as_plain(ready, arguments.FLOAT64) is ready
    read_only = ready.copy()
    read_only.flags.writeable = False
    for given in (ready[::2], read_only, ready.astype(np.float32), [0, 1, 2], ready.reshape(2, 3).T):
        plain = arguments.as_plain(given, arguments.FLOAT64)
        assert plain.dtype == np.float64
        assert plain.flags.c_contiguous
        assert plain.flags.writeable
        assert np.array_equal(plain, given)


def test_a_pair_of_numbers_is_one_point():
    points = arguments.as_points("x", 1, "y", 2)
    assert (points.x.tolist(), points.y.tolist()) == ([1.0], [2.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arguments.as_pair("x", [0.0], "y", [0.0, 1.0]), r"x has shape \(1,\) and y \(2,\)"),
        (lambda: arguments.as_points("x", [0.0, math.nan], "y", [0.0, 1.0]), "x at row 1 is nan"),
        (lambda: arguments.as_points("x", [0.0], "y", [-2e9]), "y at row 0 is -2000000000.0"),
        (lambda: arguments.as_classes([1, 2], 3), r"it must be \(3,\)"),
        (lambda: arguments.check_distance("far_m", -1.0), "far_m is -1.0"),
        (lambda: arguments.check_distance("far_m", math.nan), "far_m is nan"),
        (lambda: arguments.check_num_rows(2**31), "2147483648 rows, more than 2147483647"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_largest_of_everything_is_right():
    arguments.check_num_rows(2**31 - 1)
    arguments.check_distance("far_m", math.inf)
    assert len(arguments.as_points("x", [1e9, -1e9], "y", [0.0, 0.0]).x) == 2


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ((math.nan, 0.0, 1.0), "x is nan"),
        ((0.0, 2e9, 1.0), "y is 2000000000.0"),
        ((0.0, 0.0, -3.0), "far_m is -3.0"),
    ],
)
def test_a_bad_single_query_is_named(bad, message):
    x, y, limit_m = bad
    assert message in str(arguments.bad_query(x, y, "far_m", limit_m))
