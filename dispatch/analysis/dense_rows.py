"""Ids as row numbers, so that arrays can be read where a dictionary would be asked."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.units import NO_INDEX, NO_VALUE

_FEW = np.iinfo(np.uint16).max


def dense_rows(ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Number the ids in use.

    Parameters
    ----------
    ids : (n,) int64
        ``NO_VALUE``: none.

    Returns
    -------
    distinct : (rows,) int64
        Every id but ``NO_VALUE`` once, ascending.
    row : (n,) int32
        Row of each id in `distinct`, ``NO_INDEX`` where there is none.

    Complexity
    ----------
    Linear where ids lie close together, as running numbers do; otherwise a sort.
    """
    used = np.flatnonzero(ids != NO_VALUE)
    some = ids[used]
    row = np.full(len(ids), NO_INDEX, np.int32)
    if len(some) == 0:
        return some, row
    low, high = int(some.min()), int(some.max())
    if high - low < 4 * len(ids):
        is_used = np.zeros(high - low + 1, np.bool_)
        is_used[some - low] = True
        row[used] = (np.cumsum(is_used, dtype=np.int32) - 1)[some - low]
        return np.flatnonzero(is_used) + low, row
    distinct, row[used] = np.unique(some, return_inverse=True)
    return distinct, row


def by_row(row: NDArray[np.int32], num_rows: int) -> NDArray[np.int64]:
    """Give the positions (n,) of equal `row` (n,) together, rows ascending, positions within one too.

    numpy sorts 16-bit numbers by counting, in linear time: up to 65,535 rows, none of them ``NO_INDEX``.
    """
    narrow = row.astype(np.uint16) if num_rows <= _FEW else row
    return np.argsort(narrow, kind="stable")
