"""Units, sentinels and limits: the one place for each.

Times inside the engine are integers: instants are ``int64`` milliseconds since the Unix epoch
(``_at_ms``), durations ``int32`` milliseconds (``_ms``), so that runs compare byte for byte.
"""

from typing import Final

import numpy as np

INDEX_DTYPE: Final = np.int32
"""Row numbers: nodes, arcs, drivers, orders, candidates."""

ID_DTYPE: Final = np.int64
"""The caller's name for a driver or an order."""

TIME_DTYPE: Final = np.int64
"""Instants, milliseconds since 1970-01-01T00:00:00Z."""

DURATION_DTYPE: Final = np.int32
"""Durations, milliseconds."""

NO_INDEX: Final = -1
"""No such row."""

NO_VALUE: Final = -1
"""Not measured or not applicable, for quantities that are never negative."""

NO_COORDINATE: Final = 2**31 - 1
"""No coordinate, in columns of 1e-6 degrees (``_e6``)."""

UNREACHABLE_MS: Final = 2**29
"""Travel time between nodes that no path joins; two of them still fit in ``int32``."""

MAX_TRAVEL_MS: Final = UNREACHABLE_MS - 1
"""The longest travel time that is one, about 149 hours."""

LATEST_MS: Final = 7_258_118_400_000
"""The year 2200, and, negative, the earliest instant: microseconds and nanoseconds of our time lie far beyond."""

MS_PER_S: Final = 1000
MS_PER_DAY: Final = 24 * 3600 * MS_PER_S

if np.iinfo(np.int32).max < 2 * UNREACHABLE_MS:  # pragma: no cover - a constant's own guard
    raise AssertionError("two UNREACHABLE_MS must fit in int32")
