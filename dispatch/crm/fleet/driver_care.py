"""What a company that cares for its drivers looks at: who works too much, who has stayed away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.context import Context, check_instant
from dispatch.crm.fleet.scores import active_in
from dispatch.crm.tables.orders import driver_day
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY

WINDOW_DAYS: Final = 30
WEEK_DAYS: Final = 7
NEVER: Final = -1


@dataclass(frozen=True)
class CareFacts:
    """Of drivers, in the sequence in which they were asked for, over the last 30 days; arrays (n,) int64."""

    driver_id: NDArray[np.int64]
    days_since_worked: NDArray[np.int64]
    """0: today; -1: not within the window"""
    days_in_a_row: NDArray[np.int64]
    """on duty without a day off, until today or yesterday"""
    week_online_ms: NDArray[np.int64]
    """on duty within seven days, today among them"""
    online_ms: NDArray[np.int64]
    income_cents: NDArray[np.int64]
    complaints_upheld: NDArray[np.int64]
    low_ratings: NDArray[np.int64]
    """1 where the mean of those who rated is below 3 stars"""


class DriverCare:
    """Tells the facts; messages are for :class:`dispatch.crm.engagement.care.Care` and the ports."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def of(self, driver_id: int, *, at_ms: int) -> CareFacts:
        """Tell of one driver; it may ask this of itself."""
        check_instant("at_ms", at_ms)
        with self._context.looking("driver.care", ("driver", driver_id)) as connection:
            return care_facts_in(connection, [driver_id], at_ms)

    def of_all(self, *, scope_id: int, at_ms: int) -> CareFacts:
        """Tell of the active drivers of a place."""
        check_instant("at_ms", at_ms)
        with self._context.looking("driver.care", scope_id=scope_id) as connection:
            return care_facts_in(connection, active_in(connection, scope_id), at_ms)


def care_facts_in(connection: sa.Connection, driver_ids: Sequence[int], at_ms: int) -> CareFacts:
    """Tell of drivers (n,), each once, by sums of their days."""
    asked, today = np.asarray(driver_ids, dtype=np.int64), at_ms // MS_PER_DAY
    told = driver_day.c
    sums = (told.online_ms, told.income_cents, told.complaints_upheld, told.ratings, told.stars)
    who, day, *columns = bulk.fetch(
        connection,
        sa.select(told.driver_id, told.day, *sums).where(
            bulk.among(connection, told.driver_id, asked),
            told.day > today - WINDOW_DAYS,
            told.day <= today,
        ),
    )
    order = np.argsort(asked)
    row, ago = order[np.searchsorted(asked, who, sorter=order)], today - day
    by_day = np.zeros((len(columns), len(asked), WINDOW_DAYS), np.int64)
    by_day[:, row, ago] = columns
    online, income, complaints, ratings, stars = by_day
    worked = online > 0
    since = np.where(worked.any(axis=1), worked.argmax(axis=1), NEVER)
    # The row up to the first day off, from today on; of who has not begun today, from yesterday on.
    run = np.cumprod(worked, axis=1).sum(axis=1)
    run_before = np.cumprod(worked[:, 1:], axis=1).sum(axis=1)
    rated, given = ratings.sum(axis=1), stars.sum(axis=1)
    return CareFacts(
        asked,
        since,
        np.where(worked[:, 0], run, run_before),
        online[:, :WEEK_DAYS].sum(axis=1),
        online.sum(axis=1),
        income.sum(axis=1),
        complaints.sum(axis=1),
        (given < 3 * rated).astype(np.int64),
    )
