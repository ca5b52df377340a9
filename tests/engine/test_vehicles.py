"""Bits of classes and seats against the rule in plain words."""

import numpy as np
from hypothesis import given, strategies as st

from dispatch.engine.vehicles import ANY_BITS, MAX_CLASSES, served_bits
from dispatch.kernels.submission import MAX_SEATS, asked_bit

KINDS = st.lists(st.tuples(st.integers(0, MAX_CLASSES - 1), st.integers(0, 12)), min_size=1, max_size=6)


def asked_bits(kinds):
    return [int(asked_bit(np.int64(one), np.int64(passengers))) for one, passengers in kinds]


def columns(kinds):
    return tuple(np.array(column, np.int64) for column in zip(*kinds, strict=True))


@given(KINDS, KINDS, st.booleans())
def test_a_car_has_the_bit_of_each_order_that_it_may_serve(cars, orders, upgrades):
    served, asked = served_bits(*columns(cars), upgrades), asked_bits(orders)
    for (car_class, seats), bits in zip(cars, served.tolist(), strict=True):
        for (wanted, passengers), bit in zip(orders, asked, strict=True):
            fits_class = wanted <= car_class if upgrades else wanted == car_class
            fits_seats = min(max(passengers, 1), MAX_SEATS) <= min(max(seats, 1), MAX_SEATS)
            assert bool(bits & bit) == (fits_class and fits_seats)
            assert ANY_BITS & bit


@given(KINDS)
def test_orders_have_one_bit_each(orders):
    assert all(bit > 0 and bit & (bit - 1) == 0 for bit in asked_bits(orders))


def test_different_needs_have_different_bits():
    kinds = [(one, seats) for one in range(MAX_CLASSES) for seats in range(1, MAX_SEATS + 1)]
    assert len(set(asked_bits(kinds))) == len(kinds) == ANY_BITS.bit_count()
