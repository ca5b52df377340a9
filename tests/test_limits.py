import numpy as np
import pytest

from dispatch.errors import InputError
from dispatch.limits import check_range, check_seed, check_whole


@pytest.mark.parametrize("value", [1, 1.5, 2, np.int32(2), np.float64(1.0)])
def test_numbers_within_the_limits_pass(value):
    check_range("width_m", value, 1, 2, "metres")


@pytest.mark.parametrize("value", [0.999, 2.001, np.nan, np.inf, True, "1", None, [1], np.bool_(True)])
def test_others_are_named_with_the_rule(value):
    with pytest.raises(InputError) as raised:
        check_range("width_m", value, 1, 2, "metres")
    assert str(raised.value) == f"width_m is {value!r}: it must be a number from 1 to 2 metres"


def test_without_an_upper_limit_only_the_lower_one_is_told():
    check_range("n", 1e300, 0)
    check_range("n", np.inf, 0)
    with pytest.raises(InputError, match=r"^n is -1: it must be a number at least 0$"):
        check_range("n", -1, 0)


def test_whole_numbers_are_whole():
    check_whole("num", np.int64(3), 1, 5)
    for value in (3.0, np.float64(3)):
        with pytest.raises(InputError, match="it must be a whole number"):
            check_whole("num", value, 1, 5)
    with pytest.raises(InputError, match="num is 6: it must be a number from 1 to 5"):
        check_whole("num", 6, 1, 5)


def test_seeds_are_what_a_generator_takes():
    for seed in (0, 2**64):
        check_seed(seed)
        np.random.default_rng(seed)
    for seed in (-1, 0.5, 2**65):
        with pytest.raises(InputError, match="seed is"):
            check_seed(seed)
