"""Slots of the week in which instants lie, by local time."""

from __future__ import annotations

import datetime
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.roads.time_of_day import MINUTES_PER_DAY, MINUTES_PER_WEEK
from dispatch.roads.trips import MS_PER_MINUTE, zone_info
from dispatch.units import MS_PER_S

_OFFSETS_HOLD_MS: Final = 15 * MS_PER_MINUTE
"""Clocks change on quarters of an hour."""
_MONDAY_MIN: Final = 3 * MINUTES_PER_DAY
"""1970-01-01 was a Thursday."""


def slots_of(at_ms: ArrayLike, timezone: str, slot_min: int = 60) -> NDArray[np.int64]:
    """Give the slot of the week, from Monday 0:00 of local time, in which instants lie.

    Parameters
    ----------
    at_ms : (n,) int
        Milliseconds since the epoch.
    timezone : str
        IANA name.
    slot_min : int
        Minutes of a slot, a divisor of 1440.

    Returns
    -------
    (n,) int64
        0 … ``10080 / slot_min - 1``. Where clocks go back, an hour's slots come twice.

    Raises
    ------
    InputError
        The time zone is unknown.

    Notes
    -----
    The zone is asked once per quarter of an hour that instants lie in: 35,000 times for a year, about 50 ms.
    """
    zone = zone_info(timezone)
    at_ms = np.asarray(at_ms, np.int64)
    known, place = np.unique(at_ms // _OFFSETS_HOLD_MS, return_inverse=True)
    offset_ms = [_offset_ms(int(quarter) * _OFFSETS_HOLD_MS, zone) for quarter in known]
    local_min = (at_ms + np.array(offset_ms, np.int64)[place]) // MS_PER_MINUTE
    return np.asarray((local_min + _MONDAY_MIN) % MINUTES_PER_WEEK // slot_min, np.int64)


def _offset_ms(at_ms: int, zone: datetime.tzinfo) -> int:
    """Give how far local time is ahead of UTC at an instant."""
    offset = datetime.datetime.fromtimestamp(at_ms // MS_PER_S, zone).utcoffset()
    return round((offset or datetime.timedelta()).total_seconds()) * MS_PER_S
