"""What a day's orders left their customers with: satisfaction, ratings, complaints. All of it synthetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.analysis.order_table import OrderTable
from dispatch.sim.community import (
    ANSWERED,
    CAUSES,
    COMPLAINS,
    FEELS,
    RATES,
    STARS,
    UPHELD,
    Community,
)
from dispatch.sim.people import Wholes, luck
from dispatch.units import MS_PER_S, NO_VALUE

LATE_MS: Final = 300 * MS_PER_S
LONG_WAIT_MS: Final = 600 * MS_PER_S
STARS_OF_SATISFIED: Final = ((4, 0.25), (5, 1.0))
STARS_OF_DISSATISFIED: Final = ((1, 0.3), (2, 0.6), (3, 1.0))
"""Stars, and the share of the group that gives so many or fewer. Assumptions."""
CODE_OF_CAUSE: Final = {cause: "driver_late" if cause == "long_wait" else cause for cause in CAUSES}
_MS_PER_HOUR: Final = 3600 * MS_PER_S


@dataclass(frozen=True)
class Experiences:
    """One row an order that its customer did not just give up itself; every array is (n,)."""

    order_id: Wholes
    customer_id: Wholes
    driver_id: Wholes
    """NO_VALUE where none came"""
    tier: NDArray[np.int8]
    """as the order was submitted"""
    ended_at_ms: Wholes
    cause: NDArray[np.int8]
    """row of ``CAUSES``, -1: satisfied"""
    stars: NDArray[np.int8]
    """0: not rated"""
    complains: NDArray[np.bool_]
    upheld: NDArray[np.bool_]
    """whether the complaint will be found right"""
    answered_ms: Wholes
    """from the complaint to its first answer"""

    @property
    def is_bad(self) -> NDArray[np.bool_]:
        """(n,) whether the customer is dissatisfied."""
        return self.cause >= 0


def experiences(community: Community, orders: OrderTable) -> Experiences:
    """Let the customers of a day's orders judge them.

    Each cause that is there makes a customer dissatisfied with its own probability, independently; the first
    of them is what is complained of. Orders that were asked again count by their last try.
    """
    params, seed = community.params, community.seed
    completed = orders.is_completed
    came_to_nothing = (orders.cancelled_at_ms != NO_VALUE) | (orders.expired_at_ms != NO_VALUE)
    rows = np.flatnonzero(completed | came_to_nothing)
    rows = _last_tries(orders, rows)
    done, order_id = completed[rows], orders.order_id[rows]
    driver = np.where(done, orders.driver_id[rows], NO_VALUE)
    late = orders.arrived_at_ms[rows] - orders.accepted_at_ms[rows] - orders.quoted_eta_ms[rows] > LATE_MS
    quality = np.where(done, community.quality(np.maximum(driver, 0)), 1.0)
    chance = np.stack(
        [
            np.where(done, 0.0, params.unhappy_unserved),
            np.where(done & late, params.unhappy_late, 0.0),
            np.where(done & (orders.wait_ms[rows] > LONG_WAIT_MS), params.unhappy_long_wait, 0.0),
            np.where(done, params.unhappy_driver * (1 - quality), 0.0),
            np.full(len(rows), params.unhappy_any),
        ]
    )
    struck = np.stack([luck(seed, FEELS + 1000 * i, order_id) for i in range(len(CAUSES))]) < chance
    cause = np.where(struck.any(0), struck.argmax(0), -1).astype(np.int8)
    rated = done & (luck(seed, RATES, order_id) < params.rating_share)
    stars = _stars(luck(seed, STARS, order_id), cause >= 0)
    answered_ms = -np.log(luck(seed, ANSWERED, order_id)) * params.answer_h * _MS_PER_HOUR
    return Experiences(
        order_id,
        orders.customer_id[rows],
        driver,
        np.maximum(orders.tier[rows], 0),
        _ended_at_ms(orders)[rows],
        cause,
        np.where(rated, stars, 0).astype(np.int8),
        (cause >= 0) & (luck(seed, COMPLAINS, order_id) < params.complain_share),
        luck(seed, UPHELD, order_id) < params.upheld_share,
        np.rint(answered_ms).astype(np.int64) + 1,
    )


def _last_tries(orders: OrderTable, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of a customer's tries that follow each other because the earlier came to nothing, keep the last."""
    by_time = rows[np.lexsort((orders.submitted_at_ms[rows], orders.customer_id[rows]))]
    customer, failed = orders.customer_id[by_time], ~orders.is_completed[by_time]
    followed = np.zeros(len(by_time), np.bool_)
    soon_ms = 3 * _MS_PER_HOUR
    followed[:-1] = (customer[1:] == customer[:-1]) & (
        orders.submitted_at_ms[by_time[1:]] - orders.submitted_at_ms[by_time[:-1]] < soon_ms
    )
    return np.sort(by_time[~(failed & followed)])


def _ended_at_ms(orders: OrderTable) -> Wholes:
    ended = np.maximum(orders.dropped_off_at_ms, np.maximum(orders.cancelled_at_ms, orders.expired_at_ms))
    return np.maximum(ended, orders.closed_at_ms)


def _stars(drawn: NDArray[np.float64], is_bad: NDArray[np.bool_]) -> NDArray[np.int8]:
    stars = np.empty(len(drawn), np.int8)
    for of_group, table in ((is_bad, STARS_OF_DISSATISFIED), (~is_bad, STARS_OF_SATISFIED)):
        upto = np.array([share for _, share in table])
        value = np.array([one for one, _ in table], np.int8)
        stars[of_group] = value[np.searchsorted(upto, drawn[of_group], side="right").clip(max=len(value) - 1)]
    return stars
