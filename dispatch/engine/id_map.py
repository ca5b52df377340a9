"""The caller's ids and the rows they stand for."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.kernels.id_map import find_rows, put_rows
from dispatch.units import ID_DTYPE, INDEX_DTYPE, NO_INDEX

_SMALLEST: Final = 64


class IdMap:
    """Ids in the sequence of their rows; grows by doubling. Arguments are (n,)."""

    def __init__(self) -> None:
        self.version = 0
        """changes when the hash table is replaced"""
        self._clear(_SMALLEST)
        self._num_ids = 0

    def _clear(self, num_slots: int) -> None:
        self.version += 1
        self.slot_id = np.zeros(num_slots, ID_DTYPE)
        self.slot_row = np.full(num_slots, NO_INDEX, INDEX_DTYPE)

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """Give the row of each id, ``NO_INDEX`` for unknown ones."""
        found = np.empty(len(ids), INDEX_DTYPE)
        find_rows(self.slot_id, self.slot_row, ids, found)
        return found

    def known_rows(self, ids: NDArray[np.int64], field: str) -> NDArray[np.int32]:
        """Give the row of each id; :class:`InputError` names the first unknown one."""
        found = np.empty(len(ids), INDEX_DTYPE)
        unknown = find_rows(self.slot_id, self.slot_row, ids, found)
        if unknown != NO_INDEX:
            raise InputError(
                f"{field}[{unknown}] is {ids[unknown]}: no such {field.removesuffix('_id')} is known"
            )
        return found

    def reserve(self, num_new: int, known_ids: NDArray[np.int64], num_known: int) -> None:
        """Make room for more ids, to be entered as the next rows and then counted.

        Parameters
        ----------
        num_new : int
        known_ids : (rows,) int64
            The ids entered so far, the first `num_known` rows, for when the table must grow.
        num_known : int
        """
        needed = 2 * (self._num_ids + num_new)
        if needed > len(self.slot_id):
            self._clear(1 << (needed - 1).bit_length() + 1)
            put_rows(self.slot_id, self.slot_row, known_ids[:num_known].copy(), 0)

    def count(self, num_new: int) -> None:
        """Count ids that a kernel has entered."""
        self._num_ids += num_new

    def append(self, ids: NDArray[np.int64], known_ids: NDArray[np.int64], num_known: int) -> None:
        """Give new ids (n,) the next rows; they must be new (check with :meth:`rows` first)."""
        self.reserve(len(ids), known_ids, num_known)
        put_rows(self.slot_id, self.slot_row, ids, self._num_ids)
        self.count(len(ids))

    def rebuild(self, ids: NDArray[np.int64]) -> None:
        """Forget everything; `ids` are the rows 0, 1, ….."""
        self._clear(max(_SMALLEST, 1 << (2 * len(ids)).bit_length()))
        put_rows(self.slot_id, self.slot_row, ids, 0)
        self._num_ids = len(ids)
