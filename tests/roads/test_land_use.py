import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.roads.land_use import USES, LandUse


def columns(**changed):
    given = {name: np.arange(1.0, 5.0) for name in USES}
    return {**given, **changed}


def test_each_column_is_scaled_to_a_sum_of_one():
    land_use = LandUse([1, 3], np.array([2, 2], np.int32), [0.0, 5.0], [1e-300, 3e-300])
    np.testing.assert_allclose(land_use.homes, [0.25, 0.75])
    np.testing.assert_allclose(land_use.jobs, [0.5, 0.5])
    np.testing.assert_allclose(land_use.leisure, [0.0, 1.0])
    np.testing.assert_allclose(land_use.airport, [0.25, 0.75])
    assert len(land_use) == 2
    assert all(getattr(land_use, name).dtype == np.float64 for name in USES)


def test_weights_near_the_limits_of_float64_are_scaled_too():
    land_use = LandUse(**columns(homes=[1e308, 1e308, 1e308, 0.0]))
    np.testing.assert_allclose(land_use.homes, [1 / 3, 1 / 3, 1 / 3, 0])


def test_the_given_array_is_left_alone():
    given = np.array([1.0, 2.0, 3.0, 4.0])
    LandUse(**columns(homes=given))
    np.testing.assert_array_equal(given, [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize("name", USES)
@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([1.0, -0.5, 2.0, 0.0], r"\[1\] is -0.5"),
        ([1.0, 1.0, np.nan, 0.0], r"\[2\] is nan"),
        ([np.inf, 1.0, 1.0, 0.0], r"\[0\] is inf"),
        ([0.0, 0.0, 0.0, 0.0], "sums to 0"),
        ([[1.0, 1.0], [1.0, 1.0]], "shape"),
        (1.0, "shape"),
        ([], "sums to 0"),
        (["a", "b", "c", "d"], "not an array of numbers"),
    ],
)
def test_bad_weights_are_refused_by_name_row_and_rule(name, weights, said):
    with pytest.raises(InputError, match=said) as refusal:
        LandUse(**columns(**{name: weights}))
    assert str(refusal.value).startswith(name)


@pytest.mark.parametrize("name", [name for name in USES if name != "homes"])
def test_columns_must_be_of_one_length(name):
    with pytest.raises(InputError, match=rf"{name} holds 3 weights and homes 4"):
        LandUse(**columns(**{name: [1.0, 1.0, 1.0]}))


def test_a_city_may_have_no_airport():
    land_use = LandUse([1, 3], [1, 1], [1, 0])
    assert land_use.airport is None
    assert len(land_use) == 2
    with pytest.raises(InputError, match=r"airport holds 3 weights and homes 2"):
        LandUse([1, 3], [1, 1], [1, 0], [1, 1, 1])
