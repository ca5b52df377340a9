"""Bits of classes and seats against the rule in plain words."""

import numpy as np
from hypothesis import given, strategies as st

from dispatch.engine.vehicles import ANY_BITS, MAX_CLASSES, asked_bits_of, asked_of, served_bits
from dispatch.kernels.submission import MAX_SEATS, asked_bits

KINDS = st.lists(st.tuples(st.integers(0, MAX_CLASSES - 1), st.integers(0, 12)), min_size=1, max_size=6)


def bits_of(kinds, may_upgrade=False):
    return [int(asked_bits(np.int64(one), np.int64(passengers), may_upgrade)) for one, passengers in kinds]


def columns(kinds):
    return tuple(np.array(column, np.int64) for column in zip(*kinds, strict=True))


@given(KINDS, KINDS, st.booleans(), st.booleans())
def test_a_car_has_the_bit_of_each_order_that_it_may_serve(cars, orders, upgrades, may_upgrade):
    served, asked = served_bits(*columns(cars), upgrades), bits_of(orders, may_upgrade)
    for (car_class, seats), bits in zip(cars, served.tolist(), strict=True):
        for (wanted, passengers), bit in zip(orders, asked, strict=True):
            fits_class = wanted <= car_class if upgrades or may_upgrade else wanted == car_class
            fits_seats = min(max(passengers, 1), MAX_SEATS) <= min(max(seats, 1), MAX_SEATS)
            assert bool(bits & bit) == (fits_class and fits_seats)
            assert bit & ~ANY_BITS == 0 < bit


@given(KINDS)
def test_orders_have_one_bit_each(orders):
    assert all(bit > 0 and bit & (bit - 1) == 0 for bit in bits_of(orders))


@given(KINDS, st.booleans())
def test_bits_of_many_orders_are_those_of_each(orders, may_upgrade):
    told = asked_bits_of(*columns(orders), np.full(len(orders), may_upgrade, np.int64))
    assert told.tolist() == bits_of(orders, may_upgrade)


@given(KINDS, st.booleans())
def test_what_was_asked_is_read_off_the_bits(orders, may_upgrade):
    asked, upgradable = asked_of(np.array(bits_of(orders, may_upgrade), np.int64))
    assert asked.tolist() == [one for one, _ in orders]
    assert upgradable.tolist() == [may_upgrade and one < MAX_CLASSES - 1 for one, _ in orders]


def test_different_needs_have_different_bits():
    kinds = [(one, seats) for one in range(MAX_CLASSES) for seats in range(1, MAX_SEATS + 1)]
    assert len(set(bits_of(kinds))) == len(kinds) == ANY_BITS.bit_count()
