"""On which days of a year wishes are due: birthdays, with 29 February, and years since a day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from dispatch.units import MS_PER_DAY

_EPOCH: Final = date(1970, 1, 1)


def date_of(day: int) -> date:
    """Give the date of a day since 1970."""
    return _EPOCH + timedelta(days=day)


def mmdds_of(day: int) -> tuple[int, ...]:
    """Give the birthdays that are kept on a day, as month and day: 1231 is 31 December.

    Who was born on 29 February has the birthday on the 28th in years without one.
    """
    today = date_of(day)
    mmdd = today.month * 100 + today.day
    is_leap = today.year % 4 == 0 and (today.year % 100 != 0 or today.year % 400 == 0)
    return (228, 229) if mmdd == 228 and not is_leap else (mmdd,)


def days_of_birthday(first_day: int, last_day: int) -> dict[int, int]:
    """Give, for all birthdays kept between two days (both included), the latest day on which each was."""
    begin = max(first_day, last_day - 366)
    return {mmdd: day for day in range(begin, last_day + 1) for mmdd in mmdds_of(day)}


def years_since(begin_ms: int, day: int) -> int:
    """Give the whole years on a day since an instant, by the calendar; 29 February as for birthdays."""
    begin, today = date_of(begin_ms // MS_PER_DAY), date_of(day)
    years = today.year - begin.year
    kept = 229 if (begin.month, begin.day) == (2, 29) else begin.month * 100 + begin.day
    now = max(mmdds_of(day))
    return years if now >= kept else years - 1
