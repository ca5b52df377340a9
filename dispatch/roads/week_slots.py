"""Slots of the week in which instants lie, by local time."""

from __future__ import annotations

import datetime
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dispatch.errors import InputError
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
        The time zone is unknown, or an instant is of no year that there is.

    Notes
    -----
    The zone is asked once per quarter of an hour that instants lie in: 35,000 times for a year, about 50 ms.
    """
    return (_local_min(at_ms, timezone) + _MONDAY_MIN) % MINUTES_PER_WEEK // slot_min


def days_of(at_ms: ArrayLike, timezone: str) -> NDArray[np.int64]:
    """Give the local day in which instants lie, as days since 1970-01-01.

    Parameters and errors are those of :func:`slots_of`.

    Returns
    -------
    (n,) int64
    """
    return _local_min(at_ms, timezone) // MINUTES_PER_DAY


def _local_min(at_ms: ArrayLike, timezone: str) -> NDArray[np.int64]:
    """Give the minutes of local time since 1970-01-01 0:00 of local time, of instants (n,)."""
    zone = zone_info(timezone)
    at_ms = np.asarray(at_ms, np.int64)
    known, place = np.unique(at_ms // _OFFSETS_HOLD_MS, return_inverse=True)
    offset_ms = [_offset_ms(int(quarter) * _OFFSETS_HOLD_MS, zone) for quarter in known]
    local_min: NDArray[np.int64] = (at_ms + np.array(offset_ms, np.int64)[place]) // MS_PER_MINUTE
    return local_min


def _offset_ms(at_ms: int, zone: datetime.tzinfo) -> int:
    """Give how far local time is ahead of UTC at an instant."""
    try:
        offset = datetime.datetime.fromtimestamp(at_ms // MS_PER_S, zone).utcoffset()
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(f"at_ms holds {at_ms}: it must be milliseconds since the epoch ({error})") from error
    return round((offset or datetime.timedelta()).total_seconds()) * MS_PER_S
