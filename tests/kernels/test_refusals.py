"""Refusals against a set of pairs."""

import numpy as np
from hypothesis import given, strategies as st

from dispatch.kernels.refusals import Refusals, is_refused, look_up, refuse
from dispatch.units import NO_INDEX

NUM_ORDERS, NUM_DRIVERS = 4, 5
PAIRS = st.lists(st.tuples(st.integers(0, NUM_ORDERS - 1), st.integers(0, NUM_DRIVERS - 1)), max_size=12)


def columns(pairs):
    return (
        tuple(np.array(column, np.int32) for column in zip(*pairs, strict=True))
        if pairs
        else (
            np.empty(0, np.int32),
            np.empty(0, np.int32),
        )
    )


@given(st.lists(PAIRS, max_size=4))
def test_pairs_are_remembered_by_batches_and_no_others(batches):
    room = sum(map(len, batches))
    refusals = Refusals(
        np.full(NUM_ORDERS, NO_INDEX, np.int32), np.empty(room, np.int32), np.empty(room, np.int32)
    )
    told, num = [], 0
    for pairs in batches:
        refuse(*columns(pairs), num, refusals)
        told += pairs
        num += len(pairs)
        everybody = [(order, driver) for order in range(NUM_ORDERS) for driver in range(NUM_DRIVERS)]
        found = np.zeros(len(everybody), np.bool_)
        look_up(refusals, *columns(everybody), found)
        assert found.tolist() == [pair in told for pair in everybody]
        assert all(is_refused(refusals, *pair) == (pair in told) for pair in everybody)


@given(PAIRS)
def test_an_order_lists_its_latest_refusal_first(pairs):
    refusals = Refusals(
        np.full(NUM_ORDERS, NO_INDEX, np.int32),
        np.empty(len(pairs), np.int32),
        np.empty(len(pairs), np.int32),
    )
    refuse(*columns(pairs), 0, refusals)
    for order in range(NUM_ORDERS):
        listed, at = [], refusals.first[order]
        while at != NO_INDEX:
            listed.append(int(refusals.driver[at]))
            at = refusals.following[at]
        assert listed[::-1] == [driver for one, driver in pairs if one == order]
