"""What past trips between two places left of a prediction: sums by squares of origin and destination.

Squares of several sizes are looked at, from large to small: each draws the mean of its trips towards that of
the larger one. They lie in one hash table by a key that holds the level, the squares and the time.
"""

from math import floor
from typing import NamedTuple

import numpy as np

from dispatch.kernels.jit import F32, F32_2D, F64, I32, I64, I64_2D, kernel, record
from dispatch.units import NO_INDEX

SQUARES_BITS, TIME_BITS = 12, 4
LEVEL_SHIFT = 4 * SQUARES_BITS + TIME_BITS
MIDDLE = 1 << (SQUARES_BITS - 1)
MAX_SQUARE = (1 << SQUARES_BITS) - 1
HASH_FACTOR = -7046029254386353131
"""2**64 over the golden ratio, as int64 (Knuth, The Art of Computer Programming 3, 6.4)"""
HASH_SHIFT = 20
EMPTY = -1
"""In place of a key where a row of the table is free."""


class Ends(NamedTuple):
    """Where and when trips run; coordinates are metres of the city's plane."""

    from_x: np.ndarray
    """(n,) float64"""
    from_y: np.ndarray
    to_x: np.ndarray
    to_y: np.ndarray
    time: np.ndarray
    """(n,) int32, part of the week, 0 … 15"""


class Levels(NamedTuple):
    """Sizes of squares, large ones first; levels of one chain follow each other."""

    size_m: np.ndarray
    """(levels,) float64"""
    asks: np.ndarray
    """(levels,) int32, sum of ``FROM``, ``TO`` and ``TIME``: what a key tells apart"""
    chain: np.ndarray
    """(levels,) int32; where it changes, means are drawn towards 0 again"""
    prior: np.ndarray
    """(levels,) float64, trips that the mean of the level above counts for"""
    tells: np.ndarray
    """(levels,) int32, columns written: 0; 1, the mean; 2, the number of trips too"""


class EffectTable(NamedTuple):
    """Trips by key: open addressing, a power of 2 of rows."""

    key: np.ndarray
    """(rows,) int64, ``EMPTY`` where there is none"""
    total: np.ndarray
    """(rows,) float32, sum of the residuals"""
    num: np.ndarray
    """(rows,) float32"""


FROM, TO, TIME = 1, 2, 4
ENDS = record(Ends, F64, F64, F64, F64, I32)
LEVELS = record(Levels, F64, I32, I32, F64, I32)
EFFECT_TABLE = record(EffectTable, I64, F32, F32)


@kernel()
def square_of(at_m, per_m):
    """Number the strip, so many a metre, in which a coordinate lies; far away all strips are one."""
    return np.int64(min(max(floor(at_m * per_m) + MIDDLE, 0), MAX_SQUARE))


@kernel()
def key_of(ends, i, levels, level):
    """Give the key of a trip's squares and time at a level."""
    per_m, asks = 1.0 / levels.size_m[level], levels.asks[level]
    key = np.int64(0)
    if asks & FROM:
        key = key << SQUARES_BITS | square_of(ends.from_x[i], per_m)
        key = key << SQUARES_BITS | square_of(ends.from_y[i], per_m)
    if asks & TO:
        key = key << SQUARES_BITS | square_of(ends.to_x[i], per_m)
        key = key << SQUARES_BITS | square_of(ends.to_y[i], per_m)
    if asks & TIME:
        key = key << TIME_BITS | np.int64(ends.time[i])
    return np.int64(level) << LEVEL_SHIFT | key


@kernel()
def row_of(table, key):
    """Give the row of a key, or the free one where it belongs."""
    mask = np.int64(len(table.key) - 1)
    row = ((key * np.int64(HASH_FACTOR)) >> HASH_SHIFT) & mask
    while table.key[row] != key and table.key[row] != EMPTY:
        row = (row + 1) & mask
    return row


@kernel((ENDS, LEVELS, I64_2D))
def find_keys(ends, levels, out_key):
    """Write the key of each trip at each level, (levels, n)."""
    for level in range(len(levels.size_m)):
        for i in range(len(ends.from_x)):
            out_key[level, i] = key_of(ends, i, levels, level)


@kernel((I64, F32, F32, EFFECT_TABLE))
def fill_table(key, total, num, out_table):
    """Put distinct keys (keys,), sums and numbers into an empty table that has more rows than keys."""
    for i in range(len(key)):
        row = row_of(out_table, key[i])
        out_table.key[row], out_table.total[row], out_table.num[row] = key[i], total[i], num[i]


@kernel((ENDS, LEVELS, EFFECT_TABLE, I64_2D, F32_2D))
def read_effects(ends, levels, table, memo, out_columns):
    """Write what past trips tell of trips (n,): the columns of all levels, one below another.

    Parameters
    ----------
    ends : Ends
    levels : Levels
    table : EffectTable
    memo : (2, levels) int64
        Scratch: the key of the trip before and its row. Candidates of an order share squares, and a look into
        the table that is spared is a wait for memory.
    out_columns : (sum of ``tells``, at least n) float32
        Means, drawn towards the level above, and numbers of trips.
    """
    for level in range(len(levels.size_m)):
        memo[0, level] = EMPTY
    for i in range(len(ends.from_x)):
        column, mean, chain = 0, 0.0, NO_INDEX
        for level in range(len(levels.size_m)):
            if levels.chain[level] != chain:
                mean, chain = 0.0, levels.chain[level]
            key, num = key_of(ends, i, levels, level), 0.0
            if memo[0, level] != key:
                memo[0, level], memo[1, level] = key, row_of(table, key)
            row = memo[1, level]
            if table.key[row] == key:
                num = np.float64(table.num[row])
                prior = levels.prior[level]
                mean = (table.total[row] + prior * mean) / (num + prior)
            if levels.tells[level] > 0:
                out_columns[column, i] = np.float32(mean)
                column += 1
            if levels.tells[level] > 1:
                out_columns[column, i] = np.float32(num)
                column += 1
