"""What past trips between like places, at like times, left of a prediction by streets alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels import pair_effects as kernels
from dispatch.kernels.pair_effects import FROM, TIME, TO, Ends

_LEVELS: Final = (
    # size in metres, what a key tells apart, chain, prior, columns
    (4000.0, FROM | TO, 0, 8.0, 2),
    (2000.0, FROM | TO, 0, 8.0, 2),
    (2000.0, FROM | TO | TIME, 0, 8.0, 2),
    (1000.0, FROM | TO, 0, 8.0, 2),
    (500.0, FROM | TO, 0, 8.0, 2),
    (250.0, FROM | TO, 0, 8.0, 2),
    (1000.0, FROM, 1, 15.0, 0),
    (300.0, FROM, 1, 15.0, 0),
    (100.0, FROM, 1, 15.0, 1),
    (1000.0, TO, 2, 15.0, 0),
    (300.0, TO, 2, 15.0, 0),
    (100.0, TO, 2, 15.0, 1),
)
LEVELS: Final = kernels.Levels(
    np.array([row[0] for row in _LEVELS]),
    np.array([row[1] for row in _LEVELS], np.int32),
    np.array([row[2] for row in _LEVELS], np.int32),
    np.array([row[3] for row in _LEVELS]),
    np.array([row[4] for row in _LEVELS], np.int32),
)
PAIR_COLUMNS: Final = (
    *(
        f"pair_{what}_{size}"
        for size in ("4km", "2km", "2km_time", "1km", "500m", "250m")
        for what in ("mean", "num")
    ),
    "from_mean",
    "to_mean",
)
"""What :func:`dispatch.kernels.pair_effects.read_effects` writes."""
MAX_RESIDUAL: Final = 0.7
"""Of logarithms: what counts at most of one trip."""


@dataclass(frozen=True)
class PairEffects:
    """Residuals of past trips, by squares of their ends."""

    key: NDArray[np.int64]
    """(keys,) distinct, ascending"""
    total: NDArray[np.float32]
    """(keys,) sum of residuals"""
    num: NDArray[np.float32]
    """(keys,) number of trips, positive"""

    def __post_init__(self) -> None:
        """Refuse arrays that are no table."""
        shapes = {self.key.shape, self.total.shape, self.num.shape}
        if (
            shapes != {(self.key.size,)}
            or (np.diff(self.key) <= 0).any()
            or (len(self.key) and self.key[0] < 0)
        ):
            raise InputError("pair effects: keys must ascend from 0, with a sum and a number each")
        if not (np.isfinite(self.total).all() and np.isfinite(self.num).all() and (self.num > 0).all()):
            raise InputError("pair effects: sums must be finite, numbers of trips positive")

    @cached_property
    def table(self) -> kernels.EffectTable:
        """The same as a hash table, for kernels."""
        size = 1 << int(2 * len(self.key) + 1).bit_length()
        table = kernels.EffectTable(
            np.full(size, kernels.EMPTY, np.int64), np.zeros(size, np.float32), np.zeros(size, np.float32)
        )
        kernels.fill_table(self.key, self.total, self.num, table)
        return table

    def columns(self, ends: Ends) -> NDArray[np.float32]:
        """Give ``PAIR_COLUMNS`` of trips (n,): (columns, n)."""
        out = np.empty((len(PAIR_COLUMNS), len(ends.from_x)), np.float32)
        memo = np.empty((2, len(_LEVELS)), np.int64)
        kernels.read_effects(ends, LEVELS, self.table, memo, out)
        return out

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give the arrays for a file."""
        return {"key": self.key, "total": self.total, "num": self.num}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> PairEffects:
        """Make them of the arrays of a file."""
        kinds = {"key": np.int64, "total": np.float32, "num": np.float32}
        if any(arrays[name].dtype != kind for name, kind in kinds.items()):
            raise InputError("pair effects: an array holds numbers of another kind")
        return cls(*(np.ascontiguousarray(arrays[name]) for name in kinds))


def fit_pair_effects(
    ends: Ends, residual: NDArray[np.float64], day: NDArray[np.int64]
) -> tuple[PairEffects, NDArray[np.float32]]:
    """Sum up the residuals of trips, and tell each trip what those of other days say.

    Parameters
    ----------
    ends : Ends
        (n,)
    residual : (n,) float64
        Logarithm of the duration over the prediction; cut off at ``MAX_RESIDUAL``.
    day : (n,) int64
        Trips of a trip's own day tell it nothing: else a model would learn to trust what it cannot know.

    Returns
    -------
    effects : PairEffects
        Of all trips.
    columns : (``PAIR_COLUMNS``, n) float32
        Without those of the own day.
    """
    heard = np.clip(residual, -MAX_RESIDUAL, MAX_RESIDUAL)
    key = np.empty((len(_LEVELS), len(heard)), np.int64)
    kernels.find_keys(ends, LEVELS, key)
    _, day = np.unique(day, return_inverse=True)
    columns, tables = [], []
    mean, chain = np.zeros(len(heard)), -1
    for level, (_, _, own_chain, prior, tells) in enumerate(_LEVELS):
        if own_chain != chain:
            mean, chain = np.zeros(len(heard)), own_chain
        found, row = np.unique(key[level], return_inverse=True)
        total, num = np.bincount(row, heard), np.bincount(row).astype(np.float64)
        tables.append((found, total, num))
        of_day = row * (int(day.max(initial=0)) + 1) + day
        others = total[row] - np.bincount(of_day, heard)[of_day]
        num_others = num[row] - np.bincount(of_day)[of_day]
        mean = np.where(num_others > 0, (others + prior * mean) / (num_others + prior), mean)
        columns += [mean, num_others][:tells]
    keys, totals, nums = (np.concatenate(parts) for parts in zip(*tables, strict=True))
    order = np.argsort(keys, kind="stable")
    effects = PairEffects(keys[order], totals[order].astype(np.float32), nums[order].astype(np.float32))
    return effects, np.stack(columns).astype(np.float32)
