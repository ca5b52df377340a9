"""Open-addressing hash table from the caller's ids to rows, linear probing (Knuth, TAOCP 3, 6.4).

The table is two arrays of a power-of-two size: ``slot_id`` and ``slot_row``, a row of ``NO_INDEX``
marking a free slot. Callers keep it at most half full.
"""

import numpy as np

from dispatch.kernels.jit import I32, I64, i64, kernel
from dispatch.units import NO_INDEX


@kernel()
def _slot_of(slot_id, slot_row, wanted):
    """Find the slot that holds `wanted`, or the free slot where it belongs."""
    mask = len(slot_id) - 1
    hashed = np.uint64(wanted) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64(hashed >> np.uint64(32)) & mask
    while slot_row[slot] != NO_INDEX and slot_id[slot] != wanted:
        slot = (slot + 1) & mask
    return slot


@kernel()
def find_one(slot_id, slot_row, wanted):
    """Give the row of an id, ``NO_INDEX`` if it is not there."""
    return slot_row[_slot_of(slot_id, slot_row, wanted)]


@kernel((I64, I32, I64, I32))
def find_rows(slot_id, slot_row, ids, out_row):
    """Look up `ids` (n,); `out_row` (n,) gets the row or ``NO_INDEX``.

    Returns
    -------
    int
        ``NO_INDEX``, or the position of the first id that is not there.
    """
    unknown = NO_INDEX
    for i in range(len(ids)):
        out_row[i] = slot_row[_slot_of(slot_id, slot_row, ids[i])]
        if out_row[i] == NO_INDEX and unknown == NO_INDEX:
            unknown = i
    return unknown


@kernel((I64, I32, I64, i64))
def put_rows(slot_id, slot_row, ids, first_row):
    """Enter `ids` (n,) as rows ``first_row, first_row + 1, …``.

    Returns
    -------
    int
        ``NO_INDEX``, or the position of the first id that is there already; the ids before it were entered.
    """
    for i in range(len(ids)):
        slot = _slot_of(slot_id, slot_row, ids[i])
        if slot_row[slot] != NO_INDEX:
            return i
        slot_id[slot] = ids[i]
        slot_row[slot] = first_row + i
    return NO_INDEX
