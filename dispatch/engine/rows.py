"""Growing tables: one array a column, one row a thing."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

_SMALLEST: Final = 64


class Rows:
    """Columns of equal length that grow by doubling; only the first ``num_rows`` rows mean anything."""

    COLUMNS: ClassVar[dict[str, tuple[Any, Any]]]
    """Name of each column → its dtype and the value of a fresh row."""

    def __init__(self) -> None:
        self.num_rows = 0
        self.version = 0
        """changes when columns are replaced"""
        self._room, self._num_used = _SMALLEST, 0
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
            for name, (_, fresh) in self.COLUMNS.items():
                getattr(self, name)[self.num_rows : self._num_used] = fresh
        self._num_used = needed

    def _grow(self, room: int) -> None:
        for name, (dtype, fresh) in self.COLUMNS.items():
            grown = np.full(room, fresh, dtype)
            grown[: self.num_rows] = getattr(self, name)[: self.num_rows]
            setattr(self, name, grown)
        self._room, self._num_used = room, self.num_rows
        self.version += 1

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Keep only the rows `kept` (n,), in this sequence."""
        for name in self.COLUMNS:
            column = getattr(self, name)
            column[: len(kept)] = column[kept]
        self.num_rows = len(kept)
