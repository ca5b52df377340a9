import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dispatch.kernels.id_map import find_rows, put_rows
from dispatch.units import NO_INDEX

IDS = st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 40), max_size=60)


def table(num_slots):
    return np.zeros(num_slots, np.int64), np.full(num_slots, NO_INDEX, np.int32)


def slot_of(wanted, num_slots):
    """Where an id belongs in an empty table."""
    return (wanted * 0x9E3779B97F4A7C15 % 2**64 >> 32) & (num_slots - 1)


def found(slots, ids):
    rows = np.empty(len(ids), np.int32)
    find_rows(*slots, np.array(ids, np.int64), rows)
    return rows.tolist()


def put_all(ids, num_slots, first_row=0):
    """Enter the ids into a table and into a dict, and compare."""
    slots, row_of_id = table(num_slots), {}
    twice = NO_INDEX
    for i, one in enumerate(ids):
        if one in row_of_id:
            twice = i
            break
        row_of_id[one] = first_row + i
    assert put_rows(*slots, np.array(ids, np.int64), first_row) == twice
    return slots, row_of_id


@settings(deadline=None)
@given(IDS, IDS, st.integers(0, 1000))
def test_a_table_is_a_dict(ids, others, first_row):
    slots, row_of_id = put_all(ids, 128, first_row)
    asked = ids + others
    assert found(slots, asked) == [row_of_id.get(one, NO_INDEX) for one in asked]


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1), unique=True, min_size=1, max_size=64))
def test_a_full_table_still_finds_what_it_holds(ids):
    ids = ids[: 1 << (len(ids).bit_length() - 1)]
    slots, row_of_id = put_all(ids, len(ids))
    assert found(slots, ids) == [row_of_id[one] for one in ids]


@pytest.mark.parametrize("slot", [0, 3, 7])
def test_ids_that_all_belong_in_one_slot(slot):
    """Also around the end of the table."""
    ids = [one for one in range(2000) if slot_of(one, 8) == slot][:4]
    strangers = [one for one in range(5000, 9000) if slot_of(one, 8) == slot][:3]
    slots, row_of_id = put_all(ids, 8)
    assert found(slots, ids + strangers) == [0, 1, 2, 3, -1, -1, -1]
    assert [int(slots[1][(slot + k) % 8]) for k in range(4)] == [row_of_id[one] for one in ids]


def test_zero_is_an_id_though_free_slots_hold_it():
    slots = table(4)
    assert found(slots, [0]) == [NO_INDEX]
    assert put_rows(*slots, np.array([0]), 5) == NO_INDEX
    assert found(slots, [0, 1]) == [5, NO_INDEX]


def test_an_id_that_is_there_already_stops_the_entry():
    slots, _ = put_all([4, 5, 6], 16)
    assert put_rows(*slots, np.array([7, 5, 8]), 3) == 1
    assert found(slots, [4, 5, 6, 7, 8]) == [0, 1, 2, 3, NO_INDEX]
