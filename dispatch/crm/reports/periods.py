"""Days, weeks and months of a place: into which of them an instant falls."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.crm.rules import check_one_of
from dispatch.errors import InputError
from dispatch.roads.trips import local_midnight_ms, zone_info

PERIODS: Final = ("day", "week", "month")
MOST_DAYS: Final = 3660
_QUARTER_MS: Final = 900_000
"""All clocks in use differ from UTC by whole quarters of an hour."""
_ONE_DAY: Final = datetime.timedelta(days=1)
_Told = Callable[[datetime.datetime], int]


@dataclass(frozen=True)
class Periods:
    """All periods from one local day to another, the last one included.

    Parameters
    ----------
    kind : str
        ``day``, ``week`` (from Monday) or ``month``.
    since, until : datetime.date
        The first and last may be cut: only days within are counted.
    timezone : str
        IANA name.
    """

    kind: str
    since: datetime.date
    until: datetime.date
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse what is no span of time."""
        check_one_of("period", self.kind, PERIODS)
        if self.until < self.since:
            raise InputError(f"until is {self.until}: it must not be before since, which is {self.since}")
        if (self.until - self.since).days >= MOST_DAYS:
            raise InputError(f"until is {self.until}: a report takes {MOST_DAYS} days at most")
        zone_info(self.timezone)

    @property
    def from_ms(self) -> int:
        """The first instant."""
        return local_midnight_ms(self.since, zone_info(self.timezone))

    @property
    def until_ms(self) -> int:
        """The first instant after."""
        return local_midnight_ms(self.until + _ONE_DAY, zone_info(self.timezone))

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the periods, in their sequence: ``2024-03-07``, ``2024-W10``, ``2024-03``."""
        days = ((self.until - self.since) // _ONE_DAY) + 1
        return tuple(dict.fromkeys(self._label(self.since + _ONE_DAY * day) for day in range(days)))

    def rows(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the row of each instant's (n,) period among :attr:`labels`: (n,) int64."""
        row_of = {label: row for row, label in enumerate(self.labels)}
        return self._by_quarter(at_ms, lambda local: row_of[self._label(local.date())])

    def hours(self, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the local hour of each instant (n,): (n,) int64 from 0 to 23."""
        return self._by_quarter(at_ms, lambda local: local.hour)

    def _by_quarter(self, at_ms: NDArray[np.int64], told: _Told) -> NDArray[np.int64]:
        zone = zone_info(self.timezone)
        quarters, which = np.unique(np.asarray(at_ms, np.int64) // _QUARTER_MS, return_inverse=True)
        values = [
            told(datetime.datetime.fromtimestamp(quarter * _QUARTER_MS / 1000, zone))
            for quarter in quarters.tolist()
        ]
        return np.array(values, np.int64)[which]

    def _label(self, day: datetime.date) -> str:
        if self.kind == "day":
            return day.isoformat()
        if self.kind == "month":
            return f"{day:%Y-%m}"
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02d}"
