"""Growing tables: one array a column, one row a thing."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

_SMALLEST: Final = 64
_AT_A_TIME: Final = 4096
"""Fresh rows made ahead of their use."""


class Rows:
    """Columns of equal length that grow by doubling; only the first ``num_rows`` rows mean anything."""

    COLUMNS: ClassVar[dict[str, tuple[Any, Any]]]
    """Name of each column → its dtype and the value of a fresh row."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.version = 0
        """changes when columns are replaced"""
        self._room, self._num_used, self._num_fresh = _SMALLEST, 0, _SMALLEST
        for name, (dtype, fresh) in self.COLUMNS.items():
            setattr(self, name, np.full(_SMALLEST, fresh, dtype))

    def append(self, num_new: int) -> slice:
        """Add fresh rows and give their place."""
        self.reserve(num_new)
        added = slice(self.num_rows, self.num_rows + num_new)
        self.num_rows += num_new
        return added

    def reserve(self, num_new: int) -> None:
        """Make room for more rows, fresh ones; columns may be replaced."""
        needed = self.num_rows + num_new
        if needed > self._room:
            self._grow(max(needed, 2 * self._room))
        if self._num_used > self.num_rows:  # rows that were given up
            self._freshen(self.num_rows, self._num_used)
        if needed > self._num_fresh:
            end = min(needed + _AT_A_TIME, self._room)
            self._freshen(self._num_fresh, end)
            self._num_fresh = end
        self._num_used = needed

    def _freshen(self, begin: int, end: int) -> None:
        for name, (_, fresh) in self.COLUMNS.items():
            getattr(self, name)[begin:end] = fresh

    def _grow(self, room: int) -> None:
        """Replace columns by longer ones; rows are made fresh later, so that no call must wait for all."""
        for name, (dtype, _) in self.COLUMNS.items():
            grown = np.empty(room, dtype)
            grown[: self.num_rows] = getattr(self, name)[: self.num_rows]
            setattr(self, name, grown)
        self._room, self._num_used, self._num_fresh = room, self.num_rows, self.num_rows
        self.version += 1

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Keep only the rows `kept` (n,), in this sequence."""
        for name in self.COLUMNS:
            column = getattr(self, name)
            column[: len(kept)] = column[kept]
        self.num_rows = len(kept)
