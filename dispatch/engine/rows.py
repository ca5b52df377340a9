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
        for name, (dtype, fresh) in self.COLUMNS.items():
            setattr(self, name, np.full(_SMALLEST, fresh, dtype))

    def append(self, num_new: int) -> slice:
        """Add fresh rows and give their place."""
        needed = self.num_rows + num_new
        for name, (dtype, fresh) in self.COLUMNS.items():
            column = getattr(self, name)
            if needed > len(column):
                grown = np.full(max(needed, 2 * len(column)), fresh, dtype)
                grown[: self.num_rows] = column[: self.num_rows]
                setattr(self, name, grown)
            else:
                column[self.num_rows : needed] = fresh
        added = slice(self.num_rows, needed)
        self.num_rows = needed
        return added

    def keep(self, kept: NDArray[np.intp]) -> None:
        """Keep only the rows `kept` (n,), in this sequence."""
        for name in self.COLUMNS:
            column = getattr(self, name)
            column[: len(kept)] = column[kept]
        self.num_rows = len(kept)
