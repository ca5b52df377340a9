"""Recorded trips: what really was ordered, when and where."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, fields, replace
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from dispatch.errors import InputError
from dispatch.units import MS_PER_DAY, MS_PER_S

MS_PER_MINUTE: Final = 60 * MS_PER_S
_EPOCH: Final = datetime.date(1970, 1, 1)
_EPOCH_TIME: Final = datetime.datetime(1970, 1, 1)


def zone_info(timezone: str) -> ZoneInfo:
    """Give the time zone of an IANA name; :class:`InputError` if there is none."""
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            f"timezone is {timezone!r}: no such IANA time zone; give a name such as 'America/New_York'"
        ) from error


def local_midnight_ms(date: datetime.date, zone: ZoneInfo) -> int:
    """Instant at which the local day `date` begins, milliseconds since the epoch."""
    midnight = datetime.datetime(date.year, date.month, date.day, tzinfo=zone)
    return round(midnight.timestamp()) * MS_PER_S


def local_to_utc_ms(local_ms: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Turn local times, as milliseconds of a clock without zone, into instants.

    Of an hour that is repeated when clocks go back, the first is taken; a time that is skipped when they go
    forward counts on from before.

    Parameters
    ----------
    local_ms : (n,) int64

    Returns
    -------
    (n,) int64
        Milliseconds since the epoch.
    """
    day = local_ms // MS_PER_DAY
    utc_ms = local_ms.copy()
    for one in np.unique(day):
        first, last = _offset_ms(int(one) * MS_PER_DAY, zone), _offset_ms((int(one) + 1) * MS_PER_DAY, zone)
        rows = np.flatnonzero(day == one)
        if first == last:
            utc_ms[rows] -= first
            continue
        minute = local_ms[rows] // MS_PER_MINUTE
        known, place = np.unique(minute, return_inverse=True)
        utc_ms[rows] -= np.array([_offset_ms(int(m) * MS_PER_MINUTE, zone) for m in known])[place]
    return utc_ms


def _offset_ms(local_ms: int, zone: ZoneInfo) -> int:
    """Give how far local time is ahead of UTC."""
    offset = (_EPOCH_TIME + datetime.timedelta(milliseconds=local_ms)).replace(tzinfo=zone).utcoffset()
    return round((offset or datetime.timedelta()).total_seconds()) * MS_PER_S


@dataclass(frozen=True)
class RecordedTrips:
    """Trips as a source recorded them, ordered by ``requested_at_ms``.

    Arrays are C-contiguous, writable and of one length; they are never written after construction.
    """

    requested_at_ms: NDArray[np.int64]
    """(trips,) milliseconds since the epoch; counted from local midnight 1970-01-01 if not :attr:`dated`"""
    pickup_node: NDArray[np.int32]
    """(trips,) node of the city's graph, NO_INDEX: outside the network"""
    dropoff_node: NDArray[np.int32]
    """(trips,) likewise"""
    pickup_lon: NDArray[np.float64]
    """(trips,) degrees, WGS84"""
    pickup_lat: NDArray[np.float64]
    """(trips,)"""
    dropoff_lon: NDArray[np.float64]
    """(trips,)"""
    dropoff_lat: NDArray[np.float64]
    """(trips,)"""
    duration_s: NDArray[np.int32]
    """(trips,) seconds, NO_VALUE: unknown"""
    driver_id: NDArray[np.int64]
    """(trips,) NO_VALUE: unknown"""
    passengers: NDArray[np.int32]
    """(trips,) 1 where the source does not say"""
    dated: bool = True
    """False: the source gives the minute of the day and no date"""
    resolution_ms: int = MS_PER_S
    """Step of the clock that recorded ``requested_at_ms``"""

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        for f in fields(self):
            column = getattr(self, f.name)
            if isinstance(column, np.ndarray) and column.shape != (len(self),):
                raise InputError(f"{f.name} has the shape {column.shape}: there are {len(self)} trips")

    def __len__(self) -> int:
        return len(self.requested_at_ms)

    def select(self, mask_or_idx: NDArray[Any]) -> RecordedTrips:
        """Give the trips of a mask (trips,) bool or of rows (n,) int."""
        chosen: dict[str, Any] = {
            f.name: getattr(self, f.name)[mask_or_idx]
            for f in fields(self)
            if f.name not in ("dated", "resolution_ms")
        }
        return replace(self, **chosen)

    def on_day(self, date: datetime.date, timezone: str) -> RecordedTrips:
        """Give the trips requested on one local day, which has 23 or 25 hours when clocks change.

        Raises
        ------
        InputError
            The time zone is unknown, or the trips have no date.
        """
        if not self.dated:
            raise InputError(
                f"date is {date}: these trips give the minute of the day only; use them all as one day"
            )
        zone = zone_info(timezone)
        start_ms = local_midnight_ms(date, zone)
        end_ms = local_midnight_ms(date + datetime.timedelta(days=1), zone)
        return self.select((self.requested_at_ms >= start_ms) & (self.requested_at_ms < end_ms))

    def days(self, timezone: str) -> list[datetime.date]:
        """List the local dates on which trips were requested; empty if the trips have no date."""
        if not self.dated or not len(self):
            return []
        zone = zone_info(timezone)
        utc_days = np.unique(self.requested_at_ms // MS_PER_DAY)
        candidates = np.unique((utc_days[:, None] + np.arange(-1, 3)).ravel())
        dates = [_EPOCH + datetime.timedelta(days=int(d)) for d in candidates]
        starts_ms = np.array([local_midnight_ms(d, zone) for d in dates])
        found = np.unique(np.searchsorted(starts_ms, self.requested_at_ms, side="right") - 1)
        return [dates[i] for i in found]
