"""Which customers and drivers had better not meet again: by ratings, and complaints that were upheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from dispatch.crm.rules import PairRule
from dispatch.crm.tables.orders import orders
from dispatch.crm.tables.people import driver
from dispatch.crm.tables.service import complaint, rating
from dispatch.store import bulk
from dispatch.units import MS_PER_DAY, MS_PER_S

Wholes = NDArray[np.int64]


@dataclass(frozen=True)
class Apart:
    """Pairs that had better not meet, ascending by customer, then driver; arrays (n,) int64."""

    customer_id: Wholes
    driver_id: Wholes
    cost_ms: Wholes
    """of letting them meet, as pickup time"""
    may_meet: Wholes
    """0 where they never are to"""


def apart_in(connection: sa.Connection, rule: PairRule, counts_as: Mapping[int, int], at_ms: int) -> Apart:
    """Give who of the active drivers had better not meet customers, by the rule.

    Parameters
    ----------
    connection : sa.Connection
    rule : PairRule
    counts_as : mapping of int to int
        Who each customer that is asked for is now; those who were merged into it are asked for, too.
    at_ms : int
        What was said later does not count.

    Complexity
    ----------
    Linear in the orders of these customers over the rule's days.
    """
    low = _rated_low(connection, rule, counts_as, at_ms)
    upheld = _upheld(connection, rule, counts_as, at_ms)
    pairs = np.concatenate([low, upheld])
    there = sa.select(driver.c.driver_id).where(
        driver.c.status == "active", bulk.among(connection, driver.c.driver_id, np.unique(pairs[:, 1]))
    )
    is_upheld = np.arange(len(pairs)) >= len(low)
    stays = np.isin(pairs[:, 1], bulk.fetch(connection, there)[0])
    pairs, is_upheld = pairs[stays], is_upheld[stays]
    distinct, row = np.unique(pairs, axis=0, return_inverse=True)
    seconds = np.where(is_upheld, rule.upheld_cost_s, rule.low_rating_cost_s)
    cost_ms = np.zeros(len(distinct), np.int64)
    np.maximum.at(cost_ms, row, np.rint(seconds * MS_PER_S).astype(np.int64))
    may_meet = np.ones(len(distinct), np.int64)
    if rule.bars_upheld:
        may_meet[row[is_upheld]] = 0
    counts = (cost_ms > 0) | (may_meet == 0)
    return Apart(distinct[counts, 0], distinct[counts, 1], cost_ms[counts], may_meet[counts])


def _rated_low(
    connection: sa.Connection, rule: PairRule, counts_as: Mapping[int, int], at_ms: int
) -> NDArray[np.int64]:
    """Give pairs (n, 2) of customer and driver of whom one has rated the other low, the latest time."""
    since_ms = at_ms - rule.days * MS_PER_DAY
    # By their orders, of which the database knows the customer's: ratings would all be looked through.
    found = bulk.fetch(
        connection,
        sa.select(
            orders.c.customer_id,
            rating.c.driver_id,
            sa.case((rating.c.about == "driver", 0), else_=1),
            rating.c.stars,
        )
        .select_from(orders)
        .join(rating, rating.c.order_id == orders.c.order_id)
        .where(
            bulk.among(connection, orders.c.customer_id, list(counts_as)),
            orders.c.submitted_at_ms >= since_ms,
            rating.c.about.in_(("driver", "customer")),
            rating.c.driver_id.is_not(None),
            rating.c.at_ms <= at_ms,
            sa.or_(rating.c.removed_at_ms.is_(None), rating.c.removed_at_ms > at_ms),
        )
        .order_by(rating.c.at_ms, rating.c.rating_id),
    )
    customer = np.array([counts_as[one] for one in found[0].tolist()], np.int64)
    backwards = np.stack([customer, found[1], found[2]], axis=1)[::-1]
    distinct, latest = np.unique(backwards, axis=0, return_index=True)
    return distinct[found[3][::-1][latest] <= rule.low_stars, :2]


def _upheld(
    connection: sa.Connection, rule: PairRule, counts_as: Mapping[int, int], at_ms: int
) -> NDArray[np.int64]:
    """Give pairs (n, 2) of customer and driver: a complaint of the one about the other was upheld."""
    found = bulk.fetch(
        connection,
        sa.select(complaint.c.customer_id, complaint.c.driver_id).where(
            bulk.among(connection, complaint.c.customer_id, list(counts_as)),
            complaint.c.verdict == "upheld",
            complaint.c.driver_id.is_not(None),
            complaint.c.resolved_at_ms >= at_ms - rule.days * MS_PER_DAY,
            complaint.c.resolved_at_ms <= at_ms,
        ),
    )
    customer = np.array([counts_as[one] for one in found[0].tolist()], np.int64)
    return np.stack([customer, found[1]], axis=1)
