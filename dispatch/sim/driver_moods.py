"""How drivers feel about a day, by what they earned and how they drove. All of it synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.driver_table import DriverTable
from dispatch.sim.people import Wholes, luck
from dispatch.units import MS_PER_S

MOOD: Final = 120
"""Streams of luck, one a cause, apart from those of the community."""
CAUSES: Final = ("poor_income", "long_idle", "empty_driving", "anything")
CHANCE_OF_CAUSE: Final = (0.5, 0.25, 0.2, 0.1)
"""Probability that a cause, where it is there, leaves a driver dissatisfied. These and the limits are
assumptions."""
POOR_SHARE: Final = 0.6
"""Of the median income an hour: less is poor."""
LEAST_BUSY_SHARE: Final = 0.35
"""Of the time online: less is a long idle day."""
MOST_EMPTY_SHARE: Final = 0.5
"""Of the metres driven: more is too much for nothing."""
_LEAST_ONLINE_MS: Final = 3600 * MS_PER_S


@dataclass(frozen=True)
class DriverMoods:
    """One row a driver who was online for an hour or longer; every array is (n,)."""

    driver_id: Wholes
    cause: NDArray[np.int8]
    """row of ``CAUSES``, -1: satisfied"""

    @property
    def is_bad(self) -> NDArray[np.bool_]:
        """(n,) whether the driver is dissatisfied."""
        return self.cause >= 0


def driver_moods(drivers: DriverTable, seed: int, day: int) -> DriverMoods:
    """Ask the drivers of a day how it was; each cause strikes by itself, the first that does is told."""
    asked = drivers.take(np.flatnonzero(drivers.online_ms >= _LEAST_ONLINE_MS))
    num = len(asked)
    income = asked.income_cents / np.maximum(asked.online_ms, 1)
    busy_ms = asked.to_pickup_ms + asked.at_pickup_ms + asked.occupied_ms
    empty_m = asked.driven_m - asked.trip_m
    there = np.stack(
        [
            income < POOR_SHARE * (np.median(income) if num else 0.0),
            busy_ms < LEAST_BUSY_SHARE * asked.online_ms,
            empty_m > MOST_EMPTY_SHARE * asked.driven_m,
            np.ones(num, np.bool_),
        ]
    )
    drawn = np.stack([luck(seed, MOOD + cause, asked.driver_id, day) for cause in range(len(CAUSES))])
    struck = there & (drawn < np.array(CHANCE_OF_CAUSE)[:, None])
    return DriverMoods(asked.driver_id, np.where(struck.any(0), struck.argmax(0), -1).astype(np.int8))
